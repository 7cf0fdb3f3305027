//! The operating system, and the only unsafe code. Mechanism without policy: nothing here decides anything.

pub mod child;
pub mod clock;
pub mod cpu;
pub mod datagram;
pub mod listener;
pub mod mailbox;
pub mod options;
pub mod process;
pub mod socket;
pub mod splice;
pub mod steer;
pub mod unix;
