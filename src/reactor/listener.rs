//! Accepting: bounded batches, limits, and pauses that cost nothing.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use slab::Slab;

use super::run::Reactor;
use super::token::Meaning;
use crate::balancer::Key;
use crate::model::address::Endpoint;
use crate::model::limits::{ACCEPT_PAUSE, ARRIVAL_SAMPLE, SHARED_TURN};
use crate::model::report::Report;
use crate::model::service::ListenerSpec;
use crate::model::time::Moment;
use crate::sys::{listener, socket, steer};

/// A listening socket of this reactor.
pub(super) struct Listener {
    pub(super) spec: ListenerSpec,
    pub(super) socket: Arc<TcpListener>,
    armed: bool,
    /// Connections to accept in this turn: more while the queue proves longer, so that no accept probes in vain.
    batch: usize,
    /// The turn in which the last batch was used up.
    full_at: u64,
    /// Connections accepted since it stands in line, if it is shared.
    taken: usize,
}

impl Listener {
    /// Whether other reactors watch the same socket: one of this machine has one queue. See [`ListenerSpec`].
    const fn is_shared(&self) -> bool {
        matches!(self.spec.addr, Endpoint::Unix(_))
    }
}

/// Where the client at the other end connected to, as its listener knows it.
pub(super) fn listened_at(client: &mio::net::TcpStream, listeners: &Slab<Listener>) -> Option<Endpoint> {
    if let Ok(addr) = client.local_addr() {
        return Some(Endpoint::Ip(addr));
    }
    let own = |(_, listener): (usize, &Listener)| match listener.spec.addr {
        Endpoint::Unix(name) => Some(name).filter(|name| socket::is_named(client, *name)),
        Endpoint::Ip(_) => None,
    };
    // Its listener may be closed.
    let found = listeners.iter().find_map(own).map(Endpoint::Unix);
    found.or_else(|| socket::is_unix(client).then_some(Endpoint::LOCAL))
}

/// Why an accept batch ended.
enum Ended {
    /// All of it was used; there may be more.
    Full,
    /// The queue is empty.
    Empty,
    /// The connection limit of the process or the service.
    Limit,
    /// Descriptors or memory ran out.
    Shortage(i32),
}

impl Reactor {
    /// Takes over a listening socket, or a new service for one that is known.
    pub(super) fn listen(&mut self, now: Moment, spec: ListenerSpec, socket: Arc<TcpListener>) {
        if let Some((_, known)) = self.listeners.iter_mut().find(|(_, known)| known.spec.id == spec.id) {
            known.spec = spec;
            return;
        }
        let number = self.listeners.insert(Listener { spec, socket, armed: false, batch: 1, full_at: 0, taken: 0 });
        self.disarmed += 1;
        self.arm(now, number, true);
    }

    /// Accepts what is queued on a listener and closes it.
    pub(super) fn unlisten(&mut self, now: Moment, number: usize) {
        // Closing a listener resets the connections in its queue, so that these are served above every limit; but not
        // those that keep coming meanwhile, or it would have no end.
        let ours = &self.listeners[number];
        let most = if ours.is_shared() {
            // Other reactors take from the queue, too, and nobody may come to it when the last of them has left.
            listener::refuse(&ours.socket);
            usize::MAX
        } else {
            listener::queued(&ours.socket).max(self.settings.accept_batch)
        };
        self.accept_batch(now, number, most, true);
        let listener = self.listeners.remove(number);
        self.disarmed -= usize::from(!listener.armed);
        // The manager keeps its sockets while it drains.
        listener::close(&self.poll, &listener.socket);
    }

    /// Accepts from a listener that has connections.
    pub(super) fn accept(&mut self, now: Moment, number: usize) {
        let Some(listener) = self.listeners.get_mut(number) else { return };
        if !listener.armed {
            return;
        }
        let again = listener.full_at + 1 == self.turn;
        let most = if listener.is_shared() { SHARED_TURN } else { self.settings.accept_batch };
        listener.batch = if again { (listener.batch * 2).min(most) } else { 1 };
        match self.accept_claimed(now, number) {
            Ended::Full => self.listeners[number].full_at = self.turn,
            Ended::Empty => {}
            Ended::Limit => self.pause(now, number),
            Ended::Shortage(errno) => self.pause_all(now, Some(errno)),
        }
        self.let_others_take(now, number);
    }

    /// Has other reactors told first of those that come to a shared listener, when this one has had its turn: the kernel
    /// wakes the first in line who is asleep.
    fn let_others_take(&mut self, now: Moment, number: usize) {
        let Some(listener) = self.listeners.get_mut(number) else { return };
        if !listener.is_shared() || listener.taken < SHARED_TURN || !listener.armed {
            return;
        }
        listener.taken = 0;
        listener.armed = false;
        self.disarmed += 1;
        self.arm(now, number, true);
    }

    /// Accepts a batch; while descriptors are scarce one client, and only if no other reactor is at it.
    fn accept_claimed(&mut self, now: Moment, number: usize) -> Ended {
        if !self.gate.is_scarce(now) {
            return self.accept_batch(now, number, self.listeners[number].batch, false);
        }
        if !self.gate.claim(self.id) {
            return Ended::Shortage(libc::EMFILE);
        }
        let ended = self.accept_batch(now, number, 1, false);
        self.gate.unclaim(self.id);
        if !matches!(ended, Ended::Shortage(_)) {
            // Those that were refused the claim. Who found nothing tells nobody, or they would try in turn for ever.
            self.gate.wake_others(self.id);
        }
        ended
    }

