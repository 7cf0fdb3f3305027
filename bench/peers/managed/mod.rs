//! `peers managed`: what a busy control plane costs the data plane.
//!
//! Windows without and with it alternate in one run (A B B A A B B A …), on one balancer, so that the machine's moods
//! meet both alike. In the windows *with*, clients poll the API and hosts are added and removed all the time. Two loads:
//! short connections at a fixed rate, as they would come from outside, and as many as go. Of both, connections that were
//! done and lost, and the processor time of the reactors for each; what the other threads of the balancer used is told
//! apart. At saturation, those who poll take processor time from the balancer where they run on the same machine: the
//! quotient of connections a second has that in it, the quotient of the reactors' time has not.

mod control;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use getopts::Options;

use crate::load::{Exchange, Load, Stop, Tally};
use crate::peers::Hosts;
use crate::process::{Process, Workspace, free_addr};
use crate::run::HOSTS;
use crate::{Failure, configs, machine, proc};

use control::{HASH, POLL_EVERY, POLLERS};

/// Connections a second of the load at a fixed rate.
const RATE: u64 = 5000;
/// They come in bunches of this distance.
const BUNCH_EVERY: Duration = Duration::from_millis(4);
/// Connections at a time of the load that is as much as goes.
const CONNECTIONS: usize = 32;
/// Host changes of a run: half of them under either load.
const CHANGES: u64 = 10_000;
/// Hosts that come and go.
const SPARE: usize = 50;
/// Until threads that are idle are known to be.
const SETTLE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offered {
    Rate,
    AsManyAsGo,
}

/// What a window came to.
struct Window {
    is_managed: bool,
    tally: Tally,
    reactors: Duration,
    others: Duration,
    answers: u64,
    changes: u64,
}

/// A balancer with its page, and what it is asked through.
struct Managed {
    service: SocketAddr,
    page: SocketAddr,
    spare: Vec<SocketAddr>,
    threads: usize,
    process: Process,
}

/// Measures, prints, and writes `managed.md`.
pub(crate) fn run(argv: &[String]) -> Result<(), Failure> {
    let mut options = Options::new();
    options.optopt("", "windows", "windows of each kind and load (10)", "N");
    options.optopt("", "span", "seconds of a window (5)", "SECONDS");
    options.optopt("", "director", "the director binary (the one just built)", "FILE");
    options.optopt("", "results", "where managed.md goes (bench/results)", "DIR");
    options.optflag("", "bench", "given by cargo bench").optflag("h", "help", "show this");
    let matches = options.parse(argv)?;
    if matches.opt_present("help") {
        eprint!("{}", options.usage("cargo bench --bench peers -- managed [options]"));
        return Ok(());
    }
    let windows: usize = matches.opt_get_default("windows", 10)?;
    let span = Duration::from_secs_f64(matches.opt_get_default("span", 5.0)?);
    let program = matches.opt_str("director").unwrap_or_else(|| env!("CARGO_BIN_EXE_director").to_owned());
    let results = matches.opt_str("results");
    let results = results.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/bench/results").to_owned());
    if windows == 0 || !(0.2..=600.0).contains(&span.as_secs_f64()) {
        return Err("expected --windows 1 or more, and --span 0.2 to 600".into());
    }
    let workspace = Workspace::new()?;
    let hosts = Hosts::start(HOSTS, &workspace)?;
    let mut managed = Managed::start(&program, &hosts, &workspace)?;
    let mut text = head(windows, span);
    for offered in [Offered::Rate, Offered::AsManyAsGo] {
        managed.window(offered, false, span.min(Duration::from_secs(1)), 0)?;
        let mut all = Vec::new();
        for number in 0..windows * 2 {
            // A B B A: what drifts meets both.
            let is_managed = matches!(number % 4, 1 | 2);
            let changes = CHANGES / 2 / windows as u64;
            all.push(managed.window(offered, is_managed, span, changes)?);
            eprint!(".");
        }
        eprintln!();
        table(&mut text, offered, &all);
    }
    managed.process.end(crate::unix::Signal::Terminate);
    std::io::stdout().write_all(text.as_bytes())?;
    fs::create_dir_all(&results)?;
    fs::write(format!("{results}/managed.md"), &text)?;
    Ok(())
}

impl Managed {
    fn start(program: &str, hosts: &Hosts, workspace: &Workspace) -> Result<Self, Failure> {
        let (service, page) = (free_addr()?, free_addr()?);
        let admin = format!(
            "  <admin>\n    <web listen=\"{page}\" enable=\"true\"/>\n    \
             <user name=\"root\" password=\"{HASH}\" access=\"full\"/>\n  </admin>\n</director>\n"
        );
        let config = workspace.path().join("managed.xml");
        // Those that stay and those that come and go are served by the same threads: one more host is no more of them.
        let mut staying = hosts.many(HOSTS + SPARE);
        let spare = staying.split_off(HOSTS);
        fs::write(&config, configs::director(service, &staying).replace("</director>\n", &admin))?;
        let threads = thread::available_parallelism()?.get();
        let mut command = Command::new(program);
        command.args(["-t", &threads.to_string(), "--log-level", "warn"]).arg(&config);
        command.env("STATE_DIRECTORY", workspace.path());
        let mut process = Process::start(&mut command, workspace.path().join("managed.log"))?;
        process.wait_until_listening(service)?;
        process.wait_until_listening(page)?;
        Ok(Self { service, page, spare, threads, process })
    }

