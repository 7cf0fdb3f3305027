//! What runs out: descriptors, ports, connections, memory. Clients wait or are refused; nobody is cut, nothing spins.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use support::counters::Counters;
use support::log::Mark;
use support::process::Process;
use support::wait::{holds_within, ms};
use support::{Client, Director, Host, Netns, PATIENCE, Service, figure, lock, scripts, sized, socket, until};

mod support;

const MIB: u64 = 1 << 20;

#[test]
fn process_without_descriptors_waits_quietly_and_goes_on_when_one_is_free() {
    let _alone = lock::alone();
    const CLIENTS: usize = 100;
    let host = Host::serve("a", scripts::greet());
    let director = Director::plan(Service::with(&[&host]).set("connect-timeout", "30s")).start();
    director.process().limit_files(director.first_descriptors() + 40);
    let clients = Crowd::new((0..CLIENTS).map(|_| Client::connect(director.addr())).collect());
    director.wait_for_log(&["accepting paused"], PATIENCE);
    until(PATIENCE, "the descriptors are used up", || clients.served() >= 15);
    let mark = director.log().mark();
    let ((), used) = use_during(director.process(), || thread::sleep(Duration::from_secs(2)));
    let (served, lines) = (clients.served(), director.log().count(mark, &[""]));
    figure("clients served with 40 descriptors", served);
    figure("processor use while 80 wait, percent", format!("{used:.2}"));
    figure("log lines in 2 s of that", lines);
    assert!((15..=20).contains(&served), "{served}");
    assert!(used <= 1.0, "{used} %");
    assert!(lines <= 3, "{lines} lines");
    // Each frees two descriptors, which two reactors could take from one another.
    let first = (0..10).map(|_| clients.release_one()).min().expect("ten of them");
    figure("next client served after a pair has left, best of ten, ms", ms(first));
    let end = clients.release_all();
    figure("all served after, ms", ms(end));
    assert_eq!(clients.lost(), 0);
    assert!(first < support::wait::allowed(Duration::from_millis(5)), "{first:?}");
    assert_eq!(director.log().count(Mark::default(), &["new=down"]), 0);
    drop(clients);
    director.finish();
}

#[test]
fn host_to_which_no_port_is_left_makes_clients_wait_and_is_not_blamed() {
    let _alone = lock::alone();
    const CLIENTS: u16 = 24;
    let netns = Netns::new();
    netns.sysctl("net/ipv4/ip_local_port_range", "40000 40015");
    let host = netns.run(|| Host::plan("a", scripts::greet()).at("127.0.0.1:9000").start());
    let service = Service::with(&[&host]).listen("127.0.0.1:8000").set("connect-timeout", "30s");
    let director = Director::plan(service).inside(&netns).start();
    let clients = Crowd::new(netns.run(|| (0..CLIENTS).map(|number| connect_from(50_000 + number)).collect()));
    until(PATIENCE, "the ports are used up", || clients.served() == 16);
    let ((), used) = use_during(director.process(), || thread::sleep(Duration::from_secs(1)));
    let served = clients.served();
    figure("clients served with 16 ports", served);
    figure("processor use while 8 wait, percent", format!("{used:.2}"));
    assert_eq!(served, 16);
    let first = clients.release_one();
    figure("next client served after a port is free, ms", ms(first));
    clients.release_all();
    assert_eq!(clients.lost(), 0);
    assert!(first < support::wait::allowed(Duration::from_millis(100)), "{first:?}");
    drop(clients);
    let counters = director.finish();
    assert_eq!(counters.hosts_sum("failed"), 0);
}

