//! Values of socket options.

use std::net::IpAddr;
use std::time::Duration;

use super::time::{show_time, time};
use crate::config::error::quoted;
use crate::model::limits::{
    CONGESTION_CHARS_MAX, DEFER_ACCEPT_MAX, KEEPALIVE_COUNT_MAX, KEEPALIVE_S_MAX, SOURCES_MAX, USER_TIMEOUT_MAX,
};
use crate::model::socket_options::{Congestion, Keepalive, SourceRange, Sources};

/// How long sent bytes may stay unacknowledged; 0 leaves it to the kernel.
pub(in crate::config) fn user_timeout(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    let expected = || format!("the time is too long, expected at most {}", show_time(USER_TIMEOUT_MAX));
    (time <= USER_TIMEOUT_MAX).then_some(time).ok_or_else(expected)
}

/// How long a client that says nothing waits in the kernel; 0: not at all.
pub(in crate::config) fn defer_accept(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    if time > DEFER_ACCEPT_MAX {
        return Err(format!("the time is too long, expected at most {}", show_time(DEFER_ACCEPT_MAX)));
    }
    whole_seconds(time).map(Duration::from_secs)
}

/// `IDLE[,INTERVAL[,COUNT]]` or `off`.
pub(in crate::config) fn keepalive(text: &str) -> Result<Keepalive, String> {
    let expected = "expected IDLE[,INTERVAL[,COUNT]], such as 60s or 60s,10s,3, or off";
    let text = text.trim();
    if text == "off" {
        return Ok(Keepalive::Off);
    }
    let parts: Vec<&str> = text.split(',').collect();
    let (idle, interval, count) = match parts.as_slice() {
        [idle] => (idle, None, None),
        [idle, interval] => (idle, Some(interval), None),
        [idle, interval, count] => (idle, Some(interval), Some(count)),
        _ => return Err(format!("not a keepalive, {expected}")),
    };
    let count = count.map(|count| {
        let number = count.trim().parse().ok().filter(|count| (1..=KEEPALIVE_COUNT_MAX).contains(count));
        number.ok_or_else(|| format!("the count {} is not 1 to {KEEPALIVE_COUNT_MAX}, {expected}", quoted(count)))
    });
    Ok(Keepalive::On {
        idle_s: keepalive_seconds(idle, expected)?,
        interval_s: interval.map(|interval| keepalive_seconds(interval, expected)).transpose()?,
        count: count.transpose()?,
    })
}

fn keepalive_seconds(text: &str, expected: &str) -> Result<u16, String> {
    let not_a_time = |_| format!("{} is not a time in whole seconds, {expected}", quoted(text));
    let seconds = time(text).and_then(whole_seconds).map_err(not_a_time)?;
    let in_range = u16::try_from(seconds).ok().filter(|seconds| (1..=KEEPALIVE_S_MAX).contains(seconds));
    in_range.ok_or_else(|| format!("{} is not 1s to {KEEPALIVE_S_MAX}s, {expected}", quoted(text)))
}

/// The kernel counts these times in seconds.
fn whole_seconds(time: Duration) -> Result<u64, String> {
    if time.subsec_nanos() == 0 {
        Ok(time.as_secs())
    } else {
        Err(String::from("the time has a part of a second, expected whole seconds"))
    }
}

/// As [`keepalive`] reads it.
pub(in crate::config) fn show_keepalive(keepalive: Keepalive) -> String {
    let seconds = |seconds: u16| show_time(Duration::from_secs(seconds.into()));
    match keepalive {
        Keepalive::Off => String::from("off"),
        Keepalive::On { idle_s, interval_s: None, .. } => seconds(idle_s),
        Keepalive::On { idle_s, interval_s: Some(interval_s), count } => {
            let count = count.map_or_else(String::new, |count| format!(",{count}"));
            format!("{},{}{count}", seconds(idle_s), seconds(interval_s))
        }
    }
}

/// The name of a congestion control. Whether the kernel has it is seen when it is asked.
pub(in crate::config) fn congestion(text: &str) -> Result<Congestion, String> {
    Congestion::new(text.trim()).ok_or_else(|| {
        format!("not a name of 1 to {CONGESTION_CHARS_MAX} letters and digits, expected one such as cubic or bbr")
    })
}

/// `ADDRESS[-ADDRESS][,…]`.
pub(in crate::config) fn sources(text: &str) -> Result<Sources, String> {
    let ranges = text.split(',').map(source_range).collect::<Result<Vec<SourceRange>, String>>()?;
    Sources::new(&ranges).ok_or_else(|| format!("too many addresses, expected {SOURCES_MAX} at most"))
}

