//! Who may administer the balancer, and where.

use std::path::PathBuf;
use std::time::Duration;

use super::Address;

/// Administration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    /// The page and its API.
    pub web: Option<Web>,
    /// Where the SSH server listens, if it is enabled.
    pub ssh: Option<Address>,
    /// Names unique.
    pub users: Vec<User>,
}

/// The administration page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Where it listens.
    pub listen: Address,
    /// Over HTTPS.
    pub secure: bool,
    /// How often the page refreshes by itself where the browser cannot follow events.
    pub refresh: Option<Duration>,
    /// Names under which browsers may ask for it, besides the address it listens on.
    pub names: Vec<String>,
    /// The certificate chain for HTTPS, in PEM; none: one is made and kept.
    pub certificate: Option<PathBuf>,
    /// Its key, in PEM.
    pub key: Option<PathBuf>,
    /// The access list of those who may ask for it; none: all.
    pub acl: Option<String>,
}

impl Web {
    /// A page that says nothing else.
    #[must_use]
    pub const fn new(listen: Address, secure: bool) -> Self {
        Self { listen, secure, refresh: None, names: Vec::new(), certificate: None, key: None, acl: None }
    }
}

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Its path.
    pub socket: PathBuf,
    /// The system's group whose members may use it, besides root and the balancer's own user; a name or a number.
    pub group: Option<String>,
}

/// An administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password's hash, as in the file; none: no way in but a key.
    pub password: Option<String>,
    /// A public key for SSH, as OpenSSH writes it.
    pub key: Option<String>,
    /// What they may do.
    pub access: Access,
}

/// What an administrator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look and change.
    Full,
    /// Look.
    ReadOnly,
}
