//! Every byte arrives, once, in order: urgent ones, single ones, many, and when one side does not read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use support::pattern::Pattern;
use support::wait::{holds_within, millis};
use support::{Client, Director, End, Host, PATIENCE, Service, figure, lock, scripts, sized, socket, until};

mod support;

const MIB: u64 = 1 << 20;

#[test]
fn urgent_byte_from_the_client_stays_in_its_place() {
    let host = Host::serve("a", scripts::collect());
    let director = Director::start(&[&host]);
    let client = Client::connect(director.addr());
    client.send(b"abc");
    client.send_urgent(b'U');
    client.send(b"def");
    client.finish_sending();
    assert_eq!(client.read_to_end(PATIENCE).1, End::Eof);
    let text = String::from_utf8(host.record().texts().remove(0)).unwrap();
    figure("client's abc, urgent U, def at the host", &text);
    assert_eq!(text, "abcUdef");
    drop(client);
    director.finish();
}

#[test]
fn urgent_byte_from_the_host_stays_in_its_place() {
    let host = Host::serve(
        "a",
        scripts::script(|visit| {
            visit.send(b"abc");
            socket::send_urgent(&visit.stream, b'U');
            visit.send(b"def");
        }),
    );
    let director = Director::start(&[&host]);
    let client = Client::connect(director.addr());
    let (text, end) = client.read_text();
    figure("host's abc, urgent U, def at the client", &text);
    assert_eq!((text.as_str(), end), ("abcUdef", End::Eof));
    drop(client);
    director.finish();
}

#[test]
fn single_byte_writes_arrive_in_order() {
    let count = sized(5_000, 20_000);
    let host = Host::serve("a", scripts::sink(1));
    let director = Director::start(&[&host]);
    let client = Client::connect(director.addr());
    let (start, cpu) = (Instant::now(), director.process().cpu_time());
    let bytes = Pattern::new(1).bytes(count);
    bytes.chunks(1).for_each(|byte| client.send(byte));
    client.finish_sending();
    let end = host.record().wait_for_ends(1, PATIENCE)[0];
    assert_eq!((end.bytes, end.wrong_at, end.end), (count as u64, None, End::Eof));
    figure("single-byte writes, kB/s", format!("{:.0}", count as f64 / start.elapsed().as_secs_f64() / 1000.0));
    figure("processor time for them, ms", format!("{:.0}", millis(director.process().cpu_time() - cpu)));
    drop(client);
    director.finish();
}

#[test]
fn request_sent_byte_by_byte_is_answered_like_one_write() {
    const REQUEST: &[u8] = b"GET / HTTP/1.0\r\nHost: example.net\r\n\r\n";
    let host = Host::serve("a", scripts::http_name());
    let director = Director::start(&[&host]);
    let answer = |pause: Option<Duration>| {
        let client = Client::connect(director.addr());
        match pause {
            None => client.send(REQUEST),
            Some(pause) => REQUEST.chunks(1).for_each(|byte| {
                client.send(byte);
                thread::sleep(pause);
            }),
        }
        client.read_text()
    };
    let whole = answer(None);
    assert!(whole.0.ends_with("\r\n\r\na"), "{whole:?}");
    assert_eq!(answer(Some(Duration::ZERO)), whole);
    assert_eq!(answer(Some(Duration::from_millis(1))), whole);
    assert!(host.record().texts().iter().all(|head| head == REQUEST));
    director.finish();
}

#[test]
fn client_that_never_reads_stops_its_host_and_memory_stays_flat() {
    let _alone = lock::alone();
    let clients = sized(20, 200);
    let host = Host::serve("a", scripts::source(1, 1 << 40));
    let director = Director::start(&[&host]);
    let before = director.process().resident_bytes();
    let open: Vec<Client> = (0..clients).map(|_| Client::connect(director.addr())).collect();
    let absorbed = steady(|| host.record().bytes_out());
    let grown = director.process().resident_bytes().saturating_sub(before);
    figure("bytes absorbed for a client that never reads", absorbed / clients);
    figure("resident bytes for each such client", grown / clients);
    assert_eq!(host.record().accepted(), clients);
    assert!(grown < clients * 2 * 64 * 1024 + 2 * MIB, "{grown} resident bytes for {clients} clients");
    open.into_iter().for_each(Client::reset);
    director.finish();
}

#[test]
fn client_whose_window_stays_closed_loses_nothing_when_it_reads() {
    const BYTES: u64 = 20_000_000;
    let closed_for = sized(Duration::from_secs(2), Duration::from_secs(600));
    let host = Host::serve("a", scripts::source(1, BYTES));
    let director = Director::plan(Service::with(&[&host]).set("idle-timeout", "20m")).start();
    let client = Client::connect_narrow(director.addr(), 2048);
    steady(|| host.record().bytes_out());
    thread::sleep(closed_for);
    let stuck = host.record().bytes_out();
    let received = client.receive_pattern(1, PATIENCE * 6);
    figure("bytes after a window closed for s", format!("{} of {BYTES} after {:?}", received.bytes, closed_for));
    assert!(stuck < BYTES, "the host was never held up");
    assert_eq!((received.bytes, received.wrong_at, received.end), (BYTES, None, End::Eof));
    drop(client);
    director.finish();
}

