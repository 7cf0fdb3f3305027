//! The request line and its fields (RFC 9112 sections 2 to 7), read strictly.

use super::Bad;
use super::target::Target;
use crate::model::limits::{WEB_BODY_BYTES_MAX, WEB_FIELDS_MAX, WEB_HEAD_BYTES_MAX, WEB_TARGET_BYTES_MAX};

/// Methods that are known; another one is answered with 501.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    const ALL: [(&str, Self); 7] = [
        ("GET", Self::Get),
        ("HEAD", Self::Head),
        ("POST", Self::Post),
        ("PUT", Self::Put),
        ("PATCH", Self::Patch),
        ("DELETE", Self::Delete),
        ("OPTIONS", Self::Options),
    ];

    /// As it stands in a request.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// Whether it changes nothing.
    pub(crate) const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options)
    }
}

/// How the end of the body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    None,
    /// So many bytes, at least one.
    Length(usize),
    /// In chunks.
    Chunked,
}

/// What stands before the body.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) target: Target,
    /// How the body ends.
    pub(crate) framing: Framing,
    /// The one `Host`, in lower case.
    pub(crate) host: String,
    /// Another request may follow on the connection.
    pub(crate) keep_alive: bool,
    /// The client waits for leave to send the body.
    pub(crate) waits_for_leave: bool,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The field of this lower-case name; `None` when there is none, or more than one.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(known, _)| known == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value.as_str())
    }

    /// Whether there is such a field.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == name)
    }
}

/// Takes a head off the front of `bytes`. `seen` is where the last look ended; start with 0. `None`: more has to come.
///
/// # Errors
/// It is none, or too large.
pub(crate) fn take_head(bytes: &mut Vec<u8>, seen: &mut usize) -> Result<Option<Head>, Bad> {
    let Some(end) = end_of_head(bytes, seen)? else { return Ok(None) };
    *seen = 0;
    let head: Vec<u8> = bytes.drain(..end).collect();
    read(&head).map(Some)
}

/// Where the head ends, its empty line included. All that may not stand in a head is found on the way.
fn end_of_head(bytes: &[u8], seen: &mut usize) -> Result<Option<usize>, Bad> {
    let line_end = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b'\n');
    let from = *seen;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        *seen = at + 1;
        if at >= WEB_HEAD_BYTES_MAX {
            return Err(Bad::new(431, "the request's fields are too long"));
        }
        match byte {
            b'\n' if at == 0 || bytes[at - 1] != b'\r' => return Err(Bad::request("a line ends without a return")),
            b'\n' if at == 1 => return Err(Bad::request("an empty line stands where a request was expected")),
            b'\n' if bytes[..at].ends_with(b"\r\n\r") => return Ok(Some(at + 1)),
            b'\n' => {}
            _ if at > 0 && bytes[at - 1] == b'\r' => return Err(Bad::request("a return stands within a line")),
            0 => return Err(Bad::request("a byte is zero")),
            _ if at == WEB_TARGET_BYTES_MAX && line_end(&bytes[..at]).is_none() => {
                return Err(Bad::new(414, "the request's line is too long"));
            }
            _ => {}
        }
    }
    Ok(None)
}

fn read(bytes: &[u8]) -> Result<Head, Bad> {
    let mut storage = [httparse::EMPTY_HEADER; WEB_FIELDS_MAX];
    let mut request = httparse::Request::new(&mut storage);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(Bad::request("the request is cut short")),
        Err(httparse::Error::TooManyHeaders) => return Err(Bad::new(431, "the request has too many fields")),
        Err(_) => return Err(Bad::request("the request is malformed")),
    }
    let is_1_1 = request.version == Some(1);
    let name = request.method.unwrap_or_default();
    let method = Method::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, method)| method);
    let method = method.ok_or(Bad::new(501, "the method is unknown"))?;
    let target = Target::read(request.path.unwrap_or_default())?;
    let fields = fields(request.headers)?;
    let fields = Fields(&fields);
    let framing = framing(fields, is_1_1)?;
    let host = fields.one("host")?.ok_or(Bad::request("the request names no host"))?.to_ascii_lowercase();
    if host.is_empty() || host.contains([',', ' ', '/', '@']) {
        return Err(Bad::request("the request's host is malformed"));
    }
    let waits_for_leave = match fields.one("expect")? {
        None => false,
        Some(expected) if expected.eq_ignore_ascii_case("100-continue") => is_1_1 && framing != Framing::None,
        Some(_) => return Err(Bad::new(417, "what the request expects is unknown")),
    };
    let keep_alive = is_1_1 && !fields.listed("connection", "close");
    Ok(Head { method, target, framing, host, keep_alive, waits_for_leave, fields: fields.0.to_vec() })
}

