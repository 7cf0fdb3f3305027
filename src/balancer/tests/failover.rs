//! What happens when a host does not take its client.

use super::*;
use crate::model::limits::LOCAL_RETRY;
use crate::model::outcome::{Blame, Fault};
use crate::model::report::Report;
use std::sync::atomic::Ordering::Relaxed;

const REFUSED: Blame = Blame::Host(Fault::Refused);
const NO_PORTS: Blame = Blame::Local(99);

#[test]
fn refused_client_moves_to_each_host_once_and_is_then_given_up() {
    let spec = spec(SchedulerKind::RoundRobin, &[1, 1, 1]);
    let mut balancer = balancer(&spec);
    let (key, first) = open_to(&mut balancer, at(0));
    let second = number(balancer.connect_failed(at(1), key, REFUSED));
    let third = number(balancer.connect_failed(at(2), key, REFUSED));
    assert_eq!([first, second, third], [0, 1, 2]);
    assert_eq!(balancer.connect_failed(at(3), key, REFUSED), Next::Close(CloseReason::NoHost));
    balancer.close(Moment::START, key, CloseReason::NoHost, Traffic::default());
    balancer.check().unwrap();
    let reports: Vec<Report> = balancer.take_reports().collect();
    let failed = |host| Report::HostFailed { service: S, host: HostId(host), fault: Fault::Refused };
    let lost = Report::ClientLost { service: S, client: client(), reason: CloseReason::NoHost };
    assert_eq!(reports, [failed(0), failed(1), failed(2), lost]);
    assert_eq!(spec.counters.retries.load(Relaxed), 2);
    assert!(spec.hosts.iter().all(|host| host.counters.open() == 0));
}

#[test]
fn host_that_failed_one_client_is_spared_the_next_on_every_reactor() {
    let spec = spec(SchedulerKind::LeastConns, &[1, 1]);
    let mut reactors = [balancer(&spec), balancer(&spec)];
    let (key, dead) = open_to(&mut reactors[0], at(0));
    assert_eq!(dead, 0);
    reactors[0].connect_failed(at(1), key, REFUSED);
    for _ in 0..3 {
        assert_eq!(open_to(&mut reactors[1], at(2)).1, 1, "although it has fewer connections");
    }
}

#[test]
fn suspected_host_is_still_better_than_none() {
    let mut balancer = balancer(&spec(SchedulerKind::RoundRobin, &[1]));
    let (key, _) = open_to(&mut balancer, at(0));
    assert_eq!(balancer.connect_failed(at(1), key, REFUSED), Next::Close(CloseReason::NoHost));
    balancer.close(Moment::START, key, CloseReason::NoHost, Traffic::default());
    assert_eq!(open_to(&mut balancer, at(2)).1, 0);
}

#[test]
fn host_that_is_down_is_the_last_resort_and_its_answer_is_reported() {
    let mut spec = spec(SchedulerKind::RoundRobin, &[1, 1]);
    spec.hosts[1].status = HostStatus::Down;
    let mut balancer = balancer(&spec);
    let (key, first) = open_to(&mut balancer, at(0));
    assert_eq!(first, 0);
    assert_eq!(number(balancer.connect_failed(at(1), key, REFUSED)), 1);
    balancer.connected(at(2), key);
    balancer.check().unwrap();
    let last = balancer.take_reports().last();
    assert_eq!(last, Some(Report::HostAnswered { service: S, host: HostId(1) }));
}

#[test]
fn drained_host_is_no_resort() {
    let mut spec = spec(SchedulerKind::RoundRobin, &[0, 0]);
    spec.hosts[1].status = HostStatus::Down;
    assert_eq!(open(&mut balancer(&spec), at(0)).1, Next::Close(CloseReason::NoHost));
}

#[test]
fn slow_connect_moves_on_and_tells_once() {
    let spec = spec(SchedulerKind::RoundRobin, &[1, 1]);
    let mut balancer = balancer(&spec);
    let (first, _) = open_to(&mut balancer, at(0));
    let (other, _) = open_to(&mut balancer, at(0));
    balancer.connected(at(1), other);
    let (second, _) = open_to(&mut balancer, at(1));
    assert_eq!(due(&mut balancer, at(99)), None);
    let (key, due_now) = due(&mut balancer, at(100)).unwrap();
    assert!(key == first && matches!(due_now, Due::Connect(target) if number_of(target.addr) == 1), "{due_now:?}");
    assert_eq!(due(&mut balancer, at(101)).map(|(key, _)| key), Some(second));
    let slow = Report::HostSlow { service: S, host: HostId(0) };
    assert_eq!(balancer.take_reports().collect::<Vec<_>>(), [slow]);
    assert_eq!(open_to(&mut balancer, at(102)).1, 1, "the slow host is suspected");
    assert_eq!(spec.hosts[0].counters.failed.load(Relaxed), 0, "slow is not failed");
}

