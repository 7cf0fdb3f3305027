//! From the registry to what reactors see: the enabled group as plain addresses, published when it differs.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::config;
use crate::model::id::{HostId, ServiceId};
use crate::model::limits::{EXACT_HOSTS_MAX, PUBLISH_PAUSE_PER_HOST};
use crate::model::role::Level;
use crate::model::service::{HostSpec, ServiceSpec};
use crate::model::socket_options::{ConnectOptions, Outbound};
use crate::model::status::AdminState;
use crate::model::time::Moment;

use super::registry::{Registry, Service};

/// What the configuration leaves to the command line and the machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For services without `connect-timeout`.
    pub connect_timeout: Duration,
    /// For services without `idle-timeout`.
    pub idle_timeout: Duration,
    /// For services without `fin-timeout`.
    pub fin_timeout: Duration,
    /// How to connect to hosts, as far as neither they nor their group say.
    pub connect: ConnectOptions,
    /// Ports that the kernel gives to outgoing connections: a connect to one of them could meet itself.
    pub ephemeral_ports: RangeInclusive<u16>,
}

impl Registry {
    /// The service's new specification if reactors would see a difference to the last. Its generation is one more. A
    /// service of many hosts gathers changes for a while from then on.
    pub(super) fn publish(&mut self, now: Moment, id: ServiceId, settings: &Settings) -> Option<Arc<ServiceSpec>> {
        let service = self.services.get(&id)?;
        let mut spec = self.spec(id, service, settings);
        if let Some(published) = &service.published {
            if same(published, &spec) {
                return None;
            }
            spec.generation = published.generation + 1;
        }
        let spec = Arc::new(spec);
        let service = self.services.get_mut(&id)?;
        service.gathers_until = now.after(pause(spec.hosts.len()));
        service.published = Some(Arc::clone(&spec));
        Some(spec)
    }

    fn spec(&self, id: ServiceId, service: &Service, settings: &Settings) -> ServiceSpec {
        let config = &service.config;
        let group = config.enabled.map(|at| &config.groups[at]);
        let state = config.enabled.map(|at| &service.groups[at]);
        ServiceSpec {
            id,
            generation: 1,
            name: Arc::clone(&service.name),
            scheduler: group.map(|group| group.scheduler).unwrap_or_default(),
            sticky: group.map(|group| group.sticky).unwrap_or_default(),
            table: state.and_then(|state| state.table.clone()),
            is_stubborn: group.and_then(|group| group.policy.stubborn).unwrap_or(config.stubborn),
            hosts: service.serving().filter_map(|(host, config)| self.host_spec(host, config, settings)).collect(),
            connect_timeout: config.connect_timeout.unwrap_or(settings.connect_timeout),
            idle_timeout: config.idle_timeout.unwrap_or(settings.idle_timeout),
            fin_timeout: config.fin_timeout.unwrap_or(settings.fin_timeout),
            flows: config.flows.rules(),
            max_connections: config.max_connections,
            rotation: state.map(|state| Arc::clone(&state.rotation)).unwrap_or_default(),
            counters: Arc::clone(&service.counters),
        }
    }

    fn host_spec(&self, id: HostId, config: &config::Host, settings: &Settings) -> Option<HostSpec> {
        let host = self.hosts.get(&id)?;
        // Reactors know one way to give a host nothing new.
        let is_wanted = config.state == AdminState::Up && host.kept_out.is_none();
        let weight = if is_wanted { config.weight } else { 0 };
        Some(HostSpec {
            id,
            addr: host.addr,
            weight,
            share: config.weight,
            max: config.max,
            hard: config.policy.hard,
            level: Level { role: config.policy.role, prio: config.policy.prio },
            status: host.health.status(),
            may_meet_itself: may_meet_itself(host.addr, host.outbound.as_deref(), settings),
            outbound: host.outbound.clone(),
            counters: Arc::clone(&host.counters),
        })
    }
}

/// The time between two publications of so many hosts.
fn pause(hosts: usize) -> Duration {
    if hosts <= EXACT_HOSTS_MAX {
        return Duration::ZERO;
    }
    PUBLISH_PAUSE_PER_HOST.saturating_mul(u32::try_from(hosts).unwrap_or(u32::MAX))
}

/// Whether reactors would see no difference. Another group means other hosts, and with them another rotation.
fn same(a: &ServiceSpec, b: &ServiceSpec) -> bool {
    a.scheduler == b.scheduler
        && a.sticky == b.sticky
        && a.table.as_ref().map(Arc::as_ptr) == b.table.as_ref().map(Arc::as_ptr)
        && a.is_stubborn == b.is_stubborn
        && a.connect_timeout == b.connect_timeout
        && a.idle_timeout == b.idle_timeout
        && a.fin_timeout == b.fin_timeout
        && a.flows == b.flows
        && a.max_connections == b.max_connections
        && a.hosts.len() == b.hosts.len()
        && a.hosts.iter().zip(&b.hosts).all(|(a, b)| same_host(a, b))
}

/// An identity fixes the address and the counters.
fn same_host(a: &HostSpec, b: &HostSpec) -> bool {
    let same_outbound = match (&a.outbound, &b.outbound) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    (a.id, a.weight, a.share, a.status) == (b.id, b.weight, b.share, b.status)
        && (a.max, a.hard, a.level) == (b.max, b.hard, b.level)
        && same_outbound
}

/// Both ends are one only where the host's port can be a connection's own and its address too.
fn may_meet_itself(addr: SocketAddr, outbound: Option<&Outbound>, settings: &Settings) -> bool {
    let is_source = outbound.is_none_or(|outbound| outbound.may_come_from(addr.ip()));
    settings.ephemeral_ports.contains(&addr.port()) && is_source
}
