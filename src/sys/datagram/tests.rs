//! Datagrams over loopback.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::*;
use crate::model::limits::DATAGRAM_BATCH;

fn bound(addr: &str) -> (UdpSocket, SocketAddr) {
    let socket = bind(addr.parse().unwrap(), &ListenOptions::default()).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

fn hosts() -> UdpSocket {
    towards_hosts(false, None, &StreamOptions::default()).unwrap()
}

/// Receives until there are so many places filled.
fn receive(batch: &mut Batch, socket: &UdpSocket, count: usize) -> Vec<Received> {
    let until = Instant::now() + Duration::from_secs(10);
    let mut filled = 0;
    while filled < count && Instant::now() < until {
        filled += batch.receive(socket.as_fd(), filled).map_or(0, |(filled, _)| filled);
    }
    (0..filled).map(|place| batch.received(place)).collect()
}

fn send(batch: &mut Batch, socket: &UdpSocket, outgoing: &[Outgoing]) -> Vec<(usize, i32)> {
    let mut failed = Vec::new();
    batch.send(socket.as_fd(), outgoing, &mut usize::MAX.clone(), &mut |number, error| {
        failed.push((number, error.raw_os_error().unwrap_or(0)));
    });
    failed
}

#[test]
fn datagrams_of_every_size_come_whole_and_are_sent_on() {
    let (listener, addr) = bound("127.0.0.1:0");
    // One that takes datagrams one by one.
    let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
    let echo_addr = echo.local_addr().unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sizes = [0, 1, 1200, 1200, 1200, 700, 65_507, 0, 3];
    for (number, size) in (0_u8..).zip(sizes) {
        client.send_to(&vec![number; size], addr).unwrap();
    }
    let mut batch = Batch::new();
    let received = receive(&mut batch, &listener, sizes.len());
    assert_eq!(received.iter().map(|one| one.len).collect::<Vec<_>>(), sizes);
    assert!(received.iter().all(|one| one.peer == client.local_addr().unwrap() && one.local.is_none() && !one.is_cut));
    let outgoing: Vec<Outgoing> = (0..sizes.len()).map(|place| Outgoing { place, to: echo_addr, from: None }).collect();
    assert_eq!(send(&mut batch, &hosts(), &outgoing), []);
    let mut arrived = Vec::new();
    echo.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut space = vec![0; 70_000];
    while arrived.len() < sizes.len() {
        let (len, _) = echo.recv_from(&mut space).unwrap();
        arrived.push((len, space[0]));
    }
    assert_eq!(arrived.iter().map(|(len, _)| *len).collect::<Vec<_>>(), sizes);
    assert!((0_u8..).zip(&arrived).all(|(number, (len, byte))| *len == 0 || *byte == number));
}

#[test]
fn run_of_one_size_goes_and_comes_in_one_piece() {
    let (listener, addr) = bound("127.0.0.1:0");
    let (host, host_addr) = bound("127.0.0.1:0");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..20_u8 {
        client.send_to(&vec![number; if number == 19 { 100 } else { 1000 }], addr).unwrap();
    }
    let mut batch = Batch::new();
    assert_eq!(receive(&mut batch, &listener, 20).len(), 20);
    let outgoing: Vec<Outgoing> = (0..20).map(|place| Outgoing { place, to: host_addr, from: None }).collect();
    assert_eq!(send(&mut batch, &hosts(), &outgoing), []);
    let received = receive(&mut batch, &host, 1);
    assert_eq!((received[0].len, received[0].segment, received[0].count()), (19_100, 1000, 20));
    assert!((0..20).all(|number: u8| batch.bytes(0)[usize::from(number) * 1000] == number));
    // It goes on whole, too.
    let (last, last_addr) = bound("127.0.0.1:0");
    assert_eq!(send(&mut batch, &hosts(), &[Outgoing { place: 0, to: last_addr, from: None }]), []);
    assert_eq!(receive(&mut batch, &last, 1)[0].count(), 20);
    // And apart where nothing larger than a byte may go whole.
    let (apart, apart_addr) = bound("127.0.0.1:0");
    let (socket, one) = (hosts(), Outgoing { place: 0, to: apart_addr, from: None });
    receive(&mut batch, &last, 0);
    batch.send(socket.as_fd(), &[one], &mut 1, &mut |_, error| panic!("{error}"));
    assert_eq!(receive(&mut batch, &apart, 20).len(), 20);
}

#[test]
fn segments_that_the_way_out_does_not_take_whole_are_sent_apart_and_not_offered_again() {
    // Loopback takes packets of 64 KiB: nothing larger than half of that can be two segments of one message.
    let (listener, addr) = bound("127.0.0.1:0");
    let (host, host_addr) = bound("127.0.0.1:0");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..3 {
        client.send_to(&[7; 2000], addr).unwrap();
    }
    let mut batch = Batch::new();
    receive(&mut batch, &listener, 3);
    let outgoing: Vec<Outgoing> = (0..3).map(|place| Outgoing { place, to: host_addr, from: None }).collect();
    let mut whole_max = 1999;
    batch.send(hosts().as_fd(), &outgoing, &mut whole_max, &mut |_, error| panic!("{error}"));
    assert_eq!(receive(&mut batch, &host, 3).iter().map(|one| one.count()).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(whole_max, 1999);
}

#[test]
fn answer_leaves_from_the_address_that_was_asked() {
    for (any, asked) in [("0.0.0.0:0", "127.0.0.77"), ("[::]:0", "::1")] {
        let (listener, addr) = bound(any);
        let asked: IpAddr = asked.parse().unwrap();
        let client =
            UdpSocket::bind(SocketAddr::new(if asked.is_ipv4() { "127.0.0.5" } else { "::1" }.parse().unwrap(), 0));
        let client = client.unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let asked_addr = SocketAddr::new(asked, addr.port());
        client.send_to(b"?", asked_addr).unwrap();
        let mut batch = Batch::new();
        let received = receive(&mut batch, &listener, 1)[0];
        assert_eq!(received.local, Some(asked));
        assert_eq!(send(&mut batch, &listener, &[Outgoing { place: 0, to: received.peer, from: received.local }]), []);
        assert_eq!(client.recv_from(&mut [0; 9]).unwrap(), (1, asked_addr));
    }
}

#[test]
fn datagram_that_does_not_arrive_is_told_and_comes_back() {
    let (listener, addr) = bound("127.0.0.1:0");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"whole question", addr).unwrap();
    let (closed, closed_addr) = bound("127.0.0.1:0");
    let (other, other_addr) = bound("127.0.0.1:0");
    drop(closed);
    let mut batch = Batch::new();
    receive(&mut batch, &listener, 1);
    let socket = hosts();
    // The failure of the first does not keep the second from its host.
    let outgoing = [closed_addr, other_addr].map(|to| Outgoing { place: 0, to, from: None });
    assert_eq!(send(&mut batch, &socket, &outgoing), []);
    assert_eq!(receive(&mut batch, &other, 1).len(), 1);
    let unreached = batch.take_unreached(socket.as_fd()).unwrap().expect("the kernel has answered");
    assert_eq!((unreached.to, unreached.error.raw_os_error()), (closed_addr, Some(libc::ECONNREFUSED)));
    assert!(unreached.by_network);
    assert_eq!((unreached.returned, batch.bytes(SPARE)), (14, &b"whole question"[..]));
    assert_eq!(send(&mut batch, &socket, &[Outgoing { place: SPARE, to: other_addr, from: None }]), []);
    receive(&mut batch, &other, 1);
    assert_eq!(batch.bytes(0), b"whole question");
    assert!(batch.take_unreached(socket.as_fd()).unwrap().is_none());
}

#[test]
fn socket_that_has_left_answers_and_gets_nothing_new() {
    let (first, addr) = bound("127.0.0.1:0");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client.send_to(b"before", addr).unwrap();
    leave(&first).unwrap();
    let second = bind(addr, &ListenOptions::default()).unwrap();
    let others: Vec<UdpSocket> = (0..20).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for other in &others {
        other.send_to(b"after", addr).unwrap();
    }
    let mut batch = Batch::new();
    assert_eq!(receive(&mut batch, &second, others.len()).len(), others.len(), "all come to the one that has not");
    let received = receive(&mut batch, &first, 1)[0];
    assert_eq!(batch.bytes(0), b"before");
    assert_eq!(send(&mut batch, &first, &[Outgoing { place: 0, to: received.peer, from: None }]), []);
    assert_eq!(client.recv_from(&mut [0; 9]).unwrap(), (6, addr));
}

#[test]
fn losses_for_lack_of_room_are_told() {
    let stream = StreamOptions { receive_buffer: Some(4096), ..StreamOptions::default() };
    let listener = bind("127.0.0.1:0".parse().unwrap(), &ListenOptions { stream, ..ListenOptions::default() }).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..100 {
        client.send_to(&[0; 1000], listener.local_addr().unwrap()).unwrap();
    }
    let mut batch = Batch::new();
    let kept = receive(&mut batch, &listener, 1).len();
    client.send_to(b"one more", listener.local_addr().unwrap()).unwrap();
    let (filled, lost) = batch.receive(listener.as_fd(), 0).unwrap();
    assert_eq!((filled, lost), (1, Some(u32::try_from(100 - kept).unwrap())));
    assert!(kept < DATAGRAM_BATCH);
}
