//! Listening addresses: binds what a configuration adds, all or nothing, and tells reactors what changed.
//!
//! A listener is its address: when that moves to another service, its sockets stay. Port 0 gets a real port when it
//! is first bound and keeps it by its place (the n-th port 0 of the service).

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::start_error::StartError;
use crate::config::{Address, Config, Listen};
use crate::manager::line::Value;
use crate::model::counters::ListenerCounters;
use crate::model::datagram::Protocol;
use crate::model::id::{ListenerId, ServiceId};
use crate::model::service::ListenerSpec;
use crate::model::snapshot::ServiceView;
use crate::model::socket_options::ListenOptions;
use crate::model::update::{HeldSocket, ListenSocket};
use crate::sys::options::Refused;
use crate::sys::steer::{self, Steering};
use crate::sys::{datagram, listener};

/// The open listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    defaults: ListenOptions,
    reactors: usize,
    steering: Steering,
    open: Vec<Listener>,
    /// Sockets that reactors may still be serving to their end.
    closing: Vec<(SocketAddr, HeldSocket)>,
    next: u32,
}

/// What identifies a listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Address(Protocol, SocketAddr),
    AnyPort { protocol: Protocol, service: String, nth: usize, ip: IpAddr },
}

impl Key {
    const fn protocol(&self) -> Protocol {
        match self {
            Self::Address(protocol, _) | Self::AnyPort { protocol, .. } => *protocol,
        }
    }

    /// The other one of a listener that takes in both protocols.
    fn with(&self, protocol: Protocol) -> Self {
        match self {
            Self::Address(_, addr) => Self::Address(protocol, *addr),
            Self::AnyPort { service, nth, ip, .. } => {
                Self::AnyPort { protocol, service: service.clone(), nth: *nth, ip: *ip }
            }
        }
    }
}

#[derive(Debug)]
struct Listener {
    id: ListenerId,
    key: Key,
    addr: SocketAddr,
    /// One a reactor.
    sockets: Vec<ListenSocket>,
    /// As configured.
    shown: String,
    service_name: String,
    service: ServiceId,
    options: ListenOptions,
    counters: Arc<ListenerCounters>,
}

/// Everything that a configuration wants to listen on, bound.
#[derive(Debug)]
pub(super) struct Plan {
    wanted: Vec<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    key: Key,
    service: String,
    /// As configured.
    shown: String,
    options: ListenOptions,
    /// The sockets of a listener that is new.
    bound: Option<(SocketAddr, Vec<ListenSocket>)>,
    /// That its connections could not be steered, and why.
    unsteered: Option<String>,
}

/// What is to be told to reactors, and what changed.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Listeners that are new or serve another service, with a socket for each reactor.
    pub(super) listen: Vec<(ListenerSpec, Vec<ListenSocket>)>,
    pub(super) unlisten: Vec<ListenerId>,
    /// A line for the log each.
    pub(super) lines: Vec<String>,
    /// The same, of what the kernel refused.
    pub(super) warnings: Vec<String>,
    pub(super) opened: usize,
    pub(super) closed: usize,
    pub(super) moved: usize,
    /// Listeners that got other options.
    pub(super) retuned: usize,
}

impl Listeners {
    /// No listeners, for so many reactors. `defaults` are for what a listener does not say.
    pub(super) fn new(reactors: usize, defaults: ListenOptions) -> Self {
        let (open, closing) = (Vec::new(), Vec::new());
        Self { defaults, reactors, steering: Steering::Hash, open, closing, next: 0 }
    }

    /// The same, with connections spread like this.
    pub(super) fn steered(self, steering: Steering) -> Self {
        Self { steering, ..self }
    }

    /// Binds what is new in `config`. Until [`Self::commit`] nothing else has happened, and dropping the plan undoes
    /// it. Names are resolved here, which may block.
    ///
    /// # Errors
    /// The first address that cannot be listened on.
    pub(super) fn prepare(&mut self, config: &Config) -> Result<Plan, StartError> {
        self.closing.retain(|(_, socket)| socket.is_held());
        let mut wanted: Vec<Wanted> = Vec::new();
        // A service that has no host yet would turn its clients away.
        for service in config.services.iter().filter(|service| service.enabled.is_some()) {
            let mut any_ports = 0;
            for Listen { address, protocol, options } in &service.listens {
                let options = options.or(self.defaults);
                let fail =
                    |error| StartError::Listen { address: written(address), service: service.name.clone(), error };
                for addr in resolve(address).map_err(fail)? {
                    let key = key(&service.name, addr, &mut any_ports);
                    for key in protocol.each().iter().map(|protocol| key.with(*protocol)) {
                        match wanted.iter().find(|other| other.key == key) {
                            // Two names of one service for one address.
                            Some(other) if other.service == service.name => continue,
                            Some(_) => return Err(fail(io::ErrorKind::AddrInUse.into())),
                            None => wanted.push(Wanted {
                                key,
                                service: service.name.clone(),
                                shown: address.to_string(),
                                options,
                                bound: None,
                                unsteered: None,
                            }),
                        }
                    }
                }
            }
        }
        self.bind(&mut wanted)?;
        Ok(Plan { wanted })
    }

