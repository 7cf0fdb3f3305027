//! Host names: which are in use, what they resolved to, and when to ask again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::model::limits::{ADDRESSES_MAX, RESOLVE_EVERY, RESOLVE_FAILED_EVERY, RESOLVE_LOST};
use crate::model::time::Moment;

/// The names in use.
#[derive(Debug, Default)]
pub(super) struct Names {
    table: BTreeMap<String, Name>,
}

#[derive(Debug)]
struct Name {
    state: NameState,
    since: Moment,
    /// Sorted, each once.
    addresses: Vec<IpAddr>,
    next: Moment,
}

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameState {
    /// Nothing yet: it is being resolved for the first time.
    Unknown,
    /// It has never resolved.
    Unresolved,
    /// The last resolution succeeded.
    Resolved,
    /// The last resolution failed; the addresses are those from before.
    Stale,
}

impl fmt::Display for NameState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Unresolved => "unresolved",
            Self::Resolved => "resolved",
            Self::Stale => "stale",
        })
    }
}

/// A resolution that changed something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NameChange {
    pub(super) old: NameState,
    pub(super) new: NameState,
    /// How long the old state lasted; zero when only the addresses changed.
    pub(super) lasted: Duration,
    /// The addresses, or what the resolver said.
    pub(super) why: String,
}

impl Names {
    /// Keeps exactly the names that are wanted. New ones are resolved at once.
    pub(super) fn keep(&mut self, now: Moment, wanted: &BTreeSet<&str>) {
        self.table.retain(|name, _| wanted.contains(name.as_str()));
        for name in wanted {
            self.table.entry((*name).to_owned()).or_insert_with(|| Name {
                state: NameState::Unknown,
                since: now,
                addresses: Vec::new(),
                next: now,
            });
        }
    }

    /// The addresses of a name, sorted; none when it has not resolved.
    pub(super) fn addresses(&self, name: &str) -> &[IpAddr] {
        self.table.get(name).map_or(&[], |known| &known.addresses)
    }

    /// What is known of a name.
    pub(super) fn state(&self, name: &str) -> NameState {
        self.table.get(name).map_or(NameState::Unknown, |known| known.state)
    }

    /// The names to resolve now. An answer that does not come is asked for again much later, since the resolver may
    /// hang.
    pub(super) fn take_due(&mut self, now: Moment) -> Vec<String> {
        let mut due = Vec::new();
        for (name, known) in self.table.iter_mut().filter(|(_, known)| known.next <= now) {
            known.next = now.after(RESOLVE_LOST);
            due.push(name.clone());
        }
        due
    }

    /// When a name is to be resolved.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.table.values().map(|known| known.next).min()
    }

    /// A resolution has ended. A failure keeps the addresses from before.
    pub(super) fn on_resolved(
        &mut self,
        now: Moment,
        name: &str,
        result: Result<Vec<IpAddr>, String>,
    ) -> Option<NameChange> {
        let known = self.table.get_mut(name)?;
        let (new, why) = match result {
            Ok(addresses) if !addresses.is_empty() => {
                let sorted: BTreeSet<IpAddr> = addresses.into_iter().collect();
                let sorted: Vec<IpAddr> = sorted.into_iter().take(ADDRESSES_MAX).collect();
                if sorted == known.addresses && known.state == NameState::Resolved {
                    known.next = now.after(RESOLVE_EVERY);
                    return None;
                }
                known.addresses = sorted;
                let listed: Vec<String> = known.addresses.iter().map(ToString::to_string).collect();
                (NameState::Resolved, listed.join(" "))
            }
            Ok(_) => (known.failed(), "it has no address".to_owned()),
            Err(text) => (known.failed(), text),
        };
        let every = if new == NameState::Resolved { RESOLVE_EVERY } else { RESOLVE_FAILED_EVERY };
        known.next = now.after(every);
        let old = std::mem::replace(&mut known.state, new);
        if old == new && new != NameState::Resolved {
            return None;
        }
        let lasted = if old == new { Duration::ZERO } else { now.since(known.since) };
        if old != new {
            known.since = now;
        }
        Some(NameChange { old, new, lasted, why })
    }
}

impl Name {
    const fn failed(&self) -> NameState {
        if self.addresses.is_empty() { NameState::Unresolved } else { NameState::Stale }
    }
}
