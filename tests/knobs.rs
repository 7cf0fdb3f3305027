//! Options of sockets: they are set where they are asked for and nowhere else, seen on the sockets of the running
//! balancer.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use support::{Client, Director, End, Host, PATIENCE, Star, Strace, held, scripts, until};

mod support;

const SO_BUF_LOCK: libc::c_int = 72;

/// What the attributes of [`ALL`] ask for.
const ALL: &str = r#"user-timeout="7s" keepalive="77s,11s,4" congestion="reno" notsent-lowat="16k" busy-poll="0"
    receive-buffer="96k" send-buffer="48k" quick-ack="false""#;

/// The options of a socket as the kernel tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    user_timeout: i32,
    keepalive: bool,
    keepalive_times: [i32; 3],
    congestion: String,
    notsent_lowat: i32,
    quick_ack: bool,
    /// Bits of the buffers whose size was set: 1 send, 2 receive.
    fixed_buffers: i32,
}

impl Seen {
    fn on(socket: &Socket) -> Self {
        let tcp = |option| held::number(socket, libc::IPPROTO_TCP, option);
        let name = socket.tcp_congestion().expect("the congestion control");
        Self {
            user_timeout: tcp(libc::TCP_USER_TIMEOUT),
            keepalive: socket.keepalive().expect("keepalive"),
            keepalive_times: [libc::TCP_KEEPIDLE, libc::TCP_KEEPINTVL, libc::TCP_KEEPCNT].map(tcp),
            congestion: String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned(),
            notsent_lowat: tcp(libc::TCP_NOTSENT_LOWAT),
            quick_ack: tcp(libc::TCP_QUICKACK) != 0,
            fixed_buffers: held::number(socket, libc::SOL_SOCKET, SO_BUF_LOCK),
        }
    }

