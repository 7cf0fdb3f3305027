//! Connections to hosts come from the addresses that are configured, in turn, so that a host can have more of them than
//! one address has ports.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use support::{Client, Director, Host, Netns, PATIENCE, Strace, held, scripts, socket, until};

mod support;

/// Ports that the kernel may give to a connection, in the narrowed network.
const PORTS: usize = 20;
const SOURCES: usize = 4;

/// A network whose connections have few ports, and addresses of both families on its loopback interface.
fn narrow() -> Netns {
    let netns = Netns::new();
    netns.sysctl("net/ipv4/ip_local_port_range", "40000 40019");
    for number in 1..=SOURCES {
        netns.ip(&format!("addr add fd99::{number}/128 dev lo nodad"));
    }
    netns.ip("addr add fd99::80/128 dev lo nodad");
    netns
}

/// A service before one host.
fn file(group: &str, addr: SocketAddr, host: &str) -> String {
    format!(
        r#"<director><service name="s" connect-timeout="30s"><listen ip="127.0.0.1:30000"/>
        <group name="g" {group}><host name="h" ip="{addr}" {host}/></group></service></director>"#
    )
}

/// So many clients at once, each from a port of its own outside of the kernel's range.
fn clients(netns: &Netns, director: &Director, count: usize) -> Vec<Client> {
    let addr = director.addr();
    let from = |number: usize| SocketAddr::from(([127, 1, 0, 1], 50_000 + u16::try_from(number).expect("a port")));
    netns.run(|| {
        (0..count).map(|number| socket::connect_from(from(number), addr, PATIENCE).expect("connect").into()).collect()
    })
}

/// How many of the balancer's established connections to this host come from each address.
fn origins(director: &Director, host: SocketAddr) -> BTreeMap<IpAddr, usize> {
    let mut origins = BTreeMap::new();
    for socket in held::connections(director.process(), host) {
        let local = socket.local_addr().ok().and_then(|addr| addr.as_socket()).expect("an address").ip();
        *origins.entry(local).or_default() += 1;
    }
    origins
}

