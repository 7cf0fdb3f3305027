//! Datagrams: from the sockets of listeners to hosts, and answers back.
//!
//! Each listener has a socket a reactor, between which the kernel's hash shares out clients, so that a client's flow is
//! one reactor's. Datagrams are taken in many at a time, into memory that is allocated when the first such listener
//! opens, and are sent on from there. All sockets are watched level-triggered: what a turn has no time for is told
//! again. Answers of many hosts' sockets are gathered before they are sent, because they leave through few listeners.

mod answers;
mod attach;
mod forwards;
mod sockets;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mio::Poll;
use mio::event::Event;
use slab::Slab;

use super::gate::Gate;
use super::tell::Untold;
use super::token::Meaning;
use crate::balancer::flows::Flows;
use crate::model::counters::ReactorCounters;
use crate::model::datagram::Dropped;
use crate::model::id::{ListenerId, ReactorId};
use crate::model::limits::{DATAGRAM_BATCH, DATAGRAMS_PER_TURN, DUE_PER_TURN, LOG_EVERY, TOLD_PER_TURN};
use crate::model::outcome::CloseReason;
use crate::model::report::Report;
use crate::model::service::ListenerSpec;
use crate::model::time::Moment;
use crate::sys::datagram::{self, Batch, Outgoing};
use crate::sys::listener;
use sockets::Sockets;

/// Calls in which the queue of a listener that closes is emptied at most.
const LAST_CALLS: usize = 256;

/// What datagrams need of their reactor.
pub(super) struct Around<'r> {
    pub(super) id: ReactorId,
    pub(super) poll: &'r Poll,
    pub(super) gate: &'r Gate,
    pub(super) counters: &'r ReactorCounters,
}

/// A listener's socket of this reactor.
struct Listener {
    spec: ListenerSpec,
    socket: Arc<UdpSocket>,
    /// What it had lost when it last said so.
    lost: u32,
    /// See [`Batch::send`].
    whole_max: usize,
    /// Nothing comes to it any more; its flows still get answers through it.
    is_leaving: bool,
}

/// Something to be sent, and through which socket.
#[derive(Clone, Copy)]
struct Queued<V> {
    /// The socket's number, by which it is sorted.
    by: u64,
    what: Outgoing,
    flow: V,
}

/// The datagrams of a reactor.
pub(super) struct Udp {
    pub(super) flows: Flows,
    listeners: Slab<Listener>,
    sockets: Sockets,
    /// Allocated when it is first needed.
    batch: Option<Box<Batch>>,
    forwards: forwards::Forwards,
    answers: answers::Answers,
    /// Flows that have moved bytes which their hosts' counters do not show.
    untold: Untold,
    /// Datagrams that may still be moved in this turn.
    budget: usize,
    /// Dropped since the last report, and why the first of them was.
    dropped: Option<(Dropped, u64)>,
    report_at: Moment,
    leaving: usize,
    recycled: u64,
}

impl Udp {
    pub(super) fn new(seed: u64, flows_max: usize, sockets_max: usize) -> Self {
        Self {
            flows: Flows::new(seed, flows_max, sockets_max),
            listeners: Slab::new(),
            sockets: Sockets::default(),
            batch: None,
            forwards: forwards::Forwards::default(),
            answers: answers::Answers::default(),
            untold: Untold::default(),
            budget: 0,
            dropped: None,
            report_at: Moment::START,
            leaving: 0,
            recycled: 0,
        }
    }

