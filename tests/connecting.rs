//! From the client's connect to the first byte: hosts that do not answer, clients that do not wait, and nobody who speaks.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use support::counters::Counters;
use support::log::Mark;
use support::wait::{best_of_three, millis};
use support::{
    Churn, Client, Config, Director, End, Full, Host, Netns, PATIENCE, Service, figure, lock, scripts, sized, socket,
    until,
};

mod support;

#[test]
fn host_that_meets_itself_counts_as_refused() {
    let netns = Netns::new();
    netns.sysctl("net/ipv4/ip_local_port_range", "40000 40003");
    let dead: SocketAddr = "127.0.0.1:40002".parse().unwrap();
    let live = netns.run(|| Host::plan("live", scripts::tell_name()).at("127.0.0.1:9000").start());
    netns.run(|| assert!((0..1000).any(|_| meets_itself(dead)), "no connect met itself in this network"));
    let service = |name, port| Service::new(name).listen(format!("127.0.0.1:{port}")).host("dead", dead);
    let config = Config::new(service("alone", 8001)).and(service("two", 8002).host("live", live.addr()));
    let director = Director::plan(config).inside(&netns).log_lines_max(5000).start();
    let clients = sized(100, 2000);
    let ask = |port: u16, number: u16| {
        let local = SocketAddr::from(([127, 0, 0, 1], 50_000 + number % 10_000));
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let client = Client::from(socket::connect_from(local, addr, PATIENCE).expect("connect"));
        client.send(b"is anybody there?");
        let answer = client.read_text();
        client.reset();
        answer
    };
    let (mut echoed, mut served) = (0, 0);
    netns.run(|| {
        for number in 0..clients {
            echoed += u32::from(!ask(8001, number).0.is_empty());
            served += u32::from(ask(8002, number).0 == "live");
        }
    });
    figure("clients that got their own bytes from a dead host", format!("{echoed} of {clients}"));
    figure("clients that got the live host's answer", format!("{served} of {clients}"));
    assert_eq!((echoed, served), (0, u32::from(clients)));
    assert_eq!(director.log().count(Mark::default(), &["host=dead ", "new=up"]), 0, "a dead host came back");
    director.finish();
}

#[test]
fn connections_without_a_byte_charge_no_host() {
    let probes = sized(1000, 10_000);
    let hosts = [Host::serve("a", scripts::listen_only()), Host::serve("b", scripts::listen_only())];
    let director = Director::start(&[&hosts[0], &hosts[1]]);
    thread::scope(|scope| {
        for reset in [false, true] {
            let addr = director.addr();
            scope.spawn(move || {
                for _ in 0..probes / 2 {
                    let client = Client::connect(addr);
                    if reset {
                        client.reset();
                    }
                }
            });
        }
    });
    let all = |counters: &Counters| counters.services_sum("accepted") == probes;
    let counters = director.wait_for_counters(PATIENCE, "all were accepted", all);
    let reached: u64 = hosts.iter().map(|host| host.record().accepted()).sum();
    figure("connections to hosts per empty client", format!("{:.2}", reached as f64 / probes as f64));
    figure("log lines for them", director.log().lines().len());
    assert_eq!(counters.hosts_sum("failed"), 0);
    assert_eq!(director.log().count(Mark::default(), &["new=down"]), 0);
    director.finish();
}

#[test]
fn silent_connections_end_at_the_idle_timeout_and_busy_ones_do_not() {
    let _alone = lock::alone();
    let (clients, timeout) = sized((200, Duration::from_secs(1)), (2000, Duration::from_secs(10)));
    let bound = (timeout / 100).max(Duration::from_millis(50));
    let late = best_of_three(bound, |late: &[Duration; 2]| late[0], || idle_timeout_missed_by(clients, timeout));
    let [p99, worst] = late;
    figure("idle timeout missed by, ms", format!("p99 {:.1}, worst {:.1}", millis(p99), millis(worst)));
    assert!(p99 < bound, "{p99:?}");
}

