//! The manager's thread with real sockets on loopback and reactors that only collect what they are told.

use crate::config::{Address, Config};
use crate::manager::run::{Defaults, Desk, Running, StartError, Surroundings};
use crate::manager::tests::{MILLI, group, named, service, web};
use crate::model::change::Refusal;
use crate::model::command::{Command, Origin, Request};
use crate::model::counters::ReactorCounters;
use crate::model::id::ListenerId;
use crate::model::limits::{CONNECT_TIMEOUT, FIN_TIMEOUT, IDLE_TIMEOUT};
use crate::model::outcome::Fault;
use crate::model::report::Report;
use crate::model::service::ServiceSpec;
use crate::model::socket_options::{ConnectOptions, ListenOptions};
use crate::model::status::HostStatus;
use crate::model::update::{ListenSocket, Update};
use crate::sys::clock::Clock;
use crate::sys::mailbox::Mailbox;
use crate::sys::steer::Steering;
use crossbeam_channel::Receiver;
use mio::{Poll, Token, Waker};
use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// What the loader finds: a configuration, errors, or a bug.
#[derive(Clone)]
enum File {
    Good(Box<Config>),
    Bad,
    Panics,
}

/// The process that the manager sees.
struct Around {
    file: Arc<Mutex<File>>,
    reloads: Arc<AtomicUsize>,
}

impl Surroundings for Around {
    fn load(&mut self) -> Result<Config, String> {
        match self.file.lock().unwrap().clone() {
            File::Good(config) => Ok(*config),
            File::Bad => Err("a.xml:1:2: wrong\na.xml:3:4: wrong too".to_owned()),
            File::Panics => {
                self.reloads.fetch_add(1, SeqCst);
                std::panic::resume_unwind(Box::new("the loader panics"))
            }
        }
    }

    fn prepare(&mut self, _: &Config) -> Result<(), String> {
        Ok(())
    }

    fn applied(&mut self, _: &Config) {
        self.reloads.fetch_add(1, SeqCst);
    }

    fn save(&mut self, config: &Config, _: Option<&Config>) -> Result<String, Refusal> {
        *self.file.lock().unwrap() = File::Good(Box::new(config.clone()));
        Ok("saved".to_owned())
    }

