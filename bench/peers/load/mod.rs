//! The load generator: as many exchanges as go, on a fixed number of connections, every byte compared.
//!
//! An exchange counts as done only when its whole answer came and the connection then behaved as it should. All else is
//! counted as failed, with the first reason kept.

mod client;
pub(crate) mod latency;
pub(crate) mod spread;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::wire;

/// No progress for this long means that what is still open has been lost.
pub(crate) const STALLED: Duration = Duration::from_secs(5);
/// Failures after which a worker opens no more connections: the figure is worthless, the machine need not suffer.
const FAILURES_MAX: u64 = 1000;

/// What a client asks for on a connection, and what should come of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: &'static [u8],
    /// Bytes of the pattern that follow the request.
    pub(crate) body: usize,
    pub(crate) answer: Expected,
    pub(crate) then: Then,
}

/// The answer that is right.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// These bytes.
    Text(&'static [u8]),
    /// That many bytes of the pattern.
    Pattern(usize),
}

/// What happens to the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The host closes; the client waits for that, closes too, and opens the next.
    HostCloses,
    /// The client sends the next request.
    Again,
    /// The connection stays open and silent; the client opens the next.
    Hold,
}

impl Exchange {
    pub(crate) const SHORT: Self = Self::new(wire::SHORT, Expected::Text(wire::SHORT_ANSWER), Then::HostCloses);
    pub(crate) const KEPT: Self = Self::new(wire::KEPT, Expected::Text(wire::KEPT_ANSWER), Then::Again);
    pub(crate) const PAGE: Self = Self::new(wire::PAGE, Expected::Pattern(wire::PAGE_BYTES), Then::Again);
    pub(crate) const BULK: Self = Self::new(wire::BULK, Expected::Pattern(wire::BULK_BYTES), Then::Again);
    pub(crate) const HELD: Self = Self { then: Then::Hold, ..Self::KEPT };
    pub(crate) const UPLOAD: Self =
        Self { body: wire::BULK_BYTES, ..Self::new(wire::UPLOAD, Expected::Text(wire::KEPT_ANSWER), Then::Again) };

    const fn new(request: &'static [u8], answer: Expected, then: Then) -> Self {
        Self { request, body: 0, answer, then }
    }
}

/// When no further exchange is begun.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    After(Duration),
    /// The same, and what is under way then is dropped: for shares of a time, not for counts.
    At(Duration),
    /// This many exchanges have been begun, over all workers.
    Count(u64),
}

/// One load on one target.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) exchange: Exchange,
    /// Connections go to these in turn: one address for a balancer, the hosts' own without one.
    pub(crate) addrs: Vec<SocketAddr>,
    /// Connections that are busy at a time.
    pub(crate) connections: usize,
    pub(crate) stop: Stop,
}

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// Bytes of right answers, and of what hosts have found right.
    pub(crate) bytes: u64,
    /// The bytes of right answers by connection, in no particular order.
    pub(crate) shares: Vec<u64>,
    /// From the first connect to the last answer.
    pub(crate) elapsed: Duration,
    pub(crate) first_failure: Option<String>,
    /// Connections that [`Then::Hold`] left open.
    pub(crate) held: Vec<TcpStream>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.done += other.done;
        self.failed += other.failed;
        self.bytes += other.bytes;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.shares.extend(other.shares);
        self.held.extend(other.held);
    }

    fn fail(&mut self, reason: impl FnOnce() -> String) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(reason);
    }
}

impl Load {
    /// Offers the load with up to `threads` threads and waits until it is over.
    pub(crate) fn run(&self, threads: usize) -> io::Result<Tally> {
        let threads = threads.min(self.connections).max(1);
        let start = Instant::now();
        let outcomes = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|index| {
                    let share = self.share(index, threads);
                    scope.spawn(move || worker::run(&share, start))
                })
                .collect();
            workers.into_iter().map(|worker| worker.join()).collect::<Vec<_>>()
        });
        let mut total = Tally::default();
        for outcome in outcomes {
            total.add(outcome.map_err(|_| io::Error::other("a load thread panicked"))??);
        }
        Ok(total)
    }

    /// The part of worker `index` of `of`; each starts its turn of the addresses elsewhere.
    fn share(&self, index: usize, of: usize) -> Self {
        let part = |whole: u64| {
            let (index, of) = (index as u64, of as u64);
            whole / of + u64::from(index < whole % of)
        };
        let mut addrs = self.addrs.clone();
        addrs.rotate_left(index % self.addrs.len());
        Self {
            exchange: self.exchange,
            addrs,
            connections: self.connections / of + usize::from(index < self.connections % of),
            stop: match self.stop {
                Stop::After(_) | Stop::At(_) => self.stop,
                Stop::Count(count) => Stop::Count(part(count)),
            },
        }
    }
}
