//! What processes and the machine have used: processor time and memory, from /proc.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::time::Duration;

/// The processes and all that descend from them, now.
pub(crate) fn tree(roots: &[u32]) -> io::Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    Ok(found)
}

/// The parent of a process, or `None` when it is gone meanwhile.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the fields after it are the state and the parent.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// Processor time of all threads of the processes, to the nanosecond (the first field of `schedstat`).
///
/// It is exact when the threads sleep: the kernel brings the figure of a running one up to date at its next tick.
/// Threads that have ended are not in it; no balancer here ends threads while it serves.
pub(crate) fn time_of(pids: &[u32]) -> io::Result<Duration> {
    let mut nanoseconds: u64 = 0;
    for pid in pids {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let stat = fs::read_to_string(task?.path().join("schedstat"))?;
            let run: u64 = stat.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0);
            nanoseconds += run;
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Processor time of a process's threads whose names begin so, and of all others; see [`time_of`].
pub(crate) fn time_by_name(pid: u32, prefix: &str) -> io::Result<(Duration, Duration)> {
    let (mut named, mut others) = (Duration::ZERO, Duration::ZERO);
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path();
        let stat = fs::read_to_string(path.join("schedstat"))?;
        let run: u64 = stat.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0);
        let is_named = fs::read_to_string(path.join("comm"))?.starts_with(prefix);
        *if is_named { &mut named } else { &mut others } += Duration::from_nanos(run);
    }
    Ok((named, others))
}

/// How often the threads of the processes were taken off a CPU: because they waited, or for another thread.
pub(crate) fn switches_of(pids: &[u32]) -> io::Result<u64> {
    let mut switches: u64 = 0;
    for pid in pids {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let status = fs::read_to_string(task?.path().join("status"))?;
            let lines = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
            switches += lines.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>();
        }
    }
    Ok(switches)
}

/// Time that processes and the machine have used, in clock ticks: coarse, but with the threads that have ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticks {
    /// Of the given processes, and of their children that have ended.
    own: u64,
    /// Of everything on the machine, the kernel's own work included.
    busy: u64,
    /// Taken by the hypervisor for other machines.
    stolen: u64,
    /// Of all CPUs, idle time included.
    whole: u64,
}

impl Ticks {
    pub(crate) fn now(pids: &[u32]) -> io::Result<Self> {
        let mut own = 0;
        for pid in pids {
            // A process that is gone has used nothing since.
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
            // utime, stime, cutime and cstime, from the 14th field of the line on.
            own +=
                fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
        }
        let stat = fs::read_to_string("/proc/stat")?;
        let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
        let fields: Vec<u64> = fields.map(|field| field.parse().unwrap_or(0)).collect();
        let [user, nice, system, idle, iowait, irq, softirq, stolen] = fields[..] else {
            return Err(io::Error::other("/proc/stat has no line for all CPUs"));
        };
        let busy = user + nice + system + irq + softirq;
        Ok(Self { own, busy, stolen, whole: busy + idle + iowait + stolen })
    }

    /// What has been used since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            own: self.own.saturating_sub(before.own),
            busy: self.busy.saturating_sub(before.busy),
            stolen: self.stolen.saturating_sub(before.stolen),
            whole: self.whole.saturating_sub(before.whole),
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            own: self.own + other.own,
            busy: self.busy + other.busy,
            stolen: self.stolen + other.stolen,
            whole: self.whole + other.whole,
        }
    }

    /// Share of the CPUs that neither the processes nor idleness had, in percent: other work, and the hypervisor.
    pub(crate) fn others_percent(self) -> Option<(f64, f64)> {
        let percent = |ticks: u64| ticks as f64 * 100.0 / self.whole as f64;
        (self.whole > 0).then(|| (percent(self.busy.saturating_sub(self.own)), percent(self.stolen)))
    }
}

/// Resident memory of the processes that is their own (RssAnon: heap and stacks, no files), in bytes.
pub(crate) fn own_memory_of(pids: &[u32]) -> io::Result<u64> {
    let mut kib: u64 = 0;
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let own: u64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        kib += own;
    }
    Ok(kib * 1024)
}

/// Whether every thread of the processes is being traced.
pub(crate) fn all_traced(pids: &[u32]) -> io::Result<bool> {
    for pid in pids {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let status = fs::read_to_string(task?.path().join("status"))?;
            let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
            if tracer.is_none_or(|tracer| tracer.trim() == "0") {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
