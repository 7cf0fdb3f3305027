//! Two random hosts, the one with fewer open connections per weight (Mitzenmacher, "The power of two choices in
//! randomized load balancing", 2001).

use super::random::pick_except;
use super::{Choice, Scheduler};
use crate::balancer::candidates::{Candidates, Host};
use crate::model::rng::Rng;

#[derive(Debug)]
pub(super) struct P2c;

impl Scheduler for P2c {
    fn pick(&mut self, hosts: &Candidates<'_>, rng: &mut Rng) -> Option<Choice> {
        let first = pick_except(hosts, rng, None)?;
        let Some(second) = pick_except(hosts, rng, Some(first)) else {
            return Some(Choice::of(first));
        };
        let better = is_better(hosts.host(second), hosts.host(first));
        Some(Choice::of(if better { second } else { first }))
    }
}

/// Whether `a` has fewer connections for its weight.
pub(super) fn is_better(a: &Host, b: &Host) -> bool {
    let load = |open: u32, other_weight: u32| u64::from(open) * u64::from(other_weight);
    load(a.open(), b.weight) < load(b.open(), a.weight)
}
