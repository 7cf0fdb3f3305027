//! Changes that a client asks for once more because it saw no answer: with the same `Idempotency-Key` they are done
//! once, and the answer is the first one's (the draft of the IETF's HTTP API group).

use std::collections::VecDeque;
use std::time::Instant;

use super::conn::{Asked, Conn, Stage};
use super::server::Server;
use crate::admin::auth::Keys;
use crate::admin::http::{Answer, Head};
use crate::admin::json;
use crate::model::limits::{REPEATS_KEPT, REPEATS_KEPT_MAX};

/// What was asked for, under which key. Only marks of both are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeat {
    key: [u8; 32],
    request: [u8; 32],
}

/// What is known of a key.
#[derive(Debug)]
enum Known {
    /// Nothing.
    New,
    /// It was done, and this was the answer.
    Done(Box<Answer>),
    /// It was used for something else.
    Other,
}

/// The last answers, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Repeats(VecDeque<(Repeat, Instant, Answer)>);

impl Repeat {
    /// What a user's request says to be; none when it says nothing.
    pub(super) fn of(keys: &Keys, user: &str, head: &Head, body: &[u8]) -> Option<Self> {
        let key = head.field("idempotency-key").filter(|key| !key.is_empty())?;
        // A name of a path has no part of its own that is a question mark only by chance: the count tells them apart.
        let count = head.target.segments.len().to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![head.method.name().as_bytes(), &count];
        parts.extend(head.target.segments.iter().map(String::as_bytes));
        parts.extend(head.target.arguments.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
        parts.push(body);
        Some(Self { key: keys.mark(&[b"repeat", user.as_bytes(), key.as_bytes()]), request: keys.mark(&parts) })
    }

    fn has_key_of(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Repeats {
    /// What came of it before.
    fn find(&mut self, now: Instant, repeat: &Repeat) -> Known {
        self.0.retain(|(_, done, _)| now.saturating_duration_since(*done) < REPEATS_KEPT);
        match self.0.iter().find(|(known, ..)| known.has_key_of(repeat)) {
            None => Known::New,
            Some((known, _, answer)) if known == repeat => Known::Done(Box::new(answer.clone())),
            Some(_) => Known::Other,
        }
    }

    /// This was the answer. One that says to try again is none.
    pub(super) fn keep(&mut self, now: Instant, repeat: Repeat, answer: &Answer) {
        if answer.status >= 500 {
            return;
        }
        if self.0.len() >= REPEATS_KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((repeat, now, answer.clone()));
    }
}

impl Server {
    /// The answer to what was asked for before, is being done, or is not what it says to be.
    pub(super) fn repeated(&mut self, now: Instant, repeat: &Repeat) -> Option<Answer> {
        let refuse = |why| Answer::json(409, &json::error("conflict", why));
        match self.repeats.find(now, repeat) {
            Known::Done(answer) => return Some(*answer),
            Known::Other => return Some(refuse("this Idempotency-Key was used for another request")),
            Known::New => {}
        }
        let is_same = |asked: &Asked| asked.repeat.is_some_and(|other| other.has_key_of(repeat));
        let does = |conn: &Conn| matches!(&conn.stage, Stage::Waiting(_, asked, _) if is_same(asked));
        let is_done_now = self.conns.iter().any(|(_, conn)| does(conn));
        is_done_now.then(|| refuse("what this Idempotency-Key was used for is being done").with("Retry-After", "1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::http::take_head;

    fn head(line: &str, key: &str) -> Head {
        let text = format!("{line} HTTP/1.1\r\nHost: a\r\nIdempotency-Key: {key}\r\n\r\n");
        take_head(&mut text.into_bytes(), &mut 0).unwrap().unwrap()
    }

    #[test]
    fn same_request_gets_the_same_answer_until_it_is_forgotten() {
        let (keys, now) = (Keys::new().unwrap(), Instant::now());
        let of = |user: &str, line: &str, key: &str, body: &[u8]| Repeat::of(&keys, user, &head(line, key), body);
        let first = of("u", "POST /a?b=c", "k", b"x").unwrap();
        let mut repeats = Repeats::default();
        assert!(matches!(repeats.find(now, &first), Known::New));
        repeats.keep(now, first, &Answer::text(503, "later"));
        assert!(matches!(repeats.find(now, &first), Known::New), "it may be tried again");
        repeats.keep(now, first, &Answer::text(201, "done"));
        assert!(matches!(repeats.find(now, &first), Known::Done(answer) if answer.status == 201));
        let same_key = [("POST /a?b=d", b"x"), ("POST /a?b=c", b"y"), ("PUT /a?b=c", b"x"), ("POST /a/b/c", b"x")];
        for (line, body) in same_key {
            assert!(matches!(repeats.find(now, &of("u", line, "k", body).unwrap()), Known::Other), "{line}");
        }
        assert!(matches!(repeats.find(now, &of("v", "POST /a?b=c", "k", b"x").unwrap()), Known::New));
        assert!(matches!(repeats.find(now, &of("u", "POST /a?b=c", "l", b"x").unwrap()), Known::New));
        assert!(of("u", "POST /a", "", b"").is_none());
        assert!(matches!(repeats.find(now + REPEATS_KEPT, &first), Known::New));
    }

    #[test]
    fn answers_that_are_kept_are_bounded() {
        let (keys, now) = (Keys::new().unwrap(), Instant::now());
        let mut repeats = Repeats::default();
        for number in 0..2 * REPEATS_KEPT_MAX {
            let repeat = Repeat::of(&keys, "u", &head("POST /a", &number.to_string()), b"").unwrap();
            repeats.keep(now, repeat, &Answer::empty(200));
        }
        assert_eq!(repeats.0.len(), REPEATS_KEPT_MAX);
    }
}
