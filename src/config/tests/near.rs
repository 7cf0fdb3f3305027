//! Strategies for pairs of configurations that have much in common.

#![allow(clippy::wildcard_enum_match_arm, reason = "each step makes some kinds of changes")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::arbitrary;
use crate::config::validate::listeners::{is_loop, met_by};
use crate::config::value;
use crate::config::{Access, Address, Config, FlowConfig, Group, GroupPolicy, Host, HostPolicy, Listen, Service, User};
use crate::model::scheduler::SchedulerKind;
use crate::model::socket_options::{ConnectOptions, ListenOptions};
use crate::model::status::AdminState;
use crate::model::sticky::StickyRules;

/// One edit of a file.
#[derive(Clone, Debug)]
pub(in crate::config) struct Edit {
    pub(in crate::config) kind: Kind,
    service: Index,
    group: Index,
    item: Index,
    /// Where new values come from.
    donor: Config,
}

/// What an edit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Kind {
    AddHost,
    RemoveHost,
    SetHost,
    RenameHost,
    MoveHost,
    SetGroup,
    RenameGroup,
    RemoveGroup,
    EnableGroup,
    AddListener,
    RemoveListener,
    RetuneListener,
    MoveListener,
    SetService,
    RenameService,
    RemoveService,
    Manager,
    Log,
    AddUser,
    RemoveUser,
    // From here on it takes more than one change, or none does it.
    AddGroup,
    AddService,
    SwapHosts,
    SwapHostNames,
    SwapListeners,
    SwapServiceNames,
    ReplaceHosts,
}

impl Kind {
    pub(in crate::config) const ALL: [Self; 27] = [
        Self::AddHost,
        Self::RemoveHost,
        Self::SetHost,
        Self::RenameHost,
        Self::MoveHost,
        Self::SetGroup,
        Self::RenameGroup,
        Self::RemoveGroup,
        Self::EnableGroup,
        Self::AddListener,
        Self::RemoveListener,
        Self::RetuneListener,
        Self::MoveListener,
        Self::SetService,
        Self::RenameService,
        Self::RemoveService,
        Self::Manager,
        Self::Log,
        Self::AddUser,
        Self::RemoveUser,
        Self::AddGroup,
        Self::AddService,
        Self::SwapHosts,
        Self::SwapHostNames,
        Self::SwapListeners,
        Self::SwapServiceNames,
        Self::ReplaceHosts,
    ];

    /// Those that one change does.
    pub(in crate::config) fn single() -> &'static [Self] {
        &Self::ALL[..20]
    }
}

/// Any edit of these kinds.
pub(in crate::config) fn edit(kinds: &'static [Kind]) -> impl Strategy<Value = Edit> {
    let parts = (select(kinds), any::<Index>(), any::<Index>(), any::<Index>(), arbitrary::config());
    parts.prop_map(|(kind, service, group, item, donor)| Edit { kind, service, group, item, donor })
}

impl Edit {
    /// Makes the edit, the `number`-th of this configuration. What does not fit changes nothing.
    pub(in crate::config) fn make(&self, config: &mut Config, number: u16) {
        let services = config.services.len();
        let at = self.service.index(services);
        let other = (at + 1) % services;
        let given = &self.donor.services[0];
        match self.kind {
            Kind::RemoveService if services > 1 => drop(config.services.remove(at)),
            Kind::AddService => config.services.push(renewed(given.clone(), number)),
            Kind::SwapServiceNames => {
                let name = config.services[at].name.clone();
                config.services[at].name = std::mem::replace(&mut config.services[other].name, name);
            }
            Kind::SwapListeners if services > 1 => {
                let listen = config.services[at].listens[0].clone();
                config.services[at].listens[0] = std::mem::replace(&mut config.services[other].listens[0], listen);
            }
            Kind::Manager => config.manager = self.donor.manager.clone(),
            Kind::Log => config.log_file.clone_from(&self.donor.log_file),
            Kind::AddUser => config.admin.get_or_insert_default().users.push(User {
                name: format!("new {number}"),
                password: Some(String::from("$6$secret")),
                key: None,
                access: Access::ReadOnly,
            }),
            Kind::RemoveUser => {
                if let Some(admin) = config.admin.as_mut().filter(|admin| !admin.users.is_empty()) {
                    admin.users.remove(self.item.index(admin.users.len()));
                }
            }
            _ => self.make_within(&mut config.services[at], number),
        }
    }

