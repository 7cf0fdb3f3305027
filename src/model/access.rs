//! Who may come: networks, ordered lists of them, and such lists made ready for looking up.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a list says of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It may come.
    Permit,
    /// It may not.
    Deny,
}

impl Verdict {
    /// The word of the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
        }
    }

    /// The verdict of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Permit, Self::Deny].into_iter().find(|verdict| verdict.name() == name)
    }
}

/// A network: an address, and how many of its first bits count; the others are 0. An IPv4 network in IPv6 form
/// (`::ffff:10.0.0.0/104`) is an IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Net {
    ip: IpAddr,
    prefix: u8,
}

/// Why there is no such network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoNet {
    /// The address has only this many bits.
    TooLong(u8),
    /// Bits of the address are set that do not count; without them it is this network.
    HostBits(Net),
}

impl Net {
    /// The network of the addresses that share their first `prefix` bits with `ip`.
    ///
    /// # Errors
    /// See [`NoNet`].
    pub fn new(ip: IpAddr, prefix: u8) -> Result<Self, NoNet> {
        let bits = bits_of(ip);
        if prefix > bits {
            return Err(NoNet::TooLong(bits));
        }
        let (ip, prefix) = match (ip, ip.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(mapped)) if prefix >= 96 => (IpAddr::V4(mapped), prefix - 96),
            (ip, _) => (ip, prefix),
        };
        let net = Self { ip: masked(ip, prefix), prefix };
        if net.ip == ip { Ok(net) } else { Err(NoNet::HostBits(net)) }
    }

    /// The network of this address alone.
    #[must_use]
    pub fn single(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        Self { ip, prefix: bits_of(ip) }
    }

    /// Those who came over a socket of this machine, and have no address. It is the network of `::` alone, from which
    /// nobody comes: RFC 4291, section 2.5.2.
    pub const UNIX: Self = Self { ip: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 128 };

    /// The first address.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// How many bits count.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The first and the last address as numbers.
    fn ends(&self) -> (u128, u128) {
        let free = bits_of(self.ip) - self.prefix;
        let first = number(self.ip);
        let rest = u128::MAX.checked_shr(128 - u32::from(free)).unwrap_or(0);
        (first, first | rest)
    }
}

/// As in the file: `10.0.0.0/8`, `unix`, and an address alone without the number of its bits.
impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNIX {
            f.write_str("unix")
        } else if self.prefix == bits_of(self.ip) {
            write!(f, "{}", self.ip)
        } else {
            write!(f, "{}/{}", self.ip, self.prefix)
        }
    }
}

/// The address with all bits behind the first `prefix` ones set to 0; all of it if it has no more.
#[must_use]
pub fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
    }
}

const fn bits_of(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// One line of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// What it says.
    pub verdict: Verdict,
    /// Of whom.
    pub net: Net,
}

/// A list made ready for looking up. Each family is a line of addresses, of which those are kept where the verdict
/// changes: however many rules there are and however they overlap, a look is a search among these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    permits_rest: bool,
    permits_unix: bool,
    v4: Line<u32>,
    v6: Line<u128>,
}

impl Acl {
    /// The list that says what the first rule says whose network an address is in, and `rest` of all others.
    #[must_use]
    pub fn new(rest: Verdict, rules: &[Rule]) -> Self {
        let permits_rest = rest == Verdict::Permit;
        let of_unix = rules.iter().find(|rule| rule.net == Net::UNIX);
        let permits_unix = of_unix.map_or(rest, |rule| rule.verdict) == Verdict::Permit;
        let v4 = changes(permits_rest, rules, true).into_iter();
        let v6 = changes(permits_rest, rules, false);
        // Numbers of IPv4 addresses have 32 bits.
        let v4 = v4.filter_map(|change| u32::try_from(change).ok()).collect();
        Self { permits_rest, permits_unix, v4: Line::new(v4), v6: Line::new(v6) }
    }

    /// The list that permits these networks and nobody else.
    #[must_use]
    pub fn of(nets: &[Net]) -> Self {
        let rules: Vec<Rule> = nets.iter().map(|net| Rule { verdict: Verdict::Permit, net: *net }).collect();
        Self::new(Verdict::Deny, &rules)
    }

    /// Whether the client with this address may come, or those without one: only [`Net::UNIX`] is about them. An IPv4
    /// address in IPv6 form is the IPv4 address.
    #[must_use]
    pub fn permits(&self, ip: Option<IpAddr>) -> bool {
        let Some(ip) = ip else { return self.permits_unix };
        let changes = match ip.to_canonical() {
            IpAddr::V4(ip) => self.v4.up_to(ip.to_bits()),
            IpAddr::V6(ip) => self.v6.up_to(ip.to_bits()),
        };
        self.permits_rest ^ (changes % 2 == 1)
    }
}

