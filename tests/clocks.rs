//! Time and threads that misbehave: clocks that jump, a process that stands still, listeners that close, a reactor that
//! panics, and counters that are read in the middle of it all.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use support::counters::Counters;
use support::log::Mark;
use support::scratch::Scratch;
use support::wait::{StopAtEnd, ms};
use support::{
    Churn, Client, Config, Director, End, Full, Host, Netns, PATIENCE, Service, figure, lock, scripts, sized, until,
};

mod support;

#[test]
fn clients_in_the_queue_of_a_balancer_that_ends_are_served() {
    const CLIENTS: usize = 100;
    let host = Host::serve("a", scripts::greet());
    let mut director = Director::start(&[&host]);
    let addr = director.addr();
    director.process().signal(libc::SIGSTOP);
    let clients: Vec<Client> = (0..CLIENTS).map(|_| asking(addr)).collect();
    director.process().signal(libc::SIGTERM);
    director.process().signal(libc::SIGCONT);
    let served = clients.iter().filter(|client| client.read_text() == ("a\nx".to_owned(), End::Eof)).count();
    figure("clients in the queue served after SIGTERM", format!("{served} of {CLIENTS}"));
    assert_eq!(served, CLIENTS);
    drop(clients);
    assert_eq!(director.wait_for_exit(PATIENCE).code(), Some(0));
}

#[test]
fn clients_in_the_queue_of_a_listener_that_is_removed_are_served() {
    const CLIENTS: usize = 100;
    let netns = Netns::new();
    let host = netns.run(|| Host::serve("a", scripts::greet()));
    let service = |listens: &[&str]| {
        listens.iter().fold(Service::with(&[&host]), |service, listen| service.listen(listen.to_owned()))
    };
    let director = Director::plan(service(&["127.0.0.1:8000", "127.0.0.1:8001"])).inside(&netns).start();
    let removed: SocketAddr = "127.0.0.1:8001".parse().unwrap();
    director.write_config(service(&["127.0.0.1:8000"]));
    director.process().signal(libc::SIGSTOP);
    let clients: Vec<Client> = netns.run(|| (0..CLIENTS).map(|_| asking(removed)).collect());
    director.process().signal(libc::SIGHUP);
    director.process().signal(libc::SIGCONT);
    let served = clients.iter().filter(|client| client.read_text() == ("a\nx".to_owned(), End::Eof)).count();
    figure("clients in the queue served after the removal", format!("{served} of {CLIENTS}"));
    assert_eq!(served, CLIENTS);
    let refused = || netns.run(|| Client::try_connect(removed, PATIENCE)).is_err();
    until(PATIENCE, "the removed listener refuses", refused);
    drop(clients);
    director.finish();
}

#[test]
fn wall_clock_that_jumps_ends_no_connection() {
    let _alone = lock::alone();
    let wall = WallClock::new();
    let idle = Duration::from_secs(2);
    let host = Host::serve("a", scripts::greet());
    let config = Config::new(Service::with(&[&host]).set("idle-timeout", "2s")).heartbeat("100ms", "200ms");
    let director = Director::plan(config).through(&wall.wrapper()).start();
    let clients: Vec<(Client, Instant)> = (0..20)
        .map(|_| {
            let client = Client::connect(director.addr());
            client.read_exact(2);
            (client, Instant::now())
        })
        .collect();
    let mut dates = Vec::new();
    for days in ["+1d", "-1d", "+0"] {
        wall.set(days);
        thread::sleep(Duration::from_millis(400));
        let counters = director.counters();
        assert_eq!(counters.services_sum("open"), 20, "after {days}: {counters:#?}");
        let line = director.log().lines().pop().expect("a line");
        dates.push(line.chars().take(10).collect::<String>());
    }
    let ends: Vec<(End, Duration)> =
        clients.iter().map(|(client, since)| client.wait_for_end(*since, PATIENCE)).collect();
    let late = ends.iter().map(|(_, took)| took.abs_diff(idle)).max().expect("ends");
    figure("dates in the log after +1 day, -1 day, and back", dates.join(", "));
    figure("idle timeout missed meanwhile by, ms at most", ms(late));
    assert!(ends.iter().all(|(end, _)| *end == End::Reset), "{ends:?}");
    assert!(late < support::wait::allowed(Duration::from_millis(200)), "{late:?}");
    assert!(dates[0] > dates[2] && dates[1] < dates[2], "the log does not follow: {dates:?}");
    assert_eq!(director.log().count(Mark::default(), &["new=down"]), 0);
    drop(clients);
    director.finish();
}

