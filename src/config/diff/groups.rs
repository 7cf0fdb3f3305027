//! Groups and their hosts.

use std::collections::HashSet;

use super::words::{self, ANEW, DRAINED, IDLE_GROUP, KEPT, NEW_ONLY, WITH_RELOAD};
use super::{Draft, pair};
use crate::config::{Config, Group, Host, Service, attributes};
use crate::model::change::{Change, GroupRef, HostRef};
use crate::model::scheduler::SchedulerKind;
use crate::model::status::AdminState;

pub(super) fn compare(draft: &mut Draft, before: Option<&Service>, after: &Service) {
    let old = before.map_or(&[][..], |before| &before.groups);
    let (pairs, removed) = pair(old, &after.groups, |group| &group.name, has_same_hosts);
    let mut groups: Vec<Both<'_>> = Vec::new();
    for (was, group) in pairs {
        let served = before.is_some_and(|before| was.is_some_and(|was| serves(before, was)));
        groups.push(Both { service: &after.name, before: was, after: group, serves: served || serves(after, group) });
    }
    groups.iter().for_each(|group| group.itself(draft));
    // The first host of an empty service has its group serve: it should be the right one.
    groups.sort_by_key(|group| !serves(after, group.after));
    let gone: Vec<Vec<&Host>> = groups.iter().map(|group| group.hosts(draft)).collect();
    enable(draft, before, after);
    for (group, gone) in groups.iter().zip(gone) {
        gone.into_iter().for_each(|host| group.remove_host(draft, host));
    }
    for group in removed {
        let hosts = match group.hosts.as_slice() {
            [] => String::new(),
            [host] => format!(", with its host {}", host.name),
            hosts => format!(", with its {} hosts", hosts.len()),
        };
        let what = format!("group {}/{} removed{hosts}", after.name, group.name);
        let group = GroupRef { service: after.name.clone(), group: group.name.clone() };
        draft.step(Change::RemoveGroup { group }, what, "drained: connections to its hosts go on");
    }
}

fn serves(service: &Service, group: &Group) -> bool {
    service.enabled.and_then(|at| service.groups.get(at)).is_some_and(|serving| std::ptr::eq(serving, group))
}

fn has_same_hosts(before: &Group, after: &Group) -> bool {
    let same = |(before, after): (&Host, &Host)| before.name == after.name && before.address == after.address;
    let count = before.hosts.len();
    count > 0 && count == after.hosts.len() && before.hosts.iter().zip(&after.hosts).all(same)
}

fn enable(draft: &mut Draft, before: Option<&Service>, after: &Service) {
    let had = before.filter(|before| before.enabled.is_some());
    let Some(group) = after.enabled.and_then(|at| after.groups.get(at)) else {
        if had.is_some() {
            let what = format!("{}: no group serves any more", after.name);
            draft.apart(what, "no change does that; remove the service and add it anew");
        }
        return;
    };
    let what = format!("{}: group {} serves", after.name, group.name);
    let effect = match had {
        Some(_) => "drained: connections to hosts of the group before go on, new ones go to this group",
        None => KEPT,
    };
    let group = GroupRef { service: after.name.clone(), group: group.name.clone() };
    draft.step(Change::EnableGroup { group }, what, effect);
}

/// A group as it was, if it was, and as it is to be.
struct Both<'a> {
    /// The service's name.
    service: &'a str,
    before: Option<&'a Group>,
    after: &'a Group,
    /// Before or after.
    serves: bool,
}

impl<'a> Both<'a> {
    fn place(&self) -> GroupRef {
        GroupRef { service: self.service.to_owned(), group: self.after.name.clone() }
    }

    /// What differs in the group's own attributes.
    fn itself(&self, draft: &mut Draft) {
        let shown = attributes::group(self.after);
        let Some(before) = self.before else {
            let attributes = words::given(shown, &["name"]);
            let what = format!("group {}/{} added{}", self.service, self.after.name, words::listed(&attributes));
            return draft.step(Change::AddGroup { group: self.place(), attributes }, what, KEPT);
        };
        let Some((attributes, words)) = words::edit(&attributes::group(before), &shown) else { return };
        let is_check = attributes.0.iter().all(|(name, _)| name == "check" || name.starts_with("check-"));
        let effect = match (before.name == self.after.name, self.serves) {
            (true, _) if is_check => "kept: its hosts are probed otherwise from now on",
            (true, true) => NEW_ONLY,
            (true, false) => "kept: the group does not serve",
            (false, _) => "drained: connections to its hosts go on; their counters and health begin anew",
        };
        let group = GroupRef { service: self.service.to_owned(), group: before.name.clone() };
        draft.step(
            Change::SetGroup { group, attributes },
            format!("{}/{}: {words}", self.service, before.name),
            effect,
        );
    }

