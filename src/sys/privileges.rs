//! Giving up what a process started with: its root directory, its user, and system calls that it has no use for.
//!
//! All of it holds for every thread of the process, those that run already among them: the C library tells the other
//! threads of setgroups(2), setresgid(2) and setresuid(2) (see nptl(7)), threads share their root directory (`CLONE_FS`,
//! see clone(2)), and the filter is told to (`SECCOMP_FILTER_FLAG_TSYNC`, see seccomp(2)).

use std::ffi::{CString, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::fs::chroot;
use std::path::Path;

/// Room for the texts of one entry of the user database, in bytes.
const ENTRY_BYTES: usize = 16 * 1024;
/// Supplementary groups of a user; see credentials(7), `NGROUPS_MAX`.
const GROUPS_MAX: usize = 65_536;

/// Who a process is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The other groups.
    pub groups: Vec<u32>,
}

impl Identity {
    /// The user of this name or number, with its own group and its other groups from the system's database.
    ///
    /// # Errors
    /// There is no such user, or the database cannot be asked.
    pub fn of(user: &str) -> io::Result<Self> {
        let name = CString::new(user).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut room = vec![0_u8; ENTRY_BYTES];
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut found = std::ptr::null_mut();
        let number: Option<u32> = user.parse().ok();
        // SAFETY: all pointers are valid for the call, `room` for as many bytes as are said.
        let result = unsafe {
            match number {
                Some(uid) => {
                    libc::getpwuid_r(uid, entry.as_mut_ptr(), room.as_mut_ptr().cast(), room.len(), &raw mut found)
                }
                None => libc::getpwnam_r(
                    name.as_ptr(),
                    entry.as_mut_ptr(),
                    room.as_mut_ptr().cast(),
                    room.len(),
                    &raw mut found,
                ),
            }
        };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(result));
        }
        if found.is_null() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such user"));
        }
        // SAFETY: `found` points to `entry`, which the call filled; its name is in `room`, and ends with a zero.
        let (uid, gid, groups) = unsafe {
            let entry = &*found;
            (entry.pw_uid, entry.pw_gid, groups_of(entry.pw_name, entry.pw_gid)?)
        };
        Ok(Self { uid, gid, groups })
    }

    /// The same user with this group, and no others.
    #[must_use]
    pub fn in_group(self, gid: u32) -> Self {
        Self { gid, groups: vec![gid], ..self }
    }

    /// Makes this process that user's, for good: every thread, real, effective and saved. All capabilities go with it;
    /// see capabilities(7), "Effect of user ID changes".
    ///
    /// # Errors
    /// What the system calls answer; the process must not go on then, because some of it may be done.
    pub fn assume(&self) -> io::Result<()> {
        // SAFETY: `groups` is valid for as many numbers as are said; the other calls take numbers only.
        unsafe {
            check(libc::setgroups(self.groups.len(), self.groups.as_ptr()))?;
            check(libc::setresgid(self.gid, self.gid, self.gid))?;
            check(libc::setresuid(self.uid, self.uid, self.uid))?;
        }
        // SAFETY: the call takes a number and fails, or else the process ends.
        if self.uid != 0 && unsafe { libc::setuid(0) } == 0 {
            return Err(io::Error::other("the way back to root is open"));
        }
        Ok(())
    }
}

/// The groups of a user.
///
/// # Safety
/// `name` is a text that ends with a zero.
unsafe fn groups_of(name: *const libc::c_char, gid: u32) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; 64];
    loop {
        let room = c_int::try_from(groups.len()).unwrap_or(c_int::MAX);
        let mut count = room;
        // SAFETY: `groups` has room for `count` numbers, and `name` is a text.
        let result = unsafe { libc::getgrouplist(name, gid, groups.as_mut_ptr(), &raw mut count) };
        let wanted = usize::try_from(count).unwrap_or(0);
        if result >= 0 {
            groups.truncate(wanted);
            return Ok(groups);
        }
        if wanted <= groups.len() || wanted > GROUPS_MAX {
            return Err(io::Error::other("the groups of the user cannot be read"));
        }
        groups.resize(wanted, 0);
    }
}