#[test]
fn process_that_stood_still_cuts_nobody_and_blames_no_host() {
    let _alone = lock::alone();
    let frozen = sized(Duration::from_secs(3), Duration::from_secs(10));
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::greet()));
    let full = Full::new("full");
    let dead = Service::new("dead").host("full", full.host.addr()).set("connect-timeout", "1s");
    let config = Config::new(Service::with(&[&hosts[0], &hosts[1]]).set("idle-timeout", "2s")).and(dead);
    let director = Director::plan(config.heartbeat("100ms", "200ms")).start();
    let addr = director.addrs("s")[0];
    let ping = |client: &Client| {
        client.send(b"x");
        assert_eq!(client.read_exact(1), b"x");
    };
    let clients: Vec<Client> = (0..100).map(|_| Client::connect(addr)).collect();
    clients.iter().for_each(|client| drop(client.read_exact(2)));
    clients.iter().for_each(&ping);
    let mark = director.log().mark();
    let connecting = Client::connect(director.addrs("dead")[0]);
    thread::sleep(Duration::from_millis(300));
    director.process().signal(libc::SIGSTOP);
    thread::sleep(frozen);
    // Half of them spoke meanwhile, the others will a moment later.
    let (busy, quiet) = clients.split_at(50);
    busy.iter().for_each(|client| client.send(b"x"));
    director.process().signal(libc::SIGCONT);
    let resumed = Instant::now();
    let waiting = thread::spawn(move || connecting.wait_for_end(resumed, PATIENCE).1);
    let answered = busy.iter().filter(|client| hears(client, b"x")).count();
    thread::sleep(Duration::from_millis(200));
    let still = quiet
        .iter()
        .filter(|client| std::io::Write::write_all(&mut client.stream(), b"x").is_ok() && hears(client, b"x"));
    let (still, ended) = (still.count(), waiting.join().unwrap());
    let noticed = director.counters().reactors.iter().filter(|one| one.number("freezes") > 0).count();
    let ejected = director.log().count(mark, &["new=down", "service=s "]);
    figure(
        &format!("alive after {frozen:?} of standing still, with bytes and without"),
        format!("{answered} and {still} of 50"),
    );
    figure("hosts put out by it", ejected);
    figure("rest of a connect timeout of 1 s begun 0.3 s before, s", format!("{:.2}", ended.as_secs_f64()));
    figure("reactors that noticed", noticed);
    assert_eq!((answered, still, ejected), (50, 50, 0));
    assert!(
        ended > Duration::from_millis(300) && ended < support::wait::allowed(Duration::from_millis(1500)),
        "{ended:?}"
    );
    // Probes of it end at once from here on.
    drop(full);
    drop(clients);
    director.finish();
}

#[test]
fn reactor_that_panics_loses_its_own_pairs_and_serves_again_at_once() {
    let _alone = lock::alone();
    if !cfg!(debug_assertions) {
        return figure("panic of a reactor", "not provoked, a release build cannot be asked to");
    }
    let host = Host::serve("a", scripts::greet());
    let (director, clients, left) = with_a_panic(&host);
    let since = Instant::now();
    let mut served = Duration::ZERO;
    for _ in 0..left {
        let since = Instant::now();
        let client = Client::connect(director.addr());
        assert!(hears(&client, b"a\n"), "a client was lost after the panic");
        served = served.max(since.elapsed());
        client.reset();
    }
    let all_served = since.elapsed();
    let line = director.wait_for_log(&["reactor restarted"], PATIENCE);
    let lost: usize = line.split("lost=").nth(1).and_then(|text| text.trim().parse().ok()).expect("how many were lost");
    let live = |client: &Client| std::io::Write::write_all(&mut client.stream(), b"x").is_ok() && hears(client, b"x");
    let alive = clients.iter().filter(|client| live(client)).count();
    figure("pairs lost with the reactor that panicked", format!("{lost}, of {} on both", clients.len() + 1));
    figure("pairs alive on the other", alive);
    figure(&format!("each of {left} clients after it served in, ms at most"), ms(served));
    figure(&format!("{left} clients served after, ms"), ms(all_served));
    assert_eq!(lost, 30);
    assert_eq!(alive, clients.len() + 1 - lost);
    assert!(served < support::wait::allowed(Duration::from_millis(100)), "{served:?}");
    drop(clients);
    let counters = director.finish();
    assert_eq!(counters.service("s").number("closed-panicked"), 30);
    assert_eq!(counters.reactors_sum("panics"), 1);
}

#[test]
fn counters_read_at_any_moment_agree_with_each_other() {
    let _alone = lock::alone();
    let (a, b) =
        (Host::plan("a", scripts::churn()).workers(8).start(), Host::plan("b", scripts::churn()).workers(8).start());
    let dead = Host::dead("dead");
    let service = Service::with(&[&a, &b, &dead]).scheduler("leastconns");
    let director = Director::plan(Config::new(service).host_check("20ms")).log_lines_max(2000).start();
    let (stop, mut before, mut scrapes) = (AtomicBool::new(false), None::<Counters>, 0);
    let tally = thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let load = scope.spawn(|| Churn::new(director.addr(), u64::MAX, 16).run_until(&stop));
        let since = Instant::now();
        while since.elapsed() < sized(Duration::from_secs(2), Duration::from_secs(60)) {
            let next = Instant::now() + Duration::from_millis(20);
            let counters = director.counters();
            assert_coherent(&counters, before.as_ref());
            (before, scrapes) = (Some(counters), scrapes + 1);
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        stop.store(true, Relaxed);
        load.join().unwrap()
    });
    figure("scrapes under load, none of them contradictory", format!("{scrapes}, {tally}"));
    assert!(scrapes > 40, "{scrapes}");
    assert_eq!(tally.failed(), 0, "{tally}");
    director.finish();
}

