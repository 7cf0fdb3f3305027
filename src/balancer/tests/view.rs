use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{S, addr, at, balancer, client, open, open_to, spec};
use crate::balancer::{State, Traffic};
use crate::model::id::HostId;
use crate::model::outcome::{Blame, CloseReason, Fault};
use crate::model::scheduler::SchedulerKind::RoundRobin;

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn session_that_moves_on_shows_where_it_is_and_times_are_counted_where_they_were() {
    let spec = spec(RoundRobin, &[1, 1]);
    let mut balancer = balancer(&spec);
    let (key, first) = open_to(&mut balancer, at(10));
    let _ = balancer.connect_failed(at(20), key, Blame::Host(Fault::Refused));
    let second = 1 - first;
    let view = balancer.view(0).unwrap();
    assert_eq!((view.key, view.service, view.client), (key, S, client()));
    assert_eq!((view.host, view.state), (Some((HostId(second), addr(second))), State::Connecting { round: 0 }));
    assert_eq!((view.opened, view.since), (at(10), at(20)));
    balancer.connected(at(25), key);
    assert_eq!(balancer.view(0).unwrap().state, State::Open);
    balancer.tell(key, Traffic { up: 5, down: 0 });
    assert!(balancer.close(at(125), key, CloseReason::Finished, Traffic { up: 1, down: 2 }).is_some());
    assert!(balancer.view(0).is_none());
    assert_eq!(spec.counters.waits.sum(), millis(15), "all attempts together");
    let [first, second] = [first, second].map(|number| &spec.hosts[number as usize].counters);
    assert_eq!((first.connect_times.total(), first.lifetimes.total()), (0, 0));
    assert_eq!((second.connect_times.sum(), second.lifetimes.sum()), (millis(5), millis(100)));
    assert_eq!((second.connect_times.total(), second.lifetimes.total()), (1, 1));
    assert_eq!((second.bytes_up.load(Relaxed), second.bytes_down.load(Relaxed)), (6, 2));
}

#[test]
fn connection_that_its_host_ended_unused_has_lasted_until_then() {
    let spec = spec(RoundRobin, &[1, 1]);
    let mut balancer = balancer(&spec);
    let (key, first) = open_to(&mut balancer, at(0));
    balancer.connected(at(1), key);
    let _ = balancer.connect_failed(at(4), key, Blame::Host(Fault::Reset));
    balancer.connected(at(6), key);
    assert!(balancer.close(at(16), key, CloseReason::Finished, Traffic::default()).is_some());
    let lasted = [first, 1 - first].map(|number| spec.hosts[number as usize].counters.lifetimes.sum());
    assert_eq!(lasted, [millis(3), millis(10)]);
    assert_eq!((spec.counters.waits.total(), spec.counters.waits.sum()), (2, millis(7)));
}

#[test]
fn session_without_a_host_shows_none_and_has_no_lifetime() {
    let mut spec = spec(RoundRobin, &[1]);
    spec.hosts[0].max = Some(0);
    let mut balancer = balancer(&spec);
    let (key, _) = open(&mut balancer, at(3));
    let view = balancer.view(0).unwrap();
    assert_eq!((view.host, view.state, view.opened), (None, State::Waiting, at(3)));
    balancer.tell(key, Traffic { up: 1, down: 1 });
    assert!(balancer.close(at(9), key, CloseReason::Killed, Traffic::default()).is_some());
    let counters = &spec.hosts[0].counters;
    assert_eq!((counters.lifetimes.total(), counters.bytes_up.load(Relaxed)), (0, 0));
    assert_eq!(spec.counters.closed(CloseReason::Killed), 1);
}
