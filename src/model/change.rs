//! Changes of the running configuration, as every front-end gives them: places by name, values as texts.
//!
//! The texts are those of the file (`weight="3"`, `idle-timeout="10m"`), and are read by what reads the file, so that a
//! value is right or wrong for the same reason wherever it comes from.

/// Names and texts of attributes, as in the file. An empty text takes the attribute away, so that its default holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub Vec<(String, String)>);

impl Attributes {
    /// Attributes of these names and texts.
    pub fn new<N: Into<String>, T: Into<String>>(pairs: impl IntoIterator<Item = (N, T)>) -> Self {
        Self(pairs.into_iter().map(|(name, text)| (name.into(), text.into())).collect())
    }

    /// The text of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }
}

/// A group of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRef {
    /// The service's name.
    pub service: String,
    /// The group's name.
    pub group: String,
}

/// A host of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRef {
    /// The service's name.
    pub service: String,
    /// The group's name; none: whichever group has the host, if only one has.
    pub group: Option<String>,
    /// The host's name, or its address as configured.
    pub host: String,
}

/// One change. Each is refused with a reason, or done whole; what it does to connections in progress stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new service without groups. It listens once one of its groups has a host and is enabled.
    AddService {
        /// Its name.
        service: String,
        /// Its first listener's address.
        listen: String,
        /// As of `<service>`, the name left out.
        attributes: Attributes,
    },
    /// Other attributes of a service, its name among them. Connections stay.
    SetService {
        /// Its name.
        service: String,
        /// As of `<service>`.
        attributes: Attributes,
    },
    /// Takes a service away: its listeners close, its connections go on to their end.
    RemoveService {
        /// Its name.
        service: String,
    },
    /// One more listener.
    AddListener {
        /// The service's name.
        service: String,
        /// The address.
        listen: String,
        /// As of `<listen>`, the address left out.
        attributes: Attributes,
    },
    /// Other attributes of a listener. Another `ip` opens that address and closes this one; connections stay.
    SetListener {
        /// The service's name.
        service: String,
        /// The address, as configured.
        listen: String,
        /// As of `<listen>`.
        attributes: Attributes,
    },
    /// Closes a listener, not the last. Its connections go on.
    RemoveListener {
        /// The service's name.
        service: String,
        /// The address, as configured.
        listen: String,
    },
    /// A new group without hosts.
    AddGroup {
        /// The new group.
        group: GroupRef,
        /// As of `<group>`, the name left out.
        attributes: Attributes,
    },
    /// Other attributes of a group: its scheduler, its name. Connections stay.
    SetGroup {
        /// The group.
        group: GroupRef,
        /// As of `<group>`.
        attributes: Attributes,
    },
    /// Takes a group away, unless it serves. Connections to its hosts go on.
    RemoveGroup {
        /// The group.
        group: GroupRef,
    },
    /// Lets this group serve. Connections to hosts of the one before go on.
    EnableGroup {
        /// A group with a host.
        group: GroupRef,
    },
    /// A new host.
    AddHost {
        /// Its group.
        group: GroupRef,
        /// Its name; none: `host.N`, with the first N that is free from the number of hosts on.
        host: Option<String>,
        /// Its address.
        address: String,
        /// As of `<host>`, name and address left out.
        attributes: Attributes,
    },
    /// Other attributes of a host: `weight`, `max`, `state`. With another `ip` it is another host.
    SetHost {
        /// The host.
        host: HostRef,
        /// As of `<host>`.
        attributes: Attributes,
    },
    /// Takes a host away, unless it is the last of the group that serves. Its connections go on.
    RemoveHost {
        /// The host.
        host: HostRef,
    },
    /// Takes all hosts of a group away that does not serve.
    RemoveAllHosts {
        /// The group.
        group: GroupRef,
    },
    /// A new administrator.
    AddUser {
        /// The name.
        user: String,
        /// As of `<user>`, the name left out; `password` is a hash.
        attributes: Attributes,
    },
    /// Other attributes of an administrator.
    SetUser {
        /// The name.
        user: String,
        /// As of `<user>`.
        attributes: Attributes,
    },
    /// Takes an administrator away.
    RemoveUser {
        /// The name.
        user: String,
    },
    /// How failed hosts are found and taken back.
    SetManager {
        /// `rise`, `fall`, `checktime`; the intervals `host-check`, `heartbeat` and `config-check`, of which the last two
        /// are off when taken away.
        attributes: Attributes,
    },
    /// Where the log goes; none: to standard error.
    SetLog {
        /// A path.
        file: Option<String>,
    },
}

/// Why a command was not done. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of reason it is.
    pub kind: RefusalKind,
    /// What is wrong and what was expected, for the person who asked.
    pub why: String,
}

/// Kinds of [`Refusal`], for exit codes and HTTP's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// It names what is not there.
    NotFound,
    /// A value cannot be read, or is out of its range.
    Invalid,
    /// It does not fit what is there: a name that is taken, the last host of the group that serves.
    Conflict,
    /// It is not legal now, or the system does not allow it: shutting down, an address that is taken.
    Unavailable,
}

impl Refusal {
    /// A refusal of that kind.
    pub fn new(kind: RefusalKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }

    /// It names what is not there.
    pub fn not_found(why: impl Into<String>) -> Self {
        Self::new(RefusalKind::NotFound, why)
    }

    /// A value cannot be read.
    pub fn invalid(why: impl Into<String>) -> Self {
        Self::new(RefusalKind::Invalid, why)
    }

    /// It does not fit what is there.
    pub fn conflict(why: impl Into<String>) -> Self {
        Self::new(RefusalKind::Conflict, why)
    }

    /// It cannot be done now.
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::new(RefusalKind::Unavailable, why)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Refusal {}
