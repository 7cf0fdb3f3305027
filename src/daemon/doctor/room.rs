//! Room for connections: open files, memory, accept queues.

use super::finding::{Finding, number, sysctl};
use super::load::Load;
use crate::instance::limits::{self, Asked, Machine};

/// A hard limit from here on is none that anybody runs into unasked.
const FILES_COMFORTABLE: u64 = 65_536;

const FILES: &str = "open files";
const MEMORY: &str = "memory";
const QUEUE: &str = "accept queue";
const HANDSHAKES: &str = "handshakes";

/// The hard limit of `/proc/self/limits`.
pub(super) fn hard_limit(limits: Option<&str>) -> Option<u64> {
    let line = limits?.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let hard = line.split_whitespace().nth(1)?;
    if hard == "unlimited" { Some(u64::MAX) } else { hard.parse().ok() }
}

/// `/proc/self/limits` and `fs.nr_open` against the connections. The soft limit is raised at start.
pub(super) fn files(load: &Load, limits: Option<&str>, nr_open: Option<&str>) -> Finding {
    let Some(hard) = hard_limit(limits) else { return Finding::unseen(FILES, "/proc/self/limits") };
    let fit = load.connections_of(hard);
    let told = format!("the hard limit of {hard} allows {fit} connections");
    let enough = load.wanted.map_or(FILES_COMFORTABLE, |wanted| load.files_for(wanted));
    if hard >= enough || load.wanted.is_some_and(|wanted| wanted <= fit) {
        return Finding::ok(FILES, told);
    }
    let finding = match load.wanted {
        Some(wanted) => Finding::bites(FILES, format!("{told}, and {wanted} are asked for")),
        None if fit == 0 => Finding::bites(FILES, told),
        None => Finding::note(FILES, told),
    };
    let raise = format!("ulimit -Hn {enough}  # or LimitNOFILE={enough} in the systemd unit");
    match number(nr_open).filter(|most| *most < enough) {
        Some(_) => finding.mend(format!("{} && {raise}", sysctl("fs.nr_open", enough))),
        None => finding.mend(raise),
    }
}

/// The memory of the machine or the control group against the connections.
pub(super) fn memory(load: &Load, bytes: Option<u64>) -> Finding {
    let Some(memory_bytes) = bytes else { return Finding::unseen(MEMORY, "/proc/meminfo") };
    let mib = memory_bytes >> 20;
    let machine = Machine { open_files: u64::from(u32::MAX), memory_bytes };
    let Ok(plan) = limits::plan(machine, Asked { max_connections: None, ..load.asked }) else {
        return Finding::unseen(MEMORY, "what fits");
    };
    let told = format!("{mib} MiB for this process, {} idle connections in half of it", plan.max_connections);
    match load.wanted.filter(|wanted| *wanted > plan.max_connections.into()) {
        Some(wanted) => {
            let needed = mib.saturating_mul(wanted).div_ceil(plan.max_connections.max(1).into());
            let mend = format!("systemctl set-property director.service MemoryMax={needed}M  # if the machine has it");
            Finding::bites(MEMORY, format!("{told}, and {wanted} are asked for")).mend(mend)
        }
        None => Finding::ok(MEMORY, told),
    }
}

/// `net.core.somaxconn` against `--backlog`.
pub(super) fn queue(load: &Load, somaxconn: Option<&str>) -> Finding {
    let name = "net.core.somaxconn";
    let Some(allowed) = number(somaxconn) else { return Finding::unseen(QUEUE, name) };
    if allowed >= load.backlog {
        return Finding::ok(QUEUE, format!("{name} {allowed}, --backlog {}", load.backlog));
    }
    let told = format!("{name} {allowed} cuts --backlog {} short: a burst of clients is dropped", load.backlog);
    Finding::bites(QUEUE, told).mend(sysctl(name, load.backlog))
}

