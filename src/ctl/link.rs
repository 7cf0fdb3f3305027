//! The connection to the control socket.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use super::options::Options;
use crate::admin::words::{Mode, quote};
use crate::model::limits::CONTROL_OUTPUT_BYTES_MAX;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The balancer said no; `usage` and `not-found` are kinds too.
    Refused { kind: String, why: String },
    /// The words are no command.
    Usage(String),
    /// There is nobody to talk to.
    Unreachable(String),
    /// Something of this side: a file, the terminal.
    Here(String),
}

impl Failure {
    /// See the module [`super`].
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { kind, .. } => code_of(kind),
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Here(_) => 1,
        }
    }
}

/// The exit code of a kind of refusal.
pub(super) fn code_of(kind: &str) -> u8 {
    match kind {
        "usage" => 2,
        "not-found" => 4,
        _ => 1,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { why, .. } | Self::Usage(why) | Self::Unreachable(why) | Self::Here(why) => f.write_str(why),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(format!("the connection to the balancer is lost: {error}"))
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// Lines.
    Lines(Vec<String>),
    /// A document.
    Document(Value),
    /// More comes, line by line.
    Stream,
}

/// A connection.
pub(super) struct Link {
    reader: BufReader<UnixStream>,
    mode: Mode,
}

impl Link {
    /// Connects, in the mode that is asked for.
    ///
    /// # Errors
    /// Nobody listens, or this user is refused.
    pub(super) fn open(options: &Options) -> Result<Self, Failure> {
        let shown = options.socket.display();
        let stream = UnixStream::connect(&options.socket).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    "; is director running, with <control socket=\"…\"/> in its configuration? -s names another socket"
                }
                io::ErrorKind::PermissionDenied => "; the socket is for root, director's own user and its group",
                _ => "",
            };
            Failure::Unreachable(format!("{shown}: {error}{hint}"))
        })?;
        let mut link = Self { reader: BufReader::new(stream), mode: Mode::Text };
        if let Some(user) = &options.user {
            let client = options.client.map(|client| client.to_string());
            link.ask(&quote::join(["as", user].into_iter().chain(client.as_deref())), None)?;
        }
        link.set_mode(options.mode())?;
        Ok(link)
    }

    /// Calls the connection lost when an answer takes longer than this.
    pub(super) fn be_patient(&self, time: Duration) -> Result<(), Failure> {
        self.reader.get_ref().set_read_timeout(Some(time))?;
        Ok(())
    }

    /// How answers come.
    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    /// Has answers come in another way.
    pub(super) fn set_mode(&mut self, mode: Mode) -> Result<(), Failure> {
        let word = match mode {
            Mode::Text => "text",
            Mode::Colour => "colour",
            Mode::Json => "json",
        };
        if mode != self.mode {
            self.send(word, None)?;
            // The answer comes in the new mode.
            self.mode = mode;
            self.receive()?;
        }
        Ok(())
    }

    /// Says a line, with a block of text, and reads the answer.
    ///
    /// # Errors
    /// It was refused, or the connection is lost.
    pub(super) fn ask(&mut self, line: &str, block: Option<&str>) -> Result<Answer, Failure> {
        self.send(line, block)?;
        self.receive()
    }

    /// Asks in JSON, whatever the mode.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) fn ask_json(&mut self, line: &str) -> Result<Value, Failure> {
        let mode = self.mode;
        self.set_mode(Mode::Json)?;
        let answer = self.ask(line, None);
        self.set_mode(mode)?;
        match answer? {
            Answer::Document(document) => Ok(document),
            Answer::Lines(_) | Answer::Stream => Err(unexpected("lines")),
        }
    }

    fn send(&mut self, line: &str, block: Option<&str>) -> Result<(), Failure> {
        let text = match block {
            Some(block) => format!("{line} <{}\n{block}", block.len()),
            None => format!("{line}\n"),
        };
        let Err(error) = self.reader.get_mut().write_all(text.as_bytes()) else { return Ok(()) };
        // Who is refused at the door is told why before it is closed, and that waits to be read.
        match self.receive() {
            Err(refused @ Failure::Refused { .. }) => Err(refused),
            _ => Err(error.into()),
        }
    }

    fn receive(&mut self) -> Result<Answer, Failure> {
        let Some(first) = self.line()? else { return Err(ended()) };
        // A refusal at the door is text, whatever was asked for since.
        if let Some(rest) = first.strip_prefix("ERR ") {
            let (kind, why) = rest.split_once(' ').unwrap_or((rest, ""));
            return Err(Failure::Refused { kind: kind.to_owned(), why: unescaped(why) });
        }
        if self.mode == Mode::Json {
            return document(&first).map(Answer::Document);
        }
        match first.strip_prefix("OK ") {
            Some("*") => Ok(Answer::Stream),
            Some(count) => {
                let count: usize = count.parse().map_err(|_| unexpected(&first))?;
                let lines = (0..count).map(|_| self.line()?.ok_or_else(ended));
                lines.collect::<Result<_, _>>().map(Answer::Lines)
            }
            None => Err(unexpected(&first)),
        }
    }

    /// The next line, without its end; none at the end of the connection.
    pub(super) fn line(&mut self) -> Result<Option<String>, Failure> {
        let mut line = Vec::new();
        let bound = CONTROL_OUTPUT_BYTES_MAX as u64;
        let count = (&mut self.reader).take(bound).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        Ok(Some(text.trim_end_matches('\n').to_owned()))
    }
}

/// The document; a refusal is an error.
fn document(line: &str) -> Result<Value, Failure> {
    let document: Value = serde_json::from_str(line).map_err(|_| unexpected(line))?;
    match document.get("error") {
        None => Ok(document),
        Some(error) => {
            let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
            Err(Failure::Refused { kind: text("kind"), why: text("why") })
        }
    }
}

fn ended() -> Failure {
    Failure::Unreachable(String::from("the balancer closed the connection"))
}

fn unexpected(line: &str) -> Failure {
    let shown: String = line.chars().take(60).collect();
    Failure::Unreachable(format!("the socket answers something else: {shown:?}; is it director's?"))
}

/// The text of a refusal: `\n` and `\\` stand for a line's end and a backslash.
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => plain.push(if chars.next() == Some('n') { '\n' } else { '\\' }),
            (c, false) => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_reads_as_it_was_meant() {
        assert_eq!(unescaped(r"a\nb\\c"), "a\nb\\c");
        assert_eq!(unescaped("plain"), "plain");
    }

    #[test]
    fn refusal_at_the_door_is_told_however_late_it_is_read() {
        for mode in [Mode::Text, Mode::Json] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(b"ERR denied nobody may not use this socket\n").unwrap();
            drop(theirs);
            let mut link = Link { reader: BufReader::new(ours), mode };
            let refused = link.ask("status", None).unwrap_err();
            assert_eq!((refused.exit_code(), refused.to_string().as_str()), (1, "nobody may not use this socket"));
            let lost = link.ask("status", None).unwrap_err();
            assert!(matches!(lost, Failure::Unreachable(_)), "{lost:?}");
        }
    }

    #[test]
    fn kinds_have_exit_codes() {
        let code = |kind: &str| Failure::Refused { kind: kind.into(), why: String::new() }.exit_code();
        let codes = ["usage", "denied", "invalid", "conflict", "unavailable", "not-found"].map(code);
        assert_eq!(codes, [2, 1, 1, 1, 1, 4]);
    }
}
