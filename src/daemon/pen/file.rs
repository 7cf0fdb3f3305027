//! The file: what pen would run with, as elements and attributes.

use std::collections::BTreeSet;

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use super::servers::Server;
use super::{Pen, access::Entry};
use crate::config;

/// Seconds that a failed server stays out, unless pen is told otherwise.
const BLACKLIST_S: u32 = 30;
/// Clients that pen remembers, unless it is told otherwise; as many as a table of ours.
const CLIENTS: u32 = 2048;
/// The fewest clients that pen lets wait to be accepted.
const BACKLOG_MIN: u32 = 50;

type Attributes = Vec<(&'static str, String)>;

/// An element.
struct Element {
    name: &'static str,
    attributes: Attributes,
    children: Vec<Self>,
}

impl Element {
    fn new(name: &'static str, attributes: Attributes) -> Self {
        Self { name, attributes, children: Vec::new() }
    }

    fn with(self, children: Vec<Self>) -> Self {
        Self { children, ..self }
    }
}

/// Writes the file; what has to be told on the way is added to the notes.
///
/// # Errors
/// It would not be a valid one.
pub(super) fn write(pen: &mut Pen, line: &str) -> Result<String, String> {
    let listen = pen.listen.clone().unwrap_or_default();
    let port = listen.rsplit_once(':').map_or("", |(_, port)| port).to_owned();
    let hosts = hosts(pen, &port)?;
    let group = Element::new("group", group(pen)).with(hosts);
    let service =
        Element::new("service", service(pen)).with(vec![Element::new("listen", listener(pen, listen)), group]);
    let mut children = vec![service];
    children.extend(pen.control.as_ref().map(|path| Element::new("control", vec![("socket", path.clone())])));
    children.extend(pen.log.clone().map(|to| Element::new("access-log", vec![to])));
    children.extend(lists(pen, &children[0]));
    let root = Element::new("director", Vec::new()).with(children);
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    comment(pen, line, &mut writer);
    element(&root, &mut writer);
    let mut text = String::from_utf8(writer.into_inner()).unwrap_or_default();
    text.push('\n');
    config::parse(&text, "the file for it").map(|_| text).map_err(|errors| errors.to_string())
}

fn service(pen: &mut Pen) -> Attributes {
    let seconds = |time: Option<u32>| time.map(|time| format!("{time}s"));
    let mut attributes = vec![("name", String::from("pen"))];
    attributes.extend(seconds(pen.numbers.timeout).map(|time| ("connect-timeout", time)));
    if pen.numbers.timeout.is_some() {
        pen.note("connect-timeout", "the time that a client may wait for all attempts together, and for each in pen");
    }
    match (pen.numbers.idle_timeout.filter(|time| *time > 0), pen.switches.udp) {
        // What is told of a build without datagrams is told elsewhere.
        (Some(time), true) => attributes.push(("flow-timeout", format!("{time}s"))),
        (Some(time), false) => attributes.push(("idle-timeout", format!("{time}s"))),
        (None, true) => {}
        (None, false) => {
            attributes.push(("idle-timeout", String::from("720h")));
            pen.note(
                "idle-timeout",
                "pen closes no silent connection; this is as long as a time can be, less frees more",
            );
        }
    }
    attributes.extend(pen.numbers.conn_max.map(|max| ("max-connections", max.to_string())));
    attributes.extend(pen.switches.stubborn.then(|| ("stubborn", String::from("true"))));
    if !pen.acls[pen.client_acl].is_empty() {
        attributes.push(("acl", list_name(pen.client_acl)));
        if pen.emergency.is_some() && pen.abuse.is_none() {
            let what = "whom the list denies is closed; pen sends such clients to the server for emergencies";
            pen.note(&list_name(pen.client_acl), what);
        }
    }
    attributes.extend(pen.fastclose.map(|which| ("fastclose", which.to_owned())));
    attributes
}

fn listener(pen: &mut Pen, listen: String) -> Attributes {
    let mut attributes = vec![("ip", listen)];
    if pen.switches.udp {
        attributes.push(("protocol", String::from("udp")));
        if pen.numbers.backlog.is_some() {
            pen.note("-q", "datagrams wait in the buffer of the socket: receive-buffer of <listen> is its size");
        }
        return attributes;
    }
    attributes.extend(pen.numbers.backlog.map(|backlog| ("backlog", backlog.clamp(BACKLOG_MIN, 1 << 20).to_string())));
    attributes
}

/// Who is next, and how clients find their server again.
fn group(pen: &mut Pen) -> Attributes {
    let mut attributes = vec![("name", String::from("servers"))];
    let by_hash = pen.switches.hash && !pen.switches.prio && !pen.switches.weight;
    let scheduler = if pen.switches.weight && !pen.switches.prio {
        Some("weightlc")
    } else if by_hash && pen.switches.roundrobin {
        pen.note("-h -r", "pen spreads a client by its port; any host is what that comes to");
        Some("random")
    } else {
        None
    };
    attributes.extend(scheduler.map(|name| ("scheduler", name.to_owned())));
    let (tracking, clients) = (pen.numbers.tracking.filter(|time| *time > 0), pen.numbers.clients_max);
    if pen.switches.roundrobin || by_hash {
        for (said, place) in [(tracking, "-T"), (clients, "-c")] {
            if said.is_some() {
                pen.note(place, "with -r and -h clients are not remembered, so that it has nothing to say");
            }
        }
    }
    if by_hash && !pen.switches.roundrobin {
        attributes.push(("sticky", String::from("hash")));
        pen.note("-h", "the hash is another one than pen's, and clients that had to move return to their host");
    } else if !pen.switches.roundrobin {
        attributes.push(("sticky", String::from("table")));
        let size = clients.filter(|clients| *clients != CLIENTS).map(|clients| clients.to_string());
        attributes.extend(size.map(|size| ("sticky-size", size)));
        attributes.extend(tracking.map(|time| ("sticky-ttl", format!("{time}s"))));
    }
    attributes.push(("blacklist", format!("{}s", pen.numbers.blacklist.unwrap_or(BLACKLIST_S))));
    attributes.extend(pen.source.clone().map(|source| ("source", source)));
    // The kernel's own times.
    attributes.extend(pen.switches.keepalive.then(|| ("keepalive", String::from("2h,75s,9"))));
    attributes
}

fn hosts(pen: &mut Pen, port: &str) -> Result<Vec<Element>, String> {
    let servers = std::mem::take(&mut pen.servers);
    let is_weighted = pen.switches.weight && !pen.switches.prio;
    let has_weights = servers.values().any(|server| server.weight > 0);
    if is_weighted && !has_weights {
        pen.note("-W", "no server has a weight, and pen serves nobody then; here each has 1");
    }
    let mut hosts = Vec::new();
    for (slot, server) in &servers {
        let name = format!("server.{slot}");
        if server.host.is_empty() || server.is_removed() {
            pen.note(&name, "it has no address, so that pen gives it no clients; it is left out");
            continue;
        }
        let mut host = host(pen, name, server, port)?;
        if is_weighted && has_weights && server.weight != 1 {
            host.attributes.push(("weight", server.weight.to_string()));
        }
        hosts.push(host);
    }
    if is_weighted && has_weights && servers.values().any(|server| server.weight == 0) {
        pen.note("weight=\"0\"", "no new clients, as in pen with -W");
    } else if !is_weighted && has_weights {
        pen.note("weights", "pen looks at them with -W only, and not with prio; they are left out");
    }
    if !pen.switches.prio && servers.values().any(|server| server.prio > 0) {
        pen.note("prios", "pen looks at them with the command prio only; they are left out");
    } else if pen.switches.prio && has_equals(servers.values().map(|server| server.prio)) {
        pen.note("prio", "hosts of one prio take turns here; in pen the first of them has all clients");
    }
    if hosts.is_empty() {
        return Err(String::from("the line: no server is left, and no file can be without, expected at least one"));
    }
    for (role, server) in [("emergency", pen.emergency.take()), ("abuse", pen.abuse.take())] {
        let Some(server) = server else { continue };
        let mut special = host(pen, role.to_owned(), &server, port)?;
        special.attributes.push((role, String::from("true")));
        if role == "abuse" {
            special.attributes.retain(|(name, _)| *name != "acl");
        }
        // Other functions ask whether there is one.
        let place = if role == "abuse" { &mut pen.abuse } else { &mut pen.emergency };
        *place = Some(server);
        hosts.push(special);
    }
    Ok(hosts)
}

fn host(pen: &mut Pen, name: String, server: &Server, port: &str) -> Result<Element, String> {
    let port = server.port.as_deref().unwrap_or(port);
    let address = server.address(port).map_err(|why| format!("{name}: {why}"))?;
    let mut attributes = vec![("name", name.clone()), ("ip", address)];
    if server.max > 0 {
        attributes.push(("max", server.max.to_string()));
    }
    if server.max > 0 && server.hard > server.max {
        attributes.push(("hard", server.hard.to_string()));
    } else if server.hard > 0 && server.hard != server.max {
        pen.note(&name, "its hard is not above its max, so that pen does not look at it; it is left out");
    }
    if pen.switches.prio && server.prio > 0 {
        attributes.push(("prio", server.prio.to_string()));
    }
    let list = server.acl.unwrap_or(0);
    if list != pen.client_acl && !pen.acls[list].is_empty() {
        attributes.push(("acl", list_name(list)));
    }
    Ok(Element::new("host", attributes))
}

/// Whether two of them are the same.
fn has_equals(numbers: impl Iterator<Item = u32>) -> bool {
    let mut seen = BTreeSet::new();
    numbers.into_iter().any(|number| !seen.insert(number))
}

fn list_name(list: usize) -> String {
    format!("acl{list}")
}

/// The lists that somebody uses.
fn lists(pen: &mut Pen, service: &Element) -> Vec<Element> {
    let mut used = Vec::new();
    uses(service, &mut used);
    let mut elements = Vec::new();
    for number in 0..pen.acls.len() {
        let (list, name) = (std::mem::take(&mut pen.acls[number]), list_name(number));
        if used.contains(&name) {
            elements.push(acl(name, &list));
        } else if !list.is_empty() {
            pen.note(&name, "nobody uses the list; it is left out");
        }
    }
    elements
}

fn uses(element: &Element, used: &mut Vec<String>) {
    used.extend(element.attributes.iter().filter(|(name, _)| *name == "acl").map(|(_, list)| list.clone()));
    element.children.iter().for_each(|child| uses(child, used));
}

fn acl(name: String, list: &[Entry]) -> Element {
    let last_permits = list.last().is_some_and(|entry| entry.permits);
    let default = if last_permits { "deny" } else { "permit" };
    let rule = |entry: &Entry| {
        let name = if entry.permits { "permit" } else { "deny" };
        entry.net.clone().map(|net| Element::new(name, vec![("net", net)]))
    };
    let rules = list.iter().filter_map(rule).collect();
    Element::new("acl", vec![("name", name), ("default", default.to_owned())]).with(rules)
}

/// What the file came from and what it does not say, in front of it.
fn comment(pen: &Pen, line: &str, writer: &mut Writer<Vec<u8>>) {
    let mut text = format!("\n  From: {line}\n");
    if !pen.notes.is_empty() {
        text.push_str("\n  To know:\n");
        pen.notes.iter().for_each(|note| text.push_str(&format!("    {note}\n")));
    }
    if !pen.flags.is_empty() {
        text.push_str("\n  Start it with these options of director, two dashes before each:\n");
        let flags = pen.flags.iter().map(|flag| flag.trim_start_matches('-'));
        flags.for_each(|flag| text.push_str(&format!("    {flag}\n")));
    }
    // No comment may have two dashes side by side, or characters that XML has not.
    let text = text.replace(|c: char| c.is_control() && c != '\n', "?");
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '-' && plain.ends_with('-') {
            plain.push(' ');
        }
        plain.push(c);
    }
    let _ = writer.write_event(Event::Comment(BytesText::from_escaped(plain)));
}

fn element(element: &Element, writer: &mut Writer<Vec<u8>>) {
    let attributes = element.attributes.iter().map(|(name, text)| (*name, text.as_str()));
    let start = BytesStart::new(element.name).with_attributes(attributes);
    // Writing to memory does not fail.
    if element.children.is_empty() {
        let _ = writer.write_event(Event::Empty(start));
        return;
    }
    let _ = writer.write_event(Event::Start(start));
    element.children.iter().for_each(|child| self::element(child, writer));
    let _ = writer.write_event(Event::End(BytesEnd::new(element.name)));
}
