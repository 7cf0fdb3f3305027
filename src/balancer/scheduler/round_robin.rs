//! A B C A B C … in the order of the list, over all reactors: they share the position.

use super::{Choice, Scheduler};
use crate::balancer::candidates::Candidates;
use crate::model::rng::Rng;

#[derive(Debug)]
pub(super) struct RoundRobin;

impl Scheduler for RoundRobin {
    fn pick(&mut self, hosts: &Candidates<'_>, _rng: &mut Rng) -> Option<Choice> {
        let len = hosts.len();
        let usable =
            |from: usize| (from..from + len).map(|position| position % len).find(|position| hosts.is_usable(*position));
        turn(hosts, usable).map(Choice::of)
    }
}

/// Takes the next turn: that of the first host which `usable` finds from where the last turn was.
pub(super) fn turn(hosts: &Candidates<'_>, usable: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    let rotation = hosts.rotation();
    let level = hosts.level();
    let mut last = rotation.last(level);
    loop {
        let position = usable(start_after(hosts, last))?;
        let here = (hosts.host(position).id.0, u32::try_from(position).unwrap_or(u32::MAX));
        match rotation.advance(level, last, here) {
            Ok(()) => return Some(position),
            Err(found) => last = found,
        }
    }
}

/// Where to look for the host after the one served last. That one is found by id when the list has changed since; when
/// it is gone, the host that took its place comes next.
fn start_after(hosts: &Candidates<'_>, last: Option<(u32, u32)>) -> usize {
    let len = hosts.len();
    last.map_or(0, |(id, position)| {
        let position = position as usize;
        if position < len && hosts.host(position).id.0 == id {
            return position + 1;
        }
        (0..len).find(|position| hosts.host(*position).id.0 == id).map_or(position, |found| found + 1)
    })
}
