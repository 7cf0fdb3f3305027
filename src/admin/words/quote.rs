//! Words of a line, quoted as in a shell, and back.

use super::Misuse;

/// What stands in a word unquoted; everything else is safe in quotes only.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c)
}

/// The words of a line. Words are separated by spaces; `'…'` is taken as it is, in `"…"` a backslash escapes `"` and
/// `\`, and outside of quotes it escapes whatever follows.
///
/// # Errors
/// A quote is not closed, nothing follows a backslash, or a control character is in the line.
pub fn split(line: &str) -> Result<Vec<String>, Misuse> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c.is_control() && c != '\t' {
            let shown = c.escape_default();
            return Err(Misuse::new(format!("the control character {shown} is in the line, expected visible ones")));
        }
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (Some('"') | None, '\\') => {
                let next = chars.next().filter(|next| !next.is_control());
                let next =
                    next.ok_or_else(|| Misuse::new("nothing follows the last backslash, expected a character"))?;
                let word = word.get_or_insert_default();
                if quote.is_some() && !matches!(next, '"' | '\\') {
                    word.push('\\');
                }
                word.push(next);
            }
            (Some(_) | None, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(Misuse::new(format!("the quote {open} is not closed, expected another one")));
    }
    words.extend(word);
    Ok(words)
}

/// The word as [`split`] and every shell read it.
#[must_use]
pub fn quote(word: &str) -> String {
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The words as a line.
pub fn join<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> String {
    words.into_iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn line_is_split_as_a_shell_splits_it() {
        let words = |line| split(line).unwrap();
        assert_eq!(words("  a  b\tc "), ["a", "b", "c"]);
        assert_eq!(words(r#"'a b' "c \"d\" \e" f\ g h'i'"j""#), ["a b", r#"c "d" \e"#, "f g", "hij"]);
        assert_eq!(words("'' \"\""), ["", ""]);
        assert!(words("").is_empty());
    }

    #[test]
    fn line_that_does_not_end_is_refused() {
        for line in ["'a", "\"a", "a\\", "a\nb", "\u{7}"] {
            assert!(split(line).is_err(), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn words_read_as_they_were_written(words in proptest::collection::vec("\\PC{0,12}", 0..6)) {
            prop_assume!(words.iter().all(|word| !word.chars().any(char::is_control)));
            prop_assert_eq!(split(&join(&words)).unwrap(), words);
        }

        #[test]
        fn any_text_is_split_or_refused(line in ".{0,80}") {
            let _ = split(&line);
        }
    }
}
