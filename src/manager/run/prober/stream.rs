//! A probe over TCP: a connect, and what is to be said and heard after it.

use std::io::{self, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;

use crate::model::address::Endpoint;
use crate::model::check::{Check, Exchange, Probe, Verdict};
use crate::model::limits::CHECK_ANSWER_BYTES_MAX;
use crate::model::outcome::{Blame, Fault};
use crate::model::proxy::Announce;
use crate::model::socket_options::Outbound;
use crate::sys::socket::{self, blame};
use crate::wire::proxy;

use super::later;

/// One connection.
#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    check: Arc<Check>,
    /// It is told that the connection is nobody else's.
    is_local: bool,
    is_connected: bool,
    /// How much of what is to be sent was.
    sent: usize,
    answer: Vec<u8>,
}

impl Stream {
    /// Starts the connect.
    pub(super) fn start(addr: Endpoint, check: Arc<Check>, outbound: Option<&Outbound>) -> Result<Self, Blame> {
        // From the first source address, so that clients' turns do not shift.
        let socket = match outbound {
            None => socket::connect(addr),
            Some(outbound) => socket::connect_with(addr, outbound, 0, None).map(|(stream, _)| stream),
        };
        let socket = socket.map_err(|error| socket::blame_at(addr, &error))?;
        let is_local = outbound.is_some_and(|outbound| outbound.announce() == Announce::V2);
        Ok(Self { socket, check, is_local, is_connected: false, sent: 0, answer: Vec::new() })
    }

    /// What is to be registered.
    pub(super) const fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Whether bytes came that were not enough.
    pub(super) const fn has_answered(&self) -> bool {
        !self.answer.is_empty()
    }

    /// Goes on as far as it can. Returns the end, if it has come to one.
    pub(super) fn go_on(&mut self, scratch: &mut [u8]) -> Option<Result<(), Blame>> {
        if !self.is_connected {
            match self.connected()? {
                Ok(()) => {
                    self.is_connected = true;
                    if self.is_local {
                        // Whatever becomes of it: that the host has accepted is known.
                        let _ = (&self.socket).write(&proxy::LOCAL);
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
        let check = Arc::clone(&self.check);
        match &check.probe {
            Probe::Tcp(exchange) if !exchange.is_silent() => self.talk(exchange, scratch).transpose(),
            // It has accepted, which is all.
            Probe::Tcp(_) | Probe::Passive | Probe::Udp(_) | Probe::Dns(_) => Some(Ok(())),
        }
    }

    /// What has become of the connect; nothing while it is under way.
    fn connected(&self) -> Option<Result<(), Blame>> {
        match self.socket.take_error() {
            Ok(Some(error)) | Err(error) => return Some(Err(blame(&error))),
            Ok(None) => {}
        }
        match socket::peer(&self.socket) {
            Ok(peer) if socket::met_itself(&self.socket, peer.port()) => Some(Err(Blame::Host(Fault::MetItself))),
            Ok(_) => Some(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
            Err(error) => Some(Err(blame(&error))),
        }
    }

    /// Says and hears; none while it is to go on.
    fn talk(&mut self, exchange: &Exchange, scratch: &mut [u8]) -> Result<Option<()>, Blame> {
        while self.sent < exchange.send.len() {
            match later((&self.socket).write(&exchange.send[self.sent..]))? {
                Some(count) => self.sent += count,
                None => break,
            }
        }
        loop {
            let seen = self.answer.len();
            let Some(count) = later((&self.socket).read(scratch))? else { return Ok(None) };
            if count == 0 {
                let fault = if seen == 0 { Fault::Ended } else { Fault::WrongAnswer };
                return Err(Blame::Host(fault));
            }
            self.answer.extend_from_slice(&scratch[..count]);
            match exchange.judge(&self.answer, seen) {
                Verdict::Good => return Ok(Some(())),
                Verdict::Open if self.answer.len() < CHECK_ANSWER_BYTES_MAX => {}
                Verdict::Open | Verdict::Bad => return Err(Blame::Host(Fault::WrongAnswer)),
            }
        }
    }
}
