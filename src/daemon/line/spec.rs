//! Listeners and hosts as one word of a command line: `ADDRESS:PORT`, and attributes of the configuration behind it.
//!
//! Only the word is taken apart here. What addresses and attributes mean is for those who read the configuration, so that
//! a word is right or wrong for the same reasons as a file.

use crate::config::listen_address;

/// What a host's word may be.
const HOST: &str = "expected HOST[:PORT][:KEY=VALUE,…], such as web1:80:max=100,weight=3, IPv6 in brackets";

/// The attributes that a host's numbers have by their places behind the port, as in pen.
const PLACES: [&str; 4] = ["max", "hard", "weight", "prio"];

/// Which protocols a listener may name before its address.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "tcp+udp"];

/// What precedes the path of a Unix socket.
const UNIX: &str = "unix:";

/// A word, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    /// A name or an address, with the brackets that IPv6 has; a path behind `unix:`. Empty: a listener names none.
    pub(super) address: String,
    /// None: it names none, or is a path.
    pub(super) port: Option<String>,
    /// Names and texts of attributes.
    pub(super) attributes: Vec<(String, String)>,
}

impl Spec {
    /// Takes a host apart.
    ///
    /// # Errors
    /// It has another form.
    pub(super) fn host(text: &str) -> Result<Self, String> {
        let (address, rest) = address(text, HOST)?;
        if address.starts_with(UNIX) {
            let attributes = attributes(rest.unwrap_or_default())?;
            return Ok(Self { address: address.to_owned(), port: None, attributes });
        }
        let (port, rest) = port(rest);
        let attributes = places(rest.unwrap_or_default())?;
        Ok(Self { address: address.to_owned(), port, attributes })
    }

    /// Takes a listener apart. A bare port is one of every IPv4 interface.
    ///
    /// # Errors
    /// It has another form.
    pub(super) fn listener(text: &str) -> Result<Self, String> {
        const LISTENER: &str = "expected [ADDRESS:]PORT, such as 8080, udp:53 or [::1]:80";
        let protocol = text.split_once(':').filter(|(protocol, _)| PROTOCOLS.contains(protocol));
        let (protocol, text) = protocol.map_or((None, text), |(protocol, rest)| (Some(protocol), rest));
        let (first, rest) = address(text, LISTENER)?;
        let (address, port, rest) = if first.starts_with(UNIX) {
            (first, None, rest)
        } else if first.bytes().all(|byte| byte.is_ascii_digit()) {
            ("*", Some(first.to_owned()), rest)
        } else {
            let (port, rest) = port(rest);
            (first, port, rest)
        };
        let mut attributes = attributes(rest.unwrap_or_default())?;
        // Without a word the protocol is what a file means without one.
        if let Some(protocol) = protocol.filter(|protocol| *protocol != "tcp") {
            attributes.insert(0, (String::from("protocol"), protocol.to_owned()));
        }
        Ok(Self { address: address.to_owned(), port, attributes })
    }

    /// The address with this port, unless it has one of its own.
    pub(super) fn with_port(&self, port: Option<&str>) -> String {
        match self.port.as_deref().or(port) {
            Some(port) if !self.address.starts_with(UNIX) => format!("{}:{port}", self.address),
            Some(_) | None => self.address.clone(),
        }
    }

    /// Whether it needs somebody else's port.
    pub(super) fn lacks_port(&self) -> bool {
        self.port.is_none() && !self.address.starts_with(UNIX)
    }

    /// Takes the attribute of that name away.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.attributes.iter().position(|(known, _)| known == name)?;
        Some(self.attributes.remove(at).1)
    }
}

/// Where a page listens: a bare port is one of the loopback address, because passwords are typed there.
///
/// # Errors
/// It is no such address.
pub(super) fn page(text: &str) -> Result<crate::config::Address, String> {
    let is_port = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    listen_address(&if is_port { format!("127.0.0.1:{text}") } else { text.to_owned() })
}

/// The address at the start, and what follows its colon.
fn address<'t>(text: &'t str, expected: &str) -> Result<(&'t str, Option<&'t str>), String> {
    let end = if let Some(path) = text.strip_prefix(UNIX) {
        path.find(':').map(|at| UNIX.len() + at)
    } else if text.starts_with('[') {
        let end = text.find(']').ok_or_else(|| format!("the bracket is not closed, {expected}"))?;
        Some(end + 1)
    } else {
        let bare = text.split(':').take_while(|part| !part.contains('=')).collect::<Vec<_>>().join(":");
        if bare.parse::<std::net::Ipv6Addr>().is_ok() || text.starts_with("::") {
            return Err(format!("an IPv6 address has brackets around it, {expected}"));
        }
        text.find(':')
    };
    let (address, rest) = text.split_at(end.unwrap_or(text.len()));
    if address.is_empty() {
        return Err(format!("the address is missing, {expected}"));
    }
    match rest.strip_prefix(':') {
        None if !rest.is_empty() => Err(format!("{rest:?} follows the bracket, {expected}")),
        rest => Ok((address, rest)),
    }
}

/// The port at the start, unless an attribute is there, and what follows its colon.
fn port(rest: Option<&str>) -> (Option<String>, Option<&str>) {
    let Some(rest) = rest else { return (None, None) };
    let (first, more) = rest.split_once(':').map_or((rest, None), |(first, more)| (first, Some(more)));
    if first.contains('=') {
        return (None, Some(rest));
    }
    (Some(first.to_owned()).filter(|port| !port.is_empty()), more)
}

