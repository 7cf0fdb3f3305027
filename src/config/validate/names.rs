//! Names that must be unique.

use std::collections::HashMap;

use crate::config::error::{Collector, Reported, quoted};

/// Reports every name that an earlier item has. `what` says whose names they are, `scope` in what they must be unique.
pub(super) fn unique<'n>(
    what: &str,
    scope: &str,
    names: impl Iterator<Item = (&'n str, usize)>,
    errors: &mut Collector<'_>,
) -> Result<(), Reported> {
    let mut first = HashMap::new();
    let mut result = Ok(());
    for (name, at) in names {
        if let Some(&first) = first.get(name) {
            let (name, line) = (quoted(name), errors.line(first));
            let message = format!("the {what} {name} is in line {line} already, expected a name of its own in {scope}");
            result = Err(errors.report(at, message));
        } else {
            first.insert(name, at);
        }
    }
    result
}
