//! A running balancer inside this process: for the daemon, and for programs that embed one.
//!
//! ```no_run
//! use director::instance::{Builder, HostMapper};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let balancer = Builder::new()
//!     .map(&HostMapper { scheduler: "leastc", ..HostMapper::new("127.0.0.1:8080", "web1", "10.0.0.1:80") })
//!     .map(&HostMapper { weight: 2, ..HostMapper::new("127.0.0.1:8080", "web2", "10.0.0.2:80") })
//!     .start()?;
//! let seen = balancer.snapshot()?;
//! println!("{} connections open", seen.services[0].open);
//! balancer.switch_port("127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:9090")?;
//! println!("{} connections were cut", balancer.stop(Duration::from_secs(30)));
//! # Ok(())
//! # }
//! ```
//!
//! It takes no signals, opens no log and no file, and has no administration of its own; it logs through the `log` crate.
//! [`Balancer::command`] does everything that an administrator can do.

mod builder;
pub(crate) mod limits;

use std::fmt::{self, Display};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

pub use builder::{Builder, HostMapper};

use crate::admin::Desk;
use crate::config::{Config, Current};
use crate::manager::run::{self, Defaults, Running, Surroundings};
use crate::model::address::Endpoint;
use crate::model::change::{Attributes, Change, Refusal};
use crate::model::command::{Command, Origin, Reply};
use crate::model::limits::REPLY_WAIT;
use crate::model::snapshot::Snapshot;
use crate::reactor::{Reactors, Settings};
use crate::sys::clock::Clock;

/// Why a balancer did not start. It has served nobody.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is wrong: everything that is.
    Config(String),
    /// More is asked for than this process may have.
    Limits(String),
    /// An address cannot be listened on, or an option cannot be had.
    Listen(run::StartError),
    /// A thread, poll or eventfd cannot be made: what, and why.
    System(&'static str, io::Error),
}

impl Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(problem) | Self::Limits(problem) => f.write_str(problem),
            Self::Listen(error) => error.fmt(f),
            Self::System(what, error) => write!(f, "could not {what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(_) | Self::Limits(_) => None,
            Self::Listen(error) => Some(error),
            Self::System(_, error) => Some(error),
        }
    }
}

/// A running balancer. Dropped without [`Self::stop`], it cuts its connections.
#[derive(Debug)]
pub struct Balancer {
    desk: Desk,
    threads: Option<(Reactors, Running)>,
}

impl Balancer {
    /// Starts the reactors and their manager: when it returns, every address is listened on.
    ///
    /// # Errors
    /// An address cannot be listened on, or the system has no room for a thread.
    pub(crate) fn launch(
        config: &Config,
        settings: &Settings,
        defaults: Defaults,
        surroundings: Box<dyn Surroundings>,
        current: Current,
        desk: run::Desk,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let commands = desk.commands();
        let reactors = Reactors::start(settings, clock, &desk.reports());
        let reactors = reactors.map_err(|error| StartError::System("start the reactors", error))?;
        let (mailboxes, counters) = (reactors.mailboxes().to_vec(), reactors.counters().to_vec());
        let manager = desk.start(config, defaults, surroundings, mailboxes, counters).map_err(StartError::Listen)?;
        Ok(Self { desk: Desk::new(commands, current), threads: Some((reactors, manager)) })
    }

    /// Where front-ends ask.
    pub(crate) const fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Has a command done and waits for the reply, [`REPLY_WAIT`] at most.
    ///
    /// # Errors
    /// It was refused, or the manager is stalled; then it may still be done later.
    pub fn command(&self, command: Command) -> Result<Reply, Refusal> {
        let (sender, receiver) = sync_channel(1);
        let origin = Origin::new("the program", "embedded");
        // Nobody waits any more: that is for the waiting side to tell.
        self.desk.ask(command, origin, move |reply| drop(sender.try_send(reply)));
        match receiver.recv_timeout(REPLY_WAIT) {
            Ok(Reply::Refused(refusal)) => Err(refusal),
            Ok(reply) => Ok(reply),
            Err(_) => Err(Refusal::unavailable("the manager did not answer in time; it may still do what was asked")),
        }
    }

    /// Makes changes, all or nothing. Returns in words what was done.
    ///
    /// # Errors
    /// Why nothing was.
    pub fn change(&self, changes: Vec<Change>) -> Result<String, Refusal> {
        let reply = self.command(Command::Change(changes))?;
        if let Reply::Done(told) = reply { Ok(told) } else { Err(unexpected(&reply)) }
    }

    /// Everything there is to see.
    ///
    /// # Errors
    /// The manager is stalled.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>, Refusal> {
        let reply = self.command(Command::Snapshot)?;
        if let Reply::Snapshot(snapshot) = reply { Ok(snapshot) } else { Err(unexpected(&reply)) }
    }

    /// Moves a listener of a service to another address. Connections in progress stay; clients that wait in its queue
    /// are served.
    ///
    /// # Errors
    /// There is no such listener, or the address cannot be had.
    pub fn switch_port(&self, service: &str, listener: &str, address: &str) -> Result<String, Refusal> {
        let attributes = Attributes::new([("ip", address)]);
        self.change(vec![Change::SetListener { service: service.to_owned(), listen: listener.to_owned(), attributes }])
    }

    /// Where a service listens for TCP: with port 0 in the configuration, the port that the system has chosen. Sockets of
    /// this machine are where the configuration says.
    ///
    /// # Errors
    /// There is no such service, or the manager is stalled.
    pub fn addresses(&self, service: &str) -> Result<Vec<SocketAddr>, Refusal> {
        let snapshot = self.snapshot()?;
        let found = snapshot.services.iter().find(|known| known.name == service);
        let found = found.ok_or_else(|| Refusal::not_found(format!("there is no service {service:?}")))?;
        Ok(found.listeners.iter().flat_map(|listener| &listener.bound).filter_map(Endpoint::as_ip).collect())
    }

    /// Stops accepting, lets connections finish for this long, and ends. Returns how many were cut.
    #[must_use]
    pub fn stop(mut self, wait: Duration) -> u32 {
        self.end(Some(wait))
    }

    /// Waits until somebody has asked for the end and all threads have ended. Returns how many connections were cut.
    pub(crate) fn join(mut self) -> u32 {
        self.threads.take().map_or(0, |(reactors, manager)| {
            let cut = reactors.join();
            manager.join();
            cut
        })
    }

    fn end(&mut self, wait: Option<Duration>) -> u32 {
        let Some((reactors, manager)) = self.threads.take() else { return 0 };
        self.desk.ask(Command::Shutdown { wait }, Origin::new("the program", "embedded"), drop);
        let cut = reactors.join();
        manager.join();
        cut
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.end(Some(Duration::ZERO));
    }
}

fn unexpected(reply: &Reply) -> Refusal {
    Refusal::unavailable(format!("an unexpected reply: {reply:?}"))
}

/// `1 thread`, `2 threads`.
pub(crate) fn counted(number: impl Display, what: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {what}{plural}")
}
