//! Tests of the brain as a whole, with a world of hosts and a virtual clock.

mod aggressive;
mod checks;
mod flapping;
mod health;
mod many;
mod names;
mod outbound;
mod properties;
mod reload;
mod reports;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, Address, Config};
use crate::model::address::Endpoint;
use crate::model::id::{HostId, ServiceId};
use crate::model::limits::{CONNECT_TIMEOUT, FIN_TIMEOUT, IDLE_TIMEOUT};
use crate::model::outcome::{Blame, Fault};
use crate::model::report::Report;
use crate::model::scheduler::SchedulerKind;
use crate::model::service::ServiceSpec;
use crate::model::socket_options::ConnectOptions;
use crate::model::status::{AdminState, HostStatus};
use crate::model::sticky::StickyRules;
use crate::model::time::Moment;

use super::{Effect, Event, Manager, Settings};

pub(in crate::manager) const MILLI: Duration = Duration::from_millis(1);
pub(in crate::manager) const SECOND: Duration = Duration::from_secs(1);

/// Rules of the tests: a failure fails, a probe every two seconds takes back.
pub(in crate::manager) fn rules() -> config::Manager {
    config::Manager {
        host_check: 2 * SECOND,
        checktime: Duration::ZERO,
        heartbeat: None,
        rise: 1,
        fall: 1,
        config_check: None,
    }
}

pub(in crate::manager) fn settings() -> Settings {
    Settings {
        connect_timeout: CONNECT_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        fin_timeout: FIN_TIMEOUT,
        connect: ConnectOptions::default(),
        ephemeral_ports: 32_768..=60_999,
    }
}

/// The address of the test's host `n`.
pub(in crate::manager) fn addr(n: u16) -> Endpoint {
    Endpoint::Ip(([10, 0, 0, 1], n).into())
}

pub(in crate::manager) fn host(name: &str, address: Address) -> config::Host {
    let (state, connect) = (AdminState::Up, ConnectOptions::default());
    let policy = config::HostPolicy::default();
    config::Host { name: name.to_owned(), address, weight: 1, max: None, policy, state, acl: None, connect }
}

pub(in crate::manager) fn named(name: &str, host_name: &str, port: u16) -> config::Host {
    host(name, Address::Name { host: host_name.to_owned(), port })
}

/// A group with hosts h1, h2, … on these ports.
pub(in crate::manager) fn group(name: &str, ports: &[u16]) -> config::Group {
    let hosts =
        ports.iter().map(|port| host(&format!("h{port}"), Address::Socket(addr(*port).as_ip().unwrap()))).collect();
    config::Group {
        name: name.to_owned(),
        scheduler: SchedulerKind::RoundRobin,
        sticky: StickyRules::default(),
        policy: config::GroupPolicy::default(),
        check: None,
        connect: ConnectOptions::default(),
        hosts,
    }
}

/// A service that listens on a free port, with these groups, of which the first serves.
pub(in crate::manager) fn service(name: &str, groups: Vec<config::Group>) -> config::Service {
    config::Service {
        name: name.to_owned(),
        listens: vec![Address::Socket(SocketAddr::from(([127, 0, 0, 1], 0))).into()],
        groups,
        enabled: Some(0),
        connect_timeout: None,
        idle_timeout: None,
        fin_timeout: None,
        max_connections: None,
        access_log: true,
        entrance: config::Entrance::default(),
        stubborn: false,
        flows: config::FlowConfig::default(),
    }
}

pub(in crate::manager) fn config(services: Vec<config::Service>) -> Config {
    Config { services, manager: rules(), ..Config::blank() }
}

/// One service "web" with one group "g" of hosts on these ports.
pub(in crate::manager) fn web(ports: &[u16]) -> Config {
    config(vec![service("web", vec![group("g", ports)])])
}

/// A manager in a world of its own.
pub(in crate::manager) struct World {
    pub(in crate::manager) now: Moment,
    pub(in crate::manager) manager: Manager,
    /// Every effect that is no probe, in order.
    pub(in crate::manager) told: Vec<Effect>,
    /// Probes that wait for their answer, with their timeout.
    pub(in crate::manager) probes: Vec<(HostId, Endpoint, Duration)>,
}

impl World {
    pub(in crate::manager) fn new(config: &Config) -> Self {
        let manager = Manager::new(settings());
        let mut world = Self { now: Moment::from_millis(1_000), manager, told: Vec::new(), probes: Vec::new() };
        world.manager.reload(world.now, config);
        world.take();
        world
    }

    pub(in crate::manager) fn take(&mut self) {
        for effect in self.manager.take_effects() {
            match effect {
                Effect::Probe { host, addr, timeout, .. } => self.probes.push((host, addr, timeout)),
                Effect::Publish(_) | Effect::Remove(_) | Effect::Resolve { .. } | Effect::Log { .. } => {
                    self.told.push(effect);
                }
            }
        }
    }

