//! Clients that wait for room.

use super::*;
use crate::model::limits::WAITING_MAX;
use crate::model::outcome::{Blame, Fault};
use std::sync::atomic::Ordering::Relaxed;

fn full(max: u32) -> (ServiceSpec, Balancer<()>) {
    let mut spec = spec(SchedulerKind::RoundRobin, &[1]);
    spec.hosts[0].max = Some(max);
    let balancer = balancer(&spec);
    (spec, balancer)
}

#[test]
fn client_of_a_full_host_waits_and_is_served_first_come_first_served() {
    let (spec, mut balancer) = full(1);
    let (served, _) = open_to(&mut balancer, at(0));
    let waiting = [0, 1].map(|_| {
        let (key, next) = open(&mut balancer, at(0));
        assert_eq!(next, Next::Wait);
        key
    });
    assert_eq!(spec.counters.waiting.load(Relaxed), 2);
    assert_eq!(balancer.next_waiting(at(1)), None);
    close(&mut balancer, served);
    let (key, next) = balancer.next_waiting(at(1)).unwrap();
    assert_eq!((key, number(next)), (waiting[0], 0));
    assert_eq!(balancer.next_waiting(at(1)), None);
    balancer.check().unwrap();
    close(&mut balancer, waiting[1]);
    assert!(!balancer.has_waiting());
    assert_eq!(spec.counters.waiting.load(Relaxed), 0);
}

#[test]
fn newcomer_does_not_overtake_the_queue() {
    let (_, mut balancer) = full(1);
    let (served, _) = open_to(&mut balancer, at(0));
    let (first, _) = open(&mut balancer, at(0));
    close(&mut balancer, served);
    assert_eq!(open(&mut balancer, at(1)).1, Next::Wait);
    assert_eq!(balancer.next_waiting(at(1)).map(|(key, _)| key), Some(first));
}

#[test]
fn client_that_may_not_go_where_there_is_room_keeps_nobody_from_it() {
    let mut spec = spec(SchedulerKind::RoundRobin, &[1, 1]);
    spec.hosts[1].max = Some(1);
    let mut balancer = balancer(&spec);
    let (moving, host) = open_to(&mut balancer, at(0));
    assert_eq!((host, open_to(&mut balancer, at(0)).1), (0, 1));
    assert_eq!(balancer.connect_failed(at(1), moving, Blame::Host(Fault::Refused)), Next::Wait);
    assert_eq!(balancer.next_waiting(at(1)), None);
    let (newcomer, next) = open(&mut balancer, at(2));
    assert_eq!(next, Next::Wait, "its turn comes at the end of the reactor's");
    let (key, next) = balancer.next_waiting(at(2)).expect("the first host has room");
    assert_eq!((key, number(next)), (newcomer, 0));
    assert_eq!(balancer.next_waiting(at(2)), None);
    balancer.check().unwrap();
}

#[test]
fn queue_is_bounded() {
    let (_, mut balancer) = full(1);
    for _ in 0..=WAITING_MAX {
        assert!(balancer.reserve(S, false));
        assert!(!matches!(balancer.open(at(0), S, client(), ()).unwrap().1, Next::Close(_)));
    }
    assert_eq!(open(&mut balancer, at(0)).1, Next::Close(CloseReason::QueueFull));
}

#[test]
fn waiting_client_is_closed_at_the_connect_timeout() {
    let (_, mut balancer) = full(1);
    let (served, _) = open_to(&mut balancer, at(0));
    balancer.connected(at(0), served);
    let (key, _) = open(&mut balancer, at(10));
    assert_eq!(due(&mut balancer, at(5009)), None);
    assert_eq!(due(&mut balancer, at(5010)), Some((key, Due::Close(CloseReason::ConnectTimeout))));
}

#[test]
fn room_at_another_reactor_is_found() {
    let (spec, mut here) = full(1);
    let mut there = balancer(&spec);
    let (served, _) = open_to(&mut there, at(0));
    let (key, next) = open(&mut here, at(0));
    assert_eq!(next, Next::Wait);
    close(&mut there, served);
    assert_eq!(here.next_waiting(at(1)).map(|(key, _)| key), Some(key));
}

#[test]
fn full_host_that_is_down_makes_nobody_wait() {
    let (mut spec, mut balancer) = full(1);
    open_to(&mut balancer, at(0));
    balancer.apply(next_generation(&mut spec, |spec| spec.hosts[0].status = HostStatus::Down));
    assert_eq!(open(&mut balancer, at(0)).1, Next::Close(CloseReason::NoHost));
}

#[test]
fn removed_service_closes_its_waiting_clients_and_keeps_its_pairs() {
    let (spec, mut balancer) = full(1);
    let (served, _) = open_to(&mut balancer, at(0));
    balancer.connected(at(0), served);
    let (waiting, _) = open(&mut balancer, at(0));
    balancer.remove(S);
    assert_eq!(balancer.next_deadline(), Some(Moment::START));
    assert_eq!(due(&mut balancer, at(0)), Some((waiting, Due::Close(CloseReason::NoHost))));
    close(&mut balancer, waiting);
    assert!(!balancer.reserve(S, false));
    close(&mut balancer, served);
    assert_eq!(spec.counters.open.load(Relaxed), 0);
}

#[test]
fn service_at_its_limit_reserves_no_more() {
    let mut spec = spec(SchedulerKind::RoundRobin, &[1]);
    spec.max_connections = Some(1);
    let mut balancer = balancer(&spec);
    let (key, _) = open(&mut balancer, at(0));
    assert!(!balancer.reserve(S, false));
    assert!(balancer.reserve(S, true), "forced");
    assert!(balancer.unreserve(S), "somebody may have been refused");
    close(&mut balancer, key);
    assert!(balancer.reserve(S, false));
}

#[test]
fn clients_that_wait_at_several_services_are_each_served_when_their_own_has_room() {
    const SERVICES: u32 = 5;
    for exact_hosts_max in [0, 64] {
        let mut balancer: Balancer<()> = Balancer::with_exact_hosts_max(1, exact_hosts_max);
        let open_at = |balancer: &mut Balancer<()>, service: u32| {
            assert!(balancer.reserve(ServiceId(service), false));
            balancer.open(at(0), ServiceId(service), client(), ()).unwrap()
        };
        let mut queues: Vec<Vec<Key>> = Vec::new();
        for service in 0..SERVICES {
            let mut spec = ServiceSpec { id: ServiceId(service), ..spec(SchedulerKind::LeastConns, &[1]) };
            spec.hosts[0].max = Some(1);
            balancer.apply(Arc::new(spec));
            queues.push((0..4).map(|_| open_at(&mut balancer, service).0).collect());
        }
        assert_eq!(balancer.next_waiting(at(0)), None);
        // Two at a time, in an order in which queues end before, between and behind others.
        for pair in [[3, 1], [3, 4], [3, 0], [1, 0], [4, 2], [1, 2], [0, 4], [2, 1], [0, 4], [2, 3]] {
            let mut expected = Vec::new();
            for service in pair {
                let queue = &mut queues[service];
                let served = queue.remove(0);
                balancer.close(Moment::START, served, CloseReason::Finished, Traffic::default());
                expected.extend(queue.first().copied());
            }
            let mut found: Vec<Key> = std::iter::from_fn(|| balancer.next_waiting(at(1))).map(|(key, _)| key).collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{pair:?}");
            balancer.check().unwrap();
        }
        assert!(queues.iter().all(Vec::is_empty) && !balancer.has_waiting());
    }
}
