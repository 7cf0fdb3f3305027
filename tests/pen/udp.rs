//! Datagrams: rows 15 to 18.

use std::time::{Duration, Instant};

use super::balancer::{self, Balancer, pattern};
use super::datagrams::{Answerer, Asker, DATAGRAM_MAX};
use super::line::Line;
use super::same;
use crate::support::wait::holds_within;
use crate::support::{PATIENCE, figure, sized, until};

fn answerers<const N: usize>(names: [&'static str; N]) -> [Answerer; N] {
    names.map(Answerer::new)
}

fn line<'a>(options: &str, servers: &[Answerer]) -> Line<'a> {
    let line = Line::new(&format!("-U {options}"), &[]);
    servers.iter().fold(line, |line, server| line.server_at(server.addr))
}

#[test]
fn row_15_udp_basics() {
    let servers = answerers(["a", "b", "c"]);
    let ask = |balancer: &Balancer| pattern(&[1, 1, 2, 1, 2, 3].map(|number| Asker::new(balancer, number).who()));
    assert_eq!(same(&line("", &servers), ask), "001012", "a client's flows are at one server");
    assert_eq!(same(&line("-r", &servers), ask), "012012", "without tracking flows take turns");
    let flow = |balancer: &Balancer| {
        let asker = Asker::new(balancer, 1);
        pattern(&[(); 4].map(|()| asker.who()))
    };
    assert_eq!(same(&line("-r", &servers), flow), "0000", "a flow stays where it is");

    let sizes = [0, 1, 1472, 32_768, 32_769, DATAGRAM_MAX];
    let intact = |balancer: &Balancer| {
        let intact = |size: &usize| {
            let bytes: Vec<u8> = (0..*size).map(|at| u8::try_from(at % 251).expect("below 251")).collect();
            // A flow of its own: the first datagram is the one that is different.
            Asker::new(balancer, 1).echoes(&bytes)
        };
        sizes.into_iter().filter(intact).collect::<Vec<_>>()
    };
    let director = balancer::director(&line("", &servers));
    assert_eq!(intact(&director), sizes, "every size");
    director.finish();
    if let Some(pen) = balancer::pen(&line("", &servers)) {
        figure("row 15: pen, sizes of 0 1 1472 32768 32769 65507 that come back whole", format!("{:?}", intact(&pen)));
    }
}

/// Servers that have a share of this many datagrams of one socket, which all wait before the balancer runs again; and how
/// many were answered.
fn burst(balancer: &Balancer, servers: &[Answerer], count: usize) -> (usize, usize) {
    let before: Vec<u64> = servers.iter().map(Answerer::seen).collect();
    let asker = Asker::new(balancer, 1);
    balancer.process().signal(libc::SIGSTOP);
    (0..count).for_each(|_| asker.send(b"who"));
    balancer.process().signal(libc::SIGCONT);
    let answers = (0..count).filter(|_| asker.receive(Duration::from_secs(1)).is_ok()).count();
    (servers.iter().zip(before).filter(|(server, before)| server.seen() > *before).count(), answers)
}

#[test]
fn row_16_udp_burst() {
    let servers = answerers(["a", "b", "c"]);
    for options in ["", "-r"] {
        let director = balancer::director(&line(options, &servers));
        assert_eq!(burst(&director, &servers, 100), (1, 100), "one flow, one server, every answer");
        director.finish();
    }
    if let Some(pen) = balancer::pen(&line("-r", &servers)) {
        let (at, answers) = burst(&pen, &servers, 100);
        figure("row 16: pen, servers with a share of 100 datagrams of a flow, and answers", format!("{at}, {answers}"));
    }
}

/// Questions of one flow, of ten, that nobody answered after its server went away.
fn unanswered(asker: &Asker) -> usize {
    (0..10).filter(|_| asker.who().is_empty()).count()
}

#[test]
fn row_17_udp_dead_server() {
    let mut servers = answerers(["a", "b"]);
    let lines = line("-b 1", &servers);
    let mut flow_of_a = |balancer: &Balancer| {
        let of_a = |asker: &Asker| asker.who() == "a";
        let asker = (1..5).map(|number| Asker::new(balancer, number)).find(of_a).expect("one is at a");
        servers[0].stop();
        let lost = unanswered(&asker);
        servers[0].start();
        let back = |number: &mut u16| {
            *number += 1;
            Asker::new(balancer, *number).who() == "a"
        };
        let mut number = 100;
        (lost, holds_within(Duration::from_secs(5), || back(&mut number)))
    };
    let director = balancer::director(&lines);
    let (lost, back) = flow_of_a(&director);
    assert!(lost <= 1, "the one that found nobody, at most: {lost}");
    assert!(back, "it is used again");
    director.finish();
    if let Some(pen) = balancer::pen(&lines) {
        let (lost, _) = flow_of_a(&pen);
        figure("row 17: pen, questions of ten that nobody answered after the flow's server went away", lost);
    }
}

#[test]
fn row_18_udp_flows_end() {
    let servers = answerers(["a", "b"]);
    let director = balancer::director(&line("", &servers).command("idle_timeout 1"));
    let start = Instant::now();
    let wave = || {
        let flows: Vec<Asker> = (1..=50).map(|number| Asker::new(&director, number)).collect();
        assert!(flows.iter().all(|asker| !asker.who().is_empty()));
        let descriptors = director.process().descriptors();
        until(PATIENCE, "the flows have ended", || director.open() == [0, 0]);
        descriptors
    };
    let first = wave();
    assert!(start.elapsed() > Duration::from_secs(1), "not before their time");
    // Each place of a flow rests for a second before another one has it.
    std::thread::sleep(Duration::from_millis(1200));
    let second = wave();
    assert!(second <= first + 4, "sockets are given back, or used again: {first}, then {second} descriptors");
    director.finish();
}

#[test]
fn row_18_udp_flows_without_end() {
    let servers = answerers(["a", "b"]);
    let count = sized(2000, 20_000);
    // With fewer descriptors Director does not start, and says how many it takes.
    let director = balancer::director(&line("", &servers).descriptors(384));
    let ask = |number: u16| {
        let asker = Asker::new(&director, number);
        let at_once = !asker.who().is_empty();
        assert!(at_once || !asker.who().is_empty(), "the oldest make room, and whoever finds none asks again");
        at_once
    };
    let at_once = (1..=count).filter(|number| ask(*number)).count();
    assert!(at_once * 100 >= usize::from(count) * 95, "few find no room at once: {at_once} of {count} do");
    director.finish();
    if let Some(pen) = balancer::pen(&line("-x 1000", &servers).descriptors(384)) {
        let flows: Vec<Asker> = (1..=250).map(|number| Asker::new(&pen, number)).collect();
        flows.iter().for_each(|asker| asker.send(b"who"));
        let ended = holds_within(Duration::from_secs(2), || !pen.process().is_alive());
        figure("row 18: pen ends when descriptors run out", ended);
    }
}
