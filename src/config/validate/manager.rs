//! The manager's timings.

use std::time::Duration;

use super::once;
use crate::config::Manager;
use crate::config::error::{Collector, Reported};
use crate::config::schema::Dialect;
use crate::config::value;
use crate::config::xml::Element;
use crate::model::limits::HEARTBEAT;

pub(super) fn manager(dialect: Dialect, root: &Element<'_>, errors: &mut Collector<'_>) -> Result<Manager, Reported> {
    let manager = root.child("manager");
    let part = |name| manager.and_then(|manager| manager.child(name));
    let host_check = host_check(dialect, part("hostCheck"), errors);
    let checktime = checktime(dialect, root, manager, errors);
    let heartbeat = enabled_interval(part("heartbeat"), Some(HEARTBEAT), errors);
    let config_check = enabled_interval(part("configCheck"), None, errors);
    let mut count = |name| manager.map_or(Ok(None), |manager| manager.optional(name, value::count, errors));
    let (rise, fall) = (count("rise"), count("fall"));
    Ok(Manager {
        host_check: host_check?,
        checktime: checktime?,
        heartbeat: heartbeat?,
        rise: rise?.unwrap_or(1),
        fall: fall?.unwrap_or(1),
        config_check: config_check?,
    })
}

/// A failed host has to come back, so that `enable="false"` does not end the checks: it takes the operator's interval
/// away and leaves the dialect's.
fn host_check(
    dialect: Dialect,
    element: Option<&Element<'_>>,
    errors: &mut Collector<'_>,
) -> Result<Duration, Reported> {
    let default = dialect.host_check();
    let Some(element) = element else { return Ok(default) };
    let enable = element.optional("enable", value::boolean, errors);
    let interval = element.optional("interval", value::positive_time, errors);
    let is_off = enable? == Some(false);
    Ok(interval?.filter(|_| !is_off).unwrap_or(default))
}

/// `<checktime time>` in the root (PythonDirector's) or in `<manager>`, or the attribute of `<manager>`.
fn checktime(
    dialect: Dialect,
    root: &Element<'_>,
    manager: Option<&Element<'_>>,
    errors: &mut Collector<'_>,
) -> Result<Duration, Reported> {
    let elements: Vec<&Element<'_>> = [root.child("checktime"), manager.and_then(|manager| manager.child("checktime"))]
        .into_iter()
        .flatten()
        .collect();
    let attribute = manager.and_then(|manager| manager.attribute("checktime"));
    let places = elements.iter().map(|element| element.at()).chain(attribute.map(|attribute| attribute.at)).collect();
    let once = once("checktime", places, errors);
    let from_attribute = manager.map_or(Ok(None), |manager| manager.optional("checktime", value::time, errors));
    let from_element = elements.first().map(|element| element.required("time", value::time, errors)).transpose();
    once?;
    Ok(from_attribute?.or(from_element?).unwrap_or(dialect.checktime()))
}

