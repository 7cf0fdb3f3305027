//! The loop of the `admin` thread.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;

use super::certificate::TARGET;
use super::conn::{Conn, READ_BYTES, Rank};
use super::door::Door;
use super::follow::Following;
use super::repeats::Repeats;
use super::site::Site;
use super::snapshots::Snapshots;
use super::wire::Wire;
use super::worker::Worker;
use crate::admin::Desk;
use crate::admin::auth::{Guesses, Keys, Known, Logins};
use crate::config::Web;
use crate::model::command::Reply;
use crate::model::limits::{
    CERTIFICATE_LOOK, CHANNEL_MAX, LOG_EVERY, PANIC_PAUSE, WEB_CONNECTIONS_MAX, WEB_LINGER, WEB_SPARE, WEB_STAY,
};
use crate::sys::listener;
use crate::sys::mailbox::Mailbox;

const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
/// The token of the first connection.
const FIRST: usize = 2;
/// Events taken from the kernel at a time.
const EVENTS: usize = 256;
/// Pause before accepting goes on after this machine could not.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// A place among the connections, and the number of the question that it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) slot: usize,
    pub(super) number: u64,
}

/// What other threads tell the loop.
pub(super) enum Mail {
    /// The manager's reply to a connection's question.
    Reply(Ticket, Reply),
    /// Its reply to the question for a snapshot of this number.
    Snapshot(u64, Reply),
    /// Its reply to a question for events.
    Events(Reply),
    /// Whether the password of the claim with this mark is right.
    Proven([u8; 32], bool),
    /// A hash of a password.
    Hashed(Ticket, Result<String, String>),
    /// The page is to be served otherwise, or not at all.
    Apply(Option<Web>),
    /// What [`Self::Apply`] or a changed certificate asked for.
    Ready(Box<Result<Site, String>>),
    /// The end.
    Stop,
}

/// What is served.
pub(super) struct Served {
    pub(super) site: Site,
    pub(super) listener: TcpListener,
    pub(super) cookie: String,
}

/// The loop.
pub(super) struct Server {
    pub(super) poll: Poll,
    events: Events,
    pub(super) mailbox: Mailbox<Mail>,
    mail: Receiver<Mail>,
    pub(super) desk: Desk,
    pub(super) worker: Worker,
    pub(super) state: Option<PathBuf>,
    pub(super) served: Option<Served>,
    pub(super) conns: Slab<Conn>,
    pub(super) door: Door,
    pub(super) snapshots: Snapshots,
    pub(super) following: Following,
    pub(super) repeats: Repeats,
    pub(super) tickets: u64,
    /// A page is being made ready, and then this one is wanted.
    pub(super) preparing: Option<Option<Option<Web>>>,
    scratch: Vec<u8>,
    /// Descriptors kept for when there is no other.
    spare: Vec<File>,
    /// When accepting goes on.
    accept_at: Option<Instant>,
    look_at: Instant,
    complained: Option<Instant>,
    stopping: Option<Instant>,
    /// Connections that have more to read than a turn may take.
    pub(super) again: Vec<usize>,
}

impl Server {
    /// A loop that serves nothing yet.
    ///
    /// # Errors
    /// A poll, an eventfd or a thread cannot be made, or there are no random numbers.
    pub(super) fn new(desk: Desk, state: Option<PathBuf>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (mailbox, mail) = Mailbox::new(waker);
        let now = Instant::now();
        let door = Door {
            keys: Keys::new()?,
            known: Known::default(),
            logins: Logins::default(),
            guesses: Guesses::default(),
        };
        let mut server = Self {
            poll,
            events: Events::with_capacity(EVENTS),
            mailbox,
            mail,
            desk,
            worker: Worker::start()?,
            state,
            served: None,
            conns: Slab::new(),
            door,
            snapshots: Snapshots::new(now),
            following: Following::new(now),
            repeats: Repeats::default(),
            tickets: 0,
            preparing: None,
            scratch: vec![0; READ_BYTES],
            spare: Vec::new(),
            accept_at: None,
            look_at: now + CERTIFICATE_LOOK,
            complained: None,
            stopping: None,
            again: Vec::new(),
        };
        server.keep_spare();
        Ok(server)
    }

