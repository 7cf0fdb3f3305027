//! Data in the first packet (RFC 7413): from clients, and to hosts.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};
use support::process::Process;
use support::{Client, Director, End, Host, Netns, PATIENCE, held, scripts};

mod support;

/// A service with these attributes of its listener, group and host.
fn file(listen: &str, group: &str, host: (&Host, &str)) -> String {
    let (addr, host) = (host.0.addr(), host.1);
    format!(
        r#"<director><service name="s"><listen ip="127.0.0.1:0" {listen}/>
        <group name="g" {group}><host name="h" ip="{addr}" {host}/></group></service></director>"#
    )
}

#[test]
fn data_in_the_first_packet_is_taken_if_fastopen_is_on() {
    let netns = Netns::new();
    netns.sysctl("net/ipv4/tcp_fastopen", "3");
    let host = netns.run(|| Host::serve("h", scripts::echo()));
    let director = Director::plan_text(&file(r#"fastopen="16""#, "", (&host, ""))).inside(&netns).start();
    let passive = || netstat(&netns, "TCPFastOpenPassive");
    for (number, early) in [(0, 0), (1, 1)] {
        // The first connection fetches the cookie, the second one uses it.
        let mut stream = netns.run(|| connect_fast(director.addr()));
        stream.write_all(b"hello").unwrap();
        let client = Client::from(stream);
        assert_eq!(client.read_exact(5), b"hello");
        assert_eq!(passive(), early, "connection {number}");
    }
    assert!(!director.log().lines().iter().any(|line| line.contains("fastopen")));
    director.finish();
}

#[test]
fn first_bytes_of_a_client_go_with_the_first_packet_to_a_host_and_arrive_once() {
    const TEXT: &str = "0123456789";
    let netns = Netns::new();
    netns.sysctl("net/ipv4/tcp_fastopen", "3");
    let host = netns.run(|| Host::serve("h", scripts::echo()));
    listen_fast(&host, &netns);
    let active = || netstat(&netns, "TCPFastOpenActive");
    // What a client says is there when it is accepted.
    let text = file(r#"defer-accept="60s""#, "", (&host, r#"fastopen="true""#));
    let director = Director::plan_text(&text).inside(&netns).start();
    for early in [0, 1, 2] {
        let client = netns.run(|| Client::connect(director.addr()));
        client.send(TEXT.as_bytes());
        client.send(b" and more");
        client.finish_sending();
        assert_eq!(client.read_text(), (format!("{TEXT} and more"), End::Eof));
        assert_eq!(active(), early, "the first connection fetches the cookie");
    }
    assert_eq!(director.counters().hosts_sum("bytes-up"), 3 * 19);
    director.finish();
}

#[test]
fn first_bytes_of_a_client_are_not_lost_with_a_host_that_refuses() {
    let netns = Netns::new();
    netns.sysctl("net/ipv4/tcp_fastopen", "3");
    let mut hosts = ["a", "b"].map(|name| netns.run(|| Host::serve(name, scripts::echo())));
    hosts.iter().for_each(|host| listen_fast(host, &netns));
    let other = format!(r#"<host name="b" ip="{}"/></group>"#, hosts[1].addr());
    let text = file(r#"defer-accept="60s""#, r#"fastopen="true""#, (&hosts[0], "")).replace("</group>", &other);
    let director = Director::plan_text(&text).inside(&netns).start();
    let ask = || {
        let client = netns.run(|| Client::connect(director.addr()));
        client.send(b"hello");
        client.finish_sending();
        assert_eq!(client.read_text(), ("hello".to_owned(), End::Eof));
    };
    // A cookie is an address's: the first connection fetches it for both.
    (0..4).for_each(|_| ask());
    assert_eq!(netstat(&netns, "TCPFastOpenActive"), 3);
    hosts[0].stop();
    (0..4).for_each(|_| ask());
    director.finish();
}

#[test]
fn fastopen_that_the_kernel_has_switched_off_is_told_and_the_service_runs() {
    let netns = Netns::new();
    netns.sysctl("net/ipv4/tcp_fastopen", "0");
    let host = netns.run(|| Host::serve("h", scripts::echo()));
    let text = file(r#"fastopen="16""#, "", (&host, r#"fastopen="true""#));
    let director = Director::plan_text(&text).inside(&netns).start();
    director.wait_for_log(&["WARN", "fastopen with clients does nothing", "tcp_fastopen is 0", "bit 2"], PATIENCE);
    director.wait_for_log(&["WARN", "fastopen with hosts does nothing", "tcp_fastopen is 0", "bit 1"], PATIENCE);
    let client = netns.run(|| Client::connect(director.addr()));
    client.send(b"x");
    assert_eq!(client.read_exact(1), b"x");
    drop(client);
    director.finish();
}

/// Connects with the first write.
fn connect_fast(addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&on)).expect("a small size");
    // SAFETY: the option's value is one int, whose address and size are given and which outlives the call.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_FASTOPEN_CONNECT,
            (&raw const on).cast::<libc::c_void>(),
            size,
        )
    };
    assert_eq!(result, 0, "TCP_FASTOPEN_CONNECT: {}", std::io::Error::last_os_error());
    socket.connect(&addr.into()).expect("connect");
    socket.into()
}

/// Lets a host take data with the first packet.
fn listen_fast(host: &Host, netns: &Netns) {
    let queue: libc::c_int = 16;
    let size = libc::socklen_t::try_from(size_of_val(&queue)).expect("a small size");
    for socket in held::listening(Process(std::process::id()), host.addr()) {
        // SAFETY: the option's value is one int, whose address and size are given and which outlives the call.
        #[allow(unsafe_code)]
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_FASTOPEN,
                (&raw const queue).cast::<libc::c_void>(),
                size,
            )
        };
        assert_eq!(result, 0, "TCP_FASTOPEN: {}", std::io::Error::last_os_error());
    }
    // The listener is in the namespace, whose setting decides.
    let bits = netns.run(|| fs::read_to_string("/proc/sys/net/ipv4/tcp_fastopen")).expect("the setting");
    assert_eq!(bits.trim(), "3");
}

/// A counter of the namespace's `/proc/net/netstat`.
fn netstat(netns: &Netns, name: &str) -> u64 {
    let text = netns.run(|| fs::read_to_string("/proc/thread-self/net/netstat")).expect("netstat");
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let mut both = names.split_whitespace().zip(values.split_whitespace());
    both.find(|(known, _)| *known == name).and_then(|(_, value)| value.parse().ok()).expect("the counter")
}
