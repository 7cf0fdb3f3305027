//! How many connections and buffers this process may plan with, from what the machine gives it.

use std::fmt;
use std::io;

use log::warn;

use crate::model::limits::{
    BUFFERS_MIN, BUFFERS_PERCENT, DESCRIPTORS_PER_PAIR, DESCRIPTORS_RESERVED, FLOW_SOCKETS_PERCENT,
    MEMORY_ASSUMED_BYTES, MEMORY_PERCENT, OPEN_FILES_PER_PIPE, PAIR_BYTES, PAIR_KERNEL_BYTES, PIPE_BYTES, PIPES_MAX,
    PIPES_PERCENT, SESSIONS_PER_REACTOR_MAX,
};
use crate::sys::process;

use super::counted;

/// What the machine gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// Files this process may have open.
    pub(crate) open_files: u64,
    /// Memory this process may use, in bytes.
    pub(crate) memory_bytes: u64,
}

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Reactors.
    pub(crate) threads: usize,
    /// Listen addresses; every reactor has a socket on each.
    pub(crate) listeners: usize,
    /// Descriptors of front-ends, so that an administrator is let in when clients have all others.
    pub(crate) front_ends: usize,
    /// Most open pairs.
    pub(crate) max_connections: Option<u32>,
    /// Size of a buffer, in bytes.
    pub(crate) buffer_bytes: usize,
}

/// The limits in force. Displayed as the one line of the log that states them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Most open pairs over all reactors.
    pub(crate) max_connections: u32,
    /// Most buffers that one reactor may lease.
    pub(crate) buffers_max: usize,
    /// Most pipes of one reactor.
    pub(crate) pipes_max: usize,
    /// Most sockets towards hosts that one reactor has for flows.
    pub(crate) flow_sockets_max: usize,
    bound: Bound,
    buffer_bytes: usize,
    threads: usize,
}

/// What bounds the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Asked,
    OpenFiles(u64),
    Memory(u64),
    Threads(usize),
}

/// More is asked for than this process may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `--max-connections` needs more open files than there are.
    TooMany {
        /// Connections asked for.
        asked: u32,
        /// The limit of open files.
        open_files: u64,
        /// Those that are not for pairs.
        reserved: u64,
    },
    /// Not even one connection fits the limit of open files.
    None {
        /// The limit of open files.
        open_files: u64,
        /// Those that are not for pairs.
        reserved: u64,
    },
}

impl Machine {
    /// Raises the limit of open files to the hard limit and looks at what there is.
    ///
    /// # Errors
    /// The limit of open files cannot be read or raised.
    pub(crate) fn read() -> io::Result<Self> {
        let memory_bytes = process::memory_bytes().unwrap_or_else(|error| {
            warn!("how much memory there is cannot be read ({error}): {} MiB are assumed", mib(MEMORY_ASSUMED_BYTES));
            MEMORY_ASSUMED_BYTES
        });
        Ok(Self { open_files: process::raise_open_files()?, memory_bytes })
    }
}

/// Computes the limits.
///
/// # Errors
/// More connections are asked for than there can be open files.
pub(crate) fn plan(machine: Machine, asked: Asked) -> Result<Plan, Refusal> {
    let Machine { open_files, memory_bytes } = machine;
    let pipes_max = pipes_max(machine, asked);
    let reserved = reserved(asked, pipes_max);
    let by_files = open_files.saturating_sub(reserved) / DESCRIPTORS_PER_PAIR;
    if by_files == 0 {
        return Err(Refusal::None { open_files, reserved });
    }
    if let Some(asked) = asked.max_connections.filter(|asked| u64::from(*asked) > by_files) {
        return Err(Refusal::TooMany { asked, open_files, reserved });
    }
    let by_memory = memory_bytes / 100 * MEMORY_PERCENT / (PAIR_BYTES + PAIR_KERNEL_BYTES);
    let by_threads = SESSIONS_PER_REACTOR_MAX.saturating_mul(asked.threads) as u64;
    // The first of equals is named: what was asked for, if it is met.
    let bounds = [
        (asked.max_connections.map_or(u64::MAX, u64::from), Bound::Asked),
        (by_files, Bound::OpenFiles(open_files)),
        (by_memory, Bound::Memory(memory_bytes)),
        (by_threads, Bound::Threads(asked.threads)),
    ];
    let (most, bound) = bounds.into_iter().min_by_key(|(most, _)| *most).unwrap_or((1, Bound::Asked));
    let max_connections = u32::try_from(most.max(1)).unwrap_or(u32::MAX);
    let buffers_max = buffers_max(machine, asked, max_connections);
    let flow_sockets = open_files.saturating_mul(FLOW_SOCKETS_PERCENT) / 100 / asked.threads.max(1) as u64;
    let flow_sockets_max = usize::try_from(flow_sockets).unwrap_or(usize::MAX).max(1);
    Ok(Plan { max_connections, buffers_max, pipes_max, flow_sockets_max, bound, ..Plan::of(asked) })
}

