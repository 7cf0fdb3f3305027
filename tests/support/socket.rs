//! What the standard library does not offer on a stream: resets, urgent bytes, unsent counts, silent ends.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use super::pattern::Pattern;
use super::wait::until;

/// How a stream ended, seen from its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A clean end of stream.
    Eof,
    /// A reset.
    Reset,
    /// It did not end in time.
    Deadline,
    /// Another error.
    Failed(io::ErrorKind),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        let kind = error.kind();
        if kind == io::ErrorKind::ConnectionReset || kind == io::ErrorKind::BrokenPipe {
            Self::Reset
        } else if kind == io::ErrorKind::WouldBlock || kind == io::ErrorKind::TimedOut {
            Self::Deadline
        } else {
            Self::Failed(kind)
        }
    }
}

/// What a reader got until the end.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Bytes read.
    pub bytes: u64,
    /// Whether every byte was the expected one; the offset of the first that was not.
    pub wrong_at: Option<u64>,
    /// How it ended.
    pub end: End,
    /// When.
    pub at: Instant,
}

/// Reads until the stream ends and hands out every piece.
pub fn receive(mut stream: &TcpStream, within: Duration, mut taker: impl FnMut(&[u8])) -> Received {
    let deadline = Instant::now() + within;
    stream.set_read_timeout(Some(within)).expect("set the read timeout");
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    let end = loop {
        if Instant::now() >= deadline {
            break End::Deadline;
        }
        match stream.read(&mut buffer) {
            Ok(0) => break End::Eof,
            Ok(count) => {
                bytes += count as u64;
                taker(&buffer[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break error.into(),
        }
    };
    Received { bytes, wrong_at: None, end, at: Instant::now() }
}

/// Reads until the stream ends and compares every byte with the pattern.
pub fn receive_pattern(stream: &TcpStream, within: Duration, mut expected: Pattern) -> Received {
    let mut wrong_at = None;
    let mut received = receive(stream, within, |piece| {
        if wrong_at.is_none() {
            wrong_at = expected.check(piece).err();
        }
    });
    received.wrong_at = wrong_at;
    received
}

/// Writes `count` bytes of the pattern, or as many as the other side takes before it ends the connection; says of each
/// piece when the kernel has taken it.
///
/// # Errors
/// What the socket answered, with the bytes written before it.
pub fn send_pattern(
    mut stream: &TcpStream,
    count: u64,
    mut pattern: Pattern,
    mut note: impl FnMut(u64),
) -> Result<u64, (u64, io::Error)> {
    let start = pattern.passed();
    while pattern.passed() - start < count {
        match stream.write(pattern.peek(count - (pattern.passed() - start))) {
            Ok(written) => {
                pattern.take(written);
                note(written as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((pattern.passed() - start, error)),
        }
    }
    Ok(count)
}

/// Makes closing the stream a reset: what is unsent is thrown away and the other side learns at once.
pub fn reset_on_close(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("set linger");
}

/// Sends one urgent byte.
pub fn send_urgent(stream: &TcpStream, byte: u8) {
    SockRef::from(stream).send_out_of_band(&[byte]).expect("send the urgent byte");
}

/// Bytes written that the other side's kernel has not acknowledged yet.
pub fn unacknowledged(stream: &TcpStream) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: SIOCOUTQ writes one int to the address given, which outlives the call.
    #[allow(unsafe_code)]
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    assert_eq!(result, 0, "SIOCOUTQ: {}", io::Error::last_os_error());
    usize::try_from(count).unwrap()
}

/// Waits until the other side's kernel has taken everything.
pub fn wait_until_acknowledged(stream: &TcpStream, within: Duration) {
    until(within, "all bytes acknowledged", || unacknowledged(stream) == 0);
}

/// Ends the connection without a word to the other side, as a machine does that loses its power.
pub fn vanish(stream: TcpStream) {
    let repair: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&repair)).unwrap();
    // SAFETY: the option's value is one int, whose address and size are given and which outlives the call.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_REPAIR,
            (&raw const repair).cast::<libc::c_void>(),
            length,
        )
    };
    assert_eq!(result, 0, "TCP_REPAIR: {}", io::Error::last_os_error());
    drop(stream);
}

/// Connects with a small receive buffer, which has to be set before.
pub fn connect_narrow(addr: SocketAddr, receive_buffer: usize, within: Duration) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_recv_buffer_size(receive_buffer)?;
    socket.connect_timeout(&addr.into(), within)?;
    Ok(socket.into())
}

/// Connects from a given local address.
pub fn connect_from(local: SocketAddr, addr: SocketAddr, within: Duration) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&local.into())?;
    socket.connect_timeout(&addr.into(), within)?;
    Ok(socket.into())
}

/// Ends one or both directions; a connection that is gone already is fine.
pub fn shut(stream: &TcpStream, how: Shutdown) {
    let _ = stream.shutdown(how);
}
