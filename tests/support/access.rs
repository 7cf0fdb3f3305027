//! The access log as tests read it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::control::directorctl;
use super::director::Director;
use super::host::Host;
use super::scratch::Scratch;
use super::wait::{PATIENCE, until};

/// A service with these hosts, attributes of its own, and what stands beside it.
pub fn elements(attributes: &str, hosts: &[&Host], more: &str) -> String {
    let host = |host: &&Host| format!("<host name=\"{}\" ip=\"{}\"/>", host.name(), host.addr());
    let hosts: String = hosts.iter().map(host).collect();
    format!(
        "<service name=\"s\" {attributes}><listen ip=\"127.0.0.1:0\"/><group name=\"g\">{hosts}</group></service>\n{more}"
    )
}

/// Starts it with these elements.
pub fn start(elements: &str) -> Director {
    Director::plan_text(&format!("<director>{elements}</director>")).start()
}

/// An access log in this file, with further attributes.
pub fn access(path: &Path, more: &str) -> String {
    format!("<access-log file=\"{}\" {more}/>", path.display())
}

/// The lines of a file so far, each with its end.
pub fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
}

/// Waits until there are so many lines, and returns them.
#[track_caller]
pub fn wait_for_lines(path: &Path, count: usize) -> Vec<String> {
    until(PATIENCE, &format!("{count} lines in {}", path.display()), || lines(path).len() >= count);
    lines(path)
}

/// The words of a line of text, the time left out.
pub fn words(line: &str) -> HashMap<&str, &str> {
    line.split(' ').skip(1).map(|word| word.split_once('=').unwrap_or_else(|| panic!("{word:?} in {line}"))).collect()
}

/// A line of JSON.
pub fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Lines written, dropped for lack of room, and not taken by their destination.
pub fn counts(socket: &Path) -> [u64; 3] {
    let output = directorctl().arg("-s").arg(socket).args(["--json", "status"]).output();
    let status: Value = serde_json::from_slice(&output.expect("directorctl runs").stdout).expect("status");
    ["written", "dropped", "failed"].map(|name| status["access_log"][name].as_u64().expect("a count"))
}

/// A pipe with a reader that does not read.
pub fn pipe(folder: &Scratch) -> (PathBuf, File) {
    let path = folder.path("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    let reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
    (path, reader.expect("open the pipe"))
}

/// A time of a line of text.
pub fn seconds(word: &str) -> f64 {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is no time"))
}
