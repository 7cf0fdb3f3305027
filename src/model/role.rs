//! In which order the hosts of a group come into question.

/// Who a host is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Clients.
    #[default]
    Normal,
    /// Clients that no normal host can take. None is remembered to have been there.
    Emergency,
    /// Clients that are denied access, and nobody else.
    Abuse,
}

/// A rank of hosts: one gets clients only when no host of a lower level of its role can take them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Level {
    /// Who they are for.
    pub role: Role,
    /// The lowest comes first; 0 to [`super::limits::PRIO_MAX`].
    pub prio: u32,
}
