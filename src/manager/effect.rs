//! What goes into the manager's brain and what comes out. The shell turns each effect into an action.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use log::Level;

use crate::model::address::Endpoint;
use crate::model::check::Check;
use crate::model::id::{HostId, ServiceId};
use crate::model::outcome::Blame;
use crate::model::report::Report;
use crate::model::service::ServiceSpec;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A reactor reports. Reports on hosts that are gone change nothing.
    Report(Report),
    /// A probe that [`Effect::Probe`] asked for has ended.
    ProbeEnded {
        /// The host.
        host: HostId,
        /// The time until it had answered, or why it failed.
        result: Result<Duration, Blame>,
    },
    /// A resolution that [`Effect::Resolve`] asked for has ended.
    Resolved {
        /// The name.
        name: String,
        /// Its addresses in any order, or what the resolver said. No address at all is a failure too.
        result: Result<Vec<IpAddr>, String>,
    },
}

/// Something is to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Tell every reactor; the newest generation of a service counts.
    Publish(Arc<ServiceSpec>),
    /// Tell every reactor that the service is gone. Its listeners go first.
    Remove(ServiceId),
    /// Ask the host and answer with [`Event::ProbeEnded`], within `timeout`.
    Probe {
        /// The host.
        host: HostId,
        /// Whom to ask, at which port.
        addr: Endpoint,
        /// What to ask; never [`crate::model::check::Probe::Passive`].
        check: Arc<Check>,
        /// After this it failed with [`crate::model::outcome::Fault::TimedOut`].
        timeout: Duration,
    },
    /// Resolve the name and answer with [`Event::Resolved`], whenever that is.
    Resolve {
        /// The name.
        name: String,
    },
    /// Write a line to the log.
    Log {
        /// How bad it is.
        level: Level,
        /// One line.
        line: String,
    },
}
