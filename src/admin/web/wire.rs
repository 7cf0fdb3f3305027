//! A client's socket, with TLS on it or without: plain bytes on this side of it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};

use super::out::Out;

/// Bytes that TLS may hold back unsent.
const TLS_BYTES_MAX: usize = 64 * 1024;
/// How every record of a TLS handshake begins (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 0x16;

/// A socket.
#[derive(Debug)]
pub(super) struct Wire {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// Nothing has come yet.
    is_new: bool,
}

impl Wire {
    /// A socket on which this configuration of TLS is spoken, if there is one.
    ///
    /// # Errors
    /// TLS cannot be started.
    pub(super) fn new(socket: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        let tls = tls.map(|config| ServerConnection::new(Arc::clone(config))).transpose().map_err(io::Error::other)?;
        let tls = tls.map(|mut tls| {
            tls.set_buffer_limit(Some(TLS_BYTES_MAX));
            Box::new(tls)
        });
        Ok(Self { socket, tls, is_new: true })
    }

    /// The socket, to be registered.
    pub(super) const fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Reads plain bytes; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock`; `Unsupported` when the client does not speak TLS where it is expected, after which everything is
    /// plain; or what ends the connection.
    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.is_new && self.tls.is_some() {
            let mut first = [0];
            if self.socket.peek(&mut first)? == 1 && first != [HANDSHAKE] {
                self.tls = None;
                return Err(ErrorKind::Unsupported.into());
            }
        }
        self.is_new = false;
        let Some(tls) = &mut self.tls else { return self.socket.read(space) };
        loop {
            match tls.reader().read(space) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // An end without TLS's own: of a request nothing can be cut off unseen.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            tls.read_tls(&mut self.socket)?;
            if let Err(error) = tls.process_new_packets() {
                // The client is told why, if it takes it.
                let _ = tls.write_tls(&mut self.socket);
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
        }
    }

    /// Sends what it can. Returns whether anything was.
    ///
    /// # Errors
    /// What ends the connection.
    pub(super) fn write(&mut self, out: &mut Out) -> io::Result<bool> {
        let mut any = false;
        loop {
            let count = match &mut self.tls {
                None if out.len() == 0 => return Ok(any),
                None => match self.socket.write(out.next()) {
                    Ok(count) => {
                        out.advance(count);
                        count
                    }
                    Err(error) => return blocked(error).map(|()| any),
                },
                Some(tls) => {
                    if !tls.is_handshaking() && out.len() > 0 {
                        let count = tls.writer().write(out.next())?;
                        out.advance(count);
                    }
                    if !tls.wants_write() {
                        return Ok(any);
                    }
                    match tls.write_tls(&mut self.socket) {
                        Ok(count) => count,
                        Err(error) => return blocked(error).map(|()| any),
                    }
                }
            };
            if count == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            any = true;
        }
    }

    /// Whether everything that was written is with the kernel.
    pub(super) fn is_flushed(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.wants_write())
    }

    /// Ends this side.
    pub(super) fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // Best effort: the end of the connection says the same.
            let _ = tls.write_tls(&mut self.socket);
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

fn blocked(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}
