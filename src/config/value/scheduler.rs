//! Scheduler names with their option list.

use crate::config::error::{alternatives, quoted};
use crate::config::suggest::{closest, hint};
use crate::model::scheduler::SchedulerKind;

/// The spellings that only the ancestors have; [`SchedulerKind::from_name`] knows their meaning.
const ANCESTORS: [&str; 3] = ["rand", "roundr", "leastc"];

/// A name, in the spelling of any dialect. PythonDirector announced options after it (`roundrobin,sticky`); there are
/// none yet.
pub(in crate::config) fn scheduler(text: &str) -> Result<SchedulerKind, String> {
    let mut parts = text.split(',').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let kind = SchedulerKind::from_name(name).ok_or_else(|| unknown(name))?;
    match parts.next() {
        None => Ok(kind),
        Some("sticky") => Err(format!("sticky is not available yet, expected the scheduler alone: {}", quoted(name))),
        Some(option) => {
            let option = quoted(option);
            Err(format!("unknown scheduler option {option}, expected the scheduler alone: {}", quoted(name)))
        }
    }
}

fn unknown(name: &str) -> String {
    let names = SchedulerKind::ALL.map(SchedulerKind::name);
    let expected = alternatives(&names);
    if name == "sticky" {
        return format!("sticky is not available yet, expected {expected}");
    }
    let hint = hint(closest(name, names.into_iter().chain(ANCESTORS)));
    format!("unknown scheduler {}, expected {expected}{hint}", quoted(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "random, roundrobin, leastconns, leastconnsrr, weighted, weightr, weightlc or p2c";

    #[test]
    fn scheduler_of_every_dialect_is_known() {
        for kind in SchedulerKind::ALL {
            assert_eq!(scheduler(kind.name()), Ok(kind));
        }
        assert_eq!(scheduler("rand"), Ok(SchedulerKind::Random));
        assert_eq!(scheduler("roundr"), Ok(SchedulerKind::RoundRobin));
        assert_eq!(scheduler("leastc"), Ok(SchedulerKind::LeastConnsRr));
        assert_eq!(scheduler("weightr"), Ok(SchedulerKind::WeightR));
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
    fn sticky_is_refused_because_it_is_not_available_yet() {
        let message = scheduler("roundrobin, sticky").unwrap_err();
        assert_eq!(message, "sticky is not available yet, expected the scheduler alone: \"roundrobin\"");
        assert_eq!(scheduler("sticky"), Err(format!("sticky is not available yet, expected {ALL}")));
    }

    #[test]
    fn unknown_option_is_refused() {
        let message = scheduler("random,fast").unwrap_err();
        assert_eq!(message, "unknown scheduler option \"fast\", expected the scheduler alone: \"random\"");
        assert!(scheduler("random,").is_err());
    }
}
