//! What once went wrong: a test each.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use director::balancer::{Balancer, Next};
use director::model::id::HostId;
use director::model::outcome::{CloseReason, Side};
use director::model::scheduler::SchedulerKind;
use director::model::service::{HostSpec, ServiceSpec};
use director::model::status::HostStatus;
use director::model::time::Moment;
use director::model::update::Update;
use director::reactor::Splice;
use support::plane::{LONG, Plane, next, pair, played_host, reset, service};
use support::strace::Strace;
use support::wait::holds_within;
use support::{Client, Config, Director, End, Host, PATIENCE, Service, figure, scripts, socket, until};

mod support;

#[test]
fn draining_after_a_shortage_of_descriptors_costs_no_processor_time() {
    let host = Host::serve("a", scripts::echo());
    let mut director = Director::plan(Service::with(&[&host])).args(&["--drain-timeout", "60s"]).threads(1).start();
    let open = Client::connect(director.addr());
    open.send(b"ping");
    assert_eq!(open.read_exact(4), b"ping");
    let pid = director.process().0.to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, "--nofile=8"]).status().expect("run prlimit");
    assert!(limited.success());
    let _queued = Client::connect(director.addr());
    director.wait_for_log(&["accept"], PATIENCE);
    director.process().signal(libc::SIGTERM);
    director.wait_for_log(&["draining"], PATIENCE);
    thread::sleep(Duration::from_millis(300));
    let before = director.process().cpu_time();
    thread::sleep(Duration::from_millis(500));
    let spent = director.process().cpu_time() - before;
    figure("processor time in 500 ms of draining, ms", support::wait::millis(spent));
    assert!(spent < Duration::from_millis(50), "it spins: {spent:?}");
    drop(open);
    director.wait_for_exit(PATIENCE);
}

