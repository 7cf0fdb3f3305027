//! Runs the program as its users do: by its command line, its signals and what it prints.
#![allow(dead_code, unreachable_pub, reason = "each test file is a crate that uses its own part")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use super::support::lock::{self, Turn};
use super::support::log::{Log, Mark};
use super::support::process::Process;
use super::support::scratch::Scratch;
use super::support::{PATIENCE, until};

/// The program with these arguments.
pub fn director(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end. Returns exit code, output and errors.
pub fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = director(args).output().expect("run the program");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().expect("paths here are UTF-8")
}

/// Writes a configuration of one service with one host, and further elements on the lines from 3 on.
pub fn configure(folder: &Scratch, listen: &str, host: &str, more: &str) -> PathBuf {
    let path = folder.path("director.xml");
    let service =
        format!("<service name='s'><listen ip='{listen}'/><group name='g'><host ip='{host}'/></group></service>");
    fs::write(&path, format!("<director>\n{service}\n{more}\n</director>\n")).expect("write the configuration");
    path
}

/// As [`configure`], on a free port, with a host that nobody listens at.
pub fn configure_idle(folder: &Scratch, more: &str) -> PathBuf {
    configure(folder, "127.0.0.1:0", "127.0.0.1:1", more)
}

/// The program while it runs.
pub struct Running {
    child: Child,
    pub out: Log,
    pub err: Log,
    // Dropped last: the right to run.
    _turn: Turn,
}

impl Running {
    /// Starts it and waits until it says that it is ready, on standard error.
    #[track_caller]
    pub fn start(args: &[&str]) -> Self {
        let running = Self::start_unready(args);
        running.wait_for("ready: ");
        running
    }

    /// Starts it.
    pub fn start_unready(args: &[&str]) -> Self {
        let turn = lock::beside_others();
        let mut child = director(args).spawn().expect("start the program");
        let out = Log::read(child.stdout.take().expect("stdout is piped"));
        let err = Log::read(child.stderr.take().expect("stderr is piped"));
        Self { child, out, err, _turn: turn }
    }

    /// Starts it with nobody reading what it prints: both pipes are closed.
    pub fn start_unread(args: &[&str]) -> Self {
        let turn = lock::beside_others();
        let mut child = director(args).spawn().expect("start the program");
        drop((child.stdout.take(), child.stderr.take()));
        Self { child, out: Log::default(), err: Log::default(), _turn: turn }
    }

    /// Starts it with a standard error that is open and that nobody reads.
    pub fn start_stalled(args: &[&str]) -> (Self, ChildStderr) {
        let turn = lock::beside_others();
        let mut child = director(args).stdout(Stdio::null()).spawn().expect("start the program");
        let err = child.stderr.take().expect("stderr is piped");
        (Self { child, out: Log::default(), err: Log::default(), _turn: turn }, err)
    }

    /// Waits for a line with this in it on standard error, and returns it.
    #[track_caller]
    pub fn wait_for(&self, part: &str) -> String {
        let found = self.err.wait_for_line(Mark::default(), PATIENCE, &[part]);
        found.unwrap_or_else(|| panic!("no line with {part:?} in {:#?}", self.err.lines()))
    }

    /// Where it listens.
    #[track_caller]
    pub fn addr(&self) -> SocketAddr {
        let line = self.wait_for("listening ");
        let (_, addr) = line.split_once("addr=").expect("an address in the line");
        addr.trim().parse().expect("an address")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: libc::c_int) {
        Process(self.child.id()).signal(signal);
    }

    /// Waits for its end and returns its exit code; none when a signal ended it.
    #[track_caller]
    pub fn exit_code(&mut self) -> Option<i32> {
        until(PATIENCE, "it ended", || self.child.try_wait().expect("its status").is_some());
        self.child.wait().expect("its status").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