    fn reopen_log(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn set_log_level(&mut self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

struct Rig {
    running: Running,
    reports: Mailbox<Report>,
    mailboxes: Vec<Mailbox<Update>>,
    reactors: Vec<(Poll, Receiver<Update>)>,
    file: Arc<Mutex<File>>,
    /// Reloads that succeeded or panicked.
    reloads: Arc<AtomicUsize>,
}

const DRAIN_TIMEOUT: Duration = Duration::from_secs(7);

fn defaults() -> Defaults {
    Defaults {
        connect_timeout: CONNECT_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        fin_timeout: FIN_TIMEOUT,
        listen: ListenOptions { backlog: Some(16), ..ListenOptions::default() },
        connect: ConnectOptions::default(),
        steering: Steering::default(),
        drain_timeout: DRAIN_TIMEOUT,
    }
}

impl Rig {
    fn start(config: &Config) -> Result<Self, StartError> {
        let desk = Desk::new(Clock::start()).unwrap();
        let reports = desk.reports();
        let (mut mailboxes, mut reactors) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let poll = Poll::new().unwrap();
            let waker = Waker::new(poll.registry(), Token(0)).unwrap();
            let (mailbox, updates) = Mailbox::new(Arc::new(waker));
            mailboxes.push(mailbox);
            reactors.push((poll, updates));
        }
        let file = Arc::new(Mutex::new(File::Bad));
        let reloads = Arc::new(AtomicUsize::new(0));
        let surroundings = Box::new(Around { file: Arc::clone(&file), reloads: Arc::clone(&reloads) });
        let counters = vec![Arc::new(ReactorCounters::default())];
        let running = desk.start(config, defaults(), surroundings, mailboxes.clone(), counters)?;
        Ok(Self { running, reports, mailboxes, reactors, file, reloads })
    }

    /// The next update of reactor 0; the other gets the same.
    fn next(&self) -> Update {
        let [first, second] = [0, 1].map(|n: usize| self.reactors[n].1.recv_timeout(LIMIT).unwrap());
        assert_eq!(std::mem::discriminant(&first), std::mem::discriminant(&second));
        first
    }

    fn next_spec(&self) -> Arc<ServiceSpec> {
        let update = self.next();
        let Update::Service(spec) = update else { panic!("another update: {update:?}") };
        spec
    }

    fn next_listener(&self) -> (ListenerId, SocketAddr) {
        let update = self.next();
        let Update::Listen(spec, socket) = update else { panic!("another update: {update:?}") };
        let ListenSocket::Tcp(socket) = socket else { panic!("datagrams") };
        assert_eq!(socket.local_addr().unwrap(), spec.addr);
        (spec.id, spec.addr)
    }

    fn post(&self, command: Command) {
        assert!(self.running.post(Request::unanswered(command, Origin::new("a", "test"))));
    }

    fn reload(&self, file: File) {
        *self.file.lock().unwrap() = file;
        self.post(Command::Reload { confirm: None });
    }

    fn reloaded(&self, times: usize) {
        let limit = std::time::Instant::now() + LIMIT;
        while self.reloads.load(SeqCst) < times {
            assert!(std::time::Instant::now() < limit, "the reload ends");
            std::thread::sleep(MILLI);
        }
    }
}

fn good(config: Config) -> File {
    File::Good(Box::new(config))
}

fn on_ports(ports: &[u16]) -> Config {
    let mut config = web(ports);
    for host in &mut config.services[0].groups[0].hosts {
        if let Address::Socket(addr) = &mut host.address {
            addr.set_ip(IpAddr::from([127, 0, 0, 1]));
        }
    }
    config
}

/// A socket that has a port but does not listen yet.
fn closed_port() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

#[test]
fn host_that_failed_is_down_until_its_port_opens() {
    let (socket, port) = closed_port();
    let rig = Rig::start(&on_ports(&[port])).unwrap();
    let spec = rig.next_spec();
    rig.next_listener();
    let (service, host) = (spec.id, spec.hosts[0].id);
    rig.reports.post(Report::HostFailed { service, host, fault: Fault::Refused }).unwrap();
    let spec = rig.next_spec();
    assert_eq!((spec.generation, spec.hosts[0].status), (2, HostStatus::Down));
    assert!(rig.reactors[0].1.recv_timeout(300 * MILLI).is_err(), "probes of a closed port take nobody back");
    let _second = rig.reactors[1].1.try_recv();
    socket.listen(16).unwrap();
    let spec = rig.next_spec();
    assert_eq!((spec.generation, spec.hosts[0].status), (3, HostStatus::Up));
    assert!(spec.hosts[0].counters.connect_time() > Duration::ZERO);
    rig.running.join();
}

#[test]
fn start_on_an_address_in_use_fails_and_tells_reactors_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = on_ports(&[1]);
    config.services[0].listens = vec![Address::Socket(taken.local_addr().unwrap()).into()];
    let error = Rig::start(&config).err().unwrap();
    assert!(matches!(&error, StartError::Listen { service, .. } if service == "web"), "{error}");
}

#[test]
fn reload_that_cannot_listen_changes_nothing() {
    let rig = Rig::start(&on_ports(&[1])).unwrap();
    rig.next_spec();
    let (_, addr) = rig.next_listener();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut refused = on_ports(&[1, 2, 3]);
    refused.services[0].listens.push(Address::Socket(taken.local_addr().unwrap()).into());
    refused.services.push(service("mail", vec![group("g", &[4])]));
    rig.reload(good(refused));
    rig.reload(File::Bad);
    rig.reload(good(on_ports(&[1, 9])));
    rig.reloaded(1);
    let spec = rig.next_spec();
    let ports: Vec<u16> = spec.hosts.iter().map(|host| host.addr.port()).collect();
    assert_eq!((spec.generation, ports), (2, vec![1, 9]), "the refused ones left no trace");
    TcpStream::connect(addr).unwrap();
    rig.running.join();
}

#[test]
fn reload_tells_services_before_listeners_and_takes_listeners_before_services() {
    let mut config = on_ports(&[1]);
    let rig = Rig::start(&config).unwrap();
    let web = rig.next_spec();
    let (old, _) = rig.next_listener();
    config.services[0].name = "mail".to_owned();
    rig.reload(good(config));
    let mail = rig.next_spec();
    assert_ne!(mail.id, web.id);
    let (new, _) = rig.next_listener();
    assert_ne!(old, new);
    assert!(matches!(rig.next(), Update::Unlisten(id) if id == old));
    assert!(matches!(rig.next(), Update::Remove(id) if id == web.id));
    rig.running.join();
}

#[test]
fn panic_in_a_turn_leaves_the_manager_running() {
    let rig = Rig::start(&on_ports(&[1])).unwrap();
    let spec = rig.next_spec();
    rig.next_listener();
    rig.reload(File::Panics);
    rig.reloaded(1);
    let (service, host) = (spec.id, spec.hosts[0].id);
    rig.reports.post(Report::HostFailed { service, host, fault: Fault::Refused }).unwrap();
    assert_eq!(rig.next_spec().hosts[0].status, HostStatus::Down);
    rig.running.join();
}

#[test]
fn shutdown_drains_every_reactor_once_and_join_ends_the_thread() {
    let rig = Rig::start(&on_ports(&[1])).unwrap();
    rig.next_spec();
    rig.next_listener();
    for command in [
        Command::LogCounters,
        Command::Shutdown { wait: None },
        Command::Shutdown { wait: None },
        Command::Reload { confirm: None },
    ] {
        rig.post(command);
    }
    assert!(matches!(rig.next(), Update::Drain(time) if time == DRAIN_TIMEOUT));
    rig.running.join();
    assert!(rig.reactors.iter().all(|(_, updates)| updates.try_recv().is_err()));
    assert_eq!(rig.reloads.load(SeqCst), 0, "a reload while shutting down is refused");
}

#[test]
fn name_is_resolved_before_its_service_is_served() {
    let mut config = on_ports(&[1]);
    config.services[0].groups[0].hosts.push(named("db", "localhost", 5432));
    let rig = Rig::start(&config).unwrap();
    let spec = rig.next_spec();
    rig.next_listener();
    assert!(spec.hosts.len() >= 2 && spec.hosts[1..].iter().all(|host| host.addr.ip().is_loopback()), "{spec:?}");
    rig.running.join();
}

#[test]
fn reactor_whose_mailbox_was_full_ends_on_the_last_generation() {
    let rig = Rig::start(&on_ports(&[1, 2])).unwrap();
    let first = rig.next_spec();
    rig.next_listener();
    while rig.mailboxes[1].post(Update::Unlisten(ListenerId(99))).is_ok() {}
    let mut config = on_ports(&[1, 2]);
    for weight in 2..6 {
        config.services[0].groups[0].hosts[0].weight = weight;
        rig.reload(good(config.clone()));
        rig.reloaded(weight as usize - 1);
    }
    rig.reports.post(Report::HostFailed { service: first.id, host: first.hosts[0].id, fault: Fault::Refused }).unwrap();
    let generations = |reactor: usize| {
        let mut seen = Vec::new();
        while seen.last() != Some(&6) {
            if let Update::Service(spec) = rig.reactors[reactor].1.recv_timeout(LIMIT).unwrap() {
                seen.push(spec.generation);
            }
        }
        seen
    };
    assert_eq!(generations(0), [2, 3, 4, 5, 6], "it does not wait for the other");
    assert_eq!(generations(1), [6], "it is told the newest");
    rig.running.join();
}
