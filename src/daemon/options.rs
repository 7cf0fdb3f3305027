//! The command line: one table of flags, from which both the parser and the help text are made.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use getopts::{Fail, Matches};
use log::LevelFilter;

use super::flags;
use super::line::Line;
use super::logging::Format;
use super::values::{self, Values};
use crate::admin::words::Form;
use crate::config;
use crate::model::limits::{
    ACCEPT_BATCH, ACCEPT_BATCH_MAX, BACKLOG, BUFFER_BYTES, BUFFER_BYTES_MAX, BUFFER_BYTES_MIN, CONNECT_TIMEOUT,
    DRAIN_TIMEOUT, FIN_TIMEOUT, FLOWS_LIMIT, FLOWS_MAX, IDLE_TIMEOUT, REACTORS_MAX,
};
use crate::model::socket_options::{ConnectOptions, ListenOptions};
use crate::reactor::Splice;

/// What is asked for.
#[derive(Debug)]
pub(super) enum Request {
    /// The help text.
    Help,
    /// The help text on sockets and sizes.
    HelpTuning,
    /// The help text on one line without a file.
    HelpLine,
    /// The version.
    Version,
    /// Ask for a password and print its hash.
    HashPassword,
    /// Look at this configuration and say what is wrong with it.
    Check(Input),
    /// Print the file that says the same.
    Print(Input),
    /// Print the file that says what a pen command line does.
    FromPen(String),
    /// Examine this host for what would be run, and say what slows or limits it.
    Doctor(Options, Option<Input>),
    /// Say what makes one configuration into another.
    Diff(Form, PathBuf, PathBuf),
    /// Balance as is said there.
    Run(Options, Input),
    /// Balance over three built-in hosts.
    Demo(Options),
}

/// Where the configuration is said.
#[derive(Debug)]
pub(super) enum Input {
    /// In a file.
    File(PathBuf),
    /// On the command line.
    Line(Box<Line>),
}

/// How clients are spread over the reactors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// By a hash of their addresses.
    Hash,
    /// By the processor of their packets, with a program.
    Steer,
    /// The same, without one.
    IncomingCpu,
}

/// How to run; what a configuration file does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Reactors; none: as many as there are processors that this process may run on.
    pub(super) threads: Option<usize>,
    /// Bind each reactor to a processor.
    pub(super) pin: bool,
    /// How clients are spread over the reactors.
    pub(super) spread: Spread,
    /// Hand new clients to reactors with fewer.
    pub(super) rebalance: bool,
    /// Most open pairs; none: what the machine allows.
    pub(super) max_connections: Option<u32>,
    /// Most flows of datagrams.
    pub(super) max_flows: u32,
    /// For listeners that do not say.
    pub(super) listen: ListenOptions,
    /// For hosts and groups that do not say.
    pub(super) connect: ConnectOptions,
    /// Most connections accepted at a time from one listener.
    pub(super) accept_batch: usize,
    /// Size of a buffer, in bytes.
    pub(super) buffer_bytes: usize,
    /// When bytes are spliced.
    pub(super) splice: Splice,
    /// For services that do not say: how long a client may wait for a host.
    pub(super) connect_timeout: Duration,
    /// For services that do not say: how long a pair may be idle.
    pub(super) idle_timeout: Duration,
    /// For services that do not say: how long a half-closed pair may be idle.
    pub(super) fin_timeout: Duration,
    /// How long ending waits for connections; none: as long as is usual for what is run.
    pub(super) drain_timeout: Option<Duration>,
    /// Where the process id goes.
    pub(super) pidfile: Option<PathBuf>,
    /// What is logged.
    pub(super) log_level: LevelFilter,
    /// How it is logged.
    pub(super) log_format: Format,
}

const LEVELS: [(&str, LevelFilter); 5] = [
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];

const SPLICES: [(&str, Splice); 3] = [("auto", Splice::Auto), ("on", Splice::On), ("off", Splice::Off)];

