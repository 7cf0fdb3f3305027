//! Which of the sockets on one address a connection comes to: by the processor that its first packet arrived on, so that
//! it stays there. Without it the kernel takes a hash of the addresses.

use std::io;
use std::mem::size_of;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// How connections are spread over the sockets of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Steering {
    /// By a hash of the addresses.
    #[default]
    Hash,
    /// To the socket of the processor that the first packet arrived on, by a classic BPF program; the processor of each
    /// socket, in the order in which they listen.
    Program(Vec<usize>),
    /// The same by the kernel's own choice (`SO_INCOMING_CPU`, Linux 6.2 and later): when the processor has no socket, a
    /// hash decides.
    Incoming(Vec<usize>),
}

/// Has connections spread over these sockets, all that listen on one address, in the order in which they began to.
///
/// # Errors
/// What setsockopt(2) answers. Then the kernel's hash goes on deciding.
pub fn steer(listeners: &[impl AsRawFd], steering: &Steering) -> io::Result<()> {
    match steering {
        Steering::Hash => Ok(()),
        Steering::Program(cpus) => match listeners.first() {
            Some(first) => attach(first, &program(cpus)),
            None => Ok(()),
        },
        Steering::Incoming(cpus) => {
            listeners.iter().zip(cpus).try_for_each(|(listener, cpu)| set_incoming_cpu(listener, *cpu))
        }
    }
}

/// The processor that the last packet of a connection was handled on; `None` when the kernel does not tell. See
/// socket(7), `SO_INCOMING_CPU`.
#[must_use]
pub fn incoming_cpu(stream: &TcpStream) -> Option<usize> {
    let mut cpu: libc::c_int = -1;
    let mut len = libc::socklen_t::try_from(size_of::<libc::c_int>()).ok()?;
    // SAFETY: the descriptor is open while borrowed, and `cpu` is writable for `len` bytes.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_INCOMING_CPU,
            (&raw mut cpu).cast(),
            &raw mut len,
        )
    };
    if result == 0 { usize::try_from(cpu).ok() } else { None }
}

/// The processor that the calling thread runs on; no system call where the kernel maps that into every process.
#[must_use]
pub fn current_cpu() -> Option<usize> {
    // SAFETY: the call takes nothing and touches no memory of ours.
    usize::try_from(unsafe { libc::sched_getcpu() }).ok()
}

fn set_incoming_cpu(listener: &impl AsRawFd, cpu: usize) -> io::Result<()> {
    let cpu = libc::c_int::try_from(cpu).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    set(listener, libc::SO_INCOMING_CPU, &cpu)
}

fn attach(listener: &impl AsRawFd, program: &[libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    set(listener, libc::SO_ATTACH_REUSEPORT_CBPF, &libc::sock_fprog { len, filter: program.as_ptr().cast_mut() })
}

fn set<T>(listener: &impl AsRawFd, option: libc::c_int, value: &T) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the descriptor is open while borrowed, and `value` is readable for `len` bytes; what a program points to
    // lives as long as the call, which copies it.
    let result = unsafe {
        libc::setsockopt(listener.as_raw_fd(), libc::SOL_SOCKET, option, std::ptr::from_ref(value).cast(), len)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Loads the processor's number; returns the number of the socket that is for it. Processors that no socket is for are
/// spread evenly. See the kernel's Documentation/networking/filter.rst.
fn program(cpus: &[usize]) -> Vec<libc::sock_filter> {
    let one =
        |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k };
    let ancillary = u32::from_ne_bytes((libc::SKF_AD_OFF + libc::SKF_AD_CPU).to_ne_bytes());
    let mut program = vec![one(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, ancillary)];
    for (number, cpu) in (0..).zip(cpus) {
        let cpu = u32::try_from(*cpu).unwrap_or(u32::MAX);
        program.push(one(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, cpu));
        program.push(one(libc::BPF_RET | libc::BPF_K, 0, 0, number));
    }
    let count = u32::try_from(cpus.len()).unwrap_or(u32::MAX).max(1);
    program.push(one(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, 0, 0, count));
    program.push(one(libc::BPF_RET | libc::BPF_A, 0, 0, 0));
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{cpu, listener};
    use std::net::{SocketAddr, TcpListener};
    use std::thread;

    /// Two sockets on one address, of which the second one is for this processor.
    fn sockets(steering: &Steering) -> (SocketAddr, [TcpListener; 2]) {
        let first = listener::listen("127.0.0.1:0".parse().unwrap(), 64).unwrap();
        let addr = first.local_addr().unwrap();
        let both = [first, listener::listen(addr, 64).unwrap()];
        steer(&both, steering).unwrap();
        (addr, both)
    }

    /// How many of 20 connections from this processor come to each of the sockets.
    fn shares(cpu: usize, steering: &Steering) -> [usize; 2] {
        let (addr, sockets) = sockets(steering);
        let clients = thread::spawn(move || {
            cpu::pin(cpu).unwrap();
            (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect::<Vec<_>>()
        });
        let _clients = clients.join().unwrap();
        sockets.map(|socket| std::iter::from_fn(|| listener::accept(&socket).ok()).count())
    }

    #[test]
    fn connections_come_to_the_socket_of_the_processor_they_arrive_on() {
        // On loopback they arrive where they are made.
        let here = cpu::allowed().unwrap()[0];
        for steering in [Steering::Program, Steering::Incoming] {
            assert_eq!(shares(here, &steering(vec![usize::MAX >> 40, here])), [0, 20]);
            assert_eq!(shares(here, &steering(vec![here, usize::MAX >> 40])), [20, 0]);
        }
        let hashed = shares(here, &Steering::Hash);
        assert!(hashed[0] > 0 && hashed[1] > 0, "{hashed:?}");
    }

    #[test]
    fn processor_of_a_connection_is_told() {
        let here = cpu::allowed().unwrap()[0];
        let (addr, [first, second]) = sockets(&Steering::Hash);
        let client = thread::spawn(move || {
            cpu::pin(here).unwrap();
            assert_eq!(current_cpu(), Some(here));
            TcpStream::connect(addr).unwrap()
        });
        let _client = client.join().unwrap();
        let (stream, _) = listener::accept(&first).or_else(|_| listener::accept(&second)).unwrap();
        assert_eq!(incoming_cpu(&stream), Some(here));
    }
}
