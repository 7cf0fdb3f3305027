//! Datagrams through Director and through nginx's stream module: the same hosts, the same clients, the same minutes.
//!
//! What is compared is how many datagrams a second of the balancer's processor time moves. Rounds alternate between the
//! two, so that the moods of a machine hit both alike; medians are shown. Clients and hosts are threads of this process,
//! and count only what arrives whole. Flows end after a second of silence: nginx has a socket for each, and would run out
//! of them where every question is a flow.
//!
//! `cargo bench --bench udp`, or `cargo bench --bench udp -- --quick`.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

#[path = "../peers/proc.rs"]
#[allow(dead_code, reason = "the other harness uses all of it")]
mod proc;
#[path = "../peers/process.rs"]
#[allow(dead_code, reason = "the other harness uses all of it")]
mod process;
mod traffic;
#[path = "../peers/unix.rs"]
#[allow(unsafe_code, dead_code, reason = "the other harness uses all of it")]
mod unix;

use std::error::Error;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use process::{Process, Workspace, free_addr};
use traffic::{Case, Hosts};

/// What goes wrong in the harness itself.
type Failure = Box<dyn Error + Send + Sync>;

const HOSTS: usize = 3;
const THREADS: usize = 2;

/// A balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Director,
    Nginx,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let quick = args.iter().any(|arg| arg == "--quick");
    match run(if quick { 1 } else { 5 }, Duration::from_secs(if quick { 1 } else { 3 })) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("udp: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(rounds: usize, span: Duration) -> Result<(), Failure> {
    let workspace = Workspace::new()?;
    let hosts = Hosts::start(HOSTS)?;
    let mut running = Vec::new();
    for peer in [Peer::Director, Peer::Nginx] {
        match start(peer, &hosts.addrs, &workspace) {
            Ok((process, addr)) => running.push((peer, process, addr)),
            Err(failure) => eprintln!("{peer:?} is left out: {failure}"),
        }
    }
    println!("| case | balancer | datagrams/s | datagrams per CPU second | arrived |");
    println!("|---|---|---|---|---|");
    for case in Case::ALL {
        let mut figures = vec![Vec::new(); running.len()];
        for round in 0..rounds {
            for turn in 0..running.len() {
                let at = (round + turn) % running.len();
                let (_, process, addr) = &running[at];
                let pids = proc::tree(&[process.pid()])?;
                let before = proc::time_of(&pids)?;
                let begun = Instant::now();
                let moved = traffic::run(case, *addr, &hosts, span)?;
                let (took, cpu) = (begun.elapsed(), proc::time_of(&pids)? - before);
                figures[at].push((
                    moved.arrived as f64 / cpu.as_secs_f64(),
                    moved.arrived as f64 / took.as_secs_f64(),
                    moved.arrived as f64 / moved.sent.max(1) as f64,
                ));
            }
        }
        let median = |of: &mut Vec<(f64, f64, f64)>| {
            of.sort_by(|one, other| one.0.total_cmp(&other.0));
            of[of.len() / 2]
        };
        let medians: Vec<(f64, f64, f64)> = figures.iter_mut().map(median).collect();
        for ((peer, ..), (per_cpu, rate, arrived)) in running.iter().zip(&medians) {
            println!("| {} | {peer:?} | {rate:.0} | {per_cpu:.0} | {:.1} % |", case.name(), arrived * 100.0);
        }
        if let [director, nginx] = medians[..] {
            println!("| | Director : nginx | | {:.2} | |", director.0 / nginx.0);
        }
    }
    Ok(())
}

/// Starts a balancer and waits until it passes something on.
fn start(peer: Peer, hosts: &[SocketAddr], workspace: &Workspace) -> Result<(Process, SocketAddr), Failure> {
    let addr = free_addr()?;
    let (file, words) =
        (workspace.path().join(format!("{peer:?}.conf")), workspace.path().join(format!("{peer:?}.log")));
    let mut command = match peer {
        Peer::Director => {
            let hosts: String = hosts.iter().map(|host| format!("<host ip='{host}'/>")).collect();
            fs::write(
                &file,
                format!(
                    "<director><service name='s' flow-timeout='1s'><listen ip='{addr}' protocol='udp'/><group name='g'>{hosts}</group>
                     </service></director>"
                ),
            )?;
            let binary = std::env::var("DIRECTOR_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_director").to_owned());
            let mut command = Command::new(binary);
            command.args(["--threads", &THREADS.to_string()]).arg(&file);
            command
        }
        Peer::Nginx => {
            let hosts: String = hosts.iter().map(|host| format!("server {host};")).collect();
            let (pid, module) = (workspace.path().join("nginx.pid"), "modules/ngx_stream_module.so");
            fs::write(
                &file,
                format!(
                    "load_module {module}; daemon off; master_process on; worker_processes {THREADS}; pid {};
                     error_log stderr error; worker_rlimit_nofile 20000;
                     events {{ worker_connections 18000; }}
                     stream {{
                       upstream hosts {{ {hosts} }}
                       server {{ listen {addr} udp reuseport rcvbuf=4m sndbuf=4m; proxy_pass hosts; proxy_timeout 1s; }}
                     }}",
                    pid.display()
                ),
            )?;
            let mut command = Command::new("nginx");
            command.args(["-p", "/usr/share/nginx", "-c"]).arg(&file);
            command
        }
    };
    let mut process = Process::start(&mut command, words)?;
    let probe = UdpSocket::bind("127.0.0.1:0")?;
    probe.set_read_timeout(Some(Duration::from_millis(50)))?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        if !process.is_alive() {
            break;
        }
        let _ = probe.send_to(&traffic::question(0), addr);
        if probe.recv_from(&mut [0; 100]).is_ok() {
            return Ok((process, addr));
        }
    }
    Err(format!("it passes nothing on, and said: {}", process.words()).into())
}
