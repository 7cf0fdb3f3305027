//! One client on its way to or at a host.

use std::collections::VecDeque;

use crate::model::address::Endpoint;
use crate::model::clients::Place;
use crate::model::id::HostId;
use crate::model::time::Moment;

/// When a session is woken that no wake-up was asked for.
pub(super) const NEVER: Moment = Moment::from_micros(u64::MAX);
/// No host.
pub(super) const NO_HOST: u32 = u32::MAX;

/// A session's name: a slot, and the generation that tells its users apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The slot, below [`crate::model::limits::SESSIONS_PER_REACTOR_MAX`].
    pub slot: u32,
    /// Differs from that of the slot's earlier sessions, until 2^32 sessions later.
    pub generation: u32,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In the queue: every host is at its `max`.
    Waiting,
    /// A connect is in flight.
    Connecting {
        /// How often the client has come around to a host that was slow. Each round waits four times as long.
        round: u8,
    },
    /// A local failure; tried again in a moment.
    Retrying,
    /// Bytes move.
    Open,
    /// One side has ended.
    HalfClosed,
}

/// What a session's earlier attempts taught. Allocated at the first failure.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// Hosts that are not tried again: failed, slow, or not reachable for a local reason.
    pub(super) hosts: Vec<HostId>,
    /// Those among them that were merely slow, each with the round of its last attempt, in the order of their turns.
    pub(super) slow: VecDeque<(HostId, u8)>,
    /// Those among them that failed for a local reason since the last pause.
    pub(super) local: Vec<HostId>,
    /// Whether there ever was a local reason.
    pub(super) ever_local: bool,
    /// Those among them that had more to accept than they could, since the last pause.
    pub(super) busy: Vec<HostId>,
    /// The one host that is tried again, for a stubborn service.
    pub(super) only: Option<HostId>,
}

impl Tried {
    /// Whether some of them may be tried again in a moment.
    pub(super) const fn may_pass(&self) -> bool {
        !self.local.is_empty() || !self.busy.is_empty()
    }
}

/// What moving bytes touches stands first, so that with many sessions an event loads few cache lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Session<T> {
    pub(super) generation: u32,
    pub(super) service: u32,
    /// Of the last activity; of the attempt's start before bytes move.
    pub(super) since: Moment,
    pub(super) io: T,
    pub(super) host: u32,
    pub(super) state: State,
    pub(super) is_denied: bool,
    /// Whether the table has another host for its client because of this attempt.
    pub(super) has_moved: bool,
    pub(super) opened: Moment,
    /// A wake-up that the shell asked for, or [`NEVER`].
    pub(super) wake: Moment,
    /// From `opened` until its host accepted, if one has.
    pub(super) waited_micros: u32,
    /// Where its client is counted.
    pub(super) place: Option<Place>,
    pub(super) tried: Option<Box<Tried>>,
    pub(super) client: Endpoint,
}

impl<T> Session<T> {
    pub(super) fn tried(&self) -> &[HostId] {
        self.tried.as_ref().map_or(&[], |tried| &tried.hosts)
    }

    pub(super) fn tried_mut(&mut self) -> &mut Tried {
        self.tried.get_or_insert_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_takes_three_cache_lines_with_what_a_shell_keeps() {
        // A reactor's pair is 96 bytes large; mio's sockets are larger in a debug build.
        assert_eq!(size_of::<Session<[u64; 12]>>(), 192);
    }
}
