//! What became of a host's probes, as JSON.

use serde_json::{Value, json};

use super::{micros, millis};
use crate::model::snapshot::{LastProbe, ProbesView};

/// Of one host.
pub(super) fn probes(probes: &ProbesView) -> Value {
    json!({
        "check": probes.check,
        "good": probes.good,
        "failed": probes.failed,
        "void": probes.void,
        "good_sum_us": probes.good_sum_us,
        "last": probes.last.as_ref().map(last),
    })
}

fn last(last: &LastProbe) -> Value {
    json!({
        "good": last.good,
        "why": last.why,
        "ago_ms": millis(last.ago),
        "lasted_ms": millis(last.lasted),
        "took_us": micros(last.took),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn probes_are_told_with_the_last_one() {
        let ms = Duration::from_millis;
        let why = String::from("no answer in time");
        let last = LastProbe { good: false, why, ago: ms(20), lasted: ms(3000), took: ms(500) };
        let view = ProbesView { check: "dns", good: 3, failed: 2, void: 1, good_sum_us: 900, last: Some(last) };
        let expected = json!({
            "check": "dns", "good": 3, "failed": 2, "void": 1, "good_sum_us": 900,
            "last": {"good": false, "why": "no answer in time", "ago_ms": 20, "lasted_ms": 3000, "took_us": 500_000},
        });
        assert_eq!(probes(&view), expected);
        assert_eq!(probes(&ProbesView::default())["last"], Value::Null);
    }
}