    fn bind(&self, wanted: &mut [Wanted]) -> Result<(), StartError> {
        let keys: BTreeSet<Key> = wanted.iter().map(|wanted| wanted.key.clone()).collect();
        let kept: Vec<&Listener> = self.open.iter().filter(|listener| keys.contains(&listener.key)).collect();
        let mut bound: Vec<(Key, SocketAddr)> =
            kept.iter().map(|listener| (listener.key.clone(), listener.addr)).collect();
        for new in wanted.iter_mut().filter(|wanted| !kept.iter().any(|listener| listener.key == wanted.key)) {
            let addr = match &new.key {
                Key::Address(_, addr) => *addr,
                // Both protocols of a listener have one port.
                Key::AnyPort { protocol, ip, .. } => {
                    let other = new.key.with(if *protocol == Protocol::Tcp { Protocol::Udp } else { Protocol::Tcp });
                    let port = bound.iter().find(|(key, _)| *key == other).map_or(0, |(_, addr)| addr.port());
                    SocketAddr::new(*ip, port)
                }
            };
            let fail = |error| StartError::Listen { address: addr.to_string(), service: new.service.clone(), error };
            let protocol = new.key.protocol();
            let others: Vec<SocketAddr> =
                bound.iter().filter(|(key, _)| key.protocol() == protocol).map(|(_, addr)| *addr).collect();
            if others.contains(&addr) {
                return Err(fail(io::ErrorKind::AddrInUse.into()));
            }
            let (addr, sockets, refused) = self.bind_one(protocol, addr, &new.options, &others).map_err(fail)?;
            bound.push((new.key.clone(), addr));
            if let Some(error) = refused {
                new.unsteered = Some(format!(
                    "connections to {addr} are not steered to the CPU they arrive on: {error}; --steer needs BPF and \
                             --incoming-cpu Linux 6.2, a hash decides now"
                ));
            }
            new.bound = Some((addr, sockets));
        }
        Ok(())
    }

    fn bind_one(
        &self,
        protocol: Protocol,
        addr: SocketAddr,
        options: &ListenOptions,
        bound: &[SocketAddr],
    ) -> io::Result<(SocketAddr, Vec<ListenSocket>, Option<io::Error>)> {
        // Where sockets of ours overlap, a stranger cannot be told from them; he could not have bound it either.
        let closing = self.closing.iter().filter(|(_, socket)| socket.protocol() == protocol && socket.is_held());
        let open = self.open.iter().filter(|listener| listener.key.protocol() == protocol);
        let ours = open.map(|listener| &listener.addr).chain(closing.map(|(addr, _)| addr)).chain(bound);
        let is_alone = addr.port() != 0 && !ours.into_iter().any(|other| overlap(addr, *other));
        if protocol == Protocol::Udp {
            if is_alone {
                datagram::probe_free(addr)?;
            }
            let first = datagram::bind(addr, options)?;
            let addr = first.local_addr()?;
            let mut sockets = vec![ListenSocket::Udp(Arc::new(first))];
            // A hash decides who has which client, whatever is asked for connections: it must not change in a flow.
            while sockets.len() < self.reactors {
                sockets.push(ListenSocket::Udp(Arc::new(datagram::bind(addr, options)?)));
            }
            return Ok((addr, sockets, None));
        }
        if is_alone {
            listener::probe_free(addr)?;
        }
        let first = listener::listen_with(addr, options)?;
        let addr = first.local_addr()?;
        let mut sockets = vec![Arc::new(first)];
        while sockets.len() < self.reactors {
            sockets.push(Arc::new(listener::listen_with(addr, options)?));
        }
        let refused = steer::steer(&sockets, &self.steering).err();
        Ok((addr, sockets.into_iter().map(ListenSocket::Tcp).collect(), refused))
    }

    /// Adds where the listeners of a service are bound.
    pub(super) fn show(&self, service: &mut ServiceView) {
        let own = self.open.iter().filter(|listener| listener.service_name == service.name);
        for listener in own {
            let view = service.listeners.iter_mut().find(|view| view.address == listener.shown);
            if let Some(view) = view {
                if !view.bound.contains(&listener.addr) {
                    view.bound.push(listener.addr);
                }
                view.accepted += listener.counters.accepted.load(Relaxed);
                view.errors += listener.counters.accept_errors.load(Relaxed);
            }
        }
    }

