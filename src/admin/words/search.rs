//! Sessions, and clients that tables remember, by what is known of them: `client=… host=…`.

use super::{Misuse, place};
use crate::config::closest;
use crate::model::change::GroupRef;
use crate::model::command::SessionSearch;
use crate::model::sticky::StickySearch;

/// What can be said of remembered clients.
pub(super) const STICKY_NAMES: [&str; 5] = ["client", "host", "service", "group", "limit"];
/// What can be said of sessions.
pub(super) const NAMES: [&str; 5] = ["client", "host", "service", "local", "limit"];

/// The search of these pairs.
pub(super) fn search(pairs: &[(String, String)]) -> Result<SessionSearch, Misuse> {
    let mut search = SessionSearch::default();
    for (name, text) in pairs {
        match name.as_str() {
            "client" => search.client = Some(text.clone()),
            "host" => search.host = Some(place::host(text)?),
            "service" => search.service = Some(text.clone()),
            "local" => search.local = Some(text.clone()),
            "limit" => search.limit = limit(text)?,
            other => return Err(unknown(other, NAMES)),
        }
    }
    Ok(search)
}

/// The search for remembered clients of these pairs, of this group if it was named.
pub(super) fn sticky(group: Option<GroupRef>, pairs: &[(String, String)]) -> Result<StickySearch, Misuse> {
    let is_placed = group.is_some();
    let (service, group) = group.map(|GroupRef { service, group }| (service, group)).unzip();
    let mut search = StickySearch { service, group, ..StickySearch::default() };
    for (name, text) in pairs {
        match name.as_str() {
            "service" | "group" if is_placed => {
                return Err(Misuse::new(format!("{name}=… beside SERVICE/GROUP, expected one or the other")));
            }
            "client" => search.client = Some(text.clone()),
            "host" => search.host = Some(place::host(text)?),
            "service" => search.service = Some(text.clone()),
            "group" => search.group = Some(text.clone()),
            "limit" => search.limit = limit(text)?,
            other => return Err(unknown(other, STICKY_NAMES)),
        }
    }
    Ok(search)
}

fn limit(text: &str) -> Result<usize, Misuse> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Misuse::new(format!("limit={text:?}: expected a number from 1 on")))
}

fn unknown(name: &str, known: [&'static str; 5]) -> Misuse {
    let hint = closest(name, known).map_or_else(String::new, |near| format!("; did you mean {near}=…?"));
    Misuse::new(format!("unknown {name:?}, expected {}{hint}", known.join(", ")))
}

/// The pairs of a search for remembered clients.
pub(super) fn sticky_pairs(search: &StickySearch) -> Vec<String> {
    let StickySearch { service, group, client, host, limit } = search;
    let limit = (*limit > 0).then(|| limit.to_string());
    let texts = [client.clone(), host.as_ref().map(place::show_host), service.clone(), group.clone(), limit];
    let given = STICKY_NAMES.iter().zip(texts).filter_map(|(name, text)| text.map(|text| format!("{name}={text}")));
    given.collect()
}

/// The pairs of a search.
pub(super) fn pairs(search: &SessionSearch) -> Vec<String> {
    let SessionSearch { client, host, service, local, limit } = search;
    let limit = (*limit > 0).then(|| limit.to_string());
    let texts = [client.clone(), host.as_ref().map(place::show_host), service.clone(), local.clone(), limit];
    let given = NAMES.iter().zip(texts).filter_map(|(name, text)| text.map(|text| format!("{name}={text}")));
    given.collect()
}
