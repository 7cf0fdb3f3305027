//! What a reactor tells the manager. Hints: a full channel drops them, and the counters stay the truth.

use std::net::SocketAddr;

use super::datagram::Dropped;
use super::id::{HostId, ReactorId, ServiceId};
use super::outcome::{CloseReason, Fault};

/// Reactor to manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A connect to a host failed for a reason that is the host's.
    HostFailed {
        /// The service.
        service: ServiceId,
        /// The host.
        host: HostId,
        /// What happened.
        fault: Fault,
    },
    /// A connect takes far longer than this host usually needs; its client was moved on. The manager should probe.
    HostSlow {
        /// The service.
        service: ServiceId,
        /// The host.
        host: HostId,
    },
    /// A host that is down or suspected accepted a connection all the same.
    HostAnswered {
        /// The service.
        service: ServiceId,
        /// The host.
        host: HostId,
    },
    /// A client was closed without having reached a host.
    ClientLost {
        /// The service.
        service: ServiceId,
        /// The client.
        client: SocketAddr,
        /// Why.
        reason: CloseReason,
    },
    /// Accepting paused: out of descriptors or memory (`errno`), or at the connection limit (`None`).
    AcceptPaused {
        /// The reactor.
        reactor: ReactorId,
        /// What accept or a socket call answered.
        errno: Option<i32>,
    },
    /// Datagrams were dropped, told once a while.
    DatagramsDropped {
        /// The reactor.
        reactor: ReactorId,
        /// Why the first of them was.
        reason: Dropped,
        /// How many of all kinds.
        count: u64,
    },
    /// A reactor's thread panicked and was started afresh.
    ReactorRestarted {
        /// The reactor.
        reactor: ReactorId,
        /// How many pairs went with it.
        lost: u32,
    },
}
