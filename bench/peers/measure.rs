//! One case, one target, once: the load, and what the target spent on it.

use std::thread;
use std::time::Duration;

use crate::Failure;
use crate::args::{CONNECTIONS, Settings};
use crate::case::Bulk;
use crate::load::latency::{Latencies, Plan, Times};
use crate::load::{Exchange, Load, Stop, Tally};
use crate::metric::{Metric, Quantile};
use crate::peers::Running;
use crate::proc;

/// After a load: time for the balancer to close what it still has, and to sleep.
pub(crate) const SETTLE: Duration = Duration::from_millis(50);
/// Exchanges that wake a fresh balancer up before anything is measured.
const WARM_UP: u64 = 64;

/// What one measurement gave.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) values: Vec<(Metric, f64)>,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

impl Outcome {
    pub(crate) fn of(tally: &mut Tally) -> Self {
        Self { values: Vec::new(), done: tally.done, failed: tally.failed, first_failure: tally.first_failure.take() }
    }

    /// Adds the counts of another part of the same measurement.
    pub(crate) fn count(&mut self, tally: &mut Tally) {
        self.done += tally.done;
        self.failed += tally.failed;
        self.first_failure = self.first_failure.take().or(tally.first_failure.take());
    }
}

/// What the processes of a balancer have used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    cpu: Duration,
    switches: u64,
}

impl Spent {
    /// `None` where there is no balancer.
    pub(crate) fn until_now(pids: &[u32]) -> Result<Option<Self>, Failure> {
        if pids.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { cpu: proc::time_of(pids)?, switches: proc::switches_of(pids)? }))
    }

    /// Processor time since `before`, in seconds.
    pub(crate) fn cpu_since(self, before: Self) -> f64 {
        self.cpu.saturating_sub(before.cpu).as_secs_f64()
    }

    fn switches_since(self, before: Self) -> f64 {
        self.switches.saturating_sub(before.switches) as f64
    }
}

/// Sends a few exchanges of every kind through a target that has just started.
pub(crate) fn warm_up(target: &Running, threads: usize) -> Result<(), Failure> {
    for exchange in [Exchange::SHORT, Exchange::KEPT] {
        let load = Load { exchange, addrs: target.addrs.clone(), connections: 8, stop: Stop::Count(WARM_UP) };
        let tally = load.run(threads)?;
        if let Some(reason) = tally.first_failure {
            return Err(format!("{} of {WARM_UP} first exchanges failed: {reason}", tally.failed).into());
        }
    }
    thread::sleep(SETTLE);
    Ok(())
}

pub(crate) fn short(target: &Running, settings: &Settings) -> Result<Outcome, Failure> {
    let metrics =
        Metrics { rate: Metric::Connections, cpu: Metric::ConnectionCpu, switches: Some(Metric::ConnectionSwitches) };
    counted(target, settings, Exchange::SHORT, metrics)
}

pub(crate) fn kept(target: &Running, settings: &Settings) -> Result<Outcome, Failure> {
    let metrics = Metrics { rate: Metric::Requests, cpu: Metric::RequestCpu, switches: Some(Metric::RequestSwitches) };
    counted(target, settings, Exchange::KEPT, metrics)
}

pub(crate) fn page(target: &Running, settings: &Settings) -> Result<Outcome, Failure> {
    let metrics = Metrics { rate: Metric::Pages, cpu: Metric::PageCpu, switches: None };
    counted(target, settings, Exchange::PAGE, metrics)
}

/// The figures of a case whose exchanges are counted.
struct Metrics {
    rate: Metric,
    cpu: Metric,
    switches: Option<Metric>,
}

fn counted(target: &Running, settings: &Settings, exchange: Exchange, metrics: Metrics) -> Result<Outcome, Failure> {
    let pids = target.pids()?;
    let before = Spent::until_now(&pids)?;
    let load =
        Load { exchange, addrs: target.addrs.clone(), connections: CONNECTIONS, stop: Stop::After(settings.span) };
    let mut tally = load.run(settings.threads)?;
    thread::sleep(SETTLE);
    let after = Spent::until_now(&pids)?;
    let mut outcome = Outcome::of(&mut tally);
    if tally.done > 0 {
        let done = tally.done as f64;
        outcome.values.push((metrics.rate, done / tally.elapsed.as_secs_f64()));
        if let (Some(before), Some(after)) = (before, after) {
            outcome.values.push((metrics.cpu, after.cpu_since(before) * 1e6 / done));
            outcome.values.extend(metrics.switches.map(|metric| (metric, after.switches_since(before) / done)));
        }
    }
    Ok(outcome)
}

pub(crate) fn bulk(target: &Running, settings: &Settings, bulk: Bulk) -> Result<Outcome, Failure> {
    let pids = target.pids()?;
    let before = Spent::until_now(&pids)?;
    let load = Load {
        exchange: if bulk.up { Exchange::UPLOAD } else { Exchange::BULK },
        addrs: target.addrs.clone(),
        connections: bulk.streams,
        // Five of these are in a round, and a fraction of a second moves some hundred megabytes.
        stop: Stop::After(settings.span / 2),
    };
    let mut tally = load.run(settings.threads)?;
    thread::sleep(SETTLE);
    let after = Spent::until_now(&pids)?;
    let mut outcome = Outcome::of(&mut tally);
    if tally.done > 0 {
        let bytes = tally.bytes as f64;
        outcome.values.push((Metric::Throughput(bulk), bytes * 8e-9 / tally.elapsed.as_secs_f64()));
        if let (Some(before), Some(after)) = (before, after) {
            outcome.values.push((Metric::BulkCpu(bulk), after.cpu_since(before) * 1e9 / bytes));
        }
    }
    Ok(outcome)
}

/// A slice of requests at the fixed rate, and the processor seconds that they took.
pub(crate) fn latency(target: &Running, settings: &Settings, span: Duration) -> Result<(Latencies, f64), Failure> {
    let plan = Plan { addrs: target.addrs.clone(), connections: CONNECTIONS, rate: settings.rate, span };
    let pids = target.pids()?;
    let before = Spent::until_now(&pids)?;
    let latencies = plan.run()?;
    thread::sleep(SETTLE);
    let spent = match (before, Spent::until_now(&pids)?) {
        (Some(before), Some(after)) => after.cpu_since(before),
        _ => 0.0,
    };
    Ok((latencies, spent))
}

/// The figures of all slices of a round together.
pub(crate) fn latency_outcome(mut latencies: Latencies, cpu: f64) -> Outcome {
    let done = latencies.times.count();
    let mut values = quantiles(&mut latencies.times, &Quantile::ALL, Metric::Latency);
    values.extend(quantiles(&mut latencies.late, &[Quantile::P50, Quantile::P99], Metric::Late));
    if cpu > 0.0 && done > 0 {
        values.push((Metric::RateCpu, cpu * 1e6 / done as f64));
    }
    Outcome { values, done, failed: latencies.failed, first_failure: latencies.first_failure }
}

/// The figures of `times` in µs.
pub(crate) fn quantiles(
    times: &mut Times,
    wanted: &[Quantile],
    metric: impl Fn(Quantile) -> Metric,
) -> Vec<(Metric, f64)> {
    let per_mille: Vec<usize> = wanted.iter().map(|quantile| quantile.per_mille()).collect();
    let found = times.quantiles(&per_mille);
    wanted.iter().zip(found).map(|(quantile, time)| (metric(*quantile), time.as_secs_f64() * 1e6)).collect()
}
