//! Two sockets and the bytes that wait between them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::event::Event;
use mio::net::TcpStream;

use super::Means;
use super::splice::Pipes;

#[derive(Clone, Copy)]
pub(super) enum Side {
    Client,
    Host,
}

/// The pair is over: both sides have ended, or one has failed.
pub(super) struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// One socket, and what is on its way to it.
pub(super) struct End {
    pub(super) stream: TcpStream,
    /// A read may give something. Edge-triggered: nobody tells again until a read has found nothing.
    pub(super) readable: bool,
    /// The peer has ended or failed; only a read of 0 bytes or an error is the end of its data.
    hung_up: bool,
    /// Its last byte has been read.
    pub(super) ended: bool,
    /// What it did not take yet, and how much of that it has taken since.
    waiting: Option<Box<(Vec<u8>, usize)>>,
}

impl End {
    fn new(stream: TcpStream) -> Self {
        Self { stream, readable: false, hung_up: false, ended: false, waiting: None }
    }

    /// Writes what waits. `true` when nothing waits any more.
    fn flush(&mut self) -> Result<bool, Over> {
        let Some(waiting) = self.waiting.as_mut() else { return Ok(true) };
        let (bytes, written) = &mut **waiting;
        while *written < bytes.len() {
            match self.stream.write(&bytes[*written..]) {
                Ok(count) => *written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        self.waiting = None;
        Ok(true)
    }

    /// Writes `bytes`, and keeps what is not taken. `true` when all was taken.
    fn write(&mut self, bytes: &[u8]) -> Result<bool, Over> {
        let taken = match self.stream.write(bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error.into()),
        };
        if taken == bytes.len() {
            return Ok(true);
        }
        self.waiting = Some(Box::new((bytes[taken..].to_vec(), 0)));
        Ok(false)
    }
}

pub(super) struct Pair {
    client: End,
    host: End,
    connected: bool,
    /// What bytes go through where they are not copied.
    pipes: Option<Box<Pipes>>,
}

impl Pair {
    pub(super) fn new(means: Means, client: TcpStream, host: TcpStream) -> Self {
        let pipes = (means == Means::Splice).then(Box::default);
        Self { client: End::new(client), host: End::new(host), connected: false, pipes }
    }

    pub(super) fn on_event(&mut self, side: Side, event: &Event, scratch: &mut [u8]) -> Result<(), Over> {
        let end = match side {
            Side::Client => &mut self.client,
            Side::Host => &mut self.host,
        };
        end.readable |= event.is_readable();
        end.hung_up |= event.is_read_closed() || event.is_error();
        if matches!(side, Side::Host) && event.is_writable() {
            self.connected = true;
        }
        if !self.connected {
            return if self.host.hung_up { Err(Over) } else { Ok(()) };
        }
        let is_empty = match &mut self.pipes {
            Some(pipes) => pipes.pump(&mut self.client, &mut self.host)?,
            None => {
                pump(&mut self.client, &mut self.host, scratch)?;
                pump(&mut self.host, &mut self.client, scratch)?;
                self.client.waiting.is_none() && self.host.waiting.is_none()
            }
        };
        if self.client.ended && self.host.ended && is_empty { Err(Over) } else { Ok(()) }
    }
}

/// Moves bytes from one end to the other until there are none or they are not taken.
fn pump(from: &mut End, to: &mut End, scratch: &mut [u8]) -> Result<(), Over> {
    if to.waiting.is_some() {
        if !to.flush()? {
            return Ok(());
        }
        finish(from, to);
    }
    while from.readable && !from.ended {
        match from.stream.read(scratch) {
            Ok(0) => {
                from.ended = true;
                finish(from, to);
            }
            Ok(count) => {
                from.readable = count == scratch.len() || from.hung_up;
                if !to.write(&scratch[..count])? {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => from.readable = false,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Passes the end of `from` on, once all before it has been, unless the pair is over anyway.
pub(super) fn finish(from: &End, to: &End) {
    if from.ended && to.waiting.is_none() && !to.ended {
        // A peer that is gone already needs no word of it.
        let _ = to.stream.shutdown(Shutdown::Write);
    }
}
