use super::*;

#[test]
fn last_host_down_is_probed_at_once_and_taken_back_by_the_first_answer() {
    let mut world = World::new(&web(&[1, 2]));
    world.fail(1);
    assert!(world.probes.is_empty(), "one is left");
    world.fail(2);
    assert_eq!(world.probes.len(), 2, "all are probed at once");
    let healed = world.now.after(700 * MILLI);
    let mut back = None;
    world.pass_answering(2 * SECOND, |now, _| {
        if now < healed {
            return REFUSED;
        }
        back.get_or_insert(now);
        Ok(MILLI)
    });
    assert!(back.unwrap().since(healed) <= 400 * MILLI, "the back-off is at 400 ms then");
    assert_eq!((world.status(1), world.status(2)), (HostStatus::Up, HostStatus::Up));
}

#[test]
fn aggressive_probing_ignores_checktime_and_ends_with_the_first_host_back() {
    let mut config = web(&[1, 2]);
    config.manager.checktime = 120 * SECOND;
    let mut world = World::new(&config);
    world.fail(1);
    world.fail(2);
    world.pass_answering(5 * SECOND, |_, _| REFUSED);
    let mut probed = Vec::new();
    world.pass_answering(20 * SECOND, |_, to| {
        probed.push(to.port());
        if to.port() == 1 { Ok(MILLI) } else { REFUSED }
    });
    assert_eq!(world.status(1), HostStatus::Up);
    assert!(probed.iter().filter(|port| **port == 2).count() <= 1, "host 2 sits out its time again: {probed:?}");
}

#[test]
fn aggressive_probing_backs_off_to_one_a_second() {
    let mut world = World::new(&web(&[1]));
    world.fail(1);
    let mut times = Vec::new();
    world.pass_answering(20 * SECOND, |now, _| {
        times.push(now.as_millis());
        REFUSED
    });
    assert!((20..=40).contains(&times.len()), "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 1_000), "{times:?}");
}

#[test]
fn host_without_weight_is_no_host_that_is_left_and_is_not_probed_eagerly() {
    let mut config = web(&[1, 2]);
    config.services[0].groups[0].hosts[1].weight = 0;
    let mut world = World::new(&config);
    world.fail(2);
    assert!(world.probes.is_empty());
    world.fail(1);
    assert_eq!(world.probes.len(), 1);
    assert_eq!(world.probes[0].1, addr(1));
}

#[test]
fn weight_given_to_a_drained_down_host_makes_it_one_to_be_probed_eagerly() {
    let mut config = web(&[1, 2]);
    config.services[0].groups[0].hosts[1].weight = 0;
    let mut world = World::new(&config);
    world.fail(2);
    world.fail(1);
    world.answer(REFUSED);
    config.services[0].groups[0].hosts[1].weight = 1;
    world.reload(&config);
    assert_eq!(world.probes.len(), 1);
    assert_eq!(world.probes[0].1, addr(2));
}

#[test]
fn host_added_to_a_dead_group_ends_the_aggressive_mode() {
    let mut world = World::new(&web(&[1]));
    world.fail(1);
    world.answer(REFUSED);
    world.reload(&web(&[1, 2]));
    let mut probes = 0;
    world.pass_answering(10 * SECOND, |_, _| {
        probes += 1;
        REFUSED
    });
    assert!((4..=5).contains(&probes), "host 1 is probed every two seconds: {probes}");
}

#[test]
fn eager_probe_that_fails_for_local_reasons_waits_and_changes_nothing() {
    let mut world = World::new(&web(&[1]));
    world.fail(1);
    let mut probes = 0;
    world.pass_answering(10 * SECOND, |_, _| {
        probes += 1;
        OUT_OF_FILES
    });
    assert!(probes <= 11, "{probes}");
    assert_eq!(world.status(1), HostStatus::Down);
    world.pass_answering(SECOND, |_, _| Ok(MILLI));
    assert_eq!(world.status(1), HostStatus::Up);
}
