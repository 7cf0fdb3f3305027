//! Who moves bytes when. Pairs with little to move do so at the event that tells of it; those that stream stand in line,
//! and take turns of many bytes between which the others are looked after.

use std::sync::atomic::Ordering::Relaxed;

use super::pair::Line;
use super::pump::{Stopped, pump};
use super::run::Reactor;
use crate::balancer::Key;
use crate::model::limits::{ALONE_AFTER, SEND_RETRY, STREAM_BUFFERS, STREAM_BUFFERS_ALONE, TURN_BUFFERS};
use crate::model::outcome::Side;
use crate::model::time::Moment;

impl Reactor {
    /// Moves what an event told of, at once or when it is this pair's turn.
    pub(super) fn attend(&mut self, now: Moment, key: Key) {
        let Some(pair) = self.balancer.io(key) else { return };
        match pair.line {
            Line::Ready => {}
            Line::None if pair.is_streaming() => self.enqueue(key),
            // What it holds may be what others wait for.
            Line::None | Line::Starved => {
                self.small_at = self.turn;
                self.drive(now, key, self.buffers.size());
            }
        }
    }

    /// Lets pairs have their turns, as many as others can wait for.
    pub(super) fn run_ready(&mut self, now: Moment) {
        if !self.starved.is_empty() && self.buffers.available() {
            for key in self.starved.drain(..) {
                if let Some(pair) = self.balancer.io(key) {
                    pair.line = Line::Ready;
                    self.ready.push_back(key);
                }
            }
        }
        let alone = self.turn - self.small_at > ALONE_AFTER;
        let budget = self.buffers.size() * if alone { STREAM_BUFFERS_ALONE } else { STREAM_BUFFERS };
        let mut left = (self.buffers.size() * TURN_BUFFERS) as u64;
        for _ in 0..self.ready.len() {
            if left == 0 {
                break;
            }
            let Some(key) = self.ready.pop_front() else { break };
            if let Some(pair) = self.balancer.io(key) {
                pair.line = Line::None;
                let moved = self.drive(now, key, budget);
                left = left.saturating_sub(moved);
            }
        }
    }

    /// Moves bytes both ways, `budget` at most in each direction, and draws the conclusions. Returns how many moved.
    fn drive(&mut self, now: Moment, key: Key, budget: usize) -> u64 {
        let Self { balancer, buffers, .. } = self;
        let Some(pair) = balancer.io(key) else { return 0 };
        if let Some(lingering) = pair.lingering {
            // No event says that bytes were acknowledged, and a peer that goes on sending must not wear the wait out.
            if pair.end(lingering.side).broken {
                self.linger(now, key);
            }
            return 0;
        }
        if !pair.connected {
            return 0;
        }
        let (before, silent) = (pair.up.moved + pair.down.moved, pair.down.moved == 0);
        let held = pair.up.held.is_some() || pair.down.held.is_some();
        let stopped = [Side::Host, Side::Client].map(|from| {
            let (from, to, flow) = pair.direction(from);
            pump(from, to, flow, buffers, budget)
        });
        let moved = pair.up.moved + pair.down.moved - before;
        let tells = pair.has_to_tell();
        let answered = silent && pair.down.moved > 0;
        // A write found the host gone after its own direction had its turn.
        let unread = pair.host.broken && pair.host.readable && !pair.host.read_done;
        let unread = unread && stopped[0] == Stopped::Idle && pair.down.held.is_none();
        if moved > 0 || held {
            balancer.touch(now, key);
        }
        if tells {
            self.note_moved(now, key);
        }
        if answered {
            self.note_answered(now, key);
        }
        for stopped in stopped {
            self.wait_for(now, key, stopped);
        }
        if unread {
            self.enqueue(key);
        }
        self.settle(now, key);
        moved
    }

    fn wait_for(&mut self, now: Moment, key: Key, stopped: Stopped) {
        match stopped {
            Stopped::Idle => {}
            Stopped::Budget => {
                self.counters.budget_spent.fetch_add(1, Relaxed);
                self.enqueue(key);
            }
            Stopped::NoBuffer => {
                if let Some(pair) = self.balancer.io(key).filter(|pair| pair.line == Line::None) {
                    pair.line = Line::Starved;
                    self.starved.push(key);
                }
            }
            Stopped::NoMemory => self.balancer.wake_after(now, key, SEND_RETRY),
        }
    }

    fn enqueue(&mut self, key: Key) {
        if let Some(pair) = self.balancer.io(key).filter(|pair| pair.line == Line::None) {
            pair.line = Line::Ready;
            self.ready.push_back(key);
        }
    }
}
