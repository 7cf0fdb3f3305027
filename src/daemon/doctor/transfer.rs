//! What moves bytes: memory of sockets, pipes for splice, congestion control, and what TCP is allowed to do.

use super::finding::{Finding, number, numbers, sysctl};
use super::load::Load;
use crate::model::limits::{PIPE_BYTES, PIPES_MAX};

/// A page as `fs.pipe-user-pages-soft` counts it, on most machines.
const PAGE_BYTES: u64 = 4096;
/// The least that the two sockets of a pair with bytes on the way take, in bytes: a page to send and one to receive.
const PAIR_BUSY_BYTES: u64 = 4 * PAGE_BYTES;
/// The longest window that a socket should be able to have, in bytes: 1 Gbit/s over 30 ms.
const WINDOW_BYTES: u64 = 4 << 20;

const SOCKETS: &str = "socket memory";
const WINDOW: &str = "socket buffers";
const PIPES: &str = "pipes";
const CONGESTION: &str = "congestion";
const FASTOPEN: &str = "fast open";
const RELOAD: &str = "reload";
const CLAIMS: &str = "overcommit";
const SWAP: &str = "swap";

/// `net.ipv4.tcp_mem` (in pages: low, pressure, high) against the connections.
pub(super) fn sockets(expected: u64, tcp_mem: Option<&str>) -> Finding {
    let name = "net.ipv4.tcp_mem";
    let Some([_, pressure, high]) = numbers(tcp_mem).and_then(|all| <[u64; 3]>::try_from(all).ok()) else {
        return Finding::unseen(SOCKETS, name);
    };
    let busy = high.saturating_mul(PAGE_BYTES) / PAIR_BUSY_BYTES;
    let told = format!("{name} {} MiB, {busy} pairs with bytes on the way", high.saturating_mul(PAGE_BYTES) >> 20);
    if busy >= expected {
        return Finding::ok(SOCKETS, told);
    }
    let pages = expected.saturating_mul(PAIR_BUSY_BYTES) / PAGE_BYTES;
    let mend = sysctl(name, format!("{pressure} {pages} {}", pages.saturating_mul(3) / 2));
    // Idle connections take none of it.
    Finding::note(SOCKETS, format!("{told}, of {expected}")).mend(mend)
}

/// The largest of `net.ipv4.tcp_rmem` and `tcp_wmem`: how far the kernel may let a window grow.
pub(super) fn window(rmem: Option<&str>, wmem: Option<&str>) -> Finding {
    let three = |text| numbers(text).and_then(|all| <[u64; 3]>::try_from(all).ok());
    let (Some(read), Some(write)) = (three(rmem), three(wmem)) else {
        return Finding::unseen(WINDOW, "net.ipv4.tcp_rmem and tcp_wmem");
    };
    let told = format!("up to {} KiB to receive, {} KiB to send", read[2] >> 10, write[2] >> 10);
    let raise = |name: &str, [least, usual, most]: [u64; 3]| {
        (most < WINDOW_BYTES).then(|| sysctl(name, format!("{least} {usual} {WINDOW_BYTES}")))
    };
    let commands: Vec<String> =
        [raise("net.ipv4.tcp_rmem", read), raise("net.ipv4.tcp_wmem", write)].into_iter().flatten().collect();
    if commands.is_empty() {
        return Finding::ok(WINDOW, told);
    }
    Finding::note(WINDOW, format!("{told}: bulk over long paths is slow")).mend(commands.join(" && "))
}

/// `fs.pipe-max-size` and `fs.pipe-user-pages-soft` against the pipes of all reactors. See pipe(7).
pub(super) fn pipes(load: &Load, max_size: Option<&str>, soft: Option<&str>) -> Finding {
    let Some(size) = number(max_size) else { return Finding::unseen(PIPES, "fs.pipe-max-size") };
    let Some(soft) = number(soft) else { return Finding::unseen(PIPES, "fs.pipe-user-pages-soft") };
    if size < PIPE_BYTES as u64 {
        let told = format!("fs.pipe-max-size {size}: splice works with pipes of {PIPE_BYTES}");
        return Finding::note(PIPES, told).mend(sysctl("fs.pipe-max-size", PIPE_BYTES));
    }
    if soft == 0 {
        return Finding::ok(PIPES, format!("of {} MiB, as many as are wanted", size >> 20));
    }
    let pages = PIPE_BYTES as u64 / PAGE_BYTES;
    let (fit, wanted) = (soft / pages, PIPES_MAX.saturating_mul(load.asked.threads) as u64);
    let told = format!("{fit} of 1 MiB for a user without privileges");
    if fit >= wanted {
        return Finding::ok(PIPES, told);
    }
    let told = format!("{told}: {} reactors splice through up to {wanted}", load.asked.threads);
    Finding::note(PIPES, told).mend(sysctl("fs.pipe-user-pages-soft", wanted.saturating_mul(pages)))
}

