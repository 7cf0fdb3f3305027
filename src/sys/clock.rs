//! The process's monotonic clock, read once a turn of a loop, and blind to the time that the process was frozen.

use std::time::{Duration, Instant};

use crate::model::limits::{FROZEN_MIN, FROZEN_WORK_MIN};
use crate::model::time::Moment;

/// A loop's clock. Copies share the origin, and each leaves out the time that its own loop was frozen.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    frozen: Duration,
    last: Moment,
    /// The last sleep was taken out whole.
    was_frozen: bool,
}

/// What a reading of the clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Now.
    pub now: Moment,
    /// How long the loop had been frozen beyond what it planned to sleep; zero when it was not.
    pub frozen: Duration,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: Instant::now(), frozen: Duration::ZERO, last: Moment::START, was_frozen: false }
    }

    /// Reads the clock without judging what passed since the last reading.
    pub fn read(&mut self) -> Moment {
        self.last = self.raw();
        self.last
    }

    /// Reads the clock after work. However long the work took, it is no freeze, or a loop that is busy all the time would
    /// stop its own clock. Only what no work takes, [`FROZEN_WORK_MIN`], is taken out of the clock. Returns whether it was.
    pub fn rest(&mut self) -> bool {
        let now = self.raw();
        let worked = now.since(self.last);
        if worked < FROZEN_WORK_MIN {
            self.last = now;
            return false;
        }
        self.frozen += worked;
        self.last = self.raw();
        true
    }

    /// Reads the clock after a sleep that was to last `planned` at most; `None` had no end.
    ///
    /// A process that was stopped or a machine that was suspended must not find every deadline passed. Nobody can tell
    /// when in its sleep it was, so that a sleep which exceeds its plan by [`FROZEN_MIN`] is taken out of the clock as a
    /// whole; of two in a row the second only as far as it exceeds, because a process that is starved all the time must
    /// have timeouts too.
    pub fn wake(&mut self, planned: Option<Duration>) -> Reading {
        let now = self.raw();
        let slept = now.since(self.last);
        let excess = planned.map_or(Duration::ZERO, |planned| slept.saturating_sub(planned));
        if excess < FROZEN_MIN {
            (self.last, self.was_frozen) = (now, false);
            return Reading { now, frozen: Duration::ZERO };
        }
        self.frozen += if self.was_frozen { excess } else { slept };
        self.was_frozen = !self.was_frozen;
        self.last = self.raw();
        Reading { now: self.last, frozen: excess }
    }

    /// The last reading.
    #[must_use]
    pub const fn last(&self) -> Moment {
        self.last
    }

    fn raw(&self) -> Moment {
        Moment::START.after(self.origin.elapsed().saturating_sub(self.frozen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_far_above_plan_is_taken_out() {
        let mut clock = Clock::start();
        clock.origin = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let reading = clock.wake(Some(Duration::from_secs(1)));
        assert!(reading.frozen >= Duration::from_secs(9));
        assert!(reading.now < Moment::from_millis(100), "{reading:?}");
    }

    #[test]
    fn clock_of_a_starved_process_goes_on() {
        let mut clock = Clock::start();
        for _ in 0..4 {
            clock.origin = clock.origin.checked_sub(Duration::from_secs(2)).unwrap();
            clock.wake(Some(Duration::from_secs(1)));
        }
        assert!(clock.last() >= Moment::from_millis(2000), "{clock:?}");
    }

    #[test]
    fn work_is_no_freeze_unless_it_took_what_no_work_takes() {
        let mut clock = Clock::start();
        clock.origin = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        assert!(!clock.rest());
        assert!(clock.last() >= Moment::from_millis(1000));
        assert_eq!(clock.wake(Some(Duration::ZERO)).frozen, Duration::ZERO);
        clock.origin = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        assert!(clock.rest());
        assert!(clock.last() < Moment::from_millis(1500), "{:?}", clock.last());
    }

    #[test]
    fn sleep_without_end_is_never_a_freeze() {
        let mut clock = Clock::start();
        clock.origin = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        assert_eq!(clock.wake(None).frozen, Duration::ZERO);
        assert!(clock.read() >= Moment::from_millis(10_000));
    }
}