/// Whether this process has the rights of root.
#[must_use]
pub fn is_root() -> bool {
    crate::sys::unix::own_user() == 0
}

/// Makes this directory the root of all paths that the process opens from now on. See chroot(2).
///
/// # Errors
/// What the system calls answer: `EPERM` without root's rights.
pub fn change_root(path: &Path) -> io::Result<()> {
    chroot(path)?;
    std::env::set_current_dir("/")
}

/// Lets no program that this process starts have more rights than it has, threads that run already left out: call it
/// before there are any. See prctl(2), `PR_SET_NO_NEW_PRIVS`.
///
/// # Errors
/// What the system call answers.
pub fn forbid_new_privileges() -> io::Result<()> {
    // SAFETY: the call takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

/// Gives a file that this process has made to that user; one that is no regular file or socket is left alone, as one that
/// is not root's. Links are not followed.
///
/// # Errors
/// What the system calls answer.
pub fn give(path: &Path, to: &Identity) -> io::Result<()> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, lchown};
    let data = std::fs::symlink_metadata(path)?;
    if data.uid() != 0 {
        return Ok(());
    }
    if data.file_type().is_socket() {
        // Its group stays: members of it may connect.
        return lchown(path, Some(to.uid), None);
    }
    if data.is_dir() {
        return lchown(path, Some(to.uid), Some(to.gid));
    }
    if !data.is_file() {
        return Ok(());
    }
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    // It is looked at again, because somebody who may write to the directory could have put another one there; a second
    // name could be that of a file which is none of ours.
    let data = file.metadata()?;
    if !data.is_file() || data.uid() != 0 || data.nlink() != 1 {
        return Err(io::Error::other("it is not a file of root's with one name"));
    }
    std::os::unix::fs::fchown(&file, Some(to.uid), Some(to.gid))
}

/// System calls that a balancer has no use for once it runs and an intruder has: starting programs, looking into other
/// processes, changing what is mounted, loaded or watched.
const FORBIDDEN: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_open_by_handle_at,
];

/// `AUDIT_ARCH_*` of this machine; see linux/audit.h.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;

/// Refuses system calls that a running balancer has no use for with `EPERM` to all threads (starting programs, tracing,
/// mounting, loading and the like), and those of another architecture. Needs
/// [`forbid_new_privileges`]. See seccomp(2).
///
/// # Errors
/// What the system call answers: `EINVAL` where the kernel has no filters; `Unsupported` on architectures whose numbers
/// are not known here.
pub fn forbid_system_calls() -> io::Result<()> {
    let architecture = ARCHITECTURE.ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
    let mut program = filter(architecture);
    let length = libc::c_ushort::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: `program` and what it points to are valid for the call, which copies them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    match result {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} does not take the filter"))),
    }
}

/// The filter: its architecture, then each number, then the rest is allowed.
fn filter(architecture: u32) -> Vec<libc::sock_filter> {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    /// Offsets in `struct seccomp_data`.
    const NUMBER_AT: u32 = 0;
    const ARCHITECTURE_AT: u32 = 4;
    /// Numbers of the x32 variant of x86-64 begin here; no other architecture has so many.
    const X32: u32 = 0x4000_0000;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let mut program = vec![
        step(LOAD, 0, 0, ARCHITECTURE_AT),
        step(EQUAL, 1, 0, architecture),
        step(RETURN, 0, 0, refuse),
        step(LOAD, 0, 0, NUMBER_AT),
        step(LEAST, 0, 1, X32),
        step(RETURN, 0, 0, refuse),
    ];
    for number in FORBIDDEN {
        let number = u32::try_from(*number).unwrap_or(u32::MAX);
        program.extend([step(EQUAL, 0, 1, number), step(RETURN, 0, 0, refuse)]);
    }
    program.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    program
}

fn check(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_those_of_the_system() {
        let root = Identity::of("root").unwrap();
        assert_eq!((root.uid, root.gid, Identity::of("0").unwrap().uid), (0, 0, 0));
        assert!(root.groups.contains(&0));
        let other = root.in_group(7);
        assert_eq!((other.uid, other.gid, other.groups), (0, 7, vec![7]));
        assert_eq!(Identity::of("no such user").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
