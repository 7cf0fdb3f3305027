//! How a group's clients find their host again: attributes of `<group>` to rules, and back.

use super::attributes::{Shown, given, unless};
use super::sockets::Texts;
use super::value::{self, show_time};
use crate::model::sticky::{Prefixes, StickyMode, StickyRules};

/// Reads the rules. `announced`: the scheduler has the option `sticky`.
pub(super) fn rules<S: Texts>(announced: bool, texts: &mut S) -> Result<StickyRules, S::Error> {
    let usual = StickyRules::default();
    let mode = texts.read("sticky", |text| {
        let mode = value::sticky(text)?;
        if announced && mode == StickyMode::Off {
            return Err(String::from("the scheduler has the option sticky, expected table or hash, or no such option"));
        }
        Ok(mode)
    });
    let size = texts.read("sticky-size", value::sticky_size);
    let ttl = texts.read("sticky-ttl", value::time);
    let v4 = texts.read("sticky-prefix-v4", value::prefix_v4);
    let v6 = texts.read("sticky-prefix-v6", value::prefix_v6);
    let fail_back = texts.read("fail-back", value::boolean);
    Ok(StickyRules {
        mode: mode?.unwrap_or(if announced { StickyMode::Table } else { usual.mode }),
        size: size?.unwrap_or(usual.size),
        ttl: ttl?.unwrap_or(usual.ttl),
        prefixes: Prefixes { v4: v4?.unwrap_or(usual.prefixes.v4), v6: v6?.unwrap_or(usual.prefixes.v6) },
        fail_back: fail_back?.unwrap_or(usual.fail_back),
    })
}

/// The rules that are not as usual.
pub(super) fn shown(rules: &StickyRules) -> Shown {
    let usual = StickyRules::default();
    given([
        ("sticky", unless(rules.mode, usual.mode).map(|mode| mode.name().to_owned())),
        ("sticky-size", unless(rules.size, usual.size).map(|size| size.to_string())),
        ("sticky-ttl", unless(rules.ttl, usual.ttl).map(show_time)),
        ("sticky-prefix-v4", unless(rules.prefixes.v4, usual.prefixes.v4).map(|length| length.to_string())),
        ("sticky-prefix-v6", unless(rules.prefixes.v6, usual.prefixes.v6).map(|length| length.to_string())),
        ("fail-back", unless(rules.fail_back, usual.fail_back).map(|back| back.to_string())),
    ])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Config, parse, write};
    use super::*;

    fn group(attributes: &str) -> Result<StickyRules, String> {
        let text = format!(
            "<director><service name='s'><listen ip='*:1'/><group name='g' {attributes}><host ip='h:2'/></group>
             </service></director>"
        );
        let config: Config = parse(&text, "f").map_err(|errors| errors.to_string())?;
        Ok(config.services[0].groups[0].sticky)
    }

    #[test]
    fn scheduler_with_the_announced_option_has_a_table() {
        assert_eq!(group("scheduler='roundr, sticky'").unwrap().mode, StickyMode::Table);
        assert_eq!(group("scheduler='leastconns,sticky' sticky='hash'").unwrap().mode, StickyMode::Hash);
        assert_eq!(group("scheduler='leastconns'"), Ok(StickyRules::default()));
    }

    #[test]
    fn every_attribute_is_read() {
        let attributes = "sticky='table' sticky-size='9' sticky-ttl='1h' sticky-prefix-v4='24' sticky-prefix-v6='48' \
                          fail-back='yes'";
        let expected = StickyRules {
            mode: StickyMode::Table,
            size: 9,
            ttl: Duration::from_secs(3600),
            prefixes: Prefixes { v4: 24, v6: 48 },
            fail_back: true,
        };
        assert_eq!(group(attributes), Ok(expected));
    }

    #[test]
    fn contradiction_and_values_out_of_range_are_refused() {
        let wrong = |attributes: &str| group(attributes).unwrap_err();
        assert!(wrong("scheduler='random,sticky' sticky='off'").contains("the scheduler has the option sticky"));
        assert!(wrong("sticky='tabel'").ends_with("expected off, table or hash; did you mean \"table\"?"));
        assert!(wrong("sticky-size='0'").ends_with("expected 1 to 10000000"));
        assert!(wrong("sticky-prefix-v4='33'").ends_with("expected 1 to 32"));
        assert!(wrong("sticky-prefix-v6='129'").ends_with("expected 1 to 128"));
        assert!(wrong("scheduler='random,quick'").contains("unknown scheduler option \"quick\", expected sticky"));
    }

    #[test]
    fn option_of_the_scheduler_is_written_as_an_attribute() {
        let text = "<pdconfig><service name='s'><listen ip='*:1'/><group name='g' scheduler='random,sticky'>
                    <host ip='h:2'/></group></service></pdconfig>";
        let written = write(&parse(text, "f").unwrap());
        assert!(written.contains("<group name=\"g\" scheduler=\"random\" sticky=\"table\">"), "{written}");
    }
}
