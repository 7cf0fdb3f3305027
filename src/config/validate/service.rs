//! Services, groups and hosts.

use super::all;
use super::names::unique;
use crate::config::access;
use crate::config::check;
use crate::config::datagram;
use crate::config::error::{Collector, Reported, alternatives, quoted};
use crate::config::policy;
use crate::config::sockets::{self, Texts};
use crate::config::sticky;
use crate::config::suggest::{closest, hint};
use crate::config::value;
use crate::config::xml::{Attribute, Element};
use crate::config::{Address, Group, Host, Listen, Service};
use crate::model::socket_options::ConnectOptions;

/// Groups that a message lists.
const GROUPS_SHOWN_MAX: usize = 8;

pub(super) fn services(root: &Element<'_>, errors: &mut Collector<'_>) -> Result<Vec<Service>, Reported> {
    let names = root.children("service").filter_map(name_and_place);
    let unique = unique("service", "the file", names, errors);
    let services = all(root.children("service").map(|element| service(element, errors)));
    unique.and(services)
}

fn service(element: &Element<'_>, errors: &mut Collector<'_>) -> Result<Service, Reported> {
    let name = element.required("name", value::name, errors);
    let listens = all(element.children("listen").map(|child| listen(child, errors)));
    let unique = unique("group", "its service", element.children("group").filter_map(name_and_place), errors);
    let groups = all(element.children("group").map(|child| group(child, errors)));
    let enabled = enabled(element, errors);
    let connect_timeout = element.optional("connect-timeout", value::positive_time, errors);
    let idle_timeout = element.optional("idle-timeout", value::positive_time, errors);
    let fin_timeout = element.optional("fin-timeout", value::positive_time, errors);
    let max_connections = element.optional("max-connections", value::count, errors);
    let access_log = element.optional("access-log", value::boolean, errors);
    let entrance = access::entrance(&mut Attributes { element, errors });
    let stubborn = element.optional("stubborn", value::boolean, errors);
    let flows = datagram::flows(&mut Attributes { element, errors });
    unique?;
    Ok(Service {
        name: name?,
        listens: listens?,
        groups: groups?,
        enabled: enabled?,
        connect_timeout: connect_timeout?,
        idle_timeout: idle_timeout?,
        fin_timeout: fin_timeout?,
        max_connections: max_connections?,
        access_log: access_log?.unwrap_or(true),
        entrance: entrance?,
        stubborn: stubborn?.unwrap_or_default(),
        flows: flows?,
    })
}

fn listen(element: &Element<'_>, errors: &mut Collector<'_>) -> Result<Listen, Reported> {
    let address = element.required("ip", value::listen_address, errors);
    let protocol = datagram::protocol(&mut Attributes { element, errors });
    let options = sockets::listen_options(&mut Attributes { element, errors });
    let versions = element.optional("proxy", value::proxy_versions, errors);
    let from = element.optional("proxy-from", value::nets, errors);
    let proxy = access::expect(versions?, from?).map_err(|(given, what)| errors.report(place(element, given), what));
    let rights = sockets::rights(&mut Attributes { element, errors });
    let listen = Listen { address: address?, protocol: protocol?, options: options?, proxy: proxy?, rights: rights? };
    if let Some((given, what)) = sockets::unfit_listen(&listen) {
        return Err(errors.report(place(element, given), what));
    }
    Ok(listen)
}

fn group(element: &Element<'_>, errors: &mut Collector<'_>) -> Result<Group, Reported> {
    let name = element.required("name", value::name, errors);
    let scheduler = element.optional("scheduler", value::scheduler, errors);
    let announced = scheduler.is_ok_and(|scheduler| scheduler.is_some_and(|(_, announced)| announced));
    let sticky = sticky::rules(announced, &mut Attributes { element, errors });
    let policy = policy::group(&mut Attributes { element, errors });
    let check = check::read(&mut Attributes { element, errors });
    let connect = sockets::host_options(&mut Attributes { element, errors });
    let unnamed: Vec<String> = (0..element.children("host").count()).map(|index| format!("host.{index}")).collect();
    let names = element.children("host").zip(&unnamed);
    let names = names.map(|(host, unnamed)| name_and_place(host).unwrap_or((unnamed, host.at())));
    let unique = unique("host", "its group", names, errors);
    let hosts = all(element.children("host").zip(&unnamed).map(|(child, unnamed)| host(child, unnamed, errors)));
    unique?;
    let (scheduler, _) = scheduler?.unwrap_or_default();
    let (policy, check) = (policy?, check?);
    Ok(Group { name: name?, scheduler, sticky: sticky?, policy, check, connect: connect?, hosts: hosts? })
}

