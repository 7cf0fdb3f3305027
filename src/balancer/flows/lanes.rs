//! Which socket a flow's datagrams go through. A socket serves many flows, but only one for each host address: who sends
//! an answer says whose it is. So a hundred thousand flows to sixty hosts need two thousand sockets.
//!
//! A flow has the lowest socket that its host is free on, so that those with high numbers fall idle first. Where an
//! answer may still be on its way, the place rests before another flow gets it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::model::socket_options::StreamOptions;
use crate::model::time::Moment;

/// No flow: the place is free.
const FREE: u32 = u32::MAX;
/// No flow, but answers to one may still come.
const RESTING: u32 = u32::MAX - 1;

/// What sockets have in common that may stand in for one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// Whether hosts have IPv6 addresses.
    pub is_v6: bool,
    /// The local address; none: the system chooses.
    pub source: Option<IpAddr>,
    /// Their options.
    pub options: StreamOptions,
}

/// A socket: which kind, and its number among those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId {
    /// See [`Lanes::way`].
    pub way: u32,
    /// The number.
    pub number: u32,
}

/// A socket and a host address on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The socket.
    pub socket: SocketId,
    /// The number of the address, see [`Lanes::peer`].
    pub peer: u32,
}

/// A host address of one way.
#[derive(Debug)]
pub(super) struct Peer {
    addr: SocketAddr,
    way: u32,
    /// Which column of the way's sockets is its own.
    column: u32,
    free: BinaryHeap<Reverse<u32>>,
    /// Sockets from here on have never been used for it.
    next: u32,
    /// Places that are not free.
    used: u32,
    /// Its flows, those without an answer apart; see [`super::order`].
    pub(super) orders: [Ends; 2],
}

/// Both ends of a list of flows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) first: u32,
    pub(super) last: u32,
}

impl Ends {
    pub(super) const NONE: u32 = u32::MAX;
    const EMPTY: Self = Self { first: Self::NONE, last: Self::NONE };
}

#[derive(Debug, Default)]
struct Socket {
    is_open: bool,
    used: u32,
    /// The flow of each column.
    flows: Vec<u32>,
}

impl Socket {
    const fn is_idle(&self) -> bool {
        self.is_open && self.used == 0
    }
}

#[derive(Debug)]
struct Kind {
    way: Way,
    sockets: Vec<Socket>,
    by_addr: BTreeMap<SocketAddr, u32>,
    columns: u32,
}

/// All lanes of a reactor.
#[derive(Debug)]
pub struct Lanes {
    kinds: Vec<Kind>,
    /// Ways by what most often tells them apart.
    by_source: BTreeMap<(bool, Option<IpAddr>), Vec<u32>>,
    pub(super) peers: Vec<Peer>,
    resting: VecDeque<(Moment, Lane)>,
    open: usize,
    /// Of these, those that no flow needs.
    idle: usize,
    open_max: usize,
    /// As many as could be opened, when there was no descriptor for more.
    opened_max: usize,
}

impl Lanes {
    pub(super) fn new(open_max: usize) -> Self {
        Self {
            kinds: Vec::new(),
            by_source: BTreeMap::new(),
            peers: Vec::new(),
            resting: VecDeque::new(),
            open: 0,
            idle: 0,
            open_max: open_max.max(1),
            opened_max: usize::MAX,
        }
    }

    /// The way of a socket.
    #[must_use]
    pub fn way(&self, socket: SocketId) -> &Way {
        &self.kinds[socket.way as usize].way
    }

    /// The host address of a lane.
    #[must_use]
    pub fn peer(&self, lane: Lane) -> SocketAddr {
        self.peers[lane.peer as usize].addr
    }

