use super::*;

/// Service "web" with one host "db" of this name and one literal host on port 1.
fn with_name(name: &str) -> Config {
    let mut config = web(&[1]);
    config.services[0].groups[0].hosts.insert(0, named("db", name, 5432));
    config
}

fn addresses(world: &World) -> Vec<String> {
    world.spec("web").hosts.iter().map(|host| host.addr.to_string()).collect()
}

#[test]
fn literal_hosts_serve_before_the_name_is_resolved() {
    let world = World::new(&with_name("db.example"));
    assert_eq!(addresses(&world), ["10.0.0.1:1"]);
    assert_eq!(world.asked("db.example"), 1);
}

#[test]
fn name_with_three_addresses_is_three_hosts_in_order_with_the_weight_and_max_of_the_one() {
    let mut config = with_name("db.example");
    config.services[0].groups[0].hosts[0].weight = 7;
    config.services[0].groups[0].hosts[0].max = Some(9);
    let mut world = World::new(&config);
    world.resolved("db.example", &["10.9.0.3", "10.9.0.1", "10.9.0.2", "10.9.0.1"]);
    assert_eq!(addresses(&world), ["10.9.0.1:5432", "10.9.0.2:5432", "10.9.0.3:5432", "10.0.0.1:1"]);
    let spec = world.spec("web");
    assert!(spec.hosts[..3].iter().all(|host| host.weight == 7 && host.max == Some(9)));
    let mut ids: Vec<HostId> = spec.hosts.iter().map(|host| host.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert!(!Arc::ptr_eq(&spec.hosts[0].counters, &spec.hosts[1].counters));
}

#[test]
fn each_address_of_a_name_has_a_health_of_its_own() {
    let mut world = World::new(&with_name("db.example"));
    world.resolved("db.example", &["10.9.0.1", "10.9.0.2"]);
    let spec = world.spec("web");
    world.report(Report::HostFailed { service: spec.id, host: spec.hosts[0].id, fault: Fault::Unreachable });
    let statuses: Vec<HostStatus> = world.spec("web").hosts.iter().map(|host| host.status).collect();
    assert_eq!(statuses, [HostStatus::Down, HostStatus::Up, HostStatus::Up]);
}

#[test]
fn resolved_again_keeps_what_stayed_and_drops_what_vanished() {
    let mut world = World::new(&with_name("db.example"));
    world.resolved("db.example", &["10.9.0.1", "10.9.0.2"]);
    let before = world.spec("web");
    world.report(Report::HostFailed { service: before.id, host: before.hosts[1].id, fault: Fault::Refused });
    world.pass_answering(30 * SECOND, |_, _| REFUSED);
    assert_eq!(world.asked("db.example"), 2);
    world.resolved("db.example", &["10.9.0.2", "10.9.0.3"]);
    assert_eq!(addresses(&world), ["10.9.0.2:5432", "10.9.0.3:5432", "10.0.0.1:1"]);
    let after = world.spec("web");
    assert_eq!(after.hosts[0].id, before.hosts[1].id);
    assert_eq!(after.hosts[0].status, HostStatus::Down);
    assert!(Arc::ptr_eq(&after.hosts[0].counters, &before.hosts[1].counters));
    assert!(before.hosts.iter().all(|host| host.id != after.hosts[1].id), "identities are never used again");
    assert!(!world.manager.will_probe(before.hosts[0].id));
}

#[test]
fn heartbeats_reach_what_a_name_resolved_to() {
    let mut config = with_name("db.example");
    config.manager.heartbeat = Some(5 * SECOND);
    let mut world = World::new(&config);
    world.resolved("db.example", &["10.9.0.1", "10.9.0.2"]);
    let mut probed = std::collections::BTreeSet::new();
    world.pass_answering(5 * SECOND, |_, to| {
        probed.insert(to.to_string());
        Ok(MILLI)
    });
    assert_eq!(probed.len(), 3, "{probed:?}");
}

#[test]
fn same_answer_again_publishes_nothing() {
    let mut world = World::new(&with_name("db.example"));
    world.resolved("db.example", &["10.9.0.1", "10.9.0.2"]);
    let told = world.told.len();
    world.resolved("db.example", &["10.9.0.2", "10.9.0.1"]);
    assert_eq!(world.told.len(), told);
}

#[test]
fn name_that_does_not_resolve_is_a_failed_host_and_asked_for_again_soon() {
    let mut world = World::new(&with_name("db.example"));
    world.unresolved("db.example");
    assert_eq!(addresses(&world), ["10.0.0.1:1"]);
    let line = "state service=web group=g host=db addr=db.example:5432 old=unknown new=down why=\"name does not \
                resolve: no such name\" for=0.0s";
    assert_eq!(world.lines("state "), [line]);
    world.pass(5 * SECOND);
    assert_eq!(world.asked("db.example"), 2);
    world.unresolved("db.example");
    assert_eq!(world.lines("state ").len(), 1, "told once");
    world.pass(5 * SECOND);
    world.resolved("db.example", &["10.9.0.1"]);
    assert_eq!(world.lines("old=down new=up why=\"name resolves to 10.9.0.1\" for=10.0s").len(), 1);
    assert_eq!(addresses(&world), ["10.9.0.1:5432", "10.0.0.1:1"]);
}

#[test]
fn name_that_fails_later_keeps_its_addresses() {
    let mut world = World::new(&with_name("db.example"));
    world.resolved("db.example", &["10.9.0.1"]);
    let generation = world.spec("web").generation;
    world.now = world.now.after(30 * SECOND);
    world.unresolved("db.example");
    world.event(Event::Resolved { name: "db.example".to_owned(), result: Ok(Vec::new()) });
    assert_eq!(world.spec("web").generation, generation);
    let line = "name name=db.example old=resolved new=stale why=\"no such name\" for=30.0s";
    assert_eq!(world.lines("stale"), [line]);
    world.resolved("db.example", &["10.9.0.1"]);
    assert_eq!(world.lines("old=stale new=resolved").len(), 1);
}

#[test]
fn name_of_two_hosts_is_asked_for_once_and_serves_both() {
    let mut config = with_name("db.example");
    config.services[0].groups[0].hosts.push(named("db2", "db.example", 6432));
    let mut world = World::new(&config);
    assert_eq!(world.asked("db.example"), 1);
    world.resolved("db.example", &["10.9.0.1"]);
    assert_eq!(addresses(&world), ["10.9.0.1:5432", "10.0.0.1:1", "10.9.0.1:6432"]);
}

#[test]
fn name_that_left_the_configuration_is_forgotten_and_its_late_answer_with_it() {
    let mut world = World::new(&with_name("db.example"));
    world.reload(&web(&[1]));
    world.resolved("db.example", &["10.9.0.1"]);
    assert_eq!(addresses(&world), ["10.0.0.1:1"]);
    world.pass(300 * SECOND);
    assert_eq!(world.asked("db.example"), 1);
}

#[test]
fn host_added_with_a_name_that_is_known_to_fail_is_told() {
    let mut config = with_name("db.example");
    let mut world = World::new(&config);
    world.unresolved("db.example");
    config.services[0].groups[0].hosts.push(named("db2", "db.example", 6432));
    world.reload(&config);
    let line = "host=db2 addr=db.example:6432 old=unknown new=down why=\"name does not resolve\"";
    assert_eq!(world.lines(line).len(), 1, "{:?}", world.lines("state"));
    assert_eq!(world.lines("host=db ").len(), 1, "the other was told before");
}

#[test]
fn answer_that_never_comes_is_asked_for_again() {
    let mut world = World::new(&with_name("db.example"));
    world.pass(119 * SECOND);
    assert_eq!(world.asked("db.example"), 1);
    world.pass(SECOND);
    assert_eq!(world.asked("db.example"), 2);
}

#[test]
fn name_with_a_thousand_addresses_is_used_up_to_the_bound() {
    let mut world = World::new(&with_name("db.example"));
    let many: Vec<String> = (0..1_000).map(|n| format!("10.8.{}.{}", n / 250, n % 250)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    world.resolved("db.example", &many);
    assert_eq!(world.spec("web").hosts.len(), crate::model::limits::ADDRESSES_MAX + 1);
}
