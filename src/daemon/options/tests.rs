//! Every flag, and every way to use one wrongly.

use super::*;
use crate::model::socket_options::StreamOptions;

fn parsed(line: &str) -> Result<Request, String> {
    parse(line.split_whitespace().map(OsString::from))
}

fn run(line: &str) -> Options {
    match parsed(line).unwrap() {
        Request::Run(options, _) | Request::Demo(options) => options,
        other @ (Request::Help
        | Request::HelpLine
        | Request::HelpTuning
        | Request::Version
        | Request::Check(_)
        | Request::Print(_)
        | Request::FromPen(_)
        | Request::Diff(..)
        | Request::HashPassword
        | Request::Doctor(..)) => panic!("{other:?}"),
    }
}

#[test]
fn help_states_the_defaults_that_are_in_force() {
    let defaults = run("c.xml");
    for flag in flags::all() {
        let Some((_, default)) = flag.help.rsplit_once('(') else { continue };
        let default = default.trim_end_matches(')');
        if !default.starts_with("default:") {
            let drain = run(&format!("--{} {default} c.xml", flag.long));
            let explicit = Options { drain_timeout: defaults.drain_timeout, ..drain.clone() };
            assert_eq!(explicit, defaults, "--{} {default}", flag.long);
            assert_eq!(drain.drain_timeout(), DRAIN_TIMEOUT);
        }
    }
}

#[test]
fn all_flags_are_taken() {
    let options = run(
        "-t 3 --pin --steer --rebalance --max-connections 9 --max-flows 77 --backlog 8 --accept-batch 7 --buffer-size 4k --splice on \
         --connect-timeout 6 --idle-timeout 5m --fin-timeout 400ms --drain-timeout 0 --pidfile p \
         --log-level trace --log-format json --defer-accept 9s --fastopen 5 --host-fastopen yes --send-buffer 64k \
         --quick-ack no --source 10.0.0.1-10.0.0.4 c.xml",
    );
    let stream = StreamOptions { send_buffer: Some(65_536), quick_ack: Some(false), ..StreamOptions::default() };
    let (fastopen, defer_accept) = (Some(5), Some(Duration::from_secs(9)));
    let source = options.connect.source.clone();
    assert_eq!(source.as_ref().map(|source| source.addresses().count()), Some(4));
    let expected = Options {
        threads: Some(3),
        pin: true,
        spread: Spread::Steer,
        rebalance: true,
        max_connections: Some(9),
        max_flows: 77,
        listen: ListenOptions { backlog: Some(8), defer_accept, fastopen, stream },
        connect: ConnectOptions { fastopen: Some(true), source, stream },
        accept_batch: 7,
        buffer_bytes: 4096,
        splice: Splice::On,
        connect_timeout: Duration::from_secs(6),
        idle_timeout: Duration::from_secs(300),
        fin_timeout: Duration::from_millis(400),
        drain_timeout: Some(Duration::ZERO),
        pidfile: Some(PathBuf::from("p")),
        log_level: LevelFilter::Trace,
        log_format: Format::Json,
    };
    assert_eq!(options, expected);
}

#[test]
fn unknown_flag_is_refused_with_the_nearest() {
    let message = |line| parsed(line).unwrap_err();
    assert_eq!(message("--thread 3 c.xml"), "unknown option --thread; did you mean --threads?");
    assert_eq!(message("--drain 3s c.xml"), "unknown option --drain; did you mean --drain-timeout?");
    assert_eq!(message("-x c.xml"), "unknown option -x");
    assert_eq!(message("--nothing-like-it c.xml"), "unknown option --nothing-like-it");
}

#[test]
fn flag_used_wrongly_is_refused() {
    let message = |line| parsed(line).unwrap_err();
    assert_eq!(message("c.xml --threads"), "--threads: the value is missing, expected N");
    assert_eq!(message("c.xml --pin=yes"), "--pin takes no value");
    assert_eq!(message("--steer c.xml"), "--steer and --incoming-cpu: expected with --pin");
    assert!(message("--pin --steer --incoming-cpu c.xml").ends_with("expected one of them"));
    assert_eq!(message("-t 1 -t 2 c.xml"), "--threads is given more than once, expected it once");
}

#[test]
fn wrong_number_of_files_is_refused() {
    assert!(parsed("").unwrap_err().starts_with("CONFIG is missing"));
    assert!(parsed("--check").unwrap_err().starts_with("CONFIG is missing"));
    assert!(parsed("a b c").unwrap_err().contains(r#"["b", "c"]"#));
    assert!(parsed("--demo a").unwrap_err().contains("takes no CONFIG"));
    assert!(parsed("--demo --check").unwrap_err().contains("one of them"));
    assert!(parsed("--doctor a b").unwrap_err().contains(r#"["b"]"#));
    assert!(parsed("--doctor --demo").unwrap_err().contains("one of them"));
}

#[test]
fn diff_takes_two_files_and_a_form() {
    assert!(matches!(parsed("--diff a b"), Ok(Request::Diff(Form::Text, ..))));
    assert!(matches!(parsed("--diff --diff-as pydir a b"), Ok(Request::Diff(Form::PythonDirector, ..))));
    assert!(parsed("--diff a").unwrap_err().contains("OLD and NEW"));
    assert!(parsed("--diff --check a b").unwrap_err().contains("one of them"));
    assert!(parsed("--diff --diff-as xml a b").unwrap_err().contains("pydir"));
}

#[test]
fn doctor_takes_a_file_or_none() {
    assert!(matches!(parsed("--doctor -t 3"), Ok(Request::Doctor(options, None)) if options.threads == Some(3)));
    assert!(matches!(parsed("--doctor c.xml"), Ok(Request::Doctor(_, Some(_)))));
}

#[test]
fn help_and_version_need_no_file() {
    assert!(matches!(parsed("-h"), Ok(Request::Help)));
    assert!(matches!(parsed("--version"), Ok(Request::Version)));
}
