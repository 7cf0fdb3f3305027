//! Which probes run and which wait: one a host, a bounded number at a time, the longest overdue first.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::id::HostId;
use crate::model::limits::PROBES_MAX;
use crate::model::time::Moment;

/// The plan of all probes. A host is in it once, planned or in flight.
#[derive(Debug, Default)]
pub(super) struct Probes {
    order: BTreeSet<(Moment, HostId)>,
    planned: BTreeMap<HostId, Moment>,
    /// With the moment after which the answer must have been lost.
    in_flight: BTreeMap<HostId, Moment>,
}

impl Probes {
    /// Plans the host's next probe, or none. While one is in flight this changes nothing: its end plans anew.
    pub(super) fn plan(&mut self, host: HostId, at: Option<Moment>) {
        if self.in_flight.contains_key(&host) || self.planned.get(&host).copied() == at {
            return;
        }
        if let Some(old) = self.planned.remove(&host) {
            self.order.remove(&(old, host));
        }
        if let Some(at) = at {
            self.planned.insert(host, at);
            self.order.insert((at, host));
        }
    }

    /// Forgets a host that is gone. A probe in flight keeps its place until it ends.
    pub(super) fn forget(&mut self, host: HostId) {
        if let Some(at) = self.planned.remove(&host) {
            self.order.remove(&(at, host));
        }
    }

    /// The next probe that is due and may run now. The caller starts it with [`Self::start`].
    pub(super) fn next_due(&self, now: Moment) -> Option<HostId> {
        let (at, host) = self.order.first().copied()?;
        (at <= now && self.in_flight.len() < PROBES_MAX).then_some(host)
    }

    /// A planned probe starts. Without an end until `lost_at` it counts as lost.
    pub(super) fn start(&mut self, host: HostId, lost_at: Moment) {
        self.forget(host);
        self.in_flight.insert(host, lost_at);
    }

    /// A probe has ended. Returns whether it was in flight.
    pub(super) fn end(&mut self, host: HostId) -> bool {
        self.in_flight.remove(&host).is_some()
    }

    /// A probe whose answer was lost.
    pub(super) fn next_lost(&self, now: Moment) -> Option<HostId> {
        self.in_flight.iter().find(|(_, lost_at)| **lost_at <= now).map(|(host, _)| *host)
    }

    /// When something is to be done here.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let due = self.order.first().map(|(at, _)| *at).filter(|_| self.in_flight.len() < PROBES_MAX);
        let lost = self.in_flight.values().min().copied();
        due.into_iter().chain(lost).min()
    }

    /// Probes in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether the host has a probe planned or in flight.
    pub(super) fn knows(&self, host: HostId) -> bool {
        self.planned.contains_key(&host) || self.in_flight.contains_key(&host)
    }
}
