//! Addresses and ports as pen writes them, to those of a file.

use std::fs;
use std::net::Ipv6Addr;

use crate::config::{host_address, listen_address};

/// Names of ports (services(5)), which only pen's lines may have.
const SERVICES: &str = "/etc/services";

/// `[HOST:]PORT`, where the last colon splits, or a path.
///
/// # Errors
/// It is neither.
pub(super) fn listener(text: &str, udp: bool) -> Result<String, String> {
    if text.contains('/') {
        return Ok(format!("unix:{text}"));
    }
    let (host, port) = text.rsplit_once(':').map_or(("*", text), |(host, port)| (host, port));
    let port = self::port(port, udp)?;
    let host = if host.is_empty() { String::from("*") } else { bracketed(host) };
    let listen = format!("{host}:{port}");
    listen_address(&listen).map(|_| listen)
}

/// The address of a server: its host, and its port or that of the listener.
///
/// # Errors
/// No file can have it.
pub(super) fn host(host: &str, port: &str) -> Result<String, String> {
    if host.contains('/') {
        return Ok(format!("unix:{host}"));
    }
    let address = format!("{}:{port}", bracketed(host));
    host_address(&address).map(|_| address)
}

/// A port by its number or its name.
///
/// # Errors
/// It is neither.
pub(super) fn port(text: &str, udp: bool) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    let protocol = if udp { "udp" } else { "tcp" };
    let services = fs::read_to_string(SERVICES).unwrap_or_default();
    let found = named(text, protocol, &services);
    found.ok_or_else(|| format!("{text:?} is not a port, expected a number or a {protocol} name of {SERVICES}"))
}

fn named(name: &str, protocol: &str, services: &str) -> Option<String> {
    services.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (first, port) = (words.next()?, words.next()?);
        let (port, of) = port.split_once('/')?;
        (of == protocol && (first == name || words.any(|alias| alias == name))).then(|| port.to_owned())
    })
}

fn bracketed(host: &str) -> String {
    if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listener_of_every_form_is_read() {
        let read = |text| listener(text, false).unwrap();
        assert_eq!(read("80"), "*:80");
        assert_eq!(read("10.0.0.1:80"), "10.0.0.1:80");
        assert_eq!(read("lb.example:80"), "lb.example:80");
        assert_eq!(read(":::80"), "[::]:80");
        assert_eq!(read("::1:80"), "[::1]:80");
        assert_eq!(read("[::1]:80"), "[::1]:80");
        assert_eq!(read("/run/front"), "unix:/run/front");
        assert!(listener("70000", false).unwrap_err().contains("out of range"));
    }

    #[test]
    fn port_may_have_a_name_or_an_alias() {
        let services = "# comment\nhttp\t80/tcp\twww # web\ndomain 53/tcp\ndomain 53/udp\n";
        assert_eq!(named("http", "tcp", services).as_deref(), Some("80"));
        assert_eq!(named("www", "tcp", services).as_deref(), Some("80"));
        assert_eq!(named("http", "udp", services), None);
        assert_eq!(named("web", "tcp", services), None, "what is behind the # is no alias");
        assert!(port("no-such-port", false).unwrap_err().starts_with("\"no-such-port\" is not a port, expected"));
    }
}
