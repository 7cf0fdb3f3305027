//! What the manager tells a reactor. Each is idempotent, questions aside.

use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::datagram::Protocol;
use super::id::{ListenerId, ServiceId};
use super::service::{ListenerSpec, ServiceSpec};
use super::session::{KillRequest, SessionQuery};

/// A listener's socket, one of as many as there are reactors.
#[derive(Clone, Debug)]
pub enum ListenSocket {
    /// Connections are accepted from it.
    Tcp(Arc<TcpListener>),
    /// Datagrams are received and answered through it.
    Udp(Arc<UdpSocket>),
}

impl ListenSocket {
    /// Sees whether somebody still has it, without having it.
    #[must_use]
    pub fn watch(&self) -> HeldSocket {
        match self {
            Self::Tcp(socket) => HeldSocket::Tcp(Arc::downgrade(socket)),
            Self::Udp(socket) => HeldSocket::Udp(Arc::downgrade(socket)),
        }
    }
}

/// A listener's socket that others may have.
#[derive(Clone, Debug)]
pub enum HeldSocket {
    /// See [`ListenSocket::Tcp`].
    Tcp(Weak<TcpListener>),
    /// See [`ListenSocket::Udp`].
    Udp(Weak<UdpSocket>),
}

impl HeldSocket {
    /// Whether somebody has it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        match self {
            Self::Tcp(socket) => socket.strong_count() > 0,
            Self::Udp(socket) => socket.strong_count() > 0,
        }
    }

    /// Its protocol.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match self {
            Self::Tcp(_) => Protocol::Tcp,
            Self::Udp(_) => Protocol::Udp,
        }
    }
}

/// Manager to reactor.
#[derive(Clone, Debug)]
pub enum Update {
    /// Serve this from now on, unless a later generation is known already. Listeners come separately.
    Service(Arc<ServiceSpec>),
    /// No new connections for this service; those in progress go on with what they have.
    Remove(ServiceId),
    /// Take in what comes to this socket for that service; for a known listener only the service changes.
    Listen(ListenerSpec, ListenSocket),
    /// Serve what is queued on this listener, then close it.
    Unlisten(ListenerId),
    /// Stop accepting, end when the last pair has finished or after this time, whichever is first.
    Drain(Duration),
    /// Answer what sessions there are. It may take some turns; a reactor that has
    /// [`super::limits::QUESTIONS_MAX`] questions to answer drops it.
    Sessions(Arc<SessionQuery>),
    /// Cut these sessions and answer how many there were. Otherwise as [`Self::Sessions`].
    Kill(Arc<KillRequest>),
}
