//! A set of positions in which the next member after any position is found without looking at each: two levels of bits.

const BITS: usize = u64::BITS as usize;

/// Positions below a bound.
#[derive(Debug, Default)]
pub struct Set {
    words: Vec<u64>,
    /// A bit for each word that is not zero.
    summary: Vec<u64>,
    len: usize,
}

impl Set {
    /// An empty set for positions below `bound`.
    #[must_use]
    pub fn below(bound: usize) -> Self {
        let words = bound.div_ceil(BITS);
        Self { words: vec![0; words], summary: vec![0; words.div_ceil(BITS)], len: 0 }
    }

    /// Members.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no member.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a position that is not in the set yet.
    pub fn insert(&mut self, position: usize) {
        let word = position / BITS;
        self.words[word] |= 1 << (position % BITS);
        self.summary[word / BITS] |= 1 << (word % BITS);
        self.len += 1;
    }

    /// Removes a member.
    pub fn remove(&mut self, position: usize) {
        let word = position / BITS;
        self.words[word] &= !(1 << (position % BITS));
        if self.words[word] == 0 {
            self.summary[word / BITS] &= !(1 << (word % BITS));
        }
        self.len -= 1;
    }

    /// Whether this position is a member.
    #[must_use]
    pub fn contains(&self, position: usize) -> bool {
        self.words.get(position / BITS).is_some_and(|word| word & 1 << (position % BITS) != 0)
    }

    /// The first member at or after `from`.
    #[must_use]
    pub fn next(&self, from: usize) -> Option<usize> {
        if let Some(position) = first_from(&self.words, from, from / BITS + 1) {
            return Some(position);
        }
        let word = first_from(&self.summary, from / BITS + 1, self.summary.len())?;
        Some(word * BITS + self.words[word].trailing_zeros() as usize)
    }

    /// The first member at or after `from`, and from the start again when there is none.
    #[must_use]
    pub fn next_around(&self, from: usize) -> Option<usize> {
        self.next(from).or_else(|| self.next(0))
    }

    /// The members in their order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(self.next(0), |position| self.next(position + 1))
    }
}

/// The first bit at or after `from`, in the words below `end`.
fn first_from(words: &[u64], from: usize, end: usize) -> Option<usize> {
    let first = from / BITS;
    let mut mask = !0 << (from % BITS);
    for (number, word) in words.iter().enumerate().take(end).skip(first) {
        let bits = word & mask;
        if bits != 0 {
            return Some(number * BITS + bits.trailing_zeros() as usize);
        }
        mask = !0;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn set_finds_what_a_sorted_set_would(
            bound in 1..9000_usize,
            steps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..200),
        ) {
            let (mut set, mut model) = (Set::below(bound), BTreeSet::new());
            for (position, from) in steps {
                let (position, from) = (position.index(bound), from.index(bound + 1));
                if model.remove(&position) {
                    set.remove(position);
                } else {
                    model.insert(position);
                    set.insert(position);
                }
                prop_assert_eq!(set.contains(from), model.contains(&from));
                prop_assert_eq!(set.next(from), model.range(from..).next().copied());
                prop_assert_eq!(set.next_around(from), model.range(from..).chain(&model).next().copied());
                prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
            }
            prop_assert!(set.iter().eq(model));
        }
    }
}
