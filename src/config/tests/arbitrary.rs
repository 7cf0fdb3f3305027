//! Strategies for valid configurations.

mod entrance;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use entrance::{access_log, acl_name, acls, entrance, expect, status};

use crate::config::{
    Access, Address, Admin, Config, Control, FlowConfig, Group, GroupPolicy, Host, HostPolicy, Listen, Manager, Rights,
    Service, User, Web,
};
use crate::model::address::{Endpoint, UnixName};
use crate::model::check::{self, Check, Exchange, Probe, Question, RECORD_TYPES};
use crate::model::datagram::{Protocols, SessionKind};
use crate::model::limits::{
    BACKLOG_MAX, BUSY_POLL_US_MAX, DEFER_ACCEPT_MAX, FASTOPEN_QUEUE_MAX, KEEPALIVE_COUNT_MAX, KEEPALIVE_S_MAX,
    PRIO_MAX, PROBE_TIMEOUT_MAX, SOCKET_BUFFER_BYTES_MAX, SOCKET_BUFFER_BYTES_MIN, STICKY_SIZE_MAX, TIME_MAX,
    USER_TIMEOUT_MAX, WEIGHT_MAX,
};
use crate::model::proxy::Announce;
use crate::model::role::Role;
use crate::model::scheduler::SchedulerKind;
use crate::model::socket_options::{
    Congestion, ConnectOptions, Keepalive, ListenOptions, SourceRange, Sources, StreamOptions,
};
use crate::model::status::AdminState;
use crate::model::sticky::{Prefixes, StickyMode, StickyRules};

/// Any valid configuration. Listeners are on ports below 20000, each on its own or on 0, hosts above: none meet.
pub(in crate::config) fn config() -> impl Strategy<Value = Config> {
    let control = (path(), of(name())).prop_map(|(socket, group)| Control { socket, group });
    let logs = (of(path()), of(access_log()), of(status()));
    let parts = (vec(service(), 1..4), manager(), logs, of(admin()), of(control), acls());
    parts.prop_map(|(services, manager, (log_file, access_log, status), admin, control, acls)| {
        let mut config = Config { services, manager, log_file, access_log, status, admin, control, acls };
        separate(&mut config);
        config
    })
}

fn service() -> impl Strategy<Value = Service> {
    let times = (of(positive_time()), of(positive_time()), of(positive_time()));
    let rights = (of(0..=0o777_u32), of(name())).prop_map(|(mode, group)| Rights { mode, group });
    let listen = (address(), select(&Protocols::ALL[..]), listen_options(), of(expect()), rights);
    let listen = listen.prop_map(|(address, protocol, options, proxy, rights)| {
        fit(Listen { address, protocol, options, proxy, rights })
    });
    let rest = (of(1..=u32::MAX), any::<bool>(), any::<bool>(), flows());
    let enabled = any::<prop::sample::Index>();
    let parts = (name(), vec(listen, 1..4), vec(group(), 1..4), enabled, times, rest, entrance());
    parts.prop_map(
        |(name, listens, groups, enabled, times, (max_connections, access_log, stubborn, flows), entrance)| {
            let enabled = Some(enabled.index(groups.len()));
            let (connect_timeout, idle_timeout, fin_timeout) = times;
            Service {
                name,
                listens,
                groups,
                enabled,
                connect_timeout,
                idle_timeout,
                fin_timeout,
                max_connections,
                access_log,
                entrance,
                stubborn,
                flows,
            }
        },
    )
}

fn flows() -> impl Strategy<Value = FlowConfig> {
    let parts = (select(&SessionKind::ALL[..]), of(0..=u32::from(u16::MAX)), of(positive_time()));
    parts.prop_map(|(session, responses, timeout)| FlowConfig { session, responses, timeout })
}

fn group() -> impl Strategy<Value = Group> {
    let rules = (sticky(), group_policy(), of(check()));
    let parts = (name(), select(&SchedulerKind::ALL[..]), rules, connect_options(), vec(host(), 1..5));
    parts.prop_map(|(name, scheduler, (sticky, policy, check), connect, hosts)| Group {
        name,
        scheduler,
        sticky,
        policy,
        check,
        connect,
        hosts,
    })
}