    fn make_within(&self, service: &mut Service, number: u16) {
        let given = &self.donor.services[0];
        let groups = service.groups.len();
        let listen = self.item.index(service.listens.len());
        match self.kind {
            Kind::AddListener => {
                service.listens.push(Listen { address: listen_address(number), ..given.listens[0].clone() });
            }
            Kind::RemoveListener if service.listens.len() > 1 => drop(service.listens.remove(listen)),
            Kind::RetuneListener => service.listens[listen].options = given.listens[0].options,
            Kind::MoveListener => service.listens[listen].address = listen_address(number),
            Kind::SetService => {
                *service = Service {
                    name: service.name.clone(),
                    listens: service.listens.clone(),
                    groups: service.groups.clone(),
                    enabled: service.enabled,
                    ..given.clone()
                };
            }
            Kind::RenameService => service.name = format!("new {number}"),
            Kind::EnableGroup => service.enabled = Some(self.group.index(groups)),
            Kind::RemoveGroup => {
                let (at, serving) = (self.group.index(groups), service.enabled.unwrap());
                if at != serving {
                    service.groups.remove(at);
                    service.enabled = Some(serving - usize::from(serving > at));
                }
            }
            Kind::AddGroup => {
                service.groups.push(Group { name: format!("new {number}"), ..given.groups[0].clone() });
            }
            _ => self.make_in_group(&mut service.groups[self.group.index(groups)], number),
        }
    }

    fn make_in_group(&self, group: &mut Group, number: u16) {
        let given = &self.donor.services[0].groups[0];
        let at = self.item.index(group.hosts.len());
        let other = (at + 1) % group.hosts.len();
        let new = Host { name: format!("new {number}"), address: host_address(number), ..given.hosts[0].clone() };
        let new = Host { connect: ConnectOptions::default(), ..new };
        match self.kind {
            Kind::AddHost => group.hosts.push(new),
            Kind::RemoveHost if group.hosts.len() > 1 => drop(group.hosts.remove(at)),
            Kind::SetHost => {
                let name = std::mem::take(&mut group.hosts[at].name);
                group.hosts[at] = Host { name, ..given.hosts[0].clone() };
            }
            Kind::RenameHost => group.hosts[at].name = new.name,
            Kind::MoveHost => {
                group.hosts[at].address = new.address;
                group.hosts[at].connect = new.connect;
            }
            Kind::SetGroup => {
                let (name, hosts) = (group.name.clone(), std::mem::take(&mut group.hosts));
                // The order of hosts counts for some schedulers only, but it is the same.
                *group = Group { name, hosts, ..given.clone() };
            }
            Kind::RenameGroup => group.name = new.name,
            Kind::SwapHosts => group.hosts.swap(at, other),
            Kind::SwapHostNames => {
                let name = group.hosts[at].name.clone();
                group.hosts[at].name = std::mem::replace(&mut group.hosts[other].name, name);
            }
            Kind::ReplaceHosts => {
                group.hosts.clone_from(&given.hosts);
                group.hosts.iter_mut().for_each(|host| host.name.push_str(&format!(" {number}")));
            }
            _ => {}
        }
    }
}

/// A configuration and the same after some edits.
pub(in crate::config) fn near() -> impl Strategy<Value = (Config, Config)> {
    (arbitrary::config(), vec(edit(&Kind::ALL), 1..5)).prop_map(|(from, edits)| {
        let mut to = from.clone();
        (0..).zip(&edits).for_each(|(number, edit)| edit.make(&mut to, number));
        (from, to)
    })
}

fn renewed(service: Service, number: u16) -> Service {
    let listens = vec![Listen { address: listen_address(number), ..service.listens[0].clone() }];
    Service { name: format!("new {number}"), listens, ..service }
}

/// Ports that [`arbitrary::config`] does not get to.
fn listen_address(number: u16) -> Address {
    value::listen_address(&format!("*:{}", 19_000 + number)).unwrap()
}

