//! Version 2: a signature, a command, a family, a length, the addresses, and additions of any kind.

use std::net::{IpAddr, SocketAddr};

use super::crc;
use super::{Ends, Header, Parsed, Written, canonical, ends};
use crate::model::address::Endpoint;
use crate::model::limits::PROXY_HEADER_BYTES_MAX;

pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED: usize = 16;

const COMMAND_LOCAL: u8 = 0x20;
const COMMAND_PROXY: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX: u8 = 0x31;
/// Bytes of each of the two names of that family.
const NAME_BYTES: usize = 108;
/// Longest header that is made.
pub(super) const BYTES_MAX: usize = FIXED + 2 * NAME_BYTES;
/// An addition with the checksum of the header, computed with zeros in its place.
const CRC32C: u8 = 0x03;

/// LOCAL, without a family or anything else.
pub(super) const LOCAL: [u8; FIXED] = *b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Bytes of the addresses of a family, `None` for one that there is not.
const fn address_bytes(family: u8) -> Option<usize> {
    match family {
        0x00 => Some(0),
        0x11 | 0x12 => Some(12),
        0x21 | 0x22 => Some(36),
        0x31 | 0x32 => Some(216),
        _ => None,
    }
}

pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Parsed::Malformed("it does not begin with the signature of version 2");
    }
    // What is wrong is told as soon as it is there.
    let command = bytes.get(12).copied();
    if command.is_some_and(|command| command != COMMAND_LOCAL && command != COMMAND_PROXY) {
        return Parsed::Malformed("the version is not 2, or the command neither LOCAL nor PROXY");
    }
    let family = bytes.get(13).copied();
    if command == Some(COMMAND_PROXY) && family.is_some_and(|family| address_bytes(family).is_none()) {
        return Parsed::Malformed("there is no such family");
    }
    let (Some(command), Some(family), Some(length)) = (command, family, bytes.get(14..FIXED)) else {
        return Parsed::Incomplete;
    };
    let rest = usize::from(u16::from_be_bytes([length[0], length[1]]));
    let len = FIXED + rest;
    if len > PROXY_HEADER_BYTES_MAX {
        return Parsed::Malformed("the header is too long");
    }
    let of_family = address_bytes(family).filter(|_| command == COMMAND_PROXY).unwrap_or(0);
    if rest < of_family {
        return Parsed::Malformed("the header is shorter than the addresses of its family");
    }
    let Some(header) = bytes.get(..len) else { return Parsed::Incomplete };
    if of_family == 0 {
        // It speaks for itself, or for nobody: whatever else it says is to be skipped.
        return Parsed::Header(Header { len, ends: None });
    }
    match additions(header, FIXED + of_family) {
        Ok(()) => Parsed::Header(Header { len, ends: header_ends(family, &header[FIXED..]) }),
        Err(what) => Parsed::Malformed(what),
    }
}

/// The addresses. Those of datagrams and of sockets in the file system are of no use here: then the connection's own
/// ones are meant.
fn header_ends(family: u8, block: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let port = |at: usize| Some(u16::from_be_bytes(block.get(at..at + 2)?.try_into().ok()?));
    match family {
        TCP4 => {
            let ip = |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(block.get(at..at + 4)?).ok()?));
            Some((canonical(ip(0)?, port(8)?), canonical(ip(4)?, port(10)?)))
        }
        TCP6 => {
            let ip = |at: usize| Some(IpAddr::from(<[u8; 16]>::try_from(block.get(at..at + 16)?).ok()?));
            Some((canonical(ip(0)?, port(32)?), canonical(ip(16)?, port(34)?)))
        }
        _ => None,
    }
}

/// Walks over the additions, each a type, a length and a value, and checks the checksum if there is one.
fn additions(header: &[u8], mut at: usize) -> Result<(), &'static str> {
    let mut checked = false;
    while at < header.len() {
        let [kind, high, low] = *header.get(at..at + 3).ok_or("an addition is cut off")? else {
            return Err("an addition is cut off");
        };
        let value = at + 3..at + 3 + usize::from(u16::from_be_bytes([high, low]));
        let bytes = header.get(value.clone()).ok_or("an addition is longer than the header")?;
        if kind == CRC32C {
            let sum: [u8; 4] = bytes.try_into().map_err(|_| "a checksum has four bytes")?;
            if checked || crc::of(header, &value) != u32::from_be_bytes(sum) {
                return Err("the checksum is wrong");
            }
            checked = true;
        }
        at = value.end;
    }
    Ok(())
}

/// Of a client without an address, that connected to a socket of this machine.
pub(super) fn unix(to: Endpoint) -> Written {
    let mut name = [0; NAME_BYTES];
    if let Endpoint::Unix(to) = to {
        let text = to.as_str().as_bytes();
        if let Some(room) = name.get_mut(..text.len()) {
            room.copy_from_slice(text);
        }
        // An abstract name begins with a zero.
        if text.first() == Some(&b'@') {
            name[0] = 0;
        }
    }
    Written::of(&[&SIGNATURE, &[COMMAND_PROXY, UNIX, 0, 216], &[0; NAME_BYTES], &name])
}

pub(super) fn write(client: SocketAddr, to: SocketAddr) -> Written {
    let ports = [client.port().to_be_bytes(), to.port().to_be_bytes()];
    let [from_port, to_port] = &ports;
    match ends(client.ip(), to.ip()) {
        Ends::V4(client, to) => {
            let start = [COMMAND_PROXY, TCP4, 0, 12];
            Written::of(&[&SIGNATURE, &start, &client, &to, from_port, to_port])
        }
        Ends::V6(client, to) => {
            let start = [COMMAND_PROXY, TCP6, 0, 36];
            Written::of(&[&SIGNATURE, &start, &client, &to, from_port, to_port])
        }
    }
}
