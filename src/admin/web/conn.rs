//! One connection: what has come, how far its request is, what goes, and until when.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::door::Claim;
use super::out::Out;
use super::repeats::Repeat;
use super::wire::Wire;
use crate::admin::api::{Route, Step, Who};
use crate::admin::http::{Answer, Bad, Body, Content, Head};
use crate::model::command::Reply;
use crate::model::limits::{WEB_BEHIND_BYTES_MAX, WEB_HEAD_BYTES_MAX, WEB_IDLE, WEB_LINGER, WEB_REQUEST_WITHIN};
use crate::model::snapshot::Snapshot;

/// Bytes taken from a socket at a time.
pub(super) const READ_BYTES: usize = 16 * 1024;
/// Bytes that wait to be understood, above which nothing more is read.
const INPUT_BYTES_MAX: usize = WEB_HEAD_BYTES_MAX + READ_BYTES;
/// A client that takes an answer slower than this, in bytes a second, is left.
const SLOWEST_BYTES_PER_SECOND: u64 = 8 * 1024;

/// A connection.
pub(super) struct Conn {
    pub(super) wire: Wire,
    pub(super) peer: SocketAddr,
    /// The address that the client connected to.
    pub(super) local: SocketAddr,
    pub(super) input: Vec<u8>,
    /// How much of the input was looked at.
    pub(super) seen: usize,
    pub(super) out: Out,
    pub(super) stage: Stage,
    pub(super) born: Instant,
    pub(super) deadline: Instant,
    /// When its last answer was done.
    pub(super) rested: Instant,
    /// It has got a whole answer.
    pub(super) is_served: bool,
    /// A user has shown that he is.
    pub(super) is_known: bool,
    /// The client sends nothing more.
    pub(super) has_ended: bool,
}

/// How far a connection is.
pub(super) enum Stage {
    /// The next request is awaited.
    Head,
    /// A password is hashed.
    Proving(Box<Asked>, Claim),
    /// The body is awaited.
    Body(Box<Asked>, Body),
    /// The manager, or the worker, is asked.
    Waiting(u64, Box<Asked>, Then),
    /// The answer goes; whether another request may follow.
    Sending(bool),
    /// What happens goes.
    Following(Follower),
    /// The answer is gone, and what the client still sends is thrown away until it ends.
    Lingering,
}

/// A request that was let in.
pub(super) struct Asked {
    pub(super) head: Head,
    pub(super) route: &'static Route,
    pub(super) names: Vec<String>,
    pub(super) who: Option<Who>,
    /// What it says to be, if it is a change that is to be done once.
    pub(super) repeat: Option<Repeat>,
}

/// What becomes of what is awaited.
pub(super) enum Then {
    /// Of the manager's reply; whether it was a change.
    Reply(Box<dyn FnOnce(Reply) -> Answer + Send>, bool),
    /// Of a snapshot that was asked for after this moment.
    See(Box<dyn FnOnce(&Snapshot) -> Answer + Send>, Instant),
    /// Of a hash.
    Hash(Box<dyn FnOnce(String) -> Step + Send>),
    /// Of a password.
    Login(Claim),
}

/// Who follows what happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower {
    /// The last event that it was told.
    pub(super) last: Option<u64>,
    /// When it last took something.
    pub(super) moved: Instant,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// Something came, or the end.
    Some,
    /// Nothing is there, or nothing is wanted.
    None,
}

