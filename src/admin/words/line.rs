//! From a command to the line that means it.

use super::place::{show_group, show_host};
use super::quote::join;
use super::search;
use crate::config::show_time;
use crate::model::change::{Attributes, Change};
use crate::model::command::{Command, Source, Target};
use crate::model::sticky::StickySearch;

/// The line that [`super::parse`] reads as this command. None for what has none: several changes are several lines, and a
/// configuration's text is a block.
#[must_use]
pub fn to_line(command: &Command) -> Option<String> {
    let line = |words: &[&str]| Some(join(words));
    match command {
        Command::Change(changes) => match changes.as_slice() {
            [one] => Some(change_line(one)),
            [] | [_, _, ..] => None,
        },
        Command::Reload { confirm: None } => line(&["config", "reload"]),
        Command::Reload { confirm: Some(time) } => line(&["config", "reload", "--confirm", &show_time(*time)]),
        Command::Load { .. } => None,
        Command::Confirm => line(&["config", "confirm"]),
        Command::GoBack => line(&["config", "goback"]),
        Command::Save { overwrite: false } => line(&["config", "save"]),
        Command::Save { overwrite: true } => line(&["config", "save", "--overwrite"]),
        Command::Retry(host) => Some(with("retry", &[&show_host(host)], Vec::new())),
        Command::Snapshot => line(&["status"]),
        Command::Config(Source::Running) => line(&["config", "show", "running"]),
        Command::Config(Source::Loaded) => line(&["config", "show", "loaded"]),
        Command::Config(Source::File) => line(&["config", "show", "file"]),
        Command::Config(Source::Text(_)) => None,
        Command::Diff { from: Source::Running, to: Source::File } => line(&["config", "diff"]),
        Command::Diff { .. } => None,
        Command::Sessions(search) => Some(with("sessions", &[], search::pairs(search))),
        Command::Kill(Target::One(name)) => line(&["kill", &name.to_string()]),
        Command::Kill(Target::All(search)) => Some(with("kill", &[], search::pairs(search))),
        Command::Sticky(search) => Some(with("sticky list", &[], search::sticky_pairs(search))),
        Command::Forget(search) if *search == StickySearch::default() => line(&["sticky", "clear", "--all"]),
        Command::Forget(search) => Some(with("sticky clear", &[], search::sticky_pairs(search))),
        Command::Blacklist { host, time } => {
            Some(with("blacklist", &[&show_host(host), &show_time(*time)], Vec::new()))
        }
        Command::Events { after } => Some(with("events", &[], vec![format!("after={after}")])),
        Command::LogLevel(level) => Some(with("log level", &[level], Vec::new())),
        Command::ReopenLog => line(&["log", "reopen"]),
        Command::LogCounters => line(&["log", "counters"]),
        Command::LogLoops => line(&["log", "loops"]),
        Command::Shutdown { wait: None } => line(&["shutdown"]),
        Command::Shutdown { wait: Some(time) } => line(&["shutdown", "--wait", &show_time(*time)]),
    }
}

/// The line of one change.
#[must_use]
pub(super) fn change_line(change: &Change) -> String {
    let texts = |attributes: &Attributes| -> Vec<String> {
        attributes.0.iter().map(|(name, text)| format!("{name}={text}")).collect()
    };
    match change {
        Change::AddService { service, listen, attributes } => {
            with("service add", &[service, listen], texts(attributes))
        }
        Change::SetService { service, attributes } => with("service set", &[service], texts(attributes)),
        Change::RemoveService { service } => with("service del", &[service], Vec::new()),
        Change::AddListener { service, listen, attributes } => {
            with("listen add", &[service, listen], texts(attributes))
        }
        Change::SetListener { service, listen, attributes } => {
            with("listen set", &[service, listen], texts(attributes))
        }
        Change::RemoveListener { service, listen } => with("listen del", &[service, listen], Vec::new()),
        Change::AddGroup { group, attributes } => with("group add", &[&show_group(group)], texts(attributes)),
        Change::SetGroup { group, attributes } => with("group set", &[&show_group(group)], texts(attributes)),
        Change::RemoveGroup { group } => with("group del", &[&show_group(group)], Vec::new()),
        Change::EnableGroup { group } => with("enable", &[&show_group(group)], Vec::new()),
        Change::AddHost { group, host, address, attributes } => {
            let name = host.iter().map(|name| format!("name={name}"));
            with("add", &[&show_group(group), address], name.chain(texts(attributes)).collect())
        }
        Change::SetHost { host, attributes } => with("set", &[&show_host(host)], texts(attributes)),
        Change::RemoveHost { host } => with("del", &[&show_host(host)], Vec::new()),
        Change::RemoveAllHosts { group } => with("group clear", &[&show_group(group)], Vec::new()),
        Change::AddUser { user, attributes } => with("user add", &[user], texts(attributes)),
        Change::SetUser { user, attributes } => with("user set", &[user], texts(attributes)),
        Change::RemoveUser { user } => with("user del", &[user], Vec::new()),
        Change::SetManager { attributes } => with("manager set", &[], texts(attributes)),
        Change::SetLog { file } => with("log file", file.as_deref().as_slice(), Vec::new()),
    }
}

/// The line of a command, its arguments and pairs, none of which is taken for a flag.
fn with(name: &str, args: &[&str], pairs: Vec<String>) -> String {
    let words: Vec<&str> = args.iter().copied().chain(pairs.iter().map(String::as_str)).collect();
    let guarded = words.iter().any(|word| word.starts_with("--")).then_some("--");
    join(name.split(' ').chain(guarded).chain(words))
}
