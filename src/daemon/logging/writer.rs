//! The thread that writes, and the queue before it.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_channel::{Receiver, Sender};
use log::warn;

use crate::model::limits::LOG_LINES_MAX;

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Item {
    /// Write this, a whole line.
    Line(Vec<u8>),
    /// Write to this file from now on; none: to standard error.
    Switch(Option<File>),
    /// Say when everything before this has been written.
    Flush(Sender<()>),
}

/// Lines that could not be queued or written.
#[derive(Debug, Default)]
pub(super) struct Lost(AtomicU64);

/// The end of the queue that lines go into. Writing to it never waits and never fails.
#[derive(Debug)]
pub(super) struct Queue {
    sender: Sender<Item>,
    lost: Arc<Lost>,
}

impl Queue {
    pub(super) const fn new(sender: Sender<Item>, lost: Arc<Lost>) -> Self {
        Self { sender, lost }
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.sender.try_send(Item::Line(line.to_vec())).is_err() {
            self.lost.0.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what comes out of the queue until nobody can put anything in any more.
pub(super) fn run(items: &Receiver<Item>, file: Option<File>, lost: &Lost) {
    let mut sink = Sink::new(file);
    for item in items {
        match item {
            Item::Line(line) => match sink.write(&line) {
                Ok(()) => tell_lost(items, lost),
                Err(_) => {
                    lost.0.fetch_add(1, Relaxed);
                }
            },
            Item::Switch(file) => sink = Sink::new(file),
            // Nobody waits any more: that is theirs to decide.
            Item::Flush(done) => drop(done.send(())),
        }
    }
}

/// Says how many lines are missing, once there is room for the line that says it.
fn tell_lost(items: &Receiver<Item>, lost: &Lost) {
    if lost.0.load(Relaxed) > 0 && items.len() < LOG_LINES_MAX / 2 {
        let count = lost.0.swap(0, Relaxed);
        warn!("{count} log lines were lost: the log could not be written, or not fast enough");
    }
}

/// Where lines end up.
struct Sink {
    target: Box<dyn Write>,
    /// The last line was written in part only.
    torn: bool,
}

impl Sink {
    fn new(file: Option<File>) -> Self {
        match file {
            Some(file) => Self { target: Box::new(file), torn: false },
            None => Self { target: Box::new(io::stderr()), torn: false },
        }
    }

    /// Writes a line, on a line of its own even after one that was cut off.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.target.write_all(b"\n")?;
            self.torn = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.target.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest = &rest[count..];
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use crossbeam_channel::bounded;

    use super::*;

    /// Answers each write as scripted: so many bytes taken, or disk full.
    struct Disk {
        answers: VecDeque<Option<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = match self.answers.pop_front() {
                Some(None) => return Err(io::ErrorKind::StorageFull.into()),
                Some(Some(count)) => count.min(bytes.len()),
                None => bytes.len(),
            };
            self.written.lock().unwrap().extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink(answers: &[Option<usize>]) -> (Sink, Arc<Mutex<Vec<u8>>>) {
        let written = Arc::new(Mutex::new(Vec::new()));
        let disk = Disk { answers: answers.iter().copied().collect(), written: Arc::clone(&written) };
        (Sink { target: Box::new(disk), torn: false }, written)
    }

    #[test]
    fn line_after_one_that_was_cut_off_starts_a_line() {
        let (mut sink, written) = sink(&[Some(2), None]);
        assert!(sink.write(b"first\n").is_err());
        sink.write(b"second\n").unwrap();
        assert_eq!(*written.lock().unwrap(), b"fi\nsecond\n");
    }

    #[test]
    fn line_taken_in_pieces_is_whole() {
        let (mut sink, written) = sink(&[Some(1), Some(2)]);
        sink.write(b"line\n").unwrap();
        sink.write(b"next\n").unwrap();
        assert_eq!(*written.lock().unwrap(), b"line\nnext\n");
    }

    #[test]
    fn full_queue_loses_lines_and_counts_them() {
        let (sender, receiver) = bounded(1);
        let lost = Arc::new(Lost::default());
        let mut queue = Queue::new(sender, Arc::clone(&lost));
        for _ in 0..3 {
            queue.write_all(b"line\n").unwrap();
        }
        assert_eq!(lost.0.load(Relaxed), 2);
        assert_eq!(receiver.len(), 1);
    }

    #[test]
    fn lines_before_a_switch_go_to_the_old_file_and_after_it_to_the_new() {
        let folder = std::env::temp_dir();
        let path = |name: &str| folder.join(format!("director-{}-{name}.log", std::process::id()));
        let (old, new) = (path("old"), path("new"));
        let (sender, receiver) = bounded(8);
        let (done, flushed) = bounded(1);
        sender.send(Item::Line(b"before\n".to_vec())).unwrap();
        sender.send(Item::Switch(Some(File::create(&new).unwrap()))).unwrap();
        sender.send(Item::Line(b"after\n".to_vec())).unwrap();
        sender.send(Item::Flush(done)).unwrap();
        drop(sender);
        run(&receiver, Some(File::create(&old).unwrap()), &Lost::default());
        assert!(flushed.try_recv().is_ok());
        let content = [&old, &new].map(|path| std::fs::read_to_string(path).unwrap());
        for path in [old, new] {
            std::fs::remove_file(path).unwrap();
        }
        assert_eq!(content, ["before\n", "after\n"]);
    }
}
