//! The log: lines are made where something happens and written by a thread of their own.
//!
//! Whoever logs never waits: a full disk, a closed pipe or a reader that has stalled costs lines, which are counted and
//! told of later, and nothing else. The target can be changed and reopened while the process runs.

mod format;
mod writer;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use env_logger::{Builder, Logger, Target};
use log::{LevelFilter, Metadata, Record, error, info};

pub(super) use format::{Format, push_json, steers};
use writer::{Item, Lost, Queue};

use crate::model::limits::LOG_LINES_MAX;

/// How long the end of the process, or a change of the log file, waits for a writer that has stalled.
const STALLED_MAX: Duration = Duration::from_secs(1);

/// The log of this process.
#[derive(Debug)]
pub(super) struct Log {
    queue: Sender<Item>,
    /// Where lines go now, and where they go once the next reload has succeeded.
    files: Mutex<Files>,
    /// As a number, what is logged.
    level: Arc<AtomicUsize>,
}

/// Lets those lines through that the level allows, and those that somebody asked for: counters, and what operators did.
struct Gate {
    inner: Logger,
    level: Arc<AtomicUsize>,
}

impl log::Log for Gate {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let asked = ["director::counters", "director::audit"].contains(&metadata.target());
        asked || metadata.level() as usize <= self.level.load(Relaxed)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.inner.log(record);
        }
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

#[derive(Debug)]
struct Files {
    current: Option<PathBuf>,
    next: Option<Opened>,
}

/// A log target that is open already, so that changing to it cannot fail.
#[derive(Debug)]
struct Opened {
    path: Option<PathBuf>,
    file: Option<File>,
}

/// A log that cannot be written.
#[derive(Debug)]
pub(super) struct LogError {
    /// What could not be done.
    what: String,
    source: io::Error,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.what, self.source)
    }
}

impl Log {
    /// Opens the file, or takes standard error, and makes it the target of everything this process logs. Once only.
    ///
    /// # Errors
    /// The file cannot be opened, or the writer's thread cannot be made.
    pub(super) fn start(path: Option<&Path>, level: LevelFilter, format: Format) -> Result<Self, LogError> {
        let Opened { path, file } = Opened::open(path)?;
        let lost = Arc::new(Lost::default());
        let (queue, lines) = bounded(LOG_LINES_MAX);
        let own = Arc::clone(&lost);
        thread::Builder::new()
            .name(String::from("log"))
            .spawn(move || writer::run(&lines, file, &own))
            .map_err(|source| LogError { what: String::from("start the log's thread"), source })?;
        let mut builder = Builder::new();
        // What is logged is for the gate to say, because that can be changed while the process runs.
        builder.filter_module("director", LevelFilter::Trace);
        builder.target(Target::Pipe(Box::new(Queue::new(queue.clone(), lost))));
        builder.format(move |line, record| {
            let time = line.timestamp_millis();
            let message = record.args().to_string();
            line.write_all(format.line(&time, record.level(), record.target(), &message).as_bytes())
        });
        let log = Self { queue, files: Mutex::new(Files { current: path, next: None }), level: Arc::default() };
        log.pass_from(level);
        // An earlier logger stays, and this one then has nothing to write.
        let _ = log::set_boxed_logger(Box::new(Gate { inner: builder.build(), level: Arc::clone(&log.level) }));
        Ok(log)
    }

    /// Whether lines go to standard error.
    pub(super) fn is_stderr(&self) -> bool {
        self.files().current.is_none()
    }

    /// Logs from this level on.
    ///
    /// # Errors
    /// There is no level of that name.
    pub(super) fn set_level(&self, name: &str) -> Result<(), String> {
        let level = name.parse().ok().filter(|level| *level != LevelFilter::Off);
        self.pass_from(
            level.ok_or_else(|| format!("unknown level {name:?}, expected error, warn, info, debug or trace"))?,
        );
        Ok(())
    }

    fn pass_from(&self, level: LevelFilter) {
        self.level.store(level as usize, Relaxed);
        log::set_max_level(level.max(LevelFilter::Info));
    }

    /// Opens the present file anew, because it was renamed by whoever rotates logs.
    ///
    /// # Errors
    /// It cannot be opened; the log goes on where it was.
    pub(super) fn reopen(&self) -> Result<(), LogError> {
        let current = self.files().current.clone();
        let opened = Opened::open(current.as_deref())?;
        self.switch(opened);
        Ok(())
    }

    /// Opens the target that a reload asks for, without writing to it yet.
    ///
    /// # Errors
    /// It cannot be opened; nothing has changed.
    pub(super) fn prepare(&self, path: Option<&Path>) -> Result<(), LogError> {
        let next = if self.files().current.as_deref() == path { None } else { Some(Opened::open(path)?) };
        self.files().next = next;
        Ok(())
    }

    /// Goes on to the prepared target, if that is another one.
    pub(super) fn commit(&self) {
        let next = self.files().next.take();
        if let Some(next) = next {
            let place = next.path.as_deref().map_or_else(|| "standard error".into(), Path::to_string_lossy);
            info!("the log goes on in {place}");
            self.files().current.clone_from(&next.path);
            self.switch(next);
        }
    }

    /// Waits until everything logged so far has been written, but not for a writer that has stalled.
    pub(super) fn flush(&self) {
        let (done, written) = bounded(1);
        if self.queue.send_timeout(Item::Flush(done), STALLED_MAX).is_ok() {
            // Whether or not it was written in time, the caller goes on.
            let _ = written.recv_timeout(STALLED_MAX);
        }
    }

    fn switch(&self, opened: Opened) {
        if self.queue.send_timeout(Item::Switch(opened.file), STALLED_MAX).is_err() {
            error!("the log stays where it is: its writer has stalled");
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    fn open(path: Option<&Path>) -> Result<Self, LogError> {
        let Some(path) = path else { return Ok(Self { path: None, file: None }) };
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|source| LogError { what: format!("open the log file {}", path.display()), source })?;
        Ok(Self { path: Some(path.to_owned()), file: Some(file) })
    }
}

/// Makes a panic of any thread one line of the log.
pub(super) fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let message = info.payload_as_str().unwrap_or("no message");
        match info.location() {
            Some(place) => error!("thread {name} panicked at {}:{}: {message}", place.file(), place.line()),
            None => error!("thread {name} panicked: {message}"),
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_file_that_cannot_be_opened_is_told_with_its_path_and_the_reason() {
        let error = Opened::open(Some(Path::new("/nowhere/at/all.log"))).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("could not open the log file /nowhere/at/all.log: No such file"), "{message}");
    }
}
