//! What comes back, as text and as JSON.

pub mod diff;
mod events;
pub mod paint;
mod sessions;
mod status;

use serde_json::{Value, json};

use super::View;
use crate::admin::json;
use crate::model::command::Reply;
use crate::model::sticky::{StickyClient, StickyList};
use paint::Paint;

pub use events::event;
pub use paint::{bytes, span};

/// The reply as lines of text. None when it is a refusal.
#[must_use]
pub fn text(reply: &Reply, view: &View, paint: Paint) -> Option<Vec<String>> {
    Some(match (reply, view) {
        (Reply::Refused(_), _) => return None,
        (Reply::Done(told), _) => told.lines().map(str::to_owned).collect(),
        (Reply::Snapshot(snapshot), View::Hosts(service)) => status::hosts(snapshot, service.as_deref(), paint),
        (Reply::Snapshot(snapshot), View::Users) => status::users(&snapshot.users, paint),
        (Reply::Snapshot(snapshot), _) => status::status(snapshot, paint),
        (Reply::Text(text), _) => text.lines().map(str::to_owned).collect(),
        (Reply::Differences(differences), View::Differences(form)) => diff::lines(differences, *form, paint),
        (Reply::Differences(differences), _) => diff::lines(differences, diff::Form::Text, paint),
        (Reply::Sessions(list), View::Client) => list.sessions.iter().map(|s| s.info.client.to_string()).collect(),
        (Reply::Sessions(list), _) => sessions::sessions(list, paint),
        (Reply::Killed(count), _) => vec![format!("{count} cut")],
        (Reply::Sticky(list), _) => clients(list),
        (Reply::Forgotten(count), _) => vec![format!("{count} forgotten")],
        (Reply::Events(events), _) => events.iter().map(|happened| event(happened, paint)).collect(),
    })
}

/// A line a client, and how many more there are.
fn clients(list: &StickyList) -> Vec<String> {
    let line = |known: &StickyClient| {
        let StickyClient { client, service, group, host, addr, idle, .. } = known;
        format!("{client}  {service}/{group}/{host} {addr}  idle {}", span(*idle))
    };
    if list.total == 0 {
        return vec![String::from("no client is remembered that matches")];
    }
    let mut lines: Vec<String> = list.clients.iter().map(line).collect();
    if let Some(more @ 1..) = list.total.checked_sub(list.clients.len()) {
        lines.push(format!("… and {more} more"));
    }
    lines
}

/// The reply as one JSON document. A refusal is `{"error": {"kind": …, "why": …}}`.
#[must_use]
pub fn json(reply: &Reply, view: &View) -> Value {
    match (reply, view) {
        (Reply::Done(told), _) => json!({ "done": told }),
        (Reply::Refused(refusal), _) => json::refusal(refusal),
        (Reply::Snapshot(snapshot), View::Hosts(service)) => {
            let services = snapshot.services.iter().filter(|known| service.as_ref().is_none_or(|s| *s == known.name));
            let services = services.map(|service| {
                let groups: Vec<Value> = service.groups.iter().map(json::group).collect();
                json!({ "name": service.name, "groups": groups })
            });
            json!({ "services": services.collect::<Vec<_>>() })
        }
        (Reply::Snapshot(snapshot), View::Users) => json!({ "users": json::users(&snapshot.users) }),
        (Reply::Snapshot(snapshot), _) => json::snapshot(snapshot),
        (Reply::Text(text), _) => json!({ "text": text }),
        (Reply::Differences(differences), View::Differences(form)) => diff::json(differences, *form),
        (Reply::Differences(differences), _) => diff::json(differences, diff::Form::Text),
        (Reply::Sessions(list), View::Client) => {
            json!({ "client": list.sessions.first().map(|session| session.info.client.to_string()) })
        }
        (Reply::Sessions(list), _) => json::sessions(list),
        (Reply::Killed(count), _) => json!({ "killed": count }),
        (Reply::Sticky(list), _) => json::sticky(list),
        (Reply::Forgotten(count), _) => json!({ "forgotten": count }),
        (Reply::Events(events), _) => json!({ "events": events.iter().map(|e| json::event(e)).collect::<Vec<_>>() }),
    }
}
