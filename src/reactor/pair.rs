//! The two sockets of a session and what is known of each.

use mio::net::TcpStream;

use super::buffers::{Buffers, Held};
use crate::balancer::Traffic;
use crate::model::limits::{LARGE_AFTER, TELL_BYTES};
use crate::model::outcome::Side;
use crate::model::proxy::Announce;
use crate::sys::socket::discard;

/// One socket. A flag says what the last event or call taught; it is never asked for.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) socket: Option<TcpStream>,
    /// A read may return something.
    pub(super) readable: bool,
    /// An event spoke of an end of stream, or of urgent data, before which a read stops (tcp(7)), so that a short read
    /// does not mean that all was read.
    pub(super) read_on: bool,
    /// An event spoke of an end of stream and of nothing else before which a read stops: the next short read is the last.
    pub(super) ended: bool,
    /// An event spoke of urgent data.
    pub(super) urgent: bool,
    /// A read has returned the end of stream or an error: nothing more comes.
    pub(super) read_done: bool,
    /// The connection was reset (or died otherwise): nothing can be sent, and what it sent ends in a reset.
    pub(super) broken: bool,
    /// Something was written to it.
    pub(super) has_sent: bool,
    /// The kernel holds no small segments back.
    pub(super) sends_at_once: bool,
}

impl End {
    /// An accepted socket, which has inherited its options from the listener.
    pub(super) fn accepted(socket: TcpStream) -> Self {
        Self { socket: Some(socket), sends_at_once: true, ..Self::default() }
    }

    pub(super) fn connecting(socket: TcpStream) -> Self {
        Self { socket: Some(socket), ..Self::default() }
    }

    /// Notes what an event says. An error is looked at once.
    pub(super) fn note(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable();
        self.read_on |= event.is_read_closed() || event.is_priority();
        self.urgent |= event.is_priority();
        self.ended |= event.is_read_closed() && !self.urgent && !event.is_error();
        if event.is_error() {
            self.note_error();
        }
    }

    fn note_error(&mut self) {
        if let Some(socket) = &self.socket
            && !matches!(socket.take_error(), Ok(None))
        {
            self.broken = true;
            // What came before the reset is still to be read.
            self.readable = true;
            self.read_on = true;
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// What the receiver would not take; while there is something, nothing more is read.
    pub(super) held: Option<Box<Held>>,
    /// Bytes read from the sender.
    pub(super) moved: u64,
    /// The lower half of those that the host's counters have been told: the others are few.
    pub(super) told: u32,
    /// The sender's end of stream has been passed on.
    pub(super) fin_sent: bool,
    /// Reads in a row that filled what they were read into.
    pub(super) streak: u8,
}

impl Flow {
    #[expect(clippy::cast_possible_truncation, reason = "what is untold fits in the lower half")]
    fn untold(&self) -> u64 {
        (self.moved as u32).wrapping_sub(self.told).into()
    }

    /// Gives the buffer back; what was in it is lost.
    pub(super) fn discard(&mut self, buffers: &mut Buffers) {
        if let Some(held) = self.held.take() {
            buffers.give_back(held);
        }
    }
}

/// The wait for the bytes before a reset, or a close, to be acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lingering {
    /// The side that is to be reset or closed.
    pub(super) side: Side,
    /// Bytes that were not acknowledged at the last look.
    pub(super) left: u32,
    /// Milliseconds to the next look.
    pub(super) pause_ms: u16,
    /// Milliseconds waited without progress.
    pub(super) stuck_ms: u16,
    /// It is to be closed, not reset: what it said last is not wanted any more.
    pub(super) ends: bool,
}

/// Where a pair stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nowhere.
    None,
    /// Among those whose turn comes.
    Ready,
    /// Among those that found no buffer.
    Starved,
}