/// `net.ipv4.tcp_congestion_control` and `net.core.default_qdisc`: bbr paces, and without the fq scheduler TCP itself
/// does that with a timer a connection.
pub(super) fn congestion(control: Option<&str>, qdisc: Option<&str>) -> Finding {
    let Some(control) = control.map(str::trim).filter(|name| !name.is_empty()) else {
        return Finding::unseen(CONGESTION, "net.ipv4.tcp_congestion_control");
    };
    if control != "bbr" {
        return Finding::ok(CONGESTION, String::from(control));
    }
    match qdisc.map(str::trim) {
        Some("fq") => Finding::ok(CONGESTION, "bbr, paced by fq"),
        Some(other) => {
            Finding::note(CONGESTION, format!("bbr beside {other}: TCP paces by a timer for each connection")).mend(
                format!(
                    "{}  # for a card that is up: tc qdisc replace dev NAME root fq",
                    sysctl("net.core.default_qdisc", "fq")
                ),
            )
        }
        None => Finding::unseen(CONGESTION, "net.core.default_qdisc, which should be fq for bbr"),
    }
}

/// `net.ipv4.tcp_fastopen`: bit 0 is for connecting, bit 1 for listening.
pub(super) fn fastopen(value: Option<&str>) -> Finding {
    match number(value).map(|bits| (bits & 1 != 0, bits & 2 != 0)) {
        Some((true, true)) => Finding::ok(FASTOPEN, "allowed on both sides"),
        Some((true, false)) => {
            Finding::ok(FASTOPEN, "allowed to hosts; for listeners: sysctl -w net.ipv4.tcp_fastopen=3")
        }
        Some((false, true)) => {
            Finding::ok(FASTOPEN, "allowed to listeners; to hosts: sysctl -w net.ipv4.tcp_fastopen=3")
        }
        Some((false, false)) => Finding::ok(FASTOPEN, "not allowed; if wanted: sysctl -w net.ipv4.tcp_fastopen=3"),
        None => Finding::unseen(FASTOPEN, "net.ipv4.tcp_fastopen"),
    }
}

/// `net.ipv4.tcp_migrate_req`: what becomes of a handshake whose listener closes.
pub(super) fn reload(value: Option<&str>) -> Finding {
    let name = "net.ipv4.tcp_migrate_req";
    match number(value) {
        Some(0) => {
            Finding::note(RELOAD, format!("{name} 0: a client whose handshake meets the end of a listener is reset"))
                .mend(sysctl(name, 1))
        }
        Some(_) => Finding::ok(RELOAD, "handshakes move to another listener when theirs closes"),
        None => Finding::unseen(RELOAD, name),
    }
}

/// `vm.overcommit_memory`.
pub(super) fn overcommit(value: Option<&str>) -> Finding {
    let name = "vm.overcommit_memory";
    match number(value) {
        Some(2) => Finding::note(CLAIMS, format!("{name} 2: growing may be refused while memory is free"))
            .mend(sysctl(name, 0)),
        Some(mode) => Finding::ok(CLAIMS, format!("{name} {mode}")),
        None => Finding::unseen(CLAIMS, name),
    }
}

