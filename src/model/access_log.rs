//! What the access log is told of a connection or flow: a record of fixed size without names, which whoever moves bytes
//! fills and hands on. Names and lines are made elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use super::address::Endpoint;
use super::id::{HostId, ServiceId};
use super::outcome::{CloseReason, Side};
use super::session::SessionName;

/// Of what a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A host has accepted.
    Started,
    /// It lasts.
    Ongoing,
    /// It has ended, for this reason and by whose doing.
    Ended(CloseReason, By),
}

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A connection.
    Tcp,
    /// A flow of datagrams.
    Udp,
}

/// Who ended a connection or flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The client was first to end or reset it.
    Client,
    /// The host was first to end or reset it.
    Host,
    /// Both ended it, as far as can be told in the same moment.
    Both,
    /// This program: a timeout, a shortage, no host.
    Director,
    /// Somebody who asked this program to.
    Operator,
}

/// A connection or flow at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub phase: Phase,
    /// When, on the wall clock: time since 1970.
    pub at: Duration,
    /// What carries its bytes.
    pub protocol: Protocol,
    /// Its name.
    pub session: SessionName,
    /// The client's address.
    pub client: Endpoint,
    /// The address that the client asked, if it is known; that of a socket of this machine is not.
    pub listen: Option<SocketAddr>,
    /// The service.
    pub service: ServiceId,
    /// The host that it is or was at, else the last that was tried, with the address.
    pub host: Option<(HostId, Endpoint)>,
    /// Attempts to connect after the first.
    pub retries: u16,
    /// Bytes from the client.
    pub up: u64,
    /// Bytes from the host.
    pub down: u64,
    /// From the accept until the first attempt to connect; none: there was none.
    pub queue: Option<Duration>,
    /// From there until a host had accepted, all attempts together; none: none has.
    pub connect: Option<Duration>,
    /// From there until the host's first byte; none: it has sent none.
    pub first_byte: Option<Duration>,
    /// From the accept until `at`.
    pub total: Duration,
}

/// What became of records, at one moment. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessCounts {
    /// Lines written.
    pub written: u64,
    /// Records that found no room on their way to the thread that writes.
    pub dropped: u64,
    /// Lines that their destination did not take.
    pub failed: u64,
}

impl By {
    /// Who is behind an end of this kind. `first`: who ended first what both have ended.
    #[must_use]
    pub const fn of(reason: CloseReason, first: Self) -> Self {
        match reason {
            CloseReason::Finished => first,
            CloseReason::Reset(Side::Client) => Self::Client,
            CloseReason::Reset(Side::Host) => Self::Host,
            CloseReason::Killed => Self::Operator,
            CloseReason::NoHost
            | CloseReason::ConnectTimeout
            | CloseReason::QueueFull
            | CloseReason::Idle
            | CloseReason::HalfClosedIdle
            | CloseReason::Local
            | CloseReason::Drained
            | CloseReason::Panicked
            | CloseReason::Denied
            | CloseReason::ClientLimit
            | CloseReason::NoHeader
            | CloseReason::Recycled => Self::Director,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Host => "host",
            Self::Both => "both",
            Self::Director => "director",
            Self::Operator => "operator",
        }
    }
}

impl Phase {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "start",
            Self::Ongoing => "ongoing",
            Self::Ended(..) => "end",
        }
    }
}

impl Protocol {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_is_small_enough_to_be_copied() {
        assert!(size_of::<Record>() <= 256, "{}", size_of::<Record>());
    }
}