fn host_takes_every_port_of_every_source(host_at: &str, source: &str) {
    let netns = narrow();
    let host = netns.run(|| Host::plan("h", scripts::listen_only()).at(host_at).start());
    let text = file("", host.addr(), &format!(r#"source="{source}""#));
    let director = Director::plan_text(&text).inside(&netns).start();
    let clients = clients(&netns, &director, PORTS * SOURCES);
    until(PATIENCE, "every client has a connection to the host", || host.record().open() as usize == clients.len());
    let origins = origins(&director, host.addr());
    assert_eq!(origins.len(), SOURCES, "{origins:?}");
    assert!(origins.values().all(|count| *count == PORTS), "{origins:?}");
    drop(clients);
    until(PATIENCE, "the host is left", || host.record().open() == 0);
    director.finish();
}

#[test]
fn host_takes_every_port_of_every_source_over_ipv4() {
    host_takes_every_port_of_every_source("127.0.0.1:80", "127.0.0.11-127.0.0.14");
}

#[test]
fn host_takes_every_port_of_every_source_over_ipv6() {
    host_takes_every_port_of_every_source("[fd99::80]:80", "fd99::1,fd99::2-fd99::4");
}

#[test]
fn host_without_sources_has_no_more_connections_than_ports() {
    let netns = narrow();
    let host = netns.run(|| Host::plan("h", scripts::listen_only()).at("127.0.0.1:80").start());
    let text = file("", host.addr(), "").replace("30s", "1s");
    let director = Director::plan_text(&text).inside(&netns).start();
    let clients = clients(&netns, &director, PORTS * SOURCES);
    let counters = director.wait_for_counters(PATIENCE, "all but those with a port are turned away", |counters| {
        counters.services_sum("open") == PORTS as u64
    });
    assert_eq!(origins(&director, host.addr()).values().sum::<usize>(), PORTS, "{counters:#?}");
    assert_eq!(counters.host("h").text("state"), Some("up"), "ports are no host's fault");
    drop(clients);
    director.finish();
}

#[test]
fn sources_take_turns_and_the_ports_of_one_serve_for_several_hosts() {
    let netns = narrow();
    let hosts: Vec<Host> = ["127.0.0.1:80", "127.0.0.2:80"]
        .iter()
        .map(|at| netns.run(|| Host::plan("h", scripts::listen_only()).at(at).start()))
        .collect();
    let text = file(r#"source="127.0.0.11-127.0.0.12""#, hosts[0].addr(), "")
        .replace("</group>", &format!(r#"<host name="i" ip="{}"/></group>"#, hosts[1].addr()));
    let director = Director::plan_text(&text).inside(&netns).start();
    let clients = clients(&netns, &director, 4 * PORTS);
    for host in &hosts {
        until(PATIENCE, "half of the clients are there", || host.record().open() as usize == 2 * PORTS);
        let origins = origins(&director, host.addr());
        assert_eq!(origins.values().copied().collect::<Vec<_>>(), [PORTS; 2], "{origins:?}");
    }
    drop(clients);
    director.finish();
}

#[test]
fn source_that_is_not_this_machines_is_named_and_passed_over() {
    let netns = narrow();
    let host = netns.run(|| Host::plan("h", scripts::listen_only()).at("127.0.0.1:80").start());
    // TEST-NET-1 of RFC 5737 is nobody's.
    let text = file("", host.addr(), r#"source="192.0.2.1,127.0.0.11""#);
    let director = Director::plan_text(&text).inside(&netns).start();
    director.wait_for_log(&["WARN", "source addresses that cannot be used", "192.0.2.1 (Cannot assign"], PATIENCE);
    let clients = clients(&netns, &director, PORTS);
    until(PATIENCE, "every client has a connection to the host", || host.record().open() as usize == PORTS);
    let origins = origins(&director, host.addr());
    assert_eq!(origins.into_iter().collect::<Vec<_>>(), [("127.0.0.11".parse().unwrap(), PORTS)]);
    drop(clients);
    director.finish();
}

#[test]
fn probes_come_from_the_first_source() {
    let netns = narrow();
    let listener = netns.run(|| TcpListener::bind("127.0.0.1:80").unwrap());
    let text = file("", "127.0.0.1:80".parse().unwrap(), "");
    let heartbeat = r#"</service><manager><heartbeat interval="50ms" enable="yes"/></manager>"#;
    let text = text.replace("</service>", heartbeat);
    let args = ["--source", "127.0.0.11-127.0.0.14"];
    let director = Director::plan_text(&text).args(&args).inside(&netns).start();
    for _ in 0..3 {
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip().to_string(), "127.0.0.11");
    }
    director.finish();
}

#[test]
fn connect_from_a_source_costs_two_system_calls_and_none_without_one() {
    const CONNECTIONS: usize = 10;
    if !Strace::is_available() {
        println!("skipped: strace cannot trace here");
        return;
    }
    let calls = |source: &str| {
        let netns = Netns::new();
        let host = netns.run(|| Host::plan("h", scripts::echo()).at("127.0.0.1:80").start());
        let director = Director::plan_text(&file("", host.addr(), source)).inside(&netns).start();
        let strace = Strace::attach(director.process(), &["trace=socket,setsockopt,bind,connect,getsockname"]);
        for _ in 0..CONNECTIONS {
            let client = netns.run(|| Client::connect(director.addr()));
            client.send(b"x");
            assert_eq!(client.read_exact(1), b"x");
        }
        let trace = strace.detach();
        director.finish();
        ["socket", "setsockopt", "bind", "connect", "getsockname"].map(|name| trace.calls(name) / CONNECTIONS)
    };
    assert_eq!(calls(""), [1, 1, 0, 1, 0]);
    assert_eq!(calls(r#"source="127.0.0.11-127.0.0.14""#), [1, 2, 1, 1, 0], "IP_BIND_ADDRESS_NO_PORT and bind");
}

#[test]
fn reload_changes_the_sources_of_a_host() {
    let netns = narrow();
    let host = netns.run(|| Host::plan("h", scripts::listen_only()).at("127.0.0.1:80").start());
    let director = Director::plan_text(&file("", host.addr(), "")).inside(&netns).start();
    let mut expected = BTreeMap::new();
    for (number, source) in ["127.0.0.11", "127.0.0.12"].into_iter().enumerate() {
        director.write_config_text(&file("", host.addr(), &format!(r#"source="{source}""#)));
        let line = director.reload();
        assert!(line.contains("reloaded"), "{line}");
        let from = SocketAddr::from(([127, 1, 0, 9], 51_000 + u16::try_from(number).unwrap()));
        let client: Client = netns.run(|| socket::connect_from(from, director.addr(), PATIENCE).unwrap().into());
        until(PATIENCE, "the client has a connection to the host", || host.record().open() == 1);
        expected.insert(source.parse().unwrap(), 1);
        assert_eq!(origins(&director, host.addr()), expected);
        expected.clear();
        drop(client);
        until(PATIENCE, "the host is left", || host.record().open() == 0);
        until(Duration::from_secs(5), "the connection is closed", || origins(&director, host.addr()).is_empty());
    }
    director.finish();
}