/// By how much the ends of this many silent clients miss the timeout, the 99th percentile and the worst, while a busy
/// one goes on.
fn idle_timeout_missed_by(clients: usize, timeout: Duration) -> [Duration; 2] {
    let (quiet, busy) = (Host::serve("quiet", scripts::listen_only()), Host::serve("busy", scripts::echo()));
    let service = |name, host: &Host| {
        let idle = format!("{}s", timeout.as_secs());
        Service::new(name).host(host.name(), host.addr()).set("idle-timeout", idle)
    };
    let config = Config::new(service("quiet", &quiet)).and(service("busy", &busy));
    let director = Director::plan(config).start();
    let mut late = thread::scope(|scope| {
        let connect = |_| (Client::connect(director.addrs("quiet")[0]), Instant::now());
        let silent: Vec<_> = (0..clients).map(connect).collect();
        let waiting: Vec<_> = silent
            .into_iter()
            .map(|(client, since)| scope.spawn(move || client.wait_for_end(since, timeout * 3)))
            .collect();
        let client = Client::connect(director.addrs("busy")[0]);
        while client.age() < timeout * 2 {
            client.send(b"x");
            assert_eq!(client.read_exact(1), b"x");
            thread::sleep(timeout / 10);
        }
        let ends = waiting.into_iter().map(|client| client.join().expect("it only waits"));
        ends.inspect(|(end, _)| assert_ne!(*end, End::Deadline))
            .map(|(_, took)| took.abs_diff(timeout))
            .collect::<Vec<_>>()
    });
    late.sort_unstable();
    director.finish();
    [late[clients * 99 / 100], late[clients - 1]]
}

#[test]
fn host_with_a_full_queue_costs_no_client_and_little_time() {
    let _alone = lock::alone();
    let (mute, good) = (Full::new("mute"), Host::serve("good", scripts::churn()));
    let service = Service::with(&[&mute.host, &good]).set("connect-timeout", "1s");
    let director = Director::plan(service).start();
    let tally = Churn::new(director.addr(), sized(400, 4000), 4).per_second(200).run();
    figure("beside a host with a full queue", &tally);
    assert_eq!(tally.failed(), 0, "{tally}");
    assert!(tally.slow <= 20, "{tally}");
    assert!(tally.worst() < support::wait::allowed(Duration::from_millis(1100)), "{tally}");
    director.wait_for_state(Mark::default(), "mute", "down", PATIENCE);
    // Its probes hang no longer, and a balancer at rest has no descriptor for one.
    drop(mute);
    director.finish();
}

#[test]
fn client_that_leaves_while_connecting_frees_everything_and_charges_nobody() {
    let mute = Full::new("mute");
    let director = Director::start(&[&mute.host]);
    let mut worst = Duration::ZERO;
    for _ in 0..10 {
        let client = Client::connect(director.addr());
        until(PATIENCE, "it connects", || director.process().sockets().contains_key("SYN_SENT"));
        let since = Instant::now();
        client.reset();
        let counters = director.wait_for_counters(PATIENCE, "its place is free", |all| all.held() == 0);
        worst = worst.max(since.elapsed());
        assert_eq!(counters.host("mute").number("failed"), 0);
        assert_eq!(counters.service("s").number("closed-client-reset"), counters.service("s").number("accepted"));
    }
    figure("place free after the client left, ms at most", format!("{:.1}", millis(worst)));
    assert!(worst < support::wait::allowed(Duration::from_millis(100)), "{worst:?}");
    drop(mute);
    director.finish();
}

#[test]
fn client_that_leaves_between_two_hosts_causes_no_more_attempts() {
    let (first, second) = (Full::new("first"), Full::new("second"));
    let director = Director::start(&[&first.host, &second.host]);
    let client = Client::connect(director.addr());
    let moved_on = |all: &Counters| all.service("s").number("retries") == 1;
    director.wait_for_counters(PATIENCE, "it was moved on", moved_on);
    client.reset();
    let left = director.wait_for_counters(PATIENCE, "its place is free", |all| all.held() == 0);
    thread::sleep(Duration::from_millis(500));
    let later = director.counters();
    figure("attempts after the client had left", later.service("s").number("retries") - 1);
    assert_eq!(later.service("s").number("retries"), left.service("s").number("retries"));
    assert_eq!(later.hosts_sum("established"), 0);
    drop((first, second));
    director.finish();
}

#[test]
fn host_that_speaks_first_is_heard_without_a_word_from_the_client() {
    let _alone = lock::alone();
    let host = Host::serve("a", scripts::greet());
    let director = Director::start(&[&host]);
    let greeting = |addr| {
        let mut times: Vec<Duration> = (0..sized(200, 2000))
            .map(|_| {
                let since = Instant::now();
                let client = Client::connect(addr);
                assert_eq!(client.read_exact(2), b"a\n");
                since.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[times.len() / 2]
    };
    let (direct, through) = (greeting(host.addr()), greeting(director.addr()));
    figure("first byte of a greeting, ms", format!("{:.3} direct, {:.3} through", millis(direct), millis(through)));
    assert!(through < support::wait::allowed(direct + Duration::from_millis(5)), "{through:?} instead of {direct:?}");
    director.finish();
}

/// Connects to a port where nobody listens; says whether the connection met itself.
fn meets_itself(addr: SocketAddr) -> bool {
    TcpStream::connect(addr).is_ok_and(|stream| {
        socket::reset_on_close(&stream);
        stream.local_addr().is_ok_and(|local| local == addr)
    })
}
