//! A running balancer, Director or pen, with the same questions to both.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::datagrams::free_port;
use super::line::Line;
use super::xml::{arguments, xml};
use crate::support::control::{Ctl, directorctl};
use crate::support::lock::{self, Turn};
use crate::support::log::Log;
use crate::support::process::Process;
use crate::support::scratch::Scratch;
use crate::support::{Client, Director, PATIENCE, until};

/// A balancer that was started with a [`Line`].
pub(crate) struct Balancer {
    addr: SocketAddr,
    kind: Kind,
    /// Flows end by their silence, and nobody waits for that.
    has_flows: bool,
    socket: PathBuf,
    // Dropped last.
    _folder: Scratch,
}

enum Kind {
    Director(Box<Director>),
    Pen(Pen),
}

/// Starts Director with what the line means. The one place that knows how.
#[track_caller]
pub(crate) fn director(line: &Line) -> Balancer {
    let folder = Scratch::new();
    let socket = folder.path("control.sock");
    let arguments = arguments(line);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut plan = Director::plan_text(&xml(line, &socket)).args(&arguments).log_lines_max(4000);
    if let Some(netns) = line.netns {
        plan = plan.inside(netns);
    }
    if let Some(descriptors) = line.descriptors {
        plan = plan.through(&["prlimit", &format!("--nofile={descriptors}")]);
    }
    let director = plan.start();
    Balancer {
        addr: director.addr(),
        kind: Kind::Director(Box::new(director)),
        has_flows: line.is_udp(),
        socket,
        _folder: folder,
    }
}

/// Starts pen; none, and a word about it, where it is not installed.
#[track_caller]
pub(crate) fn pen(line: &Line) -> Option<Balancer> {
    if Command::new("pen").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("skipped: pen's half of this row, because it is not installed");
        return None;
    }
    let folder = Scratch::new();
    let socket = folder.path("control.sock");
    let pen = Pen::start(line, &socket);
    let balancer = Balancer { addr: pen.addr, kind: Kind::Pen(pen), has_flows: line.is_udp(), socket, _folder: folder };
    // It opens the control socket first, and answers when everything is open.
    let answers = || UnixStream::connect(&balancer.socket).is_ok() && !balancer.penctl("mode").is_empty();
    until(PATIENCE, "pen answers", answers);
    Some(balancer)
}

impl Balancer {
    /// Where it listens.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Whether it is pen.
    pub(crate) const fn is_pen(&self) -> bool {
        matches!(self.kind, Kind::Pen(_))
    }

    /// Its process.
    pub(crate) fn process(&self) -> Process {
        match &self.kind {
            Kind::Director(director) => director.process(),
            Kind::Pen(pen) => Process(pen.child.id()),
        }
    }

    /// Its control socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Director, for what only it has.
    #[track_caller]
    pub(crate) fn director(&self) -> &Director {
        match &self.kind {
            Kind::Director(director) => director,
            Kind::Pen(_) => panic!("this is pen"),
        }
    }

    /// A client of its own for every number: from 127.0.0.`number`, and 127.0.`number / 256`.…
    pub(crate) fn client(&self, number: u16) -> Client {
        let [third, last] = number.to_be_bytes();
        Client::connect_from(Ipv4Addr::new(127, 0, third, last).into(), self.addr)
    }

    /// The name of the server that served a client from there; empty when none did.
    pub(crate) fn told(&self, number: u16) -> String {
        self.client(number).read_text().0
    }

    /// As [`Self::told`], for many, one after the other.
    pub(crate) fn told_all(&self, numbers: impl IntoIterator<Item = u16>) -> Vec<String> {
        numbers.into_iter().map(|number| self.told(number)).collect()
    }

    /// Connections to each server, in the order of the line.
    pub(crate) fn open(&self) -> Vec<u64> {
        if self.is_pen() {
            let lines = self.penctl("servers");
            let number = |line: &str| line.split(" conn ").nth(1)?.split(' ').next()?.parse().ok();
            return lines.lines().map(|line| number(line).expect("a number of connections")).collect();
        }
        let status: Value = serde_json::from_str(&self.directorctl(&["--json", "status"]).good()).expect("JSON");
        let hosts = &status["services"][0]["groups"][0]["hosts"];
        hosts.as_array().expect("hosts").iter().map(|host| host["open"].as_u64().expect("a number")).collect()
    }

    /// Waits until these are the connections to the servers.
    #[track_caller]
    pub(crate) fn wait_for_open(&self, expected: &[u64]) {
        let mut open = Vec::new();
        let holds = crate::support::wait::holds_within(PATIENCE, || {
            open = self.open();
            open == expected
        });
        assert!(holds, "connections to the servers: {open:?}, expected {expected:?}");
    }

