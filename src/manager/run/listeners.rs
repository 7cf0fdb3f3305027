//! Listening addresses: binds what a configuration adds, all or nothing, and tells reactors what changed.
//!
//! A listener is its address: when that moves to another service, its sockets stay. Port 0 gets a real port when it
//! is first bound and keeps it by its place (the n-th port 0 of the service).

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use crate::config::{Address, Config, Listen};
use crate::manager::line::{Quoted, Value};
use crate::model::counters::ListenerCounters;
use crate::model::id::{ListenerId, ServiceId};
use crate::model::proxy::{Expect, Trust};
use crate::model::service::ListenerSpec;
use crate::model::snapshot::ServiceView;
use crate::model::socket_options::ListenOptions;
use crate::sys::listener;
use crate::sys::options::Refused;
use crate::sys::steer::{self, Steering};

/// Why a configuration could not be started.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen {
        /// The address as configured.
        address: String,
        /// The service that wants it.
        service: String,
        /// What the system said.
        error: io::Error,
    },
    /// The kernel does not have a congestion control.
    Congestion {
        /// Its name.
        name: String,
        /// Who wants it.
        place: String,
        /// Those that it has.
        available: String,
        /// What the system said.
        error: io::Error,
    },
    /// The manager's thread cannot be started.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, service, error } => {
                write!(f, "could not listen on {address} (service {}): {error}", Value(service))?;
                hint(error.kind()).map_or(Ok(()), |hint| write!(f, "; {hint}"))
            }
            Self::Congestion { name, place, available, error } => {
                write!(f, "congestion={} of {place}: ", Quoted(name))?;
                if error.kind() == io::ErrorKind::NotFound {
                    f.write_str("the kernel does not have it")?;
                } else if error.kind() == io::ErrorKind::PermissionDenied {
                    f.write_str("net.ipv4.tcp_allowed_congestion_control and CAP_NET_ADMIN decide who may use it")?;
                } else {
                    error.fmt(f)?;
                }
                write!(f, ", expected one of {}; modprobe adds some", available.replace(' ', ", "))
            }
            Self::Thread(error) => write!(f, "could not start the manager's thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { error, .. } | Self::Congestion { error, .. } | Self::Thread(error) => Some(error),
        }
    }
}

/// What an operator can do about it.
fn hint(kind: io::ErrorKind) -> Option<&'static str> {
    const HINTS: [(io::ErrorKind, &str); 3] = [
        (io::ErrorKind::AddrInUse, "something else listens there: `ss -ltnp` shows what"),
        (
            io::ErrorKind::PermissionDenied,
            "a port below 1024 needs root, CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start",
        ),
        (io::ErrorKind::AddrNotAvailable, "no interface of this machine has that address: `ip addr` lists them"),
    ];
    HINTS.iter().find(|(known, _)| *known == kind).map(|(_, hint)| *hint)
}

/// The open listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    defaults: ListenOptions,
    reactors: usize,
    steering: Steering,
    open: Vec<Listener>,
    /// Sockets that reactors may still be serving to their end.
    closing: Vec<(SocketAddr, Weak<TcpListener>)>,
    next: u32,
}

/// What identifies a listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Address(SocketAddr),
    AnyPort { service: String, nth: usize, ip: IpAddr },
}

#[derive(Debug)]
struct Listener {
    id: ListenerId,
    key: Key,
    addr: SocketAddr,
    /// One a reactor.
    sockets: Vec<Arc<TcpListener>>,
    /// As configured.
    shown: String,
    service_name: String,
    service: ServiceId,
    options: ListenOptions,
    proxy: Option<Arc<Trust>>,
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
    proxy: Option<Expect>,
    /// The sockets of a listener that is new.
    bound: Option<(SocketAddr, Vec<Arc<TcpListener>>)>,
    /// That its connections could not be steered, and why.
    unsteered: Option<String>,
}

