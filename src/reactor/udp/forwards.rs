//! From clients to hosts.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;

use super::{Around, Queued, Udp, by_socket};
use crate::balancer::Client;
use crate::balancer::flows::{Arrival, Forward, SocketId};
use crate::model::datagram::Dropped;
use crate::model::limits::{DATAGRAM_BATCH, SEGMENTS_COUNTED};
use crate::model::outcome::{Blame, CloseReason, Fault};
use crate::model::time::Moment;
use crate::sys::datagram::{Outgoing, Received, SPARE};
use crate::sys::socket;

/// What is about to be sent to hosts.
#[derive(Default)]
pub(super) struct Forwards {
    queue: Vec<Queued<Forward>>,
    /// What could not be sent: where it stands in `queue`, and the error.
    failed: Vec<(usize, i32)>,
    outgoing: Vec<Outgoing>,
}

impl Udp {
    /// Takes in what waits at a listener, in one call, and sends it to hosts. Returns whether there may be more.
    pub(super) fn take_in(&mut self, around: &Around<'_>, now: Moment, number: usize) -> bool {
        let Some(listener) = self.listeners.get_mut(number) else { return false };
        let Some(batch) = self.batch.as_mut() else { return false };
        let Ok((filled, lost)) = batch.receive(listener.socket.as_fd(), 0) else { return false };
        let lost = Self::newly_lost(&mut listener.lost, lost);
        if lost > 0 {
            self.count_dropped(around, Dropped::Overflow, lost);
        }
        around.counters.datagrams.receives.fetch_add(1, Relaxed);
        let mut datagrams = 0;
        for place in 0..filled {
            let Some(received) = self.batch.as_ref().map(|batch| batch.received(place)) else { break };
            datagrams += received.count();
            self.budget = self.budget.saturating_sub(1 + received.count() / SEGMENTS_COUNTED);
            if let Err(dropped) = self.route(around, now, number, place, received) {
                self.count_dropped(around, dropped, received.count());
            }
        }
        around.counters.datagrams.from_clients.fetch_add(datagrams as u64, Relaxed);
        self.send_forwards(around, now);
        filled == DATAGRAM_BATCH
    }

    /// Finds out where a client's datagrams go, and queues them.
    fn route(
        &mut self,
        around: &Around<'_>,
        now: Moment,
        number: usize,
        place: usize,
        received: Received,
    ) -> Result<(), Dropped> {
        if received.is_cut {
            return Err(Dropped::TooBig);
        }
        let listener = &self.listeners[number];
        let count = received.count();
        let arrival = Arrival {
            service: listener.spec.service,
            listener: u32::try_from(number).unwrap_or(u32::MAX),
            client: Client::from(received.peer),
            local: received.local,
            count,
            bytes: received.len,
            last: received.len - received.segment * (count - 1),
        };
        let before = self.flows.len();
        let forward = self.flows.arrive(now, &arrival)?;
        if self.flows.len() > before {
            self.listeners[number].spec.counters.accepted.fetch_add(1, Relaxed);
        }
        self.open_socket(around, now, forward)?;
        let what = Outgoing { place, to: forward.to, from: None };
        self.forwards.queue.push(Queued { by: number_of(forward.lane.socket), what, flow: forward });
        Ok(())
    }

    fn open_socket(&mut self, around: &Around<'_>, now: Moment, forward: Forward) -> Result<(), Dropped> {
        let id = forward.lane.socket;
        let way = *self.flows.lanes().way(id);
        self.sockets.open(around, id, &way).map_err(|_| {
            self.flows.no_socket(now, forward.key);
            Dropped::NoSocket
        })
    }

