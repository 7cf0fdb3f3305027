//! The socket's file: how it comes, and how it goes.

use std::fs::{self, File};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::config;
use crate::model::limits::CONTROL_TAKE_OVER;
use crate::sys::process::lock_exclusively;
use crate::sys::unix::{self, FileId};

/// Pause between two tries to lock a directory.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A control socket that is listened on. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct Opened {
    pub(super) listener: UnixListener,
    pub(super) control: config::Control,
    /// Whose members may use it.
    pub(super) group: Option<u32>,
    id: FileId,
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
    // Between the look whether somebody answers and our own bind no other balancer may do the same.
    let _lock = lock(path).map_err(|what| format!("the control socket {shown}: {what}"))?;
    make_way(path).map_err(|what| format!("the control socket {shown}: {what}"))?;
    let (listener, id) =
        unix::listen(path, group).map_err(|error| format!("the control socket {shown} cannot be made: {error}"))?;
    Ok(Opened { listener, control: control.clone(), group, id })
}

/// Keeps other balancers from making a socket in the same directory, until the file is dropped.
fn lock(path: &Path) -> Result<File, String> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    let file = File::open(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let until = Instant::now() + CONTROL_TAKE_OVER;
    while let Err(error) = lock_exclusively(&file) {
        if error.kind() != std::io::ErrorKind::WouldBlock || Instant::now() >= until {
            return Err(format!("its directory is locked by another process: {error}"));
        }
        thread::sleep(LOCK_PAUSE);
    }
    Ok(file)
}

/// Removes what is left of a balancer that did not end by itself.
fn make_way(path: &Path) -> Result<(), String> {
    let data = match fs::symlink_metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    if !data.file_type().is_socket() {
        return Err(String::from("something else has this name and is left alone; expected a free name, or remove it"));
    }
    match unix::is_answered(path) {
        Some(false) => fs::remove_file(path).map_err(|error| format!("what an earlier process left: {error}")),
        Some(true) => Err(String::from("another process answers there; expected one balancer for each socket")),
        None => Err(String::from("another process may answer there; remove it if none does")),
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if unix::file_id(&self.control.socket).is_ok_and(|id| id == self.id) {
            let _ = fs::remove_file(&self.control.socket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn control(name: &str) -> config::Control {
        let socket = std::env::temp_dir().join(format!("director-control-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&socket);
        config::Control { socket, group: None }
    }

    #[test]
    fn socket_that_somebody_answers_on_is_left_alone_and_a_stale_one_removed() {
        let control = control("stale");
        let first = open(&control).unwrap();
        assert!(open(&control).unwrap_err().contains("another process answers there"));
        // As if it had been killed: the file stays.
        let Opened { listener, .. } = &first;
        drop(listener.try_clone().unwrap());
        std::mem::forget(first);
        assert!(open(&control).is_err(), "its listener is still there");
        fs::remove_file(&control.socket).unwrap();
        drop(UnixListener::bind(&control.socket).unwrap());
        let second = open(&control).unwrap();
        drop(second);
        assert!(!control.socket.exists());
    }

    #[test]
    fn foreign_file_and_link_are_left_alone() {
        let control = control("foreign");
        fs::write(&control.socket, "text").unwrap();
        assert!(open(&control).unwrap_err().contains("left alone"));
        assert_eq!(fs::read_to_string(&control.socket).unwrap(), "text");
        fs::remove_file(&control.socket).unwrap();
        let target = control.socket.with_extension("target");
        drop(UnixListener::bind(&target).unwrap());
        symlink(&target, &control.socket).unwrap();
        assert!(open(&control).unwrap_err().contains("left alone"));
        assert!(target.exists());
        fs::remove_file(&control.socket).unwrap();
        fs::remove_file(&target).unwrap();
    }

    #[test]
    fn file_that_replaced_ours_is_not_removed() {
        let control = control("replaced");
        let opened = open(&control).unwrap();
        fs::remove_file(&control.socket).unwrap();
        fs::write(&control.socket, "text").unwrap();
        drop(opened);
        assert_eq!(fs::read_to_string(&control.socket).unwrap(), "text");
        fs::remove_file(&control.socket).unwrap();
    }

    #[test]
    fn group_that_is_not_there_is_named() {
        let control = config::Control { group: Some("no such group".into()), ..control("group") };
        assert!(open(&control).unwrap_err().contains("no such group"));
    }
}
