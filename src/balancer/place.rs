//! Finding a host for a session, and another one when that fails.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::candidates::{Class, Wish};
use super::session::{Key, NO_HOST, State, Tried};
use super::{Balancer, Next, Service, Target};
use crate::model::counters::HostCounters;
use crate::model::id::HostId;
use crate::model::limits::{SUSPICION, WAITING_MAX};
use crate::model::outcome::{Blame, CloseReason, Fault};
use crate::model::report::Report;
use crate::model::role::Role;
use crate::model::socket_options::Outbound;
use crate::model::status::HostStatus;
use crate::model::time::Moment;

/// Hosts that are tried in a row after local failures before a pause.
const LOCAL_FAILURES_MAX: usize = 2;
/// Whom clients come to, in this order, before one waits for room.
pub(super) const FIRST: [(Role, Class); 4] = [
    (Role::Normal, Class::Sound),
    (Role::Normal, Class::Suspected),
    (Role::Emergency, Class::Sound),
    (Role::Emergency, Class::Suspected),
];
const FOR_CLIENTS: [Role; 2] = [Role::Normal, Role::Emergency];
const FOR_DENIED: [Role; 1] = [Role::Abuse];

/// The roles of hosts that a client may go to.
pub(super) const fn roles(is_denied: bool) -> &'static [Role] {
    if is_denied { &FOR_DENIED } else { &FOR_CLIENTS }
}

/// Why a client is closed for whom there is no host.
const fn nowhere(is_denied: bool) -> CloseReason {
    if is_denied { CloseReason::Denied } else { CloseReason::NoHost }
}

impl<T> Balancer<T> {
    /// The session's host has accepted.
    pub fn connected(&mut self, now: Moment, key: Key) {
        let Some(session) = self.session_mut(key) else { return };
        let took = now.since(session.since);
        session.state = State::Open;
        session.since = now;
        let waited = now.since(session.opened);
        session.waited_micros = u32::try_from(waited.as_micros()).unwrap_or(u32::MAX);
        let (service, host) = (session.service as usize, session.host);
        let service = &mut self.services[service];
        let (slot, host) = (host, service.pool.host(host));
        host.counters.established.fetch_add(1, Relaxed);
        host.counters.record_connect(took);
        host.counters.connect_times.record(took);
        service.spec.counters.waits.record(waited);
        if host.counters.clear_suspicion() || host.status == HostStatus::Down {
            self.reports.push(Report::HostAnswered { service: service.spec.id, host: host.id });
            service.pool.cleared(slot);
        }
        self.end_move(now, key, true);
        self.arm(key);
    }

    /// Finds a host for a session whose client is denied access, by the service or by all of its hosts: one for abuse, or
    /// nowhere.
    pub(super) fn deny(&mut self, now: Moment, key: Key) -> Next {
        if let Some(session) = self.session_mut(key) {
            session.is_denied = true;
        }
        self.place(now, key)
    }

    /// The session's connect failed, or its host reset it before any byte was written to it.
    pub fn connect_failed(&mut self, now: Moment, key: Key, blame: Blame) -> Next {
        let Some(session) = self.session(key) else { return Next::Wait };
        let (slot, host, is_denied) = (session.service, session.host, session.is_denied);
        if host != NO_HOST {
            let service = &self.services[slot as usize];
            let (host_id, is_stubborn) = (service.pool.host(host).id, service.spec.is_stubborn);
            match blame {
                Blame::Host(fault) => self.accuse(now, key, fault),
                Blame::Busy => self.doubt(now, key),
                Blame::Local(_) => {}
            }
            self.release_host(now, key);
            self.end_move(now, key, false);
            if is_stubborn && matches!(blame, Blame::Host(_)) {
                return Next::Close(nowhere(is_denied));
            }
            if let Some(session) = self.session_mut(key) {
                let tried = session.tried_mut();
                tried.hosts.push(host_id);
                tried.only = Some(host_id).filter(|_| is_stubborn);
                match blame {
                    Blame::Host(_) => {}
                    Blame::Busy => tried.busy.push(host_id),
                    Blame::Local(_) => {
                        tried.local.push(host_id);
                        tried.ever_local = true;
                    }
                }
            }
        }
        self.place(now, key)
    }