    fn window(&mut self, offered: Offered, is_managed: bool, span: Duration, changes: u64) -> Result<Window, Failure> {
        thread::sleep(SETTLE);
        let before = proc::time_by_name(self.process.pid(), "reactor-")?;
        let stop = AtomicBool::new(false);
        let (tally, control) = thread::scope(|scope| {
            let control =
                is_managed.then(|| scope.spawn(|| control::run(self.page, &self.spare, changes, span, &stop)));
            let tally = self.offer(offered, span);
            stop.store(true, Relaxed);
            (tally, control.map(|control| control.join()))
        });
        let (answers, changes) = match control {
            None => (0, 0),
            Some(outcome) => outcome.map_err(|_| "the control plane's client panicked")??,
        };
        thread::sleep(SETTLE);
        let after = proc::time_by_name(self.process.pid(), "reactor-")?;
        if !self.process.is_alive() {
            return Err(format!("the balancer has ended and said: {}", self.process.words()).into());
        }
        let (reactors, others) = (after.0 - before.0, after.1 - before.1);
        Ok(Window { is_managed, tally: tally?, reactors, others, answers, changes })
    }

    fn offer(&self, offered: Offered, span: Duration) -> Result<Tally, Failure> {
        let load = |connections, stop| Load { exchange: Exchange::SHORT, addrs: vec![self.service], connections, stop };
        if offered == Offered::AsManyAsGo {
            return Ok(load(CONNECTIONS, Stop::After(span)).run(self.threads)?);
        }
        let start = Instant::now();
        let due =
            |elapsed: Duration| u64::try_from(elapsed.as_micros() * u128::from(RATE) / 1_000_000).unwrap_or(u64::MAX);
        let mut total = Tally::default();
        let mut begun = 0;
        while begun < due(span) {
            let bunch = due(start.elapsed().min(span)).saturating_sub(begun);
            if bunch > 0 {
                // Late ones are made up for, not all at a time.
                let connections = usize::try_from(bunch).unwrap_or(usize::MAX).min(CONNECTIONS * 4);
                total.add(load(connections, Stop::Count(bunch)).run(1)?);
                begun += bunch;
            }
            thread::sleep(BUNCH_EVERY);
        }
        total.elapsed = start.elapsed();
        Ok(total)
    }
}

fn head(windows: usize, span: Duration) -> String {
    let mut text = String::from("# What a busy control plane costs the data plane\n\n");
    let _ = writeln!(
        text,
        "Made by `cargo bench --bench peers -- managed`: {windows} windows without and {windows} with it for each load, \
         alternating, of {} s each. With it, {POLLERS} clients ask the API for its status every {} ms, and hosts are \
         added and removed, {CHANGES} changes in all. Figures are medians over the windows, quotients those of windows that follow one another.\n",
        span.as_secs_f64(),
        POLL_EVERY.as_millis()
    );
    for (name, value) in machine::lines() {
        let _ = writeln!(text, "- {name}: {value}");
    }
    text
}

fn table(text: &mut String, offered: Offered, all: &[Window]) {
    let title = match offered {
        Offered::Rate => format!("{RATE} connections a second offered"),
        Offered::AsManyAsGo => format!("As many as go, {CONNECTIONS} at a time"),
    };
    let of = |is_managed: bool, value: fn(&Window) -> f64| {
        median(all.iter().filter(|window| window.is_managed == is_managed).map(value).collect())
    };
    let rate = |window: &Window| window.tally.done as f64 / window.tally.elapsed.as_secs_f64();
    let cost = |window: &Window| window.reactors.as_secs_f64() * 1e6 / window.tally.done.max(1) as f64;
    let others = |window: &Window| window.others.as_secs_f64() * 100.0 / window.tally.elapsed.as_secs_f64();
    let _ = writeln!(
        text,
        "\n## {title}\n\n| | without | with | quotient (quartiles of neighbours) |\n|---|---:|---:|---:|"
    );
    for (name, value) in
        [("connections a second", rate as fn(&Window) -> f64), ("reactors' processor time a connection, µs", cost)]
    {
        let (without, with) = (of(false, value), of(true, value));
        let [first, middle, third] = quartiles(all, value);
        let _ = writeln!(text, "| {name} | {without:.2} | {with:.2} | {middle:.3} ({first:.3} – {third:.3}) |");
    }
    let (without, with) = (of(false, others), of(true, others));
    let _ = writeln!(text, "| other threads of the balancer, % of a processor | {without:.2} | {with:.2} | |");
    let sum = |value: fn(&Window) -> u64, is_managed| -> u64 {
        all.iter().filter(|window| window.is_managed == is_managed).map(value).sum()
    };
    let _ = writeln!(
        text,
        "| connections done | {} | {} | |\n| connections lost | {} | {} | |\n| answers of the API | | {} | |\n| host changes | | {} | |",
        sum(|window| window.tally.done, false),
        sum(|window| window.tally.done, true),
        sum(|window| window.tally.failed, false),
        sum(|window| window.tally.failed, true),
        sum(|window| window.answers, true),
        sum(|window| window.changes, true),
    );
    if let Some(why) = all.iter().find_map(|window| window.tally.first_failure.as_ref()) {
        let _ = writeln!(text, "\nThe first loss: {why}");
    }
}

/// Of the quotients of windows that follow one another, one of each kind.
fn quartiles(all: &[Window], value: fn(&Window) -> f64) -> [f64; 3] {
    let quotient = |pair: &[Window]| match pair {
        [first, second] if first.is_managed => Some(value(first) / value(second)),
        [first, second] => Some(value(second) / value(first)),
        _ => None,
    };
    let mut quotients: Vec<f64> = all.chunks(2).filter_map(quotient).collect();
    quotients.sort_by(f64::total_cmp);
    let half = quotients.len() / 2;
    let (low, high) = (quotients[..half].to_vec(), quotients[quotients.len() - half..].to_vec());
    [median(low), median(quotients), median(high)]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}
