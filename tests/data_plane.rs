//! The reactors through the library's own interface, without configuration or manager.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use director::model::counters::HostCounters;
use director::model::datagram::{FlowRules, Protocol};
use director::model::id::{HostId, ListenerId, ServiceId};
use director::model::role::Level;
use director::model::scheduler::SchedulerKind;
use director::model::service::{Entrance, Fastclose, HostSpec, ListenerSpec, ServiceSpec};
use director::model::status::HostStatus;
use director::model::sticky::StickyRules;
use director::model::update::{ListenSocket, Update};
use director::reactor::{Reactors, Settings, Splice};
use director::sys::clock::Clock;
use director::sys::listener::listen;
use director::sys::mailbox::Mailbox;

fn host(id: u32, addr: SocketAddr) -> HostSpec {
    HostSpec {
        id: HostId(id),
        addr: addr.into(),
        weight: 1,
        share: 1,
        hard: None,
        level: Level::default(),
        max: None,
        status: HostStatus::Up,
        may_meet_itself: false,
        acl: None,
        outbound: None,
        counters: Arc::new(HostCounters::default()),
    }
}

fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut received = Vec::new();
                stream.read_to_end(&mut received).unwrap();
                stream.write_all(&received).unwrap();
            });
        }
    });
    addr
}

fn settings() -> Settings {
    Settings {
        cpus: vec![None, None],
        max_connections: 1000,
        flows_max: 1000,
        flow_sockets_max: 100,
        buffer_bytes: 4096,
        buffers_max: 100,
        splice: Splice::Auto,
        pipes_max: 4,
        rebalance: false,
        accept_batch: 16,
        access: Arc::default(),
        panic_at: None,
    }
}

#[test]
fn bytes_reach_the_live_host_and_come_back_past_a_dead_one() {
    let poll = mio::Poll::new().unwrap();
    let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
    let (reports, received) = Mailbox::new(waker);
    let reactors = Reactors::start(&settings(), Clock::start(), &reports).unwrap();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let spec = Arc::new(ServiceSpec {
        id: ServiceId(0),
        generation: 1,
        name: "s".into(),
        scheduler: SchedulerKind::RoundRobin,
        sticky: StickyRules::default(),
        table: None,
        is_stubborn: false,
        hosts: vec![host(0, dead), host(1, echo())],
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(5),
        fin_timeout: Duration::from_secs(5),
        flows: FlowRules::default(),
        max_connections: None,
        access_log: true,
        entrance: Entrance::default(),
        fastclose: Fastclose::Off,
        rotation: Arc::default(),
        counters: Arc::default(),
    });
    let first = listen("127.0.0.1:0".parse().unwrap(), 128).unwrap();
    let addr = first.local_addr().unwrap();
    let sockets = [first, listen(addr, 128).unwrap()].map(Arc::new);
    for (mailbox, socket) in reactors.mailboxes().iter().zip(&sockets) {
        mailbox.post(Update::Service(Arc::clone(&spec))).unwrap();
        let listener = ListenerSpec {
            id: ListenerId(0),
            service: ServiceId(0),
            protocol: Protocol::Tcp,
            addr: addr.into(),
            proxy: None,
            counters: Arc::default(),
        };
        mailbox.post(Update::Listen(listener, ListenSocket::Tcp(Arc::clone(socket)))).unwrap();
    }
    let payload: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    for _ in 0..20 {
        let mut client = TcpStream::connect(addr).unwrap();
        client.write_all(&payload).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        client.read_to_end(&mut back).unwrap();
        assert!(back == payload, "{} of {} bytes came back", back.len(), payload.len());
    }
    for mailbox in reactors.mailboxes() {
        mailbox.post(Update::Drain(Duration::from_secs(5))).unwrap();
    }
    assert_eq!(reactors.join(), 0, "nothing is cut");
    assert_eq!(spec.counters.accepted.load(Relaxed), 20);
    assert_eq!(spec.counters.open.load(Relaxed), 0);
    assert_eq!(spec.hosts[1].counters.established.load(Relaxed), 20);
    assert_eq!(spec.hosts[0].counters.open() + spec.hosts[1].counters.open(), 0);
    assert!(received.try_recv().is_ok(), "the dead host was reported");
}
