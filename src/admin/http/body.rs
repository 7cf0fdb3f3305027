//! The body: taken off the connection's bytes until its end, which is where its framing says and nowhere else.

use super::{Bad, Framing};

/// Longest line that says a chunk's size, in bytes: sixteen digits and its end.
const SIZE_LINE_BYTES_MAX: usize = 18;

/// A body on its way.
#[derive(Debug)]
pub(crate) struct Body {
    taken: Vec<u8>,
    most: usize,
    rest: Rest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// So many bytes to the end.
    Bytes(usize),
    /// A line with a size is next.
    Size,
    /// So many bytes to the end of the chunk, and its line end.
    Chunk(usize),
    /// The empty line after the last chunk.
    End,
}

/// Whether it has come to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More has to come.
    More,
    /// This is all of it.
    Whole(Vec<u8>),
}

impl Body {
    /// A body with this framing of which `most` bytes are taken.
    ///
    /// # Errors
    /// It says to be longer.
    pub(crate) fn new(framing: Framing, most: usize) -> Result<Self, Bad> {
        let rest = match framing {
            Framing::None => Rest::Bytes(0),
            Framing::Length(length) if length > most => return Err(Bad::new(413, "the body is too large")),
            Framing::Length(length) => Rest::Bytes(length),
            Framing::Chunked => Rest::Size,
        };
        Ok(Self { taken: Vec::new(), most, rest })
    }

    /// Bytes that have come so far.
    pub(crate) const fn held(&self) -> usize {
        self.taken.len()
    }

    /// Takes what belongs to it off the front of `bytes`.
    ///
    /// # Errors
    /// It is malformed or too large.
    pub(crate) fn take(&mut self, bytes: &mut Vec<u8>) -> Result<Progress, Bad> {
        loop {
            self.rest = match self.rest {
                Rest::Bytes(0) => return Ok(Progress::Whole(std::mem::take(&mut self.taken))),
                Rest::Bytes(left) if !bytes.is_empty() => Rest::Bytes(left - self.move_from(bytes, left)),
                Rest::Size => match size_line(bytes)? {
                    None => return Ok(Progress::More),
                    Some(0) => Rest::End,
                    Some(size) if self.taken.len().saturating_add(size) > self.most => {
                        return Err(Bad::new(413, "the body is too large"));
                    }
                    Some(size) => Rest::Chunk(size),
                },
                Rest::Chunk(0) => match line_end(bytes)? {
                    false => return Ok(Progress::More),
                    true => Rest::Size,
                },
                Rest::Chunk(left) if !bytes.is_empty() => Rest::Chunk(left - self.move_from(bytes, left)),
                Rest::End => match line_end(bytes)? {
                    false => return Ok(Progress::More),
                    true => Rest::Bytes(0),
                },
                Rest::Bytes(_) | Rest::Chunk(_) => return Ok(Progress::More),
            };
        }
    }

    fn move_from(&mut self, bytes: &mut Vec<u8>, most: usize) -> usize {
        let count = bytes.len().min(most);
        self.taken.extend(bytes.drain(..count));
        count
    }
}

/// The size of the next chunk, in hexadecimal, alone on its line.
fn size_line(bytes: &mut Vec<u8>) -> Result<Option<usize>, Bad> {
    const BAD: Bad = Bad::request("a chunk's size is malformed");
    let Some(end) = bytes.iter().take(SIZE_LINE_BYTES_MAX).position(|byte| *byte == b'\n') else {
        return if bytes.len() < SIZE_LINE_BYTES_MAX { Ok(None) } else { Err(BAD) };
    };
    let line: Vec<u8> = bytes.drain(..=end).collect();
    let digits = line.strip_suffix(b"\r\n").ok_or(BAD)?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(BAD);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| BAD)?;
    usize::from_str_radix(digits, 16).map(Some).map_err(|_| BAD)
}

/// Whether a line end was there, and taken.
fn line_end(bytes: &mut Vec<u8>) -> Result<bool, Bad> {
    if bytes.len() < 2 {
        return if b"\r".starts_with(bytes) { Ok(false) } else { Err(Bad::request("a chunk has no end")) };
    }
    if !bytes.starts_with(b"\r\n") {
        return Err(Bad::request("a chunk has another end than its size says"));
    }
    bytes.drain(..2);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `text` in pieces of this size. Returns the body and what was left over.
    fn fed(framing: Framing, text: &[u8], piece: usize, most: usize) -> Result<(Progress, Vec<u8>), Bad> {
        let mut body = Body::new(framing, most)?;
        let mut bytes = Vec::new();
        let mut pieces = text.chunks(piece);
        loop {
            let progress = body.take(&mut bytes)?;
            let whole = progress != Progress::More;
            let next = if whole { None } else { pieces.next() };
            match next {
                Some(next) => bytes.extend_from_slice(next),
                None => {
                    bytes.extend(pieces.flatten());
                    return Ok((progress, bytes));
                }
            }
        }
    }

    #[test]
    fn body_ends_where_its_framing_says_however_it_comes() {
        for piece in 1..12 {
            let whole = fed(Framing::Length(3), b"abcGET", piece, 9).unwrap();
            assert_eq!(whole, (Progress::Whole(b"abc".to_vec()), b"GET".to_vec()), "{piece}");
            let whole = fed(Framing::Chunked, b"2\r\nab\r\n01\r\nc\r\n0\r\n\r\nGET", piece, 9).unwrap();
            assert_eq!(whole, (Progress::Whole(b"abc".to_vec()), b"GET".to_vec()), "{piece}");
        }
        assert_eq!(fed(Framing::None, b"", 1, 0).unwrap().0, Progress::Whole(Vec::new()));
        assert_eq!(fed(Framing::Length(3), b"ab", 1, 9).unwrap().0, Progress::More);
    }

    #[test]
    fn malformed_chunk_is_refused() {
        for text in [
            "x\r\n",
            "\r\n",
            "-1\r\n",
            "+1\r\na",
            "0x1\r\na",
            "1;a=b\r\na\r\n",
            "1 \r\na",
            "1\na\r\n",
            "2\r\nabc\r\n",
            "1\r\nab",
            "0\r\nA: b\r\n\r\n",
            "fffffffffffffffff\r\n",
            "00000000000000000000001\r\n",
            "1\r\na\n\n",
        ] {
            assert_eq!(fed(Framing::Chunked, text.as_bytes(), 64, 9).map_err(|bad| bad.status), Err(400), "{text}");
        }
    }

    #[test]
    fn body_above_its_bound_is_refused_before_it_comes() {
        assert_eq!(Body::new(Framing::Length(10), 9).unwrap_err().status, 413);
        for text in ["a\r\n", "5\r\nabcde\r\n5\r\n", "ffffffffffffffff\r\n"] {
            assert_eq!(fed(Framing::Chunked, text.as_bytes(), 64, 9).unwrap_err().status, 413, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_body_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80), piece in 1_usize..9) {
            if let Ok((Progress::Whole(body), _)) = fed(Framing::Chunked, &bytes, piece, 32) {
                prop_assert!(body.len() <= 32);
            }
        }
    }
}
