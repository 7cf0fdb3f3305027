//! Unix sockets with a mode of their own, who is at their other end, and the names of users and groups.

use std::ffi::{CStr, CString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::model::address::UnixName;

/// Room for the texts of one entry of the user or group database, in bytes.
const ENTRY_BYTES: usize = 16 * 1024;
/// Supplementary groups that a process may have; see credentials(7), `NGROUPS_MAX`.
const GROUPS_MAX: usize = 65_536;

/// The process at the other end of a Unix socket, as it was when it connected. See unix(7), `SO_PEERCRED`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its id; 0 in another namespace.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its other groups.
    pub groups: Vec<u32>,
}

impl Peer {
    /// Whether it is in this group.
    #[must_use]
    pub fn is_in(&self, group: u32) -> bool {
        self.gid == group || self.groups.contains(&group)
    }
}

/// Who is at the other end.
///
/// # Errors
/// What the system call answers.
pub fn peer(socket: &impl AsRawFd) -> io::Result<Peer> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    #[expect(clippy::cast_possible_truncation, reason = "a dozen bytes")]
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    let fd = socket.as_raw_fd();
    // SAFETY: `credentials` is valid for writes of `length` bytes, and the descriptor open while `socket` is borrowed.
    let result = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut credentials).cast(), &raw mut length)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let libc::ucred { pid, uid, gid } = credentials;
    Ok(Peer { pid, uid, gid, groups: peer_groups(fd) })
}

/// The supplementary groups of the other end; none where the kernel does not tell (before 4.13).
fn peer_groups(fd: i32) -> Vec<u32> {
    let mut groups = vec![0_u32; 64];
    loop {
        let mut length = libc::socklen_t::try_from(size_of_val(groups.as_slice())).unwrap_or(0);
        // SAFETY: `groups` is valid for writes of `length` bytes.
        let result = unsafe {
            libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERGROUPS, groups.as_mut_ptr().cast(), &raw mut length)
        };
        let count = length as usize / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return groups;
        }
        // The kernel says how many there are when there is too little room.
        let too_small = io::Error::last_os_error().raw_os_error() == Some(libc::ERANGE);
        if !too_small || count <= groups.len() || count > GROUPS_MAX {
            return Vec::new();
        }
        groups.resize(count, 0);
    }
}

/// What tells a file from all others of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

/// The file of that name itself, not what a symbolic link points to.
///
/// # Errors
/// What the system call answers.
pub fn file_id(path: &Path) -> io::Result<FileId> {
    fs::symlink_metadata(path).map(|data| FileId { device: data.dev(), inode: data.ino() })
}

/// Who may connect to a socket that is a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The mode of the file.
    pub mode: u32,
    /// The group that it belongs to; none: that of its directory, or the process's.
    pub group: Option<u32>,
}

impl Rights {
    /// For the user alone, and for this group if there is one.
    #[must_use]
    pub const fn of_group(group: Option<u32>) -> Self {
        Self { mode: if group.is_some() { 0o660 } else { 0o600 }, group }
    }
}

/// Listens on a new socket of that name, non-blocking. Its rights are never wider than asked for, not for a moment, and
/// nobody can connect before it is ready. Does not block.
///
/// # Errors
/// What the system calls answer, `EADDRINUSE` when the name is taken. A socket that was made is removed again.
pub fn listen(path: &Path, rights: Rights, backlog: i32) -> io::Result<(OwnedFd, FileId)> {
    let socket = open()?;
    // The file gets the mode that the socket has when it is bound, less the umask.
    let socket = File::from(socket);
    socket.set_permissions(fs::Permissions::from_mode(0o600 & rights.mode))?;
    let socket = Socket::from(OwnedFd::from(socket));
    socket.bind(&SockAddr::unix(path)?)?;
    let id = file_id(path)?;
    match set_rights(path, id, rights).and_then(|()| socket.listen(backlog)) {
        Ok(()) => Ok((socket.into(), id)),
        Err(error) => {
            if file_id(path).is_ok_and(|now| now == id) {
                let _ = fs::remove_file(path);
            }
            Err(error)
        }
    }
}

