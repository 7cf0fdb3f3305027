//! The balancers: how each is found, configured and started. The configurations are equal in spirit: as many workers as
//! CPUs, round robin over the hosts, TCP_NODELAY, no access log, the same backlog, room for more connections than any
//! case opens. All pass half-closes on but nginx as it comes, which is beside nginx that does.
//!
//! nginx and HAProxy share one listening socket between their workers, as they come. A socket for each worker, which
//! both can have, cost them four to five percent more processor time for a short connection.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use director::sys::process::raise_open_files;

use crate::Failure;
use crate::configs;
use crate::hosts::BACKLOG;
use crate::proc;
use crate::process::{Process, Workspace, free_addr};
use crate::target::{Kind, Target};

/// Connections each balancer is told to expect; twice as many descriptors must fit in its open-file limit.
pub(crate) const CONNECTIONS_MAX: usize = 9200;
/// Of [`CONNECTIONS_MAX`], those that are kept free: what has just been closed may still be counted.
const CONNECTIONS_SPARE: usize = 200;
/// The first of the many addresses that share one host.
const FIRST_OF_MANY: u32 = 0x7F01_0001;
/// A port that is free when it is looked for may be taken when it is bound; then another is tried.
const START_TRIES: usize = 3;

/// What a balancer is started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) threads: usize,
    pub(crate) hosts: &'a [SocketAddr],
    pub(crate) workspace: &'a Workspace,
}

/// A target that takes connections.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) target: Target,
    /// Where clients connect to, in turn.
    pub(crate) addrs: Vec<SocketAddr>,
    /// Those that were started, empty for [`Kind::Direct`]; they may have workers.
    processes: Vec<Process>,
}

impl Running {
    /// All its processes. Asked for when needed: nginx takes connections before its workers exist.
    pub(crate) fn pids(&self) -> std::io::Result<Vec<u32>> {
        let roots: Vec<u32> = self.processes.iter().map(Process::pid).collect();
        if roots.is_empty() { Ok(roots) } else { proc::tree(&roots) }
    }

    /// Whether all processes that were started still run.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.processes.iter_mut().all(Process::is_alive)
    }

    /// What the processes have said.
    pub(crate) fn words(&self) -> String {
        self.processes.iter().map(Process::words).collect::<Vec<_>>().join("; ")
    }
}

/// Starts a balancer and waits until it listens.
pub(crate) fn start(target: &Target, setting: &Setting<'_>) -> Result<Running, Failure> {
    if target.kind == Kind::Direct {
        return Ok(Running { target: target.clone(), addrs: setting.hosts.to_vec(), processes: Vec::new() });
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match start_once(target, setting) {
            Err(failure) if tries < START_TRIES && failure.to_string().to_lowercase().contains("in use") => {}
            outcome => return outcome,
        }
    }
}

/// The hosts' process and where its hosts are.
#[derive(Debug)]
pub(crate) struct Hosts {
    pub(crate) addrs: Vec<SocketAddr>,
    /// The port that answers on every address of the loopback.
    many: u16,
    _process: Process,
}

impl Hosts {
    /// Starts the process and waits until all listen.
    pub(crate) fn start(count: usize, workspace: &Workspace) -> Result<Self, Failure> {
        let addrs = (0..count).map(|_| free_addr()).collect::<std::io::Result<Vec<SocketAddr>>>()?;
        let many = free_addr()?.port();
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, many)).to_string();
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("hosts").args(addrs.iter().map(ToString::to_string)).args(vec![everywhere; count]);
        let mut process = Process::start(&mut command, workspace.path().join("hosts.log"))?;
        for addr in addrs.iter().copied().chain([(Ipv4Addr::LOCALHOST, many).into()]) {
            process.wait_until_listening(addr).map_err(|failure| format!("the hosts did not start: {failure}"))?;
        }
        Ok(Self { addrs, many, _process: process })
    }

    /// As many addresses as wanted, each of which is answered like a host of its own.
    pub(crate) fn many(&self, count: usize) -> Vec<SocketAddr> {
        (FIRST_OF_MANY..).take(count).map(|ip| (Ipv4Addr::from_bits(ip), self.many).into()).collect()
    }
}

fn start_once(target: &Target, setting: &Setting<'_>) -> Result<Running, Failure> {
    let addr = free_addr()?;
    // Unique: a case may start a second instance beside the first.
    let stem = setting.workspace.path().join(format!("{}-{}", target.kind.name(), addr.port()));
    let mut processes = Vec::new();
    for (index, mut command) in commands(target, setting, addr, &stem)?.into_iter().enumerate() {
        let words = stem.with_extension(format!("{index}.log"));
        let mut process = Process::start(&mut command, words)?;
        process.wait_until_listening(addr)?;
        processes.push(process);
    }
    Ok(Running { target: target.clone(), addrs: vec![addr], processes })
}

fn commands(target: &Target, setting: &Setting<'_>, addr: SocketAddr, stem: &Path) -> Result<Vec<Command>, Failure> {
    let program = target.program()?;
    let threads = setting.threads.to_string();
    let hosts = setting.hosts.iter().map(ToString::to_string);
    let mut command = Command::new(&program);
    let copies = match target.kind {
        Kind::Direct => return Err("there is nothing to start".into()),
        Kind::Bare | Kind::BareSplice => {
            command.args([target.kind.name(), &addr.to_string(), &threads]).args(hosts);
            1
        }
        Kind::Director => {
            let config = stem.with_extension("xml");
            fs::write(&config, configs::director(addr, setting.hosts))?;
            command.args(["-t", &threads, "--max-connections", &CONNECTIONS_MAX.to_string()]);
            command.args(["--log-level", "warn"]).args(&target.args).arg(&config);
            1
        }
        Kind::Nginx | Kind::NginxHalfClose => {
            let config = stem.with_extension("conf");
            let half_close = target.kind == Kind::NginxHalfClose;
            fs::write(&config, configs::nginx(&program, setting, addr, stem, half_close)?)?;
            command.arg("-c").arg(&config).arg("-p").arg(setting.workspace.path()).args(["-e", "stderr"]);
            1
        }
        Kind::Haproxy => {
            let config = stem.with_extension("cfg");
            fs::write(&config, configs::haproxy(setting, addr))?;
            command.args(["-db", "-f"]).arg(&config);
            1
        }
        Kind::Pen => {
            command.args(["-f", "-r", "-x", &CONNECTIONS_MAX.to_string(), "-q", &BACKLOG.to_string()]);
            command.args(["-O", "tcp_nodelay", &addr.to_string()]).args(hosts);
            setting.threads
        }
    };
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    Ok((0..copies)
        .map(|_| {
            let mut copy = Command::new(&program);
            copy.args(&arguments);
            copy
        })
        .collect())
}

/// The largest number of pairs whose descriptors fit in the limit of a balancer, and in what it is told to expect.
///
/// Raises the limit, which all children inherit.
pub(crate) fn connections_max() -> std::io::Result<usize> {
    let files = usize::try_from(raise_open_files()?).unwrap_or(usize::MAX);
    Ok((files / 2).min(CONNECTIONS_MAX).saturating_sub(CONNECTIONS_SPARE))
}
