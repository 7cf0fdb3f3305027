//! The directory of the SSH server, and what is in it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sys::process::{lock_exclusively, open_in_place};
use crate::sys::unix::own_user;

/// Where programs are looked for that are not beside this one.
const PLACES: [&str; 6] = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/sbin", "/bin"];

/// The directory, which nobody else can look into.
#[derive(Clone, Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    /// Makes it, if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or is somebody else's.
    pub(super) fn make() -> Result<Self, String> {
        let state =
            state_directory().ok_or("no state directory: expected $STATE_DIRECTORY, $XDG_STATE_HOME or $HOME")?;
        let path = state.join("ssh");
        let wrong = |error: io::Error| format!("{}: {error}", path.display());
        DirBuilder::new().recursive(true).mode(0o755).create(&state).map_err(wrong)?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(wrong(error)),
        }
        let data = fs::symlink_metadata(&path).map_err(wrong)?;
        if !data.is_dir() || data.uid() != own_user() {
            return Err(format!("{} is not a directory of this user's", path.display()));
        }
        if data.mode() & 0o077 != 0 {
            fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(wrong)?;
        }
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The control socket of a balancer without another one.
    pub(super) fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// Keeps other balancers out, as long as the file is kept.
    ///
    /// # Errors
    /// Another one is in.
    pub(super) fn lock(&self) -> Result<File, String> {
        let path = self.0.join("lock");
        let file = open_in_place(&path).and_then(|file| lock_exclusively(&file).map(|()| file));
        file.map_err(|error| {
            let shown = path.display();
            format!("{shown}: {error}; another balancer has it, expected a $STATE_DIRECTORY for each")
        })
    }

    /// Writes a file whole: who reads it sees the old text or the new.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let (path, new) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Makes the host key at the first start.
    ///
    /// # Errors
    /// There is no ssh-keygen, or it fails.
    pub(super) fn host_key(&self) -> Result<(), String> {
        let key = self.0.join("host_ed25519");
        if key.exists() {
            return Ok(());
        }
        let keygen = program("ssh-keygen").ok_or("ssh-keygen is not installed (Debian: openssh-client)")?;
        let mut command = Command::new(keygen);
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", "director", "-f"]).arg(&key);
        let output = command.stdin(Stdio::null()).output().map_err(|error| format!("ssh-keygen: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("ssh-keygen: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// See the module [`super`].
pub fn state_directory() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // systemd separates several by colons; the first is the service's own.
    let systemd = set("STATE_DIRECTORY").and_then(|paths| paths.to_str()?.split(':').next().map(PathBuf::from));
    if systemd.is_some() {
        return systemd;
    }
    if own_user() == 0 {
        return Some(PathBuf::from("/var/lib/director"));
    }
    set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state"))).map(|state| state.join("director"))
}

/// A program of the system, where it is: `sshd` wants to know its own whole path.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let places = PLACES.iter().map(|place| Path::new(place).join(name));
    places.into_iter().find(|path| is_program(path))
}

/// `directorctl`: beside this program, or where programs are.
pub(super) fn directorctl() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join("directorctl")));
    beside.filter(|path| is_program(path)).or_else(|| program("directorctl"))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0)
}
