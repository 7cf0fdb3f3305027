//! `--user` and `--chroot`: what the process gives up once everything is open that needs it.
//!
//! Listeners, logs, the control socket, the page's socket, the certificate and the process id's file are there by then.
//! What comes later happens as that user and in that directory: a reload reads the configuration there, logs are reopened
//! there, and a listener on a port below 1024 that is new cannot be had.

use std::io;
use std::path::{Path, PathBuf};

use log::{info, warn};

use super::Failure;
use super::options::Options;
use crate::admin::ssh::state_directory;
use crate::config::{Address, Config, LogTarget};
use crate::sys::privileges::{self, Identity};
use crate::sys::unix;

/// What is given up.
#[derive(Debug)]
pub(super) struct Confinement {
    user: Option<(String, Identity)>,
    root: Option<PathBuf>,
}

impl Confinement {
    /// What this command line asks for, made sure of before anything is opened. It holds for programs that this process
    /// starts from now on.
    ///
    /// # Errors
    /// There is no such user, group or directory, it takes root, or the configuration has what cannot work so.
    pub(super) fn prepare(options: &Options, config: &Config) -> Result<Option<Self>, Failure> {
        if options.user.is_none() && options.chroot.is_none() {
            return Ok(None);
        }
        if !privileges::is_root() {
            let what = "--user and --chroot take root, expected to be started as root, or without them as that user";
            return Err(Failure::Usage(what.into()));
        }
        if config.admin.as_ref().is_some_and(|admin| admin.ssh.is_some()) {
            let what = "--user and --chroot: <ssh> starts the system's OpenSSH server again and again, expected to be \
                        started as that user instead, or <ssh> without enable=\"true\"";
            return Err(Failure::Usage(what.into()));
        }
        let user = options.user.as_deref().map(|text| Ok((text.to_owned(), identity(text)?))).transpose();
        let user = user.map_err(Failure::Usage)?;
        if let Some(root) = &options.chroot
            && !root.is_dir()
        {
            return Err(Failure::Usage(format!("--chroot {}: there is no such directory", root.display())));
        }
        privileges::forbid_new_privileges().map_err(|error| Failure::start("forbid new privileges", &error))?;
        Ok(Some(Self { user, root: options.chroot.clone() }))
    }

    /// Gives it up, for good.
    ///
    /// # Errors
    /// It could not be; the process must end.
    pub(super) fn enter(&self, config: &Config, pidfile: Option<&Path>) -> Result<(), Failure> {
        if let Some((_, identity)) = &self.user {
            give_files(config, pidfile, identity);
        }
        if let Some(root) = &self.root {
            for line in missing(root, config) {
                warn!("--chroot {}: {line}", root.display());
            }
            let failed = |error: io::Error| Failure::start(&format!("change to the root {}", root.display()), &error);
            privileges::change_root(root).map_err(failed)?;
        }
        if let Some((name, identity)) = &self.user {
            let failed = |error: io::Error| Failure::start(&format!("become the user {name}"), &error);
            identity.assume().map_err(failed)?;
        }
        match privileges::forbid_system_calls() {
            Ok(()) => {}
            Err(error) => warn!("system calls that nobody needs stay allowed: {error}"),
        }
        let user = self.user.as_ref().map_or_else(
            || String::from("root still"),
            |(name, identity)| format!("{name} (user {}, group {})", identity.uid, identity.gid),
        );
        let root = self.root.as_ref().map_or_else(String::new, |root| format!(", below {}", root.display()));
        info!("runs as {user}{root}");
        Ok(())
    }
}

/// `NAME[:GROUP]`, each a name or a number.
fn identity(text: &str) -> Result<Identity, String> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let identity = Identity::of(user).map_err(|error| format!("--user {text}: {user:?}: {error}"))?;
    let Some(group) = group else { return Ok(identity) };
    let gid = unix::group(group).map_err(|error| format!("--user {text}: {group:?}: {error}"))?;
    Ok(identity.in_group(gid))
}

/// Hands over what was made so far and is needed later.
fn give_files(config: &Config, pidfile: Option<&Path>, identity: &Identity) {
    let mut paths: Vec<PathBuf> = pidfile.into_iter().map(Path::to_owned).collect();
    paths.extend(config.log_file.clone());
    if let Some(LogTarget::File(path)) = config.access_log.as_ref().map(|log| &log.to) {
        paths.push(path.clone());
    }
    paths.extend(config.control.as_ref().map(|control| control.socket.clone()));
    if let Some(state) = state_directory() {
        let within = std::fs::read_dir(&state).into_iter().flatten().flatten().map(|entry| entry.path());
        paths.extend(within.filter(|path| path.is_file()));
        paths.push(state);
    }
    for path in paths {
        match privileges::give(&path, identity) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warn!("{} stays root's: {error}", path.display()),
        }
    }
}

/// What will be looked for below this root and is not there, and what follows from that.
fn missing(root: &Path, config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    let lacks = |path: &Path| !path.parent().is_some_and(|parent| below(root, parent).is_dir());
    if let Some(log) = config.log_file.as_ref().filter(|path| lacks(path)) {
        lines.push(format!("it has no directory for {}, so the log cannot be reopened", log.display()));
    }
    if let Some(LogTarget::File(path)) = config.access_log.as_ref().map(|log| &log.to)
        && lacks(path)
    {
        lines.push(format!("it has no directory for {}, so the access log cannot be reopened", path.display()));
    }
    if let Some(status) = config.status.as_ref().filter(|status| lacks(&status.file)) {
        lines.push(format!("it has no directory for {}, so there is no status page", status.file.display()));
    }
    let hosts = config.services.iter().flat_map(|service| &service.groups).flat_map(|group| &group.hosts);
    let has_names = hosts.map(|host| &host.address).any(|address| matches!(address, Address::Name { .. }));
    if has_names && !below(root, Path::new("/etc/resolv.conf")).exists() {
        lines.push(String::from("it has no etc/resolv.conf, so names of hosts are not resolved any more"));
    }
    lines
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_group_are_names_or_numbers_of_the_system() {
        assert_eq!(identity("root").unwrap().uid, 0);
        assert_eq!((identity("0:4711").unwrap().gid, identity("root:root").unwrap().gid), (4711, 0));
        let error = identity("nobody at all").unwrap_err();
        assert_eq!(error, "--user nobody at all: \"nobody at all\": there is no such user");
        assert!(identity("root:no group").unwrap_err().contains("there is no such group"));
    }

    #[test]
    fn what_a_new_root_lacks_is_told_with_what_follows() {
        let text = "<director><service name='s'><listen ip='*:1'/><group name='g'><host ip='h:2'/></group></service>\
                    <logging file='/nowhere/at/all.log'/></director>";
        let config = crate::config::parse(text, "f").unwrap();
        let lines = missing(Path::new("/nowhere"), &config);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("cannot be reopened") && lines[1].contains("not resolved"), "{lines:?}");
    }
}
