//! What the reactors' loops did, as a table for people: a row a counter, a column a reactor, their total last.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::model::counters::ReactorCounters;
use crate::model::histogram::Histogram;

/// Reactors beside each other; more go below, so that a row fits a screen.
const COLUMNS_MAX: usize = 8;
/// Room for a row's name and for a number.
const NAME_WIDTH: usize = 24;
const NUMBER_WIDTH: usize = 13;

/// One reactor's numbers, or the sum of several.
#[derive(Clone, Debug, Default)]
struct Column {
    turns: u64,
    events: u64,
    events_peak: u64,
    accepted: u64,
    handed_over: u64,
    sampled: u64,
    elsewhere: u64,
    open: u64,
    accept_pauses: u64,
    budget_spent: u64,
    buffers: u64,
    buffers_peak: u64,
    pipes: u64,
    copied: u64,
    spliced: u64,
    times: [u64; Histogram::BUCKETS],
}

/// The lines of the table.
#[must_use]
pub(super) fn loop_table(reactors: &[Arc<ReactorCounters>]) -> Vec<String> {
    let mut columns: Vec<(String, Column)> =
        reactors.iter().enumerate().map(|(number, counters)| (number.to_string(), Column::read(counters))).collect();
    let total = columns.iter().fold(Column::default(), |sum, (_, column)| sum.and(column));
    let used = used_buckets(&total);
    columns.push((String::from("total"), total));
    let mut lines = Vec::new();
    for part in columns.chunks(COLUMNS_MAX + 1) {
        let row =
            |name: &str, text: &dyn Fn(&Column) -> String| line(name, part.iter().map(|(_, column)| text(column)));
        lines.push(line("reactor", part.iter().map(|(name, _)| name.clone())));
        lines.extend(ROWS.iter().map(|(name, text)| row(name, text)));
        for bucket in used.clone() {
            lines.push(row(&format!("turns {}", bucket_name(bucket)), &|column| column.times[bucket].to_string()));
        }
    }
    lines
}

