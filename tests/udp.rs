//! Datagrams through the real binary: flows, answers, and what becomes of both when hosts fail. The numbers in the names
//! of tests are those of the rows that pen's operators go by.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use support::datagrams::{UdpClient, UdpHost, name_in};
use support::{Director, PATIENCE, Site, figure, until};

mod support;

/// A service of datagrams in front of these hosts.
fn service(attributes: &str, listen: &str, group: &str, hosts: &[&UdpHost]) -> String {
    let hosts: String =
        hosts.iter().map(|host| format!("<host name='{}' ip='{}'/>", host.name(), host.addr())).collect();
    format!(
        "<service name='s' {attributes}><listen ip='{listen}' protocol='udp'/><group name='g' {group}>{hosts}</group>
         </service><manager><hostCheck interval='100ms'/></manager>"
    )
}

fn plan<'a>(attributes: &str, group: &str, hosts: &[&UdpHost]) -> support::director::Start<'a> {
    Director::plan_text(&format!("<director>{}</director>", service(attributes, "127.0.0.1:0", group, hosts)))
}

fn hosts<const N: usize>(names: [&str; N]) -> [UdpHost; N] {
    names.map(UdpHost::named)
}

/// Sum of a counter of datagrams over all reactors, as the control socket tells it.
fn value(site: &Site, name: &str) -> u64 {
    let status = site.json(&["status"]);
    let reactors = status["reactors"].as_array().expect("reactors").iter();
    reactors.map(|reactor| reactor["values"][name].as_u64().unwrap_or_else(|| panic!("{name} in {reactor}"))).sum()
}

#[test]
fn row_15_every_size_passes_both_ways_and_answers_come_from_where_they_were_asked() {
    let host = UdpHost::echo("a");
    let director = plan("", "", &[&host]).start();
    let client = UdpClient::new(director.addr());
    let sizes = [1, 0, 3, 512, 1472, 9000, 32_769, 65_507, 0];
    for size in sizes {
        let sent: Vec<u8> = (0..size).map(|at: u32| u8::try_from(at % 251).expect("small")).collect();
        assert!(client.ask(&sent) == sent, "{size} bytes");
    }
    let bytes = u64::from(sizes.iter().sum::<u32>());
    let counters = director.wait_for_counters(PATIENCE, "all is told", |counters| {
        ["bytes-up", "bytes-down"].iter().all(|name| counters.host("a").number(name) == bytes)
    });
    assert_eq!(counters.host("a").number("open"), 1);
    assert_eq!(host.record().peers().len(), 1, "one flow");
}

#[test]
fn row_15_flows_take_turns_and_a_sticky_client_returns() {
    let [a, b, c] = hosts(["a", "b", "c"]);
    let director = plan("", "", &[&a, &b, &c]).start();
    let mut names: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..9 {
        let client = UdpClient::new(director.addr());
        let first = client.ask_name();
        assert_eq!(client.ask_name(), first, "a flow stays");
        *names.entry(first).or_default() += 1;
    }
    assert_eq!(names.into_values().collect::<Vec<_>>(), [3, 3, 3]);
    let director = plan("", "sticky='table'", &[&a, &b, &c]).start();
    let of = |from: &str| UdpClient::from(from, director.addr()).ask_name();
    let first = of("127.0.0.2:0");
    assert!((0..6).all(|_| of("127.0.0.2:0") == first));
    assert_ne!(of("127.0.0.3:0"), first);
}

#[test]
fn row_16_burst_before_the_first_answer_is_one_flow() {
    let [a, b, c] = hosts(["a", "b", "c"]);
    let director = plan("", "", &[&a, &b, &c]).start();
    let client = UdpClient::new(director.addr());
    for number in 0..100_u32 {
        client.send(&number.to_be_bytes());
    }
    let names: BTreeSet<String> = (0..100).map(|_| name_in(&client.receive())).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(director.counters().service("s").number("accepted"), 1);
}

#[test]
fn order_of_a_flow_is_kept_both_ways() {
    let host = UdpHost::echo("a");
    let director = plan("", "", &[&host]).start();
    let client = UdpClient::new(director.addr());
    let mut next = 0;
    while next < 20_000_u32 {
        for number in next..next + 100 {
            let size = if number % 7 == 0 { 900 } else { 1200 };
            client.send(&[&number.to_be_bytes()[..], &vec![0; size]].concat());
        }
        for number in next..next + 100 {
            assert_eq!(client.receive()[..4], number.to_be_bytes(), "in the order in which they were sent");
        }
        next += 100;
    }
}

