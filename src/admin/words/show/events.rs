//! Events for people.

use std::time::{SystemTime, UNIX_EPOCH};

use super::paint::{Paint, Tone};
use crate::model::event::{Event, EventKind};

/// One line: number, time (UTC), kind, what happened, and who did it.
#[must_use]
pub fn event(event: &Event, paint: Paint) -> String {
    let tone = match event.kind {
        EventKind::State => Tone::Plain,
        EventKind::Change => Tone::Good,
        EventKind::Refused => Tone::Odd,
        EventKind::Trouble => Tone::Bad,
    };
    let (number, at) = (event.number, paint.tone(Tone::Faint, &utc(event.at)));
    let kind = paint.tone(tone, &format!("{:7}", event.kind.name()));
    let by = if event.by.is_empty() { String::new() } else { paint.tone(Tone::Faint, &format!("  by {}", event.by)) };
    let text = event.text.replace('\n', "; ");
    format!("{number} {at} {kind} {text}{by}")
}

/// `2026-11-25T10:30:00Z`. The days are turned into a date as of the proleptic Gregorian calendar, in eras of 400 years
/// that begin in March, so that a leap day is an era's year's last.
pub(crate) fn utc(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of the year 0.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let shown = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(shown(0), "1970-01-01T00:00:00Z");
        assert_eq!(shown(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(shown(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(shown(1_709_251_200), "2024-03-01T00:00:00Z");
        assert_eq!(shown(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn event_is_one_line() {
        let happened = Event {
            number: 7,
            at: UNIX_EPOCH,
            kind: EventKind::Refused,
            by: String::from("root (control pid 1)"),
            text: String::from("a\nb"),
        };
        let line = event(&happened, Paint(false));
        assert_eq!(line, "7 1970-01-01T00:00:00Z refused a; b  by root (control pid 1)");
    }
}
