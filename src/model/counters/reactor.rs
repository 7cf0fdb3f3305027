//! What one reactor counts of itself.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::datagrams::DatagramCounters;
use crate::model::histogram::Histogram;
use crate::model::snapshot::{Counts, ReactorView};

/// One reactor's counters; only its own thread writes them.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ReactorCounters {
    /// Turns of the loop, over all its lives.
    pub turns: AtomicU64,
    /// How long turns took: from the wake to the next wait.
    pub turn_time: Histogram,
    /// Events that the kernel had for the turns.
    pub events: AtomicU64,
    /// Most events of a turn.
    pub events_peak: AtomicU32,
    /// Updates of the manager that it has taken over.
    pub mail_read: AtomicU64,
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections accepted and handed to another reactor.
    pub handed_over: AtomicU64,
    /// Connections that were asked which processor their packets arrive on: one in [`crate::model::limits::ARRIVAL_SAMPLE`].
    pub arrivals_sampled: AtomicU64,
    /// Those of them whose packets arrived on another processor than the reactor's.
    pub packets_elsewhere: AtomicU64,
    /// Open pairs.
    pub open: AtomicU32,
    /// Times that accepting paused.
    pub accept_pauses: AtomicU64,
    /// Errors of accept that cost one connection attempt and nothing else.
    pub accept_errors: AtomicU64,
    /// Times that a direction used up its byte budget.
    pub budget_spent: AtomicU64,
    /// Buffers leased at the moment.
    pub buffers: AtomicU32,
    /// Most buffers leased at the end of a turn.
    pub buffers_peak: AtomicU32,
    /// Bytes moved through a buffer.
    pub bytes_copied: AtomicU64,
    /// Bytes moved through a pipe.
    pub bytes_spliced: AtomicU64,
    /// Pipes at the moment, free ones included.
    pub pipes: AtomicU32,
    /// Of datagrams.
    pub datagrams: DatagramCounters,
    /// Reports that the manager had no room for.
    pub reports_dropped: AtomicU64,
    /// Times that the thread panicked and was started afresh.
    pub panics: AtomicU64,
    /// Times that the loop found itself frozen (stopped, suspended, starved).
    pub freezes: AtomicU64,
}

impl ReactorCounters {
    /// Counts a turn of the loop that had so many events and took so long. Only the reactor's own thread calls this: a
    /// load and a store each, without a locked instruction.
    pub fn turn_ended(&self, events: usize, took: Duration) {
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        self.events.store(self.events.load(Relaxed) + u64::from(events), Relaxed);
        raise(&self.events_peak, events);
        raise(&self.buffers_peak, self.buffers.load(Relaxed));
        self.turn_time.record(took);
        self.turns.store(self.turns.load(Relaxed) + 1, Relaxed);
    }
}

impl ReactorCounters {
    /// All of them by name, at this moment.
    #[must_use]
    pub fn view(&self) -> ReactorView {
        let wide = |counter: &AtomicU32| u64::from(counter.load(Relaxed));
        let long = |counter: &AtomicU64| counter.load(Relaxed);
        let mut view = ReactorView {
            values: vec![
                ("turns", long(&self.turns)),
                ("events", long(&self.events)),
                ("events_peak", wide(&self.events_peak)),
                ("accepted", long(&self.accepted)),
                ("handed_over", long(&self.handed_over)),
                ("open", wide(&self.open)),
                ("accept_pauses", long(&self.accept_pauses)),
                ("accept_errors", long(&self.accept_errors)),
                ("budget_spent", long(&self.budget_spent)),
                ("buffers", wide(&self.buffers)),
                ("buffers_peak", wide(&self.buffers_peak)),
                ("bytes_copied", long(&self.bytes_copied)),
                ("bytes_spliced", long(&self.bytes_spliced)),
                ("pipes", wide(&self.pipes)),
                ("arrivals_sampled", long(&self.arrivals_sampled)),
                ("packets_elsewhere", long(&self.packets_elsewhere)),
                ("reports_dropped", long(&self.reports_dropped)),
                ("panics", long(&self.panics)),
                ("freezes", long(&self.freezes)),
            ],
            turns: Counts { first: 0, buckets: self.turn_time.counts().to_vec() },
        };
        view.values.extend(self.datagrams.values());
        view
    }
}

/// Keeps the larger of two; for one writer.
fn raise(peak: &AtomicU32, value: u32) {
    if peak.load(Relaxed) < value {
        peak.store(value, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_summed_and_their_peaks_kept() {
        let reactor = ReactorCounters::default();
        reactor.buffers.store(7, Relaxed);
        reactor.turn_ended(3, Duration::from_micros(5));
        reactor.buffers.store(2, Relaxed);
        reactor.turn_ended(1, Duration::from_micros(80));
        assert_eq!((reactor.turns.load(Relaxed), reactor.events.load(Relaxed)), (2, 4));
        assert_eq!((reactor.events_peak.load(Relaxed), reactor.buffers_peak.load(Relaxed)), (3, 7));
        assert_eq!(reactor.turn_time.total(), 2);
    }
}
