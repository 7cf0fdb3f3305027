//! The sockets that another process holds, for a look at their options.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use socket2::{Protocol, Socket};

use super::process::Process;

/// Copies of every TCP socket that the process holds: the same sockets, so that they stay open until dropped.
pub fn sockets(process: Process) -> Vec<Socket> {
    let holder = pidfd(process);
    let entries = fs::read_dir(format!("/proc/{}/fd", process.0)).expect("the process lives");
    let sockets = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let target = fs::read_link(&path).ok()?;
        target.to_string_lossy().starts_with("socket:").then_some(())?;
        let socket = Socket::from(copy(&holder, path.file_name()?.to_string_lossy().parse().ok()?)?);
        (socket.protocol().ok()? == Some(Protocol::TCP)).then_some(socket)
    });
    sockets.collect()
}

/// Its listening sockets on this address.
pub fn listening(process: Process, addr: SocketAddr) -> Vec<Socket> {
    let mut sockets = sockets(process);
    sockets.retain(|socket| socket.is_listener().is_ok_and(|is| is) && local(socket) == Some(addr));
    sockets
}

/// Its connections whose other end is this address.
pub fn connections(process: Process, peer: SocketAddr) -> Vec<Socket> {
    let mut sockets = sockets(process);
    sockets.retain(|socket| socket.peer_addr().ok().and_then(|addr| addr.as_socket()) == Some(peer));
    sockets
}

/// The value of an option that is a number.
#[track_caller]
pub fn number(socket: &Socket, level: libc::c_int, option: libc::c_int) -> libc::c_int {
    let mut value: libc::c_int = 0;
    let mut size = libc::socklen_t::try_from(size_of_val(&value)).unwrap();
    // SAFETY: the descriptor is open while borrowed, and `value` is writable for the size that is said.
    #[allow(unsafe_code)]
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut size) };
    assert_eq!(result, 0, "option {level}/{option}: {}", std::io::Error::last_os_error());
    value
}

fn local(socket: &Socket) -> Option<SocketAddr> {
    socket.local_addr().ok()?.as_socket()
}

fn pidfd(process: Process) -> OwnedFd {
    // SAFETY: pidfd_open takes two integers.
    #[allow(unsafe_code)]
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, process.0, 0) };
    owned(result).unwrap_or_else(|| panic!("pidfd_open {}: {}", process.0, std::io::Error::last_os_error()))
}

/// None when it was closed meanwhile.
fn copy(holder: &OwnedFd, descriptor: RawFd) -> Option<OwnedFd> {
    // SAFETY: pidfd_getfd takes three integers; `holder` is open while borrowed.
    #[allow(unsafe_code)]
    let result = unsafe { libc::syscall(libc::SYS_pidfd_getfd, holder.as_raw_fd(), descriptor, 0) };
    owned(result)
}

fn owned(result: libc::c_long) -> Option<OwnedFd> {
    let descriptor = RawFd::try_from(result).ok().filter(|descriptor| *descriptor >= 0)?;
    // SAFETY: the kernel has just returned this descriptor, and nobody else owns it.
    #[allow(unsafe_code)]
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