    /// Blames the session's host: it is suspected at once by all reactors, and the manager is told.
    pub(super) fn accuse(&mut self, now: Moment, key: Key, fault: Fault) {
        let Some(session) = self.session(key) else { return };
        let service = &self.services[session.service as usize];
        let host = service.pool.host(session.host);
        host.counters.failed.fetch_add(1, Relaxed);
        host.counters.suspect(now, now.after(SUSPICION));
        self.reports.push(Report::HostFailed { service: service.spec.id, host: host.id, fault });
    }

    /// The session's host takes too long, or has too much to do: others are preferred for a while, and the manager probes.
    pub(super) fn doubt(&mut self, now: Moment, key: Key) {
        let Some(session) = self.session(key) else { return };
        let service = &self.services[session.service as usize];
        let host = service.pool.host(session.host);
        if host.counters.suspect_slow(now, now.after(SUSPICION)) {
            self.reports.push(Report::HostSlow { service: service.spec.id, host: host.id });
        }
    }

    /// Finds a host for a session that has none: its own one if it has one, then a sound one, then a suspected one, each
    /// time the lowest `prio` first; then one for emergencies. If those that are up are merely full, it waits; then those
    /// that are down, as the last resort; then those that were only slow. Hosts that only this machine could not reach, or
    /// that had too much to do, are tried again in a moment, before it waits for room. A client that no host of the group
    /// may serve is denied.
    pub(super) fn place(&mut self, now: Moment, key: Key) -> Next {
        let Some(session) = self.sessions.get_mut(key.slot as usize) else { return Next::Wait };
        let service = &mut self.services[session.service as usize];
        if now >= session.opened.after(service.spec.connect_timeout) {
            let local = session.tried.as_ref().is_some_and(|tried| tried.ever_local);
            return Next::Close(if local { CloseReason::Local } else { CloseReason::ConnectTimeout });
        }
        if service.retired {
            return Next::Close(nowhere(session.is_denied));
        }
        let is_over = |tried: &Tried| {
            // A stubborn service has nobody else to try meanwhile.
            tried.local.len() >= LOCAL_FAILURES_MAX || (service.spec.is_stubborn && !tried.busy.is_empty())
        };
        if session.tried.as_deref().is_some_and(is_over) {
            return self.pause(now, key);
        }
        let only = session.tried.as_ref().and_then(|tried| tried.only);
        if let Some(only) = only.filter(|_| service.spec.is_stubborn) {
            return self.place_only(now, key, only);
        }
        let client = session.client.ip();
        let wish = Wish { now, tried: session.tried(), from: client, client: service.hash_of(session.client) };
        if session.is_denied {
            let choose = |class| service.pool.choose(Role::Abuse, class, &wish, &mut self.rng);
            let chosen = Class::ALL.into_iter().find_map(choose);
            return self.place_at_last(now, key, chosen);
        }
        // Clients that came earlier are served first.
        let is_queued = session.tried.is_none() && session.state != State::Waiting && !service.waiting.is_empty();
        let belongs = service.belongs(now, session.client);
        if let Some(belongs) = &belongs
            && let Some(slot) = service.choose_own(belongs, &wish, is_queued)
        {
            return self.attempt(now, key, slot, 0);
        }
        if is_queued {
            return self.enqueue(key);
        }
        let only = belongs.as_ref().and_then(|belongs| service.only_host(belongs, client));
        // One that failed before its service became stubborn is no longer offered.
        if let Some(only) = only.filter(|only| !wish.tried.contains(only)) {
            return self.place_only(now, key, only);
        }
        for (role, class) in FIRST {
            if let Some(slot) = service.pool.choose(role, class, &wish, &mut self.rng) {
                // Where it is only for now nobody returns to.
                let is_kept = (role, class) == FIRST[0];
                let (slot, has_moved) =
                    if is_kept { service.settle(belongs.as_ref(), &wish, slot) } else { (slot, false) };
                session.has_moved = has_moved;
                return self.attempt(now, key, slot, 0);
            }
        }
        if service.pool.has_full(&FOR_CLIENTS, &wish) {
            let may_pass = session.tried.as_ref().is_some_and(|tried| tried.may_pass());
            return if may_pass { self.pause(now, key) } else { self.enqueue(key) };
        }
        let choose = |role: &Role| service.pool.choose(*role, Class::Down, &wish, &mut self.rng);
        let chosen = FOR_CLIENTS.iter().find_map(choose);
        self.place_at_last(now, key, chosen)
    }

