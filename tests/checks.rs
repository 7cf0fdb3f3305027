//! Checks of hosts: what they are asked, over TCP and UDP and as name servers, and what becomes of those that answer otherwise.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use support::{Client, Director, Host, PATIENCE, Site, figure, scripts, until};

mod support;

/// What a server sends back for a datagram from there; the first has the number 0.
type Answer = dyn Fn(&[u8], SocketAddr, usize) -> Vec<Vec<u8>> + Send + Sync;

/// A server of datagrams.
struct Server {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(
        at: impl Into<SocketAddr>,
        answer: impl Fn(&[u8], SocketAddr, usize) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let socket = UdpSocket::bind(at.into()).expect("bind a UDP socket");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("set the read timeout");
        let (addr, stop, count) = (socket.local_addr().expect("an address"), Arc::default(), Arc::default());
        let answer: Box<Answer> = Box::new(answer);
        let (stopping, counter) = (Arc::<AtomicBool>::clone(&stop), Arc::<AtomicUsize>::clone(&count));
        let thread = std::thread::spawn(move || {
            let mut space = [0; 2048];
            while !stopping.load(SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut space) else { continue };
                for datagram in answer(&space[..length], from, counter.fetch_add(1, SeqCst)) {
                    let _ = socket.send_to(&datagram, from);
                }
            }
        });
        Self { addr, stop, count, thread: Some(thread) }
    }

    fn echo(at: impl Into<SocketAddr>) -> Self {
        Self::start(at, |bytes, _, _| vec![bytes.to_vec()])
    }

    fn count(&self) -> usize {
        self.count.load(SeqCst)
    }

    /// So many more datagrams come.
    fn wait_for(&self, more: usize) {
        let wanted = self.count() + more;
        until(PATIENCE, "more datagrams", || self.count() >= wanted);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A service on a free port whose group `g` has these attributes and these hosts, a, b, …
fn elements(fall: u32, group: &str, hosts: &[SocketAddr]) -> String {
    let host = |(name, addr): (char, &SocketAddr)| format!("<host name='{name}' ip='{addr}'/>");
    let hosts: String = ('a'..).zip(hosts).map(host).collect();
    format!(
        "<service name='s'><listen ip='127.0.0.1:0'/><group name='g' {group}>{hosts}</group></service>
         <manager fall='{fall}'><hostCheck interval='100ms'/></manager>"
    )
}

fn file(fall: u32, group: &str, hosts: &[SocketAddr]) -> String {
    format!("<director>{}</director>", elements(fall, group, hosts))
}

fn start(fall: u32, group: &str, hosts: &[SocketAddr]) -> Director {
    Director::plan_text(&file(fall, group, hosts)).log_lines_max(5000).start()
}

/// Waits for the next change of the host to this state, after `act`; returns the line of the log.
fn state_after(director: &Director, host: &str, state: &str, act: impl FnOnce()) -> String {
    let mark = director.log().mark();
    act();
    director.wait_for_state(mark, host, state, PATIENCE)
}

fn reload_to(director: &Director, text: &str) {
    director.write_config_text(text);
    assert!(director.reload().contains("reloaded"));
}

/// A host that answers a line as its state says: 0 not at all, 1 rightly, 2 wrongly, 3 by closing.
fn talker() -> (Host, Arc<AtomicU8>) {
    let state = Arc::new(AtomicU8::new(1));
    let now = Arc::clone(&state);
    let script = scripts::script(move |visit| {
        if !visit.read_exact(&mut [0; 6]) {
            return;
        }
        match now.load(SeqCst) {
            0 => while !visit.is_stopping() && visit.read_exact(&mut [0; 1]) {},
            1 => drop(visit.send(b"+PO") && visit.send(b"NG\r\n")),
            2 => drop(visit.send(b"-ERR\r\n")),
            _ => visit.finish_sending(),
        }
    });
    (Host::serve("a", script), state)
}

#[test]
fn host_that_accepts_but_answers_otherwise_is_taken_down_in_time_and_comes_back() {
    let (host, state) = talker();
    let check = r"check='tcp' check-send='PING\r\n' check-expect='^+PONG' check-interval='200ms' check-timeout='100ms'";
    let director = start(2, check, &[host.addr(), host.addr()]);
    for (new, why) in [(0, "no answer in time"), (2, "another answer than expected"), (3, "closed before it answered")]
    {
        let begun = Instant::now();
        let line = state_after(&director, "a", "down", || state.store(new, SeqCst));
        let took = begun.elapsed();
        assert!(line.contains(why), "{line}");
        // Two failures, an interval apart, of which the first probe may have been on its way already.
        assert!(took >= Duration::from_millis(100), "{took:?}: it takes two failures");
        assert!(took < Duration::from_millis(2 * 200 + 100) + PATIENCE / 4, "{took:?}");
        figure(&format!("down after two probes, 200 ms apart: {why}"), format!("{} ms", took.as_millis()));
        state_after(&director, "a", "up", || state.store(1, SeqCst));
    }
    director.finish();
}

#[test]
fn udp_server_that_is_killed_is_down_at_once_and_up_when_it_is_back() {
    let server = Server::echo(any_port());
    let addr = server.addr;
    let silent = Server::start(any_port(), |_, _, _| Vec::new());
    let check = r"check='udp' check-send='are you there?\x00' check-expect='\x00' check-interval='100ms'
                  source='127.0.0.9'";
    let begun = Instant::now();
    let director = start(1, check, &[addr, silent.addr]);
    let line = director.wait_for_log(&["state", "host=b", "new=down"], PATIENCE);
    assert!(line.contains("no answer in time"), "{line}");
    figure("a silent server is down", format!("{} ms after the start", begun.elapsed().as_millis()));
    server.wait_for(3);
    assert_eq!(director.log().count(director.log().mark(), &["host=a", "new=down"]), 0);
    let line = state_after(&director, "a", "down", || drop(server));
    assert!(line.contains("connection refused"), "the kernel tells at once that the port is closed: {line}");
    let from = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&from);
    let mut back = None;
    state_after(&director, "a", "up", || {
        back = Some(Server::start(addr, move |bytes, from, _| {
            seen.lock().expect("no panic").insert(from);
            vec![bytes.to_vec()]
        }));
    });
    back.expect("it is back").wait_for(3);
    let from = from.lock().expect("no panic").clone();
    assert!(from.iter().all(|addr| addr.ip() == Ipv4Addr::new(127, 0, 0, 9)), "the group's source: {from:?}");
    assert!(from.len() > 1, "a port a probe: {from:?}");
    director.finish();
}

