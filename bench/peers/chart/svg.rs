//! A drawing in SVG that is legible on light and on dark ground.

use std::fmt::Write as _;

/// Where a text is held.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// What is not a colour.
const SHAPES: &str = "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif}.title{font-size:16px;font-weight:600}\
.small{font-size:11px}.line{fill:none;stroke-width:2}";
/// Colours on light ground and on dark: of the ground, texts, rules and the mark, then of the series. They are spelled
/// out for each class, because not everything that draws SVG knows variables.
const COLOURS: [(&str, &str, &str); 15] = [
    (".ground{fill:", "#ffffff", "#0d1117"),
    (".ink{fill:", "#1f2328", "#f0f6fc"),
    (".faint{fill:", "#59636e", "#9198a1"),
    (".rule{stroke:", "#d1d9e0", "#3d444d"),
    (".mark{stroke:", "#1f2328", "#f0f6fc"),
    ("s0", "#0969da", "#4493f8"),
    ("s1", "#6e7781", "#9198a1"),
    ("s2", "#a0a8b0", "#6e7681"),
    ("s3", "#1a7f37", "#3fb950"),
    ("s4", "#7bb662", "#a5d68a"),
    ("s5", "#bc4c00", "#f0883e"),
    ("s6", "#8250df", "#ab7df8"),
    ("s7", "#1f2328", "#f0f6fc"),
    ("s8", "#0a8a8a", "#39c5cf"),
    ("s9", "#bf3989", "#f778ba"),
];

/// The rules of all classes.
fn style() -> String {
    let rules = |colour: fn(&(&'static str, &'static str, &'static str)) -> &'static str| -> String {
        let rule = |entry: &(&'static str, &'static str, &'static str)| {
            let (class, colour) = (entry.0, colour(entry));
            if class.starts_with('.') {
                format!("{class}{colour}}}")
            } else {
                format!(".fill.{class}{{fill:{colour}}}.line.{class}{{stroke:{colour}}}")
            }
        };
        COLOURS.iter().map(rule).collect()
    };
    format!("{SHAPES}{}@media(prefers-color-scheme:dark){{{}}}", rules(|entry| entry.1), rules(|entry| entry.2))
}

#[derive(Debug)]
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        let body = format!("<rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n");
        Self { width, height, body }
    }

    pub(super) fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let (x, y) = at;
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{}\" class=\"{class}\">{text}</text>",
            anchor.name()
        ));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.push(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        ));
    }

    pub(super) fn bar(&mut self, at: (f64, f64), size: (f64, f64), class: &str) {
        let ((x, y), (width, height)) = (at, size);
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"{class}\"/>"
        ));
    }

    /// A line through `points`, with a dot at each.
    pub(super) fn curve(&mut self, points: &[(f64, f64)], series: &str) {
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.push(format_args!("<polyline points=\"{}\" class=\"line {series}\"/>", path.join(" ")));
        for (x, y) in points {
            self.push(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" class=\"fill {series}\"/>"));
        }
    }

    pub(super) fn finish(self, title: &str) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\">\n<title>{title}</title>\n<style>{}</style>\n{body}</svg>\n",
            style()
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}
