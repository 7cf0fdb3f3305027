//! Which hosts of a large group can be chosen, so that a choice need not look at each.
//!
//! What a publication says of a host is known here; whether it is full or suspected is shared by all reactors and
//! changes at any time. Each host is in the set of how it was last seen. A host is looked at when it is about to be
//! chosen, so that none is chosen wrongly, and each leaves the ready ones once for each of its changes. The way back:
//! - from the full ones: whoever gives the place back says so in the group's [`crate::model::rotation::Rotation`];
//! - from the suspected ones: each choice looks at a few, and while none is ready, at all from time to time. A suspected
//!   host that has room is chosen before a client is told that there is none.

use super::candidates::{Candidates, Class, Host};
use super::scheduler::ranking::{self, Ranking};
use super::scheduler::set::Set;
use crate::model::id::HostId;
use crate::model::limits::{FREED_KEPT, SUSPECTED_LOOK};
use crate::model::rng::Rng;
use crate::model::scheduler::SchedulerKind;
use crate::model::status::HostStatus;
use crate::model::time::Moment;

/// Suspected hosts that each choice looks at, and full ones.
const LOOKS: usize = 2;

/// How a host was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Ready,
    Full,
    Suspected,
    Down,
    /// Weight 0, or not to be chosen at the moment.
    Out,
}

/// The hosts of a large group, by position in the list.
pub(super) struct Index {
    marks: Vec<Mark>,
    ready: Set,
    full: Set,
    suspected: Set,
    down: Set,
    /// Positions by id.
    ids: Vec<(HostId, usize)>,
    /// Where the next look at full, suspected and down hosts begins.
    next_full: usize,
    next_suspected: usize,
    next_down: usize,
    /// What [`crate::model::rotation::Rotation::freed`] said when the full ones were last known to be.
    freed: u64,
    /// When all suspected hosts were last looked at.
    looked: Option<Moment>,
    ranking: Box<dyn Ranking>,
}

impl Index {
    pub(super) fn new(kind: SchedulerKind, hosts: &Candidates<'_>, rng: &mut Rng) -> Self {
        let len = hosts.len();
        let mut ids: Vec<(HostId, usize)> = (0..len).map(|position| (hosts.host(position).id, position)).collect();
        ids.sort_unstable();
        let mut index = Self {
            marks: vec![Mark::Out; len],
            ready: Set::below(len),
            full: Set::below(len),
            suspected: Set::below(len),
            down: Set::below(len),
            ids,
            next_full: 0,
            next_suspected: 0,
            next_down: usize::try_from(rng.below(len as u64)).unwrap_or(0),
            freed: hosts.rotation().freed(),
            looked: None,
            ranking: ranking::new(kind, hosts, rng),
        };
        for position in 0..len {
            index.on_published(position, hosts);
        }
        index
    }

    /// A publication changed this host, but not its weight. Whether it is suspected shows when it is about to be chosen.
    pub(super) fn on_published(&mut self, position: usize, hosts: &Candidates<'_>) {
        let host = hosts.host(position);
        let mark = match mark(host, Moment::START) {
            Mark::Suspected => Mark::Ready,
            known @ (Mark::Ready | Mark::Full | Mark::Down | Mark::Out) => known,
        };
        self.put(position, mark, host);
    }

    /// This reactor closed a connection to this host.
    pub(super) fn on_released(&mut self, position: usize, host: &Host) {
        match self.marks[position] {
            Mark::Ready => self.ranking.released(position, host),
            Mark::Full if !host.is_full() => self.put(position, Mark::Ready, host),
            Mark::Full | Mark::Suspected | Mark::Down | Mark::Out => {}
        }
    }

    /// This reactor opened a connection to this host that was no choice among others.
    pub(super) fn on_taken(&mut self, position: usize, host: &Host) {
        if self.marks[position] == Mark::Ready {
            self.ranking.taken(position, host);
        }
    }

    /// This reactor ended the suspicion of this host.
    pub(super) fn on_cleared(&mut self, position: usize, host: &Host) {
        if self.marks[position] == Mark::Suspected {
            self.put(position, Mark::Ready, host);
        }
    }

    /// Chooses a host of this class that is not barred and takes a place at it. Returns its position.
    pub(super) fn choose(&mut self, class: Class, hosts: &Candidates<'_>, rng: &mut Rng) -> Option<usize> {
        self.catch_up(hosts);
        match class {
            Class::Sound => self.choose_sound(hosts, rng),
            Class::Suspected => self.choose_suspected(hosts),
            Class::Down => self.choose_down(hosts),
        }
    }

    fn choose_sound(&mut self, hosts: &Candidates<'_>, rng: &mut Rng) -> Option<usize> {
        self.look_at_some(hosts);
        let mut aside = Vec::new();
        let chosen = loop {
            let Some(position) = self.ranking.pick(hosts, &self.ready, rng) else {
                if self.look_at_suspected(hosts) {
                    continue;
                }
                break None;
            };
            let host = hosts.host(position);
            match mark(host, hosts.now()) {
                Mark::Ready if hosts.is_barred(position) => {
                    aside.push(position);
                    self.put(position, Mark::Out, host);
                }
                Mark::Ready if host.try_open() => {
                    self.ranking.taken(position, host);
                    break Some(position);
                }
                Mark::Ready => self.put(position, Mark::Full, host),
                worse @ (Mark::Full | Mark::Suspected | Mark::Down | Mark::Out) => self.put(position, worse, host),
            }
        };
        for position in aside {
            self.put(position, Mark::Ready, hosts.host(position));
        }
        chosen
    }

