//! `director --demo`: three built-in hosts that say their name over HTTP, and the balancer in front of them.
//!
//! The balancer is the real one: it gets the text of a configuration and starts as it does from a file. The hosts are
//! for looking at only; they bound what they take, and never end before the process does.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::Failure;
use super::life::{self, Source};
use super::options::Options;
use crate::config;
use crate::sys::listener;

const NAMES: [&str; 3] = ["host-a", "host-b", "host-c"];

/// The balancer's port, or the next free one of so many.
const PORT: u16 = 8080;
const PORTS: u16 = 100;

/// How long ending waits for clients, unless the command line says otherwise: nobody waits long for a demo.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Clients that a host takes at a time.
const CLIENTS_MAX: usize = 64;
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// How long a host deals with one client.
const CLIENT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a host stays away that was told to pause.
const PAUSE: Duration = Duration::from_secs(10);
/// Between attempts of a host that cannot listen or accept at the moment.
const RETRY: Duration = Duration::from_millis(100);

/// Runs the demo until a signal ends it.
///
/// # Errors
/// No port is free, a host or the balancer cannot start.
pub(super) fn run(mut options: Options) -> Result<(), Failure> {
    options.drain_timeout.get_or_insert(DRAIN_TIMEOUT);
    let hosts = NAMES.map(Host::start);
    let mut addrs = Vec::with_capacity(hosts.len());
    for host in hosts {
        addrs.push(host.map_err(|error| Failure::Start(format!("could not start a built-in host: {error}")))?);
    }
    let front = free_port()?;
    let text = configuration(front, &addrs);
    let config = config::parse(&text, "demo").map_err(|errors| Failure::Start(errors.to_string()))?;
    life::run(&options, Source { config, file: None }, || greet(front))
}

fn free_port() -> Result<SocketAddr, Failure> {
    let mut ports = (PORT..PORT + PORTS).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let none = || Failure::Start(format!("no port from {PORT} to {} is free on 127.0.0.1", PORT + PORTS - 1));
    ports.find(|addr| listener::probe_free(*addr).is_ok()).ok_or_else(none)
}

fn configuration(front: SocketAddr, hosts: &[SocketAddr]) -> String {
    let hosts: String =
        NAMES.iter().zip(hosts).map(|(name, addr)| format!("      <host name=\"{name}\" ip=\"{addr}\"/>\n")).collect();
    format!(
        "<director>\n  <service name=\"demo\">\n    <listen ip=\"{front}\"/>\n    \
         <group name=\"hosts\" scheduler=\"roundrobin\">\n{hosts}    </group>\n    <enable group=\"hosts\"/>\n  \
         </service>\n</director>\n"
    )
}

fn greet(front: SocketAddr) {
    let (names, pause, pid) = (NAMES.join(", "), PAUSE.as_secs(), process::id());
    let text = format!(
        "
Director balances http://{front}/ over three built-in hosts. In another terminal, try

    curl http://{front}/

several times: {names} answer in turn. Then try

    curl http://{front}/pause

The host that answers goes away for {pause} seconds. The others take its clients, and the log below tells. Every
counter goes to the log with

    kill -USR1 {pid}

Ctrl-C ends it.

"
    );
    // Who closed the output does not want to read it.
    let _ = io::stdout().write_all(text.as_bytes());
    let _ = io::stdout().flush();
}

/// A built-in host.
#[derive(Debug)]
struct Host {
    name: &'static str,
    addr: SocketAddr,
    /// Told to pause: the listener is closed or about to be.
    away: AtomicBool,
    clients: AtomicUsize,
}

impl Host {
    /// Starts a host on a free port of the loopback address and returns where it listens.
    fn start(name: &'static str) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let host = Arc::new(Self { name, addr, away: AtomicBool::new(false), clients: AtomicUsize::new(0) });
        thread::Builder::new().name(name.to_owned()).spawn(move || host.listen(listener))?;
        Ok(addr)
    }

    fn listen(self: Arc<Self>, mut listener: TcpListener) {
        loop {
            self.accept_until_told(&listener);
            drop(listener);
            thread::sleep(PAUSE);
            listener = self.listen_again();
            self.away.store(false, SeqCst);
        }
    }

    fn accept_until_told(self: &Arc<Self>, listener: &TcpListener) {
        while !self.away.load(SeqCst) {
            match listener.accept() {
                Ok((client, _)) if !self.away.load(SeqCst) => self.take(client),
                Ok(_) => {}
                // Out of descriptors, most likely; it passes.
                Err(_) => thread::sleep(RETRY),
            }
        }
    }

    fn listen_again(&self) -> TcpListener {
        loop {
            match TcpListener::bind(self.addr) {
                Ok(listener) => return listener,
                Err(_) => thread::sleep(RETRY),
            }
        }
    }

    /// Answers a client on a thread of its own, so that one that is slow keeps nobody waiting.
    fn take(self: &Arc<Self>, client: TcpStream) {
        if self.clients.fetch_add(1, SeqCst) >= CLIENTS_MAX {
            self.clients.fetch_sub(1, SeqCst);
            return;
        }
        let host = Arc::clone(self);
        let thread = thread::Builder::new().name(self.name.to_owned()).spawn(move || {
            // A client that breaks off gets no answer, and that is all.
            let _ = host.answer(&client);
            host.clients.fetch_sub(1, SeqCst);
        });
        if thread.is_err() {
            self.clients.fetch_sub(1, SeqCst);
        }
    }

