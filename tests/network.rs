//! The network between the balancer and its hosts fails, and comes back.
//!
//! Every test has a network of its own: the balancer and its clients in the middle, each host behind a link.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use support::log::Mark;
use support::netns::Obstacle;
use support::wait::{StopAtEnd, holds_within, ms};
use support::{
    Churn, Client, Config, Director, End, Host, Netns, PATIENCE, Service, Star, Tally, figure, lock, scripts, sized,
    until,
};

mod support;

const PORT: u16 = 80;
/// Connections a second while something fails.
const RATE: u32 = 200;
/// Bytes that a host reads of each client.
const CLIENT_BYTES: u64 = 124;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

#[test]
fn host_that_refuses_costs_no_client() {
    let _alone = lock::alone();
    let refuse = |star: &Star, host: &mut Host, failing: bool| {
        if failing {
            // Nobody may wait in the queue of a listener that is closed.
            star.hosts[1].obstruct(PORT, Some(Obstacle::Reset));
            until(PATIENCE, "nobody is being served", || host.record().open() == 0);
            host.stop();
        } else {
            star.hosts[1].run(|| host.start());
        }
        star.hosts[1].obstruct(PORT, None);
    };
    let passed = Net::new("100ms").pass("refused", refuse);
    passed.assert_slow_at_most(1);
}

#[test]
fn host_whose_firewall_resets_costs_no_client() {
    let _alone = lock::alone();
    let passed = Net::new("100ms").pass("reset by a firewall", obstruct(Obstacle::Reset));
    passed.assert_slow_at_most(1);
}

#[test]
fn host_that_the_network_calls_unreachable_costs_no_client() {
    let _alone = lock::alone();
    for kind in ["host-unreachable", "no-route", "admin-prohibited", "port-unreachable"] {
        let what = format!("ICMP {kind}");
        let passed = Net::new("100ms").pass(&what, obstruct(Obstacle::Unreachable(kind)));
        passed.assert_slow_at_most(1);
    }
}

#[test]
fn black_hole_costs_no_client_and_few_much_time() {
    let _alone = lock::alone();
    let passed = Net::new("100ms").pass("black hole", obstruct(Obstacle::BlackHole));
    passed.assert_slow_at_most(20);
}

#[test]
fn cut_link_costs_no_client_and_few_much_time() {
    let _alone = lock::alone();
    let passed = Net::new("100ms").pass("link down", |star, _, failing| star.link(1, !failing));
    passed.assert_slow_at_most(20);
}

#[test]
fn host_that_flaps_costs_no_client_and_is_put_out_seldom() {
    let _alone = lock::alone();
    let mut net = Net::new("2s");
    let length = sized(Duration::from_secs(6), Duration::from_secs(60));
    let mark = net.director.log().mark();
    let tally = net.under_load(|star, _| {
        let start = Instant::now();
        for failing in [true, false].into_iter().cycle() {
            let half = Instant::now();
            star.hosts[1].obstruct(PORT, failing.then_some(Obstacle::Reset));
            thread::sleep(Duration::from_millis(100).saturating_sub(half.elapsed()));
            if !failing && start.elapsed() > length {
                break;
            }
        }
    });
    let ejections = net.director.log().count(mark, &["host=b ", "new=down"]);
    figure("beside a host that flaps at 5 Hz", &tally);
    figure("times that it was put out", format!("{ejections} in {} s", length.as_secs()));
    assert_eq!(tally.failed(), 0, "{tally}");
    assert!((1..=12).contains(&ejections), "{ejections} times");
    net.finish();
}

