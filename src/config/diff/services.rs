//! Services and their listeners.

use std::collections::HashMap;

use super::words::{self, KEPT, NEW_ONLY, REBOUND};
use super::{Draft, groups, pair};
use crate::config::validate::listeners::{is_any_port, meet};
use crate::config::{Address, Config, Listen, Service, attributes};
use crate::model::change::{Attributes, Change};

/// What happens to the clients of a service that the reactors lose.
const TURNED_AWAY: &str = "clients waiting for room at a host are turned away";

/// Where listeners are before: their addresses with the names of their services.
type Owners<'a> = HashMap<&'a Address, &'a str>;

pub(super) fn compare(draft: &mut Draft, from: &Config, to: &Config) {
    let listens = from.services.iter().flat_map(|service| service.listens.iter().map(move |listen| (service, listen)));
    let owners: Owners<'_> = listens.map(|(service, listen)| (&listen.address, service.name.as_str())).collect();
    let (pairs, removed) = pair(&from.services, &to.services, |service| &service.name, is_renamed);
    for (before, after) in pairs {
        match before {
            Some(before) => {
                changed(draft, before, after);
                listeners(draft, before, after, &owners);
            }
            None => added(draft, after, &owners),
        }
        groups::compare(draft, before, after);
    }
    for Service { name, listens, .. } in removed {
        let listens: Vec<String> = listens.iter().map(|listen| listen.address.to_string()).collect();
        let what = format!("service {name} removed, with {}", listens.join(", "));
        let effect =
            format!("drained: its connections go on, those in its listeners' queues are served, {TURNED_AWAY}");
        draft.step(Change::RemoveService { service: name.clone() }, what, effect);
    }
}

/// One that keeps an address, or stands where one of the old ones must go first, is the same with another name: its
/// listeners need not close.
fn is_renamed(before: &Service, after: &Service) -> bool {
    let meets = |new: &Listen| before.listens.iter().any(|old| meet(&old.address, &new.address));
    after.listens.iter().any(meets) || (before.groups == after.groups && !after.groups.is_empty())
}

fn changed(draft: &mut Draft, before: &Service, after: &Service) {
    let Some((attributes, words)) = words::edit(&attributes::service(before), &attributes::service(after)) else {
        return;
    };
    let effect = if before.name != after.name {
        renamed(before)
    } else if (before.idle_timeout, before.fin_timeout) != (after.idle_timeout, after.fin_timeout) {
        String::from("kept: open connections follow once the time that they have now is over")
    } else {
        String::from(NEW_ONLY)
    };
    let change = Change::SetService { service: before.name.clone(), attributes };
    draft.step(change, format!("{}: {words}", before.name), effect);
}

/// Identities belong to names. A listener is its address, or its place in its service where the kernel chose the port.
fn renamed(service: &Service) -> String {
    let any_port = service.listens.iter().any(|listen| is_any_port(&listen.address));
    let ports = if any_port { ", those on port 0 get another port" } else { "" };
    format!(
        "drained: its connections go on, its listeners stay open{ports}, {TURNED_AWAY}; counters and health begin anew"
    )
}

fn added(draft: &mut Draft, service: &Service, owners: &Owners<'_>) {
    // The first listener comes without options.
    let plain = |listen: &&Listen| **listen == Listen::from(listen.address.clone());
    let Some(first) = service.listens.iter().find(plain).or_else(|| service.listens.first()) else { return };
    let bare = Listen::from(first.address.clone());
    let attributes = words::given(attributes::service(service), &["name"]);
    let what = format!("service {} added, listening on {}{}", service.name, first.address, words::listed(&attributes));
    let effect = opened(&service.name, first, owners, "kept; it listens once one of its groups has a host");
    let listen = first.address.to_string();
    draft.step(Change::AddService { service: service.name.clone(), listen, attributes }, what, effect);
    set_listener(draft, service, &bare, first, owners);
    for listen in service.listens.iter().filter(|listen| !std::ptr::eq(*listen, first)) {
        add_listener(draft, service, listen, owners);
    }
}

