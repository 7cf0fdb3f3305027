//! Hosts that an operator keeps out for a time. Connections in progress go on; the time ends by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use log::Level;

use crate::model::id::HostId;
use crate::model::time::Moment;

use super::Manager;
use super::line::Seconds;

/// When whose time ends. What became of a host since then is for the host to say.
#[derive(Debug, Default)]
pub(super) struct Ends(BTreeSet<(Moment, HostId)>);

impl Ends {
    /// The next of them.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.0.first().map(|(until, _)| *until)
    }

    fn take_due(&mut self, now: Moment) -> Option<HostId> {
        let first = *self.0.first().filter(|(until, _)| *until <= now)?;
        self.0.remove(&first);
        Some(first.1)
    }
}

impl Manager {
    /// Keeps the hosts of this name out for a time from now on, or takes them back where it is zero. Returns how many
    /// there are, and for how many that is news.
    pub fn blacklist(&mut self, now: Moment, ids: &[HostId], time: Duration) -> usize {
        let until = (!time.is_zero()).then(|| now.after(time));
        let mut changed = 0;
        for id in ids {
            let Some(host) = self.registry.hosts.get_mut(id) else { continue };
            if host.kept_out.is_none() && until.is_none() {
                continue;
            }
            changed += 1;
            host.kept_out = until;
            host.times_kept_out += u64::from(until.is_some());
            self.dirty.insert(host.at.service);
            self.kept_out.0.extend(until.map(|until| (until, *id)));
            self.tell_kept_out(*id, until.map(|_| time));
        }
        self.settle(now);
        changed
    }

    /// Takes back those whose time is over.
    pub(super) fn end_blacklists(&mut self, now: Moment) {
        while let Some(id) = self.kept_out.take_due(now) {
            let Some(host) = self.registry.hosts.get_mut(&id) else { continue };
            // It may have been given another time since.
            if host.kept_out.is_some_and(|until| until <= now) {
                host.kept_out = None;
                self.dirty.insert(host.at.service);
                self.tell_kept_out(id, None);
            }
        }
    }

    fn tell_kept_out(&mut self, id: HostId, time: Option<Duration>) {
        let Some(place) = self.registry.hosts.get(&id).and_then(|host| self.registry.place(host)) else { return };
        let line = match time {
            Some(time) => format!("blacklist {place} for={}", Seconds(time)),
            None => format!("blacklist {place} ended"),
        };
        self.tell(Level::Info, line);
    }
}
