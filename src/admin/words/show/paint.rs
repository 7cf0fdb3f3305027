//! Colours, columns and figures.

use std::time::Duration;

/// Whether text is coloured. Without colour nothing is lost: a colour only repeats what a word says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint(pub bool);

/// What a text is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it comes.
    Plain,
    /// A heading.
    Strong,
    /// Of less weight.
    Faint,
    /// Well.
    Good,
    /// To be looked at.
    Odd,
    /// Wrong.
    Bad,
}

impl Paint {
    /// The text in its colour. See ECMA-48, select graphic rendition.
    #[must_use]
    pub fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Odd => "33",
            Tone::Bad => "31;1",
        };
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A table: cells with their tones, the columns as wide as they have to be.
pub(super) struct Table {
    rights: Vec<bool>,
    rows: Vec<Vec<(Tone, String)>>,
}

impl Table {
    /// With this head; a `>` before a title sets its column to the right.
    pub(super) fn new(titles: &[&str]) -> Self {
        let rights = titles.iter().map(|title| title.starts_with('>')).collect();
        let head = titles.iter().map(|title| (Tone::Faint, title.trim_start_matches('>').to_owned()));
        Self { rights, rows: vec![head.collect()] }
    }

    /// One more row.
    pub(super) fn row(&mut self, cells: Vec<(Tone, String)>) {
        self.rows.push(cells);
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// The lines. A column without anything in it is left out.
    pub(super) fn lines(&self, indent: &str, paint: Paint) -> Vec<String> {
        self.aligned(&columns(&[self]), indent, paint)
    }

    /// The lines with columns of these widths.
    pub(super) fn aligned(&self, columns: &[(usize, usize)], indent: &str, paint: Paint) -> Vec<String> {
        let line = |row: &Vec<(Tone, String)>| {
            let mut line = indent.to_owned();
            for (number, (column, width)) in columns.iter().enumerate() {
                let Some((tone, text)) = row.get(*column) else { continue };
                let room = " ".repeat(width - text.chars().count().min(*width));
                line.push_str(if number == 0 { "" } else { "  " });
                let painted = paint.tone(*tone, text);
                let parts = if self.rights[*column] { [room, painted] } else { [painted, room] };
                line.extend(parts);
            }
            line.truncate(line.trim_end().len());
            line
        };
        self.rows.iter().map(line).collect()
    }
}

/// The columns of tables that stand below one another, with their widths.
pub(super) fn columns(tables: &[&Table]) -> Vec<(usize, usize)> {
    let count = tables.iter().map(|table| table.rights.len()).max().unwrap_or(0);
    let width = |column: usize, skip: usize| {
        let cells = tables.iter().flat_map(|table| table.rows.iter().skip(skip)).filter_map(|row| row.get(column));
        cells.map(|(_, text)| text.chars().count()).max().unwrap_or(0)
    };
    (0..count).filter(|at| width(*at, 1) > 0).map(|at| (at, width(at, 0))).collect()
}

/// A time in its two largest units: `3d 4h`, `12s`, `250ms`.
#[must_use]
pub fn span(time: Duration) -> String {
    let (millis, seconds) = (time.as_millis(), time.as_secs());
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        86_400.. => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A number of bytes with three digits: `512`, `1.5k`, `23.4M`.
#[must_use]
pub fn bytes(count: u64) -> String {
    scaled(count, 1024)
}

/// A number with three digits, in thousands.
#[must_use]
pub fn number(count: u64) -> String {
    scaled(count, 1000)
}

fn scaled(count: u64, step: u64) -> String {
    const UNITS: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    let (mut whole, mut rest, mut unit) = (count, 0, 0);
    while whole >= step && unit + 1 < UNITS.len() {
        rest = whole % step * 10 / step;
        whole /= step;
        unit += 1;
    }
    let name = UNITS[unit];
    if unit == 0 || whole >= 100 { format!("{whole}{name}") } else { format!("{whole}.{rest}{name}") }
}

/// A connect's time: `-` when there was none, `180µs`, `1.2ms`, `3.4s`.
#[must_use]
pub fn latency(time: Duration) -> String {
    match time.as_micros() {
        0 => String::from("-"),
        micros @ 1..1000 => format!("{micros}µs"),
        micros @ 1000..1_000_000 => format!("{}.{}ms", micros / 1000, micros % 1000 / 100),
        micros => format!("{}.{}s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!([0, 999, 1024, 1536, 100 << 20, u64::MAX].map(bytes), ["0", "999", "1.0k", "1.5k", "100M", "15.9E"]);
        assert_eq!([999, 1000, 12_345, 123_456].map(number), ["999", "1.0k", "12.3k", "123k"]);
        let spans = [0, 59, 61, 3700, 90_000].map(|s| span(Duration::from_secs(s)));
        assert_eq!(spans, ["0ms", "59s", "1m 1s", "1h 1m", "1d 1h"]);
        let times = [0, 250, 1250, 3_400_000].map(|us| latency(Duration::from_micros(us)));
        assert_eq!(times, ["-", "250µs", "1.2ms", "3.4s"]);
    }

    #[test]
    fn table_is_aligned_with_colours_and_without() {
        let mut table = Table::new(&["NAME", ">N", "EMPTY"]);
        table.row(vec![(Tone::Bad, "é".into()), (Tone::Plain, "12345".into()), (Tone::Plain, String::new())]);
        assert_eq!(table.lines(" ", Paint(false)), [" NAME      N", " é     12345"]);
        let coloured = table.lines(" ", Paint(true));
        assert_eq!(coloured[1], " \x1b[31;1mé\x1b[0m     12345");
    }
}
