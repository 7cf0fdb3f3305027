//! What bounds datagrams: flows, sockets, descriptors, buffers; and that nobody else suffers from it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use support::datagrams::{Answer, UdpClient, UdpHost};
use support::wait::{StopAtEnd, allowed, ms};
use support::{Client, Director, Host, Netns, PATIENCE, Site, figure, scripts, until};

mod support;

/// A service of datagrams in front of hosts at these addresses.
fn service(attributes: &str, listen: &str, hosts: &[SocketAddr]) -> String {
    let hosts: String = hosts.iter().map(|host| format!("<host ip='{host}'/>")).collect();
    format!(
        "<service name='s' {attributes}><listen ip='127.0.0.1:0' protocol='udp' {listen}/><group name='g'>{hosts}</group>
         </service><manager><hostCheck interval='100ms'/></manager>"
    )
}

/// Starts it with a control socket and these arguments.
fn site(elements: &str, threads: usize, args: &[&str]) -> Site {
    Site::start_with(elements, |start| start.threads(threads).args(args))
}

/// Sum of a counter over all reactors.
fn value(site: &Site, name: &str) -> u64 {
    let status = site.json(&["status"]);
    let reactors = status["reactors"].as_array().expect("reactors").iter();
    reactors.map(|reactor| reactor["values"][name].as_u64().unwrap_or_else(|| panic!("{name} in {reactor}"))).sum()
}

/// Sends one datagram from each of so many addresses and ports, which nobody listens at any more afterwards.
fn from_strangers(to: SocketAddr, count: u32) {
    for number in 0..count {
        let [_, high, low, last] = number.to_be_bytes();
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 1 + high, low, last.max(1)), 0)).expect("bind");
        socket.send_to(b"?", to).expect("sent");
    }
}

fn silent() -> Answer {
    Arc::new(|_| Vec::new())
}

#[test]
fn f1_table_full_of_strangers_keeps_the_flows_that_were_answered() {
    let only_asked: Answer = Arc::new(|bytes| if bytes == b"?" { Vec::new() } else { vec![bytes.to_vec()] });
    let host = UdpHost::serve("a", "127.0.0.1:0", only_asked);
    let site = site(&service("", "", &[host.addr()]), 1, &["--max-flows", "255"]);
    let addr = site.director.addr();
    let known: Vec<UdpClient> = (0..20).map(|_| UdpClient::new(addr)).collect();
    known.iter().for_each(|client| assert_eq!(client.ask(b"hello"), b"hello"));
    from_strangers(addr, 3000);
    until(PATIENCE, "all have been seen", || value(&site, "datagrams_from_clients") >= 3020);
    let dropped = value(&site, "datagrams_dropped_no_flow");
    assert_eq!((dropped, value(&site, "flows")), (3000 - 235, 255), "no flow makes room before its host could answer");
    known.iter().for_each(|client| assert_eq!(client.ask(b"again"), b"again"));
    // Once hosts have had their time, a new client takes a stranger's place and not that of one that was answered.
    thread::sleep(Duration::from_millis(1100));
    from_strangers(addr, 600);
    let new = UdpClient::new(addr);
    until(PATIENCE, "a new client is served", || {
        new.send(b"new");
        new.receive_within(Duration::from_millis(100)).is_ok_and(|answer| answer == b"new")
    });
    known.iter().for_each(|client| assert_eq!(client.ask(b"still"), b"still"));
    let list = site.json(&["sessions", "limit=1000"]);
    let lines = site.director.log().lines().iter().filter(|line| line.contains("datagrams dropped")).count();
    assert!((1..=8).contains(&lines), "{lines} lines for thousands of datagrams");
    assert_eq!(list["total"].as_u64(), Some(255));
    assert!(value(&site, "flows_recycled") > 0);
}

#[test]
fn f7_nothing_is_said_to_whom_no_host_has_answered() {
    let dead = UdpSocket::bind("127.0.0.1:0").expect("bind").local_addr().expect("bound");
    let site = site(&service("", "", &[dead]), 2, &[]);
    let client = UdpClient::new(site.director.addr());
    for _ in 0..50 {
        client.send(&[7; 100]);
    }
    until(PATIENCE, "all have been seen", || value(&site, "datagrams_from_clients") == 50);
    assert!(client.receive_within(Duration::from_millis(100)).is_err());
}

#[test]
fn row_18_thousands_of_flows_pass_through_a_few_sockets() {
    let host = UdpHost::serve("a", "127.0.0.1:0", silent());
    let mut site = Site::start_with(&service("", "", &[host.addr()]), |start| {
        start.threads(1).through(&["prlimit", "--nofile=400:400"]).args(&["--max-connections", "4"])
    });
    let addr = site.director.addr();
    from_strangers(addr, 10_000);
    until(PATIENCE, "all have been seen", || value(&site, "datagrams_from_clients") == 10_000);
    let (sockets, flows) = (value(&site, "flow_sockets"), value(&site, "flows"));
    assert_eq!((sockets, flows), (100, 100), "a quarter of the files, a flow each for one host");
    assert_eq!(value(&site, "datagrams_dropped_no_flow") + flows, 10_000);
    thread::sleep(Duration::from_millis(1100));
    from_strangers(addr, 20);
    until(PATIENCE, "twenty made room", || value(&site, "flows_recycled") == 20);
    let ended = site.director.stop(PATIENCE);
    assert!(ended < Duration::from_secs(4), "an answer is waited for a second, not half a minute: {ended:?}");
}

