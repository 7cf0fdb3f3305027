//! What one reactor counts of datagrams.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::model::datagram::Dropped;

/// One reactor's counters of datagrams; only its own thread writes them.
#[derive(Debug, Default)]
pub struct DatagramCounters {
    /// Datagrams that came from clients.
    pub from_clients: AtomicU64,
    /// Datagrams that came from hosts.
    pub from_hosts: AtomicU64,
    /// Calls of the kernel that took them in, each of which takes many if there are.
    pub receives: AtomicU64,
    /// Flows at the moment.
    pub flows: AtomicU32,
    /// Flows that made room for others.
    pub flows_recycled: AtomicU64,
    /// Sockets towards hosts at the moment.
    pub flow_sockets: AtomicU32,
    dropped: [AtomicU64; Dropped::COUNT],
}

impl DatagramCounters {
    /// Counts so many dropped for this reason. Only the reactor's own thread calls this.
    pub fn count_dropped(&self, reason: Dropped, count: u64) {
        let counter = &self.dropped[reason.index()];
        counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// Datagrams dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: Dropped) -> u64 {
        self.dropped[reason.index()].load(Relaxed)
    }

    /// All of them by name.
    pub(super) fn values(&self) -> Vec<(&'static str, u64)> {
        const DROPPED: [&str; Dropped::COUNT] = [
            "datagrams_dropped_no_host",
            "datagrams_dropped_no_flow",
            "datagrams_dropped_no_socket",
            "datagrams_dropped_no_room",
            "datagrams_dropped_too_big",
            "datagrams_dropped_unasked",
            "datagrams_dropped_denied",
            "datagrams_dropped_overflow",
        ];
        let mut values = vec![
            ("datagrams_from_clients", self.from_clients.load(Relaxed)),
            ("datagrams_from_hosts", self.from_hosts.load(Relaxed)),
            ("datagram_receives", self.receives.load(Relaxed)),
            ("flows", self.flows.load(Relaxed).into()),
            ("flows_recycled", self.flows_recycled.load(Relaxed)),
            ("flow_sockets", self.flow_sockets.load(Relaxed).into()),
        ];
        values.extend(DROPPED.into_iter().zip(self.dropped.iter().map(|counter| counter.load(Relaxed))));
        values
    }
}
