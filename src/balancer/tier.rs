//! One level of a service's hosts: those among which a choice is made before the next level comes into question. Most
//! services have one.

use std::sync::Arc;

use slab::Slab;

use super::candidates::{Candidates, Class, Host, Roll, Wish};
use super::index::Index;
use super::scheduler::maglev::Table;
use super::scheduler::rendezvous::{self, Stakes};
use super::scheduler::{self, Choice, Scheduler};
use crate::model::id::HostId;
use crate::model::rng::Rng;
use crate::model::role::Level;
use crate::model::rotation::Rotation;
use crate::model::scheduler::SchedulerKind;
use crate::model::status::HostStatus;
use crate::model::time::Moment;

/// Times that a choice is made anew because another reactor took the place meanwhile.
const ROUNDS: usize = 16;

/// What a service's tiers share.
pub(super) struct Rules {
    pub(super) kind: SchedulerKind,
    /// Whether the client's network decides instead of the scheduler.
    pub(super) by_hash: bool,
    pub(super) rotation: Arc<Rotation>,
    /// Hosts of a tier up to which each choice looks at all.
    pub(super) exact_max: usize,
}

impl Rules {
    /// Whether a client's address decides anything.
    pub(super) const fn hashes(&self) -> bool {
        self.by_hash || matches!(self.kind, SchedulerKind::Maglev)
    }
}

/// What a publication changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct News {
    /// The list, weights or the scheduler.
    pub(super) ranks: bool,
    /// What hashing goes by.
    pub(super) stakes: bool,
}

/// The hosts of one level.
pub(super) struct Tier {
    pub(super) level: Level,
    pub(super) roll: Roll,
    /// Chooses among up to [`Rules::exact_max`] hosts.
    scheduler: Box<dyn Scheduler>,
    /// Chooses among more.
    index: Option<Box<Index>>,
}

impl Tier {
    pub(super) fn new(level: Level, kind: SchedulerKind) -> Self {
        Self { level, roll: Roll::default(), scheduler: scheduler::new(kind), index: None }
    }

    /// Another scheduler chooses from now on.
    pub(super) fn schedule(&mut self, kind: SchedulerKind) {
        self.scheduler = scheduler::new(kind);
        self.index = None;
    }

    /// A publication was taken over.
    pub(super) fn settle(&mut self, hosts: &Slab<Host>, rules: &Rules, news: News, rng: &mut Rng) {
        self.stake(hosts, rules, news);
        let candidates = Candidates { hosts, roll: &self.roll, rotation: &rules.rotation, wish: NOBODY, class: SOUND };
        // Hashing looks at few hosts of many by itself.
        if rules.by_hash || self.roll.order.len() <= rules.exact_max {
            self.index = None;
            self.scheduler.hosts_changed(&candidates);
        } else if news.ranks || self.index.is_none() {
            self.index = Some(Box::new(Index::new(rules.kind, &candidates, rng)));
        }
    }

    /// Has what hashing goes by follow a publication.
    fn stake(&mut self, hosts: &Slab<Host>, rules: &Rules, news: News) {
        let (stakes, table) = (&mut self.roll.stakes, &mut self.roll.table);
        if !rules.hashes() {
            (*stakes, *table) = (Stakes::default(), Table::default());
            return;
        }
        let is_changed = news.stakes || stakes.all().is_empty();
        if is_changed {
            let new = Stakes::new(self.roll.order.iter().map(|slot| hosts[*slot as usize].stake()).collect());
            if new != *stakes {
                (*stakes, *table) = (new, Table::default());
            }
        }
        // It takes some milliseconds to make: only when it is another one.
        if rules.kind == SchedulerKind::Maglev && !rules.by_hash && table.is_empty() {
            *table = Table::new(stakes);
        }
    }

