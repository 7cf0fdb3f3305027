//! What a choice is made among: the hosts of one service as one reactor sees them.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use slab::Slab;

use super::scheduler::maglev::Table;
use super::scheduler::rendezvous::{Stake, Stakes};
use crate::model::access::Acl;
use crate::model::address::Endpoint;
use crate::model::counters::HostCounters;
use crate::model::hash;
use crate::model::id::HostId;
use crate::model::limits::{SLOW_CONNECT_FACTOR, SLOW_CONNECT_MIN};
use crate::model::role::Level;
use crate::model::rotation::Rotation;
use crate::model::service::HostSpec;
use crate::model::socket_options::Outbound;
use crate::model::status::HostStatus;
use crate::model::time::Moment;

/// A host.
#[derive(Debug)]
pub struct Host {
    /// The host.
    pub id: HostId,
    /// Where to connect to.
    pub addr: Endpoint,
    /// Its share.
    pub weight: u32,
    /// Its weight as configured.
    pub(super) share: u32,
    pub(super) max: Option<u32>,
    /// Most connections for a client whose own host this is.
    pub(super) hard: Option<u32>,
    pub(super) level: Level,
    pub(super) status: HostStatus,
    pub(super) may_meet_itself: bool,
    pub(super) acl: Option<Arc<Acl>>,
    pub(super) outbound: Option<Arc<Outbound>>,
    pub(super) counters: Arc<HostCounters>,
    pub(super) open_here: u32,
    /// Which of the service's tiers it is in, and its place in that one's list.
    pub(super) rank: u32,
    pub(super) position: u32,
    pub(super) listed: bool,
}

impl Host {
    pub(super) fn new(spec: &HostSpec) -> Self {
        Self {
            id: spec.id,
            addr: spec.addr,
            weight: spec.weight,
            share: spec.share,
            max: spec.max,
            hard: spec.hard,
            level: spec.level,
            status: spec.status,
            may_meet_itself: spec.may_meet_itself,
            acl: spec.acl.clone(),
            outbound: spec.outbound.clone(),
            counters: Arc::clone(&spec.counters),
            open_here: 0,
            rank: 0,
            position: 0,
            listed: true,
        }
    }

    /// Takes over what a publication says of this host. Returns what differs.
    pub(super) fn take_over(&mut self, spec: &HostSpec) -> Difference {
        let difference = Difference {
            any: self.status != spec.status || self.max != spec.max || self.weight != spec.weight,
            max: self.max != spec.max || self.hard != spec.hard,
            weight: self.weight != spec.weight,
            share: self.share != spec.share,
        };
        (self.addr, self.weight, self.share) = (spec.addr, spec.weight, spec.share);
        (self.max, self.hard, self.level) = (spec.max, spec.hard, spec.level);
        (self.status, self.may_meet_itself) = (spec.status, spec.may_meet_itself);
        // Counting references to each of many hosts anew would cost more than all the rest.
        if !Arc::ptr_eq(&self.counters, &spec.counters) {
            self.counters = Arc::clone(&spec.counters);
        }
        if self.outbound.as_ref().map(Arc::as_ptr) != spec.outbound.as_ref().map(Arc::as_ptr) {
            self.outbound.clone_from(&spec.outbound);
        }
        if self.acl.as_ref().map(Arc::as_ptr) != spec.acl.as_ref().map(Arc::as_ptr) {
            self.acl.clone_from(&spec.acl);
        }
        difference
    }

    /// Whether its access list lets this client come.
    pub(super) fn permits(&self, client: Option<IpAddr>) -> bool {
        self.acl.as_ref().is_none_or(|acl| acl.permits(client))
    }

    /// Open connections over all reactors, connects in flight included.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.counters.open()
    }

    /// When a connection to it last closed, as a number that grows.
    #[must_use]
    pub fn closed_ticket(&self) -> u64 {
        self.counters.closed_ticket.load(Relaxed)
    }

    /// How long a connect may take before it is called slow.
    pub(super) fn slow_after(&self) -> Duration {
        (self.counters.connect_time() * SLOW_CONNECT_FACTOR).max(SLOW_CONNECT_MIN)
    }

    pub(super) fn is_full(&self) -> bool {
        self.max.is_some_and(|max| self.open() >= max)
    }

    /// Whether it is up, wanted, and nothing is known against it.
    pub(super) fn is_sound(&self, now: Moment) -> bool {
        self.weight > 0 && self.status == HostStatus::Up && !self.counters.is_suspected(now)
    }

    /// Takes a place at it for a client whose own host it is.
    pub(super) fn try_open_own(&self) -> bool {
        self.counters.try_open(self.hard.or(self.max))
    }

    pub(super) fn stake(&self) -> Stake {
        Stake { identity: hash::endpoint(self.addr), share: self.share }
    }

    /// Takes a place at it unless it is full.
    pub(super) fn try_open(&self) -> bool {
        self.counters.try_open(self.max)
    }
}

