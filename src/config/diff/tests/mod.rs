//! Differences lead from one configuration to the other, step by step, and say so in words.

mod scenes;

use proptest::prelude::*;

use super::diff;
use crate::config::tests::arbitrary;
use crate::config::tests::near::{self, Kind};
use crate::config::{Config, apply, parse, write};
use crate::model::command::Difference;
use crate::model::scheduler::SchedulerKind;

/// The configuration after all changes, each of which must be accepted.
fn after(from: &Config, differences: &[Difference]) -> Result<Config, TestCaseError> {
    let mut config = from.clone();
    for Difference { change, what, .. } in differences {
        prop_assert!(!what.contains('\n'), "{}", what);
        let Some(change) = change else { continue };
        let told = apply(&mut config, change);
        prop_assert!(told.is_ok(), "{:?} of {}", told, told_all(differences));
    }
    Ok(config)
}

/// What is compared: all but the order that only shows in lists, and where administration is reached.
fn compared(config: &Config) -> Config {
    let mut config = Config { control: None, access_log: None, status: None, ..config.clone() };
    for service in &mut config.services {
        let serving = service.enabled.map(|at| service.groups[at].name.clone());
        service.listens.sort_by_key(|listen| listen.address.to_string());
        service.groups.sort_by_key(|group| group.name.clone());
        service.enabled = service.groups.iter().position(|group| Some(&group.name) == serving.as_ref());
        for group in &mut service.groups {
            if !matches!(group.scheduler, SchedulerKind::RoundRobin | SchedulerKind::Weighted) {
                group.hosts.sort_by_key(|host| host.name.clone());
            }
        }
    }
    config.acls.sort_by_key(|acl| acl.name.clone());
    config.services.sort_by_key(|service| service.name.clone());
    let mut admin = config.admin.take().unwrap_or_default();
    (admin.web, admin.ssh) = (None, None);
    admin.users.sort_by_key(|user| user.name.clone());
    config.admin = Some(admin);
    config
}

fn in_any_order(config: &Config) -> Config {
    let mut config = compared(config);
    let groups = config.services.iter_mut().flat_map(|service| &mut service.groups);
    groups.for_each(|group| group.hosts.sort_by_key(|host| host.name.clone()));
    config
}

/// Whether the changes lead from one to the other, and nothing is left out that is not said.
fn leads(from: &Config, to: &Config) -> Result<(), TestCaseError> {
    let differences = diff(from, to);
    let told = told_all(&differences);
    let reached = after(from, &differences)?;
    let has_apart = |words: &str| differences.iter().any(|d| d.change.is_none() && d.what.contains(words));
    if differences.iter().any(|difference| difference.effect.contains("refused")) {
        prop_assert!(from.admin.is_some(), "only administration may be in the way: {}", told);
        return Ok(());
    }
    if has_apart("another order of hosts") {
        prop_assert_ne!(compared(&reached), compared(to), "{}", told);
        prop_assert_eq!(in_any_order(&reached), in_any_order(to), "{}", told);
    } else {
        prop_assert_eq!(compared(&reached), compared(to), "{}", told);
    }
    prop_assert!(diff(&reached, to).iter().all(|difference| difference.change.is_none()), "{}", told);
    Ok(())
}

fn told_all(differences: &[Difference]) -> String {
    let line = |d: &Difference| {
        let mark = if d.change.is_some() { "" } else { "! " };
        format!("{mark}{}  [{}]\n", d.what, d.effect)
    };
    differences.iter().map(line).collect()
}

proptest! {
    #[test]
    fn same_configurations_do_not_differ(config in arbitrary::config()) {
        prop_assert_eq!(diff(&config, &config), []);
    }

    #[test]
    fn changes_lead_from_any_configuration_to_any_other(from in arbitrary::config(), to in arbitrary::config()) {
        leads(&from, &to)?;
        leads(&Config { admin: None, ..from }, &Config { admin: None, ..to })?;
    }

    #[test]
    fn changes_lead_through_a_few_edits_and_back((from, to) in near::near()) {
        leads(&from, &to)?;
        leads(&to, &from)?;
    }

    #[test]
    fn changes_lead_through_a_crowd(from in near::crowded(), to in near::crowded()) {
        leads(&from, &to)?;
    }

    #[test]
    fn single_edit_is_one_difference(from in arbitrary::config(), edit in near::edit(Kind::single())) {
        let mut to = from.clone();
        edit.make(&mut to, 0);
        prop_assert_eq!(parse(&write(&to), "f"), Ok(to.clone()));
        let differences = diff(&from, &to);
        prop_assert_eq!(differences.is_empty(), from == to);
        prop_assert!(differences.len() <= 1, "{:?}: {}", edit.kind, told_all(&differences));
    }
}
