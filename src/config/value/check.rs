//! Values of checks: what is sent, what is expected, which name is asked for.

use simple_dns::Name;
use std::time::Duration;

use super::{positive_time, show_time};
use crate::config::error::{alternatives, quoted};
use crate::config::suggest::{closest, hint};
use crate::model::check::{Exchange, Expect, Probe, Question, RECORD_TYPES};
use crate::model::limits::{CHECK_BYTES_MAX, PROBE_TIMEOUT_MAX};

/// The record type of a question that says none.
const USUAL_TYPE: u16 = 1;

/// A way to check, with nothing of its own said yet.
pub(in crate::config) fn check_kind(text: &str) -> Result<Probe, String> {
    const KINDS: [&str; 4] = ["none", "tcp", "udp", "dns"];
    match text.trim() {
        "none" => Ok(Probe::Passive),
        "tcp" => Ok(Probe::Tcp(Exchange::default())),
        "udp" => Ok(Probe::Udp(Exchange::default())),
        "dns" => Ok(Probe::Dns(Question { name: String::from("."), kind: USUAL_TYPE })),
        other => Err(format!("unknown check, expected {}{}", alternatives(&KINDS), hint(closest(other, KINDS)))),
    }
}

/// A port that can be asked.
pub(in crate::config) fn port(text: &str) -> Result<u16, String> {
    let port = text.trim().parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| String::from("not a port, expected 1 to 65535"))
}

/// How long an answer may take. A probe of a host that is due again must have ended.
pub(in crate::config) fn check_timeout(text: &str, interval: Option<Duration>) -> Result<Duration, String> {
    let time = positive_time(text)?;
    match interval.filter(|interval| *interval < PROBE_TIMEOUT_MAX) {
        Some(interval) if time > interval => {
            Err(format!("the time is above check-interval, expected at most {}", show_time(interval)))
        }
        _ if time > PROBE_TIMEOUT_MAX => {
            Err(format!("the time is too long, expected at most {}", show_time(PROBE_TIMEOUT_MAX)))
        }
        _ => Ok(time),
    }
}

/// Bytes as text: visible characters as they are, in UTF-8, others as `\r`, `\n`, `\t`, `\\` or `\xNN`. Spaces count.
pub(in crate::config) fn payload(text: &str) -> Result<Vec<u8>, String> {
    const EXPECTED: &str = r"expected \r, \n, \t, \\ or \xNN with two hexadecimal digits";
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (byte, length) = match escape.bytes().next() {
            Some(b'r') => (Some(b'\r'), 1),
            Some(b'n') => (Some(b'\n'), 1),
            Some(b't') => (Some(b'\t'), 1),
            Some(b'\\') => (Some(b'\\'), 1),
            Some(b'x') => {
                let digits = escape.get(1..3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                (digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()), 3)
            }
            _ => (None, 0),
        };
        let Some(byte) = byte else {
            let shown: String = rest[at..].chars().take(4).collect();
            return Err(format!("unknown escape {}, {EXPECTED}", quoted(&shown)));
        };
        bytes.push(byte);
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    match bytes.len() {
        0 => Err(String::from("there is nothing in it, expected at least one byte")),
        length if length > CHECK_BYTES_MAX => {
            Err(format!("these are {length} bytes, expected at most {CHECK_BYTES_MAX}"))
        }
        _ => Ok(bytes),
    }
}

/// As [`payload`], of an answer that has these bytes, or behind a `^` begins with them.
pub(in crate::config) fn expect(text: &str) -> Result<Expect, String> {
    let (begins, text) = text.strip_prefix('^').map_or((false, text), |text| (true, text));
    Ok(Expect { bytes: payload(text)?, begins })
}

/// Bytes as [`payload`] reads them, and [`expect`] as well when nothing is put before them.
pub(in crate::config) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' if *byte != b'^' || at > 0 => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

