//! What a run has met.

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
    pub(crate) returned: u64,
    pub(crate) above_max: u64,
    pub(crate) lower_prios: u64,
    pub(crate) emergencies: u64,
    pub(crate) abused: u64,
    pub(crate) denied: u64,
    pub(crate) stubborn_ends: u64,
    pub(crate) blacklisted: u64,
    pub(crate) limited: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, (_, more)) in self.all_mut().into_iter().zip(other.all()) {
            *sum += more;
        }
    }

    /// Every count with its name.
    pub(crate) fn all(&self) -> [(&'static str, u64); 19] {
        [
            ("opened", self.opened),
            ("served", self.served),
            ("moved on", self.moved_on),
            ("waited", self.waited),
            ("given up", self.given_up),
            ("panics", self.panics),
            ("reloads", self.reloads),
            ("publications", self.publications),
            ("reports lost", self.reports_lost),
            ("last resorts", self.last_resorts),
            ("returned", self.returned),
            ("above max", self.above_max),
            ("lower prios", self.lower_prios),
            ("emergencies", self.emergencies),
            ("abused", self.abused),
            ("denied", self.denied),
            ("stubborn ends", self.stubborn_ends),
            ("blacklisted", self.blacklisted),
            ("limited", self.limited),
        ]
    }

    fn all_mut(&mut self) -> [&mut u64; 19] {
        let Self { opened, served, moved_on, waited, given_up, panics, reloads, publications, reports_lost, .. } = self;
        let (first, rest) = (
            [opened, served, moved_on, waited, given_up, panics, reloads, publications, reports_lost],
            [
                &mut self.last_resorts,
                &mut self.returned,
                &mut self.above_max,
                &mut self.lower_prios,
                &mut self.emergencies,
                &mut self.abused,
                &mut self.denied,
                &mut self.stubborn_ends,
                &mut self.blacklisted,
                &mut self.limited,
            ],
        );
        let mut all = first.into_iter().chain(rest);
        std::array::from_fn(|_| all.next().expect("as many as there are"))
    }
}
