//! Which host gets the next client: while hosts come and go, with weights, limits, and hosts that do not behave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use support::host::Script;
use support::log::Mark;
use support::wait::{StopAtEnd, holds_within, ms};
use support::{
    Churn, Client, Config, Director, End, Full, Host, PATIENCE, Service, Tally, churn, figure, lock, scripts, sized,
    until,
};

mod support;

/// Connections a second where a steady load is wanted.
const RATE: u32 = 200;

#[test]
fn host_removed_under_load_gets_nobody_and_keeps_those_it_has() {
    let hosts = ["a", "b", "c"].map(|name| Host::serve(name, churn_or_echo()));
    let director = Director::start(&[&hosts[0], &hosts[1], &hosts[2]]);
    let held: Vec<Client> = (0..30).map(|_| echoing(director.addr())).collect();
    assert_eq!(hosts[2].record().accepted(), 10);
    let stop = AtomicBool::new(false);
    let (tally, late) = thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let load = scope.spawn(|| steady(director.addr()).run_until(&stop));
        until(PATIENCE, "the load runs", || hosts[2].record().accepted() > 40);
        director.write_config(Service::with(&[&hosts[0], &hosts[1]]));
        assert!(director.reload().contains("reloaded"));
        let before = hosts[2].record().accepted();
        thread::sleep(sized(Duration::from_millis(500), Duration::from_secs(10)));
        let late = hosts[2].record().accepted() - before;
        stop.store(true, Relaxed);
        (load.join().unwrap(), late)
    });
    let alive = held.iter().filter(|client| echoes(client)).count();
    figure("while a host is removed", &tally);
    figure("clients sent to it afterwards, and kept by it", format!("{late}, {alive} of 30 alive"));
    assert_eq!((tally.failed(), late, alive), (0, 0, 30), "{tally}");
    drop(held);
    director.finish();
}

#[test]
fn client_that_comes_after_the_reload_was_told_gets_none_of_the_old_hosts() {
    let _alone = lock::alone();
    let hosts = ["a", "b"].map(|name| Host::plan(name, scripts::tell_name()).workers(4).start());
    let busy = Host::plan("busy", scripts::churn()).workers(4).start();
    let config = |number: usize| {
        let host = &hosts[number % 2];
        Config::new(Service::with(&[host])).and(Service::new("busy").host("busy", busy.addr()))
    };
    let director = Director::plan(config(0)).log_lines_max(5000).start();
    let (addr, other) = (director.addrs("s")[0], director.addrs("busy")[0]);
    let (reloads, stop) = (sized(100, 1000), AtomicBool::new(false));
    let wrong = thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| Churn::new(other, u64::MAX, 8).run_until(&stop));
        (1..=reloads)
            .filter(|number| {
                director.write_config(config(*number));
                assert!(director.reload().contains("reloaded"));
                Client::connect(addr).read_text().0 != hosts[number % 2].name()
            })
            .count()
    });
    figure("clients sent to a removed host after the reload was told", format!("{wrong} of {reloads}"));
    assert_eq!(wrong, 0);
    director.finish();
}

#[test]
fn host_added_under_load_has_its_share_within_a_second() {
    let hosts = ["a", "b", "c"].map(|name| Host::plan(name, scripts::churn()).workers(4).start());
    let director = Director::start(&[&hosts[0], &hosts[1]]);
    let stop = AtomicBool::new(false);
    let (tally, first, shares) = thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let load = scope.spawn(|| steady(director.addr()).run_until(&stop));
        until(PATIENCE, "the load runs", || hosts[1].record().accepted() > 20);
        director.write_config(Service::with(&[&hosts[0], &hosts[1], &hosts[2]]));
        let since = Instant::now();
        assert!(director.reload().contains("reloaded"));
        until(PATIENCE, "the new host serves", || hosts[2].record().accepted() > 0);
        let first = since.elapsed();
        let count = || hosts.each_ref().map(|host| host.record().accepted());
        let before = count();
        thread::sleep(Duration::from_secs(1));
        let after = count();
        stop.store(true, Relaxed);
        (load.join().unwrap(), first, [0, 1, 2].map(|host| after[host] - before[host]))
    });
    let sum: u64 = shares.iter().sum();
    let worst = shares.iter().map(|share| (*share as f64 * 3.0 / sum as f64 - 1.0).abs() * 100.0).fold(0.0, f64::max);
    figure("new host serves after, ms", ms(first));
    figure("shares of three hosts in the next second", format!("{shares:?}, at most {worst:.1} % off"));
    assert_eq!(tally.failed(), 0, "{tally}");
    assert!(first < support::wait::allowed(Duration::from_secs(1)), "{first:?}");
    assert!(worst < 3.0, "{shares:?}");
    director.finish();
}

