//! Signals become commands. The second request to end is obeyed by the handler itself, so that it works whatever else
//! is stuck.
//!
//! `SIGPIPE` is ignored by the runtime of the language before `main` starts: writing to a closed pipe is an error like
//! any other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use log::{error, info, warn};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};

use super::house::Parts;
use crate::model::command::{Command, Origin, Request};
use crate::sys::mailbox::Mailbox;

/// The exit code of a process that was told twice to end: it did what it was told.
const TOLD_TWICE: i32 = 0;

/// The thread that takes signals. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// What a signal needs to be obeyed.
pub(super) struct Receiver {
    /// The manager's.
    pub(super) commands: Mailbox<Request>,
    /// The logs are reopened on `SIGHUP`, the status page is written on `SIGUSR1`.
    pub(super) parts: Parts,
    /// How long ending waits for connections; for the log.
    pub(super) drain_timeout: Duration,
}

impl Watch {
    /// Takes over `SIGTERM`, `SIGINT`, `SIGHUP`, `SIGUSR1` and `SIGUSR2`, until the end of the process.
    ///
    /// # Errors
    /// A handler cannot be installed or the thread cannot be made.
    pub(super) fn start(receiver: Receiver) -> io::Result<Self> {
        let told = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // Handlers run in this order: the first signal finds the flag down, the second finds it up and exits.
            flag::register_conditional_shutdown(signal, TOLD_TWICE, Arc::clone(&told))?;
            flag::register(signal, Arc::clone(&told))?;
        }
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])?;
        let handle = signals.handle();
        let thread = thread::Builder::new().name(String::from("signals")).spawn(move || {
            for signal in signals.forever() {
                receiver.obey(signal);
            }
        })?;
        Ok(Self { handle, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // It has logged its panic, if that is how it ended.
            let _ = thread.join();
        }
    }
}

impl Receiver {
    fn obey(&self, signal: i32) {
        match signal {
            SIGTERM | SIGINT => {
                let name = if signal == SIGTERM { "SIGTERM" } else { "SIGINT" };
                let wait = crate::config::show_time(self.drain_timeout);
                info!("{name}: no new connections, open ones have {wait} to finish; once more ends at once");
                self.tell(Command::Shutdown { wait: None }, name);
            }
            SIGHUP => {
                info!("SIGHUP: the log is reopened and the configuration read again");
                if let Err(error) = self.parts.log.reopen() {
                    error!("{error}; the log stays where it is");
                }
                if let Err(error) = self.parts.access.reopen() {
                    error!("{error}; the access log stays where it is");
                }
                self.tell(Command::Reload { confirm: None }, "SIGHUP");
            }
            SIGUSR1 => {
                self.parts.status.write_now();
                self.tell(Command::LogCounters, "SIGUSR1");
            }
            SIGUSR2 => self.tell(Command::LogLoops, "SIGUSR2"),
            other => warn!("signal {other} is not expected"),
        }
    }

    fn tell(&self, command: Command, signal: &str) {
        let request = Request::unanswered(command, Origin::new("the system", format!("signal {signal}")));
        if let Err(Request { command, .. }) = self.commands.post(request) {
            error!("{command:?} is not obeyed: the manager does not take commands");
        }
    }
}
