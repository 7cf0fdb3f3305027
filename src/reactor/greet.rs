//! Clients that come through a proxy and begin with a PROXY header: read it, and open a session for whom it announces.
//!
//! Until then there is no session: who the client is decides whether it may have one. The header waits in the socket
//! and is looked at there, so that a client that takes its time costs no buffer. Afterwards nothing is different, but
//! that where the client connected to is known for the host that is told.

use std::io::ErrorKind;
use std::net;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mio::Interest;
use mio::event::Event;
use mio::net::TcpStream;
use slab::Slab;

use super::listener::listened_at;
use super::pair::Pair;
use super::pump::begin_with;
use super::run::Reactor;
use super::token::Meaning;
use crate::balancer::Key;
use crate::balancer::timer::Wheel;
use crate::model::address::Endpoint;
use crate::model::counters::ServiceCounters;
use crate::model::id::ServiceId;
use crate::model::limits::{PROXY_HEADER_BYTES_MAX, PROXY_HEADER_WAIT};
use crate::model::outcome::CloseReason;
use crate::model::proxy::Versions;
use crate::model::time::Moment;
use crate::sys::socket;
use crate::wire::proxy::{self, Header, Parsed};

/// A client that has not said who it is. Its places at the limits of the process and the service are taken.
struct Newcomer {
    generation: u32,
    service: ServiceId,
    /// The proxy.
    peer: Endpoint,
    stream: TcpStream,
    versions: Versions,
    places: Arc<ServiceCounters>,
}

/// Those of a reactor.
#[derive(Default)]
pub(super) struct Newcomers {
    waiting: Slab<Newcomer>,
    /// In milliseconds, by their slots.
    timers: Wheel,
    generation: u32,
    /// Where the clients of sessions said that they connected to, by the sessions' slots, with their generations.
    aims: Vec<Option<(u32, Endpoint)>>,
}

impl Newcomers {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When [`Reactor::expire_newcomers`] is to be called.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.timers.next().map(Moment::from_millis)
    }

    /// Frees what is kept for sessions in slots from `slots` on, of which there are none.
    pub(super) fn shrink(&mut self, slots: usize) {
        self.aims.truncate(slots);
        self.aims.shrink_to_fit();
        self.waiting.shrink_to_fit();
        self.timers.shrink(self.waiting.capacity());
    }

    fn add(&mut self, now: Moment, newcomer: impl FnOnce(u32) -> Newcomer) -> Key {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let slot = u32::try_from(self.waiting.insert(newcomer(generation))).unwrap_or(u32::MAX);
        self.timers.set(slot, now.after(PROXY_HEADER_WAIT).as_micros().div_ceil(1000));
        Key { slot, generation }
    }

    fn get(&mut self, key: Key) -> Option<&mut Newcomer> {
        self.waiting.get_mut(key.slot as usize).filter(|newcomer| newcomer.generation == key.generation)
    }

    fn take(&mut self, key: Key) -> Option<Newcomer> {
        self.get(key)?;
        self.timers.cancel(key.slot);
        Some(self.waiting.remove(key.slot as usize))
    }

    fn keys(&self) -> Vec<Key> {
        let key = |(slot, newcomer): (usize, &Newcomer)| Key {
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
            generation: newcomer.generation,
        };
        self.waiting.iter().map(key).collect()
    }

    fn note_aim(&mut self, key: Key, to: Endpoint) {
        let slot = key.slot as usize;
        if self.aims.len() <= slot {
            self.aims.resize(slot + 1, None);
        }
        self.aims[slot] = Some((key.generation, to));
    }

    fn aim(&self, key: Key) -> Option<Endpoint> {
        let (generation, to) = (*self.aims.get(key.slot as usize)?)?;
        (generation == key.generation).then_some(to)
    }
}

impl Reactor {
    /// Takes in a connection of a listener that expects a header. One from somebody who is not believed goes at once.
    pub(super) fn greet(&mut self, now: Moment, number: usize, peer: Endpoint, stream: net::TcpStream) {
        let spec = &self.listeners[number].spec;
        let (service, stream) = (spec.service, TcpStream::from_std(stream));
        let Some(places) = self.balancer.counters(service) else { return };
        let versions = spec.proxy.as_ref().and_then(|trust| trust.versions(peer.ip()));
        let newcomer = |generation| Newcomer {
            generation,
            service,
            peer,
            stream,
            versions: versions.unwrap_or(Versions::Any),
            places,
        };
        let Some(_) = versions else { return self.turn_away(now, newcomer(0), CloseReason::NoHeader) };
        let key = self.newcomers.add(now, newcomer);
        let Some(newcomer) = self.newcomers.get(key) else { return };
        let token = Meaning::Newcomer(key).token();
        if self.poll.registry().register(&mut newcomer.stream, token, Interest::READABLE).is_err() {
            self.refuse_newcomer(now, key, CloseReason::Local);
        }
    }

