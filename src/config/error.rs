//! What is wrong with a configuration file, and where.
//!
//! Validation goes on after an error, so that one run shows all of them. [`Collector`] takes them with their byte
//! offsets and turns the offsets into lines and columns in one walk at the end; [`Errors`] is what the callers of
//! [`super::load`] and [`super::parse`] get.

use std::fmt;

use super::value::is_hidden;

/// Characters of a value that a message shows.
const SHOWN_CHARS_MAX: usize = 60;

/// Everything that is wrong with a configuration file: at least one problem, in the order of the file.
///
/// Displayed as one problem a line, `FILE:LINE:COLUMN: what is wrong, what was expected`, without a final line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    file: String,
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; none when the file could not be read at all.
    pub position: Option<Position>,
    /// What is wrong, and what was expected.
    pub what: String,
}

/// A place in a text file. Both numbers count from 1; a column is a Unicode character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Errors {
    /// The problems, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The one problem of a file that cannot be read.
    pub(super) fn unreadable(file: &str, what: String) -> Self {
        Self { file: file.to_owned(), problems: vec![Problem { position: None, what }] }
    }

    /// The one problem of a file whose content is not looked at.
    pub(super) fn refused(file: &str, what: String) -> Self {
        let position = Some(Position { line: 1, column: 1 });
        Self { file: file.to_owned(), problems: vec![Problem { position, what }] }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = visible(&self.file);
        for (index, problem) in self.problems.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            match problem.position {
                Some(Position { line, column }) => write!(f, "{end}{file}:{line}:{column}: {}", problem.what)?,
                None => write!(f, "{end}{file}: {}", problem.what)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Proof that a problem was reported: only [`Collector::report`] makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported(());

/// Takes problems while a text is read.
pub(super) struct Collector<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
    found: Vec<(usize, String)>,
}

impl<'t> Collector<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let line_starts = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Self { text, line_starts, found: Vec::new() }
    }

    /// Notes a problem at a byte offset.
    pub(super) fn report(&mut self, at: usize, what: impl Into<String>) -> Reported {
        self.found.push((at, what.into()));
        Reported(())
    }

    /// The line of a byte offset, counted from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= at) + 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The problems in the order of the text. One walk, so that many problems in one long line cost no more than few.
    pub(super) fn finish(mut self, file: &str) -> Errors {
        self.found.sort_by_key(|(at, _)| *at);
        let (mut walked, mut here) = (0, Position { line: 1, column: 1 });
        let mut problems = Vec::with_capacity(self.found.len());
        for (at, what) in self.found {
            let at = self.text.floor_char_boundary(at);
            for character in self.text[walked..at].chars() {
                here = match character {
                    '\n' => Position { line: here.line + 1, column: 1 },
                    _ => Position { column: here.column + 1, ..here },
                };
            }
            walked = at;
            problems.push(Problem { position: Some(here), what });
        }
        Errors { file: file.to_owned(), problems }
    }
}

/// A value of the file for a message: quoted, cut when it is long, and with nothing in it that a terminal would obey.
pub(super) fn quoted(value: &str) -> String {
    format!("\"{}\"", shown(value))
}

/// An attribute for a message: its name and its text, which is left out where it is a secret or somebody may have pasted
/// one.
pub(super) fn attribute(element: &str, name: &str, text: &str) -> String {
    if is_secret(element, name) && !text.is_empty() { name.to_owned() } else { format!("{name}={}", quoted(text)) }
}

/// Whether no message may repeat the text of an attribute.
pub(super) fn is_secret(element: &str, name: &str) -> bool {
    element == "user" && matches!(name, "password" | "key")
}

/// As [`quoted`], without the quotes.
pub(super) fn shown(value: &str) -> String {
    let mut shown = visible(&value.chars().take(SHOWN_CHARS_MAX).collect::<String>());
    if value.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// An element's name for a message, as [`quoted`] but in angle brackets.
pub(super) fn tag(name: &str) -> String {
    format!("<{}>", shown(name))
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn alternatives<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::from("nothing"),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} or {}", first.join(", "), last.as_ref())
        }
    }
}

fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_reported_in_any_order_are_shown_in_the_order_of_the_file() {
        let mut errors = Collector::new("ab\ncäd\r\ne");
        errors.report(10, "third");
        errors.report(6, "second");
        errors.report(0, "first");
        assert_eq!(errors.finish("f").to_string(), "f:1:1: first\nf:2:3: second\nf:3:2: third");
    }

    #[test]
    fn offset_outside_the_text_or_inside_a_character_is_shown_at_the_nearest_before() {
        let mut errors = Collector::new("aäb");
        errors.report(2, "inside");
        errors.report(99, "outside");
        assert_eq!(errors.finish("f").to_string(), "f:1:2: inside\nf:1:4: outside");
    }

    #[test]
    fn line_of_an_offset_is_that_of_its_character() {
        let errors = Collector::new("a\nb\n");
        let lines: Vec<usize> = (0..4).map(|at| errors.line(at)).collect();
        assert_eq!(lines, [1, 1, 2, 2]);
    }

    #[test]
    fn many_problems_in_one_long_line_are_placed_quickly() {
        let text = "x".repeat(1 << 20);
        let mut errors = Collector::new(&text);
        for at in (0..text.len()).step_by(8) {
            errors.report(at, "here");
        }
        let started = std::time::Instant::now();
        assert_eq!(errors.finish("f").problems().len(), 1 << 17);
        assert!(started.elapsed().as_secs() < 1, "took {:?}", started.elapsed());
    }

    #[test]
    fn quoted_value_is_cut_and_cannot_steer_a_terminal() {
        assert_eq!(quoted("a\u{1b}[2J\u{202e}"), "\"a\\u{1b}[2J\\u{202e}\"");
        assert_eq!(quoted(&"y".repeat(61)), format!("\"{}…\"", "y".repeat(60)));
        assert_eq!(quoted(&"y".repeat(60)), format!("\"{}\"", "y".repeat(60)));
    }

    #[test]
    fn alternatives_read_as_a_sentence() {
        assert_eq!(alternatives::<&str>(&[]), "nothing");
        assert_eq!(alternatives(&["a"]), "a");
        assert_eq!(alternatives(&["a", "b", "c"]), "a, b or c");
    }
}
