//! Sockets of datagrams: those that clients send to, and those that hosts are reached through.
//!
//! See udp(7), ip(7) and ipv6(7). Many datagrams are moved in one call, see [`Batch`].

mod batch;
mod header;
mod send;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

pub use batch::{Batch, Outgoing, Received, SPARE, Unreached};

use super::options::{self, Refused};
use crate::model::limits::DATAGRAM_BUFFER_BYTES;
use crate::model::socket_options::{ListenOptions, StreamOptions};

/// Not in every version of the C library's headers; see udp(7).
const UDP_GRO: libc::c_int = 104;

/// Binds a socket of its own to a listener's address (`SO_REUSEPORT`), non-blocking. A hash of both addresses decides
/// to which of an address's sockets a datagram comes, so that all of one client come to one of them.
///
/// What it receives says which of this machine's addresses was asked, if it is bound to all of them, and what was lost
/// for lack of room.
///
/// # Errors
/// What the system calls answer: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`.
pub fn bind(addr: SocketAddr, options: &ListenOptions) -> io::Result<UdpSocket> {
    let socket = open(addr)?;
    socket.set_reuse_port(true)?;
    if addr.ip().is_unspecified() {
        let (level, option) = match addr {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        };
        // Without it answers would come from an address that the client has not asked.
        options::set(socket.as_fd(), level, option, 1)?;
    }
    tune(socket.as_fd(), &options.stream, &mut |_| {});
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// Fails if somebody else is bound to this address, also if he would share it.
///
/// # Errors
/// `EADDRINUSE`, or what else bind(2) answers.
pub fn probe_free(addr: SocketAddr) -> io::Result<()> {
    open(addr)?.bind(&addr.into())
}

/// A socket for datagrams to hosts of this family, non-blocking, from this local address. It tells what could not be
/// reached through [`Batch::take_unreached`].
///
/// # Errors
/// What the system calls answer: `EMFILE`, `ENOBUFS`; `EADDRNOTAVAIL` for a source that is not this machine's.
pub fn towards_hosts(is_v6: bool, source: Option<IpAddr>, options: &StreamOptions) -> io::Result<UdpSocket> {
    let any = if is_v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    let addr = SocketAddr::new(source.unwrap_or(any), 0);
    let socket = open(addr)?;
    let (level, option) =
        if is_v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) } else { (libc::IPPROTO_IP, libc::IP_RECVERR) };
    options::set(socket.as_fd(), level, option, 1)?;
    tune(socket.as_fd(), options, &mut |_| {});
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// Sets the sizes of a socket's buffers and how long a read polls the device; the other options are of connections.
pub fn tune(socket: BorrowedFd<'_>, options: &StreamOptions, refused: &mut dyn FnMut(Refused)) {
    let sizes = [
        ("receive-buffer", libc::SO_RCVBUF, Some(options.receive_buffer.unwrap_or(DATAGRAM_BUFFER_BYTES))),
        ("send-buffer", libc::SO_SNDBUF, Some(options.send_buffer.unwrap_or(DATAGRAM_BUFFER_BYTES))),
        ("busy-poll", libc::SO_BUSY_POLL, options.busy_poll),
    ];
    for (name, option, value) in sizes {
        let Some(value) = value.filter(|value| *value > 0) else { continue };
        let value = libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX);
        if let Err(error) = options::set(socket, libc::SOL_SOCKET, option, value) {
            refused(Refused { option: name, error });
        }
    }
}

/// Takes a socket out of those that share its address: what clients send from now on comes to the others, or is refused
/// if there are none. What is in its queue stays, and answers can still be sent through it.
///
/// # Errors
/// What connect(2) answers.
pub fn leave(socket: &UdpSocket) -> io::Result<()> {
    // A connected socket receives from its peer alone; the port is for discarding (RFC 863).
    let nobody = match socket.local_addr()? {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SockRef::from(socket).connect(&SocketAddr::new(nobody, 9).into())
}

/// The local address that datagrams to this one leave from, which the kernel chooses by its routes.
///
/// # Errors
/// What socket(2) and connect(2) answer.
pub fn source_towards(addr: SocketAddr) -> io::Result<IpAddr> {
    let socket = open(addr)?;
    socket.connect(&addr.into())?;
    let local = socket.local_addr()?.as_socket();
    local.map(|local| local.ip()).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn open(addr: SocketAddr) -> io::Result<Socket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::for_address(addr), kind, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Best effort: without them datagrams come one by one, and losses are not told.
    let _ = options::set(socket.as_fd(), libc::IPPROTO_UDP, UDP_GRO, 1);
    let _ = options::set(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1);
    Ok(socket)
}
