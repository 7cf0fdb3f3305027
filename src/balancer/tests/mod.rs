//! Scenario builders, and the tests by subject.

mod failover;
mod many;
mod memory;
mod queue;
mod roles;
mod schedulers;
mod sticky;
mod timeouts;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Balancer, Due, Key, Next, State, Traffic};
use crate::model::datagram::FlowRules;
use crate::model::id::{HostId, ServiceId};
use crate::model::outcome::CloseReason;
use crate::model::role::Level;
use crate::model::scheduler::SchedulerKind;
use crate::model::service::{HostSpec, ServiceSpec};
use crate::model::status::HostStatus;
use crate::model::sticky::StickyRules;
use crate::model::time::Moment;

pub(in crate::balancer) const S: ServiceId = ServiceId(0);

pub(in crate::balancer) fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

pub(in crate::balancer) fn addr(number: u32) -> SocketAddr {
    let [_, _, high, low] = number.to_be_bytes();
    SocketAddr::from(([10, 0, high, low], 80))
}

fn client() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5000))
}

pub(in crate::balancer) fn spec(kind: SchedulerKind, weights: &[u32]) -> ServiceSpec {
    let host = |(number, weight): (u32, &u32)| HostSpec {
        id: HostId(number),
        addr: addr(number),
        weight: *weight,
        share: *weight,
        max: None,
        hard: None,
        level: Level::default(),
        status: HostStatus::Up,
        may_meet_itself: false,
        outbound: None,
        counters: Arc::default(),
    };
    ServiceSpec {
        id: S,
        generation: 1,
        name: "s".into(),
        scheduler: kind,
        sticky: StickyRules::default(),
        table: None,
        is_stubborn: false,
        hosts: (0..).zip(weights).map(host).collect(),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(60),
        fin_timeout: Duration::from_secs(10),
        flows: FlowRules::default(),
        max_connections: None,
        rotation: Arc::default(),
        counters: Arc::default(),
    }
}

fn balancer(spec: &ServiceSpec) -> Balancer<()> {
    let mut balancer = Balancer::new(7);
    balancer.apply(Arc::new(spec.clone()));
    balancer
}

/// A newer publication of `spec`, changed.
pub(in crate::balancer) fn next_generation(
    spec: &mut ServiceSpec,
    change: impl FnOnce(&mut ServiceSpec),
) -> Arc<ServiceSpec> {
    spec.generation += 1;
    change(spec);
    Arc::new(spec.clone())
}

fn open(balancer: &mut Balancer<()>, now: Moment) -> (Key, Next) {
    assert!(balancer.reserve(S, false));
    let (key, next) = balancer.open(now, S, client(), ()).unwrap();
    // A session that is to be closed has no timer until it is.
    if !matches!(next, Next::Close(_)) {
        balancer.check().unwrap();
    }
    (key, next)
}

/// Opens a session that must go to a host at once, and tells which.
fn open_to(balancer: &mut Balancer<()>, now: Moment) -> (Key, u32) {
    let (key, next) = open(balancer, now);
    (key, number(next))
}

fn number(next: Next) -> u32 {
    match next {
        Next::Connect(target) => number_of(target.addr),
        other @ (Next::Wait | Next::Close(_)) => panic!("expected a connect, got {other:?}"),
    }
}

fn number_of(addr: SocketAddr) -> u32 {
    match addr {
        SocketAddr::V4(addr) => u32::from(addr.ip().octets()[2]) << 8 | u32::from(addr.ip().octets()[3]),
        SocketAddr::V6(_) => panic!("no such host"),
    }
}

fn close(balancer: &mut Balancer<()>, key: Key) {
    assert!(balancer.close(Moment::START, key, CloseReason::Finished, Traffic::default()).is_some());
    balancer.check().unwrap();
}

fn due(balancer: &mut Balancer<()>, now: Moment) -> Option<(Key, Due)> {
    let due = balancer.next_due(now);
    if !matches!(due, Some((_, Due::Close(_)))) {
        balancer.check().unwrap();
    }
    due
}
