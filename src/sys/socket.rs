//! Outgoing and accepted TCP sockets, UDP sockets of probes, and what their errors mean.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;
use std::{ptr, slice};

use mio::net::{TcpStream, UdpSocket};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{options, unix};
use crate::model::address::{Endpoint, UnixName};
use crate::model::limits::{EARLY_BYTES_MAX, SOURCE_TRIES_MAX};
use crate::model::outcome::{Blame, Fault};
use crate::model::socket_options::{Outbound, StreamOptions};

/// Bytes that are taken off at a time where they have to be read for that.
const DISCARD_BYTES: usize = 512;

/// Sorts an error of socket(2), connect(2) or `SO_ERROR`.
#[must_use]
pub fn blame(error: &io::Error) -> Blame {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    match errno {
        libc::ECONNREFUSED => Blame::Host(Fault::Refused),
        libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED => Blame::Host(Fault::Reset),
        libc::ETIMEDOUT => Blame::Host(Fault::TimedOut),
        // ICMP errors and the answers of a firewall; see icmp(7) and tcp(7).
        libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::EHOSTDOWN
        | libc::ENETDOWN
        | libc::ENONET
        | libc::ENOPROTOOPT
        | libc::EPROTO
        | libc::EOPNOTSUPP
        | libc::EACCES
        | libc::EPERM => Blame::Host(Fault::Unreachable),
        libc::EMFILE
        | libc::ENFILE
        | libc::ENOMEM
        | libc::ENOBUFS
        | libc::ENOSPC
        | libc::EADDRNOTAVAIL
        | libc::EADDRINUSE
        | libc::EAGAIN
        | libc::EINTR => Blame::Local(errno),
        _ => Blame::Host(Fault::Other(errno)),
    }
}

/// As [`blame`], of an error of a connect to there: a socket of this machine may have as many waiting as it lets wait,
/// which passes.
#[must_use]
pub fn blame_at(addr: Endpoint, error: &io::Error) -> Blame {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    match (addr, errno) {
        (Endpoint::Unix(_), libc::EAGAIN) => Blame::Busy,
        // No firewall answers here: the file's rights do.
        (Endpoint::Unix(_), libc::EACCES | libc::EPERM) => Blame::Host(Fault::Other(errno)),
        (Endpoint::Unix(_) | Endpoint::Ip(_), _) => blame(error),
    }
}

/// Starts a non-blocking connect. Its end is seen as writability or an error.
///
/// # Errors
/// What socket(2) and connect(2) answer; `EINPROGRESS` is success. `EAGAIN` of a socket of this machine: as many wait to
/// be accepted as it lets wait.
pub fn connect(addr: Endpoint) -> io::Result<TcpStream> {
    let socket = open(addr)?;
    begin(&socket, addr)?;
    Ok(TcpStream::from_std(socket.into()))
}

/// As [`connect`], with the options and from the source address whose turn it is at `turn`. A source address that
/// cannot be used, because this machine has none such or its ports are all taken, makes room for the next one.
///
/// With `fastopen`, what `client` has sent already goes with the first packet if the host is known to take that. Then
/// the number of bytes that went is returned beside the stream. They stay in the client's socket, for another host if
/// this one does not answer; once it has, [`discard`] them. See RFC 7413.
///
/// # Errors
/// As [`connect`]; `EADDRNOTAVAIL` when none of [`SOURCE_TRIES_MAX`] source addresses can be used.
pub fn connect_with(
    addr: Endpoint,
    outbound: &Outbound,
    turn: u32,
    client: Option<&TcpStream>,
) -> io::Result<(TcpStream, u16)> {
    let socket = open(addr)?;
    options::tune_stream(socket.as_fd(), &StreamOptions::default(), &outbound.options().stream, &mut |_| {});
    let mut space = [MaybeUninit::uninit(); EARLY_BYTES_MAX];
    let client = client.filter(|_| outbound.options().fastopen == Some(true));
    let early = client.map_or(&[][..], |client| peek(client, &mut space));
    let mut tries = outbound.sources().min(SOURCE_TRIES_MAX);
    if tries > 0 {
        // The port is chosen by connect(2), when the other end is known, so that one port serves for many hosts. A
        // kernel that does not know the option chooses it at once, and has fewer.
        let _ = options::bind_address_no_port(socket.as_fd());
    }
    let mut turn = turn;
    loop {
        match begin_from(&socket, addr, outbound.source(turn), early) {
            Err(error) if tries > 1 && error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => {
                tries -= 1;
                turn = turn.wrapping_add(1);
            }
            result => return result.map(|sent| (TcpStream::from_std(socket.into()), sent)),
        }
    }
}

