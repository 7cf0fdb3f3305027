//! A process with nothing to do does nothing: no thread of it wakes up. And many services and hosts cost what they must.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use director::model::limits::TELL_AFTER;
use support::process::Process;
use support::scratch::Scratch;
use support::wait::ms;
use support::{Client, Config, Director, Host, PATIENCE, Service, figure, lock, scripts, sized, until};

mod support;

/// Without a heartbeat and names there is nothing to do but what clients ask for.
fn window() -> Duration {
    sized(Duration::from_secs(2), Duration::from_secs(20))
}

/// How often each thread of the process was given the processor, by name.
fn wake_ups(process: Process) -> BTreeMap<(u32, String), u64> {
    let switches = |id: u32| {
        let status = fs::read_to_string(format!("/proc/{}/task/{id}/status", process.0)).expect("the thread lives");
        let fields = status.lines().filter_map(|line| line.split_once(':'));
        let counts = fields.filter(|(name, _)| name.ends_with("voluntary_ctxt_switches"));
        counts.map(|(_, count)| count.trim().parse::<u64>().expect("a number")).sum()
    };
    process.threads().into_iter().map(|(id, name)| ((id, name), switches(id))).collect()
}

/// Waits until no thread has run for a moment, then asserts that none does for a while.
#[track_caller]
fn assert_sleeps(director: &Director, what: &str) {
    let process = director.process();
    until(PATIENCE, "it settles", || {
        let before = wake_ups(process);
        // What was said last is told a moment later.
        thread::sleep(TELL_AFTER + Duration::from_millis(100));
        wake_ups(process) == before
    });
    let (before, cpu) = (wake_ups(process), process.cpu_time());
    thread::sleep(window());
    let after = wake_ups(process);
    let woken: Vec<_> = after.iter().filter(|(thread, count)| before.get(thread) != Some(count)).collect();
    assert!(woken.is_empty(), "{what}: {woken:?} ran, before: {before:?}");
    assert_eq!(process.cpu_time(), cpu, "{what}");
    figure(&format!("wake-ups of {} threads in {:?}, {what}", after.len(), window()), 0);
}

fn unused(number: u32) -> SocketAddr {
    let [_, _, high, low] = number.to_be_bytes();
    SocketAddr::from(([127, 1, high, low], 9))
}

/// So many services with so many hosts each.
fn many(services: u32, hosts: u32, scheduler: &str) -> Config {
    let service = |number: u32| {
        let service = Service::new(&format!("s{number}")).scheduler(scheduler);
        (0..hosts).fold(service, |service, host| service.host(&format!("h{host}"), unused(number * hosts + host)))
    };
    (1..services).fold(Config::new(service(0)), |config, number| config.and(service(number)))
}

#[test]
fn idle_process_makes_no_wake_ups() {
    let _alone = lock::alone();
    let host = Host::serve("a", scripts::tell_name());
    let director = Director::start(&[&host]);
    assert_sleeps(&director, "nothing open");
    director.finish();
}

#[test]
fn idle_connections_make_no_wake_ups() {
    let _alone = lock::alone();
    let host = Host::serve("a", scripts::echo());
    let director = Director::start(&[&host]);
    let clients: Vec<Client> = (0..sized(100, 500))
        .map(|_| {
            let client = Client::connect(director.addr());
            client.send(b"hello");
            assert_eq!(client.read_exact(5), b"hello");
            client
        })
        .collect();
    assert_sleeps(&director, &format!("{} connections open", clients.len()));
    drop(clients);
    director.finish();
}

#[test]
fn access_log_and_status_page_that_have_nothing_to_tell_make_no_wake_ups() {
    let _alone = lock::alone();
    let (host, folder) = (Host::serve("a", scripts::echo()), Scratch::new());
    let [log, page] = ["access.log", "status.html"].map(|name| folder.path(name));
    let more = format!("<access-log file='{}'/><status file='{}'/></director>", log.display(), page.display());
    let text = Config::new(Service::with(&[&host])).xml().replace("</director>", &more);
    let director = Director::plan_text(&text).start();
    let client = Client::connect(director.addr());
    client.send(b"hello");
    assert_eq!(client.read_exact(5), b"hello");
    Client::connect(director.addr()).finish_sending();
    until(PATIENCE, "a line", || fs::read_to_string(&log).is_ok_and(|text| text.ends_with('\n')));
    assert_sleeps(&director, "one connection open beside an access log");
    drop(client);
    director.finish();
}

#[test]
fn host_that_was_down_and_came_back_leaves_no_wake_ups_behind() {
    let _alone = lock::alone();
    let mut host = Host::serve("a", scripts::tell_name());
    let director = Director::start(&[&host]);
    host.stop();
    let mark = director.log().mark();
    let client = Client::connect(director.addr());
    director.wait_for_state(mark, "a", "down", PATIENCE);
    drop(client);
    host.start();
    director.wait_for_state(mark, "a", "up", PATIENCE);
    assert_sleeps(&director, "after a host came back");
    director.finish();
}

#[test]
fn many_services_and_hosts_start_soon_stay_small_and_sleep() {
    let _alone = lock::alone();
    for (services, hosts) in [(1000, 10), (1, 10_000)] {
        let what = format!("{services} services of {hosts} hosts");
        let config = many(services, hosts, "leastconns");
        let begun = Instant::now();
        let (status, _, log) = Director::plan(config.clone()).args(&["--check"]).run();
        assert!(status.success(), "{log}");
        let checked = begun.elapsed();
        let begun = Instant::now();
        let mut director = Director::plan(config).start();
        let started = begun.elapsed();
        let megabytes = director.process().resident_bytes() / (1 << 20);
        figure(
            &format!("{what}: ms to check, ms to start, MiB"),
            format!("{}, {}, {megabytes}", ms(checked), ms(started)),
        );
        assert!(started < support::wait::allowed(Duration::from_secs(5)), "{what}: {started:?}");
        assert!(megabytes < 64, "{what}: {megabytes} MiB");
        assert_sleeps(&director, &what);
        director.stop(PATIENCE);
    }
}
