//! Sizes: a whole number of bytes, with `k` (1024) or `m` (1024²) behind it or neither.

use std::ops::RangeInclusive;

use crate::model::limits::{SOCKET_BUFFER_BYTES_MAX, SOCKET_BUFFER_BYTES_MIN};

/// A size in this range.
///
/// # Errors
/// What is wrong and what was expected.
pub(crate) fn bytes(text: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let expected = || {
        let (least, most) = (show_bytes(*range.start()), show_bytes(*range.end()));
        format!("not such a size, expected {least} to {most}, such as 65536, 64k or 1m")
    };
    let lower = text.trim().to_ascii_lowercase();
    let (number, unit) = match (lower.strip_suffix('k'), lower.strip_suffix('m')) {
        (Some(number), _) => (number, 1 << 10),
        (None, Some(number)) => (number, 1 << 20),
        (None, None) => (lower.as_str(), 1),
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| number.parse::<u64>().ok()).flatten();
    let bytes = number.and_then(|number| number.checked_mul(unit));
    bytes.filter(|bytes| range.contains(bytes)).ok_or_else(expected)
}

/// Bytes as people say them: exact, in the largest unit that has no fraction.
#[must_use]
pub(in crate::config) fn show_bytes(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{}m", bytes >> 20),
        _ if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{}k", bytes >> 10),
        _ => bytes.to_string(),
    }
}

/// The size of a socket's buffer; 0 leaves it to the kernel.
pub(in crate::config) fn socket_buffer(text: &str) -> Result<u32, String> {
    if text.trim() == "0" { Ok(0) } else { narrow(text, SOCKET_BUFFER_BYTES_MIN..=SOCKET_BUFFER_BYTES_MAX) }
}

/// Bytes that may wait unsent; 0 leaves it to the kernel.
pub(in crate::config) fn notsent_lowat(text: &str) -> Result<u32, String> {
    narrow(text, 0..=SOCKET_BUFFER_BYTES_MAX)
}

fn narrow(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    let bytes = bytes(text, (*range.start()).into()..=(*range.end()).into())?;
    Ok(u32::try_from(bytes).unwrap_or(*range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_takes_a_unit() {
        let read = |text| bytes(text, 1024..=16 << 20);
        assert_eq!(read("65536"), Ok(65_536));
        assert_eq!(read("64k"), Ok(65_536));
        assert_eq!(read(" 1M "), Ok(1 << 20));
        for text in ["", "k", "1023", "17m", "1g", "1.5m", "64kb", "-64k", "99999999999999999999m"] {
            let message = read(text).unwrap_err();
            assert_eq!(message, "not such a size, expected 1k to 16m, such as 65536, 64k or 1m", "{text}");
        }
    }

    #[test]
    fn shown_size_is_exact_and_reads_back() {
        for (number, text) in [(0, "0"), (1000, "1000"), (1024, "1k"), (65_537, "65537"), (3 << 20, "3m")] {
            assert_eq!(show_bytes(number), text);
            assert_eq!(bytes(text, 0..=u64::MAX), Ok(number));
        }
    }

    #[test]
    fn buffer_of_zero_is_the_kernels_and_a_tiny_one_is_refused() {
        assert_eq!(socket_buffer("0"), Ok(0));
        assert_eq!(socket_buffer("4k"), Ok(4096));
        assert!(socket_buffer("4095").unwrap_err().contains("expected 4k to 1024m"));
        assert_eq!(notsent_lowat("16k"), Ok(16_384));
    }
}
