//! Hosts that come and go, and many hosts at a time.

use super::*;
use crate::model::limits::PROBES_MAX;

/// Plays a minute of a host that flips every `half_period`, tried by a client every 5 ms while it is up and every
/// 50 ms, as a last resort, while it is down. Returns how often it was ejected.
fn ejections(half_period: Duration, config: &Config) -> usize {
    let mut world = World::new(config);
    let start = world.now;
    let alive = |now: Moment| (now.since(start).as_millis() / half_period.as_millis()).is_multiple_of(2);
    for step in 0..12_000_u32 {
        world.pass_answering(5 * MILLI, |now, to| if to == addr(2) || alive(now) { Ok(MILLI) } else { REFUSED });
        match (world.status(1), alive(world.now)) {
            (HostStatus::Up, false) => world.fail(1),
            (HostStatus::Down, true) if step % 10 == 0 => world.answered(1),
            (HostStatus::Up | HostStatus::Down, _) => {}
        }
    }
    world.lines("host=h1 addr=10.0.0.1:1 old=up new=down").len()
}

#[test]
fn host_that_flaps_at_5_hz_is_ejected_at_most_eight_times_a_minute() {
    let ejected = ejections(100 * MILLI, &web(&[1, 2]));
    println!("ejections in a minute at 5 Hz: {ejected}");
    assert!((2..=8).contains(&ejected), "{ejected}");
}

#[test]
fn host_that_flaps_at_any_rate_is_ejected_at_most_eight_times_a_minute() {
    for millis in [7, 33, 250, 500, 1_000, 2_500, 5_000, 9_000, 11_000] {
        let ejected = ejections(millis * MILLI, &web(&[1, 2]));
        assert!(ejected <= 8, "{ejected} times with a half period of {millis} ms");
    }
}

#[test]
fn host_that_flaps_under_heartbeats_is_ejected_at_most_eight_times_a_minute() {
    let mut config = web(&[1, 2]);
    config.manager.heartbeat = Some(SECOND);
    assert!(ejections(100 * MILLI, &config) <= 8);
}

#[test]
fn thousand_dead_hosts_are_probed_spread_out_and_a_bounded_number_at_a_time() {
    let ports: Vec<u16> = (1..=1_000).collect();
    let mut world = World::new(&web(&ports));
    for port in 1..1_000 {
        world.fail(port);
    }
    assert!(world.probes.is_empty(), "host 1000 is left");
    world.pass(2 * SECOND);
    let mut most = 0;
    for _ in 0..250 {
        world.pass(MILLI);
        most = most.max(world.probes.len());
        for (host, ..) in std::mem::take(&mut world.probes) {
            world.event(Event::ProbeEnded { host, result: REFUSED });
        }
    }
    assert!(most <= 10, "{most} in a millisecond");
    world.pass(4 * SECOND);
    assert_eq!(world.probes.len(), PROBES_MAX, "without answers no more than these run");
    assert_eq!(world.manager.probes_in_flight(), PROBES_MAX);
    world.probes.truncate(1);
    world.answer(REFUSED);
    assert_eq!(world.probes.len(), 1, "the place is taken at once");
}

#[test]
fn probe_whose_answer_is_lost_is_made_again() {
    let mut world = World::new(&web(&[1]));
    world.fail(1);
    world.probes.clear();
    world.pass(10 * SECOND);
    assert_eq!(world.probes.len(), 1);
    assert_eq!(world.status(1), HostStatus::Down);
}
