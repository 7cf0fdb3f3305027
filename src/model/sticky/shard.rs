//! A part of the table of clients: open addressing in one flat array, with a list through it in the order of use.

use super::Network;
use crate::model::hash;
use crate::model::id::HostId;
use crate::model::time::Moment;

/// Of one client: two words of its network; when it was used last; its host below its home, each counted from 1; the
/// neighbours in the order of use, newer below older, each counted from 1. All zero: vacant. Plain numbers, because an
/// array of zeros costs no memory until it is used.
type Words = [u64; 5];

const HALF: u64 = u32::MAX as u64;

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: HostId,
    pub(super) home: HostId,
    pub(super) used: Moment,
}

/// A part of the table. It neither locks nor grows.
#[derive(Debug)]
pub(super) struct Shard {
    slots: Vec<Words>,
    len: usize,
    max: usize,
    seed: u64,
    /// The ends of the list, counted from 1; 0: there is none.
    newest: u32,
    oldest: u32,
}

impl Shard {
    /// Room for `max` clients, fewer than 2^31.
    pub(super) fn new(max: usize, seed: u64) -> Self {
        // A fifth of the slots stays vacant, so that a search is short.
        Self { slots: vec![[0; 5]; max + max / 4 + 4], len: 0, max, seed, newest: 0, oldest: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len >= self.max
    }

    /// Bytes that it takes at most.
    pub(super) const fn bytes(&self) -> usize {
        size_of_val(self.slots.as_slice())
    }

    /// Slots, vacant ones included.
    pub(super) const fn slots(&self) -> usize {
        self.slots.len()
    }

    /// When the client was used that was not used for longest.
    pub(super) fn oldest(&self) -> Option<Moment> {
        let slot = self.oldest.checked_sub(1)?;
        Some(Moment::from_micros(self.slots[slot as usize][2]))
    }

    /// The slot of a client.
    pub(super) fn find(&self, client: Network) -> Option<usize> {
        self.search(client).ok()
    }

    /// The client in a slot.
    pub(super) fn at(&self, slot: usize) -> Option<(Network, Place)> {
        let words = self.slots.get(slot).filter(|words| words[3] != 0)?;
        let [host, home] = halves(words[3]).map(|id| HostId(id.wrapping_sub(1)));
        Some((network(words), Place { host, home, used: Moment::from_micros(words[2]) }))
    }

    /// The client in this slot, which is taken, was used.
    pub(super) fn touch(&mut self, slot: usize, now: Moment) {
        self.slots[slot][2] = now.as_micros();
        if self.newest != number(slot) {
            self.unlink(slot);
            self.link(slot);
        }
    }

    /// Sets where a client is, used now. False: there is no room for another one.
    pub(super) fn set(&mut self, client: Network, place: Place) -> bool {
        let hosts = u64::from(place.host.0.wrapping_add(1)) | u64::from(place.home.0.wrapping_add(1)) << 32;
        match self.search(client) {
            Ok(slot) => {
                self.slots[slot][3] = hosts;
                self.touch(slot, place.used);
            }
            Err(_) if self.is_full() => return false,
            Err(slot) => {
                let [high, low] = words(client);
                self.slots[slot] = [high, low, place.used.as_micros(), hosts, 0];
                self.len += 1;
                self.link(slot);
            }
        }
        true
    }

    /// Forgets the client that was not used for longest. False: there is none.
    pub(super) fn remove_oldest(&mut self) -> bool {
        let Some(slot) = self.oldest.checked_sub(1) else { return false };
        self.remove(slot as usize);
        true
    }

    /// Forgets the client in this slot, which is taken. Another one may be in it afterwards.
    pub(super) fn remove(&mut self, slot: usize) {
        self.unlink(slot);
        self.len -= 1;
        // Nobody may be parted from where the search for it begins by a vacant slot: those behind move up.
        let count = self.slots.len();
        let (mut vacant, mut next) = (slot, slot);
        loop {
            next = if next + 1 == count { 0 } else { next + 1 };
            if self.slots[next][3] == 0 {
                break;
            }
            let begin = self.begin(network(&self.slots[next]));
            let distance = |from: usize| (next + count - from) % count;
            if distance(begin) >= distance(vacant) {
                self.relocate(next, vacant);
                vacant = next;
            }
        }
        self.slots[vacant] = [0; 5];
    }

    fn search(&self, client: Network) -> Result<usize, usize> {
        let [high, low] = words(client);
        let mut slot = self.begin(client);
        loop {
            let found = &self.slots[slot];
            if found[3] == 0 {
                return Err(slot);
            }
            if found[1] == low && found[0] == high {
                return Ok(slot);
            }
            slot = if slot + 1 == self.slots.len() { 0 } else { slot + 1 };
        }
    }

    /// Where the search for a client begins.
    fn begin(&self, client: Network) -> usize {
        let part = seeded(client, self.seed) & HALF;
        usize::try_from((part * self.slots.len() as u64) >> 32).unwrap_or(0)
    }

    fn relocate(&mut self, from: usize, to: usize) {
        self.slots[to] = self.slots[from];
        let [newer, older] = halves(self.slots[to][4]);
        self.join(newer, number(to));
        self.join(number(to), older);
    }

    fn unlink(&mut self, slot: usize) {
        let [newer, older] = halves(self.slots[slot][4]);
        self.join(newer, older);
    }

    fn link(&mut self, slot: usize) {
        let second = self.newest;
        self.join(0, number(slot));
        self.join(number(slot), second);
    }

    /// Makes two neighbours, or one the end where the other is 0.
    fn join(&mut self, newer: u32, older: u32) {
        match newer.checked_sub(1) {
            Some(slot) => {
                let links = &mut self.slots[slot as usize][4];
                *links = *links & HALF | u64::from(older) << 32;
            }
            None => self.newest = older,
        }
        match older.checked_sub(1) {
            Some(slot) => {
                let links = &mut self.slots[slot as usize][4];
                *links = *links & !HALF | u64::from(newer);
            }
            None => self.oldest = newer,
        }
    }
}

/// The hash that decides where in the table a client is. The seed keeps strangers from choosing where that is.
pub(super) const fn seeded(client: Network, seed: u64) -> u64 {
    hash::mix(client.hash() ^ seed)
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
const fn words(client: Network) -> [u64; 2] {
    [(client.0 >> 64) as u64, client.0 as u64]
}

fn network(words: &Words) -> Network {
    Network(u128::from(words[0]) << 64 | u128::from(words[1]))
}

/// The lower half and the upper one.
#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
const fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

/// A slot counted from 1.
fn number(slot: usize) -> u32 {
    u32::try_from(slot + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The clients in the order of use, the oldest first, by both directions of the list.
    fn order(shard: &Shard) -> Vec<u128> {
        let walk = |first: u32, half: usize| {
            let next = |number: &u32| Some(halves(shard.slots[*number as usize - 1][4])[half]).filter(|n| *n != 0);
            let numbers = std::iter::successors(Some(first).filter(|n| *n != 0), next);
            numbers.map(|number| network(&shard.slots[number as usize - 1]).0).collect::<Vec<_>>()
        };
        let mut back = walk(shard.newest, 1);
        back.reverse();
        let forth = walk(shard.oldest, 0);
        assert_eq!(forth, back);
        forth
    }

    proptest! {
        #[test]
        fn shard_does_what_a_list_in_the_order_of_use_would(
            steps in prop::collection::vec((0..40_u128, 0..5_u8, 0..9_u32), 1..400),
            max in 1..30_usize,
            seed in any::<u64>(),
        ) {
            let mut shard = Shard::new(max, seed);
            let mut model: Vec<(u128, u32)> = Vec::new();
            for (turn, (client, action, host)) in (1..).zip(steps) {
                let now = Moment::from_micros(turn);
                let known = model.iter().position(|(known, _)| *known == client);
                prop_assert_eq!(shard.find(Network(client)).is_some(), known.is_some());
                match (action, known) {
                    (0, Some(at)) => {
                        model.remove(at);
                        shard.remove(shard.find(Network(client)).unwrap());
                    }
                    (1, Some(at)) => {
                        let entry = model.remove(at);
                        model.push(entry);
                        shard.touch(shard.find(Network(client)).unwrap(), now);
                    }
                    (2, _) => {
                        prop_assert_eq!(shard.remove_oldest(), !model.is_empty());
                        model.drain(..model.len().min(1));
                    }
                    _ => {
                        let place = Place { host: HostId(host), home: HostId(host + 1), used: now };
                        let room = known.is_some() || model.len() < max;
                        prop_assert_eq!(shard.set(Network(client), place), room);
                        known.map(|at| model.remove(at));
                        if room {
                            model.push((client, host));
                        }
                    }
                }
                prop_assert_eq!(shard.len(), model.len());
                prop_assert_eq!(order(&shard), model.iter().map(|(client, _)| *client).collect::<Vec<_>>());
                for (client, host) in &model {
                    let (network, place) = shard.at(shard.find(Network(*client)).unwrap()).unwrap();
                    prop_assert_eq!((network.0, place.host.0, place.home.0), (*client, *host, *host + 1));
                }
            }
        }
    }
}
