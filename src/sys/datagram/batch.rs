//! Many datagrams in one call, received into memory that is allocated once and sent from there.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::header::{Control, Name, beside};
use super::send::Message;
use crate::model::limits::{DATAGRAM_BATCH, DATAGRAM_BYTES_MAX};

/// The place of what comes back as not having arrived; see [`Batch::take_unreached`].
pub const SPARE: usize = DATAGRAM_BATCH;
const PLACES: usize = DATAGRAM_BATCH + 1;
/// Bytes of a place: any datagram, and then some, or the first bytes of all places would compete for the same lines of
/// the processor's cache.
const PLACE_BYTES: usize = 17 * 4096 + 64;
/// Messages of one call, and pieces of memory that they are put together from.
pub(super) const MESSAGES: usize = 64;

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
    pub(super) received: [Received; PLACES],
    pub(super) names: Box<[Name; MESSAGES]>,
    pub(super) controls: Box<[Control; MESSAGES]>,
    pub(super) pieces: Box<[libc::iovec; MESSAGES]>,
    pub(super) headers: Box<[libc::mmsghdr; MESSAGES]>,
    /// Of each message that is to be sent: what it is put together from, and the size of its segments.
    pub(super) messages: Vec<Message>,
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

    pub(super) fn piece(&mut self, place: usize, offset: usize, bytes: usize) -> libc::iovec {
        let piece = &mut self.space[place * PLACE_BYTES..][..PLACE_BYTES][offset..offset + bytes];
        libc::iovec { iov_base: piece.as_mut_ptr().cast(), iov_len: bytes }
    }
}
