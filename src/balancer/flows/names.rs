//! Which flow has which name: a table of chains through the flows themselves, so that no name is kept twice and nothing is
//! ever moved. Who can choose his address cannot choose his place in it, which a secret decides.

use std::net::SocketAddr;

use super::lanes::Ends;
use super::{Flow, Name};
use crate::balancer::Balancer;
use crate::balancer::session::Session;
use crate::model::hash::mix;

/// Most places; with more flows chains are longer.
const PLACES_MAX: usize = 1 << 22;

/// The table. It takes memory when the first name is entered.
#[derive(Debug)]
pub(super) struct Names {
    secret: u64,
    places: usize,
    /// The first flow of each place.
    first: Vec<u32>,
}

impl Names {
    /// For so many flows. What decides places is made of the seed.
    pub(super) fn new(seed: u64, flows_max: usize) -> Self {
        let places = flows_max.clamp(16, PLACES_MAX).next_power_of_two();
        Self { secret: mix(seed), places, first: Vec::new() }
    }

    pub(super) fn find(&self, flows: &Balancer<Flow>, name: &Name) -> Option<u32> {
        let mut slot = *self.first.get(self.place(name))?;
        while slot != Ends::NONE {
            let session = flows.session_at(slot);
            if Name::of(session) == *name {
                return Some(slot);
            }
            slot = session.io.same_place;
        }
        None
    }

    /// Enters a name that is not there yet.
    pub(super) fn enter(&mut self, flows: &mut Balancer<Flow>, name: &Name, slot: u32) {
        if self.first.is_empty() {
            self.first = vec![Ends::NONE; self.places];
        }
        let place = self.place(name);
        flows.session_at_mut(slot).io.same_place = std::mem::replace(&mut self.first[place], slot);
    }

    pub(super) fn forget(&mut self, flows: &mut Balancer<Flow>, name: &Name, slot: u32) {
        let place = self.place(name);
        let next = flows.session_at(slot).io.same_place;
        if self.first[place] == slot {
            self.first[place] = next;
            return;
        }
        let mut before = self.first[place];
        while before != Ends::NONE {
            let after = flows.session_at(before).io.same_place;
            if after == slot {
                flows.session_at_mut(before).io.same_place = next;
                return;
            }
            before = after;
        }
    }

    /// Names that are found at their places, for the check.
    pub(super) fn len(&self, flows: &Balancer<Flow>) -> usize {
        let slots = (0..flows.slots()).filter_map(|slot| flows.key_at(slot)).map(|key| key.slot);
        slots.filter(|slot| self.find(flows, &Name::of(flows.session_at(*slot))) == Some(*slot)).count()
    }

    fn place(&self, name: &Name) -> usize {
        let mut hash = self.secret;
        let mut stir = |number: u64| hash = mix(hash ^ number);
        for ip in [Some(name.client.ip()), name.local].into_iter().flatten() {
            match ip {
                std::net::IpAddr::V4(v4) => stir(u64::from(v4.to_bits())),
                std::net::IpAddr::V6(v6) => {
                    let [high, low] = halves(v6.to_bits());
                    stir(high);
                    stir(low);
                }
            }
        }
        stir(u64::from(name.listener) << 16 | u64::from(name.client.port()));
        if let Some(host) = name.of_host {
            stir(u64::from(host.0));
        }
        usize::try_from(hash & (self.places as u64 - 1)).unwrap_or(0)
    }
}

impl Name {
    pub(super) fn of(session: &Session<Flow>) -> Self {
        let flow = &session.io;
        // Whoever sends datagrams has an address.
        let client = session.client.as_ip().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        Self { client, listener: flow.listener, local: flow.local, of_host: flow.of_host }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
const fn halves(number: u128) -> [u64; 2] {
    [(number >> 64) as u64, number as u64]
}
