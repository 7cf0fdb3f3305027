//! Services made in code.

use std::thread;

use super::limits::{Asked, Machine, plan};
use super::{Balancer, StartError};
use crate::config::{self, Config, Current};
use crate::manager::run::{Defaults, Desk, Surroundings};
use crate::model::change::{Attributes, Change, GroupRef, Refusal};
use crate::model::limits::{
    ACCEPT_BATCH, BUFFER_BYTES, CONNECT_TIMEOUT, DRAIN_TIMEOUT, FIN_TIMEOUT, FLOWS_MAX, IDLE_TIMEOUT, REACTORS_MAX,
};
use crate::model::socket_options::{ConnectOptions, ListenOptions};
use crate::reactor::{Settings, Splice};
use crate::sys::clock::Clock;
use crate::sys::steer::Steering;

/// One host behind one address, as txLoadBalancer's programs say it: hosts with the same `proxy`, `service` and `group`
/// belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostMapper<'a> {
    /// Where clients connect to, `ADDRESS:PORT`.
    pub proxy: &'a str,
    /// The service's name; empty: its first `proxy`.
    pub service: &'a str,
    /// The group's name; empty: `main`. The first group of a service serves.
    pub group: &'a str,
    /// The scheduler of the group, in any spelling; the first host of a group says it.
    pub scheduler: &'a str,
    /// The host's name.
    pub host: &'a str,
    /// The host's address, `ADDRESS:PORT` or `NAME:PORT`.
    pub address: &'a str,
    /// Its share, 0 to [`crate::model::limits::WEIGHT_MAX`].
    pub weight: u32,
}

impl<'a> HostMapper<'a> {
    /// A host with the weight 1 in a service that has the name of its address, scheduled by round robin.
    #[must_use]
    pub const fn new(proxy: &'a str, host: &'a str, address: &'a str) -> Self {
        Self { proxy, service: "", group: "", scheduler: "roundrobin", host, address, weight: 1 }
    }
}

/// Makes a [`Balancer`].
#[derive(Clone, Debug)]
pub struct Builder {
    config: Result<Config, String>,
    threads: Option<usize>,
    max_connections: Option<u32>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// No services yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { config: Ok(Config::blank()), threads: None, max_connections: None }
    }

    /// The services of a configuration file's text. Its `<logging>`, `<admin>` and `<control>` are for the daemon.
    #[must_use]
    pub fn from_xml(text: &str) -> Self {
        let config = config::parse(text, "configuration").map_err(|errors| errors.to_string());
        Self { config, ..Self::new() }
    }

    /// Adds a host, with its service and group if they are new. What is wrong with it is told by [`Self::start`].
    #[must_use]
    pub fn map(self, mapper: &HostMapper<'_>) -> Self {
        let name = if mapper.service.is_empty() { mapper.proxy } else { mapper.service };
        let group = if mapper.group.is_empty() { "main" } else { mapper.group };
        let place = GroupRef { service: name.to_owned(), group: group.to_owned() };
        let known = self.config.as_ref().ok().and_then(|config| config.service(name));
        let has_group = known.is_some_and(|service| service.groups.iter().any(|known| known.name == group));
        let is_listener = |listen: &config::Listen| listen.address.to_string() == mapper.proxy;
        let has_listener = known.is_some_and(|service| service.listens.iter().any(is_listener));
        let (service, listen, attributes) = (name.to_owned(), mapper.proxy.to_owned(), Attributes::default());
        let mut changes = Vec::new();
        match known {
            None => changes.push(Change::AddService { service, listen, attributes }),
            Some(_) if !has_listener => changes.push(Change::AddListener { service, listen, attributes }),
            Some(_) => {}
        }
        if !has_group {
            let attributes = Attributes::new([("scheduler", mapper.scheduler)]);
            changes.push(Change::AddGroup { group: place.clone(), attributes });
        }
        changes.push(Change::AddHost {
            group: place,
            host: Some(mapper.host.to_owned()),
            address: mapper.address.to_owned(),
            attributes: Attributes::new([("weight", mapper.weight.to_string())]),
        });
        changes.iter().fold(self, Self::change)
    }

    /// Makes any change of the configuration that is to start. What is wrong with it is told by [`Self::start`].
    #[must_use]
    pub fn change(mut self, change: &Change) -> Self {
        if let Ok(config) = &mut self.config
            && let Err(refusal) = config::apply(config, change)
        {
            self.config = Err(refusal.why);
        }
        self
    }

    /// Reactors, 1 to [`REACTORS_MAX`]; without it, as many as there are processors.
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Most open pairs of client and host; without it, what open files and memory allow.
    #[must_use]
    pub const fn max_connections(mut self, max: u32) -> Self {
        self.max_connections = Some(max);
        self
    }

    /// Starts the balancer: when it returns, every address is listened on.
    ///
    /// # Errors
    /// What is wrong with the services; an address that cannot be listened on; what the system does not give.
    pub fn start(self) -> Result<Balancer, StartError> {
        let config = self.config.map_err(StartError::Config)?;
        let threads = self.threads.or_else(|| thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
        let threads = threads.clamp(1, REACTORS_MAX);
        let asked = Asked {
            threads,
            listeners: config.services.iter().map(config::Service::sockets).sum(),
            front_ends: 0,
            max_connections: self.max_connections,
            buffer_bytes: BUFFER_BYTES,
        };
        let machine = Machine::read().map_err(|error| StartError::System("read the limit of open files", error))?;
        let plan = plan(machine, asked).map_err(|refusal| StartError::Limits(refusal.to_string()))?;
        let settings = Settings {
            cpus: vec![None; threads],
            max_connections: plan.max_connections,
            flows_max: FLOWS_MAX,
            flow_sockets_max: plan.flow_sockets_max,
            buffer_bytes: BUFFER_BYTES,
            buffers_max: plan.buffers_max,
            splice: Splice::Auto,
            pipes_max: plan.pipes_max,
            accept_batch: ACCEPT_BATCH,
            rebalance: false,
            panic_at: None,
        };
        let defaults = Defaults {
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            fin_timeout: FIN_TIMEOUT,
            listen: ListenOptions::default(),
            connect: ConnectOptions::default(),
            steering: Steering::Hash,
            drain_timeout: DRAIN_TIMEOUT,
        };
        let clock = Clock::start();
        let desk = Desk::new(clock).map_err(|error| StartError::System("start the manager", error))?;
        let current = Current::new(config.clone());
        let program = Box::new(Program(current.clone()));
        Balancer::launch(&config, &settings, defaults, program, current, desk, clock)
    }
}

/// A program around the manager: it has neither a configuration file nor a log for the manager to keep.
struct Program(Current);

impl Surroundings for Program {
    fn load(&mut self) -> Result<Config, String> {
        Err(String::from("there is no file to read again: the services were made by the program"))
    }

    fn prepare(&mut self, _: &Config) -> Result<(), String> {
        Ok(())
    }

    fn applied(&mut self, config: &Config) {
        self.0.set(config.clone());
    }

    fn save(&mut self, _: &Config, _: Option<&Config>) -> Result<String, Refusal> {
        Err(Refusal::unavailable("there is no file to save to: the services were made by the program"))
    }

    fn reopen_log(&mut self) -> Result<(), String> {
        Err(String::from("the log is the program's"))
    }

    fn set_log_level(&mut self, _: &str) -> Result<(), String> {
        Err(String::from("the log is the program's"))
    }
}
