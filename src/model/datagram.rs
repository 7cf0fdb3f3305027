//! Datagrams: what listeners take in, and how datagrams of one client belong together.

use std::fmt;
use std::time::Duration;

use super::limits::FLOW_TIMEOUT;

/// A transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Connections (RFC 9293).
    #[default]
    Tcp,
    /// Datagrams (RFC 768).
    Udp,
}

impl Protocol {
    /// Its name, as in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a listener takes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocols {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
    /// Both, on one port.
    Both,
}

impl Protocols {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Both];

    /// As in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Both => "tcp+udp",
        }
    }

    /// The protocols, TCP first.
    #[must_use]
    pub const fn each(self) -> &'static [Protocol] {
        match self {
            Self::Tcp => &[Protocol::Tcp],
            Self::Udp => &[Protocol::Udp],
            Self::Both => &[Protocol::Tcp, Protocol::Udp],
        }
    }

    /// Whether the two have one in common.
    #[must_use]
    pub fn meet(self, other: Self) -> bool {
        self == Self::Both || other == Self::Both || self == other
    }
}

/// What goes to one host together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// All that comes from one address and port, as long as it comes.
    #[default]
    Flow,
    /// One datagram: a host is chosen for each anew.
    Packet,
}

impl SessionKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Flow, Self::Packet];

    /// As in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Packet => "packet",
        }
    }
}

/// What a service says of its flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRules {
    /// What belongs together.
    pub kind: SessionKind,
    /// Answers to each datagram of a client, after which its flow has ended; none: only silence ends it.
    pub responses: Option<u32>,
    /// The silence that ends a flow.
    pub timeout: Duration,
}

impl Default for FlowRules {
    fn default() -> Self {
        Self { kind: SessionKind::Flow, responses: None, timeout: FLOW_TIMEOUT }
    }
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// There is no host for it, or none with room.
    NoHost,
    /// There are as many flows as there may be, and none of them has been silent for long enough to make room.
    NoFlow,
    /// This machine has no descriptor or memory for a socket towards its host.
    NoSocket,
    /// A socket's buffer was full, or the kernel short of memory.
    NoRoom,
    /// It is larger than what can be sent.
    TooBig,
    /// It came from somebody who has not been asked, or too late.
    Unasked,
    /// Its client is denied access, and there is no host for abuse.
    Denied,
    /// The kernel had no room for it: this program, or this machine, is too slow.
    Overflow,
}

impl Dropped {
    /// How many reasons there are; [`Self::index`] is below.
    pub const COUNT: usize = 8;

    /// The names of the reasons, by [`Self::index`].
    pub const NAMES: [&str; Self::COUNT] =
        ["no-host", "no-flow", "no-socket", "no-room", "too-big", "unasked", "denied", "overflow"];

    /// A dense number, for counters.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The reason's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }
}
