//! Replies as answers.

use serde_json::{Value, json};

use super::Route;
use crate::admin::http::Answer;
use crate::admin::json;
use crate::model::change::{Refusal, RefusalKind};
use crate::model::command::Reply;

/// Where the ancestors' answers send a browser.
const RUNNING: &str = "/running";

/// The status of a refusal.
const fn status(kind: RefusalKind) -> u16 {
    match kind {
        RefusalKind::NotFound => 404,
        RefusalKind::Invalid => 400,
        RefusalKind::Conflict => 409,
        RefusalKind::Unavailable => 503,
    }
}

/// A refusal, as those who ask on this route expect it.
pub(in crate::admin) fn refused(route: &Route, refusal: &Refusal) -> Answer {
    if route.is_old() { old(Err(refusal.why.clone())) } else { refusal_json(refusal) }
}

/// A refusal as JSON.
pub(super) fn refusal_json(refusal: &Refusal) -> Answer {
    let answer = Answer::json(status(refusal.kind), &json::refusal(refusal));
    if refusal.kind == RefusalKind::Unavailable { answer.with("Retry-After", "1") } else { answer }
}

/// The manager has not answered.
pub(in crate::admin) fn too_late(route: &Route, changes: bool) -> Answer {
    let why = if changes {
        "the manager has not answered in time; it may still do what was asked"
    } else {
        "the manager has not answered in time; try again"
    };
    refused(route, &Refusal::unavailable(why))
}

/// A reply to what was to be done.
pub(super) fn done(reply: Reply) -> Answer {
    match reply {
        Reply::Done(told) => Answer::json(200, &json!({ "done": told })),
        other => seen(other),
    }
}

/// As [`done`], for what is there now and was not before.
pub(super) fn created(reply: Reply) -> Answer {
    match reply {
        Reply::Done(told) => Answer::json(201, &json!({ "done": told })),
        other => seen(other),
    }
}

/// A reply to a question.
pub(super) fn seen(reply: Reply) -> Answer {
    let value = match reply {
        Reply::Refused(refusal) => return refusal_json(&refusal),
        Reply::Text(text) => return Answer::xml(text),
        Reply::Done(told) => json!({ "done": told }),
        Reply::Snapshot(snapshot) => json::snapshot(&snapshot),
        Reply::Differences(differences) => differences.iter().map(super::changes::difference).collect(),
        Reply::Sessions(list) => json::sessions(&list),
        Reply::Killed(count) => json!({ "killed": count }),
        Reply::Sticky(list) => json::sticky(&list),
        Reply::Forgotten(count) => json!({ "forgotten": count }),
        Reply::Events(events) => {
            let events: Value = events.iter().map(|event| json::event(event)).collect();
            json!({ "events": events })
        }
    };
    Answer::json(200, &value)
}

/// The ancestors' answer to a change: back to `running`, with what came of it.
pub(super) fn old_done(reply: Reply) -> Answer {
    match reply {
        Reply::Done(told) => old(Ok(told)),
        Reply::Refused(refusal) => old(Err(refusal.why)),
        Reply::Text(_)
        | Reply::Snapshot(_)
        | Reply::Differences(_)
        | Reply::Sessions(_)
        | Reply::Killed(_)
        | Reply::Sticky(_)
        | Reply::Forgotten(_)
        | Reply::Events(_) => old(Err(String::from("an unexpected reply"))),
    }
}

/// `OK` or `NOT OK`.
fn old(outcome: Result<String, String>) -> Answer {
    let (told, word) = match outcome {
        Ok(told) => (told, "OK"),
        Err(why) => (why, "NOT OK"),
    };
    Answer::redirect(302, format!("{RUNNING}?resultMessage={}", escaped(&told))).containing(word)
}

/// A text as the value of an argument.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_has_the_status_of_its_kind() {
        let answer = |refusal| seen(Reply::Refused(refusal));
        assert_eq!(answer(Refusal::not_found("a")).status, 404);
        assert_eq!(answer(Refusal::invalid("a")).status, 400);
        assert_eq!(answer(Refusal::conflict("a")).status, 409);
        let unavailable = answer(Refusal::unavailable("a"));
        assert_eq!((unavailable.status, unavailable.field("Retry-After")), (503, Some("1")));
        assert_eq!(unavailable.content(), b"{\"error\":{\"kind\":\"unavailable\",\"why\":\"a\"}}\n");
    }

    #[test]
    fn old_answer_redirects_with_what_was_done() {
        let answer = old_done(Reply::Done(String::from("host a=b & c added: 100 %\r\n")));
        assert_eq!((answer.status, answer.content()), (302, &b"OK"[..]));
        let to = "/running?resultMessage=host%20a%3Db%20%26%20c%20added%3A%20100%20%25%0D%0A";
        assert_eq!(answer.field("Location"), Some(to));
        assert_eq!(old_done(Reply::Refused(Refusal::conflict("é"))).content(), b"NOT OK");
    }
}
