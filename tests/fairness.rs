//! Connections beside each other on one reactor: greedy ones leave the others their share, and deadlines are kept.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use support::counters::Counters;
use support::netns::Obstacle;
use support::pattern::Pattern;
use support::wait::{StopAtEnd, best_of_three, ms};
use support::{
    Churn, Client, Config, Director, End, Host, Netns, PATIENCE, Service, figure, lock, scripts, sized, until,
};

mod support;

/// Connections that take all they can get.
const ELEPHANTS: usize = 8;
/// Connections that send a byte now and then and wait for it to come back.
const MICE: usize = 20;

#[test]
fn small_requests_stay_quick_beside_connections_that_take_all_they_can() {
    let _alone = lock::alone();
    let (source, echo) = (Host::serve("source", scripts::source(1, u64::MAX)), Host::serve("echo", scripts::echo()));
    let config = Config::new(service("large", &source)).and(service("small", &echo));
    let director = Director::plan(config).threads(1).start();
    let (large, small) = (director.addrs("large")[0], director.addrs("small")[0]);
    let quiet = mice(small, sized(Duration::from_secs(1), Duration::from_secs(10)));
    let (herd, enough) = (Herd::default(), Duration::from_millis(sized(12, 8)));
    let (loud, shares) = thread::scope(|scope| {
        let _stop = StopAtEnd(&herd.stop);
        for number in 0..ELEPHANTS {
            let herd = &herd;
            scope.spawn(move || herd.drink(large, number));
        }
        until(PATIENCE, "all elephants drink", || herd.drunk.iter().all(|bytes| bytes.load(Relaxed) > 0));
        best_of_three(
            enough,
            |(loud, _): &(RoundTrips, _)| loud.p99,
            || {
                let before = herd.shares();
                let loud = mice(small, sized(Duration::from_secs(3), Duration::from_secs(30)));
                let shares: Vec<u64> = herd.shares().iter().zip(before).map(|(after, before)| after - before).collect();
                (loud, shares)
            },
        )
    });
    let rate = shares.iter().sum::<u64>() as f64 * 8.0 / 1e9 / loud.took.as_secs_f64();
    figure("round trips of mice alone, ms", &quiet);
    figure("round trips of mice beside 8 elephants, ms", format!("{loud} at {rate:.1} Gbit/s"));
    figure("Jain's index of the elephants' shares", format!("{:.3}", jain(&shares)));
    assert!(loud.p99 < enough, "{loud}");
    assert!(jain(&shares) >= 0.98, "{shares:?}");
    drop(source);
    director.finish();
}

#[test]
fn small_requests_stay_quick_while_others_connect_as_fast_as_they_can() {
    let _alone = lock::alone();
    let churn = Host::plan("churn", scripts::churn()).workers(4).start();
    let echo = Host::serve("echo", scripts::echo());
    let config = Config::new(service("churn", &churn)).and(service("small", &echo));
    let director = Director::plan(config).threads(1).start();
    let (busy, small) = (director.addrs("churn")[0], director.addrs("small")[0]);
    let (stop, enough) = (AtomicBool::new(false), Duration::from_millis(12));
    let (round_trips, tally) = thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let load = scope.spawn(|| Churn::new(busy, u64::MAX, 8).run_until(&stop));
        let run = || mice(small, sized(Duration::from_secs(2), Duration::from_secs(20)));
        let round_trips = best_of_three(enough, |trips: &RoundTrips| trips.p99, run);
        stop.store(true, Relaxed);
        (round_trips, load.join().unwrap())
    });
    let rate = tally.total() as f64 / tally.elapsed.as_secs_f64();
    figure("round trips of mice beside a flood of connections, ms", format!("{round_trips} at {rate:.0} a second"));
    assert_eq!(tally.failed(), 0, "{tally}");
    assert!(round_trips.p99 < enough, "{round_trips}");
    director.finish();
}

