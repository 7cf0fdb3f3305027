//! Many datagrams in one call, received into memory that is allocated once and sent from there.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::header::{Control, Name, beside, write_beside};
use crate::model::limits::{DATAGRAM_BATCH, DATAGRAM_BYTES_MAX, SEGMENTS_MAX};

/// The place of what comes back as not having arrived; see [`Batch::take_unreached`].
pub const SPARE: usize = DATAGRAM_BATCH;
const PLACES: usize = DATAGRAM_BATCH + 1;
/// Bytes of a place: any datagram, and then some, or the first bytes of all places would compete for the same lines of
/// the processor's cache.
const PLACE_BYTES: usize = 17 * 4096 + 64;
/// Messages of one call, and pieces of memory that they are put together from.
const MESSAGES: usize = 64;
/// Most bytes of a message that the kernel is to cut: what fits a datagram over IPv4.
const WHOLE_BYTES_MAX: usize = 65_507;
/// Times that a message is offered again because the socket told of another one's failure first.
const TRIES: usize = 4;

const _: () = assert!(DATAGRAM_BYTES_MAX < PLACE_BYTES && DATAGRAM_BATCH <= MESSAGES);

/// A datagram that was received, or several of one size, put together by the kernel (`UDP_GRO`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who sent it.
    pub peer: SocketAddr,
    /// The address of this machine that it was sent to, if the socket is bound to all of them.
    pub local: Option<IpAddr>,
    /// Its bytes.
    pub len: usize,
    /// The size of each datagram in it, the last of which may be smaller.
    pub segment: usize,
    /// It was larger than a datagram can be: something of it is missing.
    pub is_cut: bool,
}

impl Received {
    const NONE: Self = Self {
        peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        local: None,
        len: 0,
        segment: 0,
        is_cut: false,
    };

    /// How many datagrams it is.
    #[must_use]
    pub const fn count(&self) -> usize {
        if self.len == 0 { 1 } else { self.len.div_ceil(if self.segment == 0 { self.len } else { self.segment }) }
    }
}

/// What is to be sent: what was received into a place.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    /// The place.
    pub place: usize,
    /// Where to.
    pub to: SocketAddr,
    /// The address to send from; none: the socket's, or as the routes say.
    pub from: Option<IpAddr>,
}

/// That a datagram did not arrive.
#[derive(Debug)]
pub struct Unreached {
    /// Where it was sent to.
    pub to: SocketAddr,
    /// Why, as an error of the system.
    pub error: io::Error,
    /// Whether the network said so (ICMP), and not this machine.
    pub by_network: bool,
    /// How many bytes of it the network has sent back, into the place [`SPARE`].
    pub returned: usize,
}

/// Places for datagrams with all that the kernel needs to fill them and to send from them.
pub struct Batch {
    space: Box<[u8]>,
    received: [Received; PLACES],
    names: Box<[Name; MESSAGES]>,
    controls: Box<[Control; MESSAGES]>,
    pieces: Box<[libc::iovec; MESSAGES]>,
    headers: Box<[libc::mmsghdr; MESSAGES]>,
    /// Of each message that is to be sent: what it is put together from, and the size of its segments.
    messages: Vec<Message>,
}

/// A message to be sent: from one or more of what is outgoing, or of one of them a part.
#[derive(Clone, Copy, Debug)]
struct Message {
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

// SAFETY: the pointers in headers and pieces are written anew by every call that has the kernel follow them, and point
// into what the batch owns.
unsafe impl Send for Batch {}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// Places for [`DATAGRAM_BATCH`] datagrams, two megabytes of address space; what is not used stays without memory.
    #[must_use]
    pub fn new() -> Self {
        const PIECE: libc::iovec = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        // SAFETY: integers and pointers, for which zeros are valid.
        let header = unsafe { MaybeUninit::<libc::mmsghdr>::zeroed().assume_init() };
        Self {
            space: vec![0; PLACES * PLACE_BYTES].into_boxed_slice(),
            received: [Received::NONE; PLACES],
            names: Box::new([Name::empty(); MESSAGES]),
            controls: Box::new([Control::EMPTY; MESSAGES]),
            pieces: Box::new([PIECE; MESSAGES]),
            headers: Box::new([header; MESSAGES]),
            messages: Vec::with_capacity(MESSAGES),
        }
    }

