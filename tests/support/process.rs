//! What the kernel knows of a process.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A process by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(pub u32);

impl Process {
    /// Open descriptors.
    pub fn descriptors(self) -> usize {
        fs::read_dir(self.path("fd")).map_or(0, Iterator::count)
    }

    /// Resident memory of its own, in bytes: heap and stacks, without mapped files.
    pub fn resident_bytes(self) -> u64 {
        self.status("RssAnon").trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Bounds its open files from now on; what is open stays.
    pub fn limit_files(self, most: usize) {
        let (pid, limit) = (self.0.to_string(), format!("--nofile={most}:"));
        let status = std::process::Command::new("prlimit").args(["--pid", &pid, &limit]).status();
        assert!(status.is_ok_and(|status| status.success()), "prlimit {limit}");
    }

    /// Its threads: id and name, in the order in which they were made.
    pub fn threads(self) -> Vec<(u32, String)> {
        let tasks = fs::read_dir(self.path("task")).expect("the process lives");
        let mut ids: Vec<u32> =
            tasks.filter_map(|task| task.ok()?.file_name().to_string_lossy().parse().ok()).collect();
        ids.sort_unstable();
        let name = |id| fs::read_to_string(self.path(&format!("task/{id}/comm"))).unwrap_or_default();
        ids.into_iter().map(|id| (id, name(id).trim().to_owned())).collect()
    }

    /// Processor time of its living threads.
    pub fn cpu_time(self) -> Duration {
        let nanos = self.threads().into_iter().map(|(id, _)| self.thread_nanos(id)).sum();
        Duration::from_nanos(nanos)
    }

    /// Whether it runs, or could: not ended, not a zombie.
    pub fn is_alive(self) -> bool {
        let stat = fs::read_to_string(self.path("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    }

    /// Its TCP sockets by state, listening ones left out.
    pub fn sockets(self) -> BTreeMap<&'static str, usize> {
        let mut count = BTreeMap::new();
        for socket in self.tcp() {
            *count.entry(socket.state).or_default() += 1;
        }
        count
    }

    /// Its connections to this address by their local ports.
    pub fn connections_to(self, addr: SocketAddr) -> Vec<u16> {
        self.tcp().filter(|socket| socket.peer == addr).map(|socket| socket.local.port()).collect()
    }

    fn tcp(self) -> impl Iterator<Item = Socket> {
        let own = self.socket_inodes();
        let tables = ["net/tcp", "net/tcp6"].map(|table| fs::read_to_string(self.path(table)).unwrap_or_default());
        let lines = tables.into_iter().flat_map(|text| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>());
        lines.filter_map(move |line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            own.contains(*fields.get(9)?).then_some(())?;
            Some(Socket { local: address(fields[1])?, peer: address(fields[2])?, state: state_name(fields[3])? })
        })
    }

    /// Sends a signal.
    pub fn signal(self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.0).expect("a process id");
        // SAFETY: kill takes two integers and touches no memory of ours.
        #[allow(unsafe_code)]
        let result = unsafe { libc::kill(pid, signal) };
        assert_eq!(result, 0, "signal {signal} to {pid}: {}", std::io::Error::last_os_error());
    }

    fn thread_nanos(self, id: u32) -> u64 {
        let text = fs::read_to_string(self.path(&format!("task/{id}/schedstat"))).unwrap_or_default();
        text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    }

    fn socket_inodes(self) -> HashSet<String> {
        let Ok(descriptors) = fs::read_dir(self.path("fd")) else { return HashSet::new() };
        let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let names = targets.map(|target| target.to_string_lossy().into_owned());
        names.filter_map(|name| Some(name.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
    }

    fn status(self, key: &str) -> String {
        let text = fs::read_to_string(self.path("status")).expect("the process lives");
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.expect("a line of the status").trim().to_owned()
    }

    fn path(self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0)
    }
}

/// One line of the kernel's table of TCP sockets.
struct Socket {
    local: SocketAddr,
    peer: SocketAddr,
    state: &'static str,
}

/// An address as the kernel's table writes it: words of the address in the machine's byte order, in hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words = ip.as_bytes().chunks(8).map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok());
    let bytes: Vec<u8> = words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// The kernel's number of a TCP state (`include/net/tcp_states.h`) as a name; none for listening.
fn state_name(hex: &str) -> Option<&'static str> {
    match hex {
        "01" => Some("ESTABLISHED"),
        "02" => Some("SYN_SENT"),
        "03" => Some("SYN_RECV"),
        "04" => Some("FIN_WAIT1"),
        "05" => Some("FIN_WAIT2"),
        "06" => Some("TIME_WAIT"),
        "07" => Some("CLOSE"),
        "08" => Some("CLOSE_WAIT"),
        "09" => Some("LAST_ACK"),
        "0B" => Some("CLOSING"),
        _ => None,
    }
}