/// As [`listen`], under an abstract name (unix(7)): everybody of this network namespace may connect.
///
/// # Errors
/// See [`listen`].
pub fn listen_abstract(name: UnixName, backlog: i32) -> io::Result<OwnedFd> {
    let socket = Socket::from(open()?);
    socket.bind(&address(name)?)?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// The name as the system takes it.
///
/// # Errors
/// It is too long.
pub(super) fn address(name: UnixName) -> io::Result<SockAddr> {
    match name.as_str().strip_prefix('@') {
        Some(hidden) => SockAddr::unix(format!("\0{hidden}")),
        None => SockAddr::unix(name.as_str()),
    }
}

fn open() -> io::Result<OwnedFd> {
    Socket::new_raw(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None).map(OwnedFd::from)
}

/// Gives the file its group and mode, if it is this one still.
///
/// # Errors
/// What the system calls answer; `EPERM`: the process may not give files to that group.
pub fn set_rights(path: &Path, id: FileId, rights: Rights) -> io::Result<()> {
    if rights.group.is_some() {
        lchown(path, None, rights.group)?;
    }
    // By its descriptor, because chmod(2) follows symbolic links.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path)?;
    let data = file.metadata()?;
    if (FileId { device: data.dev(), inode: data.ino() }) != id {
        return Err(io::Error::other("somebody else replaced it"));
    }
    let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::set_permissions(itself, fs::Permissions::from_mode(rights.mode))
}

/// Whether somebody listens on the socket of that name: none when that cannot be told.
#[must_use]
pub fn is_answered(path: &Path) -> Option<bool> {
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    match connect() {
        Ok(()) => Some(true),
        // So many wait that there is no room for one more.
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Some(true),
        Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => Some(false),
        Err(_) => None,
    }
}

/// The user that this process has the rights of.
#[must_use]
pub fn own_user() -> u32 {
    // SAFETY: the call takes no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// A user's entry in the system's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The shell that commands are started with.
    pub shell: String,
}

/// The user of that number; none when there is none, or the database cannot be asked.
#[must_use]
pub fn account(uid: u32) -> Option<Account> {
    let mut room = vec![0_u8; ENTRY_BYTES];
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut found = std::ptr::null_mut();
    // SAFETY: all pointers are valid for the call, `room` for as many bytes as are said.
    let result =
        unsafe { libc::getpwuid_r(uid, entry.as_mut_ptr(), room.as_mut_ptr().cast(), room.len(), &raw mut found) };
    if result != 0 || found.is_null() {
        return None;
    }
    // SAFETY: `found` points to `entry`, which the call filled; its texts are in `room`, and end with a zero.
    let (name, shell) = unsafe { (CStr::from_ptr((*found).pw_name), CStr::from_ptr((*found).pw_shell)) };
    let text = |text: &CStr| text.to_string_lossy().into_owned();
    Some(Account { name: text(name), shell: text(shell) })
}

/// Whether the account of that name is locked, as far as this process is told; see shadow(5), the encrypted password.
#[must_use]
pub fn is_locked(name: &str) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    let mut room = vec![0_u8; ENTRY_BYTES];
    let mut entry = MaybeUninit::<libc::spwd>::uninit();
    let mut found = std::ptr::null_mut();
    // SAFETY: all pointers are valid for the call, `room` for as many bytes as are said.
    let result = unsafe {
        libc::getspnam_r(name.as_ptr(), entry.as_mut_ptr(), room.as_mut_ptr().cast(), room.len(), &raw mut found)
    };
    // SAFETY: where `found` is not null it points to `entry`, which the call filled; its text is in `room`.
    result == 0 && !found.is_null() && unsafe { CStr::from_ptr((*found).sp_pwdp) }.to_bytes().starts_with(b"!")
}

/// The number of the group of that name or number.
///
/// # Errors
/// There is no such group, or the database cannot be asked.
pub fn group(name: &str) -> io::Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let text = CString::new(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut room = vec![0_u8; ENTRY_BYTES];
    loop {
        let mut entry = MaybeUninit::<libc::group>::uninit();
        let mut found = std::ptr::null_mut();
        // SAFETY: all pointers are valid for the call, `room` for as many bytes as are said.
        let result = unsafe {
            libc::getgrnam_r(text.as_ptr(), entry.as_mut_ptr(), room.as_mut_ptr().cast(), room.len(), &raw mut found)
        };
        match result {
            0 if found.is_null() => return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such group")),
            // SAFETY: `found` points to `entry`, which the call filled.
            0 => return Ok(unsafe { (*found).gr_gid }),
            // A group with very many members.
            libc::ERANGE if room.len() < ENTRY_BYTES * 256 => room.resize(room.len() * 4, 0),
            errno => return Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;

    fn place(name: &str) -> PathBuf {
        let place = std::env::temp_dir().join(format!("director-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&place);
        place
    }

    #[test]
    fn socket_has_its_mode_and_group_and_tells_its_peer() {
        for (group, mode) in [(None, 0o600), (Some(own_group()), 0o660)] {
            let path = place(&format!("mode-{mode:o}"));
            let (listener, id) = listen(&path, Rights::of_group(group), 8).unwrap();
            let data = fs::symlink_metadata(&path).unwrap();
            assert!(data.file_type().is_socket());
            assert_eq!(data.permissions().mode() & 0o777, mode);
            assert_eq!(file_id(&path).unwrap(), id);
            assert_eq!(is_answered(&path), Some(true));
            let client = UnixStream::connect(&path).unwrap();
            let peer = peer(&client).unwrap();
            assert_eq!((peer.uid, u32::try_from(peer.pid).unwrap()), (own_user(), std::process::id()));
            assert!(peer.is_in(peer.gid));
            assert_eq!(listen(&path, Rights::of_group(None), 8).unwrap_err().kind(), io::ErrorKind::AddrInUse);
            drop(listener);
            assert_eq!(is_answered(&path), Some(false));
            fs::remove_file(&path).unwrap();
        }
    }

    fn own_group() -> u32 {
        fs::metadata("/proc/self").unwrap().gid()
    }

    #[test]
    fn names_are_those_of_the_system() {
        assert_eq!(account(0).map(|root| root.name).as_deref(), Some("root"));
        assert_eq!(group("root").unwrap(), 0);
        assert_eq!(group("4711").unwrap(), 4711);
        assert_eq!(group("no such group").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
