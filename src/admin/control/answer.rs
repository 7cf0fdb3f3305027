//! Answers as bytes.

use serde_json::{Value, json};

use crate::admin::json;
use crate::admin::words::show::{self, paint::Paint};
use crate::admin::words::{Mode, View};
use crate::model::change::{Refusal, RefusalKind};
use crate::model::command::Reply;

/// What kind of refusal it is.
pub(super) const fn kind(refusal: &Refusal) -> &'static str {
    match refusal.kind {
        RefusalKind::NotFound => "not-found",
        RefusalKind::Invalid => "invalid",
        RefusalKind::Conflict => "conflict",
        RefusalKind::Unavailable => "unavailable",
    }
}

/// Whether colours are wanted.
pub(super) fn paint(mode: Mode) -> Paint {
    Paint(mode == Mode::Colour)
}

/// A refusal.
pub(super) fn error(mode: Mode, kind: &str, why: &str) -> Vec<u8> {
    match mode {
        Mode::Json => document(&json::error(kind, why)),
        Mode::Text | Mode::Colour => {
            let why = why.replace('\\', r"\\").replace('\n', r"\n");
            format!("ERR {kind} {why}\n").into_bytes()
        }
    }
}

/// Lines, or the document.
pub(super) fn lines(mode: Mode, lines: &[String], document: impl FnOnce() -> Value) -> Vec<u8> {
    match mode {
        Mode::Json => self::document(&document()),
        Mode::Text | Mode::Colour => {
            let mut text = format!("OK {}\n", lines.len());
            for line in lines {
                text.push_str(line);
                text.push('\n');
            }
            text.into_bytes()
        }
    }
}

/// Done, in words.
pub(super) fn done(mode: Mode, told: &str) -> Vec<u8> {
    let told: Vec<String> = told.lines().map(str::to_owned).collect();
    lines(mode, &told, || json!({ "done": told.join("\n") }))
}

/// A document on a line.
pub(super) fn document(document: &Value) -> Vec<u8> {
    let mut bytes = document.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

/// What the manager answered. `bare` leaves out the frame, for txLoadBalancer's question.
pub(super) fn reply(mode: Mode, reply: &Reply, view: &View, bare: bool) -> Vec<u8> {
    if let (Reply::Sessions(list), View::Client) = (reply, view)
        && list.sessions.is_empty()
    {
        return error(mode, "not-found", "no connection of ours has that address");
    }
    if let Reply::Refused(refusal) = reply {
        return error(mode, kind(refusal), &refusal.why);
    }
    if mode == Mode::Json {
        return document(&show::json(reply, view));
    }
    let told = show::text(reply, view, paint(mode)).unwrap_or_default();
    if bare { format!("{}\n", told.join("\n")).into_bytes() } else { lines(mode, &told, || Value::Null) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_is_one_line_whatever_it_says() {
        let told = String::from_utf8(error(Mode::Text, "invalid", "f:1:1: a\nf:2:2: \\b")).unwrap();
        assert_eq!(told, "ERR invalid f:1:1: a\\nf:2:2: \\\\b\n");
        let told = String::from_utf8(error(Mode::Json, "invalid", "a\nb")).unwrap();
        assert_eq!(told, "{\"error\":{\"kind\":\"invalid\",\"why\":\"a\\nb\"}}\n");
    }

    #[test]
    fn lines_are_counted() {
        assert_eq!(done(Mode::Text, "a\nb"), b"OK 2\na\nb\n");
        assert_eq!(done(Mode::Text, ""), b"OK 0\n");
        assert_eq!(done(Mode::Json, "a\nb"), b"{\"done\":\"a\\nb\"}\n");
    }
}
