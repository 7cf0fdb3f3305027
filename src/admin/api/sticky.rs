//! Clients that tables remember: to list them, and to have them forgotten; and hosts that are kept out for a time.

use super::input::Object;
use super::tell::{done, seen};
use super::{Call, Outcome, Step};
use crate::config;
use crate::model::change::{HostRef, Refusal};
use crate::model::command::Command;
use crate::model::limits::{BLACKLIST, SESSIONS_LISTED, SESSIONS_LISTED_MAX};
use crate::model::sticky::StickySearch;

/// Those that `?service=`, `group=`, `client=` and `host=` say, up to `limit=`.
pub(super) fn list(call: &Call) -> Outcome {
    let limit = given(call, "limit").map_or(Ok(SESSIONS_LISTED), |text| {
        let number = text.parse::<usize>().ok().filter(|number| *number <= SESSIONS_LISTED_MAX);
        number.ok_or_else(|| Refusal::invalid(format!("limit={text:?}: expected 0 to {SESSIONS_LISTED_MAX}")))
    })?;
    let search = StickySearch { limit, ..search(call)? };
    Ok(Step::Ask(Command::Sticky(search), Box::new(seen)))
}

/// Forgets those that the arguments say.
pub(super) fn forget(call: &Call) -> Outcome {
    let search = search(call)?;
    if search == StickySearch::default() {
        return Err(Refusal::invalid("this would forget all clients: expected service, group, client or host"));
    }
    Ok(Step::Ask(Command::Forget(search), Box::new(seen)))
}

/// `{"time": "30s"}`, or nothing for the usual time; `"0"` ends it.
pub(super) fn blacklist(call: &Call) -> Outcome {
    let text = if call.body.is_empty() {
        None
    } else {
        let mut object = Object::of(call)?;
        let text = object.text("time")?;
        object.end()?;
        text
    };
    let read = |text: String| config::time(&text).map_err(|what| Refusal::invalid(format!("time={text:?}: {what}")));
    let time = text.map_or(Ok(BLACKLIST), read)?;
    let [service, group, host] = [0, 1, 2].map(|at| call.name(at).to_owned());
    let host = HostRef { service, group: Some(group), host };
    Ok(Step::Ask(Command::Blacklist { host, time }, Box::new(done)))
}

fn search(call: &Call) -> Result<StickySearch, Refusal> {
    let (service, group) = (given(call, "service"), given(call, "group"));
    let host = match (given(call, "host"), &service) {
        (Some(host), Some(service)) => Some(HostRef { service: service.clone(), group: group.clone(), host }),
        (Some(_), None) => return Err(Refusal::invalid("host without service: expected service beside it")),
        (None, _) => None,
    };
    Ok(StickySearch { service, group, client: given(call, "client"), host, limit: 0 })
}

fn given(call: &Call, name: &str) -> Option<String> {
    call.argument(name).filter(|text| !text.is_empty()).map(str::to_owned)
}