#[test]
fn connection_that_used_up_its_budget_goes_on_without_another_event() {
    const BYTES: usize = 512 * 1024;
    let host = Host::serve(
        "a",
        scripts::script(|visit| {
            // One way after the other, each all at once, and then nothing more that could wake anybody.
            visit.send_pattern(Pattern::new(2), BYTES as u64);
            let mut all = vec![0; BYTES];
            assert!(visit.read_exact(&mut all) && Pattern::new(1).check(&all).is_ok());
            visit.send(b"!");
            visit.receive(|_| ());
        }),
    );
    // A turn moves sixteen buffers.
    let director = Director::plan(Service::with(&[&host])).args(&["--buffer-size", "4k"]).start();
    let connections = sized(100, 2000);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..connections / 4 {
                    let client = Client::connect(director.addr());
                    let all = client.read_exact(BYTES);
                    assert_eq!(Pattern::new(2).check(&all), Ok(()));
                    client.send_pattern(1, BYTES as u64);
                    assert_eq!(client.read_exact(1), b"!");
                }
            });
        }
    });
    let counters = director.finish();
    let spent = counters.reactors_sum("budget-spent");
    figure("budgets used up, none of them stuck", format!("{spent} in {connections} connections"));
    assert!(spent > connections, "the budget was hardly ever used up: {spent}");
}

#[test]
fn connect_timeout_is_kept_to_the_millisecond_beside_many_idle_connections() {
    let _alone = lock::alone();
    let timeout = Duration::from_secs(1);
    let idle = sized(1500, 9000);
    let netns = Netns::new();
    netns.obstruct(9000, Some(Obstacle::BlackHole));
    let quiet = netns.run(|| Host::plan("quiet", scripts::tell_name()).workers(0).backlog(4096).start());
    let dead: SocketAddr = "127.0.0.1:9000".parse().unwrap();
    let config = Config::new(Service::new("idle").listen("127.0.0.1:8000").host("quiet", quiet.addr()))
        .and(Service::new("dead").listen("127.0.0.1:8001").host("dead", dead).set("connect-timeout", "1s"));
    let director = Director::plan(config).inside(&netns).start();
    let connect = |service: &str| netns.run(|| Client::connect(director.addrs(service)[0]));
    let open: Vec<Client> = netns.run(|| (0..idle).map(|_| Client::connect(director.addrs("idle")[0])).collect());
    let measure = || {
        let mut late: Vec<Duration> = thread::scope(|scope| {
            let waits: Vec<_> = (0..sized(200, 400))
                .map(|_| {
                    thread::sleep(Duration::from_millis(10));
                    let (since, client) = (Instant::now(), connect("dead"));
                    scope.spawn(move || client.wait_for_end(since, PATIENCE))
                })
                .collect();
            let ends = waits.into_iter().map(|wait| wait.join().unwrap());
            ends.inspect(|(end, _)| assert_ne!(*end, End::Deadline)).map(|(_, took)| took.abs_diff(timeout)).collect()
        });
        late.sort_unstable();
        late
    };
    let (at, enough) = (|late: &Vec<Duration>, share| late[(late.len() - 1) * share / 100], sized(20, 5));
    let late = best_of_three(Duration::from_millis(enough), |late| at(late, 99), measure);
    let (p99, worst) = (at(&late, 99), at(&late, 100));
    let what = format!("connect timeout of 1 s beside {idle} idle connections missed by, ms");
    figure(&what, format!("p50 {}, p99 {}, worst {}", ms(late[late.len() / 2]), ms(p99), ms(worst)));
    assert!(late[late.len() / 2] < Duration::from_millis(5), "{late:?}");
    assert!(p99 < Duration::from_millis(enough), "{late:?}");
    // Probes of the lost host end at once from here on.
    netns.obstruct(9000, None);
    open.into_iter().for_each(Client::reset);
    director.finish();
}

#[test]
fn connections_that_expire_at_once_hold_nobody_up() {
    let _alone = lock::alone();
    let pairs = sized(2000, 9000);
    // Their queues have room for all connections of all attempts.
    let quiet = ["a", "b", "c", "d", "e", "f", "g"].map(|name| Host::mute(name, scripts::tell_name(), 4096));
    let echo = Host::serve("echo", scripts::echo());
    let many = quiet.iter().fold(Service::new("many"), |service, host| service.host(host.name(), host.addr()));
    let config = Config::new(many.set("idle-timeout", "2s")).and(service("small", &echo));
    let director = Director::plan(config).threads(1).start();
    let (mark, enough) = (director.log().mark(), Duration::from_millis(sized(30, 20)));
    let mut expired = 0;
    let worst = best_of_three(enough, Duration::clone, || {
        expired += pairs;
        longest_while_expiring(&director, pairs)
    });
    let counters = director.counters();
    figure(&format!("longest round trip of a mouse while {pairs} pairs expire, ms"), ms(worst));
    figure("log lines for them", director.log().count(mark, &[""]));
    assert_eq!(counters.service("many").number("closed-idle"), expired as u64);
    assert!(worst < enough, "{worst:?}");
    assert!(director.log().count(mark, &[""]) < 10);
    director.finish();
}