fn listeners(draft: &mut Draft, before: &Service, after: &Service, owners: &Owners<'_>) {
    let mut old: Vec<&Listen> = before.listens.iter().collect();
    let mut new = Vec::new();
    let mut both = Vec::new();
    for listen in &after.listens {
        let same = old.iter().position(|known| *known == listen);
        let same = same.or_else(|| old.iter().position(|known| known.address == listen.address));
        match same {
            Some(at) => both.push((old.remove(at), listen)),
            None => new.push(listen),
        }
    }
    let is_same = old.is_empty() && new.is_empty() && both.iter().all(|(before, after)| before == after);
    if is_same {
        return;
    }
    if let Some(twice) = twice(&before.listens) {
        let what = format!("{}: listeners differ, of which more than one is {twice}", after.name);
        return draft.apart(what, "takes effect with a reload: no change could tell these listeners apart");
    }
    let mut old = old.into_iter();
    both.into_iter().for_each(|(before, listen)| set_listener(draft, after, before, listen, owners));
    for listen in new {
        match old.next() {
            Some(before) => set_listener(draft, after, before, listen, owners),
            None => add_listener(draft, after, listen, owners),
        }
    }
    for listen in old {
        let change = Change::RemoveListener { service: after.name.clone(), listen: listen.address.to_string() };
        let effect = "listener closed: its connections go on, those in its queue are served";
        draft.step(change, format!("{}: listener {} removed", after.name, listen.address), effect);
    }
}

/// An address that several listeners have: only port 0 may be so.
fn twice(listens: &[Listen]) -> Option<&Address> {
    let addresses = || listens.iter().map(|listen| &listen.address);
    addresses().find(|address| addresses().filter(|other| other == address).count() > 1)
}

fn add_listener(draft: &mut Draft, service: &Service, listen: &Listen, owners: &Owners<'_>) {
    let attributes = words::given(attributes::listen(listen), &["ip"]);
    let what = format!("{}: listener {} added{}", service.name, listen.address, words::listed(&attributes));
    let change = Change::AddListener { service: service.name.clone(), listen: listen.address.to_string(), attributes };
    draft.step(change, what, opened(&service.name, listen, owners, KEPT));
}

fn set_listener(draft: &mut Draft, service: &Service, before: &Listen, after: &Listen, owners: &Owners<'_>) {
    let shown = |listen: &Listen| attributes::listen(listen).split_off(1);
    let options = words::edit(&shown(before), &shown(after));
    let is_moved = before.address != after.address;
    let mut attributes = Attributes::default();
    let mut what = format!("{}: listener {}", service.name, before.address);
    if is_moved {
        attributes.0.push((String::from("ip"), after.address.to_string()));
        what.push_str(&format!(" → {}", after.address));
    }
    if let Some((others, words)) = options {
        attributes.0.extend(others.0);
        what.push_str(&format!("{} {words}", if is_moved { "," } else { ":" }));
    }
    if attributes.0.is_empty() {
        return;
    }
    let effect = match is_moved {
        true => opened(&service.name, after, owners, REBOUND),
        false => String::from("kept: the listener stays open, new connections have it"),
    };
    let change = Change::SetListener { service: service.name.clone(), listen: before.address.to_string(), attributes };
    draft.step(change, what, effect);
}

/// The effect of opening a listener, which another service may have open.
fn opened(service: &str, listen: &Listen, owners: &Owners<'_>, usually: &str) -> String {
    let owner = owners.get(&listen.address).filter(|owner| **owner != service && !is_any_port(&listen.address));
    owner.map_or_else(
        || String::from(usually),
        |owner| {
            format!(
                "listener moves from {owner}: connections go on; done together with what frees the address it stays \
                 open, one by one it is closed in between"
            )
        },
    )
}
