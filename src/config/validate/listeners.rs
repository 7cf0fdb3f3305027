//! Addresses that must not meet: two listeners on one address, and a host that is its own service's listener.
//!
//! A wildcard covers every address of its family: `*:80` and `127.0.0.1:80` meet, and so do `[::]:80` and `[::1]:80`.
//! The two families count as apart. Names are compared as text, and meet `*`
//! of their port, whatever they will resolve to. Listeners on port 0 meet nothing: the kernel gives each a port of its
//! own. Sockets of this machine are compared as text. Connections and datagrams are apart, too: a port may be one service's
//! for TCP and another's for UDP. Within one service an address is one listener, whatever it takes in.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::config::error::{Collector, quoted};
use crate::config::value;
use crate::config::xml::{Attribute, Element};
use crate::config::{Address, Config, Listen, datagram};
use crate::model::address::UnixName;
use crate::model::datagram::{Protocol, Protocols};

/// What a service is to say that wants connections and datagrams at one address.
const BOTH: &str = "protocol=\"tcp+udp\" there for both, or ";

/// Reports every listener that meets an earlier one, the administration's included, and every host that is a listener
/// of its own service.
pub(super) fn check(root: &Element<'_>, errors: &mut Collector<'_>) {
    let mut listens: Vec<(&Attribute<'_>, Protocols, Option<usize>)> = Vec::new();
    for (number, service) in root.children("service").enumerate() {
        let own = service.children("listen").filter_map(|child| Some((child.attribute("ip")?, protocols(child))));
        listens.extend(own.map(|(ip, protocols)| (ip, protocols, Some(number))));
    }
    let admin = root.child("admin").into_iter().flat_map(admin_listens);
    listens.extend(admin.chain(controls(root)).map(|listen| (listen, Protocols::Tcp, None)));
    listens.sort_by_key(|(listen, ..)| listen.at);
    let mut taken: [Taken; 2] = Default::default();
    let mut of_services: HashMap<(Option<usize>, Address), usize> = HashMap::new();
    for (listen, protocols, service) in listens {
        let Some(address) = listen_address(listen) else { continue };
        let met = protocols.each().iter().find_map(|each| taken[*each as usize].meets(&address));
        let own = of_services.get(&(service, folded(&address))).copied().filter(|_| met.is_none());
        if let Some(first) = met.or(own) {
            let (line, value) = (errors.line(first), quoted(listen.value));
            let both = if own.is_some() { BOTH } else { "" };
            let what = format!("the address meets the listener in line {line}, expected {both}an address of its own");
            errors.report(listen.at, format!("{}={value}: {what}", listen.name));
        }
        for protocol in protocols.each() {
            taken[*protocol as usize].add(&address, listen.at);
        }
        of_services.entry((service, folded(&address))).or_insert(listen.at);
    }
    for service in root.children("service") {
        check_loops(service, errors);
    }
}

fn check_loops(service: &Element<'_>, errors: &mut Collector<'_>) {
    let mut own = Taken::default();
    for listen in service_listens(service) {
        if let Some(address) = listen_address(listen) {
            own.add(&address, listen.at);
        }
    }
    for host in service.children("group").flat_map(|group| group.children("host")) {
        let Some(ip) = host.attribute("ip") else { continue };
        let Ok(address) = value::host_address(ip.value) else { continue };
        if let Some(listener) = own.is_reached_by(&address) {
            let (line, value) = (errors.line(listener), quoted(ip.value));
            let what = format!("the host is its service's own listener in line {line}, expected another address");
            errors.report(ip.at, format!("ip={value}: {what}"));
        }
    }
}

/// The listener of a valid configuration that another one would meet, in words. `own` is the service that it is for.
pub(in crate::config) fn met_by(config: &Config, new: &Listen, own: Option<usize>) -> Option<String> {
    let of_services = config.services.iter().enumerate().find_map(|(number, service)| {
        let is_met = |known: &&Listen| {
            let twice = own == Some(number) && known.address == new.address && !is_any_port(&new.address);
            twice || (known.protocol.meet(new.protocol) && meet(&known.address, &new.address))
        };
        let met = service.listens.iter().find(is_met)?;
        let both =
            if met.protocol.meet(new.protocol) { "" } else { ", which protocol=\"tcp+udp\" would let take in both" };
        Some(format!("the listener {} of service {}{both}", met.address, quoted(&service.name)))
    });
    let takes_connections = new.protocol.each().contains(&Protocol::Tcp);
    of_services.or_else(|| met_by_administration(config, &new.address).filter(|_| takes_connections))
}

/// As [`met_by`], of the administration's alone.
pub(in crate::config) fn met_by_administration(config: &Config, address: &Address) -> Option<String> {
    if let (Address::Unix(name), Some(control)) = (address, &config.control)
        && name.path() == Some(&*control.socket)
    {
        return Some(String::from("the control socket"));
    }
    let admin = config.admin.as_ref()?;
    let met = |listen: &&Address| meet(listen, address);
    let web = admin.web.as_ref().map(|web| &web.listen).filter(met);
    let ssh = admin.ssh.as_ref().filter(met);
    web.map(|web| format!("the administration page on {web}"))
        .or_else(|| ssh.map(|ssh| format!("the administration over SSH on {ssh}")))
}

/// Whether two listeners of one protocol cannot be beside each other.
pub(in crate::config) fn meet(a: &Address, b: &Address) -> bool {
    if port(a) != port(b) || is_any_port(a) {
        return false;
    }
    let mut taken = Taken::default();
    taken.add(a, 0);
    taken.meets(b).is_some()
}

/// Whether the kernel chooses the port.
pub(in crate::config) fn is_any_port(address: &Address) -> bool {
    port(address) == Some(0)
}

/// Whether a host at this address would be one of these listeners.
pub(in crate::config) fn is_loop<'a>(own: impl IntoIterator<Item = &'a Address>, host: &Address) -> bool {
    let mut taken = Taken::default();
    for address in own.into_iter().filter(|address| !is_any_port(address)) {
        taken.add(address, 0);
    }
    taken.is_reached_by(host).is_some()
}

