//! The loop of the thread `ssh`: starts the server, listens to what it says, and starts it again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use log::{error, info, warn};
use mio::unix::SourceFd;
use mio::unix::pipe;
use mio::{Events, Interest, Poll, Token};

use super::files::{self, Directory};
use super::texts::{self, Server};
use crate::admin::Desk;
use crate::config::{Address, Config};
use crate::model::limits::{
    LOG_EVERY, LOG_MESSAGE_BYTES_MAX, PANIC_PAUSE, SSH_END_WAIT, SSH_LINES_MAX, SSH_RESTART_MAX, SSH_RESTART_MIN,
    SSH_STEADY,
};
use crate::sys::child;
use crate::sys::unix::{Account, account, is_locked, own_user};

/// The token of the waker.
pub(super) const WAKER: Token = Token(0);
const END: Token = Token(1);
const SAID: Token = Token(2);
const TARGET: &str = "director::ssh";
/// Where `sshd` with root's rights locks up what it does not trust yet.
const SEPARATION: &str = "/run/sshd";

/// What other threads tell the loop.
#[derive(Debug)]
pub(super) enum Message {
    /// There is another configuration.
    Configured,
    /// The end.
    Stop,
}

/// The thread's state.
pub(super) struct Supervisor {
    poll: Poll,
    desk: Desk,
    messages: Receiver<Message>,
    /// What the running server was made for; none: there is none to be.
    wanted: Option<Wanted>,
    running: Option<Running>,
    /// Held as long as a server is wanted.
    locked: Option<(Directory, File)>,
    again: Option<Instant>,
    pause: Duration,
    /// Why the last start failed, which is said once.
    failure: Option<String>,
    quota: Quota,
}

/// What a server is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    listen: Address,
    keys: Vec<crate::config::User>,
    socket: Option<PathBuf>,
}

struct Running {
    child: Child,
    end: Option<OwnedFd>,
    said: Option<pipe::Receiver>,
    /// A line that is not whole yet.
    line: Vec<u8>,
    since: Instant,
}

/// Bounds the lines that strangers can provoke.
#[derive(Default)]
struct Quota {
    since: Option<Instant>,
    lines: usize,
    left_out: usize,
}

impl Supervisor {
    pub(super) fn new(poll: Poll, desk: Desk, messages: Receiver<Message>) -> Self {
        let (wanted, running, locked, again) = (None, None, None, None);
        let (pause, failure) = (SSH_RESTART_MIN, None);
        Self { poll, desk, messages, wanted, running, locked, again, pause, failure, quota: Quota::default() }
    }

    /// Looks after the server until the end.
    pub(super) fn run(mut self) {
        while !catch_unwind(AssertUnwindSafe(|| self.turns())).unwrap_or(false) {
            self.stop();
            std::thread::sleep(PANIC_PAUSE);
        }
        self.stop();
    }

