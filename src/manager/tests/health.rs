use super::*;
use crate::manager::Health;

const DOWN: Option<HostStatus> = Some(HostStatus::Down);
const UP: Option<HostStatus> = Some(HostStatus::Up);

fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

/// A host of a serving group, seen first at 1 s.
fn watched(rules: &config::Manager) -> Health {
    let mut health = Health::new(at(1_000), 0);
    health.watch(at(1_000), true, rules);
    health
}

/// The same, failed at 1 s.
fn failed(rules: &config::Manager) -> Health {
    let mut health = watched(rules);
    while health.on_client_failed(at(1_000), 0, rules).is_none() {}
    health
}

#[test]
fn client_failures_in_a_row_reach_fall() {
    let rules = config::Manager { fall: 3, ..rules() };
    let mut health = watched(&rules);
    assert_eq!(health.on_client_failed(at(1_000), 5, &rules), None);
    assert_eq!(health.on_client_failed(at(1_001), 5, &rules), None);
    assert_eq!(health.on_client_failed(at(1_002), 5, &rules), DOWN);
    assert_eq!(health.since(), at(1_002));
}

#[test]
fn client_that_succeeded_between_breaks_the_run() {
    let rules = config::Manager { fall: 2, ..rules() };
    let mut health = watched(&rules);
    for established in 0..20 {
        assert_eq!(health.on_client_failed(at(1_000), established, &rules), None);
    }
    assert_eq!(health.on_client_failed(at(1_000), 19, &rules), DOWN);
}

#[test]
fn failure_below_fall_is_probed_at_once_and_a_good_probe_forgets_it() {
    let rules = config::Manager { fall: 2, ..rules() };
    let mut health = watched(&rules);
    assert_eq!(health.next_probe(), None);
    health.on_client_failed(at(1_000), 0, &rules);
    assert_eq!(health.next_probe(), Some(at(1_000)));
    health.on_probe_started(at(1_000));
    assert_eq!(health.on_probe_succeeded(at(1_001), &rules), None);
    assert_eq!(health.next_probe(), None);
    assert_eq!(health.on_client_failed(at(1_200), 0, &rules), None, "the run began anew");
}

#[test]
fn failure_below_fall_with_a_bad_probe_is_one_run() {
    let rules = config::Manager { fall: 3, ..rules() };
    let mut health = watched(&rules);
    health.on_client_failed(at(1_000), 0, &rules);
    health.on_probe_started(at(1_000));
    assert_eq!(health.on_probe_failed(at(1_010), &rules), None);
    assert_eq!(health.next_probe(), Some(at(3_000)), "a host in doubt is asked again");
    health.on_probe_started(at(3_000));
    assert_eq!(health.on_probe_failed(at(3_010), &rules), DOWN);
}

#[test]
fn down_host_waits_for_the_longer_of_checktime_and_host_check() {
    assert_eq!(failed(&rules()).next_probe(), Some(at(3_000)));
    let patient = config::Manager { checktime: 120 * SECOND, ..rules() };
    assert_eq!(failed(&patient).next_probe(), Some(at(121_000)));
}

#[test]
fn down_host_is_probed_every_host_check_and_needs_rise_in_a_row() {
    let rules = config::Manager { rise: 2, ..rules() };
    let mut health = failed(&rules);
    let mut probe = |started: u64, good: bool| {
        assert_eq!(health.next_probe(), Some(at(started)));
        health.on_probe_started(at(started));
        let ended = at(started + 100);
        if good { health.on_probe_succeeded(ended, &rules) } else { health.on_probe_failed(ended, &rules) }
    };
    assert_eq!(probe(3_000, true), None);
    assert_eq!(probe(5_000, false), None);
    assert_eq!(probe(7_000, true), None);
    assert_eq!(probe(9_000, true), UP);
}

#[test]
fn down_host_that_answered_a_client_is_probed_at_once_but_only_a_probe_takes_it_back() {
    let mut health = failed(&rules());
    for _ in 0..10 {
        health.on_client_answered(at(1_500), &rules());
    }
    assert_eq!(health.status(), HostStatus::Down);
    assert_eq!(health.next_probe(), Some(at(1_500)));
    health.on_probe_started(at(1_500));
    assert_eq!(health.on_probe_succeeded(at(1_501), &rules()), UP);
}

#[test]
fn probe_that_began_before_the_failure_takes_nobody_back() {
    let mut health = watched(&rules());
    health.on_doubt(at(1_000));
    health.on_probe_started(at(1_000));
    assert_eq!(health.on_client_failed(at(1_100), 0, &rules()), DOWN);
    assert_eq!(health.on_probe_succeeded(at(1_200), &rules()), None);
    assert_eq!(health.next_probe(), Some(at(3_100)));
}

#[test]
fn clients_answered_count_towards_rise() {
    let rules = config::Manager { rise: 3, ..rules() };
    let mut health = failed(&rules);
    health.on_client_answered(at(1_500), &rules);
    health.on_client_answered(at(1_501), &rules);
    health.on_probe_started(at(1_501));
    assert_eq!(health.on_probe_succeeded(at(1_502), &rules), UP);
}

