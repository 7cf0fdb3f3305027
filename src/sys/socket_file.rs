//! A listening socket that is a file: how the file comes, and how it goes.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::process::lock_exclusively;
use super::unix::{self, FileId, Rights};
use crate::model::limits::SOCKET_TAKE_OVER;

/// Pause between two tries to lock a directory.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The file of a socket that is listened on. It is removed when this is dropped, if it is this one still.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    id: FileId,
}

impl SocketFile {
    /// Listens on a socket at this path. What an earlier process left there is removed, if nobody answers on it; all
    /// else is left alone. May wait [`SOCKET_TAKE_OVER`] for another process that does the same.
    ///
    /// # Errors
    /// What is in the way, and what to do.
    pub fn listen(path: &Path, rights: Rights, backlog: i32) -> io::Result<(OwnedFd, Self)> {
        // Between the look whether somebody answers and our own bind nobody else may do the same.
        let _lock = lock(path)?;
        make_way(path)?;
        let (socket, id) = unix::listen(path, rights, backlog)?;
        Ok((socket, Self { path: path.to_owned(), id }))
    }

    /// Gives the file other rights.
    ///
    /// # Errors
    /// See [`unix::set_rights`].
    pub fn set_rights(&self, rights: Rights) -> io::Result<()> {
        unix::set_rights(&self.path, self.id, rights)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if unix::file_id(&self.path).is_ok_and(|id| id == self.id) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Keeps others from making a socket in the same directory, until the file is dropped.
fn lock(path: &Path) -> io::Result<File> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    let failed =
        |error: io::Error, what: &str| io::Error::new(error.kind(), format!("{}{what}: {error}", directory.display()));
    let file = File::open(&directory).map_err(|error| failed(error, ""))?;
    let until = Instant::now() + SOCKET_TAKE_OVER;
    while let Err(error) = lock_exclusively(&file) {
        if error.kind() != io::ErrorKind::WouldBlock || Instant::now() >= until {
            return Err(failed(error, " is locked by another process"));
        }
        thread::sleep(LOCK_PAUSE);
    }
    Ok(file)
}

/// Removes what is left of a process that did not end by itself.
fn make_way(path: &Path) -> io::Result<()> {
    let data = match fs::symlink_metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let taken = |what: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, what));
    if !data.file_type().is_socket() {
        return taken("something else has this name and is left alone; expected a free name, or remove it");
    }
    match unix::is_answered(path) {
        Some(false) => fs::remove_file(path)
            .map_err(|error| io::Error::new(error.kind(), format!("what an earlier process left: {error}"))),
        Some(true) => taken("another process answers there; expected a socket of its own for each"),
        None => taken("another process may answer there; remove it if none does"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    const OWN: Rights = Rights::of_group(None);

    fn place(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("director-socket-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    fn refused(path: &Path) -> String {
        SocketFile::listen(path, OWN, 8).unwrap_err().to_string()
    }

    #[test]
    fn socket_that_somebody_answers_on_is_left_alone_and_a_stale_one_removed() {
        let path = place("stale");
        let (socket, file) = SocketFile::listen(&path, OWN, 8).unwrap();
        assert!(refused(&path).contains("another process answers there"));
        // As if it had been killed: the file stays.
        std::mem::forget(file);
        assert!(refused(&path).contains("another process answers there"), "its listener is still there");
        drop(socket);
        let (_, file) = SocketFile::listen(&path, OWN, 8).unwrap();
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn foreign_file_and_link_are_left_alone() {
        let path = place("foreign");
        fs::write(&path, "text").unwrap();
        assert!(refused(&path).contains("left alone"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        fs::remove_file(&path).unwrap();
        let target = path.with_extension("target");
        drop(UnixListener::bind(&target).unwrap());
        symlink(&target, &path).unwrap();
        assert!(refused(&path).contains("left alone"));
        assert!(target.exists());
        fs::remove_file(&path).unwrap();
        fs::remove_file(&target).unwrap();
    }

    #[test]
    fn file_that_replaced_ours_is_not_removed() {
        let path = place("replaced");
        let (_socket, file) = SocketFile::listen(&path, OWN, 8).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "text").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        fs::remove_file(&path).unwrap();
    }
}