    /// Sockets that are open.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open
    }

    /// The number of this address, for flows that go this way.
    pub(super) fn number(&mut self, way: &Way, addr: SocketAddr) -> u32 {
        let of_source = self.by_source.entry((way.is_v6, way.source)).or_default();
        let known = of_source.iter().copied().find(|known| self.kinds[*known as usize].way == *way);
        let kind_number = known.unwrap_or_else(|| {
            let new = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX);
            of_source.push(new);
            self.kinds.push(Kind { way: *way, sockets: Vec::new(), by_addr: BTreeMap::new(), columns: 0 });
            new
        });
        let kind = &mut self.kinds[kind_number as usize];
        if let Some(peer) = kind.by_addr.get(&addr) {
            return *peer;
        }
        // One that nobody uses makes room: hosts come and go, and their numbers must not pile up.
        let is_idle = |peer: &Peer| peer.way == kind_number && peer.used == 0;
        if let Some(at) = self.peers.iter().position(is_idle) {
            let peer = &mut self.peers[at];
            kind.by_addr.remove(&peer.addr);
            peer.addr = addr;
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            kind.by_addr.insert(addr, at);
            return at;
        }
        let column = kind.columns;
        kind.columns += 1;
        let at = u32::try_from(self.peers.len()).unwrap_or(u32::MAX);
        kind.by_addr.insert(addr, at);
        self.peers.push(Peer {
            addr,
            way: kind_number,
            column,
            free: BinaryHeap::new(),
            next: 0,
            used: 0,
            orders: [Ends::EMPTY; 2],
        });
        at
    }

    /// A lane to this address for a flow. `None`: all sockets that there may be have one for it.
    pub(super) fn take(&mut self, now: Moment, peer: u32, flow: u32) -> Option<Lane> {
        self.rest_is_over(now);
        let entry = &mut self.peers[peer as usize];
        let kind = &mut self.kinds[entry.way as usize];
        let number = entry.free.pop().map_or(entry.next, |Reverse(number)| number);
        let is_open = kind.sockets.get(number as usize).is_some_and(|socket| socket.is_open);
        if !is_open && self.open >= self.open_max.min(self.opened_max) {
            if number < entry.next {
                entry.free.push(Reverse(number));
            }
            return None;
        }
        entry.next = entry.next.max(number + 1);
        entry.used += 1;
        if kind.sockets.len() <= number as usize {
            kind.sockets.resize_with(number as usize + 1, Socket::default);
        }
        let socket = &mut kind.sockets[number as usize];
        if !socket.is_open {
            socket.is_open = true;
            self.open += 1;
        } else if socket.used == 0 {
            self.idle -= 1;
        }
        socket.used += 1;
        if socket.flows.len() <= entry.column as usize {
            socket.flows.resize(entry.column as usize + 1, FREE);
        }
        socket.flows[entry.column as usize] = flow;
        Some(Lane { socket: SocketId { way: entry.way, number }, peer })
    }

    /// Gives a lane back. It rests until then, if an answer may come.
    pub(super) fn give(&mut self, lane: Lane, rests_until: Option<Moment>) {
        match rests_until {
            None => self.free(lane),
            Some(until) => {
                *self.place(lane) = RESTING;
                self.resting.push_back((until, lane));
            }
        }
    }

    fn free(&mut self, lane: Lane) {
        *self.place(lane) = FREE;
        let peer = &mut self.peers[lane.peer as usize];
        peer.used -= 1;
        peer.free.push(Reverse(lane.socket.number));
        let socket = &mut self.kinds[lane.socket.way as usize].sockets[lane.socket.number as usize];
        socket.used -= 1;
        self.idle += usize::from(socket.is_idle());
    }

    fn place(&mut self, lane: Lane) -> &mut u32 {
        let column = self.peers[lane.peer as usize].column;
        &mut self.kinds[lane.socket.way as usize].sockets[lane.socket.number as usize].flows[column as usize]
    }

    /// Whose answer it is that comes from there to this socket.
    pub(super) fn find(&self, socket: SocketId, from: SocketAddr) -> Option<u32> {
        let kind = &self.kinds[socket.way as usize];
        let peer = kind.by_addr.get(&from)?;
        let column = self.peers[*peer as usize].column;
        let flow = *kind.sockets[socket.number as usize].flows.get(column as usize)?;
        (flow < RESTING).then_some(flow)
    }

    /// A socket could not be opened, and no more of them can for a while.
    pub(super) fn set_unopened(&mut self, socket: SocketId) {
        let socket = &mut self.kinds[socket.way as usize].sockets[socket.number as usize];
        if socket.is_idle() {
            socket.is_open = false;
            socket.flows = Vec::new();
            self.open -= 1;
            self.idle -= 1;
        }
        self.opened_max = self.open;
    }

    /// The sockets that no flow needs. They are taken to be closed from now on.
    pub fn take_idle(&mut self) -> Vec<SocketId> {
        let mut idle = Vec::new();
        for (way, kind) in (0..).zip(&mut self.kinds) {
            for (number, socket) in (0..).zip(&mut kind.sockets) {
                if socket.is_idle() {
                    socket.is_open = false;
                    // Its room is needed when it is opened again.
                    socket.flows = Vec::new();
                    idle.push(SocketId { way, number });
                }
            }
        }
        self.open -= idle.len();
        self.idle = 0;
        self.opened_max = usize::MAX;
        idle
    }

    /// Whether [`Self::take_idle`] will find something, now or in a while.
    #[must_use]
    pub fn has_idle(&self) -> bool {
        self.idle > 0 || !self.resting.is_empty() || self.opened_max != usize::MAX
    }

    /// Frees the places that have rested.
    pub(super) fn rest_is_over(&mut self, now: Moment) {
        while self.resting.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, lane)) = self.resting.pop_front() {
                self.free(lane);
            }
        }
    }

    /// The lanes that flows have, checked against what is said of them.
    ///
    /// # Errors
    /// The first disagreement, in words.
    pub(super) fn check(&self, flows: usize) -> Result<(), String> {
        let mut taken = 0;
        let (mut open, mut idle) = (0, 0);
        for kind in &self.kinds {
            for socket in &kind.sockets {
                let used = socket.flows.iter().filter(|flow| **flow != FREE).count();
                taken += socket.flows.iter().filter(|flow| **flow < RESTING).count();
                open += usize::from(socket.is_open);
                idle += usize::from(socket.is_idle());
                if used != socket.used as usize || (used > 0 && !socket.is_open) {
                    return Err(format!("a socket counts {} of {used} lanes, open: {}", socket.used, socket.is_open));
                }
            }
        }
        if taken != flows || open != self.open || idle != self.idle || open > self.open_max {
            return Err(format!(
                "{taken} lanes for {flows} flows, {open} of {} sockets, {idle} of {} idle",
                self.open, self.idle
            ));
        }
        Ok(())
    }
}
