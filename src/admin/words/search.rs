//! Sessions by what is known of them: `client=… host=…`.

use super::{Misuse, place};
use crate::config::closest;
use crate::model::command::SessionSearch;

/// What can be said.
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
            "limit" => {
                let number = text.parse().ok().filter(|number| *number > 0);
                search.limit =
                    number.ok_or_else(|| Misuse::new(format!("limit={text:?}: expected a number from 1 on")))?;
            }
            other => {
                let hint = closest(other, NAMES).map_or_else(String::new, |near| format!("; did you mean {near}=…?"));
                let known = NAMES.join(", ");
                return Err(Misuse::new(format!("unknown {other:?}, expected {known}{hint}")));
            }
        }
    }
    Ok(search)
}

/// The pairs of a search.
pub(super) fn pairs(search: &SessionSearch) -> Vec<String> {
    let SessionSearch { client, host, service, local, limit } = search;
    let limit = (*limit > 0).then(|| limit.to_string());
    let texts = [client.clone(), host.as_ref().map(place::show_host), service.clone(), local.clone(), limit];
    let given = NAMES.iter().zip(texts).filter_map(|(name, text)| text.map(|text| format!("{name}={text}")));
    given.collect()
}
