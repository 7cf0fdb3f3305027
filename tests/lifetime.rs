//! The program while it runs: its signals, its log, its pid file, its end; and the demo.

mod program;
mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use program::{Running, arg, configure, configure_idle, run};
use support::log::Mark;
use support::scratch::Scratch;
use support::{Client, Host, PATIENCE, scripts, until};

#[test]
fn pidfile_that_is_held_is_refused_until_its_holder_has_ended() {
    let folder = Scratch::new();
    let (config, pidfile) = (configure_idle(&folder, ""), folder.path("pid"));
    let args = ["--pidfile", arg(&pidfile), arg(&config)];
    let mut first = Running::start(&args);
    let pid = first.id();
    assert_eq!(fs::read_to_string(&pidfile).unwrap(), format!("{pid}\n"));
    let (code, _, err) = run(&args);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains(&format!("--pidfile {}: process {pid} holds it", arg(&pidfile))), "{err}");
    first.signal(libc::SIGTERM);
    assert_eq!(first.exit_code(), Some(0));
    assert!(!pidfile.exists());
}

#[test]
fn sigterm_and_sigint_end_with_0() {
    let folder = Scratch::new();
    let config = configure_idle(&folder, "");
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut running = Running::start(&[arg(&config)]);
        running.signal(signal);
        assert_eq!(running.exit_code(), Some(0));
        running.wait_for("stopped: 0 connections cut");
    }
}

/// A balancer whose one host has accepted a connection through it and says nothing.
fn with_open_connection(drain: &str) -> (Scratch, Running, TcpStream, TcpStream) {
    let folder = Scratch::new();
    let host = TcpListener::bind("127.0.0.1:0").expect("listen");
    let addr = host.local_addr().expect("its address");
    let config = configure(&folder, "127.0.0.1:0", &addr.to_string(), "");
    let running = Running::start(&["--drain-timeout", drain, arg(&config)]);
    let client = TcpStream::connect(running.addr()).expect("connect");
    let (accepted, _) = host.accept().expect("accept");
    (folder, running, client, accepted)
}

#[test]
fn connection_open_at_the_drain_timeout_is_cut_and_counted() {
    let (_folder, mut running, mut client, _host) = with_open_connection("100ms");
    running.signal(libc::SIGTERM);
    assert_eq!(running.exit_code(), Some(0));
    running.wait_for("stopped: 1 connection cut");
    assert!(client.read(&mut [0]).is_err(), "a cut connection does not end cleanly");
}

#[test]
fn connection_that_ends_in_time_is_not_cut() {
    let (_folder, mut running, client, mut host) = with_open_connection("1h");
    running.signal(libc::SIGTERM);
    running.wait_for("SIGTERM: ");
    host.write_all(b"last words").unwrap();
    drop(host);
    let mut received = String::new();
    (&client).read_to_string(&mut received).unwrap();
    drop(client);
    assert_eq!((received.as_str(), running.exit_code()), ("last words", Some(0)));
    running.wait_for("stopped: 0 connections cut");
}

