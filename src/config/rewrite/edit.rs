//! Changes to a text by byte ranges, collected in any order and made in one go.

use std::ops::Range;

/// Another text in the place of a range; an empty range is an insertion.
#[derive(Debug)]
pub(super) struct Edit {
    range: Range<usize>,
    text: String,
}

impl Edit {
    pub(super) const fn cut(range: Range<usize>) -> Self {
        Self { range, text: String::new() }
    }

    pub(super) const fn insert(at: usize, text: String) -> Self {
        Self { range: at..at, text }
    }

    pub(super) const fn replace(range: Range<usize>, text: String) -> Self {
        Self { range, text }
    }
}

/// That part of the text with these edits of it. Insertions at one place stay in their order, and come before what
/// replaces the text behind it.
pub(super) fn apply(text: &str, part: Range<usize>, edits: &mut [Edit]) -> String {
    edits.sort_by_key(|edit| (edit.range.start, !edit.range.is_empty()));
    let mut result = String::with_capacity(part.len());
    let mut at = part.start;
    for edit in edits {
        // What lies in a cut is gone already.
        let start = edit.range.start.max(at);
        result.push_str(&text[at..start]);
        result.push_str(&edit.text);
        at = edit.range.end.max(start);
    }
    result.push_str(&text[at..part.end]);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_in_any_order_are_made_in_the_order_of_the_text() {
        let mut edits = vec![
            Edit::replace(6..7, "X".into()),
            Edit::insert(6, "3".into()),
            Edit::insert(4, "1".into()),
            Edit::cut(4..6),
            Edit::insert(4, "2".into()),
            Edit::insert(10, "!".into()),
        ];
        assert_eq!(apply("0123456789", 2..10, &mut edits), "23123X789!");
    }

    #[test]
    fn edits_within_a_cut_lose_their_place_only() {
        let mut edits = vec![Edit::cut(1..5), Edit::insert(3, "a".into()), Edit::cut(4..6)];
        assert_eq!(apply("0123456789", 0..10, &mut edits), "0a6789");
    }
}
