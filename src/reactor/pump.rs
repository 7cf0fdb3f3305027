//! Moving bytes in one direction. They are read into the scratch buffer and written at once, and what the receiver will
//! not take is held. A direction that keeps filling what it is read into gets a larger part of the scratch buffer, then
//! a pipe, through which its bytes pass without being copied, until it falters.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

use super::buffers::{Buffers, Held, Way};
use super::pair::{End, Flow};
use crate::model::limits::{PIPE_BYTES, STREAK_MAX};
use crate::sys::socket;

/// Why pumping stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Nothing to do until an event.
    Idle,
    /// The byte budget is spent; the kernel will not tell again.
    Budget,
    /// No buffer could be leased if one were needed.
    NoBuffer,
    /// The kernel had no memory; worth another try soon.
    NoMemory,
}

enum Wrote {
    /// So many bytes. If they are not all, the socket is full, and an event tells when it is not.
    Some(usize),
    Blocked,
    NoMemory,
    Broken,
}

/// What one step came to: go on, or not.
type Step = Result<(), Stopped>;

/// Moves what there is from `from` to `to`, `budget` bytes and one read more at most. Every byte that was read is
/// written or held.
pub(super) fn pump(from: &mut End, to: &mut End, flow: &mut Flow, buffers: &mut Buffers, mut budget: usize) -> Stopped {
    loop {
        if let Err(stopped) = flush(to, flow, buffers) {
            return stopped;
        }
        if !from.readable || from.read_done || to.broken {
            return Stopped::Idle;
        }
        if budget == 0 {
            return Stopped::Budget;
        }
        let before = flow.moved;
        // A pipe loses urgent bytes.
        let streak = if from.urgent { 0 } else { flow.streak };
        let step = match buffers.way(streak) {
            None => Err(Stopped::NoBuffer),
            Some(Way::Copy(most)) => copy(from, to, flow, buffers, most),
            Some(Way::Splice(pipe)) => splice(from, flow, buffers, pipe, budget),
        };
        if let Err(stopped) = step {
            return stopped;
        }
        budget = budget.saturating_sub(usize::try_from(flow.moved - before).unwrap_or(usize::MAX));
    }
}

/// Writes what the receiver gets before all that the sender says: nothing has been moved before. What it will not take
/// now is held, so that the first [`pump`] goes on with it.
pub(super) fn begin_with(to: &mut End, flow: &mut Flow, buffers: &mut Buffers, bytes: &[u8]) {
    if let Some(room) = buffers.scratch.get_mut(..bytes.len()) {
        room.copy_from_slice(bytes);
        // Why it stopped shows when the rest is written.
        let _ = forward(to, flow, buffers, bytes.len());
    }
}

/// Reads once, and writes that.
fn copy(from: &mut End, to: &mut End, flow: &mut Flow, buffers: &mut Buffers, most: usize) -> Step {
    let Some(socket) = &mut from.socket else { return Err(Stopped::Idle) };
    match read(socket, &mut buffers.scratch[..most]) {
        Ok(0) => {
            from.read_done = true;
            Err(Stopped::Idle)
        }
        Ok(count) => {
            flow.moved += count as u64;
            buffers.count_copied(count);
            let is_short = count < most;
            flow.streak = if is_short { 0 } else { (flow.streak + 1).min(STREAK_MAX) };
            // A short read took all there was; only an end of stream or urgent data may still stand behind it.
            from.readable = !is_short || from.read_on;
            if is_short && from.ended {
                from.read_done = true;
            }
            forward(to, flow, buffers, count)
        }
        Err(error) => Err(refused(from, &error)),
    }
}

/// Fills a pipe. The next [`flush`] empties it.
fn splice(from: &mut End, flow: &mut Flow, buffers: &mut Buffers, mut held: Box<Held>, most: usize) -> Step {
    let (Held::Piped(pipe), Some(socket)) = (&mut *held, &from.socket) else {
        buffers.give_back(held);
        return Err(Stopped::Idle);
    };
    // Buffers may be larger than pipes.
    let least = buffers.size().min(PIPE_BYTES);
    match pipe.fill(socket, most.clamp(least, PIPE_BYTES)) {
        Ok(count) if count > 0 => {
            flow.moved += count as u64;
            buffers.count_spliced(count);
            // A short move is no end: a pipe may be full of small pieces. Too many of them, and a copy is cheaper.
            let step = if count < least { flow.streak - 1 } else { flow.streak + 1 };
            flow.streak = step.min(STREAK_MAX);
            flow.held = Some(held);
            return Ok(());
        }
        Ok(_) => flow.streak = 0,
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
            flow.streak = 0;
            buffers.give_up_splicing();
        }
        Err(error) => {
            buffers.give_back(held);
            return Err(refused(from, &error));
        }
    }
    // A read tells what it is.
    buffers.give_back(held);
    Ok(())
}

