//! The control plane: the only writer of truth about services, groups and hosts.
//!
//! [`Manager`] is the brain: events in, effects out, `now` as an argument. It judges hosts by what reactors report and
//! probes find, expands names to addresses, and publishes each service whole when reactors would see a difference. It
//! has no clock, no sockets, no files and no threads, so that a simulation can drive it.
//!
//! - `judge` turns reports and probes into status changes, with one `health` a host and the plan of all `probes`; `blacklist`
//!   keeps hosts out for a time;
//! - `registry` holds what is configured and what outlives a reload, `names` what host names resolved to;
//! - `publication` makes of it what reactors see, for a group of many hosts not more often than they can follow;
//!   `sticky` shows and forgets the clients of tables; `changes`, `line`, `counter_lines` and `loop_table` make what people read, `view` what programs do.
//!
//! [`run`] is the thread around it, and all that touches the system. The data plane goes on with what it knows when the
//! manager stalls.

mod blacklist;
mod changes;
mod counter_lines;
mod effect;
mod health;
mod judge;
mod line;
mod loop_table;
mod names;
mod probes;
mod publication;
mod registry;
pub mod run;
mod sticky;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use log::Level;

use crate::config::{self, Address, Config};
use crate::model::datagram::Dropped;
use crate::model::id::{HostId, ReactorId, ServiceId};
use crate::model::outcome::CloseReason;
use crate::model::service::ServiceSpec;
use crate::model::socket_options::Outbound;
use crate::model::status::HostStatus;
use crate::model::time::Moment;

pub use changes::Changes;
pub use effect::{Effect, Event};
pub use health::Health;
pub use publication::Settings;
pub use sticky::StickyFilter;

use line::{Limiter, Quoted, Seconds, Value, status_word};
use names::{NameState, Names};
use probes::Probes;
use registry::{Gone, Position, Registry};

/// The control plane's brain.
///
/// After each call take the effects with [`Manager::take_effects`], in their order, and call [`Manager::on_deadline`]
/// no later than [`Manager::next_deadline`]. The same calls give the same effects.
#[derive(Debug)]
pub struct Manager {
    settings: Settings,
    rules: config::Manager,
    registry: Registry,
    names: Names,
    probes: Probes,
    paused: Limiter<(ReactorId, Option<i32>)>,
    dropped: Limiter<(ReactorId, Dropped, u64)>,
    /// Hosts that operators keep out for a time.
    kept_out: blacklist::Ends,
    /// Services of which something changed since they were last looked at.
    dirty: BTreeSet<ServiceId>,
    effects: Vec<Effect>,
}

