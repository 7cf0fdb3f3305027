//! What the reactors share of a group beside its hosts' counters.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use super::id::HostId;
use super::limits::{FREED_KEPT, ROTATIONS};

/// The position of its rotation, and which full hosts got room.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Rotation {
    /// For each level: host id in the upper half, its position in the list in the lower; 0: nothing served yet.
    last: [AtomicU64; ROTATIONS],
    tickets: AtomicU64,
    freed: AtomicU64,
    /// The last hosts that got room, each with the low half of its number, counted from 1, above it.
    freed_hosts: [AtomicU64; FREED_KEPT],
}

impl Rotation {
    /// The host of this level served last, its id and its position at that time; `None` at the start.
    #[must_use]
    pub fn last(&self, level: usize) -> Option<(u32, u32)> {
        Self::unpack(self.last[level % ROTATIONS].load(Relaxed))
    }

    /// Moves on from `seen` to `next`, unless another reactor was faster.
    ///
    /// # Errors
    /// The position the other reactor left.
    pub fn advance(&self, level: usize, seen: Option<(u32, u32)>, next: (u32, u32)) -> Result<(), Option<(u32, u32)>> {
        let last = &self.last[level % ROTATIONS];
        match last.compare_exchange_weak(Self::pack(seen), Self::pack(Some(next)), Relaxed, Relaxed) {
            Ok(_) => Ok(()),
            Err(found) => Err(Self::unpack(found)),
        }
    }

    /// A number larger than all before it; the first is 1.
    pub fn next_ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Relaxed) + 1
    }

    /// Tells all reactors that a full host has room. Call it after the place was given back.
    pub fn free(&self, host: HostId) {
        let number = self.freed.fetch_add(1, AcqRel);
        self.freed_hosts[Self::freed_place(number)].store(((number + 1) << 32) | u64::from(host.0), Release);
    }

    /// Tells all reactors that any host may have room.
    pub fn free_any(&self) {
        self.freed.fetch_add(FREED_KEPT as u64 + 1, AcqRel);
    }

    /// How often a full host got room.
    #[must_use]
    pub fn freed(&self) -> u64 {
        self.freed.load(Acquire)
    }

    /// The host that got room as this number, counted from 0. `None`: not known any more or not yet; it may be any.
    #[must_use]
    pub fn freed_host(&self, number: u64) -> Option<HostId> {
        let found = self.freed_hosts[Self::freed_place(number)].load(Acquire);
        let half = u64::from(u32::MAX);
        (found >> 32 == (number + 1) & half).then(|| HostId(u32::try_from(found & half).unwrap_or(u32::MAX)))
    }

    fn freed_place(number: u64) -> usize {
        usize::try_from(number % FREED_KEPT as u64).unwrap_or(0)
    }

    // Zero is "nothing yet", so that ids are stored one up.
    fn pack(value: Option<(u32, u32)>) -> u64 {
        value.map_or(0, |(id, position)| ((u64::from(id) + 1) << 32) | u64::from(position))
    }

    #[expect(clippy::cast_possible_truncation, reason = "both halves are 32 bits by construction")]
    fn unpack(value: u64) -> Option<(u32, u32)> {
        (value != 0).then(|| (((value >> 32) - 1) as u32, value as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_refuses_a_stale_move_and_keeps_host_zero_apart_from_nothing() {
        let rotation = Rotation::default();
        assert_eq!(rotation.last(0), None);
        while rotation.advance(0, None, (0, 0)).is_err() && rotation.last(0).is_none() {}
        assert_eq!(rotation.last(0), Some((0, 0)));
        assert_eq!(rotation.advance(0, None, (1, 1)), Err(Some((0, 0))));
        assert_eq!(rotation.last(1), None, "another level has another position");
    }

    #[test]
    fn hosts_that_got_room_are_told_until_too_many_others_have() {
        let rotation = Rotation::default();
        assert_eq!((rotation.freed(), rotation.freed_host(0)), (0, None));
        rotation.free(HostId(0));
        rotation.free(HostId(9));
        assert_eq!(rotation.freed(), 2);
        assert_eq!([0, 1, 2].map(|number| rotation.freed_host(number)), [Some(HostId(0)), Some(HostId(9)), None]);
        rotation.free_any();
        assert_eq!(rotation.freed_host(rotation.freed() - 1), None);
        for host in 0..FREED_KEPT {
            rotation.free(HostId(u32::try_from(host).unwrap()));
        }
        assert_eq!([0, 1].map(|number| rotation.freed_host(number)), [None; 2]);
    }
}
