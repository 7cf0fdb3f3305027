//! How clients find the host again that they used last: the rules of a group, the network that counts as one client, and
//! the table that all reactors share.

mod search;
mod shard;
mod table;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

pub use search::{StickyClient, StickyList, StickySearch};
pub use table::{Entry, Remembered, StickyTable};

use super::hash;
use super::limits::{STICKY_PREFIX_V4, STICKY_PREFIX_V6, STICKY_SIZE};

/// How a group's clients find their host again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StickyMode {
    /// They do not: the scheduler chooses for each connection.
    #[default]
    Off,
    /// The scheduler chooses once for a client, and a table remembers the host.
    Table,
    /// The client's network decides, by rendezvous hashing: nothing is remembered, and every director has the same
    /// answer.
    Hash,
}

impl StickyMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Off, Self::Table, Self::Hash];

    /// The word of the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Table => "table",
            Self::Hash => "hash",
        }
    }

    /// The mode of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// How many leading bits of a client's address tell it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefixes {
    /// Of an IPv4 address, 1 to 32.
    pub v4: u8,
    /// Of an IPv6 address, 1 to 128.
    pub v6: u8,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { v4: STICKY_PREFIX_V4, v6: STICKY_PREFIX_V6 }
    }
}

impl Prefixes {
    /// The network of a client. An IPv4 address in IPv6 clothes is the IPv4 address.
    #[must_use]
    pub fn network(self, client: IpAddr) -> Network {
        let bits = hash::bits(client);
        let length = match client.to_canonical() {
            IpAddr::V4(_) => 96 + u32::from(self.v4.min(32)),
            IpAddr::V6(_) => u32::from(self.v6.min(128)),
        };
        Network(bits & u128::MAX.checked_shl(128 - length).unwrap_or(0))
    }

    /// The network in words: the address alone when it is one, else with its length.
    #[must_use]
    pub fn show(self, network: Network) -> String {
        if network == Network::LOCAL {
            return String::from("unix");
        }
        let (ip, length, whole) = match network.ip() {
            ip @ IpAddr::V4(_) => (ip, self.v4, 32),
            ip @ IpAddr::V6(_) => (ip, self.v6, 128),
        };
        if length == whole { ip.to_string() } else { format!("{ip}/{length}") }
    }
}

/// A client, or the network that counts as one: the bits of an IPv6 address, those behind the prefix being zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(pub(super) u128);

impl Network {
    /// All clients that come over sockets of this machine: of no address that a client can have.
    pub const LOCAL: Self = Self(u128::MAX);

    /// Its first address.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from_bits(self.0)).to_canonical()
    }

    /// The same on every machine; see [`hash`].
    #[must_use]
    pub const fn hash(self) -> u64 {
        hash::wide(self.0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

/// How a group's clients find their host again, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StickyRules {
    /// Whether and how.
    pub mode: StickyMode,
    /// Most clients that a table remembers, 1 to [`super::limits::STICKY_SIZE_MAX`]; those that came longest ago are
    /// forgotten first.
    pub size: u32,
    /// A client that comes later than this after its last connection ended is new. Zero: it is remembered for ever.
    pub ttl: Duration,
    /// What one client is.
    pub prefixes: Prefixes,
    /// Whether a client whose host comes back returns to it.
    pub fail_back: bool,
}

impl Default for StickyRules {
    fn default() -> Self {
        Self {
            mode: StickyMode::Off,
            size: STICKY_SIZE,
            ttl: Duration::ZERO,
            prefixes: Prefixes::default(),
            fail_back: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(prefixes: (u8, u8), client: &str) -> String {
        let prefixes = Prefixes { v4: prefixes.0, v6: prefixes.1 };
        prefixes.show(prefixes.network(client.parse().unwrap()))
    }

    #[test]
    fn network_is_what_the_prefix_leaves_of_an_address() {
        assert_eq!(network((32, 128), "192.0.2.77"), "192.0.2.77");
        assert_eq!(network((24, 128), "192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network((1, 1), "192.0.2.77"), "128.0.0.0/1");
        assert_eq!(network((32, 128), "2001:db8::7"), "2001:db8::7");
        assert_eq!(network((32, 64), "2001:db8:0:5:1:2:3:4"), "2001:db8:0:5::/64");
        assert_eq!(network((32, 1), "2001:db8::"), "::/1");
    }

    #[test]
    fn clients_of_this_machine_are_apart_from_those_of_every_address() {
        let prefixes = Prefixes::default();
        for ip in ["::", "::1", "127.0.0.1", "ffff::1"] {
            assert_ne!(prefixes.network(ip.parse().unwrap()), Network::LOCAL, "{ip}");
        }
        assert_eq!(prefixes.show(Network::LOCAL), "unix");
    }

    #[test]
    fn ipv4_client_is_the_same_on_a_socket_of_either_family() {
        assert_eq!(network((24, 64), "::ffff:192.0.2.77"), "192.0.2.0/24");
        let prefixes = Prefixes::default();
        let [a, b] = ["192.0.2.7", "::ffff:192.0.2.7"].map(|ip| prefixes.network(ip.parse().unwrap()));
        assert_eq!((a, a.hash()), (b, b.hash()));
    }

    #[test]
    fn addresses_of_one_prefix_are_one_client_and_others_are_not() {
        let prefixes = Prefixes::default();
        let of = |ip: &str| prefixes.network(ip.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        // All that a balancer which looks at the first byte only would take for one.
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
