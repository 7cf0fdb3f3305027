//! The manager's judgement of hosts: reports and probes in, status changes and new probes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use log::Level;

use crate::model::id::{HostId, ServiceId};
use crate::model::limits::PROBE_TIMEOUT_MAX;
use crate::model::outcome::{Blame, Fault};
use crate::model::report::Report;
use crate::model::role::Role;
use crate::model::status::{AdminState, HostStatus};
use crate::model::time::Moment;

use super::Manager;
use super::effect::Effect;
use super::line::{Quoted, Seconds, status_word};
use super::registry::Host;

impl Manager {
    pub(super) fn on_report(&mut self, now: Moment, report: Report) {
        match report {
            Report::HostFailed { host, fault, service: _ } => self.on_client_failed(now, host, fault),
            Report::HostSlow { host, service: _ } => {
                self.with_health(now, host, |host, _| {
                    host.health.on_doubt(now);
                    None
                });
            }
            Report::HostAnswered { host, service: _ } => {
                self.with_health(now, host, |host, rules| {
                    host.health.on_client_answered(now, rules);
                    None
                });
            }
            Report::ClientLost { service, client, reason } => {
                let limiter = self.registry.services.get_mut(&service).map(|service| &mut service.lost);
                if let Some((item, suppressed)) = limiter.and_then(|lost| lost.offer(now, (client, reason))) {
                    self.tell_lost(service, item, suppressed);
                }
            }
            Report::AcceptPaused { reactor, errno } => {
                if let Some((item, suppressed)) = self.paused.offer(now, (reactor, errno)) {
                    self.tell_paused(item, suppressed);
                }
            }
            Report::DatagramsDropped { reactor, reason, count } => {
                if let Some((item, suppressed)) = self.dropped.offer(now, (reactor, reason, count)) {
                    self.tell_dropped(item, suppressed);
                }
            }
            Report::ReactorRestarted { reactor, lost } => {
                self.tell(Level::Error, format!("reactor restarted reactor={reactor} lost={lost}"));
            }
        }
    }

    fn on_client_failed(&mut self, now: Moment, host: HostId, fault: Fault) {
        self.with_health(now, host, |host, rules| {
            let established = host.counters.established.load(Relaxed);
            host.health.on_client_failed(now, established, rules).map(|_| fault.to_string())
        });
    }

    pub(super) fn on_probe_ended(&mut self, now: Moment, host: HostId, result: Result<Duration, Blame>) {
        if !self.probes.end(host) {
            return;
        }
        self.with_health(now, host, |host, rules| match result {
            Ok(took) => {
                host.counters.record_connect(took);
                host.counters.clear_suspicion();
                host.health.on_probe_succeeded(now, rules).map(|_| "probe answered".to_owned())
            }
            Err(Blame::Host(fault)) => host.health.on_probe_failed(now, rules).map(|_| format!("probe: {fault}")),
            Err(Blame::Local(_)) => {
                host.health.on_probe_void(now);
                None
            }
        });
    }

    /// The answer of a probe in flight will not come any more.
    pub(super) fn on_probe_lost(&mut self, now: Moment, host: HostId) {
        self.probes.end(host);
        self.with_health(now, host, |host, _| {
            host.health.on_probe_void(now);
            None
        });
    }

    /// Starts a probe that is due.
    pub(super) fn start_probe(&mut self, now: Moment, id: HostId) {
        let Some(host) = self.registry.hosts.get_mut(&id) else { return self.probes.forget(id) };
        let service = self.registry.services.get(&host.at.service);
        if service.is_some_and(|service| !service.config.takes_connections()) {
            return self.end_time_out(now, id);
        }
        let configured = self.registry.services.get(&host.at.service).and_then(|s| s.config.connect_timeout);
        let full = configured.unwrap_or(self.settings.connect_timeout).min(PROBE_TIMEOUT_MAX);
        let timeout = host.health.probe_timeout(full, host.counters.connect_time(), &self.rules);
        host.health.on_probe_started(now);
        let addr = host.addr;
        // Far above the timeout: until then the shell has answered, if it ever will.
        self.probes.start(id, now.after(timeout).after(PROBE_TIMEOUT_MAX));
        self.effects.push(Effect::Probe { host: id, addr, timeout });
    }

