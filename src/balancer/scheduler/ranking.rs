//! Schedulers for groups of many hosts: the same rules, kept as rankings of the hosts that are ready, so that a choice
//! does not look at each. They are told which hosts come and go; what they rank by is a reactor's own view.

use std::cell::Cell;

use super::set::Set;
use super::shares::Shares;
use super::tournament::{Key, Tournament};
use crate::balancer::candidates::{Candidates, Host};
use crate::model::rng::Rng;
use crate::model::scheduler::SchedulerKind;

/// Hosts that [`Fewest`] looks at in passing with each choice, so that its view follows the other reactors.
const LOOKS: usize = 4;
/// Hosts at the top whose counts turn out to be old before one is taken all the same.
const CORRECTIONS: usize = 64;
/// Choices of a host after which [`Stride`] starts counting anew.
const CHOICES_MAX: u32 = 1 << 31;

/// Chooses among the hosts that are ready.
pub trait Ranking: Send {
    /// A host became ready, or is ready with another share.
    fn enter(&mut self, position: usize, host: &Host);

    /// A host that was ready is so no more.
    fn leave(&mut self, position: usize);

    /// A connection to a ready host was closed by this reactor.
    fn released(&mut self, _position: usize, _host: &Host) {}

    /// The choice was taken: this reactor opens a connection to it.
    fn taken(&mut self, _position: usize, _host: &Host) {}

    /// One of the hosts that are ready, `None` when there is none.
    fn pick(&mut self, hosts: &Candidates<'_>, ready: &Set, rng: &mut Rng) -> Option<usize>;
}

/// The ranking of that kind over these hosts, none of them ready yet.
#[must_use]
pub fn new(kind: SchedulerKind, hosts: &Candidates<'_>, rng: &mut Rng) -> Box<dyn Ranking> {
    let len = hosts.len();
    match kind {
        SchedulerKind::Random => Box::new(Lot { shares: Shares::below(len), by_weight: false }),
        SchedulerKind::WeightR => Box::new(Lot { shares: Shares::below(len), by_weight: true }),
        SchedulerKind::P2c => Box::new(P2c { shares: Shares::below(len) }),
        SchedulerKind::RoundRobin => Box::new(Turns),
        SchedulerKind::Maglev => Box::new(Places),
        SchedulerKind::LeastConns | SchedulerKind::LeastConnsRr | SchedulerKind::WeightLc => {
            Box::new(Fewest::new(kind, hosts))
        }
        SchedulerKind::Weighted => Box::new(Stride::new(len, rng)),
    }
}

/// Random, uniformly or in proportion to weight. Exact.
struct Lot {
    shares: Shares,
    by_weight: bool,
}

impl Ranking for Lot {
    fn enter(&mut self, position: usize, host: &Host) {
        self.shares.set(position, if self.by_weight { host.weight } else { 1 });
    }

    fn leave(&mut self, position: usize) {
        self.shares.set(position, 0);
    }

    fn pick(&mut self, _hosts: &Candidates<'_>, _ready: &Set, rng: &mut Rng) -> Option<usize> {
        let total = self.shares.total();
        (total > 0).then(|| self.shares.at(rng.below(total)).0)
    }
}

/// Two different hosts at random, the better one. Exact.
struct P2c {
    shares: Shares,
}

impl Ranking for P2c {
    fn enter(&mut self, position: usize, _host: &Host) {
        self.shares.set(position, 1);
    }

    fn leave(&mut self, position: usize) {
        self.shares.set(position, 0);
    }

    fn pick(&mut self, hosts: &Candidates<'_>, _ready: &Set, rng: &mut Rng) -> Option<usize> {
        let total = self.shares.total();
        if total < 2 {
            return (total > 0).then(|| self.shares.at(0).0);
        }
        let first = rng.below(total);
        // Every point is a host of its own; what is left out is the first one's.
        let second = rng.below(total - 1);
        let second = second + u64::from(second >= first);
        let [(first, _), (second, _)] = [first, second].map(|point| self.shares.at(point));
        let (a, b) = (hosts.host(first), hosts.host(second));
        Some(if super::p2c::is_better(b, a) { second } else { first })
    }
}

/// Round robin. Exact over all reactors, because they share the position.
struct Turns;

impl Ranking for Turns {
    fn enter(&mut self, _position: usize, _host: &Host) {}

    fn leave(&mut self, _position: usize) {}

    fn pick(&mut self, hosts: &Candidates<'_>, ready: &Set, _rng: &mut Rng) -> Option<usize> {
        // One that turns out not to be ready is told of, so that it leaves, and takes no turn.
        let stale = Cell::new(None);
        let usable = |from| {
            let position = ready.next_around(from)?;
            let is_usable = hosts.is_usable(position);
            stale.set(Some(position).filter(|_| !is_usable));
            is_usable.then_some(position)
        };
        super::round_robin::turn(hosts, usable).or(stale.get())
    }
}

/// The places of a table, which is not this ranking's. Exact.
struct Places;

impl Ranking for Places {
    fn enter(&mut self, _position: usize, _host: &Host) {}

