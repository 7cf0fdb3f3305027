//! From hosts back to clients.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;

use super::{Around, Queued, Udp, by_socket};
use crate::balancer::flows::SocketId;
use crate::model::datagram::Dropped;
use crate::model::limits::{DATAGRAM_BATCH, SEGMENTS_COUNTED};
use crate::model::outcome::CloseReason;
use crate::model::time::Moment;
use crate::sys::datagram::Outgoing;

/// What is about to be sent to clients.
#[derive(Default)]
pub(super) struct Answers {
    /// Places that are filled.
    filled: usize,
    queue: Vec<Queued<()>>,
    outgoing: Vec<Outgoing>,
}

/// Calls for one socket in a row that tell of errors instead of answers.
const ERRORS_MAX: usize = 8;

impl Udp {
    /// Takes in what waits at a socket towards hosts.
    pub(super) fn take_answers(&mut self, around: &Around<'_>, now: Moment, id: SocketId) {
        let mut errors = 0;
        while self.budget > 0 {
            if self.answers.filled == DATAGRAM_BATCH {
                self.flush_answers(around);
            }
            let Some(batch) = self.batch.as_mut() else { return };
            let Some(towards) = self.sockets.get(id) else { return };
            let first = self.answers.filled;
            let (filled, lost) = match batch.receive(towards.socket.as_fd(), first) {
                Ok(received) => received,
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) || errors == ERRORS_MAX => return,
                Err(_) => {
                    // Of what was sent; the queue of errors says more.
                    errors += 1;
                    self.take_unreached(around, now, id);
                    continue;
                }
            };
            let lost = Self::newly_lost(&mut towards.lost, lost);
            if lost > 0 {
                self.count_dropped(around, Dropped::Overflow, lost);
            }
            around.counters.datagrams.receives.fetch_add(1, Relaxed);
            for place in first..first + filled {
                self.take_answer(around, now, id, place);
            }
            self.answers.filled += filled;
            if first + filled < DATAGRAM_BATCH {
                return;
            }
        }
    }

    fn take_answer(&mut self, around: &Around<'_>, now: Moment, id: SocketId, place: usize) {
        let Some(received) = self.batch.as_ref().map(|batch| batch.received(place)) else { return };
        let count = received.count();
        self.budget = self.budget.saturating_sub(1 + count / SEGMENTS_COUNTED);
        around.counters.datagrams.from_hosts.fetch_add(count as u64, Relaxed);
        if received.is_cut {
            return self.count_dropped(around, Dropped::TooBig, count);
        }
        let Some(back) = self.flows.answer(now, id, received.peer, count, received.len) else {
            return self.count_dropped(around, Dropped::Unasked, count);
        };
        let what = Outgoing { place, to: back.to, from: back.from };
        self.answers.queue.push(Queued { by: back.listener.into(), what, flow: () });
        if back.is_last {
            self.flows.close(now, back.key, CloseReason::Finished);
        } else {
            self.note_moved(now, back.key);
        }
    }

    /// Sends the answers that were gathered.
    pub(super) fn flush_answers(&mut self, around: &Around<'_>) {
        self.answers.filled = 0;
        if self.answers.queue.is_empty() {
            return;
        }
        let Some(batch) = self.batch.as_mut() else { return };
        let Answers { queue, outgoing, .. } = &mut self.answers;
        let listeners = &mut self.listeners;
        let (mut too_big, mut no_room) = (0, 0);
        by_socket(queue, |number, part| {
            let Some(listener) = usize::try_from(number).ok().and_then(|number| listeners.get_mut(number)) else {
                return;
            };
            outgoing.clear();
            outgoing.extend(part.iter().map(|queued| queued.what));
            batch.send(listener.socket.as_fd(), outgoing, &mut listener.whole_max, &mut |_, error| {
                if error.raw_os_error() == Some(libc::EMSGSIZE) { too_big += 1 } else { no_room += 1 }
            });
        });
        queue.clear();
        for (reason, count) in [(Dropped::TooBig, too_big), (Dropped::NoRoom, no_room)] {
            if count > 0 {
                self.count_dropped(around, reason, count);
            }
        }
    }
}