#[test]
fn lost_datagrams_do_not_take_a_host_down() {
    // One of three that each probe may send comes through.
    let lossy = Server::start(any_port(), |bytes, _, number| match number % 3 {
        2 => vec![bytes.to_vec()],
        _ => Vec::new(),
    });
    let check = "check='udp' check-send='x' check-interval='300ms'";
    let director = start(1, check, &[lossy.addr]);
    lossy.wait_for(5 * 3);
    assert_eq!(director.counters().host("a").text("state"), Some("up"), "no probe has failed");
    director.finish();
    // Every second probe is lost whole.
    let lossier = Server::start(any_port(), |bytes, _, number| match number % 4 {
        3 => vec![bytes.to_vec()],
        _ => Vec::new(),
    });
    let director = start(2, check, &[lossier.addr]);
    lossier.wait_for(5 * 4);
    assert_eq!(director.counters().host("a").text("state"), Some("up"), "never two failures in a row");
    reload_to(&director, &file(1, check, &[lossier.addr]));
    director.wait_for_log(&["state", "host=a", "new=down"], PATIENCE);
    director.finish();
}

/// A name server that answers with this code, and from 16 on with another number than it was asked with.
fn name_server(code: &Arc<AtomicU8>, ids: &Arc<Mutex<HashSet<[u8; 2]>>>) -> Server {
    let (code, ids) = (Arc::clone(code), Arc::clone(ids));
    Server::start(any_port(), move |query, _, _| {
        ids.lock().expect("no panic").insert([query[0], query[1]]);
        let code = code.load(SeqCst);
        let mut answer = query.to_vec();
        answer[0] ^= u8::from(code >= 16);
        answer[2] |= 0x80;
        answer[3] = code & 0xf;
        vec![answer]
    })
}