    /// What the kernel does when it is told nothing.
    fn untouched() -> Self {
        Self::on(&Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket"))
    }

    /// What [`ALL`] asks for.
    fn all() -> Self {
        Self {
            user_timeout: 7000,
            keepalive: true,
            keepalive_times: [77, 11, 4],
            congestion: "reno".to_owned(),
            notsent_lowat: 16_384,
            quick_ack: false,
            fixed_buffers: 3,
        }
    }
}

/// A service with these attributes of its listener, group and host.
fn file(listen: &str, group: &str, host: (&Host, &str)) -> String {
    let (addr, host) = (host.0.addr(), host.1);
    format!(
        r#"<director><service name="s"><listen ip="127.0.0.1:0" {listen}/>
        <group name="g" {group}><host name="h" ip="{addr}" {host}/></group></service></director>"#
    )
}

/// A client that says nothing, and the balancer's sockets to it and to the host.
fn connect(director: &Director, host: &Host) -> (Client, Socket, Socket) {
    let client = Client::connect(director.addr());
    let find = |peer: SocketAddr| {
        let mut found = Vec::new();
        until(PATIENCE, "the balancer has the connection", || {
            found = held::connections(director.process(), peer);
            !found.is_empty()
        });
        found.remove(0)
    };
    let (accepted, to_host) = (find(client.local()), find(host.addr()));
    (client, accepted, to_host)
}

#[test]
fn options_of_a_listener_are_on_its_sockets_and_inherited_by_what_they_accept() {
    let host = Host::serve("h", scripts::listen_only());
    let listen = format!(r#"backlog="33" defer-accept="0" fastopen="17" {ALL}"#);
    let director = Director::plan_text(&file(&listen, "", (&host, ""))).start();
    let listening = held::listening(director.process(), director.addr());
    assert_eq!(listening.len(), 2, "one a reactor");
    for socket in &listening {
        assert_eq!(Seen::on(socket), Seen::all());
        assert_eq!(held::number(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN), 17);
        assert_eq!(held::number(socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT), 0);
        let sizes = (socket.recv_buffer_size().unwrap(), socket.send_buffer_size().unwrap());
        assert_eq!(sizes, (2 * 96 * 1024, 2 * 48 * 1024), "the kernel doubles them");
    }
    assert_eq!(queue_lengths(director.addr()), [33, 33]);
    let (client, accepted, to_host) = connect(&director, &host);
    assert_eq!(Seen::on(&accepted), Seen::all());
    assert_eq!(Seen::on(&to_host), Seen::untouched(), "the listener's are not the host's");
    drop((listening, accepted, to_host, client));
    director.finish();
}

#[test]
fn nothing_is_set_that_is_not_asked_for() {
    let host = Host::serve("h", scripts::listen_only());
    let director = Director::plan_text(&file("", "", (&host, ""))).start();
    for socket in held::listening(director.process(), director.addr()) {
        assert_eq!(Seen::on(&socket), Seen::untouched());
        for option in [libc::TCP_FASTOPEN, libc::TCP_DEFER_ACCEPT] {
            assert_eq!(held::number(&socket, libc::IPPROTO_TCP, option), 0);
        }
    }
    let allowed: u32 = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    assert_eq!(queue_lengths(director.addr()), [allowed.min(4096); 2]);
    let (client, accepted, to_host) = connect(&director, &host);
    assert_eq!(Seen::on(&accepted), Seen::untouched());
    assert_eq!(Seen::on(&to_host), Seen::untouched());
    assert_eq!(held::number(&to_host, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT), 0);
    drop((accepted, to_host, client));
    director.finish();
}

#[test]
fn options_of_hosts_are_the_hosts_then_the_groups_then_the_command_lines() {
    let host = Host::serve("h", scripts::listen_only());
    let text = file(r#"user-timeout="0" keepalive="off""#, r#"notsent-lowat="16k""#, (&host, r#"user-timeout="7s""#));
    let args = ["--user-timeout", "9s", "--notsent-lowat", "32k", "--keepalive", "77s,11s,4", "--quick-ack", "no"];
    let director = Director::plan_text(&text).args(&args).start();
    let (client, accepted, to_host) = connect(&director, &host);
    let untouched = Seen::untouched();
    let all = Seen::all();
    let expected = Seen { congestion: untouched.congestion.clone(), fixed_buffers: 0, quick_ack: true, ..all };
    assert_eq!(Seen::on(&to_host), expected, "quick-ack has done its work with the handshake");
    let expected = Seen { notsent_lowat: 32_768, quick_ack: false, ..untouched };
    assert_eq!(Seen::on(&accepted), expected, "a zero is against the command line's");
    drop((accepted, to_host, client));
    director.finish();
}

#[test]
fn inherited_options_cost_no_system_call_a_connection() {
    const CONNECTIONS: usize = 20;
    if !Strace::is_available() {
        println!("skipped: strace cannot trace here");
        return;
    }
    let calls = |listen: &str, host_options: &str| {
        let host = Host::serve("h", scripts::echo());
        let director = Director::plan_text(&file(listen, "", (&host, host_options))).start();
        let strace = Strace::attach(director.process(), &["trace=setsockopt,getsockopt,bind"]);
        for _ in 0..CONNECTIONS {
            let client = Client::connect(director.addr());
            client.send(b"x");
            client.finish_sending();
            assert_eq!(client.read_text(), ("x".to_owned(), End::Eof));
        }
        let trace = strace.detach();
        director.finish();
        (trace.calls("setsockopt"), trace.calls("bind"))
    };
    let plain = calls("", "");
    assert_eq!(plain, (CONNECTIONS, 0), "SO_OOBINLINE of the host's socket; TCP_NODELAY comes with its second write");
    assert_eq!(calls(ALL, ""), plain);
    assert_eq!(calls("", r#"quick-ack="no""#), (2 * CONNECTIONS, 0), "one more for one option of the host");
}

#[test]
fn silent_client_is_accepted_when_it_speaks_if_accepting_is_deferred() {
    let host = Host::serve("h", scripts::echo());
    let director = Director::plan_text(&file(r#"defer-accept="60s""#, "", (&host, ""))).threads(1).start();
    let silent = Client::connect(director.addr());
    let speaks = Client::connect(director.addr());
    speaks.send(b"now");
    assert_eq!(speaks.read_exact(3), b"now");
    assert_eq!(director.counters().services_sum("accepted"), 1, "the one that came first waits");
    silent.send(b"late");
    assert_eq!(silent.read_exact(4), b"late");
    drop((silent, speaks));
    director.finish();
}

#[test]
fn host_that_vanishes_while_written_to_is_given_up_after_the_user_timeout() {
    let star = Star::new(1);
    let host = star.hosts[0].run(|| Host::plan("h", scripts::listen_only()).at("10.99.0.2:80").start());
    let director = Director::plan_text(&file("", "", (&host, r#"user-timeout="1s""#))).inside(&star.middle).start();
    let client = star.middle.run(|| Client::connect(director.addr()));
    client.send(b"first");
    until(PATIENCE, "the host has it", || host.record().open() == 1);
    star.link(0, false);
    let since = Instant::now();
    client.send(b"second");
    let (end, after) = client.wait_for_end(since, PATIENCE);
    assert_eq!(end, End::Reset);
    // Without it: tcp_retries2, a quarter of an hour.
    assert!(after < Duration::from_secs(10), "{after:?}");
}

#[test]
fn congestion_control_that_is_not_there_is_an_error_that_names_what_is() {
    let host = Host::serve("h", scripts::echo());
    let available = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap();
    for text in [
        file(r#"congestion="nowhere""#, "", (&host, "")),
        file("", r#"congestion="nowhere""#, (&host, "")),
        file("", "", (&host, r#"congestion="nowhere""#)),
    ] {
        let (status, _, log) = Director::plan_text(&text).run();
        assert_eq!(status.code(), Some(3), "{log}");
        assert!(log.contains("congestion=\"nowhere\" of "), "{log}");
        let available = available.trim().replace(' ', ", ");
        assert!(log.contains(&format!("the kernel does not have it, expected one of {available};")), "{log}");
    }
    let director = Director::plan_text(&file("", "", (&host, ""))).start();
    director.write_config_text(&file(r#"congestion="nowhere""#, "", (&host, "")));
    let line = director.reload();
    assert!(line.contains("reload refused: congestion=\"nowhere\" of listener 127.0.0.1:0"), "{line}");
    director.finish();
}

#[test]
fn option_that_the_kernel_refuses_is_told_once_and_the_service_runs() {
    let host = Host::serve("h", scripts::echo());
    let text = file(r#"busy-poll="77777""#, r#"busy-poll="77777""#, (&host, ""));
    if !Strace::is_available() {
        println!("skipped: strace cannot trace here");
        return;
    }
    // The first option that is set at all is the one that is tried before anything is bound. Some kernels ask for
    // CAP_NET_ADMIN here.
    let wrapper = ["strace", "-D", "-f", "-o", "/dev/null", "-e", "inject=setsockopt:error=EPERM:when=1"];
    let director = Director::plan_text(&text).through(&wrapper).start();
    let warnings = director.log().lines().iter().filter(|line| line.contains("busy-poll is not set")).count();
    assert_eq!(warnings, 1);
    let client = Client::connect(director.addr());
    client.send(b"x");
    assert_eq!(client.read_exact(1), b"x");
    drop(client);
    director.finish();
}

#[test]
fn busy_poll_is_set_on_both_sides_by_who_may() {
    let host = Host::serve("h", scripts::listen_only());
    let director = Director::plan_text(&file(r#"busy-poll="50""#, "", (&host, r#"busy-poll="60""#))).start();
    let (client, accepted, to_host) = connect(&director, &host);
    let busy_poll = |socket| held::number(socket, libc::SOL_SOCKET, libc::SO_BUSY_POLL);
    assert_eq!((busy_poll(&accepted), busy_poll(&to_host)), (50, 60));
    drop((accepted, to_host, client));
    director.finish();
}

#[test]
fn buffer_that_the_kernel_cuts_short_is_told() {
    let host = Host::serve("h", scripts::echo());
    let director = Director::plan_text(&file(r#"receive-buffer="1024m""#, "", (&host, ""))).start();
    director.wait_for_log(&["WARN", "receive-buffer is ", "instead of 1073741824", "net.core.rmem_max"], PATIENCE);
    director.finish();
}

#[test]
fn reload_changes_the_options_of_open_listeners_in_place_and_takes_them_back() {
    let host = Host::serve("h", scripts::listen_only());
    let plain = file("", "", (&host, ""));
    let director = Director::plan_text(&plain).start();
    let addr = director.addr();
    let inodes = || {
        let sockets = held::listening(director.process(), addr);
        sockets.iter().map(|socket| inode(socket.as_raw_fd())).collect::<BTreeSet<u64>>()
    };
    let before = inodes();
    assert_eq!(before.len(), 2);
    director.write_config_text(&file(&format!(r#"backlog="44" fastopen="5" {ALL}"#), "", (&host, "")));
    let line = director.reload();
    assert!(line.contains("listeners-opened=0 listeners-closed=0 listeners-moved=0 listeners-retuned=1"), "{line}");
    assert_eq!(inodes(), before, "the same sockets");
    assert_eq!(queue_lengths(addr), [44, 44]);
    let (first, accepted, to_host) = connect(&director, &host);
    assert_eq!(Seen::on(&accepted), Seen::all());
    drop((first, accepted, to_host));
    until(PATIENCE, "the host is left", || host.record().open() == 0);
    director.write_config_text(&plain);
    director.reload();
    assert_eq!(inodes(), before, "the same sockets");
    let (second, accepted, to_host) = connect(&director, &host);
    // The times of a keepalive that is off stand for nothing.
    assert_eq!(Seen { keepalive_times: Seen::untouched().keepalive_times, ..Seen::on(&accepted) }, Seen::untouched());
    let fresh = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    for socket in held::listening(director.process(), addr) {
        assert_eq!(socket.send_buffer_size().unwrap(), fresh.send_buffer_size().unwrap());
        assert_eq!(held::number(&socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN), 0);
    }
    drop((second, accepted, to_host));
    director.write_config_text(&plain);
    let line = director.reload();
    assert!(line.contains("nothing changed"), "{line}");
    director.finish();
}

/// The lengths of the accept queues on this address, as `ss` tells them.
fn queue_lengths(addr: SocketAddr) -> Vec<u32> {
    let filter = format!("sport = :{}", addr.port());
    let output = std::process::Command::new("ss").args(["-H", "-l", "-t", "-n", &filter]).output().expect("ss");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse().ok()).collect()
}

fn inode(descriptor: i32) -> u64 {
    fs::metadata(format!("/proc/self/fd/{descriptor}")).expect("an open descriptor").ino()
}
