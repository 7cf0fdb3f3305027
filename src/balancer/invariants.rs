//! What must hold after every step. The simulation checks it; production never pays for it.

use super::pool::Pool;
use super::session::{NO_HOST, State};
use super::{Balancer, Key};

impl<T> Balancer<T> {
    /// Checks that sessions, pools, queues and timers agree.
    ///
    /// # Errors
    /// The first disagreement, in words.
    pub fn check(&self) -> Result<(), String> {
        let mut sessions_of = vec![0_u32; self.services.capacity()];
        for (slot, session) in &self.sessions {
            sessions_of[session.service as usize] += 1;
            let connected = matches!(session.state, State::Connecting { .. } | State::Open | State::HalfClosed);
            if connected != (session.host != NO_HOST) {
                return Err(format!("session {slot} is {:?} with host {}", session.state, session.host));
            }
            if session.is_denied && session.state == State::Waiting {
                return Err(format!("session {slot} waits, and is denied access"));
            }
            if self.timers.deadline(u32::try_from(slot).unwrap_or(u32::MAX)).is_none() {
                return Err(format!("session {slot} in {:?} has no timer", session.state));
            }
        }
        if self.timers.len() != self.sessions.len() {
            return Err(format!("{} timers for {} sessions", self.timers.len(), self.sessions.len()));
        }
        for (slot, service) in &self.services {
            if service.sessions != sessions_of[slot] {
                return Err(format!("service {slot} counts {} of {} sessions", service.sessions, sessions_of[slot]));
            }
            service.pool.check()?;
            self.check_hosts(slot)?;
            self.check_queue(slot)?;
        }
        Ok(())
    }

    fn check_hosts(&self, service: usize) -> Result<(), String> {
        for (slot, host) in self.services[service].pool.hosts() {
            let here = self
                .sessions
                .iter()
                .filter(|(_, session)| session.service as usize == service && session.host == slot)
                .count();
            if host.open_here as usize != here {
                return Err(format!("host {} counts {} of {here} sessions", host.addr, host.open_here));
            }
            if host.open() < host.open_here {
                return Err(format!("host {} counts {} open, fewer than {here} here", host.addr, host.open()));
            }
        }
        Ok(())
    }

    fn check_queue(&self, service: usize) -> Result<(), String> {
        let waiting = &self.services[service].waiting;
        let is_waiting = |key: &Key| self.state(*key) == Some(State::Waiting);
        if !waiting.iter().all(is_waiting) {
            return Err(format!("service {service} queues a session that does not wait"));
        }
        let queued = self.queued.iter().position(|queued| *queued as usize == service);
        if queued.is_some_and(|at| at != self.services[service].queued_at) {
            return Err(format!("service {service} is listed at another place than it says"));
        }
        let queued = queued.is_some();
        if queued == waiting.is_empty() {
            return Err(format!("service {service} queues {} and is listed: {queued}", waiting.len()));
        }
        Ok(())
    }
}

impl Pool {
    /// Checks that each listed host is in the tier of its level, once, and that tiers follow each other.
    fn check(&self) -> Result<(), String> {
        if !self.tiers().is_sorted_by(|a, b| a.level < b.level) {
            return Err(String::from("the tiers are not in the order of their levels"));
        }
        let placed: usize = self.tiers().iter().map(|tier| tier.roll.order.len()).sum();
        let listed = self.hosts().filter(|(_, host)| host.listed).count();
        if placed != listed {
            return Err(format!("{placed} places in the tiers for {listed} hosts"));
        }
        for (slot, host) in self.hosts().filter(|(_, host)| host.listed) {
            let tier = self.tiers().get(host.rank as usize);
            let is_there = tier.is_some_and(|tier| {
                tier.level == host.level && tier.roll.order.get(host.position as usize) == Some(&slot)
            });
            if !is_there || !self.is_listed(host.id) {
                return Err(format!("host {} is not where it says: {:?}", host.addr, host.level));
            }
        }
        Ok(())
    }
}
