//! What this process may use of the machine: descriptors, memory, ports.

use std::fs;
use std::io;
use std::path::Path;

/// Raises the soft limit of open files to the hard one and returns it. See getrlimit(2).
///
/// # Errors
/// What the system calls answer.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that the call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is a valid rlimit that the call only reads.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_cur)
}

/// Memory this process may use, in bytes: the machine's, or its control group's when that is less.
///
/// # Errors
/// `/proc/meminfo` cannot be read or does not tell.
pub fn memory_bytes() -> io::Result<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/meminfo has no MemTotal"))?
        .saturating_mul(1024);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = groups.lines().filter_map(group_memory_limit).min();
    Ok(limit.map_or(total, |limit| limit.min(total)))
}

/// The memory limit of one line of `/proc/self/cgroup` (`ID:CONTROLLERS:PATH`); see cgroups(7).
fn group_memory_limit(line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let file = match controllers {
        "" => format!("/sys/fs/cgroup{path}/memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes")
        }
        _ => return None,
    };
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The ports that the kernel gives to outgoing connections, first and last. See ip(7), `ip_local_port_range`.
///
/// The kernel's default where the file cannot be read.
#[must_use]
pub fn ephemeral_ports() -> (u16, u16) {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) => (first, last),
        _ => (32_768, 60_999),
    }
}

/// Opens a file to read and write, and makes it (mode 0644) when it is missing. A symbolic link is not followed, and a
/// pipe's other end not waited for. See open(2), `O_NOFOLLOW`.
///
/// # Errors
/// What the system call answers, `ELOOP` for a symbolic link.
pub fn open_in_place(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o644);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
}

/// Locks the file behind this descriptor for this process alone, without waiting. See flock(2).
///
/// # Errors
/// `EWOULDBLOCK` when another process holds it.
pub fn lock_exclusively(file: &fs::File) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open for as long as `file` is borrowed.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raised_limit_is_the_hard_one() {
        let limit = raise_open_files().unwrap();
        assert_eq!(raise_open_files().unwrap(), limit);
        assert!(limit > 0);
    }

    #[test]
    fn memory_is_at_least_what_this_test_needs() {
        assert!(memory_bytes().unwrap() > 1 << 20);
    }

    #[test]
    fn ephemeral_ports_are_a_range() {
        let (first, last) = ephemeral_ports();
        assert!(first <= last);
    }
}
