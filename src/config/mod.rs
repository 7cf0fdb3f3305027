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
//! [`rewrite()`] is the way back into a text that people have written, and [`save()`] into its file.

mod access;
mod administration;
mod attributes;
mod blank;
mod change;
mod check;
mod current;
mod datagram;
mod diff;
mod error;
mod guard;
mod logs;
mod policy;
mod read;
mod rewrite;
mod save;
mod schema;
mod sockets;
mod sticky;
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

use crate::model::address::UnixName;
use crate::model::check::Check;
use crate::model::datagram::{Protocol, Protocols};
use crate::model::proxy::Expect;
use crate::model::scheduler::SchedulerKind;
use crate::model::snapshot::UserView;
use crate::model::socket_options::{ConnectOptions, ListenOptions};
use crate::model::status::AdminState;
use crate::model::sticky::StickyRules;

pub use access::{Acl, Entrance};
pub use administration::{Access, Admin, Control, User, Web};
pub use change::{apply, find_host};
pub use current::Current;
pub use datagram::FlowConfig;
pub use diff::{described, diff};
pub use error::{Errors, Position, Problem};
pub use logs::{AccessLog, LineFormat, LogTarget, StatusFile};
pub use policy::{GroupPolicy, HostPolicy};
pub use read::{load, parse};
pub use rewrite::rewrite;
pub use save::{SaveError, Saved, save};
pub use summary::summary;
pub use write::write;
// The command line reads the same values in the same words.
pub(crate) use read::read_text;
pub(crate) use sockets::{Texts, connect_options, listen_options};
pub(crate) use suggest::closest;
pub(crate) use value::{bytes, host_address, listen_address, positive_time, show_time, socket_path, time};

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
    /// Names unique, in the order of the file, which has at least one.
    pub services: Vec<Service>,
    /// How failed hosts are found and taken back.
    pub manager: Manager,
    /// Log file; none: standard error.
    pub log_file: Option<PathBuf>,
    /// The log of connections; none: there is none.
    pub access_log: Option<AccessLog>,
    /// The status page in a file.
    pub status: Option<StatusFile>,
    /// Administration.
    pub admin: Option<Admin>,
    /// The control socket.
    pub control: Option<Control>,
    /// Access lists, names unique. Whoever names one names one of these.
    pub acls: Vec<Acl>,
}

impl Config {
    /// One sentence for each thing that is right and still not what an operator is likely to want, for the log at start.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some(admin) = &self.admin {
            if admin.web.is_none() && admin.ssh.is_none() {
                sentences.push(String::from("Administration has no enabled <web> or <ssh>, so nobody can log in."));
            } else if admin.users.is_empty() {
                sentences.push(String::from("Administration has no <user>, so nobody can log in."));
            }
            if let Some(Web { listen, secure: false, .. }) = &admin.web
                && !listen.is_loopback()
            {
                sentences.push(format!(
                    "The administration page on {listen} is not secure, so passwords can be read on the way; \
                     expected secure=\"true\" or a loopback address."
                ));
            }
        }
        sentences
    }

    /// What it has not that every file must have, in words: a running configuration may lack hosts for a while.
    #[must_use]
    pub fn incomplete(&self) -> Option<String> {
        let lacks = |service: &Service| {
            let name = error::quoted(&service.name);
            if service.groups.is_empty() {
                return Some(format!("service {name} has no group"));
            }
            let empty = service.groups.iter().find(|group| group.hosts.is_empty());
            let empty =
                empty.map(|group| format!("group {} of service {name} has no host", error::quoted(&group.name)));
            empty.or_else(|| service.enabled.is_none().then(|| format!("service {name} has no enabled group")))
        };
        if self.services.is_empty() {
            Some(String::from("there is no service"))
        } else {
            self.services.iter().find_map(lacks)
        }
    }

    /// The administrators, without their secrets.
    #[must_use]
    pub fn user_views(&self) -> Vec<UserView> {
        let users = self.admin.iter().flat_map(|admin| &admin.users);
        let view = |user: &User| UserView {
            name: user.name.clone(),
            full: user.access == Access::Full,
            password: user.password.is_some(),
            key: user.key.is_some(),
        };
        users.map(view).collect()
    }

    /// The service of that name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Unique.
    pub name: String,
    /// At least one; no two listeners of the configuration share an address.
    pub listens: Vec<Listen>,
    /// Names unique in the service. A file has at least one.
    pub groups: Vec<Group>,
    /// Index of the group that serves, which has a host. None only in a running configuration, before it has one.
    pub enabled: Option<usize>,
    /// How long a client may wait for a host; none: the command line's.
    pub connect_timeout: Option<Duration>,
    /// How long a pair may be idle; none: the command line's.
    pub idle_timeout: Option<Duration>,
    /// How long a half-closed pair may be idle; none: the command line's.
    pub fin_timeout: Option<Duration>,
    /// Most open connections of the service.
    pub max_connections: Option<u32>,
    /// Whether its connections are in the access log, if there is one.
    pub access_log: bool,
    /// Who may come in, and how connections end.
    pub entrance: Entrance,
    /// Whether a client whose host fails is closed instead of being offered another one, as far as the group does not
    /// say.
    pub stubborn: bool,
    /// Of its flows of datagrams.
    pub flows: FlowConfig,
}