#[test]
fn name_server_that_fails_or_refuses_is_down_and_one_that_knows_no_such_name_is_up() {
    let (code, ids) = (Arc::new(AtomicU8::new(0)), Arc::default());
    let server = name_server(&code, &ids);
    let check = "check='dns' check-query='www.example AAAA' check-interval='100ms'";
    let director = start(1, check, &[server.addr]);
    server.wait_for(4);
    for (bad, why) in [(2, "SERVFAIL"), (5, "REFUSED"), (16, "another answer than expected")] {
        let line = state_after(&director, "a", "down", || code.store(bad, SeqCst));
        assert!(line.contains(why), "{line}");
        state_after(&director, "a", "up", || code.store(3, SeqCst));
    }
    assert!(ids.lock().expect("no panic").len() > 3, "every question has a number of its own");
    director.finish();
}

/// A process that ends with its handle.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn dnsmasq_is_asked_for_what_it_knows_and_a_reload_changes_the_question() {
    let port = any_udp_port();
    let args = ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces"];
    let more = ["--listen-address=127.0.0.1", "--address=/www.example/10.0.0.1", "--user=", "--pid-file="];
    let mut command = Command::new("dnsmasq");
    command.args(args).args(more).arg(format!("--port={port}")).stderr(Stdio::null()).stdout(Stdio::null());
    let Ok(child) = command.spawn() else {
        println!("skipped: dnsmasq is not installed");
        return;
    };
    let _server = Killed(child);
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let with = |name: &str| {
        let check = format!("check='dns' check-query='{name}' check-interval='100ms'");
        file(1, &check, &[addr])
    };
    let director = Director::plan_text(&with("www.example")).log_lines_max(5000).start();
    until(PATIENCE, "dnsmasq answers", || director.counters().host("a").text("state") == Some("up"));
    let line = state_after(&director, "a", "down", || reload_to(&director, &with("unknown.example")));
    assert!(line.contains("the name server answered REFUSED"), "{line}");
    state_after(&director, "a", "up", || reload_to(&director, &with("www.example")));
    director.finish();
}

fn any_udp_port() -> u16 {
    UdpSocket::bind(any_port()).and_then(|socket| socket.local_addr()).expect("a free port").port()
}

#[test]
fn check_on_another_port_decides_and_leaves_hosts_that_are_up_alone_without_an_interval() {
    let host = Host::serve("a", scripts::tell_name());
    let other = Server::echo(any_port());
    let check = format!("check='udp' check-send='x' check-port='{}'", other.addr.port());
    let director = start(1, &check, &[host.addr()]);
    assert_eq!(Client::connect(director.addr()).read_text().0, "a");
    assert_eq!(other.count(), 0, "a host that is up is not asked");
    // Nobody listens at the host's own port for a while: its check says that it is back, and clients that it is not.
    let mut host = host;
    let line = state_after(&director, "a", "down", || {
        host.stop();
        let _ = Client::connect(director.addr()).read_text();
    });
    assert!(line.contains("connection refused"), "{line}");
    let line = director.wait_for_log(&["state", "host=a", "new=up"], PATIENCE);
    assert!(line.contains("probe answered") && other.count() > 0, "{line}");
    let port = other.addr;
    drop(other);
    let asked = format!("{check} check-interval='100ms'");
    let line = state_after(&director, "a", "down", || {
        host.start();
        reload_to(&director, &file(1, &asked, &[host.addr()]));
    });
    assert!(line.contains("probe: connection refused"), "{line}");
    let mut other = None;
    state_after(&director, "a", "up", || other = Some(Server::echo(port)));
    assert_eq!(Client::connect(director.addr()).read_text().0, "a");
    director.finish();
}

#[test]
fn reload_begins_changes_and_ends_a_check() {
    let (host, state) = talker();
    state.store(2, SeqCst);
    let plain = file(1, "", &[host.addr()]);
    let checked = |expect: &str| {
        let check = format!(r"check='tcp' check-send='PING\r\n' check-expect='{expect}' check-interval='100ms'");
        file(1, &check, &[host.addr()])
    };
    let director = Director::plan_text(&plain).log_lines_max(5000).start();
    assert_eq!(director.counters().host("a").text("state"), Some("up"));
    state_after(&director, "a", "down", || reload_to(&director, &checked("PONG")));
    state_after(&director, "a", "up", || reload_to(&director, &checked("ERR")));
    state_after(&director, "a", "down", || reload_to(&director, &checked("PONG")));
    // A connect is all again.
    state_after(&director, "a", "up", || reload_to(&director, &plain));
    director.finish();
}