#[test]
fn clients_end_in_time_while_all_hosts_are_gone_and_are_served_when_one_is_back() {
    let _alone = lock::alone();
    for (what, obstacle) in [("reset", Obstacle::Reset), ("lost", Obstacle::BlackHole)] {
        let net = Net::new("100ms");
        let ask = || net.star.middle.run(|| Churn::new(net.director.addr(), 1, 1).run());
        assert_eq!(ask().ok, 1);
        net.star.hosts.iter().for_each(|host| host.obstruct(PORT, Some(obstacle)));
        let mut worst = Duration::ZERO;
        for _ in 0..5 {
            let tally = ask();
            assert_eq!(tally.reset + tally.truncated, 1, "{tally}");
            worst = worst.max(tally.worst());
        }
        until(PATIENCE, "both are down", || net.director.log().count(Mark::default(), &["new=down"]) == 2);
        net.star.hosts.iter().for_each(|host| host.obstruct(PORT, None));
        let healed = Instant::now();
        until(PATIENCE, "served again", || ask().ok == 1);
        let served = healed.elapsed();
        figure(&format!("both hosts' answers {what}: clients ended after, ms at most"), ms(worst));
        figure(&format!("both hosts' answers {what}: first client served after the end of it, ms"), ms(served));
        assert!(worst < support::wait::allowed(CONNECT_TIMEOUT + Duration::from_millis(100)), "{worst:?}");
        assert!(served < support::wait::allowed(Duration::from_millis(200)), "{served:?}");
        for host in ["a", "b"] {
            net.director.wait_for_state(Mark::default(), host, "up", PATIENCE);
        }
        net.finish();
    }
}

#[test]
fn clients_that_wait_while_no_host_answers_are_served_by_the_first_that_does() {
    let _alone = lock::alone();
    for back in [0, 1] {
        let net = Net::with("100ms", "5s");
        net.star.hosts.iter().for_each(|host| host.obstruct(PORT, Some(Obstacle::BlackHole)));
        let churn = Churn::new(net.director.addr(), 8, 8);
        let tally = thread::scope(|scope| {
            let clients = scope.spawn(|| net.star.middle.run(|| churn.run()));
            // Long enough for each to have been offered to both.
            thread::sleep(Duration::from_millis(700));
            net.star.hosts[back].obstruct(PORT, None);
            clients.join().expect("clients do not panic")
        });
        figure(&format!("clients of two silent hosts when host {back} is back after 0.7 s"), &tally);
        assert_eq!(tally.failed(), 0, "{tally}");
        assert!(tally.worst() < support::wait::allowed(Duration::from_secs(3)), "{tally}");
        net.star.hosts.iter().for_each(|host| host.obstruct(PORT, None));
        for host in ["a", "b"] {
            net.director.wait_for_counters(PATIENCE, "all are up", |all| all.host(host).text("state") == Some("up"));
        }
        net.finish();
    }
}

#[test]
fn narrow_and_plain_paths_carry_every_byte() {
    const STRIP: &[&str] = &["reset tcp option sack-perm", "reset tcp option timestamp"];
    let paths: [(&str, &str, &[&str], &[&str]); 3] = [
        ("an MTU of 1280", "1280", &[], &[" pmtu:1280 "]),
        ("segments of 88 bytes", "1500", &["tcp option maxseg size set 88"], &[" mss:76 ", " mss:88 "]),
        ("no timestamps and no selective acknowledgements", "1500", STRIP, &[]),
    ];
    let bytes = sized(400_000, 4_000_000);
    for (what, mtu, rewrites, expected) in paths {
        let path = Path::new(bytes);
        path.narrow(mtu, rewrites);
        let client = path.connect();
        let seen = path.star.hosts[1].command(&["ss", "-tinH"], "");
        let since = Instant::now();
        let down = client.exchange((1, bytes), 2, PATIENCE * 3);
        let up = path.host.record().wait_for_ends(1, PATIENCE)[0];
        let rate = bytes as f64 / 1e6 / since.elapsed().as_secs_f64();
        figure(&format!("each way at once over a path with {what}, MB/s"), format!("{rate:.0}"));
        assert_eq!((down.bytes, down.wrong_at, down.end), (bytes, None, End::Eof));
        assert_eq!((up.bytes, up.wrong_at, up.end), (bytes, None, End::Eof));
        let narrow = if expected.is_empty() {
            !seen.contains(" sack ") && !seen.contains(" ts ")
        } else {
            expected.iter().any(|part| seen.contains(part))
        };
        assert!(narrow, "the path was not what it should be: {seen}");
        drop(client);
        path.director.finish();
    }
}

