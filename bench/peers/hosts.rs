//! The hosts: `peers hosts ADDRESS…` listens on each address, with a thread each.
//!
//! A host answers a connection's requests in order and closes only after the answer to a short one. It is fair: no
//! connection has more than its turn while others wait, so that what a small request waits for beside large ones is the
//! balancer's doing. An address without a host part (`0.0.0.0:PORT`) may be given several times; its threads share it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::{Domain, Socket, Type};

use crate::Failure;
use crate::wire;

/// Connections the kernel keeps until they are accepted.
pub(crate) const BACKLOG: i32 = 4096;
const LISTENER: Token = Token(usize::MAX);
/// No request is longer; a client that sends more without an end is closed.
const REQUEST_MAX: usize = 256;
/// Bytes that a connection may move in each direction before the others have their turn.
const TURN_BYTES: usize = 256 << 10;

/// Runs until the process is ended.
pub(crate) fn serve(args: &[String]) -> Result<(), Failure> {
    let addrs = args.iter().map(|arg| arg.parse()).collect::<Result<Vec<SocketAddr>, _>>()?;
    let hosts = addrs.into_iter().map(Host::listen).collect::<io::Result<Vec<Host>>>()?;
    let threads: Vec<_> = hosts.into_iter().map(|host| thread::spawn(move || host.run())).collect();
    for thread in threads {
        thread.join().map_err(|_| "hosts: a thread panicked")??;
    }
    Ok(())
}

/// A listening socket for `addr`, not blocking; its connections inherit TCP_NODELAY.
pub(crate) fn listen(addr: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

struct Host {
    poll: Poll,
    listener: TcpListener,
    sessions: Slab<Session>,
    /// Sessions whose turn was over before their work was. No event tells of them again.
    unfinished: VecDeque<usize>,
}

impl Host {
    fn listen(addr: SocketAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = listen(addr, addr.ip().is_unspecified())?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { poll, listener, sessions: Slab::new(), unfinished: VecDeque::new() })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(512);
        let mut scratch = vec![0; TURN_BYTES];
        loop {
            let wait = (!self.unfinished.is_empty()).then_some(Duration::ZERO);
            match self.poll.poll(&mut events, wait) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            for _ in 0..self.unfinished.len() {
                let Some(key) = self.unfinished.pop_front() else { break };
                if let Some(session) = self.sessions.get_mut(key) {
                    session.is_queued = false;
                }
                self.serve(key, &mut scratch);
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept_all(),
                    Token(key) => self.serve(key, &mut scratch),
                }
            }
        }
    }

    fn serve(&mut self, key: usize, scratch: &mut [u8]) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        match session.on_ready(scratch) {
            Ok(Progress::Done) => {}
            Ok(Progress::More) if session.is_queued => {}
            Ok(Progress::More) => {
                session.is_queued = true;
                self.unfinished.push_back(key);
            }
            Err(Over) => {
                self.sessions.remove(key);
            }
        }
    }

    /// Accepts what waits. An error ends the batch; the next connection is a new event.
    fn accept_all(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let entry = self.sessions.vacant_entry();
            let both = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut stream, Token(entry.key()), both).is_ok() {
                entry.insert(Session::new(stream));
            }
        }
    }
}

/// Why a session is over; which of the reasons it was makes no difference to a host.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// How a turn has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Only a new event can give more to do.
    Done,
    /// There is more to do, after the others.
    More,
}

struct Session {
    stream: TcpStream,
    /// The beginning of a request whose end has not come yet.
    request: Vec<u8>,
    /// Bytes that have come of the upload that is under way.
    upload: Option<usize>,
    answers: VecDeque<Answer>,
    is_queued: bool,
}

impl Session {
    fn new(stream: TcpStream) -> Self {
        Self { stream, request: Vec::new(), upload: None, answers: VecDeque::new(), is_queued: false }
    }

    fn on_ready(&mut self, scratch: &mut [u8]) -> Result<Progress, Over> {
        let read = self.read(scratch)?;
        let written = self.write_answers()?;
        Ok(if read == Progress::Done { written } else { read })
    }

