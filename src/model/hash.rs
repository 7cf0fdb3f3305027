//! Hashes that every machine and every run has the same: what they decide is the same on each of several directors and
//! after a restart. Not for secrets.

use std::net::{IpAddr, SocketAddr};

use super::address::Endpoint;

/// Spreads the bits of a number: each of the 64 depends on all of them (the finalizer of SplitMix64; see
/// [`super::rng::Rng`]).
#[must_use]
pub const fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Of 128 bits.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
pub const fn wide(number: u128) -> u64 {
    mix(mix((number >> 64) as u64) ^ number as u64)
}

/// Of an IP address; an IPv4 address in IPv6 clothes is the IPv4 address.
#[must_use]
pub fn ip(ip: IpAddr) -> u64 {
    wide(bits(ip))
}

/// Of an address with its port. The scope of a link-local address, which differs by machine, does not count.
#[must_use]
pub fn address(addr: SocketAddr) -> u64 {
    mix(ip(addr.ip()) ^ u64::from(addr.port()))
}

/// Of where somebody is.
#[must_use]
pub fn endpoint(endpoint: Endpoint) -> u64 {
    match endpoint {
        Endpoint::Ip(addr) => address(addr),
        Endpoint::Unix(name) => name.as_str().bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte))),
    }
}

/// The address as the IPv6 address that it is or is mapped to.
pub(super) const fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::UnixName;

    #[test]
    fn hash_is_the_same_everywhere() {
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
        let hash = |text: &str| address(text.parse().unwrap());
        // Whoever changes these numbers sends the clients of every installation to other hosts.
        assert_eq!(hash("10.0.0.1:80"), 5_403_951_813_634_116_874);
        assert_eq!(hash("[2001:db8::1]:443"), 10_415_692_126_644_142_602);
        assert_eq!(hash("10.0.0.1:80"), hash("[::ffff:10.0.0.1]:80"));
        assert_ne!(hash("10.0.0.1:80"), hash("10.0.0.1:81"));
        let socket = |name| endpoint(Endpoint::Unix(UnixName::new(name).unwrap()));
        assert_eq!(socket("/run/a"), socket("/run/a"));
        assert_ne!(socket("/run/a"), socket("/run/b"));
        assert_eq!(hash("[fe80::1%2]:80"), hash("[fe80::1%3]:80"));
    }

    #[test]
    fn neighbouring_addresses_have_hashes_that_share_no_bits() {
        for bit in 0..64 {
            let ones = (0..4000_u32).filter(|n| ip(IpAddr::V4((0x0A00_0000 + n).into())) >> bit & 1 == 1).count();
            assert!((1800..2200).contains(&ones), "bit {bit} is set in {ones} of 4000");
        }
    }
}
