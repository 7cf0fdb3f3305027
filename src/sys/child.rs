//! Processes that this one starts and looks after.

use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Starts a process that ends with `SIGTERM` when the thread that started it does, however that comes about. It gets no
/// descriptor but those that the command names: all of ours are closed on exec. See prctl(2), `PR_SET_PDEATHSIG`.
///
/// # Errors
/// It cannot be started.
pub fn spawn_dependent(command: &mut Command) -> io::Result<Child> {
    let parent = std::process::id();
    // SAFETY: what runs between fork and exec only makes system calls, and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have ended before.
            if u32::try_from(libc::getppid()) != Ok(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
    command.spawn()
}

/// A descriptor that becomes readable when this child ends. See pidfd_open(2).
///
/// # Errors
/// What the system call answers, `ENOSYS` before Linux 5.3.
pub fn end_of(child: &Child) -> io::Result<OwnedFd> {
    let pid = libc::pid_t::try_from(child.id()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: the call takes two integers; a child that was not waited for keeps its id.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match i32::try_from(fd) {
        // SAFETY: the call returned a descriptor that nobody else has.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Ok(_) | Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Asks the child to end. It has to be one that was not waited for, so that its id is still its own.
pub fn terminate(child: &Child) {
    terminate_pid(child.id());
}

/// Asks all that this child has started, and what those have, to end; then the child itself.
pub fn terminate_tree(child: &Child) {
    for pid in descendants(child.id()) {
        terminate_pid(pid);
    }
    terminate(child);
}

fn terminate_pid(pid: u32) {
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        // SAFETY: the call takes two integers.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}

/// The processes below this one, as /proc has them now; see proc(5).
fn descendants(root: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let parents: Vec<(u32, u32)> = entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name, in parentheses, may have spaces and parentheses of its own.
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;

    #[test]
    fn children_of_a_child_are_found_and_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & wait"]).stdin(Stdio::null());
        let mut child = spawn_dependent(&mut command).unwrap();
        let _end = end_of(&child).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while descendants(child.id()).is_empty() {
            assert!(std::time::Instant::now() < deadline);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let below = descendants(child.id());
        terminate_tree(&child);
        assert!(!child.wait().unwrap().success());
        assert_eq!(below.len(), 1);
    }
}