impl Manager {
    /// A manager of nothing; [`Manager::reload`] gives it its first configuration.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let registry = Registry::new(settings.connect.clone());
        Self {
            settings,
            rules: config::Manager {
                host_check: crate::model::limits::HOST_CHECK,
                checktime: std::time::Duration::ZERO,
                heartbeat: None,
                rise: 1,
                fall: 1,
                config_check: None,
            },
            registry,
            names: Names::default(),
            probes: Probes::default(),
            paused: Limiter::default(),
            dropped: Limiter::default(),
            kept_out: blacklist::Ends::default(),
            dirty: BTreeSet::new(),
            effects: Vec::new(),
        }
    }

    /// Makes `config` the truth. What it does not change goes on: identities, counters, health, rotations.
    pub fn reload(&mut self, now: Moment, config: &Config) -> Changes {
        let rules_changed = self.rules != config.manager;
        self.rules = config.manager.clone();
        let hosts = config.services.iter().flat_map(|service| &service.groups).flat_map(|group| &group.hosts);
        let wanted = hosts.filter_map(|host| match &host.address {
            Address::Name { host, .. } => Some(host.as_str()),
            Address::Socket(_) => None,
        });
        self.names.keep(now, &wanted.collect());
        let (changes, gone) = self.registry.apply(now, config, &self.names);
        self.forget(&gone);
        let services: Vec<ServiceId> = self.registry.services.keys().copied().collect();
        for id in services {
            self.note_entries(now, id);
            self.watch(now, id);
            self.dirty.insert(id);
        }
        for service in self.registry.services.values_mut() {
            service.gathers_until = now;
        }
        self.settle(now);
        Changes { rules_changed, ..changes }
    }

    /// How to connect to this host, if that is not as usual.
    #[must_use]
    pub fn outbound(&self, host: HostId) -> Option<&Outbound> {
        self.registry.hosts.get(&host)?.outbound.as_deref()
    }

    /// Takes in what happened.
    pub fn on_event(&mut self, now: Moment, event: Event) {
        match event {
            Event::Report(report) => self.on_report(now, report),
            Event::ProbeEnded { host, result } => self.on_probe_ended(now, host, result),
            Event::Resolved { name, result } => self.on_resolved(now, &name, result),
        }
        self.settle(now);
    }

    /// Does what is due: probes, resolutions, lines held back. Calling it early changes nothing.
    pub fn on_deadline(&mut self, now: Moment) {
        while let Some(host) = self.probes.next_lost(now) {
            self.on_probe_lost(now, host);
        }
        self.end_blacklists(now);
        if let Some((item, suppressed)) = self.paused.take_due(now) {
            self.tell_paused(item, suppressed);
        }
        if let Some((item, suppressed)) = self.dropped.take_due(now) {
            self.tell_dropped(item, suppressed);
        }
        let mut lost = Vec::new();
        for (id, service) in &mut self.registry.services {
            lost.extend(service.lost.take_due(now).map(|held| (*id, held)));
        }
        for (id, (item, suppressed)) in lost {
            self.tell_lost(id, item, suppressed);
        }
        self.settle(now);
    }

    /// When [`Manager::on_deadline`] is to be called, at the latest; a moment in the past means now.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        let lost = self.registry.services.values().filter_map(|service| service.lost.next_deadline());
        let others = [
            self.probes.next_deadline(),
            self.names.next_deadline(),
            self.paused.next_deadline(),
            self.dropped.next_deadline(),
            self.kept_out.next_deadline(),
        ];
        let gathering = self.dirty.iter().filter_map(|id| Some(self.registry.services.get(id)?.gathers_until));
        others.into_iter().flatten().chain(lost).chain(gathering).min()
    }

    /// What is to be done, in order.
    #[must_use]
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The service of this name.
    #[must_use]
    pub fn service_id(&self, name: &str) -> Option<ServiceId> {
        self.registry.services.iter().find(|(_, service)| &*service.name == name).map(|(id, _)| *id)
    }

    /// What was last published, by service.
    pub fn published(&self) -> impl Iterator<Item = &Arc<ServiceSpec>> {
        self.registry.services.values().filter_map(|service| service.published.as_ref())
    }

    /// Every host of every group, enabled or not, with its health.
    pub fn hosts(&self) -> impl Iterator<Item = (HostId, SocketAddr, &Health)> {
        self.registry.hosts.iter().map(|(id, host)| (*id, host.addr, &host.health))
    }

    /// How many probes are in flight; never more than [`crate::model::limits::PROBES_MAX`].
    #[must_use]
    pub fn probes_in_flight(&self) -> usize {
        self.probes.in_flight()
    }

    /// Whether the host will be probed, or is being probed.
    #[must_use]
    pub fn will_probe(&self, host: HostId) -> bool {
        self.probes.knows(host)
    }

    /// The one place after every change: publishes what differs, asks for names, starts probes.
    fn settle(&mut self, now: Moment) {
        for id in std::mem::take(&mut self.dirty) {
            if self.registry.services.get(&id).is_some_and(|service| service.gathers_until > now) {
                self.dirty.insert(id);
                continue;
            }
            self.settle_eagerness(now, id);
            if let Some(spec) = self.registry.publish(now, id, &self.settings) {
                self.effects.push(Effect::Publish(spec));
            }
        }
        for name in self.names.take_due(now) {
            self.effects.push(Effect::Resolve { name });
        }
        while let Some(host) = self.probes.next_due(now) {
            self.start_probe(now, host);
        }
    }

    fn on_resolved(&mut self, now: Moment, name: &str, result: Result<Vec<std::net::IpAddr>, String>) {
        let Some(change) = self.names.on_resolved(now, name, result) else { return };
        let level = if change.new == NameState::Resolved { Level::Info } else { Level::Warn };
        let (old, new, why, lasted) = (change.old, change.new, Quoted(&change.why), Seconds(change.lasted));
        self.tell(level, format!("name name={} old={old} new={new} why={why} for={lasted}", Value(name)));
        for at in self.registry.entries_of_name(name) {
            let (_, hosts) = self.registry.expand(now, at, &self.names);
            for host in &hosts {
                self.registry.hosts.remove(host);
            }
            self.forget(&Gone { services: Vec::new(), hosts });
            self.note_entry(now, at, name, &change.why);
            self.watch(now, at.service);
            self.dirty.insert(at.service);
        }
    }

    /// Tells of entries of this service that came to a name which had failed before.
    fn note_entries(&mut self, now: Moment, id: ServiceId) {
        let Some(service) = self.registry.services.get(&id) else { return };
        let mut named = Vec::new();
        for (group, config) in service.config.groups.iter().enumerate() {
            for (entry, host) in config.hosts.iter().enumerate() {
                if let Address::Name { host, .. } = &host.address {
                    named.push((Position { service: id, group, entry }, host.clone()));
                }
            }
        }
        for (at, name) in named {
            self.note_entry(now, at, &name, "");
        }
    }

    /// Tells of an entry that got its first address, or has none.
    fn note_entry(&mut self, now: Moment, at: Position, name: &str, why: &str) {
        let state = self.names.state(name);
        let Some((old, since)) = self.registry.note_entry(now, at, state) else { return };
        let Some(place) = self.registry.entry_place(at) else { return };
        let old = old.map_or("unknown", status_word);
        let (level, new, verb) = if state == NameState::Unresolved {
            (Level::Warn, HostStatus::Down, "does not resolve")
        } else {
            (Level::Info, HostStatus::Up, "resolves to")
        };
        let colon = if state == NameState::Unresolved && !why.is_empty() { ":" } else { "" };
        let why = format!("name {verb}{colon} {why}");
        let (why, lasted) = (Quoted(why.trim_end()), Seconds(now.since(since)));
        let line = format!("state {place} old={old} new={} why={why} for={lasted}", status_word(new));
        self.tell(level, line);
    }

    fn forget(&mut self, gone: &Gone) {
        for host in &gone.hosts {
            self.probes.forget(*host);
        }
        self.effects.extend(gone.services.iter().map(|id| Effect::Remove(*id)));
    }

    fn tell_lost(&mut self, id: ServiceId, (client, reason): (SocketAddr, CloseReason), suppressed: u32) {
        let Some(service) = self.registry.services.get(&id) else { return };
        let (name, why) = (Value(&service.name), reason.name());
        let line = format!("lost service={name} client={client} why={why} suppressed={suppressed}");
        self.tell(Level::Warn, line);
    }

    fn tell_paused(&mut self, (reactor, errno): (ReactorId, Option<i32>), suppressed: u32) {
        let why = match errno {
            Some(errno) => std::io::Error::from_raw_os_error(errno).to_string(),
            None => "at the connection limit".to_owned(),
        };
        let line = format!("accepting paused reactor={reactor} why={} suppressed={suppressed}", Quoted(&why));
        self.tell(Level::Warn, line);
    }

    fn tell_dropped(&mut self, (reactor, reason, count): (ReactorId, Dropped, u64), suppressed: u32) {
        let why = reason.name();
        let line = format!("datagrams dropped reactor={reactor} why={why} count={count} suppressed={suppressed}");
        self.tell(Level::Warn, line);
    }

    fn tell(&mut self, level: Level, line: String) {
        self.effects.push(Effect::Log { level, line });
    }
}