#[test]
fn descriptors_that_run_out_cost_datagrams_and_nothing_else() {
    let host = UdpHost::echo("a");
    let (one, three) = (UdpHost::echo("b"), UdpHost::echo("c"));
    let text = service("", "", &[host.addr(), one.addr(), three.addr()]);
    let site = Site::start_with(&text, |start| start.threads(1).args(&["--max-flows", "1000"]));
    let addr = site.director.addr();
    let old = UdpClient::new(addr);
    assert_eq!(old.ask(b"old"), b"old");
    // Two more files than it has now.
    let limit = site.director.process().descriptors() + 8;
    site.director.process().limit_files(limit);
    let clients: Vec<UdpClient> = (0..200).map(|_| UdpClient::new(addr)).collect();
    clients.iter().for_each(|client| client.send(b"new"));
    until(PATIENCE, "all have been seen", || value(&site, "datagrams_from_clients") == 201);
    let dropped = value(&site, "datagrams_dropped_no_socket") + value(&site, "datagrams_dropped_no_flow");
    let answered = clients.iter().filter(|client| client.receive_within(Duration::from_millis(20)).is_ok()).count();
    assert_eq!(answered as u64 + dropped, 200);
    assert!(answered >= 3 && dropped >= 100, "{answered} answered, {dropped} dropped");
    assert_eq!(old.ask(b"still"), b"still");
    site.director.process().limit_files(20_000);
    until(Duration::from_secs(30), "all are served again", || {
        clients.iter().all(|client| {
            client.send(b"new");
            client.receive_within(Duration::from_millis(20)).is_ok()
        })
    });
}

#[test]
fn hundred_thousand_flows_fit() {
    // Hosts that never read: what they are sent is lost in their buffers.
    let hosts: Vec<UdpSocket> =
        (1..=64_u8).map(|n| UdpSocket::bind((Ipv4Addr::new(127, 0, 9, n), 0)).expect("bind")).collect();
    let addrs: Vec<SocketAddr> = hosts.iter().map(|host| host.local_addr().expect("bound")).collect();
    let site = site(&service("flow-timeout='10m'", "", &addrs), 2, &["--max-flows", "110000"]);
    let before = site.director.process().resident_bytes();
    from_strangers(site.director.addr(), 100_000);
    until(PATIENCE, "all have been seen", || {
        value(&site, "datagrams_from_clients") + value(&site, "datagrams_dropped_overflow") >= 100_000
    });
    let (flows, sockets) = (value(&site, "flows"), value(&site, "flow_sockets"));
    let memory = site.director.process().resident_bytes();
    figure("flows", flows);
    figure("sockets of these", sockets);
    figure("descriptors", site.director.process().descriptors());
    figure("memory with them, MiB", memory >> 20);
    figure("a flow, bytes", (memory - before) / flows.max(1));
    assert!(flows > 90_000, "{flows} flows");
    assert!(sockets <= 3200 && memory <= 200 << 20, "{sockets} sockets, {memory} bytes");
}

#[test]
fn f3_fragments_are_put_together_and_made_again() {
    let netns = Netns::new();
    netns.ip("link set lo mtu 1280");
    let host = netns.run(|| UdpHost::echo("a"));
    let text = format!("<director>{}</director>", service("", "", &[host.addr()]));
    let director = Director::plan_text(&text).inside(&netns).start();
    let client = netns.run(|| UdpClient::new(director.addr()));
    for size in [9000_usize, 1252, 1253, 30_000] {
        let sent: Vec<u8> = (0..size).map(|at| u8::try_from(at % 253).expect("small")).collect();
        assert!(client.ask(&sent) == sent, "{size} bytes");
    }
}

#[test]
fn f11_what_the_kernel_had_no_room_for_is_counted() {
    let host = UdpHost::echo("a");
    let site = site(&service("", "receive-buffer='4096'", &[host.addr()]), 1, &[]);
    let client = UdpClient::new(site.director.addr());
    until(PATIENCE, "some are lost", || {
        for _ in 0..500 {
            client.send(&[0; 1000]);
        }
        value(&site, "datagrams_dropped_overflow") > 0
    });
}

#[test]
fn f11_connections_are_served_while_datagrams_pour_in() {
    let (udp, tcp) = (UdpHost::serve("u", "127.0.0.1:0", silent()), Host::serve("t", scripts::echo()));
    let connections = format!(
        "<service name='t'><listen ip='127.0.0.1:0'/><group name='g'><host ip='{}'/></group></service>",
        tcp.addr()
    );
    let director =
        Director::plan_text(&format!("<director>{connections}{}</director>", service("", "", &[udp.addr()])));
    let director = director.threads(1).start();
    let (to_tcp, to_udp) = (director.addrs("t")[0], director.addrs("s")[0]);
    let worst = |flood: bool| {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            if flood {
                scope.spawn(|| {
                    let client = UdpClient::new(to_udp);
                    while !stop.load(Relaxed) {
                        let _ = client.socket.send_to(&[1; 200], to_udp);
                    }
                });
            }
            let _stop = StopAtEnd(&stop);
            let client = Client::connect(to_tcp);
            let mut times: Vec<Duration> = (0..500)
                .map(|_| {
                    let start = Instant::now();
                    client.send(b"ping");
                    assert_eq!(client.read_exact(4), b"ping");
                    start.elapsed()
                })
                .collect();
            times.sort_unstable();
            times[494]
        })
    };
    let (quiet, flooded) = (worst(false), worst(true));
    figure(
        "99th percentile of a round trip over TCP without and with a flood of datagrams, ms",
        format!("{} {}", ms(quiet), ms(flooded)),
    );
    assert!(flooded < allowed(Duration::from_millis(30)), "{flooded:?}, {quiet:?} without");
}
