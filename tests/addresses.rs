//! Addresses of every kind, on both sides of the balancer: IPv4, IPv6, one in the other's form, link-local, names.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};

use support::log::Mark;
use support::scratch::Scratch;
use support::{Client, Config, Director, End, Host, Netns, PATIENCE, Service, Star, figure, scripts};

mod support;

#[test]
fn clients_and_hosts_of_different_families_meet() {
    let hosts = [host("four", "127.0.0.1:0"), host("six", "[::1]:0")];
    let service =
        |name: &str, listen: &str, host: &Host| Service::new(name).listen(listen).host(host.name(), host.addr());
    let config = Config::new(service("four-six", "127.0.0.1:0", &hosts[1]))
        .and(service("six-four", "[::1]:0", &hosts[0]))
        .and(service("six-six", "[::1]:0", &hosts[1]));
    let director = Director::plan(config).start();
    for (service, answer) in [("four-six", "six"), ("six-four", "four"), ("six-six", "six")] {
        let addr = director.addrs(service)[0];
        assert_eq!(addr.is_ipv4(), service.starts_with("four"));
        let client = Client::connect(addr);
        client.send(b"x");
        client.finish_sending();
        assert_eq!(client.read_text(), (format!("{answer}\nx"), End::Eof));
        figure(&format!("{service}: answered by"), answer);
    }
    director.finish();
}

#[test]
fn wildcards_take_their_own_family_only() {
    let netns = Netns::new();
    let host = netns.run(|| host("a", "127.0.0.1:0"));
    let service = Service::with(&[&host]).listen("*:8000").listen("[::]:8001");
    let director = Director::plan(service).inside(&netns).start();
    let reach = |addr: &str| netns.run(|| Client::try_connect(addr.parse().unwrap(), PATIENCE).is_ok());
    let reached = ["127.0.0.1:8000", "[::1]:8000", "127.0.0.1:8001", "[::1]:8001"].map(reach);
    figure("IPv4 at *, IPv6 at *, IPv4 at [::], IPv6 at [::]", format!("{reached:?}"));
    assert_eq!(reached, [true, false, false, true]);
    director.finish();
}

#[test]
fn host_written_as_ipv4_in_ipv6_is_reached_as_what_it_is() {
    let host = host("a", "127.0.0.1:0");
    let written = format!("[::ffff:127.0.0.1]:{}", host.addr().port());
    let director = Director::plan(Service::new("s").host_with("a", &written, "")).start();
    assert_eq!(Client::connect(director.addr()).read_exact(2), b"a\n");
    let counters = director.finish();
    let addr = counters.host("a").text("addr").expect("an address").to_owned();
    figure(&format!("{written} is counted as"), &addr);
    assert_eq!(addr, host.addr().to_string());
}

#[test]
fn client_in_the_log_has_its_own_address() {
    let dead = Host::dead("dead");
    let service = Service::with(&[&dead]).listen("127.0.0.1:0").listen("[::1]:0");
    let director = Director::plan(service).start();
    for addr in director.addrs("s") {
        let mark = director.log().mark();
        let client = Client::connect(addr);
        let local = client.local();
        assert_eq!(client.read_to_end(PATIENCE).0, b"");
        // One such line a second: the second client's may come late.
        let line = director.wait_for_log_after(mark, &["lost service=s", &format!("client={local}")], PATIENCE);
        figure("a client in the log", line);
    }
    director.finish();
}

#[test]
fn link_local_host_is_reached_through_the_interface_that_its_scope_names() {
    let star = Star::new(2);
    let hosts: Vec<Host> = (0..2)
        .map(|number| {
            // The same address on both links: only the scope tells them apart.
            star.hosts[number].ip("addr add fe80::aa/64 dev wire nodad");
            let scope = interface(&star.hosts[number], "wire");
            let at = SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xaa), 80, 0, scope);
            star.hosts[number].run(|| host(["a", "b"][number], &at.to_string()))
        })
        .collect();
    let service = hosts.iter().enumerate().fold(Service::new("s"), |service, (number, host)| {
        let scope = interface(&star.middle, &format!("wire{number}"));
        service.host_with(host.name(), format!("[fe80::aa%{scope}]:80"), "")
    });
    let director = Director::plan(service).inside(&star.middle).start();
    let ask = || star.middle.run(|| Client::connect(director.addr()).read_exact(2));
    let answers = [ask(), ask()];
    figure(
        "two hosts with one link-local address on two links",
        format!("{:?}", answers.each_ref().map(|a| a[0] as char)),
    );
    assert_eq!(answers, [b"a\n", b"b\n"]);
    director.finish();
}