    /// A publication says something else of the host at this position, its weight left out.
    pub(super) fn on_published(&mut self, position: u32, hosts: &Slab<Host>, rules: &Rules) {
        let Self { roll, index: Some(index), .. } = self else { return };
        let candidates = Candidates { hosts, roll, rotation: &rules.rotation, wish: NOBODY, class: SOUND };
        index.on_published(position as usize, &candidates);
    }

    /// This reactor closed a connection to this host.
    pub(super) fn on_released(&mut self, host: &Host) {
        if let Some(index) = &mut self.index {
            index.on_released(host.position as usize, host);
        }
    }

    /// This reactor opened a connection to this host without a choice.
    pub(super) fn on_taken(&mut self, host: &Host) {
        if let Some(index) = &mut self.index {
            index.on_taken(host.position as usize, host);
        }
    }

    /// This reactor ended the suspicion of this host.
    pub(super) fn on_cleared(&mut self, host: &Host) {
        if let Some(index) = &mut self.index {
            index.on_cleared(host.position as usize, host);
        }
    }

    /// Chooses a host of this class where the client was not yet, and takes a place at it. Returns its slot.
    pub(super) fn choose(
        &mut self,
        hosts: &Slab<Host>,
        rules: &Rules,
        (wish, class): (&Wish<'_>, Class),
        rng: &mut Rng,
    ) -> Option<u32> {
        let Self { roll, scheduler, index, .. } = self;
        let candidates = Candidates { hosts, roll, rotation: &rules.rotation, wish: *wish, class };
        if let Some(index) = index {
            return index.choose(class, &candidates, rng).map(|position| roll.order[position]);
        }
        for _ in 0..ROUNDS {
            let choice = if rules.by_hash {
                rendezvous::pick(&candidates).map(Choice::of)
            } else {
                scheduler.pick(&candidates, rng)
            };
            let choice = choice?;
            let host = candidates.host(choice.position);
            if choice.open.map_or_else(|| host.try_open(), |open| host.counters.try_open_at(open)) {
                return Some(roll.order[choice.position]);
            }
        }
        // Others were faster every time: any host will do.
        let taken = |position: &usize| candidates.is_usable(*position) && candidates.host(*position).try_open();
        Some(roll.order[(0..candidates.len()).find(taken)?])
    }

    /// Whether a host of any class where the client was not yet could be chosen now.
    pub(super) fn has_choice(&self, hosts: &Slab<Host>, rules: &Rules, wish: &Wish<'_>) -> bool {
        let Self { roll, .. } = self;
        let candidates = Candidates { hosts, roll, rotation: &rules.rotation, wish: *wish, class: SOUND };
        if let Some(index) = &self.index {
            return index.has_choice(&candidates);
        }
        Class::ALL.into_iter().any(|class| {
            let candidates = Candidates { class, ..candidates };
            (0..candidates.len()).any(|position| candidates.is_usable(position))
        })
    }

    /// Whether a host that is up, and where the client was not yet, only lacks room.
    pub(super) fn has_full(&self, hosts: &Slab<Host>, rules: &Rules, wish: &Wish<'_>) -> bool {
        let Self { roll, .. } = self;
        let candidates = Candidates { hosts, roll, rotation: &rules.rotation, wish: *wish, class: SOUND };
        if let Some(index) = &self.index {
            return index.has_full(&candidates);
        }
        (0..candidates.len()).any(|position| {
            let host = candidates.host(position);
            host.weight > 0 && host.status == HostStatus::Up && host.is_full() && !candidates.is_barred(position)
        })
    }

    /// The host that hashing gives the client, whatever its state.
    pub(super) fn winner(&self, hosts: &Slab<Host>, client: u64) -> Option<HostId> {
        let position = self.roll.stakes.winner(client, |_| true)?;
        Some(hosts[self.roll.order[position] as usize].id)
    }
}

const SOUND: Class = Class::Sound;
const NOBODY: Wish<'static> = Wish { now: Moment::START, tried: &[], from: None, client: 0 };
