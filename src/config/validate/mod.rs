//! Raw configuration to valid configuration, all errors in one pass.
//!
//! A function that cannot give its value has reported why; the others go on, so that one run shows everything.

mod access;
mod admin;
pub(super) mod listeners;
mod logs;
mod manager;
mod names;
mod service;

pub(super) use service::wrong_family;

use std::path::PathBuf;

use super::error::{Collector, Reported};
use super::schema::Dialect;
use super::value;
use super::xml::Element;
use super::{Config, Control};

/// Validates the whole file.
pub(super) fn config(dialect: Dialect, root: &Element<'_>, errors: &mut Collector<'_>) -> Result<Config, Reported> {
    let services = service::services(root, errors);
    let manager = manager::manager(dialect, root, errors);
    let log_file = log_file(root, errors);
    let access_log = logs::access_log(root, errors);
    let status = logs::status(root, errors);
    let admin = admin::admin(root, errors);
    let control = control(root, errors);
    let acls = access::acls(root, errors);
    listeners::check(root, errors);
    Ok(Config {
        services: services?,
        manager: manager?,
        log_file: log_file?,
        access_log: access_log?,
        status: status?,
        admin: admin?,
        control: control?,
        acls: acls?,
    })
}

fn log_file(root: &Element<'_>, errors: &mut Collector<'_>) -> Result<Option<PathBuf>, Reported> {
    root.child("logging").map_or(Ok(None), |logging| logging.optional("file", value::path, errors))
}

/// In the root or in `<manager>`: txLoadBalancer's files have it in either.
fn control(root: &Element<'_>, errors: &mut Collector<'_>) -> Result<Option<Control>, Reported> {
    let places = [root.child("control"), root.child("manager").and_then(|manager| manager.child("control"))];
    let controls: Vec<&Element<'_>> = places.into_iter().flatten().collect();
    once("control", controls.iter().map(|control| control.at()).collect(), errors)?;
    let Some(control) = controls.first() else { return Ok(None) };
    let socket = control.required("socket", value::socket_path, errors);
    let group = control.optional("group", value::name, errors);
    Ok(Some(Control { socket: socket?, group: group? }))
}

/// Reports all but the first of several ways to say one thing.
fn once(what: &str, mut places: Vec<usize>, errors: &mut Collector<'_>) -> Result<(), Reported> {
    places.sort_unstable();
    let [first, later @ ..] = places.as_slice() else { return Ok(()) };
    let line = errors.line(*first);
    let report =
        |at: &usize| Err(errors.report(*at, format!("{what} is given twice, expected the one in line {line} only")));
    all(later.iter().map(report)).map(|_: Vec<()>| ())
}

/// All values, or one of the errors; every item is looked at.
fn all<T>(items: impl Iterator<Item = Result<T, Reported>>) -> Result<Vec<T>, Reported> {
    let mut failed = None;
    let values = items.filter_map(|item| item.map_err(|reported| failed = Some(reported)).ok()).collect();
    failed.map_or(Ok(values), Err)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::config::{Config, Control, parse};

    /// The valid configuration in a `<director>` with one service and these further elements.
    pub(in crate::config) fn with(more: &str) -> Config {
        parse(&file(more), "f").unwrap()
    }

    /// The errors of the same, one a line.
    pub(in crate::config) fn errors_with(more: &str) -> String {
        errors(&file(more))
    }

    /// The errors of a whole file, one a line.
    pub(in crate::config) fn errors(text: &str) -> String {
        parse(text, "f").unwrap_err().to_string()
    }

    fn file(more: &str) -> String {
        let service = "<service name='s'><listen ip='*:1'/><group name='g'><host ip='h:2'/></group></service>";
        format!("<director>{service}\n{more}</director>")
    }

    #[test]
    fn logging_without_a_file_is_standard_error() {
        assert_eq!(with("").log_file, None);
        assert_eq!(with("<logging/>").log_file, None);
        assert_eq!(with("<logging file='a.log'/>").log_file, Some("a.log".into()));
        let expected = "f:2:16: file=\"\": the path is empty, expected a file name";
        assert_eq!(errors_with("<logging file=''/>"), expected);
    }

    #[test]
    fn control_socket_in_the_root_or_the_manager_is_read() {
        let control = |group: Option<&str>| Some(Control { socket: "/run/d".into(), group: group.map(str::to_owned) });
        assert_eq!(with("<control socket='/run/d' group='adm'/>").control, control(Some("adm")));
        assert_eq!(with("<manager><control socket='/run/d'/></manager>").control, control(None));
        assert_eq!(errors_with("<control/>"), "f:2:1: <control> has no socket, expected socket=\"PATH\"");
    }

    #[test]
    fn control_socket_in_both_places_is_refused() {
        let expected = "f:3:1: control is given twice, expected the one in line 2 only";
        assert_eq!(errors_with("<manager><control socket='a'/></manager>\n<control socket='b'/>"), expected);
    }
}
