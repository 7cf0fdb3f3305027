//! What is on the disk afterwards, whatever goes wrong.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::replace::name;
use super::{SaveError, Saved, save};
use crate::config::{Config, load, parse};
use crate::model::limits::CONFIG_FILE_BYTES_MAX;

const TEXT: &str = "<!-- kept -->
<director>
  <service name='s'>
    <listen ip='*:1'/>
    <group name='g'><host ip='h:2'/></group>
  </service>
</director>
";

/// A directory of its own for a test, removed at the end.
struct Scratch {
    path: PathBuf,
    is_mounted: bool,
}

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("director-save-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = fs::canonicalize(std::env::temp_dir()).unwrap().join(name);
        fs::create_dir(&path).unwrap();
        Self { path, is_mounted: false }
    }

    /// A small one; none where nothing may be mounted.
    fn of_64k() -> Option<Self> {
        let mut scratch = Self::new();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(&scratch.path).output();
        scratch.is_mounted = mount.is_ok_and(|output| output.status.success());
        scratch.is_mounted.then_some(scratch)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The names in it, in order.
    fn names(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(&self.path).unwrap().map(name).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = Command::new("umount").arg(&self.path).status();
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn config() -> Config {
    parse(TEXT, "f").unwrap()
}

/// The configuration with another weight, and how its file is.
fn heavier(weight: u32) -> (Config, String) {
    let mut config = config();
    config.services[0].groups[0].hosts[0].weight = weight;
    (config, TEXT.replace("'h:2'", &format!("'h:2' weight='{weight}'")))
}

/// The message about a file, without its directory.
fn message(error: &SaveError, path: &Path) -> String {
    error.to_string().replace(&format!("{}/", path.parent().unwrap().display()), "")
}

#[test]
fn change_is_written_and_the_file_before_is_kept() {
    let scratch = Scratch::new();
    let path = scratch.file("a.xml", TEXT);
    let previous = scratch.path.join("a.xml.1");
    let ((second, second_text), (third, third_text)) = (heavier(2), heavier(3));
    let written = |text: &str| Saved::Written { bytes: text.len(), previous: Some(previous.clone()) };
    assert_eq!(save(&path, &second, Some(&config())).unwrap(), written(&second_text));
    assert_eq!(
        (fs::read_to_string(&path).unwrap(), fs::read_to_string(&previous).unwrap()),
        (second_text.clone(), TEXT.into())
    );
    assert_eq!(save(&path, &third, Some(&second)).unwrap(), written(&third_text));
    assert_eq!((fs::read_to_string(&path).unwrap(), fs::read_to_string(&previous).unwrap()), (third_text, second_text));
    assert_eq!(scratch.names(), ["a.xml", "a.xml.1"]);
}

#[test]
fn file_that_says_it_already_is_not_touched() {
    let scratch = Scratch::new();
    let path = scratch.file("a.xml", TEXT);
    let inode = fs::metadata(&path).unwrap().ino();
    assert_eq!(save(&path, &config(), Some(&heavier(2).0)).unwrap(), Saved::Unchanged);
    assert_eq!((fs::metadata(&path).unwrap().ino(), scratch.names()), (inode, vec!["a.xml".into()]));
}

#[test]
fn file_that_somebody_changed_is_left_alone_unless_it_is_to_be_overwritten() {
    let scratch = Scratch::new();
    for now in [&heavier(9).1, "<director>"] {
        let path = scratch.file("a.xml", now);
        let error = save(&path, &heavier(2).0, Some(&config())).unwrap_err();
        let expected = "a.xml: the file was changed since it was loaded; reload it, or save and overwrite what it has";
        assert_eq!(message(&error, &path), expected);
        assert_eq!((fs::read_to_string(&path).unwrap(), scratch.names()), (now.into(), vec!["a.xml".into()]));
    }
    let path = scratch.file("a.xml", &heavier(9).1);
    assert!(matches!(save(&path, &heavier(2).0, None), Ok(Saved::Written { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), heavier(2).1);
}

#[test]
fn comment_that_somebody_changed_is_kept() {
    let scratch = Scratch::new();
    let path = scratch.file("a.xml", &TEXT.replace("kept", "changed"));
    assert!(save(&path, &heavier(2).0, Some(&config())).is_ok());
    assert_eq!(fs::read_to_string(&path).unwrap(), heavier(2).1.replace("kept", "changed"));
}

#[test]
fn mode_is_kept_and_a_new_file_is_for_its_owner_only() {
    let scratch = Scratch::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    let path = scratch.file("a.xml", TEXT);
    for wanted in [0o640, 0o604] {
        fs::set_permissions(&path, fs::Permissions::from_mode(wanted)).unwrap();
        save(&path, &heavier(wanted).0, None).unwrap();
        assert_eq!(mode(&path), wanted);
    }
    let path = scratch.path.join("new.xml");
    let bytes = crate::config::write(&config()).len();
    assert_eq!(save(&path, &config(), None).unwrap(), Saved::Written { bytes, previous: None });
    assert_eq!((mode(&path), load(&path)), (0o600, Ok(config())));
}

#[test]
fn owner_and_group_are_kept_where_that_is_permitted() {
    let scratch = Scratch::new();
    let path = scratch.file("a.xml", TEXT);
    if std::os::unix::fs::chown(&path, Some(12), Some(34)).is_err() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    save(&path, &heavier(2).0, None).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (12, 34));
}

#[test]
fn link_stays_and_what_it_points_to_is_replaced() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path.join("real")).unwrap();
    let real = scratch.file("real/b.xml", TEXT);
    let link = scratch.path.join("a.xml");
    symlink("real/b.xml", &link).unwrap();
    let previous = scratch.path.join("real/b.xml.1");
    let (config, text) = heavier(2);
    assert_eq!(
        save(&link, &config, None).unwrap(),
        Saved::Written { bytes: text.len(), previous: Some(previous.clone()) }
    );
    assert_eq!((fs::read_to_string(&real).unwrap(), fs::read_to_string(previous).unwrap()), (text, TEXT.into()));
    assert_eq!(
        (fs::read_link(&link).unwrap(), scratch.names()),
        ("real/b.xml".into(), vec!["a.xml".into(), "real".into()])
    );
    fs::remove_file(&real).unwrap();
    let error = save(&link, &config, None).unwrap_err();
    assert!(message(&error, &link).starts_with("a.xml: cannot find the file, No such file"), "{error}");
}

#[test]
fn link_planted_under_a_temporary_name_is_not_followed() {
    let scratch = Scratch::new();
    let (path, victim) = (scratch.file("a.xml", TEXT), scratch.file("victim", "whole"));
    let plant = |number| symlink(&victim, scratch.path.join(name(&path, number))).unwrap();
    symlink(&victim, scratch.path.join("a.xml.1")).unwrap();
    (0..3).for_each(plant);
    assert!(save(&path, &heavier(2).0, None).is_ok());
    assert_eq!(fs::read_to_string(&path).unwrap(), heavier(2).1);
    assert!(fs::symlink_metadata(scratch.path.join("a.xml.1")).unwrap().is_file());
    (3..8).for_each(plant);
    let error = save(&path, &heavier(3).0, None).unwrap_err();
    assert!(message(&error, &path).starts_with("a.xml: cannot write a new file beside it, File exists"), "{error}");
    let untouched = (fs::read_to_string(&victim).unwrap(), fs::read_to_string(&path).unwrap());
    assert_eq!(untouched, ("whole".into(), heavier(2).1));
}

#[test]
fn place_of_the_previous_file_that_cannot_be_had_leaves_the_file() {
    let scratch = Scratch::new();
    let path = scratch.file("a.xml", TEXT);
    fs::create_dir(scratch.path.join("a.xml.1")).unwrap();
    let error = save(&path, &heavier(2).0, None).unwrap_err();
    let expected = "a.xml: cannot keep the present file under its name with .1, ";
    assert!(message(&error, &path).starts_with(expected), "{error}");
    assert_eq!(
        (fs::read_to_string(&path).unwrap(), scratch.names()),
        (TEXT.into(), vec!["a.xml".into(), "a.xml.1".into()])
    );
}

#[test]
fn previous_file_that_is_the_present_one_already_is_left() {
    let scratch = Scratch::new();
    let path = scratch.file("a.xml", TEXT);
    // As after a crash between the two renames.
    fs::hard_link(&path, scratch.path.join("a.xml.1")).unwrap();
    save(&path, &heavier(2).0, None).unwrap();
    assert_eq!(fs::read_to_string(scratch.path.join("a.xml.1")).unwrap(), TEXT);
    assert_eq!(scratch.names(), ["a.xml", "a.xml.1"]);
}

#[test]
fn full_disk_leaves_the_file() {
    let Some(scratch) = Scratch::of_64k() else {
        eprintln!("skipped: only root can mount");
        return;
    };
    let text = TEXT.replace("kept", &"x".repeat(40_000));
    let path = scratch.file("a.xml", &text);
    let error = save(&path, &heavier(2).0, Some(&config())).unwrap_err();
    let expected =
        "a.xml: cannot write a new file beside it, No space left on device (os error 28); make room, then save again";
    assert_eq!(message(&error, &path), expected);
    assert_eq!((fs::read_to_string(&path).unwrap(), scratch.names()), (text, vec!["a.xml".into()]));
}

#[test]
fn directory_that_takes_no_files_is_said() {
    let Some(scratch) = Scratch::of_64k() else {
        eprintln!("skipped: only root can mount");
        return;
    };
    let path = scratch.file("a.xml", TEXT);
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&scratch.path).status().unwrap();
    assert!(remounted.success());
    let error = save(&path, &heavier(2).0, None).unwrap_err();
    let advice = "let the process write in that directory (in a systemd unit: ReadWritePaths and a User that owns it)";
    assert!(message(&error, &path).ends_with(&format!("Read-only file system (os error 30); {advice}")), "{error}");
    assert_eq!((fs::read_to_string(&path).unwrap(), scratch.names()), (TEXT.into(), vec!["a.xml".into()]));
}

