//! The vocabulary all planes share: identities, specifications, messages, counters and limits.
//!
//! Standard library only, and no behaviour beyond keeping a value consistent. Everything that crosses a thread is
//! declared here: [`update::Update`] (manager to reactor), [`report::Report`] (reactor to manager) and
//! [`command::Request`] (front-end to manager).

pub mod change;
pub mod command;
pub mod counters;
pub mod datagram;
pub mod event;
pub mod hash;
pub mod histogram;
pub mod id;
pub mod limits;
pub mod outcome;
pub mod report;
pub mod rng;
pub mod role;
pub mod rotation;
pub mod scheduler;
pub mod service;
pub mod session;
pub mod snapshot;
pub mod socket_options;
pub mod status;
pub mod sticky;
pub mod time;
pub mod update;