#[test]
fn listener_is_gone_while_the_last_connections_drain() {
    let host = Host::serve("a", scripts::echo());
    let mut director = Director::plan(Service::with(&[&host])).args(&["--drain-timeout", "60s"]).start();
    let open = Client::connect(director.addr());
    open.send(b"ping");
    assert_eq!(open.read_exact(4), b"ping");
    director.process().signal(libc::SIGTERM);
    director.wait_for_log(&["draining"], PATIENCE);
    let refused = || {
        let refused = Client::try_connect(director.addr(), PATIENCE).err();
        refused.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    // An accept queue that nobody empties takes thousands before it takes no more.
    assert!(holds_within(Duration::from_millis(500), refused), "newcomers are left hanging");
    drop(open);
    director.wait_for_exit(PATIENCE);
}

#[test]
fn reactor_that_panics_while_it_drains_ends_at_once() {
    let host = played_host();
    let spec = service(0, &[(&host, None)]);
    let plane = Plane::start(1, |settings| (settings.max_connections, settings.panic_at) = (1, Some(2)));
    let addr = plane.listen(0, &spec);
    let (_client, _at_host) = pair(addr, &host);
    let _queued = TcpStream::connect(addr).unwrap();
    plane.wait_for_pauses(1);
    let start = Instant::now();
    plane.post(0, Update::Drain(LONG));
    let ended = thread::spawn(move || plane.reactors.join());
    until(PATIENCE, "it ends with its last pair", || ended.is_finished());
    figure("end of a reactor that panicked while it drained after, ms", support::wait::millis(start.elapsed()));
    assert_eq!(spec.counters.closed(CloseReason::Panicked), 2);
}

#[test]
fn reactor_that_panicked_has_reset_its_pairs_and_serves_all_its_listeners() {
    let host = played_host();
    let spec = service(0, &[(&host, None)]);
    let plane = Plane::start(1, |settings| (settings.max_connections, settings.panic_at) = (2, Some(2)));
    let listeners = [plane.listen(0, &spec), plane.listen(0, &spec)];
    let (client, at_host) = pair(listeners[0], &host);
    let _fatal = TcpStream::connect(listeners[1]).unwrap();
    for mut lost in [client, at_host] {
        assert_eq!(lost.read(&mut [0]).expect_err("a reset").kind(), io::ErrorKind::ConnectionReset);
    }
    // Both places are free again; and when they are taken, both listeners pause and both go on.
    let open = listeners.map(|addr| pair(addr, &host));
    let waiting = listeners.map(|addr| TcpStream::connect(addr).unwrap());
    plane.wait_for_pauses(2);
    drop(open);
    assert!(waiting.iter().all(|_| next(&host, PATIENCE).is_some()), "both are served");
    plane.end();
}

#[test]
fn place_at_the_limit_is_given_back_once_however_a_pair_ends() {
    let (host, dead) = (played_host(), TcpListener::bind("127.0.0.1:0").unwrap());
    let spec = ServiceSpec { idle_timeout: Duration::from_millis(200), ..service(0, &[(&host, None)]) };
    let nobody = service(1, &[(&dead, None)]);
    drop(dead);
    let plane = Plane::start(1, |settings| settings.max_connections = 2);
    let (addr, lost) = (plane.listen(0, &spec), plane.listen(0, &nobody));
    for round in 1..=3 {
        drop(pair(addr, &host));
        reset(pair(addr, &host).0);
        let (_client, at_host) = pair(addr, &host);
        reset(at_host);
        let (mut idle, _at_host) = pair(addr, &host);
        assert!(idle.read(&mut [0]).is_err(), "idle pairs are reset");
        assert_eq!(TcpStream::connect(lost).unwrap().read(&mut [0]).unwrap(), 0);
        until(PATIENCE, "all are counted", || spec.counters.closed_total() == 4 * round);
        until(PATIENCE, "the lost one too", || nobody.counters.closed_total() == round);
    }
    let pauses = plane.pauses();
    let _open = [pair(addr, &host), pair(addr, &host)];
    assert_eq!(plane.pauses(), pauses, "two are below the limit");
    let _third = TcpStream::connect(addr).unwrap();
    plane.wait_for_pauses(pauses + 1);
    plane.end();
}

#[test]
fn reset_waits_for_a_late_reader_that_keeps_sending() {
    const BYTES: u64 = 1_000_000;
    let host = Host::serve("a", scripts::source_then_reset(3, BYTES));
    let director = Director::start(&[&host]);
    let client = Client::connect_narrow(director.addr(), 8 * 1024);
    until(PATIENCE, "the host has reset", || host.record().accepted() == 1 && host.record().open() == 0);
    for _ in 0..500 {
        client.send(b"more");
        thread::sleep(Duration::from_millis(1));
    }
    let received = client.receive_pattern(3, PATIENCE * 3);
    figure("bytes delivered before the reset", format!("{} of {BYTES}", received.bytes));
    assert_eq!((received.bytes, received.wrong_at, received.end), (BYTES, None, End::Reset));
    drop(client);
    director.finish();
}

#[test]
fn reset_waits_for_a_reader_that_is_slower_than_the_idle_time() {
    const BYTES: u64 = 1_000_000;
    let host = Host::serve("a", scripts::source_then_reset(3, BYTES));
    let director = Director::plan(Service::with(&[&host]).set("idle-timeout", "1s")).start();
    let client = Client::connect_narrow(director.addr(), 8 * 1024);
    let mut expected = support::pattern::Pattern::new(3);
    let received = socket::receive(client.stream(), PATIENCE * 3, |piece| {
        assert_eq!(expected.check(piece), Ok(()));
        thread::sleep(Duration::from_micros(piece.len() as u64 * 3));
    });
    figure("bytes delivered before the reset", format!("{} of {BYTES}", received.bytes));
    assert_eq!((received.bytes, received.end), (BYTES, End::Reset));
    drop(client);
    director.finish();
}

#[test]
fn urgent_byte_that_nothing_follows_is_passed_on() {
    let host = played_host();
    let spec = service(0, &[(&host, Some(1))]);
    let plane = Plane::start(1, |_| ());
    let addr = plane.listen(0, &spec);
    let (first, at_host) = pair(addr, &host);
    // It waits for room, so that all of it is there at the first read.
    let mut second = TcpStream::connect(addr).unwrap();
    second.set_nodelay(true).unwrap();
    second.write_all(b"abc").unwrap();
    socket::send_urgent(&second, b'U');
    until(PATIENCE, "it waits", || spec.counters.waiting.load(Relaxed) == 1);
    drop((first, at_host));
    let mut at_host = next(&host, PATIENCE).expect("its turn");
    at_host.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let mut received = [0; 4];
    at_host.read_exact(&mut received).expect("the urgent byte does not wait for another one");
    assert_eq!(&received, b"abcU");
    drop((second, at_host));
    plane.end();
}

#[test]
fn waiting_client_hears_of_room_elsewhere_after_another_was_turned_away() {
    let (a, b) = (played_host(), played_host());
    let (s, t) = (service(0, &[(&a, Some(1))]), service(1, &[(&b, Some(1))]));
    let plane = Plane::start(2, |_| ());
    let (s_here, s_there) = (plane.listen(0, &s), plane.listen(1, &s));
    let (t_here, t_there) = (plane.listen(0, &t), plane.listen(1, &t));
    let holding = [pair(s_there, &a), pair(t_there, &b)];
    let _waiting = TcpStream::connect(s_here).unwrap();
    until(PATIENCE, "it waits", || s.counters.waiting.load(Relaxed) == 1);
    let mut turned_away = TcpStream::connect(t_here).unwrap();
    until(PATIENCE, "it waits", || t.counters.waiting.load(Relaxed) == 1);
    plane.post(0, Update::Service(Arc::new(ServiceSpec { generation: 2, hosts: Vec::new(), ..t.clone() })));
    assert_eq!(turned_away.read(&mut [0]).unwrap(), 0);
    drop(holding);
    assert!(next(&a, Duration::from_secs(5)).is_some(), "the waiting client has its turn");
    plane.end();
}

#[test]
fn waiting_client_hears_of_the_place_that_a_failover_elsewhere_left() {
    let (a, b) = (played_host(), played_host());
    let spec = service(0, &[(&a, Some(1)), (&b, Some(1))]);
    let plane = Plane::start(2, |_| ());
    let (here, there) = (plane.listen(0, &spec), plane.listen(1, &spec));
    let (_moving, at_a) = pair(there, &a);
    let _staying = pair(there, &b);
    let _waiting = TcpStream::connect(here).unwrap();
    until(PATIENCE, "it waits", || spec.counters.waiting.load(Relaxed) == 1);
    // Nothing was said yet, so that its client moves on, to wait for the other host.
    reset(at_a);
    assert!(next(&a, Duration::from_secs(5)).is_some(), "the place that is free is taken");
    plane.end();
}

#[test]
fn pair_that_waits_for_a_buffer_after_a_reset_costs_no_turns() {
    let host = played_host();
    let spec = service(0, &[(&host, None)]);
    let plane = Plane::start(1, |settings| (settings.buffers_max, settings.splice) = (1, Splice::Off));
    let addr = plane.listen(0, &spec);
    let (mut client, mut at_host) = pair(addr, &host);
    at_host.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    let (hog, mut at_hogs_host) = pair(addr, &host);
    let filler = thread::spawn(move || while at_hogs_host.write_all(&[0; 65536]).is_ok() {});
    until(PATIENCE, "the only buffer is leased", || plane.reactors.counters()[0].buffers.load(Relaxed) == 1);
    let mut last = 0;
    until(PATIENCE, "nothing moves any more", || {
        thread::sleep(Duration::from_millis(50));
        std::mem::replace(&mut last, plane.turns(0)) == plane.turns(0)
    });
    at_host.write_all(b"last words").unwrap();
    thread::sleep(Duration::from_millis(50));
    reset(at_host);
    let before = plane.turns(0);
    thread::sleep(Duration::from_millis(300));
    let turns = plane.turns(0) - before;
    figure("turns in 300 ms of waiting for a buffer", turns);
    assert!(turns < 100, "it spins: {turns} turns");
    drop(hog);
    let mut received = [0; 10];
    client.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"last words");
    assert!(client.read(&mut [0]).is_err(), "a reset follows");
    plane.end();
    let _ = filler.join();
}

