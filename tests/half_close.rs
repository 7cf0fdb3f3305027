//! One direction of a connection ends before the other.

use std::thread;
use std::time::{Duration, Instant};

use support::pattern::Pattern;
use support::wait::millis;
use support::{Client, Config, Director, End, Host, PATIENCE, Service, figure, scripts, sized, socket, until};

mod support;

const UPLOAD: u64 = 1_000_000;
const REPLY: u64 = 3_000_000;

#[test]
fn client_half_close_reaches_host_and_the_reply_still_flows() {
    let host = Host::serve("a", scripts::sink_then_source(1, (2, REPLY)));
    let director = Director::start(&[&host]);
    let client = Client::connect(director.addr());
    client.send_pattern(1, UPLOAD);
    client.finish_sending();
    let reply = client.receive_pattern(2, PATIENCE);
    let upload = host.record().wait_for_ends(1, PATIENCE)[0];
    figure("bytes received after the client's end", reply.bytes);
    assert_eq!((upload.bytes, upload.wrong_at, upload.end), (UPLOAD, None, End::Eof));
    assert_eq!((reply.bytes, reply.wrong_at, reply.end), (REPLY, None, End::Eof));
    drop(client);
    director.finish();
}

#[test]
fn host_half_close_reaches_client_and_the_upload_goes_on() {
    let host = Host::serve("a", scripts::source_then_sink((2, REPLY), 1));
    let director = Director::start(&[&host]);
    let client = Client::connect(director.addr());
    let reply = client.receive_pattern(2, PATIENCE);
    assert_eq!((reply.bytes, reply.wrong_at, reply.end), (REPLY, None, End::Eof));
    client.send_pattern(1, UPLOAD);
    client.finish_sending();
    let upload = host.record().wait_for_ends(1, PATIENCE)[0];
    figure("bytes received after the host's end", upload.bytes);
    assert_eq!((upload.bytes, upload.wrong_at, upload.end), (UPLOAD, None, End::Eof));
    drop(client);
    director.finish();
}

#[test]
fn both_ends_closing_without_a_byte_end_cleanly() {
    let host = Host::serve("a", scripts::finish_at_once());
    let director = Director::start(&[&host]);
    let client = Client::connect(director.addr());
    client.finish_sending();
    assert_eq!(client.read_to_end(PATIENCE), (Vec::new(), End::Eof));
    assert_eq!(host.record().wait_for_ends(1, PATIENCE)[0].end, End::Eof);
    drop(client);
    director.finish();
}

#[test]
fn half_closed_slow_client_gets_the_whole_late_reply() {
    const LATE_REPLY: u64 = 9_000_000;
    let runs = sized(10, 100);
    let host = Host::serve("a", scripts::sink_then_source(1, (2, LATE_REPLY)));
    let director = Director::start(&[&host]);
    let mut lost = 0;
    for _ in 0..runs {
        let client = Client::connect_narrow(director.addr(), 16 * 1024);
        client.send_pattern(1, 100);
        client.finish_sending();
        // The host's end arrives long before this client has read what came before it.
        let mut expected = Pattern::new(2);
        let reply = socket::receive(client.stream(), PATIENCE * 3, |piece| {
            assert_eq!(expected.check(piece), Ok(()));
            thread::sleep(Duration::from_micros(500));
        });
        assert_eq!(reply.end, End::Eof, "after {} bytes", reply.bytes);
        lost += LATE_REPLY - reply.bytes;
    }
    figure("bytes lost in late replies to slow clients", format!("{lost} of {}", LATE_REPLY * runs));
    assert_eq!(lost, 0);
    director.finish();
}

#[test]
fn half_closed_pair_that_stays_silent_ends_at_the_fin_timeout() {
    let (quiet, ended) = (Host::serve("a", scripts::freeze()), Host::serve("b", scripts::finish_at_once()));
    let fin_timeout = Duration::from_secs(1);
    let service = |name, host: &Host| {
        Service::new(name).host(host.name(), host.addr()).set("idle-timeout", "60s").set("fin-timeout", "1s")
    };
    let plan = Director::plan(Config::new(service("client-ends", &quiet)).and(service("host-ends", &ended)));
    let director = plan.start();
    let late = thread::scope(|scope| {
        let client_ends = scope.spawn(|| {
            let client = Client::connect(director.addrs("client-ends")[0]);
            client.finish_sending();
            let (end, took) = client.wait_for_end(Instant::now(), PATIENCE);
            assert_ne!(end, End::Deadline, "the client was never told");
            took
        });
        let host_ends = scope.spawn(|| {
            let client = Client::connect(director.addrs("host-ends")[0]);
            assert_eq!(client.wait_for_end(Instant::now(), PATIENCE).0, End::Eof);
            let since = Instant::now();
            let end = ended.record().wait_for_ends(1, PATIENCE)[0];
            assert_ne!(end.end, End::Deadline, "the host was never told");
            end.at.duration_since(since)
        });
        [client_ends.join().unwrap(), host_ends.join().unwrap()].map(|took| took.abs_diff(fin_timeout))
    });
    figure("fin timeout missed by, ms", format!("{:.1} and {:.1}", millis(late[0]), millis(late[1])));
    assert!(late.iter().all(|late| *late < support::wait::allowed(Duration::from_millis(100))), "{late:?}");
    until(PATIENCE, "both legs are gone", || director.process().sockets().is_empty());
    director.finish();
}

#[test]
fn client_that_sent_and_ended_before_the_host_answers_loses_nothing() {
    let mut host = Host::mute("a", scripts::collect(), 0);
    let filler = Client::connect(host.addr());
    let director = Director::start(&[&host]);
    let client = Client::connect(director.addr());
    client.send(b"all of it");
    client.finish_sending();
    let waiting = || director.process().sockets().contains_key("SYN_SENT");
    until(PATIENCE, "the balancer waits for the host", waiting);
    let since = Instant::now();
    host.unmute();
    drop(filler);
    let (end, _) = client.wait_for_end(since, PATIENCE);
    assert_eq!(end, End::Eof);
    assert!(host.record().texts().contains(&b"all of it".to_vec()), "{:?}", host.record().texts());
    figure("answer after the host woke, ms", format!("{:.0}", millis(since.elapsed())));
    drop(client);
    director.finish();
}

#[test]
fn client_that_sent_and_ended_while_waiting_for_a_full_host_loses_nothing() {
    let host = Host::serve("a", scripts::collect());
    let service = Service::new("s").host_with("a", host.addr(), r#"max="1""#);
    let director = Director::plan(service).start();
    let first = Client::connect(director.addr());
    until(PATIENCE, "the first holds the place", || host.record().open() == 1);
    let second = Client::connect(director.addr());
    second.send(b"second");
    second.finish_sending();
    first.send(b"first");
    first.finish_sending();
    assert_eq!(second.wait_for_end(Instant::now(), PATIENCE).0, End::Eof);
    assert_eq!(host.record().texts(), [b"first".to_vec(), b"second".to_vec()]);
    assert_eq!(host.record().peak(), 1);
    drop((first, second));
    director.finish();
}
