//! The access log and the status page.

use crate::config::error::{Collector, Reported};
use crate::config::value;
use crate::config::xml::Element;
use crate::config::{AccessLog, LogTarget, StatusFile};

/// The attributes that say where lines go, of which there is one.
const TARGETS: [&str; 3] = ["file", "syslog", "udp"];

pub(super) fn access_log(root: &Element<'_>, errors: &mut Collector<'_>) -> Result<Option<AccessLog>, Reported> {
    let Some(element) = root.child("access-log") else { return Ok(None) };
    let to = target(element, errors);
    let format = element.optional("format", value::line_format, errors);
    let start = element.optional("start", value::boolean, errors);
    let every = element.optional("every", value::whole_seconds_at_least_one, errors);
    Ok(Some(AccessLog { to: to?, format: format?.unwrap_or_default(), start: start?.unwrap_or(false), every: every? }))
}

fn target(element: &Element<'_>, errors: &mut Collector<'_>) -> Result<LogTarget, Reported> {
    let file = element.optional("file", value::path, errors);
    let syslog = element.optional("syslog", value::syslog, errors);
    let udp = element.optional("udp", value::datagrams_to, errors);
    let given: Vec<_> = TARGETS.iter().filter_map(|name| Some((name, element.attribute(name)?.at))).collect();
    if let [(first, _), (second, at), ..] = given.as_slice() {
        let what = format!("{second} beside {first}, expected one of file, syslog and udp");
        return Err(errors.report(*at, what));
    }
    let targets = [file?.map(LogTarget::File), syslog?, udp?.map(LogTarget::Udp)];
    targets.into_iter().flatten().next().ok_or_else(|| {
        let what = "<access-log> has no file, syslog or udp, expected one of file=\"FILE\", \
                    syslog=\"PATH|ADDRESS:PORT\" and udp=\"ADDRESS:PORT\"";
        errors.report(element.at(), what)
    })
}

pub(super) fn status(root: &Element<'_>, errors: &mut Collector<'_>) -> Result<Option<StatusFile>, Reported> {
    let Some(element) = root.child("status") else { return Ok(None) };
    let file = element.required("file", value::path, errors);
    let interval = element.optional("interval", value::whole_seconds_at_least_one, errors);
    Ok(Some(StatusFile { file: file?, interval: interval? }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{errors_with, with};
    use super::*;
    use crate::config::LineFormat;

    #[test]
    fn access_log_is_read_with_each_of_its_targets() {
        assert_eq!(with("").access_log, None);
        let to = |text: &str| with(&format!("<access-log {text}/>")).access_log.unwrap();
        let log = |to| AccessLog { to, format: LineFormat::Text, start: false, every: None };
        assert_eq!(to("file='a.log'"), log(LogTarget::File("a.log".into())));
        assert_eq!(to("syslog='/dev/log'"), log(LogTarget::SyslogSocket("/dev/log".into())));
        assert_eq!(to("syslog='192.0.2.1:514'"), log(LogTarget::Syslog("192.0.2.1:514".parse().unwrap())));
        let full = AccessLog {
            format: LineFormat::Json,
            start: true,
            every: Some(Duration::from_secs(60)),
            ..log(LogTarget::Udp("[::1]:9".parse().unwrap()))
        };
        assert_eq!(to("udp='[::1]:9' format='json' start='yes' every='1m'"), full);
    }

    #[test]
    fn access_log_without_a_target_or_with_two_is_refused() {
        let expected = "f:2:1: <access-log> has no file, syslog or udp, expected one of file=\"FILE\", \
                        syslog=\"PATH|ADDRESS:PORT\" and udp=\"ADDRESS:PORT\"";
        assert_eq!(errors_with("<access-log/>"), expected);
        let expected = "f:2:27: udp beside file, expected one of file, syslog and udp";
        assert_eq!(errors_with("<access-log file='a' udp='127.0.0.1:9'/>"), expected);
    }

    #[test]
    fn bad_values_are_all_refused_with_what_was_expected() {
        let text = "<access-log udp='logs:514' format='xml' start='maybe' every='500ms'/>";
        let expected = "f:2:18: udp=\"logs:514\": not an address and a port, expected ADDRESS:PORT, such as 192.0.2.1:514 or \
                        [::1]:514; names are not resolved here\n\
                        f:2:36: format=\"xml\": unknown format, expected text or json\n\
                        f:2:48: start=\"maybe\": neither true nor false, expected true, yes or 1, or false, no or 0\n\
                        f:2:62: every=\"500ms\": not a number of whole seconds, expected 1s or more";
        assert_eq!(errors_with(text), expected);
        let message = errors_with("<access-log syslog='localhost'/>");
        assert!(message.contains("neither a path nor an address and a port"), "{message}");
    }

    #[test]
    fn status_page_needs_a_file() {
        assert_eq!(with("<status file='/s'/>").status, Some(StatusFile { file: "/s".into(), interval: None }));
        let interval = Some(Duration::from_secs(5));
        assert_eq!(with("<status file='/s' interval='5'/>").status, Some(StatusFile { file: "/s".into(), interval }));
        assert_eq!(errors_with("<status/>"), "f:2:1: <status> has no file, expected file=\"FILE\"");
    }
}
