//! The life of a pair: from accept over connect and failover to its close. The brain decides, this does.

use std::io::ErrorKind;
use std::net::{self, Shutdown};
use std::time::Duration;

use mio::Interest;
use mio::event::Event;
use mio::net::TcpStream;

use super::pair::{End, Lingering, Pair};
use super::run::Reactor;
use super::token::{ATTEMPTS, Meaning};
use crate::balancer::{Due, Key, Next, State, Target};
use crate::model::address::Endpoint;
use crate::model::id::ServiceId;
use crate::model::limits::{RESET_LINGER, RESET_POLL_MAX, RESET_POLL_MIN, SEND_RETRY};
use crate::model::outcome::{Blame, CloseReason, Fault, Side};
use crate::model::proxy::Announce;
use crate::model::time::Moment;
use crate::sys::socket;

/// Every socket is registered once, for everything, edge-triggered.
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);

/// What is to happen with a pair after its bytes have moved.
enum Verdict {
    Keep,
    /// Pass the end of stream of this side on.
    PassEnd(Side),
    /// This side was reset; the other is to be.
    PassReset(Side),
    /// The host went away before anything was said.
    HostLost,
    Finished,
}

impl Reactor {
    /// Opens a session for an accepted client.
    pub(super) fn open(&mut self, now: Moment, service: ServiceId, client: Endpoint, stream: net::TcpStream) {
        let opened = self.balancer.open(now, service, client, Pair::new(TcpStream::from_std(stream)));
        let Ok((key, next)) = opened else {
            self.gate.cancel();
            return;
        };
        self.begin(now, key, next, false);
    }

    /// Has a new session's client watched, and goes on with what the brain said. One that is turned away is not worth a
    /// system call more.
    pub(super) fn begin(&mut self, now: Moment, key: Key, next: Next, is_watched: bool) {
        #[cfg(debug_assertions)]
        self.panic_if_asked();
        self.note_opened(now, key);
        if let Next::Close(reason) = next
            && reason.is_refusal()
        {
            return self.close(now, key, reason);
        }
        let (registry, token) = (self.poll.registry(), Meaning::Client(key).token());
        let socket = self.balancer.io(key).and_then(|pair| pair.client.socket.as_mut());
        let registered = socket.map(|socket| match is_watched {
            true => registry.reregister(socket, token, INTEREST),
            false => registry.register(socket, token, INTEREST),
        });
        match registered {
            Some(Ok(())) => self.advance(now, key, next),
            Some(Err(_)) | None => self.close(now, key, CloseReason::Local),
        }
    }

    /// Does what the brain said, until there is nothing to do at once.
    pub(super) fn advance(&mut self, now: Moment, key: Key, mut next: Next) {
        loop {
            match next {
                Next::Connect(target) => match self.connect(key, target) {
                    Ok(()) => return,
                    Err(blame) => {
                        next = self.balancer.connect_failed(now, key, blame);
                        if let Blame::Local(errno @ (libc::EMFILE | libc::ENFILE)) = blame {
                            // No descriptor is free. Reactors that told one another of it would try in turn for ever.
                            self.note_short(key);
                            self.pause_all(now, Some(errno));
                        } else {
                            self.forget_short(key);
                            self.gate.wake_others(self.id);
                        }
                    }
                },
                Next::Wait => {
                    if self.balancer.state(key) == Some(State::Waiting) {
                        // It needs no descriptor before there is room for it at a host.
                        self.forget_short(key);
                    }
                    return self.drop_host(key);
                }
                Next::Close(reason) => return self.close(now, key, reason),
            }
        }
    }

