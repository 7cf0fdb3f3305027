//! Values of the access log and the status page.

use std::net::SocketAddr;
use std::time::Duration;

use super::{path, socket_path, time};
use crate::config::suggest::{closest, hint};
use crate::config::{LineFormat, LogTarget};

/// Where syslog is: the path of a datagram socket, or an address.
pub(in crate::config) fn syslog(text: &str) -> Result<LogTarget, String> {
    if text.starts_with('/') {
        return socket_path(text).map(LogTarget::SyslogSocket);
    }
    address(text).map(LogTarget::Syslog).ok_or_else(|| {
        path(text).err().unwrap_or_else(|| {
            String::from("neither a path nor an address and a port, expected such as /dev/log or 192.0.2.1:514")
        })
    })
}

/// Where datagrams go.
pub(in crate::config) fn datagrams_to(text: &str) -> Result<SocketAddr, String> {
    address(text).ok_or_else(|| {
        String::from(
            "not an address and a port, expected ADDRESS:PORT, such as 192.0.2.1:514 or [::1]:514; names are not \
             resolved here",
        )
    })
}

fn address(text: &str) -> Option<SocketAddr> {
    text.trim().parse().ok().filter(|addr: &SocketAddr| addr.port() != 0 && !addr.ip().is_unspecified())
}

/// How lines look.
pub(in crate::config) fn line_format(text: &str) -> Result<LineFormat, String> {
    let names = LineFormat::NAMED.map(|(name, _)| name);
    let found = LineFormat::NAMED.iter().find(|(name, _)| *name == text.trim()).map(|(_, format)| *format);
    found.ok_or_else(|| format!("unknown format, expected text or json{}", hint(closest(text.trim(), names))))
}

/// An interval that needs no finer clock.
pub(in crate::config) fn whole_seconds_at_least_one(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    let whole = time.subsec_nanos() == 0 && !time.is_zero();
    whole.then_some(time).ok_or_else(|| String::from("not a number of whole seconds, expected 1s or more"))
}
