//! Socket options: set where something was asked for, and only there.
//!
//! What changes on an open socket is the difference between two sets of options; one that is no longer asked for gets
//! the value of a fresh socket.

use std::ffi::c_int;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::model::socket_options::{Congestion, Keepalive, ListenOptions, StreamOptions};

/// From `asm-generic/socket.h`; buffers whose size was set, a bit each, which the kernel does not tune.
const SO_BUF_LOCK: c_int = 72;

/// An option that the kernel does not take.
#[derive(Debug)]
pub struct Refused {
    /// Its name in the configuration.
    pub option: &'static str,
    /// What the kernel said.
    pub error: io::Error,
}

/// A number that setsockopt(2) takes.
#[derive(Clone, Copy)]
struct Number {
    name: &'static str,
    level: c_int,
    option: c_int,
    /// Nothing was asked for.
    value: Option<c_int>,
}

const fn number(name: &'static str, level: c_int, option: c_int, value: Option<c_int>) -> Number {
    Number { name, level, option, value }
}

/// Brings a listening or fresh socket from the old options to the new ones, the backlog left out.
pub(super) fn tune_listener(
    socket: BorrowedFd<'_>,
    old: &ListenOptions,
    new: &ListenOptions,
    refused: &mut dyn FnMut(Refused),
) {
    for (old, new) in listen_numbers(old).into_iter().zip(listen_numbers(new)) {
        change(socket, old, new, refused);
    }
    tune_stream(socket, &old.stream, &new.stream, refused);
}

/// Brings a socket from the old options to the new ones. A fresh one without options costs no system call.
pub(super) fn tune_stream(
    socket: BorrowedFd<'_>,
    old: &StreamOptions,
    new: &StreamOptions,
    refused: &mut dyn FnMut(Refused),
) {
    if old == new {
        return;
    }
    for (old, new) in stream_numbers(old).into_iter().zip(stream_numbers(new)) {
        change(socket, old, new, refused);
    }
    for (old, new) in buffer_numbers(old).into_iter().zip(buffer_numbers(new)) {
        change_buffer(socket, old, new, refused);
    }
    if old.congestion != new.congestion {
        let result = match &new.congestion {
            Some(name) => set_congestion(socket, name),
            None => reset_congestion(socket),
        };
        if let Err(error) = result {
            refused(Refused { option: "congestion", error });
        }
    }
}

