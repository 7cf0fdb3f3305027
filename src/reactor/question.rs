//! What is asked of a reactor's sessions: to tell them, and to cut some. Each turn of the loop looks at a part of them,
//! so that those of a million take long to be told, and nobody else waits for it.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use mio::net::TcpStream;
use slab::Slab;

use super::listener::{Listener, listened_at};
use super::pair::Pair;
use super::run::Reactor;
use super::tcp::reset_both;
use crate::balancer::{Key, State, View};
use crate::model::address::Endpoint;
use crate::model::datagram::Protocol;
use crate::model::id::ReactorId;
use crate::model::limits::{
    KILLS_PER_TURN, LOOKS_PER_TURN, QUESTIONS_MAX, SESSIONS_PER_REACTOR_MAX, SESSIONS_TOLD_MAX,
};
use crate::model::outcome::CloseReason;
use crate::model::session::{
    KillPage, KillRequest, KillTarget, SessionFilter, SessionInfo, SessionName, SessionPage, SessionQuery, SessionState,
};
use crate::model::time::Moment;

/// The first place of flows; those of connections are below.
pub(super) const FLOW_SLOTS: u32 = 1 << 24;
const FLOWS: usize = FLOW_SLOTS as usize;
const _: () = assert!(FLOWS > SESSIONS_PER_REACTOR_MAX);

/// A question, and how far it is answered.
#[derive(Debug)]
pub(super) enum Question {
    List { query: Arc<SessionQuery>, next: usize, total: usize, sessions: Vec<SessionInfo> },
    Kill { request: Arc<KillRequest>, next: usize, killed: usize },
}

impl Question {
    pub(super) const fn list(query: Arc<SessionQuery>) -> Self {
        Self::List { query, next: 0, total: 0, sessions: Vec::new() }
    }

    pub(super) const fn kill(request: Arc<KillRequest>) -> Self {
        Self::Kill { request, next: 0, killed: 0 }
    }

    /// Whether it is for this reactor.
    fn is_for(&self, me: ReactorId) -> bool {
        match self {
            Self::List { .. } => true,
            Self::Kill { request, .. } => match request.target {
                KillTarget::Session(name) => name.reactor == me.0,
                KillTarget::Matching(_) => true,
            },
        }
    }
}

impl Reactor {
    /// Takes a question. Dropping one tells whoever asked that there will be no answer.
    pub(super) fn ask(&mut self, question: Question) {
        if question.is_for(self.id) && self.questions.len() < QUESTIONS_MAX {
            self.questions.push_back(question);
        }
    }

    /// Goes on with the oldest question.
    pub(super) fn answer(&mut self, now: Moment) {
        match self.questions.pop_front() {
            None => {}
            Some(Question::List { query, next, mut total, mut sessions }) => {
                let most = query.limit.min(SESSIONS_TOLD_MAX);
                let (places, after) = self.part(next);
                for place in places {
                    if self.is_meant(&query.filter, place) {
                        total += 1;
                        if sessions.len() < most {
                            sessions.extend(self.info(now, place));
                        }
                    }
                }
                if let Some(next) = after {
                    return self.questions.push_front(Question::List { query, next, total, sessions });
                }
                query.answer.give(SessionPage { reactor: self.id, sessions, total });
            }
            Some(Question::Kill { request, next, killed }) => match request.target {
                KillTarget::Session(SessionName { slot, generation, .. }) => {
                    let killed = usize::from(self.kill(now, Key { slot, generation }));
                    request.answer.give(KillPage { reactor: self.id, killed });
                }
                KillTarget::Matching(filter) => self.kill_some(now, request, &filter, next, killed),
            },
        }
    }

    fn kill_some(
        &mut self,
        now: Moment,
        request: Arc<KillRequest>,
        filter: &SessionFilter,
        next: usize,
        killed: usize,
    ) {
        let mut here = 0;
        let (places, mut after) = self.part(next);
        for place in places {
            if here == KILLS_PER_TURN {
                after = Some(place);
                break;
            }
            let key = if self.is_meant(filter, place) { self.key_at(place) } else { None };
            here += usize::from(key.is_some_and(|key| self.kill(now, key)));
        }
        let killed = killed + here;
        if let Some(next) = after {
            return self.questions.push_front(Question::Kill { request, next, killed });
        }
        request.answer.give(KillPage { reactor: self.id, killed });
    }

