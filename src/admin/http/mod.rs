//! HTTP/1.1 as the administration page speaks it: bytes in, requests out, answers to bytes. No sockets and no clock.
//!
//! What is ambiguous is refused, so that nobody between a browser and this server can read another request than it
//! does: bare line feeds, folded fields, a length said twice or in two ways, extensions of chunks, more than one host.
//! Every size is bounded. `head` reads request lines and fields, `target` paths and arguments, `body` what follows,
//! `answer` writes.

mod answer;
mod body;
mod date;
mod head;
mod target;

pub(crate) use answer::{Answer, Content};
pub(crate) use body::{Body, Progress};
pub(crate) use date::http_date;
pub(crate) use head::{Framing, Head, Method, take_head};
pub(crate) use target::Arguments;

/// Why a request is not taken: the connection ends with this answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    /// 400, 408, 411, 413, 414, 417, 431, 501, 503 or 505.
    pub(crate) status: u16,
    /// In words.
    pub(crate) why: &'static str,
}

impl Bad {
    const fn new(status: u16, why: &'static str) -> Self {
        Self { status, why }
    }

    /// What is spoken is not what is served.
    pub(crate) const fn plain() -> Self {
        Self::request("this port speaks HTTPS: begin the address with https://")
    }

    /// It took too long.
    pub(crate) const fn late() -> Self {
        Self::new(408, "the request took too long")
    }

    /// There is no room for its body beside those of others.
    pub(crate) const fn full() -> Self {
        Self::new(503, "too much is being sent at this moment; try again")
    }

    const fn request(why: &'static str) -> Self {
        Self::new(400, why)
    }
}
