//! The manager's thread: how it is started, and what the daemon holds of it.
//!
//! First a [`Desk`], because reactors need its mailbox; then the reactors; then [`Desk::start`], which binds and
//! publishes before it returns. `turn` is the thread's loop, with `prober` (connects to hosts), `resolver` (names),
//! `listeners` (binds) and `outbox` (what reactors are still to be told). `commands` does what operators ask, with
//! `sessions` (questions to the reactors), `probation` (loads that wait to be confirmed) and `journal` (what happened,
//! and who did it).

mod commands;
mod journal;
mod kernel;
mod listeners;
mod outbox;
mod probation;
mod prober;
mod resolver;
mod sessions;
mod start_error;
mod sticky;
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
use crate::model::change::Refusal;
use crate::model::command::Request;
use crate::model::counters::ReactorCounters;
use crate::model::report::Report;
use crate::model::socket_options::{ConnectOptions, ListenOptions};
use crate::model::update::Update;
use crate::sys::clock::Clock;
use crate::sys::mailbox::Mailbox;
use crate::sys::steer::Steering;

pub use start_error::StartError;
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
    /// How long open connections may take to finish after [`crate::model::command::Command::Shutdown`].
    pub drain_timeout: Duration,
}

/// What the manager needs of the process around it: files and the log. All of it is called in the manager's thread.
pub trait Surroundings: Send {
    /// Reads and validates the configuration again, without a change of anything.
    ///
    /// # Errors
    /// What is wrong, a line each.
    fn load(&mut self) -> Result<Config, String>;

    /// Makes ready what a configuration needs of the process (its log file), so that [`Self::applied`] cannot fail.
    ///
    /// # Errors
    /// What cannot be had; nothing has changed.
    fn prepare(&mut self, config: &Config) -> Result<(), String>;

    /// This configuration has become the truth.
    fn applied(&mut self, config: &Config);

    /// Writes the configuration to the file that it came from, whose configuration should be `expected`; none: whatever
    /// is there. Returns in words what was done.
    ///
    /// # Errors
    /// Why it was not; the file is as it was.
    fn save(&mut self, config: &Config, expected: Option<&Config>) -> Result<String, Refusal>;

    /// Opens the log file anew.
    ///
    /// # Errors
    /// It cannot be; the log goes on where it was.
    fn reopen_log(&mut self) -> Result<(), String>;

    /// Logs from this level on.
    ///
    /// # Errors
    /// There is no such level.
    fn set_log_level(&mut self, level: &str) -> Result<(), String>;
}

/// The token of the manager's waker; those of probes are above.
const WAKER: Token = Token(0);

/// The manager before it starts: its mailboxes exist already.
pub struct Desk {
    poll: Poll,
    waker: Arc<Waker>,
    clock: Clock,
    reports: Receiver<Report>,
    commands: Receiver<Request>,
    leave: Arc<AtomicBool>,
    report_mailbox: Mailbox<Report>,
    command_mailbox: Mailbox<Request>,
}

/// What the running manager needs beside its desk.
struct Equipment {
    defaults: Defaults,
    surroundings: Box<dyn Surroundings>,
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
    pub fn commands(&self) -> Mailbox<Request> {
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
        surroundings: Box<dyn Surroundings>,
        reactors: Vec<Mailbox<Update>>,
        reactor_counters: Vec<Arc<ReactorCounters>>,
    ) -> Result<Running, StartError> {
        let commands = self.command_mailbox.clone();
        let (waker, leave) = (Arc::clone(&self.waker), Arc::clone(&self.leave));
        let equipment = Equipment { defaults, surroundings, reactors, reactor_counters };
        let mut shell = Shell::new(self, equipment).map_err(StartError::Thread)?;
        shell.install(config)?;
        shell.begin(config.clone());
        let builder = Builder::new().name("manager".to_owned());
        let thread = builder.spawn(move || shell.run()).map_err(StartError::Thread)?;
        Ok(Running { commands, waker, leave, thread })
    }
}

/// The running manager.
#[derive(Debug)]
pub struct Running {
    commands: Mailbox<Request>,
    waker: Arc<Waker>,
    leave: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Posts a command. Returns whether there was room; one that finds none is answered with a refusal.
    pub fn post(&self, request: Request) -> bool {
        self.commands.post(request).is_ok()
    }

    /// Waits for the thread to end. What was posted before is done first; without a shutdown among it,
    /// this is one. Until then the manager still logs what draining reactors report, so join them before.
    pub fn join(self) {
        self.leave.store(true, Release);
        // A failed wake means a full eventfd counter, and then the thread is being woken already.
        let _ = self.waker.wake();
        // Panics are caught and logged inside.
        let _ = self.thread.join();
    }
}
