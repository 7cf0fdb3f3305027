//! The file with the process id: locked for as long as the process lives, so that a second balancer is refused and a
//! file left behind by a crash is not in the way.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;

use crate::sys::process::{lock_exclusively, open_in_place};

/// A process id and the end of its line are shorter.
const CONTENT_BYTES_MAX: u64 = 16;
/// How often a file that another process removes at the same moment is opened anew.
const ATTEMPTS: usize = 8;

/// The file, locked. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Pidfile {
    path: PathBuf,
    file: File,
}

/// Why there is no such file.
#[derive(Debug)]
pub(super) enum PidfileError {
    /// Another process has it; its id, if it has written it.
    Held(PathBuf, Option<u32>),
    /// Something is there that is no file of ours: a link, a folder, other content.
    Foreign(PathBuf, &'static str),
    /// The system says no.
    Failed(PathBuf, io::Error),
}

impl fmt::Display for PidfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(path, Some(pid)) => write!(f, "--pidfile {}: process {pid} holds it", path.display()),
            Self::Held(path, None) => write!(f, "--pidfile {}: another process holds it", path.display()),
            Self::Foreign(path, what) => {
                write!(f, "--pidfile {}: {what}, expected a file of a process id or none", path.display())
            }
            Self::Failed(path, error) => write!(f, "--pidfile {}: {error}", path.display()),
        }
    }
}

impl Pidfile {
    /// Takes the file and writes this process's id into it. Links are not followed, and nothing but a process id is
    /// ever overwritten.
    ///
    /// # Errors
    /// Another process has it, it is no such file, or the system says no.
    pub(super) fn take(path: &Path) -> Result<Self, PidfileError> {
        let failed = |error| PidfileError::Failed(path.to_owned(), error);
        for _ in 0..ATTEMPTS {
            let file = open(path)?;
            match lock_exclusively(&file) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let holder = content(&file).ok().and_then(|text| text.trim().parse().ok());
                    return Err(PidfileError::Held(path.to_owned(), holder));
                }
                Err(error) => return Err(failed(error)),
            }
            // The process that had it may have removed it between our opening and our locking: then it is nobody's.
            if !is_in_place(&file, path) {
                continue;
            }
            let before = content(&file).map_err(failed)?;
            if !before.trim().bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(PidfileError::Foreign(path.to_owned(), "something else is in it"));
            }
            let mut taken = Self { path: path.to_owned(), file };
            taken.write_id().map_err(failed)?;
            return Ok(taken);
        }
        Err(PidfileError::Held(path.to_owned(), None))
    }

    fn write_id(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(format!("{}\n", process::id()).as_bytes())
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        let is_removed = is_in_place(&self.file, &self.path) && fs::remove_file(&self.path).is_ok();
        if !is_removed && self.file.metadata().is_ok_and(|data| data.nlink() > 0) {
            // A folder that may no longer be written, or that a new root has put out of reach, keeps a file that names
            // nobody and is not locked, which is in nobody's way.
            let _ = self.file.set_len(0);
        }
    }
}

/// Whether this open file is the one that the path leads to.
fn is_in_place(file: &File, path: &Path) -> bool {
    let identity = |data: fs::Metadata| (data.dev(), data.ino());
    let (open, there) = (file.metadata().map(identity), fs::symlink_metadata(path).map(identity));
    matches!((open, there), (Ok(open), Ok(there)) if open == there)
}

fn open(path: &Path) -> Result<File, PidfileError> {
    let file = open_in_place(path).map_err(|error| {
        let is_link = fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink());
        if is_link {
            PidfileError::Foreign(path.to_owned(), "it is a symbolic link")
        } else {
            PidfileError::Failed(path.to_owned(), error)
        }
    })?;
    let is_file = file.metadata().map_err(|error| PidfileError::Failed(path.to_owned(), error))?.is_file();
    if is_file { Ok(file) } else { Err(PidfileError::Foreign(path.to_owned(), "it is not a regular file")) }
}

/// The first bytes of the file; more than a process id has is told from it.
fn content(mut file: &File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(CONTENT_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A path of this test's own, free at the start and at the end.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("director-{}-{name}.pid", process::id()));
            let _ = fs::remove_file(&path);
            Self(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn taken_file_has_the_process_id_and_is_gone_at_the_end() {
        let place = Place::new("taken");
        let pidfile = Pidfile::take(&place.0).unwrap();
        assert_eq!(fs::read_to_string(&place.0).unwrap(), format!("{}\n", process::id()));
        drop(pidfile);
        assert!(!place.0.exists());
    }

    #[test]
    fn held_file_is_refused_and_its_holder_named() {
        let place = Place::new("held");
        let _held = Pidfile::take(&place.0).unwrap();
        let message = Pidfile::take(&place.0).unwrap_err().to_string();
        assert!(message.ends_with(&format!("process {} holds it", process::id())), "{message}");
        assert!(place.0.exists(), "a refused one removes nothing");
    }

    #[test]
    fn file_left_behind_is_taken_over() {
        let place = Place::new("stale");
        fs::write(&place.0, "4194304999\n").unwrap();
        let _taken = Pidfile::take(&place.0).unwrap();
        assert_eq!(fs::read_to_string(&place.0).unwrap(), format!("{}\n", process::id()));
    }

    #[test]
    fn link_is_neither_followed_nor_removed() {
        let (place, target) = (Place::new("link"), Place::new("target"));
        fs::write(&target.0, "7\n").unwrap();
        symlink(&target.0, &place.0).unwrap();
        let message = Pidfile::take(&place.0).unwrap_err().to_string();
        assert!(message.contains("it is a symbolic link"), "{message}");
        assert_eq!(fs::read_to_string(&target.0).unwrap(), "7\n");
        assert!(fs::symlink_metadata(&place.0).is_ok());
    }

    #[test]
    fn file_with_other_content_is_left_alone() {
        let place = Place::new("foreign");
        fs::write(&place.0, "root:x:0:0\n").unwrap();
        let message = Pidfile::take(&place.0).unwrap_err().to_string();
        assert!(message.contains("something else is in it"), "{message}");
        assert_eq!(fs::read_to_string(&place.0).unwrap(), "root:x:0:0\n");
    }

    #[test]
    fn folder_is_refused() {
        assert!(Pidfile::take(&std::env::temp_dir()).is_err());
    }

    #[test]
    fn file_that_another_has_put_there_meanwhile_is_not_removed() {
        let place = Place::new("replaced");
        let pidfile = Pidfile::take(&place.0).unwrap();
        fs::remove_file(&place.0).unwrap();
        fs::write(&place.0, "1\n").unwrap();
        drop(pidfile);
        assert!(place.0.exists());
    }
}
