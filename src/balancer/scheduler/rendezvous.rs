//! Rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998): each host draws a
//! number for the client, and the best number wins. Nothing is remembered; the numbers come from addresses alone, so that
//! every reactor, every director and every restart has the same answer. When a host comes, only clients that it wins
//! move; when it goes, only those that it had.
//!
//! Weights: the draw is that of an exponential race, which a host wins in proportion to its weight.

use std::cmp::Ordering;

use crate::balancer::candidates::Candidates;
use crate::model::hash;

/// What of a host hashing goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stake {
    /// The hash of its address.
    pub identity: u64,
    /// Its weight as configured; 0: it takes no part.
    pub share: u32,
}

/// The stakes of a list of hosts, by position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stakes {
    all: Vec<Stake>,
    /// Whether all that take part have the same share.
    are_equal: bool,
}

impl Stakes {
    /// Stakes in the order of the list.
    #[must_use]
    pub fn new(all: Vec<Stake>) -> Self {
        let mut shares = all.iter().map(|stake| stake.share).filter(|share| *share > 0);
        let first = shares.next();
        let are_equal = shares.all(|share| Some(share) == first);
        Self { all, are_equal }
    }

    /// By position.
    #[must_use]
    pub fn all(&self) -> &[Stake] {
        &self.all
    }

    /// The position that wins the client with this hash, among those that `may`.
    #[must_use]
    pub fn winner(&self, client: u64, may: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best: Option<(usize, Draw)> = None;
        for (position, stake) in self.all.iter().enumerate().filter(|(_, stake)| stake.share > 0) {
            let draw = Draw::new(client, *stake, self.are_equal);
            // Few are better than all before them, so that few are looked at.
            if best.is_none_or(|(_, best)| draw.is_better(best)) && may(position) {
                best = Some((position, draw));
            }
        }
        best.map(|(position, _)| position)
    }
}

/// The candidate that wins the client.
pub(in crate::balancer) fn pick(hosts: &Candidates<'_>) -> Option<usize> {
    hosts.stakes().winner(hosts.client(), |position| hosts.is_usable(position))
}

/// What a host has drawn for a client: a time, of which the smallest wins.
#[derive(Clone, Copy)]
struct Draw {
    time: f64,
    bits: u64,
}

impl Draw {
    fn new(client: u64, stake: Stake, are_equal: bool) -> Self {
        let bits = hash::mix(client ^ stake.identity);
        let time = if are_equal { 0.0 } else { exponential(bits) / f64::from(stake.share) };
        Self { time, bits }
    }

    fn is_better(self, other: Self) -> bool {
        match self.time.total_cmp(&other.time) {
            Ordering::Less => true,
            // The more, the earlier: with equal shares the bits alone decide.
            Ordering::Equal => self.bits > other.bits,
            Ordering::Greater => false,
        }
    }
}

/// `-ln((bits + 1) / 2^64)`, in operations that every machine rounds alike, which a logarithm of its library is not.
fn exponential(bits: u64) -> f64 {
    let number = bits.saturating_add(1);
    let zeros = number.leading_zeros();
    // The number as 2^-(zeros + 1) * (1 + fraction), with 52 bits of the fraction.
    let mantissa = (number << zeros) << 1;
    let value = f64::from_bits(0x3FF0_0000_0000_0000 | mantissa >> 12);
    let ratio = (value - 1.0) / (value + 1.0);
    let square = ratio * ratio;
    // ln(value) = 2 artanh(ratio), ratio below 1/3: the terms shrink by nine.
    let (mut sum, mut power) = (0.0, ratio);
    for odd in [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0, 19.0] {
        sum += power / odd;
        power *= square;
    }
    (f64::from(zeros) + 1.0) * std::f64::consts::LN_2 - 2.0 * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::Rng;
    use proptest::prelude::*;

    fn stakes(shares: &[u32]) -> Vec<Stake> {
        (0..).zip(shares).map(|(number, share)| Stake { identity: hash::mix(number), share: *share }).collect()
    }

    fn winners(stakes: &Stakes, clients: u64) -> Vec<usize> {
        (0..clients).map(|client| stakes.winner(hash::mix(client), |_| true).unwrap()).collect()
    }

    #[test]
    fn exponential_is_the_logarithm() {
        let mut rng = Rng::new(3);
        for bits in (0..1000).map(|_| rng.next_u64()).chain([0, 1, u64::MAX, 1 << 63, (1 << 63) - 1]) {
            let expected = -((bits as f64 + 1.0) / 2.0_f64.powi(64)).ln();
            assert!((exponential(bits) - expected).abs() < 1e-9, "{bits}: {} and {expected}", exponential(bits));
        }
    }

    #[test]
    fn shares_are_those_of_the_weights() {
        let chosen = winners(&Stakes::new(stakes(&[1, 2, 0, 5])), 80_000);
        let count = |host| chosen.iter().filter(|winner| **winner == host).count();
        assert!((9_600..10_400).contains(&count(0)), "{}", count(0));
        assert!((19_500..20_500).contains(&count(1)), "{}", count(1));
        assert_eq!(count(2), 0);
    }

    proptest! {
        #[test]
        fn host_that_goes_moves_its_own_clients_and_nobody_else(
            shares in prop::collection::vec(0..5_u32, 2..20),
            gone in any::<prop::sample::Index>(),
        ) {
            let before = stakes(&shares);
            let gone = gone.index(before.len());
            let mut after = before.clone();
            after[gone].share = 0;
            let (before, after) = (Stakes::new(before), Stakes::new(after));
            for client in (0..200).map(hash::mix) {
                let first = before.winner(client, |_| true);
                if first != Some(gone) {
                    prop_assert_eq!(after.winner(client, |_| true), first);
                }
                // The same as if it only could not be used now.
                prop_assert_eq!(before.winner(client, |position| position != gone), after.winner(client, |_| true));
            }
        }

        #[test]
        fn order_of_the_list_decides_nothing(shares in prop::collection::vec(1..5_u32, 1..20), turn in 0..20_usize) {
            let list = stakes(&shares);
            let mut turned = list.clone();
            turned.rotate_left(turn % list.len());
            for client in (0..100).map(hash::mix) {
                let first = list[Stakes::new(list.clone()).winner(client, |_| true).unwrap()];
                let second = turned[Stakes::new(turned.clone()).winner(client, |_| true).unwrap()];
                prop_assert_eq!(first, second);
            }
        }
    }
}
