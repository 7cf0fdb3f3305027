//! The cases that need a balancer of their own: one that has served nothing yet, runs one thread, or has other hosts.

use std::thread;
use std::time::Duration;

use crate::Failure;
use crate::args::{CONNECTIONS, Settings};
use crate::load::latency::Plan;
use crate::load::spread::Spread;
use crate::load::{Exchange, Load, Stop, Tally};
use crate::measure::{self, Outcome, SETTLE, Spent};
use crate::metric::{Metric, Quantile};
use crate::peers::{self, Hosts, Running, Setting};
use crate::target::Target;
use crate::{memory, proc};

/// After opening idle connections: time to give back what it took to open them.
const SETTLE_IDLE: Duration = Duration::from_millis(500);
/// Streams as fast as they go beside the small requests.
pub(crate) const ELEPHANTS: usize = 8;
/// Connections and rate of the small requests.
pub(crate) const MICE: usize = 8;
pub(crate) const MICE_PER_SECOND: u64 = 1000;
/// The streams are on their way this long before the first small request, and after the last.
const HEAD_START: Duration = Duration::from_millis(200);
/// Requests under way, however many connections are open.
pub(crate) const WINDOW: usize = 8;
/// Connections that are being opened at a time.
const CONNECT_AT_A_TIME: usize = 32;

/// Memory for `settings.idle` connections that had an answer each and then say nothing.
pub(crate) fn idle(
    target: &Target,
    settings: &Settings,
    setting: &Setting<'_>,
    count: usize,
) -> Result<Outcome, Failure> {
    // What an earlier load has left in its pools would hide what these connections take.
    let running = peers::start(target, setting)?;
    measure::warm_up(&running, settings.threads)?;
    let pids = running.pids()?;
    let kernel_before = memory::of_sockets()?;
    let user_before = proc::own_memory_of(&pids)?;
    let mut open = Spread::default();
    let mut tally = extend(&mut open, &running, settings, count)?;
    thread::sleep(SETTLE_IDLE);
    let user_after = proc::own_memory_of(&pids)?;
    let kernel_after = memory::of_sockets()?;
    let mut outcome = Outcome::of(&mut tally);
    if open.len() > 0 {
        let pairs = open.len() as f64;
        if !pids.is_empty() {
            outcome.values.push((Metric::IdleMemory, (user_after as f64 - user_before as f64) / pairs));
        }
        if let (Some(before), Some(after)) = (kernel_before, kernel_after) {
            outcome.values.push((Metric::IdleKernel, (after as f64 - before as f64) / pairs));
        }
    }
    Ok(outcome)
}

/// Small requests at a fixed rate beside streams as fast as they go, all through one thread of the balancer.
pub(crate) fn mice(target: &Target, settings: &Settings, setting: &Setting<'_>) -> Result<Outcome, Failure> {
    let running = peers::start(target, &Setting { threads: 1, ..*setting })?;
    measure::warm_up(&running, settings.threads)?;
    let plan = Plan { addrs: running.addrs.clone(), connections: MICE, rate: MICE_PER_SECOND, span: settings.span };
    let load = Load {
        exchange: Exchange::BULK,
        addrs: running.addrs.clone(),
        connections: ELEPHANTS,
        stop: Stop::At(settings.span + 2 * HEAD_START),
    };
    let (elephants, mice) = thread::scope(|scope| {
        let elephants = scope.spawn(|| load.run(1));
        thread::sleep(HEAD_START);
        let mice = plan.run();
        (elephants.join(), mice)
    });
    let mut elephants = elephants.map_err(|_| "a load thread panicked")??;
    let mut mice = mice?;
    let mut values = measure::quantiles(&mut mice.times, &[Quantile::P50, Quantile::P99], Metric::Mice);
    values.extend(fairness(&elephants.shares).map(|index| (Metric::Fairness, index)));
    values.push((Metric::Elephants, elephants.bytes as f64 * 8e-9 / elephants.elapsed.as_secs_f64()));
    let mut outcome = Outcome { values, done: mice.times.count(), failed: mice.failed, first_failure: None };
    outcome.first_failure = mice.first_failure.take();
    outcome.count(&mut elephants);
    Ok(outcome)
}

