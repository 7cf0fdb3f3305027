//! What the access log is told of this reactor's sessions.
//!
//! What only the log wants to know of a session stands beside it, by its place, and only while there is a log: sessions
//! are no larger for it. With no log each of these calls is one look at a flag.

use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;

use super::pair::Pair;
use super::question::FLOW_SLOTS;
use super::run::Reactor;
use crate::balancer::{Key, View};
use crate::model::access_log::{By, Phase, Protocol, Record};
use crate::model::address::Endpoint;
use crate::model::id::HostId;
use crate::model::limits::{ACCESS_CROWDED_PAUSE, ACCESS_LOOKS, LOOKS_PER_TURN};
use crate::model::outcome::CloseReason;
use crate::model::session::SessionName;
use crate::model::time::Moment;
use crate::sys::access_log::AccessLog;

/// The reactor's end of the log, and its notes.
pub(super) struct Access {
    log: AccessLog,
    /// By the place of the session.
    notes: Vec<Note>,
    /// When sessions that last are looked at next.
    look_at: Option<Moment>,
    /// How far that has come.
    looking: Option<usize>,
}

/// What is noted of a session.
#[derive(Clone, Copy, Debug, Default)]
struct Note {
    /// Of the session; others of this place are not meant.
    generation: u32,
    attempts: u16,
    listen: Option<SocketAddr>,
    /// The last that was tried.
    host: Option<(HostId, Endpoint)>,
    /// Of the first attempt.
    tried: Option<Moment>,
    connected: Option<Moment>,
    answered: Option<Moment>,
    /// Of the last line.
    told: Moment,
}

impl Access {
    pub(super) const fn new(log: AccessLog) -> Self {
        Self { log, notes: Vec::new(), look_at: None, looking: None }
    }

    /// When [`Reactor::tell_ongoing`] is to be called.
    pub(super) fn deadline(&self) -> Option<Moment> {
        if self.looking.is_some() && !self.log.is_crowded() { Some(Moment::START) } else { self.look_at }
    }

    /// Frees the notes on places that are no more, and all of them when there is no log.
    pub(super) fn shrink(&mut self, slots: usize) {
        self.notes.truncate(if self.log.is_on() { slots } else { 0 });
        self.notes.shrink_to_fit();
    }

    fn note_mut(&mut self, key: Key) -> Option<&mut Note> {
        self.notes.get_mut(key.slot as usize).filter(|note| note.generation == key.generation)
    }

    /// What is known of a session, as far as something is.
    fn note(&self, key: Key) -> Note {
        let known = self.notes.get(key.slot as usize).filter(|note| note.generation == key.generation);
        known.copied().unwrap_or_default()
    }
}

impl Reactor {
    /// A session was opened.
    pub(super) fn note_opened(&mut self, now: Moment, key: Key) {
        if !self.access.log.is_on() {
            return;
        }
        let slot = key.slot as usize;
        let Some(view) = self.balancer.view(slot).filter(|view| view.is_logged) else { return };
        let note = Note { generation: key.generation, listen: local_of(view.io), told: now, ..Note::default() };
        if self.access.notes.len() <= slot {
            self.access.notes.resize(slot + 1, Note::default());
        }
        self.access.notes[slot] = note;
    }

    /// A session is about to connect to the host that it has a place at.
    pub(super) fn note_attempt(&mut self, key: Key) {
        if !self.access.log.is_on() {
            return;
        }
        let Some(view) = self.balancer.view(key.slot as usize) else { return };
        let (host, since) = (view.host, view.since);
        if let Some(note) = self.access.note_mut(key) {
            note.attempts = note.attempts.saturating_add(1);
            note.host = host;
            note.tried.get_or_insert(since);
            // One that had accepted and went away unused does not count.
            (note.connected, note.answered) = (None, None);
        }
    }

    /// A session's host has accepted.
    pub(super) fn note_connected(&mut self, now: Moment, key: Key) {
        if !self.access.log.is_on() {
            return;
        }
        if let Some(note) = self.access.note_mut(key) {
            note.connected.get_or_insert(now);
        }
        let Some(view) = self.balancer.view(key.slot as usize).filter(|view| view.is_logged) else { return };
        self.access.log.started(|| record(self, now, &view, Phase::Started));
    }

    /// A session's host has sent its first byte.
    pub(super) fn note_answered(&mut self, now: Moment, key: Key) {
        if self.access.log.is_on()
            && let Some(note) = self.access.note_mut(key)
        {
            note.answered.get_or_insert(now);
        }
    }