    /// Whether there is nothing to do in any turn.
    pub(super) fn is_unused(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Takes over a socket, or a new service for one that is known.
    pub(super) fn listen(&mut self, around: &Around<'_>, spec: ListenerSpec, socket: Arc<UdpSocket>) {
        if let Some((_, known)) = self.listeners.iter_mut().find(|(_, known)| known.spec.id == spec.id) {
            known.spec = spec;
            return;
        }
        self.batch.get_or_insert_with(Box::default);
        let listener = Listener { spec, socket, lost: 0, whole_max: usize::MAX, is_leaving: false };
        let number = self.listeners.insert(listener);
        let token = Meaning::Datagrams(u32::try_from(number).unwrap_or(u32::MAX)).token();
        if listener::watch(around.poll, &self.listeners[number].socket, token, true).is_err() {
            // Others of the address go on. It costs a descriptor's watch, which is this machine's to give.
            around.counters.accept_errors.fetch_add(1, Relaxed);
        }
    }

    /// Serves what is queued on a listener and takes no more. Its flows still get the answers that are on their way.
    pub(super) fn unlisten(&mut self, around: &Around<'_>, now: Moment, id: ListenerId) -> bool {
        let Some(number) = self.listeners.iter().find(|(_, listener)| listener.spec.id == id).map(|(number, _)| number)
        else {
            return false;
        };
        self.end(around, now, number);
        true
    }

    /// Does so with all listeners.
    pub(super) fn drain(&mut self, around: &Around<'_>, now: Moment) {
        let numbers: Vec<usize> = self.listeners.iter().map(|(number, _)| number).collect();
        for number in numbers {
            self.end(around, now, number);
        }
    }

    fn end(&mut self, around: &Around<'_>, now: Moment, number: usize) {
        if std::mem::replace(&mut self.listeners[number].is_leaving, true) {
            return;
        }
        // First out of the group, so that its other sockets, or another program's, get what comes from now on.
        let socket = Arc::clone(&self.listeners[number].socket);
        let has_left = datagram::leave(&socket).is_ok();
        for _ in 0..LAST_CALLS {
            self.budget = DATAGRAM_BATCH;
            if !self.take_in(around, now, number) {
                break;
            }
        }
        listener::unwatch(around.poll, &socket);
        debug_assert!(has_left, "a bound socket can be connected");
        self.flows.end_listener(u32::try_from(number).unwrap_or(u32::MAX));
        self.leaving += 1;
    }

    /// What a turn's events say of datagrams.
    pub(super) fn turn<'e>(&mut self, around: &Around<'_>, now: Moment, events: impl Iterator<Item = &'e Event>) {
        self.budget = DATAGRAMS_PER_TURN;
        for event in events {
            match Meaning::of(event.token()) {
                Meaning::Datagrams(number) if self.budget > 0 => {
                    self.flush_answers(around);
                    while self.take_in(around, now, number as usize) && self.budget > 0 {}
                }
                Meaning::Answers(socket) if self.budget > 0 => {
                    if event.is_error() {
                        self.take_unreached(around, now, socket);
                    }
                    self.take_answers(around, now, socket);
                }
                Meaning::Datagrams(_)
                | Meaning::Answers(_)
                | Meaning::Waker
                | Meaning::Newcomer(_)
                | Meaning::Listener(_)
                | Meaning::Client(_)
                | Meaning::Host(..) => {}
            }
        }
        self.flush_answers(around);
    }

    /// Ends the flows whose time has come, tells what flows have moved, and reports. Returns the report, if there is one.
    /// After a freeze flows wait until every event that piled up has been seen.
    pub(super) fn settle(&mut self, around: &Around<'_>, now: Moment, all_seen: bool) -> Option<Report> {
        for _ in 0..if all_seen { DUE_PER_TURN } else { 0 } {
            let Some((key, reason)) = self.flows.next_due(now) else { break };
            self.flows.close(now, key, reason);
        }
        for _ in 0..TOLD_PER_TURN {
            let Some(key) = self.untold.next(now) else { break };
            self.flows.tell(key);
        }
        if self.leaving > 0 {
            let flows = &self.flows;
            self.listeners.retain(|number, listener| {
                !listener.is_leaving || flows.has_any_of(u32::try_from(number).unwrap_or(u32::MAX))
            });
            self.leaving = self.listeners.iter().filter(|(_, listener)| listener.is_leaving).count();
        }
        let counters = &around.counters.datagrams;
        counters.flows.store(u32::try_from(self.flows.len()).unwrap_or(u32::MAX), Relaxed);
        counters.flows_recycled.fetch_add(self.flows.recycled() - self.recycled, Relaxed);
        self.recycled = self.flows.recycled();
        counters.flow_sockets.store(self.sockets.count(), Relaxed);
        let (reason, count) = self.dropped.filter(|_| now >= self.report_at)?;
        self.dropped = None;
        self.report_at = now.after(LOG_EVERY);
        Some(Report::DatagramsDropped { reactor: around.id, reason, count })
    }

