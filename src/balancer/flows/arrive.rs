//! Datagrams of clients: their flow, or a new one, and its way to a host.

use super::lanes::Way;
use super::{Arrival, Flow, Flows, Forward, Name};
use crate::balancer::{Key, Next, Onward};
use crate::model::datagram::{Dropped, SessionKind};
use crate::model::limits::FLOW_REST;
use crate::model::outcome::CloseReason;
use crate::model::socket_options::StreamOptions;
use crate::model::time::Moment;

impl Flows {
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
        let name = Name { client, listener, local, of_host: None };
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
        let Ok((key, next)) = self.balancer.open(now, service, client.into(), flow) else {
            return Err(Dropped::NoHost);
        };
        self.enter(name, key);
        self.house(now, key, next)?;
        self.tell_begin(now, key);
        Ok(key)
    }

    /// The flow of one client at one host: a host is chosen for each datagram, and its answers must find the client.
    fn packet_of(&mut self, now: Moment, arrival: &Arrival) -> Result<Key, Dropped> {
        let Arrival { service, listener, client, local, .. } = *arrival;
        let picked = self.balancer.pick(now, service, client.into()).map_err(dropped)?;
        let name = Name { client, listener, local, of_host: Some(picked.host) };
        if let Some(key) = self.named(&name) {
            self.balancer.unpick(picked);
            return Ok(key);
        }
        let room = self.make_room(now);
        if room.is_err() || !self.balancer.reserve(service, false) {
            self.balancer.unpick(picked);
            return Err(Dropped::NoFlow);
        }
        let flow = Flow::new(now, arrival, Some(picked.host));
        let (key, next) = self.balancer.adopt(now, picked, client.into(), flow);
        self.enter(name, key);
        self.house(now, key, next)?;
        self.tell_begin(now, key);
        Ok(key)
    }

    fn enter(&mut self, name: Name, key: Key) {
        self.names.enter(&mut self.balancer, &name, key.slot);
        let listener = name.listener as usize;
        if self.of_listener.len() <= listener {
            self.of_listener.resize(listener + 1, 0);
        }
        self.of_listener[listener] += 1;
    }

    pub(super) fn named(&self, name: &Name) -> Option<Key> {
        let slot = self.names.find(&self.balancer, name)?;
        self.balancer.key_at(slot as usize)
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
    fn house(&mut self, now: Moment, key: Key, next: Next) -> Result<(), Dropped> {
        let target = match next {
            Next::Connect(target) => target,
            Next::Wait | Next::Close(_) => {
                let reason = if let Next::Close(reason) = next { reason } else { CloseReason::NoHost };
                self.forget(now, key, reason);
                return Err(dropped(reason));
            }
        };
        // Sockets of this machine take no datagrams.
        let Some(to) = target.addr.as_ip() else {
            self.forget(now, key, CloseReason::NoHost);
            return Err(Dropped::NoHost);
        };
        let outbound = self.balancer.outbound(key);
        let source = outbound.and_then(|outbound| outbound.source(outbound.next_turn()));
        let options = outbound.map_or_else(StreamOptions::default, |outbound| outbound.options().stream);
        let peer = self.lanes.number(&Way { is_v6: to.is_ipv6(), source, options }, to);
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
    pub(super) fn rehouse(&mut self, now: Moment, key: Key, next: Next) -> Result<(), Dropped> {
        self.leave_lane(now, key, false);
        self.house(now, key, next)
    }

    /// Takes a flow out of its lists and gives its lane back.
    pub(super) fn leave_lane(&mut self, now: Moment, key: Key, is_complete: bool) {
        self.unlink(key.slot);
        let session = self.balancer.session_at(key.slot);
        let rests_until = session.since.after(FLOW_REST);
        let lane = session.io.lane;
        self.lanes.give(lane, (rests_until > now && !is_complete).then_some(rests_until));
    }
}

/// Why datagrams are dropped of a client that is turned away for this reason.
const fn dropped(reason: CloseReason) -> Dropped {
    if reason.is_refusal() { Dropped::Denied } else { Dropped::NoHost }
}