/// A non-blocking UDP socket on a port that the kernel chooses at random, which only takes what comes from `addr`: its
/// datagrams, and the errors that ICMP tells of it. It comes from the first source address.
///
/// # Errors
/// What socket(2), bind(2) and connect(2) answer.
pub fn connect_datagram(addr: SocketAddr, source: Option<IpAddr>) -> io::Result<UdpSocket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::for_address(addr), kind, Some(Protocol::UDP))?;
    if let Some(ip) = source {
        socket.bind(&SocketAddr::new(ip, 0).into())?;
    }
    socket.connect(&addr.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Takes bytes off a socket's queue that nobody needs any more, `count` at most. Returns how many.
pub fn discard(stream: &TcpStream, count: u16) -> u16 {
    let mut space = [MaybeUninit::uninit(); DISCARD_BYTES];
    let mut left = count;
    while left > 0 {
        // SAFETY: the descriptor is open while borrowed; with MSG_TRUNC, tcp(7) writes nothing anywhere.
        let taken = unsafe {
            libc::recv(stream.as_raw_fd(), ptr::null_mut(), left.into(), libc::MSG_TRUNC | libc::MSG_DONTWAIT)
        };
        let taken = if taken < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT) {
            // A socket of this machine has no such way (unix(7)).
            let room = &mut space[..usize::from(left).min(DISCARD_BYTES)];
            SockRef::from(stream).recv_with_flags(room, libc::MSG_DONTWAIT).map_or(-1, usize::cast_signed)
        } else {
            taken
        };
        match u16::try_from(taken) {
            Ok(taken @ 1..) if taken <= left => left -= taken,
            Ok(_) | Err(_) => break,
        }
    }
    count - left
}

/// Whether this machine lets connections come from this address.
///
/// # Errors
/// What bind(2) answers; `EADDRNOTAVAIL`: no interface has it.
pub fn probe_source(ip: IpAddr) -> io::Result<()> {
    let addr = SocketAddr::new(ip, 0);
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    // Best effort: without it the look takes a port for a moment.
    let _ = options::bind_address_no_port(socket.as_fd());
    socket.bind(&addr.into())
}

/// Returns how many bytes of `early` went with the first packet.
fn begin_from(socket: &Socket, addr: Endpoint, source: Option<IpAddr>, early: &[u8]) -> io::Result<u16> {
    if let Some(ip) = source {
        socket.bind(&SocketAddr::new(ip, 0).into())?;
    }
    if let (Endpoint::Ip(addr), false) = (addr, early.is_empty()) {
        match socket.send_to_with_flags(early, &addr.into(), libc::MSG_FASTOPEN | libc::MSG_NOSIGNAL) {
            Ok(sent) => return Ok(u16::try_from(sent).unwrap_or(u16::MAX)),
            // No cookie of this host is known: its connect asks for one.
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => return Ok(0),
            // Switched off, which was told at start.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    begin(socket, addr).map(|()| 0)
}

/// What waits in a socket's queue, as far as it has room; nothing is taken from it.
fn peek<'a>(stream: &TcpStream, space: &'a mut [MaybeUninit<u8>]) -> &'a [u8] {
    let count = SockRef::from(stream).peek(space).unwrap_or(0).min(space.len());
    // SAFETY: the kernel has written the first `count` bytes of `space`.
    unsafe { slice::from_raw_parts(space.as_ptr().cast(), count) }
}

fn open(addr: Endpoint) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = match addr {
        Endpoint::Ip(addr) => Socket::new_raw(Domain::for_address(addr), kind, Some(Protocol::TCP))?,
        Endpoint::Unix(_) => Socket::new_raw(Domain::UNIX, kind, None)?,
    };
    // Best effort: without it a connection loses the mark of urgent data.
    let _ = socket.set_out_of_band_inline(true);
    Ok(socket)
}

fn begin(socket: &Socket, addr: Endpoint) -> io::Result<()> {
    let addr = match addr {
        Endpoint::Ip(addr) => addr.into(),
        Endpoint::Unix(name) => unix::address(name)?,
    };
    match socket.connect(&addr) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        // A connect that a signal interrupts goes on in the background; see connect(2).
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        result => result,
    }
}

/// Who is at the other end; a socket of this machine has no name.
///
/// # Errors
/// What getpeername(2) answers; `ENOTCONN`: nobody yet.
pub fn peer(stream: &TcpStream) -> io::Result<Endpoint> {
    let addr = SockRef::from(stream).peer_addr()?;
    Ok(addr.as_socket().map_or(Endpoint::LOCAL, Endpoint::Ip))
}

/// Whether it is a socket of this machine, by asking the kernel.
#[must_use]
pub fn is_unix(stream: &TcpStream) -> bool {
    SockRef::from(stream).domain().is_ok_and(|domain| domain == Domain::UNIX)
}

/// Whether this end of a connection has this name, as connections have that came to a listener of this machine.
#[must_use]
pub fn is_named(stream: &TcpStream, name: UnixName) -> bool {
    let local = SockRef::from(stream).local_addr().ok();
    local.zip(unix::address(name).ok()).is_some_and(|(local, address)| {
        local.as_pathname() == address.as_pathname() && local.as_abstract_namespace() == address.as_abstract_namespace()
    })
}

/// Has small segments sent at once, though others are on the way (`TCP_NODELAY`, see tcp(7)).
pub fn send_at_once(stream: &TcpStream) {
    // Best effort: without it the connection is slower, not wrong.
    let _ = stream.set_nodelay(true);
}

