//! The PROXY protocol: who the client is, said by the proxy before this one, or said to the host behind it.
//!
//! Follows `proxy-protocol.txt` of HAProxy, version of 2020/03/05, section 2. A header is taken whole or not at all:
//! the bytes that there are, from the first on, are parsed anew until they are enough. What follows the header is the
//! client's.

mod crc;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

use std::net::{IpAddr, SocketAddr};

use crate::model::address::Endpoint;
use crate::model::proxy::{Announce, Versions};

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its bytes.
    pub len: usize,
    /// The client, and where it connected to. `None`: those of the connection itself, because its other end speaks for
    /// itself or for somebody who has no such address. An IPv4 address in IPv6 form is an IPv4 address.
    pub ends: Option<(SocketAddr, SocketAddr)>,
}

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A header, and perhaps more behind it.
    Header(Header),
    /// The begin of one.
    Incomplete,
    /// Something else, for this reason.
    Malformed(&'static str),
}

/// Longest header that [`write()`] makes, in bytes.
pub const WRITTEN_BYTES_MAX: usize = v2::BYTES_MAX;

/// A header to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    bytes: [u8; WRITTEN_BYTES_MAX],
    len: usize,
}

impl Written {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len.min(WRITTEN_BYTES_MAX)]
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut written = Self { bytes: [0; WRITTEN_BYTES_MAX], len: 0 };
        for part in parts {
            let end = written.len + part.len();
            if let Some(room) = written.bytes.get_mut(written.len..end) {
                room.copy_from_slice(part);
                written.len = end;
            }
        }
        written
    }
}

/// What a connection that speaks for itself sends first: a probe of a host that expects headers of version 2.
pub const LOCAL: [u8; 16] = v2::LOCAL;

/// Looks at the first bytes of a connection.
#[must_use]
pub fn parse(bytes: &[u8], versions: Versions) -> Parsed {
    let v1 = || v1::parse(bytes);
    let v2 = || v2::parse(bytes);
    match versions {
        Versions::V1 => v1(),
        Versions::V2 => v2(),
        // Their first bytes differ.
        Versions::Any if bytes.first() == v2::SIGNATURE.first() => v2(),
        Versions::Any => v1(),
    }
}

/// The header for a client that connected to `to`; empty for [`Announce::Off`]. A client that has no address, or came to
/// a socket of this machine, is UNKNOWN in version 1, and has the family AF_UNIX in version 2.
#[must_use]
pub fn write(announce: Announce, client: Endpoint, to: Endpoint) -> Written {
    match (announce, client, to) {
        (Announce::Off, _, _) => Written::of(&[]),
        (Announce::V1, Endpoint::Ip(client), Endpoint::Ip(to)) => v1::write(client, to),
        (Announce::V2, Endpoint::Ip(client), Endpoint::Ip(to)) => v2::write(client, to),
        (Announce::V1, _, _) => v1::unknown(),
        (Announce::V2, _, to) => v2::unix(to),
    }
}

/// The addresses in one family: if only one of them is IPv4, both are IPv6.
enum Ends {
    V4([u8; 4], [u8; 4]),
    V6([u8; 16], [u8; 16]),
}

fn ends(client: IpAddr, to: IpAddr) -> Ends {
    match (client.to_canonical(), to.to_canonical()) {
        (IpAddr::V4(client), IpAddr::V4(to)) => Ends::V4(client.octets(), to.octets()),
        (client, to) => {
            let wide = |ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            Ends::V6(wide(client), wide(to))
        }
    }
}

fn canonical(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}
