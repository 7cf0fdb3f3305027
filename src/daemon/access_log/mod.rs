//! The access log: a line a connection or flow, written by a thread of its own.
//!
//! Reactors put records into queues ([`crate::sys::access`]) and never wait. The thread gives them names, makes lines of
//! them, and writes those to a file, to syslog or as datagrams. A destination that is slow or stuck fills the queues, and
//! what then finds no room is counted; one that refuses costs the lines that it refuses.

mod line;
mod loss;
mod names;
mod target;
mod writer;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use log::{error, info};

use crate::config::{AccessLog, LogTarget};
use crate::model::access_log::AccessCounts;
use crate::model::id::HostId;
use crate::model::service::ServiceSpec;
use crate::sys::access_log::{AccessLogs, Telling};
use names::Names;
use target::Target;
use writer::{Control, Writer};

/// How long the end of the process waits for a destination that has stalled.
const STALLED_MAX: Duration = Duration::from_secs(1);
/// Orders that the thread may have before it.
const CONTROLS_MAX: usize = 16;

/// The access log of this process.
pub(super) struct Access {
    logs: Arc<AccessLogs>,
    names: Arc<Mutex<Names>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<AccessLog>,
    next: Next,
    /// Of the thread, once there is one.
    controls: Option<Sender<Control>>,
}

/// What a reload asks for, open already, so that changing to it cannot fail.
#[derive(Default)]
enum Next {
    #[default]
    Same,
    None,
    /// The target, unless it stays.
    Other(AccessLog, Option<Target>),
}

/// An access log that cannot be had.
#[derive(Debug)]
pub(super) struct AccessError {
    what: String,
    source: io::Error,
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.what, self.source)
    }
}

impl Access {
    /// One for so many reactors, which tells nothing yet.
    pub(super) fn new(reactors: usize) -> Self {
        Self { logs: Arc::new(AccessLogs::new(reactors)), names: Arc::default(), state: Mutex::default() }
    }

    /// What the reactors need.
    pub(super) const fn logs(&self) -> &Arc<AccessLogs> {
        &self.logs
    }

    /// What became of the records so far; none: there is no log, and never was one.
    pub(super) fn counts(&self) -> Option<AccessCounts> {
        self.state().controls.is_some().then(|| self.logs.counts())
    }

    /// Learns the names of a service and its hosts, before any reactor knows them.
    pub(super) fn learn(&self, spec: &ServiceSpec, place: &dyn Fn(HostId) -> (String, String)) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).learn(spec, place);
    }

    /// Opens what a configuration asks for, without writing to it yet.
    ///
    /// # Errors
    /// It cannot be opened, or there is no thread; nothing has changed.
    pub(super) fn prepare(&self, wanted: Option<&AccessLog>) -> Result<(), AccessError> {
        let mut state = self.state();
        state.next = match wanted {
            _ if state.current.as_ref() == wanted => Next::Same,
            None => Next::None,
            Some(log) => {
                let stays = state.current.as_ref().is_some_and(|current| current.to == log.to);
                let target = if stays { None } else { Some(open(&log.to)?) };
                if state.controls.is_none() {
                    state.controls = Some(self.start()?);
                }
                Next::Other(log.clone(), target)
            }
        };
        Ok(())
    }

    /// Goes on with what was prepared.
    pub(super) fn commit(&self) {
        let mut state = self.state();
        match std::mem::take(&mut state.next) {
            Next::Same => return,
            Next::None => {
                self.logs.tell(None);
                self.order(&state, Control::Close);
                state.current = None;
                info!("there is no access log any more");
            }
            Next::Other(log, target) => {
                info!("the access log goes to {}", log.to);
                self.order(&state, Control::Set(log.format, target));
                self.logs.tell(Some(Telling { start: log.start, every: log.every }));
                state.current = Some(log);
            }
        }
        drop(state);
    }

    /// Opens the present destination anew, because a file was renamed by whoever rotates logs.
    ///
    /// # Errors
    /// It cannot be opened; the log goes on where it was.
    pub(super) fn reopen(&self) -> Result<(), AccessError> {
        let state = self.state();
        if let Some(current) = &state.current {
            let target = open(&current.to)?;
            self.order(&state, Control::Set(current.format, Some(target)));
        }
        Ok(())
    }

    /// Has everything written that was told so far, but does not wait for a destination that has stalled.
    pub(super) fn finish(&self) {
        let (done, finished) = bounded(1);
        self.order(&self.state(), Control::Finish(done));
        // Whether or not it was written in time, the process ends.
        let _ = finished.recv_timeout(STALLED_MAX);
    }

    fn order(&self, state: &State, control: Control) {
        let Some(controls) = &state.controls else { return };
        if controls.try_send(control).is_err() {
            error!("the access log stays as it is: its writer has stalled");
        }
        self.logs.wake();
    }

    fn start(&self) -> Result<Sender<Control>, AccessError> {
        let (sender, controls) = bounded(CONTROLS_MAX);
        let writer = Writer::new(Arc::clone(&self.logs), Arc::clone(&self.names));
        let thread = thread::Builder::new().name(String::from("access-log"));
        let failed = |source| AccessError { what: String::from("start the access log's thread"), source };
        thread.spawn(move || writer.run(&controls)).map_err(failed)?;
        Ok(sender)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(to: &LogTarget) -> Result<Target, AccessError> {
    Target::open(to).map_err(|source| AccessError { what: format!("open the access log {to}"), source })
}
