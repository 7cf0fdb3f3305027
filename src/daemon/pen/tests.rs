//! Whole lines, and that nothing of pen is passed over in silence.

use super::*;

/// Every option of pen's table with a value where it takes one.
const OPTIONS: [&str; 37] = [
    "-a",
    "-b 9",
    "-B abuse:1",
    "-c 9",
    "-C /run/c",
    "-C 7000",
    "-d",
    "-D",
    "-n",
    "-Q",
    "-S 3",
    "-e sorry:1",
    "-E c.pem",
    "-K k.pem",
    "-G ca.pem",
    "-A ca",
    "-f",
    "-h",
    "-H",
    "-i x",
    "-u pen",
    "-j /jail",
    "-l /var/log/pen",
    "-L tls1",
    "-m 9",
    "-O prio",
    "-p /run/p",
    "-P",
    "-q 99",
    "-r",
    "-R",
    "-s",
    "-t 2",
    "-T 60",
    "-w w.html",
    "-W",
    "-x 9",
];

/// Every command of pen's table.
const COMMANDS: [&str; 66] = [
    "abort_on_error",
    "no abort_on_error",
    "acl 0 permit 10.0.0.1",
    "acl 3 deny country SE",
    "ascii",
    "no ascii",
    "blacklist",
    "blacklist 9",
    "block",
    "no delayed_forward",
    "client_acl",
    "client_acl 3",
    "control_acl 3",
    "clients_max 9",
    "conn_max 9",
    "close 3",
    "connection 3",
    "control",
    "listen",
    "log",
    "web_stats",
    "pid",
    "debug 3",
    "timeout 9",
    "tracking 9",
    "dsr_if eth0",
    "dsr_ip 10.0.0.1",
    "dummy",
    "no dummy",
    "epoll",
    "kqueue",
    "poll",
    "select",
    "exit",
    "hash",
    "roundrobin",
    "stubborn",
    "weight",
    "prio",
    "http",
    "idle_timeout 9",
    "idlers 3",
    "keepalive",
    "listen 81",
    "log /var/log/pen",
    "no log",
    "mode",
    "peek",
    "pending_max 9",
    "recent 9",
    "server 0 max 9",
    "servers",
    "socket 3",
    "source 10.0.0.5",
    "ssl_ciphers X",
    "ssl_option no_sslv3",
    "ssl_sni_path x",
    "ssl_client_renegotiation_interval 9",
    "ssl_ocsp_response x",
    "status",
    "tarpit_acl 3",
    "tcp_fastclose up",
    "tcp_nodelay",
    "transparent",
    "web_stats x.html",
    "write",
];

fn translated(line: &str) -> Translation {
    translate(line).unwrap_or_else(|why| panic!("{line}: {why}"))
}

/// The elements, without the comment.
fn elements(line: &str) -> String {
    let xml = translated(line).xml;
    xml.split_once("-->\n").map(|(_, elements)| elements.to_owned()).unwrap()
}

fn refused(line: &str) -> String {
    translate(line).unwrap_err()
}

#[test]
fn no_option_is_passed_over_in_silence() {
    let plain = translated("pen 80 a:1:0:0:2:3 b:1");
    for option in OPTIONS {
        let with = translated(&format!("pen {option} 80 a:1:0:0:2:3 b:1"));
        let without_comment = |xml: &str| xml.split_once("-->").map(|(_, rest)| rest.to_owned());
        let says = without_comment(&with.xml) != without_comment(&plain.xml) || with.notes != plain.notes;
        assert!(says || with.flags != plain.flags, "{option}: {with:?}");
    }
    assert!(
        translated("pen -U 80 a:1").notes.iter().any(|note| note.starts_with("-U"))
            || elements("-U 80 a").contains("udp")
    );
    assert!(translated("pen -X -Z -o servers 80 a:1").notes.len() >= 4);
    assert!(refused("pen -N 80 a:1").contains("expected -h, perhaps with -r"));
}

