//! Whole numbers, booleans and states.

use std::ops::RangeInclusive;

use crate::config::suggest::{closest, hint};
use crate::model::limits::{BACKLOG_MAX, BUSY_POLL_US_MAX, FASTOPEN_QUEUE_MAX, PRIO_MAX, STICKY_SIZE_MAX, WEIGHT_MAX};
use crate::model::status::AdminState;

/// A host's share.
pub(in crate::config) fn weight(text: &str) -> Result<u32, String> {
    number(text, 0..=WEIGHT_MAX)
}

/// A host's place in the order.
pub(in crate::config) fn prio(text: &str) -> Result<u32, String> {
    number(text, 0..=PRIO_MAX)
}

/// Of something that there has to be one of at least.
pub(in crate::config) fn count(text: &str) -> Result<u32, String> {
    number(text, 1..=u32::MAX)
}

/// Clients that may wait to be accepted.
pub(in crate::config) fn backlog(text: &str) -> Result<u32, String> {
    number(text, 1..=BACKLOG_MAX)
}

/// Clients that may wait with data in their first packet.
pub(in crate::config) fn fastopen_queue(text: &str) -> Result<u32, String> {
    number(text, 0..=FASTOPEN_QUEUE_MAX)
}

/// Answers to a datagram.
pub(in crate::config) fn responses(text: &str) -> Result<u32, String> {
    number(text, 0..=u16::MAX.into())
}

/// Clients that a table remembers.
pub(in crate::config) fn sticky_size(text: &str) -> Result<u32, String> {
    number(text, 1..=STICKY_SIZE_MAX)
}

/// Leading bits of an IPv4 address.
pub(in crate::config) fn prefix_v4(text: &str) -> Result<u8, String> {
    number(text, 1..=32).map(|length| u8::try_from(length).unwrap_or(32))
}

/// Leading bits of an IPv6 address.
pub(in crate::config) fn prefix_v6(text: &str) -> Result<u8, String> {
    number(text, 1..=128).map(|length| u8::try_from(length).unwrap_or(128))
}

/// Microseconds.
pub(in crate::config) fn busy_poll(text: &str) -> Result<u32, String> {
    number(text, 0..=BUSY_POLL_US_MAX)
}

/// Also in the ancestors' spellings.
pub(in crate::config) fn boolean(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(String::from("neither true nor false, expected true, yes or 1, or false, no or 0")),
    }
}

/// What an operator wants of a host.
pub(in crate::config) fn admin_state(text: &str) -> Result<AdminState, String> {
    let text = text.trim();
    AdminState::from_name(text).ok_or_else(|| {
        let hint = hint(closest(text, ["up", "drain", "down"]));
        format!("unknown state, expected up, drain or down{hint}")
    })
}

fn number(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    let text = text.trim();
    let expected = format!("expected {} to {}", range.start(), range.end());
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("not a whole number, {expected}"));
    }
    if digits.len() < text.len() {
        return Err(format!("the number is negative, {expected}"));
    }
    let number = text.parse().ok().filter(|number| number <= range.end());
    let number = number.ok_or_else(|| format!("the number is too large, {expected}"))?;
    if number < *range.start() { Err(format!("the number is too small, {expected}")) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_in_range_is_read() {
        assert_eq!(weight("0"), Ok(0));
        assert_eq!(weight(" 007 "), Ok(7));
        assert_eq!(weight("1000000"), Ok(WEIGHT_MAX));
    }

    #[test]
    fn weight_out_of_range_is_refused() {
        assert_eq!(weight("-1"), Err(String::from("the number is negative, expected 0 to 1000000")));
        assert_eq!(weight("1000001"), Err(String::from("the number is too large, expected 0 to 1000000")));
        assert_eq!(weight("99999999999999999999"), Err(String::from("the number is too large, expected 0 to 1000000")));
    }

    #[test]
    fn number_that_is_not_whole_is_refused() {
        for text in ["", "-", "1.5", "1e3", "NaN", "+1", "0x10", "five"] {
            assert_eq!(weight(text), Err(String::from("not a whole number, expected 0 to 1000000")), "{text}");
        }
    }

    #[test]
    fn count_of_zero_is_refused() {
        assert_eq!(count("0"), Err(String::from("the number is too small, expected 1 to 4294967295")));
        assert_eq!(count("4294967295"), Ok(u32::MAX));
        assert!(count("4294967296").is_err());
    }

    #[test]
    fn boolean_in_every_spelling_is_read() {
        for text in ["true", "True", "YES", "1", " yes "] {
            assert_eq!(boolean(text), Ok(true), "{text}");
        }
        for text in ["false", "No", "0", "FALSE"] {
            assert_eq!(boolean(text), Ok(false), "{text}");
        }
        for text in ["", "on", "2", "tru"] {
            assert!(boolean(text).unwrap_err().starts_with("neither true nor false, expected "), "{text}");
        }
    }
}
