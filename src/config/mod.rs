//! Text to truth: reads the three dialects of the configuration, validates them whole, and writes our own.
//!
//! Raw configuration (strings with line and column) and validated configuration are different types. No sockets, no
//! threads, no name resolution happen here.
//!
//! # The dialects
//! The root element is `<director>` (ours), `<pdconfig>` (PythonDirector) or `<config>` (txLoadBalancer). All three may
//! contain everything that any of them may, so that an old file can be extended without a change of its root, and all
//! spellings of the schedulers mean the same everywhere. The root decides what is meant where the file is silent:
//!
//! | | `<director>` | `<pdconfig>` | `<config>` |
//! |---|---|---|---|
//! | `<hostCheck interval>` | 2s | 15s | 15s |
//! | `checktime` | 0s | 2m | 0s |
//!
//! Everywhere: no heartbeat, `rise` and `fall` 1, the scheduler `roundrobin`, weight 1, and the first group enabled.
//! `<heartbeat>`, `<configCheck>`, `<web>` and `<ssh>` are off unless they say `enable="true"`. `<hostCheck
//! enable="false">` leaves the interval of the table, because a failed host must come back. `checktime` is the element
//! `<checktime time="…"/>` in the root or in `<manager>`, or the attribute of `<manager>`; one of them.
//! `conf/director.xml` shows everything.
//!
//! # The way of a file
//! [`load`] reads the bytes, `guard` bounds them and takes a document type declaration out, roxmltree parses, `xml`
//! keeps what `schema` knows and reports the rest, `validate` gives the values their meaning. Every step after the
//! parser goes on after an error. [`write()`] is the way back, [`summary()`] a view for people.
//! [`rewrite()`] is the way back into a text that people have written, and [`save`] into its file.

mod error;
mod guard;
mod read;
mod rewrite;
mod save;
mod schema;
mod sockets;
mod suggest;
mod summary;
#[cfg(test)]
mod tests;
mod validate;
mod value;
mod write;
mod xml;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::model::scheduler::SchedulerKind;
use crate::model::socket_options::{ConnectOptions, ListenOptions};

pub use error::{Errors, Position, Problem};
pub use read::{load, parse};
pub use rewrite::rewrite;
pub use save::{SaveError, Saved, save};
pub use summary::summary;
pub use write::write;
// The command line reads the same values in the same words.
pub(crate) use sockets::{Texts, connect_options, listen_options};
pub(crate) use suggest::closest;
pub(crate) use value::{bytes, positive_time, show_time, time};

/// Every element that a file may have with its attributes, the three roots left out: for what has to mention all of
/// them, as the documented example does.
#[must_use]
pub fn vocabulary() -> Vec<(&'static str, Vec<&'static str>)> {
    let names = |rule: &schema::Rule| rule.attributes.iter().map(|(name, _)| *name).collect();
    schema::ELEMENTS.iter().map(|(rule, _)| (rule.name, names(rule))).collect()
}

/// A valid configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// At least one, names unique, in the order of the file.
    pub services: Vec<Service>,
    /// How failed hosts are found and taken back.
    pub manager: Manager,
    /// Log file; none: standard error.
    pub log_file: Option<PathBuf>,
    /// Administration; validated here, served by a later version.
    pub admin: Option<Admin>,
    /// Path of the control socket; validated here, served by a later version.
    pub control: Option<PathBuf>,
}

impl Config {
    /// One sentence for each thing that is configured and not served by this version, for the log at start.
    #[must_use]
    pub fn not_served_yet(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some(admin) = &self.admin {
            if let Some(web) = &admin.web {
                sentences.push(format!("The administration page on {} is not served by this version.", web.listen));
            }
            if let Some(ssh) = &admin.ssh {
                sentences.push(format!("Administration over SSH on {ssh} is not served by this version."));
            }
            if admin.web.is_none() && admin.ssh.is_none() {
                sentences.push(String::from("Administration has no enabled <web> or <ssh>, so nobody can log in."));
            }
        }
        if let Some(path) = &self.control {
            sentences.push(format!("The control socket {} is not served by this version.", path.display()));
        }
        if self.manager.config_check.is_some() {
            sentences.push(String::from("Changes are not saved by this version, so <configCheck> does nothing."));
        }
        sentences
    }
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Unique.
    pub name: String,
    /// At least one; no two listeners of the file share an address.
    pub listens: Vec<Listen>,
    /// At least one, names unique in the service.
    pub groups: Vec<Group>,
    /// Index of the group that serves.
    pub enabled: usize,
    /// How long a client may wait for a host; none: the command line's.
    pub connect_timeout: Option<Duration>,
    /// How long a pair may be idle; none: the command line's.
    pub idle_timeout: Option<Duration>,
    /// How long a half-closed pair may be idle; none: the command line's.
    pub fin_timeout: Option<Duration>,
    /// Most open connections of the service.
    pub max_connections: Option<u32>,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where it is.
    pub address: Address,
    /// What it says of its sockets; the command line says the rest.
    pub options: ListenOptions,
}

/// A listener that says nothing of its sockets.
impl From<Address> for Listen {
    fn from(address: Address) -> Self {
        Self { address, options: ListenOptions::default() }
    }
}

/// A group of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Unique in its service.
    pub name: String,
    /// How a host is chosen.
    pub scheduler: SchedulerKind,
    /// How to connect to its hosts, as far as they do not say so themselves; the command line says the rest.
    pub connect: ConnectOptions,
    /// At least one, names unique in the group.
    pub hosts: Vec<Host>,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Unique in its group.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// Its share, 0 to [`crate::model::limits::WEIGHT_MAX`]; 0 gives it no new connections.
    pub weight: u32,
    /// Most open connections.
    pub max: Option<u32>,
    /// How to connect to it; its group and the command line say the rest.
    pub connect: ConnectOptions,
}

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A literal address; `*` is `0.0.0.0`.
    Socket(SocketAddr),
    /// A name, resolved later.
    Name {
        /// The host name.
        host: String,
        /// The port.
        port: u16,
    },
}

/// As in the file: `*:80`, `10.0.0.1:80`, `[::1]:80` or `name:80`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) if address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) => {
                f.pad(&format!("*:{}", address.port()))
            }
            Self::Socket(address) => f.pad(&address.to_string()),
            Self::Name { host, port } => f.pad(&format!("{host}:{port}")),
        }
    }
}

/// How failed hosts are found and taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// Time between probes of a failed host.
    pub host_check: Duration,
    /// Least time a failed host stays out before its first probe.
    pub checktime: Duration,
    /// Time between probes of hosts that are up; none: they are not probed.
    pub heartbeat: Option<Duration>,
    /// Probes in a row that must succeed before a failed host is taken back.
    pub rise: u32,
    /// Failures in a row after which a host is failed.
    pub fall: u32,
    /// Time between saves of a changed running configuration; validated here, served by a later version.
    pub config_check: Option<Duration>,
}

/// Administration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    /// The page and its API.
    pub web: Option<Web>,
    /// Where the SSH server listens, if it is enabled.
    pub ssh: Option<Address>,
    /// Names unique.
    pub users: Vec<User>,
}

/// The administration page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Where it listens.
    pub listen: Address,
    /// Over HTTPS.
    pub secure: bool,
    /// How often the page refreshes by itself.
    pub refresh: Option<Duration>,
}

/// An administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password's hash, as in the file.
    pub password: String,
    /// What they may do.
    pub access: Access,
}

/// What an administrator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look and change.
    Full,
    /// Look.
    ReadOnly,
}
