//! Hosts and clients of datagrams.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::wait::PATIENCE;

/// What a host answers to a datagram; none: nothing.
pub type Answer = Arc<dyn Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync>;

/// A host that answers each datagram, and can be stopped and started again on the same port.
pub struct UdpHost {
    name: String,
    addr: SocketAddr,
    answer: Answer,
    record: Arc<UdpRecord>,
    serving: Option<(Arc<UdpSocket>, JoinHandle<()>)>,
}

/// What it has seen.
#[derive(Default)]
pub struct UdpRecord {
    datagrams: AtomicU64,
    bytes: AtomicU64,
    stopping: AtomicBool,
    /// Datagrams by who sent them.
    peers: Mutex<BTreeMap<SocketAddr, u64>>,
}

impl UdpRecord {
    pub fn datagrams(&self) -> u64 {
        self.datagrams.load(SeqCst)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(SeqCst)
    }

    pub fn peers(&self) -> BTreeMap<SocketAddr, u64> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl UdpHost {
    /// A host that answers with its name, a `:` and what it was sent.
    pub fn named(name: &str) -> Self {
        Self::at(name, "127.0.0.1:0")
    }

    /// The same, there.
    pub fn at(name: &str, addr: &str) -> Self {
        let prefix = format!("{name}:");
        let answer = move |bytes: &[u8]| vec![[prefix.as_bytes(), bytes].concat()];
        Self::serve(name, addr, Arc::new(answer))
    }

    /// A host that sends back what it was sent.
    pub fn echo(name: &str) -> Self {
        Self::serve(name, "127.0.0.1:0", Arc::new(|bytes| vec![bytes.to_vec()]))
    }

    /// A host that answers like this.
    pub fn serve(name: &str, addr: &str, answer: Answer) -> Self {
        let (name, record) = (name.to_owned(), Arc::default());
        let addr = bind(addr.parse().expect("an address")).local_addr().expect("bound");
        let mut host = Self { name, addr, answer, record, serving: None };
        host.start();
        host
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn record(&self) -> &UdpRecord {
        &self.record
    }

    /// Serves again after a stop.
    pub fn start(&mut self) {
        let socket = Arc::new(bind(self.addr));
        self.record.stopping.store(false, SeqCst);
        let (own, answer, record) = (Arc::clone(&socket), Arc::clone(&self.answer), Arc::clone(&self.record));
        self.serving = Some((socket, thread::spawn(move || serve(&own, &answer, &record))));
    }

    /// Closes its socket: what is sent to it is refused from now on.
    pub fn stop(&mut self) {
        let Some((socket, thread)) = self.serving.take() else { return };
        self.record.stopping.store(true, SeqCst);
        drop(socket);
        thread.join().expect("the host ends");
    }
}

impl Drop for UdpHost {
    fn drop(&mut self) {
        self.stop();
    }
}

fn bind(addr: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, None).expect("a socket");
    // A host that is started again may find the address in the hands of its old socket for a moment.
    socket.set_reuse_address(true).expect("set");
    let _ = socket.set_recv_buffer_size(4 << 20);
    socket.bind(&addr.into()).expect("bind");
    let socket: UdpSocket = socket.into();
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
    socket
}

fn serve(socket: &UdpSocket, answer: &Answer, record: &UdpRecord) {
    let mut space = vec![0; 70_000];
    while !record.stopping.load(SeqCst) {
        let Ok((len, peer)) = socket.recv_from(&mut space) else { continue };
        record.datagrams.fetch_add(1, SeqCst);
        record.bytes.fetch_add(len as u64, SeqCst);
        *record.peers.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default() += 1;
        for one in answer(&space[..len]) {
            let _ = socket.send_to(&one, peer);
        }
    }
}

/// A client with a socket of its own.
pub struct UdpClient {
    pub socket: UdpSocket,
    to: SocketAddr,
}

impl UdpClient {
    /// From any port of the loopback address of that family.
    pub fn new(to: SocketAddr) -> Self {
        Self::from(if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }, to)
    }

    /// From there.
    pub fn from(from: &str, to: SocketAddr) -> Self {
        let socket = UdpSocket::bind(from).expect("bind");
        let _ = SockRef::from(&socket).set_recv_buffer_size(4 << 20);
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        Self { socket, to }
    }

    pub fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.to).expect("sent");
    }

    /// The next answer, which must come from where it was asked for.
    #[track_caller]
    pub fn receive(&self) -> Vec<u8> {
        let mut space = vec![0; 70_000];
        let (len, from) = self.socket.recv_from(&mut space).expect("an answer");
        assert_eq!(from, self.to, "an answer comes from where it was asked");
        space.truncate(len);
        space
    }

    /// The next answer, if one comes within this time.
    pub fn receive_within(&self, within: Duration) -> io::Result<Vec<u8>> {
        self.socket.set_read_timeout(Some(within)).expect("set");
        let mut space = vec![0; 70_000];
        let result = self.socket.recv_from(&mut space);
        self.socket.set_read_timeout(Some(PATIENCE)).expect("set");
        result.map(|(len, _)| space[..len].to_vec())
    }

    /// What is answered to this.
    #[track_caller]
    pub fn ask(&self, bytes: &[u8]) -> Vec<u8> {
        self.send(bytes);
        self.receive()
    }

    /// The name of the host that answers, which is all before a `:`.
    #[track_caller]
    pub fn ask_name(&self) -> String {
        name_in(&self.ask(b"?"))
    }
}

/// The name of the host that has answered this.
pub fn name_in(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.split(':').next().unwrap_or_default().to_owned()
}
