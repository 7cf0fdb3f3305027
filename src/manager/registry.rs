//! What is: every service, group and host of the configuration, with what is kept over reloads.
//!
//! Identities, counters and health belong to (service, group, host name, address): as long as these four stay, the
//! host stays, whatever else a reload changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{self, Address, Config};
use crate::model::access::Acl;
use crate::model::address::Endpoint;
use crate::model::clients::{ClientLimits, ClientTable};
use crate::model::counters::ServiceCounters;
use crate::model::id::{HostId, ServiceId};
use crate::model::outcome::CloseReason;
use crate::model::rotation::Rotation;
use crate::model::service::ServiceSpec;
use crate::model::socket_options::ConnectOptions;
use crate::model::status::HostStatus;
use crate::model::sticky::{StickyMode, StickyRules, StickyTable};
use crate::model::time::Moment;

use super::changes::Changes;
use super::host::Host;
use super::line::{Limiter, Place};
use super::lists::Lists;
use super::names::{NameState, Names};

/// All services and hosts. Identities are never used again.
#[derive(Debug, Default)]
pub(super) struct Registry {
    pub(super) services: BTreeMap<ServiceId, Service>,
    pub(super) hosts: BTreeMap<HostId, Host>,
    /// The services in the order of the configuration.
    pub(super) order: Vec<ServiceId>,
    lists: Lists,
    /// How to connect to hosts, as far as the configuration does not say.
    connect: ConnectOptions,
    next_service: u32,
    next_host: u32,
}

/// A service: its configuration and what lives beside it.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: Arc<str>,
    pub(super) config: config::Service,
    /// As in the configuration.
    pub(super) groups: Vec<Group>,
    pub(super) counters: Arc<ServiceCounters>,
    /// What the reactors know.
    pub(super) published: Option<Arc<ServiceSpec>>,
    /// Until when changes are gathered for the next publication.
    pub(super) gathers_until: Moment,
    pub(super) lost: Limiter<(Endpoint, CloseReason)>,
    pub(super) refused: Limiter<(Endpoint, CloseReason)>,
    /// Where its clients are counted, if that is of use.
    pub(super) clients: Option<Arc<ClientTable>>,
    /// Tables made so far.
    tables: u16,
}

/// A group's runtime state.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) rotation: Arc<Rotation>,
    /// Where its clients are, if a table remembers that.
    pub(super) table: Option<Arc<StickyTable>>,
    /// As in the configuration.
    pub(super) entries: Vec<Entry>,
}

/// A configured host's runtime state: a host for each of its addresses, sorted by address.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) hosts: Vec<HostId>,
    /// Whether it has an address; `None` until its name was resolved for the first time.
    pub(super) status: Option<HostStatus>,
    pub(super) since: Moment,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) service: ServiceId,
    pub(super) group: usize,
    pub(super) entry: usize,
}

impl Registry {
    /// Nothing, with how to connect to hosts that do not say so.
    pub(super) fn new(connect: ConnectOptions) -> Self {
        Self { connect, ..Self::default() }
    }

    /// Makes the registry what the configuration says and returns what changed, and the services and hosts that are
    /// gone.
    pub(super) fn apply(&mut self, now: Moment, config: &Config, names: &Names) -> (Changes, Gone) {
        let mut changes = Changes::default();
        let mut gone = Gone::default();
        changes.lists_changed = self.lists.take(&config.acls);
        let wanted: BTreeSet<&str> = config.services.iter().map(|service| service.name.as_str()).collect();
        let old: BTreeMap<Arc<str>, ServiceId> =
            self.services.iter().map(|(id, service)| (Arc::clone(&service.name), *id)).collect();
        for (name, id) in old.iter().filter(|(name, _)| !wanted.contains(&***name)) {
            changes.services_removed.push(name.to_string());
            if let Some(service) = self.services.remove(id) {
                gone.hosts.extend(service.hosts());
            }
            gone.services.push(*id);
        }
        self.order.clear();
        for service in &config.services {
            let known = old.get(service.name.as_str()).copied();
            let id = known.unwrap_or_else(|| ServiceId(next(&mut self.next_service)));
            match self.services.get(&id) {
                Some(known) if known.config == *service => {}
                Some(_) => changes.services_changed.push(service.name.clone()),
                None => changes.services_added.push(service.name.clone()),
            }
            self.place_service(now, id, service, names, &mut changes, &mut gone);
            self.order.push(id);
        }
        for host in &gone.hosts {
            self.hosts.remove(host);
        }
        changes.hosts_removed = gone.hosts.len();
        (changes, gone)
    }

    /// The access list of that name, as reactors look into it.
    pub(super) fn acl(&self, name: Option<&str>) -> Option<Arc<Acl>> {
        self.lists.get(name?)
    }