#[test]
fn answered_reports_in_a_burst_probe_no_faster_than_the_pause() {
    let mut health = failed(&rules());
    health.on_client_answered(at(1_500), &rules());
    health.on_probe_started(at(1_500));
    health.on_probe_failed(at(1_501), &rules());
    health.on_client_answered(at(1_502), &rules());
    assert_eq!(health.next_probe(), Some(at(1_550)));
}

#[test]
fn flapping_host_waits_twice_as_long_each_time_and_is_forgiven_after_a_quiet_time() {
    let mut health = failed(&rules());
    let mut now = at(1_000);
    for wait in [2, 4, 8, 16, 32, 64, 64] {
        let due = health.next_probe().unwrap();
        assert_eq!(due.since(now), wait * SECOND);
        health.on_client_answered(now, &rules());
        assert!(wait == 2 || health.next_probe() == Some(due), "a flapping host sits out its time");
        health.on_probe_started(due);
        assert_eq!(health.on_probe_succeeded(due, &rules()), UP);
        now = due.after(SECOND);
        assert_eq!(health.on_client_failed(now, 0, &rules()), DOWN);
    }
    let due = health.next_probe().unwrap();
    health.on_probe_started(due);
    health.on_probe_succeeded(due, &rules());
    let later = due.after(10 * SECOND);
    health.on_client_failed(later, 0, &rules());
    assert_eq!(health.next_probe(), Some(later.after(2 * SECOND)));
}

#[test]
fn probe_that_failed_here_changes_nothing_and_is_tried_again() {
    let rules = config::Manager { heartbeat: Some(5 * SECOND), ..rules() };
    let mut up = watched(&rules);
    up.on_probe_started(at(2_000));
    up.on_probe_void(at(2_001));
    assert_eq!((up.status(), up.next_probe()), (HostStatus::Up, Some(at(3_001))));
    let mut down = failed(&rules);
    down.on_probe_started(at(3_000));
    down.on_probe_void(at(3_001));
    assert_eq!((down.status(), down.next_probe()), (HostStatus::Down, Some(at(4_001))));
}

#[test]
fn eager_probes_back_off_from_the_shortest_to_the_longest_pause_beside_the_regular_ones() {
    let patient = config::Manager { checktime: 10 * SECOND, ..rules() };
    let mut health = failed(&patient);
    health.set_eager(at(1_000), true);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let due = health.next_probe().unwrap();
        health.on_probe_started(due);
        health.on_probe_failed(due, &patient);
        pauses.push(health.next_probe().unwrap().since(due).as_millis());
    }
    assert_eq!(pauses, [50, 100, 200, 400, 800, 1_000, 1_000]);
    health.set_eager(at(5_000), false);
    assert_eq!(health.next_probe(), Some(at(11_000)), "the regular wait is as it was");
}

#[test]
fn heartbeats_fail_a_host_after_fall_in_a_row() {
    let rules = config::Manager { heartbeat: Some(5 * SECOND), fall: 2, ..rules() };
    let mut health = watched(&rules);
    assert_eq!(health.next_probe(), Some(at(1_000)));
    health.on_probe_started(at(1_000));
    assert_eq!(health.on_probe_succeeded(at(1_100), &rules), None);
    assert_eq!(health.next_probe(), Some(at(6_000)), "the period runs from start to start");
    health.on_probe_started(at(6_000));
    assert_eq!(health.on_probe_failed(at(6_100), &rules), None);
    assert_eq!(health.next_probe(), Some(at(8_000)), "a host in doubt is not kept waiting for the next heartbeat");
    health.on_probe_started(at(8_000));
    assert_eq!(health.on_probe_failed(at(8_100), &rules), DOWN);
}

#[test]
fn host_of_a_group_that_does_not_serve_is_not_probed_unless_it_is_down() {
    let rules = config::Manager { heartbeat: Some(5 * SECOND), fall: 2, ..rules() };
    let mut health = watched(&rules);
    health.watch(at(1_500), false, &rules);
    health.on_doubt(at(1_500));
    health.on_client_failed(at(1_500), 0, &rules);
    assert_eq!(health.next_probe(), None);
    assert_eq!(health.on_client_failed(at(1_500), 0, &rules), DOWN);
    assert!(health.next_probe().is_some());
}

#[test]
fn probe_of_a_down_host_takes_no_longer_than_its_period_unless_it_is_usually_slow() {
    let (full, rules) = (5 * SECOND, rules());
    let up = watched(&rules);
    assert_eq!(up.probe_timeout(full, MILLI, &rules), full);
    let mut down = failed(&rules);
    assert_eq!(down.probe_timeout(full, MILLI, &rules), 2 * SECOND);
    down.set_eager(at(1_000), true);
    assert_eq!(down.probe_timeout(full, MILLI, &rules), SECOND);
    assert_eq!(down.probe_timeout(full, 300 * MILLI, &rules), 2_400 * MILLI);
    assert_eq!(down.probe_timeout(full, 3 * SECOND, &rules), full);
    assert_eq!(down.probe_timeout(100 * MILLI, MILLI, &rules), 100 * MILLI);
}
