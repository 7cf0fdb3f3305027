//! Which reactor serves a connection: that of the processor its packets arrive on, or one with fewer connections, if that
//! is asked for. And how few system calls that takes.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use director::model::update::Update;
use director::sys::cpu;
use support::log::Mark;
use support::plane::{Plane, next, played_host, service};
use support::{Churn, Client, Director, Host, PATIENCE, Service, Strace, figure, lock, scripts, until};

mod support;

const CLIENTS: u64 = 64;

/// Clients that arrive on this processor: on loopback, packets stay where they are sent.
fn arrive_on(cpu: usize, addr: SocketAddr) -> Vec<Client> {
    let arrive = move || {
        cpu::pin(cpu).unwrap();
        (0..CLIENTS).map(|_| Client::connect(addr)).collect()
    };
    thread::spawn(arrive).join().unwrap()
}

/// How many of a processor's clients each reactor accepted.
fn accepted(flags: &[&str], cpu: usize) -> Vec<u64> {
    let host = Host::serve("a", scripts::greet());
    let director = Director::plan(Service::with(&[&host])).args(flags).threads(cpu::allowed().unwrap().len()).start();
    let clients = arrive_on(cpu, director.addr());
    clients.iter().for_each(|client| drop(client.read_exact(2)));
    drop(clients);
    let counters = director.finish();
    counters.reactors.iter().map(|reactor| reactor.number("accepted")).collect()
}

#[test]
fn connections_come_to_the_reactor_of_the_processor_they_arrive_on() {
    let cpus = cpu::allowed().unwrap();
    for flag in ["--steer", "--incoming-cpu"] {
        for (reactor, cpu) in cpus.iter().enumerate() {
            let accepted = accepted(&["--pin", flag], *cpu);
            figure(&format!("{flag}: accepted of {CLIENTS} from CPU {cpu}, by reactor"), format!("{accepted:?}"));
            assert_eq!(accepted[reactor], CLIENTS, "{flag}: {accepted:?}");
        }
    }
    let hashed = accepted(&["--pin"], cpus[0]);
    figure("without: accepted by reactor", format!("{hashed:?}"));
    assert!(cpus.len() < 2 || hashed.iter().all(|accepted| *accepted > 0), "{hashed:?}");
}

#[test]
fn share_of_connections_that_arrive_elsewhere_is_told() {
    let cpus = cpu::allowed().unwrap();
    let host = Host::serve("a", scripts::greet());
    let elsewhere = |flags: &[&str]| {
        let director = Director::plan(Service::with(&[&host])).args(flags).threads(1).start();
        let clients = arrive_on(*cpus.last().unwrap(), director.addr());
        clients.iter().for_each(|client| drop(client.read_exact(2)));
        let mark: Mark = director.log().mark();
        director.process().signal(libc::SIGUSR2);
        let find = |lines: &[String]| lines.iter().find(|line| line.contains("packets elsewhere")).cloned();
        let line = director.log().wait_for(mark, PATIENCE, find).expect("a line of the table");
        drop(clients);
        director.finish();
        line.split_whitespace().last().unwrap().to_owned()
    };
    // One reactor, bound to the first processor; the clients come from the last.
    let share = elsewhere(&["--pin"]);
    figure("connections from the last CPU to a reactor on the first, % elsewhere", &share);
    assert_eq!(share, if cpus.len() > 1 { "100.0" } else { "0.0" });
}

