//! Listening addresses with real sockets on loopback.

use crate::config::{self, Address, Config};
use crate::manager::run::StartError;
use crate::manager::run::listeners::{Listeners, Moves};
use crate::manager::tests::{config, group, service};
use crate::model::datagram::{Protocol, Protocols};
use crate::model::id::ServiceId;
use crate::model::socket_options::{ListenOptions, StreamOptions};
use crate::model::update::ListenSocket;
use crate::sys::listener;
use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

const REACTORS: usize = 2;

const STREAM: StreamOptions = StreamOptions {
    user_timeout: None,
    keepalive: None,
    congestion: None,
    notsent_lowat: None,
    busy_poll: None,
    receive_buffer: None,
    send_buffer: None,
    quick_ack: None,
};
const BACKLOG_ONLY: ListenOptions =
    ListenOptions { backlog: Some(16), defer_accept: None, fastopen: None, stream: STREAM };

/// A configuration of services with these names, each with its listen addresses.
fn listening(services: &[(&str, &[SocketAddr])]) -> Config {
    let services = services.iter().map(|(name, listens)| {
        let listens = listens.iter().map(|addr| Address::Socket(*addr).into()).collect();
        config::Service { listens, ..service(name, vec![group("g", &[1])]) }
    });
    config(services.collect())
}

fn raw(socket: &ListenSocket) -> RawFd {
    match socket {
        ListenSocket::Tcp(socket) => socket.as_raw_fd(),
        ListenSocket::Udp(socket) => socket.as_raw_fd(),
    }
}

