//! Servers: `ADDRESS[:PORT[:MAX[:HARD[:WEIGHT[:PRIO]]]]]`, and what the command `server` says of them.

use super::{Pen, address};

/// A server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Server {
    /// A name, an address without brackets, or a path. Empty: it was never said.
    pub(super) host: String,
    /// None: the listener's.
    pub(super) port: Option<String>,
    pub(super) max: u32,
    pub(super) hard: u32,
    pub(super) weight: u32,
    pub(super) prio: u32,
    /// Its list; none: the first, as all.
    pub(super) acl: Option<usize>,
}

impl Server {
    /// Reads a server of the command line.
    ///
    /// # Errors
    /// It has another form.
    pub(super) fn read(text: &str, udp: bool) -> Result<Self, String> {
        const EXPECTED: &str = "expected ADDRESS[:PORT[:MAX[:HARD[:WEIGHT[:PRIO]]]]], IPv6 in brackets";
        let (host, rest) = match text.strip_prefix('[') {
            Some(inside) => {
                let (host, rest) = inside.split_once(']').ok_or_else(|| format!("no bracket closes, {EXPECTED}"))?;
                (host, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("")))
            }
            None => text.split_once(':').map_or((text, Some("")), |(host, rest)| (host, Some(rest))),
        };
        let rest = rest.ok_or_else(|| format!("something follows the bracket, {EXPECTED}"))?;
        let mut parts = rest.split(':');
        let port = parts.next().filter(|port| !port.is_empty());
        let port = port.map(|port| address::port(port, udp)).transpose()?;
        let mut number = |name: &str| match parts.next() {
            None | Some("") => Ok(0),
            Some(text) => text.parse().map_err(|_| format!("its {name} {text:?} is not a number, {EXPECTED}")),
        };
        let (max, hard, weight, prio) = (number("max")?, number("hard")?, number("weight")?, number("prio")?);
        if host.is_empty() {
            return Err(format!("the address is missing, {EXPECTED}"));
        }
        if let Some(more) = parts.next() {
            return Err(format!("{more:?} follows its prio, {EXPECTED}"));
        }
        let server = Self { host: host.to_owned(), port, max, hard, weight, prio, acl: None };
        // What is wrong with the address is told beside the word that has it.
        server.address("1").map(|_| server)
    }

    /// The address as a file has it; `port` is the listener's.
    pub(super) fn address(&self, port: &str) -> Result<String, String> {
        if self.is_removed() {
            return Ok(String::new());
        }
        address::host(&self.host, self.port.as_deref().unwrap_or(port))
    }

    /// Whether the address is the one by which pen marks an empty slot.
    pub(super) fn is_removed(&self) -> bool {
        self.host == "0.0.0.0"
    }
}

/// Obeys `server N [acl A] [address A] [port P] [max M] [hard H] [blacklist T] [weight W] [prio P]`.
pub(super) fn command(pen: &mut Pen, place: &str, words: &[&str]) {
    let [slot, pairs @ ..] = words else {
        return pen.note(place, "pen ignores it, because it names no server");
    };
    let Some(slot) = slot.parse().ok().filter(|slot| *slot < 10_000) else {
        return pen.refuse(place, &format!("the server {slot:?} is not a number, expected 0 to 9999"));
    };
    let mut server = pen.servers.get(&slot).cloned().unwrap_or_default();
    for pair in pairs.chunks(2) {
        let [name, text] = pair else {
            pen.note(place, &format!("pen ignores {:?}, because it has no value", pair.concat()));
            continue;
        };
        match *name {
            "address" => text.trim_matches(['[', ']']).clone_into(&mut server.host),
            "port" => match address::port(text, pen.switches.udp) {
                Ok(port) => server.port = Some(port),
                Err(why) => pen.refuse(place, &why),
            },
            "acl" => match super::access::list(text) {
                Some(list) => server.acl = Some(list),
                None => pen.note(place, &format!("pen ignores the acl {text:?}, because its lists are 0 to 9")),
            },
            "max" => server.max = pen.number(place, text, 0).unwrap_or(0),
            "hard" => server.hard = pen.number(place, text, 0).unwrap_or(0),
            "weight" => server.weight = pen.number(place, text, 0).unwrap_or(0),
            "prio" => server.prio = pen.number(place, text, 0).unwrap_or(0),
            "blacklist" => {
                let what = "it keeps a server out for a time from now on; directorctl does that to a running director, \
                            and state=\"drain\" of <host> until it is taken away";
                pen.note(&format!("{place}: blacklist"), what);
            }
            name => pen.note(place, &format!("pen ignores {name:?}, because servers have no such value")),
        }
    }
    if let Err(why) = if server.host.is_empty() { Ok(String::new()) } else { server.address("1") } {
        pen.refuse(place, &why);
    }
    pen.servers.insert(slot, server);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_of_every_form_is_read() {
        let read = |text| Server::read(text, false).unwrap();
        let bare = |host: &str| Server { host: host.to_owned(), ..Server::default() };
        assert_eq!(read("web1"), bare("web1"));
        assert_eq!(read("[fd00::1]"), bare("fd00::1"));
        let all = Server { port: Some("80".into()), max: 9, hard: 10, weight: 3, prio: 1, ..bare("web1") };
        assert_eq!(read("web1:80:9:10:3:1"), all);
        assert_eq!(read("[fd00::1]:80").address("1").unwrap(), "[fd00::1]:80");
        assert_eq!(read("/run/web").address("1").unwrap(), "unix:/run/web");
        assert_eq!(read("web1::9").address("8080").unwrap(), "web1:8080");
    }

    #[test]
    fn server_of_another_form_is_refused() {
        let refused = |text| Server::read(text, false).unwrap_err();
        assert!(refused("").starts_with("the address is missing, expected ADDRESS"));
        assert!(refused("web1:80:many").starts_with("its max \"many\" is not a number"));
        assert!(refused("web1:80:1:2:3:4:5").starts_with("\"5\" follows its prio"));
        assert!(refused("[::1:80").starts_with("no bracket closes"));
        assert!(refused("[::1]80").starts_with("something follows the bracket"));
        assert!(refused("10.0.0.256:80").contains("is not an IPv4 address"));
        assert!(refused("web1:70000").contains("out of range"));
    }
}
