//! Streams: through buffers, large buffers and pipes, and from one to the other, every byte arrives, once, in order.

use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use director::model::rng::Rng;
use support::pattern::Pattern;
use support::wait::{holds_within, ms};
use support::{Client, Director, End, Host, PATIENCE, Service, Strace, figure, lock, scripts, sized, socket, until};

mod support;

const MIB: u64 = 1 << 20;
const WAYS: [&str; 3] = ["auto", "on", "off"];

/// A director whose one reactor moves bytes this way.
fn director(host: &Host, way: &str, more: &[&str]) -> Director {
    Director::plan(Service::with(&[host])).args(&["--splice", way]).args(more).threads(1).start()
}

/// Ends it, says how its bytes were moved, and checks that this is the way asked for.
fn finish(director: Director, way: &str, what: &str) -> (u64, u64) {
    let counters = director.finish();
    let (copied, spliced) = (counters.reactors_sum("copied"), counters.reactors_sum("spliced"));
    figure(
        &format!("{what}, --splice {way}: KiB copied and spliced"),
        format!("{} and {}", copied >> 10, spliced >> 10),
    );
    assert_eq!(counters.hosts_sum("bytes-up") + counters.hosts_sum("bytes-down"), copied + spliced);
    assert_eq!(way == "off", spliced == 0, "{way}");
    (copied, spliced)
}

/// Who sends how many bytes next.
#[derive(Clone, Copy, Debug)]
struct Turn {
    from_client: bool,
    bytes: u64,
    /// Sent in pieces with pauses, as people type, or at once.
    slowly: bool,
}

/// A talk of short questions, long answers, and everything between, in both directions.
fn talk(seed: u64, turns: usize) -> Vec<Turn> {
    let mut rng = Rng::new(seed);
    let turn = |_| {
        let most = 1 << (4 + rng.below(19));
        let bytes = 1 + rng.below(most);
        Turn { from_client: rng.one_in(2), bytes, slowly: bytes < 100_000 && rng.one_in(8) }
    };
    (0..turns).map(turn).collect()
}

/// Plays one side of it.
fn play(stream: &std::net::TcpStream, turns: &[Turn], is_client: bool) {
    let (mut up, mut down) = (Pattern::new(1), Pattern::new(2));
    for (number, turn) in turns.iter().enumerate() {
        let pattern = if turn.from_client { &mut up } else { &mut down };
        if turn.from_client == is_client {
            let bytes = pattern.bytes(usize::try_from(turn.bytes).expect("it fits"));
            let piece = if turn.slowly { bytes.len().div_ceil(4) } else { bytes.len() };
            for piece in bytes.chunks(piece) {
                std::io::Write::write_all(&mut &*stream, piece).expect("send");
                if turn.slowly {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        } else {
            let mut bytes = vec![0; usize::try_from(turn.bytes).expect("it fits")];
            (&mut &*stream).read_exact(&mut bytes).unwrap_or_else(|error| panic!("turn {number}: {error}"));
            assert_eq!(pattern.check(&bytes), Ok(()), "turn {number}");
        }
    }
}

#[test]
fn talks_that_turn_from_words_to_streams_and_back_lose_no_byte() {
    for (way, buffer) in WAYS.into_iter().flat_map(|way| [(way, "4k"), (way, "64k")]) {
        for seed in 0..sized(3, 100) {
            let turns: Arc<[Turn]> = talk(seed, 60).into();
            let at_host = Arc::clone(&turns);
            let host = Host::serve("a", scripts::script(move |visit| play(&visit.stream, &at_host, false)));
            let director = director(&host, way, &["--buffer-size", buffer]);
            let client = Client::connect(director.addr()).into_stream();
            client.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
            println!("{way} {buffer} seed {seed}");
            play(&client, &turns, true);
            drop(client);
            let (copied, _) = finish(director, way, &format!("talk {seed} through buffers of {buffer}"));
            assert!(copied > 0);
        }
    }
}

#[test]
fn streams_both_ways_at_once_arrive_whole_and_end() {
    const BYTES: u64 = 24 * MIB;
    for way in WAYS {
        let host = Host::serve("a", scripts::exchange((1, BYTES), 2));
        let director = director(&host, way, &[]);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let received = Client::connect(director.addr()).exchange((2, BYTES), 1, PATIENCE);
                    assert_eq!((received.bytes, received.wrong_at, received.end), (BYTES, None, End::Eof));
                });
            }
        });
        for end in host.record().wait_for_ends(3, PATIENCE) {
            assert_eq!((end.bytes, end.wrong_at, end.end), (BYTES, None, End::Eof));
        }
        let (copied, spliced) = finish(director, way, "three streams both ways");
        assert!(way != "on" || spliced > copied, "streams are spliced");
    }
}

