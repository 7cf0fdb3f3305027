//! The command line of the harness, and the sizes of a run that follow from it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use getopts::Options;

use crate::Failure;
use crate::case::Case;
use crate::target::{Kind, Target};

/// What to run, and how much of it.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) targets: Vec<Target>,
    pub(crate) cases: Vec<Case>,
    pub(crate) rounds: usize,
    /// Rounds of the growth with hosts, which takes long and is no contest.
    pub(crate) hosts_rounds: usize,
    /// How long one case of one round offers load to one balancer.
    pub(crate) span: Duration,
    /// Requests a second of the latency case.
    pub(crate) rate: u64,
    /// Connections of the idle case, before the open-file limit is looked at.
    pub(crate) idle: usize,
    /// Numbers of hosts that are grown through.
    pub(crate) hosts: Vec<usize>,
    /// Numbers of open connections that are grown through, before the open-file limit is looked at.
    pub(crate) open: Vec<usize>,
    /// Connections that are made under strace.
    pub(crate) traced: u64,
    /// Threads or processes of each balancer, and of the load generator.
    pub(crate) threads: usize,
    pub(crate) results: PathBuf,
    /// The command line as given, for the report.
    pub(crate) given: String,
}

/// Short and kept connections that are open at a time.
pub(crate) const CONNECTIONS: usize = 32;
/// Connections that are open at a time under strace.
pub(crate) const CONNECTIONS_TRACED: usize = 8;

fn options() -> Options {
    let mut options = Options::new();
    options.optflag("h", "help", "show this");
    options.optopt("", "rounds", "rounds; the table shows medians over them (5, with --quick 1)", "N");
    options.optflag("", "quick", "one short round of everything, under a minute");
    let only = "these balancers: direct,bare,bare-splice,director,nginx,nginx-hc,haproxy,pen (all); director may be \
                there often, as director[@FILE][:ARGUMENTS]";
    options.optopt("", "only", only, "NAMES");
    let cases = "these cases: short,kept,page,bulk (bulk1,bulk4,bulk16,up1,up16),latency,idle,mice,hosts,\
                 connections,syscalls (all)";
    options.optopt("", "cases", cases, "NAMES");
    options.optopt("", "span", "seconds of load a case, round and balancer (1.5, with --quick 0.3)", "SECONDS");
    options.optopt("", "rate", "requests a second of the latency case (4000)", "N");
    options.optopt("", "idle", "connections of the idle case (5000, with --quick 1000)", "N");
    options.optopt("", "threads", "threads or processes of each balancer (the CPUs of the machine)", "N");
    options.optopt("", "director", "the director binary (the one just built)", "FILE");
    options.optopt("", "director-args", "more arguments for every director", "ARGUMENTS");
    options.optopt("", "results", "directory of the report (bench/results, partial runs: …/tmp)", "DIR");
    options.optflag("", "bench", "given by cargo bench; without it nothing runs");
    options
}

/// Reads the command line. `None` when there is nothing to run; why has then been shown.
pub(crate) fn parse(argv: &[String]) -> Result<Option<Settings>, Failure> {
    let options = options();
    let matches = options.parse(argv)?;
    if !matches.opt_present("bench") && !matches.opt_present("help") {
        // `cargo test --all-targets` starts benches too, and does not mean to wait for minutes.
        eprintln!("nothing is measured without --bench, which `cargo bench` gives");
        return Ok(None);
    }
    if matches.opt_present("help") {
        eprint!("{}", options.usage("cargo bench --bench peers -- [options]"));
        return Ok(None);
    }
    if let Some(stray) = matches.free.first() {
        return Err(format!("unexpected argument {stray:?}; see --help").into());
    }
    let number = |name: &str, default: u64| -> Result<u64, Failure> {
        let value = matches.opt_str(name).map_or(Ok(default), |text| at_least_one(name, &text))?;
        Ok(value)
    };
    let count = |name: &str, default: usize| -> Result<usize, Failure> {
        matches.opt_str(name).map_or(Ok(default), |text| at_least_one(name, &text))
    };
    let quick = matches.opt_present("quick");
    let director = matches.opt_str("director").map_or_else(|| env!("CARGO_BIN_EXE_director").into(), PathBuf::from);
    let director_args = matches.opt_str("director-args").unwrap_or_default();
    let director_args: Vec<String> = director_args.split_whitespace().map(ToOwned::to_owned).collect();
    let targets = match matches.opt_str("only") {
        Some(list) => Target::list(&list, &director, &director_args)?,
        None => Target::all(&director, &director_args)?,
    };
    let cases = chosen(matches.opt_str("cases"))?;
    let partial = quick || targets.len() < Kind::ALL.len() || cases.len() < Case::all().len();
    let results = if partial { "bench/results/tmp" } else { "bench/results" };
    let results = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(results);
    let rounds = count("rounds", if quick { 1 } else { 5 })?;
    let span = matches.opt_str("span").map_or(Ok(if quick { 0.3 } else { 1.5 }), |text| seconds(&text))?;
    Ok(Some(Settings {
        targets,
        cases,
        rounds,
        hosts_rounds: rounds.min(3),
        span: Duration::from_secs_f64(span),
        rate: number("rate", 4000)?,
        idle: count("idle", if quick { 1000 } else { 5000 })?,
        hosts: if quick { vec![1, 10_000] } else { vec![1, 10, 100, 1000, 10_000] },
        open: if quick { vec![10, 1000] } else { vec![10, 100, 1000, 9000] },
        traced: if quick { 500 } else { 1000 },
        threads: count("threads", std::thread::available_parallelism()?.get())?,
        results: matches.opt_str("results").map_or(results, Into::into),
        given: argv.iter().filter(|arg| *arg != "--bench").cloned().collect::<Vec<_>>().join(" "),
    }))
}

/// The cases that `list` names, in the order of a round; all of them without a list.
fn chosen(list: Option<String>) -> Result<Vec<Case>, Failure> {
    let all = Case::all();
    let Some(list) = list else { return Ok(all) };
    let wanted: Vec<&str> = list.split(',').map(str::trim).collect();
    if let Some(unknown) = wanted.iter().find(|word| !all.iter().any(|case| case.is_called(word))) {
        let known: Vec<String> = all.iter().map(|case| case.name()).collect();
        return Err(format!("no case is called {unknown:?}; there are {}", known.join(", ")).into());
    }
    Ok(all.into_iter().filter(|case| wanted.iter().any(|word| case.is_called(word))).collect())
}

fn at_least_one<T: FromStr + PartialOrd + From<u8>>(name: &str, text: &str) -> Result<T, Failure> {
    match text.parse::<T>() {
        Ok(value) if value >= T::from(1) => Ok(value),
        Ok(_) | Err(_) => Err(format!("--{name} {text}: expected a whole number above 0").into()),
    }
}

fn seconds(text: &str) -> Result<f64, Failure> {
    match text.parse::<f64>() {
        Ok(value) if (0.05..=600.0).contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err(format!("--span {text}: expected seconds, 0.05 to 600").into()),
    }
}
