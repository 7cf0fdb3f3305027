//! What the control plane is kept busy with: clients that poll the API, and one that changes hosts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;

/// `root:secret` in base64, and the hash of `secret` (crypt(3)).
const AUTHORIZATION: &str = "Basic cm9vdDpzZWNyZXQ=";
pub(super) const HASH: &str = "saHW9GdxihkGQ";
/// Clients that poll, and how often each asks.
pub(super) const POLLERS: usize = 20;
pub(super) const POLL_EVERY: Duration = Duration::from_millis(500);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the API that stays.
struct Api {
    reader: BufReader<TcpStream>,
    addr: SocketAddr,
}

impl Api {
    fn connect(addr: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { reader: BufReader::new(stream), addr })
    }

    /// Asks, and reads the whole answer. Anything but a 2xx is a failure.
    fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<(), Failure> {
        let (addr, length) = (self.addr, body.len());
        let request = format!(
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: {AUTHORIZATION}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.reader.get_mut().write_all(request.as_bytes())?;
        let (mut line, mut status, mut rest) = (String::new(), String::new(), 0);
        loop {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(format!("{method} {path}: the connection ended").into());
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if status.is_empty() {
                text.clone_into(&mut status);
            } else if let Some((name, value)) = text.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                rest = value.parse()?;
            }
        }
        let mut content = vec![0; rest];
        self.reader.read_exact(&mut content)?;
        if status.starts_with("HTTP/1.1 2") {
            return Ok(());
        }
        Err(format!("{method} {path}: {status}: {}", String::from_utf8_lossy(&content)).into())
    }
}

/// Until `stop`, has [`POLLERS`] clients ask for the status, and one make `changes` changes, evenly over `span`. Returns
/// how many answers and changes there were.
pub(super) fn run(
    addr: SocketAddr,
    spare: &[SocketAddr],
    changes: u64,
    span: Duration,
    stop: &AtomicBool,
) -> Result<(u64, u64), Failure> {
    thread::scope(|scope| {
        let poll = |number: usize| poll(addr, number, stop);
        let pollers: Vec<_> = (0..POLLERS).map(|number| scope.spawn(move || poll(number))).collect();
        let changed = change(addr, spare, changes, span, stop);
        // Who changed nothing more still waits for the end of the window.
        let answers = pollers.into_iter().map(|poller| poller.join().map_err(|_| "a poller panicked")?);
        let answers = answers.sum::<Result<u64, Failure>>()?;
        changed.map(|changed| (answers, changed))
    })
}

fn poll(addr: SocketAddr, number: usize, stop: &AtomicBool) -> Result<u64, Failure> {
    let mut api = Api::connect(addr)?;
    // Not all at one moment.
    thread::sleep(POLL_EVERY * u32::try_from(number).unwrap_or(0) / u32::try_from(POLLERS).unwrap_or(1));
    let mut answers = 0;
    while !stop.load(Relaxed) {
        api.ask("GET", "status", "")?;
        answers += 1;
        thread::sleep(POLL_EVERY);
    }
    Ok(answers)
}

/// Adds a host that serves, and removes it again, each a change.
fn change(
    addr: SocketAddr,
    spare: &[SocketAddr],
    changes: u64,
    span: Duration,
    stop: &AtomicBool,
) -> Result<u64, Failure> {
    let mut api = Api::connect(addr)?;
    let start = Instant::now();
    let mut done = 0;
    while done < changes && !stop.load(Relaxed) {
        let due = start + span.mul_f64(done as f64 / changes as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let host = spare[usize::try_from(done / 2).unwrap_or(0) % spare.len()];
        if done % 2 == 0 {
            let body = format!(r#"{{"name": "spare", "address": "{host}"}}"#);
            api.ask("POST", "services/bench/groups/main/hosts", &body)?;
        } else {
            api.ask("DELETE", "services/bench/groups/main/hosts/spare", "")?;
        }
        done += 1;
    }
    if done % 2 == 1 {
        api.ask("DELETE", "services/bench/groups/main/hosts/spare", "")?;
    }
    Ok(done)
}
