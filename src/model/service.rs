//! Immutable specifications: what the manager publishes and the reactors serve.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::counters::{HostCounters, ListenerCounters, ServiceCounters};
use super::datagram::{FlowRules, Protocol};
use super::id::{HostId, ListenerId, ServiceId};
use super::role::Level;
use super::rotation::Rotation;
use super::scheduler::SchedulerKind;
use super::socket_options::Outbound;
use super::status::HostStatus;
use super::sticky::{StickyMode, StickyRules, StickyTable};

/// A service as the reactors see it: the enabled group's hosts as plain addresses. It is replaced whole.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// The service.
    pub id: ServiceId,
    /// Counts up with each publication; an older one than the one in force is ignored.
    pub generation: u64,
    /// Its name, for messages.
    pub name: Arc<str>,
    /// How a host is chosen.
    pub scheduler: SchedulerKind,
    /// How clients find their host again, and what one client is.
    pub sticky: StickyRules,
    /// Where the group's clients are, with [`StickyMode::Table`]; shared by all reactors, kept over publications.
    pub table: Option<Arc<StickyTable>>,
    /// Whether a client whose host fails is closed instead of being offered another one.
    pub is_stubborn: bool,
    /// Hosts in the order of the file.
    pub hosts: Vec<HostSpec>,
    /// How long a client may wait until a host has accepted it, all attempts and queueing together.
    pub connect_timeout: Duration,
    /// How long a pair may stay without a byte in either direction.
    pub idle_timeout: Duration,
    /// As `idle_timeout`, once one side has sent its end of stream.
    pub fin_timeout: Duration,
    /// How its datagrams belong together.
    pub flows: FlowRules,
    /// Most open connections of this service over all reactors.
    pub max_connections: Option<u32>,
    /// The position of round robin, shared by all reactors, kept over publications.
    pub rotation: Arc<Rotation>,
    /// Kept over publications.
    pub counters: Arc<ServiceCounters>,
}

impl ServiceSpec {
    /// Whether some clients may be served while others wait who came before them: at a place above `max`, or at a host
    /// that is the only one for them.
    #[must_use]
    pub fn has_privileges(&self) -> bool {
        self.sticky.mode != StickyMode::Off && (self.is_stubborn || self.hosts.iter().any(|host| host.hard.is_some()))
    }
}

/// One host address of a service.
#[derive(Clone, Debug)]
pub struct HostSpec {
    /// The host.
    pub id: HostId,
    /// Where to connect to.
    pub addr: SocketAddr,
    /// Its share, 0 to [`super::limits::WEIGHT_MAX`]; 0 gives it no new connections.
    pub weight: u32,
    /// Its weight as configured, whatever its state: what hashing goes by, so that a drained host's clients move and no
    /// others do.
    pub share: u32,
    /// Most open connections over all reactors, connects in flight included.
    pub max: Option<u32>,
    /// The same for a client whose own host this is; not below `max`, which a group without stickiness goes by alone.
    pub hard: Option<u32>,
    /// When it comes into question.
    pub level: Level,
    /// The manager's judgement.
    pub status: HostStatus,
    /// Whether a connect to this address could meet itself: its port lies in the range of ephemeral ports.
    pub may_meet_itself: bool,
    /// How to connect; none: as the kernel does when it is told nothing.
    pub outbound: Option<Arc<Outbound>>,
    /// Kept over publications.
    pub counters: Arc<HostCounters>,
}

/// One listen address. Every reactor has a socket of its own on it (`SO_REUSEPORT`).
#[derive(Clone, Debug)]
pub struct ListenerSpec {
    /// The listener.
    pub id: ListenerId,
    /// The service whose clients arrive here.
    pub service: ServiceId,
    /// What comes here.
    pub protocol: Protocol,
    /// The bound address.
    pub addr: SocketAddr,
    /// Kept while it is open, whichever service it serves.
    pub counters: Arc<ListenerCounters>,
}
