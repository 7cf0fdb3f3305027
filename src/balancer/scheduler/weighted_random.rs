//! Random in proportion to weight.

use super::{Choice, Scheduler};
use crate::balancer::candidates::Candidates;
use crate::model::rng::Rng;

/// Throws at the whole list before the usable hosts are summed up.
const THROWS: usize = 4;

#[derive(Debug, Default)]
pub(super) struct WeightedRandom {
    /// Sums of the weights up to and including each host.
    sums: Vec<u64>,
}

impl Scheduler for WeightedRandom {
    fn pick(&mut self, hosts: &Candidates<'_>, rng: &mut Rng) -> Option<Choice> {
        let all = *self.sums.last()?;
        for _ in 0..THROWS {
            let point = rng.below(all);
            let position = self.sums.partition_point(|sum| *sum <= point);
            if position < hosts.len() && hosts.is_usable(position) {
                return Some(Choice::of(position));
            }
        }
        let usable = || (0..hosts.len()).filter(|position| hosts.is_usable(*position));
        let mut point = rng.below(usable().map(|position| u64::from(hosts.host(position).weight)).sum());
        for position in usable() {
            let weight = u64::from(hosts.host(position).weight);
            if point < weight {
                return Some(Choice::of(position));
            }
            point -= weight;
        }
        None
    }

    fn hosts_changed(&mut self, hosts: &Candidates<'_>) {
        let mut sum = 0;
        self.sums = (0..hosts.len())
            .map(|position| {
                sum += u64::from(hosts.host(position).weight);
                sum
            })
            .collect();
    }
}