impl Conn {
    pub(super) fn new(now: Instant, wire: Wire, peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            wire,
            peer,
            local,
            input: Vec::new(),
            seen: 0,
            out: Out::default(),
            stage: Stage::Head,
            born: now,
            deadline: now + WEB_REQUEST_WITHIN,
            rested: now,
            is_served: false,
            is_known: false,
            has_ended: false,
        }
    }

    /// Reads once.
    ///
    /// # Errors
    /// As [`Wire::read`], without `WouldBlock`.
    pub(super) fn fill(&mut self, now: Instant, space: &mut [u8]) -> io::Result<Filled> {
        let discards = matches!(self.stage, Stage::Following(_) | Stage::Lingering);
        let wants = discards || matches!(self.stage, Stage::Head | Stage::Body(..));
        if !wants || self.has_ended || self.input.len() >= INPUT_BYTES_MAX {
            return Ok(Filled::None);
        }
        match self.wire.read(space) {
            Ok(0) => {
                self.has_ended = true;
                Ok(Filled::Some)
            }
            Ok(count) if discards => Ok(if count > 0 { Filled::Some } else { Filled::None }),
            Ok(count) => {
                if self.input.is_empty() && matches!(self.stage, Stage::Head) && self.is_served {
                    self.deadline = now + WEB_REQUEST_WITHIN;
                }
                self.input.extend_from_slice(&space[..count]);
                Ok(Filled::Some)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(Filled::None),
            Err(error) => Err(error),
        }
    }

    /// Puts an answer to a request into what goes.
    pub(super) fn answer(&mut self, now: Instant, answer: Answer, asked: &Asked) {
        self.answer_to(now, answer, &asked.head, true);
    }

    /// As [`Self::answer`], before it was let in. `is_whole`: nothing of it is still to come.
    pub(super) fn answer_to(&mut self, now: Instant, answer: Answer, head: &Head, is_whole: bool) {
        let keep = head.keep_alive && is_whole && !self.has_ended;
        self.send(now, answer, keep, head.method == crate::admin::http::Method::Head);
    }

    /// Answers what is no request, and ends.
    pub(super) fn answer_bad(&mut self, now: Instant, bad: Bad) {
        self.send(now, Answer::text(bad.status, format!("{}\n", bad.why)), false, false);
    }

    fn send(&mut self, now: Instant, answer: Answer, keep: bool, without_content: bool) {
        let (head, content) = answer.written(keep, without_content);
        self.out.push(Content::Owned(head));
        if let Some(content) = content {
            self.out.push(content);
        }
        self.stage = Stage::Sending(keep);
        let takes = Duration::from_secs(self.out.len() as u64 / SLOWEST_BYTES_PER_SECOND);
        self.deadline = now + WEB_REQUEST_WITHIN + takes;
    }

    /// Begins to tell what happens.
    pub(super) fn follow(&mut self, now: Instant, answer: Answer, last: Option<u64>) {
        let (head, _) = answer.written(false, false);
        self.out.push(Content::Owned(head));
        self.stage = Stage::Following(Follower { last, moved: now });
    }

    /// Sends what it can, and goes on to what comes after. Returns whether anything changed.
    ///
    /// # Errors
    /// What ends the connection.
    pub(super) fn flush(&mut self, now: Instant) -> io::Result<bool> {
        let any = self.wire.write(&mut self.out)?;
        if self.out.len() > 0 || !self.wire.is_flushed() {
            if let (true, Stage::Following(follower)) = (any, &mut self.stage) {
                follower.moved = now;
            }
            return Ok(false);
        }
        match &mut self.stage {
            Stage::Sending(true) if !self.has_ended || !self.input.is_empty() => {
                self.stage = Stage::Head;
                self.is_served = true;
                self.rested = now;
                self.deadline = now + if self.input.is_empty() { WEB_IDLE } else { WEB_REQUEST_WITHIN };
                Ok(true)
            }
            Stage::Sending(_) => {
                self.wire.finish();
                self.is_served = true;
                self.rested = now;
                self.stage = Stage::Lingering;
                self.deadline = now + WEB_LINGER;
                self.input = Vec::new();
                Ok(true)
            }
            Stage::Following(follower) => {
                follower.moved = now;
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Whether nothing is left to be done with it.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended
            && match &self.stage {
                Stage::Lingering | Stage::Following(_) | Stage::Body(..) => true,
                Stage::Head => true,
                Stage::Proving(..) | Stage::Waiting(..) | Stage::Sending(_) => false,
            }
    }

    /// Whether it follows what happens and takes it too slowly. `snapshot_bytes` is what a snapshot has.
    pub(super) fn is_behind(&self, now: Instant, snapshot_bytes: usize) -> bool {
        let Stage::Following(follower) = &self.stage else { return false };
        let is_stuck = self.out.len() > 0 && now.saturating_duration_since(follower.moved) >= WEB_REQUEST_WITHIN;
        is_stuck || self.out.len() > WEB_BEHIND_BYTES_MAX + snapshot_bytes
    }

    /// Until when it may be as it is; none while it follows.
    pub(super) fn until(&self) -> Option<Instant> {
        (!matches!(self.stage, Stage::Following(_))).then_some(self.deadline)
    }

    /// How little it deserves its place, the least first; none: it keeps it.
    pub(super) fn rank(&self) -> Option<Rank> {
        match &self.stage {
            Stage::Lingering => Some(Rank::Over),
            _ if !self.is_served && !self.is_known => Some(Rank::Unserved),
            Stage::Head if !self.is_known => Some(Rank::Stranger),
            Stage::Head => Some(Rank::Idle),
            Stage::Sending(_) if !self.is_known => Some(Rank::Stranger),
            Stage::Proving(..) | Stage::Body(..) | Stage::Waiting(..) | Stage::Sending(_) | Stage::Following(_) => None,
        }
    }
}

/// Whose place is given to another when all are taken, the first first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It has its answer.
    Over,
    /// It never got an answer.
    Unserved,
    /// It got one, as nobody.
    Stranger,
    /// A user's, between two requests.
    Idle,
}
