use super::*;
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn same_configuration_again_changes_nothing() {
    let mut world = World::new(&web(&[1, 2]));
    let told = world.told.len();
    assert!(world.reload(&web(&[1, 2])).is_empty());
    assert_eq!(world.told.len(), told);
}

#[test]
fn weight_max_scheduler_and_timeouts_change_and_everything_else_stays() {
    let mut config = web(&[1, 2]);
    let mut world = World::new(&config);
    let before = world.spec("web");
    before.hosts[0].counters.established.store(5, Relaxed);
    before.counters.accepted.store(6, Relaxed);
    before.rotation.next_ticket();
    world.fail(1);
    let service = &mut config.services[0];
    service.groups[0].hosts[0].weight = 4;
    service.groups[0].hosts[1].max = Some(3);
    service.groups[0].scheduler = SchedulerKind::P2c;
    service.idle_timeout = Some(9 * SECOND);
    service.max_connections = Some(12);
    let changes = world.reload(&config);
    assert_eq!(changes.services_changed, ["web"]);
    assert_eq!((changes.hosts_added, changes.hosts_removed), (0, 0));
    let after = world.spec("web");
    assert_eq!((after.id, after.generation), (before.id, 3));
    assert_eq!((after.hosts[0].id, after.hosts[1].id), (before.hosts[0].id, before.hosts[1].id));
    assert_eq!((after.hosts[0].weight, after.hosts[1].max), (4, Some(3)));
    assert_eq!((after.scheduler, after.idle_timeout), (SchedulerKind::P2c, 9 * SECOND));
    assert_eq!((after.max_connections, after.connect_timeout), (Some(12), CONNECT_TIMEOUT));
    assert_eq!(after.hosts[0].counters.established.load(Relaxed), 5);
    assert_eq!(after.counters.accepted.load(Relaxed), 6);
    assert_eq!(after.rotation.next_ticket(), 2);
    assert_eq!(after.hosts[0].status, HostStatus::Down);
    world.pass(2 * SECOND);
    assert_eq!(world.probes.len(), 1, "the probe of the failed host stays planned");
}

#[test]
fn hosts_added_removed_and_reordered_keep_what_the_others_have() {
    let mut world = World::new(&web(&[1, 2, 3]));
    let before = world.spec("web");
    world.fail(3);
    let changes = world.reload(&web(&[3, 4, 1]));
    assert_eq!((changes.hosts_added, changes.hosts_removed), (1, 1));
    let after = world.spec("web");
    let ports: Vec<u16> = after.hosts.iter().map(|host| host.addr.port()).collect();
    assert_eq!(ports, [3, 4, 1]);
    assert_eq!((after.hosts[0].id, after.hosts[2].id), (before.hosts[2].id, before.hosts[0].id));
    assert_eq!(after.hosts[0].status, HostStatus::Down);
    assert!(before.hosts.iter().all(|host| host.id != after.hosts[1].id));
    world.reload(&web(&[1, 2, 3]));
    let again = world.spec("web").hosts.iter().find(|host| host.addr == addr(2)).unwrap().id;
    assert_ne!(again, before.hosts[1].id, "a host that was gone is a new one");
}

#[test]
fn address_of_a_host_changed_is_a_new_host() {
    let mut config = web(&[1, 2]);
    let mut world = World::new(&config);
    let before = world.spec("web").hosts[0].id;
    world.fail(1);
    config.services[0].groups[0].hosts[0].address = Address::Socket(addr(9).as_ip().unwrap());
    world.reload(&config);
    assert_ne!(world.spec("web").hosts[0].id, before);
    assert_eq!(world.status(9), HostStatus::Up);
    assert!(!world.manager.will_probe(before));
    world.pass(60 * SECOND);
    assert!(world.probes.is_empty(), "nobody probes what is gone");
}

#[test]
fn enabled_group_switched_keeps_hosts_health_counters_and_rotation_of_both() {
    let mut config = web(&[1, 2]);
    config.services[0].groups.push(group("other", &[3]));
    let mut world = World::new(&config);
    let first = world.spec("web");
    assert_eq!(first.hosts.len(), 2, "only the enabled group is published");
    world.fail(2);
    config.services[0].enabled = Some(1);
    world.reload(&config);
    let second = world.spec("web");
    assert_eq!((second.hosts.len(), second.hosts[0].addr), (1, addr(3)));
    assert!(!Arc::ptr_eq(&first.rotation, &second.rotation));
    assert!(Arc::ptr_eq(&first.counters, &second.counters));
    world.pass(2_500 * MILLI);
    world.answer(Ok(MILLI));
    let generation = world.spec("web").generation;
    assert_eq!(generation, second.generation, "a host of the other group came back, which nobody sees");
    config.services[0].enabled = Some(0);
    world.reload(&config);
    let third = world.spec("web");
    assert_eq!((third.hosts[0].id, third.hosts[1].id), (first.hosts[0].id, first.hosts[1].id));
    assert!(Arc::ptr_eq(&first.rotation, &third.rotation));
    assert_eq!(world.status(2), HostStatus::Up);
}

#[test]
fn services_added_and_removed_are_told_and_identities_are_not_used_again() {
    let two = config(vec![service("web", vec![group("g", &[1])]), service("mail", vec![group("g", &[2, 3])])]);
    let mut world = World::new(&two);
    let mail = world.manager.service_id("mail").unwrap();
    let (_, host) = world.find(2);
    world.report(Report::HostFailed { service: mail, host, fault: Fault::Refused });
    assert!(world.manager.will_probe(host));
    let changes = world.reload(&web(&[1]));
    assert_eq!((changes.services_removed, changes.hosts_removed), (vec!["mail".to_owned()], 2));
    assert!(matches!(world.told.last(), Some(Effect::Remove(id)) if *id == mail), "{:?}", world.told.last());
    assert!(!world.manager.will_probe(host));
    let changes = world.reload(&two);
    assert_eq!(changes.services_added, ["mail"]);
    assert_ne!(world.manager.service_id("mail"), Some(mail));
    assert_eq!(world.spec("mail").generation, 1);
    assert_eq!(world.spec("mail").hosts[0].status, HostStatus::Up);
}

#[test]
fn group_renamed_is_a_new_group() {
    let mut world = World::new(&web(&[1]));
    let before = world.spec("web");
    world.reload(&config(vec![service("web", vec![group("renamed", &[1])])]));
    let after = world.spec("web");
    assert_ne!(after.hosts[0].id, before.hosts[0].id);
    assert_eq!(after.id, before.id);
}

#[test]
fn rules_changed_apply_to_hosts_that_are_down_and_up() {
    let mut config = web(&[1, 2]);
    config.manager.checktime = 1_000 * SECOND;
    let mut world = World::new(&config);
    world.fail(1);
    config.manager.checktime = Duration::ZERO;
    config.manager.heartbeat = Some(5 * SECOND);
    assert!(world.reload(&config).rules_changed);
    let mut probed = Vec::new();
    world.pass_answering(6 * SECOND, |_, to| {
        probed.push(to.port());
        Ok(MILLI)
    });
    assert!(probed.contains(&1) && probed.contains(&2), "{probed:?}");
    config.manager.heartbeat = None;
    world.reload(&config);
    world.pass(60 * SECOND);
    assert!(world.probes.is_empty(), "no heartbeats any more");
}

#[test]
fn host_in_the_ephemeral_range_may_meet_itself() {
    let world = World::new(&web(&[80, 32_768, 60_999, 61_000]));
    let may: Vec<bool> = world.spec("web").hosts.iter().map(|host| host.may_meet_itself).collect();
    assert_eq!(may, [false, true, true, false]);
}
