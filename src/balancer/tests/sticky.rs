//! Clients that find their host again.

use super::*;
use crate::balancer::candidates::Wish;
use crate::model::outcome::{Blame, Fault};
use crate::model::role::Role;
use crate::model::sticky::{Network, StickyMode, StickyRules, StickyTable};
use std::net::{IpAddr, Ipv4Addr};

const REFUSED: Blame = Blame::Host(Fault::Refused);

fn sticky(mode: StickyMode, weights: &[u32], change: impl FnOnce(&mut StickyRules)) -> ServiceSpec {
    let mut rules = StickyRules { mode, size: 16, ..StickyRules::default() };
    change(&mut rules);
    let table = (mode == StickyMode::Table).then(|| Arc::new(StickyTable::new(rules.size)));
    ServiceSpec { sticky: rules, table, ..spec(SchedulerKind::RoundRobin, weights) }
}

fn with_table(weights: &[u32]) -> ServiceSpec {
    sticky(StickyMode::Table, weights, |_| ())
}

fn ip(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0A63_0000 + number).into()
}

fn come(balancer: &mut Balancer<()>, now: Moment, number: u32) -> (Key, Next) {
    assert!(balancer.reserve(S, false));
    let (key, next) = balancer.open(now, S, SocketAddr::new(ip(number), 4000), ()).unwrap();
    if !matches!(next, Next::Close(_)) {
        balancer.check().unwrap();
    }
    (key, next)
}

fn goes_to(balancer: &mut Balancer<()>, now: Moment, client: u32) -> u32 {
    let (key, next) = come(balancer, now, client);
    balancer.connected(now, key);
    number(next)
}

fn known(spec: &ServiceSpec, client: u32) -> Option<u32> {
    let network: Network = spec.sticky.prefixes.network(ip(client));
    spec.table.as_ref().unwrap().peek(network).map(|known| known.host.0)
}

#[test]
fn client_comes_back_to_its_host_at_any_reactor_and_others_go_on_in_turn() {
    let spec = with_table(&[1, 1, 1]);
    let mut reactors = [balancer(&spec), balancer(&spec)];
    let order = [(0, 1), (0, 2), (1, 1), (1, 3), (0, 2), (1, 4)];
    let hosts = order.map(|(reactor, client)| goes_to(&mut reactors[reactor], at(0), client));
    assert_eq!(hosts, [0, 1, 0, 2, 1, 0]);
}

#[test]
fn client_whose_host_fails_moves_and_stays_with_the_new_one() {
    let mut spec = with_table(&[1, 1, 1]);
    let mut balancer = balancer(&spec);
    assert_eq!(goes_to(&mut balancer, at(0), 1), 0);
    let (key, _) = come(&mut balancer, at(1), 1);
    let next = balancer.connect_failed(at(1), key, REFUSED);
    assert_eq!((number(next), known(&spec, 1)), (1, Some(1)));
    balancer.apply(next_generation(&mut spec, |spec| spec.hosts[0].status = HostStatus::Down));
    assert_eq!(goes_to(&mut balancer, at(2), 1), 1);
    spec.hosts[0].counters.clear_suspicion();
    balancer.apply(next_generation(&mut spec, |spec| spec.hosts[0].status = HostStatus::Up));
    assert_eq!(goes_to(&mut balancer, at(3), 1), 1, "its old host is back, and it stays");
}

