//! The paths of PythonDirector and txLoadBalancer: changes by `GET` with arguments, answered with `OK` or `NOT OK` and a
//! redirect to `running`.

use std::fmt::Write;

use super::tell::{old_done, refusal_json};
use super::{Call, Outcome, Step, configs, users};
use crate::admin::auth::Secret;
use crate::admin::http::{Answer, http_date};
use crate::model::change::{Attributes, Change, GroupRef, HostRef, Refusal};
use crate::model::command::{Command, Difference, Reply, Source};
use crate::model::snapshot::{HostView, Snapshot};
use crate::model::status::{AdminState, HostStatus};

/// The page, or for programs version, host name and start time.
pub(super) fn front(call: &Call) -> Outcome {
    if call.is_browser() {
        return Ok(Step::Answer(super::pages::front()));
    }
    Ok(Step::See(Box::new(|snapshot| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let (version, started) = (snapshot.version, http_date(snapshot.started));
        Answer::text(200, format!("Director {version}\nhost {}\nstarted {started}\n", host.trim()))
    })))
}

/// The page, or for programs what `running.txt` says below the message of the last change.
pub(super) fn running(call: &Call) -> Outcome {
    if call.is_browser() {
        return Ok(Step::Answer(super::pages::front()));
    }
    let message = call.argument("resultMessage").map(|message| format!("{}\n", one_line(message))).unwrap_or_default();
    Ok(Step::See(Box::new(move |snapshot| Answer::text(200, message + &lines(snapshot)))))
}

/// What runs, a line each.
pub(super) fn running_txt(_: &Call) -> Outcome {
    Ok(Step::See(Box::new(|snapshot| Answer::text(200, lines(snapshot)))))
}

/// The configuration that runs.
pub(super) fn running_xml(_: &Call) -> Outcome {
    Ok(configs::shown(Source::Running))
}

/// The configuration that was loaded.
pub(super) fn config_xml(_: &Call) -> Outcome {
    Ok(configs::shown(Source::Loaded))
}

/// What differs between the file and what runs.
pub(super) fn compare(call: &Call) -> Outcome {
    let (from, to) = configs::both(call, Source::File, Source::Running)?;
    let tell = |reply| match reply {
        Reply::Differences(differences) if differences.is_empty() => Answer::text(200, "no difference\n"),
        Reply::Differences(differences) => Answer::text(200, differences.iter().map(told).collect::<String>()),
        Reply::Refused(refusal) => refusal_json(&refusal),
        other => super::tell::seen(other),
    };
    Ok(Step::Ask(Command::Diff { from, to }, Box::new(tell)))
}

fn told(difference: &Difference) -> String {
    let Difference { what, effect, .. } = difference;
    let effect = if effect.is_empty() { String::new() } else { format!(" ({})", one_line(effect)) };
    format!("{}{effect}\n", one_line(what))
}

fn lines(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for service in &snapshot.services {
        let enabled = service.enabled.as_deref().unwrap_or("-");
        for listener in &service.listeners {
            // Writing to a string does not fail.
            let _ = writeln!(text, "service {} {} {enabled}", service.name, listener.address);
        }
        for group in &service.groups {
            let _ = writeln!(text, "group {} {}", group.name, if group.enabled { "enabled" } else { "inactive" });
            for host in &group.hosts {
                let address = host.addr.map_or_else(|| host.address.clone(), |addr| addr.to_string());
                let _ = match reason(host) {
                    None => writeln!(text, "host {} {address} {} -", host.name, host.open),
                    Some(why) => writeln!(text, "disabled {} {address} {} -", host.name, one_line(why)),
                };
            }
        }
    }
    text
}

/// Why a host takes no clients.
fn reason(host: &HostView) -> Option<&str> {
    match (host.admin, host.status) {
        (AdminState::Down, _) => Some("administratively down"),
        (AdminState::Drain, _) => Some("draining"),
        (AdminState::Up, HostStatus::Down) if host.why.is_empty() => Some("down"),
        (AdminState::Up, HostStatus::Down) => Some(&host.why),
        (AdminState::Up, HostStatus::Up) => None,
    }
}

fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).collect::<Vec<_>>().join(" ")
}

fn need(call: &Call, name: &str) -> Result<String, Refusal> {
    let given = call.argument(name).filter(|text| !text.is_empty()).map(str::to_owned);
    given.ok_or_else(|| Refusal::invalid(format!("the argument {name} is missing")))
}

