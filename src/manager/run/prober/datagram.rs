//! A probe over UDP: a datagram, sent again some times within its time, and what comes back.
//!
//! An answer that is not the expected one may be followed by one that is. That the host's port is closed (ICMP) ends the
//! probe at once.

use std::sync::Arc;
use std::time::Duration;

use mio::net::UdpSocket;

use crate::model::address::Endpoint;
use crate::model::check::{Check, Probe, Verdict};
use crate::model::limits::CHECK_SENDS;
use crate::model::outcome::{Blame, Fault};
use crate::model::socket_options::Outbound;
use crate::model::time::Moment;
use crate::sys::socket::{self, blame};

use super::{dns, later};

/// One question.
#[derive(Debug)]
pub(super) struct Datagram {
    socket: UdpSocket,
    check: Arc<Check>,
    message: Vec<u8>,
    has_answered: bool,
    /// Sends that are left, when the next is due, and the time between two.
    sends: u32,
    next: Moment,
    pause: Duration,
}

impl Datagram {
    /// Sends the question for the first time. Each probe has a port of its own, so that a late answer to the one before it
    /// is none to this.
    pub(super) fn start(
        now: Moment,
        addr: Endpoint,
        check: Arc<Check>,
        outbound: Option<&Outbound>,
        timeout: Duration,
    ) -> Result<Self, Blame> {
        let message = match &check.probe {
            Probe::Udp(exchange) => exchange.send.clone(),
            Probe::Dns(question) => dns::query(question)?,
            Probe::Passive | Probe::Tcp(_) => return Err(Blame::Local(libc::EINVAL)),
        };
        // Nobody asks a socket of this machine like that.
        let addr = addr.as_ip().ok_or(Blame::Local(libc::EAFNOSUPPORT))?;
        let source = outbound.and_then(|outbound| outbound.source(0));
        let socket = socket::connect_datagram(addr, source).map_err(|error| blame(&error))?;
        if socket.local_addr().is_ok_and(|local| local == addr) {
            return Err(Blame::Host(Fault::MetItself));
        }
        let pause = timeout / CHECK_SENDS;
        let mut datagram = Self { socket, check, message, has_answered: false, sends: CHECK_SENDS, next: now, pause };
        datagram.ask_again(now)?;
        Ok(datagram)
    }

    /// What is to be registered.
    pub(super) const fn socket(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// Whether something came that was no answer.
    pub(super) const fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// When [`Self::ask_again`] is due; none: it was sent often enough.
    pub(super) fn next_send(&self) -> Option<Moment> {
        (self.sends > 0).then_some(self.next)
    }

    /// Sends the question, if it is time.
    pub(super) fn ask_again(&mut self, now: Moment) -> Result<(), Blame> {
        if self.sends == 0 || now < self.next {
            return Ok(());
        }
        self.sends -= 1;
        self.next = now.after(self.pause);
        // Where there is no room for it, it is as good as lost.
        later(self.socket.send(&self.message)).map(drop)
    }

    /// Takes in what has come. Returns the end, if that is one.
    pub(super) fn go_on(&mut self, scratch: &mut [u8]) -> Option<Result<(), Blame>> {
        loop {
            let count = match later(self.socket.recv(scratch)) {
                Ok(Some(count)) => count,
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            };
            let answer = &scratch[..count];
            match &self.check.probe {
                Probe::Dns(_) => {
                    if let Some(code) = dns::answer(&self.message, answer) {
                        let is_good = dns::is_good(code);
                        return Some(if is_good { Ok(()) } else { Err(Blame::Host(Fault::NameServer(code))) });
                    }
                }
                // A datagram without bytes is an answer, too, if any is.
                Probe::Udp(exchange) if exchange.expect.is_none() => return Some(Ok(())),
                Probe::Udp(exchange) if exchange.judge(answer, 0) == Verdict::Good => return Some(Ok(())),
                Probe::Udp(_) | Probe::Passive | Probe::Tcp(_) => {}
            }
            self.has_answered = true;
        }
    }
}