    /// What was received into this place, which must be below [`DATAGRAM_BATCH`], or [`SPARE`].
    #[must_use]
    pub const fn received(&self, place: usize) -> Received {
        self.received[place]
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self, place: usize) -> &[u8] {
        &self.space[place * PLACE_BYTES..][..self.received[place].len]
    }

    /// Receives what waits, into the places from `first` on. Returns how many have been filled, and what the socket has
    /// lost so far for lack of room, if it says so.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits; what else recvmmsg(2) answers. `ECONNREFUSED` and its like speak of something that
    /// was sent, see [`Self::take_unreached`]; what waits is received by the next call.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, first: usize) -> io::Result<(usize, Option<u32>)> {
        let count = DATAGRAM_BATCH - first;
        for message in 0..count {
            self.aim(message, first + message);
        }
        // SAFETY: `count` headers are valid: each points to a name, a piece and a control of its own, which are owned by
        // this batch, writable for the lengths that are said, and outlive the call.
        let filled = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                libc::c_uint::try_from(count).unwrap_or(0),
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let Ok(filled) = usize::try_from(filled) else { return Err(io::Error::last_os_error()) };
        let mut lost = None;
        for message in 0..filled {
            let beside = self.note(message, first + message);
            lost = beside.lost.or(lost);
        }
        Ok((filled, lost))
    }

    /// The next datagram that did not arrive (`IP_RECVERR`). What the network sent back of it is in the place [`SPARE`].
    ///
    /// # Errors
    /// What recvmsg(2) answers.
    pub fn take_unreached(&mut self, socket: BorrowedFd<'_>) -> io::Result<Option<Unreached>> {
        self.aim(0, SPARE);
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        // SAFETY: as for `receive`, with one header.
        let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut self.headers[0].msg_hdr, flags) };
        if len < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
        }
        self.headers[0].msg_len = libc::c_uint::try_from(len).unwrap_or(0);
        let Some((errno, origin)) = self.note(0, SPARE).error else { return Ok(None) };
        let Received { peer, len, is_cut, .. } = self.received[SPARE];
        self.received[SPARE].segment = len;
        Ok(Some(Unreached {
            to: peer,
            error: io::Error::from_raw_os_error(errno),
            by_network: matches!(origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6),
            returned: if is_cut { 0 } else { len },
        }))
    }

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

    /// Has this header receive into this place.
    fn aim(&mut self, number: usize, place: usize) {
        self.pieces[number] = self.piece(place, 0, PLACE_BYTES);
        let name = &mut self.names[number];
        let header = &mut self.headers[number].msg_hdr;
        header.msg_name = (&raw mut name.storage).cast();
        header.msg_namelen = Name::empty().len;
        header.msg_iov = &raw mut self.pieces[number];
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut self.controls[number].0).cast();
        header.msg_controllen = size_of::<Control>();
        header.msg_flags = 0;
    }

    /// Takes note of what this header has received into this place.
    fn note(&mut self, number: usize, place: usize) -> super::header::Beside {
        let libc::mmsghdr { msg_hdr: header, msg_len } = &self.headers[number];
        let beside = beside(header);
        let len = (*msg_len as usize).min(PLACE_BYTES);
        self.received[place] = Received {
            peer: self.names[number].get().unwrap_or(Received::NONE.peer),
            local: beside.local,
            len,
            segment: beside.segment.map_or(len, usize::from),
            is_cut: header.msg_flags & libc::MSG_TRUNC != 0,
        };
        beside
    }

    fn piece(&mut self, place: usize, offset: usize, bytes: usize) -> libc::iovec {
        let piece = &mut self.space[place * PLACE_BYTES..][..PLACE_BYTES][offset..offset + bytes];
        libc::iovec { iov_base: piece.as_mut_ptr().cast(), iov_len: bytes }
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