    /// Sends what is queued, each socket's part in one call.
    fn send_forwards(&mut self, around: &Around<'_>, now: Moment) {
        let Some(batch) = self.batch.as_mut() else { return };
        let Forwards { queue, failed, outgoing } = &mut self.forwards;
        let sockets = &mut self.sockets;
        let mut start = 0;
        by_socket(queue, |_, part| {
            if let Some(towards) = part.first().and_then(|first| sockets.get(first.flow.lane.socket)) {
                outgoing.clear();
                outgoing.extend(part.iter().map(|queued| queued.what));
                batch.send(towards.socket.as_fd(), outgoing, &mut towards.whole_max, &mut |at, error| {
                    failed.push((start + at, error.raw_os_error().unwrap_or(libc::EIO)));
                });
            }
            start += part.len();
        });
        let (queue, failed) = (std::mem::take(queue), std::mem::take(failed));
        for (at, errno) in &failed {
            let queued = queue[*at];
            if let Err(dropped) = self.cope(around, now, queued, *errno) {
                self.count_dropped(around, dropped, 1);
            }
        }
        for queued in &queue {
            if queued.flow.is_last {
                self.flows.close(now, queued.flow.key, CloseReason::Finished);
            } else {
                self.note_moved(now, queued.flow.key);
            }
        }
        // Their room is used again.
        (self.forwards.queue, self.forwards.failed) = (queue, failed);
        self.forwards.queue.clear();
        self.forwards.failed.clear();
    }

    /// A datagram could not be sent: where the way to its host is to blame, it is offered to others.
    fn cope(&mut self, around: &Around<'_>, now: Moment, queued: Queued<Forward>, errno: i32) -> Result<(), Dropped> {
        match errno {
            libc::EMSGSIZE => return Err(Dropped::TooBig),
            // What the socket had to say of others before; see `Batch::send`.
            libc::ECONNREFUSED => return Err(Dropped::NoRoom),
            _ => {}
        }
        match socket::blame(&io::Error::from_raw_os_error(errno)) {
            Blame::Local(_) => Err(Dropped::NoRoom),
            Blame::Host(fault) => self.offer(around, now, queued.flow, fault, queued.what.place),
        }
    }

    /// Offers what is in a place to other hosts than its flow's, which cannot be reached.
    fn offer(
        &mut self,
        around: &Around<'_>,
        now: Moment,
        forward: Forward,
        fault: Fault,
        place: usize,
    ) -> Result<(), Dropped> {
        let Self { flows, sockets, batch, .. } = self;
        let Some(batch) = batch.as_mut() else { return Err(Dropped::NoHost) };
        let mut unsent = None;
        flows.offer(now, forward.key, fault, |way, forward| {
            if sockets.open(around, forward.lane.socket, &way).is_err() {
                unsent = Some((forward.key, Dropped::NoSocket));
                return Ok(());
            }
            let Some(towards) = sockets.get(forward.lane.socket) else { return Ok(()) };
            let mut result = Ok(());
            let outgoing = [Outgoing { place, to: forward.to, from: None }];
            batch.send(towards.socket.as_fd(), &outgoing, &mut towards.whole_max, &mut |_, error| match socket::blame(
                error,
            ) {
                Blame::Host(fault) => result = Err(fault),
                Blame::Local(_) => unsent = Some((forward.key, Dropped::NoRoom)),
            });
            result
        })?;
        let Some((key, reason)) = unsent else { return Ok(()) };
        if reason == Dropped::NoSocket {
            self.flows.no_socket(now, key);
        }
        Err(reason)
    }

    /// Takes in what did not arrive of what was sent through this socket. Flows move at once, and what the network has
    /// sent back whole goes to their next host.
    pub(super) fn take_unreached(&mut self, around: &Around<'_>, now: Moment, id: SocketId) {
        while self.budget > 0 {
            self.budget -= 1;
            let Some(batch) = self.batch.as_mut() else { return };
            let Some(towards) = self.sockets.get(id) else { return };
            let Ok(Some(unreached)) = batch.take_unreached(towards.socket.as_fd()) else { return };
            if unreached.error.raw_os_error() == Some(libc::EMSGSIZE) {
                // The way has become narrower, of which the kernel has taken note.
                self.count_dropped(around, Dropped::TooBig, 1);
                continue;
            }
            let Blame::Host(fault) = socket::blame(&unreached.error) else { continue };
            let returned = if unreached.by_network { unreached.returned } else { 0 };
            let Some(forward) = self.flows.unreached(now, id, unreached.to, fault, returned) else { continue };
            if self.open_socket(around, now, forward).is_err() {
                self.count_dropped(around, Dropped::NoSocket, 1);
                continue;
            }
            let what = Outgoing { place: SPARE, to: forward.to, from: None };
            self.forwards.queue.push(Queued { by: number_of(forward.lane.socket), what, flow: forward });
            self.send_forwards(around, now);
        }
    }
}

fn number_of(socket: SocketId) -> u64 {
    u64::from(socket.way) << 32 | u64::from(socket.number)
}
