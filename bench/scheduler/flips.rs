//! What it costs when hosts change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use director::balancer::{Balancer, Next};
use director::config::{
    Address, Config, Entrance, FlowConfig, Group, GroupPolicy, Host, HostPolicy, Manager as Rules, Service,
};
use director::manager::{Effect, Event, Manager, Settings};
use director::model::id::ServiceId;
use director::model::outcome::Fault;
use director::model::report::Report;
use director::model::scheduler::SchedulerKind;
use director::model::socket_options::ConnectOptions;
use director::model::status::{AdminState, HostStatus};
use director::model::sticky::StickyRules;
use director::model::time::Moment;

use super::world::{Case, Reactor, Spent, State, WINDOW, spec};
use super::{Failure, REPEATS};

/// Publications that a mean is taken over.
const FLIPS: usize = 100;

/// One host in `hosts` goes down or comes back. Seconds to take that over, and for one session right after it.
pub(crate) fn publication(kind: SchedulerKind, hosts: u32) -> Result<(f64, f64), Failure> {
    let mut newest = spec(kind, 0, &Case { hosts, ..Case::default() });
    let mut reactor = Reactor::new(1, &[Arc::new(newest.clone())], false);
    reactor.fill()?;
    let (mut applied, mut chosen) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let (mut apply, mut session) = (Duration::ZERO, Duration::ZERO);
        for number in 0..FLIPS {
            newest.generation += 1;
            let status = &mut newest.hosts[number * 97].status;
            *status = if *status == HostStatus::Up { HostStatus::Down } else { HostStatus::Up };
            let publication = Arc::new(newest.clone());
            let begun = Spent::now();
            reactor.balancer.apply(publication);
            apply += begun.elapsed();
            let begun = Spent::now();
            reactor.turn()?;
            session += begun.elapsed();
        }
        applied.push(apply.as_secs_f64() / FLIPS as f64);
        chosen.push(session.as_secs_f64() / FLIPS as f64);
    }
    applied.sort_unstable_by(f64::total_cmp);
    chosen.sort_unstable_by(f64::total_cmp);
    Ok((applied[REPEATS / 2], chosen[REPEATS / 2]))
}

/// What hosts that fail one after the other cost the manager.
pub(crate) struct Cost {
    pub(crate) seconds: f64,
    pub(crate) publications: usize,
}

/// So many of `hosts` fail within a second, evenly; the manager is told of each, and does what is due.
pub(crate) fn manager(hosts: u32, flips: u32) -> Result<Cost, Failure> {
    let mut manager = Manager::new(Settings {
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(600),
        fin_timeout: Duration::from_secs(60),
        connect: ConnectOptions::default(),
        ephemeral_ports: 32_768..=60_999,
    });
    let _ = manager.reload(Moment::START, &config(hosts));
    let _ = manager.take_effects();
    let ids: Vec<_> = manager.hosts().map(|(id, _, _)| id).collect();
    let service = ServiceId(0);
    let (mut spent, mut publications) = (Duration::ZERO, 0);
    for flip in 0..flips {
        let now = Moment::from_micros(1_000_000 + 1_000_000 * u64::from(flip) / u64::from(flips));
        let host = ids[flip as usize * ids.len() / flips as usize];
        let begun = Spent::now();
        manager.on_deadline(now);
        manager.on_event(now, Event::Report(Report::HostFailed { service, host, fault: Fault::Refused }));
        let effects = manager.take_effects();
        spent += begun.elapsed();
        publications += effects.iter().filter(|effect| matches!(effect, Effect::Publish(_))).count();
    }
    let end = Moment::from_millis(2_500);
    let begun = Spent::now();
    manager.on_deadline(end);
    let effects = manager.take_effects();
    spent += begun.elapsed();
    publications += effects.iter().filter(|effect| matches!(effect, Effect::Publish(_))).count();
    let down = |spec: &director::model::service::ServiceSpec| {
        spec.hosts.iter().filter(|host| host.status == HostStatus::Down).count()
    };
    let published: usize = manager.published().map(|spec| down(spec)).sum();
    if published != flips as usize {
        return Err(format!("{published} of {flips} hosts that failed are published as down").into());
    }
    Ok(Cost { seconds: spent.as_secs_f64(), publications })
}

fn config(hosts: u32) -> Config {
    let host = |number: u32| Host {
        name: format!("h{number}"),
        address: Address::Socket(SocketAddr::from(([10, 0, number.to_be_bytes()[2], number.to_be_bytes()[3]], 80))),
        weight: 1,
        max: None,
        policy: HostPolicy::default(),
        state: AdminState::Up,
        acl: None,
        connect: ConnectOptions::default(),
    };
    let hosts = (0..hosts).map(host).collect();
    let (scheduler, sticky) = (SchedulerKind::LeastConns, StickyRules::default());
    let policy = GroupPolicy::default();
    let group =
        Group { name: "g".into(), scheduler, sticky, policy, check: None, connect: ConnectOptions::default(), hosts };
    let service = Service {
        name: "s".into(),
        listens: vec![Address::Socket(SocketAddr::from(([127, 0, 0, 1], 80))).into()],
        groups: vec![group],
        enabled: Some(0),
        connect_timeout: None,
        idle_timeout: None,
        fin_timeout: None,
        max_connections: None,
        access_log: true,
        entrance: Entrance::default(),
        stubborn: false,
        flows: FlowConfig::default(),
    };
    let rules = Rules {
        host_check: Duration::from_secs(2),
        checktime: Duration::ZERO,
        heartbeat: None,
        rise: 1,
        fall: 1,
        config_check: None,
    };
    Config { services: vec![service], manager: rules, ..Config::blank() }
}

/// A client waits at each of so many services. Seconds to look for room for all of them.
pub(crate) fn queues(services: u32) -> Result<f64, Failure> {
    let mut balancer: Balancer<()> = Balancer::new(1);
    let case = Case { hosts: 1, state: State::Full, percent: 100, ..Case::default() };
    for service in 0..services {
        balancer.apply(Arc::new(spec(SchedulerKind::RoundRobin, service, &case)));
        let client = SocketAddr::from(([127, 0, 0, 1], 40_000)).into();
        balancer.reserve(ServiceId(service), false);
        let opened = balancer.open(Moment::START, ServiceId(service), client, ());
        if !matches!(opened, Ok((_, Next::Wait))) {
            return Err("a client of a full host does not wait".into());
        }
    }
    let begun = Spent::now();
    for _ in 0..WINDOW {
        if balancer.next_waiting(Moment::START).is_some() {
            return Err("a full host took a client".into());
        }
    }
    Ok(begun.elapsed().as_secs_f64() / WINDOW as f64)
}
