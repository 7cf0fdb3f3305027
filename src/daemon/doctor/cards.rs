//! Network cards: whether their work is spread over the processors.

use std::collections::BTreeMap;

use super::finding::Finding;

/// Interrupts from which on their spread means something.
const COUNTED_MIN: u64 = 1000;
/// Percent of a card's interrupts on one processor that are called uneven when it has several queues.
const UNEVEN_PERCENT: u64 = 80;

const RECEIVING: &str = "receiving";
const SENDING: &str = "sending";

/// A network card as the kernel shows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Card {
    /// Of the interface.
    pub(super) name: String,
    /// Of the device behind it: `virtio2`, `0000:00:05.0`.
    pub(super) device: String,
    /// The mask of processors that receive steering gives each receive queue's packets to, by the queue's name.
    pub(super) rps: BTreeMap<String, String>,
    /// The mask of processors that use each send queue; a card with one queue has none.
    pub(super) xps: BTreeMap<String, String>,
    /// Its memory node, -1 for none.
    pub(super) node: String,
}

/// One line of `/proc/interrupts`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interrupt {
    number: u32,
    /// How often it came, by processor.
    counts: Vec<u64>,
}

/// How many processors `/proc/interrupts` shows.
pub(super) fn processors(interrupts: Option<&str>) -> usize {
    let heads = interrupts.and_then(|text| text.lines().next()).unwrap_or_default();
    heads.split_whitespace().filter(|word| word.starts_with("CPU")).count()
}

/// `/proc/interrupts`, the cards' receive steering, and the processors that each interrupt is bound to
/// (`/proc/irq/N/smp_affinity_list`, by N).
pub(super) fn receiving(
    card: &Card,
    interrupts: Option<&str>,
    bound: impl Fn(u32) -> Option<String>,
    balanced: bool,
) -> Finding {
    let (name, cpus) = (&card.name, processors(interrupts));
    if cpus == 0 {
        return Finding::unseen(RECEIVING, "/proc/interrupts");
    }
    if card.rps.values().any(|mask| is_set(mask)) {
        return Finding::ok(RECEIVING, format!("{name}: spread by receive packet steering"));
    }
    if cpus == 1 {
        return Finding::ok(RECEIVING, format!("{name}: there is one processor"));
    }
    let own = interrupts_of(card, interrupts.unwrap_or_default(), cpus);
    if card.rps.len() < 2 {
        let told = format!("{name}: one queue, so that one of {cpus} processors does all the work of receiving");
        let queue = card.rps.keys().next().map_or("rx-0", String::as_str);
        let mend = format!("echo {} > /sys/class/net/{name}/queues/{queue}/rps_cpus", mask(cpus));
        return Finding::note(RECEIVING, told).mend(mend);
    }
    if own.is_empty() {
        return Finding::unseen(RECEIVING, &format!("the interrupts of {name}"));
    }
    let sums: Vec<u64> = (0..cpus).map(|cpu| own.iter().map(|one| one.counts[cpu]).sum()).collect();
    let (total, most) = (sums.iter().sum::<u64>(), sums.iter().copied().max().unwrap_or(0));
    let percent = most.saturating_mul(100).checked_div(total).unwrap_or(0);
    let queues = card.rps.len();
    let stuck = all_on_one(own.iter().map(|one| bound(one.number)));
    if !stuck && (total < COUNTED_MIN || percent < UNEVEN_PERCENT) {
        return Finding::ok(
            RECEIVING,
            format!("{name}: {queues} queues, {percent} % of the interrupts on one processor"),
        );
    }
    let told = format!("{name}: {queues} queues, but {percent} % of {total} interrupts on one of {cpus} processors");
    let mend = if balanced { spread_command(&own, cpus) } else { String::from("systemctl enable --now irqbalance") };
    Finding::note(RECEIVING, told).mend(mend)
}

/// The cards' send queues: with several, each processor should have its own.
pub(super) fn sending(card: &Card) -> Finding {
    let (name, queues) = (&card.name, card.xps.len());
    if queues < 2 {
        return Finding::ok(SENDING, format!("{name}: one queue"));
    }
    if card.xps.values().any(|mask| is_set(mask)) {
        return Finding::ok(SENDING, format!("{name}: {queues} queues, given to processors"));
    }
    let told = format!("{name}: {queues} queues that processors share at random");
    let mend = format!(
        "i=0; for q in /sys/class/net/{name}/queues/tx-*; do printf %x $((1 << i)) > $q/xps_cpus; i=$((i + 1)); done"
    );
    Finding::note(SENDING, told).mend(mend)
}

/// Told when there is no card to look at.
pub(super) fn none() -> Finding {
    Finding::unseen(RECEIVING, "a network card (a container has none of its own)")
}

fn interrupts_of(card: &Card, text: &str, cpus: usize) -> Vec<Interrupt> {
    let parse = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        let number = number.trim().parse().ok()?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        let counts: Option<Vec<u64>> = words.iter().take(cpus).map(|word| word.parse().ok()).collect();
        let counts = counts.filter(|counts| counts.len() == cpus)?;
        let owned = words.iter().skip(cpus).any(|word| names(word, &card.name) || names(word, &card.device));
        owned.then_some(Interrupt { number, counts })
    };
    text.lines().skip(1).filter_map(parse).collect()
}

/// Whether a word of an interrupt's line is about this card: `eth0-TxRx-1` and `mlx5_comp1@pci:0000:05:00.0`, but not
/// `eth01`.
fn names(word: &str, name: &str) -> bool {
    !name.is_empty()
        && word.match_indices(name).any(|(at, _)| {
            let apart = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
            apart(word[..at].chars().next_back()) && apart(word[at + name.len()..].chars().next())
        })
}

