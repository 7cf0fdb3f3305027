//! Why a configuration could not be started, in words.

use std::fmt;
use std::io;

use crate::config::Address;
use crate::manager::line::{Quoted, Value};

/// Why a configuration could not be started.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen {
        /// The address as configured.
        address: String,
        /// The service that wants it.
        service: String,
        /// What the system said.
        error: io::Error,
    },
    /// The kernel does not have a congestion control.
    Congestion {
        /// Its name.
        name: String,
        /// Who wants it.
        place: String,
        /// Those that it has.
        available: String,
        /// What the system said.
        error: io::Error,
    },
    /// The manager's thread cannot be started.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, service, error } => {
                write!(f, "could not listen on {address} (service {}): {error}", Value(service))?;
                hint(address, error.kind()).map_or(Ok(()), |hint| write!(f, "; {hint}"))
            }
            Self::Congestion { name, place, available, error } => {
                write!(f, "congestion={} of {place}: ", Quoted(name))?;
                if error.kind() == io::ErrorKind::NotFound {
                    f.write_str("the kernel does not have it")?;
                } else if error.kind() == io::ErrorKind::PermissionDenied {
                    f.write_str("net.ipv4.tcp_allowed_congestion_control and CAP_NET_ADMIN decide who may use it")?;
                } else {
                    error.fmt(f)?;
                }
                write!(f, ", expected one of {}; modprobe adds some", available.replace(' ', ", "))
            }
            Self::Thread(error) => write!(f, "could not start the manager's thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { error, .. } | Self::Congestion { error, .. } | Self::Thread(error) => Some(error),
        }
    }
}

/// What an operator can do about it.
fn hint(address: &str, kind: io::ErrorKind) -> Option<&'static str> {
    const OF_UNIX: [(io::ErrorKind, &str); 3] = [
        (io::ErrorKind::AddrInUse, "`ss -lxp` shows who listens where"),
        (io::ErrorKind::PermissionDenied, "the balancer's user has to be allowed to make files in that directory"),
        (io::ErrorKind::NotFound, "the directory has to be there"),
    ];
    const HINTS: [(io::ErrorKind, &str); 3] = [
        (io::ErrorKind::AddrInUse, "something else listens there: `ss -ltunp` shows what"),
        (
            io::ErrorKind::PermissionDenied,
            "a port below 1024 needs root, CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start",
        ),
        (io::ErrorKind::AddrNotAvailable, "no interface of this machine has that address: `ip addr` lists them"),
    ];
    let hints = if address.starts_with("unix:") { OF_UNIX } else { HINTS };
    hints.iter().find(|(known, _)| *known == kind).map(|(_, hint)| *hint)
}

/// The address as an operator wrote it.
pub(super) fn written(address: &Address) -> String {
    match address {
        Address::Socket(addr) => addr.to_string(),
        Address::Unix(name) => Value(&name.to_string()).to_string(),
        Address::Name { host, port } => format!("{}:{port}", Value(host)),
    }
}