    fn connect(&mut self, key: Key, target: Target) -> Result<(), Blame> {
        self.drop_host(key);
        self.note_attempt(key);
        // An atomic count where somebody asked for options, nothing elsewhere.
        let outbound = self.balancer.outbound(key).cloned();
        let Some(pair) = self.balancer.io(key) else { return Ok(()) };
        pair.attempt = (pair.attempt + 1) % ATTEMPTS;
        pair.connected = false;
        pair.announce = outbound.as_ref().map_or(Announce::Off, |outbound| outbound.announce());
        pair.own_port = if target.may_meet_itself { target.addr.port() } else { 0 };
        let connected = match outbound {
            None => socket::connect(target.addr).map(|stream| (stream, 0)),
            Some(outbound) => {
                // Nothing of the client goes before who it is.
                let client = pair.client.socket.as_ref().filter(|_| pair.announce == Announce::Off);
                socket::connect_with(target.addr, &outbound, outbound.next_turn(), client)
            }
        };
        let (mut stream, early) = connected.map_err(|error| socket::blame_at(target.addr, &error))?;
        pair.early = early;
        let token = Meaning::Host(key, pair.attempt).token();
        self.poll.registry().register(&mut stream, token, INTEREST).map_err(|error| socket::blame(&error))?;
        // A socket of this machine holds nothing back.
        let sends_at_once = matches!(target.addr, Endpoint::Unix(_));
        pair.host = End { has_sent: early > 0, sends_at_once, ..End::connecting(stream) };
        self.forget_short(key);
        Ok(())
    }

    fn drop_host(&mut self, key: Key) {
        let Some(pair) = self.balancer.io(key) else { return };
        pair.connected = false;
        // Of a header that this host has not taken; the next one gets its own.
        pair.up.discard(&mut self.buffers);
        if std::mem::take(&mut pair.host).socket.is_some() {
            // Its place at the host is free, too.
            self.gate.wake_others(self.id);
        }
    }

    /// An event on the client's socket.
    pub(super) fn on_client(&mut self, now: Moment, key: Key, event: &Event) {
        let Some(pair) = self.balancer.io(key) else { return };
        pair.client.note(event);
        if pair.connected {
            self.attend(now, key);
        } else if pair.client.broken {
            // It left before a host was found. An end of stream alone is no leaving: a client may half-close early.
            self.close(now, key, CloseReason::Reset(Side::Client));
        }
    }

    /// An event on the host's socket.
    pub(super) fn on_host(&mut self, now: Moment, key: Key, attempt: u8, event: &Event) {
        let Some(pair) = self.balancer.io(key).filter(|pair| pair.attempt == attempt) else { return };
        if pair.connected {
            pair.host.note(event);
            return self.attend(now, key);
        }
        match connect_result(pair, event) {
            None => {}
            Some(Ok(())) => {
                pair.connected = true;
                pair.take_early();
                pair.host.note(event);
                if pair.announce != Announce::Off {
                    self.announce(key);
                }
                self.balancer.connected(now, key);
                self.note_connected(now, key);
                self.attend(now, key);
            }
            Some(Err(Blame::Host(Fault::Reset))) => {
                // A connect that nobody answered ends in a refusal, so that this one had been accepted. What the host
                // said before its reset is still to be read; if that is nothing, another host takes over.
                pair.connected = true;
                pair.take_early();
                (pair.host.broken, pair.host.readable, pair.host.read_on) = (true, true, true);
                self.balancer.connected(now, key);
                self.note_connected(now, key);
                self.attend(now, key);
            }
            Some(Err(blame)) => {
                let next = self.balancer.connect_failed(now, key, blame);
                self.advance(now, key, next);
            }
        }
    }

    /// Time has passed for this session.
    pub(super) fn on_due(&mut self, now: Moment, key: Key, due: Due) {
        match due {
            Due::Connect(target) => self.advance(now, key, Next::Connect(target)),
            Due::Abandon => self.advance(now, key, Next::Wait),
            Due::Close(reason) => self.cut(now, key, reason),
            Due::Wake => {
                self.linger(now, key);
                self.attend(now, key);
            }
        }
    }

