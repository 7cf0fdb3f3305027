//! The hosts of one service as one reactor sees them: who may be chosen, and who has what open.
//!
//! Per-host state is kept by [`HostId`] over publications. A host that left the list stays until its last connection
//! here has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;

use slab::Slab;

use super::candidates::{Class, Difference, Host, Wish};
use super::tier::{News, Rules, Tier};
use crate::model::id::HostId;
use crate::model::rng::Rng;
use crate::model::role::{Level, Role};
use crate::model::rotation::Rotation;
use crate::model::scheduler::SchedulerKind;
use crate::model::service::{HostSpec, ServiceSpec};
use crate::model::status::HostStatus;
use crate::model::sticky::StickyMode;
use crate::model::time::Moment;

fn slots_of(hosts: &Slab<Host>) -> BTreeMap<HostId, u32> {
    hosts.iter().map(|(slot, host)| (host.id, u32::try_from(slot).unwrap_or(u32::MAX))).collect()
}

/// The hosts of one service.
pub(super) struct Pool {
    hosts: Slab<Host>,
    /// Slots in the order of the publication.
    list: Vec<u32>,
    /// Slots by id, those listed alone.
    ids: Vec<(HostId, u32)>,
    /// By level.
    tiers: Vec<Tier>,
    rules: Rules,
}

impl Pool {
    pub(super) fn new(spec: &ServiceSpec, exact_max: usize, rng: &mut Rng) -> Self {
        let rules = Rules {
            kind: spec.scheduler,
            by_hash: spec.sticky.mode == StickyMode::Hash,
            rotation: Arc::clone(&spec.rotation),
            exact_max,
        };
        let mut pool = Self { hosts: Slab::new(), list: Vec::new(), ids: Vec::new(), tiers: Vec::new(), rules };
        pool.apply(spec, rng);
        pool
    }

    /// Takes over a newer list. Connections to hosts that left it go on.
    pub(super) fn apply(&mut self, spec: &ServiceSpec, rng: &mut Rng) {
        let same_rules = self.rules.kind == spec.scheduler && Arc::ptr_eq(&self.rules.rotation, &spec.rotation);
        if !same_rules {
            self.rules.kind = spec.scheduler;
            self.rules.rotation = Arc::clone(&spec.rotation);
            self.tiers.iter_mut().for_each(|tier| tier.schedule(spec.scheduler));
        }
        self.rules.by_hash = spec.sticky.mode == StickyMode::Hash;
        let same_place = |(slot, spec): (&u32, &HostSpec)| {
            let host = &self.hosts[*slot as usize];
            host.id == spec.id && host.level == spec.level
        };
        let same_list = self.list.len() == spec.hosts.len() && self.list.iter().zip(&spec.hosts).all(same_place);
        let news = if same_list {
            let all = self.apply_to_same(spec);
            News { ranks: all.weight || !same_rules, stakes: all.share || !same_rules }
        } else {
            self.apply_list(spec);
            News { ranks: true, stakes: true }
        };
        let Self { hosts, tiers, rules, .. } = self;
        tiers.iter_mut().for_each(|tier| tier.settle(hosts, rules, news, rng));
    }

    /// Takes over a list of the same hosts. Returns what differs of any.
    fn apply_to_same(&mut self, spec: &ServiceSpec) -> Difference {
        let Self { hosts, list, tiers, rules, .. } = self;
        let mut all = Difference::default();
        for (slot, spec) in list.iter().zip(&spec.hosts) {
            let host = &mut hosts[*slot as usize];
            let difference = host.take_over(spec);
            all.max |= difference.max;
            all.weight |= difference.weight;
            all.share |= difference.share;
            if difference.any {
                let (rank, position) = (host.rank, host.position);
                tiers[rank as usize].on_published(position, hosts, rules);
            }
        }
        if all.max {
            rules.rotation.free_any();
        }
        all
    }