    fn accept_batch(&mut self, now: Moment, number: usize, batch: usize, forced: bool) -> Ended {
        let service = self.listeners[number].spec.service;
        for _ in 0..batch {
            if !forced && self.gate.is_short() {
                return Ended::Shortage(libc::EMFILE);
            }
            if !self.balancer.reserve(service, forced) {
                return Ended::Limit;
            }
            if !self.gate.enter(forced) {
                self.balancer.unreserve(service);
                return Ended::Limit;
            }
            match listener::accept(&self.listeners[number].socket) {
                Ok((stream, client)) => {
                    let ours = &mut self.listeners[number];
                    ours.taken += 1;
                    ours.spec.counters.accepted.fetch_add(1, Relaxed);
                    let is_local = ours.is_shared();
                    let accepted = self.counters.accepted.fetch_add(1, Relaxed);
                    if accepted.is_multiple_of(ARRIVAL_SAMPLE) && !is_local {
                        self.sample_arrival(&stream);
                    }
                    if self.listeners[number].spec.proxy.is_some() {
                        self.greet(now, number, client, stream);
                    } else {
                        self.take_or_hand_over(now, service, client, stream);
                    }
                    continue;
                }
                Err(error) => {
                    let missed = self.balancer.unreserve(service) | self.gate.cancel();
                    if let Some(errno @ (libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)) =
                        error.raw_os_error()
                    {
                        // Nobody is told: others would fare no better, and it is tried again in a moment.
                        return Ended::Shortage(errno);
                    }
                    if missed {
                        self.gate.wake_others(self.id);
                    }
                    if error.kind() == ErrorKind::WouldBlock {
                        return Ended::Empty;
                    }
                    // That connection is gone (accept(2) lists its errors); the next one is not.
                    self.counters.accept_errors.fetch_add(1, Relaxed);
                    self.listeners[number].spec.counters.accept_errors.fetch_add(1, Relaxed);
                }
            }
        }
        Ended::Full
    }

    fn sample_arrival(&self, stream: &TcpStream) {
        self.counters.arrivals_sampled.fetch_add(1, Relaxed);
        if steer::incoming_cpu(stream) != steer::current_cpu() {
            self.counters.packets_elsewhere.fetch_add(1, Relaxed);
        }
    }

    fn pause(&mut self, now: Moment, number: usize) {
        self.arm(now, number, false);
        self.counters.accept_pauses.fetch_add(1, Relaxed);
        self.gate.wait(self.id);
        let service = self.listeners[number].spec.service;
        // Whoever freed a place before the line above did not wake us.
        if self.gate.has_room() && self.balancer.reserve(service, false) {
            self.balancer.unreserve(service);
            self.arm(now, number, true);
            return;
        }
        if !self.limit_told {
            self.limit_told = true;
            self.report(Report::AcceptPaused { reactor: self.id, errno: None });
        }
    }

    /// Pauses all listeners: this machine is short of something.
    pub(super) fn pause_all(&mut self, now: Moment, errno: Option<i32>) {
        self.resume_at = Some(now.after(ACCEPT_PAUSE));
        self.counters.accept_pauses.fetch_add(1, Relaxed);
        if matches!(errno, Some(libc::EMFILE | libc::ENFILE)) {
            self.gate.set_scarce(now);
        }
        self.gate.wait(self.id);
        for number in self.listener_numbers() {
            self.arm(now, number, false);
        }
        self.report(Report::AcceptPaused { reactor: self.id, errno });
    }

    /// Accepts again after a pause, because something was freed or time has passed.
    pub(super) fn resume(&mut self, now: Moment) {
        // It is over even when no listener is left to go on, or the loop would never sleep again.
        let due = self.resume_at.take_if(|at| *at <= now).is_some();
        if !(due || self.freed) || self.disarmed == 0 {
            return;
        }
        self.resume_at = None;
        if !self.gate.has_room() {
            self.gate.wait(self.id);
            if !self.gate.has_room() {
                return;
            }
        }
        for number in self.listener_numbers() {
            self.arm(now, number, true);
        }
        self.limit_told = false;
    }

    /// Looks for descriptors again for those that found none, when something was freed.
    pub(super) fn serve_short(&mut self, now: Moment) {
        if !self.freed || self.short.is_empty() {
            return;
        }
        // Whoever frees a descriptor from here on wakes us.
        self.gate.wait(self.id);
        for key in self.short.clone() {
            if let Some(next) = self.balancer.try_again(now, key) {
                self.advance(now, key, next);
            }
        }
    }

    pub(super) fn note_short(&mut self, key: Key) {
        if !self.short.contains(&key) {
            self.short.push(key);
            self.gate.set_short(self.id, true);
        }
    }

    /// It found a descriptor, or needs none any more.
    pub(super) fn forget_short(&mut self, key: Key) {
        if self.short.is_empty() {
            return;
        }
        self.short.retain(|short| *short != key);
        if self.short.is_empty() {
            self.gate.set_short(self.id, false);
        }
    }

    pub(super) fn listener_numbers(&self) -> Vec<usize> {
        self.listeners.iter().map(|(number, _)| number).collect()
    }

    fn arm(&mut self, now: Moment, number: usize, armed: bool) {
        let Some(listener) = self.listeners.get_mut(number) else { return };
        if listener.armed == armed {
            return;
        }
        let token = Meaning::Listener(u32::try_from(number).unwrap_or(u32::MAX)).token();
        let watch = if listener.is_shared() { listener::watch_shared } else { listener::watch };
        match watch(&self.poll, &listener.socket, token, armed) {
            Ok(()) => {
                listener.armed = armed;
                self.disarmed = if armed { self.disarmed - 1 } else { self.disarmed + 1 };
            }
            // epoll_ctl(2) fails for lack of memory or watches: try again in a moment.
            Err(_) => self.resume_at = Some(now.after(ACCEPT_PAUSE)),
        }
    }
}