/// Whether all of several interrupts are bound to the same single processor.
fn all_on_one(mut bound: impl Iterator<Item = Option<String>>) -> bool {
    let Some(Some(first)) = bound.next() else { return false };
    let (mut rest, first) = (bound.peekable(), first.trim().to_owned());
    first.parse::<u32>().is_ok() && rest.peek().is_some() && rest.all(|one| one.is_some_and(|one| one.trim() == first))
}

/// Binds the interrupts to the processors in turn.
fn spread_command(interrupts: &[Interrupt], cpus: usize) -> String {
    let bind =
        |(at, one): (usize, &Interrupt)| format!("echo {} > /proc/irq/{}/smp_affinity_list", at % cpus, one.number);
    interrupts.iter().enumerate().map(bind).collect::<Vec<_>>().join(" && ")
}

/// Whether a mask of processors names any.
fn is_set(mask: &str) -> bool {
    mask.chars().any(|c| c.is_ascii_hexdigit() && c != '0')
}

/// The mask of the first so many processors: words of 32 bits, the highest first.
fn mask(cpus: usize) -> String {
    let (full, rest) = (cpus / 32, cpus % 32);
    let first = (rest > 0).then(|| format!("{:x}", (1_u64 << rest) - 1));
    first.into_iter().chain((0..full).map(|_| String::from("ffffffff"))).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity::{Note, Ok, Unseen};
    use super::*;

    const HEADS: &str = "           CPU0       CPU1       \n";

    fn card(rps: &[&str], xps: &[&str]) -> Card {
        let queues = |kind: &str, masks: &[&str]| {
            masks.iter().enumerate().map(|(at, mask)| (format!("{kind}-{at}"), mask.to_string())).collect()
        };
        let (rps, xps) = (queues("rx", rps), queues("tx", xps));
        Card { name: "eth0".into(), device: "virtio2".into(), rps, xps, node: "-1".into() }
    }

    fn interrupts(of_zero: u32, of_one: u32) -> String {
        format!(
            "{HEADS} 38: {of_zero} 0 PCI-MSIX 1-edge virtio2-input.0\n 39: 0 {of_one} PCI-MSIX 2-edge virtio2-input.1\n \
             40: 99999 0 PCI-MSIX 2-edge virtio25-input.1\nNMI: 0 0 Non-maskable\n"
        )
    }

    #[test]
    fn interrupts_on_one_processor_are_told() {
        let two = card(&["0\n", "0\n"], &[]);
        let free = |_| Some(String::from("0-1\n"));
        assert_eq!(receiving(&two, Some(&interrupts(5000, 5000)), free, false).severity, Ok);
        assert_eq!(receiving(&two, Some(&interrupts(90, 1)), free, false).severity, Ok);
        let uneven = receiving(&two, Some(&interrupts(9000, 1000)), free, false);
        assert_eq!((uneven.severity, uneven.mend.as_deref()), (Note, Some("systemctl enable --now irqbalance")));
        let bound = receiving(&two, Some(&interrupts(9, 9)), |_| Some(String::from("1\n")), true);
        let mend = "echo 0 > /proc/irq/38/smp_affinity_list && echo 1 > /proc/irq/39/smp_affinity_list";
        assert_eq!((bound.severity, bound.mend.as_deref()), (Note, Some(mend)));
    }

    #[test]
    fn single_queue_without_steering_is_told() {
        let one = |mask| receiving(&card(&[mask], &[]), Some(&interrupts(5, 5)), |_| None, false);
        let told = one("0\n");
        assert_eq!(
            (told.severity, told.mend.as_deref()),
            (Note, Some("echo 3 > /sys/class/net/eth0/queues/rx-0/rps_cpus"))
        );
        assert_eq!(one("00000000,00000003\n").severity, Ok);
        let lonely = receiving(&card(&["0"], &[]), Some("   CPU0\n 1: 7 eth0\n"), |_| None, false);
        assert_eq!(lonely.severity, Ok);
    }

    #[test]
    fn interrupts_that_make_no_sense_are_not_seen() {
        let two = card(&["0", "0"], &[]);
        for text in [None, Some(""), Some("what\never\n")] {
            assert_eq!(receiving(&two, text, |_| None, false).severity, Unseen, "{text:?}");
        }
        let odd = format!("{HEADS} x: 1 2 eth0\n 5: one 2 eth0\n 6: 7\n");
        assert_eq!(receiving(&two, Some(&odd), |_| None, false).severity, Unseen);
    }

    #[test]
    fn interrupt_is_of_the_card_that_it_names() {
        assert!(names("eth0-TxRx-1", "eth0") && names("mlx5_comp1@pci:0000:05:00.0", "0000:05:00.0"));
        assert!(!names("eth01", "eth0") && !names("veth0", "eth0") && !names("eth0", ""));
    }

    #[test]
    fn send_queues_that_nobody_owns_are_told() {
        assert_eq!(sending(&card(&[], &[])).severity, Ok);
        assert_eq!(sending(&card(&[], &["1\n", "2\n"])).severity, Ok);
        assert_eq!(sending(&card(&[], &["0\n", "00,00\n"])).severity, Note);
    }

    #[test]
    fn mask_has_words_of_32_bits() {
        assert_eq!((mask(2), mask(32), mask(40)), ("3".into(), "ffffffff".into(), "ff,ffffffff".into()));
    }
}
