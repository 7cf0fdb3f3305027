//! Maglev hashing (Eisenbud and others, "Maglev: a fast and reliable software network load balancer", 2016): a table of
//! [`MAGLEV_PLACES`] places, in which each host has as many as its weight says, one more or less; a client's address is
//! hashed to a place. Made of addresses and weights alone, it is the same in every reactor, at every director and after
//! every restart, whatever the order of the file.
//!
//! Hosts take turns in choosing places, each in an order of its own, so that most places keep their host when another one
//! comes or goes for good. A host that only cannot be used at the moment keeps its places: a client who finds it there
//! goes on to the next places, and nobody else moves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::rendezvous::Stakes;
use super::{Choice, Scheduler};
use crate::balancer::candidates::Candidates;
use crate::model::hash;
use crate::model::limits::MAGLEV_PLACES;
use crate::model::rng::Rng;

/// Places that are looked at before a host is sought among all: it takes few of a hundred to be usable that so many fail.
const STEPS: usize = 512;
const VACANT: u32 = u32::MAX;
const PLACES: u64 = MAGLEV_PLACES as u64;

/// Positions of hosts by place; empty when no host has a share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    places: Vec<u32>,
}

impl Table {
    /// The table of these hosts.
    #[must_use]
    pub fn new(stakes: &Stakes) -> Self {
        let counts = counts(stakes);
        let mut places = vec![VACANT; MAGLEV_PLACES];
        let mut turns: BinaryHeap<Reverse<Turn>> =
            (0..).zip(&counts).filter_map(|(at, count)| turn(stakes, at, 0, *count)).collect();
        let mut orders: Vec<Order> = stakes.all().iter().map(|stake| Order::new(stake.identity)).collect();
        if turns.is_empty() {
            return Self::default();
        }
        while let Some(Reverse(Turn { position, number, .. })) = turns.pop() {
            let order = &mut orders[position as usize];
            let place = std::iter::repeat_with(|| order.next()).find(|place| places[*place] == VACANT);
            // There are as many turns as places.
            places[place.unwrap_or(0)] = position;
            turns.extend(turn(stakes, position, number + 1, counts[position as usize]));
        }
        Self { places }
    }

    /// The positions for the client with this hash: its own, then those it comes to next.
    pub fn walk(&self, client: u64) -> impl Iterator<Item = usize> + '_ {
        let start = usize::try_from((u128::from(client) * u128::from(PLACES)) >> 64).unwrap_or(0);
        let (before, after) = self.places.split_at(start.min(self.places.len()));
        after.iter().chain(before).map(|position| *position as usize)
    }

    /// Whether it has no places.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// When a host takes a place: number `n` of `count` at the middle of that part of the whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    time: u64,
    /// Decides between equals, whatever the order of the file.
    identity: u64,
    position: u32,
    number: u64,
}

fn turn(stakes: &Stakes, position: u32, number: u64, count: u64) -> Option<Reverse<Turn>> {
    let time = ((2 * number + 1) << 40).checked_div(count).filter(|_| number < count)?;
    Some(Reverse(Turn { time, identity: stakes.all()[position as usize].identity, position, number }))
}

/// How many places each host has, in proportion to the shares; what does not divide goes to the largest remainders.
fn counts(stakes: &Stakes) -> Vec<u64> {
    let total: u64 = stakes.all().iter().map(|stake| u64::from(stake.share)).sum();
    let whole = |share: u32| u64::from(share) * PLACES;
    let mut counts: Vec<u64> =
        stakes.all().iter().map(|stake| whole(stake.share).checked_div(total).unwrap_or(0)).collect();
    let left = PLACES - counts.iter().sum::<u64>().min(PLACES);
    let mut by_rest: Vec<(Reverse<u64>, u64, usize)> = stakes
        .all()
        .iter()
        .enumerate()
        .filter(|(_, stake)| stake.share > 0)
        .map(|(at, stake)| (Reverse(whole(stake.share) % total), stake.identity, at))
        .collect();
    by_rest.sort_unstable();
    for (_, _, at) in by_rest.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        counts[at] += 1;
    }
    counts
}

/// All places in the order in which a host would like them: a step that is prime to their number meets each.
struct Order {
    next: u64,
    step: u64,
}

