//! Servers and clients of datagrams.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::balancer::Balancer;

/// Most bytes of a datagram over IPv4 (RFC 768 and 791): 65535 without both headers.
pub(crate) const DATAGRAM_MAX: usize = 65_507;

/// A server that answers `who` with its name and everything else with the same.
pub(crate) struct Answerer {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    seen: Arc<AtomicU64>,
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Answerer {
    pub(crate) fn new(name: &'static str) -> Self {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut answerer = Self { name, addr, seen: Arc::default(), running: None };
        answerer.start();
        answerer
    }

    /// Answers again after a stop.
    pub(crate) fn start(&mut self) {
        let socket = UdpSocket::bind(self.addr).expect("bind the server");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("set the read timeout");
        let (over, seen, name) = (Arc::new(AtomicBool::new(false)), Arc::clone(&self.seen), self.name);
        let stop = Arc::clone(&over);
        let serve = move || {
            let mut bytes = vec![0; DATAGRAM_MAX];
            while !stop.load(SeqCst) {
                let Ok((count, from)) = socket.recv_from(&mut bytes) else { continue };
                seen.fetch_add(1, SeqCst);
                let answer = if &bytes[..count] == b"who" { name.as_bytes() } else { &bytes[..count] };
                let _ = socket.send_to(answer, from);
            }
        };
        self.running = Some((over, thread::spawn(serve)));
    }

    /// Nobody is there any more: the kernel answers that the port is unreachable.
    pub(crate) fn stop(&mut self) {
        if let Some((over, thread)) = self.running.take() {
            over.store(true, SeqCst);
            let _ = thread.join();
        }
    }

    /// Datagrams that it has received.
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(SeqCst)
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A socket of a client's, from 127.0.0.`number`; each has a port of its own.
pub(crate) struct Asker {
    socket: UdpSocket,
    to: SocketAddr,
}

impl Asker {
    pub(crate) fn new(balancer: &Balancer, number: u16) -> Self {
        let [third, last] = number.to_be_bytes();
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, third, last), 0)).expect("bind the client");
        Self { socket, to: balancer.addr() }
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.to).expect("send a datagram");
    }

    /// The next answer; it has to come from where the question went.
    ///
    /// # Errors
    /// None came within the time.
    pub(crate) fn receive(&self, within: Duration) -> io::Result<Vec<u8>> {
        self.socket.set_read_timeout(Some(within))?;
        let mut bytes = vec![0; DATAGRAM_MAX];
        let (count, from) = self.socket.recv_from(&mut bytes)?;
        assert_eq!(from, self.to, "an answer comes from where the question went");
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Who answers; empty when nobody does within a second.
    pub(crate) fn who(&self) -> String {
        self.send(b"who");
        String::from_utf8(self.receive(Duration::from_secs(1)).unwrap_or_default()).expect("a name")
    }

    /// Whether this comes back as it went.
    pub(crate) fn echoes(&self, bytes: &[u8]) -> bool {
        self.send(bytes);
        self.receive(Duration::from_secs(1)).is_ok_and(|answer| answer == bytes)
    }
}

/// A port below those that the kernel gives to clients, free for TCP and UDP, and never the same.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let at = NEXT.fetch_add(1, SeqCst) + u64::from(std::process::id()) * 97;
        let port = 20_000 + u16::try_from(at % 12_000).expect("below 12000");
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
