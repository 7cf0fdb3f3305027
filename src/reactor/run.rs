//! The loop: poll, clock once, socket events, accepts, ready queue, datagrams, timers, the mailbox, waiting clients,
//! reports.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

use crossbeam_channel::Receiver;
use mio::{Events, Poll};
use slab::Slab;

use super::Settings;
use super::access_log::Access;
use super::buffers::{Bounds, Buffers};
use super::gate::Gate;
use super::greet::Newcomers;
use super::hand::{Handed, Neighbour};
use super::listener::Listener;
use super::pair::Pair;
use super::question::Question;
use super::tcp::reset_both;
use super::tell::Untold;
use super::token::Meaning;
use super::udp::Udp;
use crate::balancer::{Balancer, Key};
use crate::model::counters::ReactorCounters;
use crate::model::id::{ListenerId, ReactorId, ServiceId};
use crate::model::limits::{DUE_PER_TURN, EVENTS_PER_TURN, SHRINK_AFTER};
use crate::model::outcome::CloseReason;
use crate::model::report::Report;
use crate::model::rng::Rng;
use crate::model::service::{ListenerSpec, ServiceSpec};
use crate::model::time::Moment;
use crate::model::update::{ListenSocket, Update};
use crate::sys::access_log::AccessLog;
use crate::sys::clock::Clock;
use crate::sys::mailbox::Mailbox;

/// What a reactor was told so far, which survives it: a reactor that panicked is started afresh from this.
#[derive(Default)]
pub(super) struct World {
    pub(super) services: BTreeMap<ServiceId, Arc<ServiceSpec>>,
    listeners: BTreeMap<ListenerId, (ListenerSpec, ListenSocket)>,
    drain_until: Option<Moment>,
}

/// What a reactor is made of, besides what it was told.
pub(super) struct Parts {
    pub(super) id: ReactorId,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
    pub(super) gate: Arc<Gate>,
    pub(super) counters: Arc<ReactorCounters>,
    /// All reactors by number if clients are handed over, none otherwise.
    pub(super) neighbours: Arc<[Neighbour]>,
    pub(super) handed: Receiver<Handed>,
    pub(super) mail: Receiver<Update>,
    pub(super) reports: Mailbox<Report>,
}

/// One event loop with all it owns.
pub(super) struct Reactor {
    pub(super) id: ReactorId,
    pub(super) settings: Arc<Settings>,
    pub(super) poll: Poll,
    pub(super) gate: Arc<Gate>,
    pub(super) counters: Arc<ReactorCounters>,
    pub(super) balancer: Balancer<Pair>,
    pub(super) neighbours: Arc<[Neighbour]>,
    pub(super) handed: Receiver<Handed>,
    pub(super) rng: Rng,
    pub(super) listeners: Slab<Listener>,
    /// Listeners that accept nothing at the moment.
    pub(super) disarmed: usize,
    pub(super) buffers: Buffers,
    /// Pairs that stand in line to move bytes.
    pub(super) ready: VecDeque<Key>,
    /// Pairs that found no buffer.
    pub(super) starved: Vec<Key>,
    /// Pairs that found no descriptor for their host.
    pub(super) short: Vec<Key>,
    /// Pairs that have moved bytes which their hosts' counters do not show.
    pub(super) untold: Untold,
    /// What the access log is to be told.
    pub(super) access: Access,
    /// Clients that have not said who they are.
    pub(super) newcomers: Newcomers,
    /// Datagrams.
    pub(super) udp: Udp,
    /// What is asked of the sessions, the oldest first.
    pub(super) questions: VecDeque<Question>,
    /// Turns of the loop so far.
    pub(super) turn: u64,
    /// The last turn in which somebody had something small to do.
    pub(super) small_at: u64,
    /// When accepting goes on after a local shortage.
    pub(super) resume_at: Option<Moment>,
    /// When what is kept for later is freed.
    shrink_at: Option<Moment>,
    /// Something was freed in this turn that somebody may wait for.
    pub(super) freed: bool,
    /// The manager has been told of this pause at the limit.
    pub(super) limit_told: bool,
    pub(super) world: World,
    clock: Clock,
    mail: Receiver<Update>,
    reports: Mailbox<Report>,
}

