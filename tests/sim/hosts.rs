//! The hosts of the simulation, and the configuration that names them.

use std::net::SocketAddr;
use std::time::Duration;

use director::config::{Acl, Address, Config, Entrance, Group, GroupPolicy, Host, HostPolicy, Manager, Service};
use director::model::access::{Net, Rule, Verdict};
use director::model::address::Endpoint;
use director::model::clients::ClientLimits;
use director::model::outcome::{Blame, Fault};
use director::model::rng::Rng;
use director::model::role::Role;
use director::model::scheduler::SchedulerKind;
use director::model::socket_options::ConnectOptions;
use director::model::status::AdminState;
use director::model::sticky::{Prefixes, StickyMode, StickyRules};

/// Hosts that exist, configured or not.
pub(crate) const HOSTS: u64 = 6;

/// How a host behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It accepts within a millisecond or two.
    Alive,
    /// It accepts after this many milliseconds.
    Late(u64),
    /// It refuses.
    Refusing,
    /// It says nothing.
    Silent,
    /// This machine has no port left for it.
    NoPorts,
}

impl Mood {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        match rng.below(8) {
            0..=3 => Self::Alive,
            4 => Self::Late(20 + rng.below(400)),
            5 => Self::Refusing,
            6 => Self::Silent,
            _ => Self::NoPorts,
        }
    }

    /// What a connect meets, and after how many milliseconds; nothing when it would hang.
    pub(crate) fn connect(self, rng: &mut Rng) -> Option<(u64, Result<(), Blame>)> {
        match self {
            Self::Alive => Some((rng.below(3), Ok(()))),
            Self::Late(millis) => Some((millis, Ok(()))),
            Self::Refusing => Some((rng.below(2), Err(Blame::Host(Fault::Refused)))),
            Self::Silent => None,
            Self::NoPorts => Some((0, Err(Blame::Local(99)))),
        }
    }
}

pub(crate) fn addr(host: u64) -> Endpoint {
    Endpoint::Ip(([10, 0, 0, u8::try_from(host).unwrap()], 80).into())
}

pub(crate) fn index(addr: Endpoint) -> usize {
    match addr {
        Endpoint::Ip(SocketAddr::V4(addr)) => addr.ip().octets()[3].into(),
        Endpoint::Ip(SocketAddr::V6(_)) | Endpoint::Unix(_) => panic!("no such host"),
    }
}

fn policy(rng: &mut Rng, max: Option<u32>) -> HostPolicy {
    let prio = if rng.one_in(2) { 0 } else { u32::try_from(rng.below(3)).unwrap() };
    let hard = max.filter(|_| rng.one_in(2)).map(|max| max + u32::try_from(rng.below(3)).unwrap());
    let role = match rng.below(8) {
        0 => Role::Emergency,
        1 => Role::Abuse,
        _ => Role::Normal,
    };
    let blacklist = rng.one_in(4).then(|| Duration::from_millis(rng.below(2000)));
    HostPolicy { prio, hard, role, blacklist }
}

fn sticky(rng: &mut Rng) -> StickyRules {
    let mode = StickyMode::ALL[usize::try_from(rng.below(4)).unwrap() % 3];
    let mode = if rng.one_in(3) { StickyMode::Table } else { mode };
    let size = [4, 2048][usize::from(rng.one_in(2))];
    let ttl = if rng.one_in(4) { Duration::from_millis(500) } else { Duration::ZERO };
    StickyRules { mode, size, ttl, prefixes: Prefixes::default(), fail_back: rng.one_in(2) }
}

/// A valid configuration of one service with some of the hosts, in any order.
pub(crate) fn config(rng: &mut Rng) -> Config {
    let mut hosts: Vec<Host> = Vec::new();
    let count = 1 + rng.below(HOSTS);
    let first = rng.below(HOSTS);
    for host in (0..count).map(|offset| (first + offset) % HOSTS) {
        let weight = u32::try_from(rng.below(4)).unwrap();
        let max = rng.one_in(3).then(|| 1 + u32::try_from(rng.below(4)).unwrap());
        let state = [AdminState::Up, AdminState::Drain, AdminState::Down][usize::try_from(rng.below(24)).unwrap() / 10];
        hosts.push(Host {
            name: format!("h{host}"),
            address: Address::Socket(addr(host).as_ip().unwrap()),
            weight,
            max,
            policy: policy(rng, max),
            state,
            acl: rng.one_in(8).then(|| "one".to_owned()),
            connect: ConnectOptions::default(),
        });
    }
    let kind = SchedulerKind::ALL[usize::try_from(rng.below(9)).unwrap()];
    let policy = GroupPolicy { stubborn: rng.one_in(8).then_some(true), blacklist: None };
    let (sticky, connect) = (sticky(rng), ConnectOptions::default());
    let group = Group { name: "g".into(), scheduler: kind, sticky, policy, check: None, connect, hosts };
    let service = Service {
        name: "s".into(),
        listens: vec![Address::Socket("127.0.0.1:80".parse().unwrap()).into()],
        groups: vec![group],
        enabled: Some(0),
        connect_timeout: Some(Duration::from_millis(500 + rng.below(2000))),
        idle_timeout: Some(Duration::from_secs(1 + rng.below(5))),
        fin_timeout: Some(Duration::from_secs(1)),
        max_connections: rng.one_in(4).then_some(30),
        access_log: true,
        stubborn: false,
        entrance: entrance(rng),
        flows: director::config::FlowConfig::default(),
    };
    let manager = Manager {
        host_check: Duration::from_millis(200 + rng.below(1000)),
        checktime: Duration::from_millis(rng.below(2000)),
        heartbeat: rng.one_in(2).then_some(Duration::from_millis(500)),
        rise: 1 + u32::try_from(rng.below(2)).unwrap(),
        fall: 1 + u32::try_from(rng.below(3)).unwrap(),
        config_check: None,
    };
    // Every third client.
    let denied =
        [1, 4, 7].map(|number| Rule { verdict: Verdict::Deny, net: Net::single(client(number).ip().unwrap()) });
    let acl = Acl { name: "one".into(), default: Verdict::Permit, rules: denied.into() };
    Config { services: vec![service], manager, acls: vec![acl], ..Config::blank() }
}

/// Clients that there are.
pub(crate) const CLIENTS: u64 = 8;

pub(crate) fn client(number: u64) -> Endpoint {
    Endpoint::Ip(([192, 0, 2, u8::try_from(number).unwrap()], 5000).into())
}

/// Sometimes a list, sometimes limits, seldom with another table.
fn entrance(rng: &mut Rng) -> Entrance {
    let acl = rng.one_in(3).then(|| "one".to_owned());
    let max = rng.one_in(3).then(|| 1 + u32::try_from(rng.below(20)).unwrap());
    let rate = rng.one_in(6).then_some(40);
    let mut entrance = Entrance { acl, limits: ClientLimits { max, rate }, ..Entrance::default() };
    if rng.one_in(6) {
        entrance.room.clients = 8;
    }
    entrance
}