type Row = (&'static str, fn(&Column) -> String);

const ROWS: [Row; 18] = [
    ("turns", |column| column.turns.to_string()),
    ("turns, half below", |column| column.time_below(500)),
    ("turns, 99 % below", |column| column.time_below(990)),
    ("events", |column| column.events.to_string()),
    ("events a turn", |column| ratio(column.events, column.turns)),
    ("events a turn, most", |column| column.events_peak.to_string()),
    ("connections open", |column| column.open.to_string()),
    ("connections accepted", |column| column.accepted.to_string()),
    ("connections handed over", |column| column.handed_over.to_string()),
    ("packets elsewhere, %", |column| percent(column.elsewhere, column.sampled)),
    ("accept pauses", |column| column.accept_pauses.to_string()),
    ("budgets spent", |column| column.budget_spent.to_string()),
    ("buffers leased", |column| column.buffers.to_string()),
    ("buffers leased, most", |column| column.buffers_peak.to_string()),
    ("pipes", |column| column.pipes.to_string()),
    ("bytes copied", |column| column.copied.to_string()),
    ("bytes spliced", |column| column.spliced.to_string()),
    ("bytes spliced, %", |column| percent(column.spliced, column.copied + column.spliced)),
];

impl Column {
    fn read(counters: &ReactorCounters) -> Self {
        Self {
            turns: counters.turns.load(Relaxed),
            events: counters.events.load(Relaxed),
            events_peak: counters.events_peak.load(Relaxed).into(),
            accepted: counters.accepted.load(Relaxed),
            handed_over: counters.handed_over.load(Relaxed),
            sampled: counters.arrivals_sampled.load(Relaxed),
            elsewhere: counters.packets_elsewhere.load(Relaxed),
            open: counters.open.load(Relaxed).into(),
            accept_pauses: counters.accept_pauses.load(Relaxed),
            budget_spent: counters.budget_spent.load(Relaxed),
            buffers: counters.buffers.load(Relaxed).into(),
            buffers_peak: counters.buffers_peak.load(Relaxed).into(),
            pipes: counters.pipes.load(Relaxed).into(),
            copied: counters.bytes_copied.load(Relaxed),
            spliced: counters.bytes_spliced.load(Relaxed),
            times: counters.turn_time.counts(),
        }
    }

    /// The sum of both. Most events of a turn is the larger one; the peaks of buffers may not have been at one time, and
    /// their sum is what the process may have had at most.
    fn and(self, other: &Self) -> Self {
        Self {
            turns: self.turns + other.turns,
            events: self.events + other.events,
            events_peak: self.events_peak.max(other.events_peak),
            accepted: self.accepted + other.accepted,
            handed_over: self.handed_over + other.handed_over,
            sampled: self.sampled + other.sampled,
            elsewhere: self.elsewhere + other.elsewhere,
            open: self.open + other.open,
            accept_pauses: self.accept_pauses + other.accept_pauses,
            budget_spent: self.budget_spent + other.budget_spent,
            buffers: self.buffers + other.buffers,
            buffers_peak: self.buffers_peak + other.buffers_peak,
            pipes: self.pipes + other.pipes,
            copied: self.copied + other.copied,
            spliced: self.spliced + other.spliced,
            times: std::array::from_fn(|bucket| self.times[bucket] + other.times[bucket]),
        }
    }

    /// What so many of a thousand turns took less than.
    fn time_below(&self, per_mille: u64) -> String {
        let all: u64 = self.times.iter().sum();
        let wanted = (all * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        let found = self.times.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map_or_else(nothing, |bucket| Histogram::below(bucket).map_or_else(|| String::from("longer"), show))
    }
}

fn line(name: &str, values: impl Iterator<Item = String>) -> String {
    values.fold(format!("loops  {name:NAME_WIDTH$}"), |line, value| format!("{line}{value:>NUMBER_WIDTH$}"))
}

/// The buckets from the first to the last that is not empty.
fn used_buckets(total: &Column) -> std::ops::Range<usize> {
    let first = total.times.iter().position(|count| *count > 0).unwrap_or(0);
    let end = total.times.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    first..end
}

fn bucket_name(bucket: usize) -> String {
    Histogram::below(bucket).map_or_else(
        || format!("from {}", Histogram::below(bucket - 1).map_or_else(nothing, show)),
        |end| format!("below {}", show(end)),
    )
}

/// A power of two of microseconds, in the unit that a person would use: 512us, 1ms, 524ms, 1.0s.
fn show(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..1000 => format!("{micros}us"),
        micros @ 1000..1_000_000 => format!("{}ms", micros / 1000),
        _ => format!("{:.1}s", time.as_secs_f64()),
    }
}

/// `part` of `whole` in percent with a tenth; a dash of nothing.
fn percent(part: u64, whole: u64) -> String {
    ratio(part.saturating_mul(100), whole)
}

/// A quotient with a tenth, rounded down; a dash when it has none.
fn ratio(part: u64, whole: u64) -> String {
    let Some(tenths) = part.saturating_mul(10).checked_div(whole) else { return nothing() };
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn nothing() -> String {
    String::from("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reactor(turns: u64, micros: u64) -> Arc<ReactorCounters> {
        let counters = ReactorCounters::default();
        (0..turns).for_each(|turn| counters.turn_ended(usize::from(turn == 0) * 3, Duration::from_micros(micros)));
        Arc::new(counters)
    }

    fn row<'a>(lines: &'a [String], name: &str) -> Vec<&'a str> {
        let line = lines.iter().find_map(|line| line.strip_prefix("loops  ")?.strip_prefix(name)?.strip_prefix("  "));
        line.unwrap_or_else(|| panic!("no {name} in {lines:#?}")).split_whitespace().collect()
    }

    #[test]
    fn table_has_a_column_a_reactor_and_their_total_last() {
        let (busy, calm) = (reactor(3, 5), reactor(1, 40));
        busy.bytes_copied.store(100, Relaxed);
        busy.bytes_spliced.store(300, Relaxed);
        busy.accepted.store(8, Relaxed);
        busy.arrivals_sampled.store(8, Relaxed);
        busy.packets_elsewhere.store(1, Relaxed);
        let lines = loop_table(&[busy, calm]);
        assert_eq!(row(&lines, "reactor"), ["0", "1", "total"]);
        assert_eq!(row(&lines, "turns"), ["3", "1", "4"]);
        assert_eq!(row(&lines, "events a turn"), ["1.0", "3.0", "1.5"]);
        assert_eq!(row(&lines, "events a turn, most"), ["3", "3", "3"]);
        assert_eq!(row(&lines, "bytes spliced, %"), ["75.0", "-", "75.0"]);
        assert_eq!(row(&lines, "packets elsewhere, %"), ["12.5", "-", "12.5"]);
        assert_eq!(row(&lines, "turns below 8us"), ["3", "0", "3"]);
        assert_eq!(row(&lines, "turns below 64us"), ["0", "1", "1"]);
        assert_eq!(row(&lines, "turns, half below"), ["8us", "64us", "8us"]);
        assert_eq!(row(&lines, "turns, 99 % below"), ["8us", "64us", "64us"]);
        assert!(lines.windows(2).all(|pair| pair[0].len() == pair[1].len()), "{lines:#?}");
    }

    #[test]
    fn table_of_reactors_that_did_nothing_has_no_times() {
        let lines = loop_table(&[Arc::default()]);
        assert_eq!(lines.len(), 1 + ROWS.len());
        assert_eq!(row(&lines, "turns, half below"), ["-", "-"]);
    }

    #[test]
    fn many_reactors_go_below_each_other() {
        let reactors: Vec<_> = (0..20).map(|_| reactor(1, 1)).collect();
        let lines = loop_table(&reactors);
        let heads: Vec<_> = lines.iter().filter(|line| line.contains("reactor")).collect();
        assert_eq!(heads.len(), 3);
        assert!(heads[2].ends_with("total"), "{heads:?}");
    }

    #[test]
    fn times_without_end_are_named_by_their_start() {
        assert_eq!(bucket_name(0), "below 1us");
        assert_eq!(bucket_name(11), "below 2ms");
        assert_eq!(bucket_name(Histogram::BUCKETS - 1), "from 1.0s");
    }
}
