//! What happened and who did it: a line in the log each, and the last of them in memory for those who follow.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use log::Level;

use crate::manager::line::{Quoted, Value};
use crate::model::change::Refusal;
use crate::model::command::Origin;
use crate::model::event::{Event, EventKind};
use crate::model::limits::EVENTS_KEPT;

/// Log targets: what changed state, and what operators did.
const STATE: &str = "director::state";
const AUDIT: &str = "director::audit";

/// The last events.
#[derive(Debug, Default)]
pub(super) struct Journal {
    last: u64,
    events: VecDeque<Arc<Event>>,
}

impl Journal {
    /// Tells of something that happened by itself.
    pub(super) fn tell(&mut self, kind: EventKind, level: Level, line: String) {
        log::log!(target: STATE, level, "{line}");
        self.keep(kind, String::new(), line);
    }

    /// Tells of what somebody did.
    pub(super) fn done(&mut self, origin: &Origin, what: &str) {
        log::info!(target: AUDIT, "change by={} from={} did={} outcome=done", Value(&origin.who), Value(&origin.from), Quoted(what));
        self.keep(EventKind::Change, by(origin), what.to_owned());
    }

    /// Tells of what somebody asked for and did not get.
    pub(super) fn refused(&mut self, origin: &Origin, what: &str, refusal: &Refusal) {
        let (who, from, why) = (Value(&origin.who), Value(&origin.from), Quoted(&refusal.why));
        log::warn!(target: AUDIT, "change by={who} from={from} asked={} outcome=refused why={why}", Quoted(what));
        self.keep(EventKind::Refused, by(origin), format!("{what}: {refusal}"));
    }

    /// The number of the last event.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// The events after this number, the oldest first.
    pub(super) fn after(&self, number: u64) -> Vec<Arc<Event>> {
        self.events.iter().filter(|event| event.number > number).cloned().collect()
    }

    fn keep(&mut self, kind: EventKind, by: String, text: String) {
        self.last += 1;
        if self.events.len() == EVENTS_KEPT {
            self.events.pop_front();
        }
        self.events.push_back(Arc::new(Event { number: self.last, at: SystemTime::now(), kind, by, text }));
    }
}

fn by(origin: &Origin) -> String {
    format!("{} ({})", origin.who, origin.from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_events_are_kept_and_numbered_without_gaps() {
        let mut journal = Journal::default();
        for number in 0..EVENTS_KEPT + 5 {
            journal.tell(EventKind::State, Level::Debug, format!("state {number}"));
        }
        let kept = journal.after(0);
        assert_eq!(kept.len(), EVENTS_KEPT);
        assert_eq!(kept[0].number, 6);
        assert!(kept.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
        assert_eq!(journal.after(journal.last() - 2).len(), 2);
        let origin = Origin::new("root", "control pid 7");
        journal.refused(&origin, "host a removed", &Refusal::conflict("it is the last"));
        let last = &journal.after(journal.last() - 1)[0];
        assert_eq!((last.by.as_str(), last.text.as_str()), ("root (control pid 7)", "host a removed: it is the last"));
    }
}
