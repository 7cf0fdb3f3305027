//! What differs between two configurations, as the changes that make one the other.

use super::Config;
use crate::model::change::Change;
use crate::model::command::Difference;

/// What differs, in the order in which it is to be done.
#[must_use]
pub fn diff(from: &Config, to: &Config) -> Vec<Difference> {
    let same = from == to;
    let what = || String::from("the configurations differ");
    if same { Vec::new() } else { vec![Difference { change: None, what: what(), effect: String::new() }] }
}

/// What a change wants, in words, for when it was refused.
#[must_use]
pub fn described(change: &Change) -> String {
    format!("{change:?}")
}
