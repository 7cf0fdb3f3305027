//! Lines over a few steps, each with its name at its end.

use super::svg::{Anchor, Svg};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 120.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 40.0;
/// Names at the ends are at least so far apart.
const NAME: f64 = 15.0;

/// How values become heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    FromZero,
    /// Each rule stands for a power of ten, or twice or five times one.
    Log,
}

pub(super) struct Series {
    pub(super) name: String,
    /// The class of the colour.
    pub(super) colour: &'static str,
    /// A value a step, where there is one.
    pub(super) values: Vec<Option<f64>>,
}

pub(super) struct Lines<'a> {
    pub(super) title: &'a str,
    pub(super) unit: &'a str,
    pub(super) steps: Vec<String>,
    pub(super) series: Vec<Series>,
    pub(super) scale: Scale,
}

impl Lines<'_> {
    pub(super) fn draw(&self) -> String {
        let mut svg = Svg::new(WIDTH, HEIGHT);
        svg.text((16.0, 26.0), Anchor::Start, "ink title", self.title);
        svg.text((16.0, 46.0), Anchor::Start, "faint", self.unit);
        let rules = self.rules();
        let (lowest, highest) = (rules.first().copied().unwrap_or(0.0), rules.last().copied().unwrap_or(1.0));
        let y = |value: f64| {
            let share = match self.scale {
                Scale::FromZero => value / highest,
                Scale::Log => (value.max(lowest) / lowest).ln() / (highest / lowest).ln(),
            };
            HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
        };
        for rule in &rules {
            svg.line((LEFT, y(*rule)), (WIDTH - RIGHT, y(*rule)), "rule");
            svg.text((LEFT - 8.0, y(*rule) + 4.0), Anchor::End, "faint", &format!("{rule}"));
        }
        for (index, step) in self.steps.iter().enumerate() {
            svg.text((self.x(index), HEIGHT - BOTTOM + 20.0), Anchor::Middle, "faint", step);
        }
        let mut names = Vec::new();
        for series in &self.series {
            let values = series.values.iter().enumerate();
            let points: Vec<(f64, f64)> =
                values.filter_map(|(index, value)| Some((self.x(index), y((*value)?)))).collect();
            svg.curve(&points, series.colour);
            names.extend(points.last().map(|(_, y)| (*y, series)));
        }
        names.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut free = f64::NEG_INFINITY;
        for (y, series) in names {
            let y = y.max(free);
            free = y + NAME;
            svg.text((WIDTH - RIGHT + 10.0, y + 4.0), Anchor::Start, &format!("fill {}", series.colour), &series.name);
        }
        svg.finish(self.title)
    }

    fn x(&self, step: usize) -> f64 {
        let room = WIDTH - LEFT - RIGHT;
        let steps = self.steps.len().max(2) - 1;
        // Half a step's room at most stays free at both ends.
        LEFT + 20.0 + step as f64 / steps as f64 * (room - 40.0)
    }

    /// Where the rules are: round values around all that is shown, lowest first.
    fn rules(&self) -> Vec<f64> {
        let values = || self.series.iter().flat_map(|series| series.values.iter().flatten().copied());
        let highest = values().fold(0.0, f64::max).max(1e-9);
        let lowest = values().filter(|value| *value > 0.0).fold(highest, f64::min);
        match self.scale {
            Scale::FromZero => {
                let step = round_up(highest / 5.0);
                let count = (0..=5).find(|count| f64::from(*count) * step >= highest).unwrap_or(5);
                (0..=count).map(|rule| f64::from(rule) * step).collect()
            }
            Scale::Log => {
                let mut rules = vec![round_down(lowest)];
                while let Some(last) = rules.last().copied().filter(|last| *last < highest) {
                    rules.push(round_up(last * 1.01));
                }
                rules
            }
        }
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|round| *round >= value).unwrap_or(value)
}

/// The last of 1, 2 and 5 times a power of ten.
fn round_down(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0].map(|digit| digit * power).into_iter().find(|round| *round <= value).unwrap_or(value)
}
