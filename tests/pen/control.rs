//! The control socket, signals and files: rows 19 to 21.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::balancer::{self, Balancer, is_served};
use super::line::Line;
use super::{hosts, xml};
use crate::support::scratch::Scratch;
use crate::support::{Client, Director, Host, PATIENCE, Wire, figure, scripts, until};

/// An address of the loopback interface that was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

#[test]
fn row_19_idle_control_client_blocks_nobody() {
    let [a] = hosts(["a"], scripts::tell_name);
    let line = Line::new("", &[&a]);
    let served = |balancer: &Balancer| {
        let _idle = UnixStream::connect(balancer.socket()).expect("connect to the control socket");
        let (first, second) = (balancer.client(1), balancer.client(2));
        [first, second].iter().filter(|client| is_served(client, Duration::from_secs(1))).count()
    };
    let director = balancer::director(&line);
    let mut half = Wire::connect(director.socket());
    half.send(b"sta");
    assert_eq!(served(&director), 2);
    half.send(b"tus\nhosts\nhos");
    assert!(half.answer().expect("status").concat().contains("127.0.0.1"), "a line in pieces");
    half.send(b"ts pen\n");
    assert!(half.answer().is_ok() && half.answer().is_ok(), "several lines in one write");
    drop(half);
    director.finish();
    if let Some(pen) = balancer::pen(&line) {
        figure("row 19: pen, clients of 2 served beside a control client that says nothing", served(&pen));
    }
}

#[test]
fn row_19_bad_listen_and_log_end_nothing() {
    let [a] = hosts(["a"], scripts::tell_name);
    let line = Line::new("", &[&a]);
    let folder = Scratch::new();
    let nowhere = folder.path("nowhere/log").display().to_string();
    let taken = a.addr().to_string();
    let director = balancer::director(&line);
    for wrong in [
        &["listen", "add", "pen", "127.0.0.1:99999"][..],
        &["listen", "add", "pen", &taken],
        &["listen", "add", "pen", "192.0.2.1:80"],
        &["log", "file", &nowhere],
        &["frobnicate"],
    ] {
        let told = director.directorctl(wrong);
        assert!(told.code != Some(0) && !told.err.is_empty(), "{wrong:?}: refused, with a word why: {told:?}");
        assert_eq!(director.told(1), "a", "after {wrong:?}");
    }
    director.finish();
    for wrong in ["listen 127.0.0.1:99999", &format!("log {nowhere}")] {
        if let Some(pen) = balancer::pen(&line) {
            let _ = pen.penctl(wrong);
            let ended = crate::support::wait::holds_within(Duration::from_secs(2), || !pen.process().is_alive());
            figure(&format!("row 19: pen ends at \"{}\"", wrong.split(' ').next().unwrap_or(wrong)), ended);
        }
    }
}

/// Clients before the signal, after it at the new address, and whether the old one is closed.
fn around_reload(old: SocketAddr, new: SocketAddr, change: impl FnOnce()) -> (String, String, bool) {
    let told = |addr| Client::try_connect(addr, PATIENCE).map_or_else(|_| String::new(), |client| client.read_text().0);
    let before = told(old);
    change();
    until(PATIENCE, "it listens at the new address", || !told(new).is_empty());
    (before, told(new), Client::try_connect(old, PATIENCE).is_err())
}

#[test]
fn row_20_hangup_reads_the_file_again_and_term_removes_the_pid_file() {
    let [a, b] = hosts(["a", "b"], scripts::tell_name);
    let folder = Scratch::new();
    let (pid_file, new) = (folder.path("pid"), free());
    let pid = pid_file.display().to_string();
    let text = |host: &Host, listen: &str| {
        xml::xml(&Line::new("", &[host]), &folder.path("control.sock")).replace("127.0.0.1:0", listen)
    };
    let mut director = Director::plan_text(&text(&a, "127.0.0.1:0")).args(&["--pidfile", &pid]).start();
    assert!(pid_file.exists());
    let seen = around_reload(director.addr(), new, || {
        director.write_config_text(&text(&b, &new.to_string()));
        assert!(director.reload().contains("reloaded"));
    });
    director.stop(PATIENCE);
    let expected = ("a".to_owned(), "b".to_owned(), true);
    assert_eq!((&seen, pid_file.exists()), (&expected, false));

    let (file, new) = (folder.path("pen.cfg"), free());
    let write = |text: String| fs::write(&file, text).expect("write pen's file");
    write(String::new());
    let line = Line::new("", &[&a]).pen_only(&format!("-p {pid} -F {}", file.display()));
    if let Some(pen) = balancer::pen(&line) {
        assert!(pid_file.exists());
        let seen = around_reload(pen.addr(), new, || {
            write(format!("server 0 address 127.0.0.1 port {}\nlisten {new}\n", b.addr().port()));
            pen.process().signal(libc::SIGHUP);
        });
        assert_eq!(seen, expected, "pen");
        pen.process().signal(libc::SIGTERM);
        until(PATIENCE, "pen removes its pid file", || !pid_file.exists());
    }
}

#[test]
fn row_21_what_is_written_starts_the_same() {
    let [a, b, e] = hosts(["a", "b", "e"], scripts::tell_name);
    let line = Line::new("-b 7 -T 9 -c 77 -t 4 -x 99", &[&a]).emergency(&e).command("idle_timeout 44");
    let director = balancer::director(&line);
    let b = b.addr().to_string();
    for change in [
        &["add", "pen/servers", &b, "name=b", "weight=3", "max=5", "hard=6", "prio=2"][..],
        &["set", "server.0", "blacklist=11s"],
        &["group", "set", "pen/servers", "stubborn=true", "source=127.0.0.9"],
        &["config", "save"],
    ] {
        director.directorctl(change).good();
    }
    let written = fs::read_to_string(director.director().config_path()).expect("the file");
    let shown = director.directorctl(&["config", "show"]).good();
    director.finish();
    let folder = Scratch::new();
    let socket = folder.path("control.sock").display().to_string();
    let place = |text: &str| {
        let (before, rest) = text.split_once("<control socket=").expect("a control socket");
        let quote = rest.chars().next().expect("a quote");
        let (_, after) = rest[1..].split_once(quote).expect("the end of its path");
        format!("{before}<control socket={quote}{socket}{quote}{after}")
    };
    let again = Director::plan_text(&place(&written)).start();
    let mut command = crate::support::control::directorctl();
    let output = command.args(["-s", &socket, "config", "show"]).output().expect("run directorctl");
    assert_eq!(String::from_utf8_lossy(&output.stdout), place(&shown));
    again.finish();
    if let Some(pen) = balancer::pen(&line) {
        let file = folder.path("written");
        pen.penctl(&format!("write {}", file.display()));
        let written = fs::read_to_string(file).expect("pen has written");
        let forgot: Vec<&str> = ["listen", "emergency", "idle_timeout", "tracking"]
            .into_iter()
            .filter(|name| !written.contains(*name))
            .collect();
        figure("row 21: pen, what its file does not have", forgot.join(", "));
    }
}