fn service_listens<'e, 'd>(service: &'e Element<'d>) -> impl Iterator<Item = &'e Attribute<'d>> {
    service.children("listen").filter_map(|listen| listen.attribute("ip"))
}

/// What a listener takes in. What is not valid is reported elsewhere.
fn protocols(listen: &Element<'_>) -> Protocols {
    let said = listen.attribute("protocol").and_then(|said| datagram::protocols(said.value).ok());
    said.unwrap_or_default()
}

fn admin_listens<'e, 'd>(admin: &'e Element<'d>) -> impl Iterator<Item = &'e Attribute<'d>> {
    let is_enabled = |element: &&Element<'_>| {
        element.attribute("enable").is_some_and(|enable| value::boolean(enable.value) == Ok(true))
    };
    let children = [admin.child("web"), admin.child("ssh")].into_iter().flatten().filter(is_enabled);
    admin.attribute("listen").into_iter().chain(children.filter_map(|child| child.attribute("listen")))
}

/// Where the control socket is, wherever that is said.
fn controls<'e, 'd>(root: &'e Element<'d>) -> impl Iterator<Item = &'e Attribute<'d>> {
    let places = [root.child("control"), root.child("manager").and_then(|manager| manager.child("control"))];
    places.into_iter().flatten().filter_map(|control| control.attribute("socket"))
}

/// The address if it is valid and its port is not for the kernel to choose. What is not valid is reported elsewhere.
fn listen_address(listen: &Attribute<'_>) -> Option<Address> {
    if listen.name == "socket" {
        return UnixName::new(listen.value.trim()).ok().map(Address::Unix);
    }
    value::listen_address(listen.value).ok().filter(|address| !is_any_port(address))
}

/// The port; none where there is no such thing.
pub(in crate::config) const fn port(address: &Address) -> Option<u16> {
    match address {
        Address::Socket(address) => Some(address.port()),
        Address::Name { port, .. } => Some(*port),
        Address::Unix(_) => None,
    }
}

/// Listen addresses and where in the file the first of each is.
#[derive(Default)]
struct Taken {
    addresses: HashMap<Address, usize>,
    ports: HashMap<Option<u16>, Port>,
}

/// The first listeners of a port.
#[derive(Default)]
struct Port {
    any_v4: Option<usize>,
    any_v6: Option<usize>,
    v4_or_name: Option<usize>,
    v6: Option<usize>,
}