fn local_addr(socket: &ListenSocket) -> SocketAddr {
    match socket {
        ListenSocket::Tcp(socket) => socket.local_addr().unwrap(),
        ListenSocket::Udp(socket) => socket.local_addr().unwrap(),
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn install(listeners: &mut Listeners, config: &Config) -> Result<Moves, StartError> {
    let plan = listeners.prepare(config)?;
    let id_of = |name: &str| match name {
        "web" => Some(ServiceId(0)),
        "mail" => Some(ServiceId(1)),
        _ => None,
    };
    Ok(listeners.commit(plan, id_of))
}

fn kind(error: &StartError) -> ErrorKind {
    match error {
        StartError::Listen { error, .. } | StartError::Congestion { error, .. } | StartError::Thread(error) => {
            error.kind()
        }
    }
}

#[test]
fn new_listener_has_a_socket_for_each_reactor_on_one_address() {
    let mut listeners = Listeners::new(REACTORS, BACKLOG_ONLY);
    let moves = install(&mut listeners, &listening(&[("web", &[any_port()])])).unwrap();
    let (spec, sockets) = &moves.listen[0];
    assert_ne!(spec.addr.port(), 0);
    assert_eq!(sockets.len(), REACTORS);
    assert!(sockets.iter().all(|socket| local_addr(socket) == spec.addr));
    assert_eq!(moves.lines, [format!("listening service=web addr={}", spec.addr)]);
    TcpStream::connect(spec.addr).unwrap();
}

#[test]
fn listener_of_both_protocols_has_one_port_and_keeps_it() {
    let mut listeners = Listeners::new(REACTORS, BACKLOG_ONLY);
    let mut both = listening(&[("web", &[any_port(), any_port()])]);
    both.services[0].listens.iter_mut().for_each(|listen| listen.protocol = Protocols::Both);
    let first = install(&mut listeners, &both).unwrap();
    let addrs: Vec<(Protocol, SocketAddr)> = first.listen.iter().map(|(spec, _)| (spec.protocol, spec.addr)).collect();
    let [(Protocol::Tcp, a), (Protocol::Udp, b), (Protocol::Tcp, c), (Protocol::Udp, d)] = addrs[..] else {
        panic!("{addrs:?}")
    };
    assert!(a == b && c == d && a != c, "{addrs:?}");
    assert!(first.listen.iter().all(|(_, sockets)| sockets.len() == REACTORS));
    assert_eq!(first.lines[1], format!("listening service=web addr={a} protocol=udp"));
    both.services[0].listens[0].protocol = Protocols::Udp;
    let second = install(&mut listeners, &both).unwrap();
    assert_eq!((second.opened, second.closed), (0, 1));
    assert_eq!(TcpStream::connect(c).map(drop).map_err(|error| error.kind()), Ok(()));
}

#[test]
fn port_zero_keeps_its_real_port_by_its_place() {
    let mut listeners = Listeners::new(REACTORS, BACKLOG_ONLY);
    let first = install(&mut listeners, &listening(&[("web", &[any_port(), any_port()])])).unwrap();
    assert_eq!(first.listen.len(), 2);
    assert_ne!(first.listen[0].0.addr, first.listen[1].0.addr);
    let again = install(&mut listeners, &listening(&[("web", &[any_port(), any_port()])])).unwrap();
    assert_eq!((again.listen.len(), again.unlisten.len()), (0, 0));
    let fewer = install(&mut listeners, &listening(&[("web", &[any_port()])])).unwrap();
    assert_eq!(fewer.unlisten, [first.listen[1].0.id]);
}

#[test]
fn address_that_moves_to_another_service_keeps_its_sockets() {
    let mut listeners = Listeners::new(REACTORS, BACKLOG_ONLY);
    let addr = TcpListener::bind(any_port()).unwrap().local_addr().unwrap();
    let first = install(&mut listeners, &listening(&[("web", &[addr]), ("mail", &[any_port()])])).unwrap();
    let moved = install(&mut listeners, &listening(&[("web", &[any_port()]), ("mail", &[addr])])).unwrap();
    let of_addr = |moves: &Moves| moves.listen.iter().find(|(spec, _)| spec.addr == addr).cloned().unwrap();
    let ((before, old), (after, new)) = (of_addr(&first), of_addr(&moved));
    assert_eq!(before.id, after.id);
    assert_eq!((before.service, after.service), (ServiceId(0), ServiceId(1)));
    assert!(old.iter().zip(&new).all(|(old, new)| raw(old) == raw(new)));
    assert_eq!((moved.opened, moved.closed, moved.moved), (1, 1, 1));
}

#[test]
fn one_address_that_cannot_be_bound_leaves_nothing_bound() {
    let mut listeners = Listeners::new(REACTORS, BACKLOG_ONLY);
    let taken = listener::listen(any_port(), 16).unwrap();
    let free = TcpListener::bind(any_port()).unwrap().local_addr().unwrap();
    let taken_addr = taken.local_addr().unwrap();
    let error = install(&mut listeners, &listening(&[("web", &[free, taken_addr])])).unwrap_err();
    assert_eq!(kind(&error), ErrorKind::AddrInUse, "also when its owner would share it");
    let text = error.to_string();
    let expected = format!("could not listen on {taken_addr} (service web): ");
    assert!(text.starts_with(&expected) && text.contains("ss -ltnp"), "{text}");
    assert!(error.source().is_some());
    assert_eq!(TcpStream::connect(free).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    drop(taken);
    let moves = install(&mut listeners, &listening(&[("web", &[free, taken_addr])])).unwrap();
    assert_eq!(moves.opened, 2);
}

#[test]
fn address_of_no_interface_is_told_with_a_hint() {
    let mut listeners = Listeners::new(REACTORS, BACKLOG_ONLY);
    // TEST-NET-1 of RFC 5737 is nobody's.
    let error = install(&mut listeners, &listening(&[("web", &["192.0.2.1:0".parse().unwrap()])])).unwrap_err();
    assert_eq!(kind(&error), ErrorKind::AddrNotAvailable);
    assert!(error.to_string().contains("no interface"), "{error}");
}

#[test]
fn closed_listener_stops_and_may_come_back_while_reactors_still_hold_it() {
    let mut listeners = Listeners::new(REACTORS, BACKLOG_ONLY);
    let addr = TcpListener::bind(any_port()).unwrap().local_addr().unwrap();
    let first = install(&mut listeners, &listening(&[("web", &[addr])])).unwrap();
    let second = install(&mut listeners, &listening(&[("web", &[any_port()])])).unwrap();
    assert_eq!(second.unlisten, [first.listen[0].0.id]);
    assert_eq!(second.lines[1], format!("closing service=web addr={addr}"));
    let third = install(&mut listeners, &listening(&[("web", &[addr])])).unwrap();
    assert_ne!(third.listen[0].0.id, first.listen[0].0.id);
    drop((first, third));
    install(&mut listeners, &listening(&[("web", &[any_port()])])).unwrap();
    assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn wildcard_may_take_over_from_a_single_address_and_back() {
    let mut listeners = Listeners::new(REACTORS, BACKLOG_ONLY);
    let addr = TcpListener::bind(any_port()).unwrap().local_addr().unwrap();
    let wildcard = SocketAddr::from(([0, 0, 0, 0], addr.port()));
    for wanted in [addr, wildcard, addr] {
        let moves = install(&mut listeners, &listening(&[("web", &[wanted])])).unwrap();
        assert_eq!(moves.listen[0].0.addr, wanted);
    }
}

#[test]
fn name_is_listened_on_with_all_its_addresses_each_once() {
    let mut listeners = Listeners::new(REACTORS, BACKLOG_ONLY);
    let port = TcpListener::bind(any_port()).unwrap().local_addr().unwrap().port();
    let name = Address::Name { host: "127.0.0.1".to_owned(), port };
    let literal = Address::Socket(SocketAddr::from(([127, 0, 0, 1], port)));
    let mut both = listening(&[("web", &[])]);
    both.services[0].listens = vec![name.clone().into(), literal.clone().into()];
    assert_eq!(install(&mut listeners, &both).unwrap().opened, 1);
    let mut two = listening(&[("web", &[]), ("mail", &[])]);
    two.services[0].listens = vec![name.into()];
    two.services[1].listens = vec![literal.into()];
    assert_eq!(kind(&install(&mut listeners, &two).unwrap_err()), ErrorKind::AddrInUse);
    let mut unknown = listening(&[("web", &[])]);
    unknown.services[0].listens = vec![Address::Name { host: "not a name".to_owned(), port }.into()];
    let error = install(&mut listeners, &unknown).unwrap_err().to_string();
    assert!(error.starts_with(&format!("could not listen on \"not a name\":{port} (service web): ")), "{error}");
}

#[test]
fn port_that_a_port_zero_got_is_not_shared_with_another_service() {
    let mut listeners = Listeners::new(REACTORS, BACKLOG_ONLY);
    let first = install(&mut listeners, &listening(&[("web", &[any_port()])])).unwrap();
    let got = first.listen[0].0.addr;
    let error = install(&mut listeners, &listening(&[("web", &[any_port()]), ("mail", &[got])])).unwrap_err();
    assert_eq!(kind(&error), ErrorKind::AddrInUse);
}