fn fields(headers: &[httparse::Header<'_>]) -> Result<Vec<(String, String)>, Bad> {
    let read = |header: &httparse::Header<'_>| {
        let value = std::str::from_utf8(header.value).ok()?;
        let is_shown = !value.chars().any(|c| c.is_control() && c != '\t');
        is_shown.then(|| (header.name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    headers.iter().map(read).collect::<Option<_>>().ok_or(Bad::request("a field is no text"))
}

#[derive(Clone, Copy)]
struct Fields<'a>(&'a [(String, String)]);

impl<'a> Fields<'a> {
    fn all(self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The field that may stand once.
    fn one(self, name: &'static str) -> Result<Option<&'a str>, Bad> {
        let mut found = self.all(name);
        let first = found.next();
        if found.next().is_some() { Err(Bad::request("a field that may stand once stands twice")) } else { Ok(first) }
    }

    /// Whether a word is in the list of such fields.
    fn listed(self, name: &'static str, word: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    }
}

fn framing(fields: Fields<'_>, is_1_1: bool) -> Result<Framing, Bad> {
    let length = fields.one("content-length")?;
    match fields.one("transfer-encoding")? {
        Some(_) if length.is_some() => Err(Bad::request("the body's length is said in two ways")),
        Some(_) if !is_1_1 => Err(Bad::request("HTTP/1.0 knows no transfer encoding")),
        Some(codings) => coded(codings).map(|()| Framing::Chunked),
        None => length.map_or(Ok(Framing::None), |length| match self::length(length)? {
            0 => Ok(Framing::None),
            length => Ok(Framing::Length(length)),
        }),
    }
}

/// Whether a body in these codings is chunks and nothing else. What does not end in chunks has no end that is sure (RFC
/// 9112 section 6.3), and twice in chunks is nothing (section 7.1); what is within the chunks may be unknown (6.1).
fn coded(codings: &str) -> Result<(), Bad> {
    let is_chunked = |coding: &str| coding.trim().eq_ignore_ascii_case("chunked");
    let (others, last) = codings.rsplit_once(',').map_or((None, codings), |(others, last)| (Some(others), last));
    match others {
        _ if !is_chunked(last) => Err(Bad::request("the body does not end in chunks, so that nobody knows its end")),
        None => Ok(()),
        Some(others) if others.split(',').any(|coding| is_chunked(coding) || coding.trim().is_empty()) => {
            Err(Bad::request("the transfer encoding is malformed"))
        }
        Some(_) => Err(Bad::new(501, "the transfer encoding is unknown, expected chunked")),
    }
}

fn length(text: &str) -> Result<usize, Bad> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Bad::request("the body's length is no number"));
    }
    let length = text.parse().unwrap_or(usize::MAX);
    if length > WEB_BODY_BYTES_MAX { Err(Bad::new(413, "the body is too large")) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(text: &str) -> Result<Option<Head>, Bad> {
        take_head(&mut text.as_bytes().to_vec(), &mut 0)
    }

    fn status(text: &str) -> u16 {
        taken(text).map_or_else(|bad| bad.status, |head| u16::from(head.is_some()))
    }

    #[test]
    fn head_that_comes_byte_by_byte_is_taken_once_it_is_whole() {
        let text = b"POST /a?b=c HTTP/1.1\r\nHost: A:1\r\nContent-Length: 3\r\n\r\nxyz";
        let (mut bytes, mut seen) = (Vec::new(), 0);
        let mut head = None;
        for byte in text {
            bytes.push(*byte);
            if head.is_none() {
                head = take_head(&mut bytes, &mut seen).unwrap();
            }
        }
        let head = head.unwrap();
        assert_eq!((head.method, head.framing, head.host.as_str()), (Method::Post, Framing::Length(3), "a:1"));
        assert!(head.keep_alive && !head.waits_for_leave);
        assert_eq!(bytes, b"xyz");
    }

    #[test]
    fn ambiguous_request_is_refused() {
        let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let cases = [
            (get("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400),
            (get("Content-Length: 1\r\nContent-Length: 1\r\n"), 400),
            (get("Content-Length: 1, 1\r\n"), 400),
            (get("Content-Length: +1\r\n"), 400),
            (get("Content-Length: 0x1\r\n"), 400),
            (get("Content-Length:\r\n"), 400),
            (get("Transfer-Encoding: xchunked\r\n"), 400),
            (get("Transfer-Encoding: chunked, identity\r\n"), 400),
            (get("Transfer-Encoding: chunked;a=b\r\n"), 400),
            (get("Transfer-Encoding: chunked,\r\n"), 400),
            (get("Transfer-Encoding: , chunked\r\n"), 400),
            (get("Transfer-Encoding: chunked, chunked\r\n"), 400),
            (get("Transfer-Encoding:\r\n"), 400),
            (get("Transfer-Encoding: gzip, chunked\r\n"), 501),
            (get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
            (get("Transfer-Encoding : chunked\r\n"), 400),
            (get("A: b\r\n c\r\n"), 400),
            (get("A: b\n"), 400),
            (get("A: b\rc\r\n"), 400),
            (get("A: b\0\r\n"), 400),
            (get("A\r\n"), 400),
            (get("Host: b\r\n"), 400),
            (get("Expect: 200-ok\r\n"), 417),
            (String::from("GET / HTTP/1.1\r\n\r\n"), 400),
            (String::from("GET / HTTP/1.1\nHost: a\n\n"), 400),
            (String::from("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400),
            (String::from("GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
            (String::from("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 400),
            (String::from("GET /\r\nHost: a\r\n\r\n"), 400),
            (String::from("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400),
            (String::from("BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), 501),
            (String::from("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400),
            (String::from("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), 400),
            (String::from("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400),
        ];
        for (text, expected) in cases {
            assert_eq!(status(&text), expected, "{text:?}");
        }
        assert_eq!(status(&get("Transfer-Encoding: Chunked\r\n")), 1);
    }

    #[test]
    fn head_too_large_in_any_way_is_refused_before_its_end() {
        let long = "x".repeat(WEB_TARGET_BYTES_MAX + 8);
        assert_eq!(status(&format!("GET /{long}")), 414);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}", long.repeat(3))), 431);
        let many = "A: b\r\n".repeat(WEB_FIELDS_MAX + 1);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{many}\r\n")), 431);
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", u64::MAX);
        assert_eq!(status(&text), 413);
    }

    #[test]
    fn connection_stays_as_the_version_and_the_client_want() {
        let keeps = |version: &str, field: &str| {
            taken(&format!("GET / HTTP/{version}\r\nHost: a\r\n{field}\r\n")).unwrap().unwrap().keep_alive
        };
        assert!(keeps("1.1", ""));
        assert!(!keeps("1.1", "Connection: x, Close\r\n"));
        assert!(!keeps("1.0", "Connection: keep-alive\r\n"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_awaited_but_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = take_head(&mut bytes.clone(), &mut 0);
            let mut bytes = [b"GET / HTTP/1.1\r\nHost: a\r\n", bytes.as_slice(), b"\r\n\r\n"].concat();
            let _ = take_head(&mut bytes, &mut 0);
        }
    }
}
