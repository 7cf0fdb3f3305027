//! Sockets for listeners that are new.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use super::super::start_error::StartError;
use super::{Bound, Key, Listener, Listeners, Wanted};
use crate::config::{self, Address};
use crate::manager::line::Quoted;
use crate::model::address::{Endpoint, UnixName};
use crate::model::datagram::Protocol;
use crate::model::socket_options::ListenOptions;
use crate::model::update::ListenSocket;
use crate::sys::unix::{self, Rights};
use crate::sys::{datagram, listener, steer};

impl Listeners {
    pub(super) fn bind(&self, wanted: &mut [Wanted]) -> Result<(), StartError> {
        let keys: BTreeSet<Key> = wanted.iter().map(|wanted| wanted.key.clone()).collect();
        let kept: Vec<&Listener> = self.open.iter().filter(|listener| keys.contains(&listener.key)).collect();
        let mut bound: Vec<(Key, Endpoint)> =
            kept.iter().map(|listener| (listener.key.clone(), listener.addr)).collect();
        for new in wanted.iter_mut().filter(|wanted| !kept.iter().any(|listener| listener.key == wanted.key)) {
            let addr = match &new.key {
                Key::Address(_, addr) => *addr,
                // Both protocols of a listener have one port.
                Key::AnyPort { protocol, ip, .. } => {
                    let other = new.key.with(if *protocol == Protocol::Tcp { Protocol::Udp } else { Protocol::Tcp });
                    let port = bound.iter().find(|(key, _)| *key == other).map_or(0, |(_, addr)| addr.port());
                    SocketAddr::new(*ip, port).into()
                }
            };
            let fail = |error| StartError::Listen { address: addr.to_string(), service: new.service.clone(), error };
            let protocol = new.key.protocol();
            let others: Vec<Endpoint> =
                bound.iter().filter(|(key, _)| key.protocol() == protocol).map(|(_, addr)| *addr).collect();
            if others.contains(&addr) {
                return Err(fail(io::ErrorKind::AddrInUse.into()));
            }
            let fresh = match addr {
                Endpoint::Ip(addr) if protocol == Protocol::Udp => self.bind_datagrams(addr, &new.options, &others),
                Endpoint::Ip(addr) => self.bind_one(addr, &new.options, &others),
                Endpoint::Unix(name) => self.bind_unix(name, &new.options, new.rights),
            };
            let fresh = fresh.map_err(fail)?;
            bound.push((new.key.clone(), fresh.addr));
            if let Some(error) = &fresh.unsteered {
                new.unsteered = Some(format!(
                    "connections to {addr} are not steered to the CPU they arrive on: {error}; --steer needs BPF and \
                             --incoming-cpu Linux 6.2, a hash decides now"
                ));
            }
            new.bound = Some(fresh);
        }
        Ok(())
    }

    /// Whether no socket of ours is where a new one is to be: there a stranger cannot be told from us; he could not have
    /// bound it either.
    fn is_alone(&self, protocol: Protocol, addr: SocketAddr, bound: &[Endpoint]) -> bool {
        let closing = self.closing.iter().filter(|(_, socket)| socket.protocol() == protocol && socket.is_held());
        let open = self.open.iter().filter(|listener| listener.key.protocol() == protocol);
        let ours = open.map(|listener| &listener.addr).chain(closing.map(|(addr, _)| addr)).chain(bound);
        addr.port() != 0 && !ours.filter_map(Endpoint::as_ip).any(|other| overlap(addr, other))
    }

    fn bind_datagrams(&self, addr: SocketAddr, options: &ListenOptions, bound: &[Endpoint]) -> io::Result<Bound> {
        if self.is_alone(Protocol::Udp, addr, bound) {
            datagram::probe_free(addr)?;
        }
        let first = datagram::bind(addr, options)?;
        let addr = first.local_addr()?;
        let mut sockets = vec![ListenSocket::Udp(Arc::new(first))];
        // A hash decides who has which client, whatever is asked for connections: it must not change in a flow.
        while sockets.len() < self.reactors {
            sockets.push(ListenSocket::Udp(Arc::new(datagram::bind(addr, options)?)));
        }
        Ok(Bound { addr: addr.into(), sockets, file: None, unsteered: None })
    }

    fn bind_one(&self, addr: SocketAddr, options: &ListenOptions, bound: &[Endpoint]) -> io::Result<Bound> {
        if self.is_alone(Protocol::Tcp, addr, bound) {
            listener::probe_free(addr)?;
        }
        let first = listener::listen_with(addr, options)?;
        let addr = first.local_addr()?;
        let mut sockets = vec![Arc::new(first)];
        while sockets.len() < self.reactors {
            sockets.push(Arc::new(listener::listen_with(addr, options)?));
        }
        let unsteered = steer::steer(&sockets, &self.steering).err();
        let sockets = sockets.into_iter().map(ListenSocket::Tcp).collect();
        Ok(Bound { addr: addr.into(), sockets, file: None, unsteered })
    }

    /// Nobody can be told from whom a client of this machine comes, so that nothing is steered.
    fn bind_unix(&self, name: UnixName, options: &ListenOptions, rights: Rights) -> io::Result<Bound> {
        let (socket, file) = listener::listen_unix(name, rights, options)?;
        let socket = Arc::new(socket);
        let sockets = (0..self.reactors).map(|_| ListenSocket::Tcp(Arc::clone(&socket))).collect();
        Ok(Bound { addr: Endpoint::Unix(name), sockets, file, unsteered: None })
    }
}

/// What the system makes of the rights that a configuration says.
pub(super) fn rights_of(rights: &config::Rights) -> io::Result<Rights> {
    let group = rights
        .group
        .as_deref()
        .map(|name| unix::group(name).map_err(|error| io::Error::other(format!("group={}: {error}", Quoted(name)))));
    let usual = Rights::of_group(group.transpose()?);
    Ok(Rights { mode: rights.mode.unwrap_or(usual.mode), ..usual })
}

pub(super) fn resolve(address: &Address) -> io::Result<Vec<Endpoint>> {
    match address {
        Address::Socket(addr) => Ok(vec![Endpoint::Ip(*addr)]),
        Address::Unix(name) => Ok(vec![Endpoint::Unix(*name)]),
        Address::Name { host, port } => {
            let sorted: BTreeSet<Endpoint> = (host.as_str(), *port).to_socket_addrs()?.map(Endpoint::Ip).collect();
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