#[test]
fn host_that_resets_a_silent_pair_long_after_the_connect_is_passed_on_and_not_blamed() {
    let host = played_host();
    let spec = ServiceSpec { connect_timeout: Duration::from_millis(200), ..service(0, &[(&host, None)]) };
    let plane = Plane::start(1, |_| ());
    let addr = plane.listen(0, &spec);
    let (mut client, at_host) = pair(addr, &host);
    thread::sleep(Duration::from_millis(400));
    reset(at_host);
    let error = client.read(&mut [0]).expect_err("a reset stays a reset");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    until(PATIENCE, "it is counted", || spec.counters.closed(CloseReason::Reset(Side::Host)) == 1);
    assert_eq!(spec.hosts[0].counters.failed.load(Relaxed), 0);
    assert_eq!(plane.reports.try_recv().ok(), None);
    plane.end();
}

#[test]
fn list_of_many_hosts_that_moves_is_taken_over_at_once() {
    const HOSTS: u32 = 20_000;
    let one = played_host();
    let mut spec = service(0, &[(&one, None)]);
    spec.scheduler = SchedulerKind::Weighted;
    spec.hosts = (0..HOSTS).map(|id| HostSpec { id: HostId(id), ..spec.hosts[0].clone() }).collect();
    let mut balancer = Balancer::new(1);
    balancer.apply(Arc::new(spec.clone()));
    let client = one.local_addr().unwrap();
    let first = balancer.open(Moment::START, spec.id, client.into(), ()).unwrap();
    assert!(matches!(first.1, Next::Connect(_)));
    let mut publish = |change: &dyn Fn(&mut Vec<HostSpec>)| {
        spec.generation += 1;
        change(&mut spec.hosts);
        balancer.apply(Arc::new(spec.clone()));
    };
    let mut round = || {
        let start = Instant::now();
        publish(&|hosts| hosts.rotate_left(1));
        publish(&|hosts| hosts.iter_mut().for_each(|host| host.id.0 += HOSTS));
        publish(&|hosts| hosts[7].status = HostStatus::Down);
        start.elapsed()
    };
    let took = [round(), round(), round()].into_iter().min().unwrap();
    balancer.check().unwrap();
    figure("three publications of 20,000 hosts, ms", support::wait::millis(took));
    assert!(took < Duration::from_millis(700), "it was seconds when each host was looked for in all: {took:?}");
}

