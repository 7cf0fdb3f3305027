//! Handing a client that was just accepted to another reactor with fewer connections, if that was asked for. Everybody
//! else's clients stay where the kernel put them.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::run::Reactor;
use crate::model::address::Endpoint;
use crate::model::counters::{ReactorCounters, ServiceCounters};
use crate::model::id::{ReactorId, ServiceId};
use crate::model::limits::{HAND_OVER_SHARE, HAND_OVER_SPARE};
use crate::model::time::Moment;
use crate::sys::mailbox::Mailbox;

/// A client on its way. Its places at the limits of the process and the service are taken.
pub(super) struct Handed {
    service: ServiceId,
    client: Endpoint,
    stream: TcpStream,
    /// Who accepted it, until it has been sent back to there.
    from: Option<ReactorId>,
    places: Arc<ServiceCounters>,
}

/// What a reactor sees of another one, or of itself.
#[derive(Clone)]
pub(super) struct Neighbour {
    pub(super) mailbox: Mailbox<Handed>,
    pub(super) counters: Arc<ReactorCounters>,
}

impl Reactor {
    /// Keeps a client, or hands it to the other one of two reactors chosen at random if that has fewer connections.
    pub(super) fn take_or_hand_over(&mut self, now: Moment, service: ServiceId, client: Endpoint, stream: TcpStream) {
        // A client whose host is to be connected under the claim of its accept stays.
        let other = if self.gate.is_scarce(now) { None } else { self.less_loaded() };
        let Some(other) = other else { return self.open(now, service, client, stream) };
        let Some(places) = self.balancer.counters(service) else { return self.open(now, service, client, stream) };
        let handed = Handed { service, client, stream, from: Some(self.id), places };
        // So that a burst does not go there as a whole. Its owner counts anew at the end of each turn.
        let neighbour = &self.neighbours[other];
        neighbour.counters.open.fetch_add(1, Relaxed);
        match neighbour.mailbox.post(handed) {
            Ok(()) => {
                self.counters.handed_over.fetch_add(1, Relaxed);
            }
            // It has ended, or has too much to do already.
            Err(handed) => self.open(now, service, client, handed.stream),
        }
    }

    /// Another reactor, if it has so many fewer connections that a client is worth the way.
    fn less_loaded(&mut self) -> Option<usize> {
        if self.is_draining() {
            // The other one may be about to end.
            return None;
        }
        let others = self.neighbours.len().checked_sub(1).filter(|others| *others > 0)?;
        let me = usize::from(self.id.0);
        let chosen = usize::try_from(self.rng.below(others as u64)).ok()?;
        let other = chosen + usize::from(chosen >= me);
        let theirs = self.neighbours[other].counters.open.load(Relaxed) as usize;
        (theirs + theirs / HAND_OVER_SHARE + HAND_OVER_SPARE < self.balancer.len()).then_some(other)
    }

    /// Takes over what others have handed to this reactor.
    pub(super) fn take_handed(&mut self, now: Moment) {
        while let Ok(mut handed) = self.handed.try_recv() {
            if self.balancer.counters(handed.service).is_some() {
                self.open(now, handed.service, handed.client, handed.stream);
                continue;
            }
            // A service that this reactor does not know yet or any more: who accepted its client knew it.
            let back = handed.from.take().map(|from| usize::from(from.0));
            if let Some(neighbour) = back.and_then(|from| self.neighbours.get(from)) {
                match neighbour.mailbox.post(handed) {
                    Ok(()) => continue,
                    Err(refused) => handed = refused,
                }
            }
            handed.places.open.fetch_sub(1, Relaxed);
            self.gate.leave(self.id);
        }
    }
}
