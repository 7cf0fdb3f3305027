//! The pipes of a pair whose bytes are not copied, one for each direction that has had any.

use std::io::{self, ErrorKind};

use super::pair::{End, Over, finish};
use crate::unix::Pipe;

/// Room in a pipe; the most that the kernel grants without privilege.
const PIPE_BYTES: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Pipes {
    to_host: Lane,
    to_client: Lane,
}

impl Pipes {
    /// Moves bytes both ways until there are none or they are not taken. `true` when nothing is in the pipes.
    pub(super) fn pump(&mut self, client: &mut End, host: &mut End) -> Result<bool, Over> {
        self.to_host.pump(client, host)?;
        self.to_client.pump(host, client)?;
        Ok(self.to_host.held == 0 && self.to_client.held == 0)
    }
}

/// One direction.
#[derive(Default)]
struct Lane {
    pipe: Option<Pipe>,
    /// Bytes in the pipe.
    held: usize,
}

impl Lane {
    fn pump(&mut self, from: &mut End, to: &mut End) -> Result<(), Over> {
        loop {
            if !self.drain(to)? || !from.readable || from.ended {
                return Ok(());
            }
            // The pipe is empty, so that whatever is not ready is the socket.
            match self.pipe()?.fill(&from.stream, PIPE_BYTES) {
                Ok(0) => {
                    from.ended = true;
                    finish(from, to);
                }
                Ok(count) => self.held = count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => from.readable = false,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// `true` when nothing is in the pipe any more.
    fn drain(&mut self, to: &End) -> Result<bool, Over> {
        while self.held > 0 {
            let held = self.held;
            match self.pipe()?.drain(&to.stream, held) {
                Ok(count) => self.held -= count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn pipe(&mut self) -> io::Result<&Pipe> {
        match &mut self.pipe {
            Some(pipe) => Ok(pipe),
            empty @ None => Ok(empty.insert(Pipe::new(PIPE_BYTES)?)),
        }
    }
}
