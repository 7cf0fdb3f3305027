//! What Director is to reach, and whether the figures of a run say that it has.
//!
//! Ratios and differences are medians of those in each round. "The best of them" is reached when the bar is reached against each.

use crate::args::Settings;
use crate::case::Bulk;
use crate::metric::{Metric, Quantile};
use crate::results::Results;
use crate::table::dash;
use crate::target::{Kind, Target};

/// What a figure has to be.
#[derive(Clone, Copy, Debug)]
enum Test {
    AtMost(f64),
    AtLeast(f64),
    /// So many times that of another target, at most.
    TimesAtMost(f64, Kind),
    /// So many times that of each of the other balancers, at most; with the bare relay among them or not.
    BestAtMost(f64, bool),
    /// So many times that of each of the other balancers, at least.
    BestAtLeast(f64),
    /// No more than that of each of the other balancers; for differences, whose ratios say nothing.
    NoMoreThanBest,
}

/// A figure with all that it has to be.
struct Bar {
    metric: Metric,
    tests: Vec<Test>,
}

fn bars() -> Vec<Bar> {
    let bar = |metric, tests: &[Test]| Bar { metric, tests: tests.to_vec() };
    let mut bars = vec![
        bar(
            Metric::ConnectionCpu,
            &[
                Test::TimesAtMost(0.90, Kind::Haproxy),
                Test::TimesAtMost(0.98, Kind::Nginx),
                Test::TimesAtMost(1.0, Kind::Bare),
            ],
        ),
        bar(Metric::Syscalls, &[Test::AtMost(17.0)]),
        bar(Metric::RequestCpu, &[Test::BestAtMost(1.0, true)]),
        bar(Metric::PageCpu, &[Test::BestAtMost(1.0, true)]),
    ];
    bars.extend(Bulk::ALL.map(|bulk| {
        let tests = [Test::TimesAtMost(0.35, Kind::Haproxy), Test::TimesAtMost(0.40, Kind::Nginx)];
        bar(Metric::BulkCpu(bulk), &tests)
    }));
    bars.extend(
        [Bulk::ONE, Bulk::MANY, Bulk::ONE_UP, Bulk::MANY_UP]
            .map(|bulk| bar(Metric::Throughput(bulk), &[Test::BestAtLeast(1.15)])),
    );
    bars.extend([Quantile::P50, Quantile::P99].map(|quantile| bar(Metric::Added(quantile), &[Test::NoMoreThanBest])));
    bars.extend([
        bar(Metric::IdleMemory, &[Test::AtMost(512.0)]),
        bar(Metric::IdleWhole, &[Test::BestAtMost(1.0, false)]),
        bar(Metric::Mice(Quantile::P99), &[Test::AtMost(8000.0)]),
        bar(Metric::Fairness, &[Test::AtLeast(0.98)]),
        bar(Metric::OpenGrowth, &[Test::AtMost(1.15)]),
        bar(Metric::BusyGrowth, &[Test::AtMost(1.15)]),
    ]);
    bars
}

/// A table of the bars for `subject`: the figure, its bar, what was measured, and whether that is enough.
pub(crate) fn table(settings: &Settings, results: &Results, subject: &Target) -> Vec<Vec<String>> {
    let mut table = vec![["", "bar", "measured", ""].map(ToOwned::to_owned).to_vec()];
    for bar in bars() {
        let judge = Judge { settings, results, subject, metric: bar.metric };
        let judged: Vec<Judged> = bar.tests.iter().map(|test| judge.test(*test)).collect();
        let join = |part: fn(&Judged) -> &str| judged.iter().map(part).collect::<Vec<_>>().join(", ");
        let verdict = if judged.iter().any(|judged| judged.reached == Some(false)) {
            "misses"
        } else if judged.iter().any(|judged| judged.reached.is_none()) {
            "not measured"
        } else {
            "meets"
        };
        let row = [bar.metric.label(), join(|judged| &judged.bar), join(|judged| &judged.found), verdict.to_owned()];
        table.push(row.to_vec());
    }
    table
}

/// One test, applied.
struct Judged {
    bar: String,
    found: String,
    /// `None` when there is no value.
    reached: Option<bool>,
}

struct Judge<'a> {
    settings: &'a Settings,
    results: &'a Results,
    subject: &'a Target,
    metric: Metric,
}

impl Judge<'_> {
    fn test(&self, test: Test) -> Judged {
        let digits = self.metric.decimals();
        match test {
            Test::AtMost(limit) => self.value(format!("≤ {limit:.digits$}"), |value| value <= limit),
            Test::AtLeast(limit) => self.value(format!("≥ {limit:.digits$}"), |value| value >= limit),
            Test::TimesAtMost(limit, kind) => {
                let others = self.others(|other| other == kind);
                self.worst(format!("≤ {limit:.2} × {}", kind.name()), &others, |ratio| ratio - limit)
            }
            Test::BestAtMost(limit, with_bare) => {
                let others = self.others(|other| other.is_rival() || with_bare && other == Kind::Bare);
                self.worst(format!("≤ {limit:.2} × the best"), &others, |ratio| ratio - limit)
            }
            Test::BestAtLeast(limit) => {
                let others = self.others(Kind::is_rival);
                self.worst(format!("≥ {limit:.2} × the best"), &others, |ratio| limit - ratio)
            }
            Test::NoMoreThanBest => self.difference(&self.others(Kind::is_rival)),
        }
    }

    fn value(&self, bar: String, reaches: impl Fn(f64) -> bool) -> Judged {
        let value = self.results.median(self.subject.id, self.metric);
        let found = value.map_or_else(dash, |value| format!("{value:.*}", self.metric.decimals()));
        Judged { bar, found, reached: value.map(reaches) }
    }

    fn others(&self, wanted: impl Fn(Kind) -> bool) -> Vec<&Target> {
        self.settings.targets.iter().filter(|target| wanted(target.kind)).collect()
    }

    /// The ratio to that of the others for which `excess`, which may not be above 0, is greatest.
    fn worst(&self, bar: String, others: &[&Target], excess: impl Fn(f64) -> f64) -> Judged {
        let ratios = others
            .iter()
            .filter_map(|other| Some((self.results.ratio(self.subject.id, other.id, self.metric)?, &other.name)));
        let worst = ratios.max_by(|one, other| excess(one.0).total_cmp(&excess(other.0)));
        let found = worst.map_or_else(dash, |(ratio, name)| format!("{ratio:.2} × {name}"));
        Judged { bar, found, reached: worst.map(|(ratio, _)| excess(ratio) <= 0.0) }
    }

    /// The difference to that of the others for which it is greatest.
    fn difference(&self, others: &[&Target]) -> Judged {
        let differences = others.iter().filter_map(|other| {
            let difference = self.results.difference(self.subject.id, other.id, self.metric)?;
            Some((difference, self.results.median(other.id, self.metric)?, &other.name))
        });
        let worst = differences.max_by(|one, other| one.0.total_cmp(&other.0));
        let own = self.results.median(self.subject.id, self.metric);
        let found = match (own, worst) {
            (Some(own), Some((_, value, name))) => {
                let digits = self.metric.decimals();
                format!("{own:.digits$}; {name}: {value:.digits$}")
            }
            (Some(_) | None, _) => dash(),
        };
        Judged { bar: "≤ the best".to_owned(), found, reached: worst.map(|(difference, ..)| difference <= 0.0) }
    }
}