#[test]
fn large_transfers_arrive_whole_up_and_down_and_both_at_once() {
    let _alone = lock::alone();
    let bytes = sized(64 * MIB, 2048 * MIB);
    let rate = |since: Instant| format!("{:.0}", bytes as f64 / 1e6 / since.elapsed().as_secs_f64());
    let within = PATIENCE * 6;

    let host = Host::serve("up", scripts::sink(1));
    let director = Director::start(&[&host]);
    let (client, since) = (Client::connect(director.addr()), Instant::now());
    client.send_pattern(1, bytes);
    client.finish_sending();
    let up = host.record().wait_for_ends(1, within)[0];
    figure("upload, MB/s", rate(since));
    assert_eq!((up.bytes, up.wrong_at, up.end), (bytes, None, End::Eof));
    drop(client);
    assert_eq!(director.finish().host("up").number("bytes-up"), bytes);

    let host = Host::serve("down", scripts::source(2, bytes));
    let director = Director::start(&[&host]);
    let (client, since) = (Client::connect(director.addr()), Instant::now());
    let down = client.receive_pattern(2, within);
    figure("download, MB/s", rate(since));
    assert_eq!((down.bytes, down.wrong_at, down.end), (bytes, None, End::Eof));
    drop(client);
    assert_eq!(director.finish().host("down").number("bytes-down"), bytes);

    let host = Host::serve("both", scripts::exchange((2, bytes), 1));
    let director = Director::start(&[&host]);
    let (client, since) = (Client::connect(director.addr()), Instant::now());
    let down = client.exchange((1, bytes), 2, within);
    let up = host.record().wait_for_ends(1, within)[0];
    figure("both at once, MB/s each way", rate(since));
    assert_eq!((down.bytes, down.wrong_at, down.end), (bytes, None, End::Eof));
    assert_eq!((up.bytes, up.wrong_at, up.end), (bytes, None, End::Eof));
    drop(client);
    let counters = director.finish();
    assert_eq!(counters.host("both").number("bytes-up"), bytes);
    assert_eq!(counters.host("both").number("bytes-down"), bytes);
}

#[test]
fn bytes_of_one_long_connection_are_counted_exactly() {
    let _alone = lock::alone();
    // The long size is past 32 bits.
    let bytes = sized(300 * MIB, 5 * 1024 * MIB) + 1;
    let host = Host::serve("a", scripts::source(2, bytes));
    let director = Director::start(&[&host]);
    let client = Client::connect(director.addr());
    let down = client.receive_pattern(2, PATIENCE * 12);
    assert_eq!((down.bytes, down.wrong_at, down.end), (bytes, None, End::Eof));
    drop(client);
    let counted = director.finish().host("a").number("bytes-down");
    figure("bytes counted of one connection", format!("{counted} of {bytes}"));
    assert_eq!(counted, bytes);
}

#[test]
fn both_ends_writing_before_they_read_complete_when_they_read() {
    const BYTES: u64 = 64 * MIB;
    let (reading, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let may_read = Arc::clone(&reading);
    let host = Host::serve(
        "a",
        scripts::script(move |visit| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    visit.send_pattern(Pattern::new(2), BYTES);
                    visit.finish_sending();
                });
                holds_within(PATIENCE * 3, || may_read.load(SeqCst));
                visit.receive_pattern(Pattern::new(1));
            });
        }),
    );
    let director = Director::start(&[&host]);
    let client = Client::connect(director.addr());
    let down = thread::scope(|scope| {
        scope.spawn(|| {
            let note = |written| {
                sent.fetch_add(written, SeqCst);
            };
            socket::send_pattern(client.stream(), BYTES, Pattern::new(1), note).expect("the host reads in the end");
            client.finish_sending();
        });
        let stuck = steady(|| sent.load(SeqCst) + host.record().bytes_out());
        assert!(stuck < 2 * BYTES, "nobody was held up");
        reading.store(true, SeqCst);
        client.receive_pattern(2, PATIENCE * 3)
    });
    let up = host.record().wait_for_ends(1, PATIENCE * 3)[0];
    figure("bytes each way after both were stuck", format!("{} and {} of {BYTES}", up.bytes, down.bytes));
    assert_eq!((up.bytes, up.wrong_at, up.end), (BYTES, None, End::Eof));
    assert_eq!((down.bytes, down.wrong_at, down.end), (BYTES, None, End::Eof));
    drop(client);
    director.finish();
}

/// Waits until a count has begun and then stays the same for 300 ms; returns it.
fn steady(count: impl Fn() -> u64) -> u64 {
    let (mut last, mut since) = (0, Instant::now());
    until(PATIENCE, "the count stays", || {
        let now = count();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        last > 0 && since.elapsed() > Duration::from_millis(300)
    });
    last
}
