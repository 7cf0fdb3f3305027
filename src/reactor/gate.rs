//! What reactors share without a lock: the connection limit, and who waits for something to be freed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst, fence};

use mio::Waker;

use crate::model::id::ReactorId;
use crate::model::limits::SCARCE_FOR;
use crate::model::time::Moment;

/// The process's connection limit. A reactor that ran into a limit (connections, descriptors, a host's `max`) says so,
/// and whoever frees something wakes it: nobody polls, nobody spins.
#[derive(Debug)]
pub(super) struct Gate {
    open: AtomicU32,
    max: u32,
    hungry: AtomicU64,
    short: AtomicU64,
    /// Until when descriptors count as scarce, in microseconds since the start.
    scarce_until: AtomicU64,
    /// The number of the reactor that has the claim on them, counted from 1; 0: none.
    claimed: AtomicU32,
    wakers: Vec<Arc<Waker>>,
}

impl Gate {
    /// A gate for as many reactors as there are wakers, 64 at most.
    pub(super) fn new(max: u32, wakers: Vec<Arc<Waker>>) -> Self {
        Self {
            open: AtomicU32::new(0),
            max,
            hungry: AtomicU64::new(0),
            short: AtomicU64::new(0),
            scarce_until: AtomicU64::new(0),
            claimed: AtomicU32::new(0),
            wakers,
        }
    }

    /// Takes a place, above the limit only when forced. False: the limit is reached.
    pub(super) fn enter(&self, forced: bool) -> bool {
        // Never above the limit in passing, or others would find it reached when it is not.
        let below = |open: u32| (open < self.max || forced).then_some(open + 1);
        self.open.fetch_update(SeqCst, SeqCst, below).is_ok()
    }

    /// Gives a place back that was not used. Returns whether another reactor may have been refused because of it.
    pub(super) fn cancel(&self) -> bool {
        self.open.fetch_sub(1, SeqCst) >= self.max
    }

    /// Gives a place back and wakes the other reactors that wait for something.
    pub(super) fn leave(&self, me: ReactorId) {
        self.open.fetch_sub(1, SeqCst);
        self.wake_others(me);
    }

    /// Wakes the other reactors that wait: something was freed. What `me` waits for it goes on waiting for, because it
    /// is awake, and may be in the middle of looking.
    pub(super) fn wake_others(&self, me: ReactorId) {
        // What was freed may be counted with relaxed atomics; with the fence in `wait`, one of the two sees the other.
        fence(SeqCst);
        let others = !(1 << me.0);
        if self.hungry.load(SeqCst) & others == 0 {
            return;
        }
        let hungry = self.hungry.fetch_and(!others, SeqCst) & others;
        for (number, waker) in self.wakers.iter().enumerate() {
            if hungry & 1 << number != 0 {
                // A failed wake means a full eventfd counter: that reactor is being woken already.
                let _ = waker.wake();
            }
        }
    }

    /// `me` waits for something to be freed. It must look once more after this call, because the last one to free
    /// something may have missed it.
    pub(super) fn wait(&self, me: ReactorId) {
        self.hungry.fetch_or(1 << me.0, SeqCst);
        fence(SeqCst);
    }

    /// Says whether `me` has a client for whom it found no descriptor.
    pub(super) fn set_short(&self, me: ReactorId, is_short: bool) {
        if is_short {
            self.short.fetch_or(1 << me.0, SeqCst);
        } else {
            self.short.fetch_and(!(1 << me.0), SeqCst);
            self.wake_others(me);
        }
    }

    /// Whether a reactor has a client for whom it found no descriptor. Until that one is served nobody accepts, or
    /// reactors that hold a client each would take the last descriptors from one another for ever.
    pub(super) fn is_short(&self) -> bool {
        self.short.load(SeqCst) != 0
    }

    /// A reactor found no descriptor.
    pub(super) fn set_scarce(&self, now: Moment) {
        self.scarce_until.fetch_max(now.after(SCARCE_FOR).as_micros(), SeqCst);
    }

    /// Whether a reactor found no descriptor a moment ago.
    pub(super) fn is_scarce(&self, now: Moment) -> bool {
        // Almost always never, which costs no more than the look.
        self.scarce_until.load(SeqCst) > now.as_micros()
    }

    /// Claims the descriptors that are left, for a client and its host: two reactors that took one of the last two each
    /// would have a client each and no host for either. False: another reactor has the claim.
    pub(super) fn claim(&self, me: ReactorId) -> bool {
        self.claimed.compare_exchange(0, u32::from(me.0) + 1, SeqCst, SeqCst).is_ok()
    }

    /// Ends the claim, if `me` has it.
    pub(super) fn unclaim(&self, me: ReactorId) {
        // A failure means that it has none.
        let _ = self.claimed.compare_exchange(u32::from(me.0) + 1, 0, SeqCst, SeqCst);
    }

    /// Whether a place is free.
    pub(super) fn has_room(&self) -> bool {
        self.open.load(SeqCst) < self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll, Token};
    use std::time::Duration;

    fn gate(max: u32) -> (Gate, [Poll; 2]) {
        let polls = [Poll::new().unwrap(), Poll::new().unwrap()];
        let wakers = polls.iter().map(|poll| Arc::new(Waker::new(poll.registry(), Token(1)).unwrap())).collect();
        (Gate::new(max, wakers), polls)
    }

    fn is_woken(poll: &mut Poll) -> bool {
        // An eventfd is readable as soon as it is written.
        let mut events = Events::with_capacity(2);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        !events.is_empty()
    }

    #[test]
    fn full_gate_wakes_the_one_that_waits_when_a_place_is_freed() {
        let (gate, mut polls) = gate(1);
        assert!(gate.enter(false));
        assert!(!gate.enter(false));
        assert!(gate.enter(true));
        gate.leave(ReactorId(0));
        gate.wait(ReactorId(1));
        assert!(!gate.has_room());
        gate.leave(ReactorId(0));
        assert!(gate.has_room());
        assert_eq!(polls.each_mut().map(is_woken), [false, true]);
    }

    #[test]
    fn scarce_descriptors_are_claimed_by_one_at_a_time_until_the_shortage_is_long_past() {
        let (gate, _) = gate(2);
        let now = Moment::from_millis(5);
        assert!(!gate.is_scarce(now));
        gate.set_scarce(now);
        assert!(gate.is_scarce(now));
        assert!(gate.claim(ReactorId(0)));
        assert!(!gate.claim(ReactorId(1)), "the other one has it");
        gate.unclaim(ReactorId(1));
        assert!(!gate.claim(ReactorId(1)), "it was not its to end");
        gate.unclaim(ReactorId(0));
        assert!(gate.claim(ReactorId(1)));
        assert!(!gate.is_scarce(now.after(SCARCE_FOR)));
    }

    #[test]
    fn place_that_was_taken_in_vain_is_told_from_one_that_nobody_missed() {
        let (gate, _) = gate(2);
        assert!(gate.enter(false) && gate.enter(false));
        assert!(!gate.enter(false));
        assert!(gate.cancel(), "somebody was refused");
        assert!(!gate.cancel(), "there was room before");
    }

    #[test]
    fn reactor_that_frees_something_goes_on_waiting() {
        let (gate, mut polls) = gate(2);
        assert!(gate.enter(false) && gate.enter(false));
        gate.wait(ReactorId(0));
        gate.leave(ReactorId(0));
        gate.leave(ReactorId(1));
        assert_eq!(polls.each_mut().map(is_woken), [true, false]);
    }
}