    /// Makes a plan the truth. `id_of` finds a service's identity.
    pub(super) fn commit(&mut self, plan: Plan, id_of: impl Fn(&str) -> Option<ServiceId>) -> Moves {
        let mut moves = Moves::default();
        let mut old = std::mem::take(&mut self.open);
        for wanted in plan.wanted {
            let Some(service) = id_of(&wanted.service) else { continue };
            let known = old.iter().position(|listener| listener.key == wanted.key).map(|at| old.remove(at));
            moves.warnings.extend(wanted.unsteered);
            let was = known.as_ref().map(|listener| listener.service);
            let mut listener = match (known, wanted.bound) {
                (Some(listener), _) => listener,
                (None, Some((addr, sockets))) => {
                    let id = ListenerId(self.next);
                    self.next += 1;
                    let options = wanted.options;
                    let (key, counters) = (wanted.key, Arc::default());
                    let (shown, service_name) = (String::new(), String::new());
                    Listener { id, key, addr, sockets, shown, service_name, service, options, counters }
                }
                (None, None) => continue,
            };
            listener.service = service;
            listener.service_name = wanted.service;
            listener.shown = wanted.shown;
            if listener.options != wanted.options {
                moves.retune(&mut listener, wanted.options);
            }
            if was != Some(service) {
                moves.listen(&listener, was.is_none());
            }
            self.open.push(listener);
        }
        for listener in old {
            moves.closed += 1;
            moves.unlisten.push(listener.id);
            moves.lines.push(format!("closing {}", place(&listener)));
            self.closing.extend(listener.sockets.iter().map(|socket| (listener.addr, socket.watch())));
        }
        moves
    }
}

impl Moves {
    fn listen(&mut self, listener: &Listener, is_new: bool) {
        let counters = Arc::clone(&listener.counters);
        let protocol = listener.key.protocol();
        let spec = ListenerSpec { id: listener.id, service: listener.service, protocol, addr: listener.addr, counters };
        self.lines.push(format!("listening {}", place(listener)));
        self.listen.push((spec, listener.sockets.clone()));
        if is_new {
            self.opened += 1;
        } else {
            self.moved += 1;
        }
    }
}

impl Moves {
    /// Gives an open listener other options. Its sockets stay, and with them the clients in their queues.
    fn retune(&mut self, listener: &mut Listener, options: ListenOptions) {
        self.retuned += 1;
        let place = place(listener);
        self.lines.push(format!("retuned {place}"));
        let mut refused = BTreeSet::new();
        for socket in &listener.sockets {
            let mut note = |Refused { option, error }: Refused| {
                refused.insert(format!("retuned {place} without {option}: {error}"));
            };
            match socket {
                ListenSocket::Tcp(socket) => listener::retune(socket, &listener.options, &options, &mut note),
                ListenSocket::Udp(socket) => datagram::tune(socket.as_fd(), &options.stream, &mut note),
            }
        }
        self.warnings.extend(refused);
        listener.options = options;
    }
}

fn key(service: &str, addr: SocketAddr, any_ports: &mut usize) -> Key {
    if addr.port() != 0 {
        return Key::Address(Protocol::default(), addr);
    }
    *any_ports += 1;
    Key::AnyPort { protocol: Protocol::default(), service: service.to_owned(), nth: *any_ports, ip: addr.ip() }
}

/// A listener in the log.
fn place(listener: &Listener) -> String {
    let protocol = match listener.key.protocol() {
        Protocol::Tcp => "",
        Protocol::Udp => " protocol=udp",
    };
    format!("service={} addr={}{protocol}", Value(&listener.service_name), listener.addr)
}

/// The address as an operator wrote it.
fn written(address: &Address) -> String {
    match address {
        Address::Socket(addr) => addr.to_string(),
        Address::Name { host, port } => format!("{}:{port}", Value(host)),
    }
}

fn resolve(address: &Address) -> io::Result<Vec<SocketAddr>> {
    match address {
        Address::Socket(addr) => Ok(vec![*addr]),
        Address::Name { host, port } => {
            let sorted: BTreeSet<SocketAddr> = (host.as_str(), *port).to_socket_addrs()?.collect();
            if sorted.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
            }
            Ok(sorted.into_iter().collect())
        }
    }
}

/// Whether sockets on both addresses stand in each other's way.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let wild = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && (a.ip() == b.ip() || wild)
}
