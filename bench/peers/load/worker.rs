//! One thread of the load generator: a loop over its connections.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::client::{Client, Step};
use super::{FAILURES_MAX, Load, STALLED, Stop, Tally, Then};
use crate::wire;

/// How often a loop without events looks at the clock.
const TICK: Duration = Duration::from_millis(100);

/// Runs the load in the calling thread until all that was begun has ended.
pub(super) fn run(load: &Load, start: Instant) -> io::Result<Tally> {
    let mut worker = Worker {
        load,
        start,
        poll: Poll::new()?,
        clients: Vec::new(),
        unfinished: VecDeque::new(),
        live: 0,
        begun: 0,
        progress: start,
        scratch: vec![0; wire::PATTERN_RUN],
        tally: Tally::default(),
    };
    worker.clients.resize_with(load.connections, || None);
    worker.tally.shares = vec![0; load.connections];
    for slot in 0..load.connections {
        worker.open(slot);
    }
    worker.run()?;
    Ok(worker.tally)
}

struct Worker<'a> {
    load: &'a Load,
    start: Instant,
    poll: Poll,
    clients: Vec<Option<Client>>,
    /// Slots whose turn was over before their work was. No event tells of them again.
    unfinished: VecDeque<usize>,
    live: usize,
    /// Exchanges that have been begun.
    begun: u64,
    /// When bytes last came.
    progress: Instant,
    scratch: Vec<u8>,
    tally: Tally,
}

impl Worker<'_> {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(512);
        while self.live > 0 {
            let wait = if self.unfinished.is_empty() { TICK } else { Duration::ZERO };
            match self.poll.poll(&mut events, Some(wait)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            for _ in 0..self.unfinished.len() {
                let Some(slot) = self.unfinished.pop_front() else { break };
                self.on_ready(slot);
            }
            for event in &events {
                self.on_ready(event.token().0);
            }
            if matches!(self.load.stop, Stop::At(span) if self.start.elapsed() >= span) {
                self.tally.elapsed = self.start.elapsed();
                return Ok(());
            }
            if self.progress.elapsed() > STALLED {
                self.give_up();
            }
        }
        Ok(())
    }

    fn on_ready(&mut self, slot: usize) {
        let Some(mut client) = self.clients[slot].take() else { return };
        let before = client.moved();
        let received_before = client.received();
        let step = client.advance(&self.load.exchange, &mut self.scratch);
        if client.moved() > before {
            self.progress = Instant::now();
        }
        let received = (client.received() - received_before) as u64;
        self.tally.bytes += received;
        self.tally.shares[slot] += received;
        match step {
            Ok(Step::Waiting) => self.clients[slot] = Some(client),
            Ok(Step::More) => {
                self.clients[slot] = Some(client);
                self.unfinished.push_back(slot);
            }
            Ok(Step::Closed) => {
                drop(client);
                self.on_done(slot);
            }
            Ok(Step::Answered) if self.load.exchange.then == Then::Again => self.on_answered(slot, client),
            Ok(Step::Answered) => self.on_held(slot, client),
            Err(reason) => self.on_failed(slot, reason),
        }
    }

    fn on_answered(&mut self, slot: usize, mut client: Client) {
        self.count_done();
        if !self.begin() {
            self.live -= 1;
            return;
        }
        match client.again(&self.load.exchange) {
            Ok(step) => {
                self.clients[slot] = Some(client);
                if step == Step::More {
                    self.unfinished.push_back(slot);
                }
            }
            Err(reason) => self.on_failed(slot, reason),
        }
    }

    fn on_held(&mut self, slot: usize, mut client: Client) {
        // Whoever takes it over may watch it with a poll of its own.
        match self.poll.registry().deregister(&mut client.stream) {
            Ok(()) => {
                self.tally.held.push(client.stream);
                self.on_done(slot);
            }
            Err(error) => self.on_failed(slot, format!("epoll: {error}")),
        }
    }

    /// The exchange of a slot whose connection is over, or set aside, is done.
    fn on_done(&mut self, slot: usize) {
        self.count_done();
        self.live -= 1;
        self.open(slot);
    }

    fn on_failed(&mut self, slot: usize, reason: String) {
        self.tally.fail(|| reason);
        self.progress = Instant::now();
        self.live -= 1;
        self.open(slot);
    }

    fn count_done(&mut self) {
        self.tally.done += 1;
        self.tally.bytes += self.load.exchange.body as u64;
        self.tally.elapsed = self.start.elapsed();
    }

    /// Opens a connection in a free slot, unless the load is over.
    fn open(&mut self, slot: usize) {
        while self.begin() {
            let turn = usize::try_from(self.begun).unwrap_or(0) % self.load.addrs.len();
            match Client::connect(self.load.addrs[turn], self.poll.registry(), Token(slot)) {
                Ok(client) => {
                    self.clients[slot] = Some(client);
                    self.live += 1;
                    return;
                }
                Err(error) => self.tally.fail(|| format!("connect: {error}")),
            }
        }
    }

    /// Counts one more exchange as begun, unless the load is over.
    fn begin(&mut self) -> bool {
        let over = match self.load.stop {
            Stop::After(span) | Stop::At(span) => self.start.elapsed() >= span,
            Stop::Count(count) => self.begun >= count,
        };
        if over || self.tally.failed >= FAILURES_MAX {
            return false;
        }
        self.begun += 1;
        true
    }

    fn give_up(&mut self) {
        for client in self.clients.iter_mut().filter_map(Option::take) {
            self.tally.fail(|| format!("no byte came for {} s", STALLED.as_secs()));
            drop(client);
        }
        self.live = 0;
    }
}
