//! What does not arrive, and how flows end.

use super::lanes::Way;
use super::{Arrival, Flow, Flows, Forward, Name, SocketId};
use crate::balancer::Key;
use crate::model::datagram::Dropped;
use crate::model::limits::DATAGRAM_TRIES_MAX;
use crate::model::outcome::{CloseReason, Fault};
use crate::model::time::Moment;
use std::net::SocketAddr;

impl Flows {
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
            let client = Name::of(session).client;
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

    /// Ends a flow. `None` when it has ended.
    pub fn close(&mut self, now: Moment, key: Key, reason: CloseReason) -> Option<Flow> {
        self.balancer.state(key)?;
        self.leave_lane(now, key, reason == CloseReason::Finished);
        self.forget(now, key, reason)
    }

    /// Ends a flow that has no lane.
    pub(super) fn forget(&mut self, now: Moment, key: Key, reason: CloseReason) -> Option<Flow> {
        self.tell_end(now, key, reason);
        let session = self.balancer.session_at(key.slot);
        let name = Name::of(session);
        self.names.forget(&mut self.balancer, &name, key.slot);
        self.of_listener[name.listener as usize] -= 1;
        let untold = self.balancer.session_at(key.slot).io.untold();
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
}
