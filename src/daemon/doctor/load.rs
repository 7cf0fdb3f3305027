//! What is expected of this host: the command line and the configuration in the numbers that checks need.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use crate::config::{self, Address, Config};
use crate::daemon::front;
use crate::daemon::options::Options;
use crate::instance::limits::{self, Asked, Machine};
use crate::model::limits::{DESCRIPTORS_PER_PAIR, PIPES_MAX, REACTORS_MAX};
use crate::model::socket_options::Outbound;

/// The load to examine a host for.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) asked: Asked,
    /// Connections that are asked for; none: whatever fits.
    pub(super) wanted: Option<u64>,
    pub(super) backlog: u64,
    /// The addresses that connections go to, each with the most that may be open there; empty: not known.
    pub(super) hosts: BTreeMap<String, Option<u64>>,
    /// From how many source addresses connections go there, where it is more than one.
    pub(super) sources: BTreeMap<String, u64>,
}

impl Load {
    /// `cpus` are the processors that this process may run on.
    pub(super) fn of(options: &Options, config: Option<&Config>, cpus: usize) -> Self {
        let services = config.map_or(&[][..], |config| &config.services);
        let listeners: usize = services.iter().map(config::Service::sockets).sum();
        let asked = Asked {
            threads: options.threads.unwrap_or(cpus.clamp(1, REACTORS_MAX)),
            listeners: listeners.max(1),
            front_ends: config.map_or(0, front::descriptors),
            max_connections: options.max_connections,
            buffer_bytes: options.buffer_bytes,
        };
        let of_services: Option<u64> = services.iter().map(|service| service.max_connections.map(u64::from)).sum();
        let wanted = options.max_connections.map(u64::from).or(of_services.filter(|_| !services.is_empty()));
        let mut hosts: BTreeMap<String, Option<u64>> = BTreeMap::new();
        let mut sources = BTreeMap::new();
        for service in services {
            let Some(group) = service.enabled.and_then(|enabled| service.groups.get(enabled)) else { continue };
            for host in &group.hosts {
                let connect = host.connect.or(&group.connect).or(&options.connect);
                let count = Outbound::new(socket(&host.address), connect).map_or(0, |outbound| outbound.sources());
                if count > 1 {
                    sources.insert(host.address.to_string(), count.into());
                }
                let max = host.max.map(u64::from);
                // An address that serves twice is asked for both; without a bound once is without a bound.
                let sum = |had: Option<u64>| Some(had?.saturating_add(max?));
                hosts.entry(host.address.to_string()).and_modify(|had| *had = sum(*had)).or_insert(max);
            }
        }
        Self { asked, wanted, backlog: options.backlog().into(), hosts, sources }
    }

    /// Files that are enough for so many connections, with all the pipes there may be.
    pub(super) fn files_for(&self, connections: u64) -> u64 {
        connections.saturating_mul(DESCRIPTORS_PER_PAIR).saturating_add(limits::reserved(self.asked, PIPES_MAX))
    }

    /// Connections that so many files allow.
    pub(super) fn connections_of(&self, files: u64) -> u64 {
        let machine = Machine { open_files: files, memory_bytes: 0 };
        let reserved = limits::reserved(self.asked, limits::pipes_max(machine, self.asked));
        files.saturating_sub(reserved) / DESCRIPTORS_PER_PAIR
    }

    /// Connections to plan with: what is asked for, or what this machine holds.
    pub(super) fn expected(&self, machine: Option<Machine>) -> u64 {
        let fits = || limits::plan(machine?, Asked { max_connections: None, ..self.asked }).ok();
        self.wanted.or_else(|| fits().map(|plan| plan.max_connections.into())).unwrap_or(0)
    }
}

/// Names are taken to be of IPv4.
fn socket(address: &Address) -> SocketAddr {
    match address {
        Address::Socket(addr) => *addr,
        Address::Name { port, .. } => (Ipv4Addr::UNSPECIFIED, *port).into(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config;
    use crate::daemon::options::{self, Request};

    /// The load of this command line, with one service of this configuration's inside.
    pub(in super::super) fn load(line: &str, inside: Option<&str>) -> Load {
        let words = line.split_whitespace().chain(["--doctor"]).map(Into::into);
        let Ok(Request::Doctor(options, _)) = options::parse(words) else { panic!("{line}") };
        let config = inside.map(|inside| {
            let text = format!("<director>{inside}</director>");
            config::parse(&text, "c.xml").unwrap()
        });
        Load::of(&options, config.as_ref(), 2)
    }

    #[test]
    fn connections_wanted_are_the_command_lines_then_the_services() {
        let service = |name: &str, port: u16, attributes: &str| {
            format!(
                "<service name='{name}' {attributes}><listen ip='*:{port}'/>\
                 <group name='g'><host ip='10.0.0.1:80' max='7'/></group></service>"
            )
        };
        let both = service("a", 1, "max-connections='10'") + &service("b", 2, "max-connections='20'");
        assert_eq!(load("--max-connections 5", Some(&both)).wanted, Some(5));
        assert_eq!(load("", Some(&both)).wanted, Some(30));
        let one = service("a", 1, "max-connections='10'") + &service("b", 2, "");
        assert_eq!(load("", Some(&one)).wanted, None);
        assert_eq!(load("", None).wanted, None);
        assert_eq!(load("", Some(&both)).hosts, BTreeMap::from([(String::from("10.0.0.1:80"), Some(14))]));
    }

    #[test]
    fn files_told_are_enough() {
        let load = load("-t 2", None);
        for connections in [1, 100, 10_000, 1_000_000] {
            let fit = load.connections_of(load.files_for(connections));
            assert!((connections..=connections + 64).contains(&fit), "{connections}: {fit}");
        }
        assert_eq!(load.connections_of(3), 0);
    }
}
