//! Bounds of datagrams and flows.

use std::time::Duration;

/// Default of the silence that ends a flow: what connection tracking gives a datagram that nobody has answered (the
/// kernel's `nf_conntrack_udp_timeout`). Long enough for any answer of a name server, short enough that a resolver's
/// ports, each of which is used once, do not pile up.
pub const FLOW_TIMEOUT: Duration = Duration::from_secs(30);
/// Default of the flows over all reactors.
pub const FLOWS_MAX: u32 = 100_000;
/// Most that can be asked for, which any one reactor can have.
pub const FLOWS_LIMIT: u32 = 10_000_000;
/// Silence after which a flow may be recycled for another one: a host has had this long to answer, and a late answer
/// cannot come to somebody else.
pub const FLOW_REST: Duration = Duration::from_secs(1);
/// Silence after which a flow has ended while its reactor drains, or its listener is closed.
pub const FLOW_DRAIN: Duration = Duration::from_secs(1);
/// How exactly flows are ordered by their last datagram.
pub const FLOW_ORDER: Duration = Duration::from_millis(100);
/// Hosts whose least recently used flow is looked at for one to recycle.
pub const RECYCLE_LOOKS: usize = 64;
/// Hosts that a datagram is offered to before it is dropped.
pub const DATAGRAM_TRIES_MAX: usize = 4;
/// Datagrams taken from the kernel in one call.
pub const DATAGRAM_BATCH: usize = 32;
/// Largest payload of a datagram, in bytes: what the length of RFC 768 leaves, which IPv6 without fragments can have.
pub const DATAGRAM_BYTES_MAX: usize = 65_527;
/// Datagrams moved in one turn of the loop, before others have their turn. One that the kernel has put together from
/// many counts once for each [`SEGMENTS_COUNTED`] of them.
pub const DATAGRAMS_PER_TURN: usize = 256;
/// See [`DATAGRAMS_PER_TURN`].
pub const SEGMENTS_COUNTED: usize = 8;
/// Datagrams that the kernel sends in one piece; its `UDP_MAX_SEGMENTS` was 64 before Linux 6.2.
pub const SEGMENTS_MAX: usize = 64;
/// What a socket for datagrams is to hold that its reader has not taken yet, in bytes; `net.core.rmem_max` bounds it.
pub const DATAGRAM_BUFFER_BYTES: u32 = 4 << 20;
/// Share of the open files that flows may have sockets for, in percent.
pub const FLOW_SOCKETS_PERCENT: u64 = 25;

const _: () = assert!(FLOWS_MAX <= FLOWS_LIMIT && (FLOWS_LIMIT as usize) < super::SESSIONS_PER_REACTOR_MAX);
const _: () = assert!(FLOW_ORDER.as_millis() < FLOW_REST.as_millis());
const _: () = assert!(FLOW_REST.as_millis() < FLOW_TIMEOUT.as_millis());
