//! Groups of many hosts: the same rules, without a look at each host.

use super::*;
use crate::model::limits::{EXACT_HOSTS_MAX, FREED_KEPT};
use crate::model::outcome::{Blame, Fault};
use crate::model::rng::Rng;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::VecDeque;

const MANY: usize = 10_000;
const SEPARATE: [SchedulerKind; 4] =
    [SchedulerKind::RoundRobin, SchedulerKind::LeastConns, SchedulerKind::LeastConnsRr, SchedulerKind::WeightLc];

/// A brain that deals with any number of hosts as with many.
fn as_many(spec: &ServiceSpec, seed: u64) -> Balancer<()> {
    let mut balancer = Balancer::with_exact_hosts_max(seed, 0);
    balancer.apply(Arc::new(spec.clone()));
    balancer
}

/// Opens a session without the checks, which walk over everything.
fn open_quickly(balancer: &mut Balancer<()>, now: Moment) -> (Key, Next) {
    assert!(balancer.reserve(S, false));
    balancer.open(now, S, client(), ()).unwrap()
}

fn open_counts(spec: &ServiceSpec) -> Vec<u32> {
    spec.hosts.iter().map(|host| host.counters.open()).collect()
}

/// Four reactors open and close in turn, each connection living for a random number of others, `rounds` times `mean`
/// connections a host. Returns by host how many there are at the end, and how often it was chosen.
fn churn(spec: &ServiceSpec, mean: usize, rounds: usize) -> (Vec<u32>, Vec<u64>) {
    let mut rng = Rng::new(11);
    let mut reactors = [0, 1, 2, 3].map(|seed| {
        let mut balancer: Balancer<()> = Balancer::new(seed);
        balancer.apply(Arc::new(spec.clone()));
        (balancer, Vec::<Key>::new())
    });
    let full = spec.hosts.len() * mean;
    for turn in 0..full * rounds {
        let now = at(turn as u64 / 100);
        let (balancer, keys) = &mut reactors[usize::try_from(rng.below(4)).unwrap()];
        let (key, next) = open_quickly(balancer, now);
        number(next);
        balancer.connected(now, key);
        keys.push(key);
        if turn >= full {
            let (balancer, keys) = &mut reactors[usize::try_from(rng.below(4)).unwrap()];
            let ends = usize::try_from(rng.below(keys.len() as u64)).unwrap();
            balancer.close(Moment::START, keys.swap_remove(ends), CloseReason::Finished, Traffic::default());
        }
    }
    let chosen = |host: &HostSpec| host.counters.established.load(std::sync::atomic::Ordering::Relaxed);
    (open_counts(spec), spec.hosts.iter().map(chosen).collect())
}

#[test]
fn fewest_connections_over_four_reactors_stay_within_two_of_the_mean() {
    for kind in [SchedulerKind::LeastConns, SchedulerKind::LeastConnsRr, SchedulerKind::WeightLc] {
        let (open, _) = churn(&spec(kind, &vec![1; MANY]), 4, 4);
        let (low, high) = (open.iter().min().unwrap(), open.iter().max().unwrap());
        println!("{kind}: {low} to {high} around 4");
        assert!(*high <= 4 + 2, "{kind}: up to {high}");
        assert!(*low >= 4 - 2, "{kind}: down to {low}");
    }
}

#[test]
fn two_choices_over_four_reactors_stay_within_four_of_the_mean() {
    let (open, _) = churn(&spec(SchedulerKind::P2c, &vec![1; MANY]), 4, 4);
    assert!(*open.iter().max().unwrap() <= 4 + 4, "{:?}", open.iter().max());
}

#[test]
fn fewest_by_weight_fill_hosts_in_proportion_over_four_reactors() {
    let weights: Vec<u32> = (0..1000).map(|number| 1 + u32::from(number % 4 == 0) * 9).collect();
    let (open, _) = churn(&spec(SchedulerKind::WeightLc, &weights), 40, 4);
    let heavy: u32 = open.iter().step_by(4).sum();
    let share = f64::from(heavy) / f64::from(open.iter().sum::<u32>());
    assert!((share - 10.0 / 13.0).abs() < 0.01, "{share}");
}

#[test]
fn weighted_shares_over_four_reactors_are_those_of_the_weights() {
    let weights: Vec<u32> = (0..1000).map(|number| 1 + number % 4).collect();
    let (_, chosen) = churn(&spec(SchedulerKind::Weighted, &weights), 5, 20);
    // 100,000 choices by a sum of weights of 2,500: forty times the weight, and at most one off a reactor.
    for (weight, chosen) in weights.iter().zip(&chosen) {
        let expected = u64::from(*weight) * 40;
        assert!(chosen.abs_diff(expected) <= 4 + expected / 20, "weight {weight}: {chosen}, not {expected}");
    }
}

