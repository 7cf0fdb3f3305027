//! One snapshot for all who ask at a time: twenty that poll cost the manager no more than one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::model::limits::{MANAGER_WITHIN, WEB_SNAPSHOT_AGE};
use crate::model::snapshot::Snapshot;

/// The last snapshot, and whether there will be another.
#[derive(Debug)]
pub(super) struct Snapshots {
    last: Option<(Instant, Arc<Snapshot>)>,
    /// The numbers and the times of the questions that are not answered, the oldest first.
    asked: VecDeque<(u64, Instant)>,
    number: u64,
    /// Snapshots asked for before are too old: something was changed.
    changed: Instant,
}

impl Snapshots {
    pub(super) const fn new(now: Instant) -> Self {
        Self { last: None, asked: VecDeque::new(), number: 0, changed: now }
    }

    /// The last one, if it is new enough.
    pub(super) fn fresh(&self, now: Instant) -> Option<Arc<Snapshot>> {
        let is_fresh =
            |asked: Instant| asked >= self.changed && now.saturating_duration_since(asked) < WEB_SNAPSHOT_AGE;
        self.last.as_ref().filter(|(asked, _)| is_fresh(*asked)).map(|(_, snapshot)| Arc::clone(snapshot))
    }

    /// The number of a question that has to be asked now; none when the answer to one will do.
    pub(super) fn ask(&mut self, now: Instant) -> Option<u64> {
        let is_awaited = |asked: Instant| now.saturating_duration_since(asked) < MANAGER_WITHIN;
        self.asked.retain(|(_, asked)| is_awaited(*asked));
        if self.asked.back().is_some_and(|(_, asked)| *asked >= self.changed) {
            return None;
        }
        self.number += 1;
        self.asked.push_back((self.number, now));
        Some(self.number)
    }

    /// Something was changed: who asks from now on sees it.
    pub(super) const fn change(&mut self, now: Instant) {
        self.changed = now;
    }

    /// What a snapshot has to have been asked for after, for who asks now.
    pub(super) const fn needed(&self) -> Instant {
        self.changed
    }

    /// Takes an answer; none was a refusal. Returns when it was asked for: it is for all who need no later one.
    pub(super) fn take(&mut self, number: u64, snapshot: Option<&Arc<Snapshot>>) -> Option<Instant> {
        let at = self.asked.iter().position(|(known, _)| *known == number)?;
        let (_, asked) = self.asked.remove(at)?;
        if let Some(snapshot) = snapshot {
            self.last = Some((asked, Arc::clone(snapshot)));
        }
        Some(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn snapshot() -> Arc<Snapshot> {
        Arc::new(Snapshot {
            version: "1",
            pid: 1,
            started: SystemTime::now(),
            uptime: Duration::ZERO,
            revision: 1,
            unsaved: false,
            confirm_within: None,
            draining: false,
            services: Vec::new(),
            reactors: Vec::new(),
            users: Vec::new(),
            access_log: None,
            last_event: 0,
        })
    }

    #[test]
    fn one_question_serves_all_until_its_answer_is_old() {
        let now = Instant::now();
        let mut snapshots = Snapshots::new(now);
        let number = snapshots.ask(now).unwrap();
        assert!(snapshots.ask(now).is_none(), "it is asked already");
        assert!(snapshots.fresh(now).is_none());
        assert_eq!(snapshots.take(number, Some(&snapshot())), Some(now));
        assert_eq!(snapshots.take(number, Some(&snapshot())), None, "once");
        assert!(snapshots.fresh(now + WEB_SNAPSHOT_AGE / 2).is_some());
        assert!(snapshots.fresh(now + WEB_SNAPSHOT_AGE).is_none());
    }

    #[test]
    fn change_makes_older_questions_and_answers_too_old_for_who_asks_after_it() {
        let now = Instant::now();
        let later = now + Duration::from_millis(1);
        let mut snapshots = Snapshots::new(now);
        let before = snapshots.ask(now).unwrap();
        snapshots.change(later);
        let after = snapshots.ask(later).expect("the question before will not do");
        assert!(snapshots.take(before, Some(&snapshot())).is_some_and(|asked| asked < snapshots.needed()));
        assert!(snapshots.fresh(later).is_none());
        assert!(snapshots.take(after, Some(&snapshot())).is_some_and(|asked| asked >= snapshots.needed()));
        assert!(snapshots.fresh(later).is_some());
    }

    #[test]
    fn question_that_is_lost_or_refused_is_asked_again() {
        let now = Instant::now();
        let mut snapshots = Snapshots::new(now);
        let first = snapshots.ask(now).unwrap();
        assert_eq!(snapshots.take(first, None), Some(now));
        assert!(snapshots.ask(now).is_some());
        assert!(snapshots.ask(now + MANAGER_WITHIN).is_some());
    }
}