    /// More of a header has come, or its sender has left.
    pub(super) fn on_newcomer(&mut self, now: Moment, key: Key, event: &Event) {
        let Some(newcomer) = self.newcomers.get(key) else { return };
        let room = &mut self.buffers.scratch[..PROXY_HEADER_BYTES_MAX];
        let parsed = match newcomer.stream.peek(room) {
            Ok(count) => match proxy::parse(&room[..count], newcomer.versions) {
                // Nothing that is missing will come.
                Parsed::Incomplete if count == 0 || event.is_read_closed() => Parsed::Malformed("it ends too early"),
                parsed @ (Parsed::Incomplete | Parsed::Header(_) | Parsed::Malformed(_)) => parsed,
            },
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Parsed::Incomplete,
            Err(_) => Parsed::Malformed("the connection is lost"),
        };
        match parsed {
            Parsed::Incomplete => {}
            Parsed::Malformed(_) => self.refuse_newcomer(now, key, CloseReason::NoHeader),
            Parsed::Header(header) => self.welcome(now, key, header),
        }
    }

    /// Opens a session for the client that a header announces.
    fn welcome(&mut self, now: Moment, key: Key, header: Header) {
        let Some(newcomer) = self.newcomers.take(key) else { return };
        let len = u16::try_from(header.len).unwrap_or(u16::MAX);
        if socket::discard(&newcomer.stream, len) != len {
            return self.turn_away(now, newcomer, CloseReason::NoHeader);
        }
        let client = header.ends.map_or(newcomer.peer, |(client, _)| client.into());
        let pair = Pair::new(newcomer.stream);
        let Ok((key, next)) = self.balancer.open(now, newcomer.service, client, pair) else {
            // The service was removed meanwhile.
            newcomer.places.open.fetch_sub(1, Relaxed);
            self.gate.leave(self.id);
            return;
        };
        if let Some((_, to)) = header.ends {
            self.newcomers.note_aim(key, to.into());
        }
        self.begin(now, key, next, true);
    }

    /// Gives up those that have taken too long.
    pub(super) fn expire_newcomers(&mut self, now: Moment) {
        while let Some(slot) = self.newcomers.timers.pop(now.as_millis()) {
            if let Some(newcomer) = self.newcomers.waiting.try_remove(slot as usize) {
                self.turn_away(now, newcomer, CloseReason::NoHeader);
            }
        }
    }

    /// Gives up all of them.
    pub(super) fn refuse_newcomers(&mut self, now: Moment, reason: CloseReason) {
        for key in self.newcomers.keys() {
            self.refuse_newcomer(now, key, reason);
        }
    }

    /// After a panic: settles the accounts of all of them.
    pub(super) fn abandon_newcomers(&mut self) {
        for newcomer in std::mem::take(&mut self.newcomers.waiting).into_iter().map(|(_, newcomer)| newcomer) {
            newcomer.places.accepted.fetch_add(1, Relaxed);
            newcomer.places.open.fetch_sub(1, Relaxed);
            newcomer.places.count_closed(CloseReason::Panicked);
            socket::reset(newcomer.stream);
            self.gate.leave(self.id);
        }
    }

    fn refuse_newcomer(&mut self, now: Moment, key: Key, reason: CloseReason) {
        if let Some(newcomer) = self.newcomers.take(key) {
            self.turn_away(now, newcomer, reason);
        }
    }

    fn turn_away(&mut self, now: Moment, newcomer: Newcomer, reason: CloseReason) {
        if !self.balancer.refuse(now, newcomer.service, newcomer.peer, reason) {
            newcomer.places.open.fetch_sub(1, Relaxed);
        }
        socket::reset(newcomer.stream);
        self.gate.leave(self.id);
        self.freed = true;
    }

    /// Tells the host that has just accepted who its client is.
    pub(super) fn announce(&mut self, key: Key) {
        let Some(client) = self.balancer.client(key) else { return };
        let aim = self.newcomers.aim(key);
        let Some(pair) = self.balancer.io(key) else { return };
        // The kernel knows the address of every accepted socket.
        let own = || pair.client.socket.as_ref().and_then(|socket| listened_at(socket, &self.listeners));
        let Some(to) = aim.or_else(own) else { return };
        let header = proxy::write(pair.announce, client, to);
        begin_with(&mut pair.host, &mut pair.up, &mut self.buffers, header.as_bytes());
    }
}
