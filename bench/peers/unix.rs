//! The system calls that have no safe form in the crates at hand: the only unsafe code of the harness.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

/// A signal that asks a process to end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// For balancers: they end and take their workers along.
    Terminate,
    /// For strace: it detaches and writes its summary.
    Interrupt,
}

/// Sends `signal` to a process that the caller started and has not yet waited for.
pub(crate) fn send(signal: Signal, pid: u32) -> io::Result<()> {
    let number = match signal {
        Signal::Terminate => libc::SIGTERM,
        Signal::Interrupt => libc::SIGINT,
    };
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: kill takes no pointers.
    if unsafe { libc::kill(pid, number) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Makes the child end when the thread that starts it ends, so that a harness that is killed leaves nothing behind.
pub(crate) fn end_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec only prctl runs, which is async-signal-safe and takes no pointers here.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

/// Lets the calling thread run before all that wait their turn as usual (`man 7 sched`: SCHED_RR), and no child of it.
///
/// # Errors
/// Without the right to it (root or CAP_SYS_NICE); the thread then waits like all others.
pub(crate) fn run_first() -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameter lives until the call returns; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const parameter) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Bytes on their way from one socket to another without a detour through the memory of this process (`man 2 splice`).
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    /// A pipe with room for `bytes`, or for what the kernel gives every pipe when it grants no more.
    pub(crate) fn new(bytes: usize) -> io::Result<Self> {
        let bytes = libc::c_int::try_from(bytes).map_err(io::Error::other)?;
        let mut ends = [0; 2];
        // SAFETY: pipe2 writes two descriptors to an array of two.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both have just been made, and nobody else knows them.
        let [read, write] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        // SAFETY: fcntl takes no pointers with F_SETPIPE_SZ.
        let _granted = unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) };
        Ok(Self { read, write })
    }

    /// Moves up to `max` bytes from the socket into the pipe; 0 is the end of the socket's data.
    pub(crate) fn fill(&self, socket: &impl AsRawFd, max: usize) -> io::Result<usize> {
        splice(socket.as_raw_fd(), self.write.as_raw_fd(), max)
    }

    /// Moves up to `max` bytes from the pipe to the socket.
    pub(crate) fn drain(&self, socket: &impl AsRawFd, max: usize) -> io::Result<usize> {
        splice(self.read.as_raw_fd(), socket.as_raw_fd(), max)
    }
}

fn splice(from: RawFd, to: RawFd, max: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: the callers borrow what owns both descriptors, and without offsets no pointer is read.
    let moved = unsafe { libc::splice(from, ptr::null_mut(), to, ptr::null_mut(), max, flags) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}
