//! One event, one line: as text for people or as JSON for programs.

use std::fmt::{Display, Write};

use log::Level;

use crate::model::limits::LOG_MESSAGE_BYTES_MAX;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `2026-11-20T23:21:00.123Z INFO  message`
    Text,
    /// `{"time":"2026-11-20T23:21:00.123Z","level":"info","target":"director::manager","message":"message"}`
    Json,
}

impl Format {
    /// A whole line with its end. Whatever is in the message, it stays one line and steers no terminal.
    pub(super) fn line(self, time: &dyn Display, level: Level, target: &str, message: &str) -> String {
        let (message, cut) = bounded(message);
        let mut line = String::with_capacity(message.len() + 64);
        // Writing to a string does not fail.
        let _ = match self {
            Self::Text => write!(line, "{time} {level:5} "),
            Self::Json => {
                let level = level.as_str().to_ascii_lowercase();
                write!(line, r#"{{"time":"{time}","level":"{level}","target":""#)
            }
        };
        match self {
            Self::Text => message.chars().for_each(|c| push_text(&mut line, c)),
            Self::Json => {
                target.chars().for_each(|c| push_json(&mut line, c));
                line.push_str(r#"","message":""#);
                message.chars().for_each(|c| push_json(&mut line, c));
            }
        }
        line.push_str(if cut { "…" } else { "" });
        line.push_str(match self {
            Self::Text => "\n",
            Self::Json => "\"}\n",
        });
        line
    }
}

fn bounded(message: &str) -> (&str, bool) {
    if message.len() <= LOG_MESSAGE_BYTES_MAX {
        return (message, false);
    }
    (&message[..message.floor_char_boundary(LOG_MESSAGE_BYTES_MAX)], true)
}

fn push_text(line: &mut String, c: char) {
    match c {
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\t' => line.push_str("\\t"),
        _ if steers(c) => line.extend(c.escape_unicode()),
        _ => line.push(c),
    }
}

/// As RFC 8259 section 7 says; what steers a terminal is escaped too, although JSON would allow some of it.
pub(in crate::daemon) fn push_json(line: &mut String, c: char) {
    match c {
        '"' => line.push_str("\\\""),
        '\\' => line.push_str("\\\\"),
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\t' => line.push_str("\\t"),
        _ if steers(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        }
        _ => line.push(c),
    }
}

/// Whether a character ends a line or commands whatever shows it: control characters, Unicode's line and paragraph
/// separators, and marks of text direction.
pub(in crate::daemon) fn steers(c: char) -> bool {
    let direction = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || direction || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(message: &str) -> String {
        Format::Text.line(&"T", Level::Info, "target", message)
    }

    fn json(message: &str) -> String {
        Format::Json.line(&"T", Level::Warn, "a::b", message)
    }

    #[test]
    fn text_line_has_time_level_and_message() {
        assert_eq!(text("host \"a\" is up"), "T INFO  host \"a\" is up\n");
    }

    #[test]
    fn json_line_has_the_same_and_the_target() {
        let expected = r#"{"time":"T","level":"warn","target":"a::b","message":"say \"a\\b\""}"#;
        assert_eq!(json(r#"say "a\b""#), format!("{expected}\n"));
    }

    #[test]
    fn message_of_several_lines_stays_one_line() {
        assert_eq!(text("a\r\nb\tc"), "T INFO  a\\r\\nb\\tc\n");
        assert!(json("a\r\nb\tc").ends_with("\"a\\r\\nb\\tc\"}\n"));
    }

    #[test]
    fn message_cannot_steer_a_terminal() {
        assert_eq!(text("\u{1b}[2J\u{202e}\u{2028}"), "T INFO  \\u{1b}[2J\\u{202e}\\u{2028}\n");
        assert!(json("\u{1b}\u{7f}\u{85}").ends_with("\"\\u001b\\u007f\\u0085\"}\n"));
    }

    #[test]
    fn message_that_is_too_long_is_cut_between_characters() {
        let line = text(&"é".repeat(LOG_MESSAGE_BYTES_MAX));
        assert!(line.ends_with("é…\n"));
        assert!(line.len() < LOG_MESSAGE_BYTES_MAX + 64);
    }

    proptest! {
        #[test]
        fn any_message_is_one_line_without_control_characters(message in any::<String>()) {
            for line in [text(&message), json(&message)] {
                let (body, end) = line.split_at(line.len() - 1);
                prop_assert_eq!(end, "\n");
                prop_assert!(!body.chars().any(char::is_control), "{:?}", body);
            }
        }
    }
}
