//! Shares of a whole that are drawn from at random: sums in a tree of prefixes (Fenwick, "A new data structure for
//! cumulative frequency tables", 1994). Changing one and drawing cost the logarithm of their number.

/// A share for each position.
#[derive(Debug, Default)]
pub(super) struct Shares {
    shares: Vec<u32>,
    /// At `i`: the sum of the shares from `i` without its lowest bit, up to and without `i`.
    sums: Vec<u64>,
    total: u64,
}

impl Shares {
    /// No share for any position below `bound`.
    pub(super) fn below(bound: usize) -> Self {
        Self { shares: vec![0; bound], sums: vec![0; bound + 1], total: 0 }
    }

    /// All shares together.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Gives a position this share instead of the one it has.
    pub(super) fn set(&mut self, position: usize, share: u32) {
        let old = std::mem::replace(&mut self.shares[position], share);
        if old == share {
            return;
        }
        // Modulo 2^64 a difference below zero adds up all the same.
        let difference = u64::from(share).wrapping_sub(u64::from(old));
        self.total = self.total.wrapping_add(difference);
        let mut index = position + 1;
        while let Some(sum) = self.sums.get_mut(index) {
            *sum = sum.wrapping_add(difference);
            index += index & index.wrapping_neg();
        }
    }

    /// The position whose share a point below the total lies in, and where in it.
    pub(super) fn at(&self, mut point: u64) -> (usize, u64) {
        let mut position = 0;
        let mut step = (self.sums.len() / 2 + 1).next_power_of_two();
        while step > 0 {
            if let Some(sum) = self.sums.get(position + step).filter(|sum| **sum <= point) {
                position += step;
                point -= sum;
            }
            step /= 2;
        }
        (position, point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_point_lies_in_the_share_that_counting_finds(
            shares in prop::collection::vec(0..4_u32, 1..150),
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u32), 0..20),
        ) {
            let (mut tree, mut model) = (Shares::below(shares.len()), shares);
            for (position, share) in model.iter().enumerate() {
                tree.set(position, *share);
            }
            for (position, share) in changes {
                let position = position.index(model.len());
                tree.set(position, share);
                model[position] = share;
            }
            let mut point = 0;
            for (position, share) in model.iter().enumerate() {
                for inside in 0..u64::from(*share) {
                    prop_assert_eq!(tree.at(point), (position, inside));
                    point += 1;
                }
            }
            prop_assert_eq!(tree.total(), point);
        }
    }
}
