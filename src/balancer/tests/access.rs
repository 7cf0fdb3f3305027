//! Who is let in, and where to.

use std::net::IpAddr;

use super::*;
use crate::model::access::{Acl, Net, Rule, Verdict};
use crate::model::clients::{ClientLimits, ClientRoom, ClientTable};
use crate::model::limits::LOG_EVERY;
use crate::model::outcome::{Blame, Fault};

fn guest(byte: u8) -> Endpoint {
    Endpoint::Ip(([192, 0, 2, byte], 5000).into())
}

/// A list that denies this client and nobody else.
fn without(byte: u8) -> Option<Arc<Acl>> {
    let net = Net::single(IpAddr::from([192, 0, 2, byte]));
    Some(Arc::new(Acl::new(Verdict::Permit, &[Rule { verdict: Verdict::Deny, net }])))
}

fn come(balancer: &mut Balancer<()>, at: Moment, byte: u8) -> (Key, Next) {
    assert!(balancer.reserve(S, false));
    balancer.open(at, S, guest(byte), ()).unwrap()
}

fn end(balancer: &mut Balancer<()>, at: Moment, key: Key, reason: CloseReason) {
    assert!(balancer.close(at, key, reason, Traffic::default()).is_some());
    balancer.check().unwrap();
}

#[test]
fn denied_client_is_closed_and_counted_and_told_of_once_in_a_while() {
    let mut spec = spec(SchedulerKind::RoundRobin, &[1]);
    spec.entrance.acl = without(1);
    let mut balancer = balancer(&spec);
    for millis in [0, 1, 2] {
        let (key, next) = come(&mut balancer, at(millis), 1);
        assert_eq!(next, Next::Close(CloseReason::Denied));
        end(&mut balancer, at(millis), key, CloseReason::Denied);
    }
    assert!(matches!(come(&mut balancer, at(3), 2).1, Next::Connect(_)));
    assert_eq!(balancer.take_reports().count(), 1);
    let later = at(0).after(LOG_EVERY);
    let (key, _) = come(&mut balancer, later, 1);
    end(&mut balancer, later, key, CloseReason::Denied);
    assert_eq!(balancer.take_reports().count(), 1);
    assert_eq!((spec.counters.closed(CloseReason::Denied), spec.counters.refused()), (4, 4));
}

#[test]
fn client_goes_only_to_hosts_that_permit_it_with_few_hosts_and_with_many() {
    for exact in [0, 32] {
        for kind in SchedulerKind::ALL {
            let mut spec = spec(kind, &[1, 1, 1]);
            spec.hosts[0].acl = without(1);
            spec.hosts[2].acl = without(1);
            let mut balancer: Balancer<()> = Balancer::with_exact_hosts_max(7, exact);
            balancer.apply(Arc::new(spec.clone()));
            for _ in 0..20 {
                assert_eq!(number(come(&mut balancer, at(0), 1).1), 1, "{kind}");
            }
            let others: Vec<u32> = (0..20).map(|_| number(come(&mut balancer, at(0), 2).1)).collect();
            assert!(others.contains(&0) || others.contains(&2), "{kind}: {others:?}");
            // Its host fails: there is nobody else for it, whoever is well.
            let (key, _) = come(&mut balancer, at(0), 1);
            let next = balancer.connect_failed(at(1), key, Blame::Host(Fault::Refused));
            assert_eq!(next, Next::Close(CloseReason::NoHost), "{kind}");
            balancer.apply(next_generation(&mut spec, |spec| spec.hosts[1].acl = without(1)));
            assert_eq!(come(&mut balancer, at(2), 1).1, Next::Close(CloseReason::Denied), "{kind}");
        }
    }
}

#[test]
fn client_that_waits_for_its_only_host_keeps_nobody_from_the_others() {
    let mut spec = spec(SchedulerKind::RoundRobin, &[1, 1]);
    spec.hosts[0].max = Some(1);
    spec.hosts[1].max = Some(1);
    spec.hosts[1].acl = without(1);
    let mut balancer = balancer(&spec);
    let (first, _) = come(&mut balancer, at(0), 2);
    let (second, _) = come(&mut balancer, at(0), 2);
    let (waits, next) = come(&mut balancer, at(0), 1);
    assert_eq!(next, Next::Wait);
    let (behind, next) = come(&mut balancer, at(0), 2);
    assert_eq!(next, Next::Wait);
    assert_eq!(balancer.next_waiting(at(1)), None);
    end(&mut balancer, at(2), second, CloseReason::Finished);
    let (served, next) = balancer.next_waiting(at(3)).unwrap();
    assert_eq!((served, number(next)), (behind, 1));
    end(&mut balancer, at(4), first, CloseReason::Finished);
    let (served, next) = balancer.next_waiting(at(5)).unwrap();
    assert_eq!((served, number(next)), (waits, 0));
}

fn limited(max: u32, table: u16) -> ServiceSpec {
    let mut spec = spec(SchedulerKind::RoundRobin, &[1]);
    let room = ClientRoom { prefix_v4: 32, prefix_v6: 64, clients: 64 };
    spec.entrance.limits = ClientLimits { max: Some(max), rate: None };
    spec.entrance.clients = Some(Arc::new(ClientTable::new(table, room)));
    spec
}

fn counted(spec: &ServiceSpec, byte: u8) -> u32 {
    spec.entrance.clients.as_ref().unwrap().open(guest(byte).ip())
}

#[test]
fn client_is_counted_over_all_reactors_until_its_end_of_any_kind() {
    let spec = limited(3, 1);
    let mut reactors = [balancer(&spec), balancer(&spec)];
    let first = come(&mut reactors[0], at(0), 1).0;
    let second = come(&mut reactors[1], at(0), 1).0;
    let _ = come(&mut reactors[1], at(0), 1);
    for reactor in &mut reactors {
        let (key, next) = come(reactor, at(1), 1);
        assert_eq!(next, Next::Close(CloseReason::ClientLimit));
        end(reactor, at(1), key, CloseReason::ClientLimit);
        assert!(matches!(come(reactor, at(1), 2).1, Next::Connect(_)));
    }
    assert_eq!((counted(&spec, 1), counted(&spec, 2)), (3, 2));
    end(&mut reactors[0], at(2), first, CloseReason::Finished);
    end(&mut reactors[1], at(2), second, CloseReason::Idle);
    assert_eq!(counted(&spec, 1), 1);
    // A reactor that panicked gives back what it has.
    assert_eq!(reactors[1].abandon().len(), 2);
    assert_eq!((counted(&spec, 1), counted(&spec, 2)), (0, 1));
}

#[test]
fn session_that_was_counted_elsewhere_leaves_the_new_table_alone() {
    let mut spec = limited(1, 1);
    let mut balancer = balancer(&spec);
    let (old, _) = come(&mut balancer, at(0), 1);
    let other = limited(1, 2).entrance;
    balancer.apply(next_generation(&mut spec, |spec| spec.entrance = other));
    let (new, next) = come(&mut balancer, at(1), 1);
    assert!(matches!(next, Next::Connect(_)));
    end(&mut balancer, at(2), old, CloseReason::Finished);
    assert_eq!(counted(&spec, 1), 1);
    balancer.apply(next_generation(&mut spec, |spec| spec.entrance = Entrance::default()));
    end(&mut balancer, at(3), new, CloseReason::Finished);
}
