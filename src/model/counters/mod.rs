//! Counters that every thread may read at any time: relaxed atomics, one writer or a bounded number of them.
//!
//! They outlive publications and reloads, so a host's numbers go on when its specification is replaced.

mod datagrams;
mod reactor;

pub use datagrams::DatagramCounters;
pub use reactor::ReactorCounters;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::histogram::SharedHistogram;
use super::outcome::CloseReason;
use super::time::Moment;

/// One host's counters and the suspicion of it that all reactors share. In cache lines of its own,
/// apart from those of the histograms.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct HostCounters {
    open: AtomicU32,
    connect_micros: AtomicU32,
    suspected_until: AtomicU64,
    /// Connections established.
    pub established: AtomicU64,
    /// Connects that failed for a reason of the host's.
    pub failed: AtomicU64,
    /// Bytes from clients to the host. Those of the last moment are still to be told, see
    /// [`super::limits::TELL_AFTER`]; exact when the sessions have ended.
    pub bytes_up: AtomicU64,
    /// Bytes from the host to clients, as `bytes_up`.
    pub bytes_down: AtomicU64,
    /// The group's ticket when a connection last closed; see [`super::rotation::Rotation::next_ticket`].
    pub closed_ticket: AtomicU64,
    /// How long each established connection took from the begin of its connect; probes are not counted.
    pub connect_times: SharedHistogram<6, 18>,
    /// How long established connections lasted until they ended; those of a reactor that panicked are not told.
    pub lifetimes: SharedHistogram<10, 24>,
}

impl HostCounters {
    /// Connections to the host, those that are still connecting included.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }

    /// Takes a place at the host unless `max` are taken. Exact over all threads.
    pub fn try_open(&self, max: Option<u32>) -> bool {
        let Some(max) = max else {
            self.open.fetch_add(1, Relaxed);
            return true;
        };
        self.open.fetch_update(Relaxed, Relaxed, |open| (open < max).then_some(open + 1)).is_ok()
    }

    /// Takes a place only if exactly `seen` are taken: the choice made at that number is then still right.
    pub fn try_open_at(&self, seen: u32) -> bool {
        self.open.compare_exchange(seen, seen.saturating_add(1), Relaxed, Relaxed).is_ok()
    }

    /// Gives a place back. Returns how many were taken before.
    pub fn close(&self) -> u32 {
        let before = self.open.fetch_sub(1, Relaxed);
        debug_assert!(before > 0, "a host's open count went below zero");
        before
    }

    /// Sets the suspicion of this host, because it failed; it ends at `until`. Returns whether it is new.
    pub fn suspect(&self, now: Moment, until: Moment) -> bool {
        !is_after(self.suspected_until.swap(until.as_micros() | FAILED, Relaxed), now)
    }

    /// As [`Self::suspect`], because it is slow. If it has failed, too, that stays known.
    pub fn suspect_slow(&self, now: Moment, until: Moment) -> bool {
        let known = self.suspected_until.load(Relaxed);
        let failed = if is_after(known, now) { known & FAILED } else { 0 };
        !is_after(self.suspected_until.swap(until.as_micros() & !FAILED | failed, Relaxed), now)
    }

    /// Ends the suspicion. Returns whether there was one.
    pub fn clear_suspicion(&self) -> bool {
        self.suspected_until.load(Relaxed) != 0 && self.suspected_until.swap(0, Relaxed) != 0
    }

    /// Whether a reactor saw this host fail or be slow, and nothing has shown otherwise since.
    #[must_use]
    pub fn is_suspected(&self, now: Moment) -> bool {
        is_after(self.suspected_until.load(Relaxed), now)
    }

    /// Whether a reactor saw this host fail, and nothing has shown otherwise since.
    #[must_use]
    pub fn has_failed(&self, now: Moment) -> bool {
        let known = self.suspected_until.load(Relaxed);
        known & FAILED != 0 && is_after(known, now)
    }

