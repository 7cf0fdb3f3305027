//! One line starts a balancer: the program as an operator types it, without a file.

mod program;
mod support;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use program::{Running, arg, run};
use socket2::{Domain, Socket, Type};
use support::control::directorctl;
use support::scratch::Scratch;
use support::{Client, Host, PATIENCE, scripts, until};

/// The name of the host that served a client from 127.0.0.`last`; empty when none did.
fn told(last: u8, addr: SocketAddr) -> String {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into()).expect("bind a loopback address");
    let _ = socket.connect_timeout(&addr.into(), PATIENCE);
    Client::from(std::net::TcpStream::from(socket)).read_text().0
}

fn hosts<const N: usize>(names: [&str; N]) -> [Host; N] {
    names.map(|name| Host::serve(name, scripts::tell_name()))
}

fn addrs(hosts: &[Host]) -> Vec<String> {
    hosts.iter().map(|host| host.addr().to_string()).collect()
}

/// Starts the line `-l 127.0.0.1:0` with these words behind it.
fn start(words: &[&str]) -> Running {
    Running::start(&[&["-l", "127.0.0.1:0"], words].concat())
}

#[test]
fn line_balances_and_clients_find_their_host_again() {
    let hosts = hosts(["a", "b"]);
    let addrs = addrs(&hosts);
    let running = start(&[&addrs[0], &format!("{}:max=100,weight=3", addrs[1])]);
    let addr = running.addr();
    let first: Vec<String> = (1..=4).map(|client| told(client, addr)).collect();
    assert_eq!(first.iter().filter(|name| *name == "a").count(), 2, "new clients take turns: {first:?}");
    for _ in 0..3 {
        let again: Vec<String> = (1..=4).map(|client| told(client, addr)).collect();
        assert_eq!(again, first);
    }
}

#[test]
fn scheduler_without_sticky_forgets_clients() {
    let hosts = hosts(["a", "b"]);
    let addrs = addrs(&hosts);
    let running = start(&["-s", "roundrobin", &addrs[0], &addrs[1]]);
    let told: Vec<String> = (0..4).map(|_| told(1, running.addr())).collect();
    assert_eq!((told[0] == told[2], told[0] == told[1]), (true, false), "{told:?}");
}

#[test]
fn clients_of_a_failed_host_move_on_and_to_the_emergency_host_last() {
    let [mut a, mut b, sorry] = hosts(["a", "b", "sorry"]);
    let [first, second, last] = [&a, &b, &sorry].map(|host| host.addr().to_string());
    let running = start(&["-e", &last, &first, &second]);
    let addr = running.addr();
    assert!(["a", "b"].contains(&told(1, addr).as_str()));
    a.stop();
    assert_eq!((1..=4).map(|client| told(client, addr)).collect::<Vec<_>>(), ["b"; 4]);
    b.stop();
    assert_eq!(told(1, addr), "sorry");
    a.start();
    until(PATIENCE, "the host is back", || told(1, addr) == "a");
}

#[test]
fn printed_file_means_the_same_as_the_line() {
    let folder = Scratch::new();
    let path = folder.path("line.xml");
    let lines: [&[&str]; 4] = [
        &["-l", "8080", "web1:80", "web2:80:max=100,weight=3"],
        &["-l", "10.0.0.1:80", "-l", "[::1]:80", "-s", "p2c", "-b", "1m", "web1", "[fd00::1]:81:10:12:2:1"],
        &[
            "-l",
            "80:backlog=9",
            "-e",
            "sorry",
            "-B",
            "tarpit:81:blacklist=2m",
            "-C",
            "/run/d.sock",
            "web:1:source=10.0.0.9",
        ],
        &["-l", "80", "-a", "7001", "web1"],
    ];
    for line in lines {
        let (code, text, err) = run(&[&["--print-config"], line].concat());
        assert_eq!(code, Some(0), "{err}");
        fs::write(&path, &text).unwrap();
        assert_eq!(run(&["--print-config", arg(&path)]), (Some(0), text.clone(), String::new()));
        let summary = run(&["--check", arg(&path)]);
        assert_eq!((summary.0, summary.2.as_str()), (Some(0), ""));
        assert_eq!(run(&[&["--check"], line].concat()), summary);
        if line.contains(&"-a") {
            let password = err.split_whitespace().last().expect("it is told");
            assert!(text.contains("password=\"$argon2id$") && !text.contains(password), "{text}{err}");
        } else {
            assert_eq!(err, "");
        }
    }
}

#[test]
fn nothing_is_read_again_and_nothing_saved_without_a_file() {
    let folder = Scratch::new();
    let socket = folder.path("control.sock");
    let [host] = hosts(["a"]);
    let running = start(&["-C", arg(&socket), "--user", "root", &host.addr().to_string()]);
    running.signal(libc::SIGHUP);
    let line = running.wait_for("reload refused");
    assert!(line.ends_with("started without a file; nothing is read again, and what runs stays as it is"), "{line}");
    let ctl =
        |words: &[&str]| directorctl().arg("--socket").arg(&socket).args(words).output().expect("run directorctl");
    let saved = ctl(&["config", "save"]);
    let why = String::from_utf8_lossy(&saved.stderr).into_owned();
    assert_eq!(saved.status.code(), Some(1), "{why}");
    assert!(why.contains("started without a file to save to; directorctl config show prints what runs"), "{why}");
    let shown = ctl(&["config", "show"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let file = folder.path("shown.xml");
    fs::write(&file, &shown).unwrap();
    assert_eq!(run(&["--print-config", arg(&file)]).1, shown);
    assert_eq!(told(1, running.addr()), "a");
}

#[test]
fn password_of_the_page_is_told_once_and_lets_in() {
    let [host] = hosts(["a"]);
    let running = start(&["-a", "0", "--user", "root", &host.addr().to_string()]);
    let told = running.wait_for("The page's user is \"admin\"");
    let password = told.split_whitespace().last().expect("a password");
    let line = running.wait_for("administration page");
    let page: SocketAddr = line.split(['/', ' ', '=']).find_map(|word| word.parse().ok()).expect("its address");
    let status = |user: &str| {
        let url = format!("http://{page}/api/v1/status");
        let args = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-u", user, &url];
        let output = Command::new("curl").args(args).output().expect("run curl");
        String::from_utf8(output.stdout).expect("digits")
    };
    assert_eq!(status(&format!("admin:{password}")), "200");
    assert_eq!(status("admin:guessed"), "401");
}

#[test]
fn wrong_line_exits_with_2_and_says_what_was_expected() {
    let cases: [(&[&str], &str); 5] = [
        (&["-l", "8080"], "HOST is missing, expected at least one behind -l"),
        (&["-l", "8080", "web1:80:mx=3"], "host \"web1:80:mx=3\": unknown attribute \"mx\" of <host>"),
        (&["-l", "8080", "-C", "7000", "web1"], "expected its path, such as /run/director.sock, or -a 7000"),
        (&["-s", "random", "c.xml"], "--scheduler: expected with -l"),
        (&["--demo", "-l", "8080", "web1"], "--demo: expected it without -l"),
    ];
    for (args, expected) in cases {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(err.starts_with("director: ") && err.contains(expected), "{args:?}: {err}");
    }
}

#[test]
fn root_says_that_it_wants_to_be_administered_as_root() {
    for flag in ["-C", "-a"] {
        let value = if flag == "-C" { "/nowhere/control.sock" } else { "0" };
        let (code, _, err) = run(&["-l", "127.0.0.1:0", flag, value, "127.0.0.1:9"]);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains("expected --user NAME beside them, or --user root to stay root"), "{err}");
    }
}
