//! Network namespaces: networks of a test's own, whose links can be cut and whose packets can be refused or lost.
//!
//! A namespace has no name. It lives as long as its descriptor or something inside it, so that it vanishes with the test
//! program however that ends.

use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::thread;

/// A network namespace.
#[derive(Debug)]
pub struct Netns {
    file: File,
}

impl Netns {
    /// A namespace whose loopback interface is up.
    pub fn new() -> Self {
        let make = || {
            // SAFETY: unshare takes flags only; it changes the network of this new thread and of no other.
            #[allow(unsafe_code)]
            let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(result, 0, "a network namespace: {}", std::io::Error::last_os_error());
            File::open("/proc/thread-self/ns/net").expect("open the namespace")
        };
        let file = thread::scope(|scope| scope.spawn(make).join()).expect("the thread made a namespace");
        let netns = Self { file };
        netns.ip("link set lo up");
        netns
    }

    /// Runs this on a thread inside the namespace. Sockets, threads and processes made there belong to it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            // SAFETY: setns takes a descriptor that is open during the call and changes this new thread only.
            #[allow(unsafe_code)]
            let result = unsafe { libc::setns(self.file.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(result, 0, "enter the namespace: {}", std::io::Error::last_os_error());
            work()
        };
        match thread::scope(|scope| scope.spawn(enter).join()) {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Runs a command inside, which must succeed; returns its output.
    #[track_caller]
    pub fn command(&self, words: &[&str], input: &str) -> String {
        let output = self.run(|| {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap_or_else(|error| panic!("{words:?}: {error}"));
            let mut stdin = child.stdin.take().expect("stdin is piped");
            stdin.write_all(input.as_bytes()).expect("write to the command");
            drop(stdin);
            child.wait_with_output().expect("wait for the command")
        });
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `ip` with these arguments.
    #[track_caller]
    pub fn ip(&self, arguments: &str) {
        let words: Vec<&str> = std::iter::once("ip").chain(arguments.split_whitespace()).collect();
        self.command(&words, "");
    }

    /// Applies packet filter rules, in the language of `nft`.
    #[track_caller]
    pub fn nft(&self, rules: &str) {
        self.command(&["nft", "-f", "-"], rules);
    }

    /// Sets a kernel parameter of the namespace, such as `net/ipv4/ip_local_port_range`.
    #[track_caller]
    pub fn sysctl(&self, key: &str, value: &str) {
        self.run(|| std::fs::write(format!("/proc/sys/{key}"), value).unwrap_or_else(|error| panic!("{key}: {error}")));
    }

    /// Treats packets that open a connection to this port so, instead of what was said before; `None` lets them in.
    #[track_caller]
    pub fn obstruct(&self, port: u16, how: Option<Obstacle>) {
        let rule = how.map_or_else(String::new, |how| {
            let verdict = how.verdict();
            format!("add rule inet obstacle input tcp dport {port} tcp flags & (syn|ack) == syn {verdict}\n")
        });
        self.nft(&format!(
            "add table inet obstacle\ndelete table inet obstacle\nadd table inet obstacle\n\
             add chain inet obstacle input {{ type filter hook input priority 0; }}\n{rule}"
        ));
    }

    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }
}

/// What happens to a packet that opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Answered with a reset.
    Reset,
    /// Answered with this kind of ICMP message: `host-unreachable`, `port-unreachable`, `no-route` or `admin-prohibited`.
    Unreachable(&'static str),
    /// Lost.
    BlackHole,
}

impl Obstacle {
    fn verdict(self) -> String {
        match self {
            Self::Reset => "reject with tcp reset".to_owned(),
            Self::Unreachable(kind) => format!("reject with icmpx {kind}"),
            Self::BlackHole => "drop".to_owned(),
        }
    }
}

/// A balancer's namespace in the middle and hosts' namespaces around it, a link to each.
#[derive(Debug)]
pub struct Star {
    /// Where the balancer and its clients run.
    pub middle: Netns,
    /// Where the hosts run.
    pub hosts: Vec<Netns>,
}

impl Star {
    /// So many hosts. Host `i` is `10.99.i.2` and `fd99:i::2`, and sees the middle as `.1`; its link is `wire` there and
    /// `wire0`, `wire1`, … in the middle.
    pub fn new(hosts: usize) -> Self {
        let star = Self { middle: Netns::new(), hosts: (0..hosts).map(|_| Netns::new()).collect() };
        for (number, host) in star.hosts.iter().enumerate() {
            star.middle.ip(&format!("link add wire{number} type veth peer name wire netns {}", host.path()));
            for (netns, link, end) in [(&star.middle, format!("wire{number}"), 1), (host, "wire".to_owned(), 2)] {
                netns.ip(&format!("addr add 10.99.{number}.{end}/24 dev {link}"));
                netns.ip(&format!("addr add fd99:{number}::{end}/64 dev {link} nodad"));
                netns.ip(&format!("link set {link} up"));
            }
        }
        star
    }

    /// The address of a host.
    pub fn addr(number: usize, port: u16) -> SocketAddr {
        let ip: IpAddr = format!("10.99.{number}.2").parse().expect("an address");
        (ip, port).into()
    }

    /// Cuts the link at the host's end, or mends it.
    #[track_caller]
    pub fn link(&self, number: usize, up: bool) {
        self.hosts[number].ip(if up { "link set wire up" } else { "link set wire down" });
    }
}