#[test]
fn random_shares_of_many_are_those_of_the_weights() {
    let weights: Vec<u32> = (0..1000).map(|number| if number < 500 { 1 } else { 3 }).collect();
    let spec = spec(SchedulerKind::WeightR, &weights);
    let (_, chosen) = churn(&spec, 5, 20);
    let (light, heavy) = chosen.split_at(500);
    let ratio = heavy.iter().sum::<u64>() as f64 / light.iter().sum::<u64>() as f64;
    assert!((ratio - 3.0).abs() < 0.1, "{ratio}");
}

#[test]
fn round_robin_of_many_follows_the_list_over_all_reactors() {
    let spec = spec(SchedulerKind::RoundRobin, &[1; 40]);
    let mut reactors = [as_many(&spec, 1), as_many(&spec, 2)];
    for turn in 0..100 {
        let (_, next) = open_quickly(&mut reactors[usize::from(turn % 3 == 0)], at(0));
        assert_eq!(number(next), turn % 40);
    }
}

#[test]
fn place_that_another_reactor_gave_back_is_found_however_many_were() {
    for freed in [1, FREED_KEPT, FREED_KEPT + 9] {
        let mut spec = spec(SchedulerKind::LeastConns, &vec![1; 200]);
        for host in &mut spec.hosts {
            host.max = Some(1);
        }
        let (mut here, mut there) = (as_many(&spec, 1), as_many(&spec, 2));
        let mut taken: VecDeque<Key> = (0..200).map(|_| open_quickly(&mut there, at(0)).0).collect();
        let (waiting, next) = open(&mut here, at(1));
        assert_eq!((next, here.next_waiting(at(1))), (Next::Wait, None));
        for key in taken.drain(..freed) {
            there.close(Moment::START, key, CloseReason::Finished, Traffic::default());
        }
        let (key, next) = here.next_waiting(at(1)).expect("there is room");
        assert_eq!((key, number(next)), (waiting, 0));
        for _ in 1..freed {
            assert!(matches!(open(&mut here, at(1)).1, Next::Connect(_)));
        }
        assert_eq!(open(&mut here, at(1)).1, Next::Wait);
    }
}

#[test]
fn host_whose_limit_a_publication_raised_takes_clients_again() {
    let mut spec = spec(SchedulerKind::P2c, &[1; 40]);
    spec.hosts.iter_mut().for_each(|host| host.max = Some(1));
    let mut balancer = as_many(&spec, 1);
    (0..40).for_each(|_| assert!(matches!(open(&mut balancer, at(0)).1, Next::Connect(_))));
    let (waiting, next) = open(&mut balancer, at(0));
    assert_eq!((next, balancer.next_waiting(at(0))), (Next::Wait, None));
    balancer.apply(next_generation(&mut spec, |spec| spec.hosts[17].max = Some(2)));
    assert_eq!(balancer.next_waiting(at(0)).map(|(key, next)| (key, number(next))), Some((waiting, 17)));
}

#[test]
fn host_that_came_back_after_a_suspicion_is_chosen_again() {
    let spec = spec(SchedulerKind::LeastConns, &[1; 40]);
    let mut balancer = as_many(&spec, 1);
    let (key, first) = open_to(&mut balancer, at(0));
    balancer.connect_failed(at(0), key, Blame::Host(Fault::Refused));
    assert_eq!(first, 0);
    assert!((0..38).all(|_| open_to(&mut balancer, at(1)).1 != 0));
    assert_eq!(open_to(&mut balancer, at(5001)).1, 0, "it has the fewest");
}

#[test]
fn full_host_of_many_that_was_thought_ready_takes_no_turn() {
    for exact in [EXACT_HOSTS_MAX, 0] {
        let mut spec = spec(SchedulerKind::RoundRobin, &[1; 2]);
        spec.hosts[1].max = Some(1);
        let mut balancer = Balancer::<()>::with_exact_hosts_max(1, exact);
        balancer.apply(Arc::new(spec.clone()));
        let [first, second] = [0, 1].map(|expected| {
            let (key, next) = open_quickly(&mut balancer, at(0));
            assert_eq!(number(next), expected);
            key
        });
        balancer.close(at(0), first, CloseReason::Finished, Traffic::default());
        assert_eq!(number(open_quickly(&mut balancer, at(0)).1), 0, "the second is full");
        balancer.apply(next_generation(&mut spec, |spec| spec.hosts[0].status = HostStatus::Down));
        let (waiting, next) = open_quickly(&mut balancer, at(0));
        assert_eq!(next, Next::Wait);
        balancer.apply(next_generation(&mut spec, |spec| spec.hosts[0].status = HostStatus::Up));
        balancer.close(at(0), second, CloseReason::Finished, Traffic::default());
        let placed = balancer.next_waiting(at(0)).map(|(key, next)| (key, number(next)));
        assert_eq!(placed, Some((waiting, 1)), "it is the second one's turn; exact up to {exact}");
    }
}

