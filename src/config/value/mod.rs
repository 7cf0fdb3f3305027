//! Attribute values: text to a typed value, or to a message that says what is wrong and what was expected.
//!
//! White space around a value is ignored, except in names. The messages do not repeat the value or where it stands;
//! their caller does.

mod address;
mod bytes;
mod name;
mod number;
mod scheduler;
mod socket;
mod time;

pub(crate) use address::{host_address, listen_address};
pub(crate) use bytes::bytes;
pub(super) use bytes::{notsent_lowat, show_bytes, socket_buffer};
pub(crate) use name::socket_path;
pub(super) use name::{access, host_names, is_hidden, name, password, path, public_key};
pub(super) use number::{
    admin_state, backlog, boolean, busy_poll, count, fastopen_queue, prefix_v4, prefix_v6, prio, responses,
    sticky_size, weight,
};
pub(super) use scheduler::{scheduler, sticky};
pub(super) use socket::{congestion, defer_accept, keepalive, show_keepalive, show_sources, sources, user_timeout};
pub(crate) use time::{positive_time, show_time, time};
