//! What is said at the begin of a connection: bytes to meaning, and meaning to bytes. No sockets, no clock, no state;
//! whoever calls reads and writes.

pub mod proxy;