#[test]
fn clients_that_stay_are_spread_evenly_when_that_is_asked_for() {
    for (rebalance, knows) in [(true, true), (true, false), (false, true)] {
        let host = played_host();
        let spec = service(0, &[(&host, None)]);
        let plane = Plane::start(2, |settings| settings.rebalance = rebalance);
        if knows {
            plane.post(1, Update::Service(Arc::new(spec.clone())));
        }
        // One reactor accepts, as when a hash gives it all.
        let addr = plane.listen(0, &spec);
        let mut pairs: Vec<(TcpStream, TcpStream)> = Vec::new();
        for number in 0..100_u8 {
            let mut client = TcpStream::connect(addr).unwrap();
            let mut at_host = next(&host, PATIENCE).expect("the host is reached");
            client.write_all(&[number]).unwrap();
            let mut byte = [0];
            at_host.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [number]);
            pairs.push((client, at_host));
        }
        let open = || plane.reactors.counters().iter().map(|reactor| reactor.open.load(Relaxed)).collect::<Vec<u32>>();
        until(PATIENCE, "all are counted", || open().iter().sum::<u32>() == 100);
        figure(
            &format!("100 clients of one listener, rebalance {rebalance}, both know {knows}"),
            format!("{:?}", open()),
        );
        if rebalance && knows {
            assert!(open()[0].abs_diff(open()[1]) <= 12, "{:?}", open());
        } else {
            assert_eq!(open(), [100, 0], "who does not know the service gives its clients back");
        }
        drop(pairs);
        until(PATIENCE, "all places are given back", || spec.counters.open.load(Relaxed) == 0);
        plane.end();
    }
}

#[test]
fn clients_handed_over_are_served_by_the_reactor_that_took_them() {
    let cpus = cpu::allowed().unwrap();
    if cpus.len() < 2 {
        return figure("clients handed over", "not measured, there is one CPU");
    }
    let host = Host::serve("a", scripts::echo());
    let flags = ["--pin", "--steer", "--rebalance"];
    let director = Director::plan(Service::with(&[&host])).args(&flags).threads(2).start();
    // All of them come to the first reactor.
    let clients = arrive_on(cpus[0], director.addr());
    director.wait_for_counters(PATIENCE, "all are served", |all| all.hosts_sum("established") == CLIENTS);
    for client in &clients {
        client.send(b"still here");
        assert_eq!(client.read_exact(10), b"still here");
    }
    let counters = director.counters();
    let by_reactor = |name| counters.reactors.iter().map(|reactor| reactor.number(name)).collect::<Vec<u64>>();
    let (accepted, open) = (by_reactor("accepted"), by_reactor("open"));
    figure(&format!("{CLIENTS} clients, accepted and open by reactor"), format!("{accepted:?}, {open:?}"));
    assert_eq!(accepted, [CLIENTS, 0]);
    assert!(open[0].abs_diff(open[1]) <= 16 && open[0] + open[1] == CLIENTS, "{open:?}");
    drop(clients);
    director.finish();
}

#[test]
fn short_connection_takes_at_most_17_system_calls() {
    let _alone = lock::alone();
    const CONNECTIONS: u64 = 600;
    let host = Host::plan("a", scripts::churn()).workers(8).start();
    let director = Director::start(&[&host]);
    let load = || Churn::new(director.addr(), CONNECTIONS, 8).payload(200, 200).run();
    assert_eq!(load().failed(), 0);
    let threads = director.process().threads().into_iter().filter(|(_, name)| name.starts_with("reactor"));
    let threads: Vec<u32> = threads.map(|(id, _)| id).collect();
    let strace = Strace::attach_threads(&threads, &["trace=all"]);
    assert_eq!(load().failed(), 0);
    thread::sleep(Duration::from_millis(50));
    let trace = strace.detach();
    assert_eq!(trace.calls("connect") as u64, CONNECTIONS, "the wrong threads were traced");
    // A call that another thread interrupts takes two lines; a debug build looks at each descriptor before it closes it.
    let is_call = |line: &&str| line.contains('(') && !line.contains("<... ") && !line.contains("F_GETFD");
    let calls = trace.lines().filter(is_call).count();
    let each = calls as f64 / CONNECTIONS as f64;
    figure("system calls a short connection", format!("{each:.1}"));
    assert!(each <= 17.0, "{each}");
    director.finish();
}
