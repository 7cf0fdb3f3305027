//! Ways to the hosts: source ports, closed connections that still hold one, and the table of a firewall.

use super::finding::{Finding, number, numbers, sysctl};
use super::load::Load;

/// The widest range that leaves the ports of daemons alone, and how many ports it has.
const WIDEST: &str = "1024 65535";
const WIDEST_PORTS: u64 = 64_512;
/// Seconds that a closed connection keeps its port; `TCP_TIMEWAIT_LEN` of the kernel.
const TIME_WAIT_S: u64 = 60;
/// Connections for a hash bucket of connection tracking from which looking one up is slow.
const CHAIN_MAX: u64 = 8;

const PORTS: &str = "source ports";
const REUSE: &str = "port reuse";
const CONNTRACK: &str = "conntrack";

/// `net.ipv4.ip_local_port_range` against the connections to each host. The kernel tells connections apart by both
/// addresses, so that every host address has the whole range.
pub(super) fn range(load: &Load, range: Option<&str>, reuse: Option<&str>) -> Finding {
    let name = "net.ipv4.ip_local_port_range";
    let (first, last) = match numbers(range).as_deref() {
        Some([first, last]) if first <= last && *last < 65_536 => (*first, *last),
        _ => return Finding::unseen(PORTS, name),
    };
    let ports = last - first + 1;
    let told = format!("{first} to {last}, {ports} connections to each host address");
    let Some((needed, whose)) = busiest(load) else {
        let Some(wanted) = load.wanted.filter(|wanted| *wanted > ports) else { return Finding::ok(PORTS, told) };
        let hosts = wanted.div_ceil(ports);
        return Finding::note(PORTS, format!("{told}: {wanted} take {hosts} hosts")).mend(sysctl(name, WIDEST));
    };
    if needed > ports {
        let finding = Finding::bites(PORTS, format!("{told}, and {needed} may go to {whose}"));
        return if needed <= WIDEST_PORTS {
            finding.mend(sysctl(name, WIDEST))
        } else {
            finding.mend(format!("{}  # the rest takes more hosts or source addresses", sysctl(name, WIDEST)))
        };
    }
    if needed.saturating_mul(2) > ports && number(reuse) != Some(1) {
        let told = format!("{told}: {needed} to {whose} that last a minute leave as many ports waiting");
        // What the other check tells to set is enough here as well.
        return Finding::note(PORTS, told).mend(sysctl("net.ipv4.tcp_tw_reuse", 1));
    }
    Finding::ok(PORTS, told)
}

/// The most connections that may go to one host address, and which; none when no host is known or nothing bounds them.
fn busiest(load: &Load) -> Option<(u64, String)> {
    let share = load.wanted.map(|wanted| wanted.div_ceil(load.hosts.len().max(1) as u64));
    // A socket of this machine takes no port.
    let tcp = load.hosts.iter().filter(|(address, _)| !address.starts_with("unix:/") && !address.starts_with("unix:@"));
    let each = tcp.filter_map(|(address, max)| {
        let most = match (*max, share) {
            (Some(max), Some(_)) => max.min(load.wanted.unwrap_or(max)),
            (max, share) => max.or(share)?,
        };
        Some(match load.sources.get(address) {
            Some(count) => (most.div_ceil(*count), format!("{address} from each of {count} source addresses")),
            None => (most, address.clone()),
        })
    });
    each.max()
}

/// `net.ipv4.tcp_tw_reuse`: 0 never, 1 always, 2 on loopback only. See ip-sysctl in the kernel's documentation.
pub(super) fn reuse(range: Option<&str>, reuse: Option<&str>) -> Finding {
    let name = "net.ipv4.tcp_tw_reuse";
    match number(reuse) {
        Some(1) => Finding::ok(REUSE, format!("{name} 1: the ports of closed connections are free after a second")),
        Some(value @ (0 | 2)) => {
            let ports = match numbers(range).as_deref() {
                Some([first, last]) if first <= last => last - first + 1,
                _ => 28_232,
            };
            let rate = ports / TIME_WAIT_S;
            let told = format!("{name} {value}: {rate} connections a second to a host use up the ports for a minute");
            Finding::note(REUSE, told).mend(sysctl(name, 1))
        }
        Some(_) | None => Finding::unseen(REUSE, name),
    }
}

/// What connection tracking says of itself, when the kernel has it loaded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conntrack<'a> {
    pub(super) max: Option<&'a str>,
    pub(super) buckets: Option<&'a str>,
    pub(super) count: Option<&'a str>,
}