const FORMS: [(&str, Form); 4] =
    [("text", Form::Text), ("commands", Form::Commands), ("api", Form::Api), ("pydir", Form::PythonDirector)];

const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];

/// Reads the command line, the program's name left out.
///
/// # Errors
/// What is wrong with it, which flag and value, and what was expected.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut parser = getopts::Options::new();
    for flag in flags::all() {
        if flag.repeats {
            parser.optmulti(flag.short, flag.long, flag.help, flag.value);
        } else if flag.value.is_empty() {
            parser.optflag(flag.short, flag.long, flag.help);
        } else {
            parser.optopt(flag.short, flag.long, flag.help, flag.value);
        }
    }
    let matches = parser.parse(args).map_err(|fail| explain(&fail))?;
    request(&matches)
}

fn request(matches: &Matches) -> Result<Request, String> {
    let options = options(&mut Values(matches))?;
    let given = |flag: &str| matches.opt_present(flag);
    for (flag, request) in [
        ("help", Request::Help),
        ("help-line", Request::HelpLine),
        ("help-tuning", Request::HelpTuning),
        ("version", Request::Version),
    ] {
        if given(flag) {
            return Ok(request);
        }
    }
    let mode = one_mode(matches)?;
    if mode == Some("hash-password") {
        return Ok(Request::HashPassword);
    }
    if mode == Some("diff") {
        return diff(matches);
    }
    let input = input(matches)?;
    match (mode, input) {
        (Some("from-pen"), None) => Ok(Request::FromPen(matches.opt_str("from-pen").unwrap_or_default())),
        (Some("demo"), None) => Ok(Request::Demo(options)),
        (Some(mode @ ("from-pen" | "demo")), Some(Input::File(file))) => {
            Err(format!("--{mode} takes no CONFIG, and {file:?} was given"))
        }
        (Some(mode @ ("from-pen" | "demo")), Some(Input::Line(_))) => Err(format!("--{mode}: expected it without -l")),
        (Some("doctor"), input) => Ok(Request::Doctor(options, input)),
        (_, None) => {
            Err(String::from("CONFIG is missing, expected the name of a configuration file, or -l PORT HOST..."))
        }
        (Some("check"), Some(input)) => Ok(Request::Check(input)),
        (Some("print-config"), Some(input)) => Ok(Request::Print(input)),
        (_, Some(input)) => Ok(Request::Run(options, input)),
    }
}

/// What is to be done instead of balancing as is said, if anything.
fn one_mode(matches: &Matches) -> Result<Option<&'static str>, String> {
    const MODES: [&str; 7] = ["check", "print-config", "from-pen", "doctor", "demo", "diff", "hash-password"];
    let mut given = MODES.into_iter().filter(|mode| matches.opt_present(mode));
    match (given.next(), given.next()) {
        (Some(first), Some(second)) => Err(format!("--{first} and --{second}: expected one of them")),
        (first, _) => Ok(first),
    }
}

fn input(matches: &Matches) -> Result<Option<Input>, String> {
    if let Some(line) = Line::read(matches)? {
        return Ok(Some(Input::Line(Box::new(line))));
    }
    match matches.free.as_slice() {
        [] => Ok(None),
        [file] => Ok(Some(Input::File(PathBuf::from(file)))),
        [_, more @ ..] => {
            Err(format!("expected one CONFIG, and {more:?} was given beside it; hosts need -l PORT before them"))
        }
    }
}