    /// One after the other, so that clients are spread.
    fn choose_suspected(&mut self, hosts: &Candidates<'_>) -> Option<usize> {
        for _ in 0..self.suspected.len() {
            let position = self.suspected.next_around(self.next_suspected)?;
            self.next_suspected = position + 1;
            let host = hosts.host(position);
            if host.is_full() {
                self.put(position, Mark::Full, host);
            } else if !hosts.is_barred(position) && host.try_open() {
                return Some(position);
            }
        }
        None
    }

    /// One after the other, so that clients are spread.
    fn choose_down(&mut self, hosts: &Candidates<'_>) -> Option<usize> {
        for _ in 0..self.down.len() {
            let position = self.down.next_around(self.next_down)?;
            self.next_down = position + 1;
            if !hosts.is_barred(position) && hosts.host(position).try_open() {
                return Some(position);
            }
        }
        None
    }

    /// Whether a host could be chosen now, as far as is known.
    pub(super) fn has_choice(&self, hosts: &Candidates<'_>) -> bool {
        let sets = [&self.ready, &self.suspected, &self.down];
        let could = |position: usize| !hosts.host(position).is_full() && !hosts.is_barred(position);
        sets.into_iter().flat_map(Set::iter).any(could)
    }

    /// Whether a host that is up and not barred only lacks room, or lacked it a moment ago.
    pub(super) fn has_full(&self, hosts: &Candidates<'_>) -> bool {
        self.full.iter().any(|position| !hosts.is_barred(position))
    }

    /// The position of this host.
    pub(super) fn position(&self, id: HostId) -> Option<usize> {
        let found = self.ids.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.ids[found].1)
    }

    /// Looks at the hosts that got room since the last time.
    fn catch_up(&mut self, hosts: &Candidates<'_>) {
        let freed = hosts.rotation().freed();
        let before = std::mem::replace(&mut self.freed, freed);
        if freed - before > FREED_KEPT as u64 {
            return self.look_at_full(hosts);
        }
        for number in before..freed {
            let Some(id) = hosts.rotation().freed_host(number) else { return self.look_at_full(hosts) };
            if let Some(position) = self.position(id).filter(|position| self.marks[*position] == Mark::Full) {
                self.look(position, hosts);
            }
        }
    }

    fn look_at_some(&mut self, hosts: &Candidates<'_>) {
        for _ in 0..LOOKS.min(self.suspected.len()) {
            let Some(position) = self.suspected.next_around(self.next_suspected) else { break };
            self.next_suspected = position + 1;
            self.look(position, hosts);
        }
        // A reactor that knows of another `max` may not have told.
        for _ in 0..LOOKS.min(self.full.len()) {
            let Some(position) = self.full.next_around(self.next_full) else { break };
            self.next_full = position + 1;
            self.look(position, hosts);
        }
    }

    fn look_at_full(&mut self, hosts: &Candidates<'_>) {
        let mut next = 0;
        while let Some(position) = self.full.next(next) {
            self.look(position, hosts);
            next = position + 1;
        }
    }

    /// Looks at all suspected hosts, unless that was done a moment ago. Returns whether one is ready now.
    fn look_at_suspected(&mut self, hosts: &Candidates<'_>) -> bool {
        if self.suspected.is_empty() || self.looked.is_some_and(|looked| hosts.now() < looked.after(SUSPECTED_LOOK)) {
            return false;
        }
        self.looked = Some(hosts.now());
        let mut next = 0;
        while let Some(position) = self.suspected.next(next) {
            self.look(position, hosts);
            next = position + 1;
        }
        !self.ready.is_empty()
    }

    fn look(&mut self, position: usize, hosts: &Candidates<'_>) {
        let host = hosts.host(position);
        self.put(position, mark(host, hosts.now()), host);
    }

    fn put(&mut self, position: usize, mark: Mark, host: &Host) {
        let before = std::mem::replace(&mut self.marks[position], mark);
        if before == mark {
            return;
        }
        if let Some(set) = self.set(before) {
            set.remove(position);
        }
        if let Some(set) = self.set(mark) {
            set.insert(position);
        }
        if before == Mark::Ready {
            self.ranking.leave(position);
        } else if mark == Mark::Ready {
            self.ranking.enter(position, host);
        }
    }

    const fn set(&mut self, mark: Mark) -> Option<&mut Set> {
        match mark {
            Mark::Ready => Some(&mut self.ready),
            Mark::Full => Some(&mut self.full),
            Mark::Suspected => Some(&mut self.suspected),
            Mark::Down => Some(&mut self.down),
            Mark::Out => None,
        }
    }
}

fn mark(host: &Host, now: Moment) -> Mark {
    match host.status {
        _ if host.weight == 0 => Mark::Out,
        HostStatus::Down => Mark::Down,
        HostStatus::Up if host.is_full() => Mark::Full,
        HostStatus::Up if host.counters.is_suspected(now) => Mark::Suspected,
        HostStatus::Up => Mark::Ready,
    }
}