impl Taken {
    fn add(&mut self, address: &Address, at: usize) {
        let port = self.ports.entry(port(address)).or_default();
        match address {
            Address::Socket(SocketAddr::V4(v4)) => {
                port.v4_or_name.get_or_insert(at);
                if v4.ip().is_unspecified() {
                    port.any_v4.get_or_insert(at);
                }
            }
            Address::Socket(SocketAddr::V6(v6)) => {
                port.v6.get_or_insert(at);
                if v6.ip().is_unspecified() {
                    port.any_v6.get_or_insert(at);
                }
            }
            Address::Name { .. } => drop(port.v4_or_name.get_or_insert(at)),
            Address::Unix(_) => {}
        }
        self.addresses.entry(folded(address)).or_insert(at);
    }

    /// The listener that one on `address` would meet.
    fn meets(&self, address: &Address) -> Option<usize> {
        let port = self.ports.get(&port(address))?;
        let wide = match address {
            Address::Socket(SocketAddr::V4(v4)) if v4.ip().is_unspecified() => port.v4_or_name,
            Address::Socket(SocketAddr::V6(v6)) if v6.ip().is_unspecified() => port.v6,
            Address::Socket(SocketAddr::V4(_)) | Address::Name { .. } => port.any_v4,
            Address::Socket(SocketAddr::V6(_)) => port.any_v6,
            Address::Unix(_) => None,
        };
        self.addresses.get(&folded(address)).copied().or(wide)
    }

    /// The listener that a connection to `address` surely reaches: a wildcard only from this machine itself.
    fn is_reached_by(&self, address: &Address) -> Option<usize> {
        let port = self.ports.get(&port(address))?;
        let wide = match address {
            Address::Socket(SocketAddr::V4(v4)) => port.any_v4.filter(|_| v4.ip().is_loopback()),
            Address::Socket(SocketAddr::V6(v6)) => port.any_v6.filter(|_| v6.ip().is_loopback()),
            Address::Name { host, .. } => {
                port.any_v4.or(port.any_v6).filter(|_| host.eq_ignore_ascii_case("localhost"))
            }
            Address::Unix(_) => None,
        };
        self.addresses.get(&folded(address)).copied().or(wide)
    }
}

