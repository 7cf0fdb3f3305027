//! Finding a host for a session, and another one when that fails.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::candidates::Class;
use super::session::{Key, NO_HOST, State};
use super::{Balancer, Next, Service, Target};
use crate::model::counters::HostCounters;
use crate::model::limits::{SUSPICION, WAITING_MAX};
use crate::model::outcome::{Blame, CloseReason, Fault};
use crate::model::report::Report;
use crate::model::socket_options::Outbound;
use crate::model::status::HostStatus;
use crate::model::time::Moment;

/// Hosts that are tried in a row after local failures before a pause.
const LOCAL_FAILURES_MAX: usize = 2;

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
        self.arm(key);
    }

    /// The session's connect failed, or its host reset it before any byte was written to it.
    pub fn connect_failed(&mut self, now: Moment, key: Key, blame: Blame) -> Next {
        let Some(session) = self.session(key) else { return Next::Wait };
        let (slot, host) = (session.service, session.host);
        if host != NO_HOST {
            let host_id = self.services[slot as usize].pool.host(host).id;
            match blame {
                Blame::Host(fault) => self.accuse(now, key, fault),
                Blame::Busy => self.doubt(now, key),
                Blame::Local(_) => {}
            }
            self.release_host(now, key);
            if let Some(session) = self.session_mut(key) {
                let tried = session.tried_mut();
                tried.hosts.push(host_id);
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
        if host.counters.suspect(now, now.after(SUSPICION)) {
            self.reports.push(Report::HostSlow { service: service.spec.id, host: host.id });
        }
    }

    /// Finds a host for a session that has none: a sound one first, then a suspected one; if those that are up are
    /// merely full, it waits; then those that are down, as the last resort; then those that were only slow. Hosts that
    /// only this machine could not reach, or that had too much to do, are tried again in a moment, before it waits for
    /// room.
    pub(super) fn place(&mut self, now: Moment, key: Key) -> Next {
        let Some(session) = self.sessions.get_mut(key.slot as usize) else { return Next::Wait };
        let service = &mut self.services[session.service as usize];
        let first = session.tried.is_none();
        if now >= session.opened.after(service.spec.connect_timeout) {
            let local = session.tried.as_ref().is_some_and(|tried| tried.ever_local);
            return Next::Close(if local { CloseReason::Local } else { CloseReason::ConnectTimeout });
        }
        if service.retired {
            return Next::Close(CloseReason::NoHost);
        }
        if session.tried.as_ref().is_some_and(|tried| tried.local.len() >= LOCAL_FAILURES_MAX) {
            return self.pause(now, key);
        }
        // Clients that came earlier are served first.
        if first && session.state != State::Waiting && !service.waiting.is_empty() {
            return self.enqueue(key);
        }
        for class in Class::ALL {
            if class == Class::Down && service.pool.has_full(now, session.barred()) {
                let may_pass = session.tried.as_ref().is_some_and(|tried| tried.may_pass());
                return if may_pass { self.pause(now, key) } else { self.enqueue(key) };
            }
            if let Some(host) = service.pool.choose(now, session.barred(), class, &mut self.rng) {
                return self.attempt(now, key, host, 0);
            }
        }
        while let Some((id, round)) = session.tried.as_mut().and_then(|tried| tried.slow.pop_front()) {
            if let Some(host) = service.pool.choose_again(id, session.client.ip()) {
                return self.attempt(now, key, host, round.saturating_add(1));
            }
        }
        if session.tried.as_ref().is_some_and(|tried| tried.may_pass()) {
            return self.pause(now, key);
        }
        let denied = service.pool.denies(session.client.ip());
        Next::Close(if denied { CloseReason::Denied } else { CloseReason::NoHost })
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
            let session = self.session(key)?;
            // Nobody behind one that may go everywhere has a wider choice.
            let is_barred = session.tried.is_some() || self.services[slot as usize].pool.has_lists();
            if !is_barred {
                return None;
            }
            // It may not go everywhere, and must not keep those behind it from where it may not go.
            position += usize::from(session.state == State::Waiting);
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