/// `/proc/swaps` and `vm.swappiness`: a paged-out loop stalls all of its clients.
pub(super) fn swap(swaps: Option<&str>, swappiness: Option<&str>) -> Finding {
    let Some(swaps) = swaps.filter(|text| text.starts_with("Filename")) else {
        return Finding::unseen(SWAP, "/proc/swaps");
    };
    if swaps.lines().nth(1).is_none() {
        return Finding::ok(SWAP, "none");
    }
    match number(swappiness) {
        Some(eager) if eager > 10 => {
            Finding::note(SWAP, format!("vm.swappiness {eager}: a loop that is paged out stalls its clients"))
                .mend(sysctl("vm.swappiness", 1))
        }
        Some(eager) => Finding::ok(SWAP, format!("used late (vm.swappiness {eager})")),
        None => Finding::unseen(SWAP, "vm.swappiness"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity::{Note, Ok, Unseen};
    use super::super::load::tests::load;
    use super::*;

    const NONSENSE: [Option<&str>; 3] = [None, Some(""), Some("not a number")];

    #[test]
    fn socket_memory_is_held_against_the_connections() {
        assert_eq!(sockets(10_000, Some("287898\t383867\t575796\n")).severity, Ok);
        let short = sockets(1_000_000, Some("287898 383867 575796"));
        let mend = "sysctl -w net.ipv4.tcp_mem=\"383867 4000000 6000000\"";
        assert_eq!((short.severity, short.mend.as_deref()), (Note, Some(mend)));
        for text in NONSENSE.into_iter().chain([Some("1 2")]) {
            assert_eq!(sockets(1, text).severity, Unseen, "{text:?}");
        }
    }

    #[test]
    fn window_that_stays_short_is_told_with_what_lengthens_it() {
        assert_eq!(window(Some("4096 131072 6291456"), Some("4096 16384 4194304")).severity, Ok);
        let short = window(Some("4096 131072 6291456"), Some("4096 16384 65536"));
        let mend = "sysctl -w net.ipv4.tcp_wmem=\"4096 16384 4194304\"";
        assert_eq!((short.severity, short.mend.as_deref()), (Note, Some(mend)));
        NONSENSE.iter().for_each(|text| assert_eq!(window(*text, Some("1 2 3")).severity, Unseen));
    }

    #[test]
    fn pipes_are_held_against_the_reactors() {
        let (two, many) = (load("-t 2", None), load("-t 64", None));
        assert_eq!(pipes(&two, Some("1048576"), Some("16384")).severity, Ok);
        let short = pipes(&many, Some("1048576"), Some("16384"));
        assert_eq!((short.severity, short.mend.as_deref()), (Note, Some("sysctl -w fs.pipe-user-pages-soft=524288")));
        assert_eq!(pipes(&many, Some("1048576"), Some("0")).severity, Ok);
        assert_eq!(pipes(&two, Some("65536"), Some("0")).severity, Note);
        NONSENSE.iter().for_each(|text| assert_eq!(pipes(&two, *text, Some("0")).severity, Unseen));
        NONSENSE.iter().for_each(|text| assert_eq!(pipes(&two, Some("1048576"), *text).severity, Unseen));
    }

    #[test]
    fn bbr_wants_fq() {
        assert_eq!(congestion(Some("cubic\n"), None).severity, Ok);
        assert_eq!(congestion(Some("bbr\n"), Some("fq\n")).severity, Ok);
        assert_eq!(congestion(Some("bbr\n"), Some("pfifo_fast\n")).severity, Note);
        assert_eq!((congestion(None, None).severity, congestion(Some("bbr"), None).severity), (Unseen, Unseen));
    }

    #[test]
    fn switches_of_tcp_are_told() {
        (0..4).for_each(|bits| assert_eq!(fastopen(Some(&bits.to_string())).severity, Ok));
        assert!(fastopen(Some("1")).to_string().contains("for listeners: "));
        let lost = reload(Some("0\n"));
        assert_eq!((lost.severity, lost.mend.as_deref()), (Note, Some("sysctl -w net.ipv4.tcp_migrate_req=1")));
        assert_eq!(reload(Some("1")).severity, Ok);
        for text in NONSENSE {
            assert_eq!((fastopen(text).severity, reload(text).severity), (Unseen, Unseen), "{text:?}");
        }
    }

    #[test]
    fn memory_that_may_be_refused_or_paged_out_is_told() {
        assert_eq!((overcommit(Some("0")).severity, overcommit(Some("2")).severity), (Ok, Note));
        let head = "Filename\tType\tSize\tUsed\tPriority\n";
        let used = format!("{head}/dev/sda2 partition 1000 0 -2\n");
        assert_eq!(swap(Some(head), None).severity, Ok);
        assert_eq!((swap(Some(&used), Some("60")).severity, swap(Some(&used), Some("1")).severity), (Note, Ok));
        for text in NONSENSE {
            let seen = [overcommit(text), swap(text, Some("60")), swap(Some(&used), text)];
            assert!(seen.iter().all(|finding| finding.severity == Unseen), "{seen:?}");
        }
    }
}
