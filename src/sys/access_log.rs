//! The way of access-log records from the reactors to the thread that writes them: a bounded queue a reactor, into which
//! its reactor puts without waiting, and which the writer empties. What finds no room is counted and dropped.
//!
//! The writer sleeps when there is nothing; who puts the first record in wakes it. While it is at work nobody has to.

use std::fmt;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded};
use mio::Waker;

use crate::model::access_log::{AccessCounts, Phase, Record};
use crate::model::limits::ACCESS_RECORDS_MAX;

/// What is told of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// Their start, too.
    pub start: bool,
    /// Those that last, this often.
    pub every: Option<Duration>,
}

/// The queues of all reactors. Nothing is in them, and none is allocated, until [`Self::tell`] is called.
#[derive(Default)]
pub struct AccessLogs {
    queues: Vec<Queue>,
    on: AtomicBool,
    start: AtomicBool,
    /// In milliseconds; 0: not.
    every_ms: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
    /// The writer sleeps, or is about to.
    asleep: AtomicBool,
    writer: OnceLock<Thread>,
    wakers: OnceLock<Vec<Arc<Waker>>>,
}

/// A queue. Its own reactor writes the counter.
#[derive(Default)]
#[repr(align(128))]
struct Queue {
    records: OnceLock<(Sender<Record>, Receiver<Record>)>,
    dropped: AtomicU64,
}

impl fmt::Debug for AccessLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogs").field("queues", &self.queues.len()).field("on", &self.on).finish_non_exhaustive()
    }
}

impl AccessLogs {
    /// Queues for so many reactors.
    #[must_use]
    pub fn new(reactors: usize) -> Self {
        Self { queues: (0..reactors).map(|_| Queue::default()).collect(), ..Self::default() }
    }

    /// Has this told from now on; none: nothing. Reactors that sleep are woken, because what they have open may be due.
    pub fn tell(&self, telling: Option<Telling>) {
        if let Some(Telling { start, every }) = telling {
            for queue in &self.queues {
                queue.records.get_or_init(|| bounded(ACCESS_RECORDS_MAX));
            }
            let every = every.map_or(0, |every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX).max(1));
            self.start.store(start, Relaxed);
            self.every_ms.store(every, Relaxed);
        }
        self.on.store(telling.is_some(), SeqCst);
        for waker in self.wakers.get().into_iter().flatten() {
            // A failed wake means a full eventfd counter, and then the reactor is being woken already.
            let _ = waker.wake();
        }
    }

    /// Whose polls are woken by [`Self::tell`]; once.
    pub fn wake_with(&self, wakers: Vec<Arc<Waker>>) {
        // There is one set of reactors; those of a second one would only learn of it at their next event.
        let _ = self.wakers.set(wakers);
    }

    /// What has become of the records so far.
    #[must_use]
    pub fn counts(&self) -> AccessCounts {
        AccessCounts {
            written: self.written.load(Relaxed),
            dropped: self.queues.iter().map(|queue| queue.dropped.load(Relaxed)).sum(),
            failed: self.failed.load(Relaxed),
        }
    }

    /// Counts lines that were written, and lines that their destination did not take.
    pub fn count(&self, written: u64, failed: u64) {
        self.written.fetch_add(written, Relaxed);
        self.failed.fetch_add(failed, Relaxed);
    }

    /// Makes the calling thread the one that [`Self::sleep`]s, and is woken; once.
    pub fn attend(&self) {
        // There is one writer.
        let _ = self.writer.set(thread::current());
    }

    /// Takes records out, of each queue at most `most`, the oldest first. Returns how many there were.
    pub fn take(&self, most: usize, mut each: impl FnMut(Record)) -> usize {
        let queues = self.queues.iter().filter_map(|queue| queue.records.get());
        queues.map(|(_, records)| records.try_iter().take(most).map(&mut each).count()).sum()
    }

    /// Sleeps until there is a record, somebody calls [`Self::wake`], or the time is over; none: without end.
    pub fn sleep(&self, longest: Option<Duration>) {
        self.asleep.store(true, SeqCst);
        fence(SeqCst);
        // Whoever put something in before the line above did not wake us.
        if self.is_empty() {
            match longest {
                Some(longest) => thread::park_timeout(longest),
                None => thread::park(),
            }
        }
        self.asleep.store(false, SeqCst);
    }

    /// Wakes the writer, or keeps it from the next sleep.
    pub fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    fn is_empty(&self) -> bool {
        self.queues.iter().filter_map(|queue| queue.records.get()).all(|(_, records)| records.is_empty())
    }
}

/// One reactor's end: the whole of what whoever moves bytes calls. None of it waits, allocates or formats.
#[derive(Clone, Debug)]
pub struct AccessLog {
    logs: Arc<AccessLogs>,
    reactor: usize,
}

impl AccessLog {
    /// The end of this reactor, by number.
    #[must_use]
    pub fn new(logs: &Arc<AccessLogs>, reactor: usize) -> Self {
        Self { logs: Arc::clone(logs), reactor }
    }