    fn place_service(
        &mut self,
        now: Moment,
        id: ServiceId,
        config: &config::Service,
        names: &Names,
        changes: &mut Changes,
        gone: &mut Gone,
    ) {
        let mut service = self.services.remove(&id).unwrap_or_else(|| Service::new(config));
        let before: BTreeSet<HostId> = service.hosts().collect();
        service.take_config(now, config);
        self.services.insert(id, service);
        for (group, entries) in config.groups.iter().map(|group| group.hosts.len()).enumerate() {
            for entry in 0..entries {
                changes.hosts_added += self.expand(now, Position { service: id, group, entry }, names).0;
            }
        }
        let after: BTreeSet<HostId> = self.services.get(&id).into_iter().flat_map(Service::hosts).collect();
        gone.hosts.extend(before.difference(&after));
    }

    /// Gives a configured host exactly one host for each address that it has now, keeping those that it has already.
    /// Returns how many are new, and which are gone and to be removed.
    pub(super) fn expand(&mut self, now: Moment, at: Position, names: &Names) -> (usize, Vec<HostId>) {
        let Some(service) = self.services.get_mut(&at.service) else { return (0, Vec::new()) };
        let group = &service.config.groups[at.group];
        let connect = group.hosts[at.entry].connect.or(&group.connect).or(&self.connect);
        let serves_connections = service.config.takes_connections();
        let wanted = match &group.hosts[at.entry].address {
            Address::Socket(addr) => vec![Endpoint::Ip(*addr)],
            Address::Unix(name) => vec![Endpoint::Unix(*name)],
            Address::Name { host, port } => {
                names.addresses(host).iter().map(|ip| SocketAddr::new(*ip, *port).into()).collect()
            }
        };
        let entry = &mut service.groups[at.group].entries[at.entry];
        let old = std::mem::take(&mut entry.hosts);
        let mut added = 0;
        for addr in wanted {
            let known = old.iter().find(|id| self.hosts.get(id).is_some_and(|host| host.addr == addr));
            let id = known.copied().unwrap_or_else(|| {
                added += 1;
                HostId(next(&mut self.next_host))
            });
            let host = self.hosts.entry(id).or_insert_with(|| Host::new(now, id, at, addr));
            host.at = at;
            host.admin = group.hosts[at.entry].state;
            host.checktime = group.hosts[at.entry].policy.blacklist.or(group.policy.blacklist);
            host.take_connect(&connect);
            host.take_check(group.check.as_ref(), serves_connections);
            entry.hosts.push(id);
        }
        let gone = old.into_iter().filter(|id| !entry.hosts.contains(id)).collect();
        (added, gone)
    }

    /// The entries whose host has this name.
    pub(super) fn entries_of_name(&self, name: &str) -> Vec<Position> {
        let mut found = Vec::new();
        for (id, service) in &self.services {
            for (group, config) in service.config.groups.iter().enumerate() {
                for (entry, host) in config.hosts.iter().enumerate() {
                    if matches!(&host.address, Address::Name { host, .. } if host == name) {
                        found.push(Position { service: *id, group, entry });
                    }
                }
            }
        }
        found
    }

    /// Takes in whether an entry has an address. Returns its status before and how long that lasted, if it is to be
    /// told.
    pub(super) fn note_entry(
        &mut self,
        now: Moment,
        at: Position,
        name: NameState,
    ) -> Option<(Option<HostStatus>, Moment)> {
        let entry = &mut self.services.get_mut(&at.service)?.groups[at.group].entries[at.entry];
        let new = match name {
            NameState::Unknown => None,
            NameState::Unresolved => Some(HostStatus::Down),
            NameState::Resolved | NameState::Stale => Some(HostStatus::Up),
        };
        if entry.status == new {
            return None;
        }
        let old = (entry.status, entry.since);
        entry.status = new;
        entry.since = now;
        // The first resolution that succeeds is not news.
        (old.0.is_some() || new == Some(HostStatus::Down)).then_some(old)
    }

    /// Where this host is in the configuration.
    pub(super) fn place(&self, host: &Host) -> Option<Place<'_>> {
        Some(Place { addr: host.addr.to_string(), ..self.entry_place(host.at)? })
    }

    /// Where this entry is in the configuration.
    pub(super) fn entry_place(&self, at: Position) -> Option<Place<'_>> {
        let service = &self.services.get(&at.service)?.config;
        let group = &service.groups[at.group];
        let host = &group.hosts[at.entry];
        let addr = match &host.address {
            Address::Socket(addr) => addr.to_string(),
            Address::Unix(name) => name.to_string(),
            Address::Name { host, port } => format!("{host}:{port}"),
        };
        Some(Place { service: &service.name, group: &group.name, host: &host.name, addr })
    }
}