/// What a publication changed of a host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Difference {
    pub(super) any: bool,
    pub(super) max: bool,
    pub(super) weight: bool,
    pub(super) share: bool,
}

/// Which hosts a choice is made among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Up, and nothing is known against them.
    Sound,
    /// Up, but a reactor saw a failure that the manager has not judged yet.
    Suspected,
    /// Down.
    Down,
}

impl Class {
    /// In the order in which they are tried.
    pub(super) const ALL: [Self; 3] = [Self::Sound, Self::Suspected, Self::Down];
}

/// For whom a host is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) now: Moment,
    /// Hosts where the client was already.
    pub(super) tried: &'a [HostId],
    /// The client, whom a host's access list may deny.
    pub(super) from: Option<IpAddr>,
    /// The client's hash, where its address decides; else any number.
    pub(super) client: u64,
}

impl Wish<'_> {
    /// Whether the client was at this host already, or may not go there.
    pub(super) fn bars(&self, host: &Host) -> bool {
        (!self.tried.is_empty() && self.tried.contains(&host.id)) || !host.permits(self.from)
    }
}

/// What all choices of a tier go by.
#[derive(Debug, Default)]
pub(super) struct Roll {
    /// Slots of the hosts, in the order of the list.
    pub(super) order: Vec<u32>,
    /// Which tier of the service it is.
    pub(super) rank: usize,
    /// What hashing goes by, where it does.
    pub(super) stakes: Stakes,
    /// The places of [`crate::model::scheduler::SchedulerKind::Maglev`], where that chooses.
    pub(super) table: Table,
}

/// The hosts that a scheduler may choose among: those of one level.
#[derive(Clone, Copy)]
pub struct Candidates<'a> {
    pub(super) hosts: &'a Slab<Host>,
    pub(super) roll: &'a Roll,
    pub(super) rotation: &'a Rotation,
    pub(super) wish: Wish<'a>,
    pub(super) class: Class,
}

impl Candidates<'_> {
    /// Hosts in the list, usable or not.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a scheduler loops over positions; an empty list needs no case")]
    pub fn len(&self) -> usize {
        self.roll.order.len()
    }

    /// The host at this position, which must be below [`Self::len`].
    #[must_use]
    pub fn host(&self, position: usize) -> &Host {
        &self.hosts[self.roll.order[position] as usize]
    }

    /// Whether the host at this position may be chosen.
    #[must_use]
    pub fn is_usable(&self, position: usize) -> bool {
        let host = self.host(position);
        if host.weight == 0 || host.is_full() || self.is_barred(position) {
            return false;
        }
        match (self.class, host.status) {
            (Class::Sound, HostStatus::Up) => !host.counters.is_suspected(self.wish.now),
            (Class::Suspected, HostStatus::Up) => host.counters.is_suspected(self.wish.now),
            (Class::Down, HostStatus::Down) => true,
            (Class::Sound | Class::Suspected, HostStatus::Down) | (Class::Down, HostStatus::Up) => false,
        }
    }

    /// Whether the client was at the host at this position already, or may not go there.
    #[must_use]
    pub fn is_barred(&self, position: usize) -> bool {
        self.wish.bars(self.host(position))
    }

    /// Now.
    #[must_use]
    pub const fn now(&self) -> Moment {
        self.wish.now
    }

    /// The hash of the client's network, for what goes by that.
    #[must_use]
    pub const fn client(&self) -> u64 {
        self.wish.client
    }

    /// What hashing goes by.
    #[must_use]
    pub const fn stakes(&self) -> &Stakes {
        &self.roll.stakes
    }

    /// The places of maglev.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.roll.table
    }

    /// Which of the service's levels this is, counted from 0.
    #[must_use]
    pub const fn level(&self) -> usize {
        self.roll.rank
    }

    /// What all reactors share.
    #[must_use]
    pub fn rotation(&self) -> &Rotation {
        self.rotation
    }
}