#[test]
fn path_that_loses_large_packets_silently_is_survived() {
    let bytes = 200_000;
    let path = Path::new(bytes);
    // All believe in 1500 bytes, 1280 pass, and nobody says so. The kernel finds out by probing.
    let ends = path.star.hosts.iter().map(|netns| (netns, "wire"));
    for (netns, link) in ends.chain([(&path.star.middle, "wire0"), (&path.star.middle, "wire1")]) {
        netns.ip(&format!("link set {link} gso_max_segs 1"));
        netns.sysctl("net/ipv4/tcp_mtu_probing", "1");
        netns.sysctl("net/ipv4/tcp_retries1", "1");
        netns.nft(&format!(
            "add table inet path\nadd chain inet path {link} {{ type filter hook input priority 0; }}\n\
             add rule inet path {link} iifname {link} meta length > 1280 counter drop\n"
        ));
    }
    let client = path.connect();
    let since = Instant::now();
    let down = client.exchange((1, bytes), 2, PATIENCE * 3);
    let up = path.host.record().wait_for_ends(1, PATIENCE)[0];
    figure("both ways over a path that loses large packets, s", format!("{:.1}", since.elapsed().as_secs_f64()));
    assert_eq!((down.bytes, down.wrong_at, down.end), (bytes, None, End::Eof));
    assert_eq!((up.bytes, up.wrong_at, up.end), (bytes, None, End::Eof));
    drop(client);
    path.director.finish();
}

/// Two hosts, `a` and `b`, each behind its link, and the balancer in front of them.
struct Net {
    director: Director,
    hosts: Vec<Host>,
    star: Star,
}

impl Net {
    fn new(host_check: &str) -> Self {
        Self::with(host_check, "1s")
    }

    fn with(host_check: &str, connect_timeout: &str) -> Self {
        let star = Star::new(2);
        let start = |number: usize| {
            let plan = Host::plan(["a", "b"][number], scripts::churn()).workers(16);
            star.hosts[number].run(|| plan.at(&Star::addr(number, PORT).to_string()).start())
        };
        let hosts: Vec<Host> = (0..2).map(start).collect();
        // A link that has just come up may lose the first question for its neighbour, and then a second passes.
        for number in 0..2 {
            let reach = || Client::try_connect(Star::addr(number, PORT), PATIENCE).map(Client::reset).is_ok();
            until(PATIENCE, "the host is reached", || star.middle.run(reach));
        }
        let service = Service::with(&[&hosts[0], &hosts[1]]).set("connect-timeout", connect_timeout);
        let director = Director::plan(Config::new(service).host_check(host_check)).inside(&star.middle).start();
        Self { director, hosts, star }
    }

    /// Makes clients connect at an even pace, lets `happen` happen to the host `b`, and goes on until it is served
    /// again and enough clients have come.
    fn under_load(&mut self, happen: impl FnOnce(&Star, &mut Host)) -> Tally {
        let least = sized(480, 2400);
        let stop = AtomicBool::new(false);
        let churn = Churn::new(self.director.addr(), u64::MAX, 32).per_second(RATE);
        let Self { star, hosts, .. } = self;
        let star = &*star;
        thread::scope(|scope| {
            let clients = scope.spawn(|| star.middle.run(|| churn.run_until(&stop)));
            let stopper = StopAtEnd(&stop);
            let ready = holds_within(PATIENCE, || hosts[1].record().bytes_in() > 40 * CLIENT_BYTES);
            happen(star, &mut hosts[1]);
            let before = hosts[1].record().bytes_in();
            let back = holds_within(PATIENCE, || hosts[1].record().bytes_in() > before);
            let all = || hosts.iter().map(|host| host.record().bytes_in()).sum::<u64>();
            let enough = holds_within(PATIENCE * 3, || all() > least * CLIENT_BYTES);
            drop(stopper);
            let tally = clients.join().expect("clients do not panic");
            assert!(ready && back && enough, "ready {ready}, served again {back}, enough {enough}; {tally}");
            tally
        })
    }