#[test]
fn slow_host_without_an_alternative_gets_the_whole_connect_timeout() {
    let mut balancer = balancer(&spec(SchedulerKind::RoundRobin, &[1]));
    let (key, _) = open_to(&mut balancer, at(0));
    assert_eq!(due(&mut balancer, at(4999)), None);
    assert_eq!(due(&mut balancer, at(5000)), Some((key, Due::Close(CloseReason::ConnectTimeout))));
    let failed = Report::HostFailed { service: S, host: HostId(0), fault: Fault::TimedOut };
    assert_eq!(balancer.take_reports().last(), Some(failed));
}

#[test]
fn client_returns_to_a_slow_host_when_the_others_refuse() {
    let mut balancer = balancer(&spec(SchedulerKind::RoundRobin, &[1, 1]));
    let (key, _) = open_to(&mut balancer, at(0));
    assert!(matches!(due(&mut balancer, at(100)), Some((_, Due::Connect(_)))));
    assert_eq!(number(balancer.connect_failed(at(101), key, REFUSED)), 0);
    assert_eq!(balancer.state(key), Some(crate::balancer::State::Connecting { round: 1 }));
    assert_eq!(balancer.connect_failed(at(102), key, REFUSED), Next::Close(CloseReason::NoHost));
}

#[test]
fn client_of_silent_hosts_goes_around_and_waits_longer_each_time() {
    let mut balancer = balancer(&spec(SchedulerKind::RoundRobin, &[1, 1]));
    let (_, first) = open_to(&mut balancer, at(0));
    let mut turns = vec![(0, first)];
    for now in 1..5000 {
        if let Some((_, Due::Connect(target))) = due(&mut balancer, at(now)) {
            turns.push((now, number_of(target.addr)));
        }
    }
    assert_eq!(turns, [(0, 0), (100, 1), (200, 0), (600, 1), (1000, 0), (2600, 1), (4200, 0)]);
    assert!(matches!(due(&mut balancer, at(5000)), Some((_, Due::Close(CloseReason::ConnectTimeout)))));
}

#[test]
fn client_at_a_silent_host_is_offered_to_the_one_that_refused_it_when_that_may_be_back() {
    let mut balancer = balancer(&spec(SchedulerKind::RoundRobin, &[1, 1]));
    let (key, _) = open_to(&mut balancer, at(0));
    assert_eq!(number(balancer.connect_failed(at(1), key, REFUSED)), 1);
    assert_eq!(due(&mut balancer, at(101)), None, "it refused this client a moment ago");
    let again = due(&mut balancer, at(401)).unwrap();
    assert!(matches!(again, (_, Due::Connect(target)) if number_of(target.addr) == 0), "{again:?}");
    assert_eq!(number(balancer.connect_failed(at(402), key, REFUSED)), 1, "back to the silent one");
}

#[test]
fn host_that_failed_after_a_local_failure_there_is_not_tried_again_at_once() {
    let mut balancer = balancer(&spec(SchedulerKind::RoundRobin, &[1, 1, 1]));
    let (key, silent) = open_to(&mut balancer, at(0));
    assert!(matches!(due(&mut balancer, at(100)), Some((_, Due::Connect(_)))));
    let third = number(balancer.connect_failed(at(100), key, NO_PORTS));
    assert_eq!((silent, third), (0, 2));
    assert_eq!(number(balancer.connect_failed(at(101), key, REFUSED)), 0, "around to the silent one");
    assert!(matches!(due(&mut balancer, at(501)), Some((_, Due::Connect(target))) if number_of(target.addr) == 1));
    assert_eq!(number(balancer.connect_failed(at(502), key, REFUSED)), 2);
    assert_eq!(number(balancer.connect_failed(at(503), key, NO_PORTS)), 0, "one local failure is no reason to pause");
}

#[test]
fn far_host_is_not_slow_at_its_usual_time() {
    let spec = spec(SchedulerKind::RoundRobin, &[1, 1]);
    spec.hosts[0].counters.record_connect(Duration::from_millis(200));
    let mut balancer = balancer(&spec);
    open_to(&mut balancer, at(0));
    assert_eq!(due(&mut balancer, at(1599)), None);
    assert!(due(&mut balancer, at(1600)).is_some());
}

#[test]
fn local_failure_tries_another_host_then_pauses_and_blames_nobody() {
    let spec = spec(SchedulerKind::RoundRobin, &[1, 1, 1]);
    let mut balancer = balancer(&spec);
    let (key, _) = open_to(&mut balancer, at(0));
    assert_eq!(number(balancer.connect_failed(at(0), key, NO_PORTS)), 1);
    assert_eq!(balancer.connect_failed(at(0), key, NO_PORTS), Next::Wait);
    balancer.check().unwrap();
    let later = Moment::START.after(LOCAL_RETRY);
    assert!(matches!(due(&mut balancer, later), Some((_, Due::Connect(_)))));
    assert_eq!(balancer.take_reports().count(), 0);
    assert!(spec.hosts.iter().all(|host| !host.counters.is_suspected(at(1))));
}

