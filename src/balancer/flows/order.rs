//! The order in which flows had their last datagram: for each host address two lists, of those that have been answered
//! and of those that have not. Moving a flow to the end costs the same for any number of them.

use super::Flows;
use super::lanes::Ends;
use crate::balancer::Key;
use crate::model::limits::{FLOW_ORDER, RECYCLE_LOOKS};
use crate::model::time::Moment;

impl Flows {
    /// Puts a flow at the end of its list.
    pub(super) fn link(&mut self, now: Moment, slot: u32) {
        let flow = &mut self.balancer.session_at_mut(slot).io;
        let ends = &mut self.lanes.peers[flow.lane.peer as usize].orders[usize::from(flow.is_answered)];
        let last = std::mem::replace(&mut ends.last, slot);
        (flow.previous, flow.next, flow.ordered) = (last, Ends::NONE, now);
        if last == Ends::NONE {
            ends.first = slot;
        } else {
            self.balancer.session_at_mut(last).io.next = slot;
        }
    }

    /// Takes a flow out of its list.
    pub(super) fn unlink(&mut self, slot: u32) {
        let flow = &self.balancer.session_at(slot).io;
        let (previous, next) = (flow.previous, flow.next);
        let ends = &mut self.lanes.peers[flow.lane.peer as usize].orders[usize::from(flow.is_answered)];
        if previous == Ends::NONE {
            ends.first = next;
        }
        if next == Ends::NONE {
            ends.last = previous;
        }
        if previous != Ends::NONE {
            self.balancer.session_at_mut(previous).io.next = next;
        }
        if next != Ends::NONE {
            self.balancer.session_at_mut(next).io.previous = previous;
        }
    }

    /// A flow had a datagram.
    pub(super) fn touch(&mut self, now: Moment, slot: u32) {
        let session = self.balancer.session_at_mut(slot);
        session.since = now;
        if now >= session.io.ordered.after(FLOW_ORDER) {
            self.unlink(slot);
            self.link(now, slot);
        }
    }

    /// The flow at this address that is the first to make room: one that nobody has answered, else any; of those the one
    /// that has been silent for longest.
    pub(super) fn first_of(&self, peer: u32) -> Option<Key> {
        let orders = self.lanes.peers[peer as usize].orders;
        let first = orders.iter().map(|ends| ends.first).find(|first| *first != Ends::NONE)?;
        self.balancer.key_at(first as usize)
    }

    /// As [`Self::first_of`], of all addresses, or of [`RECYCLE_LOOKS`] whose turn it is.
    pub(super) fn first_of_all(&mut self) -> Option<Key> {
        let count = self.lanes.peers.len();
        let mut first: Option<(bool, Moment, Key)> = None;
        for look in 0..count.min(RECYCLE_LOOKS) {
            let peer = u32::try_from((self.turn + look) % count).unwrap_or(0);
            let Some(key) = self.first_of(peer) else { continue };
            let session = self.balancer.session_at(key.slot);
            let candidate = (session.io.is_answered, session.io.ordered, key);
            if first.is_none_or(|best| candidate < best) {
                first = Some(candidate);
            }
        }
        if count > RECYCLE_LOOKS {
            self.turn = (self.turn + RECYCLE_LOOKS) % count;
        }
        first.map(|(_, _, key)| key)
    }
}
