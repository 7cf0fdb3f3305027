//! Name servers as hosts: real ones (dnsmasq), asked by real clients (dig, dnsperf), while one after the other is killed
//! and started again. A network namespace of its own holds them, which needs root.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use support::scratch::Scratch;
use support::wait::StopAtEnd;
use support::{Director, Netns, PATIENCE, figure, sized, until};

mod support;

/// How long one server is away, and how long both are there.
const SPELL: Duration = Duration::from_millis(1500);

/// Everybody, in a network of their own.
struct Site {
    netns: Netns,
    folder: Scratch,
    servers: Vec<Server>,
}

/// A name server, which has one answer to every question of an address.
struct Server {
    addr: SocketAddr,
    child: Option<Child>,
}

/// What became of the questions.
#[derive(Debug)]
struct Told {
    /// Questions of dig's, each asked twice at most.
    asked: usize,
    /// Of these, answered the second time.
    again: usize,
    /// Of these, not answered the second time either.
    failed: usize,
    /// Questions of dnsperf's, each asked once.
    sent: u64,
    /// Of these, not answered.
    lost: u64,
}

impl Site {
    #[track_caller]
    fn new(servers: u16) -> Self {
        let netns = Netns::new();
        let addr = |number: u16| SocketAddr::from(([127, 0, 0, 1], 5300 + number));
        let mut servers: Vec<Server> = (1..=servers).map(|number| Server { addr: addr(number), child: None }).collect();
        for server in &mut servers {
            server.start(&netns);
        }
        Self { netns, folder: Scratch::new(), servers }
    }

    /// Asks all the time, while each server is killed and started again, one after the other.
    fn ordeal(&mut self, addr: SocketAddr) -> Told {
        let questions = self.folder.path("questions");
        let names: String = (0..100).map(|number| format!("host{number}.test A\n")).collect();
        fs::write(&questions, names).expect("write the questions");
        let Self { netns, servers, .. } = self;
        let rounds = sized(1, 10);
        let spells = u32::try_from(2 * servers.len() * rounds + 1).expect("few spells");
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let stop = StopAtEnd(&over);
            let digs = scope.spawn(|| dig_until(netns, addr, &over));
            let perf = scope.spawn(|| dnsperf(netns, addr, &questions, SPELL * spells));
            thread::sleep(SPELL);
            for _ in 0..rounds {
                for server in servers.iter_mut() {
                    server.kill();
                    thread::sleep(SPELL);
                    server.start(netns);
                    thread::sleep(SPELL);
                }
            }
            let (sent, lost) = perf.join().expect("dnsperf ended");
            drop(stop);
            let (asked, again, failed) = digs.join().expect("dig ended");
            Told { asked, again, failed, sent, lost }
        })
    }
}

impl Server {
    /// Starts it and waits until it answers.
    #[track_caller]
    fn start(&mut self, netns: &Netns) {
        let port = self.addr.port();
        let mut command = Command::new("dnsmasq");
        command.args(["--keep-in-foreground", "--user=root", "--pid-file=", "--conf-file=/dev/null"]);
        command.args(["--no-resolv", "--no-hosts", "--cache-size=0", "--bind-interfaces"]);
        command.arg(format!("--listen-address={}", self.addr.ip())).arg(format!("--port={port}"));
        command.arg(format!("--address=/test/10.0.0.{}", port - 5300));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(netns.run(|| command.spawn().expect("dnsmasq is installed (Debian package dnsmasq-base)")));
        let addr = self.addr;
        until(PATIENCE, "dnsmasq answers", || is_answered(&dig(netns, addr)));
    }

    /// Ends it at once, as a crash would.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One question, asked again after a second without an answer, and then given up.
fn dig(netns: &Netns, addr: SocketAddr) -> Output {
    let (server, port) = (format!("@{}", addr.ip()), addr.port().to_string());
    let mut command = Command::new("dig");
    command.args(["+short", "+tries=2", "+time=1", &server, "-p", &port, "www.test"]);
    netns.run(|| command.output().expect("dig is installed (Debian package bind9-dnsutils)"))
}

fn is_answered(output: &Output) -> bool {
    output.status.success() && String::from_utf8_lossy(&output.stdout).lines().any(|line| line.starts_with("10.0.0."))
}

/// Questions of dig's until the end: how many, how many again, how many in vain.
fn dig_until(netns: &Netns, addr: SocketAddr, over: &AtomicBool) -> (usize, usize, usize) {
    let (mut asked, mut again, mut failed) = (0, 0, 0);
    while !over.load(SeqCst) {
        let output = dig(netns, addr);
        asked += 1;
        if !is_answered(&output) {
            failed += 1;
        } else if String::from_utf8_lossy(&output.stdout).contains(";;") {
            again += 1;
        }
    }
    (asked, again, failed)
}

/// Questions at a fixed rate from eight sockets: how many, and how many without an answer within a second.
fn dnsperf(netns: &Netns, addr: SocketAddr, questions: &PathBuf, time: Duration) -> (u64, u64) {
    let (server, port, seconds) = (addr.ip().to_string(), addr.port().to_string(), time.as_secs().max(1).to_string());
    let mut command = Command::new("dnsperf");
    command.args(["-s", &server, "-p", &port, "-l", &seconds, "-Q", "400", "-t", "1", "-c", "8", "-d"]).arg(questions);
    let output = netns.run(|| command.output().expect("dnsperf is installed (Debian package dnsperf)"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {label:?} in {text} {}", String::from_utf8_lossy(&output.stderr)))
    };
    (number("Queries sent:"), number("Queries lost:"))
}

/// What the clients would have without a balancer, so that the other tests are known to see a server that is away.
#[test]
fn name_server_alone_fails_its_clients_while_it_is_away() {
    let mut site = Site::new(1);
    let addr = site.servers[0].addr;
    let told = site.ordeal(addr);
    figure("a name server without a balancer, killed and started again", format!("{told:?}"));
    assert!(told.failed > 0 && told.lost > 0, "{told:?}");
    assert!(told.failed < told.asked && told.lost < told.sent, "{told:?}");
}

#[test]
fn name_servers_behind_the_balancer_fail_no_question_twice_while_each_is_away() {
    let mut site = Site::new(2);
    let host = |(number, server): (usize, &Server)| format!("<host name='dns{number}' ip='{}'/>", server.addr);
    let hosts: String = site.servers.iter().enumerate().map(host).collect();
    let text = format!(
        "<director>
  <service name='dns' flow-timeout='10s'><listen ip='127.0.0.1:53' protocol='udp'/><group name='g'>{hosts}</group></service>
  <manager><hostCheck interval='200ms'/></manager>
</director>"
    );
    let director = Director::plan_text(&text).inside(&site.netns).start();
    let told = site.ordeal(director.addr());
    figure("two name servers behind the balancer, each killed and started again", format!("{told:?}"));
    assert!(told.asked > 50 && told.sent > 1000, "{told:?}");
    assert_eq!(told.failed, 0, "no question fails twice: {told:?}");
    assert!(told.again <= 10, "a second time is the exception: {told:?}");
    // A flow loses what is on its way when its server goes.
    assert!(told.lost * 100 <= told.sent, "at most 1 % of those that are asked once: {told:?}");
}
