//! What is remembered, of whom, and for how long.

use super::*;
use proptest::prelude::*;

const NEVER: Duration = Duration::ZERO;

fn client(number: u32) -> Network {
    Network(u128::from(number) << 64)
}

fn at_home(host: u32) -> Remembered {
    Remembered { host: HostId(host), home: HostId(host) }
}

fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

#[test]
fn third_client_of_a_table_of_two_takes_the_place_of_the_one_unused_for_longest() {
    let table = StickyTable::new(2);
    table.set(at(1), client(1), at_home(1));
    table.set(at(2), client(2), at_home(2));
    assert_eq!(table.look(at(3), NEVER, client(1)), Some(at_home(1)));
    table.set(at(4), client(3), at_home(3));
    assert_eq!([1, 2, 3].map(|n| table.peek(client(n)).is_some()), [true, false, true]);
    assert_eq!((table.len(), table.evicted()), (2, 1));
}

#[test]
fn client_that_comes_too_late_is_new_and_one_that_comes_in_time_has_its_time_again() {
    let table = StickyTable::new(8);
    let ttl = Duration::from_secs(1);
    table.set(at(0), client(1), at_home(1));
    assert_eq!(table.look(at(999), ttl, client(1)), Some(at_home(1)));
    assert_eq!(table.look(at(1998), ttl, client(1)), Some(at_home(1)));
    table.touch(at(2500), client(1));
    assert_eq!(table.look(at(3499), ttl, client(1)), Some(at_home(1)), "a connection ended between");
    assert_eq!(table.look(at(4499), ttl, client(1)), None);
    assert!(table.is_empty(), "what has expired takes no room");
}

#[test]
fn reactor_that_was_slower_learns_what_the_other_chose() {
    let table = StickyTable::new(8);
    assert_eq!(table.remember(at(0), client(1), None, at_home(1)), Ok(()));
    assert_eq!(table.remember(at(0), client(1), None, at_home(2)), Err(at_home(1)));
    assert_eq!(table.remember(at(0), client(1), Some(at_home(1)), at_home(2)), Ok(()));
    assert_eq!(table.remember(at(0), client(1), Some(at_home(1)), at_home(2)), Ok(()), "they agree");
    assert_eq!(table.peek(client(1)), Some(at_home(2)));
}

#[test]
fn clients_of_a_host_are_forgotten_and_others_are_not() {
    let table = StickyTable::new(10_000);
    for number in 0..10_000 {
        table.set(at(0), client(number), at_home(number % 10));
    }
    assert_eq!((table.len(), table.evicted()), (10_000, 0), "nobody goes before it is full");
    assert_eq!(table.forget_matching(|entry| entry.known.host == HostId(3)), 1000);
    assert_eq!(table.len(), 9000);
    let mut seen = 0;
    table.walk(|entry| {
        assert_ne!(entry.known.host, HostId(3));
        seen += 1;
    });
    assert_eq!(seen, 9000);
}

#[test]
fn million_clients_take_less_than_a_hundred_megabytes_and_few_take_little() {
    let bytes = |size| StickyTable::new(size).bytes();
    assert!(bytes(1_000_000) <= 55_000_000, "{}", bytes(1_000_000));
    assert!(bytes(2048) <= 200_000, "{}", bytes(2048));
    assert!(bytes(1) <= 1000, "{}", bytes(1));
    assert!(bytes(crate::model::limits::STICKY_SIZE_MAX) <= 520_000_000);
}

#[test]
fn smaller_table_keeps_those_that_were_used_last() {
    let table = StickyTable::new(5000);
    for number in 0..5000 {
        table.set(at(u64::from(number)), client(number), at_home(1));
    }
    let small = table.resized(100);
    assert_eq!(small.len(), 100);
    assert!((4900..5000).all(|number| small.peek(client(number)).is_some()));
    let large = small.resized(9000);
    assert_eq!((large.len(), large.size()), (100, 9000));
    small.set(at(9000), client(9000), at_home(1));
    assert_eq!(small.resized(200).evicted(), 1, "who was forgotten for room stays counted");
}

#[test]
fn threads_that_use_one_table_agree_on_each_client_and_lose_no_room() {
    let table = StickyTable::new(1000);
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let table = &table;
            scope.spawn(move || {
                for turn in 0..40_000_u32 {
                    let number = turn.wrapping_mul(2_654_435_761) % 1500;
                    let now = Moment::from_micros(turn.into());
                    if table.look(now, NEVER, client(number)).is_none() {
                        let _ = table.remember(now, client(number), None, at_home(thread));
                    }
                    if turn % 7 == 0 {
                        table.forget(client(number));
                    }
                }
            });
        }
    });
    let mut seen = 0;
    table.walk(|_| seen += 1);
    assert_eq!(seen, table.len());
    assert!(table.len() <= 1000 + 4, "{} of 1000", table.len());
}

proptest! {
    #[test]
    fn fullness_forgets_in_the_order_of_use_over_all_parts(
        uses in prop::collection::vec(0..1200_u32, 1..4000),
    ) {
        let size = 800;
        let table = StickyTable::new(size);
        let mut order: Vec<u32> = Vec::new();
        for (turn, number) in (1..).zip(uses) {
            let now = at(turn);
            let known = order.iter().position(|known| *known == number);
            prop_assert_eq!(table.look(now, NEVER, client(number)).is_some(), known.is_some());
            match known {
                Some(position) => drop(order.remove(position)),
                None => table.set(now, client(number), at_home(1)),
            }
            order.push(number);
            order.drain(..order.len().saturating_sub(size as usize));
        }
        prop_assert_eq!(table.len(), order.len());
    }
}
