//! `--doctor`: what of this host slows or limits a balancer, and the command that mends it.
//!
//! Each check is a function from text that the kernel shows to a [`Finding`]; only [`tree`] reads. It changes nothing,
//! needs no privileges, and what it cannot look at it says. `load` is what the host is examined for; `room`, `ports`,
//! `cards`, `processors`, `transfer` and `losses` are the checks.

mod cards;
mod finding;
mod load;
mod losses;
mod ports;
mod processors;
mod room;
mod transfer;
mod tree;

use std::io;
use std::path::PathBuf;

use super::options::Options;
use super::{Failure, counted, print};
use crate::config::Config;
use crate::instance::limits::Machine;
use crate::sys::{cpu, process};

use finding::{Finding, Severity};
use load::Load;
use ports::Conntrack;
use tree::Tree;

/// Examines this host for this command line and configuration, and prints what it finds.
///
/// # Errors
/// The configuration is wrong, or something would bite.
pub(super) fn run(options: &Options, config: Option<&Config>) -> Result<(), Failure> {
    let load = Load::of(options, config, cpu::allowed().map_or(1, |cpus| cpus.len()));
    let findings = examine(&Tree(PathBuf::from("/")), &load, process::memory_bytes().ok());
    print(&mut io::stdout(), &report(&load, &findings));
    match count(&findings, Severity::Bites) {
        0 => Ok(()),
        bites => Err(Failure::Host(counted(bites, "finding"))),
    }
}

fn examine(tree: &Tree, load: &Load, memory: Option<u64>) -> Vec<Finding> {
    let sysctl = |name: &str| tree.sysctl(name);
    let limits = tree.read("proc/self/limits");
    let machine = room::hard_limit(limits.as_deref()).zip(memory);
    let machine = machine.map(|(open_files, memory_bytes)| Machine { open_files, memory_bytes });
    let expected = load.expected(machine);
    let (range, reuse) = (sysctl("net.ipv4.ip_local_port_range"), sysctl("net.ipv4.tcp_tw_reuse"));
    let (range, reuse) = (range.as_deref(), reuse.as_deref());
    let somaxconn = sysctl("net.core.somaxconn");
    let (conntrack_max, conntrack_buckets, conntrack_count) = (
        sysctl("net.netfilter.nf_conntrack_max"),
        sysctl("net.netfilter.nf_conntrack_buckets"),
        sysctl("net.netfilter.nf_conntrack_count"),
    );
    let conntrack = Conntrack {
        max: conntrack_max.as_deref(),
        buckets: conntrack_buckets.as_deref(),
        count: conntrack_count.as_deref(),
    };
    let mut findings = vec![
        room::files(load, limits.as_deref(), sysctl("fs.nr_open").as_deref()),
        room::memory(load, memory),
        room::queue(load, somaxconn.as_deref()),
        room::handshakes(
            load,
            sysctl("net.ipv4.tcp_max_syn_backlog").as_deref(),
            sysctl("net.ipv4.tcp_syncookies").as_deref(),
        ),
        losses::listeners(load, tree.read("proc/net/netstat").as_deref(), somaxconn.as_deref()),
        ports::range(load, range, reuse),
        ports::reuse(range, reuse),
        ports::conntrack(load, expected, conntrack),
    ];
    findings.extend(transfers(tree, load, expected));
    findings.extend(hardware(tree));
    findings
}

fn transfers(tree: &Tree, load: &Load, expected: u64) -> [Finding; 8] {
    let sysctl = |name: &str| tree.sysctl(name);
    [
        transfer::sockets(expected, sysctl("net.ipv4.tcp_mem").as_deref()),
        transfer::window(sysctl("net.ipv4.tcp_rmem").as_deref(), sysctl("net.ipv4.tcp_wmem").as_deref()),
        transfer::pipes(load, sysctl("fs.pipe-max-size").as_deref(), sysctl("fs.pipe-user-pages-soft").as_deref()),
        transfer::congestion(
            sysctl("net.ipv4.tcp_congestion_control").as_deref(),
            sysctl("net.core.default_qdisc").as_deref(),
        ),
        transfer::fastopen(sysctl("net.ipv4.tcp_fastopen").as_deref()),
        transfer::reload(sysctl("net.ipv4.tcp_migrate_req").as_deref()),
        transfer::overcommit(sysctl("vm.overcommit_memory").as_deref()),
        transfer::swap(tree.read("proc/swaps").as_deref(), sysctl("vm.swappiness").as_deref()),
    ]
}

