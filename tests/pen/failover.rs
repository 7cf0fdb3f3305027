//! Servers that fail: rows 2 to 6.

use std::thread;
use std::time::{Duration, Instant};

use super::balancer::{self, Balancer};
use super::line::Line;
use super::{hosts, same_with};
use crate::support::full::Full;
use crate::support::host::Script;
use crate::support::{Client, Host, PATIENCE, figure, scripts, sized, until};

#[test]
fn row_02_refused_backend() {
    let [mut a, b, c] = hosts(["a", "b", "c"], scripts::tell_name);
    let line = Line::new("-b 2", &[&a, &b, &c]);
    a.stop();
    let director = balancer::director(&line);
    let told = director.told_all(1..=30);
    assert!(told.iter().all(|name| ["b", "c"].contains(&name.as_str())), "every client is served: {told:?}");
    let failed = Instant::now();
    director.director().wait_for_log(&["state", "host=server.0", "new=down", "refused"], PATIENCE);
    a.start();
    let back = director.director().wait_for_log(&["state", "host=server.0", "new=up"], PATIENCE);
    assert!(failed.elapsed() > Duration::from_millis(1500), "not before its time is over: {back}");
    let mut fresh = 100..;
    until(PATIENCE, "it has clients again", || director.told(fresh.next().expect("one more")) == "a");
    director.finish();
    a.stop();
    if let Some(pen) = balancer::pen(&line) {
        let closed = pen.told_all(1..=30).iter().filter(|name| name.is_empty()).count();
        figure("row 2: pen, clients of 30 that nobody served while one server of three refused", closed);
    }
}

#[test]
fn row_03_blackholed_backend() {
    let full = Full::new("full");
    let [a, b] = hosts(["a", "b"], scripts::tell_name);
    let line = Line::new("-t 1 -b 1", &[&full.host, &a, &b]);
    let director = balancer::director(&line);
    let start = Instant::now();
    let first = director.told_all(1..=3);
    assert!(first.iter().all(|name| ["a", "b"].contains(&name.as_str())), "{first:?}");
    let slowest = start.elapsed();
    assert!(slowest < Duration::from_secs(3), "the first after about a second, the others at once: {slowest:?}");
    let told = director.told_all(10..sized(210, 2010));
    assert!(told.iter().all(|name| ["a", "b"].contains(&name.as_str())), "it goes on: {told:?}");
    let before = director.process().cpu_time();
    thread::sleep(Duration::from_millis(500));
    let busy = director.process().cpu_time() - before;
    assert!(busy < Duration::from_millis(100), "idle afterwards: {busy:?} of 500 ms");
    director.finish();
    if let Some(pen) = balancer::pen(&line) {
        figure("row 3: pen, clients that nobody served after servers were out of time", starved(&pen));
    }
}

/// Clients of 30 that pen leaves without an answer, when so many were out of time before that it knows no more.
fn starved(pen: &Balancer) -> usize {
    // So many that are out of time, and pen accepts no more; 100 unless it is told.
    pen.penctl("pending_max 5");
    pen.penctl("blacklist 0");
    thread::scope(|scope| {
        let ask = |number| scope.spawn(move || balancer::is_served(&pen.client(number), Duration::from_secs(2)));
        let early: Vec<_> = (1..=30).map(ask).collect();
        early.into_iter().for_each(|client| drop(client.join()));
        let late: Vec<_> = (31..=60).map(ask).collect();
        late.into_iter().filter_map(|client| client.join().ok()).filter(|served| !served).count()
    })
}

/// Reads to the end, then answers with so many bytes, and closes.
fn answer_at_the_end(count: u64) -> Script {
    scripts::sink_then_source(1, (2, count))
}

/// Clients of `count` whose answer came short.
fn short_answers(balancer: &Balancer, count: usize, bytes: u64) -> usize {
    let is_short = |_: &usize| {
        let client = balancer.client(1);
        client.send_pattern(1, 4);
        client.finish_sending();
        client.receive_pattern(2, PATIENCE).bytes != bytes
    };
    (0..count).filter(is_short).count()
}

#[test]
fn row_04_half_close() {
    for bytes in [2, 200_000] {
        let host = Host::serve("a", answer_at_the_end(bytes));
        let line = Line::new("", &[&host]);
        let director = balancer::director(&line);
        assert_eq!(short_answers(&director, sized(500, 5000), bytes), 0, "{bytes} bytes");
        director.finish();
        if let Some(pen) = balancer::pen(&line) {
            let lost = short_answers(&pen, 60, bytes);
            figure(
                &format!("row 4: pen, answers of {bytes} bytes after the client's end, of 60, that came short"),
                lost,
            );
        }
    }
}

#[test]
fn row_05_emergency() {
    let [a, b, e] = hosts(["a", "b", "e"], scripts::tell_name);
    let line = Line::new("-b 1 -t 1", &[&a, &b]).emergency(&e).pen_only("-P");
    let kinds = |told: Vec<String>| told.iter().map(|name| name.replace('b', "a")).collect::<Vec<_>>().join(" ");
    let told = same_with(&line, &mut (a, b, e), |balancer, (a, b, e)| {
        let mut told = vec![kinds(balancer.told_all([1, 2, 3]))];
        a.stop();
        b.stop();
        told.push(kinds(balancer.told_all([1, 2, 3])));
        a.start();
        b.start();
        let both = || {
            let told = balancer.told_all([1, 2, 3]);
            told.iter().all(|name| name != "e")
        };
        until(PATIENCE, "everybody is served as before", both);
        for host in [&mut *a, &mut *b, &mut *e] {
            host.stop();
        }
        told.push(kinds(balancer.told_all([1])));
        for host in [a, b, e] {
            host.start();
        }
        told
    });
    assert_eq!(told, ["a a a", "e e e", ""], "by emergency only; not remembered; nobody when that is down, too");
}

#[test]
fn row_06_stubborn() {
    let dead = Host::dead("dead");
    let b = Host::serve("b", scripts::tell_name());
    let told = same_with(&Line::new("-s", &[&dead, &b]).pen_only("-P"), &mut (), |balancer, ()| {
        let before = b.record().accepted();
        let mut told = balancer.told_all([1, 2, 3, 4]);
        told.sort_unstable();
        (told, b.record().accepted() - before)
    });
    let served = ["", "b", "b", "b"].map(str::to_owned).to_vec();
    assert_eq!(told, (served, 3), "whose server fails is closed, and no second one is asked");
}

#[test]
fn row_07_blacklist_command() {
    let [a, b] = hosts(["a", "b"], scripts::greet);
    let greeting = |client: &Client| String::from_utf8(client.read_exact(2)).expect("a name").trim().to_owned();
    let seen = same_with(&Line::new("", &[&a, &b]), &mut (), |balancer, ()| {
        let held: Vec<Client> = [1, 2].map(|number| balancer.client(number)).into();
        let at: Vec<String> = held.iter().map(greeting).collect();
        balancer.blacklist(0, 100);
        let others: Vec<String> = (1..8).map(|number| greeting(&balancer.client(number))).collect();
        let flows = held.iter().all(|client| {
            client.send(b"ping");
            client.read_exact(4) == b"ping"
        });
        balancer.blacklist(0, 0);
        let after: Vec<String> = (11..15).map(|number| greeting(&balancer.client(number))).collect();
        (at.concat().len(), others.iter().all(|name| name == "b"), flows, after.contains(&"a".to_owned()))
    });
    assert_eq!(seen, (2, true, true, true), "held; new ones elsewhere, even its own; the held go on; back again");
}
