//! The values of flags: each is read in one place, and each refusal names the flag, the value and what was expected.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use getopts::Matches;

use crate::config::{self, Texts};

/// A command line whose flags are known; the values are still text.
pub(super) struct Values<'a>(pub(super) &'a Matches);

impl Values<'_> {
    /// A whole number in this range.
    pub(super) fn number<N>(&self, flag: &str, range: RangeInclusive<N>) -> Result<Option<N>, String>
    where
        N: FromStr + PartialOrd + Display,
    {
        let expected = || format!("expected a whole number from {} to {}", range.start(), range.end());
        self.read(flag, |text| {
            let number = digits(text).then(|| text.parse().ok()).flatten();
            number.filter(|number| range.contains(number)).ok_or_else(expected)
        })
    }

    /// A number of bytes in this range, as the configuration reads it.
    pub(super) fn bytes(&self, flag: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, String> {
        let wide = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let range = wide(*range.start())..=wide(*range.end());
        self.read(flag, |text| config::bytes(text, range).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)))
    }

    /// A time, as the configuration reads it.
    pub(super) fn time(
        &self,
        flag: &str,
        read: impl FnOnce(&str) -> Result<Duration, String>,
    ) -> Result<Option<Duration>, String> {
        self.read(flag, read)
    }

    /// One of these words.
    pub(super) fn one_of<T: Copy>(&self, flag: &str, known: &[(&str, T)]) -> Result<Option<T>, String> {
        self.read(flag, |text| {
            let found = known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
            found.ok_or_else(|| {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let near = config::closest(text, names.iter().copied());
                let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
                format!("expected one of {}{hint}", names.join(", "))
            })
        })
    }

    /// The name of a file.
    pub(super) fn path(&self, flag: &str) -> Result<Option<PathBuf>, String> {
        self.read(flag, |text| {
            if text.is_empty() { Err(String::from("expected the name of a file")) } else { Ok(PathBuf::from(text)) }
        })
    }

    fn read<T>(&self, flag: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
        let Some(text) = self.0.opt_str(flag) else { return Ok(None) };
        read(&text).map(Some).map_err(|problem| format!("{} {text:?}: {problem}", dashed(flag)))
    }
}

/// Options of sockets are flags of the same names.
impl Texts for Values<'_> {
    type Error = String;

    fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        Values::read(self, name, parse)
    }
}

/// A flag as it is typed.
pub(super) fn dashed(name: &str) -> String {
    if name.chars().count() == 1 { format!("-{name}") } else { format!("--{name}") }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(value: &str, read: impl FnOnce(&Values<'_>) -> T) -> T {
        let mut parser = getopts::Options::new();
        parser.optopt("", "flag", "", "");
        read(&Values(&parser.parse([format!("--flag={value}")]).unwrap()))
    }

    #[test]
    fn number_in_range_is_read() {
        assert_eq!(with("64", |values| values.number("flag", 1..=64usize)), Ok(Some(64)));
    }

    #[test]
    fn number_that_is_none_or_out_of_range_is_refused() {
        for text in ["", "0", "65", "-1", "+1", "1.5", "many", "99999999999999999999999"] {
            let message = with(text, |values| values.number("flag", 1..=64usize)).unwrap_err();
            assert_eq!(message, format!("--flag {text:?}: expected a whole number from 1 to 64"));
        }
    }

    #[test]
    fn bytes_are_refused_in_the_words_of_the_configuration() {
        let read = |text| with(text, |values| values.bytes("flag", 1024..=16 << 20)).map(Option::unwrap);
        assert_eq!(read("64k"), Ok(65_536));
        let message = read("1g").unwrap_err();
        assert_eq!(message, "--flag \"1g\": not such a size, expected 1k to 16m, such as 65536, 64k or 1m");
    }

    #[test]
    fn word_that_is_unknown_is_refused_with_the_nearest() {
        let read = |text| with(text, |values| values.one_of("flag", &[("text", 1), ("json", 2)]));
        assert_eq!(read("json"), Ok(Some(2)));
        assert_eq!(read("jsn").unwrap_err(), r#"--flag "jsn": expected one of text, json; did you mean json?"#);
        assert_eq!(read("xml").unwrap_err(), r#"--flag "xml": expected one of text, json"#);
    }

    #[test]
    fn time_is_refused_in_the_words_of_the_configuration() {
        let read = |text| with(text, |values| values.time("flag", config::positive_time));
        assert_eq!(read("250ms"), Ok(Some(Duration::from_millis(250))));
        assert_eq!(read("0").unwrap_err(), r#"--flag "0": the time is 0, expected at least 1ms"#);
        assert!(read("5x").unwrap_err().starts_with(r#"--flag "5x": unknown unit "x", expected "#));
    }

    #[test]
    fn path_that_is_empty_is_refused() {
        assert_eq!(with("a/b", |values| values.path("flag")), Ok(Some(PathBuf::from("a/b"))));
        assert!(with("", |values| values.path("flag")).is_err());
    }
}
