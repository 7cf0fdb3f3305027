//! Groups and their hosts.

use std::collections::HashMap;

use super::words::{self, ANEW, DRAINED, IDLE_GROUP, KEPT, NEW_ONLY};
use super::{Draft, pair};
use crate::config::{Group, Host, Service, attributes};
use crate::model::change::{Change, GroupRef, HostRef};
use crate::model::scheduler::SchedulerKind;
use crate::model::status::AdminState;

pub(super) fn compare(draft: &mut Draft, before: Option<&Service>, after: &Service) {
    let old = before.map_or(&[][..], |before| &before.groups);
    let (pairs, removed) = pair(old, &after.groups, |group| &group.name, has_same_hosts);
    let serving = after.enabled.and_then(|at| after.groups.get(at));
    let mut groups: Vec<Both<'_>> = Vec::new();
    for (before, group) in pairs {
        let serves = serving.is_some_and(|serving| std::ptr::eq(serving, group));
        groups.push(Both { service: &after.name, before, after: group, serves });
    }
    groups.iter().for_each(|group| group.itself(draft));
    // The first host of an empty service has its group serve: it should be the right one.
    groups.sort_by_key(|group| !group.serves);
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
        let effect = match (before.name == self.after.name, self.serves) {
            (true, true) => NEW_ONLY,
            (true, false) => "kept: the group does not serve",
            (false, _) => "drained: connections to its hosts go on; their counters and health begin anew",
        };
        let group = GroupRef { service: self.service.to_owned(), group: before.name.clone() };
        draft.step(Change::SetGroup { group, attributes }, format!("{}/{}: {words}", self.service, before.name), effect);
    }

    /// What differs in its hosts; returns those that are gone.
    fn hosts(&self, draft: &mut Draft) -> Vec<&'a Host> {
        let old = self.before.map_or(&[][..], |before| &before.hosts);
        let same_address = |before: &Host, after: &Host| before.address == after.address;
        let (pairs, removed) = pair(old, &self.after.hosts, |host| &host.name, same_address);
        for (before, host) in &pairs {
            match before {
                Some(before) => self.set_host(draft, before, host),
                None => self.add_host(draft, host),
            }
        }
        self.order(draft, old, &pairs);
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

    /// Says when the order of the hosts will not be as it should. To remove one and add it at the end would make it
    /// forget its counters and its health.
    fn order(&self, draft: &mut Draft, old: &[Host], pairs: &[(Option<&Host>, &'a Host)]) {
        if !matches!(self.after.scheduler, SchedulerKind::RoundRobin | SchedulerKind::Weighted) {
            return;
        }
        let kept = pairs.iter().filter_map(|(before, host)| Some((before.as_ref()?.name.as_str(), *host)));
        let kept: HashMap<&str, &Host> = kept.collect();
        let kept = old.iter().filter_map(|host| kept.get(host.name.as_str()).copied());
        let added = pairs.iter().filter(|(before, _)| before.is_none()).map(|(_, host)| *host);
        let differs = kept.chain(added).zip(&self.after.hosts).find(|(is, should)| is.name != should.name);
        if let Some((is, should)) = differs {
            let what = format!(
                "{}/{}: another order of hosts, {} before {}",
                self.service, self.after.name, should.name, is.name
            );
            draft.apart(what, "takes effect with a reload: connections are kept, turns go in the new order");
        }
    }
}

/// Whether a host gets new connections when its group serves.
fn takes_new(host: &Host) -> bool {
    host.state == AdminState::Up && host.weight > 0
}
