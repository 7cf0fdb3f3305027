//! A scripted client: each step has a deadline and fails the test when it does not succeed.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::pattern::Pattern;
use super::socket::{self, End, Received};
use super::wait::PATIENCE;

/// One connection from the client's side.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    opened: Instant,
    /// The reset came so soon that connect told of it, and nothing else will.
    was_reset: bool,
}

impl Client {
    /// Connects, or fails the test.
    #[track_caller]
    pub fn connect(addr: SocketAddr) -> Self {
        Self::try_connect(addr, PATIENCE).unwrap_or_else(|error| panic!("connect to {addr}: {error}"))
    }

    /// Connects.
    ///
    /// # Errors
    /// What connect answered.
    pub fn try_connect(addr: SocketAddr, within: Duration) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        let was_reset = match socket.connect_timeout(&addr.into(), within) {
            Ok(()) => false,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => true,
            Err(error) => return Err(error),
        };
        Ok(Self { was_reset, ..TcpStream::from(socket).into() })
    }

    /// Connects with a receive buffer of this size, so that little is taken on its behalf while it does not read.
    #[track_caller]
    pub fn connect_narrow(addr: SocketAddr, receive_buffer: usize) -> Self {
        socket::connect_narrow(addr, receive_buffer, PATIENCE).expect("connect").into()
    }

    /// Connects from this address, which may be any that is routed here, or fails the test.
    #[track_caller]
    pub fn connect_from(from: IpAddr, to: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
        let free = if to.is_ipv4() { socket.set_freebind_v4(true) } else { socket.set_freebind_v6(true) };
        free.expect("allow any address");
        socket.bind(&SocketAddr::new(from, 0).into()).expect("bind the client's address");
        let was_reset = match socket.connect_timeout(&to.into(), PATIENCE) {
            Ok(()) => false,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => true,
            Err(error) => panic!("connect from {from} to {to}: {error}"),
        };
        Self { was_reset, ..TcpStream::from(socket).into() }
    }

    /// The socket.
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Gives the socket away.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Time since it was connected.
    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// The local address, by which hosts and logs may know this connection.
    pub fn local(&self) -> SocketAddr {
        self.stream.local_addr().expect("local address")
    }

    /// Sends all of this.
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) {
        (&self.stream).write_all(bytes).expect("send");
    }

    /// Sends so many bytes of the seed's pattern.
    #[track_caller]
    pub fn send_pattern(&self, seed: u64, count: u64) {
        let sent = socket::send_pattern(&self.stream, count, Pattern::new(seed), |_| ());
        assert!(sent.is_ok(), "send {count} bytes: {sent:?}");
    }

    /// Sends one urgent byte.
    pub fn send_urgent(&self, byte: u8) {
        socket::send_urgent(&self.stream, byte);
    }

    /// Ends the sending direction.
    pub fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).expect("half close");
    }

    /// Closes with a reset.
    pub fn reset(self) {
        socket::reset_on_close(&self.stream);
    }

    /// Reads exactly so many bytes.
    #[track_caller]
    pub fn read_exact(&self, count: usize) -> Vec<u8> {
        self.stream.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
        let mut bytes = vec![0; count];
        (&self.stream).read_exact(&mut bytes).expect("read");
        bytes
    }

    /// Reads until the stream ends.
    pub fn read_to_end(&self, within: Duration) -> (Vec<u8>, End) {
        let mut bytes = Vec::new();
        let received = socket::receive(&self.stream, within, |piece| bytes.extend_from_slice(piece));
        (bytes, self.told(received).end)
    }

    /// Reads text until the stream ends.
    pub fn read_text(&self) -> (String, End) {
        let (bytes, end) = self.read_to_end(PATIENCE);
        (String::from_utf8_lossy(&bytes).into_owned(), end)
    }

    /// Reads until the stream ends and compares every byte with the seed's pattern.
    pub fn receive_pattern(&self, seed: u64, within: Duration) -> Received {
        self.told(socket::receive_pattern(&self.stream, within, Pattern::new(seed)))
    }

    /// Waits for the end and says how it came and how long after `since`; bytes before it are read and dropped.
    pub fn wait_for_end(&self, since: Instant, within: Duration) -> (End, Duration) {
        let received = self.told(socket::receive(&self.stream, within, |_| ()));
        (received.end, received.at.duration_since(since))
    }

    /// Sends one seed's pattern and receives another's at the same time; the sending direction is ended after it.
    pub fn exchange(&self, (send_seed, count): (u64, u64), receive_seed: u64, within: Duration) -> Received {
        thread::scope(|scope| {
            scope.spawn(|| {
                self.send_pattern(send_seed, count);
                self.finish_sending();
            });
            self.receive_pattern(receive_seed, within)
        })
    }

    /// After its bytes, a socket whose reset was told already says that the stream has ended.
    fn told(&self, received: Received) -> Received {
        let end = if self.was_reset && received.end == End::Eof { End::Reset } else { received.end };
        Received { end, ..received }
    }
}

impl From<TcpStream> for Client {
    fn from(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("set nodelay");
        stream.set_write_timeout(Some(PATIENCE)).expect("set the write timeout");
        Self { stream, opened: Instant::now(), was_reset: false }
    }
}
