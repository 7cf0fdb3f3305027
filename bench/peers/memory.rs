//! What the kernel keeps for sockets.
//!
//! It is counted in `/proc/slabinfo`, which only root may read: objects in use times their size, summed over all caches
//! but those that have nothing to do with open sockets and change while files are read, processes start and closed
//! connections are forgotten. Summed over what is left, because the names of the caches that sockets live in depend on
//! the kernel: it may keep objects of equal size together. Left out with the files' caches are the directory entry and
//! the security label that every socket has, some 220 bytes, alike for all balancers. Data in flight is not there: the
//! connections that this is for are idle.
//!
//! A difference of two readings has an error of a slab or so a cache and CPU; over thousands of connections that is a
//! few dozen bytes a connection.

use std::fs;
use std::io;

/// Beginnings of the names of caches that are left out.
const LEFT_OUT: [&str; 35] = [
    // Files and their pages.
    "ext4",
    "jbd2",
    "xfs",
    "btrfs",
    "nfs",
    "ovl",
    "fuse",
    "bio",
    "buffer_head",
    "extent_status",
    "radix_tree_node",
    "proc_",
    "inode_cache",
    "shmem_inode",
    "kernfs",
    "pde_opener",
    "seq_file",
    "dentry",
    "names_cache",
    "lsm_inode",
    "kmalloc-rcl",
    "file_lock",
    // Processes.
    "task",
    "pid",
    "signal",
    "sighand",
    "files_cache",
    "fs_cache",
    "cred",
    "mm_struct",
    "vm",
    "anon_vma",
    "maple",
    // Connections that have been closed or are not yet made.
    "tw_sock",
    "request_sock",
];

/// Bytes in use for sockets and all that belongs to them, on the whole machine. `None` without the right to know.
pub(crate) fn of_sockets() -> io::Result<Option<u64>> {
    match fs::read_to_string("/proc/slabinfo") {
        Ok(text) => Ok(Some(text.lines().filter_map(bytes_in_use).sum())),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error),
    }
}

/// Of one line: name, objects in use, objects, size of an object. The lines of the header have no numbers there.
fn bytes_in_use(line: &str) -> Option<u64> {
    let mut fields = line.split_whitespace();
    let name = fields.next()?;
    let objects: u64 = fields.next()?.parse().ok()?;
    let bytes: u64 = fields.nth(1)?.parse().ok()?;
    let counts = !LEFT_OUT.iter().any(|left_out| name.starts_with(left_out));
    counts.then_some(objects * bytes)
}
