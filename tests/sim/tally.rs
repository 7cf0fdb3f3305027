//! What a run met.

/// Counts of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) opened: u64,
    pub(crate) served: u64,
    pub(crate) moved_on: u64,
    pub(crate) waited: u64,
    pub(crate) given_up: u64,
    pub(crate) panics: u64,
    pub(crate) reloads: u64,
    pub(crate) publications: u64,
    pub(crate) reports_lost: u64,
    pub(crate) last_resorts: u64,
    pub(crate) denied: u64,
    pub(crate) limited: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { opened, served, moved_on, waited, given_up, panics, reloads, publications, .. } = other;
        self.opened += opened;
        self.served += served;
        self.moved_on += moved_on;
        self.waited += waited;
        self.given_up += given_up;
        self.panics += panics;
        self.reloads += reloads;
        self.publications += publications;
        self.reports_lost += other.reports_lost;
        self.last_resorts += other.last_resorts;
        self.denied += other.denied;
        self.limited += other.limited;
    }
}
