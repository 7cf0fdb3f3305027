//! System calls that fail for a reason of this machine, injected with `strace`: they cost as little as can be, and no
//! host is blamed for them.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use support::log::Mark;
use support::plane::{next, played_host, reset};
use support::strace::Trace;
use support::wait::{best_of_three, ms};
use support::{
    Churn, Client, Director, End, Full, Host, PATIENCE, Service, Strace, Tally, figure, lock, scripts, sized, until,
};

mod support;

#[test]
fn slow_wake_ups_hand_no_byte_to_another_connection() {
    let _alone = lock::alone();
    let (hosts, director) = Pair::start();
    let delay = ["trace=epoll_wait", "inject=epoll_wait:delay_exit=50000"];
    // Clients that leave at once free slots while their events are still on the way.
    let (tally, trace) = under(&director, &delay, || {
        thread::scope(|scope| {
            let leaving = scope.spawn(|| {
                for number in 0..sized(400, 4000) {
                    let client = Client::connect(director.addr());
                    if number % 2 == 0 {
                        client.send(&[0; 24]);
                    }
                    client.reset();
                    thread::sleep(Duration::from_millis(2));
                }
            });
            let tally = Churn::new(director.addr(), sized(300, 5000), 32).payload(2000, 20_000).run();
            leaving.join().unwrap();
            tally
        })
    });
    figure("beside clients that leave, with every wake-up 50 ms late", &tally);
    figure("wake-ups that were late", trace.calls("epoll_wait"));
    assert!(trace.calls("epoll_wait") > 20, "the wrong process was traced");
    assert_eq!((tally.wrong, tally.failed()), (0, 0), "{tally}");
    hosts.assert_never_down(&director);
    director.finish();
}

#[test]
fn errors_of_accept_cost_no_client() {
    let _alone = lock::alone();
    for error in ["ENFILE", "ECONNABORTED", "EPROTO", "EPERM", "ENOBUFS", "EINTR"] {
        let (hosts, director) = Pair::start();
        let inject = format!("inject=accept4:error={error}:when=1+3");
        let (tally, trace) = under(&director, &["trace=accept4", &inject], || load(&director, sized(200, 2000)));
        figure(&format!("accept failing with {error}: {} times", trace.injected()), &tally);
        assert!(trace.injected() > 20, "{error}: {} injected", trace.injected());
        assert_eq!(tally.failed(), 0, "{error}: {tally}");
        hosts.assert_never_down(&director);
        director.finish();
    }
}

#[test]
fn client_after_one_failed_accept_is_served_soon() {
    let _alone = lock::alone();
    let host = Host::serve("a", scripts::tell_name());
    let mut worst = Duration::ZERO;
    for error in ["EMFILE", "ENFILE", "ENOMEM", "ECONNABORTED"] {
        let once = || {
            let director = Director::plan(Service::with(&[&host])).threads(1).start();
            assert_eq!(Client::connect(director.addr()).read_text().0, "a");
            let inject = format!("inject=accept4:error={error}:when=1");
            let (took, trace) = under(&director, &["trace=accept4", &inject], || {
                let since = Instant::now();
                assert_eq!(Client::connect(director.addr()).read_text(), ("a".to_owned(), End::Eof));
                since.elapsed()
            });
            assert_eq!(trace.injected(), 1, "{error}");
            director.finish();
            took
        };
        let took = best_of_three(Duration::from_millis(100), Duration::clone, once);
        figure(&format!("the only client, whose accept failed once with {error}, served after, ms"), ms(took));
        worst = worst.max(took);
    }
    assert!(worst < Duration::from_millis(100), "{worst:?}");
}

