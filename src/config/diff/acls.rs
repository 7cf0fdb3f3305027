//! Access lists. A list is its name: it is replaced whole, and one of another name is another one.

use std::collections::HashMap;

use super::{Draft, words};
use crate::config::{Acl, Config};
use crate::model::access::Rule;
use crate::model::change::Change;

/// Rules that are told one by one.
const TOLD: usize = 3;

/// Lists that are new, and those that say something else.
pub(super) fn come(draft: &mut Draft, from: &Config, to: &Config) {
    for list in &to.acls {
        let (acl, texts) = (list.name.clone(), list.texts());
        match from.acl(&list.name) {
            None => {
                let (default, rules) = (list.default.name(), words::rules(list.rules.len()));
                let what = format!("access list {acl} added, default={default}, with {rules}");
                draft.step(Change::AddAcl { acl, list: texts }, what, words::KEPT);
            }
            Some(before) if before != list => {
                let what = format!("access list {acl}: {}", told(before, list));
                draft.step(Change::SetAcl { acl, list: texts }, what, words::NEW_ONLY);
            }
            Some(_) => {}
        }
    }
}

/// Lists that are gone.
pub(super) fn go(draft: &mut Draft, from: &Config, to: &Config) {
    for acl in from.acls.iter().filter(|list| to.acl(&list.name).is_none()) {
        let what = format!("access list {} removed", acl.name);
        draft.step(Change::RemoveAcl { acl: acl.name.clone() }, what, words::KEPT);
    }
}

/// What makes one list the other.
fn told(before: &Acl, after: &Acl) -> String {
    let mut parts = Vec::new();
    if before.default != after.default {
        parts.push(format!("default {} → {}", before.default.name(), after.default.name()));
    }
    let (new, gone) = (only(&after.rules, &before.rules), only(&before.rules, &after.rules));
    for (rules, became) in [(&new, "added"), (&gone, "removed")] {
        if rules.len() <= TOLD {
            parts.extend(rules.iter().map(|rule| format!("{} {} {became}", rule.verdict.name(), rule.net)));
        } else {
            parts.push(format!("{} {became}", words::rules(rules.len())));
        }
    }
    if before.rules != after.rules && new.is_empty() && gone.is_empty() {
        parts.push(String::from("another order of rules"));
    }
    parts.join(", ")
}

/// The rules of a list that the other one has not, or not as often.
fn only(rules: &[Rule], other: &[Rule]) -> Vec<Rule> {
    let mut counts: HashMap<Rule, usize> = HashMap::new();
    other.iter().for_each(|rule| *counts.entry(*rule).or_default() += 1);
    let mut rules = rules.to_vec();
    rules.retain(|rule| {
        let left = counts.get_mut(rule).filter(|count| **count > 0);
        left.is_none_or(|count| {
            *count -= 1;
            false
        })
    });
    rules
}
