//! Many short connections, each with an id and bytes of its own in both directions, so that a byte lost, added or handed
//! to the wrong connection shows, and so does a client that was served twice.
//!
//! A client sends its id, two lengths and so many bytes; the host answers with the id, how many bytes were right, and so
//! many bytes of its own; then the host closes.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::host::Visit;
use super::pattern::Pattern;
use super::socket::{self, End};
use super::wait::PATIENCE;

/// A connection that takes longer than this is slow.
pub const SLOW: Duration = Duration::from_millis(200);

const HEAD_BYTES: usize = 24;

/// What load to make.
#[derive(Clone, Debug)]
pub struct Churn {
    /// Where to.
    pub addr: SocketAddr,
    /// How many connections.
    pub connections: u64,
    /// How many at a time.
    pub concurrency: usize,
    /// How many a second; none: as fast as it goes.
    pub per_second: Option<u32>,
    /// Bytes each way beside the heads.
    pub up: u32,
    /// See `up`.
    pub down: u32,
    /// Time a connection may take.
    pub within: Duration,
    /// Distinguishes ids of several loads.
    pub tag: u32,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Connections that got every byte and a clean end.
    pub ok: u64,
    /// Connects that were refused.
    pub refused: u64,
    /// Connections that were reset.
    pub reset: u64,
    /// Connections that ended cleanly before all bytes had come.
    pub truncated: u64,
    /// Connections with a wrong byte.
    pub wrong: u64,
    /// Connections that were not done in time.
    pub timed_out: u64,
    /// Other errors.
    pub other: u64,
    /// Connections that took longer than [`SLOW`], whatever came of them.
    pub slow: u64,
    /// Sum of the bytes that clients sent and received on good connections.
    pub bytes: (u64, u64),
    /// Time each connection took, sorted.
    pub times: Vec<Duration>,
    /// From the first connect to the last close.
    pub elapsed: Duration,
}

impl Churn {
    /// So many connections, so many at a time, with 100 bytes each way.
    pub fn new(addr: SocketAddr, connections: u64, concurrency: usize) -> Self {
        Self { addr, connections, concurrency, per_second: None, up: 100, down: 100, within: PATIENCE, tag: 0 }
    }

    /// Paces the connects evenly.
    #[must_use]
    pub const fn per_second(mut self, rate: u32) -> Self {
        self.per_second = Some(rate);
        self
    }

    /// Bytes each way.
    #[must_use]
    pub const fn payload(mut self, up: u32, down: u32) -> Self {
        (self.up, self.down) = (up, down);
        self
    }

    /// Distinguishes this load's ids.
    #[must_use]
    pub const fn tag(mut self, tag: u32) -> Self {
        self.tag = tag;
        self
    }

    /// Runs to the end.
    pub fn run(&self) -> Tally {
        self.run_until(&AtomicBool::new(false))
    }

    /// Runs until all connections are made or `stop` is set.
    pub fn run_until(&self, stop: &AtomicBool) -> Tally {
        let (next, start) = (AtomicU64::new(0), Instant::now());
        let mut sum = Tally::default();
        thread::scope(|scope| {
            let worker = || self.work(&next, start, stop);
            let workers: Vec<_> = (0..self.concurrency).map(|_| scope.spawn(worker)).collect();
            for worker in workers {
                sum.add(worker.join().expect("a client thread panicked"));
            }
        });
        sum.elapsed = start.elapsed();
        sum.times.sort_unstable();
        sum
    }

    fn work(&self, next: &AtomicU64, start: Instant, stop: &AtomicBool) -> Tally {
        let mut tally = Tally::default();
        while !stop.load(Relaxed) {
            let number = next.fetch_add(1, Relaxed);
            if number >= self.connections {
                break;
            }
            if let Some(rate) = self.per_second {
                let due = start + Duration::from_secs(1) / rate * u32::try_from(number).unwrap();
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let begun = Instant::now();
            let outcome = self.visit((u128::from(self.tag) << 64) | u128::from(number));
            tally.count(outcome, begun.elapsed(), self);
        }
        tally
    }

    fn visit(&self, id: u128) -> Outcome {
        let stream = match TcpStream::connect_timeout(&self.addr, self.within) {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Outcome::Refused,
            Err(error) => return Outcome::ended(error.into()),
        };
        let _ = stream.set_write_timeout(Some(self.within));
        let mut request = head(id, self.up, self.down).to_vec();
        request.extend(Pattern::new(seed(id)).bytes(self.up as usize));
        if let Err(error) = (&stream).write_all(&request) {
            return Outcome::ended(error.into());
        }
        let mut answer = Vec::with_capacity(HEAD_BYTES + self.down as usize);
        let received = socket::receive(&stream, self.within, |piece| answer.extend_from_slice(piece));
        if received.end != End::Eof {
            return Outcome::ended(received.end);
        }
        let mut expected = head(id, self.up, self.down).to_vec();
        expected.extend(Pattern::new(!seed(id)).bytes(self.down as usize));
        if answer == expected {
            Outcome::Ok
        } else if expected.starts_with(&answer) {
            Outcome::Truncated
        } else {
            Outcome::Wrong
        }
    }
}

impl Tally {
    /// All connections.
    pub fn total(&self) -> u64 {
        self.ok + self.failed()
    }