/// A balancer of which one reactor has just panicked at its 30th client and the other one is far from it, with the
/// clients that came before, and how many more may come before the other panics too.
fn with_a_panic(host: &Host) -> (Director, Vec<Client>, u64) {
    for _ in 0..50 {
        let director = Director::plan(Service::with(&[host])).through(&["env", "DIRECTOR_PANIC_AT=30"]).start();
        let mut clients = Vec::new();
        while let Ok(client) = Client::try_connect(director.addr(), PATIENCE)
            && hears(&client, b"a\n")
        {
            clients.push(client);
            assert!(clients.len() < 60, "no reactor panicked");
        }
        let counters = director.counters();
        let others = counters.reactors.iter().filter(|reactor| reactor.number("panics") == 0);
        let left: u64 = others.map(|reactor| 29 - reactor.number("accepted")).sum();
        if left >= 8 {
            return (director, clients, left);
        }
    }
    panic!("the kernel gives both reactors the same");
}

/// No count is impossible, and none that only grows has shrunk.
///
/// They are read one after the other while connections come and go: hosts after their service. What a reactor had
/// accepted when its line was written, last of all, and what the service had not yet counted bounds the difference.
fn assert_coherent(now: &Counters, before: Option<&Counters>) {
    const SANE: u64 = 1000;
    let service = now.service("s");
    let (open, accepted) = (service.number("open"), service.number("accepted"));
    let meanwhile = now.reactors_sum("accepted").checked_sub(accepted).expect("reactors accept before services count");
    let at_hosts = now.hosts_sum("open");
    assert!(now.hosts.iter().all(|host| host.number("open") < SANE), "below zero: {now:#?}");
    assert!(open < SANE && now.reactors.iter().all(|reactor| reactor.number("open") < SANE), "below zero: {now:#?}");
    // One a reactor may be between being accepted and being counted.
    assert!(at_hosts <= open + meanwhile + 2, "{at_hosts} at hosts, {open} and {meanwhile} at services: {now:#?}");
    assert!(now.closed() <= now.reactors_sum("accepted"), "{now:#?}");
    let Some(before) = before else { return };
    for key in ["accepted", "retries"] {
        assert!(service.number(key) >= before.service("s").number(key), "{key} shrank: {now:#?}");
    }
    assert!(now.closed() >= before.closed(), "closed shrank: {now:#?}");
    for key in ["established", "failed", "bytes-up", "bytes-down"] {
        assert!(now.hosts_sum(key) >= before.hosts_sum(key), "{key} shrank: {now:#?}");
    }
}

/// Whether the next thing that a client hears is this, and not an end.
fn hears(client: &Client, expected: &[u8]) -> bool {
    let mut bytes = vec![0; expected.len()];
    client.stream().set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
    std::io::Read::read_exact(&mut client.stream(), &mut bytes).is_ok() && bytes == expected
}

/// A client that has asked and said that this was all.
fn asking(addr: SocketAddr) -> Client {
    let client = Client::connect(addr);
    client.send(b"x");
    client.finish_sending();
    client
}

/// The time of day as the balancer sees it; its monotonic clock stays what it is.
struct WallClock {
    directory: Scratch,
}

impl WallClock {
    fn new() -> Self {
        let clock = Self { directory: Scratch::new() };
        clock.set("+0");
        clock
    }

    /// Sets it so far from the true time, such as `+1d`.
    fn set(&self, offset: &str) {
        let (new, path) = (self.directory.path("new"), self.path());
        fs::write(&new, offset).and_then(|()| fs::rename(new, path)).expect("set the wall clock");
    }

    fn wrapper(&self) -> Vec<String> {
        let path = self.path();
        let variables = [
            format!("LD_PRELOAD={}", library().display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", path.display()),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
            "FAKETIME_NO_CACHE=1".to_owned(),
        ];
        std::iter::once("env".to_owned()).chain(variables).collect()
    }

    fn path(&self) -> PathBuf {
        self.directory.path("time")
    }
}

/// The library that stands between a program and the time of day (Debian package `faketime`).
fn library() -> PathBuf {
    let places = fs::read_dir("/usr/lib").into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut found = places.map(|place| place.join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    found.next().expect("the package faketime is installed")
}
