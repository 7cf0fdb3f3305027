//! Whose turn it is: priorities, hosts for emergencies and for abuse, stubborn services, and hashing by a table of places.

use super::*;
use crate::model::access::{Acl, Net, Rule, Verdict};
use crate::model::limits::EXACT_HOSTS_MAX;
use crate::model::outcome::{Blame, Fault};
use crate::model::role::Role;
use crate::model::status::HostStatus::Down;

const REFUSED: Blame = Blame::Host(Fault::Refused);
const NO_PORTS: Blame = Blame::Local(99);

/// Both ways to choose: as among few hosts, and as among many.
const EXACT: [usize; 2] = [EXACT_HOSTS_MAX, 0];

fn ranked(kind: SchedulerKind, levels: &[(Role, u32)]) -> ServiceSpec {
    let mut spec = spec(kind, &vec![1; levels.len()]);
    for (host, (role, prio)) in spec.hosts.iter_mut().zip(levels) {
        host.level = Level { role: *role, prio: *prio };
    }
    spec.entrance.acl = Some(denying(DENIED));
    spec
}

/// The network that may not come in.
const DENIED: [u8; 4] = [198, 51, 100, 0];

fn denying(net: [u8; 4]) -> Arc<Acl> {
    Arc::new(Acl::new(Verdict::Permit, &[Rule { verdict: Verdict::Deny, net: Net::new(net.into(), 24).unwrap() }]))
}

fn normal(prios: &[u32]) -> ServiceSpec {
    ranked(SchedulerKind::RoundRobin, &prios.iter().map(|prio| (Role::Normal, *prio)).collect::<Vec<_>>())
}

fn start(spec: &ServiceSpec, exact_hosts_max: usize) -> Balancer<()> {
    let mut balancer = Balancer::with_exact_hosts_max(7, exact_hosts_max);
    balancer.apply(Arc::new(spec.clone()));
    balancer
}

fn come(balancer: &mut Balancer<()>, number: u32, is_denied: bool) -> (Key, Next) {
    assert!(balancer.reserve(S, false));
    let first = if is_denied { u32::from_be_bytes(DENIED) } else { 0x0A63_0000 };
    let addr = SocketAddr::from((first.wrapping_add(number).to_be_bytes(), 4000));
    balancer.open(at(0), S, addr.into(), ()).unwrap()
}

fn clear_suspicions(spec: &ServiceSpec) {
    for host in &spec.hosts {
        host.counters.clear_suspicion();
    }
}

fn picks(balancer: &mut Balancer<()>, count: usize) -> Vec<u32> {
    (0..count).map(|_| open_to(balancer, at(0)).1).collect()
}

#[test]
fn client_that_no_host_may_serve_goes_to_one_for_abuse_and_to_no_other() {
    for exact in EXACT {
        let mut spec = ranked(SchedulerKind::RoundRobin, &[(Role::Normal, 0), (Role::Emergency, 0), (Role::Abuse, 0)]);
        let list = denying([10, 99, 0, 0]);
        spec.hosts[0].acl = Some(Arc::clone(&list));
        let mut balancer = start(&spec, exact);
        assert_eq!(number(come(&mut balancer, 1, false).1), 1, "the one for emergencies permits it");
        balancer.apply(next_generation(&mut spec, |spec| spec.hosts[1].acl = Some(Arc::clone(&list))));
        assert_eq!(number(come(&mut balancer, 2, false).1), 2);
        balancer.apply(next_generation(&mut spec, |spec| spec.hosts[2].acl = Some(list)));
        assert_eq!(come(&mut balancer, 3, false).1, Next::Close(CloseReason::Denied));
    }
}

#[test]
fn lowest_prio_takes_turns_until_none_of_it_can_and_again_when_one_can() {
    for exact in EXACT {
        let mut spec = normal(&[2, 1, 2, 1]);
        spec.hosts[1].max = Some(2);
        spec.hosts[3].max = Some(2);
        let mut balancer = start(&spec, exact);
        assert_eq!(picks(&mut balancer, 4), [1, 3, 1, 3]);
        assert_eq!(picks(&mut balancer, 3), [0, 2, 0], "all of the first are full");
        let first = balancer.key_at(0).unwrap();
        close(&mut balancer, first);
        assert_eq!(picks(&mut balancer, 2), [1, 2], "the turn goes on where it was");
        balancer.apply(next_generation(&mut spec, |spec| spec.hosts[0].level.prio = 0));
        assert_eq!(picks(&mut balancer, 2), [0, 0]);
    }
}

#[test]
fn emergency_comes_after_suspected_hosts_and_before_waiting_and_those_that_are_down() {
    for exact in EXACT {
        let mut spec = ranked(SchedulerKind::LeastConns, &[(Role::Normal, 0), (Role::Normal, 5), (Role::Emergency, 0)]);
        let mut balancer = start(&spec, exact);
        spec.hosts[0].counters.suspect(at(0), at(5000));
        spec.hosts[1].counters.suspect(at(0), at(5000));
        let (key, host) = open_to(&mut balancer, at(0));
        assert_ne!(host, 2, "one that is suspected may answer");
        let second = number(balancer.connect_failed(at(0), key, REFUSED));
        assert_eq!(host + second, 1, "so may the other one");
        assert_eq!(number(balancer.connect_failed(at(0), key, REFUSED)), 2);
        clear_suspicions(&spec);
        balancer.apply(next_generation(&mut spec, |spec| {
            spec.hosts[0].max = Some(1);
            spec.hosts[1].status = Down;
        }));
        assert_eq!(picks(&mut balancer, 3), [0, 2, 2], "full ones cannot take it");
        balancer.apply(next_generation(&mut spec, |spec| spec.hosts[2].status = Down));
        assert_eq!(open(&mut balancer, at(0)).1, Next::Wait, "rather wait for one that is up");
    }
}

