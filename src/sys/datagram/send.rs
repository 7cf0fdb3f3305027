//! Sending what was received: in one piece what goes to one address in datagrams of one size.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::batch::{Batch, MESSAGES, Outgoing};
use super::header::write_beside;
use crate::model::limits::SEGMENTS_MAX;

/// Most bytes of a message that the kernel is to cut: what fits a datagram over IPv4.
const WHOLE_BYTES_MAX: usize = 65_507;
/// Times that a message is offered again because the socket told of another one's failure first.
const TRIES: usize = 4;

/// A message to be sent: from one or more of what is outgoing, or of one of them a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    /// Of what is outgoing, the first and how many.
    first: usize,
    count: usize,
    /// The first piece, and how many.
    piece: usize,
    pieces: usize,
    bytes: usize,
    segment: usize,
    segments: usize,
    /// Whether the last segment is as large as the others, so that more can follow.
    is_open: bool,
}

impl Batch {
    /// Sends these in their order. What goes to one address in datagrams of one size goes in one piece, which the kernel
    /// cuts (`UDP_SEGMENT`), as long as they are not larger than `whole_max`: that is lowered to what the way out takes.
    /// Each that cannot be sent is told to `failed`, by its number.
    pub fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        outgoing: &[Outgoing],
        whole_max: &mut usize,
        failed: &mut dyn FnMut(usize, &io::Error),
    ) {
        let mut next = 0;
        while next < outgoing.len() {
            let end = self.put_together(outgoing, next, *whole_max);
            if end == next {
                // The kernel had put together what the way out does not take whole.
                self.send_apart(socket, outgoing, (next, 1), failed);
                next += 1;
            } else {
                self.send_whole(socket, outgoing, whole_max, failed);
                next = end;
            }
        }
    }

    /// Makes messages of what is outgoing from `next` on. Returns how far it got.
    fn put_together(&mut self, outgoing: &[Outgoing], mut next: usize, whole_max: usize) -> usize {
        self.messages.clear();
        let mut pieces = 0;
        while let Some(one) = outgoing.get(next)
            && pieces < MESSAGES
        {
            let received = self.received[one.place];
            let (bytes, segments) = (received.len, received.count());
            let segment = if segments > 1 { received.segment } else { bytes };
            if segments > 1 && segment > whole_max {
                break;
            }
            let piece = self.piece(one.place, 0, bytes);
            let before = if next > 0 { outgoing.get(next - 1) } else { None };
            let is_like_before = before.is_some_and(|before| before.to == one.to && before.from == one.from);
            match self.messages.last_mut() {
                Some(last)
                    if is_like_before
                        && last.is_open
                        && bytes > 0
                        && last.segment <= whole_max
                        && (segment == last.segment || (segments == 1 && bytes < last.segment))
                        && last.bytes + bytes <= WHOLE_BYTES_MAX
                        && last.segments + segments <= SEGMENTS_MAX =>
                {
                    last.count += 1;
                    last.pieces += 1;
                    last.bytes += bytes;
                    last.segments += segments;
                    last.is_open = bytes.is_multiple_of(last.segment);
                }
                Some(_) | None => {
                    let is_open = bytes > 0 && bytes.is_multiple_of(segment);
                    self.messages.push(Message {
                        first: next,
                        count: 1,
                        piece: pieces,
                        pieces: 1,
                        bytes,
                        segment,
                        segments,
                        is_open,
                    });
                }
            }
            self.pieces[pieces] = piece;
            pieces += 1;
            next += 1;
        }
        for number in 0..self.messages.len() {
            let message = self.messages[number];
            self.address(number, &outgoing[message.first], message);
        }
        next
    }

    /// Sends the messages that were put together.
    fn send_whole(
        &mut self,
        socket: BorrowedFd<'_>,
        outgoing: &[Outgoing],
        whole_max: &mut usize,
        failed: &mut dyn FnMut(usize, &io::Error),
    ) {
        let count = self.messages.len();
        let (mut done, mut tries) = (0, 0);
        while done < count {
            match self.send_headers(socket, done, count) {
                Ok(sent) => (done, tries) = (done + sent, 0),
                Err(error) => {
                    tries += 1;
                    if is_passing(&error) && tries < TRIES {
                        continue;
                    }
                    let Message { first, count: many, segment, segments, .. } = self.messages[done];
                    if segments > 1 && is_about_segments(&error) {
                        *whole_max = (*whole_max).min(segment - 1);
                        // It needs the headers, and these messages' are made anew.
                        self.send_apart(socket, outgoing, (first, many), failed);
                        let rest = first + many;
                        return if rest < self.end() {
                            self.send_rest(socket, outgoing, rest, whole_max, failed)
                        };
                    }
                    (first..first + many).for_each(|number| failed(number, &error));
                    (done, tries) = (done + 1, 0);
                }
            }
        }
    }

    /// What is outgoing behind the last message.
    fn end(&self) -> usize {
        self.messages.last().map_or(0, |last| last.first + last.count)
    }

    fn send_rest(
        &mut self,
        socket: BorrowedFd<'_>,
        outgoing: &[Outgoing],
        from: usize,
        whole_max: &mut usize,
        failed: &mut dyn FnMut(usize, &io::Error),
    ) {
        let end = self.end();
        // Numbers are counted from the whole's beginning.
        self.send(socket, &outgoing[from..end], whole_max, &mut |number, error| failed(from + number, error));
    }

    /// Sends each datagram of so many outgoing ones by itself.
    fn send_apart(
        &mut self,
        socket: BorrowedFd<'_>,
        outgoing: &[Outgoing],
        (first, many): (usize, usize),
        failed: &mut dyn FnMut(usize, &io::Error),
    ) {
        for (number, one) in outgoing.iter().enumerate().skip(first).take(many) {
            let received = self.received[one.place];
            let size = if received.segment == 0 { received.len } else { received.segment };
            let mut offset = 0;
            loop {
                let bytes = (received.len - offset).min(size);
                self.pieces[0] = self.piece(one.place, offset, bytes);
                let message = Message {
                    first: number,
                    count: 1,
                    piece: 0,
                    pieces: 1,
                    bytes,
                    segment: bytes,
                    segments: 1,
                    is_open: false,
                };
                self.address(0, one, message);
                let mut result = self.send_headers(socket, 0, 1);
                for _ in 1..TRIES {
                    if !result.as_ref().is_err_and(is_passing) {
                        break;
                    }
                    result = self.send_headers(socket, 0, 1);
                }
                if let Err(error) = result {
                    failed(number, &error);
                    break;
                }
                offset += bytes;
                if offset >= received.len {
                    break;
                }
            }
        }
    }

    /// Hands the headers from `done` to `count` to the kernel. Returns how many it has taken, one at least.
    fn send_headers(&mut self, socket: BorrowedFd<'_>, done: usize, count: usize) -> io::Result<usize> {
        let headers = &mut self.headers[done..count];
        // SAFETY: these headers are valid: each points to a name, pieces and a control, which are owned by this batch,
        // readable for the lengths that are said, and outlive the call.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                libc::c_uint::try_from(headers.len()).unwrap_or(0),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Has this header send this message.
    fn address(&mut self, number: usize, one: &Outgoing, message: Message) {
        self.names[number].set(one.to);
        let segment = if message.segments > 1 { u16::try_from(message.segment).ok() } else { None };
        let used = write_beside(&mut self.controls[number], one.from, segment);
        let header = &mut self.headers[number].msg_hdr;
        header.msg_name = (&raw mut self.names[number].storage).cast();
        header.msg_namelen = self.names[number].len;
        header.msg_iov = &raw mut self.pieces[message.piece];
        header.msg_iovlen = message.pieces;
        header.msg_control = if used == 0 { ptr::null_mut() } else { (&raw mut self.controls[number].0).cast() };
        header.msg_controllen = used;
        header.msg_flags = 0;
    }
}

/// Whether a socket tells of something else than what was to be sent, or was disturbed: a next try gets its own answer.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EINTR
        )
    )
}

/// Whether it may be the segments that the way out does not take: they are larger than what goes in one packet there, or
/// checksums are not its own to make.
fn is_about_segments(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EMSGSIZE | libc::EIO | libc::EOPNOTSUPP))
}
