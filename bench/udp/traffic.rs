//! Clients and hosts of datagrams.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use director::model::limits::DATAGRAM_BATCH;
use director::model::socket_options::ListenOptions;
use director::sys::datagram::{self, Batch, Outgoing};

use crate::Failure;

/// Bytes of a question, as of a name, and of its answer.
const SMALL: usize = 64;
/// Bytes of a datagram of a stream, as QUIC has them.
const LARGE: usize = 1200;
/// The first byte of what is answered; of what is only counted.
const QUESTION: u8 = b'?';
const STREAM: u8 = b'#';
/// Questions of each client that are not answered yet.
const WINDOW: usize = 8;
/// Datagrams that a client hands to the kernel in one piece.
const WHOLE: usize = 40;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// Questions and answers of clients that stay.
    Kept,
    /// A client for each question.
    New,
    /// A stream to a host, handed to the kernel one by one.
    Stream,
    /// The same, handed to it in pieces that it cuts.
    Bulk,
}

impl Case {
    pub(crate) const ALL: [Self; 4] = [Self::Kept, Self::Stream, Self::Bulk, Self::New];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kept => "questions of 64 clients",
            Self::New => "a client for each question",
            Self::Stream => "stream of 1200 bytes",
            Self::Bulk => "the same, sent with GSO",
        }
    }
}

/// What came of it, in datagrams through the balancer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    pub(crate) sent: u64,
    pub(crate) arrived: u64,
}

/// Hosts that answer questions and count streams.
pub(crate) struct Hosts {
    pub(crate) addrs: Vec<SocketAddr>,
    streamed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Hosts {
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let (streamed, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (mut addrs, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let socket = datagram::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &ListenOptions::default())?;
            socket.set_nonblocking(false)?;
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
            addrs.push(socket.local_addr()?);
            let (streamed, stop) = (Arc::clone(&streamed), Arc::clone(&stop));
            threads.push(thread::spawn(move || serve(&socket, &streamed, &stop)));
        }
        Ok(Self { addrs, streamed, stop, threads })
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

fn serve(socket: &UdpSocket, streamed: &AtomicU64, stop: &AtomicBool) {
    let mut batch = Batch::new();
    let mut outgoing = Vec::with_capacity(DATAGRAM_BATCH);
    let mut whole_max = usize::MAX;
    while !stop.load(Relaxed) {
        let Ok((filled, _)) = batch.receive(socket.as_fd(), 0) else {
            // Waits for the next.
            let _ = socket.peek(&mut [0; 1]);
            continue;
        };
        outgoing.clear();
        for place in 0..filled {
            let received = batch.received(place);
            match batch.bytes(place).first() {
                Some(&QUESTION) => outgoing.push(Outgoing { place, to: received.peer, from: None }),
                _ => drop(streamed.fetch_add(received.count() as u64, Relaxed)),
            }
        }
        batch.send(socket.as_fd(), &outgoing, &mut whole_max, &mut |_, _| {});
    }
}

/// A question with this number.
pub(crate) fn question(number: u64) -> [u8; SMALL] {
    let mut question = [QUESTION; SMALL];
    question[8..16].copy_from_slice(&number.to_be_bytes());
    question
}

/// Has clients send for so long.
pub(crate) fn run(case: Case, addr: SocketAddr, hosts: &Hosts, span: Duration) -> Result<Moved, Failure> {
    let until = Instant::now() + span;
    match case {
        Case::Kept => kept(addr, until),
        Case::New => new(addr, until),
        Case::Stream => stream(addr, hosts, until, 1),
        Case::Bulk => stream(addr, hosts, until, WHOLE),
    }
}

fn kept(addr: SocketAddr, until: Instant) -> Result<Moved, Failure> {
    let clients: Vec<UdpSocket> = (0..64).map(|_| client(addr)).collect::<io::Result<_>>()?;
    let (mut moved, mut number) = (Moved::default(), 0);
    let mut space = [0; 2 * SMALL];
    while Instant::now() < until {
        for client in &clients {
            for _ in 0..WINDOW {
                number += 1;
                moved.sent += 2;
                let _ = client.send(&question(number));
            }
        }
        for client in &clients {
            for _ in 0..WINDOW {
                if client.recv(&mut space).is_ok_and(|len| len == SMALL) {
                    moved.arrived += 2;
                } else {
                    break;
                }
            }
        }
    }
    Ok(moved)
}

fn new(addr: SocketAddr, until: Instant) -> Result<Moved, Failure> {
    let (mut moved, mut number) = (Moved::default(), 0);
    let mut space = [0; 2 * SMALL];
    while Instant::now() < until {
        // From many addresses: ports of one would be used again while their flows last.
        let clients: Vec<UdpSocket> = (0..32_u64)
            .map(|each| {
                let [.., high, low, last] = ((number + each) % 0xFF_FFFF).to_be_bytes();
                let socket = UdpSocket::bind(SocketAddr::from(([127, high, low, last.max(1)], 0)))?;
                socket.connect(addr)?;
                socket.set_read_timeout(Some(Duration::from_millis(20)))?;
                Ok(socket)
            })
            .collect::<io::Result<_>>()?;
        for client in &clients {
            number += 1;
            moved.sent += 2;
            let _ = client.send(&question(number));
        }
        for client in &clients {
            if client.recv(&mut space).is_ok_and(|len| len == SMALL) {
                moved.arrived += 2;
            }
        }
    }
    Ok(moved)
}

/// A stream, no faster than a host takes it in: what is on the way is bounded.
fn stream(addr: SocketAddr, hosts: &Hosts, until: Instant, whole: usize) -> Result<Moved, Failure> {
    let socket = datagram::towards_hosts(false, None, &Default::default())?;
    let mut batch = Batch::new();
    // What is sent is received first: there is no other way into a place.
    let own = datagram::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &ListenOptions::default())?;
    let filler = UdpSocket::bind("127.0.0.1:0")?;
    for _ in 0..whole.min(DATAGRAM_BATCH) {
        filler.send_to(&[STREAM; LARGE], own.local_addr()?)?;
    }
    let mut filled = 0;
    while filled < whole.min(DATAGRAM_BATCH) {
        filled += batch.receive(own.as_fd(), filled).map_or(0, |(filled, _)| filled);
    }
    let outgoing: Vec<Outgoing> = (0..filled).map(|place| Outgoing { place, to: addr, from: None }).collect();
    let (begun, mut moved) = (hosts.streamed.load(Relaxed), Moved::default());
    let mut whole_max = if whole > 1 { usize::MAX } else { 0 };
    let mut lost = 0;
    while Instant::now() < until {
        batch.send(socket.as_fd(), &outgoing, &mut whole_max, &mut |_, _| {});
        moved.sent += filled as u64;
        let waited = Instant::now();
        while moved.sent.saturating_sub(hosts.streamed.load(Relaxed) - begun + lost) > 160 {
            if waited.elapsed() > Duration::from_millis(20) {
                // They will not come any more.
                lost = moved.sent.saturating_sub(hosts.streamed.load(Relaxed) - begun);
                break;
            }
            thread::yield_now();
        }
    }
    thread::sleep(Duration::from_millis(20));
    moved.arrived = hosts.streamed.load(Relaxed) - begun;
    Ok(moved)
}

fn client(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(addr)?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    Ok(socket)
}