fn source_range(text: &str) -> Result<SourceRange, String> {
    let expected = "expected ADDRESS[-ADDRESS][,…], such as 10.0.0.10-10.0.0.20 or fd00::1";
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let ip = |text: &str| {
        let ip: Option<IpAddr> = text.trim().parse().ok();
        let ip = ip.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified() && !ip.is_multicast());
        ip.ok_or_else(|| format!("{} is not an address to connect from, {expected}", quoted(text.trim())))
    };
    let (first, last) = (ip(first)?, ip(last)?);
    if first.is_ipv4() != last.is_ipv4() {
        return Err(format!("{} is of two families, {expected}", quoted(text)));
    }
    if last < first {
        return Err(format!("{} ends before it begins, {expected}", quoted(text)));
    }
    SourceRange::new(first, last).ok_or_else(|| format!("too many addresses, expected {SOURCES_MAX} at most"))
}

/// As [`sources`] reads it.
pub(in crate::config) fn show_sources(sources: &Sources) -> String {
    let shown = sources.ranges().iter().map(|range| match range.count() {
        1 => range.first().to_string(),
        _ => format!("{}-{}", range.first(), range.last()),
    });
    shown.collect::<Vec<String>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepalive_takes_one_to_three_parts() {
        let on = |idle_s, interval_s, count| Ok(Keepalive::On { idle_s, interval_s, count });
        assert_eq!(keepalive("60s"), on(60, None, None));
        assert_eq!(keepalive("2m, 10"), on(120, Some(10), None));
        assert_eq!(keepalive("1h,10s,3"), on(3600, Some(10), Some(3)));
        assert_eq!(keepalive(" off "), Ok(Keepalive::Off));
        for text in ["90s", "2m,10s", "1h,10s,3", "off"] {
            assert_eq!(show_keepalive(keepalive(text).unwrap()), text);
        }
    }

    #[test]
    fn keepalive_that_the_kernel_cannot_count_is_refused() {
        for (text, what) in [
            ("", "not a time"),
            ("on", "not a time"),
            ("0", "not 1s to 32767s"),
            ("10h", "not 1s to 32767s"),
            ("1500ms", "whole seconds"),
            ("60s,", "not a time"),
            ("60s,10s,0", "not 1 to 127"),
            ("60s,10s,128", "not 1 to 127"),
            ("60s,10s,3,4", "not a keepalive"),
        ] {
            let message = keepalive(text).unwrap_err();
            assert!(message.contains(what), "{text:?}: {message}");
        }
    }

    #[test]
    fn defer_accept_counts_seconds() {
        assert_eq!(defer_accept("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(defer_accept("0"), Ok(Duration::ZERO));
        assert!(defer_accept("500ms").unwrap_err().contains("whole seconds"));
        assert!(defer_accept("301s").unwrap_err().contains("at most 5m"));
        assert_eq!(user_timeout("500ms"), Ok(Duration::from_millis(500)));
        assert!(user_timeout("25h").unwrap_err().contains("at most 24h"));
    }

    #[test]
    fn sources_are_addresses_and_ranges() {
        let shown = |text: &str| sources(text).map(|sources| show_sources(&sources));
        for text in ["10.0.0.1", "10.0.0.10-10.0.0.20", "10.0.0.1,10.0.1.1-10.0.1.9,fd00::1-fd00::ff"] {
            assert_eq!(shown(text), Ok(text.to_owned()));
        }
        assert_eq!(shown(" ::ffff:10.0.0.1 - 10.0.0.1 "), Ok(String::from("10.0.0.1")));
        assert_eq!(sources("10.0.0.1-10.0.0.9").unwrap().addresses().count(), 9);
        for (text, what) in [
            ("", "\"\" is not an address"),
            ("10.0.0.1:80", "not an address"),
            ("10.0.0.300", "not an address"),
            ("0.0.0.0", "not an address"),
            ("fe80::1%2", "not an address"),
            ("10.0.0.1-fd00::1", "two families"),
            ("10.0.0.9-10.0.0.1", "ends before it begins"),
            ("10.0.0.0-10.0.255.255", "expected 4096 at most"),
            ("10.0.0.0-10.0.12.0,10.0.0.0-10.0.12.0", "expected 4096 at most"),
            ("fd00::-fdff::", "expected 4096 at most"),
        ] {
            let message = sources(text).unwrap_err();
            assert!(message.contains(what), "{text:?}: {message}");
        }
    }

    #[test]
    fn congestion_is_a_name() {
        assert_eq!(congestion(" bbr ").unwrap().as_str(), "bbr");
        assert!(congestion("a name").unwrap_err().starts_with("not a name"));
    }
}
