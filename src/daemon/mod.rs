//! The daemon: from the command line to the end of the process.
//!
//! It reads the command line and the configuration, starts the manager and the reactors, and waits. It takes no
//! decision about any connection or host.

mod access_log;
mod confine;
mod demo;
mod doctor;
mod flags;
mod front;
mod house;
mod kernel;
mod life;
mod line;
mod logging;
mod options;
mod pen;
mod pidfile;
mod signals;
mod status;
mod values;

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

use crate::admin::words::{self, show::paint::Paint};
use crate::config::{self, Config};
use crate::ctl::password;
use crate::instance::counted;
use crate::sys::unix;
use access_log::AccessError;
use life::Source;
use logging::LogError;
use options::{Input, Options, Request};

/// Does what the command line asks for; `args` are without the program's name. Returns the exit code: 0 fine, 1 the
/// configuration is wrong, 2 the command line is wrong, 3 the balancer could not listen or start.
/// `--doctor` that finds what would bite ends with 1.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match options::parse(args).map_err(Failure::Usage).and_then(obey) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            print(&mut io::stderr(), &failure.told());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Why the process ends otherwise than it was asked to.
#[derive(Debug)]
enum Failure {
    /// The configuration is wrong.
    Config(config::Errors),
    /// The log that the configuration asks for cannot be written.
    Log(LogError),
    /// So is the access log.
    Access(AccessError),
    /// The command line is wrong, or asks for more than can be had.
    Usage(String),
    /// The pen command line is wrong: a problem a line.
    Pen(String),
    /// So many findings about this host would bite.
    Host(String),
    /// The balancer could not listen, or could not start for another reason.
    Start(String),
}

impl Failure {
    fn start(what: &str, error: &io::Error) -> Self {
        Self::Start(format!("could not {what}: {error}"))
    }

    const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Log(_) | Self::Access(_) | Self::Pen(_) | Self::Host(_) => 1,
            Self::Usage(_) => 2,
            Self::Start(_) => 3,
        }
    }

    /// What the user reads. The errors of a configuration stand alone, so that editors find the places they name.
    fn told(&self) -> String {
        match self {
            Self::Config(errors) => format!("{errors}\n"),
            Self::Usage(_) => format!("director: {self}\nTry \"director --help\".\n"),
            Self::Pen(problems) => problems.lines().map(|line| format!("pen: {line}\n")).collect(),
            Self::Log(_) | Self::Access(_) | Self::Host(_) | Self::Start(_) => format!("director: {self}\n"),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => errors.fmt(f),
            Self::Log(error) => error.fmt(f),
            Self::Access(error) => error.fmt(f),
            Self::Host(findings) => write!(f, "{findings} about this host would bite"),
            Self::Usage(problem) | Self::Pen(problem) | Self::Start(problem) => problem.fmt(f),
        }
    }
}

fn obey(request: Request) -> Result<(), Failure> {
    match request {
        Request::Help => print(&mut io::stdout(), &flags::help()),
        Request::HelpTuning => print(&mut io::stdout(), &flags::help_tuning()),
        Request::Version => print(&mut io::stdout(), concat!("director ", env!("CARGO_PKG_VERSION"), "\n")),
        Request::HelpLine => print(&mut io::stdout(), &flags::help_line()),
        Request::Check(input) => print(&mut io::stdout(), &config::summary(&read(&input)?.0)),
        Request::Print(input) => {
            let (config, told) = read(&input)?;
            print(&mut io::stdout(), &config::write(&config));
            print(&mut io::stderr(), &told.unwrap_or_default());
        }
        Request::Diff(form, old, new) => {
            let [old, new] = [config::load(&old), config::load(&new)].map(|read| read.map_err(Failure::Config));
            let differences = config::diff(&old?, &new?);
            let lines = words::show::diff::lines(&differences, form, Paint::default());
            print(&mut io::stdout(), &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        }
        Request::HashPassword => {
            let hash = password::ask().map_err(|failure| Failure::Usage(failure.to_string()))?;
            print(&mut io::stdout(), &format!("{hash}\n"));
        }
        Request::FromPen(line) => from_pen(&line)?,
        Request::Doctor(options, input) => {
            let config = input.as_ref().map(read).transpose()?.map(|(config, _)| config);
            doctor::run(&options, config.as_ref())?;
        }
        Request::Run(options, input) => balance(&options, input)?,
        Request::Demo(options) => demo::run(options)?,
    }
    Ok(())
}

/// Prints the file, and beside it what has no equal there.
fn from_pen(line: &str) -> Result<(), Failure> {
    let pen::Translation { xml, notes, flags } = pen::translate(line).map_err(Failure::Pen)?;
    print(&mut io::stdout(), &xml);
    let mut told: String = notes.iter().map(|note| format!("pen: {note}\n")).collect();
    if !flags.is_empty() {
        told.push_str(&format!("Start it with: director {} FILE\n", flags.join(" ")));
    }
    print(&mut io::stderr(), &told);
    Ok(())
}

/// The configuration, and what its user has to be told of it apart from the log.
fn read(input: &Input) -> Result<(Config, Option<String>), Failure> {
    match input {
        Input::File(file) => config::load(file).map(|config| (config, None)).map_err(Failure::Config),
        Input::Line(line) => line.config().map_err(Failure::Start),
    }
}

fn balance(options: &Options, input: Input) -> Result<(), Failure> {
    if matches!(&input, Input::Line(line) if line.is_administered()) && options.user.is_none() && unix::own_user() == 0
    {
        let what = "-C and -a as root: expected --user NAME beside them, or --user root to stay root";
        return Err(Failure::Usage(what.to_owned()));
    }
    let (config, told) = read(&input)?;
    let file = match input {
        Input::File(file) => Some(file),
        Input::Line(_) => None,
    };
    // Past the log, which may be kept where more people read it.
    life::run(options, Source { config, file }, || print(&mut io::stderr(), &told.unwrap_or_default()))
}

/// Prints, unless nobody reads: who closed the output needs no panic.
fn print(target: &mut impl Write, text: &str) {
    let _ = target.write_all(text.as_bytes());
    let _ = target.flush();
}