#[test]
fn second_signal_ends_at_once() {
    let (_folder, mut running, _client, _host) = with_open_connection("1h");
    running.signal(libc::SIGTERM);
    running.wait_for("SIGTERM: ");
    running.signal(libc::SIGINT);
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn sighup_reopens_the_log_and_reads_the_configuration_again() {
    let folder = Scratch::new();
    let (log, old) = (folder.path("d.log"), folder.path("d.log.1"));
    let logging = format!("<logging file='{}'/>", arg(&log));
    let config = configure_idle(&folder, &logging);
    let mut running = Running::start_unready(&["--log-format", "json", arg(&config)]);
    let has = |file: &Path, part: &str| fs::read_to_string(file).is_ok_and(|text| text.contains(part));
    until(PATIENCE, "ready", || has(&log, "ready: "));

    fs::rename(&log, &old).unwrap();
    configure_idle(&folder, "<nonsense/>");
    running.signal(libc::SIGHUP);
    until(PATIENCE, "a log file anew, and a refused reload in it", || {
        has(&log, "reload refused") && has(&log, "nonsense")
    });
    assert!(!has(&old, "reload refused"));

    let other = folder.path("other.log");
    configure_idle(&folder, &format!("<logging file='{}'/>", arg(&other)));
    running.signal(libc::SIGHUP);
    until(PATIENCE, "the name of the new log in the old one", || {
        has(&log, &format!("the log goes on in {}", arg(&other)))
    });

    configure_idle(&folder, "<logging file='/nowhere/d.log'/>");
    running.signal(libc::SIGHUP);
    until(PATIENCE, "a refused log file", || has(&other, "reload refused: could not open the log file /nowhere/d.log"));

    running.signal(libc::SIGTERM);
    assert_eq!(running.exit_code(), Some(0));
    let text = [log, old, other].map(|file| fs::read_to_string(file).unwrap()).concat();
    assert!(text.contains("stopped: "), "{text}");
    for line in text.lines() {
        assert!(line.starts_with("{\"time\":\"20") && line.ends_with("\"}"), "{line}");
    }
    assert_eq!(running.err.lines(), [""; 0], "nothing goes to standard error");
}

#[test]
fn log_that_nobody_reads_stops_nothing() {
    let folder = Scratch::new();
    let (config, pidfile) = (configure_idle(&folder, ""), folder.path("pid"));
    let mut running = Running::start_unread(&["--pidfile", arg(&pidfile), arg(&config)]);
    until(PATIENCE, "it writes its process id", || fs::read_to_string(&pidfile).is_ok_and(|text| text.ends_with('\n')));
    for _ in 0..20 {
        running.signal(libc::SIGUSR1);
    }
    running.signal(libc::SIGTERM);
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn log_reader_that_stalls_stops_nothing() {
    let folder = Scratch::new();
    let host = Host::serve("h", scripts::echo());
    let front = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = configure(&folder, &front.to_string(), &host.addr().to_string(), "");
    let (mut running, mut unread) = Running::start_stalled(&[arg(&config)]);
    until(PATIENCE, "it listens", || TcpStream::connect(front).is_ok());
    // Each round is more than a kilobyte of counters, and the pipe takes 64.
    for _ in 0..400 {
        running.signal(libc::SIGUSR1);
        let client = Client::connect(front);
        client.send(b"there and back");
        client.finish_sending();
        assert_eq!(client.read_text().0, "there and back");
    }
    running.signal(libc::SIGTERM);
    assert_eq!(running.exit_code(), Some(0));
    let mut log = Vec::new();
    unread.read_to_end(&mut log).unwrap();
    assert!(log.len() > 60 * 1024, "the pipe was not full: {} bytes", log.len());
}

#[test]
fn log_on_a_full_disk_stops_nothing() {
    let folder = Scratch::new();
    let config = configure_idle(&folder, "<logging file='/dev/full'/>");
    assert!(File::options().append(true).open("/dev/full").is_ok(), "every Linux has this device");
    let pidfile = folder.path("pid");
    let mut running = Running::start_unready(&["--pidfile", arg(&pidfile), arg(&config)]);
    until(PATIENCE, "it writes its process id", || fs::read_to_string(&pidfile).is_ok_and(|text| text.ends_with('\n')));
    running.signal(libc::SIGTERM);
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn start_states_the_limits_and_what_nobody_is_likely_to_want() {
    let folder = Scratch::new();
    let config = configure_idle(&folder, "<admin/>");
    let running = Running::start_unready(&["-t", "3", "--max-connections", "50", arg(&config)]);
    let line = running.wait_for("limits: 50 connections in 1 MiB (by --max-connections), ");
    assert!(line.ends_with(", 3 threads"), "{line}");
    running.wait_for("Administration has no enabled <web> or <ssh>, so nobody can log in.");
    running.wait_for("ready: 1 service, 1 listener, 3 reactors");
}

#[test]
fn demo_answers_in_turn_and_ends_with_0() {
    let mut demo = Running::start(&["--demo", "--threads", "2"]);
    let line = demo.out.wait_for_line(Mark::default(), PATIENCE, &["    curl http://"]).unwrap();
    let addr: SocketAddr = line.trim().trim_start_matches("curl http://").trim_end_matches('/').parse().unwrap();
    let ask = || {
        let mut client = TcpStream::connect(addr).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        answer.lines().last().unwrap_or_default().to_owned()
    };
    let answers: Vec<String> = (0..6).map(|_| ask()).collect();
    let expected = ["host-a", "host-b", "host-c"].map(|name| format!("hello from {name}"));
    assert_eq!(answers, [expected.clone(), expected].concat());
    demo.signal(libc::SIGINT);
    assert_eq!(demo.exit_code(), Some(0));
}
