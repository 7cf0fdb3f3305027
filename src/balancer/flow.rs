//! What is different for flows of datagrams: nobody accepts them, they outlive their hosts, and a silence ends them.

use std::sync::atomic::Ordering::Relaxed;

use super::candidates::{Class, Wish};
use super::place::{FIRST, roles};
use super::session::{Key, NO_HOST, Session, State};
use super::{Balancer, Next, Service, Target};
use crate::model::address::Endpoint;
use crate::model::datagram::FlowRules;
use crate::model::id::{HostId, ServiceId};
use crate::model::outcome::{CloseReason, Fault};
use crate::model::report::Report;
use crate::model::role::Role;
use crate::model::status::HostStatus;
use crate::model::time::Moment;

/// Where the next datagram of a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// To the host that it has.
    Stay,
    /// Its host is down or gone, and another one takes over.
    Move(Target),
}

/// A place at a host that was chosen for one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picked {
    service: usize,
    slot: u32,
    is_denied: bool,
    /// The host.
    pub host: HostId,
    /// Where it is.
    pub target: Target,
}

impl<T> Balancer<T> {
    /// Whether this service has been applied, and not removed.
    #[must_use]
    pub fn knows(&self, service: ServiceId) -> bool {
        self.index.contains_key(&service)
    }

    /// How a service's datagrams belong together; `None` when it is unknown.
    #[must_use]
    pub fn flow_rules(&self, service: ServiceId) -> Option<FlowRules> {
        self.index.get(&service).map(|slot| self.services[*slot].spec.flows)
    }

    /// As [`Self::flow_rules`], of the service that a flow belongs to.
    #[must_use]
    pub fn rules_of(&self, key: Key) -> Option<FlowRules> {
        self.session(key).map(|session| self.services[session.service as usize].spec.flows)
    }

    /// When a flow had its last datagram.
    #[must_use]
    pub fn since(&self, key: Key) -> Option<Moment> {
        self.session(key).map(|session| session.since)
    }

    /// A flow's host has been chosen and its datagrams go there. Whether it answers is not known: a host that need not
    /// counts as one that has.
    pub fn flow_opened(&mut self, now: Moment, key: Key) {
        let Some(session) = self.session_mut(key) else { return };
        session.state = State::Open;
        session.since = now;
        session.waited_micros = 0;
        let (service, slot) = (session.service as usize, session.host);
        let service = &self.services[service];
        if service.spec.flows.responses == Some(0) && slot != NO_HOST {
            service.pool.host(slot).counters.established.fetch_add(1, Relaxed);
        }
        self.end_move(now, key, true);
        self.arm(key);
    }

    /// A flow's host has answered, for the `first` time or again: nothing is known against it.
    pub fn flow_answered(&mut self, key: Key, first: bool) {
        let Some(session) = self.session_mut(key).filter(|session| session.host != NO_HOST) else { return };
        if first {
            // Where else it has been is of no interest any more.
            session.tried = None;
        }
        let (service, slot) = (session.service as usize, session.host);
        let service = &mut self.services[service];
        let host = service.pool.host(slot);
        if first && service.spec.flows.responses != Some(0) {
            host.counters.established.fetch_add(1, Relaxed);
        }
        if host.counters.clear_suspicion() || host.status == HostStatus::Down {
            self.reports.push(Report::HostAnswered { service: service.spec.id, host: host.id });
            service.pool.cleared(slot);
        }
    }

    /// Whether a flow's host is down or was removed, and another one may take over.
    #[must_use]
    pub fn has_lost_host(&self, key: Key) -> bool {
        let Some(session) = self.session(key).filter(|session| session.host != NO_HOST) else { return false };
        let service = &self.services[session.service as usize];
        let host = service.pool.host(session.host);
        let is_well = host.listed && host.status == HostStatus::Up;
        !(is_well || service.retired || service.spec.is_stubborn)
    }

    /// Where the next datagram of a flow goes. One whose host is down or was removed moves to another one, if there is
    /// any with room; one whose host is drained stays.
    pub fn onward(&mut self, now: Moment, key: Key) -> Onward {
        let Some(session) = self.session(key).filter(|_| self.has_lost_host(key)) else { return Onward::Stay };
        let service = &self.services[session.service as usize];
        let host = service.pool.host(session.host);
        let (at, client, is_denied, tried) = (session.service as usize, session.client, session.is_denied, [host.id]);
        let Some((slot, has_moved)) = self.better(now, at, client, is_denied, &tried) else { return Onward::Stay };
        self.release_host(now, key);
        self.end_move(now, key, false);
        let session = &mut self.sessions[key.slot as usize];
        (session.host, session.opened, session.state, session.has_moved) = (slot, now, State::Open, has_moved);
        let service = &self.services[at];
        service.spec.counters.retries.fetch_add(1, Relaxed);
        let host = service.pool.host(slot);
        Onward::Move(Target { addr: host.addr, may_meet_itself: false })
    }