#[test]
fn client_for_whom_one_socket_failed_does_not_wait_for_a_full_host() {
    let (open, full) = (Host::serve("open", scripts::greet()), Host::serve("full", scripts::greet()));
    let service = Service::with(&[&open]).host_with("full", full.addr(), r#"max="1""#).set("connect-timeout", "30s");
    let director = Director::plan(service).threads(1).start();
    let first: Vec<Client> = (0..2).map(|_| Client::connect(director.addr())).collect();
    first.iter().for_each(|client| assert_eq!(client.read_exact(4).len(), 4));
    assert_eq!(full.record().open(), 1, "it has no room");
    let (third, trace) = under(&director, &["trace=socket", "inject=socket:error=EMFILE:when=1"], || {
        let third = Client::connect(director.addr());
        assert_eq!(third.read_exact(5), b"open\n");
        third
    });
    assert_eq!(trace.injected(), 1);
    third.reset();
    first.into_iter().for_each(Client::reset);
    director.finish();
}

#[test]
fn failed_look_at_a_socket_error_blames_no_host() {
    let _alone = lock::alone();
    let dead = Host::dead("dead");
    let live = Host::serve("live", scripts::churn());
    let director = Director::start(&[&dead, &live]);
    let inject = ["trace=getsockopt", "inject=getsockopt:error=ENOMEM"];
    let (tally, trace) = under(&director, &inject, || load(&director, sized(200, 2000)));
    figure(&format!("getsockopt failing with ENOMEM: {} times", trace.injected()), &tally);
    assert_eq!(tally.failed(), 0, "{tally}");
    assert_eq!(director.log().count(Mark::default(), &["host=live ", "new=down"]), 0);
    director.finish();
}

#[test]
fn host_that_answers_and_resets_before_the_end_of_its_connect_is_seen_is_heard() {
    let _alone = lock::alone();
    let host = played_host();
    let director = Director::plan(Service::new("s").host("a", host.local_addr().unwrap())).threads(1).start();
    // All the host does is there when the balancer looks for the first time.
    let late = ["trace=connect", "inject=connect:delay_exit=200000"];
    let (received, trace) = under(&director, &late, || {
        let client = Client::connect(director.addr());
        let mut at_host = next(&host, PATIENCE).unwrap();
        at_host.write_all(b"last words").unwrap();
        reset(at_host);
        client.read_text()
    });
    assert_eq!(trace.calls("connect"), 1, "the wrong process was traced");
    assert_eq!(received, ("last words".to_owned(), End::Reset));
    assert_eq!(director.finish().hosts_sum("failed"), 0);
}

#[test]
fn full_epoll_costs_those_pairs_only() {
    let _alone = lock::alone();
    for error in ["ENOSPC", "ENOMEM"] {
        let (hosts, director) = Pair::start();
        let inject = format!("inject=epoll_ctl:error={error}:when=1+20");
        let (tally, trace) = under(&director, &["trace=epoll_ctl", &inject], || load(&director, sized(300, 3000)));
        figure(&format!("epoll_ctl failing with {error}: {} times", trace.injected()), &tally);
        assert!(trace.injected() > 10, "{error}: {} injected", trace.injected());
        assert!(tally.failed() <= trace.injected() as u64, "{error}: {tally}");
        assert_eq!(tally.wrong + tally.timed_out, 0, "{error}: {tally}");
        hosts.assert_never_down(&director);
        let after = load(&director, 100);
        assert_eq!(after.failed(), 0, "{error}: afterwards {after}");
        director.finish();
    }
}

#[test]
fn no_memory_to_send_or_receive_loses_no_byte() {
    let _alone = lock::alone();
    for (call, error) in [("sendto", "ENOBUFS"), ("sendto", "ENOMEM"), ("recvfrom", "ENOBUFS"), ("recvfrom", "ENOMEM")]
    {
        let (hosts, director) = Pair::start();
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={error}:when=1+20"));
        let connections = sized(200, 2000);
        let run = || Churn::new(director.addr(), connections, 8).payload(20_000, 200_000).run();
        // The thread that takes signals receives too, from a socket that never lacks memory.
        let strace = Strace::attach_threads(&reactors(&director), &[&trace, &inject]);
        let (tally, trace) = (run(), strace.detach());
        figure(&format!("{call} failing with {error}: {} times", trace.injected()), &tally);
        assert!(trace.injected() > 10, "{call} {error}: {} injected", trace.injected());
        assert_eq!(tally.failed(), 0, "{call} {error}: {tally}");
        hosts.assert_never_down(&director);
        director.finish();
    }
}

#[test]
fn refused_socket_options_cost_no_client() {
    let _alone = lock::alone();
    let (hosts, director) = Pair::start();
    let inject = ["trace=setsockopt", "inject=setsockopt:error=ENOBUFS"];
    let (tally, trace) = under(&director, &inject, || load(&director, sized(300, 3000)));
    figure(&format!("every setsockopt failing: {} times", trace.injected()), &tally);
    assert!(trace.injected() > 100, "{} injected", trace.injected());
    assert_eq!(tally.failed(), 0, "{tally}");
    hosts.assert_never_down(&director);
    director.finish();
}

#[test]
fn interrupted_calls_are_made_again() {
    let _alone = lock::alone();
    let (hosts, director) = Pair::start();
    let calls = "epoll_wait,accept4,recvfrom,sendto";
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:error=EINTR:when=1+5"));
    let (tally, trace) = under(&director, &[&trace, &inject], || load(&director, sized(300, 3000)));
    figure(&format!("calls interrupted: {} times", trace.injected()), &tally);
    assert!(trace.injected() > 100, "{} injected", trace.injected());
    assert_eq!(tally.failed(), 0, "{tally}");
    hosts.assert_never_down(&director);
    director.finish();
}

#[test]
fn close_that_fails_is_not_repeated_and_costs_no_client() {
    let _alone = lock::alone();
    let host = Host::serve("a", scripts::churn());
    let director = Director::plan(Service::with(&[&host])).threads(1).start();
    for error in ["EINTR", "EIO"] {
        let before = director.process().descriptors();
        let inject = format!("inject=close:error={error}:when=2+10");
        let strace = Strace::attach_threads(&reactors(&director), &["trace=close", &inject]);
        let tally = load(&director, sized(200, 2000));
        // The injected ones never happened, so exactly those descriptors stay open: nobody closed twice.
        let rest = |all: &support::counters::Counters| all.held() == 0;
        director.wait_for_counters(PATIENCE, "nothing is open", rest);
        let trace = strace.detach();
        let left = director.process().descriptors() - before;
        figure(&format!("close failing with {error}: {} times, {left} left open", trace.injected()), &tally);
        assert!(trace.injected() > 10, "{error}: {} injected", trace.injected());
        assert_eq!(tally.failed(), 0, "{error}: {tally}");
        assert_eq!(left, trace.injected(), "{error}");
    }
    assert_eq!(load(&director, 100).failed(), 0);
}

#[test]
fn reactors_without_descriptors_do_not_wake_one_another() {
    let _alone = lock::alone();
    // Clients to whom nobody answers go around, so that both reactors look for descriptors at any time.
    let mute = ["a", "b"].map(Full::new);
    let service = Service::with(&[&mute[0].host, &mute[1].host]).set("connect-timeout", "60s");
    let director = Director::plan(service).threads(2).start();
    let threads = reactors(&director);
    let clients: Vec<Client> = (0..16).map(|_| Client::connect(director.addr())).collect();
    director.wait_for_counters(PATIENCE, "all are accepted", |all| all.services_sum("accepted") == 16);
    let strace = Strace::attach_threads(&threads, &["trace=socket", "inject=socket:error=EMFILE"]);
    director.wait_for_log(&["accepting paused"], PATIENCE);
    let since = Instant::now();
    thread::sleep(Duration::from_secs(3));
    let (trace, took) = (strace.detach(), since.elapsed());
    for thread in threads.iter().map(ToString::to_string) {
        assert!(trace.lines().any(|line| line.starts_with(&thread)), "one reactor alone cannot show it");
    }
    let tries = trace.injected() as f64 / took.as_secs_f64();
    figure("attempts a second of 16 clients to get a descriptor, each every 20 ms for two hosts", tries);
    // As fast as they can would be some thousands even below strace.
    assert!(tries <= 1.5 * 16.0 * 50.0 * 2.0, "{tries}");
    clients.into_iter().for_each(Client::reset);
    // Its probes hang no longer, and a balancer at rest has no descriptor for one.
    drop(mute);
    director.finish();
}

#[test]
fn failed_shutdown_leaves_no_pair_behind() {
    let _alone = lock::alone();
    let host = Host::serve("a", scripts::http_name());
    let director = Director::plan(Service::with(&[&host])).threads(1).start();
    let inject = ["trace=shutdown", "inject=shutdown:error=ENOTCONN:when=1+2"];
    let connections = sized(100, 1000);
    let ((), trace) = under(&director, &inject, || {
        for _ in 0..connections {
            let client = Client::connect(director.addr());
            client.send(b"GET / HTTP/1.0\r\n\r\n");
            // The length is known, so that no end of stream is waited for.
            assert!(client.read_exact(39).ends_with(b"\r\n\r\na"));
        }
    });
    figure("shutdowns that failed", format!("{} for {connections} connections", trace.injected()));
    assert!(trace.injected() > 10, "{} injected", trace.injected());
    director.finish();
}

#[test]
fn short_connections_take_no_memory_after_the_first_ones() {
    let _alone = lock::alone();
    let (_hosts, director) = Pair::start();
    assert_eq!(load(&director, 1000).failed(), 0);
    let before = director.process().resident_bytes();
    let calls = ["trace=accept4,brk,mmap,mremap,munmap,mprotect,madvise"];
    let connections = 2000;
    let (tally, trace) = under(&director, &calls, || load(&director, connections));
    let grown = director.process().resident_bytes().saturating_sub(before);
    let made: Vec<&str> = trace.lines().filter(|line| line.contains('(') && !line.contains("accept4")).collect();
    figure("calls for memory during 2,000 connections", made.len());
    figure("bytes grown during them", grown);
    assert_eq!(tally.failed(), 0, "{tally}");
    assert!(trace.calls("accept4") as u64 >= connections, "the wrong process was traced");
    assert!(made.len() <= 4, "{made:?}");
    assert!(grown <= 256 * 1024, "{grown} bytes");
    director.finish();
}

/// Two hosts that serve the load.
struct Pair {
    _hosts: [Host; 2],
}

impl Pair {
    fn start() -> (Self, Director) {
        let hosts = ["a", "b"].map(|name| Host::plan(name, scripts::churn()).workers(8).start());
        let director = Director::start(&[&hosts[0], &hosts[1]]);
        (Self { _hosts: hosts }, director)
    }

    fn assert_never_down(&self, director: &Director) {
        assert_eq!(director.log().count(Mark::default(), &["new=down"]), 0, "a host was blamed");
        assert_eq!(director.counters().hosts_sum("failed"), 0, "a host was blamed");
    }
}

/// Does something while system calls of all threads are traced and changed by these expressions.
fn under<T>(director: &Director, expressions: &[&str], work: impl FnOnce() -> T) -> (T, Trace) {
    let strace = Strace::attach(director.process(), expressions);
    let done = work();
    (done, strace.detach())
}

fn load(director: &Director, connections: u64) -> Tally {
    Churn::new(director.addr(), connections, 8).payload(2000, 20_000).run()
}

/// The ids of the reactors' threads.
fn reactors(director: &Director) -> Vec<u32> {
    let find = || {
        let threads = director.process().threads().into_iter();
        threads.filter(|(_, name)| name.starts_with("reactor")).map(|(id, _)| id).collect::<Vec<u32>>()
    };
    // A thread gets its name a moment after it was made.
    until(PATIENCE, "threads called after reactors", || find().len() == director.threads());
    find()
}
