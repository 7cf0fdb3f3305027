//! Differences in words.

use crate::config::attributes::Shown;
use crate::config::error;
use crate::model::change::Attributes;
use crate::model::scheduler::SchedulerKind;

/// Effects on live connections that several changes have.
pub(super) const KEPT: &str = "kept";
/// See [`KEPT`].
pub(super) const NEW_ONLY: &str = "new connections only";
/// See [`KEPT`].
pub(super) const DRAINED: &str = "drained: its connections go on";
/// See [`KEPT`]: identities belong to names and addresses.
pub(super) const ANEW: &str = "drained: its connections go on; counters and health begin anew";
/// See [`KEPT`].
pub(super) const IDLE_GROUP: &str = "kept: its group does not serve";
/// See [`KEPT`]: of a listener that gets another address.
pub(super) const REBOUND: &str = "listener rebound: its connections go on, those in its queue are served";
/// See [`KEPT`].
pub(super) const AT_RESTART: &str = "takes effect at restart";

/// The attributes that make one thing the other, and the same in words; none when nothing differs.
pub(super) fn edit(from: &Shown, to: &Shown) -> Option<(Attributes, String)> {
    let gone = from.iter().map(|(name, _)| *name).filter(|name| text(to, name).is_none());
    let names: Vec<&str> = to.iter().map(|(name, _)| *name).chain(gone).collect();
    let (mut attributes, mut words) = (Vec::new(), Vec::new());
    for name in names {
        let (old, new) = (text(from, name), text(to, name));
        if old == new {
            continue;
        }
        words.push(told(name, old.as_deref(), new.as_deref()));
        attributes.push((name.to_owned(), new.unwrap_or_default()));
    }
    (!words.is_empty()).then(|| (Attributes(attributes), words.join(", ")))
}

fn text(shown: &Shown, name: &str) -> Option<String> {
    shown.iter().find(|(known, _)| *known == name).map(|(_, text)| text.clone())
}

fn told(name: &str, old: Option<&str>, new: Option<&str>) -> String {
    if is_secret(name) {
        return match (old, new) {
            (None, _) => format!("{name} added"),
            (Some(_), Some(_)) => format!("another {name}"),
            (Some(_), None) => format!("{name} taken away"),
        };
    }
    format!("{name} {} → {}", old.unwrap_or(usual(name)), new.unwrap_or(usual(name)))
}

/// Attributes of something that is new, those left out that a change has apart.
pub(super) fn given(shown: Shown, apart: &[&str]) -> Attributes {
    Attributes::new(shown.into_iter().filter(|(name, _)| !apart.contains(name)))
}

/// The same at the end of a sentence: `, weight=3`.
pub(super) fn listed(attributes: &Attributes) -> String {
    let told = attributes.0.iter().map(|(name, text)| match is_secret(name) {
        true => format!(", with a {name}"),
        false => format!(", {name}={text}"),
    });
    told.collect()
}

/// Whether the text of an attribute is nobody's concern. A page's `key` is the name of a file; it is not shown either.
fn is_secret(name: &str) -> bool {
    error::is_secret("user", name)
}

/// What is in force where nothing is said.
fn usual(name: &str) -> &'static str {
    match name {
        "weight" => "1",
        "state" => "up",
        "scheduler" => SchedulerKind::RoundRobin.name(),
        "secure" => "false",
        "heartbeat" | "config-check" => "off",
        "max" | "max-connections" | "refresh" | "names" | "certificate" | "group" => "none",
        _ => "usual",
    }
}
