//! Networks, and the words around them: `10.0.0.0/8`, `2001:db8::/32`, a single address, `permit`, `both`, `v2`.

use std::net::IpAddr;

use super::number;
use crate::config::error::quoted;
use crate::config::suggest::{closest, hint};
use crate::model::access::{Net, NoNet, Verdict};
use crate::model::limits::{CLIENT_RATE_MAX, CLIENTS_MAX};
use crate::model::proxy::{Announce, Versions};
use crate::model::service::Fastclose;

const EXPECTED: &str = "expected a network such as 10.0.0.0/8 or 2001:db8::/32, an address, or unix";

/// A network.
pub(in crate::config) fn net(text: &str) -> Result<Net, String> {
    let text = text.trim();
    if text == "unix" {
        return Ok(Net::UNIX);
    }
    let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
    let ip: IpAddr = ip.parse().map_err(|_| format!("{} is not an address, {EXPECTED}", quoted(ip)))?;
    let Some(prefix) = prefix else { return Ok(Net::single(ip)) };
    if ip.is_ipv4() && prefix.contains('.') {
        return Err(format!("{} is a mask, expected the number of bits that count, such as /24", quoted(prefix)));
    }
    let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let bits: Option<u8> = if digits { prefix.parse().ok() } else { None };
    let bits_max = if ip.is_ipv4() { 32 } else { 128 };
    let out_of_range = || format!("the prefix {} is not 0 to {bits_max}, {EXPECTED}", quoted(prefix));
    Net::new(ip, bits.ok_or_else(out_of_range)?).map_err(|error| match error {
        NoNet::TooLong(_) => out_of_range(),
        NoNet::HostBits(meant) => {
            format!("the address has bits behind its prefix, expected {meant} or {}", Net::single(ip))
        }
    })
}

/// Networks with commas between them, at least one.
pub(in crate::config) fn nets(text: &str) -> Result<Vec<Net>, String> {
    text.split(',').map(net).collect()
}

/// As [`nets`] reads them.
pub(in crate::config) fn show_nets(nets: &[Net]) -> String {
    nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// What an access list says.
pub(in crate::config) fn verdict(text: &str) -> Result<Verdict, String> {
    word(text, Verdict::from_name, &["permit", "deny"])
}

/// Which PROXY headers are taken.
pub(in crate::config) fn proxy_versions(text: &str) -> Result<Versions, String> {
    word(text, Versions::from_name, &["v1", "v2", "any"])
}

/// Which PROXY header is sent.
pub(in crate::config) fn announce(text: &str) -> Result<Announce, String> {
    word(text, Announce::from_name, &["v1", "v2", "off"])
}

/// Which end of stream closes both directions.
pub(in crate::config) fn fastclose(text: &str) -> Result<Fastclose, String> {
    let find = |name: &str| Fastclose::ALL.into_iter().find(|fastclose| fastclose.name() == name);
    word(text, find, &["up", "down", "both", "off"])
}

/// New connections in a second.
pub(in crate::config) fn client_rate(text: &str) -> Result<u32, String> {
    number::number(text, 1..=CLIENT_RATE_MAX)
}

/// Clients that are known.
pub(in crate::config) fn client_table(text: &str) -> Result<u32, String> {
    number::number(text, 1..=CLIENTS_MAX)
}

/// Bits of an address.
pub(in crate::config) fn prefix(text: &str, bits_max: u8) -> Result<u8, String> {
    number::number(text, 0..=bits_max.into()).map(|bits| u8::try_from(bits).unwrap_or(bits_max))
}

fn word<T>(text: &str, find: impl FnOnce(&str) -> Option<T>, words: &[&str]) -> Result<T, String> {
    let text = text.trim();
    find(text).ok_or_else(|| {
        let hint = hint(closest(text, words.iter().copied()));
        format!("unknown word, expected {}{hint}", crate::config::error::alternatives(words))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_is_read_as_it_is_written() {
        for text in ["10.0.0.0/8", "10.0.0.1", "0.0.0.0/0", "2001:db8::/32", "::1", "::/0"] {
            assert_eq!(net(text).unwrap().to_string(), text);
        }
        assert_eq!(net(" 10.0.0.1/32 ").unwrap().to_string(), "10.0.0.1");
        assert_eq!(net("::ffff:10.0.0.0/104").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(show_nets(&nets("10.0.0.0/8, ::1").unwrap()), "10.0.0.0/8,::1");
    }

    #[test]
    fn network_that_is_none_is_refused_with_what_was_meant() {
        let refused = |text| net(text).unwrap_err();
        assert_eq!(refused("10.0.0.1/8"), "the address has bits behind its prefix, expected 10.0.0.0/8 or 10.0.0.1");
        assert_eq!(
            refused("2001:db8::1/32"),
            "the address has bits behind its prefix, expected 2001:db8::/32 or 2001:db8::1"
        );
        assert!(refused("10.0.0.0/33").starts_with("the prefix \"33\" is not 0 to 32, "));
        assert!(refused("::/129").starts_with("the prefix \"129\" is not 0 to 128, "));
        assert!(refused("10.0.0.0/").starts_with("the prefix \"\" is not 0 to 32, "));
        assert!(refused("10.0.0.0/+8").starts_with("the prefix \"+8\" is not 0 to 32, "));
        assert!(refused("10.0.0.0/999").starts_with("the prefix \"999\" is not 0 to 32, "));
        assert!(refused("10.0.0.0/255.0.0.0").starts_with("\"255.0.0.0\" is a mask, "));
        assert!(refused("lan").starts_with("\"lan\" is not an address, "));
        assert!(nets("10.0.0.0/8,").is_err());
    }

    #[test]
    fn word_that_is_unknown_is_refused_with_the_nearest() {
        assert_eq!(verdict("permt").unwrap_err(), "unknown word, expected permit or deny; did you mean \"permit\"?");
        assert_eq!(fastclose("both"), Ok(Fastclose::Both));
        assert_eq!(proxy_versions("v2"), Ok(Versions::V2));
        assert_eq!(announce("off"), Ok(Announce::Off));
        assert!(prefix("33", 32).is_err() && prefix("0", 32) == Ok(0));
    }
}
