//! The program as it is called: its arguments, what it says to them, its exit codes.

mod program;
mod support;

use std::fs;
use std::net::TcpListener;

use program::{arg, configure, configure_idle, director, run};
use support::scratch::Scratch;

#[test]
fn help_fits_a_terminal() {
    let (code, out, err) = run(&["--help"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.lines().count() <= 24 && out.lines().all(|line| line.chars().count() <= 80), "{out}");
    assert_eq!(run(&["-h"]).1, out);
}

#[test]
fn version_is_that_of_the_package() {
    let expected = format!("director {}\n", env!("CARGO_PKG_VERSION"));
    for flag in ["-V", "--version"] {
        assert_eq!(run(&[flag]), (Some(0), expected.clone(), String::new()));
    }
}

#[test]
fn help_on_tuning_is_named_by_the_help_and_fits_a_terminal() {
    assert!(run(&["--help"]).1.contains("--help-tuning"));
    let (code, out, err) = run(&["--help-tuning"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!((24..=48).contains(&out.lines().count()), "{} lines", out.lines().count());
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
}

#[test]
fn help_that_nobody_reads_ends_without_a_panic() {
    let mut child = director(&["-h"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), [].as_slice()));
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_was_expected() {
    let cases: [(&[&str], &str); 17] = [
        (&[], "CONFIG is missing"),
        (&["--check"], "CONFIG is missing"),
        (&["a.xml", "b.xml"], "expected one CONFIG"),
        (&["--demo", "a.xml"], "--demo takes no CONFIG"),
        (&["--thread", "2", "a.xml"], "unknown option --thread; did you mean --threads?"),
        (&["-t", "0", "a.xml"], "--threads \"0\": expected a whole number from 1 to 64"),
        (&["-t", "65", "a.xml"], "--threads \"65\": expected a whole number from 1 to 64"),
        (&["--threads"], "--threads: the value is missing, expected N"),
        (&["--max-connections", "many", "a.xml"], "--max-connections \"many\": expected a whole number from 1 to"),
        (
            &["--buffer-size", "5g", "a.xml"],
            "--buffer-size \"5g\": not such a size, expected 1k to 16m, such as 65536, 64k or 1m",
        ),
        (&["--connect-timeout", "0", "a.xml"], "--connect-timeout \"0\": the time is 0, expected at least 1ms"),
        (&["--idle-timeout", "5y", "a.xml"], "--idle-timeout \"5y\": unknown unit \"y\", expected"),
        (&["--drain-timeout", "-1", "a.xml"], "--drain-timeout \"-1\": the time is negative, expected"),
        (&["--log-level", "loud", "a.xml"], "--log-level \"loud\": expected one of error, warn, info, debug, trace"),
        (&["--log-format", "jsn", "a.xml"], "expected one of text, json; did you mean json?"),
        (&["--pin=yes", "a.xml"], "--pin takes no value"),
        (&["--backlog", "1", "--backlog", "2", "a.xml"], "--backlog is given more than once"),
    ];
    for (args, expected) in cases {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(err.starts_with("director: ") && err.contains(expected), "{args:?}: {err}");
        assert!(err.ends_with("\nTry \"director --help\".\n"), "{args:?}: {err}");
    }
}

#[test]
fn more_connections_than_open_files_are_refused_with_the_way_out() {
    let folder = Scratch::new();
    let config = configure_idle(&folder, "");
    let (code, _, err) = run(&["--max-connections", "4000000000", arg(&config)]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("--max-connections 4000000000: expected at most "), "{err}");
    assert!(err.contains("ulimit -Hn") && err.contains("LimitNOFILE="), "{err}");
}

#[test]
fn good_configuration_checked_is_summed_up() {
    let folder = Scratch::new();
    let (code, out, err) = run(&["--check", arg(&configure_idle(&folder, ""))]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("1 service, 1 listener, 1 group, 1 host\n"), "{out}");
}

#[test]
fn bad_configuration_checked_shows_every_error_with_its_place() {
    let folder = Scratch::new();
    let config = configure(&folder, "127.0.0.1:99999", "127.0.0.1:1", "<servce/>\n<logging fil='x'/>");
    for args in [&["--check", arg(&config)][..], &[arg(&config)]] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        let places: Vec<bool> = (2..5).map(|line| err.contains(&format!("{}:{line}:", arg(&config)))).collect();
        assert_eq!((places, err.lines().count()), (vec![true; 3], 3), "{err}");
        assert!(err.contains("did you mean \"service\"?"), "{err}");
    }
}

#[test]
fn missing_configuration_is_an_error_of_the_configuration() {
    for args in [&["--check", "/nowhere/c.xml"][..], &["/nowhere/c.xml"]] {
        let (code, _, err) = run(args);
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains("/nowhere/c.xml") && err.contains("No such file"), "{err}");
    }
}

#[test]
fn log_file_that_cannot_be_opened_is_an_error_of_the_configuration() {
    let folder = Scratch::new();
    let config = configure_idle(&folder, "<logging file='/nowhere/d.log'/>");
    let (code, _, err) = run(&[arg(&config)]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.starts_with("director: could not open the log file /nowhere/d.log: No such file"), "{err}");
}

#[test]
fn address_that_is_taken_ends_with_3_and_is_named() {
    let folder = Scratch::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let (code, _, err) = run(&[arg(&configure(&folder, &addr, "127.0.0.1:1", ""))]);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains(&format!("could not listen on {addr}")) && err.contains("Address already in use"), "{err}");
}

#[test]
fn readme_tells_of_every_flag_and_its_example_is_valid() {
    let readme = include_str!("../README.md");
    let help = run(&["--help"]).1 + &run(&["--help-tuning"]).1;
    for flag in help.split_whitespace().filter(|word| word.starts_with("--")) {
        assert!(readme.contains(flag), "{flag}");
    }
    let (_, rest) = readme.split_once("```xml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let folder = Scratch::new();
    let config = folder.path("readme.xml");
    fs::write(&config, example).unwrap();
    assert_eq!(run(&["--check", arg(&config)]).0, Some(0));
}
