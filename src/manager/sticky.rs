//! What operators see of the clients that tables remember, and how they have them forgotten.

use std::net::IpAddr;

use crate::model::id::HostId;
use crate::model::snapshot::StickyState;
use crate::model::sticky::{Entry, Network, StickyClient, StickyList, StickyTable};
use crate::model::time::Moment;

use super::Manager;
use super::registry::Service;

/// Which clients are meant. What is left out matches everything.
#[derive(Clone, Debug, Default)]
pub struct StickyFilter {
    /// The service's name.
    pub service: Option<String>,
    /// The group's name.
    pub group: Option<String>,
    /// The client, or one of the network that counts as one.
    pub client: Option<IpAddr>,
    /// Those at one of these hosts.
    pub hosts: Option<Vec<HostId>>,
}

/// A table with the place that it belongs to.
struct Found<'a> {
    service: &'a Service,
    group: usize,
    table: &'a StickyTable,
    client: Option<Network>,
}

impl Manager {
    /// The clients that match, `limit` of them at most.
    #[must_use]
    pub fn sticky_clients(&self, now: Moment, filter: &StickyFilter, limit: usize) -> StickyList {
        let mut list = StickyList::default();
        for found in self.tables(filter) {
            found.table.walk(|entry| {
                if found.matches(filter, entry) {
                    list.total += 1;
                    if list.clients.len() < limit {
                        list.clients.push(self.sticky_client(now, &found, entry));
                    }
                }
            });
        }
        list
    }

    /// Forgets the clients that match; their connections stay. Returns how many.
    #[must_use]
    pub fn forget_clients(&self, filter: &StickyFilter) -> usize {
        let forget = |found: Found<'_>| match (found.client, &filter.hosts) {
            (Some(client), None) => usize::from(found.table.forget(client)),
            (_, _) => found.table.forget_matching(|entry| found.matches(filter, entry)),
        };
        self.tables(filter).map(forget).sum()
    }

    fn tables<'a>(&'a self, filter: &'a StickyFilter) -> impl Iterator<Item = Found<'a>> {
        let meant = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
        let services = self.registry.order.iter().filter_map(|id| self.registry.services.get(id));
        let services = services.filter(move |service| meant(&filter.service, &service.name));
        services.flat_map(move |service| {
            let groups = service.config.groups.iter().zip(&service.groups).enumerate();
            groups.filter(move |(_, (config, _))| meant(&filter.group, &config.name)).filter_map(
                move |(group, (config, state))| {
                    let client = filter.client.map(|client| config.sticky.prefixes.network(client));
                    Some(Found { service, group, table: state.table.as_ref()?, client })
                },
            )
        })
    }

    fn sticky_client(&self, now: Moment, found: &Found<'_>, entry: &Entry) -> StickyClient {
        let config = &found.service.config;
        let group = &config.groups[found.group];
        let name = |id: HostId| {
            let host = self.registry.hosts.get(&id)?;
            Some((self.registry.place(host)?.host.to_owned(), host.addr.to_string()))
        };
        let (host, addr) = name(entry.known.host).unwrap_or_default();
        let home = Some(entry.known.home).filter(|home| *home != entry.known.host).and_then(name).unwrap_or_default().0;
        let client = group.sticky.prefixes.show(entry.client);
        let idle = now.since(entry.used);
        StickyClient { client, service: config.name.clone(), group: group.name.clone(), host, addr, home, idle }
    }
}

impl Found<'_> {
    fn matches(&self, filter: &StickyFilter, entry: &Entry) -> bool {
        self.client.is_none_or(|client| client == entry.client)
            && filter.hosts.as_ref().is_none_or(|hosts| hosts.contains(&entry.known.host))
    }
}

/// How a group's clients find their host again, with what its table has.
pub(super) fn state(service: &Service, group: usize) -> StickyState {
    let table = service.groups[group].table.as_ref();
    StickyState {
        rules: service.config.groups[group].sticky,
        clients: table.map_or(0, |table| table.len()),
        evicted: table.map_or(0, |table| table.evicted()),
    }
}