/// Descriptors that are not for pairs. Every reactor has an epoll, an eventfd, a socket on each listen address, and two
/// descriptors a pipe.
pub(crate) fn reserved(asked: Asked, pipes_max: usize) -> u64 {
    let each = asked.listeners.saturating_add(2 + 2 * pipes_max);
    DESCRIPTORS_RESERVED + asked.front_ends as u64 + asked.threads.saturating_mul(each) as u64
}

/// Most pipes of a reactor: few beside the pairs, and none that memory has no room for.
pub(crate) fn pipes_max(machine: Machine, asked: Asked) -> usize {
    let by_memory = machine.memory_bytes / 100 * PIPES_PERCENT / PIPE_BYTES as u64;
    let share = usize::try_from(by_memory.min(machine.open_files / OPEN_FILES_PER_PIPE)).unwrap_or(usize::MAX);
    (share / asked.threads.max(1)).min(PIPES_MAX)
}

/// Most buffers a reactor may lease: its part of the share of memory that is for buffers, but no more than all pairs
/// could use if they were all its own.
fn buffers_max(machine: Machine, asked: Asked, max_connections: u32) -> usize {
    let share = machine.memory_bytes / 100 * BUFFERS_PERCENT;
    let share = usize::try_from(share).unwrap_or(usize::MAX) / asked.buffer_bytes.max(1) / asked.threads.max(1);
    let useful = usize::try_from(max_connections).unwrap_or(usize::MAX).saturating_mul(2);
    share.min(useful).max(BUFFERS_MIN)
}

impl Plan {
    const fn of(asked: Asked) -> Self {
        let Asked { threads, buffer_bytes, .. } = asked;
        Self {
            max_connections: 0,
            buffers_max: 0,
            pipes_max: 0,
            flow_sockets_max: 0,
            bound: Bound::Asked,
            buffer_bytes,
            threads,
        }
    }

