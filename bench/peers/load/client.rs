//! One connection of the load generator.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::{Exchange, Expected, Then};
use crate::wire;

/// Bytes that a connection may move in each direction before the others have their turn.
const TURN_BYTES: usize = 1 << 20;

/// What an event has led to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing to decide; only a new event can give more to do.
    Waiting,
    /// There is more to do, after the others.
    More,
    /// The answer is complete and right; the connection is still open.
    Answered,
    /// The answer was complete and right, and the host has closed.
    Closed,
}

/// How far the sending of a request has come.
enum Sent {
    All,
    /// The socket takes no more for now.
    Blocked,
    /// It would take more, after the others.
    Turn,
}

pub(super) struct Client {
    pub(super) stream: TcpStream,
    /// Bytes of the request and its body.
    sent: usize,
    received: usize,
}

impl Client {
    pub(super) fn connect(addr: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut stream = TcpStream::connect(addr)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, sent: 0, received: 0 })
    }

    /// Bytes of the exchange that have been moved so far, both ways.
    pub(super) fn moved(&self) -> usize {
        self.sent + self.received
    }

    /// Bytes of the answer that have come.
    pub(super) fn received(&self) -> usize {
        self.received
    }

    /// Begins the next request; its answer is a later event.
    pub(super) fn again(&mut self, exchange: &Exchange) -> Result<Step, String> {
        self.sent = 0;
        self.received = 0;
        Ok(match self.send(exchange)? {
            Sent::Turn => Step::More,
            Sent::All | Sent::Blocked => Step::Waiting,
        })
    }

    /// Does what can be done now.
    pub(super) fn advance(&mut self, exchange: &Exchange, scratch: &mut [u8]) -> Result<Step, String> {
        match self.send(exchange)? {
            Sent::All => {}
            Sent::Blocked => return Ok(Step::Waiting),
            Sent::Turn => return Ok(Step::More),
        }
        let mut turn = 0;
        while turn < TURN_BYTES {
            let count = match self.stream.read(scratch) {
                Ok(0) => return self.on_end(exchange),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Step::Waiting),
                Err(error) => return Err(format!("read: {error}")),
            };
            self.compare(exchange.answer, &scratch[..count])?;
            turn += count;
            match exchange.then {
                // The end may be here already and is not told again.
                Then::HostCloses => {}
                Then::Again | Then::Hold if self.received == exchange.answer.len() => return Ok(Step::Answered),
                Then::Again | Then::Hold if count < scratch.len() => return Ok(Step::Waiting),
                Then::Again | Then::Hold => {}
            }
        }
        Ok(Step::More)
    }

    /// Sends what is left of the request and its body.
    fn send(&mut self, exchange: &Exchange) -> Result<Sent, String> {
        let mut turn = 0;
        loop {
            let rest = match exchange.request.get(self.sent..) {
                Some(rest) if !rest.is_empty() => rest,
                Some(_) | None => {
                    let at = self.sent - exchange.request.len();
                    let run = wire::pattern(at);
                    &run[..run.len().min(exchange.body - at)]
                }
            };
            if rest.is_empty() {
                return Ok(Sent::All);
            }
            if turn >= TURN_BYTES {
                return Ok(Sent::Turn);
            }
            match self.stream.write(rest) {
                Ok(count) => {
                    self.sent += count;
                    turn += count;
                }
                // Also the answer while the connect is under way.
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Sent::Blocked),
                Err(error) => return Err(format!("connect or write: {error}")),
            }
        }
    }

    fn on_end(&self, exchange: &Exchange) -> Result<Step, String> {
        if exchange.then == Then::HostCloses && self.received == exchange.answer.len() {
            return Ok(Step::Closed);
        }
        Err(format!("closed after {} of {} bytes", self.received, exchange.answer.len()))
    }

    fn compare(&mut self, expected: Expected, bytes: &[u8]) -> Result<(), String> {
        let at = self.received;
        expected.compare(at, bytes)?;
        self.received += bytes.len();
        Ok(())
    }
}

impl Expected {
    /// Whether `bytes` are right from position `at` of the answer on; says what is wrong otherwise.
    pub(super) fn compare(self, at: usize, bytes: &[u8]) -> Result<(), String> {
        if at + bytes.len() > self.len() {
            return Err(format!("more than the {} bytes of the answer", self.len()));
        }
        let right = match self {
            Self::Text(text) => *bytes == text[at..at + bytes.len()],
            Self::Pattern(_) => *bytes == wire::pattern(at)[..bytes.len()],
        };
        if right { Ok(()) } else { Err(format!("a wrong byte in {at}..{}", at + bytes.len())) }
    }

    pub(super) fn len(self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Pattern(len) => len,
        }
    }
}
