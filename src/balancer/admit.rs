//! Who comes in: a service's access list, and how much each client may have.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::session::{Key, NEVER, NO_HOST, Session, State};
use super::{Balancer, Service};
use crate::model::address::Endpoint;
use crate::model::clients::Entry;
use crate::model::id::ServiceId;
use crate::model::limits::LOG_EVERY;
use crate::model::outcome::{CloseReason, Side};
use crate::model::report::Report;
use crate::model::service::Fastclose;
use crate::model::time::Moment;

impl Service {
    /// Whether the service's access list denies this client.
    pub(super) fn denies(&self, client: Endpoint) -> bool {
        self.spec.entrance.acl.as_ref().is_some_and(|acl| !acl.permits(client.ip()))
    }

    /// Takes a session that ends off its client's count.
    pub(super) fn leave<T>(&self, session: &Session<T>) {
        if let (Some(table), Some(place)) = (&self.spec.entrance.clients, session.place) {
            table.leave(place);
        }
    }
}

impl<T> Balancer<T> {
    /// A new session of a service, which is nowhere yet.
    pub(super) fn enter(&mut self, now: Moment, service: usize, client: Endpoint, io: T) -> Key {
        let entry = &mut self.services[service];
        entry.sessions += 1;
        entry.spec.counters.accepted.fetch_add(1, Relaxed);
        self.generation = self.generation.wrapping_add(1);
        let slot = u32::try_from(self.sessions.vacant_key()).unwrap_or(u32::MAX);
        self.sessions.insert(Session {
            generation: self.generation,
            service: u32::try_from(service).unwrap_or(u32::MAX),
            host: NO_HOST,
            state: State::Retrying,
            is_denied: false,
            has_moved: false,
            client,
            opened: now,
            since: now,
            waited_micros: 0,
            place: None,
            wake: NEVER,
            tried: None,
            io,
        });
        Key { slot, generation: self.generation }
    }

    /// Lets a new session's client in, and counts it.
    ///
    /// # Errors
    /// Why it is turned away.
    pub(super) fn admit(&mut self, now: Moment, key: Key) -> Result<(), CloseReason> {
        let Some(session) = self.sessions.get_mut(key.slot as usize) else { return Ok(()) };
        let service = &self.services[session.service as usize];
        if service.denies(session.client) {
            return Err(CloseReason::Denied);
        }
        let entrance = &service.spec.entrance;
        let Some(table) = &entrance.clients else { return Ok(()) };
        match table.enter(now, session.client.ip(), entrance.limits) {
            Entry::Counted(place) => session.place = Some(place),
            Entry::Uncounted => {
                service.spec.counters.uncounted.fetch_add(1, Relaxed);
            }
            Entry::Refused => return Err(CloseReason::ClientLimit),
        }
        Ok(())
    }

    /// Counts a client whose place is reserved, and that is turned away before it has a session. False: the service is
    /// unknown, and nothing was done.
    pub fn refuse(&mut self, now: Moment, service: ServiceId, client: Endpoint, reason: CloseReason) -> bool {
        let Some(&slot) = self.index.get(&service) else { return false };
        let counters = Arc::clone(&self.services[slot].spec.counters);
        counters.accepted.fetch_add(1, Relaxed);
        counters.open.fetch_sub(1, Relaxed);
        counters.count_closed(reason);
        self.tell_refused(now, u32::try_from(slot).unwrap_or(u32::MAX), client, reason);
        true
    }

    /// The client of a session, as it is known to all but its socket.
    #[must_use]
    pub fn client(&self, key: Key) -> Option<Endpoint> {
        self.session(key).map(|session| session.client)
    }

    /// Whether the end of what this side sends closes the session's connection as a whole.
    #[must_use]
    pub fn ends_with(&self, key: Key, side: Side) -> bool {
        self.session(key).is_some_and(|session| {
            let fastclose = self.services[session.service as usize].spec.fastclose;
            fastclose != Fastclose::Off && fastclose.is_for(side)
        })
    }

    /// Tells the manager of one client that was turned away in a while: under an attack there are many, and what else
    /// there is to tell needs the room.
    pub(super) fn tell_refused(&mut self, now: Moment, slot: u32, client: Endpoint, reason: CloseReason) {
        let Some(service) = self.services.get_mut(slot as usize).filter(|service| now >= service.quiet_until) else {
            return;
        };
        service.quiet_until = now.after(LOG_EVERY);
        self.reports.push(Report::ClientLost { service: service.spec.id, client, reason });
    }
}
