//! pen's command lines become files: what the program prints, and that it starts from it.
//!
//! The files beside are what it has to print for the lines here.

mod program;
mod support;

use std::fs;
use std::process::Output;

use director::config;
use program::{Running, arg, director, run};
use support::scratch::Scratch;
use support::{Client, Host, scripts};

/// Lines with the files that they have to become.
const LINES: [(&str, &str); 4] = [
    ("pen 8080 web1:80 web2:80", include_str!("from_pen/plain.xml")),
    (
        "/usr/bin/pen -W -b 10 -c 5000 -t 2 -T 3600 -x 1000 -q 900 -e sorry -O 'source 10.0.0.5' 10.0.0.1:80 \
         web1:80:100:120:3 web2:80:0:0:1 [fd00::2]",
        include_str!("from_pen/tuned.xml"),
    ),
    ("pen -dfs -p /run/pen.pid -B tarpit:80 -F site.conf 80 web1 web2", include_str!("from_pen/lists.xml")),
    ("pen -h -H -E cert.pem -C 7000 -O prio 443 a:443:0:0:0:1 b:443:0:0:0:2", include_str!("from_pen/told.xml")),
];

/// In the directory of the files that lines name.
fn translate(line: &str) -> (Option<i32>, String, String) {
    let mut command = director(&["--from-pen", line]);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/from_pen"));
    let Output { status, stdout, stderr } = command.output().expect("run the program");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn line_becomes_the_file_beside() {
    for (line, expected) in LINES {
        let (code, xml, err) = translate(line);
        assert_eq!(code, Some(0), "{line}: {err}");
        assert_eq!(xml, expected, "{line}");
        config::parse(&xml, line).unwrap_or_else(|errors| panic!("{line}: {errors}"));
    }
}

#[test]
fn notes_are_told_beside_the_file_and_in_it() {
    for (line, _) in LINES {
        let (_, xml, err) = translate(line);
        for note in err.lines().filter_map(|line| line.strip_prefix("pen: ")) {
            assert!(xml.contains(&note.replace("--", "- -")), "{note}");
        }
    }
    let (_, _, err) = translate(LINES[2].0);
    assert!(err.ends_with("\nStart it with: director --log-level debug --pidfile /run/pen.pid FILE\n"), "{err}");
    assert_eq!(translate("pen -r -O 'idle_timeout 5' 80 a:1").2, "", "nothing is told where all has an equal");
}

#[test]
fn director_starts_from_what_it_printed_and_clients_stick() {
    let folder = Scratch::new();
    let path = folder.path("pen.xml");
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    let line = format!("pen 127.0.0.1:{port} {} {}", hosts[0].addr(), hosts[1].addr());
    let (code, xml, err) = translate(&line);
    assert_eq!(code, Some(0), "{err}");
    fs::write(&path, xml).unwrap();
    let running = Running::start(&[arg(&path)]);
    let told: Vec<String> = (0..4).map(|_| Client::connect(running.addr()).read_text().0).collect();
    assert!(told.iter().all(|name| *name == told[0] && !name.is_empty()), "{told:?}");
}

#[test]
fn line_that_pen_refuses_exits_with_1_and_says_where() {
    let (code, out, err) = translate("pen -b soon -F nowhere.conf -t 0 80 web1:99999 web2");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let places =
        ["pen: -b: \"soon\"", "pen: -t: \"0\"", "pen: -F: nowhere.conf: cannot be read", "pen: server \"web1:99999\""];
    assert_eq!(err.lines().count(), places.len(), "{err}");
    for (line, place) in err.lines().zip(places) {
        assert!(line.starts_with(place), "{line}");
    }
}

#[test]
fn command_of_a_file_that_is_wrong_is_found_by_its_line() {
    let folder = Scratch::new();
    let path = folder.path("pen.conf");
    fs::write(&path, "roundrobin\nserver 0 address a port nowhere-at-all\n").unwrap();
    let (code, _, err) = translate(&format!("pen -F {} 80 a:1", arg(&path)));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.starts_with(&format!("pen: {}:2: server 0 address", arg(&path))), "{err}");
    fs::write(&path, format!("include {}\n", arg(&path))).unwrap();
    let (code, _, err) = translate(&format!("pen -F {} 80 a:1", arg(&path)));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("is included by itself"), "{err}");
}

#[test]
fn usage_of_its_own_is_refused_with_2() {
    for (args, expected) in [
        (&["--from-pen"][..], "--from-pen: the value is missing, expected LINE"),
        (&["--from-pen", "pen 80 a", "c.xml"], "--from-pen takes no CONFIG"),
        (&["--from-pen", "pen 80 a", "--check"], "--check and --from-pen: expected one of them"),
        (&["--from-pen", "pen 80 a", "-l", "80", "a"], "--from-pen: expected it without -l"),
    ] {
        let (code, _, err) = run(args);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(expected), "{args:?}: {err}");
    }
}
