//! Requests at a fixed rate, each timed from the moment it was *due*.
//!
//! Request `k` is due at `start + k / rate` and goes to connection `k % connections`, whether or not that connection has
//! its earlier answers yet: a balancer that stalls does not slow the questions down, so that no wait is left out
//! (coordinated omission). One thread sends, another receives; both know the plan, so that they need not talk. How late
//! the sender itself was is kept beside the times: what it was late by is in them, for direct and balanced ones alike. To
//! be on time, both run before all other work where that is permitted, as if they were on machines of their own.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::STALLED;
use crate::{unix, wire};

/// A plan of requests.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Connections go to these in turn.
    pub(crate) addrs: Vec<SocketAddr>,
    pub(crate) connections: usize,
    /// Requests a second.
    pub(crate) rate: u64,
    pub(crate) span: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// One a request that was answered right.
    pub(crate) times: Times,
    /// How late each request was sent.
    pub(crate) late: Times,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

impl Latencies {
    /// Adds those of another time slice.
    pub(crate) fn add(&mut self, other: Self) {
        self.times.0.extend(other.times.0);
        self.late.0.extend(other.late.0);
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }
}

/// Times, in no particular order.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// The times that so many per mille did not exceed, one for each that is asked for; none when there are no times.
    pub(crate) fn quantiles(&mut self, per_mille: &[usize]) -> Vec<Duration> {
        self.0.sort_unstable();
        let rank = |per_mille: usize| (self.0.len() * per_mille).div_ceil(1000).max(1);
        per_mille.iter().filter_map(|per_mille| self.0.get(rank(*per_mille) - 1).copied()).collect()
    }
}

impl Plan {
    /// Carries the plan out.
    pub(crate) fn run(&self) -> io::Result<Latencies> {
        let streams = (0..self.connections).map(|index| self.connect(index)).collect::<io::Result<Vec<_>>>()?;
        let writers = streams.iter().map(TcpStream::try_clone).collect::<io::Result<Vec<_>>>()?;
        // Both threads are under way before the first request is due.
        let start = Instant::now() + Duration::from_millis(20);
        let mut receiver = Receiver::new(self, start, streams)?;
        let late = thread::scope(|scope| {
            let sender = scope.spawn(|| self.send(start, writers));
            let received = scope.spawn(|| receiver.run()).join();
            let late = sender.join().map_err(|_| io::Error::other("the sending thread panicked"))?;
            received.map_err(|_| io::Error::other("the receiving thread panicked"))?.map(|()| late)
        })?;
        Ok(receiver.latencies(late))
    }

    fn total(&self) -> u64 {
        let span_us = u64::try_from(self.span.as_micros()).unwrap_or(u64::MAX);
        (self.rate.saturating_mul(span_us) / 1_000_000).max(1)
    }

    /// When request `number` is due, after the start.
    fn due(&self, number: u64) -> Duration {
        Duration::from_nanos(number.saturating_mul(1_000_000_000) / self.rate)
    }

    /// A connection that has had one answer already, so that the plan finds it connected to its host.
    fn connect(&self, index: usize) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.addrs[index % self.addrs.len()])?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STALLED))?;
        stream.write_all(wire::KEPT)?;
        let mut answer = [0; wire::KEPT_ANSWER.len()];
        stream.read_exact(&mut answer)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }

    /// Sends all requests. Returns how late each was.
    fn send(&self, start: Instant, mut writers: Vec<TcpStream>) -> Times {
        // Where these cannot be done, direct and balanced requests are late alike.
        let _ = end_sleeps_on_time();
        let _ = unix::run_first();
        let connections = writers.len() as u64;
        let mut late = Vec::with_capacity(usize::try_from(self.total()).unwrap_or(0));
        for number in 0..self.total() {
            let due = start + self.due(number);
            let wait = due.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                thread::sleep(wait);
            }
            late.push(due.elapsed());
            let index = usize::try_from(number % connections).unwrap_or(0);
            // A request that cannot be written has no answer; the receiver counts it.
            let _ = write_all(&mut writers[index], wire::KEPT);
        }
        Times(late)
    }
}