/// Names without the difference of case.
fn folded(address: &Address) -> Address {
    match address {
        Address::Name { host, port } => Address::Name { host: host.to_ascii_lowercase(), port: *port },
        Address::Socket(_) | Address::Unix(_) => address.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::errors;
    use crate::config::parse;

    fn file(listens: &[&str], host: &str, more: &str) -> String {
        let listens: String = listens.iter().map(|listen| format!("<listen ip='{listen}'/>\n")).collect();
        let group = format!("<group name='g'><host ip='{host}'/></group>");
        format!("<director><service name='s'>{listens}{group}</service>{more}</director>")
    }

    fn is_valid(listens: &[&str], host: &str) -> bool {
        parse(&file(listens, host, ""), "f").is_ok()
    }

    #[test]
    fn listeners_on_one_address_are_refused_at_the_second() {
        let expected =
            "f:2:13: ip=\"127.0.0.1:80\": the address meets the listener in line 1, expected an address of its own";
        assert_eq!(errors(&file(&["127.0.0.1:80", "127.0.0.1:80"], "h:1", "")), expected);
    }

    #[test]
    fn listeners_of_two_services_on_one_address_are_refused() {
        let service = |name| {
            format!("<service name='{name}'><listen ip='*:80'/><group name='g'><host ip='h:1'/></group></service>")
        };
        let text = format!("<director>{}\n{}</director>", service("a"), service("b"));
        let expected = "f:2:31: ip=\"*:80\": the address meets the listener in line 1, expected an address of its own";
        assert_eq!(errors(&text), expected);
    }

    #[test]
    fn wildcard_meets_every_address_of_its_family_in_either_order() {
        for pair in [["*:80", "127.0.0.1:80"], ["[::]:80", "[::1]:80"], ["0.0.0.0:80", "*:80"], ["*:80", "name:80"]] {
            assert!(!is_valid(&pair, "h:1"), "{pair:?}");
            assert!(!is_valid(&[pair[1], pair[0]], "h:1"), "{pair:?} turned round");
        }
    }

    #[test]
    fn listeners_that_do_not_meet_are_allowed() {
        for pair in [
            ["*:80", "*:81"],
            ["*:80", "[::]:80"],
            ["10.0.0.1:80", "10.0.0.2:80"],
            ["a:80", "b:80"],
            ["[::]:80", "a:80"],
        ] {
            assert!(is_valid(&pair, "h:1"), "{pair:?}");
        }
        assert!(!is_valid(&["Name:80", "name:80"], "h:1"), "names have no case");
    }

    #[test]
    fn listeners_on_port_zero_meet_nothing() {
        assert!(is_valid(&["*:0", "*:0", "127.0.0.1:0", "127.0.0.1:0"], "h:1"));
    }

    #[test]
    fn port_is_one_services_for_connections_and_anothers_for_datagrams() {
        let service = |name: &str, protocol: &str| {
            format!(
                "<service name='{name}'><listen ip='*:53' protocol='{protocol}'/>
                 <group name='g'><host ip='h:1'/></group></service>"
            )
        };
        let both = |a, b| parse(&format!("<director>{}{}</director>", service("a", a), service("b", b)), "f").is_ok();
        assert!(both("tcp", "udp") && both("udp", "tcp"));
        for (a, b) in [("udp", "udp"), ("tcp+udp", "tcp"), ("udp", "tcp+udp")] {
            assert!(!both(a, b), "{a} {b}");
        }
        let one = "<listen ip='*:53'/><listen ip='*:53' protocol='udp'/>";
        let text =
            format!("<director><service name='s'>{one}<group name='g'><host ip='h:1'/></group></service></director>");
        assert!(errors(&text).contains("meets the listener in line 1"), "one address of a service is one listener");
        let admin = "<admin listen='127.0.0.1:53'/>";
        assert!(parse(&format!("<director>{}{admin}</director>", service("a", "udp")), "f").is_ok());
    }

    #[test]
    fn administration_on_a_services_address_is_refused() {
        let meets = |admin: &str| errors(&file(&["*:80"], "h:1", admin)).contains("meets the listener in line 1");
        assert!(meets("<admin listen='127.0.0.1:80'/>"));
        assert!(meets("<admin><web listen='127.0.0.1:80' enable='true'/></admin>"));
        assert!(meets("<admin><ssh listen='127.0.0.1:80' enable='true'/></admin>"));
        let off = "<admin><web listen='127.0.0.1:80' enable='false'/></admin>";
        assert!(parse(&file(&["*:80"], "h:1", off), "f").is_ok());
    }

    #[test]
    fn host_that_is_its_own_listener_is_refused() {
        let expected =
            "f:2:27: ip=\"127.0.0.1:80\": the host is its service's own listener in line 1, expected another address";
        assert_eq!(errors(&file(&["*:80"], "127.0.0.1:80", "")), expected);
        for (listen, host) in
            [("10.0.0.1:80", "10.0.0.1:80"), ("[::]:80", "[::1]:80"), ("*:80", "localhost:80"), ("a:80", "A:80")]
        {
            assert!(!is_valid(&[listen], host), "{listen} {host}");
        }
    }

    #[test]
    fn sockets_of_this_machine_meet_by_their_names() {
        assert!(is_valid(&["unix:/a", "unix:/b", "*:80"], "unix:/c"));
        assert!(!is_valid(&["unix:/a", "unix:/a"], "h:1"));
        let expected = "f:2:27: ip=\"unix:/a\": the host is its service's own listener in line 1, expected another \
                        address";
        assert_eq!(errors(&file(&["unix:/a"], "unix:/a", "")), expected);
        let control = errors(&file(&["unix:/a"], "h:1", "<control socket='/a'/>"));
        assert!(
            control
                .ends_with("socket=\"/a\": the address meets the listener in line 1, expected an address of its own"),
            "{control}"
        );
    }

    #[test]
    fn host_on_the_listeners_port_of_another_machine_is_allowed() {
        for (listen, host) in
            [("*:80", "10.0.0.1:80"), ("*:80", "web:80"), ("*:80", "127.0.0.1:81"), ("[::]:80", "127.0.0.1:80")]
        {
            assert!(is_valid(&[listen], host), "{listen} {host}");
        }
    }
}