    fn answer(&self, mut client: &TcpStream) -> io::Result<()> {
        let deadline = Instant::now() + CLIENT_TIME_MAX;
        let Some(head) = read_head(client, deadline)? else { return Ok(()) };
        let (status, body) = match head.split(' ').collect::<Vec<_>>()[..] {
            ["GET", "/pause", ..] => ("200 OK", format!("{} goes away for {} seconds\n", self.name, PAUSE.as_secs())),
            ["GET", ..] => ("200 OK", format!("hello from {}\n", self.name)),
            _ => ("405 Method Not Allowed", String::from("expected GET\n")),
        };
        let length = body.len();
        let head_out = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        client.set_write_timeout(Some(CLIENT_TIME_MAX))?;
        client.write_all((head_out + &body).as_bytes())?;
        client.shutdown(Shutdown::Write)?;
        if head.starts_with("GET /pause ") {
            self.go_away();
        }
        drain(client, deadline)
    }

    /// Makes the accepting thread close its listener; the connection only wakes it.
    fn go_away(&self) {
        if !self.away.swap(true, SeqCst) {
            let _ = TcpStream::connect_timeout(&self.addr, CLIENT_TIME_MAX);
        }
    }
}

/// The first line of a request, once its head is complete; none when the client ends before.
fn read_head(mut client: &TcpStream, deadline: Instant) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        wait_until(client, deadline)?;
        let count = client.read(&mut piece)?;
        if count == 0 || head.len() + count > HEAD_BYTES_MAX {
            return Ok(None);
        }
        head.extend_from_slice(&piece[..count]);
    }
    let text = String::from_utf8_lossy(&head);
    Ok(text.lines().next().map(str::to_owned))
}

/// Reads to the client's end, because closing with bytes unread would be a reset and could cost it the answer.
fn drain(mut client: &TcpStream, deadline: Instant) -> io::Result<()> {
    let mut piece = [0; 1024];
    loop {
        wait_until(client, deadline)?;
        if client.read(&mut piece)? == 0 {
            return Ok(());
        }
    }
}

/// Lets the next read wait no longer than to this moment.
fn wait_until(client: &TcpStream, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    client.set_read_timeout(Some(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(addr: SocketAddr, request: &str) -> String {
        let mut client = TcpStream::connect(addr).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn host_answers_with_its_name() {
        let addr = Host::start("host-x").unwrap();
        let answer = ask(addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nhello from host-x\n"), "{answer}");
    }

    #[test]
    fn host_asked_for_anything_but_get_refuses() {
        let addr = Host::start("host-x").unwrap();
        assert!(ask(addr, "POST / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        assert!(ask(addr, "\r\n\r\n").starts_with("HTTP/1.1 405 "));
    }

    #[test]
    fn host_given_an_endless_head_breaks_off() {
        let addr = Host::start("host-x").unwrap();
        let mut client = TcpStream::connect(addr).unwrap();
        let endless = vec![b'x'; HEAD_BYTES_MAX + 1];
        // The host may break off while this is being written.
        let _ = client.write_all(&endless);
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        assert!(answer.is_empty());
        assert!(ask(addr, "GET / HTTP/1.1\r\n\r\n").contains("hello"), "the next one is served");
    }

    #[test]
    fn host_with_too_many_clients_turns_one_away_and_serves_again() {
        let addr = Host::start("host-x").unwrap();
        let silent: Vec<_> = (0..CLIENTS_MAX).map(|_| TcpStream::connect(addr).unwrap()).collect();
        let mut one_more = TcpStream::connect(addr).unwrap();
        let mut answer = Vec::new();
        let _ = one_more.read_to_end(&mut answer);
        assert!(answer.is_empty());
        drop(silent);
        let deadline = Instant::now() + CLIENT_TIME_MAX;
        let mut served = false;
        while !served && Instant::now() < deadline {
            let mut client = TcpStream::connect(addr).unwrap();
            let mut answer = String::new();
            let asked = client.write_all(b"GET / HTTP/1.1\r\n\r\n");
            served = asked.and_then(|()| client.read_to_string(&mut answer)).is_ok() && answer.contains("hello");
        }
        assert!(served);
    }

    #[test]
    fn host_told_to_pause_refuses_connections() {
        let addr = Host::start("host-x").unwrap();
        assert!(ask(addr, "GET /pause HTTP/1.1\r\n\r\n").contains("goes away"));
        let deadline = Instant::now() + CLIENT_TIME_MAX;
        while TcpStream::connect(addr).is_ok() {
            assert!(Instant::now() < deadline, "it still listens");
        }
    }

    #[test]
    fn configuration_of_the_demo_is_valid() {
        let addrs = [2, 3, 4].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let front = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let config = config::parse(&configuration(front, &addrs), "demo").unwrap();
        let hosts: Vec<&str> = config.services[0].groups[0].hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(hosts, NAMES);
    }
}