    /// Offers a session to the host that was chosen. One that has been everywhere is offered to hosts that were only slow,
    /// or, in a moment, to those that only this machine could not reach.
    fn place_at_last(&mut self, now: Moment, key: Key, chosen: Option<u32>) -> Next {
        if let Some(slot) = chosen {
            return self.attempt(now, key, slot, 0);
        }
        let session = &mut self.sessions[key.slot as usize];
        let service = &mut self.services[session.service as usize];
        while let Some((id, round)) = session.tried.as_mut().and_then(|tried| tried.slow.pop_front()) {
            if let Some(slot) = service.pool.choose_again(id, roles(session.is_denied), session.client.ip()) {
                if let Some(belongs) = service.belongs(now, session.client) {
                    service.remember(now, &belongs, slot);
                }
                return self.attempt(now, key, slot, round.saturating_add(1));
            }
        }
        if session.tried.as_ref().is_some_and(|tried| tried.may_pass()) {
            return self.pause(now, key);
        }
        if !session.is_denied && service.pool.denies(&FOR_CLIENTS, session.client.ip()) {
            return self.deny(now, key);
        }
        Next::Close(nowhere(session.is_denied))
    }

    /// Offers a session of a stubborn service to its one host.
    fn place_only(&mut self, now: Moment, key: Key, only: HostId) -> Next {
        let session = &self.sessions[key.slot as usize];
        let service = &mut self.services[session.service as usize];
        let (roles, client) = (roles(session.is_denied), session.client.ip());
        if let Some(slot) = service.pool.choose_again(only, roles, client) {
            return self.attempt(now, key, slot, 0);
        }
        if session.is_denied || !service.pool.is_wanted(only, roles, client) {
            return Next::Close(nowhere(session.is_denied));
        }
        self.enqueue(key)
    }

    /// The next waiting client for whom there is room now, first come first served. `None` ends a sweep over all queues;
    /// those of services where nothing has changed since the last are passed over.
    pub fn next_waiting(&mut self, now: Moment) -> Option<(Key, Next)> {
        let mut rest = self.sweep.take().unwrap_or(self.queued.len()).min(self.queued.len());
        while let Some(&slot) = rest.checked_sub(1).and_then(|index| self.queued.get(index)) {
            let service = &self.services[slot as usize];
            // Read before looking: a place given back meanwhile counts from the next time.
            let state = (service.spec.generation, service.pool.freed());
            if service.stuck != Some(state) {
                if let Some(found) = self.next_waiting_of(now, slot) {
                    self.sweep = Some(rest);
                    return Some(found);
                }
                self.services[slot as usize].stuck = Some(state);
            }
            rest -= 1;
        }
        None
    }

    fn next_waiting_of(&mut self, now: Moment, slot: u32) -> Option<(Key, Next)> {
        let mut position = 0;
        while let Some(&key) = self.services[slot as usize].waiting.get(position) {
            let next = self.place(now, key);
            if next != Next::Wait {
                return Some((key, next));
            }
            // Nobody behind one that may go everywhere has a wider choice. Others must not keep those behind them from
            // where they may not go.
            if !self.may_be_passed(key) {
                return None;
            }
            position += usize::from(self.session(key)?.state == State::Waiting);
        }
        None
    }

