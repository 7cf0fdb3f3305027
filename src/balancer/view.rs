//! What can be seen of a session from outside.

use std::sync::atomic::Ordering::Relaxed;

use super::{Balancer, Key, Traffic};

impl<T> Balancer<T> {
    /// Adds bytes that a session has moved to its host's counters. What is told here is not to be told to
    /// [`Self::close`].
    pub fn tell(&self, key: Key, traffic: Traffic) {
        let Some(counters) = self.host_counters(key) else { return };
        for (counter, bytes) in [(&counters.bytes_up, traffic.up), (&counters.bytes_down, traffic.down)] {
            if bytes > 0 {
                counter.fetch_add(bytes, Relaxed);
            }
        }
    }
}
