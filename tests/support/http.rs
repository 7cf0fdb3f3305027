//! A client of the administration page that sends exactly what a test says.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::wait::PATIENCE;

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status, 0 when the connection ended without one.
    pub status: u16,
    /// The head, in the spelling of the server.
    pub head: String,
    /// The content.
    pub body: String,
}

impl Response {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The content as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends a request with these further lines in its head, on a connection of its own, and reads until the end.
pub fn send(addr: SocketAddr, method: &str, target: &str, lines: &[&str], body: &str) -> Response {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n");
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    raw(&connect(addr, None), &format!("{request}\r\n{body}"))
}

/// Sends this text and reads until the end.
pub fn raw(mut stream: &TcpStream, text: &str) -> Response {
    // Who is refused early may be reset while it still sends.
    let _ = stream.write_all(text.as_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Response { status, head: head.to_owned(), body: body.to_owned() }
}

/// Connects, from this address if one is given.
pub fn connect(addr: SocketAddr, from: Option<IpAddr>) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into()).expect("an address of this machine");
    }
    socket.connect(&addr.into()).expect("the page listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
    stream
}