/// Keeps the kernel from letting this thread sleep up to 50 µs longer than asked, which it does to save wake-ups.
fn end_sleeps_on_time() -> io::Result<()> {
    let thread = fs::read_link("/proc/thread-self")?;
    let id = thread.file_name().ok_or(ErrorKind::NotFound)?;
    fs::write(Path::new("/proc").join(id).join("timerslack_ns"), "1")
}

/// Writes a request to a socket that does not block. Its buffer is full only when a balancer has stopped reading.
fn write_all(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    let deadline = Instant::now() + STALLED;
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

struct Receiver<'a> {
    plan: &'a Plan,
    start: Instant,
    poll: Poll,
    connections: Vec<Connection>,
    times: Vec<Duration>,
    /// Connections that have failed or ended early.
    lost: usize,
    first_failure: Option<String>,
}

struct Connection {
    stream: mio::net::TcpStream,
    /// Answers that have come, the last of them perhaps in part.
    answered: u64,
    received: usize,
    lost: bool,
}

impl<'a> Receiver<'a> {
    fn new(plan: &'a Plan, start: Instant, streams: Vec<TcpStream>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(streams.len());
        for (index, stream) in streams.into_iter().enumerate() {
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            connections.push(Connection { stream, answered: 0, received: 0, lost: false });
        }
        let times = Vec::with_capacity(usize::try_from(plan.total()).unwrap_or(0));
        Ok(Self { plan, start, poll, connections, times, lost: 0, first_failure: None })
    }

    fn run(&mut self) -> io::Result<()> {
        let _ = unix::run_first();
        let total = self.plan.total();
        let end = self.start + self.plan.due(total) + STALLED;
        let mut events = Events::with_capacity(256);
        while (self.times.len() as u64) < total && self.lost < self.connections.len() && Instant::now() < end {
            match self.poll.poll(&mut events, Some(Duration::from_millis(100))) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            for event in &events {
                self.on_readable(event.token().0);
            }
        }
        Ok(())
    }

    fn on_readable(&mut self, index: usize) {
        let mut buffer = [0; 4096];
        loop {
            let connection = &mut self.connections[index];
            if connection.lost {
                return;
            }
            let outcome = match connection.stream.read(&mut buffer) {
                Ok(0) => Err("closed with requests under way".to_owned()),
                Ok(count) => self.on_bytes(index, &buffer[..count]).map(|()| count == buffer.len()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
                Err(error) => Err(format!("read: {error}")),
            };
            match outcome {
                Ok(true) => {}
                Ok(false) => return,
                Err(reason) => {
                    self.connections[index].lost = true;
                    self.lost += 1;
                    self.first_failure.get_or_insert(reason);
                }
            }
        }
    }

    fn on_bytes(&mut self, index: usize, bytes: &[u8]) -> Result<(), String> {
        let now = Instant::now();
        let connections = self.connections.len() as u64;
        let connection = &mut self.connections[index];
        for byte in bytes {
            if *byte != wire::KEPT_ANSWER[connection.received] {
                return Err("a wrong byte".to_owned());
            }
            connection.received += 1;
            if connection.received == wire::KEPT_ANSWER.len() {
                let number = connection.answered * connections + index as u64;
                connection.answered += 1;
                connection.received = 0;
                self.times.push(now.saturating_duration_since(self.start + self.plan.due(number)));
            }
        }
        Ok(())
    }

    fn latencies(self, late: Times) -> Latencies {
        let failed = self.plan.total().saturating_sub(self.times.len() as u64);
        let first_failure = match failed {
            0 => self.first_failure,
            _ => self.first_failure.or_else(|| Some("answers that never came".to_owned())),
        };
        Latencies { times: Times(self.times), late, failed, first_failure }
    }
}
