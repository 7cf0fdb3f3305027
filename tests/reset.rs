//! Connections that are reset: by the client, by the host, from outside, and before the first byte.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use support::wait::millis;
use support::{Churn, Client, Director, End, Host, Netns, PATIENCE, Service, figure, lock, scripts, sized, until};

mod support;

#[test]
fn client_reset_reaches_host_as_reset_at_once() {
    let host = Host::serve("a", scripts::listen_only());
    let director = Director::start(&[&host]);
    let mut worst = Duration::ZERO;
    for round in 1..=20 {
        let client = Client::connect(director.addr());
        client.send(b"something");
        until(PATIENCE, "the host has it", || host.record().bytes_in() == 9 * round as u64);
        let since = Instant::now();
        client.reset();
        let end = host.record().wait_for_ends(round, PATIENCE)[round - 1];
        assert_eq!(end.end, End::Reset);
        worst = worst.max(end.at.duration_since(since));
    }
    figure("client's reset at the host after, ms at most", format!("{:.1}", millis(worst)));
    assert!(worst < support::wait::allowed(Duration::from_millis(200)), "{worst:?}");
    director.finish();
}

#[test]
fn host_reset_reaches_client_as_reset() {
    let host = Host::serve("a", scripts::read_then_reset(5));
    let director = Director::start(&[&host]);
    let mut worst = Duration::ZERO;
    for _ in 0..20 {
        let client = Client::connect(director.addr());
        let since = Instant::now();
        client.send(b"hello");
        let (end, took) = client.wait_for_end(since, PATIENCE);
        assert_eq!(end, End::Reset);
        worst = worst.max(took);
    }
    figure("host's reset at the client after, ms at most", format!("{:.1}", millis(worst)));
    assert!(worst < support::wait::allowed(Duration::from_millis(200)), "{worst:?}");
    director.finish();
}

#[test]
fn bytes_before_a_host_reset_reach_the_client_first() {
    const BYTES: u64 = 200_000;
    let host = Host::serve("a", scripts::source_then_reset(3, BYTES));
    let director = Director::start(&[&host]);
    let runs = sized(20, 1000);
    for _ in 0..runs {
        let received = Client::connect(director.addr()).receive_pattern(3, PATIENCE);
        assert_eq!((received.bytes, received.wrong_at, received.end), (BYTES, None, End::Reset));
    }
    figure("bytes delivered before each of the resets", format!("{BYTES} of {BYTES}, {runs} times"));
    director.finish();
}

#[test]
fn bytes_before_a_host_reset_reach_a_client_that_reads_late() {
    const BYTES: u64 = 1_000_000;
    let host = Host::serve("a", scripts::source_then_reset(3, BYTES));
    let director = Director::start(&[&host]);
    let client = Client::connect_narrow(director.addr(), 8 * 1024);
    until(PATIENCE, "the host has reset", || host.record().accepted() == 1 && host.record().open() == 0);
    let received = client.receive_pattern(3, PATIENCE * 3);
    figure("bytes delivered to a late reader before the reset", format!("{} of {BYTES}", received.bytes));
    assert_eq!((received.bytes, received.wrong_at, received.end), (BYTES, None, End::Reset));
    drop(client);
    director.finish();
}

#[test]
fn silent_client_is_served_by_another_host_when_one_resets_at_once() {
    let (bad, good) = (Host::serve("bad", scripts::reset_at_once()), Host::serve("good", scripts::greet()));
    let director = Director::plan(Service::with(&[&bad, &good])).log_lines_max(2000).start();
    let clients = sized(100, 2000);
    for _ in 0..clients {
        let client = Client::connect(director.addr());
        assert_eq!(client.read_exact(5), b"good\n");
        client.finish_sending();
        assert_eq!(client.read_to_end(PATIENCE).1, End::Eof);
    }
    figure(
        "clients of a resetting host served elsewhere",
        format!("{clients}, {} first at it", bad.record().accepted()),
    );
    assert_eq!(good.record().accepted(), clients);
    director.finish();
}

