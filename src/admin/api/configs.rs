//! Configurations as text: shown without the hashes of passwords, loaded with those that run.

use std::time::Duration;

use super::changes::HIDDEN;
use super::tell::{done, refusal_json, seen};
use super::{Call, Outcome, Step};
use crate::admin::http::Answer;
use crate::config::{self, Config};
use crate::model::change::Refusal;
use crate::model::command::{Command, Reply, Source};

/// One of them: `?source=running`, `loaded` or `file`.
pub(super) fn show(call: &Call) -> Outcome {
    source(call, "source", Source::Running).map(shown)
}

/// Its text, with [`HIDDEN`] in the place of every password's hash.
pub(super) fn shown(source: Source) -> Step {
    let tell = |reply| match reply {
        Reply::Text(text) => match config::parse(&text, "configuration") {
            Ok(config) => Answer::xml(config::write(&hidden(config))),
            Err(errors) => refusal_json(&Refusal::unavailable(format!("it cannot be shown: {errors}"))),
        },
        other => seen(other),
    };
    Step::Ask(Command::Config(source), Box::new(tell))
}

fn hidden(mut config: Config) -> Config {
    let users = config.admin.iter_mut().flat_map(|admin| &mut admin.users);
    for password in users.filter_map(|user| user.password.as_mut()) {
        HIDDEN.clone_into(password);
    }
    config
}

/// Loads the body's text in the place of what runs, perhaps on probation: `?confirm=30s`.
pub(super) fn load(call: &Call) -> Outcome {
    let text = str::from_utf8(&call.body).map_err(|_| Refusal::invalid("the configuration is no UTF-8"))?;
    let text = with_hashes(text, &call.config)?;
    Ok(Step::Ask(Command::Load { text, confirm: confirm(call)? }, Box::new(done)))
}

/// The text with the hashes that [`hidden`] has left out.
fn with_hashes(text: &str, running: &Config) -> Result<String, Refusal> {
    if !text.contains(HIDDEN) {
        return Ok(text.to_owned());
    }
    let mut config = config::parse(text, "configuration").map_err(|errors| Refusal::invalid(errors.to_string()))?;
    let users = config.admin.iter_mut().flat_map(|admin| &mut admin.users);
    for user in users.filter(|user| user.password.as_deref() == Some(HIDDEN)) {
        let known = running.admin.iter().flat_map(|admin| &admin.users).find(|known| known.name == user.name);
        let hash = known.and_then(|known| known.password.clone());
        let unknown = || {
            let name = &user.name;
            Refusal::invalid(format!("the password of {name:?} is {HIDDEN}, and no such user runs; expected its hash"))
        };
        user.password = Some(hash.ok_or_else(unknown)?);
    }
    Ok(config::write(&config))
}

/// What differs: `?from=loaded&to=running`, in a `POST` from what runs to the body's text.
pub(super) fn diff(call: &Call) -> Outcome {
    let (from, to) = both(call, Source::Loaded, Source::Running)?;
    Ok(Step::Ask(Command::Diff { from, to }, Box::new(seen)))
}

pub(super) fn diff_with(call: &Call) -> Outcome {
    let text = str::from_utf8(&call.body).map_err(|_| Refusal::invalid("the configuration is no UTF-8"))?;
    let to = Source::Text(with_hashes(text, &call.config)?);
    Ok(Step::Ask(Command::Diff { from: source(call, "from", Source::Running)?, to }, Box::new(seen)))
}

/// Writes what runs to the file, `?overwrite=true` also over what somebody else has written there.
pub(super) fn save(call: &Call) -> Outcome {
    Ok(Step::Ask(Command::Save { overwrite: truth(call, "overwrite")? }, Box::new(done)))
}

/// Loads the file, perhaps on probation.
pub(super) fn reload(call: &Call) -> Outcome {
    Ok(Step::Ask(Command::Reload { confirm: confirm(call)? }, Box::new(done)))
}

pub(super) fn keep(_: &Call) -> Outcome {
    Ok(Step::Ask(Command::Confirm, Box::new(done)))
}

pub(super) fn go_back(_: &Call) -> Outcome {
    Ok(Step::Ask(Command::GoBack, Box::new(done)))
}

/// The arguments `from` and `to`.
pub(super) fn both(call: &Call, from: Source, to: Source) -> Result<(Source, Source), Refusal> {
    Ok((source(call, "from", from)?, source(call, "to", to)?))
}

fn source(call: &Call, name: &str, default: Source) -> Result<Source, Refusal> {
    match call.argument(name) {
        None | Some("") => Ok(default),
        Some("running") => Ok(Source::Running),
        Some("loaded") => Ok(Source::Loaded),
        Some("file") => Ok(Source::File),
        Some(other) => Err(Refusal::invalid(format!("{name}={other:?}: expected running, loaded or file"))),
    }
}

fn confirm(call: &Call) -> Result<Option<Duration>, Refusal> {
    let read = |text| config::positive_time(text).map_err(|why| Refusal::invalid(format!("confirm={text:?}: {why}")));
    call.argument("confirm").filter(|text| !text.is_empty()).map(read).transpose()
}

/// An argument that is on or off.
pub(super) fn truth(call: &Call, name: &str) -> Result<bool, Refusal> {
    match call.argument(name) {
        None | Some("false" | "no" | "0") => Ok(false),
        Some("" | "true" | "yes" | "1") => Ok(true),
        Some(other) => Err(Refusal::invalid(format!("{name}={other:?}: expected true or false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "<director><service name='s'><listen ip='*:1'/><group name='g'><host ip='h:1'/></group></service>
        <admin><user name='u' password='$6$salt$hash' access='full'/><user name='v' key='ssh-ed25519 AAAA' access='full'/></admin>
        </director>";

    #[test]
    fn shown_text_has_no_hash_and_loads_with_the_one_that_runs() {
        let running = config::parse(TEXT, "f").unwrap();
        let shown = config::write(&hidden(running.clone()));
        assert!(!shown.contains("$6$") && shown.contains(HIDDEN), "{shown}");
        let back = with_hashes(&shown, &running).unwrap();
        assert_eq!(config::parse(&back, "f").unwrap(), running);
        assert_eq!(with_hashes(TEXT, &running).unwrap(), TEXT);
    }

    #[test]
    fn hidden_password_of_a_user_that_does_not_run_is_refused() {
        let running = config::parse(TEXT, "f").unwrap();
        let text = config::write(&hidden(running.clone())).replace("\"u\"", "\"w\"");
        assert!(with_hashes(&text, &running).unwrap_err().why.contains("\"w\""));
        assert!(with_hashes(&format!("{text}<{HIDDEN}"), &running).is_err());
    }
}