impl Service {
    /// Whether clients connect to it, and do not only send datagrams.
    #[must_use]
    pub fn takes_connections(&self) -> bool {
        self.listens.iter().any(|listen| listen.protocol.each().contains(&Protocol::Tcp))
    }

    /// Sockets that a reactor has on its listeners, as far as each is one address.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.listens.iter().map(|listen| listen.protocol.each().len()).sum()
    }
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where it is.
    pub address: Address,
    /// What it takes in.
    pub protocol: Protocols,
    /// What it says of its sockets; the command line says the rest.
    pub options: ListenOptions,
    /// The PROXY headers that it expects; none: none.
    pub proxy: Option<Expect>,
    /// Who may connect to it, if it is a file.
    pub rights: Rights,
}

/// Who may connect to a socket that is a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// The mode of the file, 0 to 0777; none: 0660 with a group, 0600 without.
    pub mode: Option<u32>,
    /// The system's group that it belongs to, a name or a number; none: the balancer's own.
    pub group: Option<String>,
}

/// A listener of connections that says nothing of its sockets.
impl From<Address> for Listen {
    fn from(address: Address) -> Self {
        let (protocol, options) = (Protocols::default(), ListenOptions::default());
        Self { address, protocol, options, proxy: None, rights: Rights::default() }
    }
}

/// A group of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Unique in its service.
    pub name: String,
    /// How a host is chosen.
    pub scheduler: SchedulerKind,
    /// How its clients find their host again.
    pub sticky: StickyRules,
    /// What becomes of hosts that fail, and of their clients.
    pub policy: GroupPolicy,
    /// How its hosts are probed; none: as is usual, see [`Check::usual`].
    pub check: Option<Check>,
    /// How to connect to its hosts, as far as they do not say so themselves; the command line says the rest.
    pub connect: ConnectOptions,
    /// Names unique in the group. A file has at least one.
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
    /// Its turn among others.
    pub policy: HostPolicy,
    /// What the operator wants of it.
    pub state: AdminState,
    /// The access list of clients that it may serve; none: all.
    pub acl: Option<String>,
    /// How to connect to it; its group and the command line say the rest.
    pub connect: ConnectOptions,
}

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A literal address; `*` is `0.0.0.0`.
    Socket(SocketAddr),
    /// A socket of this machine.
    Unix(UnixName),
    /// A name, resolved later.
    Name {
        /// The host name.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Address {
    /// Whether only this machine reaches it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Socket(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
            Self::Name { host, .. } => host.eq_ignore_ascii_case("localhost"),
        }
    }
}

/// As in the file: `*:80`, `10.0.0.1:80`, `[::1]:80`, `name:80`, `unix:/run/x.sock` or `unix:@name`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) if address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) => {
                f.pad(&format!("*:{}", address.port()))
            }
            Self::Socket(address) => f.pad(&address.to_string()),
            Self::Unix(name) => name.fmt(f),
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
    /// Time between saves of a changed running configuration; none: it is saved when somebody says so.
    pub config_check: Option<Duration>,
}
