//! Scripted hosts: threads that serve each connection by a script, count what they see, and can be stopped and started
//! again on the same port.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use super::pattern::Pattern;
use super::socket::{self, Received};
use super::wait::{PATIENCE, holds_within, until};

/// What a host does with one connection; the connection is closed when it returns.
pub type Script = Arc<dyn Fn(&Visit) + Send + Sync>;

/// How a host will serve.
pub struct Plan {
    name: String,
    script: Script,
    at: SocketAddr,
    backlog: i32,
    workers: usize,
    thread_each: bool,
}

impl Plan {
    /// Listens here instead of on a free port of the loopback address.
    #[must_use]
    pub fn at(mut self, addr: &str) -> Self {
        self.at = addr.parse().expect("an address");
        self
    }

    /// The listen backlog.
    #[must_use]
    pub const fn backlog(mut self, backlog: i32) -> Self {
        self.backlog = backlog;
        self
    }

    /// So many threads accept and serve, one connection each at a time; for many short connections.
    #[must_use]
    pub const fn workers(mut self, workers: usize) -> Self {
        (self.workers, self.thread_each) = (workers, false);
        self
    }

    /// Starts the host.
    #[track_caller]
    pub fn start(self) -> Host {
        let reservation = bind(self.at);
        let addr = reservation.local_addr().expect("local address").as_socket().expect("an IP address");
        let mut host = Host { addr, reservation, plan: self, record: Arc::default(), listening: None };
        host.start();
        host
    }
}

/// A host.
pub struct Host {
    plan: Plan,
    addr: SocketAddr,
    /// Bound but not listening: while the host is stopped, connecting is refused and nobody else takes the port.
    reservation: Socket,
    record: Arc<Record>,
    listening: Option<Listening>,
}

struct Listening {
    listener: Arc<TcpListener>,
    threads: Vec<JoinHandle<()>>,
}

impl Host {
    /// A host with this script and a thread for each connection, not started yet.
    pub fn plan(name: &str, script: Script) -> Plan {
        let at = "127.0.0.1:0".parse().expect("an address");
        Plan { name: name.to_owned(), script, at, backlog: 1024, workers: 1, thread_each: true }
    }

    /// Starts a host with this script on a free port of the loopback address.
    #[track_caller]
    pub fn serve(name: &str, script: Script) -> Self {
        Self::plan(name, script).start()
    }

    /// A host whose kernel completes handshakes until the accept queue is full, and that never accepts by itself.
    #[track_caller]
    pub fn mute(name: &str, script: Script, backlog: i32) -> Self {
        Self::plan(name, script).backlog(backlog).workers(0).start()
    }

    /// A host that is not there: connecting is refused.
    #[track_caller]
    pub fn dead(name: &str) -> Self {
        let mut host = Self::serve(name, Arc::new(|_| ()));
        host.stop();
        host
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it has seen.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Listens again after a stop.
    #[track_caller]
    pub fn start(&mut self) {
        assert!(self.listening.is_none(), "{} runs already", self.plan.name);
        self.record.stopping.store(false, SeqCst);
        let socket = bind(self.addr);
        socket.listen(self.plan.backlog).expect("listen");
        self.listening = Some(Listening { listener: Arc::new(socket.into()), threads: Vec::new() });
        self.accept_with(self.plan.workers);
    }

    /// Lets a mute host accept.
    pub fn unmute(&mut self) {
        self.plan.thread_each = true;
        self.accept_with(1);
    }

    /// Stops listening. Live connections go on; workers finish the one they have.
    pub fn stop(&mut self) {
        let Some(Listening { listener, threads }) = self.listening.take() else { return };
        // Wakes the threads that wait in accept, which closing would not.
        let _ = SockRef::from(&*listener).shutdown(Shutdown::Both);
        if !self.plan.thread_each && !holds_within(Duration::from_secs(2), || self.record.open() == 0) {
            self.record.end_live();
        }
        for thread in threads {
            let _ = thread.join();
        }
    }

    /// Stops listening and ends live connections.
    pub fn kill(&mut self) {
        self.record.end_live();
        self.stop();
        self.record.end_live();
    }

    fn accept_with(&mut self, threads: usize) {
        let Some(listening) = &mut self.listening else { return };
        for _ in 0..threads {
            let (listener, record) = (Arc::clone(&listening.listener), Arc::clone(&self.record));
            let (script, name) = (Arc::clone(&self.plan.script), Arc::from(self.plan.name.as_str()));
            let thread_each = self.plan.thread_each;
            listening.threads.push(spawn(move || accept_loop(&listener, &record, &script, &name, thread_each)));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
        drop(self.reservation.shutdown(Shutdown::Both));
    }
}

/// What a host has seen. Shared by the threads that serve.
#[derive(Default)]
pub struct Record {
    accepted: AtomicU64,
    open: AtomicU32,
    peak: AtomicU32,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    stopping: AtomicBool,
    live: Mutex<HashMap<u64, Weak<TcpStream>>>,
    ends: Mutex<Vec<Received>>,
    texts: Mutex<Vec<Vec<u8>>>,
    ids: Mutex<HashMap<u128, u32>>,
}

impl Record {
    /// Connections accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(SeqCst)
    }

    /// Connections open.
    pub fn open(&self) -> u32 {
        self.open.load(SeqCst)
    }

    /// Most connections open at a time.
    pub fn peak(&self) -> u32 {
        self.peak.load(SeqCst)
    }

    /// Bytes received.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(SeqCst)
    }

