//! Horizontal bars in groups, with a mark at 1.

use super::svg::{Anchor, Svg};

const WIDTH: f64 = 860.0;
const LABELS: f64 = 290.0;
const RIGHT: f64 = 60.0;
const TOP: f64 = 84.0;
const BAR: f64 = 11.0;
const GAP: f64 = 12.0;
/// A longer bar is cut; its value stands beside it.
const RATIO_MAX: f64 = 1.5;

pub(super) struct Group {
    pub(super) label: String,
    /// The class of the colour, and the ratio.
    pub(super) bars: Vec<(&'static str, f64)>,
}

pub(super) struct Bars {
    pub(super) title: &'static str,
    pub(super) subtitle: &'static str,
    pub(super) legend: Vec<(&'static str, String)>,
    pub(super) groups: Vec<Group>,
}

impl Bars {
    pub(super) fn draw(&self) -> String {
        let bars: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        let bottom = TOP + bars as f64 * BAR + self.groups.len() as f64 * GAP;
        let x = |ratio: f64| LABELS + ratio / RATIO_MAX * (WIDTH - LABELS - RIGHT);
        let mut svg = Svg::new(WIDTH, bottom + 30.0);
        svg.text((16.0, 26.0), Anchor::Start, "ink title", self.title);
        svg.text((16.0, 46.0), Anchor::Start, "faint", self.subtitle);
        self.draw_legend(&mut svg);
        for step in [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5] {
            svg.line((x(step), TOP - 6.0), (x(step), bottom), "rule");
            svg.text((x(step), bottom + 18.0), Anchor::Middle, "faint small", &format!("{step}"));
        }
        let mut y = TOP;
        for group in &self.groups {
            let middle = y + group.bars.len() as f64 * BAR / 2.0 + 4.0;
            svg.text((LABELS - 10.0, middle), Anchor::End, "ink", &group.label);
            for (colour, ratio) in &group.bars {
                let end = x(ratio.clamp(0.0, RATIO_MAX));
                svg.bar((LABELS, y), (end - LABELS, BAR - 1.5), &format!("fill {colour}"));
                svg.text((end + 5.0, y + BAR - 2.0), Anchor::Start, "ink small", &format!("{ratio:.2}"));
                y += BAR;
            }
            y += GAP;
        }
        svg.line((x(1.0), TOP - 6.0), (x(1.0), bottom), "mark");
        svg.finish(self.title)
    }

    fn draw_legend(&self, svg: &mut Svg) {
        let mut x = LABELS;
        for (colour, name) in &self.legend {
            svg.bar((x, 56.0), (12.0, 12.0), &format!("fill {colour}"));
            svg.text((x + 17.0, 67.0), Anchor::Start, "ink", name);
            x += 40.0 + name.chars().count() as f64 * 8.0;
        }
    }
}