/// The addresses of one family at which the verdict becomes another one, sorted.
fn changes(permits_rest: bool, rules: &[Rule], v4: bool) -> Vec<u128> {
    // Where the networks of rules begin, and where they are over.
    let mut ends: Vec<(u128, usize, bool)> = Vec::with_capacity(rules.len() * 2);
    for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.net.ip.is_ipv4() == v4) {
        let (first, last) = rule.net.ends();
        ends.push((first, index, true));
        ends.extend(last.checked_add(1).map(|over| (over, index, false)));
    }
    ends.sort_unstable();
    let mut changes = Vec::new();
    let mut now = permits_rest;
    let mut active = BTreeSet::new();
    for at in ends.chunk_by(|a, b| a.0 == b.0) {
        for (_, index, begins) in at {
            if *begins {
                active.insert(*index);
            } else {
                active.remove(index);
            }
        }
        // The first of those that it is in.
        let verdict = active.first().map_or(permits_rest, |index| rules[*index].verdict == Verdict::Permit);
        if verdict != now {
            changes.extend(at.first().map(|(address, _, _)| *address));
            now = verdict;
        }
    }
    changes
}

/// Sorted numbers in levels: all of them, every so manyth of those, and so on up to a few. A search looks through one
/// block of each level, without a branch that depends on what it finds, and touches few cache lines.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line<T> {
    /// From the few to all.
    levels: Vec<Vec<T>>,
}

/// Numbers of a block, of which the first stands in the level above.
const BLOCK: usize = 16;

impl<T: Ord + Copy> Line<T> {
    fn new(all: Vec<T>) -> Self {
        let mut levels = vec![all];
        while let Some(last) = levels.last().filter(|last| last.len() > BLOCK) {
            levels.push(last.iter().step_by(BLOCK).copied().collect());
        }
        levels.reverse();
        Self { levels }
    }