    /// A host that is up, for a client that was at these, with a place taken; and whether its table has another one for
    /// it because of that.
    fn better(
        &mut self,
        now: Moment,
        service: usize,
        client: Endpoint,
        is_denied: bool,
        tried: &[HostId],
    ) -> Option<(u32, bool)> {
        let service = &mut self.services[service];
        let wish = Wish { now, tried, from: client.ip(), client: service.hash_of(client) };
        if is_denied || service.pool.denies(roles(false), client.ip()) {
            let mut up = [Class::Sound, Class::Suspected].into_iter();
            return up
                .find_map(|class| service.pool.choose(Role::Abuse, class, &wish, &mut self.rng))
                .map(|slot| (slot, false));
        }
        let belongs = service.belongs(now, client);
        let own = belongs.as_ref().and_then(|belongs| service.choose_own(belongs, &wish, false));
        if let Some(slot) = own {
            return Some((slot, false));
        }
        for (role, class) in FIRST {
            if let Some(slot) = service.pool.choose(role, class, &wish, &mut self.rng) {
                let is_kept = (role, class) == FIRST[0];
                return Some(if is_kept { service.settle(belongs.as_ref(), &wish, slot) } else { (slot, false) });
            }
        }
        None
    }

    /// A flow's host could not be reached: it is blamed, and the flow is offered to another one. `anew`: what the flow
    /// learnt before does not count, because a host has answered it since.
    pub fn flow_failed(&mut self, now: Moment, key: Key, fault: Fault, anew: bool) -> Next {
        let Some(session) = self.session(key).filter(|session| session.host != NO_HOST) else { return Next::Wait };
        let service = &self.services[session.service as usize];
        let (id, is_stubborn) = (service.pool.host(session.host).id, service.spec.is_stubborn);
        self.accuse(now, key, fault);
        if is_stubborn {
            return Next::Close(CloseReason::NoHost);
        }
        self.release_host(now, key);
        self.end_move(now, key, false);
        let session = &mut self.sessions[key.slot as usize];
        (session.opened, session.state) = (now, State::Retrying);
        let tried = session.tried_mut();
        if anew {
            tried.hosts.clear();
        }
        tried.hosts.push(id);
        self.place(now, key)
    }

    /// Blames the host of a flow of one datagram's.
    pub fn flow_accused(&mut self, now: Moment, key: Key, fault: Fault) {
        if self.session(key).is_some_and(|session| session.host != NO_HOST) {
            self.accuse(now, key, fault);
        }
    }

    /// Nothing more comes from this flow's client: it ends once what is on its way has had time to arrive.
    pub fn flow_ending(&mut self, key: Key) {
        let Some(session) = self.session_mut(key).filter(|session| session.state == State::Open) else { return };
        session.state = State::HalfClosed;
        self.arm(key);
    }

    /// Chooses a host for one datagram and takes a place there, whatever host the client had before.
    ///
    /// # Errors
    /// Why there is none.
    pub fn pick(&mut self, now: Moment, service: ServiceId, client: Endpoint) -> Result<Picked, CloseReason> {
        let at = *self.index.get(&service).ok_or(CloseReason::NoHost)?;
        let entry = &self.services[at];
        let is_denied = entry.denies(client) || entry.pool.denies(roles(false), client.ip());
        let slot = match self.better(now, at, client, is_denied, &[]) {
            Some((slot, _)) => slot,
            None => {
                let entry = &mut self.services[at];
                let wish = Wish { now, tried: &[], from: client.ip(), client: entry.hash_of(client) };
                let mut roles = roles(is_denied).iter();
                let chosen = roles.find_map(|role| entry.pool.choose(*role, Class::Down, &wish, &mut self.rng));
                chosen.ok_or(if is_denied { CloseReason::Denied } else { CloseReason::NoHost })?
            }
        };
        let host = self.services[at].pool.host(slot);
        let target = Target { addr: host.addr, may_meet_itself: false };
        Ok(Picked { service: at, slot, is_denied, host: host.id, target })
    }

    /// Gives the place back: a flow of this client has one there.
    pub fn unpick(&mut self, picked: Picked) {
        let Service { pool, spec, .. } = &mut self.services[picked.service];
        pool.release(picked.slot, || spec.counters.waiting.load(Relaxed) > 0);
    }

    /// Opens a session at a host that was picked, for a client whose place is reserved. One that may not have another one
    /// is to be closed at once.
    pub fn adopt(&mut self, now: Moment, picked: Picked, client: Endpoint, io: T) -> (Key, Next) {
        let key = self.enter(now, picked.service, client, io);
        let session = &mut self.sessions[key.slot as usize];
        (session.host, session.state, session.is_denied) = (picked.slot, State::Open, picked.is_denied);
        let is_refused = !picked.is_denied && self.admit(now, key) == Err(CloseReason::ClientLimit);
        (key, if is_refused { Next::Close(CloseReason::ClientLimit) } else { Next::Connect(picked.target) })
    }

    pub(super) fn session_at(&self, slot: u32) -> &Session<T> {
        &self.sessions[slot as usize]
    }

    pub(super) fn session_at_mut(&mut self, slot: u32) -> &mut Session<T> {
        &mut self.sessions[slot as usize]
    }
}
