//! The hosts of one service as one reactor sees them: who may be chosen, and who has what open.
//!
//! Per-host state is kept by [`HostId`] over publications. A host that left the list stays until its last connection
//! here has ended.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;

use slab::Slab;

use super::candidates::{Barred, Candidates, Class, Difference, Host};
use super::index::Index;
use super::scheduler::{self, Scheduler};
use crate::model::counters::Rotation;
use crate::model::id::HostId;
use crate::model::rng::Rng;
use crate::model::scheduler::SchedulerKind;
use crate::model::service::{HostSpec, ServiceSpec};
use crate::model::status::HostStatus;
use crate::model::time::Moment;

/// Times that a choice is made anew because another reactor took the place meanwhile.
const ROUNDS: usize = 16;

fn slots_of(hosts: &Slab<Host>) -> BTreeMap<HostId, u32> {
    hosts.iter().map(|(slot, host)| (host.id, u32::try_from(slot).unwrap_or(u32::MAX))).collect()
}

/// The hosts of one service.
pub(super) struct Pool {
    hosts: Slab<Host>,
    order: Vec<u32>,
    rotation: Arc<Rotation>,
    kind: SchedulerKind,
    /// Chooses among up to `exact_max` hosts.
    scheduler: Box<dyn Scheduler>,
    exact_max: usize,
    /// A host of the list has an access list.
    has_lists: bool,
    /// Chooses among more.
    index: Option<Box<Index>>,
}

impl Pool {
    pub(super) fn new(spec: &ServiceSpec, exact_max: usize, rng: &mut Rng) -> Self {
        let mut pool = Self {
            hosts: Slab::new(),
            order: Vec::new(),
            rotation: Arc::clone(&spec.rotation),
            kind: spec.scheduler,
            scheduler: scheduler::new(spec.scheduler),
            exact_max,
            has_lists: false,
            index: None,
        };
        pool.apply(spec, rng);
        pool
    }

    /// Takes over a newer list. Connections to hosts that left it go on.
    pub(super) fn apply(&mut self, spec: &ServiceSpec, rng: &mut Rng) {
        let had_lists = std::mem::replace(&mut self.has_lists, spec.hosts.iter().any(|host| host.acl.is_some()));
        if had_lists || self.has_lists {
            // Who waits may be let in elsewhere now.
            self.rotation.free_any();
        }
        let same_rules = self.kind == spec.scheduler && Arc::ptr_eq(&self.rotation, &spec.rotation);
        if !same_rules {
            self.kind = spec.scheduler;
            self.scheduler = scheduler::new(spec.scheduler);
            self.rotation = Arc::clone(&spec.rotation);
        }
        let same_place = |(slot, host): (&u32, &HostSpec)| self.hosts[*slot as usize].id == host.id;
        let same_list = self.order.len() == spec.hosts.len() && self.order.iter().zip(&spec.hosts).all(same_place);
        let ranked_anew = if same_list { self.apply_to_same(spec) } else { self.apply_list(spec) };
        if self.order.len() <= self.exact_max {
            self.index = None;
            let (scheduler, candidates) = self.split(Moment::START, Barred::NONE, Class::Sound);
            scheduler.hosts_changed(&candidates);
        } else if ranked_anew || !same_rules || self.index.is_none() {
            self.index = Some(Box::new(Index::new(self.kind, &self.candidates(Moment::START, Barred::NONE), rng)));
        }
    }

    /// Takes over a list of the same hosts. Returns whether weights differ.
    fn apply_to_same(&mut self, spec: &ServiceSpec) -> bool {
        let mut all = Difference::default();
        for (position, host) in spec.hosts.iter().enumerate() {
            let difference = self.hosts[self.order[position] as usize].take_over(host);
            all.max |= difference.max;
            all.weight |= difference.weight;
            if difference.any
                && let Some(index) = &mut self.index
            {
                let Self { hosts, order, rotation, .. } = self;
                let class = Class::Sound;
                index.on_published(
                    position,
                    &Candidates { hosts, order, rotation, barred: Barred::NONE, now: Moment::START, class },
                );
            }
        }
        if all.max {
            self.rotation.free_any();
        }
        all.weight
    }

    /// Takes over another list. Returns that it is another one.
    fn apply_list(&mut self, spec: &ServiceSpec) -> bool {
        for (_, host) in &mut self.hosts {
            host.listed = false;
        }
        let slots: BTreeMap<HostId, u32> = slots_of(&self.hosts);
        self.order.clear();
        for (position, host) in (0..).zip(&spec.hosts) {
            let slot = if let Some(slot) = slots.get(&host.id).copied() {
                let known = &mut self.hosts[slot as usize];
                known.take_over(host);
                (known.position, known.listed) = (position, true);
                slot
            } else {
                u32::try_from(self.hosts.insert(Host::new(host, position))).unwrap_or(u32::MAX)
            };
            self.order.push(slot);
        }
        self.hosts.retain(|_, host| host.listed || host.open_here > 0);
        self.rotation.free_any();
        true
    }

