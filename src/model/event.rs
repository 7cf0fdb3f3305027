//! What happened, for people and programs that follow it.

use std::time::SystemTime;

/// One event: what an operator changed, or a host's change of state. Kept in memory, the last
/// [`super::limits::EVENTS_KEPT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts up from 1 without gaps.
    pub number: u64,
    /// When, on the wall clock.
    pub at: SystemTime,
    /// What kind of event it is.
    pub kind: EventKind,
    /// Who did it and from where, as `who (from)`; empty for what happened by itself.
    pub by: String,
    /// One line, as in the log.
    pub text: String,
}

/// Kinds of [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A host or a name changed its state.
    State,
    /// The configuration changed, or something was told to the balancer.
    Change,
    /// Somebody asked for something that was refused.
    Refused,
    /// Something went wrong in the balancer or on its machine.
    Trouble,
}

impl EventKind {
    /// The kind in a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Change => "change",
            Self::Refused => "refused",
            Self::Trouble => "trouble",
        }
    }
}
