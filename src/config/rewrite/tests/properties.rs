//! Any text and any change: the result is right, and a text without a change is left alone.

use proptest::prelude::*;

use super::{DIRECTOR, MINIMAL, PDCONFIG, TXLB, enable};
use crate::config::rewrite::children::Detail;
use crate::config::rewrite::{attempt, is, rewrite};
use crate::config::schema::Dialect;
use crate::config::tests::arbitrary;
use crate::config::write::{write, write_as};
use crate::config::{Acl, Address, Config, parse};
use crate::model::address::Endpoint;

const EXAMPLES: [&str; 4] = [DIRECTOR, MINIMAL, PDCONFIG, TXLB];

/// The configuration after some changes, each chosen by a number; what comes in new comes from another one.
fn altered(mut config: Config, other: &Config, changes: &[u32]) -> Config {
    // What comes in may name them.
    let missing: Vec<Acl> = other.acls.iter().filter(|acl| config.acl(&acl.name).is_none()).cloned().collect();
    config.acls.extend(missing);
    for change in changes {
        let at = usize::try_from(change / 16).unwrap();
        let count = config.services.len();
        let service = &mut config.services[at % count];
        let groups = service.groups.len();
        let group = &mut service.groups[at / 5 % groups];
        let hosts = group.hosts.len();
        let host = &mut group.hosts[at / 25 % hosts];
        let other_group = &other.services[0].groups[0];
        match change % 16 {
            0 => host.weight = *change % 1000,
            1 => (host.max, host.policy) = (other_group.hosts[0].max, other_group.hosts[0].policy),
            2 => {
                host.connect.stream = other_group.connect.stream;
                if let Address::Unix(name) = host.address {
                    host.connect = host.connect.clone().fit(Endpoint::Unix(name));
                }
            }
            3 => host.name.push('x'),
            4 if hosts > 1 => drop(group.hosts.remove(at % hosts)),
            5 => group.hosts.rotate_left(at % hosts),
            6 => group.hosts.insert(at % hosts, {
                let mut host = other_group.hosts[0].clone();
                host.name = format!("added {at} <&>'\"");
                host
            }),
            7 => {
                group.scheduler = other_group.scheduler;
                (group.sticky, group.policy) = (other_group.sticky, other_group.policy);
            }
            8 => enable(service, at % groups),
            9 => service.groups.insert(at % groups, {
                let mut group = other_group.clone();
                group.name = format!("added {at}");
                group
            }),
            10 => service.groups.rotate_left(1),
            11 => service.listens.rotate_left(1),
            12 => config.services.rotate_left(1),
            13 if count > 1 => drop(config.services.remove(at % count)),
            14 => config.manager = other.manager.clone(),
            15 => {
                config.log_file.clone_from(&other.log_file);
                config.access_log.clone_from(&other.access_log);
                config.status.clone_from(&other.status);
                config.control.clone_from(&other.control);
                config.admin.clone_from(&other.admin);
                // Its listeners may meet those of the services.
                config.admin.iter_mut().for_each(|admin| (admin.web, admin.ssh) = (None, None));
            }
            _ => {}
        }
    }
    config
}

/// The text in another layout, by a number a line: comments, blank lines, line breaks less, Windows' line ends.
fn decorated(text: &str, choices: &[u8]) -> String {
    let mut decorated = String::new();
    for (line, choice) in text.lines().zip(choices.iter().cycle()) {
        let indent = &line[..line.len() - line.trim_start().len()];
        match choice % 8 {
            0 => decorated.push_str(&format!("{indent}<!-- above -->\n{line}\n")),
            1 => decorated.push_str(&format!("{line} <!-- behind -->\n")),
            2 => decorated.push_str(&format!("\n{line}\n")),
            3 => decorated.push_str(line.trim_start()),
            4 => decorated.push_str(&format!(" {}", line.trim_start())),
            5 => decorated.push_str(&format!("{}\n", line.replace("/>", "\n />").replace('"', "'"))),
            _ => decorated.push_str(&format!("{line}\n")),
        }
    }
    if choices.first().is_some_and(|choice| choice % 2 == 0) { decorated.replace('\n', "\r\n") } else { decorated }
}

fn dialect() -> impl Strategy<Value = Dialect> {
    proptest::sample::select(&[Dialect::Director, Dialect::PythonDirector, Dialect::TxLoadBalancer][..])
}

fn check(text: &str, new: &Config) -> Result<(), TestCaseError> {
    let old = parse(text, "f").map_err(|errors| TestCaseError::fail(format!("{errors}\n{text}")))?;
    let fine = attempt(Detail::Attributes, text, &old, new).unwrap();
    prop_assert!(is(&fine, new), "{}\n---\n{}\n---\n{:?}", text, fine, parse(&fine, "f").map(|_| ()));
    for detail in [Detail::Services, Detail::Root] {
        let coarse = attempt(detail, text, &old, new).unwrap();
        prop_assert!(is(&coarse, new), "{:?}\n{}\n---\n{}", detail, text, coarse);
    }
    prop_assert_eq!(rewrite(text, &old), text);
    Ok(())
}

#[test]
fn example_without_a_change_is_left_alone() {
    for text in EXAMPLES {
        let config = parse(text, "f").unwrap();
        assert_eq!(rewrite(text, &config), text);
        assert_eq!(attempt(Detail::Attributes, text, &config, &config).unwrap(), text);
    }
}

proptest! {
    #[test]
    fn any_configuration_into_the_text_of_any_other_is_right(a in arbitrary::config(), b in arbitrary::config()) {
        check(&write(&a), &b)?;
    }

    #[test]
    fn some_changes_in_any_layout_and_dialect_are_right(
        (a, b) in (arbitrary::config(), arbitrary::config()),
        dialect in dialect(),
        changes in proptest::collection::vec(any::<u32>(), 1..12),
        choices in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let text = decorated(&write_as(&a, dialect), &choices);
        check(&text, &altered(a, &b, &changes))?;
    }

    #[test]
    fn some_changes_of_an_example_are_right(
        text in proptest::sample::select(&EXAMPLES[..]),
        b in arbitrary::config(),
        changes in proptest::collection::vec(any::<u32>(), 1..12),
    ) {
        check(text, &altered(parse(text, "f").unwrap(), &b, &changes))?;
    }

    #[test]
    fn any_configuration_into_an_example_is_right(
        text in proptest::sample::select(&EXAMPLES[..]),
        b in arbitrary::config(),
    ) {
        check(text, &b)?;
    }
}
