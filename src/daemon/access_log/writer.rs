//! The thread that writes.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::line::Lines;
use super::loss::Loss;
use super::names::Names;
use super::target::Target;
use crate::config::LineFormat;
use crate::model::limits::ACCESS_RECORDS_MAX;
use crate::sys::access_log::AccessLogs;

/// Records that are taken out of each queue at a time.
const TAKEN_MAX: usize = 256;
/// Bytes of lines that wait to be written before no more are made.
const PENDING_BYTES_MAX: usize = 64 * 1024;
/// Time for records to gather while there are some, so that a write is worth it.
const GATHER: Duration = Duration::from_millis(5);
/// Longest time between attempts to write to what takes nothing; the first is [`GATHER`], each twice the one before.
const STUCK_MAX: Duration = Duration::from_millis(100);

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Control {
    /// Lines look like this, and go there from now on; no target: where they went.
    Set(LineFormat, Option<Target>),
    /// Write what there is, and no more.
    Close,
    /// Write what there is and say so.
    Finish(Sender<()>),
}

/// Lines on their way to a destination.
pub(super) struct Writer {
    logs: Arc<AccessLogs>,
    names: Arc<Mutex<Names>>,
    lines: Lines,
    format: LineFormat,
    pending: Pending,
    loss: Loss,
    /// The last attempt to write has written something.
    moves: bool,
}

/// Lines that are made and not written.
#[derive(Default)]
pub(super) struct Pending {
    target: Option<Target>,
    text: String,
    /// Where each line ends in the text, its line feed included.
    ends: std::collections::VecDeque<usize>,
    /// Bytes of the text that are written.
    done: usize,
}

/// What an attempt to write came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Lines written.
    pub(super) written: u64,
    /// Lines given up, and why.
    pub(super) failed: u64,
    pub(super) error: Option<std::io::Error>,
    /// The rest has to wait.
    pub(super) is_blocked: bool,
}

impl Writer {
    pub(super) fn new(logs: Arc<AccessLogs>, names: Arc<Mutex<Names>>) -> Self {
        let (lines, pending, loss) = (Lines::default(), Pending::default(), Loss::default());
        Self { logs, names, lines, format: LineFormat::Text, pending, loss, moves: false }
    }

    /// The thread.
    pub(super) fn run(mut self, controls: &Receiver<Control>) {
        self.logs.attend();
        let mut pause = GATHER;
        loop {
            while let Ok(control) = controls.try_recv() {
                self.obey(control);
            }
            let taken = self.make_lines();
            let (blocked, moves) = (self.write(), self.moves);
            self.loss.tell(Instant::now(), self.logs.counts());
            pause = if blocked && !moves { (pause * 2).min(STUCK_MAX) } else { GATHER };
            if blocked || (taken > 0 && taken < TAKEN_MAX) {
                // A control ends this early.
                thread::park_timeout(pause);
            } else if taken == 0 && controls.is_empty() {
                self.logs.sleep(self.loss.next_look(Instant::now()));
            }
        }
    }

    fn obey(&mut self, control: Control) {
        match control {
            Control::Set(format, target) => {
                // What was told before goes where it went, as far as that takes it now.
                self.write_queued();
                self.format = format;
                if let Some(target) = target {
                    self.switch(Some(target));
                }
            }
            Control::Close => {
                self.write_all(Instant::now());
                self.switch(None);
            }
            Control::Finish(done) => {
                self.write_all(Instant::now() + super::STALLED_MAX);
                self.loss.tell_all(self.logs.counts());
                // Nobody waits any more: that is theirs to decide.
                let _ = done.send(());
            }
        }
    }

    /// Writes what was in the queues when it began, as far as the destination takes it now. What comes meanwhile may be
    /// among it.
    fn write_queued(&mut self) {
        for _ in 0..=ACCESS_RECORDS_MAX / TAKEN_MAX {
            let taken = self.make_lines();
            if self.write() || taken == 0 {
                return;
            }
        }
    }

    /// Writes everything that was told so far, again and again until then while the destination takes nothing.
    fn write_all(&mut self, until: Instant) {
        loop {
            let taken = self.make_lines();
            let blocked = self.write();
            if blocked && Instant::now() < until {
                thread::park_timeout(GATHER);
            } else if blocked || taken == 0 {
                return;
            }
        }
    }

