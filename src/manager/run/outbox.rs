//! What reactors are still to be told. A full mailbox never blocks and never loses the last word.
//!
//! As long as a reactor owes nothing, updates go straight into its mailbox. Once that was full, its debts are kept
//! here by identity, so that a newer one replaces an older, and are paid in an order that is always right: services,
//! listeners, listeners gone, services gone, drain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

use crate::model::counters::ReactorCounters;
use crate::model::id::{ListenerId, ServiceId};
use crate::model::service::{ListenerSpec, ServiceSpec};
use crate::model::update::{ListenSocket, Update};
use crate::sys::mailbox::Mailbox;

/// The reactors, and what each is owed.
#[derive(Debug)]
pub(super) struct Outbox {
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    mailbox: Mailbox<Update>,
    owed: Owed,
    /// Updates put into the mailbox so far.
    posted: u64,
}

#[derive(Debug, Default)]
struct Owed {
    services: BTreeMap<ServiceId, Arc<ServiceSpec>>,
    listeners: BTreeMap<ListenerId, (ListenerSpec, ListenSocket)>,
    unlisten: BTreeSet<ListenerId>,
    remove: BTreeSet<ServiceId>,
    drain: Option<Duration>,
}

impl Outbox {
    /// An outbox for these reactors, by number.
    pub(super) fn new(mailboxes: Vec<Mailbox<Update>>) -> Self {
        Self {
            lanes: mailboxes.into_iter().map(|mailbox| Lane { mailbox, owed: Owed::default(), posted: 0 }).collect(),
        }
    }

    /// How many reactors there are.
    pub(super) const fn reactors(&self) -> usize {
        self.lanes.len()
    }

    /// Tells every reactor.
    pub(super) fn post(&mut self, update: &Update) {
        for lane in &mut self.lanes {
            lane.post(update.clone());
        }
    }

    /// Tells every reactor to accept on its own socket of `sockets`.
    pub(super) fn listen(&mut self, spec: &ListenerSpec, sockets: &[ListenSocket]) {
        for (lane, socket) in self.lanes.iter_mut().zip(sockets) {
            lane.post(Update::Listen(spec.clone(), socket.clone()));
        }
    }

    /// Tries again what is owed.
    pub(super) fn retry(&mut self) {
        for lane in &mut self.lanes {
            lane.pay();
        }
    }

    /// The first reactor that has not read all it is to be told; `counters` are by number.
    pub(super) fn first_behind(&self, counters: &[Arc<ReactorCounters>]) -> Option<usize> {
        self.lanes
            .iter()
            .zip(counters)
            .position(|(lane, counters)| !lane.owed.is_empty() || counters.mail_read.load(Acquire) < lane.posted)
    }

    /// Whether a reactor is owed something.
    pub(super) fn owes(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.owed.is_empty())
    }
}

impl Lane {
    fn post(&mut self, update: Update) {
        if !self.owed.is_empty() {
            self.owed.add(update);
            self.pay();
        } else {
            self.put(update);
        }
    }

    /// Puts an update into the mailbox, or among what is owed. Returns whether there was room.
    fn put(&mut self, update: Update) -> bool {
        match self.mailbox.post(update) {
            Ok(()) => self.posted += 1,
            Err(update) => {
                self.owed.add(update);
                return false;
            }
        }
        true
    }

    fn pay(&mut self) {
        while let Some(update) = self.owed.take() {
            if !self.put(update) {
                return;
            }
        }
    }
}

impl Owed {
    fn is_empty(&self) -> bool {
        self.services.is_empty()
            && self.listeners.is_empty()
            && self.unlisten.is_empty()
            && self.remove.is_empty()
            && self.drain.is_none()
    }

    fn add(&mut self, update: Update) {
        match update {
            Update::Service(spec) => {
                self.services.insert(spec.id, spec);
            }
            Update::Listen(spec, socket) => {
                self.listeners.insert(spec.id, (spec, socket));
            }
            Update::Unlisten(id) => {
                self.listeners.remove(&id);
                self.unlisten.insert(id);
            }
            Update::Remove(id) => {
                self.services.remove(&id);
                self.remove.insert(id);
            }
            Update::Drain(time) => self.drain = Some(time),
            // Whoever asks sees that nobody answers, which is better than an answer much later.
            Update::Sessions(_) | Update::Kill(_) => {}
        }
    }

    fn take(&mut self) -> Option<Update> {
        if let Some((_, spec)) = self.services.pop_first() {
            return Some(Update::Service(spec));
        }
        if let Some((_, (spec, socket))) = self.listeners.pop_first() {
            return Some(Update::Listen(spec, socket));
        }
        if let Some(id) = self.unlisten.pop_first() {
            return Some(Update::Unlisten(id));
        }
        if let Some(id) = self.remove.pop_first() {
            return Some(Update::Remove(id));
        }
        self.drain.take().map(Update::Drain)
    }
}
