//! Times: a whole number with a unit.

use std::time::Duration;

use crate::config::error::quoted;
use crate::model::limits::TIME_MAX;

const EXPECTED: &str = "expected a whole number with ms, s, m or h, such as 250ms, 5s, 2m or 1h";

/// Milliseconds a unit, largest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Zero to [`TIME_MAX`]; a bare number is seconds.
///
/// # Errors
/// What is wrong and what was expected.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(format!("the time is negative, {EXPECTED}"));
    }
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    if digits.is_empty() {
        return Err(format!("not a time, {EXPECTED}"));
    }
    let unit = if unit.is_empty() { "s" } else { unit };
    let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("unknown unit {}, {EXPECTED}", quoted(unit)));
    };
    let time = digits.parse().ok().and_then(|number: u64| number.checked_mul(*millis)).map(Duration::from_millis);
    time.filter(|time| *time <= TIME_MAX)
        .ok_or_else(|| format!("the time is too long, expected at most {}", show_time(TIME_MAX)))
}

/// As [`time`], but more than zero.
///
/// # Errors
/// What is wrong and what was expected.
pub(crate) fn positive_time(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err(String::from("the time is 0, expected at least 1ms")),
        time => Ok(time),
    }
}

/// The time in the largest unit that takes it without a rest. Parts of a millisecond are left out.
#[must_use]
pub(crate) fn show_time(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return String::from("0s");
    }
    let (name, unit) = UNITS.into_iter().find(|(_, unit)| millis % unit == 0).unwrap_or(("ms", 1));
    format!("{}{name}", millis / unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn time_with_each_unit_is_read() {
        let millis = |text| time(text).unwrap().as_millis();
        assert_eq!(millis("250ms"), 250);
        assert_eq!(millis("5s"), 5000);
        assert_eq!(millis("2m"), 120_000);
        assert_eq!(millis("1h"), 3_600_000);
        assert_eq!(millis("120"), 120_000);
        assert_eq!(millis(" 5s "), 5000);
        assert_eq!(millis("0"), 0);
        assert_eq!(millis("720h"), TIME_MAX.as_millis());
    }

    #[test]
    fn time_out_of_range_is_refused() {
        for text in ["721h", "2592001", "99999999999999999999", "18446744073709551615h"] {
            assert_eq!(time(text), Err(String::from("the time is too long, expected at most 720h")), "{text}");
        }
        assert!(time("-1s").unwrap_err().starts_with("the time is negative, "));
        assert_eq!(positive_time("0ms"), Err(String::from("the time is 0, expected at least 1ms")));
    }

    #[test]
    fn time_that_is_not_a_whole_number_with_a_unit_is_refused() {
        for text in ["", "NaN", "inf", "s", "+5", "٣"] {
            assert_eq!(time(text), Err(format!("not a time, {EXPECTED}")), "{text}");
        }
        for (text, unit) in [("1e99", "e99"), ("1.5s", ".5s"), ("5 s", " s"), ("5S", "S"), ("1d", "d"), ("0x10", "x10")]
        {
            assert_eq!(time(text), Err(format!("unknown unit \"{unit}\", {EXPECTED}")), "{text}");
        }
    }

    #[test]
    fn shown_time_has_the_largest_exact_unit() {
        let shown = |millis| show_time(Duration::from_millis(millis));
        assert_eq!(shown(0), "0s");
        assert_eq!(shown(1), "1ms");
        assert_eq!(shown(1500), "1500ms");
        assert_eq!(shown(90_000), "90s");
        assert_eq!(shown(600_000), "10m");
        assert_eq!(shown(7_200_000), "2h");
    }

    proptest! {
        #[test]
        fn shown_time_reads_back_the_same(millis in 0..=2_592_000_000_u64) {
            let one = Duration::from_millis(millis);
            prop_assert_eq!(time(&show_time(one)), Ok(one));
        }
    }
}
