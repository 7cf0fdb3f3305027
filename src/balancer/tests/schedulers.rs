//! Who is chosen.

use super::*;
use crate::model::limits::EXACT_HOSTS_MAX;
use proptest::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

fn picks(balancer: &mut Balancer<()>, count: usize) -> Vec<u32> {
    (0..count).map(|_| open_to(balancer, at(0)).1).collect()
}

fn shares(picks: &[u32], hosts: usize) -> Vec<usize> {
    (0..hosts).map(|host| picks.iter().filter(|pick| **pick as usize == host).count()).collect()
}

#[test]
fn round_robin_follows_the_list_over_all_reactors() {
    let spec = spec(SchedulerKind::RoundRobin, &[1, 1, 1]);
    let mut reactors = [balancer(&spec), balancer(&spec)];
    let order: Vec<u32> = [0, 0, 1, 0, 1, 1, 1, 0, 0].map(|reactor| open_to(&mut reactors[reactor], at(0)).1).into();
    assert_eq!(order, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
}

#[test]
fn round_robin_goes_on_after_the_last_host_when_hosts_come_and_go() {
    let mut spec = spec(SchedulerKind::RoundRobin, &[1, 1, 1, 1]);
    let mut balancer = balancer(&spec);
    assert_eq!(picks(&mut balancer, 2), [0, 1]);
    balancer.apply(next_generation(&mut spec, |spec| spec.hosts[2].status = HostStatus::Down));
    assert_eq!(picks(&mut balancer, 3), [3, 0, 1]);
    balancer.apply(next_generation(&mut spec, |spec| spec.hosts[2].status = HostStatus::Up));
    assert_eq!(picks(&mut balancer, 2), [2, 3]);
    balancer.apply(next_generation(&mut spec, |spec| drop(spec.hosts.remove(0))));
    assert_eq!(picks(&mut balancer, 4), [1, 2, 3, 1], "a host before the last one left");
    balancer.apply(next_generation(&mut spec, |spec| drop(spec.hosts.remove(0))));
    assert_eq!(picks(&mut balancer, 2), [2, 3], "the last one itself left");
}

#[test]
fn least_conns_counts_the_connections_of_all_reactors_in_flight_too() {
    let spec = spec(SchedulerKind::LeastConns, &[1, 1, 1]);
    let mut reactors = [balancer(&spec), balancer(&spec)];
    let order: Vec<u32> = [0, 1, 0, 1, 0, 1].map(|reactor| open_to(&mut reactors[reactor], at(0)).1).into();
    assert_eq!(order, [0, 1, 2, 0, 1, 2], "equal counts go by address");
    assert!(spec.hosts.iter().all(|host| host.counters.open() == 2));
}

#[test]
fn least_conns_rr_prefers_the_host_whose_last_connection_closed_longest_ago() {
    let spec = spec(SchedulerKind::LeastConnsRr, &[1, 1, 1]);
    let mut balancer = balancer(&spec);
    let keys: Vec<Key> = (0..3).map(|_| open_to(&mut balancer, at(0)).0).collect();
    for index in [1, 2, 0] {
        close(&mut balancer, keys[index]);
    }
    assert_eq!(picks(&mut balancer, 3), [1, 2, 0]);
}

#[test]
fn weighted_spreads_evenly() {
    let mut balancer = balancer(&spec(SchedulerKind::Weighted, &[5, 1, 1]));
    assert_eq!(picks(&mut balancer, 7), [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn weight_lc_fills_hosts_in_proportion() {
    let mut balancer = balancer(&spec(SchedulerKind::WeightLc, &[3, 1]));
    assert_eq!(shares(&picks(&mut balancer, 40), 2), [30, 10]);
}

#[test]
fn weight_r_follows_the_weights() {
    let mut balancer = balancer(&spec(SchedulerKind::WeightR, &[1, 10]));
    let shares = shares(&picks(&mut balancer, 11_000), 2);
    assert!((9_800..10_200).contains(&shares[1]), "{shares:?}");
}

#[test]
fn random_is_uniform_over_what_is_usable() {
    let mut spec = spec(SchedulerKind::Random, &[1; 20]);
    for host in &mut spec.hosts[2..] {
        host.status = HostStatus::Down;
    }
    let shares = shares(&picks(&mut balancer(&spec), 10_000), 20);
    assert_eq!(shares[0] + shares[1], 10_000);
    assert!((4_700..5_300).contains(&shares[0]), "{shares:?}");
}

#[test]
fn p2c_keeps_connections_close_to_even() {
    let mut balancer = balancer(&spec(SchedulerKind::P2c, &[1; 10]));
    let shares = shares(&picks(&mut balancer, 1000), 10);
    let (low, high) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
    assert!(high - low <= 10, "{shares:?}");
}

#[test]
fn changed_scheduler_decides_the_next_pick() {
    let mut spec = spec(SchedulerKind::RoundRobin, &[1, 1]);
    let mut balancer = balancer(&spec);
    assert_eq!(picks(&mut balancer, 1), [0]);
    balancer.apply(next_generation(&mut spec, |spec| spec.scheduler = SchedulerKind::LeastConns));
    assert_eq!(picks(&mut balancer, 2), [1, 0]);
}

fn kind() -> impl Strategy<Value = SchedulerKind> {
    (0..SchedulerKind::ALL.len()).prop_map(|index| SchedulerKind::ALL[index])
}

proptest! {
    #[test]
    fn only_usable_hosts_are_chosen_and_one_is_whenever_there_is_one(
        kind in kind(),
        hosts in prop::collection::vec((0..3_u32, any::<bool>(), any::<bool>(), 0..3_u32), 1..30),
        seed in any::<u64>(),
        exact_hosts_max in prop_oneof![Just(0), Just(EXACT_HOSTS_MAX)],
    ) {
        let mut spec = spec(kind, &vec![1; hosts.len()]);
        let mut usable = Vec::new();
        for (host, (weight, up, suspected, max)) in spec.hosts.iter_mut().zip(&hosts) {
            host.weight = *weight;
            host.status = if *up { HostStatus::Up } else { HostStatus::Down };
            host.max = Some(*max).filter(|max| *max < 2);
            if *suspected {
                host.counters.suspect(at(0), at(5000));
            }
            if *weight > 0 && *up && !suspected && *max > 0 {
                usable.push(host.id.0);
            }
        }
        let mut balancer = Balancer::with_exact_hosts_max(seed, exact_hosts_max);
        balancer.apply(Arc::new(spec.clone()));
        for _ in 0..4 {
            let still: Vec<u32> = usable
                .iter()
                .copied()
                .filter(|id| {
                    let host = &spec.hosts[*id as usize];
                    host.max.is_none_or(|max| host.counters.open() < max)
                })
                .collect();
            prop_assert!(balancer.reserve(S, false));
            let (key, next) = balancer.open(at(0), S, client(), ()).unwrap();
            if let Next::Close(reason) = next {
                prop_assert!(still.is_empty());
                balancer.close(Moment::START, key, reason, Traffic::default());
                continue;
            }
            if !still.is_empty() {
                prop_assert!(still.contains(&number(next)), "{:?} is not among {:?}", next, still);
            }
        }
        for host in &spec.hosts {
            prop_assert!(host.max.is_none_or(|max| host.counters.open() <= max));
            prop_assert!(host.weight > 0 || host.counters.open() == 0);
        }
        prop_assert_eq!(spec.counters.open.load(Relaxed) as usize, balancer.len());
        balancer.check().map_err(TestCaseError::fail)?;
    }

    #[test]
    fn weighted_shares_are_exact_after_a_whole_round(
        weights in prop::collection::vec(1..20_u32, 1..8),
        exact_hosts_max in prop_oneof![Just(0), Just(EXACT_HOSTS_MAX)],
    ) {
        let mut balancer = Balancer::with_exact_hosts_max(7, exact_hosts_max);
        balancer.apply(Arc::new(spec(SchedulerKind::Weighted, &weights)));
        let sum = weights.iter().sum::<u32>() as usize;
        let shares = shares(&picks(&mut balancer, sum), weights.len());
        let expected: Vec<usize> = weights.iter().map(|weight| *weight as usize).collect();
        prop_assert_eq!(shares, expected);
    }
}