    /// Takes over another list.
    fn apply_list(&mut self, spec: &ServiceSpec) {
        for (_, host) in &mut self.hosts {
            host.listed = false;
        }
        let known: BTreeMap<HostId, u32> = slots_of(&self.hosts);
        self.list.clear();
        for host in &spec.hosts {
            let slot = if let Some(slot) = known.get(&host.id).copied() {
                let known = &mut self.hosts[slot as usize];
                known.take_over(host);
                known.listed = true;
                slot
            } else {
                u32::try_from(self.hosts.insert(Host::new(host))).unwrap_or(u32::MAX)
            };
            self.list.push(slot);
        }
        self.hosts.retain(|_, host| host.listed || host.open_here > 0);
        self.ids = self.list.iter().map(|slot| (self.hosts[*slot as usize].id, *slot)).collect();
        self.ids.sort_unstable();
        self.rank();
        self.rules.rotation.free_any();
    }

    /// Gives each listed host its tier and its place there. Tiers whose level stays keep what they know.
    fn rank(&mut self) {
        let mut before: BTreeMap<Level, Tier> = self.tiers.drain(..).map(|tier| (tier.level, tier)).collect();
        let levels: BTreeSet<Level> = self.list.iter().map(|slot| self.hosts[*slot as usize].level).collect();
        let kind = self.rules.kind;
        for (rank, level) in levels.iter().enumerate() {
            let mut tier = before.remove(level).unwrap_or_else(|| Tier::new(*level, kind));
            tier.roll.order.clear();
            tier.roll.rank = rank;
            self.tiers.push(tier);
        }
        let ranks: BTreeMap<Level, u32> = levels.into_iter().zip(0..).collect();
        for slot in &self.list {
            let host = &mut self.hosts[*slot as usize];
            host.rank = ranks.get(&host.level).copied().unwrap_or(0);
            let order = &mut self.tiers[host.rank as usize].roll.order;
            host.position = u32::try_from(order.len()).unwrap_or(u32::MAX);
            order.push(*slot);
        }
    }

    /// Chooses a host of this role and class where the client was not yet, of the lowest level that has one, and takes a
    /// place at it. Returns its slot.
    pub(super) fn choose(&mut self, role: Role, class: Class, wish: &Wish<'_>, rng: &mut Rng) -> Option<u32> {
        let Self { hosts, tiers, rules, .. } = self;
        let mut tiers = tiers.iter_mut().filter(|tier| tier.level.role == role);
        let slot = tiers.find_map(|tier| tier.choose(hosts, rules, (wish, class), rng))?;
        hosts[slot as usize].open_here += 1;
        Some(slot)
    }

    /// Takes a place at this host if it is still listed, wanted, of these roles and has room, whatever its state. Returns
    /// its slot.
    pub(super) fn choose_again(&mut self, id: HostId, roles: &[Role]) -> Option<u32> {
        let slot = self.slot(id).filter(|_| self.is_wanted(id, roles))?;
        self.hosts[slot as usize].try_open().then(|| self.taken(slot))
    }

    /// Takes a place for a client whose own host this is, if nothing is known against it and the client was not there.
    /// Where others wait, only the places that are not for them come into question. Returns its slot.
    pub(super) fn choose_own(&mut self, id: HostId, wish: &Wish<'_>, is_queued: bool) -> Option<u32> {
        let slot = self.slot(id)?;
        let host = &self.hosts[slot as usize];
        let may = host.level.role == Role::Normal && host.is_sound(wish.now) && !wish.tried.contains(&id);
        let first_come = is_queued && !host.is_full();
        (may && !first_come && host.try_open_own()).then(|| self.taken(slot))
    }

    fn taken(&mut self, slot: u32) -> u32 {
        let Self { hosts, tiers, .. } = self;
        let host = &mut hosts[slot as usize];
        host.open_here += 1;
        tiers[host.rank as usize].on_taken(host);
        slot
    }