    /// What differs in its hosts; returns those that are gone.
    fn hosts(&self, draft: &mut Draft) -> Vec<&'a Host> {
        let old = self.before.map_or(&[][..], |before| &before.hosts);
        let same_address = |before: &Host, after: &Host| before.address == after.address;
        let (pairs, removed) = pair(old, &self.after.hosts, |host| &host.name, same_address);
        for (before, host) in pairs {
            match before {
                Some(before) => self.set_host(draft, before, host),
                None => self.add_host(draft, host),
            }
        }
        removed
    }

    fn set_host(&self, draft: &mut Draft, before: &Host, host: &Host) {
        let Some((attributes, words)) = words::edit(&attributes::host(before), &attributes::host(host)) else { return };
        let what = format!("{}/{}/{}: {words}", self.service, self.after.name, before.name);
        let effect = if (&before.name, &before.address) != (&host.name, &host.address) {
            ANEW
        } else if takes_new(before) && !takes_new(host) {
            DRAINED
        } else if self.serves {
            NEW_ONLY
        } else {
            IDLE_GROUP
        };
        draft.step(Change::SetHost { host: self.host(before), attributes }, what, effect);
    }

    fn add_host(&self, draft: &mut Draft, host: &Host) {
        let attributes = words::given(attributes::host(host), &["name", "ip"]);
        let place = format!("{}/{}/{}", self.service, self.after.name, host.name);
        let what = format!("host {place} {} added{}", host.address, words::listed(&attributes));
        let effect = match (self.serves, takes_new(host)) {
            (true, true) => "kept; it gets new connections",
            (true, false) => "kept; it gets no connections yet",
            (false, _) => IDLE_GROUP,
        };
        let (name, address) = (Some(host.name.clone()), host.address.to_string());
        draft.step(Change::AddHost { group: self.place(), host: name, address, attributes }, what, effect);
    }

    fn remove_host(&self, draft: &mut Draft, host: &Host) {
        let what = format!("host {}/{}/{} {} removed", self.service, self.after.name, host.name, host.address);
        draft.step(Change::RemoveHost { host: self.host(host) }, what, DRAINED);
    }

    fn host(&self, host: &Host) -> HostRef {
        let GroupRef { service, group } = self.place();
        HostRef { service, group: Some(group), host: host.name.clone() }
    }
}

/// Says where the order of hosts that both have is another one, if their scheduler goes by it. To remove one and add it
/// at the end would make it forget its counters and its health.
pub(super) fn orders(draft: &mut Draft, reached: &Config, to: &Config) {
    for service in &to.services {
        let known = reached.service(&service.name).map_or(&[][..], |service| &service.groups);
        for group in service.groups.iter().filter(|group| goes_by_order(group)) {
            let Some(known) = known.iter().find(|known| known.name == group.name) else { continue };
            let Some((is, should)) = first_out_of_order(&known.hosts, &group.hosts) else { continue };
            let what = format!("{}/{}: another order of hosts, {should} before {is}", service.name, group.name);
            draft.apart(what, format!("{WITH_RELOAD}: connections are kept, turns go in the new order"));
        }
    }
}

const fn goes_by_order(group: &Group) -> bool {
    matches!(group.scheduler, SchedulerKind::RoundRobin | SchedulerKind::Weighted)
}

/// The first host that stands where another one should, and that one.
fn first_out_of_order<'a>(is: &'a [Host], should: &'a [Host]) -> Option<(&'a str, &'a str)> {
    let names = |hosts: &'a [Host]| hosts.iter().map(|host| host.name.as_str());
    let (has, wants): (HashSet<&str>, HashSet<&str>) = (names(is).collect(), names(should).collect());
    let is = names(is).filter(|name| wants.contains(name));
    is.zip(names(should).filter(|name| has.contains(name))).find(|(is, should)| is != should)
}

/// Whether a host gets new connections when its group serves.
fn takes_new(host: &Host) -> bool {
    host.state == AdminState::Up && host.weight > 0
}