/// What a reload left without a place.
#[derive(Debug, Default)]
pub(super) struct Gone {
    pub(super) services: Vec<ServiceId>,
    pub(super) hosts: Vec<HostId>,
}

impl Service {
    fn new(config: &config::Service) -> Self {
        Self {
            name: Arc::from(config.name.as_str()),
            config: config::Service { groups: Vec::new(), ..config.clone() },
            groups: Vec::new(),
            counters: Arc::default(),
            published: None,
            gathers_until: Moment::START,
            lost: Limiter::default(),
            refused: Limiter::default(),
            clients: None,
            tables: 0,
        }
    }

    /// Every host of every group.
    fn hosts(&self) -> impl Iterator<Item = HostId> {
        self.groups.iter().flat_map(|group| &group.entries).flat_map(|entry| &entry.hosts).copied()
    }

    /// Hosts of the group that serves, each with its weight.
    pub(super) fn serving(&self) -> impl Iterator<Item = (HostId, &config::Host)> {
        let serving = self.config.enabled;
        let entries = serving.into_iter().flat_map(|at| &self.groups[at].entries);
        let configs = serving.into_iter().flat_map(|at| &self.config.groups[at].hosts);
        entries.zip(configs).flat_map(|(entry, config)| entry.hosts.iter().map(move |id| (*id, config)))
    }

    /// Takes the configuration; groups and hosts of the same name keep what they have.
    fn take_config(&mut self, now: Moment, config: &config::Service) {
        let mut old: BTreeMap<String, (Group, config::Group)> = self
            .groups
            .drain(..)
            .zip(self.config.groups.drain(..))
            .map(|(group, config)| (config.name.clone(), (group, config)))
            .collect();
        self.groups = config
            .groups
            .iter()
            .map(|group| match old.remove(&group.name) {
                Some((known, before)) => known.carried_over(now, &before, group),
                None => Group::new(now, group),
            })
            .collect();
        self.take_entrance(&config.entrance);
        self.config = config.clone();
    }

    /// Has clients counted if they are limited. A table is kept as long as it is of the same kind, whatever the limits.
    fn take_entrance(&mut self, entrance: &config::Entrance) {
        if entrance.limits == ClientLimits::default() {
            self.clients = None;
        } else if self.clients.as_ref().is_none_or(|table| table.room() != entrance.room) {
            self.tables = self.tables.wrapping_add(1);
            self.clients = Some(Arc::new(ClientTable::new(self.tables, entrance.room)));
        }
    }
}

impl Group {
    fn new(now: Moment, config: &config::Group) -> Self {
        let table = table_for(&config.sticky, None);
        let entries = config.hosts.iter().map(|_| Entry::new(now)).collect();
        Self { rotation: Arc::default(), table, entries }
    }

    fn carried_over(self, now: Moment, before: &config::Group, after: &config::Group) -> Self {
        let mut old: BTreeMap<&str, (Entry, &Address)> = before
            .hosts
            .iter()
            .zip(self.entries)
            .map(|(host, entry)| (host.name.as_str(), (entry, &host.address)))
            .collect();
        let entries = after.hosts.iter().map(|host| match old.remove(host.name.as_str()) {
            Some((entry, address)) if *address == host.address => entry,
            Some((entry, _)) => Entry { hosts: entry.hosts, ..Entry::new(now) },
            None => Entry::new(now),
        });
        // What counts as one client decides what the table's keys are.
        let same_clients = before.sticky.prefixes == after.sticky.prefixes;
        let table = table_for(&after.sticky, self.table.filter(|_| same_clients));
        Self { rotation: self.rotation, table, entries: entries.collect() }
    }
}

impl Entry {
    const fn new(now: Moment) -> Self {
        Self { hosts: Vec::new(), status: None, since: now }
    }
}

/// The table that the rules ask for: the known one, or another one with what that knows.
fn table_for(rules: &StickyRules, known: Option<Arc<StickyTable>>) -> Option<Arc<StickyTable>> {
    let size = usize::try_from(rules.size).unwrap_or(usize::MAX);
    match (rules.mode, known) {
        (StickyMode::Off | StickyMode::Hash, _) => None,
        (StickyMode::Table, Some(table)) if table.size() == size => Some(table),
        (StickyMode::Table, Some(table)) => Some(Arc::new(table.resized(rules.size))),
        (StickyMode::Table, None) => Some(Arc::new(StickyTable::new(rules.size))),
    }
}

/// Takes the next number.
const fn next(counter: &mut u32) -> u32 {
    let number = *counter;
    *counter += 1;
    number
}