#[test]
fn weights_changed_under_load_are_followed_exactly_and_zero_drains() {
    let _alone = lock::alone();
    let hosts = ["a", "b"].map(|name| Host::plan(name, scripts::churn()).workers(8).start());
    let service = |weight: u32| {
        let weight = format!(r#"weight="{weight}""#);
        Service::new("s").scheduler("weighted").host("a", hosts[0].addr()).host_with("b", hosts[1].addr(), &weight)
    };
    let director = Director::plan(service(1)).start();
    let connections: u64 = sized(2200, 11_000);
    let mut tag = 0;
    let mut share = |weight| {
        director.write_config(service(weight));
        assert!(director.reload().contains("reloaded"));
        let before = hosts[1].record().accepted();
        tag += 1;
        let tally = Churn::new(director.addr(), connections, 8).tag(tag).run();
        assert_eq!(tally.failed(), 0, "{tally}");
        hosts[1].record().accepted() - before
    };
    for (weight, expected) in [(1, connections / 2), (10, connections * 10 / 11), (0, 0), (1, connections / 2)] {
        let got = share(weight);
        let off = got.abs_diff(expected) as f64 * 100.0 / connections as f64;
        figure(&format!("share of a host of weight {weight} beside one of 1"), format!("{got}, {off:.2} % off"));
        assert!(off <= if weight == 0 { 0.0 } else { 1.0 }, "weight {weight}: {got} instead of {expected}");
    }
    director.finish();
}

#[test]
fn rotation_is_exact_over_all_reactors_and_listeners() {
    let hosts = ["a", "b", "c"].map(|name| Host::serve(name, scripts::tell_name()));
    for reactors in [1, 2, 4] {
        let service = Service::with(&[&hosts[0], &hosts[1], &hosts[2]]).listen("127.0.0.1:0").listen("127.0.0.1:0");
        let director = Director::plan(service).threads(reactors).start();
        let addrs = director.addrs("s");
        let answers: String =
            (0..sized(300, 3000)).map(|number| Client::connect(addrs[number % 2]).read_text().0).collect();
        let breaks = answers.as_bytes().chunks(3).filter(|three| *three != b"abc").count();
        figure(&format!("breaks in the rotation of {} clients over {reactors} reactors", answers.len()), breaks);
        assert_eq!(breaks, 0, "{answers}");
        director.finish();
    }
}

#[test]
fn rotation_under_load_gives_every_host_the_same() {
    let _alone = lock::alone();
    let hosts = ["a", "b", "c"].map(|name| Host::plan(name, scripts::churn()).workers(4).start());
    let director = Director::start(&[&hosts[0], &hosts[1], &hosts[2]]);
    let tally = Churn::new(director.addr(), sized(1500, 30_000), 16).run();
    let served = hosts.each_ref().map(|host| host.record().accepted());
    figure("three hosts under load in turn", format!("{served:?}"));
    assert_eq!(tally.failed(), 0, "{tally}");
    assert!(served.iter().all(|count| *count == tally.total() / 3), "{served:?}");
    director.finish();
}

#[test]
fn limit_of_a_host_is_never_exceeded() {
    let _alone = lock::alone();
    const MAX: u32 = 5;
    // It counts down before it closes, so that what it counts is never too much.
    let slow = || {
        scripts::script(|visit| {
            let mut request = [0; 4];
            if visit.read_exact(&mut request) {
                thread::sleep(Duration::from_millis(3));
                visit.send(&request);
            }
        })
    };
    let hosts = ["a", "b"].map(|name| Host::serve(name, slow()));
    for scheduler in ["roundrobin", "leastconns"] {
        let service = hosts.iter().fold(Service::new("s").scheduler(scheduler), |service, host| {
            service.host_with(host.name(), host.addr(), &format!(r#"max="{MAX}""#))
        });
        let director = Director::plan(service).start();
        let (clients, each) = (50, sized(20, 200));
        thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    for _ in 0..each {
                        let client = Client::connect(director.addr());
                        client.send(b"ping");
                        assert_eq!(client.read_to_end(PATIENCE), (b"ping".to_vec(), End::Eof));
                    }
                });
            }
        });
        let peaks = hosts.each_ref().map(|host| host.record().peak());
        figure(
            &format!("{scheduler}: most connections at hosts of max {MAX}, {clients} clients"),
            format!("{peaks:?}"),
        );
        // Who is moved on from a host that is slow to answer leaves it a connection that it has still to see the end of.
        let left = u32::try_from(director.finish().services_sum("retries")).expect("few");
        for peak in peaks {
            assert!((MAX..=MAX + left).contains(&peak), "{peaks:?} with {left} moved on");
        }
    }
}

