//! Flows by themselves.

use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::balancer::tests::{S, addr, at, next_generation, spec};
use crate::model::datagram::Dropped;
use crate::model::outcome::Fault;
use crate::model::scheduler::SchedulerKind;
use crate::model::status::HostStatus;

/// Flows to so many hosts, in turn.
fn flows(hosts: usize, flows_max: usize, sockets_max: usize) -> (Flows, ServiceSpec) {
    let spec = spec(SchedulerKind::RoundRobin, &vec![1; hosts]);
    let mut flows = Flows::new(7, flows_max, sockets_max);
    flows.apply(Arc::new(spec.clone()));
    (flows, spec)
}

fn client(number: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], number))
}

fn arrive(flows: &mut Flows, now: Moment, number: u16) -> Result<Forward, Dropped> {
    let client = client(number);
    let arrival = Arrival { service: S, listener: 0, client, local: None, count: 1, bytes: 10, last: 10 };
    let result = flows.arrive(now, &arrival);
    flows.check().unwrap();
    result
}

fn answer(flows: &mut Flows, now: Moment, forward: Forward) -> Option<Back> {
    let back = flows.answer(now, forward.lane.socket, forward.to, 1, 20);
    flows.check().unwrap();
    back
}

#[test]
fn datagrams_of_one_client_are_one_flow_and_its_answers_come_back() {
    let (mut flows, spec) = flows(2, 10, 10);
    let first = arrive(&mut flows, at(1), 1).unwrap();
    assert_eq!(arrive(&mut flows, at(1), 1), Ok(first));
    assert_eq!((flows.len(), spec.hosts[0].counters.open() + spec.hosts[1].counters.open()), (1, 1));
    let back = answer(&mut flows, at(2), first).unwrap();
    assert_eq!((back.key, back.to, back.is_last), (first.key, client(1), false));
    assert!(flows.answer(at(2), first.lane.socket, addr(9).as_ip().unwrap(), 1, 20).is_none(), "from somebody else");
    assert!(flows.close(at(2), first.key, CloseReason::Killed).is_some());
    assert!(answer(&mut flows, at(3), first).is_none(), "its flow has ended");
    assert_eq!(spec.counters.open.load(Relaxed), 0);
}