fn host_address(number: u16) -> Address {
    value::host_address(&format!("10.9.9.9:{}", 30_000 + number)).unwrap()
}

/// A small configuration with few names and few addresses, so that two of them stand in each other's way wherever they
/// can: as listeners, as hosts of their own service, as names.
pub(in crate::config) fn crowded() -> impl Strategy<Value = Config> {
    let host = (select(&["h1", "h2", "h3"][..]), select(&HOSTS[..]), 0..3_u32);
    let group = (select(&["g1", "g2", "g3"][..]), select(&SchedulerKind::ALL[..]), vec(host, 1..4));
    let listen = (select(&LISTENERS[..]), prop_oneof![Just(None), Just(Some(9))]);
    let service = (select(&["s1", "s2", "s3"][..]), vec(listen, 1..4), vec(group, 1..4), any::<Index>());
    vec(service, 1..4).prop_filter_map("no service is valid", |services| {
        let mut config = Config { services: Vec::new(), ..empty() };
        for (name, listens, groups, enabled) in services {
            let groups = groups.into_iter().map(|(name, scheduler, hosts)| group_of(name, scheduler, hosts));
            add_if_valid(&mut config, name, &listens, groups.collect(), enabled);
        }
        (!config.services.is_empty()).then_some(config)
    })
}

const LISTENERS: [&str; 7] = ["*:1", "127.0.0.1:1", "*:2", "127.0.0.1:2", "127.0.0.1:3", "[::1]:3", "10.0.0.1:2"];
const HOSTS: [&str; 5] = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "[::1]:3", "10.0.0.1:2"];

fn group_of(name: &str, scheduler: SchedulerKind, hosts: Vec<(&str, &str, u32)>) -> Group {
    let (sticky, connect) = (StickyRules::default(), ConnectOptions::default());
    let policy = GroupPolicy::default();
    let mut group = Group { name: name.to_owned(), scheduler, sticky, policy, connect, hosts: Vec::new() };
    for (name, address, weight) in hosts {
        if group.hosts.iter().all(|host| host.name != name) {
            let (name, address) = (name.to_owned(), value::host_address(address).unwrap());
            let (max, state, connect) = (None, AdminState::Up, ConnectOptions::default());
            let policy = HostPolicy::default();
            group.hosts.push(Host { name, address, weight, max, policy, state, connect });
        }
    }
    group
}

fn add_if_valid(
    config: &mut Config,
    name: &str,
    listens: &[(&str, Option<u32>)],
    mut groups: Vec<Group>,
    enabled: Index,
) {
    if config.service(name).is_some() {
        return;
    }
    let (name, listens_on) = (name.to_owned(), Vec::new());
    let mut service = Service {
        name,
        listens: listens_on,
        groups: Vec::new(),
        enabled: None,
        connect_timeout: None,
        idle_timeout: None,
        fin_timeout: None,
        max_connections: None,
        stubborn: false,
        flows: FlowConfig::default(),
    };
    for (address, backlog) in listens {
        let listen = Listen::from(value::listen_address(address).unwrap());
        let own = Config { services: vec![service.clone()], ..empty() };
        if met_by(config, &listen, None).is_none() && met_by(&own, &listen, Some(0)).is_none() {
            let options = ListenOptions { backlog: *backlog, ..Default::default() };
            service.listens.push(Listen { options, ..listen });
        }
    }
    for mut group in groups.drain(..) {
        let own = || service.listens.iter().map(|listen| &listen.address);
        group.hosts.retain(|host| !is_loop(own(), &host.address));
        if !group.hosts.is_empty() && service.groups.iter().all(|other| other.name != group.name) {
            service.groups.push(group);
        }
    }
    if service.listens.is_empty() || service.groups.is_empty() {
        return;
    }
    service.enabled = Some(enabled.index(service.groups.len()));
    config.services.push(service);
}

fn empty() -> Config {
    let text =
        "<director><service name='x'><listen ip='*:9'/><group name='g'><host ip='h:2'/></group></service></director>";
    Config { services: Vec::new(), ..crate::config::parse(text, "f").unwrap() }
}