    /// The places to look at in this turn, and where the next one goes on. Connections come first, then flows.
    fn part(&self, next: usize) -> (Range<usize>, Option<usize>) {
        if next < FLOWS {
            let end = (next + LOOKS_PER_TURN).min(self.balancer.slots());
            return (next..end, Some(if end < self.balancer.slots() { end } else { FLOWS }));
        }
        let slots = FLOWS + self.udp.flows.sessions().slots();
        let end = (next + LOOKS_PER_TURN).min(slots);
        (next..end, (end < slots).then_some(end))
    }

    fn key_at(&self, place: usize) -> Option<Key> {
        if place < FLOWS {
            return self.balancer.key_at(place);
        }
        let key = self.udp.flows.sessions().key_at(place - FLOWS)?;
        Some(Key { slot: key.slot + FLOW_SLOTS, ..key })
    }

    fn is_meant(&self, filter: &SessionFilter, place: usize) -> bool {
        if place < FLOWS {
            return self.balancer.view(place).is_some_and(|view| {
                is_meant(filter, &view) && filter.matches_local(|| local_of(view.io.host.socket.as_ref()))
            });
        }
        let view = self.udp.flows.sessions().view(place - FLOWS);
        view.is_some_and(|view| is_meant(filter, &view) && filter.matches_local(|| self.udp.local_addr(view.io)))
    }

    fn info(&self, now: Moment, place: usize) -> Option<SessionInfo> {
        if place < FLOWS {
            return self.balancer.view(place).map(|view| info(now, self.id, &self.listeners, &view));
        }
        let view = self.udp.flows.sessions().view(place - FLOWS)?;
        let flow = view.io;
        let Key { slot, generation } = self.key_at(place)?;
        Some(SessionInfo {
            name: SessionName { reactor: self.id.0, slot, generation },
            protocol: Protocol::Udp,
            service: view.service,
            host: view.host.map(|(id, _)| id),
            host_addr: view.host.map(|(_, addr)| addr),
            client: view.client,
            local: self.udp.local_addr(flow),
            listen: self.udp.listen_addr(flow.listener, flow.local).map(Endpoint::Ip),
            state: state(view.state),
            opened: flow.born,
            age: now.since(flow.born),
            idle: now.since(view.since),
            up: flow.up,
            down: flow.down,
        })
    }

    /// Cuts a session. Both sides of a connection see a reset, however far it has come. Returns whether there was one.
    fn kill(&mut self, now: Moment, key: Key) -> bool {
        if let Some(slot) = key.slot.checked_sub(FLOW_SLOTS) {
            return self.udp.kill(now, Key { slot, ..key });
        }
        let Some(pair) = self.balancer.io(key) else { return false };
        reset_both(pair);
        self.close(now, key, CloseReason::Killed);
        true
    }
}

/// Whether a session is meant, as far as can be told without its sockets.
fn is_meant<T>(filter: &SessionFilter, view: &View<'_, T>) -> bool {
    filter.matches(view.service, view.host.map(|(id, _)| id), view.client)
}

const fn state(state: State) -> SessionState {
    match state {
        State::Waiting => SessionState::Waiting,
        State::Connecting { .. } => SessionState::Connecting,
        State::Retrying => SessionState::Retrying,
        State::Open => SessionState::Open,
        State::HalfClosed => SessionState::HalfClosed,
    }
}

/// Of a socket of this machine there is none.
fn local_of(socket: Option<&TcpStream>) -> Option<SocketAddr> {
    socket?.local_addr().ok()
}

fn info(now: Moment, reactor: ReactorId, listeners: &Slab<Listener>, view: &View<'_, Pair>) -> SessionInfo {
    let Key { slot, generation } = view.key;
    let traffic = view.io.traffic();
    SessionInfo {
        name: SessionName { reactor: reactor.0, slot, generation },
        protocol: Protocol::Tcp,
        service: view.service,
        host: view.host.map(|(id, _)| id),
        host_addr: view.host.map(|(_, addr)| addr),
        client: view.client,
        local: local_of(view.io.host.socket.as_ref()),
        listen: view.io.client.socket.as_ref().and_then(|socket| listened_at(socket, listeners)),
        state: state(view.state),
        opened: view.opened,
        age: now.since(view.opened),
        idle: now.since(view.since),
        up: traffic.up,
        down: traffic.down,
    }
}