    fn slot(&self, id: HostId) -> Option<u32> {
        let found = self.ids.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.ids[found].1)
    }

    /// Whether clients of these roles may be sent to this host, if not now: it is listed, and its weight is not 0.
    pub(super) fn is_wanted(&self, id: HostId, roles: &[Role]) -> bool {
        let host = self.slot(id).map(|slot| &self.hosts[slot as usize]);
        host.is_some_and(|host| host.weight > 0 && roles.contains(&host.level.role))
    }

    /// Whether this host is listed, wanted and not known to be down.
    pub(super) fn is_up(&self, id: HostId) -> bool {
        let host = self.slot(id).map(|slot| &self.hosts[slot as usize]);
        host.is_some_and(|host| host.weight > 0 && host.status == HostStatus::Up)
    }

    /// Whether this host could take clients, if not as fast as usual.
    pub(super) fn is_slow_at_worst(&self, now: Moment, id: HostId) -> bool {
        let host = self.slot(id).map(|slot| &self.hosts[slot as usize]);
        self.is_up(id) && host.is_some_and(|host| !host.is_full() && !host.counters.has_failed(now))
    }

    /// Whether this host is in the list.
    pub(super) fn is_listed(&self, id: HostId) -> bool {
        self.slot(id).is_some()
    }

    /// The host that hashing gives the client with this hash, whatever its state.
    pub(super) fn winner(&self, client: u64) -> Option<HostId> {
        self.tiers.first().and_then(|tier| tier.winner(&self.hosts, client))
    }

    /// Whether a host of any class and of these roles where the client was not yet could be chosen now.
    pub(super) fn has_choice(&self, roles: &[Role], wish: &Wish<'_>) -> bool {
        self.of(roles).any(|tier| tier.has_choice(&self.hosts, &self.rules, wish))
    }

    /// Whether a host of these roles that is up, and where the client was not yet, only lacks room.
    pub(super) fn has_full(&self, roles: &[Role], wish: &Wish<'_>) -> bool {
        self.of(roles).any(|tier| tier.has_full(&self.hosts, &self.rules, wish))
    }

    fn of(&self, roles: &[Role]) -> impl Iterator<Item = &Tier> {
        self.tiers.iter().filter(|tier| roles.contains(&tier.level.role))
    }

    /// Whether the address of a client decides where it goes.
    pub(super) const fn hashes(&self) -> bool {
        self.rules.hashes()
    }

    /// Gives a place back. `awaited`: clients wait for one.
    pub(super) fn release(&mut self, slot: u32, awaited: impl FnOnce() -> bool) {
        let Self { hosts, tiers, rules, .. } = self;
        let host = &mut hosts[slot as usize];
        host.open_here -= 1;
        if matches!(rules.kind, SchedulerKind::LeastConnsRr | SchedulerKind::WeightLc) {
            host.counters.closed_ticket.store(rules.rotation.next_ticket(), Relaxed);
        }
        Self::give_back(host, &rules.rotation, awaited);
        if host.listed {
            tiers[host.rank as usize].on_released(host);
        } else if host.open_here == 0 {
            hosts.remove(slot as usize);
        }
    }

    /// Gives a place back for a reactor that has panicked.
    pub(super) fn abandon(&self, slot: u32) {
        Self::give_back(&self.hosts[slot as usize], &self.rules.rotation, || true);
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
        let Self { hosts, tiers, .. } = self;
        let host = &hosts[slot as usize];
        if host.listed {
            tiers[host.rank as usize].on_cleared(host);
        }
    }

    pub(super) fn host(&self, slot: u32) -> &Host {
        &self.hosts[slot as usize]
    }

    pub(super) fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// Every host known here with its slot, those that left the list included.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (u32, &Host)> {
        self.hosts.iter().map(|(slot, host)| (u32::try_from(slot).unwrap_or(u32::MAX), host))
    }

    /// How often a full host of the group got room.
    pub(super) fn freed(&self) -> u64 {
        self.rules.rotation.freed()
    }
}