/// Jain's index: 1 when all have the same, 1/n when one has everything (Jain, Chiu and Hawe, DEC-TR-301, 1984).
fn fairness(shares: &[u64]) -> Option<f64> {
    let sum: f64 = shares.iter().map(|share| *share as f64).sum();
    let squares: f64 = shares.iter().map(|share| (*share as f64).powi(2)).sum();
    (squares > 0.0).then(|| sum * sum / (shares.len() as f64 * squares))
}

/// Processor time of a short connection with ever more hosts to choose from.
pub(crate) fn hosts(
    target: &Target,
    settings: &Settings,
    setting: &Setting<'_>,
    hosts: &Hosts,
) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    for count in settings.hosts.iter().copied() {
        let addrs = hosts.many(count);
        let running = peers::start(target, &Setting { hosts: &addrs, ..*setting })?;
        measure::warm_up(&running, settings.threads)?;
        let pids = running.pids()?;
        let before = Spent::until_now(&pids)?;
        let load = Load {
            exchange: Exchange::SHORT,
            addrs: running.addrs.clone(),
            connections: CONNECTIONS,
            stop: Stop::After(settings.span / 2),
        };
        let mut tally = load.run(settings.threads)?;
        thread::sleep(SETTLE);
        outcome.values.extend(cpu_each(before, Spent::until_now(&pids)?, &tally, Metric::HostsCpu(count)));
        outcome.count(&mut tally);
    }
    Ok(outcome)
}

/// Processor time of a request on ever more open connections: with the same number of requests under way, which shows
/// what open connections cost, and with one on each, which adds what many at a time cost or save.
pub(crate) fn connections(target: &Target, settings: &Settings, setting: &Setting<'_>) -> Result<Outcome, Failure> {
    let running = peers::start(target, setting)?;
    measure::warm_up(&running, settings.threads)?;
    let pids = running.pids()?;
    let mut open = Spread::default();
    let mut outcome = Outcome::default();
    let (fewest, most) = (settings.open.iter().min().copied(), settings.open.iter().max().copied());
    for count in settings.open.iter().copied() {
        let mut opening = extend(&mut open, &running, settings, count)?;
        outcome.count(&mut opening);
        let is_end = Some(count) == fewest || Some(count) == most;
        let busy = is_end.then_some((count, Metric::BusyCpu(count)));
        for (window, metric) in [Some((WINDOW, Metric::OpenCpu(count))), busy].into_iter().flatten() {
            thread::sleep(SETTLE);
            let before = Spent::until_now(&pids)?;
            let mut tally = open.run(&Exchange::KEPT, window, settings.span / 2, settings.threads)?;
            thread::sleep(SETTLE);
            outcome.values.extend(cpu_each(before, Spent::until_now(&pids)?, &tally, metric));
            outcome.count(&mut tally);
        }
    }
    if let (Some(fewest), Some(most)) = (fewest, most) {
        let value =
            |wanted: Metric| outcome.values.iter().find(|(metric, _)| *metric == wanted).map(|(_, value)| *value);
        let growth = |metric: fn(usize) -> Metric| Some(value(metric(most))? / value(metric(fewest))?);
        let (open, busy) = (growth(Metric::OpenCpu), growth(Metric::BusyCpu));
        outcome.values.extend(open.map(|growth| (Metric::OpenGrowth, growth)));
        outcome.values.extend(busy.map(|growth| (Metric::BusyGrowth, growth)));
    }
    Ok(outcome)
}

fn cpu_each(before: Option<Spent>, after: Option<Spent>, tally: &Tally, metric: Metric) -> Option<(Metric, f64)> {
    let (before, after) = (before?, after?);
    (tally.done > 0).then(|| (metric, after.cpu_since(before) * 1e6 / tally.done as f64))
}

/// Opens connections until there are `count`, each with one answer.
fn extend(open: &mut Spread, running: &Running, settings: &Settings, count: usize) -> Result<Tally, Failure> {
    let missing = count.saturating_sub(open.len());
    let load = Load {
        exchange: Exchange::HELD,
        addrs: running.addrs.clone(),
        connections: CONNECT_AT_A_TIME.min(missing.max(1)),
        stop: Stop::Count(missing as u64),
    };
    let mut tally = load.run(settings.threads)?;
    open.add(std::mem::take(&mut tally.held));
    Ok(tally)
}
