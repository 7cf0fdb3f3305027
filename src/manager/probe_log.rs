//! What became of one host's probes, for who looks.

use std::time::Duration;

use crate::model::outcome::{Blame, Fault};
use crate::model::snapshot::{LastProbe, ProbesView};
use crate::model::time::Moment;

/// Counts, and the last one.
#[derive(Debug, Default)]
pub(super) struct ProbeLog {
    good: u64,
    failed: u64,
    void: u64,
    good_sum: Duration,
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    result: Result<(), Blame>,
    at: Moment,
    /// Since when they end as this one did.
    since: Moment,
    took: Duration,
}

impl ProbeLog {
    /// A probe that began at `started` has ended.
    pub(super) fn add(&mut self, now: Moment, started: Moment, result: Result<Duration, Blame>) {
        match result {
            Ok(took) => {
                self.good += 1;
                self.good_sum = self.good_sum.saturating_add(took);
            }
            Err(Blame::Host(_) | Blame::Busy) => self.failed += 1,
            Err(Blame::Local(_)) => self.void += 1,
        }
        let is_same = |last: &&Last| last.result.is_ok() == result.is_ok();
        let since = self.last.as_ref().filter(is_same).map_or(now, |last| last.since);
        let took = result.unwrap_or_else(|_| now.since(started));
        self.last = Some(Last { result: result.map(drop), at: now, since, took });
    }

    /// Forgets what the last one was, but not that there was one.
    pub(super) fn forget_last(&mut self) {
        self.last = None;
    }

    /// What there is to see.
    pub(super) fn view(&self, now: Moment, check: &'static str) -> ProbesView {
        let last = self.last.as_ref().map(|last| LastProbe {
            good: last.result.is_ok(),
            why: match last.result {
                Ok(()) => String::from("answered"),
                Err(Blame::Host(fault)) => fault.to_string(),
                Err(Blame::Busy) => Fault::QueueFull.to_string(),
                Err(Blame::Local(errno)) => format!("failed here: {}", std::io::Error::from_raw_os_error(errno)),
            },
            ago: now.since(last.at),
            lasted: now.since(last.since),
            took: last.took,
        });
        let good_sum_us = u64::try_from(self.good_sum.as_micros()).unwrap_or(u64::MAX);
        ProbesView { check, good: self.good, failed: self.failed, void: self.void, good_sum_us, last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_probe_tells_since_when_they_end_alike() {
        let at = Moment::from_millis;
        let mut log = ProbeLog::default();
        assert_eq!(log.view(at(0), "tcp"), ProbesView { check: "tcp", ..ProbesView::default() });
        let refused = Err(Blame::Host(Fault::Refused));
        log.add(at(100), at(50), refused);
        log.add(at(200), at(120), refused);
        let last = log.view(at(250), "tcp").last.unwrap();
        assert_eq!((last.good, last.why.as_str()), (false, "connection refused"));
        let ms = Duration::from_millis;
        assert_eq!((last.ago, last.lasted, last.took), (ms(50), ms(150), ms(80)));
        log.add(at(300), at(290), Ok(ms(7)));
        log.add(at(400), at(399), Err(Blame::Local(libc::EMFILE)));
        let view = log.view(at(400), "udp");
        assert_eq!((view.good, view.failed, view.void, view.good_sum_us), (1, 2, 1, 7000));
        assert!(view.last.unwrap().why.starts_with("failed here: Too many open files"));
    }
}
