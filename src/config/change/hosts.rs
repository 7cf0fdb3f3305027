//! Hosts of groups.

use super::access::refuse_missing;
use super::edited::Edited;
use super::{group_at, group_mut, refuse_serving, refuse_taken, serves, service_at, title};
use crate::config::attributes::{self, Shown};
use crate::config::error::{alternatives, quoted};
use crate::config::sockets::{self, Texts};
use crate::config::suggest::{closest, hint};
use crate::config::validate::{listeners, wrong_family};
use crate::config::{Config, Group, Host, Service, policy, schema, value};
use crate::model::change::{Attributes, GroupRef, HostRef, Refusal};

pub(super) fn add(
    config: &mut Config,
    group: &GroupRef,
    name: Option<&str>,
    address: &str,
    asked: &Attributes,
) -> Result<String, Refusal> {
    let (service, at) = group_mut(config, group)?;
    let name = name.map_or_else(|| free_name(&service.groups[at]), str::to_owned);
    refuse_name(service, at, &name)?;
    let host = read(vec![("name", name), ("ip", address.to_owned())], &["name", "ip"], asked)?;
    refuse_missing(config, host.acl.as_deref())?;
    let (service, at) = group_mut(config, group)?;
    refuse_loop(service, &host)?;
    let told = format!("host {} {} added to {}", host.name, host.address, title(service, &service.groups[at]));
    service.groups[at].hosts.push(host);
    if service.enabled.is_none() {
        // The first host of a service that was made empty, and only of such a one.
        service.enabled = Some(at);
    }
    Ok(told)
}

pub(super) fn set(config: &mut Config, host: &HostRef, asked: &Attributes) -> Result<String, Refusal> {
    let (service, group, at) = find(config, host)?;
    let after = read(attributes::host(&config.services[service].groups[group].hosts[at]), &[], asked)?;
    refuse_missing(config, after.acl.as_deref())?;
    let service = &mut config.services[service];
    let before = &service.groups[group].hosts[at];
    if after.name != before.name {
        refuse_name(service, group, &after.name)?;
    }
    let before = &service.groups[group].hosts[at];
    if after.address != before.address {
        refuse_loop(service, &after)?;
    }
    let told =
        format!("host {}/{}: {}", title(service, &service.groups[group]), before.name, Edited::told("host", asked));
    service.groups[group].hosts[at] = after;
    Ok(told)
}

pub(super) fn remove(config: &mut Config, host: &HostRef) -> Result<String, Refusal> {
    let (service, group, at) = find(config, host)?;
    let service = &mut config.services[service];
    if serves(service, group) && service.groups[group].hosts.len() == 1 {
        let (host, group) = (quoted(&host.host), title(service, &service.groups[group]));
        let what = format!("{host} is the last host of {group}, which serves; expected another host or group first");
        return Err(Refusal::conflict(what));
    }
    let removed = service.groups[group].hosts.remove(at);
    let place = title(service, &service.groups[group]);
    Ok(format!("host {} {} removed from {place}; its connections go on", removed.name, removed.address))
}

pub(super) fn remove_all(config: &mut Config, group: &GroupRef) -> Result<String, Refusal> {
    let (service, at) = group_mut(config, group)?;
    refuse_serving(service, at)?;
    let count = service.groups[at].hosts.drain(..).count();
    Ok(format!("all {count} hosts removed from {}; their connections go on", title(service, &service.groups[at])))
}

/// The indices of the service, the group and the host.
///
/// # Errors
/// There is none, or more than one.
pub fn find(config: &Config, wanted: &HostRef) -> Result<(usize, usize, usize), Refusal> {
    let at = service_at(config, &wanted.service)?;
    let service = &config.services[at];
    let groups = match &wanted.group {
        Some(name) => vec![group_at(service, name)?],
        None => (0..service.groups.len()).collect(),
    };
    let hosts = |group: usize| service.groups[group].hosts.iter().enumerate();
    let matching = |by: &dyn Fn(&Host) -> bool| {
        let found = groups.iter().flat_map(|group| hosts(*group).map(move |(at, host)| (*group, at, host)));
        found.filter(|(_, _, host)| by(host)).map(|(group, at, _)| (group, at)).collect::<Vec<_>>()
    };
    let mut found = matching(&|host| host.name == wanted.host);
    if found.is_empty() {
        let address = value::host_address(&wanted.host).ok();
        found = matching(&|host| Some(&host.address) == address.as_ref());
    }
    match found.as_slice() {
        [(group, host)] => Ok((at, *group, *host)),
        [] => {
            let names = groups.iter().flat_map(|group| hosts(*group)).map(|(_, host)| host.name.as_str());
            let place = wanted.group.as_ref().map_or(String::new(), |group| format!("/{group}"));
            let (name, hint) = (quoted(&wanted.host), hint(closest(&wanted.host, names)));
            Err(Refusal::not_found(format!("{}{place} has no host {name}{hint}", service.name)))
        }
        several => {
            let places: Vec<String> = several
                .iter()
                .map(|(group, host)| {
                    let group = &service.groups[*group];
                    format!("{}/{}", title(service, group), group.hosts[*host].name)
                })
                .collect();
            let (name, places) = (quoted(&wanted.host), alternatives(&places));
            Err(Refusal::conflict(format!("more than one host is {name}, expected {places}")))
        }
    }
}

/// `host.N`, with the first N that is free from the number of hosts on: where nothing was renamed or removed, the name
/// that the host would have in the file.
fn free_name(group: &Group) -> String {
    let is_free = |name: &String| group.hosts.iter().all(|host| host.name != *name);
    (group.hosts.len()..).map(|number| format!("host.{number}")).find(is_free).unwrap_or_default()
}

fn refuse_name(service: &Service, group: usize, name: &str) -> Result<(), Refusal> {
    let group = &service.groups[group];
    let taken = group.hosts.iter().any(|host| host.name == name);
    refuse_taken("host", name, taken, &title(service, group))
}

fn refuse_loop(service: &Service, host: &Host) -> Result<(), Refusal> {
    let own = service.listens.iter().map(|listen| &listen.address);
    if listeners::is_loop(own, &host.address) {
        let what = format!("{} is a listener of its own service, expected another address", host.address);
        return Err(Refusal::conflict(what));
    }
    Ok(())
}

/// The host as it would be.
fn read(shown: Shown, fixed: &[&str], asked: &Attributes) -> Result<Host, Refusal> {
    let mut texts = Edited::new(&schema::HOST, fixed, shown, asked)?;
    let max = texts.read("max", value::count)?;
    let host = Host {
        name: texts.need("name", value::name)?,
        address: texts.need("ip", value::host_address)?,
        weight: texts.read("weight", value::weight)?.unwrap_or(1),
        max,
        policy: policy::host(max, &mut texts)?,
        state: texts.read("state", value::admin_state)?.unwrap_or_default(),
        acl: texts.read("acl", value::name)?,
        connect: sockets::host_options(&mut texts)?,
    };
    let unfit = sockets::unfit_connect(&host.address, &host.connect).map(|(_, what)| what);
    match unfit.or_else(|| wrong_family(&host.address, &host.connect)) {
        Some(what) => Err(Refusal::invalid(what)),
        None => Ok(host),
    }
}
