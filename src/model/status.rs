//! What the manager says of a host.

/// Whether a host answers, as the manager judges it. What an operator wants of it is its weight and its [`AdminState`],
/// of which any but `Up` counts as the weight 0:
///
/// | status | weight | new connections | last resort | live connections |
/// |--------|--------|-----------------|-------------|------------------|
/// | Up     | > 0    | yes             | yes         | kept             |
/// | Up     | 0      | no (drained)    | no          | kept             |
/// | Down   | > 0    | no              | yes         | kept             |
/// | Down   | 0      | no              | no          | kept             |
///
/// *Last resort*: a client that no other host took is still offered to a host that is down, because a refused
/// connection costs nothing and the host may have come back a moment ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostStatus {
    /// It answers, or nothing is known against it.
    #[default]
    Up,
    /// It failed, and no probe has shown otherwise since.
    Down,
}

/// What an operator wants of a host.
///
/// | state | new connections | live connections | probes |
/// |-------|-----------------|------------------|--------|
/// | Up    | as its weight and status say | kept | yes |
/// | Drain | no              | kept             | yes    |
/// | Down  | no              | kept             | no     |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AdminState {
    /// It is to serve.
    #[default]
    Up,
    /// It is to finish what it has.
    Drain,
    /// It is out of service: its failures are nobody's concern.
    Down,
}

impl AdminState {
    /// The word of the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Drain => "drain",
            Self::Down => "down",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Up, Self::Drain, Self::Down].into_iter().find(|state| state.name() == name)
    }
}
