//! What stands between clients and hosts: the balancers, and how the command line names them and their variants.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::peers::CONNECTIONS_MAX;

/// A kind of balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Direct,
    /// The bare relay.
    Bare,
    /// The bare relay, moving bytes through pipes instead of its memory.
    BareSplice,
    Director,
    /// As it comes: a client that half-closes loses its answer.
    Nginx,
    /// With half-closes passed on, as all the others do.
    NginxHalfClose,
    Haproxy,
    Pen,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Direct,
        Self::Bare,
        Self::BareSplice,
        Self::Director,
        Self::Nginx,
        Self::NginxHalfClose,
        Self::Haproxy,
        Self::Pen,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare",
            Self::BareSplice => "bare-splice",
            Self::Director => "director",
            Self::Nginx => "nginx",
            Self::NginxHalfClose => "nginx-hc",
            Self::Haproxy => "haproxy",
            Self::Pen => "pen",
        }
    }

    /// Whether it is a balancer that others run, and not a mark for what can be had.
    pub(crate) fn is_rival(self) -> bool {
        match self {
            Self::Nginx | Self::NginxHalfClose | Self::Haproxy | Self::Pen => true,
            Self::Direct | Self::Bare | Self::BareSplice | Self::Director => false,
        }
    }
}

/// The position of a target on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(usize);

/// A balancer with its variant.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) id: Id,
    pub(crate) kind: Kind,
    /// Unique, as given.
    pub(crate) name: String,
    /// Another build than the one of the run.
    program: Option<PathBuf>,
    /// More arguments.
    pub(crate) args: Vec<String>,
}

impl Target {
    /// One of every kind.
    pub(crate) fn all(director: &Path, args: &[String]) -> Result<Vec<Self>, Failure> {
        let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        Self::list(&names.join(","), director, args)
    }

    /// Reads `NAME,…`, where director may be `director[@PATH][:ARGUMENTS]`, as often as wanted.
    pub(crate) fn list(list: &str, director: &Path, args: &[String]) -> Result<Vec<Self>, Failure> {
        let mut targets: Vec<Self> = Vec::new();
        for item in list.split(',').map(str::trim) {
            let mut target = Self::parse(item, Id(targets.len()))?;
            if target.kind == Kind::Director {
                target.program.get_or_insert_with(|| director.to_owned());
                target.args.splice(0..0, args.iter().cloned());
            }
            if targets.iter().any(|other| other.name == target.name) {
                return Err(format!("{item:?} is there twice").into());
            }
            targets.push(target);
        }
        Ok(targets)
    }

    fn parse(item: &str, id: Id) -> Result<Self, Failure> {
        let (word, args) = item.split_once(':').unwrap_or((item, ""));
        let (name, program) = word.split_once('@').map_or((word, None), |(name, path)| (name, Some(path.into())));
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) else {
            let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            return Err(format!("no balancer is called {name:?}; there are {}", known.join(", ")).into());
        };
        if kind != Kind::Director && name != item {
            return Err(format!("{item:?}: only director has variants").into());
        }
        let args = args.split_whitespace().map(ToOwned::to_owned).collect();
        Ok(Self { id, kind, name: item.to_owned(), program, args })
    }

    /// How it is set up, in one line for the report.
    pub(crate) fn described(&self, threads: usize) -> String {
        match self.kind {
            Kind::Direct => "no balancer: clients connect to the hosts in turn".to_owned(),
            Kind::Bare => {
                format!("the bare relay of bench/bare: {threads} threads, no features; half-closes passed on")
            }
            Kind::BareSplice => "the same with splice through a pipe of 1 MiB a direction; bulk only".to_owned(),
            Kind::Director => format!(
                "-t {threads} --max-connections {CONNECTIONS_MAX} {}, roundrobin, all else default",
                self.args.join(" ")
            )
            .replace(" ,", ","),
            Kind::Nginx => format!(
                "stream: {threads} workers, worker_connections {}, no access log; as it comes it does \
                 not pass half-closes on, which spares it two system calls and cuts late answers off",
                CONNECTIONS_MAX * 2
            ),
            Kind::NginxHalfClose => "the same with proxy_half_close on, which is what the others do".to_owned(),
            Kind::Haproxy => format!(
                "mode tcp: nbthread {threads}, maxconn {CONNECTIONS_MAX}, no log; \
                 passes half-closes on by itself"
            ),
            Kind::Pen => format!(
                "{threads} processes on one port (it has no threads), -r -x {CONNECTIONS_MAX} -O tcp_nodelay; \
                 passes half-closes on, but may lose an answer that comes after one"
            ),
        }
    }

    /// The version as the balancer or its package tells it.
    pub(crate) fn version(&self) -> String {
        let first_line = |command: &mut Command| -> Option<String> {
            let output = command.output().ok()?;
            let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
            let text = String::from_utf8_lossy(&text).into_owned();
            text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
        };
        let Ok(program) = self.program() else { return "not installed".to_owned() };
        let found = match self.kind {
            Kind::Direct | Kind::Bare | Kind::BareSplice | Kind::NginxHalfClose => None,
            Kind::Director => first_line(Command::new(program).arg("-V")),
            Kind::Nginx | Kind::Haproxy => first_line(Command::new(program).arg("-v")),
            Kind::Pen => first_line(Command::new("dpkg-query").args(["-W", "-f", "pen ${Version}", "pen"])),
        };
        found.unwrap_or_default()
    }

    pub(crate) fn program(&self) -> Result<PathBuf, Failure> {
        let name = match self.kind {
            Kind::Direct | Kind::Bare | Kind::BareSplice => return Ok(std::env::current_exe()?),
            Kind::Director => return self.program.clone().ok_or_else(|| "which director?".into()),
            Kind::Nginx | Kind::NginxHalfClose => "nginx",
            Kind::Haproxy => "haproxy",
            Kind::Pen => "pen",
        };
        find(name).ok_or_else(|| format!("{name} is not installed").into())
    }
}

/// A program of the search path, or of the directories for daemons that a user's path often lacks.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(daemons).map(|directory| directory.join(name)).find(|file| file.is_file())
}