    /// Chooses a host of this class that is not barred and takes a place at it. Returns its slot.
    pub(super) fn choose(&mut self, now: Moment, barred: Barred<'_>, class: Class, rng: &mut Rng) -> Option<u32> {
        if let Some(index) = &mut self.index {
            let Self { hosts, order, rotation, .. } = self;
            let position = index.choose(class, &Candidates { hosts, order, rotation, barred, now, class }, rng)?;
            let slot = self.order[position];
            self.hosts[slot as usize].open_here += 1;
            return Some(slot);
        }
        for _ in 0..ROUNDS {
            let (scheduler, candidates) = self.split(now, barred, class);
            let choice = scheduler.pick(&candidates, rng)?;
            let slot = self.order[choice.position];
            let host = &mut self.hosts[slot as usize];
            if choice.open.map_or_else(|| host.try_open(), |open| host.counters.try_open_at(open)) {
                host.open_here += 1;
                return Some(slot);
            }
        }
        // Others were faster every time: any host will do.
        let candidates = Candidates { class, ..self.candidates(now, barred) };
        let taken = |position: &usize| candidates.is_usable(*position) && candidates.host(*position).try_open();
        let slot = self.order[(0..candidates.len()).find(taken)?];
        self.hosts[slot as usize].open_here += 1;
        Some(slot)
    }

    /// Takes a place at this host if it is still listed, wanted and has room, whatever its state. Returns its slot.
    pub(super) fn choose_again(&mut self, id: HostId, client: Option<IpAddr>) -> Option<u32> {
        let slot = match &self.index {
            Some(index) => self.order[index.position(id)?],
            None => *self.order.iter().find(|slot| self.hosts[**slot as usize].id == id)?,
        };
        let host = &mut self.hosts[slot as usize];
        if host.weight == 0 || !host.permits(client) || !host.try_open() {
            return None;
        }
        host.open_here += 1;
        Some(slot)
    }

    /// Whether a host of any class that is not barred could be chosen now.
    pub(super) fn has_choice(&self, now: Moment, barred: Barred<'_>) -> bool {
        let candidates = self.candidates(now, barred);
        if let Some(index) = &self.index {
            return index.has_choice(&candidates);
        }
        Class::ALL.into_iter().any(|class| {
            let candidates = Candidates { class, ..candidates };
            (0..candidates.len()).any(|position| candidates.is_usable(position))
        })
    }

    /// Whether a host of the list may not be for everybody.
    pub(super) fn has_lists(&self) -> bool {
        self.has_lists
    }

    /// Whether this client may go to no host at all that takes new connections.
    pub(super) fn denies(&self, client: Option<IpAddr>) -> bool {
        let mut wanted = self.order.iter().map(|slot| &self.hosts[*slot as usize]).filter(|host| host.weight > 0);
        self.has_lists && wanted.all(|host| !host.permits(client))
    }

    /// Whether a host that is up and not barred only lacks room.
    pub(super) fn has_full(&self, now: Moment, barred: Barred<'_>) -> bool {
        let candidates = self.candidates(now, barred);
        if let Some(index) = &self.index {
            return index.has_full(&candidates);
        }
        (0..candidates.len()).any(|position| {
            let host = candidates.host(position);
            host.weight > 0 && host.status == HostStatus::Up && host.is_full() && !candidates.is_barred(position)
        })
    }

    /// Gives a place back. `awaited`: clients wait for one.
    pub(super) fn release(&mut self, slot: u32, awaited: impl FnOnce() -> bool) {
        let host = &mut self.hosts[slot as usize];
        host.open_here -= 1;
        if matches!(self.kind, SchedulerKind::LeastConnsRr | SchedulerKind::WeightLc) {
            host.counters.closed_ticket.store(self.rotation.next_ticket(), Relaxed);
        }
        Self::give_back(host, &self.rotation, awaited);
        if !host.listed {
            if host.open_here == 0 {
                self.hosts.remove(slot as usize);
            }
        } else if let Some(index) = &mut self.index {
            index.on_released(host.position as usize, host);
        }
    }

    /// Gives a place back for a reactor that has panicked.
    pub(super) fn abandon(&self, slot: u32) {
        Self::give_back(&self.hosts[slot as usize], &self.rotation, || true);
    }

    fn give_back(host: &Host, rotation: &Rotation, awaited: impl FnOnce() -> bool) {
        let before = host.counters.close();
        let Some(max) = host.max else { return };
        // Who waits has said so before it looked for the last time; with the fence in the gate, one of the two sees the
        // other. It may know of another `max`.
        fence(SeqCst);
        if before >= max || awaited() {
            rotation.free(host.id);
        }
    }

    /// The host showed that it is well.
    pub(super) fn cleared(&mut self, slot: u32) {
        let host = &self.hosts[slot as usize];
        if let Some(index) = self.index.as_mut().filter(|_| host.listed) {
            index.on_cleared(host.position as usize, host);
        }
    }

    pub(super) fn host(&self, slot: u32) -> &Host {
        &self.hosts[slot as usize]
    }

    /// Every host known here with its slot, those that left the list included.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (u32, &Host)> {
        self.hosts.iter().map(|(slot, host)| (u32::try_from(slot).unwrap_or(u32::MAX), host))
    }

    /// How often a full host of the group got room.
    pub(super) fn freed(&self) -> u64 {
        self.rotation.freed()
    }

    fn candidates<'a>(&'a self, now: Moment, barred: Barred<'a>) -> Candidates<'a> {
        let class = Class::Sound;
        Candidates { hosts: &self.hosts, order: &self.order, rotation: &self.rotation, barred, now, class }
    }

    fn split<'a>(
        &'a mut self,
        now: Moment,
        barred: Barred<'a>,
        class: Class,
    ) -> (&'a mut dyn Scheduler, Candidates<'a>) {
        let Self { hosts, order, rotation, scheduler, .. } = self;
        (scheduler.as_mut(), Candidates { hosts, order, rotation, barred, now, class })
    }
}
