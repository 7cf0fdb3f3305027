//! Where lines go. Nothing here blocks, except a disk that does.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config::LogTarget;

/// Time between attempts to find a syslog that is gone.
const CONNECT_EVERY: Duration = Duration::from_secs(1);

/// A destination that is open.
#[derive(Debug)]
pub(super) enum Target {
    /// Lines one after the other.
    File(File),
    /// A message a line.
    Syslog(Sender, Header),
    /// A datagram a line.
    Udp(Sender),
}

/// A datagram socket.
#[derive(Debug)]
pub(super) enum Sender {
    /// With the path of syslog's, to connect to again.
    Unix(UnixDatagram, PathBuf, Instant),
    Udp(UdpSocket),
}

/// What stands before and after the time in a message of RFC 5424.
#[derive(Debug)]
pub(super) struct Header {
    host: String,
}

impl Target {
    /// Opens a destination.
    ///
    /// # Errors
    /// It cannot be opened: a pipe that nobody reads among others.
    pub(super) fn open(to: &LogTarget) -> io::Result<Self> {
        Ok(match to {
            LogTarget::File(path) => Self::File(open_file(path)?),
            LogTarget::SyslogSocket(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                socket.connect(path)?;
                Self::Syslog(Sender::Unix(socket, path.clone(), Instant::now()), Header::read())
            }
            LogTarget::Syslog(addr) => Self::Syslog(Sender::Udp(udp(*addr)?), Header::read()),
            LogTarget::Udp(addr) => Self::Udp(Sender::Udp(udp(*addr)?)),
        })
    }

    /// Whether lines go there in one piece; else each goes alone, without its end.
    pub(super) const fn is_stream(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Whether what goes there goes behind what went to the other one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let (Self::File(one), Self::File(other)) = (self, other) else { return false };
        let identity = |file: &File| file.metadata().map(|data| (data.dev(), data.ino()));
        matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
    }

    /// Writes bytes of a stream, or one line.
    ///
    /// # Errors
    /// `WouldBlock`: not now. Others: not this.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Udp(sender) => sender.send(bytes),
            Self::Syslog(sender, header) => {
                let message = header.message(bytes);
                sender.send(&message).map(|_| bytes.len())
            }
        }
    }
}

/// Appends. A pipe is not waited for, neither here nor later.
fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ENXIO) => io::Error::new(error.kind(), format!("{error}: a pipe that nobody reads")),
        _ => error,
    })
}

fn udp(addr: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr =
        if addr.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.connect(addr)?;
    Ok(socket)
}

impl Sender {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket) => match socket.send(bytes) {
                // What an earlier datagram met; this one was not sent.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => socket.send(bytes),
                result => result,
            },
            Self::Unix(socket, path, tried) => match socket.send(bytes) {
                Err(error) if is_gone(&error) && tried.elapsed() >= CONNECT_EVERY => {
                    *tried = Instant::now();
                    // Another one may listen there now; an unconnected socket would keep the name of the old one.
                    let fresh = UnixDatagram::unbound()?;
                    fresh.set_nonblocking(true)?;
                    fresh.connect(path)?;
                    *socket = fresh;
                    socket.send(bytes)
                }
                result => result,
            },
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotConnected | ErrorKind::ConnectionReset)
}

impl Header {
    /// The facility `daemon` at the severity `info`: RFC 5424 section 6.2.1.
    const PRIORITY: u8 = 3 * 8 + 6;

    fn read() -> Self {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
        Self { host: if name.is_empty() { String::from("-") } else { name } }
    }

    /// `<30>1 TIME HOST director PID access - LINE`. The time is now, which for a line that waited is later than what it
    /// tells of.
    fn message(&self, line: &[u8]) -> Vec<u8> {
        let now = std::time::SystemTime::now();
        let millis = now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.subsec_millis());
        let time = crate::admin::words::show::utc(now);
        let (time, host, pid) = (time.trim_end_matches('Z'), &self.host, std::process::id());
        let mut message =
            format!("<{}>1 {time}.{millis:03}Z {host} director {pid} access - ", Self::PRIORITY).into_bytes();
        message.extend_from_slice(line);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_that_of_rfc_5424() {
        let header = Header { host: String::from("lb1") };
        let message = String::from_utf8(header.message(b"line")).unwrap();
        let words: Vec<&str> = message.split(' ').collect();
        let pid = std::process::id().to_string();
        assert_eq!((words[0], &words[2..]), ("<30>1", &["lb1", "director", &pid, "access", "-", "line"][..]));
        assert!(words[1].len() == 24 && words[1].ends_with('Z'), "{message}");
    }

    #[test]
    fn pipe_that_nobody_reads_is_refused_at_once() {
        let path = std::env::temp_dir().join(format!("director-{}-fifo", std::process::id()));
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let error = Target::open(&LogTarget::File(path.clone())).unwrap_err();
        std::fs::remove_file(path).unwrap();
        assert!(error.to_string().contains("a pipe that nobody reads"), "{error}");
    }
}