#[test]
fn row_17_refused_flow_moves_at_once_and_its_question_is_asked_again() {
    let [mut a, mut b] = hosts(["a", "b"]);
    let director = plan("", "", &[&a, &b]).start();
    let client = UdpClient::new(director.addr());
    let first = client.ask_name();
    let mark = director.log().mark();
    let (dead, other) = if first == "a" { (&mut a, "b") } else { (&mut b, "a") };
    dead.stop();
    let start = Instant::now();
    assert_eq!(client.ask_name(), other, "the same question, which the network has sent back");
    figure("answer through another host after a refusal, ms", start.elapsed().as_millis());
    director.wait_for_state(mark, &first, "down", PATIENCE);
    for _ in 0..4 {
        assert_eq!(UdpClient::new(director.addr()).ask_name(), other, "nobody else is sent there");
    }
    let mark = director.log().mark();
    dead.start();
    director.wait_for_state(mark, &first, "up", PATIENCE);
    let names: BTreeSet<String> = (0..4).map(|_| UdpClient::new(director.addr()).ask_name()).collect();
    assert_eq!(names.len(), 2, "it is used again: {names:?}");
    assert_eq!(client.ask_name(), other, "a flow that moved stays where it is");
}

#[test]
fn row_18_idle_flow_ends_and_gives_its_socket_back() {
    let host = UdpHost::named("a");
    let mut director = plan("flow-timeout='300ms'", "", &[&host]).start();
    let clients: Vec<UdpClient> = (0..20).map(|_| UdpClient::new(director.addr())).collect();
    clients.iter().for_each(|client| assert_eq!(client.ask_name(), "a"));
    assert_eq!(director.counters().service("s").number("open"), 20);
    director.wait_for_counters(PATIENCE, "all have ended", |counters| counters.service("s").number("open") == 0);
    until(Duration::from_secs(30), "their sockets are closed", || {
        director.process().descriptors() <= director.first_descriptors()
    });
    assert_eq!(clients[0].ask_name(), "a");
    director.wait_for_counters(PATIENCE, "it has ended", |counters| counters.service("s").number("open") == 0);
    director.stop(PATIENCE);
}

#[test]
fn flow_lasts_as_long_as_something_passes() {
    let host = UdpHost::named("a");
    let director = plan("flow-timeout='600ms'", "", &[&host]).start();
    let client = UdpClient::new(director.addr());
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        client.ask_name();
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(director.counters().service("s").number("accepted"), 1);
}

#[test]
fn f10_flow_ends_after_the_answers_that_were_to_come() {
    let twice: support::datagrams::Answer = Arc::new(|bytes| vec![bytes.to_vec(), bytes.to_vec()]);
    let host = UdpHost::serve("a", "127.0.0.1:0", twice);
    let director = plan("responses='2'", "", &[&host]).start();
    let client = UdpClient::new(director.addr());
    for round in 1..=3 {
        assert_eq!((client.ask(b"x"), client.receive()), (b"x".to_vec(), b"x".to_vec()));
        let counters = director
            .wait_for_counters(PATIENCE, "the flow has ended", |counters| counters.service("s").number("open") == 0);
        assert_eq!(counters.service("s").number("closed-finished"), round);
    }
}

#[test]
fn f10_one_way_datagrams_are_spread_and_leave_nothing_behind() {
    let silent: support::datagrams::Answer = Arc::new(|_| Vec::new());
    let (a, b) = (UdpHost::serve("a", "127.0.0.1:0", Arc::clone(&silent)), UdpHost::serve("b", "127.0.0.1:0", silent));
    let director = plan("responses='0'", "", &[&a, &b]).start();
    let client = UdpClient::new(director.addr());
    for number in 0..20_u64 {
        client.send(b"<13>a line of a log");
        until(PATIENCE, "it arrives", || a.record().datagrams() + b.record().datagrams() == number + 1);
    }
    assert_eq!((a.record().datagrams(), b.record().datagrams()), (10, 10));
    let counters = director.counters();
    assert_eq!((counters.service("s").number("open"), counters.host("a").number("established")), (0, 10));
}

