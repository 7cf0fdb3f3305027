//! The report: tables on standard output and as `peers.md`, every value of every round as `peers.csv`, and charts.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};

use crate::Failure;
use crate::args::{CONNECTIONS, CONNECTIONS_TRACED, Settings};
use crate::case::Bulk;
use crate::fresh::{ELEPHANTS, MICE, MICE_PER_SECOND, WINDOW};
use crate::metric::{Better, Metric, Quantile};
use crate::results::{Count, Results};
use crate::run::HOSTS;
use crate::table::{self, dash, shown};
use crate::target::{Kind, Target};
use crate::{bars, chart, machine, wire};

/// Calls a connection below which a system call is not listed by name.
const CALLS_SHOWN_MIN: f64 = 0.05;

/// What the README shows.
const SUMMARY: [Metric; 16] = [
    Metric::Connections,
    Metric::ConnectionCpu,
    Metric::Syscalls,
    Metric::Requests,
    Metric::RequestCpu,
    Metric::Pages,
    Metric::PageCpu,
    Metric::Throughput(Bulk::ONE),
    Metric::BulkCpu(Bulk::ONE),
    Metric::Throughput(Bulk::MANY),
    Metric::BulkCpu(Bulk::MANY),
    Metric::Latency(Quantile::P50),
    Metric::Latency(Quantile::P99),
    Metric::Mice(Quantile::P99),
    Metric::IdleMemory,
    Metric::IdleWhole,
];
const SUMMARY_KINDS: [Kind; 5] = [Kind::Director, Kind::Nginx, Kind::Haproxy, Kind::Pen, Kind::Bare];

/// Prints the report and writes its files.
pub(crate) fn write(settings: &Settings, results: &Results) -> Result<(), Failure> {
    fs::create_dir_all(&settings.results)?;
    let mut names = ["peers.md", "peers.csv", "summary.md"].map(ToOwned::to_owned).to_vec();
    let mut charts = Vec::new();
    for (name, drawing) in chart::all(settings, results) {
        let file = settings.results.join(name);
        if let Some(drawing) = drawing {
            fs::write(file, drawing)?;
            names.push(name.to_owned());
            charts.push(name);
        } else if file.exists() {
            // It is of an earlier run and does not belong to these tables.
            fs::remove_file(file)?;
        }
    }
    let text = text(settings, results, &charts);
    fs::write(settings.results.join("peers.md"), &text)?;
    fs::write(settings.results.join("peers.csv"), csv(settings, results))?;
    let mut summary = String::new();
    table::push(&mut summary, &medians(results, &summary_of(settings), &SUMMARY), true);
    fs::write(settings.results.join("summary.md"), summary)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    eprintln!("\nwritten to {}: {}", settings.results.display(), names.join(", "));
    Ok(())
}

