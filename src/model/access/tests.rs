//! Lists and their networks.

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