    /// When [`Self::settle`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        if self.is_unused() && self.flows.is_empty() {
            return None;
        }
        let report_at = self.dropped.map(|_| self.report_at);
        [self.flows.next_deadline(), self.untold.deadline(), report_at].into_iter().flatten().min()
    }

    /// Cuts a flow because somebody asked for it.
    pub(super) fn kill(&mut self, now: Moment, key: crate::balancer::Key) -> bool {
        self.flows.close(now, key, CloseReason::Killed).is_some()
    }

    /// Cuts all flows, at the end of a drain. Returns how many there were.
    pub(super) fn cut(&mut self, now: Moment) -> usize {
        let slots = self.flows.sessions().slots();
        let keys: Vec<_> = (0..slots).filter_map(|slot| self.flows.sessions().key_at(slot)).collect();
        for key in &keys {
            self.flows.close(now, *key, CloseReason::Drained);
        }
        keys.len()
    }

    /// Whether [`Self::shrink`] has something to do, now or later.
    pub(super) fn keeps_any(&self) -> bool {
        self.flows.keeps_any()
    }

    /// Frees what was kept after a peak, and closes the sockets that no flow needs.
    pub(super) fn shrink(&mut self, around: &Around<'_>, now: Moment) {
        for socket in self.flows.shrink(now) {
            self.sockets.close(socket);
        }
        self.untold.shrink();
        around.counters.datagrams.flow_sockets.store(self.sockets.count(), Relaxed);
    }

    /// After a panic: gives every place back. Returns how many flows were lost.
    pub(super) fn abandon(&mut self, around: &Around<'_>) -> usize {
        for (_, listener) in &self.listeners {
            listener::unwatch(around.poll, &listener.socket);
        }
        around.counters.datagrams.flows.store(0, Relaxed);
        around.counters.datagrams.flow_sockets.store(0, Relaxed);
        self.flows.abandon()
    }

    fn count_dropped(&mut self, around: &Around<'_>, reason: Dropped, count: usize) {
        let count = count as u64;
        around.counters.datagrams.count_dropped(reason, count);
        let (first, before) = self.dropped.unwrap_or((reason, 0));
        self.dropped = Some((first, before + count));
    }

    /// A socket says what it has lost so far, modulo 2^32. Returns how many that is more than before.
    fn newly_lost(known: &mut u32, said: Option<u32>) -> usize {
        let Some(said) = said else { return 0 };
        said.wrapping_sub(std::mem::replace(known, said)) as usize
    }

    fn note_moved(&mut self, now: Moment, key: crate::balancer::Key) {
        if let Some(flow) = self.flows.flow(key)
            && !std::mem::replace(&mut flow.is_listed, true)
        {
            self.untold.add(now, key);
        }
    }

    /// Where the client of a flow of this listener sends to.
    pub(super) fn listen_addr(&self, listener: u32, local: Option<IpAddr>) -> Option<SocketAddr> {
        let addr = self.listeners.get(listener as usize)?.spec.addr.as_ip()?;
        Some(SocketAddr::new(local.unwrap_or(addr.ip()), addr.port()))
    }

    /// Where this flow's datagrams come from, as its host sees it.
    pub(super) fn local_addr(&self, flow: &crate::balancer::flows::Flow) -> Option<std::net::SocketAddr> {
        let (socket, host) = self.flows.host_of(flow);
        let local = self.sockets.local_addr(socket)?;
        if !local.ip().is_unspecified() {
            return Some(local);
        }
        datagram::source_towards(host).ok().map(|ip| std::net::SocketAddr::new(ip, local.port()))
    }
}

/// Sorts what is to be sent by socket, in the order in which it came otherwise, and hands each socket's part out.
fn by_socket<V: Copy>(queue: &mut [Queued<V>], mut each: impl FnMut(u64, &[Queued<V>])) {
    if queue.windows(2).any(|two| two[0].by != two[1].by) {
        // Places are filled in the order in which datagrams came.
        queue.sort_unstable_by_key(|queued| (queued.by, queued.what.place));
    }
    for part in queue.chunk_by(|one, other| one.by == other.by) {
        if let Some(first) = part.first() {
            each(first.by, part);
        }
    }
}
