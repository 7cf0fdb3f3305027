//! The flows of one reactor: which host each client's datagrams go to, through which socket, and whose answers come back.
//!
//! A flow is a session like a connection's, with a place at its host and a deadline; what is different is in
//! [`super::Balancer`] beside that. Their number is bounded: a new one takes the place of the one that has been silent
//! for longest, those that no host has answered first, so that who sends from many false addresses drives out his own.
//! Nothing here sends or receives.

mod lanes;
mod order;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::{Balancer, Client, Due, Key, Next, Onward, Traffic};
use crate::model::datagram::{Dropped, SessionKind};
use crate::model::id::{HostId, ServiceId};
use crate::model::limits::{DATAGRAM_TRIES_MAX, EXACT_HOSTS_MAX, FLOW_REST};
use crate::model::outcome::{CloseReason, Fault};
use crate::model::report::Report;
use crate::model::service::ServiceSpec;
use crate::model::socket_options::StreamOptions;
use crate::model::time::Moment;
pub use lanes::{Lane, Lanes, SocketId, Way};

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
}

/// Datagrams of one client that came together.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The service of the listener.
    pub service: ServiceId,
    /// The listener, as the shell numbers them.
    pub listener: u32,
    /// Who has sent them.
    pub client: Client,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    by_name: HashMap<Name, u32>,
    /// Flows of each listener.
    of_listener: Vec<u32>,
    max: usize,
    turn: usize,
    recycled: u64,
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
            by_name: HashMap::new(),
            of_listener: Vec::new(),
            max: flows_max.max(1),
            turn: 0,
            recycled: 0,
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

    /// Where datagrams of a client go that have just arrived: to their flow's host, or to one that is chosen for them.
    ///
    /// # Errors
    /// Why they are dropped.
    pub fn arrive(&mut self, now: Moment, arrival: &Arrival) -> Result<Forward, Dropped> {
        let rules = self.balancer.flow_rules(arrival.service).ok_or(Dropped::NoHost)?;
        let key = match rules.kind {
            SessionKind::Flow => self.flow_of(now, arrival)?,
            SessionKind::Packet => self.packet_of(now, arrival)?,
        };
        self.touch(now, key.slot);
        let flow = &mut self.balancer.session_at_mut(key.slot).io;
        flow.up += arrival.bytes as u64;
        flow.asked += arrival.count as u64;
        flow.last = arrival.last;
        let lane = flow.lane;
        Ok(Forward { key, lane, to: self.lanes.peer(lane), is_last: rules.responses == Some(0) })
    }

    fn flow_of(&mut self, now: Moment, arrival: &Arrival) -> Result<Key, Dropped> {
        let Arrival { service, listener, client, local, .. } = *arrival;
        let name = Name { client: client.addr, listener, local, of_host: None };
        if let Some(key) = self.named(&name) {
            if self.balancer.has_lost_host(key) {
                // What it has moved counts for the host that it leaves.
                self.tell(key);
                if let Onward::Move(target) = self.balancer.onward(now, key) {
                    self.rehouse(now, key, Next::Connect(target))?;
                }
            }
            return Ok(key);
        }
        self.make_room(now)?;
        if !self.balancer.reserve(service, false) {
            return Err(Dropped::NoFlow);
        }
        let flow = Flow::new(now, arrival, None);
        let Ok((key, next)) = self.balancer.open(now, service, client, flow) else { return Err(Dropped::NoHost) };
        self.enter(name, key);
        self.house(now, key, next, client.is_denied)?;
        Ok(key)
    }

    /// The flow of one client at one host: a host is chosen for each datagram, and its answers must find the client.
    fn packet_of(&mut self, now: Moment, arrival: &Arrival) -> Result<Key, Dropped> {
        let Arrival { service, listener, client, local, .. } = *arrival;
        let nowhere = if client.is_denied { Dropped::Denied } else { Dropped::NoHost };
        let picked = self.balancer.pick(now, service, client).ok_or(nowhere)?;
        let name = Name { client: client.addr, listener, local, of_host: Some(picked.host) };
        if let Some(key) = self.named(&name) {
            self.balancer.unpick(picked);
            return Ok(key);
        }
        let room = self.make_room(now);
        if room.is_err() || !self.balancer.reserve(service, false) {
            self.balancer.unpick(picked);
            return Err(Dropped::NoFlow);
        }
        let key = self.balancer.adopt(now, picked, client, Flow::new(now, arrival, Some(picked.host)));
        self.enter(name, key);
        self.house(now, key, Next::Connect(picked.target), client.is_denied)?;
        Ok(key)
    }

    fn enter(&mut self, name: Name, key: Key) {
        self.by_name.insert(name, key.slot);
        let listener = name.listener as usize;
        if self.of_listener.len() <= listener {
            self.of_listener.resize(listener + 1, 0);
        }
        self.of_listener[listener] += 1;
    }

    fn named(&self, name: &Name) -> Option<Key> {
        self.by_name.get(name).and_then(|slot| self.balancer.key_at(*slot as usize))
    }

    /// Makes room for one more flow.
    fn make_room(&mut self, now: Moment) -> Result<(), Dropped> {
        if self.balancer.len() < self.max {
            return Ok(());
        }
        let first = self.first_of_all();
        self.recycle(now, first)
    }

    fn recycle(&mut self, now: Moment, first: Option<Key>) -> Result<(), Dropped> {
        let silent = |key: &Key| self.balancer.since(*key).is_some_and(|since| now >= since.after(FLOW_REST));
        let key = first.filter(silent).ok_or(Dropped::NoFlow)?;
        self.recycled += 1;
        self.close(now, key, CloseReason::Recycled);
        Ok(())
    }

    /// Gives a flow, which is at no host, a way to the one that was chosen.
    fn house(&mut self, now: Moment, key: Key, next: Next, is_denied: bool) -> Result<(), Dropped> {
        let target = match next {
            Next::Connect(target) => target,
            Next::Wait | Next::Close(_) => {
                self.forget(now, key, CloseReason::NoHost);
                return Err(if is_denied { Dropped::Denied } else { Dropped::NoHost });
            }
        };
        let outbound = self.balancer.outbound(key);
        let source = outbound.and_then(|outbound| outbound.source(outbound.next_turn()));
        let options = outbound.map_or_else(StreamOptions::default, |outbound| outbound.options().stream);
        let peer = self.lanes.number(&Way { is_v6: target.addr.is_ipv6(), source, options }, target.addr);
        let lane = match self.lanes.take(now, peer, key.slot) {
            Some(lane) => Some(lane),
            None => {
                let first = self.first_of(peer);
                self.recycle(now, first).ok().and_then(|()| self.lanes.take(now, peer, key.slot))
            }
        };
        let Some(lane) = lane else {
            self.forget(now, key, CloseReason::Local);
            return Err(Dropped::NoFlow);
        };
        let flow = &mut self.balancer.session_at_mut(key.slot).io;
        (flow.lane, flow.is_answered) = (lane, false);
        self.link(now, key.slot);
        self.balancer.flow_opened(now, key);
        Ok(())
    }

    /// Gives a flow a way to another host than the one that it had.
    fn rehouse(&mut self, now: Moment, key: Key, next: Next) -> Result<(), Dropped> {
        self.leave_lane(now, key, false);
        let is_denied = self.balancer.session_at(key.slot).is_denied;
        self.house(now, key, next, is_denied)
    }

    /// Takes a flow out of its lists and gives its lane back.
    fn leave_lane(&mut self, now: Moment, key: Key, is_complete: bool) {
        self.unlink(key.slot);
        let session = self.balancer.session_at(key.slot);
        let rests_until = session.since.after(FLOW_REST);
        let lane = session.io.lane;
        self.lanes.give(lane, (rests_until > now && !is_complete).then_some(rests_until));
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
        let (to, flow) = (session.client, &mut session.io);
        flow.down += bytes as u64;
        flow.answers += count as u64;
        let is_last = rules.responses.is_some_and(|each| flow.answers >= flow.asked.saturating_mul(each.into()));
        Some(Back { key, listener: flow.listener, to, from: flow.local, is_last })
    }

    /// What was sent through this socket did not arrive there: its host is blamed, and its flow moves at once. If the
    /// network has sent back the client's last datagram whole, which had so many bytes, it says where that is to go.
    pub fn unreached(
        &mut self,
        now: Moment,
        socket: SocketId,
        to: SocketAddr,
        fault: Fault,
        returned: usize,
    ) -> Option<Forward> {
        let slot = self.lanes.find(socket, to)?;
        let key = self.balancer.key_at(slot as usize)?;
        let is_whole = returned == self.balancer.session_at(slot).io.last && returned > 0;
        self.failed(now, key, fault).ok().filter(|_| is_whole)
    }

    /// A flow's host cannot be reached: it is blamed and the flow moves. Returns where its datagrams go from now on.
    ///
    /// # Errors
    /// There is no other host: the flow has ended.
    pub fn failed(&mut self, now: Moment, key: Key, fault: Fault) -> Result<Forward, Dropped> {
        let Some(is_answered) = self.balancer.io(key).map(|flow| flow.is_answered) else { return Err(Dropped::NoHost) };
        let session = self.balancer.session_at(key.slot);
        if session.io.of_host.is_some() {
            // The next datagram is for another host anyhow. This one's flow there is of no more use.
            let client = Client { addr: session.client, is_denied: session.is_denied };
            let Flow { listener, local, last, .. } = session.io;
            let service = self.balancer.view(key.slot as usize).map(|view| view.service).ok_or(Dropped::NoHost)?;
            self.balancer.flow_accused(now, key, fault);
            self.close(now, key, CloseReason::NoHost);
            let arrival = Arrival { service, listener, client, local, count: 1, bytes: last, last };
            return self.arrive(now, &arrival);
        }
        self.tell(key);
        let next = self.balancer.flow_failed(now, key, fault, is_answered);
        self.rehouse(now, key, next)?;
        let lane = self.balancer.session_at(key.slot).io.lane;
        Ok(Forward { key, lane, to: self.lanes.peer(lane), is_last: false })
    }

    /// Offers a datagram that could not be sent to other hosts, until `send` takes it.
    ///
    /// # Errors
    /// Why it is dropped.
    pub fn offer(
        &mut self,
        now: Moment,
        key: Key,
        fault: Fault,
        mut send: impl FnMut(Way, Forward) -> Result<(), Fault>,
    ) -> Result<(), Dropped> {
        let mut forward = self.failed(now, key, fault)?;
        for _ in 0..DATAGRAM_TRIES_MAX {
            match send(*self.lanes.way(forward.lane.socket), forward) {
                Ok(()) => return Ok(()),
                Err(fault) => forward = self.failed(now, forward.key, fault)?,
            }
        }
        Err(Dropped::NoHost)
    }

    /// There is no socket for this flow, because this machine has no descriptor: until [`Self::shrink`], flows share those
    /// that there are.
    pub fn no_socket(&mut self, now: Moment, key: Key) {
        if let Some(flow) = self.close(now, key, CloseReason::Local) {
            self.lanes.set_unopened(flow.lane.socket);
        }
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

    /// Ends a flow. `None` when it has ended.
    pub fn close(&mut self, now: Moment, key: Key, reason: CloseReason) -> Option<Flow> {
        self.balancer.state(key)?;
        self.leave_lane(now, key, reason == CloseReason::Finished);
        self.forget(now, key, reason)
    }

    /// Ends a flow that has no lane.
    fn forget(&mut self, now: Moment, key: Key, reason: CloseReason) -> Option<Flow> {
        let session = self.balancer.session_at(key.slot);
        let flow = &session.io;
        let name = Name { client: session.client, listener: flow.listener, local: flow.local, of_host: flow.of_host };
        self.by_name.remove(&name);
        self.of_listener[name.listener as usize] -= 1;
        let untold = flow.untold();
        self.balancer.close(now, key, reason, untold)
    }

    /// Nothing more comes from the clients of this listener: its flows end as soon as they have had time to be answered.
    pub fn end_listener(&mut self, listener: u32) {
        for slot in 0..self.balancer.slots() {
            if let Some(key) = self.balancer.key_at(slot)
                && self.balancer.session_at(key.slot).io.listener == listener
            {
                self.balancer.flow_ending(key);
            }
        }
    }

    /// Whether this listener has flows.
    #[must_use]
    pub fn has_any_of(&self, listener: u32) -> bool {
        self.of_listener.get(listener as usize).is_some_and(|flows| *flows > 0)
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
            self.by_name.shrink_to_fit();
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

    /// Checks that flows, their names, lanes and order agree, for the simulation.
    ///
    /// # Errors
    /// The first disagreement, in words.
    pub fn check(&self) -> Result<(), String> {
        self.balancer.check()?;
        self.lanes.check(self.balancer.len())?;
        if self.by_name.len() != self.balancer.len() || self.balancer.len() > self.max {
            return Err(format!("{} names and {} flows of {}", self.by_name.len(), self.balancer.len(), self.max));
        }
        let mut listed = 0;
        for peer in &self.lanes.peers {
            for (is_answered, ends) in [false, true].into_iter().zip(peer.orders) {
                let (mut slot, mut before) = (ends.first, Moment::START);
                while slot != lanes::Ends::NONE {
                    let session = self.balancer.session_at(slot);
                    if session.io.is_answered != is_answered || session.io.ordered < before {
                        return Err(format!("flow {slot} stands in the wrong place"));
                    }
                    (before, listed) = (session.io.ordered, listed + 1);
                    slot = session.io.next;
                }
            }
        }
        if listed != self.balancer.len() {
            return Err(format!("{listed} of {} flows are in order", self.balancer.len()));
        }
        Ok(())
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
        }
    }

    /// What the host's counters have not been told.
    #[must_use]
    pub const fn untold(&self) -> Traffic {
        Traffic { up: self.up - self.told.up, down: self.down - self.told.down }
    }
}
