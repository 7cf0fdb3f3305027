//! Says in the log of the process that lines of the access log are lost: at once when a destination begins to refuse,
//! once when it takes them again, and every so often how many there were.

use std::time::{Duration, Instant};

use log::{info, warn};

use super::writer::Outcome;
use crate::model::access_log::AccessCounts;

/// Least time between two lines on what was lost.
const EVERY: Duration = Duration::from_secs(10);

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Loss {
    /// The destination refuses.
    is_refused: bool,
    told: AccessCounts,
    told_at: Option<Instant>,
    untold: bool,
}

impl Loss {
    /// Takes in what an attempt to write came to.
    pub(super) fn note(&mut self, outcome: &Outcome) {
        if let Some(error) = &outcome.error {
            if !self.is_refused {
                warn!("the access log cannot be written: {error}; its lines are lost until it can");
            }
            self.is_refused = true;
        } else if outcome.written > 0 && self.is_refused {
            self.is_refused = false;
            info!("the access log is written again");
        }
    }

    /// Tells what was lost since the last time, unless that is too short ago.
    pub(super) fn tell(&mut self, now: Instant, counts: AccessCounts) {
        self.untold = counts.dropped > self.told.dropped || counts.failed > self.told.failed;
        if self.untold && self.told_at.is_none_or(|at| now.duration_since(at) >= EVERY) {
            self.told_at = Some(now);
            self.tell_all(counts);
        }
    }

    /// Tells what was lost since the last time.
    pub(super) fn tell_all(&mut self, counts: AccessCounts) {
        let dropped = counts.dropped - self.told.dropped;
        let failed = counts.failed - self.told.failed;
        if dropped + failed > 0 {
            warn!(
                "{} lines of the access log were lost: {dropped} came faster than it could be written, {failed} could \
                 not be written",
                dropped + failed
            );
        }
        (self.told, self.untold) = (counts, false);
    }

    /// How long to sleep at most, so that what is lost does not stay untold; none: there is nothing to tell.
    pub(super) fn next_look(&self, now: Instant) -> Option<Duration> {
        let at = self.told_at.filter(|_| self.untold)?;
        Some(EVERY.saturating_sub(now.duration_since(at)).max(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_at_once_and_then_only_every_so_often() {
        let (mut loss, start) = (Loss::default(), Instant::now());
        let lost = |dropped| AccessCounts { dropped, ..AccessCounts::default() };
        loss.tell(start, lost(0));
        assert_eq!((loss.told.dropped, loss.next_look(start)), (0, None));
        loss.tell(start, lost(5));
        assert_eq!((loss.told.dropped, loss.next_look(start)), (5, None));
        loss.tell(start + EVERY / 2, lost(9));
        assert_eq!((loss.told.dropped, loss.next_look(start + EVERY / 2)), (5, Some(EVERY / 2)));
        loss.tell(start + EVERY, lost(9));
        assert_eq!(loss.told.dropped, 9);
    }
}
