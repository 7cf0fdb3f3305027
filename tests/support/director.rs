//! The balancer as a process: started with a configuration, watched through its log and `/proc`, ended by its pid.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::config::{Config, Service};
use super::counters::{Counters, Fields};
use super::host::Host;
use super::lock::{self, Turn};
use super::log::{Log, Mark};
use super::netns::Netns;
use super::process::Process;
use super::scratch::Scratch;
use super::wait::{PATIENCE, holds_within};

/// How the balancer will be started.
pub struct Start<'a> {
    config: String,
    args: Vec<String>,
    threads: usize,
    wrapper: Vec<String>,
    netns: Option<&'a Netns>,
    log_lines_max: usize,
    environment: Vec<(String, String)>,
}

impl<'a> Start<'a> {
    /// Adds command-line arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(ToString::to_string));
        self
    }

    /// So many reactors instead of two.
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Starts it through a command that ends in running it, such as `prlimit --nofile=64`.
    #[must_use]
    pub fn through(mut self, wrapper: &[impl AsRef<str>]) -> Self {
        self.wrapper = wrapper.iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// Starts it inside a network namespace.
    #[must_use]
    pub const fn inside(mut self, netns: &'a Netns) -> Self {
        self.netns = Some(netns);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref().to_str().expect("values here are UTF-8").to_owned();
        self.environment.push((name.to_owned(), value));
        self
    }

    /// How many lines it may log until it is stopped, counters left out.
    #[must_use]
    pub const fn log_lines_max(mut self, lines: usize) -> Self {
        self.log_lines_max = lines;
        self
    }

    /// Starts it and waits until it says that it is ready.
    #[track_caller]
    pub fn start(self) -> Director {
        let turn = lock::beside_others();
        let directory = Scratch::new();
        let config = directory.path("director.xml");
        fs::write(&config, &self.config).expect("write the configuration");
        let mut child = self.spawn(&config);
        let log = Log::read(child.stderr.take().expect("stderr is piped"));
        let mut director = Director {
            process: Process(child.id()),
            child,
            log,
            config,
            directory,
            threads: self.threads,
            descriptors: 0,
            log_lines_max: self.log_lines_max,
            turn,
        };
        let ready = director.log.wait_for_line(Mark::default(), PATIENCE, &["ready"]);
        assert!(ready.is_some(), "not ready within {PATIENCE:?}; exit: {:?}", director.child.try_wait());
        if self.config.contains("<ssh ") {
            // Its server is started beside, and has descriptors of its own.
            let _ = director.log.wait_for_line(Mark::default(), PATIENCE, &["sshd: Server listening"]);
        }
        director.descriptors = director.process.descriptors();
        director
    }

    /// Runs it to its end: for configurations and arguments that it refuses. Returns its status, output and log.
    pub fn run(self) -> (ExitStatus, String, String) {
        let directory = Scratch::new();
        let config = directory.path("director.xml");
        fs::write(&config, &self.config).expect("write the configuration");
        let output = self.spawn(&config).wait_with_output().expect("wait for the end");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status, text(&output.stdout), text(&output.stderr))
    }

    fn spawn(&self, config: &Path) -> Child {
        let mut words = self.wrapper.clone();
        words.push(binary());
        words.extend(["--threads".to_owned(), self.threads.to_string()]);
        words.extend(self.args.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(config).env_remove("RUST_LOG");
        // Nothing that a test keeps is for the next one.
        command.env("STATE_DIRECTORY", config.with_file_name("state"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut spawn = move || command.spawn().expect("start the balancer");
        match self.netns {
            Some(netns) => netns.run(spawn),
            None => spawn(),
        }
    }
}

/// A running balancer.
pub struct Director {
    child: Child,
    process: Process,
    log: Log,
    config: PathBuf,
    threads: usize,
    descriptors: usize,
    log_lines_max: usize,
    // Dropped last, in this order: the directory, then the right to run.
    directory: Scratch,
    turn: Turn,
}

impl Director {
    /// Starts it with one service in front of these hosts, in turn.
    #[track_caller]
    pub fn start(hosts: &[&Host]) -> Self {
        Self::plan(Service::with(hosts)).start()
    }

    /// A balancer with this configuration and two reactors, not started yet.
    pub fn plan<'a>(config: impl Into<Config>) -> Start<'a> {
        Self::plan_text(&config.into().xml())
    }

    /// As [`Self::plan`], with the text of the file.
    pub fn plan_text<'a>(config: &str) -> Start<'a> {
        Start {
            config: config.to_owned(),
            args: Vec::new(),
            threads: 2,
            wrapper: Vec::new(),
            netns: None,
            log_lines_max: 400,
            environment: Vec::new(),
        }
    }

    /// The first address it listens on.
    #[track_caller]
    pub fn addr(&self) -> SocketAddr {
        *self.addrs("").first().expect("a line that says where it listens")
    }

    /// Where this service listens now, in the order of the log; every service when the name is empty.
    #[track_caller]
    pub fn addrs(&self, service: &str) -> Vec<SocketAddr> {
        let wanted = format!("listening service={service}");
        let lines = self.log.lines();
        let words = lines.iter().filter(|line| line.contains(&wanted)).map(|line| line.split_whitespace());
        words.filter_map(|mut words| words.find_map(|word| word.strip_prefix("addr=")?.parse().ok())).collect()
    }

    /// The process.
    pub const fn process(&self) -> Process {
        self.process
    }

    /// Its log.
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// How many reactors it has.
    pub const fn threads(&self) -> usize {
        self.threads
    }

    /// Descriptors it had when it was ready.
    pub const fn first_descriptors(&self) -> usize {
        self.descriptors
    }

    /// Waits for a line, from the start of the log, that contains all parts.
    #[track_caller]
    pub fn wait_for_log(&self, parts: &[&str], within: Duration) -> String {
        self.wait_for_log_after(Mark::default(), parts, within)
    }

    /// Waits for a line after the mark that contains all parts.
    #[track_caller]
    pub fn wait_for_log_after(&self, mark: Mark, parts: &[&str], within: Duration) -> String {
        let found = self.log.wait_for_line(mark, within, parts);
        found.unwrap_or_else(|| panic!("no log line with {parts:?} within {within:?}"))
    }

    /// Waits until the log says after the mark that a host went `down` or came `up`.
    #[track_caller]
    pub fn wait_for_state(&self, mark: Mark, host: &str, state: &str, within: Duration) -> String {
        let (host, state) = (format!("host={host} "), format!("new={state}"));
        self.wait_for_log_after(mark, &["service=", &host, &state], within)
    }

    /// Makes it read its configuration again and waits until it says what came of it: its line starts with `reloaded`
    /// or with `reload refused`.
    #[track_caller]
    pub fn reload(&self) -> String {
        let mark = self.log.mark();
        self.process.signal(libc::SIGHUP);
        self.wait_for_log_after(mark, &["reload"], PATIENCE)
    }

    /// Asks for all counters.
    #[track_caller]
    pub fn counters(&self) -> Counters {
        let mark = self.log.mark();
        self.process.signal(libc::SIGUSR1);
        let found = self.log.wait_for(mark, PATIENCE, |lines| Counters::parse(lines, self.threads));
        found.expect("counters in the log")
    }

    /// Waits until the counters satisfy the condition and returns them; shows them when they do not in time.
    #[track_caller]
    pub fn wait_for_counters(
        &self,
        within: Duration,
        what: &str,
        mut condition: impl FnMut(&Counters) -> bool,
    ) -> Counters {
        let mut counters = self.counters();
        let holds = holds_within(within, || {
            if condition(&counters) {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
            counters = self.counters();
            condition(&counters)
        });
        assert!(holds, "not within {within:?}: {what}; {counters:#?}");
        counters
    }

    /// Replaces the configuration file.
    pub fn write_config(&self, config: impl Into<Config>) {
        self.write_config_text(&config.into().xml());
    }

    /// Replaces the text of the configuration file.
    pub fn write_config_text(&self, text: &str) {
        let new = self.config.with_extension("new");
        fs::write(&new, text).expect("write the configuration");
        fs::rename(new, &self.config).expect("rename the configuration");
    }

    /// Where the configuration file is.
    pub fn config_path(&self) -> &Path {
        &self.config
    }

    /// The check that ends every test: everything closed and given back, nothing half-closed, alive, and a log that a
    /// person can read.
    #[track_caller]
    pub fn check_at_rest(&mut self) -> Counters {
        let counters = self.wait_for_counters(PATIENCE, "nothing is open", |counters| counters.held() == 0);
        assert_eq!(counters.services_sum("accepted"), counters.closed(), "accepted and closed: {counters:#?}");
        let process = self.process;
        // Pipes are kept for later for some seconds.
        let pipes = usize::try_from(counters.reactors_sum("pipes")).expect("few pipes");
        let returned = holds_within(PATIENCE, || process.descriptors() <= self.descriptors + 2 * pipes);
        let (now, first) = (process.descriptors(), self.descriptors);
        assert!(returned, "{now} descriptors, {first} at the start, {pipes} pipes; sockets: {:?}", process.sockets());
        assert!(!process.sockets().contains_key("CLOSE_WAIT"), "sockets: {:?}", process.sockets());
        assert_eq!(self.child.try_wait().expect("its status"), None, "the balancer ended");
        let lines = self.log.lines().iter().filter(|line| Fields::parse(line).is_none()).count();
        assert!(lines <= self.log_lines_max, "{lines} lines in the log, at most {}", self.log_lines_max);
        counters
    }

    /// Checks that nothing is left, and stops it.
    #[track_caller]
    pub fn finish(mut self) -> Counters {
        let counters = self.check_at_rest();
        self.stop(PATIENCE);
        counters
    }

    /// Stops it with SIGTERM; it must end in time with exit code 0. Returns how long that took.
    #[track_caller]
    pub fn stop(&mut self, within: Duration) -> Duration {
        let start = Instant::now();
        self.process.signal(libc::SIGTERM);
        let status = self.wait_for_exit(within);
        assert_eq!(status.code(), Some(0), "exit code; signal {:?}", status.signal());
        start.elapsed()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait_for_exit(&mut self, within: Duration) -> ExitStatus {
        let mut status = None;
        let ended = holds_within(within, || {
            status = self.child.try_wait().expect("its status");
            status.is_some()
        });
        assert!(ended, "the balancer did not end within {within:?}");
        status.expect("it ended")
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut lines = self.log.lines();
            lines.retain(|line| Fields::parse(line).is_none());
            let last = &lines[lines.len().saturating_sub(60)..];
            eprintln!("--- the last {} of {} log lines ---\n{}", last.len(), lines.len(), last.join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary under test: this build's, or the one that `DIRECTOR_BIN` names.
fn binary() -> String {
    std::env::var("DIRECTOR_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_director").to_owned())
}
