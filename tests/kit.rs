//! The kit itself, without a balancer: what it reports must be so, or no other test means anything.

use std::io;
use std::time::{Duration, Instant};

use support::counters::Counters;
use support::netns::Obstacle;
use support::pattern::Pattern;
use support::process::Process;
use support::{Churn, Client, End, Host, Netns, PATIENCE, Star, Strace, lock, scripts, socket, until};

mod support;

#[test]
fn pattern_with_a_byte_lost_is_found_at_its_place() {
    let mut bytes = Pattern::new(7).bytes(300_000);
    bytes.remove(70_000);
    let mut checked = Pattern::new(7);
    let wrong = bytes.chunks(1000).find_map(|piece| checked.check(piece).err());
    assert!(wrong.is_some_and(|at| (70_000..70_010).contains(&at)), "{wrong:?}");
}

#[test]
fn churn_against_a_host_counts_every_connection_once() {
    let host = Host::plan("a", scripts::churn()).workers(4).start();
    let tally = Churn::new(host.addr(), 500, 4).payload(3000, 70_000).run();
    assert_eq!((tally.ok, tally.failed()), (500, 0), "{tally}");
    until(PATIENCE, "connections closed", || host.record().open() == 0);
    assert_eq!(host.record().accepted(), 500);
    assert_eq!(host.record().bytes_in(), tally.bytes.0);
    assert_eq!(host.record().bytes_out(), tally.bytes.1);
    assert!(host.record().ids().values().all(|times| *times == 1));
}

#[test]
fn churn_against_lying_hosts_names_the_failures() {
    let dead = Host::dead("dead");
    let (short, reset) = (Host::serve("short", scripts::source(1, 10)), Host::serve("reset", scripts::reset_at_once()));
    assert_eq!(Churn::new(dead.addr(), 10, 2).run().refused, 10);
    let tally = Churn::new(short.addr(), 10, 2).payload(0, 100).run();
    assert_eq!(tally.wrong + tally.reset, 10, "{tally}");
    assert_eq!(Churn::new(reset.addr(), 10, 2).run().reset, 10);
}