/// What is to be told to reactors, and what changed.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Listeners that are new or serve another service, with a socket for each reactor.
    pub(super) listen: Vec<(ListenerSpec, Vec<Arc<TcpListener>>)>,
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
        self.closing.retain(|(_, socket)| socket.strong_count() > 0);
        let mut wanted: Vec<Wanted> = Vec::new();
        // A service that has no host yet would turn its clients away.
        for service in config.services.iter().filter(|service| service.enabled.is_some()) {
            let mut any_ports = 0;
            for Listen { address, options, proxy } in &service.listens {
                let options = options.or(self.defaults);
                let fail =
                    |error| StartError::Listen { address: written(address), service: service.name.clone(), error };
                for addr in resolve(address).map_err(fail)? {
                    let key = key(&service.name, addr, &mut any_ports);
                    match wanted.iter().find(|other| other.key == key) {
                        // Two names of one service for one address.
                        Some(other) if other.service == service.name => continue,
                        Some(_) => return Err(fail(io::ErrorKind::AddrInUse.into())),
                        None => wanted.push(Wanted {
                            key,
                            service: service.name.clone(),
                            shown: address.to_string(),
                            options,
                            proxy: proxy.clone(),
                            bound: None,
                            unsteered: None,
                        }),
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
        let mut bound: Vec<SocketAddr> = kept.iter().map(|listener| listener.addr).collect();
        for new in wanted.iter_mut().filter(|wanted| !kept.iter().any(|listener| listener.key == wanted.key)) {
            let addr = match new.key {
                Key::Address(addr) => addr,
                Key::AnyPort { ip, .. } => SocketAddr::new(ip, 0),
            };
            let fail = |error| StartError::Listen { address: addr.to_string(), service: new.service.clone(), error };
            if bound.contains(&addr) {
                return Err(fail(io::ErrorKind::AddrInUse.into()));
            }
            let (addr, sockets, refused) = self.bind_one(addr, &new.options, &bound).map_err(fail)?;
            bound.push(addr);
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
        addr: SocketAddr,
        options: &ListenOptions,
        bound: &[SocketAddr],
    ) -> io::Result<(SocketAddr, Vec<Arc<TcpListener>>, Option<io::Error>)> {
        // Where sockets of ours overlap, a stranger cannot be told from them; he could not have bound it either.
        let closing = self.closing.iter().filter(|(_, socket)| socket.strong_count() > 0).map(|(addr, _)| addr);
        let ours = self.open.iter().map(|listener| &listener.addr).chain(closing).chain(bound);
        if addr.port() != 0 && !ours.into_iter().any(|other| overlap(addr, *other)) {
            listener::probe_free(addr)?;
        }
        let first = listener::listen_with(addr, options)?;
        let addr = first.local_addr()?;
        let mut sockets = vec![Arc::new(first)];
        while sockets.len() < self.reactors {
            sockets.push(Arc::new(listener::listen_with(addr, options)?));
        }
        let refused = steer::steer(&sockets, &self.steering).err();
        Ok((addr, sockets, refused))
    }

    /// Adds where the listeners of a service are bound.
    pub(super) fn show(&self, service: &mut ServiceView) {
        let own = self.open.iter().filter(|listener| listener.service_name == service.name);
        for listener in own {
            let view = service.listeners.iter_mut().find(|view| view.address == listener.shown);
            if let Some(view) = view {
                view.bound.push(listener.addr);
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
                    Listener { id, key, addr, sockets, shown, service_name, service, options, proxy: None, counters }
                }
                (None, None) => continue,
            };
            listener.service = service;
            listener.service_name = wanted.service;
            listener.shown = wanted.shown;
            if listener.options != wanted.options {
                moves.retune(&mut listener, wanted.options);
            }
            let other_proxy = listener.take_proxy(wanted.proxy);
            if was != Some(service) || other_proxy {
                moves.listen(&listener, was.is_none());
            }
            self.open.push(listener);
        }
        for listener in old {
            moves.closed += 1;
            moves.unlisten.push(listener.id);
            moves.lines.push(format!("closing service={} addr={}", Value(&listener.service_name), listener.addr));
            self.closing.extend(listener.sockets.iter().map(|socket| (listener.addr, Arc::downgrade(socket))));
        }
        moves
    }
}

impl Listener {
    /// Takes which PROXY headers it expects. Returns whether these are others.
    fn take_proxy(&mut self, wanted: Option<Expect>) -> bool {
        if self.proxy.as_ref().map(|trust| trust.expect()) == wanted.as_ref() {
            return false;
        }
        self.proxy = wanted.map(Trust::new).map(Arc::new);
        true
    }
}

impl Moves {
    fn listen(&mut self, listener: &Listener, is_new: bool) {
        let counters = Arc::clone(&listener.counters);
        let proxy = listener.proxy.clone();
        let spec = ListenerSpec { id: listener.id, service: listener.service, addr: listener.addr, proxy, counters };
        self.lines.push(format!("listening service={} addr={}", Value(&listener.service_name), listener.addr));
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
        let place = format!("service={} addr={}", Value(&listener.service_name), listener.addr);
        self.lines.push(format!("retuned {place}"));
        let mut refused = BTreeSet::new();
        for socket in &listener.sockets {
            listener::retune(socket, &listener.options, &options, &mut |Refused { option, error }| {
                refused.insert(format!("retuned {place} without {option}: {error}"));
            });
        }
        self.warnings.extend(refused);
        listener.options = options;
    }
}

fn key(service: &str, addr: SocketAddr, any_ports: &mut usize) -> Key {
    if addr.port() != 0 {
        return Key::Address(addr);
    }
    *any_ports += 1;
    Key::AnyPort { service: service.to_owned(), nth: *any_ports, ip: addr.ip() }
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
