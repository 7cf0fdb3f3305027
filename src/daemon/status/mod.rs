//! The status page in a file: written when somebody asks (`SIGUSR1`) and at an interval, by a thread of its own, from
//! what the administration page shows. Who reads the file sees one page or the next, never a part of one.

mod page;
mod replace;

use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use log::{error, info, warn};

use crate::admin::Desk;
use crate::config::StatusFile;
use crate::model::command::{Command, Origin, Reply};
use crate::model::limits::REPLY_WAIT;
use crate::model::snapshot::Snapshot;

/// Requests that the thread may have before it; one that finds no room would make no other page.
const ASKED_MAX: usize = 4;

/// The status page of this process.
pub(super) struct Status {
    desk: Desk,
    /// Where the configuration does not say.
    usual: Option<StatusFile>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    wanted: Option<StatusFile>,
    /// Of the thread, once there is one.
    asked: Option<Sender<Asked>>,
}

enum Asked {
    /// Write one now.
    Now,
    /// Write this one from now on.
    Wanted(Option<StatusFile>),
}

impl Status {
    /// One that is written nowhere yet.
    pub(super) fn new(desk: Desk, usual: Option<PathBuf>) -> Self {
        let usual = usual.map(|file| StatusFile { file, interval: None });
        Self { desk, usual, state: Mutex::default() }
    }

    /// Writes it there from now on; none: where the command line says.
    pub(super) fn want(&self, wanted: Option<&StatusFile>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = wanted.or(self.usual.as_ref());
        if state.wanted.as_ref() == wanted {
            return;
        }
        state.wanted = wanted.cloned();
        if state.asked.is_none() {
            let (asked, requests) = bounded(ASKED_MAX);
            let desk = self.desk.clone();
            let thread = thread::Builder::new().name(String::from("status"));
            match thread.spawn(move || run(&desk, &requests)) {
                Ok(_) => state.asked = Some(asked),
                Err(error) => {
                    return error!("the status page is not written, because its thread cannot start: {error}");
                }
            }
        }
        if let Some(asked) = &state.asked
            && asked.try_send(Asked::Wanted(state.wanted.clone())).is_err()
        {
            error!("the status page stays as it is: its thread has stalled");
        }
    }

    /// Writes one now, if there is a place for it.
    pub(super) fn write_now(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(_), Some(asked)) = (&state.wanted, &state.asked) {
            // Several that wait would write the same page.
            let _ = asked.try_send(Asked::Now);
        }
    }
}

/// The thread. It ends when nobody can ask it for anything any more.
fn run(desk: &Desk, requests: &Receiver<Asked>) {
    let mut wanted: Option<StatusFile> = None;
    let mut failed = false;
    let mut next: Option<Instant> = None;
    loop {
        let asked = match next {
            Some(at) => requests.recv_deadline(at),
            None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match asked {
            Ok(Asked::Wanted(other)) => {
                if let Some(StatusFile { file, .. }) = &other {
                    info!("the status page is written to {}", file.display());
                }
                (wanted, failed) = (other, false);
                if wanted.as_ref().and_then(|wanted| wanted.interval).is_none() {
                    next = None;
                    continue;
                }
            }
            Ok(Asked::Now) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let Some(StatusFile { file, interval }) = &wanted else { continue };
        let written = snapshot(desk).and_then(|snapshot| {
            let text = page::page(&snapshot, SystemTime::now());
            replace::replace(file, text.as_bytes()).map_err(|error| error.to_string())
        });
        if let Err(error) = &written
            && !failed
        {
            warn!("the status page {} is not written: {error}", file.display());
        }
        failed = written.is_err();
        next = interval.map(|interval| Instant::now() + interval);
    }
}

fn snapshot(desk: &Desk) -> Result<Arc<Snapshot>, String> {
    let (sender, receiver) = sync_channel(1);
    let origin = Origin::new("the system", "status page");
    // Nobody waits any more: that is for the waiting side to tell.
    desk.ask(Command::Snapshot, origin, move |reply| drop(sender.try_send(reply)));
    match receiver.recv_timeout(REPLY_WAIT) {
        Ok(Reply::Snapshot(snapshot)) => Ok(snapshot),
        Ok(other) => Err(format!("an unexpected reply: {other:?}")),
        Err(_) => Err(String::from("the manager did not answer in time")),
    }
}
