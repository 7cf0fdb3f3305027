//! What differs between two configurations, as the changes that make one the other: PythonDirector's `compareconf`.
//!
//! Things are the same when their names are, as the manager sees it too. Where a name is gone and another one came, it is
//! a new name if what it names says so: a service that keeps an address, a group that keeps all of its hosts, a host that
//! keeps its address, a user who keeps his secrets.
//!
//! The changes come in an order in which each is accepted after the former ones: it is tried out here. What comes is
//! added before what goes is removed, except where it stands in the way. Listeners that wait for one another's address
//! in a circle are led around by way of a port 0.
//!
//! What no change does has none: what only a restart takes over, and the order of hosts, where their scheduler goes by it.
//! The order of services, listeners, groups and users only shows in lists and is not compared.

mod described;
mod groups;
mod plan;
mod queue;
mod rest;
mod services;
#[cfg(test)]
mod tests;
mod words;

use super::Config;
use crate::model::change::Change;
use crate::model::command::Difference;
use plan::{Plan, Step};

pub use described::described;

/// What differs, in the order in which it is to be done; the module says how. Empty when nothing does.
///
/// Every change is accepted by [`super::apply`] on `from` with the changes before. Differences without a change come last.
#[must_use]
pub fn diff(from: &Config, to: &Config) -> Vec<Difference> {
    if from == to {
        return Vec::new();
    }
    let mut plan = Plan::new(from);
    for part in [services::compare, rest::users, rest::settings] {
        let mut draft = Draft::default();
        part(&mut draft, from, to);
        plan.carry_out(draft);
    }
    plan.finish(to)
}

/// What one part of the configurations differs in, before it is known what is accepted when.
#[derive(Default)]
struct Draft {
    steps: Vec<Step>,
    /// What no change does.
    apart: Vec<Difference>,
}

impl Draft {
    fn step(&mut self, change: Change, what: impl Into<String>, effect: impl Into<String>) {
        self.steps.push(Step { change, what: what.into(), effect: effect.into() });
    }

    fn apart(&mut self, what: impl Into<String>, effect: impl Into<String>) {
        self.apart.push(Difference { change: None, what: what.into(), effect: effect.into() });
    }
}

/// Each of `to` with the one of `from` that it was, and those of `from` that are gone. Names decide; of those whose name
/// is nowhere else, `is_renamed` says whether one is the other.
fn pair<'a, T>(
    from: &'a [T],
    to: &'a [T],
    name: impl Fn(&T) -> &str,
    is_renamed: impl Fn(&T, &T) -> bool,
) -> (Vec<(Option<&'a T>, &'a T)>, Vec<&'a T>) {
    let wanted: std::collections::HashSet<&str> = to.iter().map(&name).collect();
    let (kept, mut gone): (Vec<&T>, Vec<&T>) = from.iter().partition(|item| wanted.contains(name(item)));
    let kept: std::collections::HashMap<&str, &T> = kept.into_iter().map(|item| (name(item), item)).collect();
    let mut was = |item: &T| {
        let renamed = |gone: &mut Vec<&'a T>| {
            let at = gone.iter().position(|old| is_renamed(old, item))?;
            Some(gone.remove(at))
        };
        kept.get(name(item)).copied().or_else(|| renamed(&mut gone))
    };
    let pairs = to.iter().map(|item| (was(item), item)).collect();
    (pairs, gone)
}
