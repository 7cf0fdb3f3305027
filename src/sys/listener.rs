//! Listening sockets: one a reactor on the same address, or one for all of them on a name of this machine; watched
//! level-triggered.
//!
//! mio registers edge-triggered only. A listener must be level-triggered so that accepting may stop at any point of
//! the queue (a batch bound, an error, a limit) without a probing accept and without losing a wake-up.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use mio::{Poll, Token};
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, SockRef, Socket, Type};

use super::options::{self, Refused};
use super::socket_file::SocketFile;
use super::unix::{self, Rights};
use crate::model::address::{Endpoint, UnixName};
use crate::model::limits::BACKLOG;
use crate::model::socket_options::{ListenOptions, StreamOptions};

/// Binds and listens on `addr` with a socket of its own (`SO_REUSEPORT`), non-blocking.
///
/// Accepted connections inherit `TCP_NODELAY` and `SO_OOBINLINE` from it, which saves two system calls each. An IPv6
/// wildcard takes IPv6 clients only, so that `*:80` and `[::]:80` may stand side by side.
///
/// # Errors
/// What the system calls answer: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`.
pub fn listen(addr: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    listen_with(addr, &ListenOptions { backlog: Some(backlog), ..ListenOptions::default() })
}

/// As [`listen`], with further options, which accepted connections inherit as far as they are the stream's: that costs
/// no system call a connection. The listener works without those that the kernel does not take; see
/// [`options::try_options`].
///
/// # Errors
/// As [`listen`].
pub fn listen_with(addr: SocketAddr, options: &ListenOptions) -> io::Result<TcpListener> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::for_address(addr), kind, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Options are best effort: a connection without them is slower, not wrong.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_out_of_band_inline(true);
    // Before the first handshake, because the window's scale is agreed on in it.
    let fresh = ListenOptions::default();
    let lasting = ListenOptions { stream: StreamOptions { quick_ack: None, ..options.stream }, ..*options };
    options::tune_listener(socket.as_fd(), &fresh, &lasting, &mut |_| {});
    socket.bind(&addr.into())?;
    socket.listen(length(options.backlog))?;
    // listen(2) starts acknowledgements afresh.
    options::tune_listener(socket.as_fd(), &lasting, options, &mut |_| {});
    Ok(socket.into())
}

/// Gives a listening socket other options, for the connections that it accepts from now on; those in its queue have
/// the old ones. The socket stays open and keeps its queue.
pub fn retune(listener: &TcpListener, old: &ListenOptions, new: &ListenOptions, refused: &mut dyn FnMut(Refused)) {
    options::tune_listener(listener.as_fd(), old, new, refused);
    if old.backlog != new.backlog
        && let Err(error) = SockRef::from(listener).listen(length(new.backlog))
    {
        refused(Refused { option: "backlog", error });
    }
}

fn length(backlog: Option<u32>) -> i32 {
    i32::try_from(backlog.unwrap_or(BACKLOG)).unwrap_or(i32::MAX)
}

/// Whether somebody else listens on `addr` already. Reuseport lets two balancers of one user share a port unseen,
/// so that the first listener of an address must be tried without it.
///
/// # Errors
/// What bind(2) answers, `EADDRINUSE` among it.
pub fn probe_free(addr: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())
}

/// Listens on a socket of this machine, non-blocking, with the options that it has. What is returned speaks no TCP,
/// whatever its type says: it is a stream socket like one. See unix(7).
///
/// # Errors
/// What the system calls answer, and what [`SocketFile::listen`] finds in the way.
pub fn listen_unix(
    name: UnixName,
    rights: Rights,
    options: &ListenOptions,
) -> io::Result<(TcpListener, Option<SocketFile>)> {
    let backlog = length(options.backlog);
    let (socket, file) = match name.path() {
        Some(path) => SocketFile::listen(path, rights, backlog).map(|(socket, file)| (socket, Some(file)))?,
        None => (unix::listen_abstract(name, backlog)?, None),
    };
    let listener = TcpListener::from(socket);
    options::tune_listener(listener.as_fd(), &ListenOptions::default(), options, &mut |_| {});
    Ok((listener, file))
}

