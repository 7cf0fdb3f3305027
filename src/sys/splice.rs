//! Moving bytes from socket to socket through a pipe, without a copy to user space. See splice(2) and pipe(7).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use mio::net::TcpStream;

/// A non-blocking pipe, and how many bytes are in it.
#[derive(Debug)]
pub struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    filled: usize,
}

impl Pipe {
    /// A pipe that holds `wanted` bytes, or fewer when the kernel grants no more (`pipe-max-size` and
    /// `pipe-user-pages-soft`, see pipe(7)). Returns with it how many it holds.
    ///
    /// # Errors
    /// What pipe2(2) answers: `EMFILE`, `ENFILE`.
    pub fn new(wanted: usize) -> io::Result<(Self, usize)> {
        let mut fds: [RawFd; 2] = [-1; 2];
        // SAFETY: `fds` is writable for two descriptors.
        if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: pipe2 has just returned these descriptors, and nobody else owns them.
        let [reader, writer] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let wanted = libc::c_int::try_from(wanted).unwrap_or(libc::c_int::MAX);
        // SAFETY: the descriptor is open; the call takes an int and touches no memory.
        let granted = match unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, wanted) } {
            // SAFETY: as above.
            -1 => unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_GETPIPE_SZ) },
            granted => granted,
        };
        Ok((Self { reader, writer, filled: 0 }, usize::try_from(granted).unwrap_or(0)))
    }

    /// Bytes in the pipe.
    #[must_use]
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Moves at most `most` bytes from the socket into the pipe. 0 bytes: the end of stream, or an urgent byte at which
    /// splice(2) stops; recv(2) tells which.
    ///
    /// # Errors
    /// What splice(2) answers. `EAGAIN`: the socket has nothing, if the pipe was empty.
    pub fn fill(&mut self, from: &TcpStream, most: usize) -> io::Result<usize> {
        let moved = splice(from.as_raw_fd(), self.writer.as_raw_fd(), most)?;
        self.filled += moved;
        Ok(moved)
    }

    /// Moves bytes from the pipe to the socket. Fewer than all: the socket's buffer is full, and epoll tells when it is
    /// not.
    ///
    /// # Errors
    /// What splice(2) answers. The signal that comes with `EPIPE` must be ignored, which Rust's start-up does.
    pub fn drain(&mut self, to: &TcpStream) -> io::Result<usize> {
        let moved = splice(self.reader.as_raw_fd(), to.as_raw_fd(), self.filled)?;
        self.filled = self.filled.saturating_sub(moved);
        Ok(moved)
    }
}

fn splice(from: RawFd, to: RawFd, most: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    loop {
        // SAFETY: both descriptors are open while borrowed by the callers, and the offsets may be null.
        let moved = unsafe { libc::splice(from, std::ptr::null_mut(), to, std::ptr::null_mut(), most, flags) };
        match usize::try_from(moved) {
            Ok(moved) => return Ok(moved),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream as Peer};

    fn connected() -> (TcpStream, Peer) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = Peer::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        (TcpStream::from_std(ours), listener.accept().unwrap().0)
    }

    #[test]
    fn bytes_pass_from_socket_to_socket() {
        let ((from, mut sender), (to, mut receiver)) = (connected(), connected());
        let (mut pipe, size) = Pipe::new(1 << 16).unwrap();
        assert!(size >= 1 << 16, "{size}");
        assert_eq!(pipe.fill(&from, size).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        sender.write_all(b"through").unwrap();
        // It is there at once: loopback delivers within the call.
        assert_eq!(pipe.fill(&from, size).unwrap(), 7);
        assert_eq!((pipe.drain(&to).unwrap(), pipe.filled()), (7, 0));
        let mut received = [0; 7];
        receiver.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"through");
        drop(sender);
        assert_eq!(pipe.fill(&from, size).unwrap(), 0);
    }

    #[test]
    fn drain_to_a_socket_whose_peer_left_fails_and_kills_nobody() {
        let ((from, mut sender), (to, receiver)) = (connected(), connected());
        let (mut pipe, size) = Pipe::new(1 << 16).unwrap();
        socket2::SockRef::from(&receiver).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(receiver);
        sender.write_all(b"lost").unwrap();
        assert_eq!(pipe.fill(&from, size).unwrap(), 4);
        assert!(pipe.drain(&to).is_err());
        assert!(pipe.drain(&to).is_err());
    }
}