    /// Says so when less than `--max-connections` fits.
    pub(crate) fn warn_if_lowered(&self, asked: Asked) {
        if let Some(asked) = asked.max_connections.filter(|asked| *asked > self.max_connections) {
            warn!("--max-connections {asked} is lowered to {} by {}", self.max_connections, self.bound);
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = u64::from(self.max_connections) * (PAIR_BYTES + PAIR_KERNEL_BYTES);
        let useful = usize::try_from(self.max_connections).unwrap_or(usize::MAX).saturating_mul(2);
        let buffers = self.buffers_max.saturating_mul(self.threads).min(useful.max(BUFFERS_MIN));
        let leased = (buffers as u64).saturating_mul(self.buffer_bytes as u64);
        write!(
            f,
            "limits: {} connections in {} MiB (by {}), {buffers} buffers of {} in {} MiB, {}",
            self.max_connections,
            mib(pairs),
            self.bound,
            binary(self.buffer_bytes as u64),
            mib(leased),
            counted(self.threads, "thread")
        )
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("--max-connections"),
            Self::OpenFiles(files) => write!(f, "open files {files}"),
            Self::Memory(bytes) => write!(f, "memory of {} MiB", mib(*bytes)),
            Self::Threads(threads) => write!(f, "threads {threads}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raise = |f: &mut fmt::Formatter<'_>, files: u64| {
            write!(f, "raise it with \"ulimit -Hn {files}\" as root, or with LimitNOFILE={files} in the systemd unit")
        };
        match self {
            Self::TooMany { asked, open_files, reserved } => {
                let fit = open_files.saturating_sub(*reserved) / DESCRIPTORS_PER_PAIR;
                let needed = u64::from(*asked) * DESCRIPTORS_PER_PAIR + reserved;
                write!(
                    f,
                    "--max-connections {asked}: expected at most {fit}, because each takes {DESCRIPTORS_PER_PAIR} open \
                     files and the hard limit is {open_files}; "
                )?;
                raise(f, needed)
            }
            Self::None { open_files, reserved } => {
                let needed = reserved + DESCRIPTORS_PER_PAIR;
                write!(f, "the hard limit of {open_files} open files leaves no room for a connection; ")?;
                raise(f, needed.max(1024))
            }
        }
    }
}

/// Bytes in MiB, rounded up.
const fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Bytes in the unit that log lines use.
fn binary(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else if bytes.is_multiple_of(1 << 10) {
        format!("{} KiB", bytes >> 10)
    } else {
        format!("{bytes} bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::BUFFER_BYTES;

    const GIB: u64 = 1 << 30;

    const ASKED: Asked =
        Asked { threads: 2, listeners: 1, front_ends: 0, max_connections: None, buffer_bytes: BUFFER_BYTES };

    #[test]
    fn open_files_bound_the_connections_of_a_large_machine() {
        let plan = plan(Machine { open_files: 20_000, memory_bytes: 24 * GIB }, ASKED).unwrap();
        assert_eq!((plan.max_connections, plan.pipes_max), (9901, PIPES_MAX));
        let line = "limits: 9901 connections in 102 MiB (by open files 20000), \
                    19802 buffers of 64 KiB in 1238 MiB, 2 threads";
        assert_eq!(plan.to_string(), line);
    }

    #[test]
    fn memory_bounds_connections_and_buffers_of_a_small_machine() {
        let plan = plan(Machine { open_files: 1 << 20, memory_bytes: GIB / 4 }, ASKED).unwrap();
        let pairs = GIB / 4 / 100 * 50 / (10 * 1024 + 512);
        assert_eq!(u64::from(plan.max_connections), pairs);
        assert_eq!(plan.buffers_max as u64, GIB / 4 / 100 * 25 / (64 * 1024) / 2);
        assert!(plan.to_string().contains("in 128 MiB (by memory of 256 MiB)"), "{plan}");
        assert_eq!(plan.pipes_max, 6, "5 % of the memory, for two reactors");
    }

    #[test]
    fn connections_asked_for_are_what_is_planned() {
        let machine = Machine { open_files: 20_000, memory_bytes: 24 * GIB };
        let plan = plan(machine, Asked { max_connections: Some(100), ..ASKED }).unwrap();
        assert_eq!((plan.max_connections, plan.buffers_max), (100, 200));
        assert!(plan.to_string().contains("100 connections in 2 MiB (by --max-connections)"), "{plan}");
    }

    #[test]
    fn more_connections_than_open_files_are_refused_with_the_way_out() {
        let machine = Machine { open_files: 1024, memory_bytes: 24 * GIB };
        assert!(plan(machine, Asked { max_connections: Some(461), ..ASKED }).is_ok());
        let refusal = plan(machine, Asked { max_connections: Some(462), ..ASKED }).unwrap_err().to_string();
        assert!(refusal.starts_with("--max-connections 462: expected at most 461, "), "{refusal}");
        assert!(refusal.contains("the hard limit is 1024; raise it with \"ulimit -Hn 1026\""), "{refusal}");
    }

    #[test]
    fn no_room_for_a_single_connection_is_refused() {
        let refusal = plan(Machine { open_files: 71, memory_bytes: GIB }, ASKED).unwrap_err();
        assert_eq!(refusal, Refusal::None { open_files: 71, reserved: 70 });
        assert!(refusal.to_string().contains("LimitNOFILE=1024"), "{refusal}");
    }

    #[test]
    fn sessions_of_a_thread_bound_what_nothing_else_does() {
        let machine = Machine { open_files: u64::MAX, memory_bytes: 4096 * GIB };
        let plan = plan(machine, Asked { threads: 1, ..ASKED }).unwrap();
        assert_eq!(plan.max_connections as usize, SESSIONS_PER_REACTOR_MAX);
        assert!(plan.to_string().contains("(by threads 1)"), "{plan}");
    }

    #[test]
    fn tiny_machine_still_gets_a_connection_and_a_few_buffers() {
        let plan = plan(Machine { open_files: 1024, memory_bytes: 4096 }, ASKED).unwrap();
        assert_eq!((plan.max_connections, plan.buffers_max), (1, BUFFERS_MIN));
    }
}
