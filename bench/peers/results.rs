//! What a run has found: the values of each round, and what they are to each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::metric::Metric;
use crate::proc::Ticks;
use crate::target::Id;

/// Exchanges of one target over the whole run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

/// All that a run has found.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// Values by round.
    samples: BTreeMap<(Metric, Id), BTreeMap<usize, f64>>,
    pub(crate) counts: BTreeMap<Id, Count>,
    /// Calls a connection by name, most frequent first.
    pub(crate) calls: BTreeMap<Id, Vec<(String, f64)>>,
    /// What did not work at all: a target that did not start or has ended, a case that could not be run.
    pub(crate) problems: Vec<String>,
    /// Who used the machine while load was offered, by round.
    pub(crate) ticks: BTreeMap<usize, Ticks>,
    /// Connections of the idle case.
    pub(crate) idle: usize,
    /// What each target said of itself before the run.
    pub(crate) versions: BTreeMap<Id, String>,
}

impl Results {
    pub(crate) fn add(&mut self, round: usize, id: Id, metric: Metric, value: f64) {
        self.samples.entry((metric, id)).or_default().insert(round, value);
    }

    /// The figures that any target has a value of, in order.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let metrics: BTreeSet<Metric> = self.samples.keys().map(|(metric, _)| *metric).collect();
        metrics.into_iter().collect()
    }

    pub(crate) fn value(&self, round: usize, id: Id, metric: Metric) -> Option<f64> {
        self.samples.get(&(metric, id))?.get(&round).copied()
    }

    /// Values in the order of the rounds.
    pub(crate) fn samples(&self, id: Id, metric: Metric) -> Vec<f64> {
        self.samples.get(&(metric, id)).map_or_else(Vec::new, |values| values.values().copied().collect())
    }

    pub(crate) fn median(&self, id: Id, metric: Metric) -> Option<f64> {
        median(self.samples(id, metric))
    }

    /// The median of what one target is to another in each round that has both: what slowed a whole round down does
    /// not count.
    pub(crate) fn ratio(&self, id: Id, to: Id, metric: Metric) -> Option<f64> {
        self.compared(id, to, metric, |own, other| own / other)
    }

    /// The same for how much more it is.
    pub(crate) fn difference(&self, id: Id, to: Id, metric: Metric) -> Option<f64> {
        self.compared(id, to, metric, |own, other| own - other)
    }

    fn compared(&self, id: Id, to: Id, metric: Metric, compare: fn(f64, f64) -> f64) -> Option<f64> {
        let own = self.samples.get(&(metric, id))?;
        let others = self.samples.get(&(metric, to))?;
        let values = own.iter().filter_map(|(round, value)| Some(compare(*value, *others.get(round)?)));
        median(values.collect()).filter(|value| value.is_finite())
    }

    /// Who used the machine, over all rounds.
    pub(crate) fn all_ticks(&self) -> Ticks {
        self.ticks.values().fold(Ticks::default(), |sum, ticks| sum.plus(*ticks))
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}