    /// Nobody has to listen for connections where all clients come by datagrams: a failed host comes back when its time
    /// is over, and what does not arrive there is offered to another one.
    fn end_time_out(&mut self, now: Moment, id: HostId) {
        self.with_health(now, id, |host, rules| {
            host.health.on_probe_started(now);
            if host.health.status() == HostStatus::Up {
                // That nobody was asked says nothing for it.
                host.health.on_probe_void(now);
                return None;
            }
            host.counters.clear_suspicion();
            host.health.on_probe_succeeded(now, rules).map(|_| "its time is over".to_owned())
        });
    }

    /// Takes in which hosts of a service are in its enabled group, and the rules.
    pub(super) fn watch(&mut self, now: Moment, id: ServiceId) {
        let Some(service) = self.registry.services.get(&id) else { return };
        for (number, group) in service.groups.iter().enumerate() {
            for host in group.entries.iter().flat_map(|entry| &entry.hosts) {
                if let Some(known) = self.registry.hosts.get_mut(host) {
                    let rules = known.rules(&self.rules);
                    known.health.watch(now, Some(number) == service.config.enabled, &rules);
                    self.probes.plan(*host, known.next_probe());
                }
            }
        }
    }

    /// Probes the hosts of a service eagerly while none of those that could serve in the same role is up. Draining ones
    /// are not asked.
    pub(super) fn settle_eagerness(&mut self, now: Moment, id: ServiceId) {
        let Some(service) = self.registry.services.get(&id) else { return };
        let candidates: BTreeMap<HostId, Role> = service
            .serving()
            .filter(|(_, config)| is_wanted(config))
            .map(|(id, host)| (id, host.policy.role))
            .collect();
        // Who is kept out serves nobody, whatever it answers.
        let is_up = |id| {
            self.registry
                .hosts
                .get(id)
                .is_some_and(|host| host.health.status() == HostStatus::Up && host.kept_out.is_none())
        };
        let served: BTreeSet<Role> = candidates.iter().filter(|(id, _)| is_up(id)).map(|(_, role)| *role).collect();
        for host in service.groups.iter().flat_map(|group| &group.entries).flat_map(|entry| &entry.hosts) {
            let Some(known) = self.registry.hosts.get_mut(host) else { continue };
            if known.health.status() == HostStatus::Down {
                let none_left = candidates.get(host).is_some_and(|role| !served.contains(role));
                known.health.set_eager(now, none_left);
                self.probes.plan(*host, known.next_probe());
            }
        }
    }

    /// Lets `event` change a host's health, and does what follows from it. `event` says why if the status changed.
    pub(super) fn with_health(
        &mut self,
        now: Moment,
        id: HostId,
        event: impl FnOnce(&mut Host, &crate::config::Manager) -> Option<String>,
    ) {
        let Some(host) = self.registry.hosts.get_mut(&id) else { return };
        let (old, since) = (host.health.status(), host.health.since());
        let rules = host.rules(&self.rules);
        let why = event(host, &rules);
        self.probes.plan(id, host.next_probe());
        let (service, new) = (host.at.service, host.health.status());
        if let Some(why) = why {
            host.why.clone_from(&why);
            self.dirty.insert(service);
            self.tell_state(id, old, new, &why, now.since(since));
        }
    }

    fn tell_state(&mut self, id: HostId, old: HostStatus, new: HostStatus, why: &str, lasted: Duration) {
        let Some(place) = self.registry.hosts.get(&id).and_then(|host| self.registry.place(host)) else { return };
        let level = match new {
            HostStatus::Up => Level::Info,
            HostStatus::Down => Level::Warn,
        };
        let (old, new, why, lasted) = (status_word(old), status_word(new), Quoted(why), Seconds(lasted));
        let line = format!("state {place} old={old} new={new} why={why} for={lasted}");
        self.tell(level, line);
    }
}

/// Whether the host is to get new connections while it is up.
fn is_wanted(config: &crate::config::Host) -> bool {
    config.weight > 0 && config.state == AdminState::Up
}
