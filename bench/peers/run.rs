//! The order of a run: round by round, case by case, target by target.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::args::Settings;
use crate::case::Case;
use crate::fresh;
use crate::load::latency::Latencies;
use crate::measure::{self, Outcome};
use crate::metric::{Metric, Quantile};
use crate::peers::{self, Hosts, Running, Setting};
use crate::proc::{self, Ticks};
use crate::process::Workspace;
use crate::results::Results;
use crate::syscalls;
use crate::target::{Id, Kind, Target};

/// Hosts behind every balancer.
pub(crate) const HOSTS: usize = 3;

/// Runs everything that `settings` ask for.
pub(crate) fn all(settings: &mut Settings) -> Result<Results, Failure> {
    let connections_max = peers::connections_max()?;
    settings.open.retain(|count| *count <= connections_max);
    let settings = &*settings;
    let workspace = Workspace::new()?;
    let hosts = Hosts::start(HOSTS, &workspace)?;
    let setting = Setting { threads: settings.threads, hosts: &hosts.addrs, workspace: &workspace };
    let mut results = Results::default();
    results.idle = settings.idle.min(connections_max);
    let mut run =
        Run { settings, setting, hosts: &hosts, running: Vec::new(), round: 0, slices: BTreeMap::new(), results };
    run.start_targets();
    if run.running.is_empty() {
        return Err("no target takes connections".into());
    }
    for round in 0..settings.rounds {
        run.round = round;
        for case in settings.cases.iter().copied() {
            if run.running.is_empty() || !is_due(case, round, settings) {
                continue;
            }
            if case == Case::Syscalls && !syscalls::is_possible() {
                run.results.problems.push("system calls were not counted: strace is not installed".to_owned());
                continue;
            }
            let begun = Instant::now();
            eprint!("round {}/{} {:<11}", round + 1, settings.rounds, case.name());
            run.case(case);
            eprintln!("  [{:.1} s]", begun.elapsed().as_secs_f64());
        }
    }
    Ok(run.results)
}

fn is_due(case: Case, round: usize, settings: &Settings) -> bool {
    match case {
        Case::Hosts => round < settings.hosts_rounds,
        // Last, and once: strace leaves nothing behind, but it is better not to have to prove it.
        Case::Syscalls => round + 1 == settings.rounds,
        Case::Short
        | Case::Kept
        | Case::Page
        | Case::Bulk(_)
        | Case::Latency
        | Case::Idle
        | Case::Mice
        | Case::Connections => true,
    }
}

struct Run<'a> {
    settings: &'a Settings,
    setting: Setting<'a>,
    hosts: &'a Hosts,
    running: Vec<Running>,
    round: usize,
    /// Of the case under way: the latencies of the slices so far, and the processor time they took.
    slices: BTreeMap<Id, (Latencies, f64)>,
    results: Results,
}