#[test]
fn packets_are_spread_one_by_one_and_their_answers_find_the_client() {
    let [a, b, c] = hosts(["a", "b", "c"]);
    let director = plan("session='packet'", "", &[&a, &b, &c]).start();
    let clients = [UdpClient::new(director.addr()), UdpClient::new(director.addr())];
    for client in &clients {
        let mut names: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..30 {
            *names.entry(client.ask_name()).or_default() += 1;
        }
        assert_eq!(names.into_values().collect::<Vec<_>>(), [10, 10, 10]);
    }
    assert_eq!(director.counters().service("s").number("open"), 6, "a client and host each");
}

#[test]
fn f8_answer_of_a_stranger_is_dropped() {
    let host = UdpHost::named("a");
    let site = Site::start(&service("", "127.0.0.1:0", "", &[&host]));
    let client = UdpClient::new(site.director.addr());
    assert_eq!(client.ask_name(), "a");
    let (peer, _) = host.record().peers().pop_first().expect("a flow");
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let target = SocketAddr::from(([127, 0, 0, 1], peer.port()));
    for _ in 0..10 {
        stranger.send_to(b"forged", target).expect("sent");
    }
    until(PATIENCE, "they are counted", || value(&site, "datagrams_dropped_unasked") == 10);
    assert!(client.receive_within(Duration::from_millis(50)).is_err(), "nothing is passed on");
    assert_eq!(client.ask_name(), "a");
}

#[test]
fn f9_answer_leaves_from_the_address_that_was_asked_on_a_wildcard() {
    let host = UdpHost::named("a");
    for (any, asked) in [("0.0.0.0:0", ["127.0.0.1", "127.0.0.2", "127.1.2.3"]), ("[::]:0", ["::1"; 3])] {
        let text = format!("<director>{}</director>", service("", any, "", &[&host]));
        let director = Director::plan_text(&text).start();
        for ip in asked {
            let addr = SocketAddr::new(ip.parse().expect("an address"), director.addr().port());
            let client = UdpClient::new(addr);
            assert_eq!((client.ask_name(), client.ask_name()), ("a".to_owned(), "a".to_owned()), "{addr}");
        }
    }
}

#[test]
fn client_of_one_family_reaches_a_host_of_the_other() {
    let (v4, v6) = (UdpHost::named("v4"), UdpHost::at("v6", "[::1]:0"));
    for (listen, host) in [("[::1]:0", &v4), ("127.0.0.1:0", &v6)] {
        let director =
            Director::plan_text(&format!("<director>{}</director>", service("", listen, "", &[host]))).start();
        assert_eq!(UdpClient::new(director.addr()).ask_name(), host.name());
    }
}

#[test]
fn one_port_serves_connections_and_datagrams() {
    let host = UdpHost::named("a");
    let tcp = support::Host::plan("t", support::scripts::tell_name()).at(&host.addr().to_string()).start();
    let text = service("", "127.0.0.1:0", "", &[&host]).replace("protocol='udp'", "protocol='tcp+udp'");
    let director = Director::plan_text(&format!("<director>{text}</director>")).start();
    assert_eq!(UdpClient::new(director.addr()).ask_name(), "a");
    assert_eq!(support::Client::connect(director.addr()).read_text().0, "t");
    let addrs = director.addrs("s");
    assert!(addrs.len() == 2 && addrs[0] == addrs[1], "{addrs:?}");
    drop(tcp);
}

#[test]
fn flows_are_listed_and_cut_like_connections() {
    let host = UdpHost::named("a");
    let site = Site::start(&service("", "127.0.0.1:0", "", &[&host]));
    let client = UdpClient::new(site.director.addr());
    assert_eq!(client.ask_name(), "a");
    let list = site.json(&["sessions"]);
    let session = &list["sessions"][0];
    let (peer, _) = host.record().peers().pop_first().expect("a flow");
    assert_eq!((session["protocol"].as_str(), session["state"].as_str()), (Some("udp"), Some("open")), "{list}");
    assert_eq!(session["local"].as_str(), Some(peer.to_string().as_str()), "{list}");
    assert_eq!(session["listen"].as_str(), Some(site.director.addr().to_string().as_str()));
    assert_eq!((session["up"].as_u64(), session["down"].as_u64()), (Some(1), Some(3)));
    let name = session["name"].as_str().expect("a name").to_owned();
    let _ = site.ctl(&["kill", &name]).good();
    assert_eq!(site.json(&["sessions"])["total"].as_u64(), Some(0));
    assert_eq!(client.ask_name(), "a", "the next datagram is a new flow");
}