#[test]
fn stream_through_buffers_larger_than_a_pipe_arrives_whole() {
    const BYTES: u64 = 40 * MIB;
    for way in WAYS {
        let host = Host::serve("a", scripts::source(1, BYTES));
        let director = director(&host, way, &["--buffer-size", "2m"]);
        let received = Client::connect(director.addr()).receive_pattern(1, PATIENCE);
        assert_eq!((received.bytes, received.wrong_at, received.end), (BYTES, None, End::Eof));
        let counters = director.finish();
        let moved = counters.reactors_sum("copied") + counters.reactors_sum("spliced");
        assert_eq!((moved, counters.reactors_sum("panics")), (BYTES, 0));
    }
}

#[test]
fn half_close_after_a_stream_is_passed_on_after_its_last_byte() {
    const BYTES: u64 = 8 * MIB + 77;
    for way in WAYS {
        let host = Host::serve("a", scripts::sink_then_source(1, (2, BYTES)));
        let director = director(&host, way, &[]);
        let client = Client::connect(director.addr());
        client.send_pattern(1, BYTES);
        client.finish_sending();
        let received = client.receive_pattern(2, PATIENCE);
        assert_eq!((received.bytes, received.wrong_at, received.end), (BYTES, None, End::Eof));
        let sent = host.record().wait_for_ends(1, PATIENCE)[0];
        assert_eq!((sent.bytes, sent.wrong_at, sent.end), (BYTES, None, End::Eof));
        drop(client);
        finish(director, way, "stream, half-close, stream back");
    }
}

#[test]
fn reset_after_a_stream_follows_its_last_byte() {
    const BYTES: u64 = 8 * MIB + 77;
    for way in WAYS {
        let host = Host::serve("a", scripts::source_then_reset(1, BYTES));
        let director = director(&host, way, &[]);
        let received = Client::connect(director.addr()).receive_pattern(1, PATIENCE);
        assert_eq!((received.bytes, received.wrong_at, received.end), (BYTES, None, End::Reset));
        finish(director, way, "stream, reset");
    }
}

#[test]
fn client_that_resets_in_the_middle_of_a_stream_leaves_no_pipe_behind() {
    for way in WAYS {
        let host = Host::serve("a", scripts::source(1, 1 << 40));
        let director = director(&host, way, &[]);
        for _ in 0..100 {
            let client = Client::connect(director.addr());
            client.read_exact(2 << 20);
            client.reset();
        }
        director.wait_for_counters(PATIENCE, "all have ended", |all| all.reactors_sum("open") == 0);
        let pipes = director.counters().reactors_sum("pipes");
        assert!(pipes <= 1, "{pipes} pipes for one stream at a time");
        assert_eq!(director.counters().reactors_sum("buffers"), 0);
        finish(director, way, "a hundred streams that were cut");
    }
}

#[test]
fn slow_reader_of_a_stream_gets_all_of_it_and_keeps_nobody_waiting() {
    const BYTES: u64 = 6 * MIB;
    for way in WAYS {
        let host = Host::serve("a", scripts::source(1, BYTES));
        let director = director(&host, way, &[]);
        let slow: Vec<Client> = (0..40).map(|_| Client::connect_narrow(director.addr(), 64 * 1024)).collect();
        until(PATIENCE, "the slow ones are stuck", || host.record().bytes_out() > 40 * MIB);
        let since = Instant::now();
        let received = Client::connect(director.addr()).receive_pattern(1, PATIENCE);
        assert_eq!((received.bytes, received.wrong_at), (BYTES, None));
        figure(&format!("{} MiB beside 40 that do not read, --splice {way}, ms", BYTES / MIB), ms(since.elapsed()));
        for client in slow {
            let received = client.receive_pattern(1, PATIENCE);
            assert_eq!((received.bytes, received.wrong_at, received.end), (BYTES, None, End::Eof));
        }
        finish(director, way, "forty slow readers");
    }
}