impl Run<'_> {
    fn start_targets(&mut self) {
        for target in &self.settings.targets {
            self.results.versions.insert(target.id, target.version());
            let begun = Instant::now();
            match self.start(target) {
                Ok(running) => {
                    eprintln!("{:<11} answers, {} ms after its start", target.name, begun.elapsed().as_millis());
                    self.running.push(running);
                }
                Err(failure) => {
                    eprintln!("{:<11} skipped: {failure}", target.name);
                    self.results.problems.push(format!("{} was skipped: {failure}", target.name));
                }
            }
        }
    }

    fn start(&self, target: &Target) -> Result<Running, Failure> {
        let running = peers::start(target, &self.setting)?;
        match measure::warm_up(&running, self.settings.threads) {
            Ok(()) => Ok(running),
            Err(failure) => Err(format!("{failure}; it said: {}", running.words()).into()),
        }
    }

    /// One case on all targets that it suits; each round begins with another one.
    fn case(&mut self, case: Case) {
        self.slices.clear();
        let suited: Vec<usize> =
            (0..self.running.len()).filter(|index| case.suits(self.running[*index].target.kind)).collect();
        let mut ended = Vec::new();
        for slice in 0..case.slices() as usize {
            for turn in 0..suited.len() {
                let index = suited[(self.round + slice + turn) % suited.len()];
                let target = self.running[index].target.clone();
                let when = format!("{}, {}, round {}", target.name, case.name(), self.round + 1);
                match self.measure(case, index) {
                    Ok(Some(outcome)) => {
                        eprint!("  {} {}", target.name, in_short(&outcome));
                        self.keep(target.id, outcome);
                    }
                    Ok(None) => {}
                    Err(failure) => {
                        eprint!("  {} FAILED: {failure}", target.name);
                        self.results.problems.push(format!("{when}: {failure}"));
                    }
                }
                if !self.running[index].is_alive() && !ended.contains(&target.id) {
                    let words = self.running[index].words();
                    self.results.problems.push(format!("{when}: it ended, having said: {words}"));
                    ended.push(target.id);
                }
            }
        }
        for (id, (latencies, cpu)) in std::mem::take(&mut self.slices) {
            let outcome = measure::latency_outcome(latencies, cpu);
            let name = self.settings.targets.iter().find(|target| target.id == id).map_or("", |target| &target.name);
            eprint!("  {name} {}", in_short(&outcome));
            self.keep(id, outcome);
        }
        self.keep_differences(case);
        self.running.retain(|running| !ended.contains(&running.target.id));
    }

    /// `None` where the figures come only after the last slice.
    fn measure(&mut self, case: Case, index: usize) -> Result<Option<Outcome>, Failure> {
        let target = self.running[index].target.clone();
        let outcome = match case {
            Case::Short => self.watched(|run| measure::short(&run.running[index], run.settings)),
            Case::Kept => self.watched(|run| measure::kept(&run.running[index], run.settings)),
            Case::Page => self.watched(|run| measure::page(&run.running[index], run.settings)),
            Case::Bulk(bulk) => self.watched(|run| measure::bulk(&run.running[index], run.settings, bulk)),
            Case::Latency => {
                self.slice(index, self.settings.span / case.slices())?;
                return Ok(None);
            }
            Case::Idle => self.watched(|run| fresh::idle(&target, run.settings, &run.setting, run.results.idle)),
            Case::Mice => self.watched(|run| fresh::mice(&target, run.settings, &run.setting)),
            Case::Hosts => self.watched(|run| fresh::hosts(&target, run.settings, &run.setting, run.hosts)),
            Case::Connections => self.watched(|run| fresh::connections(&target, run.settings, &run.setting)),
            Case::Syscalls => self.calls(index),
        };
        outcome.map(Some)
    }

    fn calls(&mut self, index: usize) -> Result<Outcome, Failure> {
        let running = &self.running[index];
        let calls = syscalls::count(running, self.settings, self.setting.workspace)?;
        let sum = calls.by_name.iter().map(|(_, calls)| calls).sum();
        self.results.calls.insert(running.target.id, calls.by_name);
        Ok(Outcome {
            values: vec![(Metric::Syscalls, sum)],
            done: calls.done,
            failed: calls.failed,
            first_failure: calls.first_failure,
        })
    }

    fn slice(&mut self, index: usize, span: Duration) -> Result<(), Failure> {
        let (latencies, cpu) = self.watched(|run| measure::latency(&run.running[index], run.settings, span))?;
        let sum = self.slices.entry(self.running[index].target.id).or_default();
        sum.0.add(latencies);
        sum.1 += cpu;
        Ok(())
    }

    /// Measures, and notes what else the machine did meanwhile.
    fn watched<T>(&mut self, measure: impl FnOnce(&Self) -> Result<T, Failure>) -> Result<T, Failure> {
        let own = proc::tree(&[std::process::id()])?;
        let before = Ticks::now(&own)?;
        let outcome = measure(self)?;
        let sum = self.results.ticks.entry(self.round).or_default();
        *sum = sum.plus(Ticks::now(&own)?.since(before));
        Ok(outcome)
    }

    fn keep(&mut self, id: Id, outcome: Outcome) {
        let count = self.results.counts.entry(id).or_default();
        count.done += outcome.done;
        count.failed += outcome.failed;
        count.first_failure = count.first_failure.take().or(outcome.first_failure);
        for (metric, value) in outcome.values {
            self.results.add(self.round, id, metric, value);
        }
    }

    /// What each balancer adds to the direct connections of the same round.
    fn keep_differences(&mut self, case: Case) {
        let round = self.round;
        let Some(direct) = self.settings.targets.iter().find(|target| target.kind == Kind::Direct) else { return };
        for target in self.settings.targets.iter().filter(|target| target.kind != Kind::Direct) {
            let over_direct = |results: &Results, metric: Metric| {
                Some(results.value(round, target.id, metric)? - results.value(round, direct.id, metric)?)
            };
            if case == Case::Latency {
                for quantile in Quantile::ALL {
                    if let Some(added) = over_direct(&self.results, Metric::Latency(quantile)) {
                        self.results.add(round, target.id, Metric::Added(quantile), added);
                    }
                }
            }
            let user = self.results.value(round, target.id, Metric::IdleMemory);
            let kernel = over_direct(&self.results, Metric::IdleKernel);
            if let (Case::Idle, Some(user), Some(kernel)) = (case, user, kernel) {
                self.results.add(round, target.id, Metric::IdleWhole, user + kernel);
            }
        }
    }
}

/// The first value and the failures, for the line that shows progress.
fn in_short(outcome: &Outcome) -> String {
    let value = outcome.values.first();
    let value = value.map_or_else(|| "–".to_owned(), |(metric, value)| format!("{value:.*}", metric.decimals()));
    if outcome.failed > 0 { format!("{value} ({} FAILED)", outcome.failed) } else { value }
}
