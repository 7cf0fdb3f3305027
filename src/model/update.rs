//! What the manager tells a reactor. Each is idempotent, questions aside.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use super::id::{ListenerId, ServiceId};
use super::service::{ListenerSpec, ServiceSpec};
use super::session::{KillRequest, SessionQuery};

/// Manager to reactor.
#[derive(Clone, Debug)]
pub enum Update {
    /// Serve this from now on, unless a later generation is known already. Listeners come separately.
    Service(Arc<ServiceSpec>),
    /// No new connections for this service; those in progress go on with what they have.
    Remove(ServiceId),
    /// Accept on this socket for that service; for a known listener the service changes, and whose PROXY headers are believed.
    Listen(ListenerSpec, Arc<TcpListener>),
    /// Serve what is queued on this listener, then close it.
    Unlisten(ListenerId),
    /// Stop accepting, end when the last pair has finished or after this time, whichever is first.
    Drain(Duration),
    /// Answer what sessions there are. It may take some turns; a reactor that has
    /// [`super::limits::QUESTIONS_MAX`] questions to answer drops it.
    Sessions(Arc<SessionQuery>),
    /// Cut these sessions and answer how many there were. Otherwise as [`Self::Sessions`].
    Kill(Arc<KillRequest>),
}
