//! Users, the manager's timings, the log, and what only a restart takes over.

use super::words::{self, AT_RELOAD, AT_RESTART, KEPT};
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
    let access = |config: &Config| config.access_log.as_ref().map(logs::shown_access_log);
    apart(draft, "access log", access(from), access(to), AT_RELOAD);
    let status = |config: &Config| config.status.as_ref().map(logs::shown_status);
    apart(draft, "status page", status(from), status(to), AT_RELOAD);
    let web = |config: &Config| Some(attributes::web(config.admin.as_ref()?.web.as_ref()?));
    apart(draft, "administration page", web(from), web(to), AT_RESTART);
    let ssh = |config: &Config| Some(vec![("listen", config.admin.as_ref()?.ssh.as_ref()?.to_string())]);
    apart(draft, "administration over SSH", ssh(from), ssh(to), AT_RESTART);
    let control = |config: &Config| config.control.as_ref().map(attributes::control);
    apart(draft, "control socket", control(from), control(to), AT_RESTART);
}

fn apart(draft: &mut Draft, name: &str, from: Option<Shown>, to: Option<Shown>, effect: &str) {
    let what = match (from, to) {
        (None, None) => return,
        (Some(_), None) => format!("{name} removed"),
        (None, Some(to)) => format!("{name} added{}", words::listed(&Attributes::new(to))),
        (Some(from), Some(to)) => match words::edit(&from, &to) {
            Some((_, words)) => format!("{name}: {words}"),
            None => return,
        },
    };
    draft.apart(what, effect);
}