/// `net.ipv4.tcp_max_syn_backlog` against `--backlog`. With cookies the kernel does without the queue when it is full;
/// without them it keeps the last quarter for peers that it knows. See tcp(7).
pub(super) fn handshakes(load: &Load, syn_backlog: Option<&str>, cookies: Option<&str>) -> Finding {
    let name = "net.ipv4.tcp_max_syn_backlog";
    let Some(allowed) = number(syn_backlog) else { return Finding::unseen(HANDSHAKES, name) };
    let Some(cookies) = number(cookies) else { return Finding::unseen(HANDSHAKES, "net.ipv4.tcp_syncookies") };
    if cookies > 0 {
        return Finding::ok(HANDSHAKES, format!("SYN cookies answer when the queue is full ({name} {allowed})"));
    }
    if allowed >= load.backlog {
        return Finding::ok(HANDSHAKES, format!("{name} {allowed}, --backlog {}", load.backlog));
    }
    let told = format!("without SYN cookies {name} {allowed} drops clients before --backlog {} is full", load.backlog);
    Finding::bites(HANDSHAKES, told).mend(sysctl("net.ipv4.tcp_syncookies", 1))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity::{self, Bites, Note, Ok, Unseen};
    use super::super::load::tests::load;
    use super::*;

    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
                          Max cpu time              unlimited            unlimited            seconds   \n\
                          Max open files            1024                 20000                files     \n";

    fn judged(finding: &Finding) -> (Severity, Option<&str>) {
        (finding.severity, finding.mend.as_deref())
    }

    #[test]
    fn open_files_are_held_against_the_connections_asked_for() {
        assert_eq!(files(&load("--max-connections 9000", None), Some(LIMITS), None).severity, Ok);
        let many = load("-t 2 --max-connections 100000", None);
        let needed = "ulimit -Hn 200198  # or LimitNOFILE=200198 in the systemd unit";
        assert_eq!(judged(&files(&many, Some(LIMITS), Some("1048576\n"))), (Bites, Some(needed)));
        let both = format!("sysctl -w fs.nr_open=200198 && {needed}");
        assert_eq!(judged(&files(&many, Some(LIMITS), Some("30000"))), (Bites, Some(both.as_str())));
        assert_eq!(files(&load("", None), Some(LIMITS), None).severity, Note);
        assert_eq!(files(&load("", None), Some(&LIMITS.replace("20000", "40")), None).severity, Bites);
        assert_eq!(files(&many, Some(&LIMITS.replace("20000", "unlimited")), None).severity, Ok);
        for nonsense in [None, Some(""), Some("Max open files"), Some("Max open files a b c")] {
            assert_eq!(files(&many, nonsense, nonsense).severity, Unseen, "{nonsense:?}");
        }
    }

    #[test]
    fn memory_is_held_against_the_connections_asked_for() {
        let many = load("--max-connections 1000000", None);
        assert_eq!(memory(&many, Some(64 << 30)).severity, Ok);
        let short = memory(&many, Some(1 << 30));
        assert_eq!(short.severity, Bites);
        assert!(short.mend.is_some_and(|mend| mend.contains("MemoryMax=")));
        assert_eq!(memory(&many, None).severity, Unseen);
        assert_eq!(memory(&many, Some(0)).severity, Bites);
    }

    #[test]
    fn accept_queue_is_held_against_the_backlog() {
        let default = load("", None);
        assert_eq!(queue(&default, Some("4096\n")).severity, Ok);
        assert_eq!(judged(&queue(&default, Some("128\n"))), (Bites, Some("sysctl -w net.core.somaxconn=4096")));
        assert_eq!(queue(&load("--backlog 100", None), Some("128")).severity, Ok);
        assert_eq!((queue(&default, None).severity, queue(&default, Some("many")).severity), (Unseen, Unseen));
    }

    #[test]
    fn handshakes_need_cookies_or_a_queue() {
        let default = load("", None);
        assert_eq!(handshakes(&default, Some("512"), Some("1")).severity, Ok);
        assert_eq!(handshakes(&default, Some("8192"), Some("0")).severity, Ok);
        assert_eq!(handshakes(&default, Some("512"), Some("0")).severity, Bites);
        for (queue, cookies) in [(None, Some("1")), (Some("512"), None), (Some("?"), Some("1"))] {
            assert_eq!(handshakes(&default, queue, cookies).severity, Unseen);
        }
    }
}