#[test]
fn denied_client_goes_to_hosts_for_abuse_alone_or_is_closed_for_it() {
    for exact in EXACT {
        let levels = [(Role::Normal, 0), (Role::Abuse, 0), (Role::Emergency, 0), (Role::Abuse, 1)];
        let mut spec = ranked(SchedulerKind::RoundRobin, &levels);
        spec.hosts[1].max = Some(1);
        spec.hosts[3].max = Some(1);
        let mut balancer = start(&spec, exact);
        let (first, next) = come(&mut balancer, 1, true);
        assert_eq!(number(next), 1);
        assert_eq!(number(balancer.connect_failed(at(0), first, REFUSED)), 3);
        assert_eq!(balancer.connect_failed(at(0), first, REFUSED), Next::Close(CloseReason::Denied));
        clear_suspicions(&spec);
        assert_eq!([1, 2].map(|client| number(come(&mut balancer, client, true).1)), [1, 3]);
        assert_eq!(come(&mut balancer, 3, true).1, Next::Close(CloseReason::Denied), "it waits for nobody");
        balancer.apply(next_generation(&mut spec, |spec| spec.hosts.retain(|host| host.level.role != Role::Abuse)));
        assert_eq!(come(&mut balancer, 4, true).1, Next::Close(CloseReason::Denied));
        balancer.apply(next_generation(&mut spec, |spec| spec.hosts.clear()));
        assert_eq!(come(&mut balancer, 5, false).1, Next::Close(CloseReason::NoHost));
    }
}

#[test]
fn client_that_nobody_denies_never_goes_to_hosts_for_abuse() {
    for exact in EXACT {
        let mut spec = ranked(SchedulerKind::RoundRobin, &[(Role::Normal, 0), (Role::Abuse, 0)]);
        let mut balancer = start(&spec, exact);
        let (key, host) = open_to(&mut balancer, at(0));
        assert_eq!(host, 0);
        assert_eq!(balancer.connect_failed(at(0), key, REFUSED), Next::Close(CloseReason::NoHost));
        close(&mut balancer, key);
        spec.hosts[0].counters.clear_suspicion();
        balancer.apply(next_generation(&mut spec, |spec| spec.hosts[0].max = Some(1)));
        assert_eq!(picks(&mut balancer, 1), [0]);
        assert_eq!(open(&mut balancer, at(0)).1, Next::Wait, "rather wait");
    }
}

#[test]
fn stubborn_service_gives_a_busy_host_time() {
    let spec = ServiceSpec { is_stubborn: true, ..normal(&[0, 0]) };
    let mut balancer = balancer(&spec);
    let (key, host) = open_to(&mut balancer, at(0));
    assert_eq!(host, 0);
    for round in 0..3 {
        let now = at(round * 100);
        assert_eq!(balancer.connect_failed(now, key, Blame::Busy), Next::Wait, "it is not asked again at once");
        let again = due(&mut balancer, at(round * 100 + 50));
        assert!(matches!(again, Some((_, Due::Connect(target))) if number_of(target.addr) == 0), "{again:?}");
    }
}

#[test]
fn stubborn_service_closes_whose_host_fails_and_waits_out_what_fails_here() {
    let spec = ServiceSpec { is_stubborn: true, ..normal(&[0, 0]) };
    let mut balancer = balancer(&spec);
    let (key, host) = open_to(&mut balancer, at(0));
    assert_eq!(host, 0);
    assert_eq!(number(balancer.connect_failed(at(0), key, NO_PORTS)), 0, "this machine's failure is no host's");
    assert_eq!(balancer.connect_failed(at(1), key, NO_PORTS), Next::Wait);
    assert!(matches!(due(&mut balancer, at(30)), Some((_, Due::Connect(target))) if number_of(target.addr) == 0));
    assert_eq!(due(&mut balancer, at(1000)), None, "nor is it moved when its host is slow");
    assert_eq!(balancer.connect_failed(at(1001), key, REFUSED), Next::Close(CloseReason::NoHost));
}

#[test]
fn places_of_maglev_give_few_and_many_hosts_the_same_and_move_nobody_else() {
    let mut spec = spec(SchedulerKind::Maglev, &[1, 3, 1, 2, 1]);
    let all = |spec: &ServiceSpec, exact| {
        let mut balancer = start(spec, exact);
        (0..300).map(|client| number(come(&mut balancer, client, false).1)).collect::<Vec<_>>()
    };
    let before = all(&spec, EXACT_HOSTS_MAX);
    assert_eq!(all(&spec, 0), before);
    let heavy = before.iter().filter(|host| **host == 1).count();
    assert!((80..145).contains(&heavy), "{heavy} of 300 at three eighths");
    for change in [(|host| host.status = Down) as fn(&mut HostSpec), |host| host.weight = 0, |host| host.max = Some(0)]
    {
        let mut changed = spec.clone();
        change(&mut changed.hosts[3]);
        for exact in EXACT {
            let after = all(&changed, exact);
            assert!(before.iter().zip(&after).all(|(before, after)| *before == 3 || before == after));
            assert!(!after.contains(&3));
        }
    }
    spec.hosts.truncate(1);
    assert!(all(&spec, 0).iter().all(|host| *host == 0));
}
