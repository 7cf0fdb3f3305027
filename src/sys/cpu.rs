//! Which processors this process may use.

use std::io;
use std::mem;

/// The processors that the calling thread may run on, in ascending order. See sched_getaffinity(2).
///
/// # Errors
/// What the system call answers.
pub fn allowed() -> io::Result<Vec<usize>> {
    // SAFETY: a cpu_set_t is a plain bit array; all zeroes is a valid, empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `set` is a valid cpu_set_t of the size passed, and 0 means the calling thread.
    if unsafe { libc::sched_getaffinity(0, mem::size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let all = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: every index is below CPU_SETSIZE, the number of bits in the set.
    Ok((0..all).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}

/// Binds the calling thread to one processor. See sched_setaffinity(2).
///
/// # Errors
/// What the system call answers, `EINVAL` for a processor that this process may not use.
pub fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= usize::try_from(libc::CPU_SETSIZE).unwrap_or(0) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: a cpu_set_t is a plain bit array; all zeroes is a valid, empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `cpu` is below CPU_SETSIZE, checked above.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is a valid cpu_set_t of the size passed, and 0 means the calling thread.
    if unsafe { libc::sched_setaffinity(0, mem::size_of::<libc::cpu_set_t>(), &raw const set) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_thread_may_use_that_processor_only() {
        let first = allowed().unwrap()[0];
        let seen = std::thread::spawn(move || {
            pin(first).unwrap();
            allowed().unwrap()
        });
        assert_eq!(seen.join().unwrap(), [first]);
    }

    #[test]
    fn pin_to_missing_processor_is_refused() {
        assert!(pin(usize::MAX).is_err());
    }
}