/// Numbers by their places, of which 0 says nothing, as in pen; then attributes.
fn places(mut rest: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for name in PLACES {
        let (number, more) = rest.split_once(':').unwrap_or((rest, ""));
        if number.contains('=') || rest.is_empty() {
            break;
        }
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            let expected = format!("expected its {name}, a number, or KEY=VALUE");
            return Err(format!("{number:?} behind the port is not a number, {expected}"));
        }
        if number.bytes().any(|byte| byte != b'0') {
            found.push((name.to_owned(), number.to_owned()));
        }
        rest = more;
    }
    found.extend(attributes(rest)?);
    Ok(found)
}

/// Attributes with commas between them. A value may have commas, too: what has no `=` belongs to the one before.
fn attributes(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found: Vec<(String, String)> = Vec::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        match (part.split_once('='), found.last_mut()) {
            (Some((_, "")), _) => return Err(format!("{part:?} has no value, expected KEY=VALUE,…")),
            (Some((name, value)), _) => found.push((name.to_owned(), value.to_owned())),
            (None, Some((_, value))) => value.extend([",", part]),
            (None, None) => return Err(format!("{part:?} is not an attribute, expected KEY=VALUE,…")),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(address: &str, port: Option<&str>, attributes: &[(&str, &str)]) -> Result<Spec, String> {
        let attributes = attributes.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Ok(Spec { address: address.to_owned(), port: port.map(str::to_owned), attributes })
    }

    #[test]
    fn host_with_attributes_is_taken_apart() {
        assert_eq!(Spec::host("web1"), spec("web1", None, &[]));
        assert_eq!(Spec::host("web1:80"), spec("web1", Some("80"), &[]));
        assert_eq!(Spec::host("web1:max=3"), spec("web1", None, &[("max", "3")]));
        assert_eq!(Spec::host("[::1]"), spec("[::1]", None, &[]));
        assert_eq!(
            Spec::host("[fd00::1]:80:max=100,weight=3"),
            spec("[fd00::1]", Some("80"), &[("max", "100"), ("weight", "3")])
        );
        assert_eq!(Spec::host("unix:/run/web:weight=2"), spec("unix:/run/web", None, &[("weight", "2")]));
    }

    #[test]
    fn value_may_have_commas_and_colons() {
        let expected = [("source", "10.0.0.1,fd00::1"), ("keepalive", "60s,10s,3"), ("weight", "2")];
        let text = "web1:80:source=10.0.0.1,fd00::1,keepalive=60s,10s,3,weight=2";
        assert_eq!(Spec::host(text), spec("web1", Some("80"), &expected));
    }

    #[test]
    fn numbers_by_their_places_are_those_of_pen() {
        let all = [("max", "9"), ("hard", "10"), ("weight", "2"), ("prio", "1")];
        assert_eq!(Spec::host("web1:80:9:10:2:1"), spec("web1", Some("80"), &all));
        assert_eq!(Spec::host("web1:80:0:0:2"), spec("web1", Some("80"), &[("weight", "2")]));
        assert_eq!(Spec::host("web1::9:state=drain"), spec("web1", None, &[("max", "9"), ("state", "drain")]));
    }

    #[test]
    fn word_of_another_form_is_refused() {
        let refused = |text| Spec::host(text).unwrap_err();
        assert!(refused("").starts_with("the address is missing, expected HOST"));
        assert!(refused(":80").starts_with("the address is missing, "));
        assert!(refused("::1:80").starts_with("an IPv6 address has brackets around it, "));
        assert!(refused("2001:db8::1").starts_with("an IPv6 address has brackets around it, "));
        assert!(refused("[::1:80").starts_with("the bracket is not closed, "));
        assert!(refused("[::1]80").starts_with("\"80\" follows the bracket, "));
        assert!(refused("web1:80:many").starts_with("\"many\" behind the port is not a number, expected its max"));
        assert!(refused("web1:80:1:2:3:4:5").starts_with("\"5\" is not an attribute, "));
        assert!(refused("web1:80:max=").starts_with("\"max=\" has no value, "));
        assert!(refused("web1:80:9:x").contains("expected its hard"));
    }

    #[test]
    fn listener_of_every_form_is_taken_apart() {
        assert_eq!(Spec::listener("8080"), spec("*", Some("8080"), &[]));
        assert_eq!(Spec::listener("10.0.0.1:80"), spec("10.0.0.1", Some("80"), &[]));
        assert_eq!(Spec::listener("[::1]:80:backlog=9"), spec("[::1]", Some("80"), &[("backlog", "9")]));
        assert_eq!(Spec::listener("8080:backlog=9"), spec("*", Some("8080"), &[("backlog", "9")]));
        assert_eq!(Spec::listener("tcp:53"), spec("*", Some("53"), &[]));
        assert_eq!(Spec::listener("udp:53"), spec("*", Some("53"), &[("protocol", "udp")]));
        assert_eq!(Spec::listener("tcp+udp:[::]:53"), spec("[::]", Some("53"), &[("protocol", "tcp+udp")]));
        assert_eq!(Spec::listener("unix:/run/front"), spec("unix:/run/front", None, &[]));
        assert!(Spec::listener("::1:80").unwrap_err().starts_with("an IPv6 address has brackets"));
        assert!(Spec::listener("").unwrap_err().starts_with("the address is missing, expected [ADDRESS:]PORT"));
    }
}
