//! The attributes of services, groups, hosts, users and what else there is: from a typed value to texts, for files, for
//! changes of one of them and for what differs.

use std::path::PathBuf;

use super::datagram;
use super::policy;
use super::sockets;
use super::sticky;
use super::value::show_time;
use super::{Access, Control, Group, Host, Listen, Manager, Service, User, Web};
use crate::model::scheduler::SchedulerKind;
use crate::model::status::AdminState;

/// Names and texts, in the order in which they are written.
pub(super) type Shown = Vec<(&'static str, String)>;

/// Of `<service>`.
pub(super) fn service(service: &Service) -> Shown {
    let mut shown = given([
        ("name", Some(service.name.clone())),
        ("connect-timeout", service.connect_timeout.map(show_time)),
        ("idle-timeout", service.idle_timeout.map(show_time)),
        ("fin-timeout", service.fin_timeout.map(show_time)),
        ("max-connections", service.max_connections.map(|max| max.to_string())),
        ("stubborn", service.stubborn.then(|| String::from("true"))),
    ]);
    shown.extend(datagram::shown_flows(&service.flows));
    shown
}

/// Of `<listen>`.
pub(super) fn listen(listen: &Listen) -> Shown {
    let mut shown = vec![("ip", listen.address.to_string())];
    shown.extend(datagram::shown_protocol(listen.protocol));
    shown.extend(sockets::shown_listen(&listen.options));
    shown
}

/// Of `<group>`. That it serves is said elsewhere.
pub(super) fn group(group: &Group) -> Shown {
    let scheduler = unless(group.scheduler, SchedulerKind::default()).map(|kind| kind.to_string());
    let mut shown = given([("name", Some(group.name.clone())), ("scheduler", scheduler)]);
    shown.extend(sticky::shown(&group.sticky));
    shown.extend(policy::shown_group(&group.policy));
    shown.extend(sockets::shown_connect(&group.connect));
    shown
}

/// Of `<host>`.
pub(super) fn host(host: &Host) -> Shown {
    let mut shown = given([
        ("name", Some(host.name.clone())),
        ("ip", Some(host.address.to_string())),
        ("weight", unless(host.weight, 1).map(|weight| weight.to_string())),
        ("max", host.max.map(|max| max.to_string())),
    ]);
    shown.extend(policy::shown_host(&host.policy));
    shown.extend(unless(host.state, AdminState::Up).map(|state| ("state", state.name().to_owned())));
    shown.extend(sockets::shown_connect(&host.connect));
    shown
}

/// Of `<user>`.
pub(super) fn user(user: &User) -> Shown {
    given([
        ("name", Some(user.name.clone())),
        ("password", user.password.clone()),
        ("access", Some(access(user.access).to_owned())),
        ("key", user.key.clone()),
    ])
}

/// Of an enabled `<web>`.
pub(super) fn web(web: &Web) -> Shown {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    given([
        ("listen", Some(web.listen.to_string())),
        ("secure", web.secure.then(|| String::from("true"))),
        ("refresh", web.refresh.map(show_time)),
        ("names", (!web.names.is_empty()).then(|| web.names.join(","))),
        ("certificate", path(&web.certificate)),
        ("key", path(&web.key)),
    ])
}

/// Of `<control>`.
pub(super) fn control(control: &Control) -> Shown {
    given([("socket", Some(control.socket.display().to_string())), ("group", control.group.clone())])
}

/// What a change of the manager's timings may name; `rise`, `fall` and `checktime` are attributes of `<manager>`, the
/// others the intervals of its elements.
pub(super) const MANAGER: [&str; 6] = ["rise", "fall", "checktime", "host-check", "heartbeat", "config-check"];

/// All of [`MANAGER`] that are on.
pub(super) fn manager(manager: &Manager) -> Shown {
    given([
        ("rise", Some(manager.rise.to_string())),
        ("fall", Some(manager.fall.to_string())),
        ("checktime", Some(show_time(manager.checktime))),
        ("host-check", Some(show_time(manager.host_check))),
        ("heartbeat", manager.heartbeat.map(show_time)),
        ("config-check", manager.config_check.map(show_time)),
    ])
}

/// What an administrator may do, in the word of the file.
pub(super) const fn access(access: Access) -> &'static str {
    match access {
        Access::Full => "full",
        Access::ReadOnly => "readonly",
    }
}

/// Those that are there.
pub(super) fn given<const N: usize>(pairs: [(&'static str, Option<String>); N]) -> Shown {
    pairs.into_iter().filter_map(|(name, text)| text.map(|text| (name, text))).collect()
}

/// The value, if it is not the default.
pub(super) fn unless<T: PartialEq>(value: T, default: T) -> Option<T> {
    (value != default).then_some(value)
}
