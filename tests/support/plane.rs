//! Reactors without a manager, for tests that need to know which of them serves whom, and hosts that a test plays
//! itself.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_channel::Receiver;
use director::model::counters::ListenerCounters;
use director::model::datagram::{FlowRules, Protocol};
use director::model::id::{HostId, ListenerId, ServiceId};
use director::model::report::Report;
use director::model::role::Level;
use director::model::scheduler::SchedulerKind;
use director::model::service::{HostSpec, ListenerSpec, ServiceSpec};
use director::model::status::HostStatus;
use director::model::sticky::StickyRules;
use director::model::update::{ListenSocket, Update};
use director::reactor::{Reactors, Settings, Splice};
use director::sys::clock::Clock;
use director::sys::listener::listen;
use director::sys::mailbox::Mailbox;
use socket2::SockRef;

use super::wait::{PATIENCE, holds_within, until};

/// Long enough that nothing in a test can be the work of a timeout.
pub const LONG: Duration = Duration::from_secs(60);

/// Reactors without a manager.
pub struct Plane {
    pub reactors: Reactors,
    pub reports: Receiver<Report>,
    /// What all listeners count.
    pub listened: Arc<ListenerCounters>,
    listeners: AtomicU32,
}

impl Plane {
    pub fn start(reactors: usize, change: impl FnOnce(&mut Settings)) -> Self {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (mailbox, reports) = Mailbox::new(waker);
        let mut settings = Settings {
            cpus: vec![None; reactors],
            max_connections: 1000,
            flows_max: 1000,
            flow_sockets_max: 100,
            buffer_bytes: 4096,
            buffers_max: 100,
            splice: Splice::Auto,
            pipes_max: 4,
            rebalance: false,
            accept_batch: 16,
            panic_at: None,
        };
        change(&mut settings);
        let reactors = Reactors::start(&settings, Clock::start(), &mailbox).unwrap();
        Self { reactors, reports, listened: Arc::default(), listeners: AtomicU32::new(0) }
    }

    pub fn post(&self, reactor: usize, update: Update) {
        self.reactors.mailboxes()[reactor].post(update).unwrap();
    }

    /// Has this reactor, and no other, accept for the service.
    pub fn listen(&self, reactor: usize, spec: &ServiceSpec) -> SocketAddr {
        let socket = listen("127.0.0.1:0".parse().unwrap(), 128).unwrap();
        let addr = socket.local_addr().unwrap();
        let id = ListenerId(self.listeners.fetch_add(1, Relaxed));
        let listener =
            ListenerSpec { id, service: spec.id, protocol: Protocol::Tcp, addr, counters: Arc::clone(&self.listened) };
        self.post(reactor, Update::Service(Arc::new(spec.clone())));
        self.post(reactor, Update::Listen(listener, ListenSocket::Tcp(Arc::new(socket))));
        addr
    }

    pub fn turns(&self, reactor: usize) -> u64 {
        self.reactors.counters()[reactor].turns.load(Relaxed)
    }

    /// Times that the first reactor stopped accepting.
    pub fn pauses(&self) -> u64 {
        self.reactors.counters()[0].accept_pauses.load(Relaxed)
    }

    #[track_caller]
    pub fn wait_for_pauses(&self, count: u64) {
        until(PATIENCE, "accepting has paused", || self.pauses() >= count);
    }

    pub fn end(self) {
        for mailbox in self.reactors.mailboxes() {
            mailbox.post(Update::Drain(Duration::ZERO)).unwrap();
        }
        let _ = self.reactors.join();
    }
}

pub fn service(id: u32, hosts: &[(&TcpListener, Option<u32>)]) -> ServiceSpec {
    let host = |(number, (listener, max)): (u32, &(&TcpListener, Option<u32>))| HostSpec {
        id: HostId(id * 100 + number),
        addr: listener.local_addr().unwrap(),
        weight: 1,
        share: 1,
        hard: None,
        level: Level::default(),
        max: *max,
        status: HostStatus::Up,
        may_meet_itself: false,
        outbound: None,
        counters: Arc::default(),
    };
    ServiceSpec {
        id: ServiceId(id),
        generation: 1,
        name: "s".into(),
        scheduler: SchedulerKind::RoundRobin,
        sticky: StickyRules::default(),
        table: None,
        is_stubborn: false,
        hosts: (0..).zip(hosts).map(host).collect(),
        connect_timeout: LONG,
        idle_timeout: LONG,
        fin_timeout: LONG,
        flows: FlowRules::default(),
        max_connections: None,
        rotation: Arc::default(),
        counters: Arc::default(),
    }
}

/// A host that the test plays itself.
pub fn played_host() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// The next connection at a host, if it comes within this time.
pub fn next(host: &TcpListener, within: Duration) -> Option<TcpStream> {
    let mut accepted = None;
    holds_within(within, || {
        accepted = host.accept().ok().map(|(stream, _)| stream);
        accepted.is_some()
    });
    accepted.inspect(|stream| stream.set_nonblocking(false).unwrap())
}

/// A client and what the host sees of it.
pub fn pair(addr: SocketAddr, host: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(addr).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let at_host = next(host, PATIENCE).expect("the host is reached");
    at_host.set_read_timeout(Some(PATIENCE)).unwrap();
    (client, at_host)
}

pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}