/// `name` or `name TYPE`.
pub(in crate::config) fn question(text: &str) -> Result<Question, String> {
    let mut words = text.split_ascii_whitespace();
    let (Some(name), kind, None) = (words.next(), words.next(), words.next()) else {
        return Err(String::from("not a name and a type, expected for example www.example.com AAAA"));
    };
    let kind = match kind {
        None => USUAL_TYPE,
        Some(word) => {
            let known = RECORD_TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
            known.map(|(_, number)| *number).ok_or_else(|| {
                let names = RECORD_TYPES.map(|(name, _)| name);
                let hint = hint(closest(word, names));
                format!("unknown type {}, expected {}{hint}", quoted(word), alternatives(&names))
            })?
        }
    };
    let is_root = name == ".";
    let name = if is_root { name } else { name.strip_suffix('.').unwrap_or(name) };
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let has_empty_label = !is_root && name.split('.').any(str::is_empty);
    if !is_plain || has_empty_label || Name::new(name).is_err() {
        let what = "no name, expected letters, digits, - and _ with dots between them, 63 at most in a row, 253 in all";
        return Err(format!("{} is {what}", quoted(name)));
    }
    Ok(Question { name: name.to_owned(), kind })
}

/// As [`question`] reads it.
pub(in crate::config) fn shown_question(question: &Question) -> String {
    match question.kind {
        USUAL_TYPE => question.name.clone(),
        _ => format!("{} {}", question.name, question.kind_name()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_read() {
        assert_eq!(payload(r"GET / HTTP/1.0\r\n\r\n").unwrap(), b"GET / HTTP/1.0\r\n\r\n");
        assert_eq!(payload(r" \x00\xfF\\\t").unwrap(), b" \x00\xff\\\t");
        assert_eq!(payload("é").unwrap(), "é".as_bytes());
        assert_eq!(expect("^220 ").unwrap(), Expect { bytes: b"220 ".to_vec(), begins: true });
        assert_eq!(expect(r"\x5e").unwrap(), Expect { bytes: b"^".to_vec(), begins: false });
    }

    #[test]
    fn bytes_that_are_wrong_are_refused() {
        for text in [r"\q", r"a\", r"\x1", r"\x1g", r"\x+1", r"\xé"] {
            let what = payload(text).unwrap_err();
            assert!(
                what.starts_with("unknown escape \"\\") && what.contains("two hexadecimal digits"),
                "{text}: {what}"
            );
        }
        assert!(payload("").unwrap_err().starts_with("there is nothing in it"));
        assert!(expect("^").is_err());
        let long = "x".repeat(CHECK_BYTES_MAX + 1);
        assert_eq!(payload(&long).unwrap_err(), "these are 1025 bytes, expected at most 1024");
        assert!(payload(&long[1..]).is_ok());
    }

    #[test]
    fn question_is_a_name_with_a_type() {
        let read = |text| question(text).map(|question| (question.name, question.kind));
        assert_eq!(read("example.com"), Ok((String::from("example.com"), 1)));
        assert_eq!(read(" _sip._udp.example.com. srv "), Ok((String::from("_sip._udp.example.com"), 33)));
        assert_eq!(read(". NS"), Ok((String::from("."), 2)));
        let wrong = |text| question(text).unwrap_err();
        assert!(wrong("").starts_with("not a name and a type"));
        assert!(wrong("a b c").starts_with("not a name and a type"));
        assert!(wrong("a.example AAA").ends_with("SRV; did you mean \"AAAA\"?"), "{}", wrong("a.example AAA"));
        for name in ["a..b", ".a", "..", "é.example", "a\\.b", &"a".repeat(64), &"abcdefg.".repeat(32)] {
            assert!(wrong(name).contains(" is no name, expected letters"), "{name}");
        }
    }

    #[test]
    fn timeout_is_within_the_interval_and_the_bound() {
        let ms = Duration::from_millis;
        assert_eq!(check_timeout("4s", None), Ok(ms(4000)));
        assert_eq!(check_timeout("4001ms", None).unwrap_err(), "the time is too long, expected at most 4s");
        assert_eq!(check_timeout("5s", Some(ms(9000))).unwrap_err(), "the time is too long, expected at most 4s");
        assert_eq!(check_timeout("1s", Some(ms(1000))), Ok(ms(1000)));
        let above = check_timeout("2s", Some(ms(1000))).unwrap_err();
        assert_eq!(above, "the time is above check-interval, expected at most 1s");
    }

    proptest! {
        #[test]
        fn bytes_shown_read_back_the_same(bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
            prop_assert_eq!(payload(&escaped(&bytes)), Ok(bytes.clone()));
            prop_assert_eq!(expect(&escaped(&bytes)), Ok(Expect { bytes: bytes.clone(), begins: false }));
            prop_assert_eq!(expect(&format!("^{}", escaped(&bytes))), Ok(Expect { bytes, begins: true }));
        }
    }
}
