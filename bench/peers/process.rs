//! Child processes of the harness: started with their words kept, ended by their id, never left behind.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use director::sys::process::ephemeral_ports;

use crate::Failure;
use crate::unix::{self, Signal};

/// How long a balancer may take until it listens.
const START_MAX: Duration = Duration::from_secs(5);
/// How long a process may take to end when asked, before it is killed.
const END_MAX: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Ports that are looked through for a free one.
const FIRST_PORT: u32 = 12_000;
const PORTS: u32 = 12_000;
/// The last bytes of a balancer's words that are shown when it fails.
const WORDS_MAX: usize = 2000;

/// A directory for configurations and logs that goes when the harness ends.
#[derive(Debug)]
pub(crate) struct Workspace(PathBuf);

impl Workspace {
    pub(crate) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("director-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What cannot be removed is a temporary file too many, no more.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running child; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    words: PathBuf,
}

impl Process {
    /// Starts `command` with what it says on standard output and error kept in `words`.
    pub(crate) fn start(command: &mut Command, words: PathBuf) -> io::Result<Self> {
        let file = File::create(&words)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        unix::end_with_parent(command);
        Ok(Self { child: command.spawn()?, words })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until `addr` takes connections.
    pub(crate) fn wait_until_listening(&mut self, addr: SocketAddr) -> Result<(), Failure> {
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended at once ({status}) and said: {}", self.words()).into());
            }
            if TcpStream::connect_timeout(&addr, LOOK_EVERY * 10).is_ok() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("it did not listen on {addr} and said: {}", self.words()).into());
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// The end of what the process has said so far.
    pub(crate) fn words(&self) -> String {
        let bytes = fs::read(&self.words).unwrap_or_default();
        let tail = &bytes[bytes.len().saturating_sub(WORDS_MAX)..];
        let text = String::from_utf8_lossy(tail).trim().to_owned();
        if text.is_empty() { "nothing".to_owned() } else { text }
    }

    /// Sends `signal` and waits for the end, which is forced after a while.
    pub(crate) fn end(&mut self, signal: Signal) {
        let deadline = Instant::now() + END_MAX;
        if unix::send(signal, self.pid()).is_ok() {
            while Instant::now() < deadline {
                match self.child.try_wait() {
                    Ok(None) => thread::sleep(LOOK_EVERY),
                    Ok(Some(_)) | Err(_) => return,
                }
            }
        }
        // It may have ended between the two; then there is nothing to kill and the wait returns at once.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_alive() {
            self.end(Signal::Terminate);
        }
    }
}

/// A loopback address that nobody listens on at this moment, as a rule below the ports of outgoing connections: there a
/// connect could meet itself, and a balancer that guards against that would pay for what real hosts do not need.
pub(crate) fn free_addr() -> io::Result<SocketAddr> {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let (first_outgoing, _) = ephemeral_ports();
    for _ in 0..PORTS {
        let offset = std::process::id().wrapping_add(TRIED.fetch_add(1, Relaxed)) % PORTS;
        let port = u16::try_from(FIRST_PORT + offset).unwrap_or(0);
        if port < first_outgoing && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok((Ipv4Addr::LOCALHOST, port).into());
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