#[test]
fn client_of_a_host_that_is_slow_for_others_is_elsewhere_until_that_is_over() {
    let mut spec = with_table(&[1, 1, 1]);
    let mut balancer = balancer(&spec);
    assert_eq!(goes_to(&mut balancer, at(0), 1), 0);
    spec.hosts[0].counters.suspect_slow(at(1), at(5000));
    assert_eq!([2, 3].map(|millis| goes_to(&mut balancer, at(millis), 1)), [1, 1], "at one host meanwhile");
    spec.hosts[0].counters.clear_suspicion();
    assert_eq!([4, 5].map(|millis| goes_to(&mut balancer, at(millis), 1)), [0, 0], "it only was slow");
    spec.hosts[0].counters.suspect_slow(at(6), at(5006));
    let other = goes_to(&mut balancer, at(7), 1);
    assert_ne!(other, 0);
    // Another client's host fails somebody.
    let failed = goes_to(&mut balancer, at(7), 2);
    spec.hosts[failed as usize].counters.suspect(at(7), at(9));
    let third = goes_to(&mut balancer, at(7), 2);
    assert_ne!(third, failed);
    balancer.apply(next_generation(&mut spec, |spec| spec.hosts[0].status = HostStatus::Down));
    assert_eq!(goes_to(&mut balancer, at(8), 1), other);
    balancer.apply(next_generation(&mut spec, |spec| spec.hosts[0].status = HostStatus::Up));
    assert_eq!(goes_to(&mut balancer, at(6000), 1), other, "its old host was down, and it stays");
    assert_eq!(goes_to(&mut balancer, at(6000), 2), third, "its old host had failed somebody, and it stays");
}

#[test]
fn client_whom_nobody_took_is_remembered_where_it_was() {
    let spec = with_table(&[1, 1, 1]);
    let mut balancer = balancer(&spec);
    assert_eq!(goes_to(&mut balancer, at(0), 1), 0);
    let (key, _) = come(&mut balancer, at(1), 1);
    balancer.connect_failed(at(1), key, REFUSED);
    assert_eq!(known(&spec, 1), Some(1), "those that come with it go with it");
    balancer.connect_failed(at(1), key, REFUSED);
    assert_eq!(known(&spec, 1), Some(2));
    balancer.connect_failed(at(1), key, REFUSED);
    assert_eq!(known(&spec, 1), Some(0), "it was nowhere else");
}

#[test]
fn client_that_fails_back_is_at_one_host_meanwhile_and_returns() {
    let mut spec = sticky(StickyMode::Table, &[1, 1, 1], |rules| rules.fail_back = true);
    let mut balancer = balancer(&spec);
    assert_eq!(goes_to(&mut balancer, at(0), 1), 0);
    balancer.apply(next_generation(&mut spec, |spec| spec.hosts[0].status = HostStatus::Down));
    assert_eq!([1, 2, 3].map(|millis| goes_to(&mut balancer, at(millis), 1)), [1, 1, 1]);
    balancer.apply(next_generation(&mut spec, |spec| spec.hosts[0].status = HostStatus::Up));
    assert_eq!([4, 5].map(|millis| goes_to(&mut balancer, at(millis), 1)), [0, 0]);
    balancer.apply(next_generation(&mut spec, |spec| drop(spec.hosts.remove(0))));
    let new = goes_to(&mut balancer, at(6), 1);
    assert_eq!(goes_to(&mut balancer, at(7), 1), new, "a home that is gone is none");
}

#[test]
fn drained_full_and_removed_hosts_lose_their_clients() {
    let moves: [fn(&mut ServiceSpec); 3] =
        [|spec| spec.hosts[0].weight = 0, |spec| spec.hosts[0].max = Some(1), |spec| drop(spec.hosts.remove(0))];
    for change in moves {
        let mut spec = with_table(&[1, 1]);
        let mut balancer = balancer(&spec);
        assert_eq!(goes_to(&mut balancer, at(0), 1), 0);
        balancer.apply(next_generation(&mut spec, change));
        assert_eq!((goes_to(&mut balancer, at(1), 1), known(&spec, 1)), (1, Some(1)));
    }
}

#[test]
fn client_that_comes_late_is_new_and_the_end_of_a_connection_counts() {
    let spec = sticky(StickyMode::Table, &[1, 1, 1], |rules| rules.ttl = Duration::from_secs(1));
    let mut balancer = balancer(&spec);
    let (key, next) = come(&mut balancer, at(0), 1);
    assert_eq!(number(next), 0);
    balancer.connected(at(0), key);
    balancer.close(at(5000), key, CloseReason::Finished, Traffic::default());
    assert_eq!(goes_to(&mut balancer, at(5999), 1), 0);
    assert_eq!(goes_to(&mut balancer, at(7000), 1), 1);
}