    pub(in crate::manager) fn reload(&mut self, config: &Config) -> super::Changes {
        let changes = self.manager.reload(self.now, config);
        self.take();
        changes
    }

    pub(in crate::manager) fn event(&mut self, event: Event) {
        self.manager.on_event(self.now, event);
        self.take();
    }

    pub(in crate::manager) fn report(&mut self, report: Report) {
        self.event(Event::Report(report));
    }

    /// A client failed to reach the host on this port.
    pub(in crate::manager) fn fail(&mut self, port: u16) {
        let (service, host) = self.find(port);
        self.report(Report::HostFailed { service, host, fault: Fault::Refused });
    }

    /// A reactor says that this suspected host answered.
    pub(in crate::manager) fn answered(&mut self, port: u16) {
        let (service, host) = self.find(port);
        self.report(Report::HostAnswered { service, host });
    }

    /// A reactor says that this host is slow.
    pub(in crate::manager) fn slow(&mut self, port: u16) {
        let (service, host) = self.find(port);
        self.report(Report::HostSlow { service, host });
    }

    /// Time passes, deadlines are kept.
    pub(in crate::manager) fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        while let Some(at) = self.manager.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.manager.on_deadline(self.now);
            self.take();
        }
        self.now = end;
    }

    /// Time passes, and every probe is answered at once by `answer`.
    pub(in crate::manager) fn pass_answering(
        &mut self,
        time: Duration,
        mut answer: impl FnMut(Moment, Endpoint) -> Result<Duration, Blame>,
    ) {
        let end = self.now.after(time);
        loop {
            for (host, addr, _) in std::mem::take(&mut self.probes) {
                let result = answer(self.now, addr);
                self.event(Event::ProbeEnded { host, result });
            }
            if !self.probes.is_empty() {
                continue;
            }
            let Some(at) = self.manager.next_deadline().filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            self.manager.on_deadline(self.now);
            self.take();
        }
        self.now = end;
    }

    /// The one probe that waits is answered.
    pub(in crate::manager) fn answer(&mut self, result: Result<Duration, Blame>) {
        assert_eq!(self.probes.len(), 1, "one probe waits: {:?}", self.probes);
        let (host, ..) = self.probes.remove(0);
        self.event(Event::ProbeEnded { host, result });
    }

    pub(in crate::manager) fn resolved(&mut self, name: &str, addresses: &[&str]) {
        let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        self.event(Event::Resolved { name: name.to_owned(), result: Ok(addresses) });
    }

    pub(in crate::manager) fn unresolved(&mut self, name: &str) {
        self.event(Event::Resolved { name: name.to_owned(), result: Err("no such name".to_owned()) });
    }

    /// The latest specification of a service.
    pub(in crate::manager) fn spec(&self, name: &str) -> Arc<ServiceSpec> {
        let id = self.manager.service_id(name).unwrap();
        let of_it = |effect: &Effect| match effect {
            Effect::Publish(spec) if spec.id == id => Some(Arc::clone(spec)),
            Effect::Publish(_)
            | Effect::Remove(_)
            | Effect::Probe { .. }
            | Effect::Resolve { .. }
            | Effect::Log { .. } => None,
        };
        self.told.iter().rev().find_map(of_it).unwrap()
    }

    /// The status that was published for the host of "web" on this port.
    pub(in crate::manager) fn status(&self, port: u16) -> HostStatus {
        self.spec("web").hosts.iter().find(|host| host.addr.port() == port).unwrap().status
    }

    /// The host on this port, whichever group it is in.
    pub(in crate::manager) fn find(&self, port: u16) -> (ServiceId, HostId) {
        let (host, ..) = self.manager.hosts().find(|(_, addr, _)| addr.port() == port).unwrap();
        (self.manager.service_id("web").unwrap(), host)
    }

    /// The log lines so far that hold this text.
    pub(in crate::manager) fn lines(&self, text: &str) -> Vec<&str> {
        let lines = self.told.iter().filter_map(|effect| match effect {
            Effect::Log { line, .. } => Some(line.as_str()),
            Effect::Publish(_) | Effect::Remove(_) | Effect::Probe { .. } | Effect::Resolve { .. } => None,
        });
        lines.filter(|line| line.contains(text)).collect()
    }

    /// How many names were asked for so far.
    pub(in crate::manager) fn asked(&self, wanted: &str) -> usize {
        self.told.iter().filter(|effect| matches!(effect, Effect::Resolve { name } if name == wanted)).count()
    }
}

pub(in crate::manager) const REFUSED: Result<Duration, Blame> = Err(Blame::Host(Fault::Refused));
pub(in crate::manager) const OUT_OF_FILES: Result<Duration, Blame> = Err(Blame::Local(libc::EMFILE));
