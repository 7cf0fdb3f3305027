//! Addresses: `1.2.3.4:80`, `[::1]:80`, `name:80`, and `*:80` for listeners.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::RangeInclusive;

use crate::config::Address;
use crate::config::error::quoted;

/// Longest host name and longest label between its dots, in characters (RFC 1035, section 2.3.4; the name as text).
const HOST_NAME_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 63;

const EXPECTED: &str = "expected ADDRESS:PORT, such as 10.0.0.1:80, [::1]:80 or name:80";

/// Where to listen. `*` is every IPv4 interface; port 0 lets the kernel choose.
pub(crate) fn listen_address(text: &str) -> Result<Address, String> {
    let (host, port) = split(text.trim())?;
    address(host, literal(host)?, self::port(port, 0..=u16::MAX)?)
}

/// Where to connect.
pub(crate) fn host_address(text: &str) -> Result<Address, String> {
    let (host, port) = split(text.trim())?;
    let literal = literal(host)?;
    if literal.is_some_and(|address| address.ip().is_unspecified()) {
        return Err(format!("{host} means every interface, which is for listeners only, {EXPECTED}"));
    }
    address(host, literal, self::port(port, 1..=u16::MAX)?)
}

fn address(host: &str, literal: Option<SocketAddr>, port: u16) -> Result<Address, String> {
    if let Some(mut address) = literal {
        address.set_port(port);
        return Ok(Address::Socket(address));
    }
    host_name(host)?;
    Ok(Address::Name { host: host.to_owned(), port })
}

/// The host with its brackets, if it has any, and the port.
fn split(text: &str) -> Result<(&str, &str), String> {
    let end = match text.find(']') {
        Some(end) if text.starts_with('[') => end + 1,
        None if text.starts_with('[') => return Err(format!("the bracket is not closed, {EXPECTED}")),
        Some(_) | None => text.rfind(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(end);
    if host.contains(':') && !host.starts_with('[') {
        return Err(format!("an IPv6 address has brackets around it, {EXPECTED}"));
    }
    if host.is_empty() {
        return Err(format!("the address before the port is missing, {EXPECTED} (*:PORT listens on every interface)"));
    }
    match rest.strip_prefix(':') {
        Some(port) if !port.is_empty() => Ok((host, port)),
        Some(_) | None if rest.len() <= 1 => Err(format!("the port is missing, {EXPECTED}")),
        Some(_) | None => Err(format!("{} follows the bracket, {EXPECTED}", quoted(rest))),
    }
}

/// The address, with port 0, if the host is one; `None` if it is to be a name. An IPv4 address in IPv6 form is an IPv4
/// address.
fn literal(host: &str) -> Result<Option<SocketAddr>, String> {
    if host == "*" {
        return Ok(Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))));
    }
    if let Some(inside) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let (ip, scope) = inside.split_once('%').map_or((inside, None), |(ip, scope)| (ip, Some(scope)));
        let ip: Ipv6Addr = ip.parse().map_err(|_| format!("{} is not an IPv6 address, {EXPECTED}", quoted(inside)))?;
        let scope = scope.map_or(Ok(0), self::scope)?;
        return Ok(Some(match ip.to_canonical() {
            IpAddr::V4(ip) => SocketAddr::from((ip, 0)),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, 0, 0, scope)),
        }));
    }
    // A name whose last label is a number would be taken for an address by the resolver.
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if last.is_empty() || !last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let ip: Ipv4Addr = host.parse().map_err(|_| format!("{} is not an IPv4 address, {EXPECTED}", quoted(host)))?;
    Ok(Some(SocketAddr::from((ip, 0))))
}

/// The interface of a link-local IPv6 address, as in `[fe80::1%2]`.
fn scope(text: &str) -> Result<u32, String> {
    let number = if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    let expected = "expected a number, such as [fe80::1%2]:80";
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{} is not the number of an interface, {expected}", quoted(text)))
}

fn port(text: &str, range: RangeInclusive<u16>) -> Result<u16, String> {
    let expected = format!("expected {} to {}", range.start(), range.end());
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("the port {} is not a number, {expected}", quoted(text)));
    }
    let port = text.parse().ok().filter(|port| range.contains(port));
    port.ok_or_else(|| format!("the port {} is out of range, {expected}", quoted(text)))
}

