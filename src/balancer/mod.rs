//! The data plane's brain: sessions, where they go, and when their time is up. One a reactor.
//!
//! It never touches a socket, a clock or global state. `T` is what the shell keeps for a session (sockets and buffers;
//! a script in the simulator): one key, one lifetime. Decisions are returned by value; what happens rarely is queued
//! as a [`Report`].

mod admit;
mod affinity;
pub mod candidates;
mod due;
mod flow;
pub mod flows;
mod index;
pub mod invariants;
mod memory;
mod place;
pub mod pool;
pub mod scheduler;
mod session;
#[cfg(test)]
mod tests;
mod tier;
pub mod timer;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use slab::Slab;

pub use due::Due;
pub use flow::Onward;
pub use session::{Key, State};
pub use view::View;

use crate::model::address::Endpoint;
use crate::model::counters::ServiceCounters;
use crate::model::id::ServiceId;
use crate::model::limits::EXACT_HOSTS_MAX;
use crate::model::outcome::CloseReason;
use crate::model::report::Report;
use crate::model::rng::Rng;
use crate::model::service::ServiceSpec;
use crate::model::time::Moment;
use pool::Pool;
use session::{NO_HOST, Session};
use timer::Wheel;

/// Where the shell is to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host's address.
    pub addr: Endpoint,
    /// Whether the connection could meet itself, so that the shell must look.
    pub may_meet_itself: bool,
}

/// What comes next for a session that is not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Connect there.
    Connect(Target),
    /// Nothing now: it waits for room at a host or for a local failure to pass. [`Balancer::next_due`] or
    /// [`Balancer::next_waiting`] brings it back.
    Wait,
    /// It cannot be served; [`Balancer::close`] it with this reason.
    Close(CloseReason),
}

/// Bytes that a session moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From the client to the host.
    pub up: u64,
    /// From the host to the client.
    pub down: u64,
}

pub(crate) struct Service {
    spec: Arc<ServiceSpec>,
    pool: Pool,
    sessions: u32,
    waiting: VecDeque<Key>,
    /// Where it stands among the services with clients in their queue, if it does.
    queued_at: usize,
    /// When nobody in the queue could be placed: the generation, and how often a full host had got room until then.
    stuck: Option<(u64, u64)>,
    retired: bool,
    /// Until when nobody is told of clients that were turned away.
    quiet_until: Moment,
}

/// The sessions of one reactor and the services they belong to.
pub struct Balancer<T> {
    sessions: Slab<Session<T>>,
    services: Slab<Service>,
    index: BTreeMap<ServiceId, usize>,
    timers: Wheel,
    generation: u32,
    rng: Rng,
    reports: Vec<Report>,
    /// Services with clients in their queue.
    queued: Vec<u32>,
    /// Those among them that [`Self::next_waiting`] has still to look at; `None` between its sweeps.
    sweep: Option<usize>,
    /// Hosts of a group up to which each choice looks at all.
    exact_hosts_max: usize,
    /// Sessions of removed services that can never be served.
    stranded: Vec<Key>,
    /// Whether sessions are flows of datagrams.
    of_flows: bool,
}

