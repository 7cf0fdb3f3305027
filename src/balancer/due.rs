//! Deadlines. Every session has exactly one timer, and one place derives it from the session's state.

use std::time::Duration;

use super::candidates::{Host, Wish};
use super::place::roles;
use super::session::{Key, NEVER, NO_HOST, State};
use super::{Balancer, Next, Target};
use crate::model::limits::{FLOW_DRAIN, LOCAL_RETRY, SUSPICION};
use crate::model::outcome::{CloseReason, Fault};
use crate::model::report::Report;
use crate::model::service::ServiceSpec;
use crate::model::time::Moment;

/// What the shell is to do because time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Give up the connect in flight, if there is one, and connect there.
    Connect(Target),
    /// Give up the connect in flight; the session waits.
    Abandon,
    /// Close the session with this reason.
    Close(CloseReason),
    /// The wake-up that the shell asked for.
    Wake,
}

impl From<Next> for Due {
    fn from(next: Next) -> Self {
        match next {
            Next::Connect(target) => Self::Connect(target),
            Next::Wait => Self::Abandon,
            Next::Close(reason) => Self::Close(reason),
        }
    }
}

impl<T> Balancer<T> {
    /// When to call [`Self::next_due`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        if self.stranded.is_empty() { self.timers.next().map(Moment::from_millis) } else { Some(Moment::START) }
    }

    /// The next session whose time has come, `None` when all have been said.
    pub fn next_due(&mut self, now: Moment) -> Option<(Key, Due)> {
        while let Some(key) = self.stranded.pop() {
            if self.session(key).is_some() {
                return Some((key, Due::Close(CloseReason::NoHost)));
            }
        }
        while let Some(slot) = self.timers.pop(now.as_millis()) {
            let Some(key) = self.key_at(slot as usize) else { continue };
            if let Some(due) = self.due(now, key) {
                return Some((key, due));
            }
        }
        None
    }

    fn due(&mut self, now: Moment, key: Key) -> Option<Due> {
        let session = self.sessions.get_mut(key.slot as usize)?;
        if session.wake <= now {
            session.wake = NEVER;
            self.arm(key);
            return Some(Due::Wake);
        }
        let session = &self.sessions[key.slot as usize];
        let spec = &self.services[session.service as usize].spec;
        let last_chance = session.opened.after(spec.connect_timeout);
        match session.state {
            State::Waiting if now >= last_chance => Some(Due::Close(CloseReason::ConnectTimeout)),
            State::Connecting { .. } if now >= last_chance => {
                self.accuse_if_slow(now, key);
                Some(Due::Close(CloseReason::ConnectTimeout))
            }
            State::Connecting { round } => self.slow(now, key, round),
            State::Retrying => Some(self.retry(now, key).into()),
            State::Open if now >= session.since.after(self.idle(spec)) => Some(Due::Close(CloseReason::Idle)),
            State::HalfClosed if now >= session.since.after(self.fin(spec)) => {
                let reason = if self.of_flows { CloseReason::Idle } else { CloseReason::HalfClosedIdle };
                Some(Due::Close(reason))
            }
            State::Waiting | State::Open | State::HalfClosed => {
                self.arm(key);
                None
            }
        }
    }

    /// A connect takes far longer than its host usually needs. If there is anybody else to try, the client moves on;
    /// the host is suspected, and the manager's probe will tell. From the second round on those that failed before are
    /// tried again too, because one may have come back.
    fn slow(&mut self, now: Moment, key: Key, round: u8) -> Option<Due> {
        let session = &self.sessions[key.slot as usize];
        let service = &self.services[session.service as usize];
        let host = service.pool.host(session.host);
        let id = host.id;
        if now < session.since.after(slow_after(host, round)) {
            self.arm(key);
            return None;
        }
        if host.counters.suspect_slow(now, now.after(SUSPICION)) {
            self.reports.push(Report::HostSlow { service: service.spec.id, host: id });
        }
        let session = &mut self.sessions[key.slot as usize];
        if service.spec.is_stubborn {
            session.state = State::Connecting { round: round.saturating_add(1) };
            self.arm(key);
            return None;
        }
        let tried = session.tried_mut();
        if round > 0 {
            tried.hosts.clear();
            tried.local.clear();
            tried.hosts.extend(tried.slow.iter().map(|(id, _)| *id));
        }
        tried.hosts.push(id);
        let alone = tried.slow.is_empty();
        let wish = Wish { now, tried: session.tried(), client: 0 };
        if alone && !service.pool.has_choice(roles(session.is_denied), &wish) {
            session.state = State::Connecting { round: round.saturating_add(1) };
            self.arm(key);
            return None;
        }
        session.tried_mut().slow.push_back((id, round));
        self.release_host(now, key);
        self.end_move(now, key, false);
        Some(self.place(now, key).into())
    }

    /// What a session does now that waits for a local failure to pass; `None` for others.
    pub fn try_again(&mut self, now: Moment, key: Key) -> Option<Next> {
        (self.state(key)? == State::Retrying).then(|| self.retry(now, key))
    }

    fn retry(&mut self, now: Moment, key: Key) -> Next {
        if let Some(tried) = &mut self.sessions[key.slot as usize].tried {
            // What failed on this machine may succeed now; what failed at a host stays tried.
            let local = std::mem::take(&mut tried.local);
            tried.hosts.retain(|host| !local.contains(host));
        }
        self.place(now, key)
    }

    fn accuse_if_slow(&mut self, now: Moment, key: Key) {
        let session = &self.sessions[key.slot as usize];
        if session.host == NO_HOST {
            return;
        }
        let host = self.services[session.service as usize].pool.host(session.host);
        if now >= session.since.after(host.slow_after()) {
            self.accuse(now, key, Fault::TimedOut);
        }
    }

    fn idle(&self, spec: &ServiceSpec) -> Duration {
        if self.of_flows { spec.flows.timeout } else { spec.idle_timeout }
    }

    /// A flow of which nothing more comes from the client only has to get the answers that are on their way.
    fn fin(&self, spec: &ServiceSpec) -> Duration {
        if self.of_flows { spec.flows.timeout.min(FLOW_DRAIN) } else { spec.fin_timeout }
    }

    /// Derives the session's timer from its state. Called after every change of it.
    pub(super) fn arm(&mut self, key: Key) {
        let session = &self.sessions[key.slot as usize];
        let service = &self.services[session.service as usize];
        let last_chance = session.opened.after(service.spec.connect_timeout);
        let own = match session.state {
            State::Waiting => last_chance,
            State::Connecting { round } => {
                last_chance.min(session.since.after(slow_after(service.pool.host(session.host), round)))
            }
            State::Retrying => last_chance.min(session.since.after(LOCAL_RETRY)),
            State::Open => session.since.after(self.idle(&service.spec)),
            State::HalfClosed => session.since.after(self.fin(&service.spec)),
        };
        self.timers.set(key.slot, session.wake.min(own).as_micros().div_ceil(1000));
    }
}

/// How long a connect may take in this round before the client moves on.
fn slow_after(host: &Host, round: u8) -> Duration {
    host.slow_after().saturating_mul(4_u32.saturating_pow(round.into()))
}
