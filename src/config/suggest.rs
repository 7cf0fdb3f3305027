//! "Did you mean": the known word that a misspelt one is nearest to.

/// Longer words are not compared: nobody misspells them, and comparing takes the square of the length.
const WORD_CHARS_MAX: usize = 64;

/// The known word with the fewest edits from `word`, the first of equals; none when all are too far away to be meant.
/// Upper and lower case count as equal.
#[must_use]
pub(crate) fn closest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = letters(word)?;
    let allowed = (word.len() / 3).clamp(1, 3);
    let near = |candidate: &'k str| {
        let edits = distance(&word, &letters(candidate)?);
        (edits <= allowed && edits < word.len()).then_some((edits, candidate))
    };
    known.into_iter().filter_map(near).min_by_key(|(edits, _)| *edits).map(|(_, candidate)| candidate)
}

/// The end of a message: `; did you mean "…"?`, or nothing.
pub(super) fn hint(found: Option<&str>) -> String {
    found.map_or_else(String::new, |found| format!("; did you mean {}?", super::error::quoted(found)))
}

fn letters(word: &str) -> Option<Vec<char>> {
    let letters: Vec<char> = word.chars().take(WORD_CHARS_MAX + 1).flat_map(char::to_lowercase).collect();
    (letters.len() <= WORD_CHARS_MAX).then_some(letters)
}

/// The fewest insertions, deletions, replacements and swaps of neighbours that turn one word into the other (optimal
/// string alignment).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1; to.len() + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(from: &str, to: &str) -> usize {
        distance(&letters(from).unwrap(), &letters(to).unwrap())
    }

    #[test]
    fn distance_counts_each_kind_of_edit_once() {
        assert_eq!(edits("host", "host"), 0);
        assert_eq!(edits("hst", "host"), 1);
        assert_eq!(edits("hoost", "host"), 1);
        assert_eq!(edits("hist", "host"), 1);
        assert_eq!(edits("hsot", "host"), 1);
        assert_eq!(edits("", "host"), 4);
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    #[test]
    fn misspelt_word_finds_the_nearest() {
        let known = ["service", "server", "manager"];
        assert_eq!(closest("servce", known), Some("service"));
        assert_eq!(closest("SERVER", known), Some("server"));
        assert_eq!(closest("manger", known), Some("manager"));
    }

    #[test]
    fn distant_word_finds_nothing() {
        assert_eq!(closest("frontend", ["service", "manager"]), None);
        assert_eq!(closest("", ["ip"]), None);
        assert_eq!(closest("x", ["ip", "y"]), None, "one letter replaced by another is no misspelling");
    }

    #[test]
    fn very_long_word_is_not_compared() {
        let long = "x".repeat(100_000);
        assert_eq!(closest(&long, ["x"]), None);
        assert_eq!(closest("x", [long.as_str()]), None);
    }
}
