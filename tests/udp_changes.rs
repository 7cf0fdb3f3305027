//! Flows while the world around them changes: hosts that leave or fall silent, reloads, drains, panics.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use support::datagrams::{Answer, UdpClient, UdpHost};
use support::{Director, Host, PATIENCE, figure, scripts};

mod support;

fn file(attributes: &str, listen: &str, hosts: &[&UdpHost], manager: &str) -> String {
    let hosts: String =
        hosts.iter().map(|host| format!("<host name='{}' ip='{}'/>", host.name(), host.addr())).collect();
    format!(
        "<director><service name='s' {attributes}><listen ip='{listen}' protocol='udp'/><group name='g'>{hosts}</group>
         </service><manager>{manager}</manager></director>"
    )
}

fn plain(hosts: &[&UdpHost]) -> String {
    file("", "127.0.0.1:0", hosts, "")
}

#[test]
fn flow_whose_host_goes_down_without_a_word_moves_with_its_next_datagram() {
    // What a probe over TCP finds out holds for datagrams, too: the network says nothing of a host that is silent.
    let silent: Answer = Arc::new(|_| Vec::new());
    let hole = UdpHost::serve("hole", "127.0.0.1:0", silent);
    let other = UdpHost::named("other");
    let mut hole_tcp = Host::plan("hole", scripts::tell_name()).at(&hole.addr().to_string()).start();
    let other_tcp = Host::plan("other", scripts::tell_name()).at(&other.addr().to_string()).start();
    let manager = "<hostCheck interval='50ms'/><heartbeat interval='50ms' enable='true'/>";
    let text = file("", "127.0.0.1:0", &[&hole, &other], manager).replace("'udp'", "'tcp+udp'");
    let director = Director::plan_text(&text).start();
    let clients: Vec<UdpClient> = (0..20).map(|_| UdpClient::new(director.addr())).collect();
    let reached = |client: &UdpClient| {
        client.send(b"?");
        client.receive_within(Duration::from_millis(100)).is_ok()
    };
    let lost: Vec<&UdpClient> = clients.iter().filter(|client| !reached(client)).collect();
    assert_eq!(lost.len(), 10, "every second one is at the host that says nothing");
    let mark = director.log().mark();
    hole_tcp.kill();
    director.wait_for_state(mark, "hole", "down", PATIENCE);
    // What the log says is on its way to the reactors at the same moment.
    for client in lost {
        assert!(reached(client) || reached(client) || reached(client), "it has moved");
    }
    drop(other_tcp);
}

#[test]
fn reload_that_removes_a_host_moves_its_flows_and_no_others() {
    let (a, b) = (UdpHost::named("a"), UdpHost::named("b"));
    let director = Director::plan_text(&plain(&[&a, &b])).start();
    let clients: Vec<UdpClient> = (0..10).map(|_| UdpClient::new(director.addr())).collect();
    let names: Vec<String> = clients.iter().map(UdpClient::ask_name).collect();
    let of_b = b.record().peers();
    director.write_config_text(&plain(&[&b]));
    assert!(director.reload().contains("reloaded"));
    assert!(clients.iter().all(|client| client.ask_name() == "b"));
    let moved = names.iter().filter(|name| *name == "a").count();
    assert_eq!((moved, b.record().peers().len()), (5, of_b.len() + 5), "who was there is the same flow as before");
    director.write_config_text(&plain(&[&a, &b]));
    assert!(director.reload().contains("reloaded"));
    assert!(clients.iter().all(|client| client.ask_name() == "b"), "nobody moves back");
}

#[test]
fn reloads_lose_nothing_of_flows_that_go_on() {
    let (a, b) = (UdpHost::named("a"), UdpHost::named("b"));
    let director = Director::plan_text(&plain(&[&a, &b])).start();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let clients: Vec<UdpClient> = (0..8).map(|_| UdpClient::new(director.addr())).collect();
            let (mut asked, mut answered) = (0_u32, 0_u32);
            while !done.load(SeqCst) {
                for client in &clients {
                    client.send(&asked.to_be_bytes());
                    asked += 1;
                }
                answered +=
                    clients.iter().map(|client| u32::from(client.receive_within(PATIENCE).is_ok())).sum::<u32>();
            }
            (asked, answered)
        });
        for round in 0..10 {
            let text = file(&format!("flow-timeout='{}s'", 30 + round), "127.0.0.1:0", &[&a, &b], "");
            director.write_config_text(&text);
            assert!(director.reload().contains("reloaded"));
        }
        done.store(true, SeqCst);
        let (asked, answered) = asking.join().expect("it ends");
        figure("datagrams over ten reloads, and those that were answered", format!("{asked} {answered}"));
        assert_eq!(asked, answered);
    });
    assert_eq!(director.counters().service("s").number("accepted"), 8, "the flows are the same");
}

