//! The flows of one reactor: which host each client's datagrams go to, through which socket, and whose answers come back.
//!
//! A flow is a session like a connection's, with a place at its host and a deadline; what is different is in
//! [`super::Balancer`] beside that. Their number is bounded: a new one takes the place of the one that has been silent
//! for longest, those that no host has answered first, so that who sends from many false addresses drives out his own.
//! Nothing here sends or receives.

mod arrive;
mod check;
mod lanes;
mod leave;
mod life;
mod names;
mod order;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::{Balancer, Due, Key, Traffic};
use crate::model::id::{HostId, ServiceId};
use crate::model::limits::EXACT_HOSTS_MAX;
use crate::model::outcome::CloseReason;
use crate::model::report::Report;
use crate::model::service::ServiceSpec;
use crate::model::time::Moment;
pub use lanes::{Lane, Lanes, SocketId, Way};
pub use life::Life;
use names::Names;

/// What a flow keeps besides what every session has.
#[derive(Debug)]
pub struct Flow {
    /// Its way to the host.
    pub lane: Lane,
    /// The listener that its client sends to, as the shell numbers them.
    pub listener: u32,
    /// The address that its client sends to, where the listener has many.
    pub local: Option<IpAddr>,
    /// Bytes of the client's.
    pub up: u64,
    /// Bytes of the host's.
    pub down: u64,
    /// Of these, what the host's counters have been told.
    pub told: Traffic,
    /// It is listed as one that has bytes to tell.
    pub is_listed: bool,
    /// When its first datagram came.
    pub born: Moment,
    /// Datagrams of the client's, and answers to them.
    asked: u64,
    answers: u64,
    /// Bytes of the client's last datagram.
    last: usize,
    /// Since it is at its host, that has answered.
    is_answered: bool,
    /// The host that it is for, if each datagram is for itself.
    of_host: Option<HostId>,
    previous: u32,
    next: u32,
    ordered: Moment,
    /// The next one whose name has the same place.
    same_place: u32,
}

/// Datagrams of one client that came together.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The service of the listener.
    pub service: ServiceId,
    /// The listener, as the shell numbers them.
    pub listener: u32,
    /// Who has sent them.
    pub client: SocketAddr,
    /// The address that they were sent to, where the listener has many.
    pub local: Option<IpAddr>,
    /// How many they are.
    pub count: usize,
    /// Their bytes.
    pub bytes: usize,
    /// The bytes of the last of them.
    pub last: usize,
}

/// Where datagrams go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Their flow.
    pub key: Key,
    /// The socket, and whose address it is.
    pub lane: Lane,
    /// The host.
    pub to: SocketAddr,
    /// No answer is expected: the flow is over once they have been sent.
    pub is_last: bool,
}

/// Where answers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Back {
    /// Their flow.
    pub key: Key,
    /// The listener to send them through.
    pub listener: u32,
    /// The client.
    pub to: SocketAddr,
    /// The address to send them from, where the listener has many.
    pub from: Option<IpAddr>,
    /// No more are expected: the flow is to be closed.
    pub is_last: bool,
}

/// What identifies a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    client: SocketAddr,
    listener: u32,
    local: Option<IpAddr>,
    of_host: Option<HostId>,
}

/// The flows of one reactor.
pub struct Flows {
    balancer: Balancer<Flow>,
    lanes: Lanes,
    names: Names,
    /// Flows of each listener.
    of_listener: Vec<u32>,
    max: usize,
    turn: usize,
    recycled: u64,
    /// What the access log is to be told, if there is one.
    lives: Vec<Life>,
    tells_lives: bool,
}

impl Flows {
    /// No flows, for at most so many and so many sockets. The seed decides random choices.
    #[must_use]
    pub fn new(seed: u64, flows_max: usize, sockets_max: usize) -> Self {
        Self::with_exact_hosts_max(seed, flows_max, sockets_max, EXACT_HOSTS_MAX)
    }

    /// As [`Self::new`], with another [`EXACT_HOSTS_MAX`].
    #[must_use]
    pub fn with_exact_hosts_max(seed: u64, flows_max: usize, sockets_max: usize, exact_hosts_max: usize) -> Self {
        Self {
            balancer: Balancer::of_flows(seed, exact_hosts_max),
            lanes: Lanes::new(sockets_max),
            names: Names::new(seed, flows_max),
            of_listener: Vec::new(),
            max: flows_max.max(1),
            turn: 0,
            recycled: 0,
            lives: Vec::new(),
            tells_lives: false,
        }
    }

    /// Takes over a service's specification.
    pub fn apply(&mut self, spec: Arc<ServiceSpec>) {
        self.balancer.apply(spec);
    }

    /// Takes over a service's specification if it is one of those that are here.
    pub fn apply_known(&mut self, spec: &Arc<ServiceSpec>) {
        if self.balancer.knows(spec.id) {
            self.balancer.apply(Arc::clone(spec));
        }
    }