fn check() -> impl Strategy<Value = Check> {
    let bytes = || vec(any::<u8>(), 1..40);
    let expect = || (bytes(), any::<bool>()).prop_map(|(bytes, begins)| check::Expect { bytes, begins });
    let tcp = (prop_oneof![Just(Vec::new()), bytes()], of(expect()));
    let udp = (bytes(), of(expect()));
    let name = prop_oneof![Just(String::from(".")), "[a-zA-Z0-9_-]{1,20}(\\.[a-z0-9-]{1,9}){0,3}"];
    let question = (name, select(&RECORD_TYPES[..])).prop_map(|(name, (_, kind))| Question { name, kind });
    let probe = prop_oneof![
        tcp.prop_map(|(send, expect)| Probe::Tcp(Exchange { send, expect })),
        udp.prop_map(|(send, expect)| Probe::Udp(Exchange { send, expect })),
        question.prop_map(Probe::Dns),
    ];
    let max = u64::try_from(PROBE_TIMEOUT_MAX.as_millis()).unwrap();
    let timeout = (1..=max).prop_map(Duration::from_millis);
    let parts = (probe, of(1..=u16::MAX), of(positive_time()), of(timeout));
    let active = parts.prop_map(|(probe, port, interval, timeout)| {
        let timeout = timeout.map(|timeout| interval.map_or(timeout, |interval| interval.min(timeout)));
        Check { probe, port, interval, timeout }
    });
    prop_oneof![1 => Just(Check::usual(false)), 4 => active]
}

fn group_policy() -> impl Strategy<Value = GroupPolicy> {
    (of(any::<bool>()), of(time())).prop_map(|(stubborn, blacklist)| GroupPolicy { stubborn, blacklist })
}

/// With a `hard` that is above any `max`, for hosts that have one.
fn host_policy() -> impl Strategy<Value = HostPolicy> {
    let role = select(&[Role::Normal, Role::Emergency, Role::Abuse][..]);
    let parts = (0..=PRIO_MAX, of(Just(u32::MAX)), role, of(time()));
    let any = parts.prop_map(|(prio, hard, role, blacklist)| HostPolicy { prio, hard, role, blacklist });
    prop_oneof![Just(HostPolicy::default()), any]
}

fn sticky() -> impl Strategy<Value = StickyRules> {
    let prefixes = (1..=32_u8, 1..=128_u8).prop_map(|(v4, v6)| Prefixes { v4, v6 });
    let prefixes = prop_oneof![Just(Prefixes::default()), prefixes];
    let parts = (select(&StickyMode::ALL[..]), 1..=STICKY_SIZE_MAX, time(), prefixes, any::<bool>());
    let any =
        parts.prop_map(|(mode, size, ttl, prefixes, fail_back)| StickyRules { mode, size, ttl, prefixes, fail_back });
    prop_oneof![Just(StickyRules::default()), any]
}

fn host() -> impl Strategy<Value = Host> {
    let weight = prop_oneof![Just(1), 0..=WEIGHT_MAX];
    let state = select(&[AdminState::Up, AdminState::Drain, AdminState::Down][..]);
    let turn = (of(1..=u32::MAX), host_policy());
    let parts = (name(), address(), 20_000..=u16::MAX, weight, turn, state, acl_name(), connect_options());
    parts.prop_map(|(name, mut address, port, weight, (max, mut policy), state, acl, mut connect)| {
        policy.hard = policy.hard.and(max).and(policy.hard);
        set_port(&mut address, port);
        if let Address::Socket(socket) = &mut address
            && socket.ip().is_unspecified()
        {
            socket.set_ip(Ipv4Addr::new(10, 0, 0, 1).into());
        }
        if let Address::Socket(socket) = &address
            && connect.source.as_ref().is_some_and(|source| !source.have_family_of(*socket))
        {
            connect.source = None;
        }
        if let Address::Unix(name) = &address {
            connect = connect.fit(Endpoint::Unix(*name));
        }
        Host { name, address, weight, max, policy, state, acl, connect }
    })
}

/// The listener without what its address cannot have.
pub(in crate::config) fn fit(mut listen: Listen) -> Listen {
    if listen.proxy.is_some() || matches!(listen.address, Address::Unix(_)) {
        listen.protocol = Protocols::Tcp;
    }
    if listen.protocol == Protocols::Udp {
        let StreamOptions { busy_poll, receive_buffer, send_buffer, .. } = listen.options.stream;
        let stream = StreamOptions { busy_poll, receive_buffer, send_buffer, ..StreamOptions::default() };
        listen.options = ListenOptions { stream, ..ListenOptions::default() };
    }
    match &listen.address {
        Address::Unix(name) => listen.options = listen.options.fit(Endpoint::Unix(*name)),
        Address::Socket(_) | Address::Name { .. } => listen.rights = Rights::default(),
    }
    if matches!(&listen.address, Address::Unix(name) if name.path().is_none()) {
        listen.rights = Rights::default();
    }
    listen
}