fn options(values: &mut Values<'_>) -> Result<Options, String> {
    let listen = config::listen_options(values)?;
    let connect = config::connect_options("host-fastopen", values)?;
    Ok(Options {
        threads: values.number("threads", 1..=REACTORS_MAX)?,
        pin: values.0.opt_present("pin"),
        spread: spread(values)?,
        rebalance: values.0.opt_present("rebalance"),
        max_connections: values.number("max-connections", 1..=u32::MAX)?,
        max_flows: values.number("max-flows", 1..=FLOWS_LIMIT)?.unwrap_or(FLOWS_MAX),
        listen: ListenOptions { backlog: listen.backlog.or(Some(BACKLOG)), ..listen },
        connect,
        accept_batch: values.number("accept-batch", 1..=ACCEPT_BATCH_MAX)?.unwrap_or(ACCEPT_BATCH),
        buffer_bytes: values.bytes("buffer-size", BUFFER_BYTES_MIN..=BUFFER_BYTES_MAX)?.unwrap_or(BUFFER_BYTES),
        splice: values.one_of("splice", &SPLICES)?.unwrap_or(Splice::Auto),
        connect_timeout: values.time("connect-timeout", config::positive_time)?.unwrap_or(CONNECT_TIMEOUT),
        idle_timeout: values.time("idle-timeout", config::positive_time)?.unwrap_or(IDLE_TIMEOUT),
        fin_timeout: values.time("fin-timeout", config::positive_time)?.unwrap_or(FIN_TIMEOUT),
        drain_timeout: values.time("drain-timeout", config::time)?,
        pidfile: values.path("pidfile")?,
        log_level: values.one_of("log-level", &LEVELS)?.unwrap_or(LevelFilter::Info),
        log_format: values.one_of("log-format", &FORMATS)?.unwrap_or(Format::Text),
    })
}

fn spread(values: &Values<'_>) -> Result<Spread, String> {
    let given = |flag: &str| values.0.opt_present(flag);
    let spread = match (given("steer"), given("incoming-cpu")) {
        (false, false) => return Ok(Spread::Hash),
        (true, true) => return Err(String::from("--steer and --incoming-cpu: expected one of them")),
        (true, false) => Spread::Steer,
        (false, true) => Spread::IncomingCpu,
    };
    if given("pin") { Ok(spread) } else { Err(String::from("--steer and --incoming-cpu: expected with --pin")) }
}

fn diff(matches: &Matches) -> Result<Request, String> {
    let form = Values(matches).one_of("diff-as", &FORMS)?.unwrap_or_default();
    match matches.free.as_slice() {
        [old, new] => Ok(Request::Diff(form, PathBuf::from(old), PathBuf::from(new))),
        _ => Err(String::from("--diff: expected two configuration files, OLD and NEW")),
    }
}

impl Options {
    /// How long ending waits for connections, when nothing says otherwise.
    pub(super) fn drain_timeout(&self) -> Duration {
        self.drain_timeout.unwrap_or(DRAIN_TIMEOUT)
    }

    /// Clients that may wait to be accepted, where a listener does not say.
    pub(super) fn backlog(&self) -> u32 {
        self.listen.backlog.unwrap_or(BACKLOG)
    }
}

fn explain(fail: &Fail) -> String {
    match fail {
        Fail::UnrecognizedOption(name) => {
            let known = flags::all().map(|flag| flag.long);
            let near = config::closest(name, known).or_else(|| only_start(name));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean --{near}?"));
            format!("unknown option {}{hint}", values::dashed(name))
        }
        Fail::ArgumentMissing(name) => {
            let flag = flags::all().find(|flag| [flag.long, flag.short].contains(&name.as_str()));
            let expected = flag.map_or("a value", |flag| flag.value);
            format!("{}: the value is missing, expected {expected}", values::dashed(name))
        }
        Fail::UnexpectedArgument(name) => format!("{} takes no value", values::dashed(name)),
        Fail::OptionDuplicated(name) => format!("{} is given more than once, expected it once", values::dashed(name)),
        Fail::OptionMissing(name) => format!("{} is missing", values::dashed(name)),
    }
}

/// The one flag that starts like this, for those who cut a name short.
fn only_start(start: &str) -> Option<&'static str> {
    let mut found = flags::all().filter(|flag| start.len() >= 2 && flag.long.starts_with(start));
    let first = found.next()?;
    found.next().is_none().then_some(first.long)
}

#[cfg(test)]
mod tests;