#[test]
fn counts_are_right_after_every_kind_of_failure() {
    let _alone = lock::alone();
    let full = Full::new("full");
    let (dead, good) = (Host::dead("dead"), Host::serve("good", churn_or_echo()));
    let serve = |name: &str, script: Script| Host::serve(name, script);
    let bad = [
        serve("resets", scripts::reset_at_once()),
        serve("closes", scripts::close_at_once()),
        serve("reads-then-resets", scripts::read_then_reset(24)),
        serve("mute", scripts::listen_only()),
    ];
    let all: Vec<&Host> = bad.iter().chain([&full.host, &dead, &good]).collect();
    let service = Service::with(&all).scheduler("leastconns").set("connect-timeout", "1s").set("idle-timeout", "2s");
    let director = Director::plan(Config::new(service).host_check("20ms")).log_lines_max(5000).start();
    let addr = director.addr();
    let rounds = sized(60, 2000);
    thread::scope(|scope| {
        scope.spawn(|| Churn::new(addr, rounds * 4, 8).run());
        scope.spawn(|| {
            for number in 0..rounds {
                let client = Client::connect(addr);
                match number % 4 {
                    0 => client.reset(),
                    1 => client.finish_sending(),
                    2 => drop(std::io::Write::write_all(&mut client.stream(), &[0; 24])),
                    _ => thread::sleep(Duration::from_millis(3)),
                }
            }
        });
    });
    let counters = director.wait_for_counters(PATIENCE, "nothing is open", |all| all.held() == 0);
    let failed: Vec<String> =
        counters.hosts.iter().map(|host| format!("{}={}", host.text("host").unwrap(), host.number("failed"))).collect();
    figure("open after every kind of failure", counters.hosts_sum("open"));
    figure("failures counted", failed.join(" "));
    assert_eq!(counters.host("good").number("failed"), 0);
    assert!(counters.host("dead").number("failed") > 0 && counters.host("resets").number("failed") > 0);
    // What is open is counted to the last one.
    director.write_config(Service::with(&[&good]).scheduler("leastconns"));
    assert!(director.reload().contains("reloaded"));
    let held: Vec<Client> = (0..50).map(|_| echoing(addr)).collect();
    director.wait_for_counters(PATIENCE, "they are counted", |all| all.host("good").number("open") == 50);
    drop(held);
    director.finish();
}

#[test]
fn host_that_froze_is_left_alone_by_leastconns() {
    let _alone = lock::alone();
    let frozen = Arc::new(AtomicBool::new(false));
    let is_frozen = Arc::clone(&frozen);
    let freezing = scripts::script(move |visit| {
        holds_within(PATIENCE, || !is_frozen.load(Relaxed));
        churn::serve(visit);
    });
    let (a, b) = (Host::plan("a", scripts::churn()).workers(8).start(), Host::serve("b", freezing));
    let director = Director::plan(Service::with(&[&a, &b]).scheduler("leastconns")).start();
    let stop = AtomicBool::new(false);
    let (tally, at_once, later) = thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let load = scope.spawn(|| Churn::new(director.addr(), u64::MAX, 32).per_second(RATE).run_until(&stop));
        until(PATIENCE, "the load runs", || a.record().accepted() + b.record().accepted() > 40);
        frozen.store(true, Relaxed);
        let before = b.record().accepted();
        thread::sleep(Duration::from_secs(1));
        let after_one = b.record().accepted();
        thread::sleep(sized(Duration::from_secs(2), Duration::from_secs(4)));
        let after_all = b.record().accepted();
        frozen.store(false, Relaxed);
        until(PATIENCE, "they are let go", || b.record().open() == 0);
        stop.store(true, Relaxed);
        (load.join().unwrap(), after_one - before, after_all - after_one)
    });
    figure("clients sent to a frozen host in the first second, and later", format!("{at_once}, {later}"));
    figure("beside a frozen host", slow(&tally));
    assert_eq!(tally.failed(), 0, "{tally}");
    assert!(at_once + later <= 20, "{at_once} and {later}");
    assert_eq!(director.log().count(Mark::default(), &["new=down"]), 0);
    director.finish();
}

/// Serves the load's clients, and echoes for those that send a line first.
fn churn_or_echo() -> Script {
    scripts::script(|visit| {
        let mut first = [0];
        if visit.stream.peek(&mut first).is_ok_and(|count| count == 1) && first == *b"e" {
            visit.receive(|piece| {
                visit.send(piece);
            });
        } else {
            churn::serve(visit);
        }
    })
}

/// A client of an echoing host that has been answered.
fn echoing(addr: SocketAddr) -> Client {
    let client = Client::connect(addr);
    assert!(echoes(&client));
    client
}

fn echoes(client: &Client) -> bool {
    let mut answer = [0];
    client.stream().set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
    std::io::Write::write_all(&mut client.stream(), b"e").is_ok()
        && std::io::Read::read_exact(&mut client.stream(), &mut answer).is_ok()
        && answer == *b"e"
}

/// Clients at an even pace without end.
fn steady(addr: SocketAddr) -> Churn {
    Churn::new(addr, u64::MAX, 8).per_second(RATE)
}

fn slow(tally: &Tally) -> String {
    format!("{} of {} above 200 ms, worst {} ms", tally.slow, tally.total(), ms(tally.worst()))
}
