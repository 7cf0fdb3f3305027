//! Listening addresses: binds what a configuration adds, all or nothing, and tells reactors what changed.
//!
//! A listener is its address: when that moves to another service, its sockets stay. Port 0 gets a real port when it
//! is first bound and keeps it by its place (the n-th port 0 of the service). One of this machine has one socket for all
//! reactors, and perhaps a file, which goes with it.

mod bind;

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bind::{resolve, rights_of};

use super::start_error::{StartError, written};
use crate::config::{Config, Listen};
use crate::manager::line::Value;
use crate::model::address::Endpoint;
use crate::model::counters::ListenerCounters;
use crate::model::datagram::Protocol;
use crate::model::id::{ListenerId, ServiceId};
use crate::model::proxy::{Expect, Trust};
use crate::model::service::ListenerSpec;
use crate::model::snapshot::ServiceView;
use crate::model::socket_options::ListenOptions;
use crate::model::update::{HeldSocket, ListenSocket};
use crate::sys::options::Refused;
use crate::sys::socket_file::SocketFile;
use crate::sys::steer::Steering;
use crate::sys::unix::Rights;
use crate::sys::{datagram, listener};

/// The open listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    defaults: ListenOptions,
    reactors: usize,
    steering: Steering,
    open: Vec<Listener>,
    /// Sockets that reactors may still be serving to their end.
    closing: Vec<(Endpoint, HeldSocket)>,
    next: u32,
}

/// What identifies a listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Address(Protocol, Endpoint),
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
    addr: Endpoint,
    /// One a reactor; of this machine's the same one for each.
    sockets: Vec<ListenSocket>,
    /// Of a socket that is one.
    file: Option<SocketFile>,
    rights: Rights,
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
    rights: Rights,
    /// Of a listener that is new.
    bound: Option<Bound>,
    /// That its connections could not be steered, and why.
    unsteered: Option<String>,
}

/// The sockets of a listener.
#[derive(Debug)]
struct Bound {
    addr: Endpoint,
    sockets: Vec<ListenSocket>,
    file: Option<SocketFile>,
    /// Why its connections are not steered.
    unsteered: Option<io::Error>,
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
            for Listen { address, protocol, options, proxy, rights } in &service.listens {
                let options = options.or(self.defaults);
                let fail =
                    |error| StartError::Listen { address: written(address), service: service.name.clone(), error };
                let rights = rights_of(rights).map_err(fail)?;
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
                                options: options.fit(addr),
                                proxy: proxy.clone(),
                                rights,
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

    /// Removes the files of sockets: who comes from now on is told that nobody is there.
    pub(super) fn remove_files(&mut self) {
        self.open.iter_mut().for_each(|listener| listener.file = None);
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
                (None, Some(Bound { addr, sockets, file, .. })) => {
                    let id = ListenerId(self.next);
                    self.next += 1;
                    let options = wanted.options;
                    let (key, counters) = (wanted.key, Arc::default());
                    let (shown, service_name) = (String::new(), String::new());
                    let (rights, proxy) = (wanted.rights, None);
                    Listener {
                        id,
                        key,
                        addr,
                        sockets,
                        file,
                        rights,
                        shown,
                        service_name,
                        service,
                        options,
                        proxy,
                        counters,
                    }
                }
                (None, None) => continue,
            };
            listener.service = service;
            listener.service_name = wanted.service;
            listener.shown = wanted.shown;
            if listener.options != wanted.options {
                moves.retune(&mut listener, wanted.options);
            }
            if listener.rights != wanted.rights {
                moves.give_rights(&mut listener, wanted.rights);
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
            moves.lines.push(format!("closing {}", listener.place()));
            self.closing.extend(listener.sockets.iter().map(|socket| (listener.addr, socket.watch())));
        }
        moves
    }
}

impl Listener {
    /// For log lines.
    fn place(&self) -> String {
        let protocol = match self.key.protocol() {
            Protocol::Tcp => "",
            Protocol::Udp => " protocol=udp",
        };
        format!("service={} addr={}{protocol}", Value(&self.service_name), Value(&self.addr.to_string()))
    }

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
        let protocol = listener.key.protocol();
        let spec =
            ListenerSpec { id: listener.id, service: listener.service, protocol, addr: listener.addr, proxy, counters };
        self.lines.push(format!("listening {}", listener.place()));
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
        let place = listener.place();
        self.lines.push(format!("retuned {place}"));
        let mut refused = BTreeSet::new();
        // One for all is told once.
        let sockets = if listener.addr.ip().is_some() { &listener.sockets[..] } else { &listener.sockets[..1] };
        for socket in sockets {
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

    /// Lets others connect to an open listener that is a file.
    fn give_rights(&mut self, listener: &mut Listener, rights: Rights) {
        self.retuned += 1;
        let place = listener.place();
        self.lines.push(format!("retuned {place}"));
        if let Some(Err(error)) = listener.file.as_ref().map(|file| file.set_rights(rights)) {
            self.warnings.push(format!("retuned {place} without its mode and group: {error}"));
        }
        listener.rights = rights;
    }
}

fn key(service: &str, addr: Endpoint, any_ports: &mut usize) -> Key {
    let Endpoint::Ip(addr) = addr else { return Key::Address(Protocol::Tcp, addr) };
    if addr.port() != 0 {
        return Key::Address(Protocol::default(), addr.into());
    }
    *any_ports += 1;
    Key::AnyPort { protocol: Protocol::default(), service: service.to_owned(), nth: *any_ports, ip: addr.ip() }
}
