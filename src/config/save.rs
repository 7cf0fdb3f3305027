//! Saves a running configuration into the file that it came from, or says why not and leaves the file alone.
//!
//! The text is [`super::rewrite()`]'s; `replace` puts it into the place of the old one.

mod replace;
#[cfg(test)]
mod tests;

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::{error, fmt};

use super::read::{parse_of_any_size, read_text};
use super::{Config, Errors, parse, rewrite, write};
use crate::model::limits::CONFIG_FILE_BYTES_MAX;

/// What saving did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The file says this already; it was not touched.
    Unchanged,
    /// The file was replaced.
    Written {
        /// Its length now.
        bytes: usize,
        /// Where the one before is kept; none: there was none.
        previous: Option<PathBuf>,
    },
}

/// Why a configuration was not saved. Unless it is [`SaveError::Unsynced`], the file is as it was.
#[derive(Debug)]
pub enum SaveError {
    /// The present file cannot be read.
    Unreadable(Errors),
    /// The present file is not what was expected.
    Changed(PathBuf),
    /// No file can have this configuration.
    Invalid(PathBuf, String),
    /// The file would have more than [`CONFIG_FILE_BYTES_MAX`] bytes.
    TooLarge(PathBuf, usize),
    /// The system refused.
    Refused {
        /// What it refused, behind "cannot".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file was replaced, but may be the old one again after a loss of power.
    Unsynced(PathBuf, io::Error),
}

/// Saves the configuration into its file. What is in the file now and has not changed stays as it is; the file before
/// is kept beside it as `NAME.1`. A link is followed, and what it points to is replaced. A file that does not exist is
/// made, readable for its owner only.
///
/// `expected` is the configuration that the file is known to have: the one that was loaded from it or saved into it
/// last. If the file has another one by now, somebody else changed it, and it is left alone. Changed comments do no
/// harm: they are kept. With none, whatever is there is overwritten.
///
/// At every moment the file is there and is either the old or the new one, whole. That is so for two savers at one time
/// as well; the later one wins, or is refused.
///
/// # Errors
/// See [`SaveError`].
pub fn save(path: &Path, config: &Config, expected: Option<&Config>) -> Result<Saved, SaveError> {
    let path = &target(path)?;
    let name = path.display().to_string();
    let Some(before) = metadata(path)? else {
        if expected.is_some() {
            return Err(SaveError::Changed(path.clone()));
        }
        let text = write(config);
        check(path, &text, config)?;
        return replace::replace(path, &text, None);
    };
    let old = read_text(path).map_err(SaveError::Unreadable)?;
    let text = rewrite(&old, config);
    check(path, &text, config)?;
    if text == old {
        return Ok(Saved::Unchanged);
    }
    if expected.is_some_and(|expected| parse(&old, &name).as_ref() != Ok(expected)) {
        return Err(SaveError::Changed(path.clone()));
    }
    replace::replace(path, &text, Some((&old, &before)))
}

/// The file itself, where the path is a link to it.
fn target(path: &Path) -> Result<PathBuf, SaveError> {
    match fs::canonicalize(path) {
        Ok(target) => Ok(target),
        Err(error) if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => Ok(path.to_owned()),
        Err(error) => Err(refused("find the file", path)(error)),
    }
}

/// Of the file; none when there is none.
fn metadata(path: &Path) -> Result<Option<Metadata>, SaveError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused("look at the file", path)(error)),
    }
}

/// Whether the text is what will be read as this configuration.
fn check(path: &Path, text: &str, config: &Config) -> Result<(), SaveError> {
    let invalid = |why| Err(SaveError::Invalid(path.to_owned(), why));
    match parse_of_any_size(text, &path.display().to_string()) {
        Ok(read) if read == *config && text.len() as u64 <= CONFIG_FILE_BYTES_MAX => Ok(()),
        Ok(read) if read == *config => Err(SaveError::TooLarge(path.to_owned(), text.len())),
        Ok(_) => invalid(String::from("it would be read as another one")),
        Err(errors) => invalid(errors.problems().first().map_or_else(String::new, |problem| problem.what.clone())),
    }
}

fn refused(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SaveError {
    move |error| SaveError::Refused { what, path: path.to_owned(), error }
}

/// What is wrong, and what to do.
impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(errors) => write!(f, "{errors}; mend the file, then save"),
            Self::Changed(path) => {
                let what = "the file was changed since it was loaded; reload it, or save and overwrite what it has";
                write!(f, "{}: {what}", path.display())
            }
            Self::Invalid(path, why) => {
                write!(f, "{}: no file can have this configuration, {why}; change that, then save", path.display())
            }
            Self::TooLarge(path, bytes) => {
                let what = format!("the file would have {bytes} bytes, expected at most {CONFIG_FILE_BYTES_MAX}");
                write!(f, "{}: {what}; remove something from it", path.display())
            }
            Self::Refused { what, path, error } => {
                write!(f, "{}: cannot {what}, {error}; {}", path.display(), advice(error))
            }
            Self::Unsynced(path, error) => {
                let what = "the file is saved, but perhaps not on the disk yet";
                write!(f, "{}: {what}, {error}; look after the disk, then save again", path.display())
            }
        }
    }
}

impl error::Error for SaveError {}

fn advice(error: &io::Error) -> &'static str {
    let is = |kinds: &[ErrorKind]| kinds.contains(&error.kind());
    if is(&[ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem]) {
        "let the process write in that directory (in a systemd unit: ReadWritePaths and a User that owns it)"
    } else if is(&[ErrorKind::StorageFull, ErrorKind::QuotaExceeded]) {
        "make room, then save again"
    } else if is(&[ErrorKind::ResourceBusy]) {
        "mount the directory instead of the file"
    } else {
        "the file is as it was"
    }
}