fn host(element: &Element<'_>, unnamed: &str, errors: &mut Collector<'_>) -> Result<Host, Reported> {
    let name = element.optional("name", value::name, errors);
    let address = element.required("ip", value::host_address, errors);
    let weight = element.optional("weight", value::weight, errors);
    let max = element.optional("max", value::count, errors);
    let policy = policy::host(max.unwrap_or_default(), &mut Attributes { element, errors });
    let state = element.optional("state", value::admin_state, errors);
    let connect = sockets::host_options(&mut Attributes { element, errors });
    let acl = element.optional("acl", value::name, errors);
    let (address, connect) = (address?, connect?);
    check_family(element, &address, &connect, errors)?;
    Ok(Host {
        name: name?.unwrap_or_else(|| unnamed.to_owned()),
        address,
        weight: weight?.unwrap_or(1),
        max: max?,
        policy: policy?,
        state: state?.unwrap_or_default(),
        acl: acl?,
        connect,
    })
}

/// Where an attribute is, else its element.
fn place(element: &Element<'_>, attribute: &str) -> usize {
    element.attribute(attribute).map_or(element.at(), |attribute| attribute.at)
}

/// A host's own source addresses are for this host, so that one of them must be able to reach it. A group's may be for
/// hosts of both families.
fn check_family(
    element: &Element<'_>,
    address: &Address,
    connect: &ConnectOptions,
    errors: &mut Collector<'_>,
) -> Result<(), Reported> {
    if let Some((given, what)) = sockets::unfit_connect(address, connect) {
        return Err(errors.report(place(element, given), what));
    }
    let Some(what) = wrong_family(address, connect) else { return Ok(()) };
    Err(errors.report(place(element, "source"), what))
}

/// What is wrong with the source addresses of a host at this address.
pub(in crate::config) fn wrong_family(address: &Address, connect: &ConnectOptions) -> Option<String> {
    let (Address::Socket(addr), Some(sources)) = (address, &connect.source) else { return None };
    if sources.have_family_of(*addr) {
        return None;
    }
    let family = if addr.is_ipv4() { "IPv4" } else { "IPv6" };
    Some(format!("source: no address is {family} as the host's is, expected one of its family"))
}

/// The attributes of an element, for what reads options.
struct Attributes<'a, 'd, 'c, 'm> {
    element: &'a Element<'d>,
    errors: &'c mut Collector<'m>,
}

impl Texts for Attributes<'_, '_, '_, '_> {
    type Error = Reported;

    fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Reported> {
        self.element.optional(name, parse, self.errors)
    }
}

/// The index of the group that serves: the one that `<enable>` names, else the one that says so itself, else the first
/// that does not say the contrary.
fn enabled(service: &Element<'_>, errors: &mut Collector<'_>) -> Result<Option<usize>, Reported> {
    let groups: Vec<&Element<'_>> = service.children("group").collect();
    if groups.is_empty() {
        return Ok(None); // reported as missing
    }
    let marks = all(groups.iter().map(|group| group.optional("enable", value::boolean, errors)));
    let named = service.child("enable").map(|enable| named_group(&groups, enable, errors)).transpose();
    let (marks, named) = (marks?, named?);
    let marked = |wanted| marks.iter().position(|mark| *mark == wanted);
    let Some(chosen) = named.or_else(|| marked(Some(true))).or_else(|| marked(None)) else {
        let what = "every group of the service says enable=\"false\", expected one that serves";
        return Err(errors.report(service.at(), what));
    };
    let name = name_and_place(groups[chosen]).map_or_else(|| String::from("this one"), |(name, _)| quoted(name));
    let contradicting = groups.iter().enumerate().filter(|(index, _)| marks[*index] == Some(*index != chosen));
    let report = |(_, group): (usize, &&Element<'_>)| {
        let at = group.attribute("enable").map_or(group.at(), |enable| enable.at);
        let what =
            format!("the enabled group of the service is {name}, expected enable=\"true\" there and nowhere else");
        Err(errors.report(at, what))
    };
    all(contradicting.map(report)).map(|_: Vec<()>| Some(chosen))
}

/// The index of the group that `<enable>` names.
fn named_group(groups: &[&Element<'_>], enable: &Element<'_>, errors: &mut Collector<'_>) -> Result<usize, Reported> {
    let find = |name: &str| {
        let is_named = |group: &&Element<'_>| name_and_place(group).is_some_and(|(other, _)| other == name);
        groups.iter().position(is_named).ok_or_else(|| {
            let names: Vec<&str> =
                groups.iter().filter_map(|group| name_and_place(group)).map(|(name, _)| name).collect();
            let mut shown: Vec<String> = names.iter().take(GROUPS_SHOWN_MAX).map(|name| quoted(name)).collect();
            if names.len() > shown.len() {
                shown.push(String::from("another one"));
            }
            let hint = hint(closest(name, names));
            format!("the service has no such group, expected {}{hint}", alternatives(&shown))
        })
    };
    enable.required("group", find, errors)
}

fn name_and_place<'e>(element: &'e Element<'_>) -> Option<(&'e str, usize)> {
    element.attribute("name").map(|Attribute { value, at, .. }| (*value, *at))
}

#[cfg(test)]
mod tests;