/// Has so many connections of the service `many` expire in one moment; returns the longest round trip of a connection
/// of the service `small` meanwhile.
fn longest_while_expiring(director: &Director, pairs: usize) -> Duration {
    let addr = director.addrs("many")[0];
    let open: Vec<Client> = (0..pairs).map(|_| Client::connect(addr)).collect();
    let all = |counters: &Counters| counters.service("many").number("open") == pairs as u64;
    director.wait_for_counters(PATIENCE, "all are open", all);
    // While the balancer stands still, bytes come for all of them, so that their time starts in the same moment.
    director.process().signal(libc::SIGSTOP);
    open.iter().for_each(|client| client.send(b"x"));
    director.process().signal(libc::SIGCONT);
    thread::sleep(Duration::from_millis(1500));
    let mouse = Client::connect(director.addrs("small")[0]);
    let (mut worst, since) = (Duration::ZERO, Instant::now());
    while since.elapsed() < Duration::from_millis(1500) {
        let asked = Instant::now();
        mouse.send(b"x");
        mouse.read_exact(1);
        worst = worst.max(asked.elapsed());
        thread::sleep(Duration::from_micros(200));
    }
    let none = |counters: &Counters| counters.service("many").number("open") == 0;
    director.wait_for_counters(PATIENCE, "all have expired", none);
    worst
}

/// Elephants and what they drank.
#[derive(Default)]
struct Herd {
    stop: AtomicBool,
    drunk: [AtomicU64; ELEPHANTS],
}

impl Herd {
    fn drink(&self, addr: SocketAddr, number: usize) {
        let client = Client::connect(addr);
        let mut buffer = vec![0; 256 * 1024];
        while !self.stop.load(Relaxed) {
            let count = std::io::Read::read(&mut client.stream(), &mut buffer).expect("bytes without end");
            self.drunk[number].fetch_add(count as u64, Relaxed);
        }
        client.reset();
    }

    fn shares(&self) -> Vec<u64> {
        self.drunk.iter().map(|bytes| bytes.load(Relaxed)).collect()
    }
}

/// Round trips.
struct RoundTrips {
    p50: Duration,
    p99: Duration,
    worst: Duration,
    took: Duration,
}

impl std::fmt::Display for RoundTrips {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {}, p99 {}, worst {}", ms(self.p50), ms(self.p99), ms(self.worst))
    }
}

/// Has mice run for so long, each sending 64 bytes every 10 ms and waiting for them to come back.
fn mice(addr: SocketAddr, length: Duration) -> RoundTrips {
    let since = Instant::now();
    let run = || {
        let client = Client::connect(addr);
        let mut times = Vec::new();
        while since.elapsed() < length {
            let asked = Instant::now();
            client.send(&[7; 64]);
            client.read_exact(64);
            times.push(asked.elapsed());
            thread::sleep(Duration::from_millis(10));
        }
        times
    };
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let mice: Vec<_> = (0..MICE).map(|_| scope.spawn(run)).collect();
        mice.into_iter().flat_map(|mouse| mouse.join().expect("a mouse lives on")).collect()
    });
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    RoundTrips { p50: at(50), p99: at(99), worst: at(100), took: since.elapsed() }
}

/// How evenly shares are spread: 1 for equal ones, 1/n when one has all (Jain, Chiu, Hawe: "A quantitative measure of
/// fairness", 1984).
fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|share| *share as f64).sum();
    let squares: f64 = shares.iter().map(|share| (*share as f64).powi(2)).sum();
    sum * sum / (squares * shares.len() as f64)
}

fn service(name: &str, host: &Host) -> Service {
    Service::new(name).host(host.name(), host.addr())
}