fn listen_options() -> impl Strategy<Value = ListenOptions> {
    let defer_accept = (0..=DEFER_ACCEPT_MAX.as_secs()).prop_map(Duration::from_secs);
    let parts = (of(1..=BACKLOG_MAX), of(defer_accept), of(0..=FASTOPEN_QUEUE_MAX), stream_options());
    parts.prop_map(|(backlog, defer_accept, fastopen, stream)| ListenOptions {
        backlog,
        defer_accept,
        fastopen,
        stream,
    })
}

fn connect_options() -> impl Strategy<Value = ConnectOptions> {
    let v4 = (any::<u8>(), 0..9_u8).prop_map(|(at, more)| {
        let last = at.saturating_add(more);
        SourceRange::new(Ipv4Addr::new(10, 0, 0, at).into(), Ipv4Addr::new(10, 0, 0, last).into()).unwrap()
    });
    let v6 = (any::<u16>(), 0..9_u16).prop_map(|(at, more)| {
        let ip = |last| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, last).into();
        SourceRange::new(ip(at), ip(at.saturating_add(more))).unwrap()
    });
    let source = vec(prop_oneof![v4, v6], 1..3).prop_map(|ranges| Sources::new(&ranges).unwrap());
    let proxy = select(&[Announce::V1, Announce::V2, Announce::Off][..]);
    let parts = (of(any::<bool>()), of(source), of(proxy), stream_options());
    parts.prop_map(|(fastopen, source, proxy, stream)| ConnectOptions { fastopen, source, proxy, stream })
}

fn stream_options() -> impl Strategy<Value = StreamOptions> {
    let max = u64::try_from(USER_TIMEOUT_MAX.as_millis()).unwrap();
    let user_timeout = (0..=max).prop_map(Duration::from_millis);
    let times = (1..=KEEPALIVE_S_MAX, of((1..=KEEPALIVE_S_MAX, of(1..=KEEPALIVE_COUNT_MAX))));
    let on = times.prop_map(|(idle_s, more)| {
        let (interval_s, count) = more.map_or((None, None), |(interval_s, count)| (Some(interval_s), count));
        Keepalive::On { idle_s, interval_s, count }
    });
    let keepalive = prop_oneof![Just(Keepalive::Off), on];
    let congestion = "[a-z][a-z0-9_-]{0,14}".prop_map(|name| Congestion::new(&name).unwrap());
    let buffer = || prop_oneof![Just(0), SOCKET_BUFFER_BYTES_MIN..=SOCKET_BUFFER_BYTES_MAX];
    let sizes = (of(0..=SOCKET_BUFFER_BYTES_MAX), of(buffer()), of(buffer()));
    let parts = (of(user_timeout), of(keepalive), of(congestion), sizes, of(0..=BUSY_POLL_US_MAX), of(any::<bool>()));
    parts.prop_map(|(user_timeout, keepalive, congestion, sizes, busy_poll, quick_ack)| {
        let (notsent_lowat, receive_buffer, send_buffer) = sizes;
        StreamOptions {
            user_timeout,
            keepalive,
            congestion,
            notsent_lowat,
            busy_poll,
            receive_buffer,
            send_buffer,
            quick_ack,
        }
    })
}

fn manager() -> impl Strategy<Value = Manager> {
    let counts = (prop_oneof![Just(1), 1..=u32::MAX], prop_oneof![Just(1), 1..=u32::MAX]);
    let parts = (positive_time(), time(), of(positive_time()), counts, of(positive_time()));
    parts.prop_map(|(host_check, checktime, heartbeat, (rise, fall), config_check)| Manager {
        host_check,
        checktime,
        heartbeat,
        rise,
        fall,
        config_check,
    })
}

