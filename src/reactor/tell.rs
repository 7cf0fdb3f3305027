//! Telling the hosts' counters what sessions have moved, while they last: at once when it is much, else a moment later.
//!
//! A session with something to tell is listed once, and all that are listed are told together: one deadline a reactor,
//! no timer and no clock a session, and no shared counter is written for a request on a connection that stays. A reactor
//! whose sessions are silent has nothing listed, and sleeps.

use super::run::Reactor;
use crate::balancer::Key;
use crate::model::limits::{TELL_AFTER, TELL_BYTES, TOLD_PER_TURN};
use crate::model::time::Moment;

/// Who has something to tell.
#[derive(Debug, Default)]
pub(super) struct Untold {
    /// In the order in which they began to; those that have ended meanwhile among them.
    listed: Vec<Key>,
    /// When those are told.
    at: Option<Moment>,
    /// Those whose time has come.
    due: Vec<Key>,
}

impl Untold {
    pub(super) fn add(&mut self, now: Moment, key: Key) {
        self.listed.push(key);
        self.at.get_or_insert_with(|| now.after(TELL_AFTER));
    }

    pub(super) fn next(&mut self, now: Moment) -> Option<Key> {
        if self.due.is_empty() && self.at.take_if(|at| *at <= now).is_some() {
            std::mem::swap(&mut self.due, &mut self.listed);
        }
        self.due.pop()
    }

    /// When [`Reactor::tell_due`] is to be called.
    pub(super) fn deadline(&self) -> Option<Moment> {
        if self.due.is_empty() { self.at } else { Some(Moment::START) }
    }

    /// Frees the room for more than there are.
    pub(super) fn shrink(&mut self) {
        self.listed.shrink_to_fit();
        self.due.shrink_to_fit();
    }
}

impl Reactor {
    /// Takes note that this pair has moved something, and tells it at once if it is much.
    pub(super) fn note_moved(&mut self, now: Moment, key: Key) {
        let Some(pair) = self.balancer.io(key) else { return };
        let untold = pair.untold();
        if untold.up + untold.down >= TELL_BYTES {
            pair.set_told();
            self.balancer.tell(key, untold);
        } else if !pair.listed {
            pair.listed = true;
            self.untold.add(now, key);
        }
    }

    /// Tells what the pairs have moved whose time has come, so many that the others need not wait.
    pub(super) fn tell_due(&mut self, now: Moment) {
        for _ in 0..TOLD_PER_TURN {
            let Some(key) = self.untold.next(now) else { return };
            let Some(pair) = self.balancer.io(key) else { continue };
            pair.listed = false;
            let untold = pair.untold();
            pair.set_told();
            self.balancer.tell(key, untold);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> Key {
        Key { slot, generation: 1 }
    }

    #[test]
    fn those_that_come_while_others_are_told_have_their_turn_later() {
        let mut untold = Untold::default();
        assert_eq!((untold.deadline(), untold.next(Moment::from_millis(9))), (None, None));
        untold.add(Moment::START, key(1));
        untold.add(Moment::START.after(TELL_AFTER / 2), key(2));
        let due = Moment::START.after(TELL_AFTER);
        assert_eq!(untold.deadline(), Some(due));
        assert_eq!(untold.next(Moment::START), None, "not yet");
        assert!(untold.next(due).is_some());
        untold.add(due, key(3));
        assert_eq!(untold.deadline(), Some(Moment::START), "one is left");
        assert!(untold.next(due).is_some());
        assert_eq!(untold.next(due), None);
        assert_eq!(untold.deadline(), Some(due.after(TELL_AFTER)));
        assert_eq!(untold.next(due.after(TELL_AFTER)), Some(key(3)));
        assert_eq!(untold.deadline(), None);
    }
}
