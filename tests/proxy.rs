//! The PROXY protocol: headers in, believed from those who may send them, and headers out, one for each connection to a
//! host. Goals G8 to G11 of what the best balancers promise.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use director::model::limits::PROXY_HEADER_WAIT;
use director::model::proxy::{Announce, Versions};
use director::wire::proxy::{self, Header, LOCAL, Parsed};
use support::{Client, Config, Director, End, Host, PATIENCE, Service, scripts, until};

mod support;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A service whose listener expects headers of these versions from these networks.
fn expecting(service: Service, versions: &str, from: &str) -> String {
    let listen = r#"<listen ip="127.0.0.1:0"/>"#;
    let with = format!(r#"<listen ip="127.0.0.1:0" proxy="{versions}" proxy-from="{from}"/>"#);
    Config::from(service).xml().replace(listen, &with)
}

/// The file with these access lists.
fn with_lists(text: &str, lists: &str) -> String {
    text.replace("</director>", &format!("{lists}</director>"))
}

fn header(announce: Announce, client: &str, to: &str) -> Vec<u8> {
    proxy::write(announce, addr(client).into(), addr(to).into()).as_bytes().to_vec()
}

/// Sends this and returns all that comes back.
fn ask(to: SocketAddr, bytes: &[u8]) -> (String, End) {
    let client = Client::connect(to);
    // A balancer that refuses may be faster.
    let _ = client.stream().write_all(bytes);
    let _ = client.stream().shutdown(std::net::Shutdown::Write);
    client.read_text()
}

#[test]
fn header_is_taken_off_at_every_split_and_what_follows_is_the_clients() {
    let host = Host::serve("a", scripts::echo());
    let director = Director::plan_text(&expecting(Service::with(&[&host]), "any", "127.0.0.0/8")).start();
    for announce in [Announce::V1, Announce::V2] {
        let header = header(announce, "192.0.2.7:4711", "198.51.100.1:443");
        let all = [header.as_slice(), b"hello"].concat();
        for split in 1..all.len() {
            let client = Client::connect(director.addr());
            client.send(&all[..split]);
            if split % 8 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
            client.send(&all[split..]);
            assert_eq!(client.read_exact(5), b"hello", "{announce:?} split at {split}");
        }
        assert_eq!(ask(director.addr(), &all), ("hello".into(), End::Eof));
        assert_eq!(ask(director.addr(), &header), (String::new(), End::Eof), "a client that says nothing");
    }
    assert_eq!(ask(director.addr(), &[&LOCAL[..], b"own"].concat()).0, "own");
    assert_eq!(ask(director.addr(), b"PROXY UNKNOWN\r\nown").0, "own");
    let mut director = director;
    let counters = director.check_at_rest();
    assert_eq!(counters.service("s").number("closed-proxy-header"), 0);
}

#[test]
fn header_that_is_broken_or_from_a_stranger_or_late_is_refused_and_reaches_no_host() {
    let host = Host::serve("a", scripts::echo());
    let director = Director::plan_text(&expecting(Service::with(&[&host]), "v2", "127.0.0.1")).start();
    let good = header(Announce::V2, "192.0.2.7:4711", "198.51.100.1:443");
    let mut endless = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec();
    endless.resize(2000, 0);
    for bytes in
        [b"GET / HTTP/1.0\r\n\r\n".as_slice(), b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n", &good[..20], b"", &endless]
    {
        let (text, _) = ask(director.addr(), bytes);
        assert_eq!(text, "", "{bytes:?}");
    }
    // From an address that is not believed.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&addr("127.0.0.2:0").into()).unwrap();
    socket.connect(&director.addr().into()).unwrap();
    // It says nothing: a write that meets the reset would take it away from the read.
    let stranger = Client::from(TcpStream::from(socket));
    assert_eq!(stranger.read_text(), (String::new(), End::Reset));
    // One that takes its time.
    let begin = Instant::now();
    let slow = Client::connect(director.addr());
    slow.send(&good[..16]);
    let (end, took) = slow.wait_for_end(begin, PATIENCE);
    assert_eq!(end, End::Reset);
    assert!(took >= PROXY_HEADER_WAIT - Duration::from_millis(50), "{took:?}");
    assert_eq!(host.record().accepted(), 0);
    let counters = director.finish();
    assert_eq!(counters.service("s").number("closed-proxy-header"), 7);
}

#[test]
fn announced_client_counts_for_lists_limits_and_the_next_host() {
    let host = Host::serve("a", scripts::echo());
    let service = Service::new("s").host_with("a", host.addr(), r#"proxy="v1""#).set("acl", "l").set("client-max", 1);
    let text = expecting(service, "any", "127.0.0.0/8");
    let lists = r#"<acl name="l" default="permit"><deny net="192.0.2.0/24"/></acl>"#;
    let director = Director::plan_text(&with_lists(&text, lists)).start();
    let come = |from: &str| {
        let client = Client::connect(director.addr());
        client.send(&[header(Announce::V2, from, "198.51.100.1:443").as_slice(), b"x"].concat());
        client
    };
    assert_eq!(come("192.0.2.9:1").read_text(), (String::new(), End::Reset), "the proxy itself is not denied");
    let first = come("203.0.113.5:1000");
    let told = [header(Announce::V1, "203.0.113.5:1000", "198.51.100.1:443").as_slice(), b"x"].concat();
    assert_eq!(first.read_exact(told.len()), told);
    assert_eq!(come("203.0.113.5:1001").read_text(), (String::new(), End::Reset), "it has one already");
    let other = come("203.0.113.6:1000");
    assert_eq!(other.read_exact(told.len()).last(), Some(&b'x'));
    // Whoever speaks for itself is known by its own address.
    let own = Client::connect(director.addr());
    own.send(&LOCAL);
    let told = header(Announce::V1, &own.local().to_string(), &director.addr().to_string());
    assert_eq!(own.read_exact(told.len()), told);
    director.wait_for_log(&["refused service=s", "client=192.0.2.9:1", "why=denied"], PATIENCE);
    drop((first, other, own));
    let counters = director.finish();
    assert_eq!(counters.service("s").number("closed-denied"), 1);
    assert_eq!(counters.service("s").number("closed-client-limit"), 1);
}

#[test]
fn host_is_told_once_before_all_else_also_after_a_failover() {
    const PAYLOAD: u64 = 100_000;
    let resets = Host::serve("b", scripts::reset_at_once());
    let (dead, echo) = (Host::dead("a"), Host::serve("c", scripts::echo()));
    for announce in [Announce::V1, Announce::V2] {
        let service = Service::with(&[&dead, &resets, &echo]);
        let group = format!(r#"<group name="g" proxy="{}""#, announce.name());
        let text = Config::from(service).host_check("10s").xml().replace(r#"<group name="g""#, &group);
        let director = Director::plan_text(&text).start();
        for number in 0..30_u64 {
            let client = Client::connect(director.addr());
            // The host that resets has had the header, and nothing of the client: another one may take over.
            let told = header(announce, &client.local().to_string(), &director.addr().to_string());
            assert_eq!(client.read_exact(told.len()), told);
            let received = client.exchange((number, PAYLOAD), number, PATIENCE);
            assert_eq!((received.bytes, received.wrong_at), (PAYLOAD, None), "one header and no more");
        }
        let counters = director.finish();
        assert!(counters.service("s").number("retries") > 0);
        assert_eq!(counters.host("c").number("bytes-up"), 30 * PAYLOAD, "the header is not the client's");
    }
}

#[test]
fn host_that_speaks_first_is_told_though_its_client_is_silent() {
    let host = Host::serve(
        "a",
        scripts::script(|visit| {
            let mut bytes = [0; 28];
            visit.read_exact(&mut bytes);
            let parsed = proxy::parse(&bytes, Versions::V2);
            assert!(matches!(parsed, Parsed::Header(Header { len: 28, ends: Some(_) })), "{parsed:?}");
            visit.send(b"welcome");
        }),
    );
    let service = Service::new("s").host_with("a", host.addr(), r#"proxy="v2" fastopen="true""#);
    let director = Director::plan(service).start();
    for _ in 0..20 {
        assert_eq!(Client::connect(director.addr()).read_text().0, "welcome");
    }
    director.finish();
}

#[test]
fn probe_says_that_it_is_nobodys_where_the_protocol_has_a_word_for_it() {
    for (announce, said) in [("v1", &b""[..]), ("v2", &LOCAL[..])] {
        let host = Host::serve("a", scripts::collect());
        let attributes = format!(r#"proxy="{announce}""#);
        let service = Service::new("s").host_with("a", host.addr(), &attributes);
        let director = Director::plan(Config::from(service).heartbeat("100ms", "100ms")).start();
        until(PATIENCE, "probes come", || host.record().texts().len() >= 3);
        assert!(host.record().texts().iter().all(|text| text == said), "{announce}: {:?}", host.record().texts());
        director.finish();
    }
}

#[test]
fn director_behind_director_hands_the_first_client_on() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let inner = Service::new("s").host_with("a", host.local_addr().unwrap(), r#"proxy="v2""#);
    let inner = Director::plan_text(&expecting(inner, "any", "127.0.0.1")).start();
    let outer = Service::new("s").host_with("a", inner.addr(), r#"proxy="v1""#);
    let outer = Director::plan(outer).start();
    let client = Client::connect(outer.addr());
    client.send(b"hello");
    let (mut at_host, _) = host.accept().unwrap();
    at_host.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = header(Announce::V2, &client.local().to_string(), &outer.addr().to_string());
    let mut bytes = vec![0; told.len() + 5];
    at_host.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, [told.as_slice(), b"hello"].concat());
    drop((client, at_host));
    outer.finish();
    inner.finish();
}

#[test]
fn listener_is_told_to_expect_headers_while_it_is_open() {
    let host = Host::serve("a", scripts::echo());
    let listening = |options: &str| {
        let xml = Config::from(Service::with(&[&host])).xml();
        xml.replace(r#"<listen ip="127.0.0.1:0"/>"#, &format!(r#"<listen ip="127.0.0.1:0" {options}/>"#))
    };
    let director = Director::plan_text(&listening("")).start();
    assert_eq!(ask(director.addr(), b"plain").0, "plain");
    director.write_config_text(&listening(r#"proxy="v1" proxy-from="127.0.0.1""#));
    director.reload();
    assert_eq!(ask(director.addr(), b"plain").0, "");
    let told = header(Announce::V1, "192.0.2.7:4711", "198.51.100.1:443");
    assert_eq!(ask(director.addr(), &[told.as_slice(), b"told"].concat()).0, "told");
    director.write_config_text(&listening(""));
    director.reload();
    assert_eq!(ask(director.addr(), b"plain").0, "plain");
    director.finish();
}

#[test]
fn client_that_has_not_said_who_it_is_is_lost_with_its_reactor_and_ends_with_the_process() {
    let host = Host::serve("a", scripts::echo());
    let text = expecting(Service::with(&[&host]), "any", "127.0.0.1");
    let told = header(Announce::V2, "192.0.2.7:4711", "198.51.100.1:443");
    let director = Director::plan_text(&text).threads(1).through(&["env", "DIRECTOR_PANIC_AT=2"]).start();
    let silent = Client::connect(director.addr());
    director.wait_for_counters(PATIENCE, "it is open", |counters| counters.service("s").number("open") == 1);
    let _ = ask(director.addr(), &told);
    director.wait_for_log(&["reactor restarted", "lost=2"], PATIENCE);
    assert_eq!(silent.wait_for_end(Instant::now(), PATIENCE).0, End::Reset);
    let counters = director.wait_for_counters(PATIENCE, "none is left", |all| all.service("s").number("open") == 0);
    assert_eq!(counters.service("s").number("closed-panicked"), 2);
    // The next one is in the middle of its header when the process is told to end.
    let slow = Client::connect(director.addr());
    slow.send(&told[..9]);
    director.wait_for_counters(PATIENCE, "it is open", |counters| counters.service("s").number("open") == 1);
    director.process().signal(libc::SIGTERM);
    slow.send(&[&told[9..], b"late"].concat());
    assert_eq!(slow.read_exact(4), b"late", "it is served to its end");
}
