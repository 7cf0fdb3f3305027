//! How things ended.

use std::fmt;

/// One of the two ends of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that connected to us.
    Client,
    /// The end that we connected to.
    Host,
}

/// Why a connect to a host failed, as far as the host is to blame for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// `ECONNREFUSED`: nobody listens there.
    Refused,
    /// `ECONNRESET` before the first byte.
    Reset,
    /// The network said that it cannot be reached (`EHOSTUNREACH`, `ENETUNREACH`, `EACCES` and kin).
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The connection's two ends are one socket: nobody listens on that local port.
    MetItself,
    /// Another error from the network, as errno.
    Other(i32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Reset => f.write_str("connection reset"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::MetItself => f.write_str("connection met itself: nobody listens there"),
            Self::Other(errno) => write!(f, "{}", std::io::Error::from_raw_os_error(*errno)),
        }
    }
}

/// Whose failure an error of a connect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The host's or the network's on the way to it.
    Host(Fault),
    /// This machine's (descriptors, memory, ports), as errno. It says nothing about any host.
    Local(i32),
}

/// Why a session was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Both sides sent their end of stream.
    Finished,
    /// A side reset the connection; the other was reset in turn.
    Reset(Side),
    /// No host was left to try.
    NoHost,
    /// No host accepted within the service's connect timeout.
    ConnectTimeout,
    /// Every host is at its `max` and the queue is full.
    QueueFull,
    /// No byte for the idle timeout.
    Idle,
    /// One side had ended and the other said nothing for the fin timeout.
    HalfClosedIdle,
    /// This machine could not do it (descriptors, memory, ports); no host is to blame.
    Local,
    /// Cut at the end of the drain.
    Drained,
    /// Lost with a reactor that panicked.
    Panicked,
    /// Cut because an operator asked for it.
    Killed,
    /// It is denied access, and no host for abuse took it.
    Denied,
    /// A flow that made room for another one.
    Recycled,
}

impl CloseReason {
    /// How many reasons there are; [`Self::index`] is below.
    pub const COUNT: usize = 14;

    /// The names of the reasons, by [`Self::index`].
    pub const NAMES: [&str; Self::COUNT] = [
        "finished",
        "client-reset",
        "host-reset",
        "no-host",
        "connect-timeout",
        "queue-full",
        "idle",
        "half-closed-idle",
        "local",
        "drained",
        "panicked",
        "killed",
        "denied",
        "recycled",
    ];

    /// A dense number, for counters.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Finished => 0,
            Self::Reset(Side::Client) => 1,
            Self::Reset(Side::Host) => 2,
            Self::NoHost => 3,
            Self::ConnectTimeout => 4,
            Self::QueueFull => 5,
            Self::Idle => 6,
            Self::HalfClosedIdle => 7,
            Self::Local => 8,
            Self::Drained => 9,
            Self::Panicked => 10,
            Self::Killed => 11,
            Self::Denied => 12,
            Self::Recycled => 13,
        }
    }

    /// The reason's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }
}
