//! Smooth weighted round robin: shares as the weights, spread as evenly as they can be. Exact within a reactor.
//!
//! Each pick raises every usable host by its weight, takes the highest and lowers it by the sum (the rule that nginx
//! made known in 2012).

use std::collections::BTreeMap;

use super::{Choice, Scheduler};
use crate::balancer::candidates::Candidates;
use crate::model::id::HostId;
use crate::model::rng::Rng;

#[derive(Debug, Default)]
pub(super) struct Smooth {
    current: Vec<(HostId, i64)>,
}

impl Scheduler for Smooth {
    fn pick(&mut self, hosts: &Candidates<'_>, _rng: &mut Rng) -> Option<Choice> {
        let (mut sum, mut best) = (0, None);
        for position in (0..hosts.len()).filter(|position| hosts.is_usable(*position)) {
            let weight = i64::from(hosts.host(position).weight);
            let current = &mut self.current[position].1;
            *current += weight;
            sum += weight;
            if best.is_none_or(|(_, highest)| *current > highest) {
                best = Some((position, *current));
            }
        }
        let (position, _) = best?;
        self.current[position].1 -= sum;
        Some(Choice::of(position))
    }

    fn hosts_changed(&mut self, hosts: &Candidates<'_>) {
        let before = std::mem::take(&mut self.current);
        let same_place =
            |(position, id): (usize, &HostId)| before.get(position).is_some_and(|(before, _)| before == id);
        let ids: Vec<HostId> = (0..hosts.len()).map(|position| hosts.host(position).id).collect();
        if before.len() == ids.len() && ids.iter().enumerate().all(same_place) {
            self.current = before;
            return;
        }
        let known: BTreeMap<HostId, i64> = before.into_iter().collect();
        self.current = ids.into_iter().map(|id| (id, known.get(&id).copied().unwrap_or(0))).collect();
    }
}