/// Whether both chose a host that is down or suspected: which of several comes first is another's turn, and from there on
/// they differ. Fails unless their choices are as good as each other.
fn part_ways(choices: [Next; 2], specs: &[ServiceSpec; 2], now: u64) -> Result<bool, TestCaseError> {
    let [few, many] = [0, 1].map(|number| {
        let Next::Connect(target) = choices[number] else { return None };
        let host = &specs[number].hosts[number_of(target.addr) as usize];
        Some((host.status, host.status == HostStatus::Up && host.counters.is_suspected(at(now))))
    });
    prop_assert_eq!(few, many, "{:?}", choices);
    Ok(few.is_some_and(|class| class != (HostStatus::Up, false)))
}

/// What happens in the comparison with the exact rule.
#[derive(Clone, Debug)]
enum Step {
    Open,
    Close(Index),
    Flip(Index),
    Weigh(Index, u32),
    Fail(Index),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Open),
        3 => any::<Index>().prop_map(Step::Close),
        1 => any::<Index>().prop_map(Step::Flip),
        1 => (any::<Index>(), 0..3_u32).prop_map(|(host, weight)| Step::Weigh(host, weight)),
        1 => any::<Index>().prop_map(Step::Fail),
        1 => (0..7000_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn one_reactor_with_many_hosts_chooses_as_with_few(
        kind in (0..SEPARATE.len()).prop_map(|index| SEPARATE[index]),
        limits in prop::collection::vec(prop::option::of(1..4_u32), 1..12),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut specs = [(); 2].map(|()| {
            let mut spec = spec(kind, &vec![1; limits.len()]);
            spec.hosts.iter_mut().zip(&limits).for_each(|(host, max)| host.max = *max);
            spec
        });
        let mut brains = [EXACT_HOSTS_MAX, 0].map(|max| Balancer::<()>::with_exact_hosts_max(1, max));
        brains.iter_mut().zip(&specs).for_each(|(brain, spec)| brain.apply(Arc::new(spec.clone())));
        let (mut now, mut keys) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Open => {
                    let [(key, few), (same, many)] = brains.each_mut().map(|brain| open_quickly(brain, at(now)));
                    if part_ways([few, many], &specs, now)? {
                        return Ok(());
                    }
                    prop_assert_eq!((key, few), (same, many));
                    match few {
                        Next::Connect(_) => keys.push(key),
                        Next::Wait => {}
                        Next::Close(reason) => {
                            let _ = brains.each_mut().map(|brain| brain.close(Moment::START, key, reason, Traffic::default()));
                        }
                    }
                }
                Step::Close(which) if !keys.is_empty() => {
                    let key = keys.swap_remove(which.index(keys.len()));
                    let closed = brains.each_mut().map(|brain| {
                        brain.close(Moment::START, key, CloseReason::Finished, Traffic::default());
                        brain.next_waiting(at(now))
                    });
                    if let [Some((_, few)), Some((_, many))] = closed
                        && part_ways([few, many], &specs, now)?
                    {
                        return Ok(());
                    }
                    prop_assert_eq!(closed[0], closed[1]);
                    keys.extend(closed[0].map(|(key, _)| key));
                }
                Step::Flip(host) => {
                    for (spec, brain) in specs.iter_mut().zip(&mut brains) {
                        let host = host.index(limits.len());
                        brain.apply(next_generation(spec, |spec| spec.hosts[host].status = match spec.hosts[host].status {
                            HostStatus::Up => HostStatus::Down,
                            HostStatus::Down => HostStatus::Up,
                        }));
                    }
                }
                Step::Weigh(host, weight) => {
                    for (spec, brain) in specs.iter_mut().zip(&mut brains) {
                        brain.apply(next_generation(spec, |spec| spec.hosts[host.index(limits.len())].weight = weight));
                    }
                }
                Step::Fail(host) => {
                    // Each choice looks at no more suspected hosts than these.
                    for spec in &specs {
                        spec.hosts[host.index(limits.len().min(2))].counters.suspect(at(now), at(now + 5000));
                    }
                }
                Step::Pass(millis) => now += millis,
                Step::Close(_) => {}
            }
            brains.iter().try_for_each(Balancer::check).map_err(TestCaseError::fail)?;
        }
    }
}
