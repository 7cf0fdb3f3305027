//! What people and programs see of services, groups and hosts at one moment.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::config::{self, Address};
use crate::model::counters::HostCounters;
use crate::model::id::{HostId, ServiceId};
use crate::model::role::Level;
use crate::model::snapshot::{GroupView, HostView, ListenerView, ServiceView};
use crate::model::status::HostStatus;
use crate::model::time::Moment;

use super::Manager;
use super::names::NameState;
use super::registry::{Entry, Host, Service};
use super::sticky;

impl Manager {
    /// Every service, in the order of the configuration. Where its listeners are bound is for the shell to say.
    #[must_use]
    pub fn service_views(&self, now: Moment) -> Vec<ServiceView> {
        let order = self.registry.order.iter().filter_map(|id| self.registry.services.get(id));
        order.map(|service| self.service_view(now, service)).collect()
    }

    /// The hosts of this name, one for each of its addresses.
    #[must_use]
    pub fn host_ids(&self, service: &str, group: &str, host: &str) -> Vec<HostId> {
        self.entry(service, group, host).map(|entry| entry.hosts.clone()).unwrap_or_default()
    }

    /// The names of a service, of a host's group and of the host; empty where they are gone.
    #[must_use]
    pub fn session_place(&self, service: ServiceId, host: Option<HostId>) -> (String, String, String) {
        let name = self.registry.services.get(&service).map(|service| service.name.to_string()).unwrap_or_default();
        let place = host.and_then(|host| self.registry.place(self.registry.hosts.get(&host)?));
        let (group, host) = place.map(|place| (place.group.to_owned(), place.host.to_owned())).unwrap_or_default();
        (name, group, host)
    }

    /// Takes the hosts of this name back without a probe, and ends their blacklist. Returns how many were out.
    pub fn take_back(&mut self, now: Moment, service: &str, group: &str, host: &str) -> usize {
        let ids = self.host_ids(service, group, host);
        let kept_out = self.blacklist(now, &ids, Duration::ZERO);
        let mut back = kept_out;
        for id in ids {
            let mut was_down = false;
            self.with_health(now, id, |host, rules| {
                was_down = host.health.status() == HostStatus::Down;
                host.counters.clear_suspicion();
                host.health.take_back(now, rules).map(|_| "taken back by hand".to_owned())
            });
            back += usize::from(was_down && kept_out == 0);
        }
        self.settle(now);
        back
    }

    fn entry(&self, service: &str, group: &str, host: &str) -> Option<&Entry> {
        let service = self.registry.services.get(&self.service_id(service)?)?;
        let at = service.config.groups.iter().position(|known| known.name == group)?;
        let entry = service.config.groups[at].hosts.iter().position(|known| known.name == host)?;
        service.groups[at].entries.get(entry)
    }

    fn service_view(&self, now: Moment, service: &Service) -> ServiceView {
        let config = &service.config;
        let (counters, settings) = (&service.counters, &self.settings);
        ServiceView {
            name: config.name.clone(),
            enabled: config.enabled.map(|at| config.groups[at].name.clone()),
            listeners: config.listens.iter().map(listener_view).collect(),
            groups: (0..config.groups.len()).map(|at| self.group_view(now, service, at)).collect(),
            connect_timeout: config.connect_timeout.unwrap_or(settings.connect_timeout),
            idle_timeout: config.idle_timeout.unwrap_or(settings.idle_timeout),
            fin_timeout: config.fin_timeout.unwrap_or(settings.fin_timeout),
            flows: config.flows.rules(),
            max_connections: config.max_connections,
            open: counters.open.load(Relaxed),
            waiting: counters.waiting.load(Relaxed),
            accepted: counters.accepted.load(Relaxed),
            retries: counters.retries.load(Relaxed),
            closed: counters.closed_by_reason(),
            wait: counters.waits.view(),
            wait_sum_us: micros(counters.waits.sum()),
        }
    }

    fn group_view(&self, now: Moment, service: &Service, at: usize) -> GroupView {
        let group = &service.config.groups[at];
        let mut hosts = Vec::new();
        for (config, entry) in group.hosts.iter().zip(&service.groups[at].entries) {
            let known = entry.hosts.iter().filter_map(|id| self.registry.hosts.get(id));
            hosts.extend(known.map(|host| host_view(now, config, host)));
            if entry.hosts.is_empty() {
                hosts.push(self.unresolved_view(now, config, entry));
            }
        }
        let enabled = service.config.enabled == Some(at);
        let sticky = sticky::state(service, at);
        let stubborn = group.policy.stubborn.unwrap_or(service.config.stubborn);
        GroupView { name: group.name.clone(), enabled, scheduler: group.scheduler, sticky, stubborn, hosts }
    }

    fn unresolved_view(&self, now: Moment, config: &config::Host, entry: &Entry) -> HostView {
        let why = match &config.address {
            Address::Name { host, .. } if self.names.state(host) == NameState::Unknown => "being resolved",
            Address::Name { .. } | Address::Socket(_) => "name does not resolve",
        };
        let view = view(config, None, &HostCounters::default());
        HostView { status: HostStatus::Down, why: why.to_owned(), lasted: now.since(entry.since), ..view }
    }
}

fn listener_view(listen: &config::Listen) -> ListenerView {
    ListenerView {
        address: listen.address.to_string(),
        protocol: listen.protocol,
        bound: Vec::new(),
        accepted: 0,
        errors: 0,
    }
}

fn host_view(now: Moment, config: &config::Host, host: &Host) -> HostView {
    HostView {
        status: host.health.status(),
        why: host.why.clone(),
        lasted: now.since(host.health.since()),
        next_probe: host.next_probe().map(|at| at.since(now)),
        blacklisted: host.kept_out.map(|until| until.since(now)),
        times_blacklisted: host.times_kept_out,
        ..view(config, Some(host.addr), &host.counters)
    }
}

fn view(config: &config::Host, addr: Option<SocketAddr>, counters: &HostCounters) -> HostView {
    HostView {
        name: config.name.clone(),
        address: config.address.to_string(),
        addr,
        status: HostStatus::Up,
        admin: config.state,
        why: String::new(),
        lasted: Duration::ZERO,
        next_probe: None,
        blacklisted: None,
        times_blacklisted: 0,
        weight: config.weight,
        max: config.max,
        hard: config.policy.hard,
        level: Level { role: config.policy.role, prio: config.policy.prio },
        open: counters.open(),
        total: counters.established.load(Relaxed),
        failed: counters.failed.load(Relaxed),
        bytes_up: counters.bytes_up.load(Relaxed),
        bytes_down: counters.bytes_down.load(Relaxed),
        connect_time: counters.connect_time(),
        connects: counters.connect_times.view(),
        connects_sum_us: micros(counters.connect_times.sum()),
        lifetimes: counters.lifetimes.view(),
        lifetimes_sum_us: micros(counters.lifetimes.sum()),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
