//! The table of a group's clients and their hosts, shared by all reactors.
//!
//! Full keys; the clients that were not used for longest are forgotten when it is full, exactly over all of it. It is
//! split into parts with a lock each, held for a search and some stores, never for two parts at a time and never across
//! a system call: the only lock that reactors share (see the invariants of the crate).

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Network;
use super::shard::{Place, Shard, seeded};
use crate::model::id::HostId;
use crate::model::limits::{STICKY_SHARD_CLIENTS, STICKY_SHARDS_MAX, STICKY_WALK};
use crate::model::time::Moment;

/// What a table knows of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The host it used last.
    pub host: HostId,
    /// The host it returns to if it fails back; most often the same.
    pub home: HostId,
}

/// A client in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The client.
    pub client: Network,
    /// Its hosts.
    pub known: Remembered,
    /// When it was used last.
    pub used: Moment,
}

/// The clients of a group, each with its host.
#[derive(Debug)]
pub struct StickyTable {
    parts: Vec<Part>,
    /// When the longest unused client of each part was used, in microseconds; the largest number: it has none.
    oldest: Vec<AtomicU64>,
    len: AtomicUsize,
    size: usize,
    seed: u64,
    /// Clients forgotten because it was full.
    evicted: AtomicU64,
}

/// In cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Part(Mutex<Shard>);

