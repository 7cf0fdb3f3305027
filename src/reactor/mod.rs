//! The data plane's shell: one thread a reactor, each with a poll, listeners and sessions of its own.
//!
//! It owns every data socket and makes every system call of the byte path; what to do is decided by
//! [`crate::balancer`]. It knows no names, no groups, no files, and never waits for another thread. A panic ends one
//! reactor's sessions, never the process: the thread starts afresh from what it had been told.

mod buffers;
mod drive;
mod gate;
mod hand;
mod listener;
mod pair;
mod pump;
mod question;
mod run;
mod tcp;
mod tell;
mod token;
mod udp;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};

use crossbeam_channel::Receiver;
use mio::{Poll, Waker};

use crate::model::counters::ReactorCounters;
use crate::model::id::ReactorId;
use crate::model::limits::PANIC_PAUSE;
use crate::model::report::Report;
use crate::model::update::Update;
use crate::sys::clock::Clock;
use crate::sys::cpu;
use crate::sys::mailbox::Mailbox;
use gate::Gate;
use hand::{Handed, Neighbour};
use run::{Parts, Reactor, World};
use token::Meaning;

/// When bytes are spliced through a pipe, instead of copied through a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Splice {
    /// In directions that stream.
    Auto,
    /// As soon as a direction fills a buffer.
    On,
    /// Never.
    Off,
}

/// What the reactors are told once, at their start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Processor of each reactor; as many reactors as entries, [`crate::model::limits::REACTORS_MAX`] at most. `None`:
    /// not bound to one.
    pub cpus: Vec<Option<usize>>,
    /// Most open pairs over all reactors.
    pub max_connections: u32,
    /// Most flows of datagrams over all reactors.
    pub flows_max: u32,
    /// Most sockets towards hosts that one reactor has for them.
    pub flow_sockets_max: usize,
    /// Size of a buffer, in bytes.
    pub buffer_bytes: usize,
    /// Most buffers that one reactor may lease.
    pub buffers_max: usize,
    /// When to splice.
    pub splice: Splice,
    /// Most pipes of one reactor, [`crate::model::limits::PIPES_MAX`] at most.
    pub pipes_max: usize,
    /// Most connections a listener accepts in one turn.
    pub accept_batch: usize,
    /// Whether clients are handed to reactors with fewer connections.
    pub rebalance: bool,
    /// For tests of containment: the reactor panics at this accepted connection. Debug builds only.
    pub panic_at: Option<u64>,
}

/// The running reactors.
#[derive(Debug)]
pub struct Reactors {
    mailboxes: Vec<Mailbox<Update>>,
    counters: Vec<Arc<ReactorCounters>>,
    threads: Vec<JoinHandle<u32>>,
}

impl Reactors {
    /// Starts the threads. They end after [`Update::Drain`].
    ///
    /// # Errors
    /// A thread, poll or eventfd cannot be made.
    pub fn start(settings: &Settings, clock: Clock, reports: &Mailbox<Report>) -> io::Result<Self> {
        let settings = Arc::new(settings.clone());
        let polls = settings.cpus.iter().map(|_| Poll::new()).collect::<io::Result<Vec<Poll>>>()?;
        let waker = |poll: &Poll| Waker::new(poll.registry(), Meaning::Waker.token()).map(Arc::new);
        let wakers = polls.iter().map(waker).collect::<io::Result<Vec<_>>>()?;
        let gate = Arc::new(Gate::new(settings.max_connections, wakers.clone()));
        let mut reactors = Self { mailboxes: Vec::new(), counters: Vec::new(), threads: Vec::new() };
        let (neighbours, handed): (Vec<_>, Vec<_>) = wakers.iter().map(neighbour).unzip();
        let seen: Arc<[Neighbour]> = if settings.rebalance { neighbours.clone().into() } else { Arc::default() };
        let each = polls.into_iter().zip(wakers).zip(neighbours).zip(handed);
        for (number, (((poll, waker), Neighbour { counters, .. }), handed)) in (0..).zip(each) {
            let (mailbox, mail) = Mailbox::new(waker);
            let parts = Parts {
                id: ReactorId(number),
                settings: Arc::clone(&settings),
                clock,
                gate: Arc::clone(&gate),
                counters: Arc::clone(&counters),
                neighbours: Arc::clone(&seen),
                handed,
                mail,
                reports: reports.clone(),
            };
            let thread = thread::Builder::new().name(format!("reactor-{number}")).spawn(move || live(&parts, poll))?;
            reactors.mailboxes.push(mailbox);
            reactors.counters.push(counters);
            reactors.threads.push(thread);
        }
        Ok(reactors)
    }

    /// One mailbox a reactor, by number.
    #[must_use]
    pub fn mailboxes(&self) -> &[Mailbox<Update>] {
        &self.mailboxes
    }

    /// One set of counters a reactor, by number.
    #[must_use]
    pub fn counters(&self) -> &[Arc<ReactorCounters>] {
        &self.counters
    }

    /// Waits for all reactors to end and returns how many connections were cut.
    #[must_use]
    pub fn join(self) -> u32 {
        self.threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
    }
}

/// What others see of the reactor with this waker, and where it gets what they hand to it.
fn neighbour(waker: &Arc<Waker>) -> (Neighbour, Receiver<Handed>) {
    let (mailbox, handed) = Mailbox::new(Arc::clone(waker));
    (Neighbour { mailbox, counters: Arc::default() }, handed)
}

/// The life of a reactor's thread: the loop, and after a panic a new one in its place.
fn live(parts: &Parts, mut poll: Poll) -> u32 {
    if let Some(Some(cpu)) = parts.settings.cpus.get(usize::from(parts.id.0))
        && let Err(error) = cpu::pin(*cpu)
    {
        log::warn!("reactor {} runs unpinned: processor {cpu} cannot be used: {error}", parts.id);
    }
    let mut world = World::default();
    loop {
        let seed =
            u64::from(parts.id.0) << 48 ^ u64::from(std::process::id()) << 16 ^ parts.counters.panics.load(Relaxed);
        let mut reactor = Reactor::new(parts, poll, world, seed);
        if let Ok(cut) = catch_unwind(AssertUnwindSafe(|| reactor.run())) {
            return cut;
        }
        let panics = parts.counters.panics.fetch_add(1, Relaxed);
        if panics > 0 {
            // One that repeats must not take a processor.
            thread::sleep(PANIC_PAUSE);
        }
        let lost;
        (poll, world, lost) = reactor.abandon();
        if parts.reports.post(Report::ReactorRestarted { reactor: parts.id, lost }).is_err() {
            parts.counters.reports_dropped.fetch_add(1, Relaxed);
        }
    }
}
