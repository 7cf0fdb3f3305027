//! System calls a short connection, counted by strace in a run of its own that nothing is timed in.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::args::{CONNECTIONS_TRACED, Settings};
use crate::load::{Exchange, Load, Stop};
use crate::peers::Running;
use crate::proc;
use crate::process::{Process, Workspace};
use crate::target;
use crate::unix::Signal;

/// How long strace may take to attach to all threads.
const ATTACH_MAX: Duration = Duration::from_secs(5);
/// Before and after the load: calls that are still under way belong to it.
const SETTLE: Duration = Duration::from_millis(100);

/// Calls a connection by name, most frequent first, and how many connections failed meanwhile and why.
pub(crate) struct Calls {
    pub(crate) by_name: Vec<(String, f64)>,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

/// Whether strace is there to count.
pub(crate) fn is_possible() -> bool {
    target::find("strace").is_some()
}

/// Attaches strace to the target, makes a fixed number of short connections, and detaches it.
pub(crate) fn count(running: &Running, settings: &Settings, workspace: &Workspace) -> Result<Calls, Failure> {
    let pids = running.pids()?;
    let summary =
        workspace.path().join(format!("strace-{}.txt", running.addrs.first().map_or(0, std::net::SocketAddr::port)));
    let mut command = Command::new(target::find("strace").ok_or("strace is not installed")?);
    command.args(["-c", "-f", "-q", "-o"]).arg(&summary);
    for pid in &pids {
        command.args(["-p", &pid.to_string()]);
    }
    let mut strace = Process::start(&mut command, summary.with_extension("log"))?;
    let deadline = Instant::now() + ATTACH_MAX;
    while !proc::all_traced(&pids)? {
        if !strace.is_alive() || Instant::now() >= deadline {
            return Err(format!("strace did not attach and said: {}", strace.words()).into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(SETTLE);
    let load = Load {
        exchange: Exchange::SHORT,
        addrs: running.addrs.clone(),
        connections: CONNECTIONS_TRACED,
        stop: Stop::Count(settings.traced),
    };
    let tally = load.run(settings.threads)?;
    thread::sleep(SETTLE);
    strace.end(Signal::Interrupt);
    let mut by_name: Vec<(String, f64)> = parse(&fs::read_to_string(&summary)?)
        .into_iter()
        .map(|(name, calls)| (name, calls as f64 / settings.traced as f64))
        .collect();
    by_name.sort_by(|left, right| right.1.total_cmp(&left.1));
    Ok(Calls { by_name, done: tally.done, failed: tally.failed, first_failure: tally.first_failure })
}

/// Reads the table of `strace -c`: percent, seconds, µs a call, calls, errors (perhaps none), name.
fn parse(summary: &str) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for line in summary.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(count), Some(name)) = (fields.get(3).and_then(|field| field.parse::<u64>().ok()), fields.last())
        else {
            continue;
        };
        if *name != "total" {
            *calls.entry((*name).to_owned()).or_insert(0) += count;
        }
    }
    calls
}
