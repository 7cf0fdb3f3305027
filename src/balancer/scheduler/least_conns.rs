//! Fewest open connections, over all reactors: they share the counts.

use std::cmp::Ordering;

use super::{Choice, Scheduler};
use crate::balancer::candidates::{Candidates, Host};
use crate::model::rng::Rng;

type Order = fn(&Candidate<'_>, &Candidate<'_>) -> Ordering;

#[derive(Debug)]
pub(super) struct LeastConns {
    order: Order,
}

struct Candidate<'a> {
    host: &'a Host,
    open: u32,
}

impl LeastConns {
    /// Equal counts: the lowest address, so that early hosts get more.
    pub(super) fn by_address() -> Self {
        Self { order: |a, b| (a.open, a.host.addr).cmp(&(b.open, b.host.addr)) }
    }

    /// Equal counts: the host whose last connection closed longest ago.
    pub(super) fn by_age() -> Self {
        Self { order: |a, b| (a.open, a.host.closed_ticket()).cmp(&(b.open, b.host.closed_ticket())) }
    }

    /// Fewest per weight, the new connection counted; equal: the host whose last connection closed longest ago.
    pub(super) fn by_weight() -> Self {
        Self {
            order: |a, b| {
                let load = |open: u32, other_weight: u32| (u64::from(open) + 1) * u64::from(other_weight);
                load(a.open, b.host.weight)
                    .cmp(&load(b.open, a.host.weight))
                    .then_with(|| a.host.closed_ticket().cmp(&b.host.closed_ticket()))
            },
        }
    }
}

impl Scheduler for LeastConns {
    fn pick(&mut self, hosts: &Candidates<'_>, _rng: &mut Rng) -> Option<Choice> {
        let (position, best) = (0..hosts.len())
            .filter(|position| hosts.is_usable(*position))
            .map(|position| (position, Candidate { host: hosts.host(position), open: hosts.host(position).open() }))
            .min_by(|(_, a), (_, b)| (self.order)(a, b))?;
        Some(Choice { position, open: Some(best.open) })
    }
}