fn hardware(tree: &Tree) -> Vec<Finding> {
    let cards = tree.cards();
    let (interrupts, balanced) = (tree.read("proc/interrupts"), tree.runs("irqbalance"));
    let mut findings = Vec::new();
    for card in &cards {
        let bound = |number| tree.interrupt_cpus(number);
        findings.push(cards::receiving(card, interrupts.as_deref(), bound, balanced));
        findings.push(cards::sending(card));
    }
    if cards.is_empty() {
        findings.push(cards::none());
    }
    let backlog = tree.sysctl("net.core.netdev_max_backlog");
    findings.push(losses::packets(tree.read("proc/net/softnet_stat").as_deref(), backlog.as_deref()));
    let source = |name: &str| tree.read(format!("sys/devices/system/clocksource/clocksource0/{name}"));
    findings
        .push(processors::clock(source("current_clocksource").as_deref(), source("available_clocksource").as_deref()));
    findings.push(processors::frequency(&tree.governors()));
    let places: Vec<(String, String)> = cards.into_iter().map(|card| (card.name, card.node)).collect();
    findings.push(processors::nodes(tree.read("sys/devices/system/node/online").as_deref(), &places));
    findings
}

/// All findings, and what they sum up to.
fn report(load: &Load, findings: &[Finding]) -> String {
    let wanted =
        load.wanted.map_or_else(|| String::from("as many connections as fit"), |wanted| counted(wanted, "connection"));
    let mut text = format!("examined for {wanted}, {}:\n", counted(load.asked.threads, "reactor"));
    findings.iter().for_each(|finding| text.push_str(&finding.to_string()));
    let number = |severity| count(findings, severity);
    let (bites, notes, unseen) = (number(Severity::Bites), number(Severity::Note), number(Severity::Unseen));
    text.push_str(&format!("{bites} would bite, {}, {unseen} not seen.\n", counted(notes, "note")));
    if findings.iter().any(|finding| finding.mend.as_ref().is_some_and(|mend| mend.contains("sysctl -w"))) {
        text.push_str("What sysctl sets is lost when the machine starts again, unless it stands in /etc/sysctl.d.\n");
    }
    text
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_that_shows_nothing_is_not_seen_and_does_not_bite() {
        let findings = examine(&Tree(PathBuf::from("/nowhere")), &load::tests::load("", None), None);
        let seen: Vec<_> = findings.iter().filter(|finding| finding.severity != Severity::Unseen).collect();
        // A kernel without connection tracking has no file of it.
        assert_eq!(seen.len(), 1, "{seen:#?}");
        assert_eq!(seen[0].severity, Severity::Ok);
    }

    #[test]
    fn this_host_is_looked_at_and_every_note_says_what_to_do() {
        let findings = examine(&Tree(PathBuf::from("/")), &load::tests::load("", None), Some(8 << 30));
        assert!(findings.len() >= 20, "{findings:#?}");
        assert!(count(&findings, Severity::Ok) > 0);
        let told = |finding: &&Finding| [Severity::Note, Severity::Bites].contains(&finding.severity);
        assert!(findings.iter().filter(told).all(|finding| finding.mend.is_some()), "{findings:#?}");
    }

    #[test]
    fn report_sums_up() {
        let findings =
            [Finding::ok("a", "b"), Finding::bites("c", "d").mend("sysctl -w x=1"), Finding::unseen("e", "f")];
        let text = report(&load::tests::load("-t 2 --max-connections 9", None), &findings);
        assert!(text.starts_with("examined for 9 connections, 2 reactors:\nok "), "{text}");
        assert!(text.contains("\n1 would bite, 0 notes, 1 not seen.\nWhat sysctl sets "), "{text}");
    }
}