#[test]
fn end_waits_for_the_answers_that_are_on_their_way_and_for_nothing_else() {
    let slow: Answer = Arc::new(|bytes| {
        thread::sleep(Duration::from_millis(if bytes == b"slow" { 400 } else { 0 }));
        vec![bytes.to_vec()]
    });
    let host = UdpHost::serve("a", "127.0.0.1:0", slow);
    let mut director = Director::plan_text(&plain(&[&host])).start();
    let (idle, asking) = (UdpClient::new(director.addr()), UdpClient::new(director.addr()));
    assert_eq!(idle.ask(b"quick"), b"quick");
    asking.send(b"slow");
    // It has arrived when something behind it has.
    director.wait_for_counters(PATIENCE, "both are flows", |counters| counters.service("s").number("open") == 2);
    let start = Instant::now();
    director.process().signal(libc::SIGTERM);
    assert_eq!(asking.receive(), b"slow");
    let status = director.wait_for_exit(PATIENCE);
    figure("end with an answer on its way, ms", start.elapsed().as_millis());
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn address_that_is_given_up_is_left_to_who_else_has_it() {
    let (a, b) = (UdpHost::named("a"), UdpHost::named("b"));
    let first = Director::plan_text(&plain(&[&a])).start();
    let addr = first.addr();
    let old = UdpClient::new(addr);
    assert_eq!(old.ask_name(), "a");
    // Another program shares the address, as one does that takes over.
    let shared = director::sys::datagram::bind(addr, &Default::default()).expect("reuseport shares it");
    shared.set_nonblocking(false).expect("set");
    shared.set_read_timeout(Some(PATIENCE)).expect("set");
    first.process().signal(libc::SIGTERM);
    let mark = first.log().mark();
    drop(first.log().wait_for_line(mark, Duration::from_millis(200), &["never"]));
    let mut space = [0; 9];
    for _ in 0..20 {
        let client = UdpClient::new(addr);
        client.send(b"new");
        let (len, from) = shared.recv_from(&mut space).expect("it comes here");
        assert_eq!((&space[..len], from), (&b"new"[..], client.socket.local_addr().expect("bound")));
    }
    drop(b);
}

#[test]
fn reactor_that_panics_serves_datagrams_again() {
    let (host, tcp) = (UdpHost::named("a"), Host::serve("t", scripts::tell_name()));
    let connections = format!(
        "<service name='t'><listen ip='127.0.0.1:0'/><group name='g'><host ip='{}'/></group></service></director>",
        tcp.addr()
    );
    let text = plain(&[&host]).replace("</director>", &connections);
    let director = Director::plan_text(&text).threads(1).env("DIRECTOR_PANIC_AT", "2").start();
    let (datagrams, connections) = (director.addrs("s")[0], director.addrs("t")[0]);
    let client = UdpClient::new(datagrams);
    assert_eq!(client.ask_name(), "a");
    let mark = director.log().mark();
    for _ in 0..2 {
        let _ = support::Client::connect(connections).read_text();
    }
    let line = director.wait_for_log_after(mark, &["reactor restarted"], PATIENCE);
    assert!(line.contains("lost=2"), "the flow, too: {line}");
    assert_eq!(client.ask_name(), "a", "a new flow of the same client");
    let counters = director.counters();
    assert_eq!(counters.service("s").number("open"), 1);
    assert_eq!(counters.host("a").number("open"), 1);
    let names: BTreeSet<String> = (0..3).map(|_| UdpClient::new(datagrams).ask_name()).collect();
    assert_eq!(names.len(), 1);
}
