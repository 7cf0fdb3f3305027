//! Version 1: a line of text, `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str;

use super::{Ends, Header, Parsed, WRITTEN_BYTES_MAX, Written, canonical, ends};

/// Longest line, its end included: section 2.1 of the specification.
pub(super) const BYTES_MAX: usize = 107;
const START: &[u8] = b"PROXY ";

pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let known = bytes.len().min(START.len());
    if bytes[..known] != START[..known] {
        return Parsed::Malformed("it does not begin with PROXY");
    }
    let line = &bytes[..bytes.len().min(BYTES_MAX)];
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return if line.len() < BYTES_MAX { Parsed::Incomplete } else { Parsed::Malformed("the line is too long") };
    };
    let Some(line) = line[..end].strip_suffix(b"\r") else {
        return Parsed::Malformed("the line does not end in CR LF");
    };
    match line_ends(line) {
        Some(ends) => Parsed::Header(Header { len: end + 1, ends }),
        None => Parsed::Malformed("the line is not as version 1 of the protocol has it"),
    }
}

/// What the line says of the addresses.
fn line_ends(line: &[u8]) -> Option<Option<(SocketAddr, SocketAddr)>> {
    let mut words = str::from_utf8(line.get(START.len()..)?).ok()?.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        // Whatever else it says is not meant for anybody.
        return Some(None);
    }
    let mut ip = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (client, to) = (ip()?, ip()?);
    let (client_port, to_port) = (port(words.next()?)?, port(words.next()?)?);
    let ends = (canonical(client, client_port), canonical(to, to_port));
    words.next().is_none().then_some(Some(ends))
}

/// A port as the protocol writes it: no sign, no zeros in front.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| plain)
}

/// Of a client without an address.
pub(super) fn unknown() -> Written {
    Written::of(&[b"PROXY UNKNOWN\r\n"])
}

pub(super) fn write(client: SocketAddr, to: SocketAddr) -> Written {
    let mut bytes = [0; WRITTEN_BYTES_MAX];
    let mut room = &mut bytes[..];
    let (from_port, to_port) = (client.port(), to.port());
    // The longest line there is fits.
    let _ = match ends(client.ip(), to.ip()) {
        Ends::V4(client, to) => {
            let (client, to) = (Ipv4Addr::from(client), Ipv4Addr::from(to));
            write!(room, "PROXY TCP4 {client} {to} {from_port} {to_port}\r\n")
        }
        Ends::V6(client, to) => {
            let (client, to) = (Ipv6Addr::from(client), Ipv6Addr::from(to));
            write!(room, "PROXY TCP6 {client} {to} {from_port} {to_port}\r\n")
        }
    };
    let len = WRITTEN_BYTES_MAX - room.len();
    Written { bytes, len }
}