impl Reactor {
    pub(super) fn new(parts: &Parts, poll: Poll, world: World, seed: u64) -> Self {
        let counters = Arc::clone(&parts.counters);
        let settings = &parts.settings;
        let bounds = Bounds {
            size: settings.buffer_bytes,
            max: settings.buffers_max,
            pipes_max: settings.pipes_max,
            splice: settings.splice,
        };
        let buffers = Buffers::new(bounds, Arc::clone(&counters));
        let mut reactor = Self {
            id: parts.id,
            settings: Arc::clone(&parts.settings),
            poll,
            gate: Arc::clone(&parts.gate),
            counters,
            balancer: Balancer::new(seed),
            neighbours: Arc::clone(&parts.neighbours),
            handed: parts.handed.clone(),
            rng: Rng::new(!seed),
            listeners: Slab::new(),
            disarmed: 0,
            buffers,
            ready: VecDeque::new(),
            starved: Vec::new(),
            short: Vec::new(),
            untold: Untold::default(),
            access: Access::new(AccessLog::new(&parts.settings.access, usize::from(parts.id.0))),
            newcomers: Newcomers::default(),
            udp: Udp::of(settings, seed),
            questions: VecDeque::new(),
            turn: 0,
            small_at: 0,
            resume_at: None,
            shrink_at: None,
            freed: false,
            limit_told: false,
            world,
            clock: parts.clock,
            mail: parts.mail.clone(),
            reports: parts.reports.clone(),
        };
        let now = reactor.clock.read();
        for spec in reactor.world.services.values() {
            reactor.balancer.apply(Arc::clone(spec));
        }
        let listeners: Vec<_> = reactor.world.listeners.values().cloned().collect();
        for (spec, socket) in listeners {
            reactor.open_listener(now, spec, socket);
        }
        reactor
    }

    /// Runs until it has drained. Returns how many connections were cut.
    pub(super) fn run(&mut self) -> u32 {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        // Mail that a reactor before this one was woken for.
        let now = self.clock.read();
        self.read_mail(now);
        self.take_handed(now);
        let mut stopped = self.clock.rest();
        loop {
            if let Some(cut) = self.drained(self.clock.last()) {
                return cut;
            }
            let planned = self.timeout();
            if self.poll.poll(&mut events, planned).is_err() {
                // EINTR. Any other error of epoll_wait(2) would be a defect of this program.
                events.clear();
            }
            let reading = self.clock.wake(planned);
            let frozen = stopped || !reading.frozen.is_zero();
            if frozen {
                self.counters.freezes.fetch_add(1, Relaxed);
            }
            let seen = events.iter().count();
            self.turn(reading.now, &events, !frozen || seen < EVENTS_PER_TURN);
            stopped = self.clock.rest();
            self.counters.turn_ended(seen, self.clock.last().since(reading.now));
        }
    }

    /// One turn. After a freeze timers wait until every event that piled up has been seen.
    fn turn(&mut self, now: Moment, events: &Events, all_seen: bool) {
        self.turn += 1;
        let mut has_mail = false;
        for event in events {
            match Meaning::of(event.token()) {
                Meaning::Waker => has_mail = true,
                Meaning::Client(key) => self.on_client(now, key, event),
                Meaning::Newcomer(key) => self.on_newcomer(now, key, event),
                Meaning::Host(key, attempt) => self.on_host(now, key, attempt, event),
                Meaning::Listener(_) | Meaning::Datagrams(_) | Meaning::Answers(_) => {}
            }
        }
        for event in events {
            if let Meaning::Listener(number) = Meaning::of(event.token()) {
                self.accept(now, number as usize);
            }
        }
        self.run_ready(now);
        self.move_datagrams(now, events, all_seen);
        for _ in 0..if all_seen { DUE_PER_TURN } else { 0 } {
            let Some((key, due)) = self.balancer.next_due(now) else { break };
            self.on_due(now, key, due);
        }
        self.expire_newcomers(now);
        self.tell_due(now);
        if has_mail {
            self.freed = true;
            self.read_mail(now);
            self.take_handed(now);
        }
        self.answer(now);
        self.tell_ongoing(now);
        self.serve_waiting(now);
        self.serve_short(now);
        self.resume(now);
        self.freed = false;
        self.shrink(now);
        self.send_reports();
        let open = self.balancer.len() + self.newcomers.len();
        self.counters.open.store(u32::try_from(open).unwrap_or(u32::MAX), Relaxed);
    }

    /// Frees what was kept after a peak, some time later: a loop that has nothing left to free sleeps without end.
    fn shrink(&mut self, now: Moment) {
        if self.shrink_at.take_if(|at| *at <= now).is_some() {
            self.buffers.shrink();
            self.untold.shrink();
            if self.balancer.is_oversized() {
                self.balancer.shrink();
                self.newcomers.shrink(self.balancer.slots());
            }
            self.access.shrink(self.balancer.slots());
            let (udp, around) = self.udp();
            udp.shrink(&around, now);
        } else if self.shrink_at.is_none()
            && (self.buffers.keeps_any() || self.balancer.is_oversized() || self.udp.keeps_any())
        {
            self.shrink_at = Some(now.after(SHRINK_AFTER));
        }
    }

    fn serve_waiting(&mut self, now: Moment) {
        if !self.balancer.has_waiting() {
            return;
        }
        // Whoever frees a place from here on wakes us.
        self.gate.wait(self.id);
        while let Some((key, next)) = self.balancer.next_waiting(now) {
            self.advance(now, key, next);
        }
    }

