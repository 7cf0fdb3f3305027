//! Tests of the configuration as a whole.

pub(super) mod arbitrary;
mod hostile;
pub(super) mod near;
mod places;
mod sockets;