    /// Gives a server no new clients for so many seconds; 0 gives it clients again.
    #[track_caller]
    pub(crate) fn blacklist(&self, server: usize, seconds: u32) {
        if self.is_pen() {
            self.penctl(&format!("server {server} blacklist {seconds}"));
        } else {
            self.directorctl(&["blacklist", &format!("server.{server}"), &format!("{seconds}s")]).good();
        }
    }

    /// Raises the bound on connections.
    #[track_caller]
    pub(crate) fn set_max_connections(&self, max: u32) {
        if self.is_pen() {
            assert_eq!(self.penctl(&format!("conn_max {max}")).trim(), max.to_string());
        } else {
            self.directorctl(&["service", "set", "pen", &format!("max-connections={max}")]).good();
        }
    }

    /// Listens there from now on, and no longer where it did.
    #[track_caller]
    pub(crate) fn set_listen(&mut self, addr: SocketAddr) {
        if self.is_pen() {
            assert!(self.penctl(&format!("listen {addr}")).contains(&addr.port().to_string()));
        } else {
            self.directorctl(&["listen", "add", "pen", &addr.to_string()]).good();
            // As the configuration has it.
            self.directorctl(&["listen", "del", "pen", "127.0.0.1:0"]).good();
        }
        self.addr = addr;
    }

    /// Runs `directorctl` with these arguments.
    #[track_caller]
    pub(crate) fn directorctl(&self, args: &[&str]) -> Ctl {
        let output = directorctl().arg("-s").arg(&self.socket).args(args).stdin(Stdio::null()).output();
        output.expect("run directorctl").into()
    }

    /// A command of pen's and its answer, as its program `penctl` does it.
    #[track_caller]
    pub(crate) fn penctl(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).expect("connect to pen's control socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
        stream.write_all(format!("{command}\n").as_bytes()).expect("write to pen");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read from pen");
        answer
    }

    /// Ends it in order: everything was closed and given back, which Director checks of itself.
    #[track_caller]
    pub(crate) fn finish(self) {
        match self.kind {
            Kind::Director(director) if self.has_flows => {
                assert!(director.process().is_alive(), "Director ended before")
            }
            Kind::Director(director) => {
                director.finish();
            }
            Kind::Pen(mut pen) => {
                assert_eq!(pen.child.try_wait().expect("its status"), None, "pen ended before");
            }
        }
    }
}

/// The names of the servers by their first appearance: `0`, `1`, …; `-` where there was none.
pub(crate) fn pattern(told: &[impl AsRef<str>]) -> String {
    let mut known: Vec<&str> = Vec::new();
    let place = |name: &str, known: &[&str]| known.iter().position(|other| *other == name);
    let mut text = String::new();
    for name in told.iter().map(AsRef::as_ref) {
        if place(name, &known).is_none() && !name.is_empty() {
            known.push(name);
        }
        text += &place(name, &known).map_or_else(|| "-".to_owned(), |place| place.to_string());
    }
    text
}

/// Whether its server answers within the time: the first of its bytes.
pub(crate) fn is_served(client: &Client, within: Duration) -> bool {
    client.stream().set_read_timeout(Some(within)).expect("set the read timeout");
    matches!(client.stream().peek(&mut [0]), Ok(1))
}

/// pen as a process.
struct Pen {
    child: Child,
    addr: SocketAddr,
    log: Log,
    /// Keeps the port from others: pen shares it, as it shares with another pen.
    _reservation: Option<Socket>,
    _turn: Turn,
}

impl Pen {
    #[track_caller]
    fn start(line: &Line, socket: &std::path::Path) -> Self {
        let turn = lock::beside_others();
        let reservation = (line.listen.is_none() && !line.is_udp()).then(reserve);
        let own = |socket: &Socket| socket.local_addr().ok()?.as_socket();
        let free = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let addr = line.listen.or_else(|| own(reservation.as_ref()?)).unwrap_or_else(free);
        let (before, after) = line.words();
        // With descriptors of its own that are few, if so.
        let prlimit = line.descriptors.map(|descriptors| format!("--nofile={descriptors}"));
        let mut command = Command::new(if prlimit.is_some() { "prlimit" } else { "pen" });
        command.args(prlimit.iter().flat_map(|limit| [limit.as_str(), "pen"]));
        // As root it serves the control socket only when it is told to stay root.
        command.args(["-f", "-u", "root", "-C"]).arg(socket).args(before);
        command.arg(addr.to_string().replace(['[', ']'], "")).args(after);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut spawn = move || command.spawn().expect("start pen");
        let mut child = match line.netns {
            Some(netns) => netns.run(spawn),
            None => spawn(),
        };
        let log = Log::read(child.stderr.take().expect("stderr is piped"));
        Self { child, addr, log, _reservation: reservation, _turn: turn }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- pen's log ---\n{}", self.log.lines().join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port of the loopback address, kept for a program that listens with `SO_REUSEPORT`.
fn reserve() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("set reuse address");
    socket.set_reuse_port(true).expect("set reuse port");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("bind a free port");
    socket
}
