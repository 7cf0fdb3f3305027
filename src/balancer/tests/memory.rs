//! Room for sessions, after a peak.

use super::*;

#[test]
fn peak_that_is_over_leaves_little_behind() {
    let mut balancer = balancer(&spec(SchedulerKind::RoundRobin, &[1]));
    let mut keys: Vec<Key> = Vec::new();
    for _ in 0..20_000 {
        assert!(balancer.reserve(S, false));
        keys.push(balancer.open(at(0), S, client(), ()).unwrap().0);
    }
    assert!(!balancer.is_oversized(), "all of it is in use");
    for key in keys.drain(100..) {
        balancer.close(Moment::START, key, CloseReason::Finished, Traffic::default()).unwrap();
    }
    assert!(balancer.is_oversized());
    balancer.shrink();
    balancer.check().unwrap();
    assert!((100..200).contains(&balancer.slots()), "{}", balancer.slots());
    assert!(!balancer.is_oversized());
    assert_eq!(balancer.next_due(at(4999)), None);
    assert_eq!(
        std::iter::from_fn(|| balancer.next_due(at(5000))).count(),
        100,
        "those that are left have their timers"
    );
    assert!(balancer.reserve(S, false));
    let (key, _) = balancer.open(at(5000), S, client(), ()).unwrap();
    assert!(balancer.io(key).is_some());
}
