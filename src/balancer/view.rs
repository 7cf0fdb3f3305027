//! What can be seen of a session from outside.

use std::sync::atomic::Ordering::Relaxed;

use super::session::{Key, NO_HOST, State};
use super::{Balancer, Traffic};
use crate::model::address::Endpoint;
use crate::model::id::{HostId, ServiceId};
use crate::model::time::Moment;

/// A session, looked at.
#[derive(Debug)]
pub struct View<'a, T> {
    /// Its key.
    pub key: Key,
    /// Its service, which may have been removed.
    pub service: ServiceId,
    /// The host that it has a place at, and that host's address.
    pub host: Option<(HostId, Endpoint)>,
    /// Its client.
    pub client: Endpoint,
    /// Whether it is denied access, so that only hosts for abuse are for it.
    pub is_denied: bool,
    /// How far it has come.
    pub state: State,
    /// When it was opened.
    pub opened: Moment,
    /// When bytes moved last; before there are any, when its host accepted or its connect began.
    pub since: Moment,
    /// Whether the access log is to tell of it.
    pub is_logged: bool,
    /// The shell's part.
    pub io: &'a T,
}

impl<T> Balancer<T> {
    /// The session in this slot; see [`Self::slots`].
    #[must_use]
    pub fn view(&self, slot: usize) -> Option<View<'_, T>> {
        let session = self.sessions.get(slot)?;
        let service = &self.services[session.service as usize];
        let host = (session.host != NO_HOST).then(|| service.pool.host(session.host));
        Some(View {
            key: Key { slot: u32::try_from(slot).ok()?, generation: session.generation },
            service: service.spec.id,
            host: host.map(|host| (host.id, host.addr)),
            client: session.client,
            is_denied: session.is_denied,
            state: session.state,
            opened: session.opened,
            since: session.since,
            is_logged: service.spec.access_log,
            io: &session.io,
        })
    }

    /// Adds bytes that a session has moved to its host's counters. What is told here is not to be told to
    /// [`Self::close`].
    pub fn tell(&self, key: Key, traffic: Traffic) {
        let Some(counters) = self.host_counters(key) else { return };
        for (counter, bytes) in [(&counters.bytes_up, traffic.up), (&counters.bytes_down, traffic.down)] {
            if bytes > 0 {
                counter.fetch_add(bytes, Relaxed);
            }
        }
    }
}
