//! Settings of the kernel that cost connections, told at start.

use std::fs;
use std::path::Path;

use log::{info, warn};

/// Says what is set too low for this command line. A setting that cannot be read is none to talk about.
pub(super) fn advise(backlog: u32) {
    let settings = Path::new("/proc/sys");
    if let Some(line) = short_backlog(settings, backlog) {
        warn!("{line}");
    }
    if let Some(line) = no_migration(settings) {
        info!("{line}");
    }
}

fn short_backlog(settings: &Path, backlog: u32) -> Option<String> {
    let allowed = read(settings, "net/core/somaxconn").filter(|allowed| *allowed < backlog)?;
    Some(format!(
        "net.core.somaxconn is {allowed}: no more clients than that can wait, although --backlog is {backlog}"
    ))
}

/// See ip-sysctl in the kernel's documentation, `tcp_migrate_req`.
fn no_migration(settings: &Path) -> Option<String> {
    read(settings, "net/ipv4/tcp_migrate_req").filter(|migrate| *migrate == 0)?;
    let told = "net.ipv4.tcp_migrate_req is 0: a client in the middle of its handshake when a listener closes is \
                reset; 1 hands it to another listener of the same address";
    Some(told.to_owned())
}

fn read(settings: &Path, name: &str) -> Option<u32> {
    fs::read_to_string(settings.join(name)).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder like `/proc/sys`.
    struct Settings(std::path::PathBuf);

    impl Settings {
        fn with(test: &str, name: &str, value: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("director-{}-{test}", std::process::id()));
            fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            fs::write(folder.join(name), value).unwrap();
            Self(folder)
        }
    }

    impl Drop for Settings {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn backlog_above_what_the_kernel_allows_is_told() {
        let settings = Settings::with("somaxconn", "net/core/somaxconn", "128\n");
        let line = short_backlog(&settings.0, 4096).unwrap();
        assert_eq!(line, "net.core.somaxconn is 128: no more clients than that can wait, although --backlog is 4096");
        assert_eq!(short_backlog(&settings.0, 128), None);
    }

    #[test]
    fn missing_migration_is_told() {
        let settings = Settings::with("migrate", "net/ipv4/tcp_migrate_req", "0\n");
        assert!(no_migration(&settings.0).unwrap().starts_with("net.ipv4.tcp_migrate_req is 0: "));
        let settings = Settings::with("migrates", "net/ipv4/tcp_migrate_req", "1\n");
        assert_eq!(no_migration(&settings.0), None);
    }

    #[test]
    fn setting_that_cannot_be_read_is_not_talked_about() {
        let nowhere = Path::new("/nowhere");
        assert_eq!((short_backlog(nowhere, 4096), no_migration(nowhere)), (None, None));
    }
}