/// Whether the connection's two ends are one socket (simultaneous open with itself; RFC 9293 section 3.5), of which one
/// has this port. One system call if it is not.
#[must_use]
pub fn met_itself(stream: &TcpStream, port: u16) -> bool {
    let Ok(local) = stream.local_addr() else { return false };
    local.port() == port && stream.peer_addr().is_ok_and(|peer| peer == local)
}

/// Bytes written to this socket that its peer has not acknowledged; 0 when the kernel does not tell. See tcp(7),
/// `SIOCOUTQ`.
#[must_use]
pub fn unacknowledged(stream: &TcpStream) -> u32 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open while borrowed, and TIOCOUTQ (SIOCOUTQ) writes one int.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { u32::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// Closes so that the peer sees a reset and not an end. Unsent bytes are discarded. A socket of this machine knows no
/// such thing: what was sent arrives, and the peer sees a reset only if it has sent what was not read.
pub fn reset(stream: TcpStream) {
    // Best effort: at worst the peer sees an end.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::socket_options::{ConnectOptions, SourceRange, Sources};
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn socket_of_this_machine_is_connected_at_once_or_says_why_not() {
        let path = std::env::temp_dir().join(format!("director-connect-{}", std::process::id()));
        let name = UnixName::new(path.to_str().unwrap()).unwrap();
        let addr = Endpoint::Unix(name);
        let blamed = |error: &io::Error| blame_at(addr, error);
        assert_eq!(blamed(&connect(addr).unwrap_err()), Blame::Host(Fault::Other(libc::ENOENT)));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let stream = connect(addr).unwrap();
        assert_eq!(peer(&stream).unwrap(), Endpoint::LOCAL);
        assert!(is_unix(&stream) && !is_named(&stream, name) && !met_itself(&stream, 0));
        let (accepted, _) = listener.accept().unwrap();
        let accepted = TcpStream::from_std(std::net::TcpStream::from(std::os::fd::OwnedFd::from(accepted)));
        (&stream).write_all(&[7; 2000]).unwrap();
        assert_eq!((discard(&accepted, 1500), discard(&accepted, 900), discard(&accepted, 1)), (1500, 500, 0));
        assert!(is_named(&accepted, name) && !is_named(&accepted, UnixName::new("@x").unwrap()));
        drop(listener);
        assert_eq!(blamed(&connect(addr).unwrap_err()), Blame::Host(Fault::Refused));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(blamed(&io::Error::from_raw_os_error(libc::EAGAIN)), Blame::Busy);
    }

    #[test]
    fn local_errors_blame_no_host() {
        for errno in [libc::EMFILE, libc::ENOMEM, libc::ENOBUFS, libc::EADDRNOTAVAIL, libc::ENOSPC] {
            assert_eq!(blame(&io::Error::from_raw_os_error(errno)), Blame::Local(errno));
        }
        assert_eq!(blame(&io::Error::from_raw_os_error(libc::ECONNREFUSED)), Blame::Host(Fault::Refused));
    }

    #[test]
    fn reset_connection_ends_in_a_reset_at_its_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = connect(listener.local_addr().unwrap().into()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        assert!(!met_itself(&stream, listener.local_addr().unwrap().port()));
        assert_eq!(unacknowledged(&stream), 0);
        reset(stream);
        assert_eq!(peer.read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    fn outbound(addr: SocketAddr, sources: &[&str]) -> Outbound {
        let ip = |text: &&str| text.parse().unwrap();
        let ranges: Vec<SourceRange> =
            sources.iter().map(|text| SourceRange::new(ip(text), ip(text)).unwrap()).collect();
        Outbound::new(addr.into(), ConnectOptions { source: Sources::new(&ranges), ..ConnectOptions::default() })
            .unwrap()
    }

    #[test]
    fn source_that_is_not_this_machines_is_passed_over_and_alone_is_a_local_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        // TEST-NET-2 of RFC 5737 is nobody's.
        let (stream, early) =
            connect_with(addr.into(), &outbound(addr, &["198.51.100.1", "127.0.0.9"]), 0, None).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!((peer.ip().to_string(), early), (String::from("127.0.0.9"), 0));
        assert_eq!(peer, stream.local_addr().unwrap());
        let error = connect_with(addr.into(), &outbound(addr, &["198.51.100.1", "198.51.100.2"]), 0, None).unwrap_err();
        assert_eq!(blame(&error), Blame::Local(libc::EADDRNOTAVAIL));
        assert!(probe_source("198.51.100.1".parse().unwrap()).is_err());
        assert!(probe_source("127.0.0.9".parse().unwrap()).is_ok());
    }

    #[test]
    fn bytes_looked_at_stay_until_they_are_discarded() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = connect(listener.local_addr().unwrap().into()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        assert_eq!(discard(&stream, 9), 0, "nothing is there");
        peer.write_all(b"0123456789").unwrap();
        let mut space = [MaybeUninit::uninit(); 4];
        while peek(&stream, &mut space).is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(peek(&stream, &mut space), b"0123");
        assert_eq!(discard(&stream, 4), 4);
        assert_eq!(peek(&stream, &mut space), b"4567");
        assert_eq!(discard(&stream, 99), 6, "no more than there is");
    }
}
