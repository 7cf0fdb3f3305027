//! Logs, the page in a file, and what is given up: rows 20, 27 and 37.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::balancer::{self, Balancer, is_served};
use super::line::Line;
use super::{hosts, same_with};
use crate::support::scratch::Scratch;
use crate::support::wait::holds_within;
use crate::support::{Netns, PATIENCE, figure, scripts, until};

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap_or_default().lines().count()
}

/// A client that says something, which is what pen logs.
fn speak(balancer: &Balancer, number: u16) {
    let client = balancer.client(number);
    client.send(b"hello\n");
    client.finish_sending();
    let _ = client.read_to_end(PATIENCE);
}

#[test]
fn row_20_log_rotation_loses_no_line() {
    let [a] = hosts(["a"], scripts::listen_only);
    let folder = Scratch::new();
    let (log, mut round) = (folder.path("log"), 0);
    let line = Line::new(&format!("-l {}", log.display()), &[&a]);
    let told = same_with(&line, &mut round, |balancer, round| {
        *round += 1;
        let aside = |number| folder.path(&format!("log.{round}.{number}"));
        for number in 0..4 {
            for client in 0..10 {
                speak(balancer, number * 10 + client + 1);
            }
            fs::rename(&log, aside(number)).expect("rename the log");
            balancer.process().signal(libc::SIGHUP);
            until(PATIENCE, "the log is opened anew", || log.exists());
        }
        let total = || (0..4).map(|number| lines(&aside(number))).sum::<usize>() + lines(&log);
        until(PATIENCE, "all lines", || total() >= 40);
        let total = total();
        let _ = fs::remove_file(&log);
        total
    });
    assert_eq!(told, 40);
}

#[test]
fn row_20_signal_writes_the_page() {
    let [a, b] = hosts(["a", "b"], scripts::tell_name);
    let folder = Scratch::new();
    let file = folder.path("status.html");
    let line = Line::new(&format!("-w {}", file.display()), &[&a, &b]);
    let shown = same_with(&line, &mut (), |balancer, ()| {
        balancer.process().signal(libc::SIGUSR1);
        let text = || fs::read_to_string(&file).unwrap_or_default();
        until(PATIENCE, "the page is whole", || text().contains("</html>"));
        let text = text().to_lowercase();
        fs::remove_file(&file).expect("remove the page");
        let servers = [&a, &b].iter().all(|host| text.contains(&host.addr().port().to_string()));
        (text.contains("<table"), servers)
    });
    assert_eq!(shown, (true, true), "tables, with each server");
}

#[test]
fn row_27_line_of_a_client() {
    let [a] = hosts(["a"], scripts::listen_only);
    let folder = Scratch::new();
    let log = folder.path("log");
    let line = Line::new(&format!("-l {}", log.display()), &[&a]);
    let prompt = |balancer: &Balancer| {
        speak(balancer, 9);
        holds_within(Duration::from_secs(2), || lines(&log) == 1)
    };
    let director = balancer::director(&line);
    assert!(prompt(&director), "the line is there at once");
    let text = fs::read_to_string(&log).expect("the log");
    let addr = a.addr().to_string();
    for part in ["event=end", "client=127.0.0.9:", &addr, "up=6", "down=0", "reason=finished"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    director.finish();
    fs::remove_file(&log).expect("remove the log");
    if let Some(pen) = balancer::pen(&line) {
        figure("row 27: pen, its line of a client can be read within two seconds", prompt(&pen));
    }
    let reader = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    reader.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
    let line = Line::new(&format!("-l {}", reader.local_addr().expect("its address")), &[&a]);
    let director = balancer::director(&line);
    speak(&director, 9);
    let mut bytes = [0; 2048];
    let count = reader.recv(&mut bytes).expect("a datagram");
    let text = String::from_utf8_lossy(&bytes[..count]);
    assert!(text.contains("client=127.0.0.9:") && text.contains(&addr), "a datagram a line: {text}");
    director.finish();
}

/// The user, the group, the further groups and the root directory of a process.
fn identity(balancer: &Balancer) -> (String, String, usize, String) {
    let path = format!("/proc/{}", balancer.process().0);
    let status = fs::read_to_string(format!("{path}/status")).expect("the process lives");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let root = fs::read_link(format!("{path}/root")).expect("its root").display().to_string();
    let first = |name| field(name).first().cloned().unwrap_or_default();
    (first("Uid:"), first("Gid:"), field("Groups:").iter().filter(|group| *group == "0").count(), root)
}

#[test]
fn row_37_another_user_below_another_root() {
    let netns = Netns::new();
    let a = netns.run(|| crate::support::Host::serve("a", scripts::tell_name()));
    let folder = Scratch::new();
    let root = folder.path("root");
    fs::create_dir_all(root.join("etc")).expect("a root directory");
    fs::copy("/etc/passwd", root.join("etc/passwd")).expect("copy the users");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o777)).expect("let everybody write there");
    let line = Line::new(&format!("-u nobody -j {}", root.display()), &[&a]).listen("127.0.0.1:81").inside(&netns);
    let seen = |balancer: &Balancer| {
        assert!(netns.run(|| is_served(&balancer.client(1), PATIENCE)), "on a privileged port");
        let (user, group, of_root, root) = identity(balancer);
        assert_eq!(
            (user.as_str(), group.as_str(), Path::new(&root)),
            ("65534", "65534", folder.path("root").as_path())
        );
        of_root
    };
    assert_eq!(seen(&balancer::director(&line)), 0, "in none of root's groups");
    if let Some(pen) = balancer::pen(&line) {
        figure("row 37: pen, of root's groups it is still in", seen(&pen));
    }
}