    /// Ends a service; its flows go on.
    pub fn remove(&mut self, service: ServiceId) {
        self.balancer.remove(service);
    }

    /// Whose answers these are that came from there to this socket, and where they go. `None`: nobody's.
    pub fn answer(
        &mut self,
        now: Moment,
        socket: SocketId,
        from: SocketAddr,
        count: usize,
        bytes: usize,
    ) -> Option<Back> {
        let slot = self.lanes.find(socket, from)?;
        let key = self.balancer.key_at(slot as usize)?;
        let is_first = !self.balancer.session_at(slot).io.is_answered;
        self.balancer.flow_answered(key, is_first);
        if is_first {
            self.unlink(slot);
            self.balancer.session_at_mut(slot).io.is_answered = true;
            self.link(now, slot);
        }
        self.touch(now, slot);
        let rules = self.balancer.rules_of(key)?;
        let session = self.balancer.session_at_mut(slot);
        let (to, flow) = (Name::of(session).client, &mut session.io);
        flow.down += bytes as u64;
        flow.answers += count as u64;
        let is_last = rules.responses.is_some_and(|each| flow.answers >= flow.asked.saturating_mul(each.into()));
        Some(Back { key, listener: flow.listener, to, from: flow.local, is_last })
    }

    /// The next flow whose time has come. It is to be [closed](Self::close).
    pub fn next_due(&mut self, now: Moment) -> Option<(Key, CloseReason)> {
        loop {
            match self.balancer.next_due(now)? {
                (key, Due::Close(reason)) => return Some((key, reason)),
                // Flows neither wait nor connect.
                (_, Due::Connect(_) | Due::Abandon | Due::Wake) => {}
            }
        }
    }

    /// When to call [`Self::next_due`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.balancer.next_deadline()
    }

    /// Tells the host's counters what a flow has moved. Returns whether there is such a flow.
    pub fn tell(&mut self, key: Key) -> bool {
        let Some(flow) = self.balancer.io(key) else { return false };
        let untold = flow.untold();
        flow.told = Traffic { up: flow.up, down: flow.down };
        flow.is_listed = false;
        self.balancer.tell(key, untold);
        true
    }

    /// A flow, for what the shell keeps in it.
    pub fn flow(&mut self, key: Key) -> Option<&mut Flow> {
        self.balancer.io(key)
    }

    /// The sessions, for who lists them.
    #[must_use]
    pub const fn sessions(&self) -> &Balancer<Flow> {
        &self.balancer
    }

    /// The sockets.
    pub const fn lanes(&mut self) -> &mut Lanes {
        &mut self.lanes
    }

    /// Where a flow's host is, and the socket towards it.
    #[must_use]
    pub fn host_of(&self, flow: &Flow) -> (SocketId, SocketAddr) {
        (flow.lane.socket, self.lanes.peer(flow.lane))
    }

    /// Flows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.balancer.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.balancer.is_empty()
    }

    /// Flows that made room for others, so far.
    #[must_use]
    pub const fn recycled(&self) -> u64 {
        self.recycled
    }

    /// The reports since the last call.
    pub fn take_reports(&mut self) -> impl Iterator<Item = Report> + '_ {
        self.balancer.take_reports()
    }

    /// Frees what was kept after a peak, and returns the sockets that nobody needs.
    pub fn shrink(&mut self, now: Moment) -> Vec<SocketId> {
        if self.balancer.is_oversized() {
            self.balancer.shrink();
        }
        self.lanes.rest_is_over(now);
        self.lanes.take_idle()
    }

    /// Whether [`Self::shrink`] will have something to do, now or in a while.
    #[must_use]
    pub fn keeps_any(&self) -> bool {
        self.balancer.is_oversized() || self.lanes.has_idle()
    }

    /// After a panic: gives every place back and counts every flow as lost. Returns how many there were.
    pub fn abandon(&mut self) -> usize {
        self.balancer.abandon().len()
    }
}

impl Flow {
    fn new(now: Moment, arrival: &Arrival, of_host: Option<HostId>) -> Self {
        let none = u32::MAX;
        Self {
            lane: Lane { socket: SocketId { way: none, number: none }, peer: none },
            listener: arrival.listener,
            local: arrival.local,
            up: 0,
            down: 0,
            told: Traffic::default(),
            is_listed: false,
            born: now,
            asked: 0,
            answers: 0,
            last: 0,
            is_answered: false,
            of_host,
            previous: lanes::Ends::NONE,
            next: lanes::Ends::NONE,
            ordered: now,
            same_place: lanes::Ends::NONE,
        }
    }

    /// What the host's counters have not been told.
    #[must_use]
    pub const fn untold(&self) -> Traffic {
        Traffic { up: self.up - self.told.up, down: self.down - self.told.down }
    }
}
