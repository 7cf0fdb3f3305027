//! One client's connection: bytes in, lines out of them; answers in, bytes out.

use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use mio::net::UnixStream;

use super::blocks;
use super::rights::Principal;
use crate::admin::words::{Mode, View};
use crate::model::limits::CONTROL_LINE_BYTES_MAX;

/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;

/// A client.
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    pub(super) principal: Principal,
    pub(super) mode: Mode,
    pub(super) state: State,
    /// Counts what was asked, so that an answer that came too late is known.
    pub(super) serial: u64,
    input: Vec<u8>,
    /// The client sends nothing any more.
    is_ended: bool,
    /// Nothing more is obeyed: what is written is the last.
    pub(super) is_closing: bool,
    output: Vec<u8>,
    written: usize,
    /// When the kernel last took something of what waits.
    pub(super) moved: Instant,
}

/// What a client waits for.
pub(super) enum State {
    /// For nothing: its next line is obeyed.
    Idle,
    /// For the manager.
    Waiting {
        /// How long.
        until: Instant,
        /// How its reply is shown.
        view: View,
        /// Without a frame.
        bare: bool,
    },
    /// For events.
    Following {
        /// The number of the last one told; none: the beginning is not known yet.
        after: Option<u64>,
    },
}

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A line, and the block that it announced.
    Line(String, Option<String>),
    /// Something that cannot be obeyed.
    Wrong(String),
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    End,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, principal: Principal, now: Instant) -> Self {
        Self {
            stream,
            principal,
            mode: Mode::Text,
            state: State::Idle,
            serial: 0,
            input: Vec::new(),
            is_ended: false,
            is_closing: false,
            output: Vec::new(),
            written: 0,
            moved: now,
        }
    }

    /// Bytes that wait to be read by the client.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.output.len() - self.written
    }

    /// Puts an answer behind those that wait.
    pub(super) fn say(&mut self, bytes: &[u8], now: Instant) {
        if self.waiting_bytes() == 0 {
            self.moved = now;
        }
        self.output.extend_from_slice(bytes);
    }

    /// Writes what waits. Returns whether the connection is still good.
    pub(super) fn flush(&mut self, now: Instant) -> bool {
        while self.waiting_bytes() > 0 {
            match self.stream.write(&self.output[self.written..]) {
                Ok(0) => return false,
                Ok(count) => {
                    self.written += count;
                    self.moved = now;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.written = 0;
        // A large answer's room is given back.
        if self.output.capacity() > READ_BYTES {
            self.output = Vec::new();
        } else {
            self.output.clear();
        }
        true
    }

    /// The next thing that the client says.
    pub(super) fn listen(&mut self) -> Said {
        loop {
            match self.take() {
                Said::Nothing => {}
                said => return said,
            }
            if self.is_ended {
                return Said::End;
            }
            match self.read() {
                Some(true) => {}
                Some(false) => return Said::Nothing,
                None => self.is_ended = true,
            }
        }
    }

    /// Reads some bytes. False when there are none now, none when there will be none.
    fn read(&mut self) -> Option<bool> {
        let mut bytes = [0; READ_BYTES];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => {
                    self.input.extend_from_slice(bytes.get(..count).unwrap_or_default());
                    return Some(true);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// A line from what was read, with its block.
    fn take(&mut self) -> Said {
        let end = self.input.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(at) if at <= CONTROL_LINE_BYTES_MAX => (at, at + 1),
            None if self.input.len() <= CONTROL_LINE_BYTES_MAX => {
                // A last line does without its end.
                if !self.is_ended || self.input.is_empty() {
                    return Said::Nothing;
                }
                (self.input.len(), self.input.len())
            }
            Some(_) | None => return Said::Wrong(format!("the line is longer than {CONTROL_LINE_BYTES_MAX} bytes")),
        };
        let text = self.input.get(..line).unwrap_or_default();
        let Ok(text) = std::str::from_utf8(text) else {
            return Said::Wrong(String::from("the line is not UTF-8"));
        };
        let text = text.trim_end_matches('\r');
        match blocks::announced(text) {
            Ok(None) => {
                let text = text.to_owned();
                self.input.drain(..rest);
                Said::Line(text, None)
            }
            Ok(Some((text, length))) => {
                let Some(block) = self.input.get(rest..rest + length) else {
                    let missing = || Said::Wrong(String::from("the block ends before its announced length"));
                    return if self.is_ended { missing() } else { Said::Nothing };
                };
                let Ok(block) = String::from_utf8(block.to_vec()) else {
                    return Said::Wrong(String::from("the block is not UTF-8"));
                };
                let text = text.to_owned();
                self.input.drain(..rest + length);
                Said::Line(text, Some(block))
            }
            Err(what) => Said::Wrong(what),
        }
    }

    /// Whether the client has sent something, or ended, while it follows events.
    pub(super) fn has_spoken(&mut self) -> bool {
        !self.input.is_empty() || self.read() != Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::unix::Peer;
    use std::os::unix::net::UnixStream as Std;

    fn pair() -> (Connection, Std) {
        let (ours, theirs) = Std::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let peer = Peer { pid: 1, uid: 0, gid: 0, groups: Vec::new() };
        let principal = Principal::of(&peer, None).unwrap();
        (Connection::new(UnixStream::from_std(ours), principal, Instant::now()), theirs)
    }

    #[test]
    fn lines_come_in_any_pieces() {
        let (mut ours, mut theirs) = pair();
        assert_eq!(ours.listen(), Said::Nothing);
        for piece in ["sta", "tus\nho", "sts\r\n", "last"] {
            theirs.write_all(piece.as_bytes()).unwrap();
        }
        assert_eq!(ours.listen(), Said::Line("status".into(), None));
        assert_eq!(ours.listen(), Said::Line("hosts".into(), None));
        assert_eq!(ours.listen(), Said::Nothing);
        drop(theirs);
        assert_eq!(ours.listen(), Said::Line("last".into(), None));
        assert_eq!(ours.listen(), Said::End);
    }

    #[test]
    fn block_follows_the_line_that_announces_it() {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(b"batch <8\nup a\nup").unwrap();
        assert_eq!(ours.listen(), Said::Nothing);
        theirs.write_all(b" status\n").unwrap();
        assert_eq!(ours.listen(), Said::Line("batch".into(), Some("up a\nup ".into())));
        assert_eq!(ours.listen(), Said::Line("status".into(), None));
        theirs.write_all(b"batch <9\nshort").unwrap();
        drop(theirs);
        assert!(matches!(ours.listen(), Said::Wrong(_)));
    }

    #[test]
    fn line_without_an_end_is_bounded() {
        let (mut ours, theirs) = pair();
        theirs.set_nonblocking(true).unwrap();
        let mut wrong = false;
        for _ in 0..1000 {
            let _ = (&theirs).write(&[b'x'; 4096]);
            if let Said::Wrong(what) = ours.listen() {
                assert!(what.contains("65536 bytes"), "{what}");
                wrong = true;
                break;
            }
        }
        assert!(wrong && ours.input.len() < CONTROL_LINE_BYTES_MAX + 2 * READ_BYTES);
    }
}
