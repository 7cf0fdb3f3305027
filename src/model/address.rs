//! Where somebody is: an Internet address with a port, or a socket of this machine.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use super::limits::UNIX_NAME_BYTES_MAX;

/// One end of a connection, or where it is listened for. As large as a [`SocketAddr`], and as cheap to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix-domain stream socket (unix(7)).
    Unix(UnixName),
}

impl Endpoint {
    /// A client that came over a socket of this machine: it has no name of its own, and all such clients are one.
    pub const LOCAL: Self = Self::Unix(UnixName(""));

    /// The Internet address; `None` for a socket of this machine.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(addr) => Some(addr.ip()),
            Self::Unix(_) => None,
        }
    }

    /// The port; 0 where there is none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::Ip(addr) => addr.port(),
            Self::Unix(_) => 0,
        }
    }

    /// The address with its port; `None` for a socket of this machine.
    #[must_use]
    pub const fn as_ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}

/// As in the file: `10.0.0.1:80`, `unix:/run/x.sock`, `unix:@name`; and `unix` for [`Endpoint::LOCAL`].
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Unix(name) => name.fmt(f),
        }
    }
}

/// The name of a Unix-domain socket: an absolute path, or `@` and a name that no file has (an abstract one).
///
/// Names are copied on the way of each connection, and few: those that a configuration ever had. Each is kept once,
/// for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixName(&'static str);

/// The names that there ever were.
static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

impl UnixName {
    /// The name of this text. Not for what strangers say: it is kept. Not for reactors: others may be waited for.
    ///
    /// # Errors
    /// Why there is no such name, and what was expected.
    pub fn new(text: &str) -> Result<Self, String> {
        let expected = "expected unix:/PATH or unix:@NAME";
        match text.strip_prefix(['/', '@']) {
            None => return Err(format!("the path does not begin with a /, {expected}")),
            Some("") => return Err(format!("the path is empty, {expected}")),
            Some(_) => {}
        }
        // A path ends in a zero, and so does the @ of an abstract name stand for one.
        if text.len() > UNIX_NAME_BYTES_MAX {
            let len = text.len();
            return Err(format!("the path has {len} bytes, expected at most {UNIX_NAME_BYTES_MAX} (unix(7))"));
        }
        if text.chars().any(char::is_control) {
            return Err(String::from("a control character is in the path, expected visible characters"));
        }
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        let known = names.get(text).copied();
        Ok(Self(known.unwrap_or_else(|| {
            let text: &'static str = Box::leak(text.into());
            names.insert(text);
            text
        })))
    }

    /// The text: a path, `@` and a name, or nothing for [`Endpoint::LOCAL`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The path of its file; `None` for an abstract name.
    #[must_use]
    pub fn path(self) -> Option<&'static std::path::Path> {
        self.0.starts_with('/').then(|| std::path::Path::new(self.0))
    }
}

impl fmt::Display for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.pad("unix") } else { f.pad(&format!("unix:{}", self.0)) }
    }
}

impl fmt::Debug for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_is_no_larger_than_an_address_alone() {
        assert_eq!(size_of::<Endpoint>(), size_of::<SocketAddr>());
        assert_eq!(size_of::<Option<Endpoint>>(), size_of::<Option<SocketAddr>>());
    }

    #[test]
    fn name_is_kept_once_and_shown_as_it_is_written() {
        let (first, again) = (UnixName::new("/run/x.sock").unwrap(), UnixName::new("/run/x.sock").unwrap());
        assert!(std::ptr::eq(first.as_str(), again.as_str()));
        assert_eq!(Endpoint::Unix(first).to_string(), "unix:/run/x.sock");
        let hidden = UnixName::new("@x").unwrap();
        assert_eq!((hidden.to_string().as_str(), hidden.path()), ("unix:@x", None));
        assert_eq!(Endpoint::LOCAL.to_string(), "unix");
        assert_eq!((Endpoint::LOCAL.ip(), Endpoint::LOCAL.port()), (None, 0));
    }

    #[test]
    fn name_that_cannot_be_is_refused_with_what_was_expected() {
        let refused = |text: &str| UnixName::new(text).unwrap_err();
        assert!(refused("run/x").starts_with("the path does not begin with a /, expected unix:/PATH"));
        assert!(refused("/").starts_with("the path is empty"));
        assert!(refused("@").starts_with("the path is empty"));
        assert!(refused("").starts_with("the path does not begin"));
        assert!(refused("/a\nb").starts_with("a control character"));
        assert!(UnixName::new(&format!("/{}", "a".repeat(106))).is_ok());
        let long = refused(&format!("/{}", "a".repeat(107)));
        assert_eq!(long, "the path has 108 bytes, expected at most 107 (unix(7))");
    }
}
