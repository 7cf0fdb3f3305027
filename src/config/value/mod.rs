//! Attribute values: text to a typed value, or to a message that says what is wrong and what was expected.
//!
//! White space around a value is ignored, except in names. The messages do not repeat the value or where it stands;
//! their caller does.

mod address;
mod bytes;
mod check;
mod logs;
mod name;
mod net;
mod number;
mod scheduler;
mod socket;
mod time;

pub(super) use address::inet_address;
pub(crate) use address::{host_address, listen_address};
pub(crate) use bytes::bytes;
pub(super) use bytes::{notsent_lowat, show_bytes, socket_buffer};
pub(super) use check::{check_kind, check_timeout, escaped, expect, payload, port, question, shown_question};
pub(super) use logs::{datagrams_to, line_format, syslog, whole_seconds_at_least_one};
pub(crate) use name::socket_path;
pub(super) use name::{access, host_names, is_hidden, name, password, path, public_key};
pub(super) use net::{
    announce, client_rate, client_table, fastclose, net, nets, prefix, proxy_versions, show_nets, verdict,
};
pub(super) use number::{
    admin_state, backlog, boolean, busy_poll, count, fastopen_queue, file_mode, prefix_v4, prefix_v6, prio, responses,
    sticky_size, weight,
};
pub(super) use scheduler::{scheduler, sticky};
pub(super) use socket::{congestion, defer_accept, keepalive, show_keepalive, show_sources, sources, user_timeout};
pub(crate) use time::{positive_time, show_time, time};
