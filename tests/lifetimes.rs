//! How connections end when both sides leave at once, or one without a word.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use support::wait::ms;
use support::{Client, Director, End, Host, PATIENCE, Service, figure, lock, scripts, sized, socket, until};

mod support;

#[test]
fn both_sides_closing_at_once_leave_nothing_behind() {
    let _alone = lock::alone();
    let connections: usize = sized(1000, 10_000);
    let meeting = Arc::new(Barrier::new(2));
    let at_host = Arc::clone(&meeting);
    let script = scripts::script(move |visit| {
        assert!(visit.read_exact(&mut [0]));
        at_host.wait();
    });
    let host = Host::plan("a", script).workers(1).start();
    let director = Director::start(&[&host]);
    let before = director.process().resident_bytes();
    let since = Instant::now();
    for number in 0..connections {
        let client = Client::connect(director.addr());
        client.send(b"x");
        meeting.wait();
        // In turn one of them has a little head start, or none.
        if number % 3 == 0 {
            thread::yield_now();
        }
        if number % 2 == 0 { drop(client) } else { client.reset() }
    }
    let rate = connections as f64 / since.elapsed().as_secs_f64();
    let grown = director.process().resident_bytes().saturating_sub(before);
    figure("connections closed by both sides at once", format!("{connections}, {rate:.0} a second"));
    figure("resident bytes grown by them", grown);
    let counters = director.finish();
    assert_eq!(counters.services_sum("accepted"), connections as u64);
    assert_eq!(counters.host("a").number("established"), connections as u64);
    assert_eq!(counters.hosts_sum("failed"), 0);
    assert!(grown < 512 * 1024, "{grown} bytes");
}

#[test]
fn peer_that_vanished_without_a_word_is_given_up_at_the_idle_timeout() {
    let _alone = lock::alone();
    let timeout = Duration::from_secs(1);
    let (quiet, gone) = (Host::serve("quiet", scripts::listen_only()), Host::mute("gone", scripts::tell_name(), 64));
    let director = |host| Director::plan(Service::with(&[host]).set("idle-timeout", "1s")).start();

    let clients = sized(50, 500);
    let of_clients = director(&quiet);
    let since: Vec<Instant> = (0..clients)
        .map(|number| {
            let client = Client::connect(of_clients.addr());
            until(PATIENCE, "its host has it", || quiet.record().accepted() == number + 1);
            let since = Instant::now();
            socket::vanish(client.into_stream());
            since
        })
        .collect();
    let ends = quiet.record().wait_for_ends(since.len(), PATIENCE);
    let last = ends.iter().map(|end| end.at).max().expect("ends").duration_since(since[since.len() - 1]);
    figure(
        "host told of the last of the vanished clients after an idle timeout of 1 s and, ms",
        ms(last.saturating_sub(timeout)),
    );
    assert!(ends.iter().all(|end| end.end == End::Reset), "a cut is no end: {ends:?}");
    assert!(last.abs_diff(timeout) < support::wait::allowed(Duration::from_millis(200)), "{last:?}");
    assert_eq!(of_clients.finish().service("s").number("closed-idle"), clients);

    let of_hosts = director(&gone);
    let client = Client::connect(of_hosts.addr());
    let since = Instant::now();
    client.send(b"x");
    let (end, took) = client.wait_for_end(since, PATIENCE);
    figure("client told of a silent host after an idle timeout of 1 s and, ms", ms(took.saturating_sub(timeout)));
    assert_eq!(end, End::Reset);
    assert!(took.abs_diff(timeout) < support::wait::allowed(Duration::from_millis(200)), "{took:?}");
    drop(client);
    of_hosts.finish();
}