impl StickyTable {
    /// Room for so many clients, one at least. It takes memory as it fills: about 53 bytes a client.
    #[must_use]
    pub fn new(size: u32) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX).max(1);
        let count = (size / STICKY_SHARD_CLIENTS).next_power_of_two().min(STICKY_SHARDS_MAX);
        let seed = RandomState::new().hash_one(0);
        let mean = size / count;
        // Clients fall into parts by chance: eight standard deviations above the mean never happen.
        let max = if count == 1 { size } else { mean + 8 * mean.isqrt() + 16 };
        Self {
            parts: (0..count).map(|_| Part(Mutex::new(Shard::new(max, seed)))).collect(),
            oldest: (0..count).map(|_| AtomicU64::new(u64::MAX)).collect(),
            len: AtomicUsize::new(0),
            size,
            seed,
            evicted: AtomicU64::new(0),
        }
    }

    /// Most clients.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Bytes that it takes at most, which it does when it is full.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let shards: usize = (0..self.parts.len()).map(|part| self.lock(part).bytes()).sum();
        shards + size_of_val(self.parts.as_slice()) + size_of_val(self.oldest.as_slice())
    }

    /// Clients.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Whether it knows nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Clients forgotten because it was full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    /// What is known of a client that comes now. One that was not used for `ttl`, if that is not zero, is new.
    pub fn look(&self, now: Moment, ttl: Duration, client: Network) -> Option<Remembered> {
        self.with(client, |shard, len| {
            let slot = shard.find(client)?;
            let (_, place) = shard.at(slot)?;
            if has_expired(now, ttl, place.used) {
                shard.remove(slot);
                len.fetch_sub(1, Relaxed);
                return None;
            }
            shard.touch(slot, now);
            Some(known(place))
        })
    }

    /// As [`Self::look`], for who only wants to know: the client is not used by it.
    #[must_use]
    pub fn peek(&self, client: Network) -> Option<Remembered> {
        let shard = self.lock(self.part(client));
        shard.find(client).and_then(|slot| shard.at(slot)).map(|(_, place)| known(place))
    }

    /// A connection of the client has ended: its time begins anew.
    pub fn touch(&self, now: Moment, client: Network) {
        self.with(client, |shard, _| {
            if let Some(slot) = shard.find(client) {
                shard.touch(slot, now);
            }
        });
    }

    /// Remembers a client, of which `seen` was known when its host was chosen. If another reactor has chosen meanwhile,
    /// nothing changes.
    ///
    /// # Errors
    /// What the other reactor chose.
    pub fn remember(
        &self,
        now: Moment,
        client: Network,
        seen: Option<Remembered>,
        new: Remembered,
    ) -> Result<(), Remembered> {
        let compare = |shard: &Shard| {
            let present = shard.find(client).and_then(|slot| shard.at(slot)).map(|(_, place)| known(place));
            // Who was forgotten meanwhile is remembered all the same.
            present.filter(|present| Some(*present) != seen && *present != new).map_or(Ok(()), Err)
        };
        self.put(now, client, new, compare)
    }

    /// Remembers a client, whatever is known of it.
    pub fn set(&self, now: Moment, client: Network, new: Remembered) {
        let _: Result<(), Remembered> = self.put(now, client, new, |_| Ok(()));
    }

    /// Forgets a client. Returns whether it was known.
    pub fn forget(&self, client: Network) -> bool {
        self.with(client, |shard, len| {
            let Some(slot) = shard.find(client) else { return false };
            shard.remove(slot);
            len.fetch_sub(1, Relaxed);
            true
        })
    }

    /// Forgets those that match. Returns how many. The locks are held for a few of them at a time.
    pub fn forget_matching(&self, mut matches: impl FnMut(&Entry) -> bool) -> usize {
        let mut found = Vec::new();
        self.walk(|entry| {
            if matches(entry) {
                found.push(entry.client);
            }
        });
        found.into_iter().filter(|client| self.forget(*client)).count()
    }

    /// Shows every client, in no order; one that comes, goes or is used meanwhile may be missed. The locks are held for a
    /// few of them at a time.
    pub fn walk(&self, mut see: impl FnMut(&Entry)) {
        let mut some = Vec::with_capacity(STICKY_WALK);
        for part in 0..self.parts.len() {
            let slots = self.lock(part).slots();
            for first in (0..slots).step_by(STICKY_WALK) {
                let shard = self.lock(part);
                let last = (first + STICKY_WALK).min(slots);
                some.extend((first..last).filter_map(|slot| shard.at(slot)));
                drop(shard);
                for (client, place) in some.drain(..) {
                    see(&Entry { client, known: known(place), used: place.used });
                }
            }
        }
    }

    /// A table of another size with the same clients, as many as fit, those that were used last. It goes on
    /// counting those that are forgotten.
    #[must_use]
    pub fn resized(&self, size: u32) -> Self {
        let mut entries = Vec::with_capacity(self.len());
        self.walk(|entry| entries.push(*entry));
        entries.sort_unstable_by_key(|entry| entry.used);
        let new = Self::new(size);
        for Entry { client, known, used } in entries.split_off(entries.len().saturating_sub(new.size)) {
            new.set(used, client, known);
        }
        new.evicted.store(self.evicted(), Relaxed);
        new
    }

    fn put<E>(
        &self,
        now: Moment,
        client: Network,
        new: Remembered,
        compare: impl FnOnce(&Shard) -> Result<(), E>,
    ) -> Result<(), E> {
        // Before the lock of the client's part is taken: no two are ever held.
        if self.len() >= self.size && self.peek(client).is_none() {
            self.evict();
        }
        self.with(client, |shard, len| {
            compare(shard)?;
            let place = Place { host: new.host, home: new.home, used: now };
            let before = shard.len();
            if !shard.set(client, place) && shard.remove_oldest() {
                len.fetch_sub(1, Relaxed);
                self.evicted.fetch_add(1, Relaxed);
                shard.set(client, place);
                len.fetch_add(1, Relaxed);
            } else {
                len.fetch_add(shard.len() - before, Relaxed);
            }
            Ok(())
        })
    }

    /// Forgets the client of the whole table that was not used for longest.
    fn evict(&self) {
        let oldest = self.oldest.iter().map(|used| used.load(Relaxed)).enumerate().min_by_key(|(_, used)| *used);
        let Some((part, _)) = oldest else { return };
        let mut shard = self.lock(part);
        if shard.remove_oldest() {
            self.len.fetch_sub(1, Relaxed);
            self.evicted.fetch_add(1, Relaxed);
        }
        self.note_oldest(part, &shard);
    }

    fn with<R>(&self, client: Network, act: impl FnOnce(&mut Shard, &AtomicUsize) -> R) -> R {
        let part = self.part(client);
        let mut shard = self.lock(part);
        let result = act(&mut shard, &self.len);
        self.note_oldest(part, &shard);
        result
    }

    fn note_oldest(&self, part: usize, shard: &Shard) {
        let oldest = shard.oldest().map_or(u64::MAX, Moment::as_micros);
        // Reactors share this cache line: it is written only when it changes.
        if self.oldest[part].load(Relaxed) != oldest {
            self.oldest[part].store(oldest, Relaxed);
        }
    }

    fn part(&self, client: Network) -> usize {
        usize::try_from(seeded(client, self.seed) >> 32).unwrap_or(0) & (self.parts.len() - 1)
    }

    /// A part that a panic left behind is whole: nothing panics between its stores.
    fn lock(&self, part: usize) -> MutexGuard<'_, Shard> {
        self.parts[part].0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn known(place: Place) -> Remembered {
    Remembered { host: place.host, home: place.home }
}

fn has_expired(now: Moment, ttl: Duration, used: Moment) -> bool {
    !ttl.is_zero() && now.since(used) >= ttl
}

#[cfg(test)]
mod tests;
