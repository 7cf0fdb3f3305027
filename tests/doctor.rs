//! `--doctor`: what it says of a host, and that what it tells to do mends it.

mod program;
mod support;

use std::process::{Command, Output};

use program::{arg, configure, configure_idle, run};
use support::Netns;
use support::scratch::Scratch;

/// The lines of a finding: what it says, and the command that mends it.
fn finding<'a>(out: &'a str, subject: &str) -> (&'a str, Option<&'a str>) {
    let mut lines = out.lines();
    let said = lines.find(|line| line.get(8..).is_some_and(|rest| rest.starts_with(subject)));
    let mend = lines.next().and_then(|line| line.strip_prefix(&" ".repeat(27)));
    (said.unwrap_or_else(|| panic!("no {subject} in {out}")), mend)
}

#[test]
fn more_connections_than_open_files_bite_and_name_the_command() {
    let (code, out, err) = run(&["--doctor", "--max-connections", "1000000", "-t", "2"]);
    let (said, mend) = finding(&out, "open files");
    // A host whose hard limit holds two million files is none that this bites.
    if said.starts_with("ok ") {
        return;
    }
    assert_eq!(code, Some(1), "{out}");
    assert!(said.starts_with("BITES ") && said.ends_with(", and 1000000 are asked for"), "{said}");
    assert!(mend.is_some_and(|mend| mend.contains("ulimit -Hn 2000198") && mend.contains("LimitNOFILE=")), "{out}");
    assert!(err.starts_with("director: ") && err.ends_with(" about this host would bite\n"), "{err}");
}

#[test]
fn few_connections_are_looked_at_in_every_respect_and_do_not_bite() {
    let (code, out, err) = run(&["--doctor", "--max-connections", "10", "--backlog", "1", "-t", "1"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.starts_with("examined for 10 connections, 1 reactor:\n"), "{out}");
    for subject in [
        "open files",
        "memory",
        "accept queue",
        "handshakes",
        "listen drops",
        "source ports",
        "port reuse",
        "conntrack",
        "socket memory",
        "socket buffers",
        "pipes",
        "congestion",
        "fast open",
        "reload",
        "overcommit",
        "swap",
        "receiving",
        "packet drops",
        "clock",
        "frequency",
        "memory nodes",
    ] {
        finding(&out, subject);
    }
    let aligned = |line: &str| {
        let word = line.split(' ').next().unwrap_or_default();
        ["ok", "note", "unseen", "BITES"].contains(&word) && line.as_bytes()[7] == b' ' && line.as_bytes()[26] == b' '
            || line.starts_with(&" ".repeat(27))
    };
    let findings: Vec<&str> = out.lines().skip(1).take_while(|line| !line.contains(" would bite, ")).collect();
    assert!(findings.iter().all(|line| aligned(line)), "{out}");
}

#[test]
fn configuration_that_is_wrong_is_told_before_anything_else() {
    let folder = Scratch::new();
    let config = configure(&folder, "127.0.0.1:99999", "127.0.0.1:1", "");
    let (code, out, err) = run(&["--doctor", arg(&config)]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains(":2:"), "{err}");
}

#[test]
fn narrow_ports_bite_until_the_command_that_is_printed_has_run() {
    let netns = Netns::new();
    netns.sysctl("net/ipv4/ip_local_port_range", "40000 40099");
    let folder = Scratch::new();
    let config = configure_idle(&folder, "");
    let examine = || {
        netns.run(|| {
            let mut command = program::director(&["--doctor", "--max-connections", "200", "-t", "2", arg(&config)]);
            let Output { status, stdout, .. } = command.output().expect("run the program");
            (status.code(), String::from_utf8(stdout).expect("output is UTF-8"))
        })
    };
    let (code, out) = examine();
    assert_eq!(code, Some(1), "{out}");
    let (said, mend) = finding(&out, "source ports");
    assert!(said.contains("100 connections to each host address, and 200 may go to 127.0.0.1:1"), "{said}");
    assert!(out.contains("\n1 would bite, "), "{out}");
    let mend = mend.expect("a command").to_owned();
    let ran = netns.run(|| Command::new("sh").args(["-c", &mend]).output().expect("run the command"));
    assert!(ran.status.success(), "{mend}: {}", String::from_utf8_lossy(&ran.stderr));
    let (code, out) = examine();
    assert_eq!(code, Some(0), "{out}");
    assert!(finding(&out, "source ports").0.starts_with("ok "), "{out}");
}

#[test]
fn container_that_shows_little_is_examined() {
    // A network of its own has no cards; the files of a namespace that is not the first are fewer.
    let netns = Netns::new();
    let (code, out) = netns.run(|| {
        let output = program::director(&["--doctor", "--max-connections", "10", "-t", "1"]).output();
        let Output { status, stdout, .. } = output.expect("run the program");
        (status.code(), String::from_utf8(stdout).expect("output is UTF-8"))
    });
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains(" 0 would bite, ") || out.contains("\n0 would bite, "), "{out}");
}