    /// Whether anything is told.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.logs.on.load(Relaxed) && self.reactor < self.logs.queues.len()
    }

    /// How often those that last are told; none: never.
    #[must_use]
    pub fn every(&self) -> Option<Duration> {
        let every = self.logs.every_ms.load(Relaxed);
        (self.is_on() && every > 0).then(|| Duration::from_millis(every))
    }

    /// Whether so much waits already that what can wait should.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        let records = self.logs.queues.get(self.reactor).and_then(|queue| queue.records.get());
        records.is_some_and(|(_, records)| records.len() > ACCESS_RECORDS_MAX / 2)
    }

    /// A host has accepted; told if starts are.
    pub fn started(&self, record: impl FnOnce() -> Record) {
        if self.is_on() && self.logs.start.load(Relaxed) {
            self.put(Record { phase: Phase::Started, ..record() });
        }
    }

    /// It lasts.
    pub fn ongoing(&self, record: Record) {
        self.put(Record { phase: Phase::Ongoing, ..record });
    }

    /// It has ended; its phase says how.
    pub fn ended(&self, record: Record) {
        debug_assert!(matches!(record.phase, Phase::Ended(..)), "the end of {:?}", record.phase);
        self.put(record);
    }

    fn put(&self, record: Record) {
        let Some(queue) = self.logs.queues.get(self.reactor) else { return };
        let Some((sender, _)) = queue.records.get() else { return };
        let record = Record { at: since_1970(), ..record };
        if sender.try_send(record).is_err() {
            queue.dropped.fetch_add(1, Relaxed);
            return;
        }
        fence(SeqCst);
        if self.logs.asleep.load(Relaxed) && self.logs.asleep.swap(false, SeqCst) {
            self.logs.wake();
        }
    }
}

/// The wall clock.
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::model::access_log::{By, Protocol};
    use crate::model::id::ServiceId;
    use crate::model::outcome::CloseReason;
    use crate::model::session::SessionName;

    fn record(slot: u32) -> Record {
        Record {
            phase: Phase::Ended(CloseReason::Finished, By::Client),
            at: Duration::ZERO,
            protocol: Protocol::Tcp,
            session: SessionName { reactor: 0, slot, generation: 1 },
            client: crate::model::address::Endpoint::Ip(([192, 0, 2, 1], 5000).into()),
            listen: None,
            service: ServiceId(0),
            host: None,
            retries: 0,
            up: 0,
            down: 0,
            queue: None,
            connect: None,
            first_byte: None,
            total: Duration::ZERO,
        }
    }

    const ALL: Option<Telling> = Some(Telling { start: true, every: Some(Duration::from_secs(1)) });

    #[test]
    fn nothing_is_told_until_it_is_asked_for() {
        let logs = Arc::new(AccessLogs::new(1));
        let log = AccessLog::new(&logs, 0);
        assert_eq!((log.is_on(), log.every()), (false, None));
        log.ended(record(1));
        assert_eq!((logs.take(9, |_| ()), logs.counts()), (0, AccessCounts::default()));
        logs.tell(ALL);
        assert_eq!((log.is_on(), log.every()), (true, Some(Duration::from_secs(1))));
        log.started(|| record(2));
        logs.tell(Some(Telling { start: false, every: None }));
        log.started(|| panic!("nobody wants to know"));
        log.ended(record(3));
        let mut seen = Vec::new();
        logs.take(9, |record| seen.push((record.phase.name(), record.session.slot)));
        assert_eq!(seen, [("start", 2), ("end", 3)]);
    }

    #[test]
    fn full_queue_drops_and_counts_and_the_others_are_not_touched() {
        let logs = Arc::new(AccessLogs::new(2));
        logs.tell(ALL);
        let log = AccessLog::new(&logs, 0);
        for slot in 0..u32::try_from(ACCESS_RECORDS_MAX).unwrap() + 3 {
            log.ended(record(slot));
        }
        assert!(log.is_crowded() && !AccessLog::new(&logs, 1).is_crowded());
        assert_eq!(logs.counts().dropped, 3);
        AccessLog::new(&logs, 1).ended(record(7));
        assert_eq!(logs.take(usize::MAX, |_| ()), ACCESS_RECORDS_MAX + 1);
    }

    #[test]
    fn writer_that_sleeps_is_woken_by_each_first_record() {
        let logs = Arc::new(AccessLogs::new(1));
        logs.tell(ALL);
        let (said, heard) = channel();
        let own = Arc::clone(&logs);
        let writer = thread::spawn(move || {
            own.attend();
            let mut seen = 0;
            while seen < 1000 {
                let now = own.take(16, |_| ());
                seen += now;
                if now > 0 {
                    said.send(()).unwrap();
                } else {
                    own.sleep(None);
                }
            }
        });
        let log = AccessLog::new(&logs, 0);
        for slot in 0..1000 {
            log.ended(record(slot));
            heard.recv_timeout(Duration::from_secs(60)).expect("it sleeps on");
        }
        writer.join().unwrap();
    }
}
