//! Clients that find their host again: by the table that all reactors share, or by hashing alone.

use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;

use super::candidates::Wish;
use super::place::roles;
use super::{Balancer, Key, Service, State};
use crate::model::address::Endpoint;
use crate::model::id::HostId;
use crate::model::role::Role;
use crate::model::sticky::{Network, Remembered, StickyMode};
use crate::model::time::Moment;

/// What is known of where a client belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belongs {
    network: Network,
    /// What the table said; of hashing, the host that has won.
    seen: Option<Remembered>,
}

impl Service {
    /// What tells a client from others. Those that came over a socket of this machine are one.
    fn network(&self, client: Endpoint) -> Network {
        client.ip().map_or(Network::LOCAL, |ip| self.spec.sticky.prefixes.network(ip))
    }

    /// The hash of a client's network, where its address decides anything; else any number.
    pub(super) fn hash_of(&self, client: Endpoint) -> u64 {
        if self.pool.hashes() { self.network(client).hash() } else { 0 }
    }

    /// Where a client belongs; `None`: clients of this service belong nowhere.
    pub(super) fn belongs(&self, now: Moment, client: Endpoint) -> Option<Belongs> {
        let rules = &self.spec.sticky;
        if rules.mode == StickyMode::Off {
            return None;
        }
        let network = self.network(client);
        let seen = match &self.spec.table {
            Some(table) => table.look(now, rules.ttl, network),
            None => self.pool.winner(network.hash()).map(|host| Remembered { host, home: host }),
        };
        Some(Belongs { network, seen })
    }

    /// The one host that a stubborn service has for this client, whatever its state.
    pub(super) fn only_host(&self, belongs: &Belongs, client: Option<IpAddr>) -> Option<HostId> {
        let seen = belongs.seen.filter(|_| self.spec.is_stubborn)?;
        Some(seen.host).filter(|host| self.pool.is_wanted(*host, roles(false), client))
    }

    /// Takes a place at the client's own host, if it can take it now. Returns its slot.
    ///
    /// A client whose home was merely slow goes home as soon as that is over. One that is not to fail back loses a
    /// home that turned out to be down.
    pub(super) fn choose_own(&mut self, belongs: &Belongs, wish: &Wish<'_>, is_queued: bool) -> Option<u32> {
        let Remembered { host, home } = belongs.seen?;
        if home == host {
            return self.pool.choose_own(host, wish, is_queued);
        }
        let at_home = self.pool.choose_own(home, wish, is_queued);
        let slot = at_home.or_else(|| self.pool.choose_own(host, wish, is_queued))?;
        if at_home.is_some() || !(self.spec.sticky.fail_back || self.pool.is_up(home)) {
            self.remember(wish.now, belongs, slot);
        }
        Some(slot)
    }

    /// Remembers the host in this slot, where the client has a place now, before it has accepted: so that connections
    /// which come together go together. If another reactor has chosen for the same client at the same moment, it goes
    /// there instead. Returns where it is, and whether that is another host than before.
    pub(super) fn settle(&mut self, belongs: Option<&Belongs>, wish: &Wish<'_>, slot: u32) -> (u32, bool) {
        let (Some(belongs), Some(table)) = (belongs, &self.spec.table) else { return (slot, false) };
        let new = self.place_of(belongs, slot);
        let moved = (slot, new.home != new.host);
        let Err(other) = table.remember(wish.now, belongs.network, belongs.seen, new) else { return moved };
        if let Some(theirs) = self.pool.choose_own(other.host, wish, false) {
            let Self { pool, spec, .. } = self;
            pool.release(slot, || spec.counters.waiting.load(Relaxed) > 0);
            return (theirs, false);
        }
        table.set(wish.now, belongs.network, new);
        moved
    }

    /// The host that a client has moved to has accepted it, or not: it stays there, or the attempt is forgotten. A client
    /// that fails back keeps its home, and so does one whose home is merely slow for others at the moment.
    fn end_move(&self, now: Moment, client: Endpoint, tried: &[HostId], has_accepted: bool) {
        let Some(table) = &self.spec.table else { return };
        let network = self.network(client);
        let Some(Remembered { host, home }) = table.peek(network) else { return };
        if !has_accepted {
            table.set(now, network, Remembered { host: home, home });
        } else if !(self.spec.sticky.fail_back || self.pool.is_slow_at_worst(now, home) && !tried.contains(&home)) {
            table.set(now, network, Remembered { host, home: host });
        }
    }

    /// Remembers the host in this slot, if it is one that clients return to.
    pub(super) fn remember(&self, now: Moment, belongs: &Belongs, slot: u32) {
        if let Some(table) = &self.spec.table
            && self.pool.host(slot).level.role == Role::Normal
        {
            let Remembered { host, home } = self.place_of(belongs, slot);
            let home = if self.spec.sticky.fail_back { home } else { host };
            table.set(now, belongs.network, Remembered { host, home });
        }
    }

    /// A connection of this client has ended: the time that it is remembered begins anew.
    pub(super) fn note_end(&self, now: Moment, client: Endpoint) {
        let rules = &self.spec.sticky;
        if let Some(table) = self.spec.table.as_ref().filter(|_| !rules.ttl.is_zero()) {
            table.touch(now, self.network(client));
        }
    }

    /// What is to be remembered of a client that goes to the host in this slot.
    fn place_of(&self, belongs: &Belongs, slot: u32) -> Remembered {
        let host = self.pool.host(slot).id;
        let home = belongs.seen.map(|seen| seen.home).filter(|home| self.pool.is_listed(*home));
        Remembered { host, home: home.unwrap_or(host) }
    }
}

impl<T> Balancer<T> {
    /// The attempt of a session whose client has moved by it has ended.
    pub(super) fn end_move(&mut self, now: Moment, key: Key, has_accepted: bool) {
        let Some(session) = self.session_mut(key).filter(|session| session.has_moved) else { return };
        session.has_moved = false;
        let session = &self.sessions[key.slot as usize];
        self.services[session.service as usize].end_move(now, session.client, session.tried(), has_accepted);
    }

    /// Whether those behind this one in the queue may find a place where it does not.
    pub(super) fn may_be_passed(&self, key: Key) -> bool {
        let Some(session) = self.session(key).filter(|session| session.state == State::Waiting) else { return true };
        let service = &self.services[session.service as usize];
        session.tried.is_some() || service.spec.has_privileges() || service.pool.has_lists()
    }
}
