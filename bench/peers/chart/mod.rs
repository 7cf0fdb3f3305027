//! The charts: bars for what Director is to the others, lines for growth and for latency.

mod bars;
mod lines;
mod svg;

use crate::args::Settings;
use crate::case::Bulk;
use crate::metric::{Better, Metric, Quantile};
use crate::results::Results;
use crate::target::{Kind, Target};
use bars::{Bars, Group};
use lines::{Lines, Scale, Series};

/// The figures of the bars.
const COMPARED: [Metric; 13] = [
    Metric::ConnectionCpu,
    Metric::RequestCpu,
    Metric::PageCpu,
    Metric::BulkCpu(Bulk::ONE),
    Metric::BulkCpu(Bulk::MANY),
    Metric::BulkCpu(Bulk::MANY_UP),
    Metric::Throughput(Bulk::ONE),
    Metric::Throughput(Bulk::MANY),
    Metric::Latency(Quantile::P50),
    Metric::Latency(Quantile::P99),
    Metric::Mice(Quantile::P99),
    Metric::IdleWhole,
    Metric::Syscalls,
];

/// Every chart: the name of its file, and the drawing if there are figures for it.
pub(crate) fn all(settings: &Settings, results: &Results) -> [(&'static str, Option<String>); 4] {
    let latency: Vec<_> =
        Quantile::ALL.map(|quantile| (quantile.label().to_owned(), Metric::Latency(quantile))).to_vec();
    let hosts: Vec<_> = settings.hosts.iter().map(|count| (count.to_string(), Metric::HostsCpu(*count))).collect();
    let open: Vec<_> = settings.open.iter().map(|count| (count.to_string(), Metric::OpenCpu(*count))).collect();
    [
        ("ratios.svg", ratios(settings, results)),
        (
            "latency.svg",
            lines(settings, results, &latency, "Latency at a fixed rate", "µs, by share of the requests", Scale::Log),
        ),
        (
            "hosts.svg",
            lines(
                settings,
                results,
                &hosts,
                "Cost of a short connection, by hosts in the group",
                "CPU µs a connection, by number of hosts",
                Scale::FromZero,
            ),
        ),
        (
            "connections.svg",
            lines(
                settings,
                results,
                &open,
                "Cost of a request, by open connections",
                "CPU µs a request, 8 under way, by number of open connections",
                Scale::FromZero,
            ),
        ),
    ]
}

/// What the first director is to the others. Rates are inverted, so that a shorter bar is always better.
fn ratios(settings: &Settings, results: &Results) -> Option<String> {
    let subject = settings.targets.iter().find(|target| target.kind == Kind::Director)?;
    let others: Vec<&Target> = settings
        .targets
        .iter()
        .filter(|target| matches!(target.kind, Kind::Bare | Kind::Nginx | Kind::Haproxy | Kind::Pen))
        .collect();
    let groups: Vec<Group> = COMPARED
        .into_iter()
        .map(|metric| {
            let is_rate = metric.better() == Better::Higher;
            let bars = others
                .iter()
                .filter_map(|other| {
                    let ratio = results.ratio(subject.id, other.id, metric)?;
                    Some((colour(settings, other), if is_rate { 1.0 / ratio } else { ratio }))
                })
                .collect();
            let label = metric.label();
            Group { label: if is_rate { format!("{label} (inverse)") } else { label }, bars }
        })
        .filter(|group: &Group| !group.bars.is_empty())
        .collect();
    let legend = others.iter().map(|other| (colour(settings, other), other.name.clone())).collect();
    let chart = Bars {
        title: "What Director needs, as a share of what others need",
        subtitle: "medians of the ratios in each round; shorter is better, at 1 both need the same",
        legend,
        groups,
    };
    (!chart.groups.is_empty()).then(|| chart.draw())
}

fn lines(
    settings: &Settings,
    results: &Results,
    steps: &[(String, Metric)],
    title: &str,
    unit: &str,
    scale: Scale,
) -> Option<String> {
    let series: Vec<Series> = settings
        .targets
        .iter()
        .map(|target| Series {
            name: target.name.clone(),
            colour: colour(settings, target),
            values: steps.iter().map(|(_, metric)| results.median(target.id, *metric)).collect(),
        })
        .filter(|series| series.values.iter().any(Option::is_some))
        .collect();
    let steps: Vec<String> = steps.iter().map(|(label, _)| label.clone()).collect();
    (!series.is_empty()).then(|| Lines { title, unit, steps, series, scale }.draw())
}

/// The class of the colour: each kind has its own; variants of director share two more.
fn colour(settings: &Settings, target: &Target) -> &'static str {
    let variant =
        settings.targets.iter().filter(|other| other.kind == target.kind).position(|other| other.id == target.id);
    match (target.kind, variant) {
        (Kind::Director, Some(0) | None) => "s0",
        (Kind::Director, Some(1)) => "s8",
        (Kind::Director, Some(_)) => "s9",
        (Kind::Bare, _) => "s1",
        (Kind::BareSplice, _) => "s2",
        (Kind::Nginx, _) => "s3",
        (Kind::NginxHalfClose, _) => "s4",
        (Kind::Haproxy, _) => "s5",
        (Kind::Pen, _) => "s6",
        (Kind::Direct, _) => "s7",
    }
}
