//! The names under which the page may be asked for. A browser that was led here under another name (DNS rebinding)
//! would let that name's pages read what is here.

use std::net::{IpAddr, SocketAddr};

use crate::config::{Address, Web};

/// What `Host` may say.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    names: Vec<String>,
    listen: Option<IpAddr>,
}

impl Hosts {
    /// Those of this page: `localhost`, the names that it is given, and where it listens.
    pub(super) fn of(web: &Web) -> Self {
        let mut names = web.names.clone();
        names.push(String::from("localhost"));
        let listen = match &web.listen {
            Address::Socket(address) => Some(address.ip()),
            Address::Name { host, .. } => {
                names.push(host.to_ascii_lowercase());
                None
            }
            Address::Unix(_) => None,
        };
        Self { names, listen }
    }

    /// Whether a lower-case `Host` is allowed on a connection that came to the address `local` of this machine. No name
    /// server can make an address mean another machine, so that of the connection itself is allowed.
    pub(super) fn allow(&self, host: &str, local: IpAddr) -> bool {
        let Some(name) = without_port(host) else { return false };
        if let Ok(ip) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            let ip = ip.to_canonical();
            let is_own = [Some(local), self.listen].into_iter().flatten().any(|own| own.to_canonical() == ip);
            return is_own || self.names.iter().any(|known| known == name || known == host);
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        self.names.iter().any(|known| known == name || known == host)
    }
}

/// The name or address without what stands behind its colon; none when that is no port.
fn without_port(host: &str) -> Option<&str> {
    if host.parse::<SocketAddr>().is_ok() {
        return host.rsplit_once(':').map(|(name, _)| name);
    }
    match host.rsplit_once(':') {
        None => Some(host),
        Some(_) if host.starts_with('[') && host.ends_with(']') => Some(host),
        Some((name, port)) => {
            let is_port = !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
            (is_port && !name.contains(':')).then_some(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(listen: &str, host: &str, local: &str) -> bool {
        let listen = listen
            .parse()
            .map_or_else(|_| Address::Name { host: String::from("lb.example"), port: 7001 }, Address::Socket);
        let web = Web { names: vec![String::from("admin.example")], ..Web::new(listen, false) };
        Hosts::of(&web).allow(host, local.parse().unwrap())
    }

    #[test]
    fn own_names_and_addresses_are_allowed() {
        for host in ["localhost", "localhost:7001", "localhost.", "admin.example:80", "192.0.2.1", "192.0.2.1:7001"] {
            assert!(allows("0.0.0.0:7001", host, "192.0.2.1"), "{host}");
        }
        assert!(allows("[::1]:7001", "[::1]:7001", "::1") && allows("[::1]:7001", "[::1]", "::1"));
        assert!(allows("0.0.0.0:7001", "[::ffff:192.0.2.1]:80", "192.0.2.1"));
        assert!(allows("name", "lb.example:7001", "192.0.2.1"));
    }

    #[test]
    fn other_names_and_addresses_are_refused() {
        for host in [
            "evil.example",
            "evil.example:7001",
            "localhost.evil.example",
            "evil.localhost",
            "192.0.2.2",
            "[::1]:7001",
            "localhost:",
            "localhost:http",
            "localhost:7001:7001",
            "::1",
            "admin.example:80:x",
            "127.1",
            "0x7f000001",
        ] {
            assert!(!allows("0.0.0.0:7001", host, "192.0.2.1"), "{host}");
        }
    }
}