    fn read(&mut self, scratch: &mut [u8]) -> Result<Progress, Over> {
        match self.stream.read(scratch) {
            Ok(0) => Err(Over),
            Ok(count) => {
                self.on_bytes(&scratch[..count])?;
                Ok(if count < scratch.len() { Progress::Done } else { Progress::More })
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Progress::Done),
            Err(error) => Err(error.into()),
        }
    }

    fn on_bytes(&mut self, mut bytes: &[u8]) -> Result<(), Over> {
        while !bytes.is_empty() {
            let used = match self.upload {
                Some(at) => self.on_upload(at, bytes)?,
                None => self.on_request(bytes)?,
            };
            bytes = &bytes[used..];
        }
        if self.request.is_empty() {
            self.request = Vec::new();
        }
        Ok(())
    }

    /// Takes one request, or what there is of it. Returns how many bytes that was.
    fn on_request(&mut self, bytes: &[u8]) -> Result<usize, Over> {
        for (index, &byte) in bytes.iter().enumerate() {
            self.request.push(byte);
            if self.request.ends_with(wire::REQUEST_END) {
                if self.request == wire::UPLOAD {
                    self.upload = Some(0);
                } else {
                    self.answers.push_back(Answer::to(&self.request).ok_or(Over)?);
                }
                self.request.clear();
                return Ok(index + 1);
            }
            if self.request.len() >= REQUEST_MAX {
                return Err(Over);
            }
        }
        Ok(bytes.len())
    }

    /// Compares bytes of an upload from position `at` of it on. A wrong one ends the connection without an answer.
    fn on_upload(&mut self, at: usize, bytes: &[u8]) -> Result<usize, Over> {
        let count = bytes.len().min(wire::BULK_BYTES - at);
        if bytes[..count] != wire::pattern(at)[..count] {
            return Err(Over);
        }
        self.upload = Some(at + count);
        if at + count == wire::BULK_BYTES {
            self.upload = None;
            self.answers.push_back(Answer::text(wire::KEPT_ANSWER));
        }
        Ok(count)
    }

    fn write_answers(&mut self) -> Result<Progress, Over> {
        let mut turn = TURN_BYTES;
        while let Some(answer) = self.answers.front_mut() {
            if turn == 0 {
                return Ok(Progress::More);
            }
            let rest = answer.rest();
            match self.stream.write(&rest[..rest.len().min(turn)]) {
                Ok(count) => {
                    answer.written += count;
                    turn -= count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Progress::Done),
                Err(error) => return Err(error.into()),
            }
            if answer.is_complete() {
                if answer.then_close {
                    return Err(Over);
                }
                self.answers.pop_front();
            }
        }
        Ok(Progress::Done)
    }
}

struct Answer {
    /// The answer itself, or `None` for the pattern.
    text: Option<&'static [u8]>,
    bytes: usize,
    written: usize,
    then_close: bool,
}

impl Answer {
    fn to(request: &[u8]) -> Option<Self> {
        match request {
            wire::SHORT => Some(Self { then_close: true, ..Self::text(wire::SHORT_ANSWER) }),
            wire::KEPT => Some(Self::text(wire::KEPT_ANSWER)),
            wire::PAGE => Some(Self::of_pattern(wire::PAGE_BYTES)),
            wire::BULK => Some(Self::of_pattern(wire::BULK_BYTES)),
            _ => None,
        }
    }

    fn text(text: &'static [u8]) -> Self {
        Self { text: Some(text), bytes: text.len(), written: 0, then_close: false }
    }

    fn of_pattern(bytes: usize) -> Self {
        Self { text: None, bytes, written: 0, then_close: false }
    }

    fn rest(&self) -> &'static [u8] {
        match self.text {
            Some(text) => &text[self.written..],
            None => {
                let run = wire::pattern(self.written);
                &run[..run.len().min(self.bytes - self.written)]
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.written == self.bytes
    }
}