    /// Connections that did not get what they should.
    pub const fn failed(&self) -> u64 {
        self.refused + self.reset + self.truncated + self.wrong + self.timed_out + self.other
    }

    /// The time that this share (0 to 1) of the connections stayed below.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.times.len().saturating_sub(1);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of an index")]
        let index = (last as f64 * share) as usize;
        self.times.get(index).copied().unwrap_or_default()
    }

    /// The longest time.
    pub fn worst(&self) -> Duration {
        self.quantile(1.0)
    }

    /// Adds another load's outcome.
    pub fn add(&mut self, other: Self) {
        self.ok += other.ok;
        self.refused += other.refused;
        self.reset += other.reset;
        self.truncated += other.truncated;
        self.wrong += other.wrong;
        self.timed_out += other.timed_out;
        self.other += other.other;
        self.slow += other.slow;
        self.bytes = (self.bytes.0 + other.bytes.0, self.bytes.1 + other.bytes.1);
        self.elapsed = self.elapsed.max(other.elapsed);
        self.times.extend(other.times);
        self.times.sort_unstable();
    }

    fn count(&mut self, outcome: Outcome, took: Duration, load: &Churn) {
        match outcome {
            Outcome::Ok => {
                self.ok += 1;
                self.bytes.0 += HEAD_BYTES as u64 + u64::from(load.up);
                self.bytes.1 += HEAD_BYTES as u64 + u64::from(load.down);
            }
            Outcome::Refused => self.refused += 1,
            Outcome::Reset => self.reset += 1,
            Outcome::Truncated => self.truncated += 1,
            Outcome::Wrong => self.wrong += 1,
            Outcome::TimedOut => self.timed_out += 1,
            Outcome::Other => self.other += 1,
        }
        self.slow += u64::from(took > SLOW);
        self.times.push(took);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections in {:.2} s, {} failed ({} refused, {} reset, {} truncated, {} wrong, {} late, {} other), \
             {} above 200 ms, p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms",
            self.total(),
            self.elapsed.as_secs_f64(),
            self.failed(),
            self.refused,
            self.reset,
            self.truncated,
            self.wrong,
            self.timed_out,
            self.other,
            self.slow,
            super::wait::millis(self.quantile(0.5)),
            super::wait::millis(self.quantile(0.99)),
            super::wait::millis(self.worst()),
        )
    }
}

/// Serves one client of the load; the host's script.
pub fn serve(visit: &Visit) {
    let mut request = [0; HEAD_BYTES];
    if !visit.read_exact(&mut request) {
        return;
    }
    let id = u128::from_be_bytes(request[..16].try_into().unwrap());
    let up = u32::from_be_bytes(request[16..20].try_into().unwrap());
    let down = u32::from_be_bytes(request[20..].try_into().unwrap());
    let mut body = vec![0; up as usize];
    if !visit.read_exact(&mut body) {
        return;
    }
    let right = Pattern::new(seed(id)).check(&body).map_or_else(|right| right, |()| u64::from(up));
    visit.count_id(id);
    let mut answer = head(id, u32::try_from(right).unwrap(), down).to_vec();
    answer.extend(Pattern::new(!seed(id)).bytes(down as usize));
    visit.send(&answer);
    visit.finish_sending();
    // Reading to the end keeps the close from turning into a reset, and the port from being held here.
    let mut rest = [0; 16];
    while let Ok(1..) = (&*visit.stream).read(&mut rest) {}
    socket::shut(&visit.stream, Shutdown::Both);
}

enum Outcome {
    Ok,
    Refused,
    Reset,
    Truncated,
    Wrong,
    TimedOut,
    Other,
}

impl Outcome {
    const fn ended(end: End) -> Self {
        match end {
            End::Eof => Self::Truncated,
            End::Reset => Self::Reset,
            End::Deadline => Self::TimedOut,
            End::Failed(_) => Self::Other,
        }
    }
}

fn head(id: u128, up: u32, down: u32) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..16].copy_from_slice(&id.to_be_bytes());
    head[16..20].copy_from_slice(&up.to_be_bytes());
    head[20..].copy_from_slice(&down.to_be_bytes());
    head
}

fn seed(id: u128) -> u64 {
    let bytes = id.to_be_bytes();
    u64::from_be_bytes(bytes[..8].try_into().unwrap()) ^ u64::from_be_bytes(bytes[8..].try_into().unwrap())
}