    /// Bytes sent.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(SeqCst)
    }

    /// How the connections ended that scripts read to the end.
    pub fn ends(&self) -> Vec<Received> {
        guard(&self.ends).clone()
    }

    /// Waits until so many connections were read to the end.
    #[track_caller]
    pub fn wait_for_ends(&self, count: usize, within: Duration) -> Vec<Received> {
        until(within, "connections ended at the host", || guard(&self.ends).len() >= count);
        self.ends()
    }

    /// What collecting scripts read, one entry a connection.
    pub fn texts(&self) -> Vec<Vec<u8>> {
        guard(&self.texts).clone()
    }

    /// How often each connection id was served.
    pub fn ids(&self) -> HashMap<u128, u32> {
        guard(&self.ids).clone()
    }

    fn end_live(&self) {
        self.stopping.store(true, SeqCst);
        for stream in guard(&self.live).values().filter_map(Weak::upgrade) {
            socket::shut(&stream, Shutdown::Both);
        }
    }
}

/// One connection from the host's side.
pub struct Visit {
    /// The socket.
    pub stream: Arc<TcpStream>,
    /// The host's name.
    pub name: Arc<str>,
    record: Arc<Record>,
}

impl Visit {
    /// Whether the host is being stopped.
    pub fn is_stopping(&self) -> bool {
        self.record.stopping.load(SeqCst)
    }

    /// Reads exactly `buffer.len()` bytes; says whether it got them.
    pub fn read_exact(&self, buffer: &mut [u8]) -> bool {
        let read = (&*self.stream).read_exact(buffer).is_ok();
        if read {
            self.record.bytes_in.fetch_add(buffer.len() as u64, SeqCst);
        }
        read
    }

    /// Sends all of this; says whether the socket took it.
    pub fn send(&self, bytes: &[u8]) -> bool {
        let sent = (&*self.stream).write_all(bytes).is_ok();
        if sent {
            self.record.bytes_out.fetch_add(bytes.len() as u64, SeqCst);
        }
        sent
    }

    /// Sends so many bytes of the pattern; returns how many the socket took.
    pub fn send_pattern(&self, pattern: Pattern, count: u64) -> u64 {
        let note = |written| {
            self.record.bytes_out.fetch_add(written, SeqCst);
        };
        socket::send_pattern(&self.stream, count, pattern, note).unwrap_or_else(|(sent, _)| sent)
    }

    /// Reads to the end, handing out each piece, and records the end.
    pub fn receive(&self, mut taker: impl FnMut(&[u8])) -> Received {
        let received = socket::receive(&self.stream, PATIENCE * 60, |piece| {
            self.record.bytes_in.fetch_add(piece.len() as u64, SeqCst);
            taker(piece);
        });
        self.note(received)
    }

    /// Reads to the end, comparing each byte with the pattern, and records the end.
    pub fn receive_pattern(&self, mut expected: Pattern) -> Received {
        let mut wrong_at = None;
        let received = socket::receive(&self.stream, PATIENCE * 60, |piece| {
            self.record.bytes_in.fetch_add(piece.len() as u64, SeqCst);
            if wrong_at.is_none() {
                wrong_at = expected.check(piece).err();
            }
        });
        self.note(Received { wrong_at, ..received })
    }

    /// Keeps a text for [`Record::texts`].
    pub fn keep(&self, text: Vec<u8>) {
        guard(&self.record.texts).push(text);
    }

    /// Counts a served connection id.
    pub fn count_id(&self, id: u128) {
        *guard(&self.record.ids).entry(id).or_default() += 1;
    }

    /// Ends the sending direction.
    pub fn finish_sending(&self) {
        socket::shut(&self.stream, Shutdown::Write);
    }

    /// Makes the close that follows the script a reset.
    pub fn reset(&self) {
        socket::reset_on_close(&self.stream);
    }

    fn note(&self, received: Received) -> Received {
        guard(&self.record.ends).push(received);
        received
    }
}

fn accept_loop(listener: &TcpListener, record: &Arc<Record>, script: &Script, name: &Arc<str>, thread_each: bool) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let (record, script, name) = (Arc::clone(record), Arc::clone(script), Arc::clone(name));
                let number = record.accepted.fetch_add(1, SeqCst);
                record.peak.fetch_max(record.open.fetch_add(1, SeqCst) + 1, SeqCst);
                let _ = stream.set_nodelay(true);
                let stream = Arc::new(stream);
                guard(&record.live).insert(number, Arc::downgrade(&stream));
                if record.stopping.load(SeqCst) {
                    socket::shut(&stream, Shutdown::Both);
                }
                let serve = move || serve(number, Visit { stream, name, record }, &script);
                if thread_each {
                    drop(spawn(serve));
                } else {
                    serve();
                }
            }
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return,
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn serve(number: u64, visit: Visit, script: &Script) {
    script(&visit);
    let record = Arc::clone(&visit.record);
    // Before the peer can see the close: a peer that was told of it must not find itself still counted.
    guard(&record.live).remove(&number);
    record.open.fetch_sub(1, SeqCst);
    drop(visit);
}

fn bind(addr: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("set reuse address");
    let deadline = Instant::now() + PATIENCE;
    loop {
        match socket.bind(&addr.into()) {
            Ok(()) => return socket,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("bind {addr}: {error}"),
        }
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().stack_size(256 * 1024).spawn(work).expect("spawn a thread")
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no script panics while it holds the record")
}
