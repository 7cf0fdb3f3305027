//! Puts a text into the place of a file, so that the file is there at every moment, and old or new as a whole.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use super::{SaveError, Saved, metadata, refused};

/// Names that are tried for a temporary file. More than one may be left over from a crash, or be somebody's trap.
const NAMES_MAX: u32 = 8;
/// Of a file that did not exist: it may have the hashes of passwords.
const MODE: u32 = 0o600;
/// What others than the owner and the group may do, and the owner.
const NOT_THE_GROUP: u32 = 0o707;

/// Replaces the file, whose text and metadata are `before` if it exists. It is looked at again at the end.
pub(super) fn replace(path: &Path, text: &str, before: Option<(&str, &Metadata)>) -> Result<Saved, SaveError> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    // Opened now, so that nothing that can be known before is found out when the file has been replaced.
    let opened = File::open(directory).map_err(refused("open the directory of the file", path))?;
    let old = before.map(|(_, metadata)| metadata);
    let new = Temporary::written(path, directory, text, old).map_err(refused("write a new file beside it", path))?;
    let previous = before.map(|(text, metadata)| keep(path, directory, text, metadata)).transpose()?;
    if stamp(metadata(path)?.as_ref()) != stamp(old) {
        return Err(SaveError::Changed(path.to_owned()));
    }
    new.rename(path).map_err(refused("replace the file", path))?;
    match opened.sync_all() {
        // Some file systems have nothing to write for a directory.
        Err(error) if error.kind() != ErrorKind::InvalidInput => Err(SaveError::Unsynced(path.to_owned(), error)),
        Ok(()) | Err(_) => Ok(Saved::Written { bytes: text.len(), previous }),
    }
}

/// Gives the file a second name, `NAME.1`, in the place of what had that before.
fn keep(path: &Path, directory: &Path, text: &str, old: &Metadata) -> Result<PathBuf, SaveError> {
    let refused = || refused("keep the present file under its name with .1", path);
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    let previous = PathBuf::from(name);
    let is_kept = fs::symlink_metadata(&previous).is_ok_and(|kept| (kept.dev(), kept.ino()) == (old.dev(), old.ino()));
    if !is_kept {
        // Not every file system has hard links, and not every file may be linked to.
        let linked = Temporary::linked(path, directory);
        let kept = linked.or_else(|_| Temporary::written(path, directory, text, Some(old))).map_err(refused())?;
        kept.rename(&previous).map_err(refused())?;
    }
    Ok(previous)
}

/// What tells whether a file was touched.
fn stamp(metadata: Option<&Metadata>) -> Option<[i128; 5]> {
    let stamp = |file: &Metadata| {
        [file.dev().into(), file.ino().into(), file.size().into(), file.mtime().into(), file.mtime_nsec().into()]
    };
    metadata.map(stamp)
}

/// A file that goes when it is dropped, unless it was renamed.
struct Temporary {
    path: PathBuf,
    is_renamed: bool,
}

impl Temporary {
    /// A file with this text, on the disk, and with owner, group and mode of `like`, as far as that is permitted.
    fn written(path: &Path, directory: &Path, text: &str, like: Option<&Metadata>) -> io::Result<Self> {
        // Whatever is there, a link to somewhere else above all, is not opened (O_EXCL).
        let create = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
        let (temporary, mut file) = Self::create(path, directory, create)?;
        file.write_all(text.as_bytes())?;
        if let Some(like) = like {
            own(&file, like)?;
        }
        file.sync_all()?;
        Ok(temporary)
    }

    /// A second name of the file.
    fn linked(path: &Path, directory: &Path) -> io::Result<Self> {
        Self::create(path, directory, |temporary| fs::hard_link(path, temporary)).map(|(temporary, ())| temporary)
    }

    fn create<T>(path: &Path, directory: &Path, create: impl Fn(&Path) -> io::Result<T>) -> io::Result<(Self, T)> {
        let mut number = 0;
        loop {
            let path = directory.join(name(path, number));
            match create(&path) {
                Ok(created) => return Ok((Self { path, is_renamed: false }, created)),
                Err(error) if error.kind() != ErrorKind::AlreadyExists || number + 1 == NAMES_MAX => return Err(error),
                Err(_) => number += 1,
            }
        }
    }

    fn rename(mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The name of a temporary file.
pub(super) fn name(path: &Path, number: u32) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.{}.{number}.new", std::process::id())
}

/// Gives the file owner, group and mode of another one. Only root may give a file away; without its group, a file does
/// not let another group in.
fn own(file: &File, like: &Metadata) -> io::Result<()> {
    let has_all = fchown(file, Some(like.uid()), Some(like.gid())).is_ok();
    let has_group = has_all || fchown(file, None, Some(like.gid())).is_ok();
    let mode = like.mode() & 0o777;
    let mode = if has_group { mode } else { mode & NOT_THE_GROUP };
    file.set_permissions(Permissions::from_mode(mode))
}