#[test]
fn urgent_byte_in_the_middle_of_a_stream_stays_in_its_place() {
    const BEFORE: usize = 5 << 20;
    for way in WAYS {
        let host = Host::serve(
            "a",
            scripts::script(|visit| {
                let mut pattern = Pattern::new(1);
                for _ in 0..3 {
                    visit.send(&pattern.bytes(BEFORE));
                    socket::send_urgent(&visit.stream, pattern.bytes(1)[0]);
                }
                visit.send(&pattern.bytes(BEFORE));
            }),
        );
        let director = director(&host, way, &[]);
        let received = Client::connect(director.addr()).receive_pattern(1, PATIENCE);
        assert_eq!((received.bytes, received.wrong_at, received.end), (4 * BEFORE as u64 + 3, None, End::Eof));
        finish(director, way, "urgent bytes within a stream");
    }
}

#[test]
fn kernel_that_refuses_pipes_or_splice_has_bytes_copied() {
    let _alone = lock::alone();
    const BYTES: u64 = 8 * MIB;
    let cases: [(&[&str], bool); 6] = [
        (&["trace=pipe2", "inject=pipe2:error=EMFILE"], false),
        // The pipe stays as small as it was made, which is enough.
        (&["trace=fcntl", "inject=fcntl:error=EPERM:when=1"], true),
        (&["trace=fcntl", "inject=fcntl:error=EPERM"], false),
        (&["trace=splice", "inject=splice:error=EINVAL:when=1"], false),
        (&["trace=splice", "inject=splice:error=EINTR:when=1+2"], true),
        (&["trace=splice", "inject=splice:error=ENOMEM:when=1+3"], true),
    ];
    for (injections, splices) in cases {
        let host = Host::serve("a", scripts::source(1, BYTES));
        let director = Director::plan(Service::with(&[&host])).args(&["--splice", "on"]).threads(1).start();
        let strace = Strace::attach(director.process(), injections);
        let received = Client::connect(director.addr()).receive_pattern(1, PATIENCE);
        let trace = strace.detach();
        assert_eq!((received.bytes, received.wrong_at, received.end), (BYTES, None, End::Eof), "{injections:?}");
        assert!(trace.injected() > 0, "{injections:?}");
        let counters = director.finish();
        let spliced = counters.reactors_sum("spliced");
        figure(&format!("{} injected: KiB spliced", injections[1]), spliced >> 10);
        assert_eq!(spliced > 0, splices, "{injections:?}");
        assert_eq!(counters.hosts_sum("bytes-down"), BYTES);
    }
}

#[test]
fn memory_and_pipes_of_a_peak_are_given_back() {
    let _alone = lock::alone();
    let clients = 9000;
    let mute = ["a", "b", "c"].map(|name| Host::mute(name, scripts::tell_name(), 4096));
    let stream = Host::serve("d", scripts::source(1, 4 * MIB));
    let config =
        support::Config::new(mute.iter().fold(Service::new("idle"), |all, host| all.host(host.name(), host.addr())))
            .and(Service::new("bulk").host("d", stream.addr()));
    let director = Director::plan(config).threads(1).start();
    let [idle, bulk] = ["idle", "bulk"].map(|name| director.addrs(name)[0]);
    let established = |count: u64| {
        director.wait_for_counters(PATIENCE, "all are connected", |all| all.hosts_sum("established") == count);
    };
    let first = Client::connect(idle);
    established(1);
    first.reset();
    let before = director.process().resident_bytes();
    let open: Vec<Client> = (0..clients).map(|_| Client::connect(idle)).collect();
    established(1 + clients);
    for _ in 0..20 {
        assert_eq!(Client::connect(bulk).receive_pattern(1, PATIENCE).bytes, 4 * MIB);
    }
    let peak = director.process().resident_bytes();
    open.into_iter().for_each(Client::reset);
    director.wait_for_counters(PATIENCE * 3, "pipes and buffers are given back", |all| {
        all.reactors_sum("open") + all.reactors_sum("pipes") + all.reactors_sum("buffers") == 0
    });
    // The counters say so a moment before the last of it is done.
    let after = || director.process().resident_bytes();
    holds_within(PATIENCE, || after() < before + (peak - before) / 2);
    let after = after();
    figure("resident KiB before, at and after a peak", format!("{}, {}, {}", before >> 10, peak >> 10, after >> 10));
    assert!(after < before + (peak - before) / 2, "{before} {peak} {after}");
    director.finish();
}
