//! Groups that say how their hosts are probed.

use std::sync::Arc;
use std::time::Duration;

use super::{MILLI, REFUSED, SECOND, World, addr, config, group, service, web};
use crate::config::Config;
use crate::model::check::{Check, Exchange, Probe};
use crate::model::status::HostStatus::{Down, Up};

fn udp() -> Check {
    let exchange = Exchange { send: b"?".to_vec(), expect: None };
    Check { probe: Probe::Udp(exchange), ..Check::connect() }
}

/// One service "web" with these hosts and this check.
fn checked(ports: &[u16], check: Check) -> Config {
    let group = crate::config::Group { check: Some(check), ..group("g", ports) };
    config(vec![service("web", vec![group])])
}

#[test]
fn hosts_that_are_up_are_probed_at_the_interval_each_at_its_own_moment() {
    let ports: Vec<u16> = (1..=100).collect();
    let mut world = World::new(&checked(&ports, Check { interval: Some(10 * SECOND), ..udp() }));
    let mut asked = Vec::new();
    world.pass_answering(30 * SECOND - MILLI, |now, addr| {
        asked.push((now, addr.port()));
        Ok(MILLI)
    });
    for port in ports {
        assert_eq!(asked.iter().filter(|(_, other)| *other == port).count(), 3, "host {port}");
    }
    for start in 1..10 {
        let from = crate::model::time::Moment::from_millis(1000 * start);
        let count = asked.iter().filter(|(at, _)| *at >= from && *at < from.after(SECOND)).count();
        assert!((5..=15).contains(&count), "{count} of 100 in second {start} of ten");
    }
}

#[test]
fn interval_counts_for_hosts_that_are_down_too_and_fall_and_rise_are_the_managers() {
    let mut text = checked(&[1, 2], Check { interval: Some(10 * SECOND), ..udp() });
    (text.manager.fall, text.manager.rise) = (2, 2);
    let mut world = World::new(&text);
    let dead = |port: u16| {
        move |_, addr: crate::model::address::Endpoint| if addr.port() == port { REFUSED } else { Ok(MILLI) }
    };
    world.pass_answering(10 * SECOND - MILLI, dead(1));
    assert_eq!(world.status(1), Up, "one failure");
    world.pass_answering(10 * SECOND, dead(1));
    assert_eq!((world.status(1), world.status(2)), (Down, Up));
    world.pass_answering(9 * SECOND, |_, _| Ok(MILLI));
    assert_eq!(world.status(1), Down, "one success at most");
    world.pass_answering(12 * SECOND, |_, _| Ok(MILLI));
    assert_eq!(world.status(1), Up);
}

#[test]
fn probe_goes_to_the_checks_port_and_takes_the_checks_time() {
    let check = Check { port: Some(99), timeout: Some(1500 * MILLI), ..udp() };
    let mut world = World::new(&checked(&[1], check.clone()));
    world.fail(1);
    // Also while nobody is left, when a connect would have to be short.
    let (_, at, timeout) = world.probes[0];
    assert_eq!((at, timeout), (addr(99), 1500 * MILLI));
    let interval = Some(700 * MILLI);
    let mut world = World::new(&checked(&[1], Check { timeout: None, interval, ..check }));
    world.pass(SECOND);
    assert_eq!(world.probes[0].2, 700 * MILLI, "no longer than the interval");
    let mut world = World::new(&checked(&[1], udp()));
    world.fail(1);
    assert_eq!(world.probes[0].2, 4 * SECOND, "as a connect, within its bounds");
}

#[test]
fn answer_to_something_else_than_a_clients_connect_tells_nothing_of_connects() {
    for (check, usual) in [(udp(), Duration::ZERO), (Check { port: Some(99), ..Check::connect() }, Duration::ZERO)] {
        let mut world = World::new(&checked(&[1], check));
        let counters = Arc::clone(&world.spec("web").hosts[0].counters);
        let (now, until) = (world.now, world.now.after(60 * SECOND));
        counters.suspect(now, until);
        world.slow(1);
        world.answer(Ok(7 * MILLI));
        assert!(counters.is_suspected(now), "clients may know better");
        world.fail(1);
        world.pass(SECOND);
        world.answer(Ok(7 * MILLI));
        assert_eq!((world.status(1), counters.connect_time()), (Up, usual));
        assert!(!counters.is_suspected(now), "it was judged to be up");
    }
    let mut world = World::new(&checked(&[1], Check::connect()));
    world.fail(1);
    world.answer(Ok(7 * MILLI));
    assert!(world.spec("web").hosts[0].counters.connect_time() > Duration::ZERO);
}

#[test]
fn host_that_nobody_asks_is_back_when_its_time_is_over() {
    let mut world = World::new(&checked(&[1, 2], Check::usual(false)));
    world.fail(1);
    world.pass(2 * SECOND - MILLI);
    assert_eq!(world.status(1), Down);
    world.pass(SECOND);
    assert_eq!(world.status(1), Up);
    assert_eq!(world.lines("its time is over").len(), 1);
    assert!(world.probes.is_empty());
    // All of them: none comes back sooner for that, because nobody has seen that it answers.
    world.pass(60 * SECOND);
    world.fail(1);
    world.fail(2);
    world.pass(2 * SECOND - MILLI);
    assert_eq!((world.status(1), world.status(2)), (Down, Down));
    world.pass(SECOND);
    assert_eq!((world.status(1), world.status(2)), (Up, Up));
    // One that fails again at once is left out for longer.
    world.fail(1);
    world.pass(3 * SECOND);
    assert_eq!(world.status(1), Down);
    world.pass(3 * SECOND);
    assert_eq!(world.status(1), Up);
}

#[test]
fn failures_of_clients_add_up_where_nobody_asks() {
    let mut text = checked(&[1, 2], Check::usual(false));
    text.manager.fall = 3;
    text.manager.heartbeat = Some(SECOND);
    let mut world = World::new(&text);
    for failures in 1..=3 {
        assert_eq!(world.status(1), Up, "{failures}");
        world.fail(1);
        world.slow(1);
        world.pass(100 * MILLI);
    }
    assert_eq!(world.status(1), Down);
    world.pass(60 * SECOND);
    assert!(world.probes.is_empty() && world.manager.probes_in_flight() == 0);
}

#[test]
fn check_that_a_reload_changes_is_asked_from_the_next_probe_on_and_its_host_stays() {
    let mut world = World::new(&web(&[1]));
    let (_, before) = world.find(1);
    world.pass(60 * SECOND);
    assert!(world.probes.is_empty(), "a host that is up is left alone");
    world.reload(&checked(&[1], Check { port: Some(99), interval: Some(SECOND), ..udp() }));
    world.pass(SECOND);
    assert_eq!(world.probes[0].1, addr(99));
    world.answer(REFUSED);
    assert_eq!(world.status(1), Down);
    // One is under way, because no host is left. Whatever comes of it is no answer to what is asked from now on.
    world.reload(&web(&[1]));
    assert_eq!(world.probes[0].1, addr(99));
    world.answer(Ok(MILLI));
    assert_eq!(world.status(1), Down);
    world.pass(2 * SECOND);
    assert_eq!(world.probes[0].1, addr(1));
    world.answer(Ok(MILLI));
    assert_eq!(world.status(1), Up);
    assert_eq!(world.find(1).1, before);
    world.pass(60 * SECOND);
    assert!(world.probes.is_empty());
}