#[test]
fn last_words_of_a_host_that_resets_before_any_byte_reach_the_client() {
    let (host, other) = (played_host(), played_host());
    let service = Service::new("s").host("a", host.local_addr().unwrap());
    let director = Director::plan(service.host("b", other.local_addr().unwrap())).threads(1).start();
    let (mut client, mut at_host) = pair(director.addr(), &host);
    director.wait_for_counters(support::PATIENCE, "it is connected", |all| all.host("a").number("established") == 1);
    // The bytes and the reset wait for the balancer when it wakes.
    director.process().signal(libc::SIGSTOP);
    at_host.write_all(b"last words").unwrap();
    reset(at_host);
    director.process().signal(libc::SIGCONT);
    let mut received = [0; 10];
    client.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"last words");
    assert_eq!(client.read(&mut [0]).expect_err("a reset").kind(), io::ErrorKind::ConnectionReset);
    director.finish();
}

#[test]
fn reset_that_a_write_is_the_first_to_meet_stays_a_reset() {
    let host = played_host();
    let director = Director::plan(Service::new("s").host("a", host.local_addr().unwrap())).threads(1).start();
    for _ in 0..5 {
        let (mut client, mut at_host) = pair(director.addr(), &host);
        at_host.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        // Both wait for the balancer when it wakes, the client's bytes first.
        director.process().signal(libc::SIGSTOP);
        client.write_all(b"too late").unwrap();
        at_host.write_all(b"last words").unwrap();
        reset(at_host);
        director.process().signal(libc::SIGCONT);
        let mut received = [0; 10];
        client.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"last words");
        assert_eq!(client.read(&mut [0]).expect_err("a reset").kind(), io::ErrorKind::ConnectionReset);
    }
    director.finish();
}

#[test]
fn client_that_found_no_descriptor_and_then_no_room_keeps_nobody_from_being_accepted() {
    let (a, b) = (Host::serve("a", scripts::greet()), Host::serve("b", scripts::tell_name()));
    let config = |max: &str| {
        Config::new(Service::new("full").host_with("a", a.addr(), max).set("connect-timeout", "30s"))
            .and(Service::new("other").host("b", b.addr()))
    };
    let director = Director::plan(config(r#"max="2""#)).threads(1).start();
    let [full, other] = ["full", "other"].map(|name| director.addrs(name)[0]);
    let first = Client::connect(full);
    first.read_exact(2);
    let reactor = director.process().threads().into_iter().find(|(_, name)| name.starts_with("reactor")).unwrap().0;
    let strace = Strace::attach_threads(&[reactor], &["trace=socket", "inject=socket:error=EMFILE"]);
    let short = Client::connect(full);
    director.wait_for_log(&["accepting paused"], PATIENCE);
    director.write_config(config(r#"max="1""#));
    assert!(director.reload().contains("reloaded"));
    director.wait_for_counters(PATIENCE, "it waits for room", |all| all.service("full").number("waiting") == 1);
    drop(strace);
    assert_eq!(Client::connect(other).read_text().0, "b");
    first.reset();
    short.read_exact(2);
    short.reset();
    director.finish();
}
