//! Everything there is to see of a running balancer at one moment, as plain values.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::datagram::{FlowRules, Protocols};
use super::outcome::CloseReason;
use super::role::Level;
use super::scheduler::SchedulerKind;
use super::status::{AdminState, HostStatus};
use super::sticky::StickyRules;

/// Times counted by their size, as a histogram had them at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The first bucket is below 2^`first` µs, each after it ends at twice the time, and the last has no end.
    pub first: u32,
    /// How many fell into each, the shortest times first.
    pub buckets: Vec<u64>,
}

impl Counts {
    /// What every time of a bucket is below; `None` for the last, which has no end.
    #[must_use]
    pub fn below(&self, bucket: usize) -> Option<Duration> {
        let exponent = self.first.saturating_add(u32::try_from(bucket).unwrap_or(u32::MAX));
        (bucket + 1 < self.buckets.len())
            .then(|| Duration::from_micros(1_u64.checked_shl(exponent).unwrap_or(u64::MAX)))
    }

    /// How many times were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// The whole.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Director's version.
    pub version: &'static str,
    /// The process.
    pub pid: u32,
    /// When it started, on the wall clock.
    pub started: SystemTime,
    /// How long ago that was.
    pub uptime: Duration,
    /// Counts changes of the running configuration, from 1 at the start.
    pub revision: u64,
    /// Whether the running configuration differs from what was last loaded or saved.
    pub unsaved: bool,
    /// Time left until a load on probation is taken back.
    pub confirm_within: Option<Duration>,
    /// Whether it is shutting down.
    pub draining: bool,
    /// In the order of the configuration.
    pub services: Vec<ServiceView>,
    /// By number.
    pub reactors: Vec<ReactorView>,
    /// Administrators' names, with what they may do and how they may come in.
    pub users: Vec<UserView>,
    /// The number of the last event.
    pub last_event: u64,
}

/// A service.
#[derive(Clone, Debug)]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// The group that serves.
    pub enabled: Option<String>,
    /// Its listeners, in the order of the configuration.
    pub listeners: Vec<ListenerView>,
    /// In the order of the configuration.
    pub groups: Vec<GroupView>,
    /// A client may wait for a host.
    pub connect_timeout: Duration,
    /// A pair may be silent.
    pub idle_timeout: Duration,
    /// A half-closed pair may be silent.
    pub fin_timeout: Duration,
    /// How its datagrams belong together.
    pub flows: FlowRules,
    /// Most open connections.
    pub max_connections: Option<u32>,
    /// Open sessions, waiting and connecting ones included.
    pub open: u32,
    /// Clients that wait for a host with room.
    pub waiting: u32,
    /// Clients accepted.
    pub accepted: u64,
    /// Attempts after the first that clients needed.
    pub retries: u64,
    /// Sessions closed, by [`CloseReason::index`].
    pub closed: [u64; CloseReason::COUNT],
    /// How long clients waited until a host had accepted them.
    pub wait: Counts,
    /// The sum of these, in microseconds.
    pub wait_sum_us: u64,
}

/// A listener.
#[derive(Clone, Debug)]
pub struct ListenerView {
    /// As configured.
    pub address: String,
    /// What it takes in.
    pub protocol: Protocols,
    /// Where it is bound; none while its service does not serve. A name with several addresses has several.
    pub bound: Vec<SocketAddr>,
    /// Clients accepted, flows among them.
    pub accepted: u64,
    /// Errors of accept.
    pub errors: u64,
}

/// A group.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// Whether it serves.
    pub enabled: bool,
    /// How a host is chosen.
    pub scheduler: SchedulerKind,
    /// How its clients find their host again.
    pub sticky: StickyState,
    /// Whether a client whose host fails is closed.
    pub stubborn: bool,
    /// In the order of the configuration, one for each address; one without an address for a name that has none.
    pub hosts: Vec<HostView>,
}

/// How a group's clients find their host again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StickyState {
    /// The rules.
    pub rules: StickyRules,
    /// Clients that its table remembers.
    pub clients: usize,
    /// Clients that were forgotten because the table was full.
    pub evicted: u64,
}

/// A host address.
#[derive(Clone, Debug)]
pub struct HostView {
    /// Its name.
    pub name: String,
    /// As configured.
    pub address: String,
    /// The address; none for a name that does not resolve.
    pub addr: Option<SocketAddr>,
    /// The manager's judgement.
    pub status: HostStatus,
    /// What the operator wants of it.
    pub admin: AdminState,
    /// Why it has this status; empty when nothing ever happened.
    pub why: String,
    /// How long it has had it.
    pub lasted: Duration,
    /// Time until the next probe, if there will be one.
    pub next_probe: Option<Duration>,
    /// Time left for which an operator keeps it out.
    pub blacklisted: Option<Duration>,
    /// How often one did.
    pub times_blacklisted: u64,
    /// Its share.
    pub weight: u32,
    /// Most open connections.
    pub max: Option<u32>,
    /// Most open connections for clients whose own host this is.
    pub hard: Option<u32>,
    /// When it comes into question.
    pub level: Level,
    /// Connections, those in flight included.
    pub open: u32,
    /// Connections established.
    pub total: u64,
    /// Connects that failed for a reason of the host's.
    pub failed: u64,
    /// Bytes from clients.
    pub bytes_up: u64,
    /// Bytes to clients.
    pub bytes_down: u64,
    /// The usual time of a connect; zero when none has succeeded.
    pub connect_time: Duration,
    /// Times of connects.
    pub connects: Counts,
    /// The sum of these, in microseconds.
    pub connects_sum_us: u64,
    /// Lifetimes of sessions that have ended.
    pub lifetimes: Counts,
    /// The sum of these, in microseconds.
    pub lifetimes_sum_us: u64,
}

/// A reactor.
#[derive(Clone, Debug)]
pub struct ReactorView {
    /// Its counters by name, as in the log's `counters reactor=` lines.
    pub values: Vec<(&'static str, u64)>,
    /// How long turns of its loop took.
    pub turns: Counts,
}

/// An administrator, without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserView {
    /// The name.
    pub name: String,
    /// Whether changes are allowed.
    pub full: bool,
    /// Whether there is a password.
    pub password: bool,
    /// Whether there is a key for SSH.
    pub key: bool,
}