#[test]
fn busy_hosts_are_all_passed_over_then_tried_again_and_doubted_but_not_failed() {
    let spec = spec(SchedulerKind::RoundRobin, &[1, 1, 1, 1]);
    let mut balancer = balancer(&spec);
    let (key, first) = open_to(&mut balancer, at(0));
    let mut seen = vec![first];
    seen.extend((0..3).map(|_| number(balancer.connect_failed(at(0), key, Blame::Busy))));
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3]);
    assert_eq!(balancer.connect_failed(at(0), key, Blame::Busy), Next::Wait);
    let reports: Vec<Report> = balancer.take_reports().collect();
    assert!(
        reports.len() == 4 && reports.iter().all(|report| matches!(report, Report::HostSlow { .. })),
        "{reports:?}"
    );
    assert!(spec.hosts.iter().all(|host| host.counters.is_suspected(at(1)) && host.counters.failed.load(Relaxed) == 0));
    balancer.check().unwrap();
    let later = Moment::START.after(LOCAL_RETRY);
    assert!(matches!(due(&mut balancer, later), Some((_, Due::Connect(_)))));
    // It lasts: nobody is to blame on this machine.
    while due(&mut balancer, at(4_999)).is_some() {
        let _ = balancer.connect_failed(at(4_999), key, Blame::Busy);
    }
    let end = due(&mut balancer, Moment::START.after(spec.connect_timeout).after(LOCAL_RETRY));
    assert!(matches!(end, Some((_, Due::Close(CloseReason::ConnectTimeout)))), "{end:?}");
}

#[test]
fn local_failure_beside_a_full_host_is_tried_again_and_not_waited_out() {
    let mut spec = spec(SchedulerKind::RoundRobin, &[1, 1]);
    spec.hosts[1].max = Some(1);
    let mut balancer = balancer(&spec);
    let (key, first) = open_to(&mut balancer, at(0));
    assert_eq!((first, open_to(&mut balancer, at(0)).1), (0, 1));
    assert_eq!(balancer.connect_failed(at(0), key, NO_PORTS), Next::Wait);
    assert!(!balancer.has_waiting());
    balancer.check().unwrap();
    let later = Moment::START.after(LOCAL_RETRY);
    assert!(matches!(due(&mut balancer, later), Some((_, Due::Connect(target))) if number_of(target.addr) == 0));
}

#[test]
fn local_failure_that_lasts_ends_the_client_as_local() {
    let mut balancer = balancer(&spec(SchedulerKind::RoundRobin, &[1]));
    let (key, mut next) = open(&mut balancer, at(0));
    let mut now = 0;
    loop {
        if let Next::Connect(_) = next {
            next = balancer.connect_failed(at(now), key, NO_PORTS);
        }
        now += 10;
        match due(&mut balancer, at(now)) {
            Some((_, Due::Connect(target))) => next = Next::Connect(target),
            Some((_, Due::Close(reason))) => {
                assert_eq!((reason, now), (CloseReason::Local, 5000));
                break;
            }
            Some((_, Due::Abandon | Due::Wake)) | None => {}
        }
    }
}

#[test]
fn host_removed_during_a_connect_keeps_its_count_right() {
    let mut spec = spec(SchedulerKind::RoundRobin, &[1, 1]);
    let counters = Arc::clone(&spec.hosts[0].counters);
    let mut balancer = balancer(&spec);
    let (key, _) = open_to(&mut balancer, at(0));
    balancer.apply(next_generation(&mut spec, |spec| drop(spec.hosts.remove(0))));
    balancer.check().unwrap();
    balancer.connected(at(1), key);
    assert_eq!(counters.open(), 1);
    assert_eq!(open_to(&mut balancer, at(2)).1, 1);
    close(&mut balancer, key);
    assert_eq!(counters.open(), 0);
}

#[test]
fn older_publication_is_ignored() {
    let mut spec = spec(SchedulerKind::RoundRobin, &[1, 1]);
    let old = Arc::new(spec.clone());
    let mut balancer = balancer(&spec);
    balancer.apply(next_generation(&mut spec, |spec| spec.hosts[0].status = HostStatus::Down));
    balancer.apply(old);
    assert_eq!([open_to(&mut balancer, at(0)).1, open_to(&mut balancer, at(0)).1], [1, 1]);
}

#[test]
fn abandoned_sessions_give_every_place_back() {
    let mut spec = spec(SchedulerKind::LeastConns, &[1]);
    spec.hosts[0].max = Some(1);
    let mut balancer = balancer(&spec);
    open(&mut balancer, at(0));
    open(&mut balancer, at(0));
    assert_eq!(balancer.abandon().len(), 2);
    assert_eq!(spec.hosts[0].counters.open(), 0);
    assert_eq!(spec.counters.open.load(Relaxed), 0);
    assert_eq!(spec.counters.waiting.load(Relaxed), 0);
    assert_eq!(spec.counters.closed(CloseReason::Panicked), 2);
}
