//! A balancer inside another program: made in code, looked at, changed, moved to another port, stopped.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use director::instance::{Balancer, Builder, HostMapper, StartError};
use director::model::change::{Attributes, Change, GroupRef, HostRef, RefusalKind};
use director::model::command::{Command, Reply, SessionSearch};

use support::{Host, PATIENCE, scripts, until};

mod support;

const ANY: &str = "127.0.0.1:0";

/// A balancer with these hosts at one address of its own.
fn balancer(hosts: &[&Host]) -> (Balancer, SocketAddr) {
    let addrs: Vec<String> = hosts.iter().map(|host| host.addr().to_string()).collect();
    let builder = hosts.iter().zip(&addrs).fold(Builder::new().threads(2), |builder, (host, addr)| {
        builder.map(&HostMapper { service: "web", ..HostMapper::new(ANY, host.name(), addr) })
    });
    let balancer = builder.start().expect("start");
    let addr = balancer.addresses("web").expect("a service")[0];
    (balancer, addr)
}

fn told(addr: SocketAddr) -> String {
    let mut text = String::new();
    TcpStream::connect(addr).expect("connect").read_to_string(&mut text).expect("read");
    text
}

fn host(name: &str) -> HostRef {
    HostRef { service: "web".into(), group: None, host: name.into() }
}

#[test]
fn services_made_in_code_are_balanced_seen_and_changed() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let (balancer, addr) = balancer(&[&hosts[0], &hosts[1]]);
    assert_eq!([told(addr), told(addr), told(addr)], ["a", "b", "a"]);
    until(PATIENCE, "all have ended", || balancer.snapshot().expect("seen").services[0].open == 0);
    let seen = balancer.snapshot().expect("seen");
    let group = &seen.services[0].groups[0];
    assert_eq!((group.name.as_str(), group.enabled), ("main", true));
    assert_eq!(group.hosts.iter().map(|host| host.total).collect::<Vec<_>>(), [2, 1]);
    let state = |state| Change::SetHost { host: host("a"), attributes: Attributes::new([("state", state)]) };
    assert_eq!(balancer.change(vec![state("down")]).expect("done"), "host web/main/a: state=down");
    assert_eq!([told(addr), told(addr)], ["b", "b"], "from the moment of the answer");
    let gone = Change::RemoveHost { host: host("c") };
    let refusal = balancer.change(vec![state("up"), gone]).expect_err("there is no c");
    assert_eq!(refusal.kind, RefusalKind::NotFound);
    assert_eq!([told(addr), told(addr)], ["b", "b"], "all or nothing");
    let more = Host::serve("d", scripts::tell_name());
    let add = Change::AddHost {
        group: GroupRef { service: "web".into(), group: "main".into() },
        host: Some("d".into()),
        address: more.addr().to_string(),
        attributes: Attributes::default(),
    };
    balancer.change(vec![add, Change::RemoveHost { host: host("b") }]).expect("done");
    assert_eq!([told(addr), told(addr)], ["d", "d"]);
    assert_eq!(balancer.stop(Duration::from_secs(5)), 0);
}

#[test]
fn listener_that_switches_its_port_keeps_its_connections() {
    let host = Host::serve("a", scripts::echo());
    let (balancer, addr) = balancer(&[&host]);
    let mut client = TcpStream::connect(addr).expect("connect");
    let mut echo = |text: &[u8; 4]| {
        client.write_all(text).expect("write");
        let mut answer = [0; 4];
        client.read_exact(&mut answer).expect("read");
        assert_eq!(&answer, text);
    };
    echo(b"ping");
    let refusal = balancer.switch_port("web", "127.0.0.1:1", ANY).expect_err("no such listener");
    assert_eq!(refusal.kind, RefusalKind::NotFound);
    let other = TcpStream::connect(host.addr()).expect("connect").local_addr().expect("an address");
    let new = SocketAddr::from(([127, 0, 0, 2], other.port()));
    balancer.switch_port("web", ANY, &new.to_string()).expect("switched");
    assert_eq!(balancer.addresses("web").expect("a service"), [new]);
    echo(b"pong");
    assert!(TcpStream::connect(addr).is_err(), "nobody listens there any more");
    drop(TcpStream::connect(new).expect("connect"));
    echo(b"last");
    let list = balancer.command(Command::Sessions(SessionSearch::default())).expect("listed");
    let Reply::Sessions(list) = list else { panic!("{list:?}") };
    assert!(list.sessions.iter().any(|session| session.host == "a"), "{list:?}");
    let open = || balancer.snapshot().expect("seen").services[0].open;
    until(PATIENCE, "the other client is gone", || open() == 1);
    assert_eq!(balancer.stop(Duration::ZERO), 1, "cut at the end");
}

#[test]
fn balancer_that_cannot_start_says_why() {
    let error = |builder: Builder| builder.start().expect_err("it cannot");
    let wrong = error(Builder::new().map(&HostMapper { scheduler: "leastcons", ..HostMapper::new(ANY, "a", "h:1") }));
    assert!(matches!(wrong, StartError::Config(_)), "{wrong:?}");
    assert!(wrong.to_string().contains("did you mean \"leastconns\"?"), "{wrong}");
    assert!(error(Builder::from_xml("<director/>")).to_string().starts_with("configuration:1:1: "));
    let taken = Host::serve("a", scripts::tell_name());
    let addr = taken.addr().to_string();
    let clash = error(Builder::new().map(&HostMapper::new(&addr, "a", "127.0.0.1:9")));
    assert!(clash.to_string().starts_with(&format!("could not listen on {addr}")), "{clash}");
}

#[test]
fn two_balancers_in_one_program_do_not_meet_and_end_when_dropped() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let (first, first_addr) = balancer(&[&hosts[0]]);
    let (second, second_addr) = balancer(&[&hosts[1]]);
    assert_eq!((told(first_addr), told(second_addr)), ("a".into(), "b".into()));
    drop(first);
    assert!(TcpStream::connect(first_addr).is_err());
    assert_eq!(told(second_addr), "b");
    drop(second);
    assert!(TcpStream::connect(second_addr).is_err());
}