/// Takes one connection off the queue, non-blocking, with accept4(2).
///
/// # Errors
/// What accept4(2) answers.
pub fn accept(listener: &TcpListener) -> io::Result<(TcpStream, Endpoint)> {
    let mut storage = SockAddrStorage::zeroed();
    let mut len = storage.size_of();
    // SAFETY: `storage` is writable for `len` bytes, and the listener's descriptor is open while borrowed.
    let fd = unsafe {
        libc::accept4(
            listener.as_raw_fd(),
            (&raw mut storage).cast(),
            &raw mut len,
            libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: accept4 has just returned this descriptor, and nobody else owns it.
    let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
    // SAFETY: accept4 wrote an address of `len` bytes into `storage`.
    let peer = unsafe { SockAddr::new(storage, len) };
    match peer.as_socket() {
        Some(addr) => Ok((stream, Endpoint::Ip(addr))),
        None if peer.is_unix() => {
            // TCP's have it from their listener. Best effort: without it a connection loses the mark of urgent data.
            let _ = SockRef::from(&stream).set_out_of_band_inline(true);
            Ok((stream, Endpoint::LOCAL))
        }
        None => Err(io::Error::from_raw_os_error(libc::EPROTO)),
    }
}

/// Connections that wait to be accepted; 0 when the kernel does not tell, as of sockets of this machine. For a listening socket the field that counts
/// segments elsewhere holds the length of its queue (`tcp_info`, see tcp(7)).
#[must_use]
pub fn queued(listener: &impl AsRawFd) -> usize {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut len = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).unwrap_or(0);
    // SAFETY: `info` is writable for `len` bytes, and the listener's descriptor is open while borrowed.
    let result = unsafe {
        libc::getsockopt(listener.as_raw_fd(), libc::SOL_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &raw mut len)
    };
    // SAFETY: all of it is integers, for which zeros are valid, and the kernel wrote the rest.
    let info = unsafe { info.assume_init() };
    if result == 0 { usize::try_from(info.tcpi_unacked).unwrap_or(0) } else { 0 }
}

/// Watches a listener, or any socket, level-triggered under `token`, or changes whether a watched one is.
///
/// # Errors
/// What epoll_ctl(2) answers.
pub fn watch(poll: &Poll, listener: &impl AsRawFd, token: Token, armed: bool) -> io::Result<()> {
    let events = if armed { u32::try_from(libc::EPOLLIN).unwrap_or(1) } else { 0 };
    let mut event = libc::epoll_event { events, u64: token.0 as u64 };
    for op in [libc::EPOLL_CTL_MOD, libc::EPOLL_CTL_ADD] {
        // SAFETY: both descriptors are open while borrowed, and `event` is a valid epoll_event.
        if unsafe { libc::epoll_ctl(poll.as_raw_fd(), op, listener.as_raw_fd(), &raw mut event) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if op == libc::EPOLL_CTL_ADD || error.raw_os_error() != Some(libc::ENOENT) {
            return Err(error);
        }
    }
    Ok(())
}

/// As [`watch`], of a listener that several polls watch: one of them at least is told of each that comes, not all
/// (`EPOLLEXCLUSIVE`, see epoll_ctl(2)). One that is watched anew stands last in line.
///
/// # Errors
/// What epoll_ctl(2) answers.
pub fn watch_shared(poll: &Poll, listener: &TcpListener, token: Token, armed: bool) -> io::Result<()> {
    unwatch(poll, listener);
    if !armed {
        return Ok(());
    }
    let events = u32::try_from(libc::EPOLLIN | libc::EPOLLEXCLUSIVE).unwrap_or(1 | 1 << 28);
    let mut event = libc::epoll_event { events, u64: token.0 as u64 };
    // SAFETY: both descriptors are open while borrowed, and `event` is a valid epoll_event.
    let result =
        unsafe { libc::epoll_ctl(poll.as_raw_fd(), libc::EPOLL_CTL_ADD, listener.as_raw_fd(), &raw mut event) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has a listener refuse who comes from now on, whoever else keeps it open. What is in its queue can still be accepted
/// where it is a socket of this machine.
pub fn refuse(listener: &TcpListener) {
    // A failure means that it does not listen, which is what was wanted.
    let _ = SockRef::from(listener).shutdown(Shutdown::Both);
}

/// Ends the watch of a socket that other owners keep open.
pub fn unwatch(poll: &Poll, listener: &impl AsRawFd) {
    // SAFETY: both descriptors are open while borrowed; a null event is allowed for EPOLL_CTL_DEL.
    // A failure means that it was not watched, which is what was wanted.
    let _ =
        unsafe { libc::epoll_ctl(poll.as_raw_fd(), libc::EPOLL_CTL_DEL, listener.as_raw_fd(), std::ptr::null_mut()) };
}

/// Ends the watch of a listener and stops listening, whoever else keeps it open: its address refuses connections from
/// now on, and what is still in its queue is reset. See shutdown(2), which on Linux ends a listening socket.
pub fn close(poll: &Poll, listener: &TcpListener) {
    unwatch(poll, listener);
    refuse(listener);
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Events;
    use std::net::TcpStream as Client;
    use std::time::Duration;

    fn local(backlog: u32) -> (TcpListener, SocketAddr) {
        let listener = listen("127.0.0.1:0".parse().unwrap(), backlog).unwrap();
        let addr = listener.local_addr().unwrap();
        (listener, addr)
    }

    #[test]
    fn watched_listener_reports_again_until_its_queue_is_empty() {
        let (listener, addr) = local(8);
        let mut poll = Poll::new().unwrap();
        watch(&poll, &listener, Token(3), true).unwrap();
        let _clients = [Client::connect(addr).unwrap(), Client::connect(addr).unwrap()];
        assert_eq!(queued(&listener), 2);
        let mut events = Events::with_capacity(4);
        for _ in 0..2 {
            poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
            assert_eq!(events.iter().next().unwrap().token(), Token(3));
            accept(&listener).unwrap();
        }
        assert_eq!(accept(&listener).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn disarmed_listener_is_silent_and_armed_again_reports_what_waited() {
        let (listener, addr) = local(8);
        let mut poll = Poll::new().unwrap();
        watch(&poll, &listener, Token(3), true).unwrap();
        watch(&poll, &listener, Token(3), false).unwrap();
        let client = Client::connect(addr).unwrap();
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::from_millis(20))).unwrap();
        assert!(events.is_empty());
        watch(&poll, &listener, Token(3), true).unwrap();
        poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert!(!events.is_empty());
        assert_eq!(accept(&listener).unwrap().1, client.local_addr().unwrap().into());
    }

    #[test]
    fn closed_listener_refuses_though_somebody_keeps_it_open() {
        let (listener, addr) = local(8);
        let poll = Poll::new().unwrap();
        watch(&poll, &listener, Token(3), true).unwrap();
        close(&poll, &listener);
        assert_eq!(Client::connect(addr).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn shared_listener_wakes_one_and_serves_its_queue_after_it_refuses() {
        let name = UnixName::new(&format!("@director-shared-{}", std::process::id())).unwrap();
        let connect = || super::super::socket::connect(Endpoint::Unix(name));
        let options = ListenOptions { backlog: Some(2), ..ListenOptions::default() };
        let (listener, file) = listen_unix(name, Rights::of_group(None), &options).unwrap();
        assert!(file.is_none());
        let mut polls = [Poll::new().unwrap(), Poll::new().unwrap()];
        polls.iter().for_each(|poll| watch_shared(poll, &listener, Token(3), true).unwrap());
        let clients = [connect().unwrap(), connect().unwrap(), connect().unwrap()];
        assert_eq!(connect().unwrap_err().raw_os_error(), Some(libc::EAGAIN), "backlog and one");
        let mut events = Events::with_capacity(4);
        let mut woken = 0;
        for poll in &mut polls {
            poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
            woken += events.iter().count();
        }
        assert!(woken > 0, "level-triggered: whoever looks sees it");
        assert_eq!(accept(&listener).unwrap().1, Endpoint::LOCAL);
        refuse(&listener);
        assert_eq!(connect().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert!(accept(&listener).is_ok() && accept(&listener).is_ok(), "they were there before");
        assert_eq!(accept(&listener).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(clients);
    }

    #[test]
    fn taken_address_is_told() {
        let (_listener, addr) = local(8);
        assert_eq!(probe_free(addr).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(listen(addr, 8).is_ok(), "reuseport shares it");
    }
}
