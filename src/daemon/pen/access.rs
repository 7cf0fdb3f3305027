//! Access lists: ordered, the first entry that fits decides, and whom none fits gets the opposite of the last one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{LISTS, Pen};

pub(super) const NO_LIST: &str = "pen ignores it, because its lists are 0 to 9";

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) permits: bool,
    /// As `<permit net>` has it; none: it fits nobody here, and still may be the last.
    pub(super) net: Option<String>,
}

/// The number of a list.
pub(super) fn list(text: &str) -> Option<usize> {
    text.parse().ok().filter(|list| *list < LISTS)
}

/// Obeys `acl N permit|deny ADDRESS [MASK]`, `ADDRESS/LENGTH` for IPv6, or `country CC`.
pub(super) fn add(pen: &mut Pen, place: &str, words: &[&str]) {
    let [number, verdict, what @ ..] = words else {
        return pen.note(place, "pen ignores it, because it has not the form acl N permit|deny ADDRESS");
    };
    let Some(list) = list(number) else { return pen.note(place, NO_LIST) };
    let permits = match *verdict {
        "permit" => true,
        "deny" => false,
        _ => return pen.note(place, "pen ignores it, because it says neither permit nor deny"),
    };
    let net = match what {
        ["country", ..] => {
            pen.note(place, "Director knows no countries: the entry is left out, say their networks instead");
            None
        }
        [address, mask @ ..] => match net(address, mask.first().copied()) {
            Ok(net) => Some(net),
            Err(Odd::Ignored(why)) => {
                let what =
                    format!("pen silently ignores it, because {why}; it is left out here, too: say what is meant");
                return pen.note(place, &what);
            }
            Err(Odd::Nobody(why)) => {
                pen.note(place, &format!("it fits nobody in pen, because {why}; it is left out"));
                None
            }
            Err(Odd::Inexpressible(why)) => {
                return pen.refuse(place, &format!("{why}, expected a mask whose ones are all in front"));
            }
        },
        [] => return pen.note(place, "pen ignores it, because the address is missing"),
    };
    pen.acls[list].push(Entry { permits, net });
}

/// What an entry is that is none of a file.
enum Odd {
    /// pen does not take it.
    Ignored(String),
    /// pen takes it, and no client can be in it.
    Nobody(String),
    /// It means something in pen that no network says.
    Inexpressible(String),
}

fn net(address: &str, mask: Option<&str>) -> Result<String, Odd> {
    let (bare, length) = address.split_once('/').map_or((address, None), |(bare, length)| (bare, Some(length)));
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) if length.is_some() => {
            Err(Odd::Ignored(String::from("an IPv4 network has its mask behind a space")))
        }
        Ok(IpAddr::V4(ip)) => net_v4(ip, mask),
        Ok(IpAddr::V6(ip)) => net_v6(ip, length.unwrap_or("128")),
        Err(_) => Err(Odd::Ignored(format!("{bare:?} is no address"))),
    }
}

fn net_v4(ip: Ipv4Addr, mask: Option<&str>) -> Result<String, Odd> {
    let Some(mask) = mask else { return Ok(ip.to_string()) };
    let Ok(mask) = mask.parse::<Ipv4Addr>() else {
        return Err(Odd::Ignored(format!("{mask:?} is no mask")));
    };
    let length = mask.to_bits().leading_ones();
    if mask.to_bits().count_ones() != length {
        return Err(Odd::Inexpressible(format!("{mask} has a one behind a zero")));
    }
    if ip.to_bits() & mask.to_bits() != ip.to_bits() {
        return Err(Odd::Nobody(format!("{ip} has ones behind its mask {mask}")));
    }
    Ok(if length == 32 { ip.to_string() } else { format!("{ip}/{length}") })
}

/// The address without the bits behind the prefix, which a file may not have.
fn net_v6(ip: Ipv6Addr, length: &str) -> Result<String, Odd> {
    let length: u32 = match length.parse() {
        Ok(length) if length <= 128 => length,
        _ => return Err(Odd::Ignored(format!("{length:?} is no length of a prefix"))),
    };
    let kept = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    let ip = Ipv6Addr::from_bits(ip.to_bits() & kept);
    Ok(if length == 128 { ip.to_string() } else { format!("{ip}/{length}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let (address, mask) = text.split_once(' ').map_or((text, None), |(address, mask)| (address, Some(mask)));
        net(address, mask).map_err(|odd| match odd {
            Odd::Ignored(why) => format!("ignored: {why}"),
            Odd::Nobody(why) => format!("nobody: {why}"),
            Odd::Inexpressible(why) => format!("inexpressible: {why}"),
        })
    }

    #[test]
    fn network_of_every_form_is_translated() {
        assert_eq!(read("10.0.0.1").unwrap(), "10.0.0.1");
        assert_eq!(read("10.0.0.0 255.0.0.0").unwrap(), "10.0.0.0/8");
        assert_eq!(read("10.0.0.1 255.255.255.255").unwrap(), "10.0.0.1");
        assert_eq!(read("0.0.0.0 0.0.0.0").unwrap(), "0.0.0.0/0");
        assert_eq!(read("fd00::1").unwrap(), "fd00::1");
        assert_eq!(read("2001:db8::1/32").unwrap(), "2001:db8::/32");
        assert_eq!(read("::/0").unwrap(), "::/0");
    }

    #[test]
    fn entry_that_pen_does_not_take_is_told_apart() {
        assert!(read("10.0.0.0/8").unwrap_err().starts_with("ignored: an IPv4 network has its mask behind a space"));
        assert!(read("ten").unwrap_err().starts_with("ignored: "));
        assert!(read("10.0.0.0 8").unwrap_err().starts_with("ignored: "));
        assert!(read("fd00::/129").unwrap_err().starts_with("ignored: "));
        assert!(read("10.0.0.1 255.0.0.0").unwrap_err().starts_with("nobody: 10.0.0.1 has ones behind its mask"));
        assert!(read("10.0.0.0 255.0.255.0").unwrap_err().starts_with("inexpressible: "));
    }
}
