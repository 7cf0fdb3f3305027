//! What clients ask for and hosts answer. Both sides of the load take it from here, so that every byte can be compared.

use std::sync::OnceLock;

/// A connection for one request; the host closes after its answer.
pub(crate) const SHORT: &[u8] = b"GET /short HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n";
/// A request on a connection that stays.
pub(crate) const KEPT: &[u8] = b"GET /kept HTTP/1.1\r\nHost: bench.test\r\n\r\n";
/// A request for [`PAGE_BYTES`] bytes of the pattern, without a header, on a connection that stays.
pub(crate) const PAGE: &[u8] = b"GET /page HTTP/1.1\r\nHost: bench.test\r\n\r\n";
/// A request for [`BULK_BYTES`] bytes of the pattern, without a header, on a connection that stays.
pub(crate) const BULK: &[u8] = b"GET /bulk HTTP/1.1\r\nHost: bench.test\r\n\r\n";
/// A request that [`BULK_BYTES`] bytes of the pattern follow; when all were right, the answer is [`KEPT_ANSWER`].
pub(crate) const UPLOAD: &[u8] = b"PUT /bulk HTTP/1.1\r\nHost: bench.test\r\n\r\n";
/// What ends each request.
pub(crate) const REQUEST_END: &[u8] = b"\r\n\r\n";

/// The answer to [`SHORT`]: 200 bytes.
pub(crate) const SHORT_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\n\
Content-Length: 100\r\nConnection: close\r\n\r\n\
This answer is as long as a small page of a status service, and the host closes its side after that.";
/// The answer to [`KEPT`]: 64 bytes.
pub(crate) const KEPT_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\nsixty-four bytes in total";
/// Bytes of the answer to [`PAGE`].
pub(crate) const PAGE_BYTES: usize = 16 << 10;
/// Bytes of one answer to [`BULK`], and of one upload.
pub(crate) const BULK_BYTES: usize = 32 << 20;

const _: () = assert!(SHORT_ANSWER.len() == 200);
const _: () = assert!(KEPT_ANSWER.len() == 64);

/// The pattern repeats after this many bytes: a prime, so that no buffer size of a balancer is a multiple of it and a
/// buffer that is lost, doubled or swapped shows.
const PERIOD: usize = 65_521;
/// Bytes that [`pattern`] can hand out from any position.
pub(crate) const PATTERN_RUN: usize = 256 << 10;

/// Bytes of the pattern from position `at` of an answer on; at least [`PATTERN_RUN`] of them.
pub(crate) fn pattern(at: usize) -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    let whole = PATTERN.get_or_init(|| {
        let mut state: u32 = 0x9E37_79B9;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_be_bytes()[0]
        };
        let period: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
        period.iter().copied().cycle().take(PERIOD + PATTERN_RUN).collect()
    });
    &whole[at % PERIOD..]
}
