//! What the manager says of a host.

/// Whether a host answers, as the manager judges it. What an operator wants of it is its weight:
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
