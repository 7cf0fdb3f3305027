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
mod tests;