/// The interval of something that is off unless `enable` is true.
fn enabled_interval(
    element: Option<&Element<'_>>,
    default: Option<Duration>,
    errors: &mut Collector<'_>,
) -> Result<Option<Duration>, Reported> {
    let Some(element) = element else { return Ok(None) };
    let enable = element.optional("enable", value::boolean, errors);
    let interval = element.optional("interval", value::positive_time, errors);
    if enable? != Some(true) {
        return interval.map(|_| None);
    }
    match interval?.or(default) {
        Some(interval) => Ok(Some(interval)),
        None => element.required("interval", value::positive_time, errors).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{errors_with, with};
    use super::*;
    use crate::config::parse;
    use crate::model::limits::{CHECKTIME_ANCESTORS, HOST_CHECK, HOST_CHECK_ANCESTORS};

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn of(root: &str, more: &str) -> Manager {
        let service = "<service name='s'><listen ip='*:1'/><group name='g'><host ip='h:2'/></group></service>";
        parse(&format!("<{root}>{service}{more}</{root}>"), "f").unwrap().manager
    }

    #[test]
    fn manager_left_out_has_the_defaults_of_the_dialect() {
        let ours = Manager {
            host_check: HOST_CHECK,
            checktime: Duration::ZERO,
            heartbeat: None,
            rise: 1,
            fall: 1,
            config_check: None,
        };
        assert_eq!(of("director", ""), ours);
        let ancestors = Manager { host_check: HOST_CHECK_ANCESTORS, ..ours };
        assert_eq!(of("config", ""), ancestors);
        assert_eq!(of("pdconfig", ""), Manager { checktime: CHECKTIME_ANCESTORS, ..ancestors });
    }

    #[test]
    fn checktime_in_each_of_its_forms_is_read() {
        let forms =
            ["<checktime time='60'/>", "<manager checktime='1m'/>", "<manager><checktime time='60000ms'/></manager>"];
        for root in ["director", "pdconfig", "config"] {
            for form in forms {
                assert_eq!(of(root, form).checktime, seconds(60), "{root} {form}");
            }
        }
        assert_eq!(of("pdconfig", "<checktime time='0'/>").checktime, Duration::ZERO);
    }

    #[test]
    fn checktime_given_twice_is_refused_at_the_second() {
        let expected = "f:3:1: checktime is given twice, expected the one in line 2 only";
        assert_eq!(errors_with("<manager checktime='1'/>\n<checktime time='1'/>"), expected);
        let expected = "f:2:25: checktime is given twice, expected the one in line 2 only";
        assert_eq!(errors_with("<manager checktime='1'> <checktime time='1'/></manager>"), expected);
    }

    #[test]
    fn checktime_without_a_time_is_refused() {
        assert_eq!(errors_with("<checktime/>"), "f:2:1: <checktime> has no time, expected time=\"TIME\"");
    }

    #[test]
    fn host_check_switched_off_keeps_the_default_interval() {
        assert_eq!(of("config", "<manager><hostCheck interval='60'/></manager>").host_check, seconds(60));
        assert_eq!(of("config", "<manager><hostCheck interval='60' enable='true'/></manager>").host_check, seconds(60));
        let off = of("config", "<manager><hostCheck interval='60' enable='false'/></manager>");
        assert_eq!(off.host_check, HOST_CHECK_ANCESTORS);
        let expected = "f:2:31: interval=\"0\": the time is 0, expected at least 1ms";
        assert_eq!(errors_with("<manager><hostCheck interval='0'/></manager>"), expected);
    }

    #[test]
    fn heartbeat_is_off_unless_it_is_enabled() {
        let heartbeat = |attributes| with(&format!("<manager><heartbeat {attributes}/></manager>")).manager.heartbeat;
        assert_eq!(heartbeat(""), None);
        assert_eq!(heartbeat("interval='9s'"), None);
        assert_eq!(heartbeat("interval='9s' enable='no'"), None);
        assert_eq!(heartbeat("interval='9s' enable='yes'"), Some(seconds(9)));
        assert_eq!(heartbeat("enable='true'"), Some(HEARTBEAT));
    }

    #[test]
    fn heartbeat_that_is_off_is_still_checked() {
        let expected = "f:2:31: interval=\"1e99\": unknown unit \"e99\", ";
        assert!(errors_with("<manager><heartbeat interval='1e99' enable='false'/></manager>").starts_with(expected));
    }

    #[test]
    fn config_check_needs_an_interval_when_it_is_enabled() {
        let check = |attributes| with(&format!("<manager><configCheck {attributes}/></manager>")).manager.config_check;
        assert_eq!(check("interval='30' enable='true'"), Some(seconds(30)));
        assert_eq!(check("interval='30' enable='false'"), None);
        assert_eq!(check("enable='false'"), None);
        let expected = "f:2:10: <configCheck> has no interval, expected interval=\"TIME\"";
        assert_eq!(errors_with("<manager><configCheck enable='true'/></manager>"), expected);
    }

    #[test]
    fn rise_and_fall_of_zero_are_refused() {
        let manager = with("<manager rise='2' fall='3'/>").manager;
        assert_eq!((manager.rise, manager.fall), (2, 3));
        let expected = "f:2:16: rise=\"0\": the number is too small, expected 1 to 4294967295\n\
                        f:2:25: fall=\"0\": the number is too small, expected 1 to 4294967295";
        assert_eq!(errors_with("<manager rise='0' fall='0'/>"), expected);
    }
}
