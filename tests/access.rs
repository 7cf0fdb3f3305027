//! Who may come in: access lists of services and hosts, limits of a client, and which end of stream ends a connection.
//! Clients come from addresses of 127.0.0.0/8. Rows 14 and 36 of what pen's users know.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use director::model::limits::LOG_EVERY;
use socket2::{Domain, Socket, Type};
use support::log::Mark;
use support::{Client, Config, Director, End, Host, PATIENCE, Service, scripts, until};

mod support;

/// A client with this last byte of its address.
fn client(byte: u8, to: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, byte], 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    Client::from(TcpStream::from(socket))
}

/// What the client is told by whoever serves it; empty if nobody does.
fn served(byte: u8, to: SocketAddr) -> (String, End) {
    client(byte, to).read_text()
}

fn refused() -> (String, End) {
    (String::new(), End::Reset)
}

/// The file of this service with these access lists.
fn with(service: Service, lists: &str) -> String {
    Config::from(service).xml().replace("</director>", &format!("{lists}</director>"))
}

#[test]
fn list_is_followed_in_its_order_and_replaced_at_once() {
    let host = Host::serve("a", scripts::tell_name());
    let service = || Service::with(&[&host]).set("acl", "list");
    let list =
        |rules: &str, default: &str| with(service(), &format!(r#"<acl name="list" default="{default}">{rules}</acl>"#));
    let deny_half = r#"<permit net="127.0.0.7"/><deny net="127.0.0.0/28"/>"#;
    let mut director = Director::plan_text(&list(deny_half, "permit")).start();
    let addr = director.addr();
    assert_eq!(served(2, addr), refused());
    assert_eq!(served(7, addr).0, "a", "the first rule that it is in decides");
    assert_eq!(served(16, addr).0, "a", "no rule is about it");
    let refusals = director.counters().service("s").number("closed-denied");
    assert_eq!(refusals, 1);
    assert_eq!(host.record().accepted(), 2, "a client that is denied never reaches a host");
    // Another list: a connection that is there stays.
    let kept = client(16, addr);
    director.write_config_text(&list("", "deny"));
    let line = director.reload();
    assert!(line.contains("access-lists-changed=1"), "{line}");
    assert_eq!(kept.read_text().0, "a");
    drop(kept);
    for byte in [2, 7, 16] {
        assert_eq!(served(byte, addr), refused());
    }
    director.write_config_text(&list("", "permit"));
    director.reload();
    assert_eq!(served(2, addr).0, "a");
    let counters = director.check_at_rest();
    assert_eq!(counters.service("s").number("closed-denied"), 4);
}

#[test]
fn file_with_a_list_that_is_wrong_changes_nothing() {
    let host = Host::serve("a", scripts::tell_name());
    let text = |net: &str| {
        with(
            Service::with(&[&host]).set("acl", "l"),
            &format!(r#"<acl name="l" default="deny"><permit net="{net}"/></acl>"#),
        )
    };
    let director = Director::plan_text(&text("127.0.0.0/8")).start();
    director.write_config_text(&text("127.0.0.1/8"));
    let line = director.reload();
    assert!(line.contains("expected 127.0.0.0/8 or 127.0.0.1"), "{line}");
    assert_eq!(served(2, director.addr()).0, "a");
    director.finish();
}

#[test]
fn host_with_a_list_serves_its_clients_only_and_others_go_elsewhere() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let service = Service::new("s").host_with("a", hosts[0].addr(), r#"acl="only2""#).host_with(
        "b",
        hosts[1].addr(),
        r#"acl="not2""#,
    );
    let lists = r#"<acl name="only2" default="deny"><permit net="127.0.0.2"/></acl>
        <acl name="not2" default="permit"><deny net="127.0.0.2"/><deny net="127.0.0.9"/></acl>"#;
    let director = Director::plan_text(&with(service, lists)).start();
    let addr = director.addr();
    for _ in 0..6 {
        assert_eq!(served(2, addr).0, "a");
        assert_eq!(served(3, addr).0, "b");
        assert_eq!(served(9, addr), refused(), "nobody may serve it");
    }
    let [mut a, b] = hosts;
    a.stop();
    assert_eq!(served(2, addr).0, "", "the other host is not for it");
    assert_eq!(served(3, addr).0, "b");
    assert_eq!((a.record().accepted(), b.record().accepted()), (6, 7));
    director.finish();
}

#[test]
fn many_that_are_denied_make_few_lines() {
    let host = Host::serve("a", scripts::tell_name());
    let service = Service::with(&[&host]).set("acl", "l");
    let director = Director::plan_text(&with(service, r#"<acl name="l" default="deny"/>"#)).start();
    let begin = Instant::now();
    for _ in 0..500 {
        assert_eq!(served(2, director.addr()), refused());
    }
    let line = director.wait_for_log(&["refused service=s", "why=denied", "client=127.0.0.2:"], PATIENCE);
    assert!(line.contains("refused="), "{line}");
    let counters = director.counters();
    assert_eq!(counters.service("s").number("closed-denied"), 500);
    let lines = director.log().lines().iter().filter(|line| line.contains("refused service")).count();
    let seconds = begin.elapsed().as_secs() + LOG_EVERY.as_secs();
    assert!(lines as u64 <= seconds + 1, "{lines} lines in {seconds} s");
    director.finish();
}

#[test]
fn client_has_no_more_open_than_it_may_and_others_are_not_concerned() {
    let host = Host::serve("a", scripts::greet());
    let director = Director::plan(Service::with(&[&host]).set("client-max", 3)).threads(2).start();
    let addr = director.addr();
    let open = |byte| {
        let client = client(byte, addr);
        assert_eq!(client.read_exact(2), b"a\n");
        client
    };
    let mut clients: Vec<Client> = (0..3).map(|_| open(2)).collect();
    assert_eq!(served(2, addr), refused());
    let others: Vec<Client> = (3..6).map(open).collect();
    // One of each kind of end makes room for one.
    clients.pop().unwrap().reset();
    until(PATIENCE, "a reset makes room", || {
        let next = client(2, addr);
        let mut byte = [0];
        let served = matches!((&mut next.stream()).read(&mut byte), Ok(1));
        if served {
            clients.push(next);
        }
        served
    });
    drop(clients);
    director.wait_for_counters(PATIENCE, "three are left", |counters| counters.service("s").number("open") == 3);
    let again: Vec<Client> = (0..3).map(|_| open(2)).collect();
    assert_eq!(served(2, addr), refused());
    drop((again, others));
    assert!(director.finish().service("s").number("closed-client-limit") >= 2);
}

#[test]
fn network_counts_as_one_client_where_that_is_said() {
    let host = Host::serve("a", scripts::greet());
    let service = Service::with(&[&host]).set("client-max", 1).set("client-prefix-v4", 31);
    let director = Director::plan(service).start();
    let first = client(2, director.addr());
    assert_eq!(first.read_exact(2), b"a\n");
    assert_eq!(served(3, director.addr()), refused());
    let other = client(4, director.addr());
    assert_eq!(other.read_exact(2), b"a\n");
    drop((first, other));
    director.finish();
}

#[test]
fn client_that_comes_too_often_is_refused_for_a_while() {
    let host = Host::serve("a", scripts::tell_name());
    let director = Director::plan(Service::with(&[&host]).set("client-rate", 5)).start();
    let addr = director.addr();
    let begin = Instant::now();
    let count = (0..60).filter(|_| served(2, addr).0 == "a").count();
    let most = 6 + begin.elapsed().as_millis() / 200;
    assert!((5..=most).contains(&(count as u128)), "{count} of 60, at most {most}");
    assert_eq!(served(3, addr).0, "a", "another client is not concerned");
    until(PATIENCE, "it may come again", || served(2, addr).0 == "a");
    director.finish();
}

#[test]
fn limits_are_changed_while_clients_are_counted() {
    let host = Host::serve("a", scripts::greet());
    let service = |max: u32| Service::with(&[&host]).set("client-max", max);
    let director = Director::plan(service(1)).start();
    let first = client(2, director.addr());
    assert_eq!(first.read_exact(2), b"a\n");
    assert_eq!(served(2, director.addr()), refused());
    director.write_config(service(2));
    director.reload();
    let second = client(2, director.addr());
    assert_eq!(second.read_exact(2), b"a\n", "the first one is still counted, and there is room");
    assert_eq!(served(2, director.addr()), refused());
    director.write_config(Service::with(&[&host]));
    director.reload();
    let third = client(2, director.addr());
    assert_eq!(third.read_exact(2), b"a\n");
    drop((first, second, third));
    director.finish();
}

#[test]
fn client_is_not_counted_any_more_after_its_reactor_panicked() {
    let host = Host::serve("a", scripts::greet());
    let service = Service::with(&[&host]).set("client-max", 2);
    let plan = Director::plan(service).threads(1).through(&["env", "DIRECTOR_PANIC_AT=3"]);
    let director = plan.start();
    let addr = director.addr();
    let clients: Vec<Client> = (0..2).map(|_| client(2, addr)).collect();
    for client in &clients {
        assert_eq!(client.read_exact(2), b"a\n");
    }
    drop(client(3, addr));
    director.wait_for_log(&["reactor restarted"], PATIENCE);
    for client in &clients {
        assert_eq!(client.wait_for_end(Instant::now(), PATIENCE).0, End::Reset);
    }
    let again: Vec<Client> = (0..2).map(|_| client(2, addr)).collect();
    for client in &again {
        assert_eq!(client.read_exact(2), b"a\n");
    }
    assert_eq!(served(2, addr), refused());
    drop(again);
    director.process().signal(libc::SIGTERM);
}

/// Sends a greeting of the pattern and ends its sending, then reads on until the client ends.
const SENT: u64 = 400_000;

fn fastclose(mode: &str, host: &Host) -> Director {
    Director::plan(Service::with(&[host]).set("fastclose", mode)).start()
}

#[test]
fn hosts_end_ends_both_directions_where_that_is_said_and_loses_nothing() {
    for (mode, is_fast) in [("up", true), ("both", true), ("down", false), ("off", false)] {
        let host = Host::serve(
            "a",
            scripts::script(|visit| {
                visit.send_pattern(support::pattern::Pattern::new(3), SENT);
                visit.finish_sending();
                visit.receive(|_| ());
            }),
        );
        let director = fastclose(mode, &host);
        // It goes on sending, and ends nothing.
        let client = Client::connect(director.addr());
        let stop = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let bytes = [7; 1024];
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    if client.stream().write(&bytes).is_err() {
                        return true;
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                false
            });
            let received = client.receive_pattern(3, PATIENCE);
            assert_eq!((received.bytes, received.wrong_at), (SENT, None), "{mode}: {:?}", received.end);
            if is_fast {
                host.record().wait_for_ends(1, PATIENCE);
                assert!(sender.join().unwrap(), "{mode}: the client is told");
            } else {
                assert_eq!(host.record().ends().len(), 0, "{mode}: the client has not ended");
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
                assert!(!sender.join().unwrap());
                client.finish_sending();
            }
        });
        host.record().wait_for_ends(1, PATIENCE);
        drop(client);
        let counters = director.finish();
        assert_eq!(counters.service("s").number("closed-finished"), 1, "{mode}");
    }
}

#[test]
fn clients_end_ends_both_directions_where_that_is_said() {
    for (mode, is_fast) in [("down", true), ("both", true), ("up", false), ("off", false)] {
        let host = Host::serve(
            "a",
            scripts::script(|visit| {
                visit.receive_pattern(support::pattern::Pattern::new(5));
                visit.send(b"late");
            }),
        );
        let director = fastclose(mode, &host);
        let client = Client::connect(director.addr());
        client.send_pattern(5, SENT);
        client.finish_sending();
        let (text, end) = client.read_text();
        if is_fast {
            assert!(text.is_empty(), "{mode}: {text:?} {end:?}");
        } else {
            assert_eq!((text.as_str(), end), ("late", End::Eof), "{mode}");
        }
        let ends = host.record().wait_for_ends(1, PATIENCE);
        assert_eq!((ends[0].bytes, ends[0].wrong_at), (SENT, None), "{mode}: all that was sent before the end arrives");
        drop(client);
        director.finish();
    }
}

#[test]
fn list_of_many_networks_is_loaded_and_its_clients_are_told_apart() {
    let host = Host::serve("a", scripts::tell_name());
    let net = |n: u32| format!("<deny net=\"10.{}.{}.{}/28\"/>\n", n >> 12, n >> 4 & 255, (n & 15) << 4);
    // Every other one, so that none is part of a larger network with its neighbour.
    let rules: String = (0..100_000).map(|n| net(2 * n)).collect();
    let service = Service::with(&[&host]).set("acl", "l");
    let text = with(service, &format!(r#"<acl name="l" default="permit">{rules}<deny net="127.0.0.2"/></acl>"#));
    let director = Director::plan_text(&text).start();
    assert_eq!(served(2, director.addr()), refused());
    assert_eq!(served(3, director.addr()).0, "a");
    let mark: Mark = director.log().mark();
    let begin = Instant::now();
    director.reload();
    let took = begin.elapsed();
    support::figure("a reload of 100,000 networks that changes nothing", format!("{took:?}"));
    director.wait_for_log_after(mark, &["reload"], PATIENCE);
    director.finish();
}
