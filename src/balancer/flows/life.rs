//! What there is to say of a flow when it begins and when it ends.

use std::net::{IpAddr, SocketAddr};

use super::{Flows, Name};
use crate::balancer::Key;
use crate::model::access_log::{By, Phase};
use crate::model::address::Endpoint;
use crate::model::id::{HostId, ServiceId};
use crate::model::outcome::CloseReason;
use crate::model::time::Moment;

/// A flow at its begin or end.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// Its key.
    pub key: Key,
    /// Which of both.
    pub phase: Phase,
    /// Who sends.
    pub client: SocketAddr,
    /// The listener that its client sends to, as the shell numbers them.
    pub listener: u32,
    /// The address that its client sends to, where the listener has many.
    pub local: Option<IpAddr>,
    /// The service.
    pub service: ServiceId,
    /// The host that it is or was at.
    pub host: Option<(HostId, Endpoint)>,
    /// Bytes of the client's.
    pub up: u64,
    /// Bytes of the host's.
    pub down: u64,
    /// When its first datagram came.
    pub born: Moment,
    /// When this is said.
    pub now: Moment,
}

impl Flows {
    /// Whether [`Self::take_lives`] is to have something from now on.
    pub const fn tell_lives(&mut self, tells: bool) {
        self.tells_lives = tells;
    }

    /// The begins and ends since the last call, oldest first, of services that are logged. To be given back, for the room
    /// that they take.
    pub fn take_lives(&mut self) -> Vec<Life> {
        std::mem::take(&mut self.lives)
    }

    /// See [`Self::take_lives`].
    pub fn give_back(&mut self, mut lives: Vec<Life>) {
        lives.clear();
        self.lives = lives;
    }

    pub(super) fn tell_begin(&mut self, now: Moment, key: Key) {
        self.tell_life(now, key, Phase::Started);
    }

    pub(super) fn tell_end(&mut self, now: Moment, key: Key, reason: CloseReason) {
        self.tell_life(now, key, Phase::Ended(reason, By::of(reason, By::Host)));
    }

    fn tell_life(&mut self, now: Moment, key: Key, phase: Phase) {
        if !self.tells_lives {
            return;
        }
        let Some(view) = self.balancer.view(key.slot as usize).filter(|view| view.is_logged) else { return };
        let client = Name::of(self.balancer.session_at(key.slot)).client;
        let (service, host, flow) = (view.service, view.host, view.io);
        let (listener, local, up, down, born) = (flow.listener, flow.local, flow.up, flow.down, flow.born);
        self.lives.push(Life { key, phase, client, listener, local, service, host, up, down, born, now });
    }
}