/// The table of connection tracking against the connections: a pair takes two entries, and one more for a minute after.
pub(super) fn conntrack(load: &Load, expected: u64, table: Conntrack<'_>) -> Finding {
    let Some(text) = table.max else { return Finding::ok(CONNTRACK, "not loaded: no firewall counts connections") };
    let name = "net.netfilter.nf_conntrack_max";
    let (Some(max), Some(count)) = (number(Some(text)), number(table.count)) else {
        return Finding::unseen(CONNTRACK, name);
    };
    let needed = expected.saturating_mul(2);
    let told = format!("{name} {max}, {count} in use");
    if needed > max {
        let wanted = needed.next_power_of_two();
        let told = format!("{told}: {expected} connections take {needed}, and packets of more are dropped");
        // Nothing is counted where no rule asks for it.
        let finding = Finding::weighed(load.wanted.is_some() && count > 0, CONNTRACK, told);
        return finding.mend(sysctl(name, wanted));
    }
    match number(table.buckets) {
        Some(buckets) if max > buckets.saturating_mul(CHAIN_MAX) => {
            let told = format!("{told}, in {buckets} buckets: looking one up is slow");
            let mend = format!("echo {} > /sys/module/nf_conntrack/parameters/hashsize", max.div_ceil(4));
            Finding::note(CONNTRACK, told).mend(mend)
        }
        Some(_) | None => Finding::ok(CONNTRACK, told),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity::{Bites, Note, Ok, Unseen};
    use super::super::load::tests::load;
    use super::*;

    const DEFAULT: Option<&str> = Some("32768\t60999\n");

    fn hosts(list: &str) -> Option<String> {
        let hosts: String = list.split(' ').map(|host| format!("<host ip='{host}:80'/>")).collect();
        Some(format!("<service name='s'><listen ip='*:1'/><group name='g'>{hosts}</group></service>"))
    }

    #[test]
    fn ports_are_held_against_the_connections_to_each_host() {
        let (one, two) = (hosts("10.0.0.1"), hosts("10.0.0.1 10.0.0.2"));
        let load_of =
            |count: &str, hosts: &Option<String>| load(&format!("--max-connections {count}"), hosts.as_deref());
        assert_eq!(range(&load_of("1000", &one), DEFAULT, Some("2")).severity, Ok);
        assert_eq!(range(&load_of("20000", &one), DEFAULT, Some("2")).severity, Note);
        assert_eq!(range(&load_of("20000", &one), DEFAULT, Some("1")).severity, Ok);
        let short = range(&load_of("40000", &one), DEFAULT, Some("1"));
        assert_eq!(short.severity, Bites);
        assert_eq!(short.mend.as_deref(), Some("sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\""));
        assert_eq!(range(&load_of("40000", &two), DEFAULT, Some("1")).severity, Ok);
        let never = range(&load_of("400000", &two), DEFAULT, Some("1")).mend;
        assert!(never.is_some_and(|mend| mend.contains("more hosts or source addresses")));
    }

    #[test]
    fn ports_are_held_against_the_bound_of_a_host() {
        let bounded =
            "<service name='s'><listen ip='*:1'/><group name='g'><host ip='h:80' max='30000'/></group></service>";
        assert_eq!(range(&load("", Some(bounded)), DEFAULT, Some("1")).severity, Bites);
        assert_eq!(range(&load("--max-connections 9", Some(bounded)), DEFAULT, Some("1")).severity, Ok);
    }

    #[test]
    fn ports_are_held_against_each_source_address() {
        let sources = "<service name='s'><listen ip='*:1'/>\
                       <group name='g' source='10.0.0.10-10.0.0.13'><host ip='10.0.0.1:80'/></group></service>";
        assert_eq!(range(&load("--max-connections 100000", Some(sources)), DEFAULT, Some("1")).severity, Ok);
        let short = range(&load("--max-connections 200000", Some(sources)), DEFAULT, Some("1"));
        assert_eq!(short.severity, Bites);
        assert!(short.to_string().contains("50000 may go to 10.0.0.1:80 from each of 4 source addresses"), "{short}");
    }

    #[test]
    fn ports_of_unknown_hosts_are_told() {
        assert_eq!(range(&load("", None), DEFAULT, None).severity, Ok);
        assert_eq!(range(&load("--max-connections 1000000", None), DEFAULT, None).severity, Note);
        for nonsense in [None, Some(""), Some("1"), Some("9 1"), Some("a b"), Some("1 99999"), Some("1 2 3")] {
            assert_eq!(range(&load("", None), nonsense, None).severity, Unseen, "{nonsense:?}");
        }
    }

    #[test]
    fn ports_that_wait_are_told() {
        assert_eq!(reuse(DEFAULT, Some("1\n")).severity, Ok);
        let told = reuse(DEFAULT, Some("2\n"));
        assert_eq!((told.severity, told.mend.as_deref()), (Note, Some("sysctl -w net.ipv4.tcp_tw_reuse=1")));
        assert!(told.to_string().contains(": 470 connections a second"), "{told}");
        assert_eq!(reuse(None, Some("0")).severity, Note);
        assert_eq!((reuse(DEFAULT, None).severity, reuse(DEFAULT, Some("9")).severity), (Unseen, Unseen));
    }

    #[test]
    fn conntrack_table_is_held_against_the_connections() {
        let table = |max, buckets, count| Conntrack { max: Some(max), buckets: Some(buckets), count: Some(count) };
        let (asked, unasked) = (load("--max-connections 10", None), load("", None));
        assert_eq!(conntrack(&asked, 10, Conntrack::default()).severity, Ok);
        assert_eq!(conntrack(&asked, 10, table("262144", "65536", "3")).severity, Ok);
        let full = conntrack(&asked, 200_000, table("262144", "65536", "3"));
        assert_eq!(
            (full.severity, full.mend.as_deref()),
            (Bites, Some("sysctl -w net.netfilter.nf_conntrack_max=524288"))
        );
        assert_eq!(conntrack(&asked, 200_000, table("262144", "65536", "0")).severity, Note);
        assert_eq!(conntrack(&unasked, 200_000, table("262144", "65536", "3")).severity, Note);
        assert_eq!(conntrack(&asked, 10, table("262144", "1024", "3")).severity, Note);
        assert_eq!(conntrack(&asked, 10, table("lots", "1024", "3")).severity, Unseen);
    }
}
