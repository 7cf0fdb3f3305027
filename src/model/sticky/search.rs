//! Questions about the clients that tables remember, and their answers.

use std::time::Duration;

use crate::model::change::HostRef;

/// Which clients are meant, of all tables of all groups. What is left out matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StickySearch {
    /// The service's name.
    pub service: Option<String>,
    /// The group's name.
    pub group: Option<String>,
    /// A client's address; the network that it is in, where that counts as one client.
    pub client: Option<String>,
    /// Those who are at this host.
    pub host: Option<HostRef>,
    /// Most clients to list, 0 for as many as usual; more are counted.
    pub limit: usize,
}

/// A remembered client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickyClient {
    /// Its address, or its network: `192.0.2.7`, `2001:db8::/64`.
    pub client: String,
    /// The service.
    pub service: String,
    /// The group.
    pub group: String,
    /// The host's name; empty when it is gone.
    pub host: String,
    /// The host's address; empty when it is gone.
    pub addr: String,
    /// The name of the host that it returns to as soon as it can; empty when that is the same or gone.
    pub home: String,
    /// How long ago it came last.
    pub idle: Duration,
}

/// Remembered clients of all tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StickyList {
    /// Up to the limit, in no order.
    pub clients: Vec<StickyClient>,
    /// How many there are.
    pub total: usize,
}