#[test]
fn host_stopped_and_started_again_serves_on_the_same_port() {
    let mut host = Host::serve("a", scripts::tell_name());
    assert_eq!(Client::connect(host.addr()).read_text(), ("a".to_owned(), End::Eof));
    host.stop();
    let refused = Client::try_connect(host.addr(), PATIENCE).expect_err("nobody listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    host.start();
    assert_eq!(Client::connect(host.addr()).read_text(), ("a".to_owned(), End::Eof));
}

#[test]
fn client_tells_a_reset_from_an_end() {
    let (closing, resetting) = (Host::serve("c", scripts::close_at_once()), Host::serve("r", scripts::reset_at_once()));
    assert_eq!(Client::connect(closing.addr()).read_to_end(PATIENCE).1, End::Eof);
    assert_eq!(Client::connect(resetting.addr()).read_to_end(PATIENCE).1, End::Reset);
    let host = Host::serve("l", scripts::listen_only());
    Client::connect(host.addr()).reset();
    assert_eq!(host.record().wait_for_ends(1, PATIENCE)[0].end, End::Reset);
}

#[test]
fn client_that_is_reset_while_it_connects_tells_of_a_reset() {
    let host = Host::serve("r", scripts::source_then_reset(3, 10));
    // One in some thousands connects later than it is reset.
    for _ in 0..2000 {
        let received = Client::connect(host.addr()).receive_pattern(3, PATIENCE);
        assert_eq!((received.bytes, received.wrong_at, received.end), (10, None, End::Reset));
    }
}

#[test]
fn reset_after_data_delivers_the_data_first() {
    let host = Host::serve("a", scripts::source_then_reset(3, 200_000));
    let received = Client::connect(host.addr()).receive_pattern(3, PATIENCE);
    assert_eq!((received.bytes, received.wrong_at, received.end), (200_000, None, End::Reset));
}

#[test]
fn mute_host_stops_answering_when_its_queue_is_full() {
    let mut host = Host::mute("m", scripts::tell_name(), 0);
    let queued = Client::connect(host.addr());
    let late = Client::try_connect(host.addr(), Duration::from_millis(300)).expect_err("the queue is full");
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    host.unmute();
    assert_eq!(queued.read_text(), ("m".to_owned(), End::Eof));
}

#[test]
fn vanished_peer_sends_neither_end_nor_reset() {
    let host = Host::serve("l", scripts::listen_only());
    let client = Client::connect(host.addr());
    until(PATIENCE, "accepted", || host.record().accepted() == 1);
    socket::vanish(client.into_stream());
    assert!(!support::wait::holds_within(Duration::from_millis(200), || !host.record().ends().is_empty()));
}

#[test]
fn process_shows_its_sockets_threads_and_processor_time() {
    let this = Process(std::process::id());
    let host = Host::serve("l", scripts::listen_only());
    let client = Client::connect(host.addr());
    assert_eq!(this.connections_to(host.addr()), [client.local().port()]);
    assert!(this.sockets()["ESTABLISHED"] >= 2, "{:?}", this.sockets());
    assert!(this.descriptors() > 4 && this.resident_bytes() > 1 << 16 && this.is_alive());
    assert!(this.threads().len() >= 2);
    let before = this.cpu_time();
    until(PATIENCE, "time was spent", || this.cpu_time() > before);
    assert!(!Process(u32::MAX >> 1).is_alive());
}

#[test]
fn counters_are_read_when_the_last_reactor_has_written() {
    let lines: Vec<String> = [
        "[INFO] counters service=s open=1 accepted=9 closed-finished=5 closed-idle=3",
        "[INFO] counters service=s group=g host=a addr=127.0.0.1:1 open=1 established=8",
        "[INFO] something else",
        "[INFO] counters reactor=0 open=1 buffers=2",
    ]
    .map(str::to_owned)
    .to_vec();
    assert!(Counters::parse(&lines, 2).is_none());
    let counters = Counters::parse(&lines, 1).expect("whole");
    assert_eq!((counters.service("s").number("accepted"), counters.host("a").number("established")), (9, 8));
    assert_eq!((counters.closed(), counters.held()), (8, 5));
}

#[test]
fn test_that_is_alone_keeps_others_waiting() {
    let turn = lock::alone();
    assert!(std::mem::size_of_val(&lock::beside_others()) > 0, "it does not wait for itself");
    let waiting = std::thread::spawn(|| {
        drop(lock::beside_others());
        Instant::now()
    });
    assert!(!support::wait::holds_within(Duration::from_millis(100), || waiting.is_finished()));
    let given_up = Instant::now();
    drop(turn);
    assert!(waiting.join().expect("no panic") >= given_up);
}

#[test]
fn star_obstructs_hosts_as_asked() {
    let star = Star::new(2);
    let addr = Star::addr(1, 80);
    let host = star.hosts[1].run(|| Host::plan("b", scripts::tell_name()).at("10.99.1.2:80").start());
    let connect = || star.middle.run(|| Client::try_connect(addr, Duration::from_millis(300)));
    let error = |how| {
        star.hosts[1].obstruct(80, Some(how));
        connect().map(|_| ()).expect_err("obstructed").kind()
    };
    assert_eq!(connect().expect("a way").read_text(), ("b".to_owned(), End::Eof));
    assert_eq!(error(Obstacle::Reset), io::ErrorKind::ConnectionRefused);
    assert_eq!(error(Obstacle::Unreachable("host-unreachable")), io::ErrorKind::HostUnreachable);
    assert_eq!(error(Obstacle::Unreachable("port-unreachable")), io::ErrorKind::ConnectionRefused);
    assert_eq!(error(Obstacle::BlackHole), io::ErrorKind::TimedOut);
    star.hosts[1].obstruct(80, None);
    assert_eq!(connect().expect("a way again").read_text(), ("b".to_owned(), End::Eof));
    star.link(1, false);
    assert_eq!(connect().map(|_| ()).expect_err("cut").kind(), io::ErrorKind::TimedOut);
    star.link(1, true);
    until(PATIENCE, "connected again", || connect().is_ok());
    assert_eq!(host.name(), "b");
}

#[test]
fn namespace_is_apart_from_the_others() {
    let netns = Netns::new();
    let host = Host::serve("outside", scripts::tell_name());
    let refused = netns.run(|| Client::try_connect(host.addr(), PATIENCE)).expect_err("another network");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn strace_counts_and_injects() {
    let mut child = std::process::Command::new("sh")
        .args(["-c", "while :; do read -r line < /proc/uptime; done"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("a shell");
    let process = Process(child.id());
    let strace = Strace::attach(process, &["trace=openat", "inject=openat:error=EMFILE:when=1..3"]);
    let start = process.cpu_time();
    until(PATIENCE, "it ran", || process.cpu_time() - start > Duration::from_millis(20));
    let trace = strace.detach();
    let begun = Instant::now();
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(trace.failed("openat", "EMFILE"), trace.injected());
    assert!((1..=3).contains(&trace.injected()), "{} injected", trace.injected());
    assert!(begun.elapsed() < PATIENCE);
}