fn admin() -> impl Strategy<Value = Admin> {
    let names = vec("[a-z0-9.-]{1,20}", 0..3);
    let web = (inet_address(), any::<bool>(), of(positive_time()), names, of((path(), path())), acl_name());
    let web = web.prop_map(|(listen, secure, refresh, names, files, acl)| {
        let (certificate, key) = files.unzip();
        Web { listen, secure, refresh, names, certificate, key, acl }
    });
    let access = select(&[Access::Full, Access::ReadOnly][..]);
    let key = "ssh-ed25519 AAAA[a-zA-Z0-9+/]{8,40}( [!-~]{1,9})?";
    let ways = prop_oneof![
        "[!-~ä]{1,20}".prop_map(|password| (Some(password), None)),
        key.prop_map(|key| (None, Some(key))),
        ("[!-~ä]{1,20}", key).prop_map(|(password, key)| (Some(password), Some(key))),
    ];
    let user = (name(), ways, access);
    let user = user.prop_map(|(name, (password, key), access)| User { name, password, key, access });
    (of(web), of(inet_address()), vec(user, 0..3)).prop_map(|(web, ssh, users)| Admin { web, ssh, users })
}

/// Makes names and listen addresses unique where they have to be, by a number.
fn separate(config: &mut Config) {
    let mut ports = 1..20_000;
    let mut separate = |address: &mut Address| {
        if port(address) != 0 {
            set_port(address, ports.next().unwrap());
        }
    };
    for (index, service) in config.services.iter_mut().enumerate() {
        service.name.push_str(&index.to_string());
        service.listens.iter_mut().for_each(|listen| separate(&mut listen.address));
        for (index, group) in service.groups.iter_mut().enumerate() {
            group.name.push_str(&index.to_string());
            group.hosts.iter_mut().enumerate().for_each(|(index, host)| host.name.push_str(&index.to_string()));
        }
    }
    if let Some(admin) = &mut config.admin {
        admin.web.iter_mut().for_each(|web| separate(&mut web.listen));
        admin.ssh.iter_mut().for_each(&mut separate);
        admin.users.iter_mut().enumerate().for_each(|(index, user)| user.name.push_str(&index.to_string()));
    }
}

fn address() -> impl Strategy<Value = Address> {
    let unix = "[/@][a-z .]{0,9}".prop_map(|name| unix(&format!("{name}x")));
    prop_oneof![5 => inet_address(), 1 => unix]
}

fn unix(name: &str) -> Address {
    Address::Unix(UnixName::new(name).unwrap())
}

fn inet_address() -> impl Strategy<Value = Address> {
    let ip4 = prop_oneof![Just(Ipv4Addr::UNSPECIFIED), any::<Ipv4Addr>()].prop_map(std::net::IpAddr::V4);
    let ip6 = prop_oneof![Just(Ipv6Addr::UNSPECIFIED), any::<Ipv6Addr>()].prop_map(|ip| ip.to_canonical());
    let socket = (prop_oneof![ip4, ip6], any::<u16>()).prop_map(|address| Address::Socket(SocketAddr::from(address)));
    let name = ("[a-z0-9_-]{1,20}(\\.[A-Z0-9-]{1,9}){0,3}\\.[a-z]{1,9}", any::<u16>());
    prop_oneof![socket, name.prop_map(|(host, port)| Address::Name { host, port })]
}

fn port(address: &Address) -> u16 {
    match address {
        Address::Socket(address) => address.port(),
        Address::Name { port, .. } => *port,
        Address::Unix(_) => 1,
    }
}

fn set_port(address: &mut Address, new: u16) {
    match address {
        Address::Socket(address) => address.set_port(new),
        Address::Name { port, .. } => *port = new,
        Address::Unix(name) => {
            let kind = if name.path().is_some() { '/' } else { '@' };
            *address = unix(&format!("{kind}{new}"));
        }
    }
}

/// Names of one visible character at least, with what XML escapes and spaces within.
fn name() -> impl Strategy<Value = String> {
    "[!-~é][ -~é名]{0,20}[!-~]"
}

fn path() -> impl Strategy<Value = PathBuf> {
    "[ -~é]{1,40}".prop_map(PathBuf::from)
}

fn time() -> impl Strategy<Value = Duration> {
    let max = u64::try_from(TIME_MAX.as_millis()).unwrap();
    prop_oneof![
        Just(Duration::ZERO),
        (0..=max).prop_map(Duration::from_millis),
        (0..720_u64).prop_map(|h| Duration::from_secs(h * 3600))
    ]
}

fn positive_time() -> impl Strategy<Value = Duration> {
    time().prop_map(|time| time.max(Duration::from_millis(1)))
}