#[test]
fn host_that_is_not_asked_comes_back_when_its_time_is_over() {
    let (dead, spare) = (Host::dead("a"), Host::serve("b", scripts::tell_name()));
    let director = start(1, "check='none'", &[dead.addr(), spare.addr()]);
    let line = state_after(&director, "a", "down", || {
        assert_eq!(Client::connect(director.addr()).read_text().0, "b");
    });
    assert!(line.contains("connection refused"), "{line}");
    let line = director.wait_for_log(&["state", "host=a", "new=up"], PATIENCE);
    assert!(line.contains("its time is over"), "{line}");
    director.finish();
}

#[test]
fn thousand_hosts_are_asked_one_after_the_other_over_few_sockets() {
    const HOSTS: usize = 1000;
    const QUARTER: Duration = Duration::from_millis(250);
    let answers = Arc::new(AtomicBool::new(true));
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let (answering, arrived) = (Arc::clone(&answers), Arc::clone(&arrivals));
    let server = Server::start(any_port(), move |bytes, _, _| {
        arrived.lock().expect("no panic").push(Instant::now());
        if answering.load(SeqCst) { vec![bytes.to_vec()] } else { Vec::new() }
    });
    let hosts = format!("<host ip='{}'/>", server.addr).repeat(HOSTS);
    let text = format!(
        "<director><service name='s'><listen ip='127.0.0.1:0'/>
         <group name='g' check='udp' check-send='x' check-interval='2s' check-timeout='1s'>{hosts}</group></service>
         <manager fall='1000'/></director>"
    );
    let director = Director::plan_text(&text).log_lines_max(5000).start();
    let before = director.process().descriptors();
    server.wait_for(2 * HOSTS);
    let arrivals = arrivals.lock().expect("no panic").clone();
    let in_quarter = |number| {
        let quarter = arrivals[0] + number * QUARTER..arrivals[0] + (number + 1) * QUARTER;
        arrivals.iter().filter(|at| quarter.contains(*at)).count()
    };
    let quarters: Vec<usize> = (0..8).map(in_quarter).collect();
    assert!(quarters.iter().all(|count| *count < HOSTS / 2), "they are spread over two seconds: {quarters:?}");
    figure("datagrams in quarters of a second, 1000 hosts, one each 2 s", format!("{quarters:?}"));
    // Without an answer they take a second each, for which there is not the room.
    answers.store(false, SeqCst);
    let mut most = 0;
    until(PATIENCE, "probes wait for their turn", || {
        most = most.max(director.process().descriptors().saturating_sub(before));
        most > 48
    });
    server.wait_for(500);
    until(PATIENCE, "they went on", || {
        most = most.max(director.process().descriptors().saturating_sub(before));
        server.count() > 3 * HOSTS
    });
    assert!(most <= 64, "{most} descriptors above those at the start");
    figure("most sockets for probes", most);
    answers.store(true, SeqCst);
    director.finish();
}

#[test]
fn last_probe_is_told_to_who_asks() {
    let (code, ids) = (Arc::new(AtomicU8::new(0)), Arc::default());
    let server = name_server(&code, &ids);
    let check = "check='dns' check-query='www.example' check-interval='100ms'";
    let site = Site::start(&elements(1, check, &[server.addr]));
    let host = || site.json(&["status"])["services"][0]["groups"][0]["hosts"][0].clone();
    until(PATIENCE, "a probe was answered", || host()["probes"]["last"]["good"] == true);
    let probes = host()["probes"].clone();
    assert_eq!(probes["check"], "dns");
    assert!(probes["good"].as_u64() > Some(0) && probes["good_sum_us"].as_u64() > Some(0), "{probes}");
    assert!(site.ctl(&["status"]).good().contains("dns ok"), "{}", site.ctl(&["status"]).good());
    code.store(2, SeqCst);
    until(PATIENCE, "a probe has failed", || host()["status"] == "down");
    let last = host()["probes"]["last"].clone();
    assert_eq!((&last["good"], &last["why"]), (&false.into(), &"the name server answered SERVFAIL".into()));
    let told = site.ctl(&["status"]).good();
    assert!(told.contains("dns failed") && told.contains("SERVFAIL; next probe in"), "{told}");
    let told = site.ctl(&["group", "set", "s/g", "check-query=other.example", "check-interval=50ms"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let wrong = site.ctl(&["group", "set", "s/g", "check-send=x"]);
    assert!(wrong.err.contains("expected no check-send"), "{wrong:?}");
}