fn group(call: &Call) -> Result<GroupRef, Refusal> {
    Ok(GroupRef { service: need(call, "service")?, group: need(call, "group")? })
}

/// The host of the first of these arguments that is given.
fn host(call: &Call, names: &[&'static str]) -> Result<HostRef, Refusal> {
    let GroupRef { service, group } = group(call)?;
    let given = names.iter().find_map(|name| call.argument(name).filter(|text| !text.is_empty()));
    let missing = || Refusal::invalid(format!("the argument {} is missing", names.join(" or ")));
    Ok(HostRef { service, group: Some(group), host: given.ok_or_else(missing)?.to_owned() })
}

fn ask(command: Command) -> Outcome {
    Ok(Step::Ask(command, Box::new(old_done)))
}

fn change(change: Change) -> Outcome {
    ask(Command::Change(vec![change]))
}

pub(super) fn save(call: &Call) -> Outcome {
    ask(Command::Save { overwrite: configs::truth(call, "overwrite")? })
}

pub(super) fn add_host(call: &Call) -> Outcome {
    let weight = call.argument("weight").map(|weight| ("weight", weight));
    change(Change::AddHost {
        group: group(call)?,
        host: call.argument("name").filter(|name| !name.is_empty()).map(str::to_owned),
        address: need(call, "ip")?,
        attributes: Attributes::new(weight),
    })
}

pub(super) fn del_host(call: &Call) -> Outcome {
    change(Change::RemoveHost { host: host(call, &["name", "ip"])? })
}

pub(super) fn del_all_hosts(call: &Call) -> Outcome {
    change(Change::RemoveAllHosts { group: group(call)? })
}

pub(super) fn enable_group(call: &Call) -> Outcome {
    change(Change::EnableGroup { group: group(call)? })
}

pub(super) fn change_scheduler(call: &Call) -> Outcome {
    let attributes = Attributes::new([("scheduler", need(call, "scheduler")?)]);
    change(Change::SetGroup { group: group(call)?, attributes })
}

/// The password comes in clear, as the ancestors had it.
pub(super) fn add_user(call: &Call) -> Outcome {
    let (user, password) = (need(call, "name")?, Secret(need(call, "password")?.into_bytes()));
    let access = call.argument("access").filter(|access| !access.is_empty()).unwrap_or("readonly").to_owned();
    users::check_name(&user)?;
    let then = move |hash| {
        let attributes = Attributes::new([("password", hash), ("access", access)]);
        Step::Ask(Command::Change(vec![Change::AddUser { user, attributes }]), Box::new(old_done))
    };
    Ok(Step::Hash(password, Box::new(then)))
}

pub(super) fn del_user(call: &Call) -> Outcome {
    change(Change::RemoveUser { user: need(call, "name")? })
}

pub(super) fn new_service(call: &Call) -> Outcome {
    let (service, listen) = (need(call, "service")?, need(call, "listen")?);
    change(Change::AddService { service, listen, attributes: Attributes::default() })
}

pub(super) fn new_group(call: &Call) -> Outcome {
    let scheduler = call.argument("scheduler").filter(|name| !name.is_empty()).map(|name| ("scheduler", name));
    change(Change::AddGroup { group: group(call)?, attributes: Attributes::new(scheduler) })
}

pub(super) fn del_group(call: &Call) -> Outcome {
    change(Change::RemoveGroup { group: group(call)? })
}

pub(super) fn close_log(_: &Call) -> Outcome {
    ask(Command::ReopenLog)
}

pub(super) fn retry_host(call: &Call) -> Outcome {
    ask(Command::Retry(host(call, &["host", "name", "ip"])?))
}

pub(super) fn host_admin_down(call: &Call) -> Outcome {
    set_state(call, AdminState::Down)
}

pub(super) fn host_admin_up(call: &Call) -> Outcome {
    set_state(call, AdminState::Up)
}

fn set_state(call: &Call, state: AdminState) -> Outcome {
    let attributes = Attributes::new([("state", state.name())]);
    change(Change::SetHost { host: host(call, &["name", "host", "ip"])?, attributes })
}

pub(super) fn shutdown(_: &Call) -> Outcome {
    ask(Command::Shutdown { wait: None })
}