    /// A session ends.
    pub(super) fn log_ended(&self, now: Moment, key: Key, reason: CloseReason) {
        if !self.access.log.is_on() {
            return;
        }
        let Some(view) = self.balancer.view(key.slot as usize) else { return };
        if view.key == key && view.is_logged {
            let phase = Phase::Ended(reason, By::of(reason, first_to_end(view.io)));
            self.access.log.ended(record(self, now, &view, phase));
        }
    }

    /// Tells of flows that have begun or ended in this turn, and has them noted from now on if there is a log.
    pub(super) fn log_flows(&mut self) {
        let log = &self.access.log;
        self.udp.flows.tell_lives(log.is_on());
        let lives = self.udp.flows.take_lives();
        for life in &lives {
            let Key { slot, generation } = life.key;
            let record = Record {
                phase: life.phase,
                at: Duration::ZERO,
                protocol: Protocol::Udp,
                session: SessionName { reactor: self.id.0, slot: slot + FLOW_SLOTS, generation },
                client: Endpoint::Ip(life.client),
                listen: self.udp.listen_addr(life.listener, life.local),
                service: life.service,
                host: life.host,
                retries: 0,
                up: life.up,
                down: life.down,
                queue: None,
                connect: None,
                first_byte: None,
                total: life.now.since(life.born),
            };
            match life.phase {
                Phase::Started => log.started(|| record),
                Phase::Ongoing | Phase::Ended(..) => log.ended(record),
            }
        }
        self.udp.flows.give_back(lives);
    }

    /// All sessions are lost.
    pub(super) fn log_lost(&self) {
        let now = self.now();
        for key in (0..self.balancer.slots()).filter_map(|slot| self.balancer.key_at(slot)) {
            self.log_ended(now, key, CloseReason::Panicked);
        }
    }

    /// Tells of those that last, so many that the others need not wait. Nothing is due where nothing is open.
    pub(super) fn tell_ongoing(&mut self, now: Moment) {
        let Some(every) = self.access.log.every().filter(|_| !self.balancer.is_empty()) else {
            (self.access.look_at, self.access.looking) = (None, None);
            return;
        };
        let next = *self.access.look_at.get_or_insert_with(|| now.after(every / ACCESS_LOOKS));
        let Some(first) = self.access.looking.or_else(|| (next <= now).then_some(0)) else { return };
        if self.access.log.is_crowded() {
            (self.access.look_at, self.access.looking) = (Some(now.after(ACCESS_CROWDED_PAUSE)), Some(first));
            return;
        }
        let end = (first + LOOKS_PER_TURN).min(self.balancer.slots());
        for slot in first..end {
            self.tell_if_due(now, slot, every);
        }
        let is_over = end >= self.balancer.slots();
        self.access.looking = (!is_over).then_some(end);
        self.access.look_at = Some(now.after(every / ACCESS_LOOKS));
    }

    fn tell_if_due(&mut self, now: Moment, slot: usize, every: Duration) {
        let Some(view) = self.balancer.view(slot).filter(|view| view.is_logged) else { return };
        let told = self.access.note(view.key).told.max(view.opened);
        if now.since(told) < every {
            return;
        }
        self.access.log.ongoing(record(self, now, &view, Phase::Ongoing));
        let key = view.key;
        match self.access.note_mut(key) {
            Some(note) => note.told = now,
            None => self.note_opened(now, key),
        }
    }
}

fn record(reactor: &Reactor, now: Moment, view: &View<'_, Pair>, phase: Phase) -> Record {
    let note = reactor.access.note(view.key);
    let Key { slot, generation } = view.key;
    let traffic = view.io.traffic();
    Record {
        phase,
        at: Duration::ZERO,
        protocol: Protocol::Tcp,
        session: SessionName { reactor: reactor.id.0, slot, generation },
        client: view.client,
        listen: note.listen.or_else(|| local_of(view.io)),
        service: view.service,
        host: view.host.or(note.host),
        retries: note.attempts.saturating_sub(1),
        up: traffic.up,
        down: traffic.down,
        queue: note.tried.map(|tried| tried.since(view.opened)),
        connect: note.connected.zip(note.tried).map(|(connected, tried)| connected.since(tried)),
        first_byte: note.answered.zip(note.connected).map(|(answered, connected)| answered.since(connected)),
        total: now.since(view.opened),
    }
}

fn local_of(pair: &Pair) -> Option<SocketAddr> {
    pair.client.socket.as_ref().and_then(|socket: &TcpStream| socket.local_addr().ok())
}

/// Whose end was passed on: of the second nobody needs to be told.
const fn first_to_end(pair: &Pair) -> By {
    match (pair.up.fin_sent, pair.down.fin_sent) {
        (true, false) => By::Client,
        (false, true) => By::Host,
        (true, true) | (false, false) => By::Both,
    }
}