    /// Takes the time of a successful connect into the smoothed one (weight 1/8, as TCP does with its round trip).
    pub fn record_connect(&self, took: Duration) {
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        let old = self.connect_micros.load(Relaxed);
        let new = if old == 0 { took } else { old - old / 8 + took / 8 };
        self.connect_micros.store(new, Relaxed);
    }

    /// The usual time of a connect; zero when none has succeeded.
    #[must_use]
    pub fn connect_time(&self) -> Duration {
        Duration::from_micros(u64::from(self.connect_micros.load(Relaxed)))
    }
}

/// One service's counters over all reactors.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ServiceCounters {
    /// Open sessions, waiting and connecting ones included.
    pub open: AtomicU32,
    /// Clients that wait for a host with room.
    pub waiting: AtomicU32,
    /// Clients accepted.
    pub accepted: AtomicU64,
    /// Attempts after the first that clients needed.
    pub retries: AtomicU64,
    closed: [AtomicU64; CloseReason::COUNT],
    /// How long a client waited from its accept until a host had accepted it, all attempts and queueing together. One
    /// that was moved on from a host that went away unused counts again.
    pub waits: SharedHistogram<6, 18>,
}

impl ServiceCounters {
    /// Counts a closed session.
    pub fn count_closed(&self, reason: CloseReason) {
        self.closed[reason.index()].fetch_add(1, Relaxed);
    }

    /// Sessions closed for this reason.
    #[must_use]
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed[reason.index()].load(Relaxed)
    }

    /// Sessions closed, by [`CloseReason::index`].
    #[must_use]
    pub fn closed_by_reason(&self) -> [u64; CloseReason::COUNT] {
        std::array::from_fn(|index| self.closed[index].load(Relaxed))
    }

    /// All sessions closed.
    #[must_use]
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().map(|n| n.load(Relaxed)).sum()
    }
}

/// One listen address's counters over all reactors.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ListenerCounters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Errors of accept that cost one connection attempt and nothing else.
    pub accept_errors: AtomicU64,
}

/// The bit of a suspicion that tells a failure from slowness. A microsecond more or less is nothing.
const FAILED: u64 = 1;

const fn is_after(suspected_until: u64, now: Moment) -> bool {
    suspected_until & !FAILED > now.as_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_at_max_refuses_until_a_place_is_given_back() {
        let host = HostCounters::default();
        assert!(host.try_open(Some(1)));
        assert!(!host.try_open(Some(1)));
        host.close();
        assert!(host.try_open(Some(1)));
    }

    #[test]
    fn host_opened_at_a_stale_count_is_refused() {
        let host = HostCounters::default();
        assert!(host.try_open_at(0));
        assert!(!host.try_open_at(0));
        assert_eq!(host.open(), 1);
    }

    #[test]
    fn suspicion_ends_by_itself() {
        let host = HostCounters::default();
        let (now, until) = (Moment::from_millis(10), Moment::from_millis(20));
        assert!(host.suspect(now, until), "the first is new");
        assert!(!host.suspect(now, until), "the second is not");
        assert!(host.is_suspected(now));
        assert!(!host.is_suspected(until));
        assert!(host.clear_suspicion());
        assert!(!host.clear_suspicion());
    }

    #[test]
    fn slowness_is_no_failure_and_hides_none() {
        let host = HostCounters::default();
        let (now, until) = (Moment::from_millis(10), Moment::from_millis(20));
        assert!(host.suspect_slow(now, until));
        assert_eq!((host.is_suspected(now), host.has_failed(now)), (true, false));
        assert!(!host.suspect(now, until));
        assert!(!host.suspect_slow(now, until));
        assert!(host.has_failed(now) && !host.has_failed(until));
        assert!(host.suspect_slow(until, Moment::from_millis(30)));
        assert!(!host.has_failed(until), "that is over");
    }

    #[test]
    fn connect_time_follows_slowly() {
        let host = HostCounters::default();
        host.record_connect(Duration::from_micros(800));
        host.record_connect(Duration::from_micros(1600));
        assert_eq!(host.connect_time(), Duration::from_micros(900));
    }
}
