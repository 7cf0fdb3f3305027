//! The PROXY protocol as it is configured: from whom a header is believed, and who is sent one. See its specification,
//! `proxy-protocol.txt` of HAProxy, and `crate::wire::proxy` for the bytes.

use std::net::IpAddr;

use super::access::{Acl, Net};

/// Which headers a listener takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Versions {
    /// The readable ones.
    V1,
    /// The binary ones.
    V2,
    /// Either.
    Any,
}

impl Versions {
    /// The word of the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Any => "any",
        }
    }

    /// The versions of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::V1, Self::V2, Self::Any].into_iter().find(|versions| versions.name() == name)
    }
}

/// Which header a host is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Announce {
    /// None.
    #[default]
    Off,
    /// A readable one.
    V1,
    /// A binary one.
    V2,
}

impl Announce {
    /// The word of the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }

    /// The header of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Off, Self::V1, Self::V2].into_iter().find(|announce| announce.name() == name)
    }
}

/// What a listener expects: every connection comes from one of these networks and begins with a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Which headers.
    pub versions: Versions,
    /// From whom; at least one.
    pub from: Vec<Net>,
}

/// The same, ready for use.
#[derive(Debug)]
pub struct Trust {
    expect: Expect,
    from: Acl,
}

impl Trust {
    /// Ready for use.
    #[must_use]
    pub fn new(expect: Expect) -> Self {
        Self { from: Acl::of(&expect.from), expect }
    }

    /// What it was made of.
    #[must_use]
    pub const fn expect(&self) -> &Expect {
        &self.expect
    }

    /// Which headers are taken from this address, or from those who have none; `None`: it is not believed.
    #[must_use]
    pub fn versions(&self, from: Option<IpAddr>) -> Option<Versions> {
        self.from.permits(from).then_some(self.expect.versions)
    }
}
