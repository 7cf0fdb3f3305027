//! Many hosts in a group.

use super::*;
use crate::model::limits::{EXACT_HOSTS_MAX, PUBLISH_PAUSE_PER_HOST};

const MANY: u16 = 1000;

fn ports() -> Vec<u16> {
    (1..=MANY).collect()
}

fn publications(world: &World) -> usize {
    world.told.iter().filter(|effect| matches!(effect, Effect::Publish(_))).count()
}

fn down(world: &World) -> usize {
    let hosts = world.manager.published().flat_map(|spec| &spec.hosts);
    hosts.filter(|host| host.status == HostStatus::Down).count()
}

#[test]
fn first_of_many_hosts_to_fail_is_published_at_once_and_the_next_together() {
    let mut world = World::new(&web(&ports()));
    world.pass(SECOND);
    world.told.clear();
    world.fail(1);
    assert_eq!((publications(&world), down(&world)), (1, 1));
    for port in 2..100 {
        world.fail(port);
    }
    assert_eq!((publications(&world), down(&world)), (1, 1));
    let due = world.now.after(PUBLISH_PAUSE_PER_HOST * u32::from(MANY));
    assert_eq!(world.manager.next_deadline(), Some(due));
    world.pass(due.since(world.now));
    assert_eq!((publications(&world), down(&world)), (2, 99));
    world.pass(SECOND);
    world.fail(200);
    assert_eq!((publications(&world), down(&world)), (3, 100), "after a quiet time at once again");
}

#[test]
fn reload_is_published_at_once_whatever_is_gathered() {
    let mut world = World::new(&web(&ports()));
    world.fail(1);
    world.fail(2);
    world.told.clear();
    world.reload(&web(&ports()[..500]));
    assert_eq!((publications(&world), down(&world)), (1, 2));
}

#[test]
fn each_failure_among_few_hosts_is_published_at_once() {
    let few = u16::try_from(EXACT_HOSTS_MAX).unwrap();
    let mut world = World::new(&web(&ports()[..few.into()]));
    world.told.clear();
    for port in 1..few {
        world.fail(port);
        assert_eq!((publications(&world), down(&world)), (port.into(), port.into()));
    }
}