    /// One fault of the host `b`, from its beginning to its end, under load.
    fn pass(mut self, what: &str, change: impl Fn(&Star, &mut Host, bool)) -> Passed {
        let length = sized(Duration::from_millis(1200), Duration::from_secs(5));
        let mut back = Duration::ZERO;
        let mark = self.director.log().mark();
        let tally = self.under_load(|star, host| {
            change(star, host, true);
            thread::sleep(length);
            change(star, host, false);
            let (healed, before) = (Instant::now(), host.record().bytes_in());
            until(PATIENCE, "the host serves again", || host.record().bytes_in() > before);
            back = healed.elapsed();
        });
        let ejections = self.director.log().count(mark, &["host=b ", "new=down"]);
        figure(&format!("{what}: clients"), &tally);
        figure(&format!("{what}: host used again after, ms"), ms(back));
        assert_eq!(tally.failed(), 0, "{what}: {tally}");
        assert!(
            tally.worst() < support::wait::allowed(CONNECT_TIMEOUT + Duration::from_millis(100)) || what == "link down",
            "{what}: {tally}"
        );
        assert!(ejections >= 1, "{what}: nobody noticed");
        assert!(back < support::wait::allowed(Duration::from_secs(3)), "{what}: back after {back:?}");
        self.finish();
        Passed { what: what.to_owned(), tally }
    }

    fn finish(self) {
        let Self { director, hosts, star } = self;
        director.finish();
        drop((hosts, star));
    }
}

/// What came of a fault.
struct Passed {
    what: String,
    tally: Tally,
}

impl Passed {
    fn assert_slow_at_most(&self, most: u64) {
        let Self { what, tally } = self;
        assert!(tally.slow <= most, "{what}: {tally}");
    }
}

/// Treats what opens a connection to the host `b` so, while it fails.
fn obstruct(how: Obstacle) -> impl Fn(&Star, &mut Host, bool) {
    move |star, _, failing| star.hosts[1].obstruct(PORT, failing.then_some(how))
}

/// A client and a host, each behind a link of its own, that exchange bytes through the balancer in the middle.
struct Path {
    director: Director,
    host: Host,
    star: Star,
}

impl Path {
    fn new(bytes: u64) -> Self {
        let star = Star::new(2);
        let addr = Star::addr(0, PORT);
        let plan = Host::plan("a", scripts::exchange((2, bytes), 1)).at(&addr.to_string());
        let host = star.hosts[0].run(|| plan.start());
        let service = Service::with(&[&host]).listen("10.99.1.1:8080");
        let director = Director::plan(service).inside(&star.middle).start();
        Self { director, host, star }
    }

    fn connect(&self) -> Client {
        self.star.hosts[1].run(|| Client::connect(self.director.addr()))
    }

    /// Gives both links this MTU, and has both ends rewrite packets that open a connection.
    fn narrow(&self, mtu: &str, rewrites: &[&str]) {
        for (number, netns) in self.star.hosts.iter().enumerate() {
            netns.ip(&format!("link set wire mtu {mtu}"));
            self.star.middle.ip(&format!("link set wire{number} mtu {mtu}"));
            rewrite_opening(netns, "input", rewrites);
            rewrite_opening(netns, "output", rewrites);
        }
    }
}

/// Has a namespace rewrite the packets that open a connection, on their way in or out.
fn rewrite_opening(netns: &Netns, hook: &str, rewrites: &[&str]) {
    let chain = format!("add chain inet path at_{hook} {{ type filter hook {hook} priority -150; }}");
    let rule = |rewrite| format!("add rule inet path at_{hook} tcp flags & syn == syn {rewrite}\n");
    let rules: String = rewrites.iter().map(rule).collect();
    netns.nft(&format!("add table inet path\n{chain}\n{rules}"));
}
