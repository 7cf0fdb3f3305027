//! The access log and the status page as the configuration names and writes them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::attributes::{Shown, given};
use super::value::show_time;

/// The log of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Where its lines go.
    pub to: LogTarget,
    /// How they look.
    pub format: LineFormat,
    /// Whether there is a line when a host has accepted, besides the one at the end.
    pub start: bool,
    /// Time between lines of a connection that lasts; none: there are none.
    pub every: Option<Duration>,
}

/// Where the lines of an access log go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// To the end of a file, or into a pipe.
    File(PathBuf),
    /// As messages of RFC 5424 to the datagram socket of this machine's syslog.
    SyslogSocket(PathBuf),
    /// The same over UDP, as RFC 5426 says.
    Syslog(SocketAddr),
    /// As datagrams, a line each, without its end.
    Udp(SocketAddr),
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineFormat {
    /// Words such as `client=192.0.2.1:5000`.
    #[default]
    Text,
    /// An object of JSON.
    Json,
}

/// The status page that is written to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusFile {
    /// The file, which is replaced as a whole.
    pub file: PathBuf,
    /// Time between pages; none: one at each `SIGUSR1` only.
    pub interval: Option<Duration>,
}

impl LineFormat {
    /// The formats by their names.
    pub(super) const NAMED: [(&'static str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];
}

impl LogTarget {
    /// The attribute that names it, and its value.
    fn shown(&self) -> (&'static str, String) {
        match self {
            Self::File(path) => ("file", path.display().to_string()),
            Self::SyslogSocket(path) => ("syslog", path.display().to_string()),
            Self::Syslog(addr) => ("syslog", addr.to_string()),
            Self::Udp(addr) => ("udp", addr.to_string()),
        }
    }
}

impl fmt::Display for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, value) = self.shown();
        if kind == "file" { f.write_str(&value) } else { write!(f, "{kind} {value}") }
    }
}

/// Of `<access-log>`.
pub(super) fn shown_access_log(log: &AccessLog) -> Shown {
    let mut shown = vec![log.to.shown()];
    shown.extend(given([
        ("format", (log.format == LineFormat::Json).then(|| String::from("json"))),
        ("start", log.start.then(|| String::from("true"))),
        ("every", log.every.map(show_time)),
    ]));
    shown
}

/// Of `<status>`.
pub(super) fn shown_status(status: &StatusFile) -> Shown {
    given([("file", Some(status.file.display().to_string())), ("interval", status.interval.map(show_time))])
}