#[test]
fn client_for_whom_two_reactors_choose_at_once_is_at_one_host() {
    let spec = with_table(&[1, 1, 1]);
    let mut balancer = balancer(&spec);
    assert_eq!(goes_to(&mut balancer, at(0), 9), 0);
    let (table, network) = (spec.table.as_ref().unwrap(), spec.sticky.prefixes.network(ip(9)));
    let theirs = table.peek(network).unwrap();
    table.forget(network);
    let service = &mut balancer.services[0];
    let belongs = service.belongs(at(1), SocketAddr::new(ip(9), 1)).unwrap();
    // Between this reactor's look and its choice the other one has chosen.
    table.set(at(1), network, theirs);
    let wish = Wish { now: at(1), tried: &[], client: 0 };
    let mine = service.pool.choose_again(HostId(2), &[Role::Normal]).unwrap();
    let (settled, _) = service.settle(Some(&belongs), &wish, mine);
    assert_eq!(service.pool.host(settled).id, HostId(0));
    assert_eq!((spec.hosts[2].counters.open(), spec.hosts[0].counters.open()), (0, 2), "no place is lost");
}

#[test]
fn client_of_a_host_may_go_above_max_up_to_hard_also_past_the_queue() {
    let mut spec = with_table(&[1]);
    (spec.hosts[0].max, spec.hosts[0].hard) = (Some(2), Some(3));
    let mut balancer = balancer(&spec);
    for _ in 0..2 {
        assert_eq!(goes_to(&mut balancer, at(0), 1), 0);
    }
    let (stranger, next) = come(&mut balancer, at(1), 2);
    assert_eq!(next, Next::Wait, "a stranger waits at max");
    assert_eq!(goes_to(&mut balancer, at(1), 1), 0);
    let (own, next) = come(&mut balancer, at(1), 1);
    assert_eq!((next, spec.hosts[0].counters.open()), (Next::Wait, 3), "hard is hard");
    let first = balancer.key_at(0).unwrap();
    close(&mut balancer, first);
    // Both wait; the stranger was first, and there is room only for the host's own client.
    assert_eq!(balancer.next_waiting(at(2)).map(|(key, _)| key), Some(own));
    assert_eq!((balancer.state(stranger), spec.hosts[0].counters.open()), (Some(State::Waiting), 3));
}

#[test]
fn hashing_needs_no_memory_and_moves_the_clients_of_a_lost_host_alone() {
    let mut spec = sticky(StickyMode::Hash, &[1, 1, 2, 1], |_| ());
    let all = |spec: &ServiceSpec| {
        let mut reactor = balancer(spec);
        (0..400).map(|client| goes_to(&mut reactor, at(0), client)).collect::<Vec<_>>()
    };
    let before = all(&spec);
    // Another order, other ids: another director.
    let mut other = spec.clone();
    other.hosts.reverse();
    for (host, number) in other.hosts.iter_mut().zip(70..) {
        host.id = HostId(number);
    }
    assert_eq!(all(&other), before);
    spec.hosts[1].status = HostStatus::Down;
    for (client, (before, after)) in before.iter().zip(all(&spec)).enumerate() {
        assert!(*before == 1 || after == *before, "client {client} moved from {before} to {after}");
        assert_ne!(after, 1);
    }
    spec.hosts[1].status = HostStatus::Up;
    spec.hosts[1].weight = 0;
    let drained = all(&spec);
    assert!(before.iter().zip(&drained).all(|(before, after)| *before == 1 || before == after), "drained");
}

#[test]
fn service_without_stickiness_looks_at_no_client() {
    let spec = ServiceSpec { table: Some(Arc::new(StickyTable::new(4))), ..spec(SchedulerKind::RoundRobin, &[1, 1]) };
    let mut balancer = balancer(&spec);
    assert_eq!([1, 1, 1].map(|client| goes_to(&mut balancer, at(0), client)), [0, 1, 0]);
    assert!(spec.table.as_ref().unwrap().is_empty());
}
