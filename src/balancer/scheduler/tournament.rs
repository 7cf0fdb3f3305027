//! The least of many keys, when single ones change: a tournament of pairs whose winners meet (Knuth, "Sorting and
//! Searching", 5.4.1). Changing one costs the logarithm of their number at most, finding the least nothing.

/// How much a host has, for its share; the next connection counted. The host with the least comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    /// Connections.
    pub(super) count: u32,
    /// The share; zero: absent, behind all others.
    pub(super) weight: u32,
    /// Decides between equals; equal too: the position does.
    pub(super) tie: u64,
}

impl Key {
    const ABSENT: Self = Self { count: 0, weight: 0, tie: 0 };

    fn is_before(self, other: Self) -> bool {
        if self.weight == 0 || other.weight == 0 {
            return self.weight != 0;
        }
        let load = |key: Self, weight: u32| (u64::from(key.count) + 1) * u64::from(weight);
        (load(self, other.weight), self.tie) < (load(other, self.weight), other.tie)
    }
}

/// A key for each position.
#[derive(Debug, Default)]
pub(super) struct Tournament {
    /// As many as the next power of two.
    keys: Vec<Key>,
    /// The winner of node `i` is the better one of nodes `2i` and `2i + 1`; the keys are the nodes after these.
    winners: Vec<u32>,
}

impl Tournament {
    /// All positions below `bound` are absent.
    pub(super) fn below(bound: usize) -> Self {
        let size = bound.next_power_of_two().max(2);
        let mut winners = vec![0; size];
        for node in (1..size).rev() {
            winners[node] = if 2 * node >= size { position(2 * node - size) } else { winners[2 * node] };
        }
        Self { keys: vec![Key::ABSENT; size], winners }
    }

    /// The position with the least key, `None` when all are absent.
    pub(super) fn first(&self) -> Option<usize> {
        let winner = *self.winners.get(1)? as usize;
        (self.keys[winner].weight > 0).then_some(winner)
    }

    /// The key of a position.
    pub(super) fn key(&self, position: usize) -> Key {
        self.keys[position]
    }

    /// Takes a position out.
    pub(super) fn remove(&mut self, position: usize) {
        self.set(position, Key::ABSENT);
    }

    /// Gives a position this key instead of the one it has.
    pub(super) fn set(&mut self, place: usize, key: Key) {
        if self.keys[place] == key {
            return;
        }
        self.keys[place] = key;
        let place = position(place);
        let mut node = (self.keys.len() + place as usize) / 2;
        while node > 0 {
            let (left, right) = (self.winner(2 * node), self.winner(2 * node + 1));
            let better = if self.keys[right as usize].is_before(self.keys[left as usize]) { right } else { left };
            if self.winners[node] == better && better != place {
                // Nothing changes for those above.
                return;
            }
            self.winners[node] = better;
            node /= 2;
        }
    }

    fn winner(&self, node: usize) -> u32 {
        self.winners.get(node).copied().unwrap_or_else(|| position(node - self.keys.len()))
    }
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn least_key_wins_and_of_equals_the_first(
            bound in 1..70_usize,
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u32, 0..3_u32, 0..2_u64), 1..200),
        ) {
            let (mut tree, mut model) = (Tournament::below(bound), vec![Key::ABSENT; bound]);
            prop_assert_eq!(tree.first(), None);
            for (index, count, weight, tie) in steps {
                let (position, key) = (index.index(bound), Key { count, weight, tie });
                tree.set(position, key);
                model[position] = key;
                let mut best: Option<usize> = None;
                for (position, key) in model.iter().enumerate().filter(|(_, key)| key.weight > 0) {
                    if best.is_none_or(|best| key.is_before(model[best])) {
                        best = Some(position);
                    }
                }
                prop_assert_eq!(tree.first(), best);
            }
        }
    }
}
