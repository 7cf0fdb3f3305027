//! When a session's time is up.

use super::*;

fn connected() -> (Balancer<()>, Key) {
    let mut balancer = balancer(&spec(SchedulerKind::RoundRobin, &[1]));
    let (key, _) = open_to(&mut balancer, at(0));
    balancer.connected(at(0), key);
    (balancer, key)
}

#[test]
fn idle_pair_is_closed_at_its_idle_timeout() {
    let (mut balancer, key) = connected();
    assert_eq!(due(&mut balancer, at(59_999)), None);
    assert_eq!(due(&mut balancer, at(60_000)), Some((key, Due::Close(CloseReason::Idle))));
}

#[test]
fn traffic_starts_the_idle_time_anew() {
    let (mut balancer, key) = connected();
    balancer.touch(at(59_000), key);
    assert_eq!(due(&mut balancer, at(118_999)), None);
    assert_eq!(due(&mut balancer, at(119_000)), Some((key, Due::Close(CloseReason::Idle))));
}

#[test]
fn half_closed_pair_has_the_fin_timeout() {
    let (mut balancer, key) = connected();
    balancer.half_closed(at(1000), key);
    balancer.touch(at(5000), key);
    assert_eq!(due(&mut balancer, at(14_999)), None);
    assert_eq!(due(&mut balancer, at(15_000)), Some((key, Due::Close(CloseReason::HalfClosedIdle))));
}

#[test]
fn wake_comes_when_asked_for_and_leaves_the_idle_timeout_alone() {
    let (mut balancer, key) = connected();
    balancer.wake_after(at(0), key, Duration::from_millis(5));
    assert_eq!(balancer.next_deadline(), Some(at(5)));
    assert_eq!(due(&mut balancer, at(5)), Some((key, Due::Wake)));
    assert_eq!(due(&mut balancer, at(59_999)), None);
    assert_eq!(due(&mut balancer, at(60_000)), Some((key, Due::Close(CloseReason::Idle))));
}

#[test]
fn ended_session_is_never_due_and_its_key_finds_nothing() {
    let (mut balancer, key) = connected();
    close(&mut balancer, key);
    assert_eq!(due(&mut balancer, at(1_000_000)), None);
    assert_eq!(balancer.next_deadline(), None);
    let (again, _) = open_to(&mut balancer, at(0));
    assert_eq!(again.slot, key.slot);
    assert!(balancer.io(key).is_none() && balancer.io(again).is_some());
    assert!(balancer.close(Moment::START, key, CloseReason::Finished, Traffic::default()).is_none());
}
