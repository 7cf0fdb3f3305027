//! Commands on the clients that tables remember, and on hosts that get none for a time.

use std::net::IpAddr;
use std::time::Duration;

use crate::config;
use crate::manager::StickyFilter;
use crate::model::change::{HostRef, Refusal};
use crate::model::command::{Origin, Reply};
use crate::model::limits::{SESSIONS_LISTED, SESSIONS_LISTED_MAX, TIME_MAX};
use crate::model::sticky::StickySearch;
use crate::model::time::Moment;

use super::turn::Shell;

impl Shell {
    /// Lists clients.
    pub(super) fn list_clients(&self, now: Moment, search: &StickySearch) -> Reply {
        let limit = if search.limit == 0 { SESSIONS_LISTED } else { search.limit.min(SESSIONS_LISTED_MAX) };
        let filter = self.sticky_filter(search);
        filter.map_or_else(Reply::Refused, |filter| Reply::Sticky(self.brain.sticky_clients(now, &filter, limit)))
    }

    /// Forgets clients.
    pub(super) fn forget_clients(&mut self, search: &StickySearch, origin: &Origin) -> Reply {
        let forgotten = self.sticky_filter(search).and_then(|filter| match self.brain.forget_clients(&filter) {
            0 => Err(Refusal::not_found("no such client is remembered")),
            count => Ok(count),
        });
        match forgotten {
            Ok(count) => {
                self.journal.done(origin, &format!("clients forgotten: {count}"));
                Reply::Forgotten(count)
            }
            Err(refusal) => self.told(origin, "forget clients", Err(refusal)),
        }
    }

    /// Keeps a host out for a time, or takes it back.
    pub(super) fn blacklist(&mut self, now: Moment, host: &HostRef, time: Duration) -> Result<String, Refusal> {
        if time > TIME_MAX {
            let what = format!("the time is too long, expected at most {}", config::show_time(TIME_MAX));
            return Err(Refusal::invalid(what));
        }
        let (service, group, at) = config::find_host(self.truth.running(), host)?;
        let service = &self.truth.running().services[service];
        let group = &service.groups[group];
        let place = format!("{}/{}/{}", service.name, group.name, group.hosts[at].name);
        let ids = self.brain.host_ids(&service.name, &group.name, &group.hosts[at].name);
        if ids.is_empty() {
            return Err(Refusal::not_found(format!("{place} has no address at the moment")));
        }
        let changed = self.brain.blacklist(now, &ids, time);
        let effects = self.brain.take_effects();
        self.carry_out(now, effects);
        self.await_reactors();
        Ok(match (changed, time.is_zero()) {
            (0, _) => format!("host {place} was not blacklisted"),
            (_, true) => format!("host {place} gets clients again"),
            (_, false) => format!("host {place} gets no new clients for {}", config::show_time(time)),
        })
    }

    fn sticky_filter(&self, search: &StickySearch) -> Result<StickyFilter, Refusal> {
        let running = self.truth.running();
        let mut filter = StickyFilter { group: search.group.clone(), ..StickyFilter::default() };
        if let Some(client) = &search.client {
            let wrong = |_| Refusal::invalid(format!("client {client}: not an address, expected one without a port"));
            filter.client = Some(client.parse::<IpAddr>().map_err(wrong)?);
        }
        if let Some(name) = &search.service {
            let unknown = || Refusal::not_found(format!("the configuration has no service {name:?}"));
            let service = running.service(name).ok_or_else(unknown)?;
            if let Some(group) = &search.group
                && service.groups.iter().all(|known| known.name != *group)
            {
                return Err(Refusal::not_found(format!("the service {name:?} has no group {group:?}")));
            }
            filter.service = Some(name.clone());
        }
        if let Some(host) = &search.host {
            let (service, group, at) = config::find_host(running, host)?;
            let service = &running.services[service];
            let group = &service.groups[group];
            filter.hosts = Some(self.brain.host_ids(&service.name, &group.name, &group.hosts[at].name));
            filter.service = Some(service.name.clone());
            filter.group = Some(group.name.clone());
        }
        Ok(filter)
    }
}