    fn read_mail(&mut self, now: Moment) {
        while let Ok(update) = self.mail.try_recv() {
            match update {
                Update::Service(spec) => {
                    let known = self.world.services.get(&spec.id);
                    if known.is_none_or(|known| known.generation < spec.generation) {
                        self.world.services.insert(spec.id, Arc::clone(&spec));
                        self.udp.flows.apply_known(&spec);
                        self.balancer.apply(spec);
                    }
                }
                Update::Remove(service) => {
                    self.world.services.remove(&service);
                    self.balancer.remove(service);
                    self.udp.flows.remove(service);
                }
                Update::Listen(spec, socket) => {
                    self.world.listeners.insert(spec.id, (spec.clone(), socket.clone()));
                    self.open_listener(now, spec, socket);
                }
                Update::Unlisten(id) => {
                    self.world.listeners.remove(&id);
                    let number = self.listeners.iter().find(|(_, listener)| listener.spec.id == id);
                    if let Some(number) = number.map(|(number, _)| number) {
                        self.unlisten(now, number);
                    } else {
                        let (udp, around) = self.udp();
                        udp.unlisten(&around, now, id);
                    }
                }
                Update::Drain(wait) => self.drain(now, wait),
                Update::Sessions(query) => self.ask(Question::list(query)),
                Update::Kill(request) => self.ask(Question::kill(request)),
            }
            self.counters.mail_read.fetch_add(1, Release);
        }
    }

    fn drain(&mut self, now: Moment, wait: Duration) {
        // First what a reactor that panics below must still know.
        self.world.drain_until = Some(now.after(wait));
        self.world.listeners.clear();
        for number in self.listener_numbers() {
            self.unlisten(now, number);
        }
        let (udp, around) = self.udp();
        udp.drain(&around, now);
    }

    /// The moment of this turn.
    pub(super) const fn now(&self) -> Moment {
        self.clock.last()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.world.drain_until.is_some()
    }

    /// Once draining: how many connections are cut, when the last has finished or the time is up.
    fn drained(&mut self, now: Moment) -> Option<u32> {
        let until = self.world.drain_until?;
        let is_empty = self.balancer.is_empty() && self.newcomers.is_empty() && self.udp.flows.is_empty();
        if !(is_empty && self.handed.is_empty()) && now < until {
            return None;
        }
        let cut = self.balancer.len() + self.newcomers.len() + self.udp.cut(now);
        self.refuse_newcomers(now, CloseReason::Drained);
        let keys: Vec<Key> = (0..self.balancer.slots()).filter_map(|slot| self.balancer.key_at(slot)).collect();
        for key in keys {
            self.cut(now, key, CloseReason::Drained);
        }
        self.counters.open.store(0, Relaxed);
        Some(u32::try_from(cut).unwrap_or(u32::MAX))
    }

    fn timeout(&self) -> Option<Duration> {
        let starved = !self.starved.is_empty() && self.buffers.available();
        if !self.ready.is_empty() || starved || !self.questions.is_empty() {
            return Some(Duration::ZERO);
        }
        let told = [self.untold.deadline(), self.access.deadline(), self.newcomers.next_deadline()];
        let own = [self.balancer.next_deadline(), self.resume_at, self.shrink_at, self.world.drain_until];
        let deadlines = own.into_iter().chain(told).chain([self.udp.next_deadline()]);
        let first = deadlines.flatten().min()?;
        Some(first.since(self.clock.last()))
    }

    pub(super) fn report(&self, report: Report) {
        if self.reports.post(report).is_err() {
            self.counters.reports_dropped.fetch_add(1, Relaxed);
        }
    }

    fn send_reports(&mut self) {
        self.log_flows();
        let Self { balancer, udp, reports, counters, .. } = self;
        for report in balancer.take_reports().chain(udp.flows.take_reports()) {
            if reports.post(report).is_err() {
                counters.reports_dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// After a panic: settles the accounts of all sessions and resets their sockets. Returns the poll, what the
    /// reactor had been told, and how many pairs were lost.
    pub(super) fn abandon(mut self) -> (Poll, World, u32) {
        // What is told here must not stand in the way of what is settled below.
        let _ = catch_unwind(AssertUnwindSafe(|| self.log_lost()));
        let lost = self.balancer.abandon();
        let (udp, around) = self.udp();
        let flows = udp.abandon(&around);
        let count = u32::try_from(lost.len() + self.newcomers.len() + flows).unwrap_or(u32::MAX);
        self.abandon_newcomers();
        for mut pair in lost {
            reset_both(&mut pair);
            self.gate.leave(self.id);
        }
        self.gate.set_short(self.id, false);
        self.gate.unclaim(self.id);
        self.counters.open.store(0, Relaxed);
        self.counters.buffers.store(0, Relaxed);
        self.counters.pipes.store(0, Relaxed);
        for number in self.listener_numbers() {
            let listener = self.listeners.remove(number);
            crate::sys::listener::unwatch(&self.poll, &listener.socket);
        }
        (self.poll, self.world, count)
    }
}
