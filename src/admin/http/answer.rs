//! Answers, and the fields that stand on every one of them.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::http_date;

/// What a page may load, and who may show it: nothing from elsewhere, no text that becomes a program, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The bytes of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Of the program.
    Static(&'static [u8]),
    /// Made for this answer.
    Owned(Vec<u8>),
    /// Made for several.
    Shared(Arc<[u8]>),
}

impl Content {
    /// As bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// An answer to a request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    fields: Vec<(&'static str, Cow<'static, str>)>,
    content: Content,
    /// It is followed by what happens, until the connection ends.
    endless: bool,
}

impl Answer {
    /// An answer without content.
    pub(crate) const fn empty(status: u16) -> Self {
        Self { status, fields: Vec::new(), content: Content::Static(b""), endless: false }
    }

    /// Text of that type.
    pub(crate) fn new(status: u16, kind: &'static str, content: Content) -> Self {
        Self { content, ..Self::empty(status) }.with("Content-Type", kind)
    }

    /// Plain text.
    pub(crate) fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", Content::Owned(text.into().into_bytes()))
    }

    /// A configuration.
    pub(crate) fn xml(text: String) -> Self {
        Self::new(200, "application/xml; charset=utf-8", Content::Owned(text.into_bytes()))
    }

    /// JSON, with a line end for those who read it in a terminal.
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", Content::Owned(format!("{value}\n").into_bytes()))
    }

    /// Events until the connection ends.
    pub(crate) fn endless(kind: &'static str) -> Self {
        Self { endless: true, ..Self::empty(200) }.with("Content-Type", kind)
    }

    /// To another path, which has to be written as in a URL.
    pub(crate) fn redirect(status: u16, to: impl Into<String>) -> Self {
        Self::empty(status).with("Location", to.into())
    }

    /// With one more field. What could end its line is left out.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        let value = value.into();
        let is_line = !value.contains(|c: char| c.is_control());
        let value = if is_line { value } else { value.chars().filter(|c| !c.is_control()).collect() };
        self.fields.push((name, value));
        self
    }

    /// With this content instead.
    #[must_use]
    pub(crate) fn containing(self, text: &'static str) -> Self {
        Self { content: Content::Static(text.as_bytes()), ..self }.with("Content-Type", "text/plain; charset=utf-8")
    }

    /// The field of this name.
    #[cfg(test)]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    /// The content.
    #[cfg(test)]
    pub(crate) fn content(&self) -> &[u8] {
        self.content.bytes()
    }

    /// Its head and its content, which a `HEAD` request does not get.
    pub(crate) fn written(self, keep_alive: bool, without_content: bool) -> (Vec<u8>, Option<Content>) {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let mut field = |name: &str, value: &str| {
            // Writing to a string does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        };
        field("Date", &http_date(SystemTime::now()));
        if !self.endless && self.status != 204 && self.status != 304 {
            field("Content-Length", &self.content.bytes().len().to_string());
        }
        field("Connection", if keep_alive && !self.endless { "keep-alive" } else { "close" });
        if !self.fields.iter().any(|(name, _)| *name == "Cache-Control") {
            field("Cache-Control", "no-store");
        }
        for (name, value) in [
            ("Content-Security-Policy", POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Embedder-Policy", "require-corp"),
            ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
        ] {
            field(name, value);
        }
        for (name, value) in &self.fields {
            field(name, value);
        }
        head.push_str("\r\n");
        let bare = without_content || self.status == 204 || self.status == 304 || self.content.bytes().is_empty();
        (head.into_bytes(), (!bare).then_some(self.content))
    }
}

/// The words of RFC 9110 section 15.
const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_of(answer: Answer) -> String {
        String::from_utf8(answer.written(true, false).0).unwrap()
    }

    #[test]
    fn every_answer_has_the_fields_that_protect_browsers() {
        for answer in [Answer::empty(204), Answer::text(200, "a"), Answer::redirect(302, "/"), Answer::endless("a/b")] {
            let head = head_of(answer);
            for field in [
                "\r\nContent-Security-Policy: default-src 'none'; script-src 'self';",
                "\r\nX-Content-Type-Options: nosniff\r\n",
                "\r\nX-Frame-Options: DENY\r\n",
                "\r\nReferrer-Policy: same-origin\r\n",
                "\r\nCache-Control: no-store\r\n",
                "\r\nCross-Origin-Resource-Policy: same-origin\r\n",
            ] {
                assert!(head.contains(field), "{field}: {head}");
            }
        }
    }

    #[test]
    fn answer_has_a_length_or_ends_with_the_connection() {
        assert!(head_of(Answer::text(200, "abc")).contains("\r\nContent-Length: 3\r\n"));
        assert!(head_of(Answer::redirect(302, "/")).contains("\r\nContent-Length: 0\r\n"));
        let endless = head_of(Answer::endless("a/b"));
        assert!(!endless.contains("Content-Length") && endless.contains("\r\nConnection: close\r\n"));
        let (head, content) = Answer::text(200, "abc").written(true, true);
        assert!(String::from_utf8(head).unwrap().contains("Content-Length: 3") && content.is_none());
    }

    #[test]
    fn line_end_in_a_field_splits_no_answer() {
        let head = head_of(Answer::redirect(302, "/\r\nX: y"));
        assert!(head.contains("\r\nLocation: /X: y\r\n"), "{head}");
    }

    #[test]
    fn every_status_that_is_used_has_its_words() {
        for status in [200, 201, 204, 302, 303, 304, 400, 401, 403, 404, 405, 408, 409, 413, 421, 429, 431, 503] {
            assert_ne!(reason(status), "Unknown", "{status}");
        }
    }
}
