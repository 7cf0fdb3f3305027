//! Sessions: to list them, and to have them cut.

use super::tell::seen;
use super::{Call, Outcome, Step};
use crate::model::change::{HostRef, Refusal};
use crate::model::command::{Command, SessionSearch, Target};
use crate::model::limits::{SESSIONS_LISTED, SESSIONS_LISTED_MAX};

/// Those that `?client=`, `service=`, `group=`, `host=` and `local=` say, up to `limit=`.
pub(super) fn list(call: &Call) -> Outcome {
    Ok(Step::Ask(Command::Sessions(search(call)?), Box::new(seen)))
}

/// Cuts those that the arguments say, or the one of that `name=`.
pub(super) fn kill(call: &Call) -> Outcome {
    if let Some(name) = given(call, "name") {
        return kill_named(&name);
    }
    Ok(Step::Ask(Command::Kill(Target::All(search(call)?)), Box::new(seen)))
}

/// Cuts the one of that name.
pub(super) fn kill_one(call: &Call) -> Outcome {
    kill_named(call.name(0))
}

fn kill_named(name: &str) -> Outcome {
    let name = name.parse().map_err(|error| Refusal::invalid(format!("{name:?}: {error}")))?;
    Ok(Step::Ask(Command::Kill(Target::One(name)), Box::new(seen)))
}

fn search(call: &Call) -> Result<SessionSearch, Refusal> {
    let service = given(call, "service");
    let host = match (given(call, "host"), &service) {
        (Some(host), Some(service)) => Some(HostRef { service: service.clone(), group: given(call, "group"), host }),
        (Some(_), None) => return Err(Refusal::invalid("host without service: expected service beside it")),
        (None, _) => None,
    };
    let limit = given(call, "limit").map_or(Ok(SESSIONS_LISTED), |text| {
        let number = text.parse::<usize>().ok().filter(|number| *number <= SESSIONS_LISTED_MAX);
        number.ok_or_else(|| Refusal::invalid(format!("limit={text:?}: expected 0 to {SESSIONS_LISTED_MAX}")))
    })?;
    Ok(SessionSearch { client: given(call, "client"), host, service, local: given(call, "local"), limit })
}

fn given(call: &Call, name: &str) -> Option<String> {
    call.argument(name).filter(|text| !text.is_empty()).map(str::to_owned)
}