#[test]
fn client_for_whose_host_no_port_is_left_gets_another_host() {
    let netns = Netns::new();
    netns.sysctl("net/ipv4/ip_local_port_range", "40000 40015");
    let host = |name: &str, addr: &str| netns.run(|| Host::plan(name, scripts::greet()).at(addr).start());
    let hosts = [host("a", "127.0.0.1:9000"), host("b", "127.0.0.1:9001")];
    let service = Service::new("s")
        .listen("127.0.0.1:8000")
        .scheduler("weighted")
        .host_with("a", hosts[0].addr(), r#"weight="100""#)
        .host_with("b", hosts[1].addr(), r#"weight="1""#);
    let director = Director::plan(service).inside(&netns).start();
    let mut worst = Duration::ZERO;
    let clients: Vec<Client> = (0..24)
        .map(|number| {
            let since = Instant::now();
            let client = netns.run(|| connect_from(50_000 + number));
            client.read_exact(2);
            worst = worst.max(since.elapsed());
            client
        })
        .collect();
    let open = hosts.each_ref().map(|host| host.record().open());
    figure("24 clients on hosts of 16 ports each, weights 100 and 1", format!("{open:?}, worst {} ms", ms(worst)));
    assert!(open[0] <= 16 && open[0] + open[1] == 24, "{open:?}");
    assert!(worst < support::wait::allowed(Duration::from_millis(200)), "{worst:?}");
    clients.into_iter().for_each(Client::reset);
    assert_eq!(director.finish().hosts_sum("failed"), 0);
}

#[test]
fn clients_above_the_limit_wait_in_line_and_none_is_cut() {
    let _alone = lock::alone();
    const LIMIT: usize = 20;
    let more = sized(80, 480);
    for by_service in [false, true] {
        let host = Host::serve("a", scripts::greet());
        let service = Service::with(&[&host]);
        let plan = if by_service {
            Director::plan(service.set("max-connections", LIMIT))
        } else {
            Director::plan(service).args(&["--max-connections", "20"])
        };
        // One reactor has one queue, so that the line has an order.
        let director = plan.threads(1).start();
        let mut clients: Vec<Client> = (0..LIMIT + more).map(|_| Client::connect(director.addr())).collect();
        clients[..LIMIT].iter().for_each(|client| assert_eq!(client.read_exact(2), b"a\n"));
        let wait = || holds_within(Duration::from_millis(500), || host.record().accepted() > LIMIT as u64);
        let (exceeded, used) = use_during(director.process(), wait);
        assert!(!exceeded, "somebody was let in above the limit");
        let mut waits = Vec::new();
        for next in 0..more {
            let leaving = clients.remove(0);
            let since = Instant::now();
            leaving.reset();
            // The one that came first, and nobody else.
            assert_eq!(clients[LIMIT - 1].read_exact(2), b"a\n");
            waits.push(since.elapsed());
            assert!(host.record().accepted() <= (LIMIT + next + 1) as u64, "somebody else was let in");
        }
        waits.sort_unstable();
        let (p99, worst) = (waits[more * 99 / 100], waits[more - 1]);
        let what = if by_service { "max-connections of a service" } else { "--max-connections" };
        figure(&format!("{what}: next in line served after, ms"), format!("p99 {}, worst {}", ms(p99), ms(worst)));
        figure(&format!("{what}: processor use while {more} wait, percent"), format!("{used:.2}"));
        assert!(waits[more / 2] < support::wait::allowed(Duration::from_millis(5)), "{waits:?}");
        assert!(used <= 1.0, "{used} %");
        clients.into_iter().for_each(Client::reset);
        director.finish();
    }
}

#[test]
fn limits_follow_from_the_memory_of_the_control_group_and_hold_when_all_is_taken() {
    let _alone = lock::alone();
    let Some(group) = MemoryGroup::new(64 * MIB) else {
        return figure("connections in 64 MiB", "not measured, no control group can be made here");
    };
    // Small kernel buffers, so that what nobody takes fills the balancer's own.
    let netns = Netns::new();
    for kind in ["rmem", "wmem"] {
        netns.sysctl(&format!("net/ipv4/tcp_{kind}"), "4096 8192 8192");
    }
    let idle = netns.run(|| Host::mute("idle", scripts::tell_name(), 4096));
    let director = Director::plan(Service::with(&[&idle])).through(&group.wrapper()).inside(&netns).start();
    let line = director.wait_for_log(&["limits: "], PATIENCE);
    figure("limits in 64 MiB", line.split("limits: ").nth(1).unwrap());
    let number = |before: &str| line.split(before).next()?.rsplit([' ', ',']).next()?.parse::<u64>().ok();
    let (limit, buffers) = (number(" connections").unwrap(), number(" buffers").unwrap());
    assert!((500..8000).contains(&limit), "{line}");
    let addr = director.addr();
    let clients: Vec<TcpStream> = netns.run(|| (0..limit + 20).map(|_| TcpStream::connect(addr).unwrap()).collect());
    let all = |counters: &Counters| counters.services_sum("open") == limit;
    director.wait_for_counters(PATIENCE, "the limit is reached", all);
    let stuff = |client: &TcpStream| {
        client.set_nonblocking(true).expect("non-blocking");
        while std::io::Write::write(&mut &*client, &[7; 65536]).is_ok() {}
    };
    let held = |counters: &Counters| {
        clients[..1000].iter().for_each(stuff);
        counters.reactors_sum("buffers") == buffers
    };
    director.wait_for_counters(PATIENCE, "every buffer is held", held);
    let used = group.used();
    figure(
        "control group's memory with all connections and buffers, MiB",
        format!("{:.1} of 64", used as f64 / MIB as f64),
    );
    assert_eq!(group.killed(), 0);
    assert!(director.process().is_alive());
    // The host first: a reset is not passed on before the bytes before it have been taken.
    drop(idle);
    clients.iter().for_each(socket::reset_on_close);
    drop(clients);
    director.finish();
}

#[test]
fn idle_connections_fit_the_memory_that_the_first_line_of_the_log_promises() {
    let _alone = lock::alone();
    let Some(group) = MemoryGroup::new(1024 * MIB) else {
        return figure("memory promised and used", "not measured, no control group can be made here");
    };
    let pairs: usize = sized(3000, 9000);
    let hosts = ["a", "b", "c"].map(|name| Host::mute(name, scripts::tell_name(), 4096));
    let plan = Director::plan(Service::with(&[&hosts[0], &hosts[1], &hosts[2]])).through(&group.wrapper());
    let director = plan.args(&["--max-connections", &pairs.to_string()]).start();
    let line = director.wait_for_log(&["limits: "], PATIENCE);
    let promised =
        line.split(" connections in ").nth(1).and_then(|rest| rest.split(" MiB").next()?.parse::<u64>().ok());
    let promised = promised.expect("so many connections in so many MiB") * MIB;
    let before = group.used();
    let clients: Vec<_> = (0..pairs).map(|_| TcpStream::connect(director.addr()).expect("connect")).collect();
    let all = |counters: &Counters| counters.hosts_sum("established") == pairs as u64;
    director.wait_for_counters(PATIENCE, "all are connected", all);
    let used = group.used().saturating_sub(before);
    let (used_mib, promised_mib) = (used as f64 / MIB as f64, promised / MIB);
    figure(&format!("{pairs} idle connections, kernel included, MiB"), format!("{used_mib:.1} of {promised_mib}"));
    assert!(used <= promised, "{used} bytes, promised are {promised}");
    assert!(used >= promised / 4, "{used} bytes: the kernel's part is not counted");
    clients.iter().for_each(socket::reset_on_close);
    drop(clients);
    director.finish();
}

#[test]
fn idle_pair_takes_at_most_512_bytes_of_user_memory() {
    let _alone = lock::alone();
    let pairs: usize = sized(2000, 9000);
    let hosts = ["a", "b", "c"].map(|name| Host::mute(name, scripts::tell_name(), 4096));
    let director = Director::start(&[&hosts[0], &hosts[1], &hosts[2]]);
    let connect = || TcpStream::connect(director.addr()).expect("connect");
    let open = |count: usize| {
        let all = |counters: &Counters| counters.hosts_sum("established") == count as u64;
        director.wait_for_counters(PATIENCE, "all are connected", all);
        director.process().resident_bytes()
    };
    let mut clients = vec![connect()];
    let before = open(1);
    clients.extend((0..pairs).map(|_| connect()));
    let after = open(1 + pairs);
    let each = after.saturating_sub(before) / pairs as u64;
    figure("resident bytes an idle pair", each);
    assert!(each <= 512, "{each} bytes");
    clients.drain(..).for_each(|client| socket::reset_on_close(&client));
    director.finish();
}

/// Clients that wait for their host's greeting, each on a thread of its own, and stay until they are let go.
struct Crowd {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// When each was greeted, and when each of those left again.
    served: Mutex<Vec<Instant>>,
    left: Mutex<Vec<Instant>>,
    /// Clients that ended without a greeting.
    lost: AtomicUsize,
    /// How many may still leave.
    may_leave: AtomicUsize,
}

impl Crowd {
    fn new(clients: Vec<Client>) -> Self {
        let shared: Arc<Shared> = Arc::default();
        let live = |client: Client| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.live(client))
        };
        let threads = clients.into_iter().map(live).collect();
        Self { shared, threads }
    }

    fn served(&self) -> usize {
        guard(&self.shared.served).len()
    }

    fn lost(&self) -> usize {
        self.shared.lost.load(SeqCst)
    }

    /// Lets one go. Returns how long after that the next one was greeted.
    fn release_one(&self) -> Duration {
        let before = self.served();
        self.shared.may_leave.fetch_add(1, SeqCst);
        until(PATIENCE, "the next client is served", || self.served() > before);
        let (served, left) = (guard(&self.shared.served), guard(&self.shared.left));
        served[before].duration_since(*left.last().expect("one has left"))
    }

    /// Lets all go, one as soon as it was greeted. Returns how long it took until the last had been.
    fn release_all(&self) -> Duration {
        let since = Instant::now();
        self.shared.may_leave.fetch_add(self.threads.len(), SeqCst);
        until(PATIENCE, "all are served", || self.served() + self.lost() == self.threads.len());
        since.elapsed()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.shared.may_leave.fetch_add(self.threads.len(), SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn live(&self, client: Client) {
        client.stream().set_read_timeout(Some(PATIENCE * 3)).expect("set the read timeout");
        if client.stream().read_exact(&mut [0; 2]).is_err() {
            self.lost.fetch_add(1, SeqCst);
            return;
        }
        guard(&self.served).push(Instant::now());
        let one_less = |tickets: usize| tickets.checked_sub(1);
        holds_within(PATIENCE * 6, || self.may_leave.fetch_update(SeqCst, SeqCst, one_less).is_ok());
        let mut left = guard(&self.left);
        left.push(Instant::now());
        client.reset();
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no client panics while it notes a moment")
}

/// A control group of this test's own, with a limit of memory; whichever version of control groups there is.
struct MemoryGroup {
    path: PathBuf,
    is_first_version: bool,
}

impl MemoryGroup {
    fn new(bytes: u64) -> Option<Self> {
        let is_first_version = Path::new("/sys/fs/cgroup/memory").is_dir();
        let top = if is_first_version { "/sys/fs/cgroup/memory" } else { "/sys/fs/cgroup" };
        let path = PathBuf::from(format!("{top}/director-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let group = Self { path, is_first_version };
        let limit = if is_first_version { "memory.limit_in_bytes" } else { "memory.max" };
        fs::write(group.path.join(limit), bytes.to_string()).ok()?;
        Some(group)
    }

    /// A command that runs another one in the group.
    fn wrapper(&self) -> [String; 4] {
        let join = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.path.display());
        ["sh", "-c", &join, "sh"].map(str::to_owned)
    }

    /// Bytes in use now.
    fn used(&self) -> u64 {
        let file = if self.is_first_version { "memory.usage_in_bytes" } else { "memory.current" };
        let text = fs::read_to_string(self.path.join(file)).expect("the group's use");
        text.trim().parse().expect("a number")
    }

    /// Processes that were killed because the limit was reached.
    fn killed(&self) -> u64 {
        let file = if self.is_first_version { "memory.oom_control" } else { "memory.events" };
        let text = fs::read_to_string(self.path.join(file)).expect("the group's events");
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok()).expect("a count")
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // It is empty once the balancer has ended, which the kernel notes a moment later.
        holds_within(PATIENCE, || fs::remove_dir(&self.path).is_ok());
    }
}

/// A client that takes none of the kernel's ports.
fn connect_from(port: u16) -> Client {
    let (local, addr) = (SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from(([127, 0, 0, 1], 8000)));
    socket::connect_from(local, addr, PATIENCE).expect("connect").into()
}

/// Does something and returns what came of it and the processor use meanwhile, in percent of one processor.
fn use_during<T>(process: Process, work: impl FnOnce() -> T) -> (T, f64) {
    let (cpu, since) = (process.cpu_time(), Instant::now());
    let done = work();
    (done, (process.cpu_time() - cpu).as_secs_f64() / since.elapsed().as_secs_f64() * 100.0)
}
