//! Users, the manager's timings, the log, and where administration is reached.

use super::words::{self, KEPT, WITH_RELOAD};
use super::{Draft, pair};
use crate::config::attributes::{self, Shown};
use crate::config::logs;
use crate::config::{Config, User};
use crate::model::change::{Attributes, Change};

pub(super) fn users(draft: &mut Draft, from: &Config, to: &Config) {
    let users = |config: &Config| config.admin.as_ref().map_or(Vec::new(), |admin| admin.users.clone());
    let (from, to) = (users(from), users(to));
    let same_secrets = |before: &User, after: &User| before.password == after.password && before.key == after.key;
    let (pairs, removed) = pair(&from, &to, |user| &user.name, same_secrets);
    for (before, user) in pairs {
        let shown = attributes::user(user);
        let Some(before) = before else {
            let attributes = words::given(shown, &["name"]);
            let what = format!("user {} added{}", user.name, words::listed(&attributes));
            draft.step(Change::AddUser { user: user.name.clone(), attributes }, what, KEPT);
            continue;
        };
        if let Some((attributes, words)) = words::edit(&attributes::user(before), &shown) {
            let what = format!("user {}: {words}", before.name);
            draft.step(Change::SetUser { user: before.name.clone(), attributes }, what, KEPT);
        }
    }
    // Somebody should be there at any time who may change anything.
    draft.steps.sort_by_key(|step| !matches!(step.change, Change::AddUser { .. }));
    for User { name, .. } in removed {
        draft.step(Change::RemoveUser { user: name.clone() }, format!("user {name} removed"), KEPT);
    }
}

pub(super) fn settings(draft: &mut Draft, from: &Config, to: &Config) {
    if let Some((attributes, words)) =
        words::edit(&attributes::manager(&from.manager), &attributes::manager(&to.manager))
    {
        draft.step(Change::SetManager { attributes }, format!("manager: {words}"), KEPT);
    }
    if from.log_file != to.log_file {
        let shown = |config: &Config| config.log_file.as_ref().map(|file| file.display().to_string());
        let (before, file) = (shown(from), shown(to));
        let standard_error = || String::from("standard error");
        let what =
            format!("log: {} → {}", before.unwrap_or_else(standard_error), file.clone().unwrap_or_else(standard_error));
        draft.step(Change::SetLog { file }, what, "kept; lines from then on go there");
    }
    logs_and_status(draft, from, to);
    administration(draft, from, to);
}

fn logs_and_status(draft: &mut Draft, from: &Config, to: &Config) {
    let access = |config: &Config| config.access_log.as_ref().map(logs::shown_access_log);
    with_reload(draft, ("access log", access(from), access(to)), |names| match names {
        None => "no longer written",
        Some(_) => "kept; lines from then on go there",
    });
    let status = |config: &Config| config.status.as_ref().map(logs::shown_status);
    with_reload(draft, ("status page", status(from), status(to)), |names| match names {
        None => "no longer written",
        Some(_) => "taken over at once",
    });
}

fn administration(draft: &mut Draft, from: &Config, to: &Config) {
    let web = |config: &Config| Some(attributes::web(config.admin.as_ref()?.web.as_ref()?));
    with_reload(draft, ("administration page", web(from), web(to)), |names| match names {
        None => "no longer served, its connections end",
        Some(["listen", ..]) => "listener rebound, its connections go on",
        Some(names) if names.contains(&"secure") => "new connections only",
        Some(_) => "taken over at once",
    });
    let ssh = |config: &Config| Some(vec![("listen", config.admin.as_ref()?.ssh.as_ref()?.to_string())]);
    with_reload(draft, ("administration over SSH", ssh(from), ssh(to)), |names| match names {
        None => "no longer served, its sessions end",
        Some(_) => "the server starts anew there, its sessions end",
    });
    let control = |config: &Config| config.control.as_ref().map(attributes::control);
    with_reload(draft, ("control socket", control(from), control(to)), |names| match names {
        None => "its file is removed, its connections go on",
        Some(_) => "made anew, its connections go on",
    });
}

/// What a reload makes of something by which administration is reached. `effect` is told the names of the attributes
/// that differ, the address first; none: it is gone.
fn with_reload(
    draft: &mut Draft,
    (name, from, to): (&str, Option<Shown>, Option<Shown>),
    effect: impl Fn(Option<&[&str]>) -> &'static str,
) {
    let (what, effect) = match (from, to) {
        (None, None) => return,
        (Some(_), None) => (format!("{name} removed"), effect(None)),
        (None, Some(to)) => (format!("{name} added{}", words::listed(&Attributes::new(to))), "served from then on"),
        (Some(from), Some(to)) => match words::edit(&from, &to) {
            Some((attributes, words)) => {
                let names: Vec<&str> = attributes.0.iter().map(|(name, _)| name.as_str()).collect();
                (format!("{name}: {words}"), effect(Some(&names)))
            }
            None => return,
        },
    };
    draft.apart(what, format!("{WITH_RELOAD}: {effect}"));
}
