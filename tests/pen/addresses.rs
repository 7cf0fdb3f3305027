//! Addresses and sockets: rows 33, 34 and 38.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use super::balancer::{self, Balancer};
use super::line::Line;
use super::{hosts, same};
use crate::support::scratch::Scratch;
use crate::support::{Client, Director, Host, Netns, PATIENCE, figure, scripts};

#[test]
fn row_33_stale_control_socket() {
    let folder = Scratch::new();
    let socket = folder.path("control.sock");
    // Left by a process that was killed.
    drop(UnixListener::bind(&socket).expect("bind"));
    assert!(socket.exists());
    let [a] = hosts(["a"], scripts::tell_name);
    let director = Director::plan_text(&super::xml::xml(&Line::new("", &[&a]), &socket)).start();
    let mut command = crate::support::control::directorctl();
    let output = command.arg("-s").arg(&socket).arg("status").output().expect("run directorctl");
    assert!(output.status.success(), "{output:?}");
    director.finish();
    assert!(!socket.exists(), "removed at the end");
}

#[test]
fn row_34_mixed_families() {
    let [v4] = hosts(["v4"], scripts::tell_name);
    let v6 = Host::plan("v6", scripts::tell_name()).at("[::1]:0").start();
    let netns = Netns::new();
    let inside = |name, at| netns.run(|| Host::plan(name, scripts::tell_name()).at(at).start());
    let (far4, far6) = (inside("v4", "127.0.0.1:0"), inside("v6", "[::1]:0"));
    let told = same(&Line::new("", &[&v6]), |balancer| balancer.told(1));
    assert_eq!(told, "v6", "an IPv4 client of an IPv6 server");
    let line = Line::new("", &[&far4]).listen("[::1]:7000").inside(&netns);
    let told = same(&line, |balancer| netns.run(|| Client::connect(balancer.addr()).read_text().0));
    assert_eq!(told, "v4", "an IPv6 client of an IPv4 server");
    drop((v4, far6));
}

#[test]
fn row_34_clients_of_one_ipv6_network() {
    let netns = Netns::new();
    netns.ip("-6 route add local 2001:db8::/32 dev lo");
    let inside = |name: &str| netns.run(|| Host::plan(name, scripts::tell_name()).start());
    let servers = ["a", "b", "c", "d"].map(inside);
    let line = Line::new("", &servers.each_ref()).listen("[::1]:7000").inside(&netns);
    // Each of them a network of a customer's own, all in one /32.
    let client = |number: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, number, number / 7, 0, 0, 0, 1));
    let told = |balancer: &Balancer, count: u16| -> (usize, Vec<usize>) {
        netns.run(|| {
            let ask = |number| Client::connect_from(client(number), balancer.addr()).read_text().0;
            let first: Vec<String> = (0..count).map(ask).collect();
            let again: Vec<String> = (0..count).rev().map(ask).collect();
            let moved = first.iter().zip(again.iter().rev()).filter(|(first, again)| first != again).count();
            let mut shares: HashMap<&str, usize> = HashMap::new();
            first.iter().for_each(|name| *shares.entry(name).or_default() += 1);
            let mut shares: Vec<usize> = shares.into_values().collect();
            shares.sort_unstable();
            (moved, shares)
        })
    };
    let director = balancer::director(&line);
    assert_eq!(told(&director, 1000), (0, vec![250; 4]), "evenly, and each stays");
    director.finish();
    if let Some(pen) = balancer::pen(&line) {
        let (_, shares) = told(&pen, 100);
        figure("row 34: pen, 100 such clients over four servers", format!("{shares:?}"));
    }
}

#[test]
fn row_38_source_address() {
    let script = scripts::script(|visit| {
        let peer = visit.stream.peer_addr().expect("a peer");
        visit.send(peer.ip().to_string().as_bytes());
    });
    let host = Host::serve("a", script);
    let told = same(&Line::new("", &[&host]).command("source 127.0.0.9"), |balancer| balancer.told(1));
    assert_eq!(told, "127.0.0.9");
}

#[test]
fn row_38_listen_change_keeps_connections() {
    let [a] = hosts(["a"], scripts::echo);
    let line = Line::new("", &[&a]);
    let observe = |mut balancer: Balancer| {
        let (old, client) = (balancer.addr(), balancer.client(1));
        let echoes = |client: &Client| {
            client.send(b"ping");
            client.read_exact(4) == b"ping"
        };
        let before = echoes(&client);
        // Free a moment ago, and nobody else's on this address.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        balancer.set_listen(SocketAddr::from(([127, 0, 0, 1], free.port())));
        let refused = Client::try_connect(old, PATIENCE).is_err();
        let seen = (before, echoes(&client), echoes(&balancer.client(2)), refused);
        drop(client);
        balancer.finish();
        seen
    };
    let seen = observe(balancer::director(&line));
    assert_eq!(seen, (true, true, true, true), "before; the old connection; a new one; nobody at the old address");
    if let Some(pen) = balancer::pen(&line) {
        assert_eq!(observe(pen), seen, "pen");
    }
}
