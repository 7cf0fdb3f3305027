//! The processors: their clock, their frequency, their memory.

use super::finding::Finding;

const CLOCK: &str = "clock";
const FREQUENCY: &str = "frequency";
const MEMORY: &str = "memory nodes";

const CLOCK_FILE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const GOVERNORS: &str = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor";

/// The kernel's clock source: others than these are read by a system call, a microsecond each.
pub(super) fn clock(current: Option<&str>, available: Option<&str>) -> Finding {
    let Some(current) = current.map(str::trim).filter(|name| !name.is_empty()) else {
        return Finding::unseen(CLOCK, CLOCK_FILE);
    };
    if ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "riscv_clocksource"].contains(&current) {
        return Finding::ok(CLOCK, format!("{current}, read without a system call"));
    }
    let finding = Finding::note(CLOCK, format!("{current}: reading it takes a system call"));
    if available.is_some_and(|names| names.split_whitespace().any(|name| name == "tsc")) {
        return finding.mend(format!("echo tsc > {CLOCK_FILE}"));
    }
    finding
}

/// The frequency governor of each processor, one a line.
pub(super) fn frequency(governors: &[String]) -> Finding {
    let mut names: Vec<&str> = governors.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Finding::unseen(FREQUENCY, "a governor (a virtual machine has none)");
    }
    let told = names.join(", ");
    if names.iter().all(|name| *name == "performance") {
        return Finding::ok(FREQUENCY, told);
    }
    let mend = format!("for f in {GOVERNORS}; do echo performance > $f; done");
    Finding::note(FREQUENCY, format!("{told}: a processor that slept begins slowly")).mend(mend)
}

/// `/sys/devices/system/node/online`, and the node of each network card (-1 where it has none).
pub(super) fn nodes(online: Option<&str>, cards: &[(String, String)]) -> Finding {
    let Some(online) = online.map(str::trim).filter(|text| text.starts_with(|c: char| c.is_ascii_digit())) else {
        return Finding::unseen(MEMORY, "/sys/devices/system/node/online");
    };
    if online.parse::<u32>().is_ok() {
        return Finding::ok(MEMORY, "one");
    }
    let near = cards.iter().find_map(|(card, node)| node.trim().parse::<u32>().ok().map(|node| (card, node)));
    let (node, whose) = near.map_or((0, String::new()), |(card, node)| (node, format!("; {card} is at node {node}")));
    let told = format!("nodes {online}: reactors far from the network card wait for memory{whose}");
    Finding::note(MEMORY, told).mend(format!("numactl --cpunodebind={node} --membind={node} director --pin CONFIG"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity::{Note, Ok, Unseen};
    use super::*;

    #[test]
    fn clock_that_takes_a_system_call_is_told() {
        assert_eq!(clock(Some("tsc\n"), None).severity, Ok);
        let slow = clock(Some("hpet\n"), Some("tsc hpet acpi_pm \n"));
        assert_eq!(slow.severity, Note);
        assert_eq!(slow.mend, Some(format!("echo tsc > {CLOCK_FILE}")));
        assert_eq!(clock(Some("acpi_pm"), Some("hpet")).mend, None);
        assert_eq!((clock(None, None).severity, clock(Some("\n"), None).severity), (Unseen, Unseen));
    }

    #[test]
    fn governor_that_saves_is_told() {
        let of = |names: &[&str]| frequency(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["performance\n", "performance\n"]).severity, Ok);
        let slow = of(&["performance\n", "powersave\n"]);
        assert!(slow.severity == Note && slow.to_string().contains("performance, powersave"), "{slow}");
        assert_eq!((of(&[]).severity, of(&["\n"]).severity), (Unseen, Unseen));
    }

    #[test]
    fn several_memory_nodes_are_told_with_the_cards() {
        assert_eq!(nodes(Some("0\n"), &[]).severity, Ok);
        let cards = [(String::from("lo0"), String::from("-1\n")), (String::from("eth0"), String::from("1\n"))];
        let spread = nodes(Some("0-1\n"), &cards);
        assert_eq!(spread.severity, Note);
        assert!(spread.to_string().contains("eth0 is at node 1"), "{spread}");
        assert_eq!(spread.mend.as_deref(), Some("numactl --cpunodebind=1 --membind=1 director --pin CONFIG"));
        assert_eq!((nodes(None, &[]).severity, nodes(Some("x"), &[]).severity), (Unseen, Unseen));
    }
}