    /// Draws the conclusions from what was moved and learnt: the one place where a pair's state is re-derived.
    pub(super) fn settle(&mut self, now: Moment, key: Key) {
        let Some(pair) = self.balancer.io(key) else { return };
        let cut_short = pair.cut_short;
        match verdict(pair) {
            Verdict::Keep => {}
            Verdict::PassEnd(from) if self.balancer.ends_with(key, from) => self.cut_short(now, key, from),
            Verdict::PassEnd(from) => self.pass_end(now, key, from),
            Verdict::PassReset(from) => self.pass_reset(now, key, from),
            Verdict::HostLost if !self.balancer.may_move(now, key) => self.pass_reset(now, key, Side::Host),
            Verdict::HostLost => {
                let next = self.balancer.connect_failed(now, key, Blame::Host(Fault::Reset));
                self.advance(now, key, next);
            }
            Verdict::Finished => match cut_short {
                None => self.close(now, key, CloseReason::Finished),
                Some(side) => self.linger_at(now, key, side, true),
            },
        }
    }

    /// `from` has ended and all it sent is with the other side's kernel: end that one too.
    fn pass_end(&mut self, now: Moment, key: Key, from: Side) {
        let Some(pair) = self.balancer.io(key) else { return };
        let (_, to, flow) = pair.direction(from);
        match to.socket.as_ref().map(|socket| socket.shutdown(Shutdown::Write)) {
            // Not connected any more: an event says why.
            Some(Err(error)) if error.kind() != ErrorKind::NotConnected => {
                self.balancer.wake_after(now, key, SEND_RETRY);
            }
            Some(_) | None => flow.fin_sent = true,
        }
        self.balancer.half_closed(now, key);
    }

    /// `from` was reset and all it sent is with the other side's kernel: reset that one too, once its peer has it all.
    fn pass_reset(&mut self, now: Moment, key: Key, from: Side) {
        self.linger_at(now, key, from.other(), false);
    }

    /// `from` has ended, all it sent is with the other side's kernel, and that ends the connection as a whole: the other
    /// side is told, and what it says from now on is not read. What was read of it is delivered.
    fn cut_short(&mut self, now: Moment, key: Key, from: Side) {
        let Some(pair) = self.balancer.io(key) else { return };
        pair.cut_short = Some(from.other());
        let (_, to, flow) = pair.direction(from);
        to.read_done = true;
        // Where it cannot be told now, the close tells it.
        let _ = to.socket.as_ref().map(|socket| socket.shutdown(Shutdown::Write));
        flow.fin_sent = true;
        self.balancer.half_closed(now, key);
        self.settle(now, key);
    }

    /// Closes the other side, and waits for this one to have everything: a close that leaves something unread is a reset,
    /// which may overtake what was sent before it.
    fn linger_at(&mut self, now: Moment, key: Key, side: Side, ends: bool) {
        let Some(pair) = self.balancer.io(key) else { return };
        pair.end(side.other()).socket = None;
        pair.lingering = Some(Lingering { side, left: u32::MAX, pause_ms: 0, stuck_ms: 0, ends });
        self.linger(now, key);
    }

    /// Looks whether the bytes before a reset are acknowledged, if there is one to pass on. The kernel has no event for
    /// that, and a reset would discard them.
    pub(super) fn linger(&mut self, now: Moment, key: Key) {
        let Some(pair) = self.balancer.io(key) else { return };
        let Some(mut lingering) = pair.lingering else { return };
        let end = pair.end(lingering.side);
        let left = end.socket.as_ref().map_or(0, socket::unacknowledged);
        let progress = left < lingering.left;
        if progress {
            (lingering.left, lingering.stuck_ms, lingering.pause_ms) = (left, 0, 0);
        }
        let millis = |duration: Duration| u16::try_from(duration.as_millis()).unwrap_or(u16::MAX);
        if left == 0 || end.broken || lingering.stuck_ms >= millis(RESET_LINGER) {
            return match lingering {
                Lingering { ends: true, .. } if !end.broken => self.close(now, key, CloseReason::Finished),
                Lingering { ends: true, side, .. } => self.cut(now, key, CloseReason::Reset(side)),
                Lingering { side, .. } => self.cut(now, key, CloseReason::Reset(side.other())),
            };
        }
        lingering.pause_ms = (lingering.pause_ms * 2).clamp(millis(RESET_POLL_MIN), millis(RESET_POLL_MAX));
        lingering.stuck_ms = lingering.stuck_ms.saturating_add(lingering.pause_ms);
        pair.lingering = Some(lingering);
        if progress {
            // Bytes move, though not through this program any more.
            self.balancer.touch(now, key);
        }
        self.balancer.wake_after(now, key, Duration::from_millis(lingering.pause_ms.into()));
    }