    /// Makes lines of records. Returns how many.
    fn make_lines(&mut self) -> usize {
        let Self { logs, names, lines, format, pending, .. } = self;
        if pending.text.len() - pending.done >= PENDING_BYTES_MAX {
            return 0;
        }
        let names = names.lock().unwrap_or_else(PoisonError::into_inner);
        logs.take(TAKEN_MAX, |record| pending.add(|text| lines.push(text, *format, &record, &names)))
    }

    /// Writes lines. Returns whether some have to wait.
    fn write(&mut self) -> bool {
        let outcome = self.pending.write();
        self.logs.count(outcome.written, outcome.failed);
        self.loss.note(&outcome);
        self.moves = outcome.written > 0;
        outcome.is_blocked
    }

    /// Goes on to another destination. Lines that the old one did not take in time go to the new one; the rest of one
    /// that it has a part of goes nowhere, unless both are the same pipe or file.
    fn switch(&mut self, target: Option<Target>) {
        let same = self.pending.target.as_ref().zip(target.as_ref()).is_some_and(|(old, new)| old.is_same(new));
        if !same {
            let torn = self.pending.drop_torn();
            self.logs.count(0, torn);
        }
        self.pending.target = target;
    }
}

impl Pending {
    fn add(&mut self, make: impl FnOnce(&mut String)) {
        make(&mut self.text);
        self.text.push('\n');
        self.ends.push_back(self.text.len());
    }

    /// Writes as much as the destination takes. Lines that it refuses are given up, but the rest of a line that it has
    /// begun to take is kept and comes first at the next attempt, so that there is never a part of a line.
    fn write(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        while self.done < self.text.len() {
            let Some(target) = &mut self.target else {
                outcome.failed += self.give_up();
                break;
            };
            let whole = target.is_stream();
            let line_end = self.ends.front().copied().unwrap_or(self.text.len());
            let piece = if whole { self.done..self.text.len() } else { self.done..line_end - 1 };
            match target.write(&self.text.as_bytes()[piece.clone()]) {
                Ok(0) => {
                    outcome.error = Some(ErrorKind::WriteZero.into());
                    outcome.failed += self.give_up();
                    break;
                }
                // A datagram goes as a whole.
                Ok(count) => self.done = if whole { self.done + count } else { line_end },
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    outcome.is_blocked = true;
                    break;
                }
                Err(error) => {
                    outcome.error = Some(error);
                    if whole {
                        outcome.failed += self.give_up();
                        break;
                    }
                    // Others may go: this one may be too long.
                    outcome.failed += 1;
                    self.done = line_end;
                    self.ends.pop_front();
                }
            }
            outcome.written += self.count_done();
        }
        self.compact();
        outcome
    }

    /// Takes the lines out that are written.
    fn count_done(&mut self) -> u64 {
        let mut count = 0;
        while self.ends.front().is_some_and(|end| *end <= self.done) {
            self.ends.pop_front();
            count += 1;
        }
        count
    }

    /// Drops all lines of which nothing is written. Returns how many.
    fn give_up(&mut self) -> u64 {
        let begun =
            self.text.as_bytes().get(..self.done).and_then(|done| done.last()).is_some_and(|last| *last != b'\n');
        let kept = usize::from(begun);
        let dropped = self.ends.len().saturating_sub(kept);
        self.ends.truncate(kept);
        self.text.truncate(self.ends.back().copied().unwrap_or(self.done));
        dropped as u64
    }

    /// Drops the rest of a line of which a part is written. Returns how many there were.
    fn drop_torn(&mut self) -> u64 {
        let begun =
            self.text.as_bytes().get(..self.done).and_then(|done| done.last()).is_some_and(|last| *last != b'\n');
        let Some(end) = self.ends.front().copied().filter(|_| begun) else { return 0 };
        self.ends.pop_front();
        self.done = end;
        self.compact();
        1
    }

    /// Forgets what is written, except as much as tells whether a line is begun.
    fn compact(&mut self) {
        if self.done >= self.text.len() {
            self.text.clear();
            self.done = 0;
        } else if self.done > 1 {
            let gone = self.text.floor_char_boundary(self.done - 1);
            self.text.drain(..gone);
            self.done -= gone;
            self.ends.iter_mut().for_each(|end| *end -= gone);
        }
    }
}
