//! A host that does not answer at all.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use super::host::Host;
use super::scripts;

/// A host whose accept queue is full, so that its kernel answers no handshake.
pub struct Full {
    /// The host; it never accepts.
    pub host: Host,
    _filler: Vec<TcpStream>,
}

impl Full {
    /// Starts the host and fills its queue.
    #[track_caller]
    pub fn new(name: &str) -> Self {
        let host = Host::mute(name, scripts::tell_name(), 0);
        let mut filler = Vec::new();
        let full = loop {
            match TcpStream::connect_timeout(&host.addr(), Duration::from_millis(200)) {
                Ok(stream) => filler.push(stream),
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(full, io::ErrorKind::TimedOut, "the queue is full");
        Self { host, _filler: filler }
    }
}