impl<T> Balancer<T> {
    /// An empty balancer. The seed decides its random choices.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_exact_hosts_max(seed, EXACT_HOSTS_MAX)
    }

    /// As [`Self::new`], with another [`EXACT_HOSTS_MAX`]: a simulation needs few hosts to see what many do.
    #[must_use]
    pub fn with_exact_hosts_max(seed: u64, exact_hosts_max: usize) -> Self {
        Self {
            sessions: Slab::new(),
            services: Slab::new(),
            index: BTreeMap::new(),
            timers: Wheel::default(),
            generation: 0,
            rng: Rng::new(seed),
            reports: Vec::new(),
            queued: Vec::new(),
            sweep: None,
            exact_hosts_max,
            stranded: Vec::new(),
            of_flows: false,
        }
    }

    /// As [`Self::with_exact_hosts_max`], for sessions that are flows of datagrams: a silence ends them.
    #[must_use]
    pub fn of_flows(seed: u64, exact_hosts_max: usize) -> Self {
        Self { of_flows: true, ..Self::with_exact_hosts_max(seed, exact_hosts_max) }
    }

    /// Takes over a service's specification, unless a later one is in force.
    pub fn apply(&mut self, spec: Arc<ServiceSpec>) {
        let Some(&slot) = self.index.get(&spec.id) else {
            let id = spec.id;
            let pool = Pool::new(&spec, self.exact_hosts_max, &mut self.rng);
            let service = Service {
                spec,
                pool,
                sessions: 0,
                waiting: VecDeque::new(),
                queued_at: 0,
                stuck: None,
                retired: false,
                quiet_until: Moment::START,
            };
            let slot = self.services.insert(service);
            self.index.insert(id, slot);
            return;
        };
        let service = &mut self.services[slot];
        if service.spec.generation < spec.generation {
            service.pool.apply(&spec, &mut self.rng);
            service.spec = spec;
        }
    }

    /// Ends a service: its connections go on, its waiting clients are closed, new ones are refused.
    pub fn remove(&mut self, service: ServiceId) {
        let Some(slot) = self.index.remove(&service) else { return };
        let entry = &mut self.services[slot];
        entry.retired = true;
        if !entry.waiting.is_empty() {
            self.stranded.extend(entry.waiting.drain(..));
            self.unqueue(slot);
        }
        self.drop_if_over(u32::try_from(slot).unwrap_or(u32::MAX));
    }

    /// Takes a place among the service's `max-connections`, for a client about to be accepted. False: the limit is
    /// reached, or the service unknown. Forced, it goes above the limit.
    pub fn reserve(&mut self, service: ServiceId, forced: bool) -> bool {
        let Some(&slot) = self.index.get(&service) else { return false };
        let spec = &self.services[slot].spec;
        let open = &spec.counters.open;
        let Some(max) = spec.max_connections.filter(|_| !forced) else {
            open.fetch_add(1, Relaxed);
            return true;
        };
        open.fetch_update(Relaxed, Relaxed, |open| (open < max).then_some(open + 1)).is_ok()
    }

    /// Gives a place back that no client came for. Returns whether another reactor may have been refused because of it.
    pub fn unreserve(&mut self, service: ServiceId) -> bool {
        let Some(&slot) = self.index.get(&service) else { return false };
        let spec = &self.services[slot].spec;
        let open = spec.counters.open.fetch_sub(1, Relaxed);
        spec.max_connections.is_some_and(|max| open >= max)
    }

    /// A service's counters; `None` when it is unknown.
    #[must_use]
    pub fn counters(&self, service: ServiceId) -> Option<Arc<ServiceCounters>> {
        self.index.get(&service).map(|slot| Arc::clone(&self.services[*slot].spec.counters))
    }

    /// Opens a session for a client whose place is reserved. One that may not come in and has no host for abuse is to be
    /// closed at once: see [`CloseReason::is_refusal`].
    ///
    /// # Errors
    /// `io` back, when the service is unknown.
    pub fn open(&mut self, now: Moment, service: ServiceId, client: Endpoint, io: T) -> Result<(Key, Next), T> {
        let Some(&slot) = self.index.get(&service) else { return Err(io) };
        let key = self.enter(now, slot, client, io);
        let next = match self.admit(now, key) {
            Ok(()) => self.place(now, key),
            Err(CloseReason::Denied) => self.deny(now, key),
            Err(reason) => Next::Close(reason),
        };
        Ok((key, next))
    }

    /// The shell's part of a session; `None` for a key whose session has ended.
    pub fn io(&mut self, key: Key) -> Option<&mut T> {
        self.session_mut(key).map(|session| &mut session.io)
    }

    /// How far a session has come; `None` for a key whose session has ended.
    #[must_use]
    pub fn state(&self, key: Key) -> Option<State> {
        self.session(key).map(|session| session.state)
    }

    /// The session in this slot, for a shell that walks all of them.
    #[must_use]
    pub fn key_at(&self, slot: usize) -> Option<Key> {
        let session = self.sessions.get(slot)?;
        Some(Key { slot: u32::try_from(slot).ok()?, generation: session.generation })
    }

    /// Slots that have ever been used: [`Self::key_at`] is `None` from here on.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.sessions.capacity()
    }

    /// Sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether it has no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whether a session whose host went away unused can still be offered to another one. Once the connect timeout is
    /// over it cannot, and a reset is no failed connect any more: hosts end silent connections like that.
    #[must_use]
    pub fn may_move(&self, now: Moment, key: Key) -> bool {
        let in_time = |session: &Session<T>| {
            now < session.opened.after(self.services[session.service as usize].spec.connect_timeout)
        };
        self.session(key).is_some_and(in_time)
    }

    /// Bytes moved: the idle time starts anew. Costs no timer work.
    pub fn touch(&mut self, now: Moment, key: Key) {
        if let Some(session) = self.session_mut(key) {
            session.since = now;
        }
    }

    /// One side has ended: the fin timeout applies from now on.
    pub fn half_closed(&mut self, now: Moment, key: Key) {
        let Some(session) = self.session_mut(key) else { return };
        if session.state == State::Open {
            session.state = State::HalfClosed;
            session.since = now;
            self.arm(key);
        }
    }

    /// Has [`Self::next_due`] say [`Due::Wake`] for this session after `wait`.
    pub fn wake_after(&mut self, now: Moment, key: Key, wait: Duration) {
        if let Some(session) = self.session_mut(key) {
            session.wake = now.after(wait);
            self.arm(key);
        }
    }

    /// Ends a session and hands the shell's part back; `None` for a key whose session has ended. `untold` is what it
    /// moved and was not told by [`Self::tell`].
    pub fn close(&mut self, now: Moment, key: Key, reason: CloseReason, untold: Traffic) -> Option<T> {
        self.session(key)?;
        self.tell(key, untold);
        self.release_host(now, key);
        self.end_move(now, key, false);
        self.dequeue(key);
        self.timers.cancel(key.slot);
        let session = self.sessions.remove(key.slot as usize);
        let service = &mut self.services[session.service as usize];
        service.leave(&session);
        service.sessions -= 1;
        if matches!(session.state, State::Open | State::HalfClosed) && !session.is_denied {
            service.note_end(now, session.client);
        }
        service.spec.counters.open.fetch_sub(1, Relaxed);
        service.spec.counters.count_closed(reason);
        let is_lost = matches!(
            reason,
            CloseReason::NoHost | CloseReason::ConnectTimeout | CloseReason::QueueFull | CloseReason::Local
        );
        // Whose datagrams are dropped is counted.
        if is_lost && !self.of_flows {
            self.reports.push(Report::ClientLost { service: service.spec.id, client: session.client, reason });
        }
        if reason.is_refusal() {
            self.tell_refused(now, session.service, session.client, reason);
        }
        self.drop_if_over(session.service);
        Some(session.io)
    }

    /// After a panic: gives every place back, counts every session as lost, and hands the shell's parts out. Holds no
    /// sessions afterwards, and must not be used for new ones.
    pub fn abandon(&mut self) -> Vec<T> {
        let lost = std::mem::take(&mut self.sessions);
        let mut parts = Vec::with_capacity(lost.len());
        for (_, session) in lost {
            if let Some(service) = self.services.get(session.service as usize) {
                service.leave(&session);
                if session.host != NO_HOST {
                    service.pool.abandon(session.host);
                }
                if session.state == State::Waiting {
                    service.spec.counters.waiting.fetch_sub(1, Relaxed);
                }
                service.spec.counters.open.fetch_sub(1, Relaxed);
                service.spec.counters.count_closed(CloseReason::Panicked);
            }
            parts.push(session.io);
        }
        parts
    }

    /// The reports since the last call, oldest first.
    pub fn take_reports(&mut self) -> impl Iterator<Item = Report> + '_ {
        self.reports.drain(..)
    }

    /// Whether clients wait for room at a host.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !self.queued.is_empty()
    }

    fn session(&self, key: Key) -> Option<&Session<T>> {
        self.sessions.get(key.slot as usize).filter(|session| session.generation == key.generation)
    }

    fn session_mut(&mut self, key: Key) -> Option<&mut Session<T>> {
        self.sessions.get_mut(key.slot as usize).filter(|session| session.generation == key.generation)
    }

    fn drop_if_over(&mut self, slot: u32) {
        let service = &self.services[slot as usize];
        if service.retired && service.sessions == 0 {
            self.services.remove(slot as usize);
        }
    }
}
