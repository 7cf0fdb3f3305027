//! Uniformly among the usable hosts.

use super::{Choice, Scheduler};
use crate::balancer::candidates::Candidates;
use crate::model::rng::Rng;

/// Throws at the whole list before the usable hosts are counted: with most hosts usable, one or two throws hit.
const THROWS: usize = 4;

#[derive(Debug)]
pub(super) struct Random;

impl Scheduler for Random {
    fn pick(&mut self, hosts: &Candidates<'_>, rng: &mut Rng) -> Option<Choice> {
        pick_except(hosts, rng, None).map(Choice::of)
    }
}

/// A usable position other than `except`, each with the same chance.
pub(super) fn pick_except(hosts: &Candidates<'_>, rng: &mut Rng, except: Option<usize>) -> Option<usize> {
    let usable = |position: &usize| Some(*position) != except && hosts.is_usable(*position);
    for _ in 0..THROWS {
        let position = throw(rng, hosts.len());
        if hosts.len() > 0 && usable(&position) {
            return Some(position);
        }
    }
    let count = (0..hosts.len()).filter(usable).count();
    (0..hosts.len()).filter(usable).nth(throw(rng, count))
}

fn throw(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap_or(0)
}