#[test]
fn no_command_is_passed_over_in_silence() {
    let base = "-O 'acl 3 deny 10.0.0.9' -e e:1";
    let plain = translated(&format!("pen {base} 80 a:1:0:0:2:3 b:1"));
    for command in COMMANDS {
        let with = translated(&format!("pen {base} -O '{command}' 80 a:1:0:0:2:3 b:1"));
        let elements = |xml: &str| xml.split_once("-->").map(|(_, rest)| rest.to_owned());
        let says =
            elements(&with.xml) != elements(&plain.xml) || with.notes != plain.notes || with.flags != plain.flags;
        // Words of the line overwrite what commands said of the first slots and of the listener, as in pen.
        let overwritten = ["listen 81", "server 0 max 9"].contains(&command);
        assert!(says || overwritten, "{command}: {with:?}");
    }
    let unknown = translated("pen -O 'frobnicate 3' 80 a:1").notes;
    assert!(unknown.iter().any(|note| note.ends_with("pen ignores it, because it has no such command")), "{unknown:?}");
}

#[test]
fn commands_alone_make_a_whole_file() {
    let line =
        "pen -O 'listen [::1]:80' -O 'server 0 address a port 1' -O 'server 2 address fd00::1 port 2 prio 3' -O prio";
    let file = elements(line);
    assert!(file.contains("<listen ip=\"[::1]:80\"/>"), "{file}");
    assert!(file.contains("<host name=\"server.0\" ip=\"a:1\"/>"), "{file}");
    assert!(file.contains("<host name=\"server.2\" ip=\"[fd00::1]:2\" prio=\"3\"/>"), "{file}");
}

#[test]
fn last_one_of_what_contradicts_counts() {
    assert!(elements("-r -O 'no roundrobin' 80 a:1").contains("sticky=\"table\""));
    assert!(!elements("-O 'no roundrobin' -r 80 a:1").contains("sticky="));
    assert!(elements("-b 5 -O 'blacklist 9' 80 a:1").contains("blacklist=\"9s\""));
}

#[test]
fn algorithms_are_those_that_pen_prefers() {
    let group = |line: &str| elements(line).lines().find(|line| line.contains("<group")).unwrap().trim().to_owned();
    let expected = |attributes: &str| format!("<group name=\"servers\"{attributes} blacklist=\"30s\">");
    assert_eq!(group("80 a:1"), expected(" sticky=\"table\""));
    assert_eq!(group("-r 80 a:1"), expected(""));
    assert_eq!(group("-h 80 a:1"), expected(" sticky=\"hash\""));
    assert_eq!(group("-h -r 80 a:1"), expected(" scheduler=\"random\""));
    assert_eq!(group("-W -h 80 a:1"), expected(" scheduler=\"weightlc\" sticky=\"table\""));
    assert_eq!(group("-W -O prio 80 a:1"), expected(" sticky=\"table\""));
}

#[test]
fn weights_count_only_with_their_algorithm() {
    let weights = |line: &str| elements(line).matches("weight=").count();
    assert_eq!(weights("80 a:1:0:0:3 b:1"), 0);
    assert_eq!(weights("-W 80 a:1:0:0:3 b:1"), 2, "0 is pen's default, and serves nobody with -W");
    assert_eq!(weights("-W 80 a:1 b:1"), 0);
    assert!(translated("-W 80 a:1").notes.iter().any(|note| note.contains("pen serves nobody then")));
}

#[test]
fn comment_is_one_whatever_the_line_has() {
    let xml = translated("pen -l '--x-->---\u{1b}<' -p --- 80 a:1").xml;
    let (comment, _) = xml.split_once("-->").unwrap();
    assert!(!comment.trim_start_matches("<!--").contains("--"), "{xml}");
    assert!(crate::config::parse(&xml, "f").is_ok(), "{xml}");
}

#[test]
fn what_pen_refuses_is_refused_with_its_place() {
    let all = refused("pen -b x -t 0 -L tls9 80 a:99999");
    let expected = ["-b: \"x\" is not", "-t: \"0\" is not", "-L: \"tls9\" is unknown", "server \"a:99999\": the port"];
    assert_eq!(all.lines().count(), expected.len(), "{all}");
    for (line, expected) in all.lines().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert!(refused("pen").contains("the listener is missing"));
    assert!(refused("pen 80").contains("no server is left"));
    assert!(refused("pen 80 'a").contains("not closed"));
    assert!(refused("pen -y 80 a").starts_with("-y: pen has no such option"));
    assert!(refused("pen --verbose 80 a").starts_with("--verbose: pen has no such option"));
    assert!(refused("pen 80 a:1 -t").starts_with("-t: the value is missing"));
}
