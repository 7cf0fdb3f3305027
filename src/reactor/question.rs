//! What is asked of a reactor's sessions: to tell them, and to cut some. Each turn of the loop looks at a part of them,
//! so that those of a million take long to be told, and nobody else waits for it.

use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use slab::Slab;

use super::listener::{Listener, listened_at};
use super::pair::Pair;
use super::run::Reactor;
use super::tcp::reset_both;
use crate::balancer::{Key, State, View};
use crate::model::id::ReactorId;
use crate::model::limits::{KILLS_PER_TURN, LOOKS_PER_TURN, QUESTIONS_MAX, SESSIONS_TOLD_MAX};
use crate::model::outcome::CloseReason;
use crate::model::session::{
    KillPage, KillRequest, KillTarget, SessionFilter, SessionInfo, SessionName, SessionPage, SessionQuery, SessionState,
};
use crate::model::time::Moment;

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
                let end = (next + LOOKS_PER_TURN).min(self.balancer.slots());
                for view in (next..end).filter_map(|slot| self.balancer.view(slot)) {
                    if is_meant(&query.filter, &view) {
                        total += 1;
                        if sessions.len() < most {
                            sessions.push(info(now, self.id, &self.listeners, &view));
                        }
                    }
                }
                if end < self.balancer.slots() {
                    return self.questions.push_front(Question::List { query, next: end, total, sessions });
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
        mut next: usize,
        killed: usize,
    ) {
        let mut here = 0;
        let end = (next + LOOKS_PER_TURN).min(self.balancer.slots());
        while next < end && here < KILLS_PER_TURN {
            let meant = self.balancer.view(next).filter(|view| is_meant(filter, view)).map(|view| view.key);
            here += usize::from(meant.is_some_and(|key| self.kill(now, key)));
            next += 1;
        }
        let killed = killed + here;
        if next < self.balancer.slots() {
            return self.questions.push_front(Question::Kill { request, next, killed });
        }
        request.answer.give(KillPage { reactor: self.id, killed });
    }

    /// Cuts a session. Both sides see a reset, however far it has come. Returns whether there was one.
    fn kill(&mut self, now: Moment, key: Key) -> bool {
        let Some(pair) = self.balancer.io(key) else { return false };
        reset_both(pair);
        self.close(now, key, CloseReason::Killed);
        true
    }
}

fn is_meant(filter: &SessionFilter, view: &View<'_, Pair>) -> bool {
    filter.matches(view.service, view.host.map(|(id, _)| id), view.client)
        && filter.matches_local(|| local_of(view.io.host.socket.as_ref()))
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
        service: view.service,
        host: view.host.map(|(id, _)| id),
        host_addr: view.host.map(|(_, addr)| addr),
        client: view.client,
        local: local_of(view.io.host.socket.as_ref()),
        listen: view.io.client.socket.as_ref().and_then(|socket| listened_at(socket, listeners)),
        state: match view.state {
            State::Waiting => SessionState::Waiting,
            State::Connecting { .. } => SessionState::Connecting,
            State::Retrying => SessionState::Retrying,
            State::Open => SessionState::Open,
            State::HalfClosed => SessionState::HalfClosed,
        },
        opened: view.opened,
        age: now.since(view.opened),
        idle: now.since(view.since),
        up: traffic.up,
        down: traffic.down,
    }
}
