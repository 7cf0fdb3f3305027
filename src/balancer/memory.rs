//! What the brain keeps in memory for sessions, after a peak.

use super::Balancer;
use crate::model::limits::{SESSIONS_KEPT, SESSIONS_KEPT_FACTOR};

impl<T> Balancer<T> {
    /// Whether it keeps room for far more sessions than it has.
    #[must_use]
    pub fn is_oversized(&self) -> bool {
        self.slots() / SESSIONS_KEPT_FACTOR > self.len().max(SESSIONS_KEPT)
    }

    /// Frees the room behind the last session. New sessions take the slots of ended ones first, so that it moves to the
    /// front as old sessions end.
    pub fn shrink(&mut self) {
        self.sessions.shrink_to_fit();
        self.timers.shrink(self.sessions.capacity());
    }
}