/// Leaves the choice of the local port to connect(2). See ip(7), `IP_BIND_ADDRESS_NO_PORT`.
///
/// # Errors
/// What setsockopt(2) answers.
pub(super) fn bind_address_no_port(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

/// What the kernel does not take of these options, tried on a socket of no use.
///
/// # Errors
/// There is no socket.
pub fn try_options(options: &ListenOptions) -> io::Result<Vec<Refused>> {
    let socket = fresh(Domain::IPV4)?;
    let mut refused = Vec::new();
    tune_listener(socket.as_fd(), &ListenOptions::default(), options, &mut |one| refused.push(one));
    Ok(refused)
}

/// The socket buffers that this kernel would make of those asked for: receive and send, in bytes of payload.
///
/// # Errors
/// There is no socket.
pub fn try_buffers(options: &StreamOptions) -> io::Result<(u32, u32)> {
    let socket = fresh(Domain::IPV4)?;
    tune_stream(socket.as_fd(), &StreamOptions::default(), options, &mut |_| {});
    let half = |option| get(socket.as_fd(), libc::SOL_SOCKET, option).map(|bytes| bytes.unsigned_abs() / 2);
    Ok((half(libc::SO_RCVBUF)?, half(libc::SO_SNDBUF)?))
}

/// A setting of the kernel, such as `net/ipv4/tcp_fastopen`; none where it cannot be read.
#[must_use]
pub fn kernel_setting(name: &str) -> Option<String> {
    Some(fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().to_owned())
}

/// A setting that is a number.
#[must_use]
pub fn kernel_number(name: &str) -> Option<u32> {
    kernel_setting(name)?.parse().ok()
}

fn listen_numbers(options: &ListenOptions) -> [Number; 2] {
    let seconds = |time: Duration| c_int::try_from(time.as_secs()).unwrap_or(c_int::MAX);
    [
        number("defer-accept", libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, options.defer_accept.map(seconds)),
        number("fastopen", libc::IPPROTO_TCP, libc::TCP_FASTOPEN, options.fastopen.map(int)),
    ]
    .map(without_zero)
}

fn stream_numbers(options: &StreamOptions) -> [Number; 8] {
    let (keep, idle, interval, count) = match options.keepalive {
        None | Some(Keepalive::Off) => (None, None, None, None),
        Some(Keepalive::On { idle_s, interval_s, count }) => {
            (Some(1), Some(idle_s.into()), interval_s.map(c_int::from), count.map(c_int::from))
        }
    };
    let millis = |time: Duration| c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
    let (tcp, socket) = (libc::IPPROTO_TCP, libc::SOL_SOCKET);
    let others = [
        number("user-timeout", tcp, libc::TCP_USER_TIMEOUT, options.user_timeout.map(millis)),
        number("keepalive", tcp, libc::TCP_KEEPIDLE, idle),
        number("keepalive", tcp, libc::TCP_KEEPINTVL, interval),
        number("keepalive", tcp, libc::TCP_KEEPCNT, count),
        // After its times: it starts the clock.
        number("keepalive", socket, libc::SO_KEEPALIVE, keep),
        number("notsent-lowat", tcp, libc::TCP_NOTSENT_LOWAT, options.notsent_lowat.map(int)),
        number("busy-poll", socket, libc::SO_BUSY_POLL, options.busy_poll.map(int)),
    ]
    .map(without_zero);
    let [a, b, c, d, e, f, g] = others;
    [a, b, c, d, e, f, g, number("quick-ack", tcp, libc::TCP_QUICKACK, options.quick_ack.map(c_int::from))]
}

fn buffer_numbers(options: &StreamOptions) -> [Number; 2] {
    [
        number("receive-buffer", libc::SOL_SOCKET, libc::SO_RCVBUF, options.receive_buffer.map(int)),
        number("send-buffer", libc::SOL_SOCKET, libc::SO_SNDBUF, options.send_buffer.map(int)),
    ]
    .map(without_zero)
}

fn int(number: u32) -> c_int {
    c_int::try_from(number).unwrap_or(c_int::MAX)
}

/// A zero asks for what the kernel does anyway.
fn without_zero(number: Number) -> Number {
    Number { value: number.value.filter(|value| *value != 0), ..number }
}

fn change(socket: BorrowedFd<'_>, old: Number, new: Number, refused: &mut dyn FnMut(Refused)) {
    let Number { name: option, level, option: number, .. } = new;
    let result = match (old.value, new.value) {
        (old, new) if old == new => Ok(()),
        (_, Some(value)) => set(socket, level, number, value),
        (_, None) => default(socket, level, number).and_then(|value| set(socket, level, number, value)),
    };
    if let Err(error) = result {
        refused(Refused { option, error });
    }
}

/// The kernel doubles a size that is set, for its own share, and no longer tunes it until it is told to.
fn change_buffer(socket: BorrowedFd<'_>, old: Number, new: Number, refused: &mut dyn FnMut(Refused)) {
    if old.value == new.value || new.value.is_some() {
        return change(socket, old, new, refused);
    }
    let Number { name: option, level, option: number, .. } = new;
    let bit = if number == libc::SO_RCVBUF { 2 } else { 1 };
    let tuned_again = || {
        set(socket, level, number, default(socket, level, number)? / 2)?;
        let locked = get(socket, libc::SOL_SOCKET, SO_BUF_LOCK)?;
        set(socket, libc::SOL_SOCKET, SO_BUF_LOCK, locked & !bit)
    };
    if let Err(error) = tuned_again() {
        refused(Refused { option, error });
    }
}

/// What a fresh socket of this one's kind has.
fn default(socket: BorrowedFd<'_>, level: c_int, option: c_int) -> io::Result<c_int> {
    get(fresh(SockRef::from(&socket).domain()?)?.as_fd(), level, option)
}

fn fresh(domain: Domain) -> io::Result<Socket> {
    Socket::new(domain, Type::STREAM.cloexec(), Some(Protocol::TCP))
}

fn set_congestion(socket: BorrowedFd<'_>, name: &Congestion) -> io::Result<()> {
    SockRef::from(&socket).set_tcp_congestion(name.as_str().as_bytes())
}

fn reset_congestion(socket: BorrowedFd<'_>) -> io::Result<()> {
    let socket = SockRef::from(&socket);
    socket.set_tcp_congestion(&fresh(socket.domain()?)?.tcp_congestion()?)
}

pub(super) fn set(socket: BorrowedFd<'_>, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<c_int>()).unwrap_or_default();
    // SAFETY: the descriptor is open while borrowed, and `value` is an int of the size that is said.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn get(socket: BorrowedFd<'_>, level: c_int, option: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut size = libc::socklen_t::try_from(size_of::<c_int>()).unwrap_or_default();
    // SAFETY: the descriptor is open while borrowed, and `value` is writable for the size that is said.
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut size) };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: c_int = libc::IPPROTO_TCP;

    fn all() -> ListenOptions {
        ListenOptions {
            backlog: None,
            defer_accept: Some(Duration::from_secs(7)),
            fastopen: Some(5),
            stream: StreamOptions {
                user_timeout: Some(Duration::from_millis(1500)),
                keepalive: Some(Keepalive::On { idle_s: 60, interval_s: Some(10), count: Some(3) }),
                congestion: Congestion::new("reno"),
                notsent_lowat: Some(16_384),
                busy_poll: None,
                receive_buffer: Some(65_536),
                send_buffer: Some(32_768),
                quick_ack: Some(false),
            },
        }
    }

    fn tune(socket: &Socket, old: &ListenOptions, new: &ListenOptions) {
        tune_listener(socket.as_fd(), old, new, &mut |refused| panic!("{refused:?}"));
    }

    fn numbers(socket: &Socket) -> Vec<c_int> {
        let tcp = [
            libc::TCP_DEFER_ACCEPT,
            libc::TCP_FASTOPEN,
            libc::TCP_USER_TIMEOUT,
            libc::TCP_KEEPIDLE,
            libc::TCP_KEEPINTVL,
            libc::TCP_KEEPCNT,
            libc::TCP_NOTSENT_LOWAT,
            libc::TCP_QUICKACK,
        ];
        let socket_level = [libc::SO_KEEPALIVE, libc::SO_RCVBUF, libc::SO_SNDBUF, SO_BUF_LOCK];
        let tcp = tcp.map(|option| (TCP, option));
        let socket_level = socket_level.map(|option| (libc::SOL_SOCKET, option));
        let both = tcp.into_iter().chain(socket_level);
        both.map(|(level, option)| get(socket.as_fd(), level, option).unwrap()).collect()
    }

    #[test]
    fn options_asked_for_are_set_and_taken_back_to_those_of_a_fresh_socket() {
        for domain in [Domain::IPV4, Domain::IPV6] {
            let socket = fresh(domain).unwrap();
            let (before, congestion) = (numbers(&socket), socket.tcp_congestion().unwrap());
            tune(&socket, &ListenOptions::default(), &all());
            assert_eq!(numbers(&socket), [7, 5, 1500, 60, 10, 3, 16_384, 0, 1, 131_072, 65_536, 3]);
            assert!(socket.tcp_congestion().unwrap().starts_with(b"reno\0"));
            tune(&socket, &all(), &ListenOptions::default());
            assert_eq!(numbers(&socket), before);
            assert_eq!(socket.tcp_congestion().unwrap(), congestion);
        }
    }

    #[test]
    fn keepalive_whose_interval_is_no_longer_asked_for_has_the_kernels() {
        let keepalive = |interval_s, count| ListenOptions {
            stream: StreamOptions {
                keepalive: Some(Keepalive::On { idle_s: 60, interval_s, count }),
                ..StreamOptions::default()
            },
            ..ListenOptions::default()
        };
        let kernels = get(fresh(Domain::IPV4).unwrap().as_fd(), TCP, libc::TCP_KEEPINTVL).unwrap();
        let socket = fresh(Domain::IPV4).unwrap();
        tune(&socket, &ListenOptions::default(), &keepalive(Some(11), Some(3)));
        tune(&socket, &keepalive(Some(11), Some(3)), &keepalive(None, None));
        assert_eq!(get(socket.as_fd(), TCP, libc::TCP_KEEPINTVL).unwrap(), kernels);
        assert_eq!(get(socket.as_fd(), TCP, libc::TCP_KEEPIDLE).unwrap(), 60);
        assert!(socket.keepalive().unwrap());
    }

    #[test]
    fn zero_asks_for_nothing() {
        let zero = ListenOptions {
            defer_accept: Some(Duration::ZERO),
            fastopen: Some(0),
            stream: StreamOptions { user_timeout: Some(Duration::ZERO), send_buffer: Some(0), ..all().stream },
            ..all()
        };
        let socket = fresh(Domain::IPV4).unwrap();
        let before = numbers(&socket);
        tune(&socket, &ListenOptions::default(), &zero);
        let after = numbers(&socket);
        assert_eq!((&after[..3], after[10], after[11]), (&before[..3], before[10], 2));
    }

    #[test]
    fn option_that_the_kernel_does_not_have_is_told_by_its_name() {
        let stream = StreamOptions { congestion: Congestion::new("nowhere"), ..StreamOptions::default() };
        let refused = try_options(&ListenOptions { stream, ..ListenOptions::default() }).unwrap();
        assert_eq!(refused.iter().map(|refused| refused.option).collect::<Vec<_>>(), ["congestion"]);
        assert!(try_options(&all()).unwrap().is_empty());
    }
}