    /// How many are no larger than this one.
    fn up_to(&self, number: T) -> usize {
        // Of the level above.
        let mut count: usize = 1;
        for level in &self.levels {
            let Some(first) = count.checked_sub(1).map(|block| block * BLOCK) else { return 0 };
            let end = (first + BLOCK).min(level.len());
            count = first + level[first..end].iter().filter(|one| **one <= number).count();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::Rng;
    use proptest::prelude::*;
    use std::time::Instant;

    fn net(text: &str) -> Net {
        let (ip, prefix) = text.split_once('/').unwrap();
        Net::new(ip.parse().unwrap(), prefix.parse().unwrap()).unwrap()
    }

    fn rule(verdict: Verdict, text: &str) -> Rule {
        Rule { verdict, net: net(text) }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn host_bits_are_told_with_the_network_that_was_meant() {
        assert_eq!(Net::new(ip("10.0.0.1"), 8), Err(NoNet::HostBits(net("10.0.0.0/8"))));
        assert_eq!(Net::new(ip("2001:db8::1"), 32), Err(NoNet::HostBits(net("2001:db8::/32"))));
        assert_eq!(Net::new(ip("10.0.0.0"), 33), Err(NoNet::TooLong(32)));
        assert_eq!(Net::new(ip("::"), 129), Err(NoNet::TooLong(128)));
        assert_eq!(net("10.1.2.3/32"), Net::single(ip("10.1.2.3")));
        assert_eq!((net("10.0.0.0/8").to_string(), net("::1/128").to_string()), ("10.0.0.0/8".into(), "::1".into()));
    }

    #[test]
    fn ipv4_network_in_ipv6_form_is_the_ipv4_network() {
        assert_eq!(net("::ffff:10.0.0.0/104"), net("10.0.0.0/8"));
        assert_eq!(Net::single(ip("::ffff:10.0.0.1")), net("10.0.0.1/32"));
        let acl = Acl::of(&[net("10.0.0.0/8")]);
        assert!(acl.permits(Some(ip("::ffff:10.9.9.9"))) && !acl.permits(Some(ip("::10.9.9.9"))));
        assert!(!Acl::of(&[net("::/0")]).permits(Some(ip("10.0.0.1"))), "all of IPv6 is nobody of IPv4");
    }

    #[test]
    fn client_without_an_address_is_in_its_own_network_and_in_no_other() {
        let of = |rest, rules: &[Rule]| Acl::new(rest, rules).permits(None);
        let all = [rule(Verdict::Permit, "::/0"), rule(Verdict::Permit, "0.0.0.0/0")];
        assert!(!of(Verdict::Deny, &all) && of(Verdict::Permit, &[]));
        let unix = |verdict| Rule { verdict, net: Net::UNIX };
        assert!(of(Verdict::Deny, &[rule(Verdict::Deny, "::/0"), unix(Verdict::Permit), unix(Verdict::Deny)]));
        assert!(!of(Verdict::Permit, &[unix(Verdict::Deny)]));
        assert!(Acl::of(&[Net::UNIX]).permits(None) && !Acl::of(&[Net::UNIX]).permits(Some(ip("::1"))));
        assert_eq!(Net::UNIX.to_string(), "unix");
    }

    #[test]
    fn first_rule_that_matches_decides_and_the_default_the_rest() {
        let rules = [
            rule(Verdict::Permit, "10.1.0.0/16"),
            rule(Verdict::Deny, "10.0.0.0/8"),
            rule(Verdict::Permit, "10.2.0.0/16"),
            rule(Verdict::Deny, "2001:db8::/32"),
            rule(Verdict::Permit, "::/0"),
        ];
        let acl = Acl::new(Verdict::Permit, &rules);
        for (client, permitted) in [
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("10.0.0.0", false),
            ("9.255.255.255", true),
            ("11.0.0.0", true),
            ("2001:db8:ffff::", false),
            ("2001:db9::", true),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ] {
            assert_eq!(acl.permits(Some(ip(client))), permitted, "{client}");
        }
        assert!(!Acl::new(Verdict::Deny, &[]).permits(Some(ip("0.0.0.0"))));
    }

    #[test]
    fn masked_address_keeps_its_first_bits() {
        assert_eq!(masked(ip("10.1.2.3"), 24), ip("10.1.2.0"));
        assert_eq!(masked(ip("10.1.2.3"), 0), ip("0.0.0.0"));
        assert_eq!(masked(ip("10.1.2.3"), 64), ip("10.1.2.3"));
        assert_eq!(masked(ip("2001:db8::1:2"), 64), ip("2001:db8::"));
    }

    /// The time of a look, on average.
    fn look_up(acl: &Acl, clients: &[IpAddr]) -> (f64, usize) {
        let begin = Instant::now();
        let permitted = clients.iter().filter(|client| acl.permits(Some(**client))).count();
        (begin.elapsed().as_secs_f64() * 1e9 / clients.len() as f64, permitted)
    }

    #[test]
    fn hundred_thousand_networks_are_looked_up_at_once() {
        let mut rng = Rng::new(7);
        let mut random = |v4: bool| -> IpAddr {
            let low = rng.next_u64();
            if v4 {
                Ipv4Addr::from_bits(u32::try_from(low >> 32).unwrap()).into()
            } else {
                Ipv6Addr::from_bits(0x2001 << 112 | u128::from(low % (1 << 18)) << 64 | u128::from(low)).into()
            }
        };
        for v4 in [true, false] {
            let prefix = if v4 { 24 } else { 64 };
            let rules: Vec<Rule> = (0..100_000)
                .map(|_| Rule { verdict: Verdict::Deny, net: Net::new(masked(random(v4), prefix), prefix).unwrap() })
                .collect();
            let begin = Instant::now();
            let acl = Acl::new(Verdict::Permit, &rules);
            let compiled = begin.elapsed();
            let clients: Vec<IpAddr> = (0..1_000_000).map(|_| random(v4)).collect();
            let (nanos, permitted) = look_up(&acl, &clients);
            assert!(permitted < clients.len() && permitted > 0);
            println!("100,000 networks (IPv4: {v4}): {nanos:.0} ns a look, made ready in {compiled:?}");
            // Far above what an optimized build takes on an idle machine.
            assert!(nanos < 5_000.0, "{nanos} ns");
        }
    }

    fn any_net() -> impl Strategy<Value = Net> {
        // Few bits, so that networks overlap.
        prop_oneof![
            (0..16_u32, 0..=4_u8).prop_map(|(bits, prefix)| (IpAddr::V4(Ipv4Addr::from_bits(bits << 28)), prefix)),
            (0..16_u128, 124..=128_u8).prop_map(|(bits, prefix)| (IpAddr::V6(Ipv6Addr::from_bits(bits)), prefix)),
        ]
        .prop_map(|(ip, prefix)| Net::new(masked(ip, prefix), prefix).unwrap())
    }

    proptest! {
        #[test]
        fn compiled_list_says_what_the_rules_say_one_after_the_other(
            rest: bool,
            rules in prop::collection::vec((any::<bool>(), any_net()), 0..80),
        ) {
            let verdict = |permits| if permits { Verdict::Permit } else { Verdict::Deny };
            let rules: Vec<Rule> =
                rules.into_iter().map(|(permits, net)| Rule { verdict: verdict(permits), net }).collect();
            let acl = Acl::new(verdict(rest), &rules);
            for bits in 0..16_u32 {
                for (client, v4) in [
                    (IpAddr::V4(Ipv4Addr::from_bits(bits << 28 | bits)), true),
                    (IpAddr::V6(Ipv6Addr::from_bits(bits.into())), false),
                ] {
                    let is_in = |rule: &&Rule| rule.net.ip().is_ipv4() == v4 && masked(client, rule.net.prefix()) == rule.net.ip();
                    let said = rules.iter().find(is_in).map_or(verdict(rest), |rule| rule.verdict);
                    prop_assert_eq!(acl.permits(Some(client)), said == Verdict::Permit, "{}", client);
                }
            }
        }
    }
}