#[test]
fn socket_serves_one_flow_for_each_host() {
    let (mut flows, _) = flows(3, 100, 100);
    let forwards: Vec<Forward> = (0..9).map(|number| arrive(&mut flows, at(1), number).unwrap()).collect();
    let numbers: Vec<u32> = forwards.iter().map(|forward| forward.lane.socket.number).collect();
    assert_eq!(numbers, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    for (number, forward) in (0..).zip(forwards) {
        assert_eq!(answer(&mut flows, at(2), forward).unwrap().to, client(number));
    }
}

#[test]
fn full_table_recycles_who_was_never_answered_then_who_was_silent_longest() {
    let (mut flows, spec) = flows(1, 3, 100);
    let first = arrive(&mut flows, at(0), 1).unwrap();
    answer(&mut flows, at(1), first).unwrap();
    let unanswered = arrive(&mut flows, at(500), 2).unwrap();
    let third = arrive(&mut flows, at(600), 3).unwrap();
    answer(&mut flows, at(600), third).unwrap();
    assert_eq!(arrive(&mut flows, at(1499), 4), Err(Dropped::NoFlow), "a host has a second to answer");
    let fourth = arrive(&mut flows, at(1500), 4).unwrap();
    assert!(answer(&mut flows, at(1500), unanswered).is_none_or(|back| back.to == client(4)));
    answer(&mut flows, at(1500), fourth);
    arrive(&mut flows, at(1600), 1).unwrap();
    arrive(&mut flows, at(2700), 5).unwrap();
    assert_eq!(flows.recycled(), 2);
    assert!(
        flows.named(&Name { client: client(3), listener: 0, local: None, of_host: None }).is_none(),
        "silent longest"
    );
    assert_eq!(spec.counters.closed(CloseReason::Recycled), 2);
}

#[test]
fn late_answer_comes_to_nobody_else() {
    let (mut flows, _) = flows(1, 10, 1);
    let first = arrive(&mut flows, at(0), 1).unwrap();
    flows.close(at(10), first.key, CloseReason::Killed);
    assert_eq!(arrive(&mut flows, at(999), 2), Err(Dropped::NoFlow), "the only socket may still get an answer");
    assert!(answer(&mut flows, at(999), first).is_none());
    assert!(arrive(&mut flows, at(1000), 2).is_ok());
}

#[test]
fn refused_flow_moves_and_is_sent_again_if_all_of_it_came_back() {
    let (mut flows, spec) = flows(2, 10, 10);
    let first = arrive(&mut flows, at(0), 1).unwrap();
    let socket = first.lane.socket;
    let moved = flows.unreached(at(1), socket, first.to, Fault::Refused, 10).unwrap();
    assert!(moved.key == first.key && moved.to != first.to);
    assert_eq!(spec.hosts.iter().map(|host| host.counters.failed.load(Relaxed)).sum::<u64>(), 1);
    assert_eq!(arrive(&mut flows, at(2), 1).unwrap().to, moved.to);
    assert!(flows.unreached(at(3), socket, first.to, Fault::Refused, 10).is_none(), "it has moved already");
    assert!(flows.unreached(at(3), moved.lane.socket, moved.to, Fault::Refused, 4).is_none());
    // Both have failed: the flow has ended, and the next datagram is offered to whoever there is.
    assert!(flows.is_empty());
    assert!(arrive(&mut flows, at(4), 1).is_ok());
}

#[test]
fn flow_leaves_a_host_that_is_down_or_gone_and_stays_at_one_that_is_drained() {
    let (mut flows, mut spec) = flows(3, 10, 10);
    let first = arrive(&mut flows, at(0), 1).unwrap();
    let number = |to: SocketAddr| (0..3).find(|number| addr(*number) == to.into()).unwrap() as usize;
    flows.apply_known(&next_generation(&mut spec, |spec| spec.hosts[number(first.to)].weight = 0));
    assert_eq!(arrive(&mut flows, at(1), 1).unwrap().to, first.to);
    flows.apply_known(&next_generation(&mut spec, |spec| spec.hosts[number(first.to)].status = HostStatus::Down));
    let second = arrive(&mut flows, at(2), 1).unwrap();
    assert_ne!(second.to, first.to);
    flows.apply_known(&next_generation(&mut spec, |spec| spec.hosts.retain(|host| host.addr != second.to.into())));
    let third = arrive(&mut flows, at(3), 1).unwrap();
    assert!(third.to != second.to && third.to != first.to);
    flows.apply_known(&next_generation(&mut spec, |spec| {
        spec.hosts.iter_mut().for_each(|host| host.status = HostStatus::Down);
    }));
    assert_eq!(arrive(&mut flows, at(4), 1).unwrap().to, third.to, "there is nobody else");
    assert_eq!((flows.len(), third.key), (1, first.key));
}

#[test]
fn flow_ends_after_its_silence_or_its_answers() {
    let (mut flows, mut spec) = flows(1, 10, 10);
    arrive(&mut flows, at(0), 1).unwrap();
    arrive(&mut flows, at(20_000), 1).unwrap();
    assert_eq!(flows.next_due(at(49_999)), None);
    let (key, reason) = flows.next_due(at(50_000)).unwrap();
    assert_eq!(reason, CloseReason::Idle);
    flows.close(at(50_000), key, reason);
    flows.apply_known(&next_generation(&mut spec, |spec| spec.flows.responses = Some(2)));
    let forward = arrive(&mut flows, at(60_000), 1).unwrap();
    assert!(!answer(&mut flows, at(60_001), forward).unwrap().is_last);
    assert!(answer(&mut flows, at(60_002), forward).unwrap().is_last);
    flows.apply_known(&next_generation(&mut spec, |spec| spec.flows.responses = Some(0)));
    assert!(arrive(&mut flows, at(60_003), 2).unwrap().is_last);
}

#[test]
fn flow_is_small() {
    assert!(size_of::<Flow>() <= 192, "{}", size_of::<Flow>());
}