fn text(settings: &Settings, results: &Results, charts: &[&str]) -> String {
    let mut text = String::from("# Director beside other balancers\n\n");
    machine_and_settings(&mut text, settings, results);
    targets(&mut text, settings, results);
    let directors: Vec<&Target> = settings.targets.iter().filter(|target| target.kind == Kind::Director).collect();
    for director in &directors {
        push_line(&mut text, format_args!("\n## The bars: {}\n", director.name));
        table::push(&mut text, &bars::table(settings, results, director), false);
    }
    text.push_str("\n## Medians\n\n");
    let everybody: Vec<&Target> = settings.targets.iter().collect();
    let mut medians = medians(results, &everybody, &results.metrics());
    medians.extend(counts(results, &everybody));
    table::push(&mut text, &medians, true);
    push_failures(&mut text, settings, results);
    if let Some(director) = directors.first() {
        let ratios = ratios(settings, results, director);
        if ratios.len() > 1 {
            push_line(&mut text, format_args!("\n## {} to each: medians of the ratios in each round\n", director.name));
            table::push(&mut text, &ratios, true);
        }
    }
    if !charts.is_empty() {
        text.push_str("\n## Charts\n\n");
        for chart in charts {
            push_line(&mut text, format_args!("![{}]({chart})", chart.trim_end_matches(".svg")));
        }
    }
    if !results.calls.is_empty() {
        text.push_str("\n## System calls a short connection, by name\n\n");
        for target in &settings.targets {
            let Some(calls) = results.calls.get(&target.id) else { continue };
            let shown = calls.iter().filter(|(_, count)| *count >= CALLS_SHOWN_MIN);
            let shown: Vec<String> = shown.map(|(name, count)| format!("{name} {count:.1}")).collect();
            push_line(&mut text, format_args!("- {}: {}", target.name, shown.join(", ")));
        }
    }
    text
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

fn machine_and_settings(text: &mut String, settings: &Settings, results: &Results) {
    for (name, value) in machine::lines() {
        push_line(text, format_args!("- {name}: {value}"));
    }
    if let Some((others, stolen)) = results.all_ticks().others_percent() {
        let rounds = results.ticks.values().filter_map(|ticks| ticks.others_percent());
        let rounds: Vec<String> = rounds.map(|(others, _)| format!("{others:.0}")).collect();
        push_line(
            text,
            format_args!(
                "- other work on the machine during the run: {others:.0} % of its CPUs (by round: {}), and {stolen:.0} % \
                 stolen",
                rounds.join(", ")
            ),
        );
    }
    let given = if settings.given.is_empty() { "no options" } else { &settings.given };
    push_line(
        text,
        format_args!(
            "- run: {given}; {} rounds (hosts {}, system calls 1), {:.1} s of load a case, round and balancer (half of \
             it for bulk and growth); {HOSTS} hosts, clients and hosts on the same machine over loopback",
            settings.rounds,
            settings.hosts_rounds,
            settings.span.as_secs_f64()
        ),
    );
    push_line(
        text,
        format_args!(
            "- short: {CONNECTIONS} at a time, a {} B answer, the host closes; kept: {CONNECTIONS} connections, {} B or \
             {} KiB answers; bulk: {} MiB at a time, down from the hosts or up to them; latency: {} requests/s on \
             {CONNECTIONS} connections, open loop, from when each was due, by threads that run before all others where \
             permitted (SCHED_RR); idle: {} connections that had one answer",
            wire::SHORT_ANSWER.len(),
            wire::KEPT_ANSWER.len(),
            wire::PAGE_BYTES >> 10,
            wire::BULK_BYTES >> 20,
            settings.rate,
            results.idle,
        ),
    );
    push_line(
        text,
        format_args!(
            "- beside {ELEPHANTS} streams: {MICE_PER_SECOND} requests/s on {MICE} connections, the balancer with one \
             thread; open connections: {WINDOW} requests under way, all connections in turn, and busy ones: a request \
             under way on each; system calls: {} short connections, {CONNECTIONS_TRACED} at a time",
            settings.traced
        ),
    );
    push_line(
        text,
        format_args!(
            "- CPU: of the balancer's own processes (schedstat); user memory: their RssAnon; kernel memory: objects in \
             use in /proc/slabinfo, those of as many direct connections subtracted"
        ),
    );
}

fn targets(text: &mut String, settings: &Settings, results: &Results) {
    text.push('\n');
    for target in &settings.targets {
        let version = results.versions.get(&target.id).map_or("", String::as_str);
        let version = if version.is_empty() { String::new() } else { format!("{version}; ") };
        push_line(text, format_args!("- {}: {version}{}", target.name, target.described(settings.threads)));
    }
}

/// One of each of the kinds that the README shows.
fn summary_of(settings: &Settings) -> Vec<&Target> {
    SUMMARY_KINDS.into_iter().filter_map(|kind| settings.targets.iter().find(|target| target.kind == kind)).collect()
}

fn medians(results: &Results, targets: &[&Target], metrics: &[Metric]) -> Vec<Vec<String>> {
    let mut header = vec![String::new()];
    header.extend(targets.iter().map(|target| target.name.clone()));
    let mut table = vec![header];
    for metric in metrics {
        let values: Vec<_> = targets.iter().map(|target| results.median(target.id, *metric)).collect();
        if values.iter().any(Option::is_some) {
            let mut row = vec![metric.label()];
            row.extend(values.into_iter().map(|value| shown(value, metric.decimals())));
            table.push(row);
        }
    }
    table
}

/// The rows of what was done and what failed.
fn counts(results: &Results, targets: &[&Target]) -> [Vec<String>; 2] {
    let row = |label: &str, part: fn(&Count) -> u64| {
        let mut row = vec![label.to_owned()];
        let parts = targets.iter().map(|target| results.counts.get(&target.id).map(part));
        row.extend(parts.map(|part| part.map_or_else(dash, |part| part.to_string())));
        row
    };
    [row("exchanges done", |count| count.done), row("exchanges failed", |count| count.failed)]
}

fn push_failures(text: &mut String, settings: &Settings, results: &Results) {
    for problem in &results.problems {
        push_line(text, format_args!("\n{problem}"));
    }
    for target in &settings.targets {
        let Some(count) = results.counts.get(&target.id).filter(|count| count.failed > 0) else { continue };
        let first = count.first_failure.as_deref().unwrap_or("unknown");
        push_line(
            text,
            format_args!(
                "\n{} FAILED in {} exchanges, so that its figures are not comparable; the first: {first}",
                target.name, count.failed
            ),
        );
    }
}

fn ratios(settings: &Settings, results: &Results, subject: &Target) -> Vec<Vec<String>> {
    let others: Vec<&Target> =
        settings.targets.iter().filter(|target| target.kind != Kind::Direct && target.id != subject.id).collect();
    let mut header = vec![String::new()];
    header.extend(others.iter().map(|other| other.name.clone()));
    let mut table = vec![header];
    for metric in results.metrics().into_iter().filter(|metric| metric.better() != Better::NoRatio) {
        let ratios: Vec<_> = others.iter().map(|other| results.ratio(subject.id, other.id, metric)).collect();
        if ratios.iter().any(Option::is_some) {
            let mut row = vec![metric.label()];
            row.extend(ratios.into_iter().map(|ratio| shown(ratio, 2)));
            table.push(row);
        }
    }
    table
}

fn csv(settings: &Settings, results: &Results) -> String {
    let mut text = String::from("balancer,figure,median,lowest,highest,values\n");
    for target in &settings.targets {
        for metric in results.metrics() {
            let samples = results.samples(target.id, metric);
            let Some(median) = results.median(target.id, metric) else { continue };
            let lowest = samples.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let values: Vec<String> = samples.iter().map(|value| format!("{value:.3}")).collect();
            push_line(
                &mut text,
                format_args!(
                    "{},\"{}\",{median:.3},{lowest:.3},{highest:.3},{}",
                    target.name,
                    metric.label(),
                    values.join(" ")
                ),
            );
        }
        if let Some(count) = results.counts.get(&target.id) {
            push_line(&mut text, format_args!("{},exchanges failed,{},,,", target.name, count.failed));
        }
    }
    text
}
