//! System-call errors and delays, injected into a running process with `strace`; and system calls counted.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::log::{Log, Mark};
use super::process::Process;
use super::scratch::Scratch;
use super::wait::{PATIENCE, holds_within};

/// A tracer, attached until it is dropped or detached.
pub struct Strace {
    child: Child,
    scratch: Scratch,
}

impl Strace {
    /// Attaches to all threads of a process, with these expressions, each as after `-e`, such as
    /// `inject=accept4:error=EMFILE:when=1+3`. Returns when it is attached.
    #[track_caller]
    pub fn attach(process: Process, expressions: &[&str]) -> Self {
        let pid = process.0.to_string();
        Self::start(&["-f", "-p", &pid], 1, expressions)
    }

    /// Attaches to these threads only.
    #[track_caller]
    pub fn attach_threads(threads: &[u32], expressions: &[&str]) -> Self {
        let ids: Vec<String> = threads.iter().map(ToString::to_string).collect();
        let target: Vec<&str> = ids.iter().flat_map(|id| ["-p", id]).collect();
        Self::start(&target, ids.len(), expressions)
    }

    /// Whether `strace` is there and may trace.
    pub fn is_available() -> bool {
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success())
    }

    /// Detaches and returns what was traced, a system call a line.
    #[track_caller]
    pub fn detach(mut self) -> Trace {
        self.end();
        let text = fs::read(self.scratch.path("trace")).expect("the trace");
        Trace(String::from_utf8_lossy(&text).into_owned())
    }

    #[track_caller]
    fn start(target: &[&str], lines: usize, expressions: &[&str]) -> Self {
        let scratch = Scratch::new();
        let mut command = Command::new("strace");
        command.args(target).arg("-o").arg(scratch.path("trace"));
        for expression in expressions {
            command.args(["-e", expression]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start strace");
        let said = Log::read(child.stderr.take().expect("stderr is piped"));
        let attached = holds_within(PATIENCE, || said.count(Mark::default(), &["attached"]) >= lines);
        let strace = Self { child, scratch };
        assert!(attached, "strace did not attach: {:?}", said.lines());
        strace
    }

    fn end(&mut self) {
        // It detaches from its targets when it is asked to end; killed outright, it would leave that to the kernel.
        if matches!(self.child.try_wait(), Ok(None)) {
            Process(self.child.id()).signal(libc::SIGTERM);
        }
        if !holds_within(PATIENCE, || !matches!(self.child.try_wait(), Ok(None))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        self.end();
    }
}

/// What was traced.
pub struct Trace(String);

impl Trace {
    /// How many calls got an injected result.
    pub fn injected(&self) -> usize {
        self.0.lines().filter(|line| line.ends_with("(INJECTED)")).count()
    }

    /// How many calls of this name were made.
    pub fn calls(&self, name: &str) -> usize {
        let start = format!("{name}(");
        self.0.lines().filter(|line| line.split_whitespace().any(|word| word.starts_with(&start))).count()
    }

    /// How many calls of this name ended with this error.
    pub fn failed(&self, name: &str, error: &str) -> usize {
        let (start, error) = (format!("{name}("), format!("= -1 {error} "));
        self.0.lines().filter(|line| line.contains(&start) && line.contains(&error)).count()
    }

    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }
}
