//! Replacing a file as a whole, and nothing that is not ours.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How every page begins, by which one is known.
pub(super) const MARK: &str = "<!DOCTYPE html>\n<!-- Status page of Director -->\n";

/// Puts a page in the place of the one before. A link there is replaced, not followed; anything else than an earlier page
/// or an empty file is left alone.
///
/// # Errors
/// Something else is there, or what the system says.
pub(super) fn replace(path: &Path, page: &[u8]) -> io::Result<()> {
    refuse_foreign(path)?;
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let open = || {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o644).custom_flags(libc::O_NOFOLLOW).open(&new)
    };
    let opened = match open() {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // Left behind by a process of the same number.
            fs::remove_file(&new)?;
            open()
        }
        result => result,
    };
    let result = opened.and_then(|mut file| file.write_all(page)).and_then(|()| fs::rename(&new, path));
    if result.is_err() {
        // Whether or not it is there, the error before is the one to tell.
        let _ = fs::remove_file(&new);
    }
    result
}

fn refuse_foreign(path: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(data) => data.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if kind.is_symlink() {
        return Ok(());
    }
    if !kind.is_file() {
        return Err(io::Error::other("it is not a regular file, expected an earlier page or none"));
    }
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let mut start = Vec::new();
    file.take(MARK.len() as u64).read_to_end(&mut start)?;
    if start.is_empty() || start == MARK.as_bytes() {
        return Ok(());
    }
    Err(io::Error::other("something else is in it, expected an earlier page, an empty file or none"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    /// A directory of this test's own.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("director-{}-status-{name}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn page(text: &str) -> Vec<u8> {
        format!("{MARK}{text}").into_bytes()
    }

    #[test]
    fn page_takes_the_place_of_an_earlier_one_and_leaves_nothing_beside_it() {
        let place = Place::new("page");
        let path = place.0.join("s.html");
        replace(&path, &page("1")).unwrap();
        fs::write(place.0.join(format!(".s.html.{}.new", std::process::id())), "left").unwrap();
        replace(&path, &page("2")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), page("2"));
        assert_eq!(fs::read_dir(&place.0).unwrap().count(), 1);
    }

    #[test]
    fn link_is_replaced_and_not_followed_and_what_is_no_page_is_left_alone() {
        let place = Place::new("foreign");
        let [path, target] = ["s.html", "target"].map(|name| place.0.join(name));
        fs::write(&target, "secret").unwrap();
        symlink(&target, &path).unwrap();
        replace(&path, &page("1")).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "secret");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        let message = replace(&target, &page("1")).unwrap_err().to_string();
        assert!(message.contains("something else is in it"), "{message}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "secret");
        assert!(replace(&place.0, &page("1")).unwrap_err().to_string().contains("not a regular file"));
    }
}