    /// The thread.
    pub(super) fn run(mut self) {
        while !self.has_ended() {
            let timeout = self.timeout();
            if let Err(error) = self.poll.poll(&mut self.events, timeout)
                && error.kind() != ErrorKind::Interrupted
            {
                log::error!(target: TARGET, "the administration page's poll failed: {error}");
                thread::sleep(PANIC_PAUSE);
            }
            // A part of a turn that panics is dropped with the connection that it was for.
            let ready: Vec<Token> = self.events.iter().map(mio::event::Event::token).collect();
            for token in ready {
                match token {
                    WAKER => {}
                    LISTENER => self.contained(None, Self::accept),
                    Token(token) => self.drive_contained(token - FIRST),
                }
            }
            for slot in std::mem::take(&mut self.again) {
                self.drive_contained(slot);
            }
            self.contained(None, Self::read_mail);
            self.contained(None, Self::keep_time);
        }
    }

    fn drive_contained(&mut self, slot: usize) {
        self.contained(Some(slot), |server| server.drive(slot));
    }

    pub(super) fn contained(&mut self, slot: Option<usize>, part: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| part(self))).is_err() {
            log::error!(target: TARGET, "the administration page panicked; it goes on");
            if let Some(slot) = slot {
                self.close(slot);
            }
            thread::sleep(PANIC_PAUSE);
        }
    }

    fn read_mail(&mut self) {
        let mail: Vec<Mail> = self.mail.try_iter().take(CHANNEL_MAX).collect();
        for mail in mail {
            match mail {
                Mail::Reply(ticket, reply) => {
                    self.contained(Some(ticket.slot), |server| server.on_reply(ticket, reply));
                }
                Mail::Snapshot(number, reply) => self.on_snapshot(number, reply),
                Mail::Events(reply) => self.on_events(reply),
                Mail::Proven(mark, is_right) => self.on_proven(mark, is_right),
                Mail::Hashed(ticket, hash) => self.on_hashed(ticket, hash),
                Mail::Apply(web) => self.apply(web),
                Mail::Ready(site) => self.on_ready(*site),
                Mail::Stop => self.stopping = Some(Instant::now() + WEB_LINGER),
            }
        }
    }

    /// Takes the page's connections off the queue.
    fn accept(&mut self) {
        let now = Instant::now();
        loop {
            let Some(served) = &self.served else { return };
            match served.listener.accept() {
                Ok((socket, _)) => self.admit(now, socket),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                    // The kernel says so before it looks whether anybody has come.
                    if listener::queued(&served.listener) == 0 {
                        break;
                    }
                    // An administrator who comes to see why there are no descriptors must get in.
                    if self.spare.pop().is_some() || self.make_room(now, WEB_STAY) {
                        continue;
                    }
                    self.accept_later(now, &error);
                    break;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    self.accept_later(now, &error);
                    break;
                }
            }
        }
    }

    fn accept_later(&mut self, now: Instant, error: &io::Error) {
        self.accept_at = Some(now + ACCEPT_AGAIN);
        if self.complained.is_none_or(|at| now.saturating_duration_since(at) >= LOG_EVERY) {
            self.complained = Some(now);
            log::warn!(target: TARGET, "the administration page cannot accept: {error}");
        }
    }

    fn admit(&mut self, now: Instant, socket: TcpStream) {
        if self.conns.len() >= WEB_CONNECTIONS_MAX && !self.make_room(now, Duration::ZERO) {
            return;
        }
        let tls = self.served.as_ref().and_then(|served| served.site.tls.as_ref()).map(|tls| &tls.config);
        let (Ok(peer), Ok(local)) = (socket.peer_addr(), socket.local_addr()) else { return };
        // Best effort: without it an answer comes later.
        let _ = socket.set_nodelay(true);
        let Ok(wire) = Wire::new(socket, tls) else { return };
        let slot = self.conns.insert(Conn::new(now, wire, peer, local));
        let interest = Interest::READABLE | Interest::WRITABLE;
        let socket = self.conns[slot].wire.socket();
        if self.poll.registry().register(socket, Token(FIRST + slot), interest).is_err() {
            self.conns.remove(slot);
        }
    }

    /// Closes the connection that deserves its place least: of those that never got an answer the oldest of the address
    /// that has most of them. Those stay that came less than `stay` ago. Returns whether there was one.
    fn make_room(&mut self, now: Instant, stay: Duration) -> bool {
        let has_stayed = |conn: &Conn| now.saturating_duration_since(conn.born) >= stay;
        let stayed = self.conns.iter().filter(|(_, conn)| has_stayed(conn));
        let lowest = stayed.filter_map(|(_, conn)| conn.rank()).min();
        let Some(lowest) = lowest else { return false };
        let mut each: HashMap<IpAddr, usize> = HashMap::new();
        if lowest == Rank::Unserved {
            for (_, conn) in self.conns.iter().filter(|(_, conn)| conn.rank() == Some(lowest)) {
                *each.entry(conn.peer.ip()).or_default() += 1;
            }
        }
        let of_lowest = self.conns.iter().filter(|(_, conn)| conn.rank() == Some(lowest) && has_stayed(conn));
        let count = |conn: &Conn| each.get(&conn.peer.ip()).copied().unwrap_or(0);
        let worst = of_lowest.max_by_key(|(_, conn)| (count(conn), std::cmp::Reverse((conn.rested, conn.born))));
        let Some(slot) = worst.map(|(slot, _)| slot) else { return false };
        self.close(slot);
        true
    }

    /// Keeps descriptors back as long as there are any.
    fn keep_spare(&mut self) {
        while self.spare.len() < WEB_SPARE
            && let Ok(file) = File::open("/dev/null")
        {
            self.spare.push(file);
        }
    }

    pub(super) fn close(&mut self, slot: usize) {
        if self.conns.contains(slot) {
            let mut conn = self.conns.remove(slot);
            // A failure means that it was not registered.
            let _ = self.poll.registry().deregister(conn.wire.socket());
            drop(conn);
            // At once, before a reactor that waits for a descriptor gets this one.
            self.keep_spare();
        }
    }

    /// Reads into a connection, for [`Self::drive`].
    pub(super) fn fill(&mut self, now: Instant, slot: usize) -> io::Result<super::conn::Filled> {
        let Some(conn) = self.conns.get_mut(slot) else { return Ok(super::conn::Filled::None) };
        conn.fill(now, &mut self.scratch)
    }

    fn keep_time(&mut self) {
        let now = Instant::now();
        if self.accept_at.is_some_and(|at| at <= now) {
            self.accept_at = None;
            self.accept();
        }
        let due = |conn: &Conn| conn.until().is_some_and(|until| until <= now);
        let late: Vec<usize> = self.conns.iter().filter(|(_, conn)| due(conn)).map(|(slot, _)| slot).collect();
        for slot in late {
            self.contained(Some(slot), |server| server.on_late(now, slot));
        }
        self.keep_spare();
        self.keep_telling(now);
        if self.look_at <= now {
            self.look_at = now + CERTIFICATE_LOOK;
            self.look_at_certificate();
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let conns = self.conns.iter().filter_map(|(_, conn)| conn.until()).min();
        let secure = self.served.as_ref().is_some_and(|served| served.site.tls.is_some()).then_some(self.look_at);
        let next = [conns, secure, self.accept_at, self.stopping, self.next_tell()].into_iter().flatten().min();
        next.map(|at| at.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
    }

    fn has_ended(&self) -> bool {
        let Some(until) = self.stopping else { return false };
        let sending = self.conns.iter().any(|(_, conn)| conn.out.len() > 0 && conn.rank() != Some(Rank::Unserved));
        !sending || Instant::now() >= until
    }

    /// Takes a page over that is ready. Returns where it listens, if that is new.
    ///
    /// # Errors
    /// The socket cannot be watched.
    pub(super) fn take_over(&mut self, mut site: Site) -> io::Result<bool> {
        let listener = match (site.listener.take(), self.served.take()) {
            (None, Some(served)) => served.listener,
            (None, None) => return Ok(false),
            (Some(listener), before) => {
                if let Some(mut before) = before {
                    self.poll.registry().deregister(&mut before.listener)?;
                }
                let mut listener = TcpListener::from_std(listener);
                self.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
                listener
            }
        };
        let addr = listener.local_addr()?;
        let scheme = if site.web.secure { "https" } else { "http" };
        log::info!(target: TARGET, "administration page on {scheme}://{addr}");
        let cookie = if site.web.secure {
            format!("__Host-director-{}", addr.port())
        } else {
            format!("director-{}", addr.port())
        };
        self.served = Some(Served { site, listener, cookie });
        Ok(true)
    }

    /// Serves nothing more.
    pub(super) fn leave(&mut self) {
        let Some(mut served) = self.served.take() else { return };
        let _ = self.poll.registry().deregister(&mut served.listener);
        log::info!(target: TARGET, "the administration page is no longer served");
        let slots: Vec<usize> = self.conns.iter().map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.close(slot));
    }
}
