//! The kit that all behaviour tests share: the real binary, scripted hosts and clients, network namespaces, injected
//! system-call errors, and the check that nothing is left behind.
//!
//! Everything talks over real sockets. Every wait has a deadline and polls for a condition; nothing sleeps and hopes.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test file is a crate that uses its own part of the kit"
)]
#![allow(clippy::print_stdout, reason = "tests print the figures they reach")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod churn;
pub mod client;
pub mod config;
pub mod control;
pub mod counters;
pub mod datagrams;
pub mod director;
pub mod full;
pub mod held;
pub mod host;
pub mod http;
pub mod lock;
pub mod log;
pub mod netns;
pub mod pattern;
pub mod plane;
pub mod process;
pub mod scratch;
pub mod scripts;
pub mod socket;
pub mod strace;
pub mod wait;

pub use churn::{Churn, Tally};
pub use client::Client;
pub use config::{Config, Service};
pub use control::{Ctl, Site, Wire};
pub use director::Director;
pub use full::Full;
pub use host::Host;
pub use netns::{Netns, Star};
pub use socket::End;
pub use strace::Strace;
pub use wait::{PATIENCE, figure, sized, soaking, until};