    fn turns(&mut self) -> bool {
        let mut events = Events::with_capacity(8);
        self.configure();
        loop {
            let now = Instant::now();
            let timeout = self.again.map(|at| at.saturating_duration_since(now) + Duration::from_millis(1));
            // Without a descriptor for its end, the child is looked at now and then.
            let blind = self.running.as_ref().is_some_and(|running| running.end.is_none());
            let timeout =
                if blind { Some(timeout.unwrap_or(SSH_RESTART_MAX).min(Duration::from_secs(1))) } else { timeout };
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                error!(target: TARGET, "the SSH server is not looked after any more: {error}");
                return true;
            }
            self.hear();
            self.look_at_end();
            while let Ok(message) = self.messages.try_recv() {
                match message {
                    Message::Configured => self.configure(),
                    Message::Stop => return true,
                }
            }
            if self.again.is_some_and(|at| at <= Instant::now()) {
                self.again = None;
                self.start();
            }
        }
    }

    /// Follows the configuration.
    fn configure(&mut self) {
        let config = self.desk.current().get();
        let wanted = wanted(&config);
        if wanted == self.wanted {
            return;
        }
        let before = std::mem::replace(&mut self.wanted, wanted.clone());
        let Some(wanted) = wanted else {
            info!(target: TARGET, "SSH is off");
            self.stop();
            self.locked = None;
            return;
        };
        if before.is_some_and(|before| before.listen == wanted.listen) && self.running.is_some() {
            // The server reads the keys at every login.
            if let Err(why) = self.write_keys(&wanted) {
                error!(target: TARGET, "SSH: {why}; the keys stay as they were");
            }
            return;
        }
        self.stop();
        self.pause = SSH_RESTART_MIN;
        self.failure = None;
        self.start();
    }

    /// Starts the server; where that fails, says so and tries again later.
    fn start(&mut self) {
        let Some(wanted) = self.wanted.clone() else { return };
        match self.launch(&wanted) {
            Ok(running) => {
                info!(target: TARGET, "SSH on {}: sshd is process {}", wanted.listen, running.child.id());
                self.running = Some(running);
                self.failure = None;
            }
            Err(why) => {
                // What is missing may be installed meanwhile; until then nobody needs to read of it again and again.
                if self.failure.as_ref() != Some(&why) {
                    error!(target: TARGET, "SSH does not serve: {why}; it is tried again now and then");
                }
                self.failure = Some(why);
                self.try_later();
            }
        }
    }

    fn try_later(&mut self) {
        self.again = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(SSH_RESTART_MAX);
    }

    fn launch(&mut self, wanted: &Wanted) -> Result<Running, String> {
        let sshd = files::program("sshd").ok_or("sshd is not installed (Debian: openssh-server)")?;
        let account =
            account(own_user()).ok_or("the balancer's user has no account, so that nobody can log in as it")?;
        warn_of(&account);
        let directory = self.directory()?;
        directory.host_key()?;
        self.write_keys(wanted)?;
        let is_root = own_user() == 0;
        let server = Server { listen: &wanted.listen, directory: directory.path(), account: &account.name, is_root };
        directory.write("sshd_config", &texts::server(&server))?;
        if is_root && !Path::new(SEPARATION).exists() {
            fs::create_dir(SEPARATION).map_err(|error| format!("{SEPARATION}: {error}"))?;
        }
        let mut command = Command::new(sshd);
        command.args(["-D", "-e", "-f"]).arg(directory.path().join("sshd_config")).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = child::spawn_dependent(&mut command).map_err(|error| format!("sshd: {error}"))?;
        Ok(self.watch(child))
    }

    /// Has the loop woken by the child's end and by what it says.
    fn watch(&self, mut child: Child) -> Running {
        let end = child::end_of(&child).and_then(|end| {
            let fd = end.as_raw_fd();
            self.poll.registry().register(&mut SourceFd(&fd), END, Interest::READABLE).map(|()| end)
        });
        let said = child.stderr.take().map(pipe::Receiver::from).and_then(|mut said| {
            said.set_nonblocking(true).ok()?;
            self.poll.registry().register(&mut said, SAID, Interest::READABLE).ok()?;
            Some(said)
        });
        Running { child, end: end.ok(), said, line: Vec::new(), since: Instant::now() }
    }

    /// The directory, locked.
    fn directory(&mut self) -> Result<Directory, String> {
        if let Some((directory, _)) = &self.locked {
            return Ok(directory.clone());
        }
        let directory = Directory::make()?;
        let lock = directory.lock()?;
        self.locked = Some((directory.clone(), lock));
        Ok(directory)
    }

    fn write_keys(&mut self, wanted: &Wanted) -> Result<(), String> {
        let directory = self.directory()?;
        let program = files::directorctl().ok_or("directorctl is not beside director, nor where programs are")?;
        let socket = wanted.socket.clone().unwrap_or_else(|| directory.socket());
        // The command is run elsewhere.
        let socket = std::path::absolute(&socket).unwrap_or(socket);
        if wanted.keys.is_empty() {
            warn!(target: TARGET, "SSH: no <user> has a key, so that nobody can log in");
        }
        directory.write("authorized_keys", &texts::authorized_keys(&wanted.keys, &program, &socket))
    }

    /// Writes what the server says to the log.
    fn hear(&mut self) {
        let Some(running) = &mut self.running else { return };
        let Some(said) = &mut running.said else { return };
        let mut bytes = [0; 4096];
        let ended = loop {
            match said.read(&mut bytes) {
                Ok(0) => break true,
                Ok(count) => {
                    for byte in bytes.get(..count).unwrap_or_default() {
                        if *byte == b'\n' {
                            self.quota.say(&running.line);
                            running.line.clear();
                        } else if running.line.len() < LOG_MESSAGE_BYTES_MAX {
                            running.line.push(*byte);
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error.kind() != io::ErrorKind::WouldBlock,
            }
        };
        if ended {
            let _ = self.poll.registry().deregister(said);
            running.said = None;
        }
    }

    /// Plans another start when the server has ended.
    fn look_at_end(&mut self) {
        let Some(running) = &mut self.running else { return };
        let status = match running.child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        if running.since.elapsed() >= SSH_STEADY {
            self.pause = SSH_RESTART_MIN;
        }
        self.forget();
        self.try_later();
        let pause = crate::config::show_time(self.again.map_or(Duration::ZERO, |at| at - Instant::now()));
        warn!(target: TARGET, "sshd ended ({status}); it is started again in {pause}");
    }

    /// Ends the server and its sessions.
    fn stop(&mut self) {
        self.again = None;
        if let Some(running) = &mut self.running {
            child::terminate_tree(&running.child);
            let until = Instant::now() + SSH_END_WAIT;
            while matches!(running.child.try_wait(), Ok(None)) {
                if Instant::now() >= until {
                    let _ = running.child.kill();
                    let _ = running.child.wait();
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.hear();
        if let Some(Running { end, mut said, .. }) = self.running.take() {
            if let Some(end) = end {
                let _ = self.poll.registry().deregister(&mut SourceFd(&end.as_raw_fd()));
            }
            if let Some(said) = &mut said {
                let _ = self.poll.registry().deregister(said);
            }
        }
    }
}

impl Quota {
    fn say(&mut self, line: &[u8]) {
        let now = Instant::now();
        if self.since.is_none_or(|since| now.duration_since(since) >= LOG_EVERY) {
            if self.left_out > 0 {
                warn!(target: TARGET, "sshd: {} lines left out", self.left_out);
            }
            *self = Self { since: Some(now), lines: 0, left_out: 0 };
        }
        if self.lines >= SSH_LINES_MAX {
            self.left_out += 1;
            return;
        }
        self.lines += 1;
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches('\r');
        if !text.is_empty() {
            info!(target: TARGET, "sshd: {text}");
        }
    }
}

/// Says why `sshd` will refuse to log in this account.
fn warn_of(account: &Account) {
    let Account { name, shell } = account;
    if shell.ends_with("nologin") || shell.ends_with("false") {
        warn!(target: TARGET, "SSH: the account {name} has the shell {shell}, which runs no command; expected /bin/sh");
    }
    if is_locked(name) {
        warn!(
            target: TARGET,
            "SSH: the account {name} is locked, so that sshd lets nobody in as it; expected one without a password \
             instead: usermod -p '*' {name}"
        );
    }
}

/// What a configuration asks for.
fn wanted(config: &Config) -> Option<Wanted> {
    let admin = config.admin.as_ref()?;
    let listen = admin.ssh.clone()?;
    let keys = admin.users.iter().filter(|user| user.key.is_some()).cloned().collect();
    Some(Wanted { listen, keys, socket: config.control.as_ref().map(|control| control.socket.clone()) })
}
