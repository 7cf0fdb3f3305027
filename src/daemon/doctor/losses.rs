//! What the kernel has dropped since it started, and its counters tell.

use super::finding::{Finding, number, sysctl};
use super::load::Load;

const LISTENERS: &str = "listen drops";
const PACKETS: &str = "packet drops";

/// `ListenOverflows` and `ListenDrops` of `/proc/net/netstat`: clients that found an accept queue full.
pub(super) fn listeners(load: &Load, netstat: Option<&str>, somaxconn: Option<&str>) -> Finding {
    let value = |name| netstat.and_then(|text| extension(text, name));
    let (Some(overflows), Some(drops)) = (value("ListenOverflows"), value("ListenDrops")) else {
        return Finding::unseen(LISTENERS, "/proc/net/netstat");
    };
    if overflows == 0 && drops == 0 {
        return Finding::ok(LISTENERS, "no client found an accept queue full since start");
    }
    let backlog = load.backlog.saturating_mul(2);
    let told = format!("{overflows} overflows of accept queues, {drops} drops since start, all programs together");
    let longer = format!("# start director with --backlog {backlog}");
    match number(somaxconn).filter(|allowed| *allowed < backlog) {
        Some(_) => Finding::note(LISTENERS, told).mend(format!("{}  {longer}", sysctl("net.core.somaxconn", backlog))),
        None => Finding::note(LISTENERS, told).mend(longer),
    }
}

/// A value of the extended statistics of TCP: a line of names, and below it one of values.
fn extension(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|found| found == name)?;
    values.split_whitespace().nth(place)?.parse().ok()
}

/// The column of drops of `/proc/net/softnet_stat`, a line a processor: packets for which the queue between the network
/// card and the protocols had no room.
pub(super) fn packets(softnet: Option<&str>, max_backlog: Option<&str>) -> Finding {
    let column = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    let dropped: Option<Vec<u64>> = softnet.and_then(|text| text.lines().map(column).collect());
    let Some(dropped) = dropped.filter(|all| !all.is_empty()) else {
        return Finding::unseen(PACKETS, "/proc/net/softnet_stat");
    };
    let all = dropped.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
    let name = "net.core.netdev_max_backlog";
    if all == 0 {
        let room = number(max_backlog).map_or_else(String::new, |room| format!(" ({name} {room})"));
        return Finding::ok(PACKETS, format!("none before the protocols since start{room}"));
    }
    let told = format!("{all} before the protocols since start: {name} was too short");
    Finding::note(PACKETS, told).mend(sysctl(name, number(max_backlog).unwrap_or(1000).saturating_mul(4)))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity::{Note, Ok, Unseen};
    use super::super::load::tests::load;
    use super::*;

    fn netstat(overflows: u32, drops: u32) -> String {
        format!("TcpExt: TW ListenOverflows ListenDrops X\nTcpExt: 5 {overflows} {drops} 6\nIpExt: A\nIpExt: 1\n")
    }

    #[test]
    fn overflows_of_accept_queues_are_told() {
        let default = load("", None);
        assert_eq!(listeners(&default, Some(&netstat(0, 0)), Some("4096")).severity, Ok);
        let lost = listeners(&default, Some(&netstat(7, 9)), Some("4096"));
        let mend = "sysctl -w net.core.somaxconn=8192  # start director with --backlog 8192";
        assert_eq!((lost.severity, lost.mend.as_deref()), (Note, Some(mend)));
        let roomy = listeners(&default, Some(&netstat(7, 9)), Some("65535")).mend;
        assert_eq!(roomy.as_deref(), Some("# start director with --backlog 8192"));
        for text in [None, Some(""), Some("TcpExt: ListenDrops"), Some("TcpExt: ListenDrops\nTcpExt: x")] {
            assert_eq!(listeners(&default, text, None).severity, Unseen, "{text:?}");
        }
    }

    #[test]
    fn drops_of_all_processors_are_summed() {
        assert_eq!(packets(Some("0b65 00000000 3b\n0ad2 00000000 42\n"), Some("1000")).severity, Ok);
        let lost = packets(Some("0b65 00000001 3b\n0ad2 000000fb 42\n"), Some("1000"));
        assert_eq!((lost.severity, lost.mend.as_deref()), (Note, Some("sysctl -w net.core.netdev_max_backlog=4000")));
        assert!(lost.to_string().contains("252 before"), "{lost}");
        for text in [None, Some(""), Some("0b65"), Some("0b65 zz\n")] {
            assert_eq!(packets(text, None).severity, Unseen, "{text:?}");
        }
    }
}