/// Writes what is held. `Ok`: nothing is held any more.
fn flush(to: &mut End, flow: &mut Flow, buffers: &mut Buffers) -> Step {
    let Some(held) = flow.held.as_deref_mut() else { return Ok(()) };
    let (wrote, over) = match held {
        Held::Copied(copied) => {
            let wrote = write(to, copied.rest());
            let over = if let Wrote::Some(count) = wrote { copied.consume(count) } else { false };
            (wrote, over)
        }
        Held::Piped(pipe) => {
            let wrote = written(to, |socket| pipe.drain(socket));
            (wrote, pipe.filled() == 0)
        }
    };
    match wrote {
        Wrote::Some(_) | Wrote::Blocked if !over => Err(Stopped::Idle),
        Wrote::NoMemory => Err(Stopped::NoMemory),
        Wrote::Some(_) | Wrote::Blocked | Wrote::Broken => {
            flow.discard(buffers);
            Ok(())
        }
    }
}

/// Writes the first bytes of the scratch buffer and holds what is not taken.
fn forward(to: &mut End, flow: &mut Flow, buffers: &mut Buffers, count: usize) -> Step {
    let wrote = write(to, &buffers.scratch[..count]);
    let (taken, stopped) = match wrote {
        Wrote::Broken => return Ok(()),
        Wrote::Some(taken) if taken == count => return Ok(()),
        Wrote::Some(taken) => (taken, Stopped::Idle),
        Wrote::Blocked => (0, Stopped::Idle),
        Wrote::NoMemory => (0, Stopped::NoMemory),
    };
    flow.held = Some(buffers.hold(taken, count));
    Err(stopped)
}

fn read(socket: &mut TcpStream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Why nothing was read.
fn refused(from: &mut End, error: &io::Error) -> Stopped {
    if error.kind() == ErrorKind::WouldBlock {
        from.readable = false;
    } else if is_shortage(error) {
        return Stopped::NoMemory;
    } else {
        (from.broken, from.read_done) = (true, true);
    }
    Stopped::Idle
}

fn write(to: &mut End, bytes: &[u8]) -> Wrote {
    written(to, |socket| socket.write(bytes))
}

fn written(to: &mut End, mut write: impl FnMut(&mut TcpStream) -> io::Result<usize>) -> Wrote {
    if !to.sends_at_once {
        // The first write to a connection leaves at once anyway, and for most it is the only one: RFC 9293 section 3.7.4
        // holds back small segments only while others are on the way.
        to.sends_at_once = std::mem::replace(&mut to.has_sent, true);
        if let (true, Some(socket)) = (to.sends_at_once, &to.socket) {
            socket::send_at_once(socket);
        }
    }
    let Some(socket) = &mut to.socket else { return Wrote::Broken };
    loop {
        match write(socket) {
            Ok(count) => return Wrote::Some(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Wrote::Blocked,
            Err(error) if is_shortage(&error) => return Wrote::NoMemory,
            Err(_) => {
                // It was reset. What it had sent before is still to be read, and no event will say so again.
                (to.broken, to.readable, to.read_on) = (true, true, true);
                return Wrote::Broken;
            }
        }
    }
}

/// The kernel lacks memory at the moment; the connection is sound.
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::reactor::Splice;
    use crate::reactor::buffers::Bounds;

    #[test]
    fn what_comes_before_all_else_is_not_lost_where_the_receiver_takes_none_of_it() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let connected = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        connected.set_nonblocking(true).unwrap();
        let mut to = End::connecting(TcpStream::from_std(connected));
        // Its socket is full.
        let mut filled = 0;
        while let Wrote::Some(count) = write(&mut to, &[7; 4096]) {
            filled += count;
        }
        let bounds = Bounds { size: 4096, max: 1, pipes_max: 0, splice: Splice::Off };
        let mut buffers = Buffers::new(bounds, Arc::default());
        let (mut from, mut flow) = (End::default(), Flow::default());
        begin_with(&mut to, &mut flow, &mut buffers, b"header");
        assert!(flow.held.is_some() && flow.moved == 0);
        let reader = thread::spawn(move || {
            let mut bytes = vec![0; filled + 6];
            peer.read_exact(&mut bytes).unwrap();
            bytes.split_off(filled)
        });
        while flow.held.is_some() {
            assert_eq!(pump(&mut from, &mut to, &mut flow, &mut buffers, 4096), Stopped::Idle);
            thread::yield_now();
        }
        assert_eq!(reader.join().unwrap(), b"header");
    }
}
