//! The control socket itself.

use std::os::unix::net::UnixListener;

use crate::config;
use crate::sys::socket_file::SocketFile;
use crate::sys::unix::{self, Rights};

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 128;

/// A control socket that is listened on. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct Opened {
    pub(super) listener: UnixListener,
    pub(super) control: config::Control,
    /// Whose members may use it.
    pub(super) group: Option<u32>,
    /// Removed with this.
    _file: SocketFile,
}

/// Listens on a control socket. What is not a socket that nobody answers on is left alone.
///
/// # Errors
/// What is in the way, and what to do.
pub fn open(control: &config::Control) -> Result<Opened, String> {
    let config::Control { socket: path, group } = control;
    let shown = path.display();
    let group = match group {
        Some(name) => {
            Some(unix::group(name).map_err(|error| format!("the group {name:?} of the control socket: {error}"))?)
        }
        None => None,
    };
    let opened = SocketFile::listen(path, Rights::of_group(group), BACKLOG);
    let (listener, file) = opened.map_err(|error| format!("the control socket {shown} cannot be made: {error}"))?;
    Ok(Opened { listener: listener.into(), control: control.clone(), group, _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_that_is_not_there_is_named() {
        let socket = std::env::temp_dir().join(format!("director-control-{}-group", std::process::id()));
        let control = config::Control { socket, group: Some("no such group".into()) };
        assert!(open(&control).unwrap_err().contains("no such group"));
    }
}
