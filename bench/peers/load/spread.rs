//! A fixed number of requests under way, whatever the number of connections that they are spread over.
//!
//! Every connection has its turn: when an answer is complete, the next request goes to the connection whose last request
//! was longest ago. So the work at any moment is the same with ten connections and with thousands, and what differs in
//! cost is what their number costs.

use std::io::{self, ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use super::{Exchange, STALLED, Tally};

/// How often a loop without events looks at the clock.
const TICK: Duration = Duration::from_millis(100);

/// Open connections that take requests in turn. Dropping it resets them, so that thousands leave nothing behind that
/// the next measurement would meet.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    streams: Vec<TcpStream>,
}

impl Spread {
    /// Adds connections that have no request under way and no poll that watches them.
    pub(crate) fn add(&mut self, streams: Vec<TcpStream>) {
        self.streams.extend(streams);
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Asks for `exchange` over and over for `span`, with `window` requests under way, by up to `threads` threads.
    pub(crate) fn run(
        &mut self,
        exchange: &Exchange,
        window: usize,
        span: Duration,
        threads: usize,
    ) -> io::Result<Tally> {
        let threads = threads.min(window).max(1);
        let share = self.streams.len().div_ceil(threads).max(1);
        let start = Instant::now();
        let outcomes = thread::scope(|scope| {
            let turns: Vec<_> = self
                .streams
                .chunks_mut(share)
                .map(|streams| {
                    let window = (window / threads).max(1);
                    scope.spawn(move || Turns::new(exchange, streams, start)?.run(window, span))
                })
                .collect();
            turns.into_iter().map(|turns| turns.join()).collect::<Vec<_>>()
        });
        let mut total = Tally::default();
        for outcome in outcomes {
            total.add(outcome.map_err(|_| io::Error::other("a load thread panicked"))??);
        }
        Ok(total)
    }
}

impl Drop for Spread {
    fn drop(&mut self) {
        for stream in &self.streams {
            // One that cannot be set ends in the usual way.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// One thread's connections.
struct Turns<'a> {
    exchange: &'a Exchange,
    streams: &'a mut [TcpStream],
    /// Bytes of the answer that have come, where one is under way.
    received: Vec<Option<usize>>,
    /// Whose turn is next, if it is idle.
    next: usize,
    live: usize,
    poll: Poll,
    start: Instant,
    tally: Tally,
}

impl<'a> Turns<'a> {
    fn new(exchange: &'a Exchange, streams: &'a mut [TcpStream], start: Instant) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (index, stream) in streams.iter_mut().enumerate() {
            poll.registry().register(stream, Token(index), Interest::READABLE)?;
        }
        let received = vec![None; streams.len()];
        Ok(Self { exchange, streams, received, next: 0, live: 0, poll, start, tally: Tally::default() })
    }

    fn run(mut self, window: usize, span: Duration) -> io::Result<Tally> {
        let mut events = Events::with_capacity(512);
        let mut scratch = vec![0; 64 << 10];
        for _ in 0..window.min(self.streams.len()) {
            self.ask();
        }
        let mut progress = Instant::now();
        while self.live > 0 && progress.elapsed() < STALLED {
            match self.poll.poll(&mut events, Some(TICK)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            for event in &events {
                progress = Instant::now();
                let answered = match self.on_readable(event.token().0, &mut scratch) {
                    Ok(answered) => answered,
                    Err(reason) => return Ok(self.given_up(reason)),
                };
                if answered && self.start.elapsed() < span {
                    self.ask();
                }
            }
        }
        if self.live > 0 {
            return Ok(self.given_up(format!("no byte came for {} s", STALLED.as_secs())));
        }
        for stream in self.streams.iter_mut() {
            self.poll.registry().deregister(stream)?;
        }
        Ok(self.tally)
    }

    /// Sends a request on the next connection that has none under way.
    fn ask(&mut self) {
        let count = self.streams.len();
        for _ in 0..count {
            let index = self.next;
            self.next = (self.next + 1) % count;
            if self.received[index].is_some() {
                continue;
            }
            match self.streams[index].write(self.exchange.request) {
                Ok(written) if written == self.exchange.request.len() => {
                    self.received[index] = Some(0);
                    self.live += 1;
                }
                Ok(_) => self.tally.fail(|| "a request was not taken whole".to_owned()),
                Err(error) => self.tally.fail(|| format!("write: {error}")),
            }
            return;
        }
    }

    /// `true` when the answer that is under way has become complete.
    fn on_readable(&mut self, index: usize, scratch: &mut [u8]) -> Result<bool, String> {
        loop {
            let count = match self.streams[index].read(scratch) {
                Ok(0) => return Err("closed".to_owned()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(format!("read: {error}")),
            };
            let at = self.received[index].ok_or("bytes that nobody asked for")?;
            self.exchange.answer.compare(at, &scratch[..count])?;
            self.tally.bytes += count as u64;
            self.received[index] = Some(at + count);
            if at + count == self.exchange.answer.len() {
                self.received[index] = None;
                self.live -= 1;
                self.tally.done += 1;
                self.tally.elapsed = self.start.elapsed();
                return Ok(true);
            }
            if count < scratch.len() {
                return Ok(false);
            }
        }
    }

    /// What was done until something went wrong; all that is under way then counts as failed.
    fn given_up(mut self, reason: String) -> Tally {
        self.tally.fail(|| reason);
        self.tally.failed += self.live.saturating_sub(1) as u64;
        self.tally
    }
}
