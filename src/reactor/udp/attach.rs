//! Datagrams as a part of their reactor.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use mio::Events;

use super::{Around, Udp};
use crate::model::service::ListenerSpec;
use crate::model::time::Moment;
use crate::model::update::ListenSocket;
use crate::reactor::Settings;
use crate::reactor::run::Reactor;

impl Udp {
    /// Those of one of so many reactors.
    pub(in crate::reactor) fn of(settings: &Settings, seed: u64) -> Self {
        let flows_max = (settings.flows_max as usize).div_ceil(settings.cpus.len().max(1));
        // Where names of flows go must be nobody's to foresee.
        let secret = RandomState::new().hash_one(seed);
        Self::new(secret, flows_max, settings.flow_sockets_max)
    }
}

impl Reactor {
    /// Datagrams, and what they need of the rest.
    pub(in crate::reactor) fn udp(&mut self) -> (&mut Udp, Around<'_>) {
        let Self { id, udp, poll, gate, counters, .. } = self;
        (udp, Around { id: *id, poll, gate, counters })
    }

    pub(in crate::reactor) fn open_listener(&mut self, now: Moment, spec: ListenerSpec, socket: ListenSocket) {
        match socket {
            ListenSocket::Tcp(socket) => self.listen(now, spec, socket),
            ListenSocket::Udp(socket) => {
                if let Some(service) = self.world.services.get(&spec.service) {
                    self.udp.flows.apply(Arc::clone(service));
                }
                let (udp, around) = self.udp();
                udp.listen(&around, spec, socket);
            }
        }
    }

    pub(in crate::reactor) fn move_datagrams(&mut self, now: Moment, events: &Events, all_seen: bool) {
        if self.udp.is_unused() {
            return;
        }
        let (udp, around) = self.udp();
        udp.turn(&around, now, events.iter());
        if let Some(report) = udp.settle(&around, now, all_seen) {
            self.report(report);
        }
    }
}