    /// Closes a session that did not come to its end by itself: a pair's sides are reset, because an end of stream
    /// would tell them that they have received everything.
    pub(super) fn cut(&mut self, now: Moment, key: Key, reason: CloseReason) {
        if let Some(pair) = self.balancer.io(key).filter(|pair| pair.connected) {
            reset_both(pair);
        }
        self.close(now, key, reason);
    }

    /// Closes a session and frees all it had.
    pub(super) fn close(&mut self, now: Moment, key: Key, reason: CloseReason) {
        let Some(pair) = self.balancer.io(key) else { return };
        let untold = pair.untold();
        self.log_ended(now, key, reason);
        let Some(mut pair) = self.balancer.close(now, key, reason, untold) else { return };
        pair.up.discard(&mut self.buffers);
        pair.down.discard(&mut self.buffers);
        if reason.is_refusal() {
            reset_both(&mut pair);
        }
        // The descriptors are free before anybody is told.
        drop(pair);
        self.forget_short(key);
        self.gate.leave(self.id);
        self.freed = true;
    }

    #[cfg(debug_assertions)]
    fn panic_if_asked(&self) {
        let accepted = self.counters.accepted.load(std::sync::atomic::Ordering::Relaxed);
        assert!(self.settings.panic_at != Some(accepted), "asked to panic at connection {accepted}");
    }
}

/// Resets what is left of a pair.
pub(super) fn reset_both(pair: &mut Pair) {
    for end in [&mut pair.client, &mut pair.host] {
        if let Some(socket) = end.socket.take() {
            socket::reset(socket);
        }
    }
}

/// Whether an event ends a connect, and how.
fn connect_result(pair: &Pair, event: &Event) -> Option<Result<(), Blame>> {
    let socket = pair.host.socket.as_ref()?;
    if event.is_error() || event.is_write_closed() {
        return Some(Err(match socket.take_error() {
            Ok(Some(error)) | Err(error) => socket::blame(&error),
            // A host of this machine that has accepted and left already: what it said is there.
            Ok(None) if socket::is_unix(socket) => return Some(Ok(())),
            Ok(None) => Blame::Host(Fault::Reset),
        }));
    }
    if !event.is_writable() {
        return None;
    }
    if pair.own_port != 0 && socket::met_itself(socket, pair.own_port) {
        return Some(Err(Blame::Host(Fault::MetItself)));
    }
    Some(Ok(()))
}

fn verdict(pair: &Pair) -> Verdict {
    let over = |end: &End, flow: &super::pair::Flow| end.read_done && flow.held.is_none();
    let (client_over, host_over) = (over(&pair.client, &pair.up), over(&pair.host, &pair.down));
    // It went away unused, and had nothing to say.
    if pair.host.broken && pair.host.read_done && pair.is_untouched() && !pair.client.broken {
        return Verdict::HostLost;
    }
    if pair.host.broken && pair.client.broken {
        return Verdict::PassReset(Side::Host);
    }
    if pair.host.broken && host_over {
        return Verdict::PassReset(Side::Host);
    }
    if pair.client.broken && client_over {
        return Verdict::PassReset(Side::Client);
    }
    if client_over && host_over {
        return Verdict::Finished;
    }
    if client_over && !pair.up.fin_sent && !pair.host.broken && !pair.client.broken {
        return Verdict::PassEnd(Side::Client);
    }
    if host_over && !pair.down.fin_sent && !pair.host.broken && !pair.client.broken {
        return Verdict::PassEnd(Side::Host);
    }
    Verdict::Keep
}
