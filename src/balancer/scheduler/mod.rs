//! How a host is chosen. Each scheduler is one small file: a pure choice among the candidates, no bookkeeping of
//! connections (the pool does that) and no idea why a host may not be used.
//!
//! Up to [`crate::model::limits::EXACT_HOSTS_MAX`] hosts a [`Scheduler`] looks at each host and at the counters that all
//! reactors share: least connections are exact over all reactors. Above, a choice must cost less, and a
//! [`ranking::Ranking`] of each reactor's own follows the same rule:
//!
//! | scheduler | above that number of hosts |
//! |-----------|----------------------------|
//! | random, weightr, p2c, maglev | the same, exactly |
//! | roundrobin | the same; the order is that of the list over all reactors, without the hosts that the reactor knows to be unusable |
//! | leastconns, leastconnsrr, weightlc | by the reactor's view of the counts: exact for its own connections and for the host that is taken, late by up to a quarter as many choices as there are hosts for what other reactors closed |
//! | weighted | by deadlines instead of nginx's rule: the same shares, exact within a reactor; equal hosts begin at another place in each reactor, and the order begins anew when hosts or weights change |

mod least_conns;
pub mod maglev;
mod p2c;
mod random;
pub mod ranking;
pub mod rendezvous;
mod round_robin;
pub mod set;
mod shares;
mod smooth;
mod tournament;
mod weighted_random;

use crate::balancer::candidates::Candidates;
use crate::model::rng::Rng;
use crate::model::scheduler::SchedulerKind;

/// A choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The host's position in the list.
    pub position: usize,
    /// The open connections that made it the choice; it is made anew when another thread changed them.
    pub open: Option<u32>,
}

impl Choice {
    pub(in crate::balancer) const fn of(position: usize) -> Self {
        Self { position, open: None }
    }
}

/// Chooses among the usable candidates.
pub trait Scheduler: Send {
    /// One of the usable candidates, `None` when there is none.
    fn pick(&mut self, hosts: &Candidates<'_>, rng: &mut Rng) -> Option<Choice>;

    /// The list of hosts, their weights or their order changed.
    fn hosts_changed(&mut self, _hosts: &Candidates<'_>) {}
}

/// The scheduler of that kind.
#[must_use]
pub fn new(kind: SchedulerKind) -> Box<dyn Scheduler> {
    match kind {
        SchedulerKind::Random => Box::new(random::Random),
        SchedulerKind::RoundRobin => Box::new(round_robin::RoundRobin),
        SchedulerKind::LeastConns => Box::new(least_conns::LeastConns::by_address()),
        SchedulerKind::LeastConnsRr => Box::new(least_conns::LeastConns::by_age()),
        SchedulerKind::WeightLc => Box::new(least_conns::LeastConns::by_weight()),
        SchedulerKind::Weighted => Box::<smooth::Smooth>::default(),
        SchedulerKind::WeightR => Box::<weighted_random::WeightedRandom>::default(),
        SchedulerKind::P2c => Box::new(p2c::P2c),
        SchedulerKind::Maglev => Box::new(maglev::Maglev),
    }
}
