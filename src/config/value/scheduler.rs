//! Scheduler names with their option list.

use crate::config::error::{alternatives, quoted};
use crate::config::suggest::{closest, hint};
use crate::model::scheduler::SchedulerKind;
use crate::model::sticky::StickyMode;

/// The spellings that only the ancestors have; [`SchedulerKind::from_name`] knows their meaning.
const ANCESTORS: [&str; 3] = ["rand", "roundr", "leastc"];

/// A name, in the spelling of any dialect, and whether the option that PythonDirector announced is behind it:
/// `roundrobin,sticky`.
pub(in crate::config) fn scheduler(text: &str) -> Result<(SchedulerKind, bool), String> {
    let mut parts = text.split(',').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let kind = SchedulerKind::from_name(name).ok_or_else(|| unknown(name))?;
    let mut sticky = false;
    for option in parts {
        if option != "sticky" {
            return Err(format!("unknown scheduler option {}, expected sticky", quoted(option)));
        }
        sticky = true;
    }
    Ok((kind, sticky))
}

/// How clients find their host again.
pub(in crate::config) fn sticky(text: &str) -> Result<StickyMode, String> {
    let text = text.trim();
    StickyMode::from_name(text).ok_or_else(|| {
        let names = StickyMode::ALL.map(StickyMode::name);
        format!("unknown way, expected {}{}", alternatives(&names), hint(closest(text, names)))
    })
}

fn unknown(name: &str) -> String {
    let names = SchedulerKind::ALL.map(SchedulerKind::name);
    let expected = alternatives(&names);
    if name == "sticky" {
        return format!("sticky is an option behind a scheduler, such as roundrobin,sticky; expected {expected}");
    }
    let hint = hint(closest(name, names.into_iter().chain(ANCESTORS)));
    format!("unknown scheduler {}, expected {expected}{hint}", quoted(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "random, roundrobin, leastconns, leastconnsrr, weighted, weightr, weightlc, p2c or maglev";

    #[test]
    fn scheduler_of_every_dialect_is_known() {
        for kind in SchedulerKind::ALL {
            assert_eq!(scheduler(kind.name()), Ok((kind, false)));
        }
        assert_eq!(scheduler("rand"), Ok((SchedulerKind::Random, false)));
        assert_eq!(scheduler("roundr"), Ok((SchedulerKind::RoundRobin, false)));
        assert_eq!(scheduler("leastc"), Ok((SchedulerKind::LeastConnsRr, false)));
        assert_eq!(scheduler("weightr"), Ok((SchedulerKind::WeightR, false)));
        for name in ANCESTORS {
            assert!(scheduler(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn unknown_scheduler_is_refused_with_the_nearest() {
        let message = scheduler("rondrobin").unwrap_err();
        assert_eq!(message, format!("unknown scheduler \"rondrobin\", expected {ALL}; did you mean \"roundrobin\"?"));
        let message = scheduler("fastest").unwrap_err();
        assert_eq!(message, format!("unknown scheduler \"fastest\", expected {ALL}"));
        assert!(scheduler("").unwrap_err().starts_with("unknown scheduler \"\", expected random"));
    }

    #[test]
    fn sticky_is_an_option_of_any_scheduler_and_none_itself() {
        assert_eq!(scheduler("roundrobin, sticky"), Ok((SchedulerKind::RoundRobin, true)));
        assert_eq!(scheduler("leastc,sticky"), Ok((SchedulerKind::LeastConnsRr, true)));
        assert!(scheduler("sticky").unwrap_err().starts_with("sticky is an option behind a scheduler"));
    }

    #[test]
    fn unknown_option_is_refused() {
        assert_eq!(scheduler("random,fast").unwrap_err(), "unknown scheduler option \"fast\", expected sticky");
        assert!(scheduler("random,").is_err());
    }
}
