//! How reactors are told to connect: options, source addresses, and when a connection could meet itself.

use super::*;
use crate::model::socket_options::{ConnectOptions, SourceRange, Sources};

/// In the range of ephemeral ports of these tests.
const EPHEMERAL: u16 = 40_000;

fn from(first: [u8; 4], last: [u8; 4]) -> ConnectOptions {
    let range = SourceRange::new(first.into(), last.into()).unwrap();
    ConnectOptions { source: Sources::new(&[range]), ..ConnectOptions::default() }
}

#[test]
fn host_without_options_has_no_outbound() {
    let world = World::new(&web(&[1]));
    assert!(world.spec("web").hosts[0].outbound.is_none());
}

#[test]
fn options_that_stay_keep_their_turn_and_others_are_published() {
    let mut config = web(&[1, 2]);
    config.services[0].groups[0].connect = from([10, 9, 0, 1], [10, 9, 0, 2]);
    let mut world = World::new(&config);
    let before = world.spec("web");
    let outbound = before.hosts[0].outbound.clone().unwrap();
    assert_eq!(outbound.next_turn(), 0);
    config.services[0].groups[0].hosts[0].weight = 7;
    world.reload(&config);
    let after = world.spec("web");
    assert_eq!(after.hosts[0].outbound.as_ref().unwrap().next_turn(), 1, "the turn goes on");
    config.services[0].groups[0].hosts[0].connect.fastopen = Some(true);
    world.reload(&config);
    let third = world.spec("web");
    assert_eq!(third.generation, after.generation + 1);
    assert_eq!(third.hosts[0].outbound.as_ref().unwrap().options().fastopen, Some(true));
    assert!(Arc::ptr_eq(third.hosts[1].outbound.as_ref().unwrap(), after.hosts[1].outbound.as_ref().unwrap()));
    config.services[0].groups[0].hosts[0].connect.fastopen = None;
    config.services[0].groups[0].connect = ConnectOptions::default();
    world.reload(&config);
    assert!(world.spec("web").hosts.iter().all(|host| host.outbound.is_none()));
}

#[test]
fn connection_can_meet_itself_only_from_the_hosts_own_address() {
    let mut config = web(&[EPHEMERAL, 80]);
    let meets = |config: &Config| {
        let spec = World::new(config).spec("web");
        spec.hosts.iter().map(|host| host.may_meet_itself).collect::<Vec<bool>>()
    };
    assert_eq!(meets(&config), [true, false], "from wherever the system likes");
    // The hosts of these tests are at 10.0.0.1.
    config.services[0].groups[0].connect = from([10, 0, 0, 2], [10, 0, 0, 9]);
    assert_eq!(meets(&config), [false, false]);
    config.services[0].groups[0].connect = from([10, 0, 0, 0], [10, 0, 0, 9]);
    assert_eq!(meets(&config), [true, false]);
    config.services[0].groups[0].connect = ConnectOptions { fastopen: Some(true), ..ConnectOptions::default() };
    assert_eq!(meets(&config), [true, false]);
}
