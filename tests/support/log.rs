//! The balancer's log: a thread reads it as it is written, and tests wait for lines.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::counters::Fields;

/// Lines read so far. Clones share them.
#[derive(Clone, Default)]
pub struct Log {
    lines: Arc<(Mutex<Vec<String>>, Condvar)>,
}

/// A place in the log: what came before it does not count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark(usize);

impl Log {
    /// Reads lines from here until it ends.
    pub fn read(source: impl Read + Send + 'static) -> Self {
        let log = Self::default();
        let writer = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(source).lines() {
                let Ok(line) = line else { return };
                writer.guard().push(line);
                writer.lines.1.notify_all();
            }
        });
        log
    }

    /// All lines.
    pub fn lines(&self) -> Vec<String> {
        self.guard().clone()
    }

    /// The present end.
    pub fn mark(&self) -> Mark {
        Mark(self.guard().len())
    }

    /// How many lines after the mark contain all parts; counters do not count.
    pub fn count(&self, after: Mark, parts: &[&str]) -> usize {
        self.guard()[after.0..].iter().filter(|line| has_all(line, parts)).count()
    }

    /// Waits until the lines after the mark satisfy `enough` and returns what it made of them.
    pub fn wait_for<T>(
        &self,
        after: Mark,
        within: Duration,
        mut enough: impl FnMut(&[String]) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + within;
        let mut lines = self.guard();
        loop {
            if let Some(found) = enough(&lines[after.0..]) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            lines = self.lines.1.wait_timeout(lines, left).expect("the log's lock").0;
        }
    }

    /// Waits for a line after the mark that contains all parts and is no counter.
    pub fn wait_for_line(&self, after: Mark, within: Duration, parts: &[&str]) -> Option<String> {
        self.wait_for(after, within, |lines| lines.iter().find(|line| has_all(line, parts)).cloned())
    }

    fn guard(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.0.lock().expect("the log's lock")
    }
}

fn has_all(line: &str, parts: &[&str]) -> bool {
    parts.iter().all(|part| line.contains(part)) && Fields::parse(line).is_none()
}
