//! The manager's log lines: `key=value` words that grep and awk take apart, one line an event, and a limit on those
//! that peers can provoke.

use std::fmt;
use std::time::Duration;

use crate::model::limits::LOG_EVERY;
use crate::model::status::HostStatus;
use crate::model::time::Moment;

/// A value in a log line: quoted and escaped unless it is one plain word, so that no name can forge a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a>(pub(super) &'a str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_alphanumeric() || "-_.:/@+*[]%,".contains(c);
        if !self.0.is_empty() && self.0.chars().all(plain) { f.write_str(self.0) } else { Quoted(self.0).fmt(f) }
    }
}

/// As [`Value`], always in quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() || is_invisible(c) => write!(f, "{}", c.escape_unicode())?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Characters that change how the text around them is shown (Unicode general category Cf and the separators).
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A time in a log line, in seconds with a tenth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}s", self.0.as_secs_f64())
    }
}

/// The word for a status.
pub(super) const fn status_word(status: HostStatus) -> &'static str {
    match status {
        HostStatus::Up => "up",
        HostStatus::Down => "down",
    }
}

/// A host's place in the configuration, for log lines.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) service: &'a str,
    pub(super) group: &'a str,
    pub(super) host: &'a str,
    /// Its address, or the name and port as configured.
    pub(super) addr: String,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (service, group, host) = (Value(self.service), Value(self.group), Value(self.host));
        write!(f, "service={service} group={group} host={host} addr={}", Value(&self.addr))
    }
}

/// Lets one line through an interval and keeps the last of the others, with their number.
#[derive(Debug)]
pub(super) struct Limiter<T> {
    /// Before this, nothing passes.
    quiet_until: Moment,
    held: Option<(T, u32)>,
}

impl<T> Default for Limiter<T> {
    fn default() -> Self {
        Self { quiet_until: Moment::START, held: None }
    }
}

impl<T> Limiter<T> {
    /// Offers an item. Returns it when it may pass, with the number of those that did not.
    pub(super) fn offer(&mut self, now: Moment, item: T) -> Option<(T, u32)> {
        let suppressed = self.held.take().map_or(0, |(_, before)| before.saturating_add(1));
        if now < self.quiet_until {
            self.held = Some((item, suppressed));
            return None;
        }
        self.quiet_until = now.after(LOG_EVERY);
        Some((item, suppressed))
    }

    /// The last item that was held, once its time has come, with the number of those before it.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<(T, u32)> {
        if now < self.quiet_until {
            return None;
        }
        let held = self.held.take()?;
        self.quiet_until = now.after(LOG_EVERY);
        Some(held)
    }

    /// When [`Self::take_due`] has something.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.held.as_ref().map(|_| self.quiet_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_word_is_written_bare_and_anything_else_is_quoted() {
        assert_eq!(Value("web-1.example:80").to_string(), "web-1.example:80");
        assert_eq!(Value("").to_string(), "\"\"");
        assert_eq!(Value("a b").to_string(), "\"a b\"");
        assert_eq!(Value("x\nstate service=y").to_string(), "\"x\\u{a}state service=y\"");
        assert_eq!(Value("\u{202e}a\"\\").to_string(), "\"\\u{202e}a\\\"\\\\\"");
    }

    #[test]
    fn limiter_passes_one_a_second_and_counts_the_rest() {
        let mut limiter = Limiter::default();
        let at = Moment::from_millis;
        assert_eq!(limiter.offer(at(10_000), 'a'), Some(('a', 0)));
        assert_eq!(limiter.offer(at(10_100), 'b'), None);
        assert_eq!(limiter.offer(at(10_200), 'c'), None);
        assert_eq!(limiter.next_deadline(), Some(at(11_000)));
        assert_eq!(limiter.take_due(at(10_999)), None);
        assert_eq!(limiter.take_due(at(11_000)), Some(('c', 1)), "the last is told, with the one before it");
        assert_eq!(limiter.next_deadline(), None);
        assert_eq!(limiter.offer(at(11_500), 'd'), None, "what was told late opens a new second");
        assert_eq!(limiter.offer(at(12_100), 'e'), Some(('e', 1)));
    }
}
