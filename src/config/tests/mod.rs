//! Tests of the configuration as a whole.

pub(super) mod arbitrary;
mod hostile;
mod places;
mod sockets;