#[test]
fn name_with_several_addresses_is_several_hosts() {
    let names = Names::new("127.0.0.1 several.test\n127.0.0.2 several.test\n::1 several.test\n");
    let four = Host::plan("one", scripts::greet()).start();
    let port = four.addr().port();
    let others = [format!("127.0.0.2:{port}"), format!("[::1]:{port}")];
    let others = others.map(|at| host("other", &at));
    let director = Director::plan(Service::new("s").host_with("many", format!("several.test:{port}"), ""))
        .through(&names.wrapper())
        .start();
    let known = |all: &support::counters::Counters| all.hosts.len() == 3;
    director.wait_for_counters(PATIENCE, "three hosts are known", known);
    for _ in 0..9 {
        Client::connect(director.addr()).read_exact(4);
    }
    let served = [&four, &others[0], &others[1]].map(|host| host.record().accepted());
    figure("nine clients over a name with three addresses", format!("{served:?}"));
    assert_eq!(served, [3, 3, 3]);
    let counters = director.finish();
    let addrs: BTreeMap<&str, u64> =
        counters.hosts.iter().map(|host| (host.text("addr").unwrap(), host.number("established"))).collect();
    assert_eq!(addrs.len(), 3, "{addrs:?}");
}

#[test]
fn localhost_is_a_host_and_a_place_to_listen() {
    let addrs: Vec<SocketAddr> = ("localhost", 0).to_socket_addrs().expect("every machine has a localhost").collect();
    let host = Host::plan("a", scripts::greet()).at(&addrs[0].to_string()).start();
    let service = Service::new("s").host_with("a", format!("localhost:{}", host.addr().port()), "");
    let director = Director::plan(service.listen("localhost:0").set("connect-timeout", "5s")).start();
    for addr in director.addrs("s") {
        assert!(addr.ip().is_loopback());
        assert_eq!(Client::connect(addr).read_exact(2), b"a\n");
    }
    figure("localhost listens at", format!("{:?}", director.addrs("s")));
    director.finish();
}

#[test]
fn name_that_does_not_resolve_is_a_failed_host_and_not_a_failed_start() {
    let names = Names::new("127.0.0.1 localhost\n");
    let live = host("live", "127.0.0.1:0");
    let service = Service::with(&[&live]).host_with("lost", "nowhere.invalid:80", "");
    let director = Director::plan(service).through(&names.wrapper()).start();
    for _ in 0..10 {
        assert_eq!(Client::connect(director.addr()).read_exact(5), b"live\n");
    }
    let line = director.wait_for_state(Mark::default(), "lost", "down", PATIENCE);
    figure("a name that does not resolve", line);
    director.finish();
}

/// A host that says its name.
fn host(name: &str, at: &str) -> Host {
    Host::plan(name, scripts::greet()).at(at).start()
}

/// The number of an interface.
fn interface(netns: &Netns, name: &str) -> u32 {
    let text = netns.command(&["ip", "-o", "link", "show", "dev", name], "");
    text.split(':').next().and_then(|number| number.parse().ok()).expect("the number of the interface")
}

/// Names of the test's own: the balancer sees another `/etc/hosts`, and asks nobody else.
struct Names {
    directory: Scratch,
}

impl Names {
    fn new(hosts: &str) -> Self {
        let directory = Scratch::new();
        fs::write(directory.path("hosts"), hosts).expect("write the names");
        fs::write(directory.path("nsswitch"), "hosts: files\n").expect("write where names come from");
        Self { directory }
    }

    fn wrapper(&self) -> [String; 6] {
        let path = |name: &str| self.directory.path(name).display().to_string();
        let mounts = format!(
            "mount --bind {} /etc/hosts && mount --bind {} /etc/nsswitch.conf && exec \"$@\"",
            path("hosts"),
            path("nsswitch")
        );
        ["unshare", "--mount", "sh", "-c", &mounts, "sh"].map(str::to_owned)
    }
}