#[test]
fn client_is_never_served_by_two_hosts_when_one_closes_at_once() {
    let end_it = |reset: bool| {
        scripts::script(move |visit| {
            let mut id = [0; 16];
            if visit.read_exact(&mut id) {
                visit.count_id(u128::from_be_bytes(id));
            }
            if reset {
                visit.reset();
            }
        })
    };
    for (kind, script) in [
        ("closes at once", scripts::close_at_once()),
        ("resets at once", scripts::reset_at_once()),
        ("reads and closes", end_it(false)),
        ("reads and resets", end_it(true)),
    ] {
        let (bad, good) = (Host::serve("bad", script), Host::serve("good", scripts::churn()));
        let director = Director::plan(Service::with(&[&bad, &good])).log_lines_max(2000).start();
        let tally = Churn::new(director.addr(), sized(200, 5000), 4).run();
        figure(kind, &tally);
        assert_eq!((tally.wrong, tally.timed_out, tally.refused, tally.other), (0, 0, 0, 0), "{kind}: {tally}");
        let (at_bad, at_good) = (bad.record().ids(), good.record().ids());
        let both: HashSet<_> = at_bad.keys().filter(|id| at_good.contains_key(id)).collect();
        assert!(both.is_empty(), "{kind}: served twice: {both:?}");
        assert!(at_bad.values().chain(at_good.values()).all(|times| *times == 1), "{kind}: a host saw a client twice");
        assert_eq!(tally.ok, at_good.len() as u64, "{kind}");
        director.finish();
    }
}

#[test]
fn sockets_killed_from_outside_end_both_legs_and_nothing_else() {
    let _alone = lock::alone();
    let (rounds, clients) = sized((5, 40), (50, 40));
    // In a network of its own: others' sockets may have the same ports.
    let netns = Netns::new();
    let host = netns.run(|| Host::serve("a", scripts::echo()));
    let start = || Director::plan(Service::with(&[&host])).inside(&netns).start();
    let (director, bystander) = (start(), start());
    // The port of a host's leg may be a client's, too, towards another port.
    let kill = |from: u16, to: Option<u16>| {
        let (from, to) = (format!(":{from}"), to.map(|to| format!(":{to}")));
        let mut words = vec!["ss", "-K", "-t", "-H", "state", "established", "sport", "=", &from];
        words.extend(to.iter().flat_map(|to| ["and", "dport", "=", to]));
        netns.command(&words, "");
    };
    let connect = |director: &Director| netns.run(|| Client::connect(director.addr()));
    let untouched = connect(&bystander);
    for round in 0..rounds {
        let open: Vec<Client> = (0..clients).map(|_| connect(&director)).collect();
        for client in &open {
            client.send(b"ping");
            assert_eq!(client.read_exact(4), b"ping");
        }
        // One half of the rounds loses the clients' legs, the other the hosts' legs.
        if round % 2 == 0 {
            kill(director.addr().port(), None);
        } else {
            let ports: Vec<u16> = director.process().connections_to(host.addr());
            assert_eq!(ports.len(), clients);
            ports.into_iter().for_each(|port| kill(port, Some(host.addr().port())));
        }
        for client in open {
            assert_eq!(client.read_to_end(PATIENCE), (Vec::new(), End::Reset));
        }
        until(PATIENCE, "only the bystander is left", || host.record().open() == 1);
    }
    let idle = director.process().cpu_time();
    thread::sleep(Duration::from_millis(500));
    let spent = director.process().cpu_time() - idle;
    figure("connections killed from outside", rounds * clients);
    figure("processor time in 500 ms after it, ms", format!("{:.1}", millis(spent)));
    assert!(spent < support::wait::allowed(Duration::from_millis(50)), "it spins: {spent:?}");
    untouched.send(b"still here");
    assert_eq!(untouched.read_exact(10), b"still here");
    drop(untouched);
    director.finish();
    bystander.finish();
}