#[test]
fn path_that_is_no_file_is_refused() {
    let scratch = Scratch::new();
    let error = save(&scratch.path, &config(), None).unwrap_err();
    let expected = "not a regular file, expected a configuration file; mend the file, then save";
    assert_eq!(error.to_string(), format!("{}: {expected}", scratch.path.display()));
    let missing = scratch.path.join("none/a.xml");
    let error = save(&missing, &config(), None).unwrap_err();
    assert!(message(&error, &missing).starts_with("a.xml: cannot open the directory of the file, No such"), "{error}");
    let gone = scratch.path.join("a.xml");
    assert!(matches!(save(&gone, &config(), Some(&config())), Err(SaveError::Changed(_))));
    assert_eq!(scratch.names(), [""; 0]);
}

#[test]
fn configuration_that_no_file_can_have_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.file("a.xml", TEXT);
    let mut invalid = config();
    invalid.services[0].groups[0].hosts.clear();
    let error = save(&path, &invalid, None).unwrap_err();
    let expected = "a.xml: no file can have this configuration, <group name=\"g\"> has no <host>, expected at least one \
                    <host ip=\"ADDRESS:PORT\"/>; change that, then save";
    assert_eq!(message(&error, &path), expected);
    assert_eq!((fs::read_to_string(&path).unwrap(), scratch.names()), (TEXT.into(), vec!["a.xml".into()]));
}

#[test]
fn file_that_would_be_too_large_is_refused_with_its_comments() {
    let scratch = Scratch::new();
    let max = usize::try_from(CONFIG_FILE_BYTES_MAX).unwrap();
    let text = TEXT.replace("kept", &"x".repeat(max - TEXT.len() + "kept".len()));
    let path = scratch.file("a.xml", &text);
    let error = save(&path, &heavier(2).0, None).unwrap_err();
    let expected = "a.xml: the file would have 4194315 bytes, expected at most 4194304; remove something from it";
    assert_eq!(message(&error, &path), expected);
    assert_eq!((fs::read_to_string(&path).unwrap(), scratch.names()), (text, vec!["a.xml".into()]));
}