    fn leave(&mut self, _position: usize) {}

    fn pick(&mut self, hosts: &Candidates<'_>, ready: &Set, _rng: &mut Rng) -> Option<usize> {
        if ready.is_empty() { None } else { super::maglev::pick(hosts, |position| ready.contains(position)) }
    }
}

/// Fewest connections, by this reactor's view of the counts: right for what it opened and closed itself and for every
/// host that it takes, as of the last look for what other reactors closed. Each choice looks at a few more.
struct Fewest {
    tree: Tournament,
    kind: SchedulerKind,
    /// The order of the addresses, by position; for [`SchedulerKind::LeastConns`] alone.
    ranks: Vec<u32>,
    next_look: usize,
}

impl Fewest {
    fn new(kind: SchedulerKind, hosts: &Candidates<'_>) -> Self {
        let mut ranks = Vec::new();
        if kind == SchedulerKind::LeastConns {
            let mut positions: Vec<usize> = (0..hosts.len()).collect();
            positions.sort_unstable_by_key(|position| hosts.host(*position).addr);
            ranks = vec![0; hosts.len()];
            for (rank, position) in (0..).zip(positions) {
                ranks[position] = rank;
            }
        }
        Self { tree: Tournament::below(hosts.len()), kind, ranks, next_look: 0 }
    }

    fn key(&self, position: usize, host: &Host) -> Key {
        let weight = if self.kind == SchedulerKind::WeightLc { host.weight } else { 1 };
        let tie = self.ranks.get(position).map_or_else(|| host.closed_ticket(), |rank| u64::from(*rank));
        Key { count: host.open(), weight, tie }
    }

    fn look(&mut self, position: usize, host: &Host) {
        self.tree.set(position, self.key(position, host));
    }
}

impl Ranking for Fewest {
    fn enter(&mut self, position: usize, host: &Host) {
        self.look(position, host);
    }

    fn leave(&mut self, position: usize) {
        self.tree.remove(position);
    }

    fn released(&mut self, position: usize, host: &Host) {
        self.look(position, host);
    }

    fn taken(&mut self, position: usize, host: &Host) {
        self.look(position, host);
    }

    fn pick(&mut self, hosts: &Candidates<'_>, ready: &Set, _rng: &mut Rng) -> Option<usize> {
        for _ in 0..LOOKS {
            let position = ready.next_around(self.next_look)?;
            self.look(position, hosts.host(position));
            self.next_look = position + 1;
        }
        for _ in 0..CORRECTIONS {
            let first = self.tree.first()?;
            let key = self.key(first, hosts.host(first));
            if key == self.tree.key(first) {
                return Some(first);
            }
            // Another reactor was here.
            self.tree.set(first, key);
        }
        self.tree.first()
    }
}

/// Weighted round robin by virtual deadlines: choice number `n` of a host is due at `n` / weight, the earliest is taken
/// (stride scheduling; Waldspurger and Weihl, 1995). Exact within a reactor. Who comes back catches nothing up.
struct Stride {
    tree: Tournament,
    /// How often each was taken, by position.
    counts: Vec<u32>,
    /// The deadline of the last choice, as a fraction.
    now: (u64, u32),
    /// Where a reactor begins among equals, so that not all begin with the same hosts.
    offset: usize,
}

impl Stride {
    fn new(len: usize, rng: &mut Rng) -> Self {
        let offset = usize::try_from(rng.below(len as u64)).unwrap_or(0);
        Self { tree: Tournament::below(len), counts: vec![0; len], now: (0, 1), offset }
    }

    fn key(&self, position: usize, host: &Host) -> Key {
        let len = self.counts.len();
        let tie = (position + len - self.offset) % len;
        Key { count: self.counts[position], weight: host.weight, tie: tie as u64 }
    }

    fn start_anew(&mut self) {
        self.counts.fill(0);
        self.now = (0, 1);
        for position in 0..self.counts.len() {
            let key = self.tree.key(position);
            if key.weight > 0 {
                self.tree.set(position, Key { count: 0, ..key });
            }
        }
    }
}

impl Ranking for Stride {
    fn enter(&mut self, position: usize, host: &Host) {
        // The first deadline that has not passed.
        let (number, weight) = self.now;
        let due = (number * u64::from(host.weight)).div_ceil(u64::from(weight)).saturating_sub(1);
        let count = &mut self.counts[position];
        *count = (*count).max(u32::try_from(due).unwrap_or(CHOICES_MAX));
        self.tree.set(position, self.key(position, host));
    }

    fn leave(&mut self, position: usize) {
        self.tree.remove(position);
    }

    fn taken(&mut self, position: usize, host: &Host) {
        self.counts[position] += 1;
        self.now = (u64::from(self.counts[position]), host.weight);
        self.tree.set(position, self.key(position, host));
        if self.counts[position] >= CHOICES_MAX {
            self.start_anew();
        }
    }

    fn pick(&mut self, _hosts: &Candidates<'_>, _ready: &Set, _rng: &mut Rng) -> Option<usize> {
        self.tree.first()
    }
}