    fn attempt(&mut self, now: Moment, key: Key, host: u32, round: u8) -> Next {
        self.dequeue(key);
        let session = &mut self.sessions[key.slot as usize];
        session.host = host;
        session.state = State::Connecting { round };
        session.since = now;
        let service = &self.services[session.service as usize];
        if session.tried.is_some() {
            service.spec.counters.retries.fetch_add(1, Relaxed);
        }
        let host = service.pool.host(host);
        let target = Target { addr: host.addr, may_meet_itself: host.may_meet_itself };
        self.arm(key);
        Next::Connect(target)
    }

    fn enqueue(&mut self, key: Key) -> Next {
        let session = &mut self.sessions[key.slot as usize];
        if session.state == State::Waiting {
            return Next::Wait;
        }
        let service = &mut self.services[session.service as usize];
        if service.waiting.len() >= WAITING_MAX {
            return Next::Close(CloseReason::QueueFull);
        }
        session.state = State::Waiting;
        if service.waiting.is_empty() {
            service.queued_at = self.queued.len();
            self.queued.push(session.service);
        }
        service.waiting.push_back(key);
        // Whoever gave a place back before this client was counted as waiting may not have said so.
        service.stuck = None;
        service.spec.counters.waiting.fetch_add(1, Relaxed);
        self.arm(key);
        Next::Wait
    }

    pub(super) fn dequeue(&mut self, key: Key) {
        let session = &mut self.sessions[key.slot as usize];
        if session.state != State::Waiting {
            return;
        }
        session.state = State::Retrying;
        let slot = session.service;
        let service = &mut self.services[slot as usize];
        if service.waiting.front() == Some(&key) {
            service.waiting.pop_front();
        } else {
            service.waiting.retain(|waiting| *waiting != key);
        }
        service.spec.counters.waiting.fetch_sub(1, Relaxed);
        if service.waiting.is_empty() && !service.retired {
            self.unqueue(slot as usize);
        }
    }

    /// Takes a service whose queue is empty off the list.
    pub(super) fn unqueue(&mut self, slot: usize) {
        let at = self.services[slot].queued_at;
        self.queued.swap_remove(at);
        if let Some(moved) = self.queued.get(at) {
            self.services[*moved as usize].queued_at = at;
        }
    }

    fn pause(&mut self, now: Moment, key: Key) -> Next {
        self.dequeue(key);
        let session = &mut self.sessions[key.slot as usize];
        session.state = State::Retrying;
        session.since = now;
        self.arm(key);
        Next::Wait
    }

    pub(super) fn release_host(&mut self, now: Moment, key: Key) {
        let session = &mut self.sessions[key.slot as usize];
        let host = std::mem::replace(&mut session.host, NO_HOST);
        if host != NO_HOST {
            let Service { pool, spec, .. } = &mut self.services[session.service as usize];
            if matches!(session.state, State::Open | State::HalfClosed) {
                let accepted = session.opened.after(Duration::from_micros(session.waited_micros.into()));
                pool.host(host).counters.lifetimes.record(now.since(accepted));
            }
            pool.release(host, || spec.counters.waiting.load(Relaxed) > 0);
        }
    }

    /// How to connect to the host that was chosen for this session, if that is not as usual.
    #[must_use]
    pub fn outbound(&self, key: Key) -> Option<&Arc<Outbound>> {
        let session = self.session(key).filter(|session| session.host != NO_HOST)?;
        self.services[session.service as usize].pool.host(session.host).outbound.as_ref()
    }

    pub(super) fn host_counters(&self, key: Key) -> Option<&HostCounters> {
        let session = self.session(key).filter(|session| session.host != NO_HOST)?;
        Some(&self.services[session.service as usize].pool.host(session.host).counters)
    }
}
