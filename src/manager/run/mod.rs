//! The manager's thread: how it is started, and what the daemon holds of it.
//!
//! First a [`Desk`], because reactors need its mailbox; then the reactors; then [`Desk::start`], which binds and
//! publishes before it returns. `turn` is the thread's loop, with `prober` (connects to hosts), `resolver` (names),
//! `listeners` (binds) and `outbox` (what reactors are still to be told).

mod kernel;
mod listeners;
mod outbox;
mod prober;
mod resolver;
#[cfg(test)]
mod tests;
mod turn;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Release};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::Receiver;
use mio::{Poll, Token, Waker};

use crate::config::Config;
use crate::model::command::Command;
use crate::model::counters::ReactorCounters;
use crate::model::report::Report;
use crate::model::socket_options::{ConnectOptions, ListenOptions};
use crate::model::update::Update;
use crate::sys::clock::Clock;
use crate::sys::mailbox::Mailbox;
use crate::sys::steer::Steering;

pub use listeners::StartError;
use turn::Shell;

/// What the command line says and the configuration does not.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// For services without `connect-timeout`.
    pub connect_timeout: Duration,
    /// For services without `idle-timeout`.
    pub idle_timeout: Duration,
    /// For services without `fin-timeout`.
    pub fin_timeout: Duration,
    /// Of listening sockets, as far as their `<listen>` does not say.
    pub listen: ListenOptions,
    /// Of connections to hosts, as far as neither `<host>` nor `<group>` say.
    pub connect: ConnectOptions,
    /// How connections are spread over the reactors' sockets on an address.
    pub steering: Steering,
    /// How long open connections may take to finish after [`Command::Shutdown`].
    pub drain_timeout: Duration,
}

/// Reads and validates the configuration again, for [`Command::Reload`]. The error's lines go to the log.
pub type Loader = Box<dyn FnMut() -> Result<Config, String> + Send>;

/// Is told of each configuration that was reloaded, after it has become the truth.
pub type OnReload = Box<dyn FnMut(&Config) + Send>;

/// The token of the manager's waker; those of probes are above.
const WAKER: Token = Token(0);

/// The manager before it starts: its mailboxes exist already.
pub struct Desk {
    poll: Poll,
    waker: Arc<Waker>,
    clock: Clock,
    reports: Receiver<Report>,
    commands: Receiver<Command>,
    leave: Arc<AtomicBool>,
    report_mailbox: Mailbox<Report>,
    command_mailbox: Mailbox<Command>,
}

/// What the running manager needs beside its desk.
struct Equipment {
    defaults: Defaults,
    loader: Loader,
    on_reload: OnReload,
    reactors: Vec<Mailbox<Update>>,
    reactor_counters: Vec<Arc<ReactorCounters>>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// A desk whose clock has the origin of `clock`, as the reactors' must.
    ///
    /// # Errors
    /// A poll or eventfd cannot be made.
    pub fn new(clock: Clock) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (report_mailbox, reports) = Mailbox::new(Arc::clone(&waker));
        let (command_mailbox, commands) = Mailbox::new(Arc::clone(&waker));
        let leave = Arc::new(AtomicBool::new(false));
        Ok(Self { poll, waker, clock, reports, commands, leave, report_mailbox, command_mailbox })
    }

    /// Where reactors report to.
    #[must_use]
    pub fn reports(&self) -> Mailbox<Report> {
        self.report_mailbox.clone()
    }

    /// Where front-ends post commands.
    #[must_use]
    pub fn commands(&self) -> Mailbox<Command> {
        self.command_mailbox.clone()
    }

    /// Binds every listener, publishes every service, and starts the thread. `reactors` and `reactor_counters` are by
    /// number.
    ///
    /// # Errors
    /// An address cannot be listened on, or the kernel has no such congestion control: then no reactor was told
    /// anything. Or there is no thread.
    pub fn start(
        self,
        config: &Config,
        defaults: Defaults,
        loader: Loader,
        reactors: Vec<Mailbox<Update>>,
        reactor_counters: Vec<Arc<ReactorCounters>>,
        on_reload: OnReload,
    ) -> Result<Running, StartError> {
        let commands = self.command_mailbox.clone();
        let (waker, leave) = (Arc::clone(&self.waker), Arc::clone(&self.leave));
        let equipment = Equipment { defaults, loader, on_reload, reactors, reactor_counters };
        let mut shell = Shell::new(self, equipment).map_err(StartError::Thread)?;
        shell.install(config)?;
        let builder = Builder::new().name("manager".to_owned());
        let thread = builder.spawn(move || shell.run()).map_err(StartError::Thread)?;
        Ok(Running { commands, waker, leave, thread })
    }
}

/// The running manager.
#[derive(Debug)]
pub struct Running {
    commands: Mailbox<Command>,
    waker: Arc<Waker>,
    leave: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Posts a command.
    ///
    /// # Errors
    /// The command, when too many wait already.
    pub fn post(&self, command: Command) -> Result<(), Command> {
        self.commands.post(command)
    }

    /// Waits for the thread to end. What was posted before is done first; without a [`Command::Shutdown`] among it,
    /// this is one. Until then the manager still logs what draining reactors report, so join them before.
    pub fn join(self) {
        self.leave.store(true, Release);
        // A failed wake means a full eventfd counter, and then the thread is being woken already.
        let _ = self.waker.wake();
        // Panics are caught and logged inside.
        let _ = self.thread.join();
    }
}
