//! Who gets which server: rows 1, 10, 11, 12 and 35.

use std::thread;
use std::time::Duration;

use super::balancer::{self, is_served, pattern};
use super::line::Line;
use super::{hosts, same};
use crate::support::{Client, PATIENCE, figure, scripts, until};

#[test]
fn row_01_tracking() {
    let [a, b] = hosts(["a", "b"], scripts::tell_name);
    let observe = |balancer: &balancer::Balancer| pattern(&balancer.told_all([1, 1, 1, 2, 2, 2, 1, 2]));
    assert_eq!(same(&Line::new("", &[&a, &b]), observe), "00011101", "a client comes back, another has another");
    assert_eq!(same(&Line::new("-r", &[&a, &b]), observe), "01010101", "without tracking they alternate");
}

#[test]
fn row_10_prio() {
    let [mut a, b] = hosts(["a", "b"], scripts::tell_name);
    for (options, after) in [("-b 1", "b"), ("-b 1 -r", "a")] {
        // pen with epoll, its default, closes a client whose server refuses.
        let line = Line::default().command("prio").server(&a, [0, 0, 0, 1]).server(&b, [0, 0, 0, 2]).pen_only("-P");
        let line = line.options(options);
        let told = super::same_with(&line, &mut a, |balancer, a| {
            let mut told = balancer.told_all([1, 2, 1]);
            a.stop();
            told.extend(balancer.told_all([1, 2]));
            a.start();
            let mut fresh = 100..;
            until(PATIENCE, "new clients have the first again", || {
                balancer.told(fresh.next().expect("one more")) == "a"
            });
            told.push(balancer.told(1));
            told.concat()
        });
        assert_eq!(told, format!("aaabb{after}"), "{options}");
    }
}

#[test]
fn row_11_weights() {
    let [a, b, c, d] = hosts(["a", "b", "c", "d"], scripts::greet);
    let line = Line::new("-W", &[]).server(&a, [0, 0, 1, 0]).server(&b, [0, 0, 2, 0]).server(&c, [0, 0, 4, 0]);
    let open = same(&line.server(&d, [0; 4]), |balancer| {
        let held: Vec<Client> =
            (1..=14).map(|last| balancer.client(last)).inspect(|client| assert!(is_served(client, PATIENCE))).collect();
        let open = balancer.open();
        drop(held);
        open
    });
    assert_eq!(open, [2, 4, 8, 0], "in proportion, and nobody to who has no weight");
}

#[test]
fn row_12_hash() {
    let [mut a, b, c] = hosts(["a", "b", "c"], scripts::tell_name);
    let line = Line::new("-h -b 1", &[&a, &b, &c]).pen_only("-P");
    let all = |balancer: &balancer::Balancer| balancer.told_all(1..=24);
    let start = [balancer::director, |line: &Line| balancer::pen(line).expect("it was there a moment ago")];
    let seen = super::same_with(&line, &mut a, |first, a| {
        let start = start[usize::from(first.is_pen())];
        let told = all(first);
        let second = start(&line);
        let beside = all(&second) == told;
        second.finish();
        a.stop();
        let without = all(first);
        a.start();
        let moved = told.iter().zip(&without).filter(|(before, after)| before != after).count();
        let of_failed = told.iter().filter(|name| *name == "a").count();
        let again = start(&line);
        let restarted = all(&again) == told;
        again.finish();
        // How many of each differs: pen takes the address as a number, Director hashes it.
        (["a", "b", "c"].map(|name| told.iter().any(|told| told == name)), beside, restarted, moved == of_failed)
    });
    assert_eq!(seen, ([true; 3], true, true, true), "all serve; the same beside it; after a restart; others stay");
}

#[test]
fn row_35_tracking_ends() {
    let [a, b, c, d] = hosts(["a", "b", "c", "d"], scripts::tell_name);
    let line = Line::new("-T 1", &[&a, &b, &c]);
    let lone = |balancer: &balancer::Balancer| {
        let first = balancer.told(1);
        balancer.wait_for_open(&[0; 3]);
        thread::sleep(Duration::from_millis(2100));
        pattern(&[first, balancer.told(1)])
    };
    let balancer = balancer::director(&line);
    assert_eq!(lone(&balancer), "01", "a lone client is free after its time");
    balancer.finish();
    if let Some(pen) = balancer::pen(&line) {
        figure("row 35: pen, a lone client a second after its time", lone(&pen));
    }
    let line = Line::new("-c 2", &[&a, &b, &c, &d]);
    let told = same(&line, |balancer| {
        let mut told = vec![balancer.told(1)];
        if balancer.is_pen() {
            // Its clock of clients has seconds.
            thread::sleep(Duration::from_millis(1100));
        }
        told.extend(balancer.told_all([2, 3, 2, 1]));
        pattern(&told)
    });
    assert_eq!(told, "01213", "the third makes the first forgotten, and not the second");
}