/// A session's sockets and directions, what every event touches first.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Pair {
    pub(super) client: End,
    pub(super) host: End,
    /// From the client to the host.
    pub(super) up: Flow,
    /// From the host to the client.
    pub(super) down: Flow,
    /// The host has accepted.
    pub(super) connected: bool,
    pub(super) line: Line,
    /// Number of the connect attempt, for the token.
    pub(super) attempt: u8,
    /// It is listed as one that has bytes to tell.
    pub(super) listed: bool,
    pub(super) lingering: Option<Lingering>,
    /// The other side has ended, and this one is not to go on.
    pub(super) cut_short: Option<Side>,
    /// The PROXY header that the host gets, once it has accepted.
    pub(super) announce: Announce,
    /// Bytes of the client that went to the host with the first packet, until the host has accepted.
    pub(super) early: u16,
    /// The host's port if the connection could be one with itself, else 0.
    pub(super) own_port: u16,
}

impl Pair {
    pub(super) fn new(client: TcpStream) -> Self {
        Self {
            client: End::accepted(client),
            host: End::default(),
            up: Flow::default(),
            down: Flow::default(),
            early: 0,
            attempt: 0,
            listed: false,
            connected: false,
            own_port: 0,
            line: Line::None,
            lingering: None,
            cut_short: None,
            announce: Announce::Off,
        }
    }

    /// The host has accepted: it has what went with the first packet, or the kernel sends it again.
    pub(super) fn take_early(&mut self) {
        if self.early > 0
            && let Some(client) = &self.client.socket
        {
            self.up.moved += u64::from(discard(client, self.early));
        }
        self.early = 0;
    }

    /// Whether a direction fills what it is read into again and again.
    pub(super) fn is_streaming(&self) -> bool {
        self.up.streak.max(self.down.streak) >= LARGE_AFTER
    }

    /// Sender, receiver and flow of the direction that starts at `from`.
    pub(super) fn direction(&mut self, from: Side) -> (&mut End, &mut End, &mut Flow) {
        match from {
            Side::Client => (&mut self.client, &mut self.host, &mut self.up),
            Side::Host => (&mut self.host, &mut self.client, &mut self.down),
        }
    }

    pub(super) fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Host => &mut self.host,
        }
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic { up: self.up.moved, down: self.down.moved }
    }

    /// What the host's counters have not been told.
    pub(super) fn untold(&self) -> Traffic {
        Traffic { up: self.up.untold(), down: self.down.untold() }
    }

    /// Whether there is something to tell that it is not listed for, or too much to wait with.
    pub(super) fn has_to_tell(&self) -> bool {
        let Traffic { up, down } = self.untold();
        up + down >= TELL_BYTES || (up + down > 0 && !self.listed)
    }

    /// The host's counters have been told all.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is kept")]
    pub(super) fn set_told(&mut self) {
        (self.up.told, self.down.told) = (self.up.moved as u32, self.down.moved as u32);
    }

    /// Whether the host has been told nothing, not even an end of stream, and has said nothing: another host can take
    /// over unseen.
    pub(super) fn is_untouched(&self) -> bool {
        self.up.moved == 0 && self.down.moved == 0 && !self.up.fin_sent && !self.down.fin_sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_pair_is_small() {
        assert!(size_of::<Pair>() <= 128, "{}", size_of::<Pair>());
    }

    #[test]
    fn untold_is_what_moved_since_it_was_told_also_where_the_lower_half_wraps() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut pair = Pair::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        assert_eq!(pair.untold(), Traffic::default());
        for _ in 0..5 {
            (pair.up.moved, pair.down.moved) = (pair.up.moved + 0x7fff_ffff, pair.down.moved + 3);
            assert_eq!(pair.untold(), Traffic { up: 0x7fff_ffff, down: 3 });
            pair.set_told();
            assert_eq!(pair.untold(), Traffic::default());
        }
        assert_eq!(pair.traffic(), Traffic { up: 5 * 0x7fff_ffff, down: 15 });
    }
}