impl Order {
    const fn new(identity: u64) -> Self {
        Self { next: hash::mix(identity) % PLACES, step: hash::mix(!identity) % (PLACES - 1) + 1 }
    }

    fn next(&mut self) -> usize {
        let place = self.next;
        self.next = (place + self.step) % PLACES;
        usize::try_from(place).unwrap_or(0)
    }
}

/// The position for the candidates' client, among those that `may`.
pub(super) fn pick(hosts: &Candidates<'_>, may: impl Fn(usize) -> bool) -> Option<usize> {
    let table = hosts.table();
    let found = table.walk(hosts.client()).take(STEPS).find(|position| may(*position));
    found.or_else(|| hosts.stakes().winner(hosts.client(), may))
}

#[derive(Debug)]
pub(super) struct Maglev;

impl Scheduler for Maglev {
    fn pick(&mut self, hosts: &Candidates<'_>, _rng: &mut Rng) -> Option<Choice> {
        pick(hosts, |position| hosts.is_usable(position)).map(Choice::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancer::scheduler::rendezvous::Stake;
    use proptest::prelude::*;

    fn stakes(shares: &[u32]) -> Vec<Stake> {
        (0..).zip(shares).map(|(number, share)| Stake { identity: hash::mix(number), share: *share }).collect()
    }

    fn table(stakes: &[Stake]) -> Table {
        Table::new(&Stakes::new(stakes.to_vec()))
    }

    /// The identity at each place.
    fn identities(stakes: &[Stake]) -> Vec<u64> {
        table(stakes).places.iter().map(|position| stakes[*position as usize].identity).collect()
    }

    #[test]
    fn number_of_places_is_prime() {
        assert!((2..=256).all(|divisor| !MAGLEV_PLACES.is_multiple_of(divisor)) && MAGLEV_PLACES < 257 * 257);
    }

    #[test]
    fn table_of_nobody_is_empty() {
        assert!(table(&[]).is_empty() && table(&stakes(&[0, 0])).is_empty());
        assert_eq!(table(&[]).walk(9).next(), None);
    }

    #[test]
    fn host_that_goes_for_good_moves_few_clients_of_others() {
        for hosts in [3_u32, 10, 50, 200] {
            let before = stakes(&vec![1; hosts as usize]);
            let (old, new) = (identities(&before), identities(&before[1..]));
            let gone = before[0].identity;
            let moved = old.iter().zip(&new).filter(|(old, new)| **old != gone && old != new).count();
            let percent = moved as f64 * 100.0 / MAGLEV_PLACES as f64;
            println!("{hosts} hosts, one goes: {percent:.2} % of all clients move without need");
            assert!(percent < 6.0, "{hosts} hosts: {percent} %");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn places_are_the_shares_of_the_weights_to_one(shares in prop::collection::vec(0..1000_u32, 1..60)) {
            let table = table(&stakes(&shares));
            let total: u64 = shares.iter().map(|share| u64::from(*share)).sum();
            let mut counts = vec![0_u64; shares.len()];
            for position in &table.places {
                counts[*position as usize] += 1;
            }
            for (count, share) in counts.iter().zip(&shares) {
                let expected = (u64::from(*share) * PLACES).checked_div(total).unwrap_or(0);
                prop_assert!((expected..=expected + 1).contains(count), "{} places for {} of {}", count, share, total);
            }
        }

        #[test]
        fn order_of_the_file_decides_nothing(shares in prop::collection::vec(1..9_u32, 1..20), turn in 0..20_usize) {
            let list = stakes(&shares);
            let mut turned = list.clone();
            turned.rotate_left(turn % list.len());
            prop_assert_eq!(identities(&list), identities(&turned));
        }

        #[test]
        fn walk_meets_every_place_once(shares in prop::collection::vec(1..9_u32, 1..9), client in any::<u64>()) {
            let table = table(&stakes(&shares));
            let mut met: Vec<usize> = table.walk(client).collect();
            let mut all: Vec<usize> = table.places.iter().map(|position| *position as usize).collect();
            met.sort_unstable();
            all.sort_unstable();
            prop_assert_eq!(met, all);
        }
    }
}