/// Checks the syntax only. Underscores are not in the standard, but in use.
fn host_name(host: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if let Some(bad) = host.chars().find(|c| !allowed(*c)) {
        let bad = quoted(&bad.to_string());
        return Err(format!("{bad} cannot be in a host name, expected letters, digits, \"-\", \".\" and \"_\""));
    }
    if host.len() > HOST_NAME_CHARS_MAX {
        return Err(format!("the host name is too long, expected at most {HOST_NAME_CHARS_MAX} characters"));
    }
    let labels = host.strip_suffix('.').unwrap_or(host).split('.');
    match labels.into_iter().find(|label| label.is_empty() || label.len() > LABEL_CHARS_MAX) {
        Some("") => Err(String::from("two dots are side by side in the host name, expected a label between them")),
        Some(_) => Err(format!("a label of the host name is too long, expected at most {LABEL_CHARS_MAX} characters")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> Address {
        Address::Socket(text.parse().unwrap())
    }

    fn named(host: &str, port: u16) -> Address {
        Address::Name { host: host.to_owned(), port }
    }

    #[test]
    fn address_of_every_form_is_read() {
        assert_eq!(listen_address("*:80"), Ok(socket("0.0.0.0:80")));
        assert_eq!(listen_address("127.0.0.1:0"), Ok(socket("127.0.0.1:0")));
        assert_eq!(listen_address("[::]:443"), Ok(socket("[::]:443")));
        assert_eq!(host_address(" 10.0.0.1:65535 "), Ok(socket("10.0.0.1:65535")));
        assert_eq!(host_address("[fe80::1%2]:80"), Ok(socket("[fe80::1%2]:80")));
        assert_eq!(host_address("[::ffff:10.0.0.1]:80"), Ok(socket("10.0.0.1:80")));
        assert_eq!(host_address("web-1.example.com.:80"), Ok(named("web-1.example.com.", 80)));
        assert_eq!(host_address("_a.b:1"), Ok(named("_a.b", 1)));
    }

    #[test]
    fn port_out_of_range_is_refused() {
        let refused = |text| host_address(text).unwrap_err();
        assert_eq!(refused("10.0.0.1:0"), "the port \"0\" is out of range, expected 1 to 65535");
        assert_eq!(refused("10.0.0.1:70000"), "the port \"70000\" is out of range, expected 1 to 65535");
        assert_eq!(refused("10.0.0.1:-1"), "the port \"-1\" is out of range, expected 1 to 65535");
        assert_eq!(
            refused("a:99999999999999999999"),
            "the port \"99999999999999999999\" is out of range, expected 1 to 65535"
        );
        assert_eq!(refused("10.0.0.1:http"), "the port \"http\" is not a number, expected 1 to 65535");
        assert_eq!(refused("10.0.0.1:+80"), "the port \"+80\" is not a number, expected 1 to 65535");
        assert_eq!(
            listen_address("*:65536"),
            Err(String::from("the port \"65536\" is out of range, expected 0 to 65535"))
        );
    }

    #[test]
    fn port_missing_is_refused() {
        for text in ["10.0.0.1", "10.0.0.1:", "[::1]", "[::1]:", "name"] {
            assert_eq!(host_address(text), Err(format!("the port is missing, {EXPECTED}")), "{text}");
        }
    }

    #[test]
    fn address_missing_is_refused() {
        for text in ["", ":80"] {
            assert!(
                listen_address(text).unwrap_err().starts_with("the address before the port is missing, "),
                "{text}"
            );
        }
    }

    #[test]
    fn ipv6_address_that_is_malformed_is_refused() {
        let refused = |text| host_address(text).unwrap_err();
        assert!(refused("::1:80").starts_with("an IPv6 address has brackets around it, "));
        assert!(refused("[::1:80").starts_with("the bracket is not closed, "));
        assert!(refused("[::1]80").starts_with("\"80\" follows the bracket, "));
        assert!(refused("[1.2.3.4]:80").starts_with("\"1.2.3.4\" is not an IPv6 address, "));
        assert!(refused("[]:80").starts_with("\"\" is not an IPv6 address, "));
        assert!(refused("[fe80::1%eth0]:80").starts_with("\"eth0\" is not the number of an interface, "));
        assert!(refused("[fe80::1%]:80").starts_with("\"\" is not the number of an interface, "));
    }

    #[test]
    fn number_that_is_no_ipv4_address_is_not_taken_for_a_name() {
        for text in ["10.0.0.256:80", "10.0.1:80", "1:80", "010.0.0.1:80", "a.1:80", "0x7f.1:80"] {
            assert!(host_address(text).unwrap_err().contains(" is not an IPv4 address, "), "{text}");
        }
    }

    #[test]
    fn wildcard_as_a_host_is_refused() {
        for text in ["*:80", "0.0.0.0:80", "[::]:80"] {
            assert!(host_address(text).unwrap_err().contains("means every interface"), "{text}");
        }
    }

    #[test]
    fn host_name_with_bad_syntax_is_refused() {
        let refused = |text: &str| host_address(text).unwrap_err();
        assert!(refused("a b:80").starts_with("\" \" cannot be in a host name, "));
        assert!(refused("bücher.example:80").starts_with("\"ü\" cannot be in a host name, "));
        assert!(refused("a/b:80").starts_with("\"/\" cannot be in a host name, "));
        assert!(refused("a..b:80").starts_with("two dots are side by side"));
        assert!(refused(".:80").starts_with("two dots are side by side"));
        assert!(refused(&format!("{}:80", "a".repeat(64))).starts_with("a label of the host name is too long, "));
        let long = format!("{0}.{0}.{0}.{0}:80", "a".repeat(63));
        assert!(refused(&long).starts_with("the host name is too long, expected at most 253 "));
    }
}
