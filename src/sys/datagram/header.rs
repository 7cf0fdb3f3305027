//! Addresses and ancillary data of messages, as the kernel lays them out; see cmsg(3), ip(7), ipv6(7) and udp(7).

use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

use super::UDP_GRO;

/// The kernel's name for the size of the parts that it is to cut a message into; see udp(7).
const UDP_SEGMENT: libc::c_int = 103;

/// Room for ancillary data: where a datagram was sent to (40 bytes at most), its segments' size and the losses (24
/// each), or of an error the 16 bytes of it with two addresses.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; 128]);

impl Control {
    pub(super) const EMPTY: Self = Self([0; 128]);
}

/// Room for an address.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) storage: libc::sockaddr_storage,
    pub(super) len: libc::socklen_t,
}

impl Name {
    pub(super) fn empty() -> Self {
        // SAFETY: all of it is integers, for which zeros are valid.
        let storage = unsafe { MaybeUninit::<libc::sockaddr_storage>::zeroed().assume_init() };
        Self { storage, len: length::<libc::sockaddr_storage>() }
    }

    pub(super) fn set(&mut self, addr: SocketAddr) {
        match addr {
            SocketAddr::V4(v4) => {
                let raw = libc::sockaddr_in {
                    sin_family: family(libc::AF_INET),
                    sin_port: v4.port().to_be(),
                    sin_addr: in_addr(*v4.ip()),
                    sin_zero: [0; 8],
                };
                // SAFETY: the storage is large enough and aligned for every kind of address.
                unsafe { (&raw mut self.storage).cast::<libc::sockaddr_in>().write(raw) };
                self.len = length::<libc::sockaddr_in>();
            }
            SocketAddr::V6(v6) => {
                let raw = libc::sockaddr_in6 {
                    sin6_family: family(libc::AF_INET6),
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                    sin6_scope_id: v6.scope_id(),
                };
                // SAFETY: as above.
                unsafe { (&raw mut self.storage).cast::<libc::sockaddr_in6>().write(raw) };
                self.len = length::<libc::sockaddr_in6>();
            }
        }
    }

    /// The address, if it is one of IP. Without what IPv6 calls flow information, which is not part of where it is.
    pub(super) fn get(&self) -> Option<SocketAddr> {
        match i32::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the storage is initialised, and of the kind that its family says.
                let raw = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from_bits(u32::from_be(raw.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let raw = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, u16::from_be(raw.sin6_port), 0, raw.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// What came beside a datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside {
    /// The address of this machine that it was sent to.
    pub(super) local: Option<IpAddr>,
    /// The size of the datagrams that it was put together from.
    pub(super) segment: Option<u16>,
    /// What the socket has lost so far for lack of room, modulo 2^32.
    pub(super) lost: Option<u32>,
    /// Of an error: its number, and who found it (`SO_EE_ORIGIN_…`).
    pub(super) error: Option<(i32, u8)>,
}

/// Reads what came beside a message.
pub(super) fn beside(header: &libc::msghdr) -> Beside {
    let mut found = Beside::default();
    // SAFETY: the header's control points to as many initialised bytes as it says, aligned for cmsghdr, which the kernel
    // has filled with whole messages; the macros stay within it.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: not null, so within the control and whole.
        let (level, kind, data) = unsafe { ((*next).cmsg_level, (*next).cmsg_type, libc::CMSG_DATA(next)) };
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: the kernel wrote one of these there; it may lie unaligned.
                let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                found.local = Some(Ipv4Addr::from_bits(u32::from_be(info.ipi_spec_dst.s_addr)).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: as above.
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                // Nothing can be sent from the address of a group.
                found.local = Some(ip).filter(|ip| !ip.is_multicast()).map(IpAddr::V6);
            }
            (libc::IPPROTO_UDP, UDP_GRO) => {
                // SAFETY: as above.
                let size = unsafe { data.cast::<libc::c_int>().read_unaligned() };
                found.segment = u16::try_from(size).ok().filter(|size| *size > 0);
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                // SAFETY: as above.
                found.lost = Some(unsafe { data.cast::<u32>().read_unaligned() });
            }
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                // SAFETY: as above.
                let error = unsafe { data.cast::<libc::sock_extended_err>().read_unaligned() };
                found.error = Some((i32::try_from(error.ee_errno).unwrap_or(libc::EIO), error.ee_origin));
            }
            _ => {}
        }
        // SAFETY: as for the first.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
    found
}

/// Writes what is to go beside a message: the address to send from and the size of its segments. Returns how many bytes
/// that takes.
pub(super) fn write_beside(control: &mut Control, from: Option<IpAddr>, segment: Option<u16>) -> usize {
    let mut used = 0;
    match from {
        Some(IpAddr::V4(ip)) => {
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: in_addr(ip), ipi_addr: in_addr(ip) };
            used = push(control, used, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        Some(IpAddr::V6(ip)) => {
            let addr = libc::in6_addr { s6_addr: ip.octets() };
            let info = libc::in6_pktinfo { ipi6_addr: addr, ipi6_ifindex: 0 };
            used = push(control, used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
        None => {}
    }
    if let Some(segment) = segment {
        used = push(control, used, libc::IPPROTO_UDP, UDP_SEGMENT, segment);
    }
    used
}

fn push<T>(control: &mut Control, at: usize, level: libc::c_int, kind: libc::c_int, value: T) -> usize {
    let size = libc::c_uint::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: pure arithmetic.
    let (space, len) = unsafe { (libc::CMSG_SPACE(size) as usize, libc::CMSG_LEN(size) as usize) };
    assert!(at + space <= control.0.len(), "there is room for both");
    let head = libc::cmsghdr { cmsg_len: len, cmsg_level: level, cmsg_type: kind };
    let start = control.0[at..].as_mut_ptr();
    // SAFETY: `space` bytes from `start` are within the control; head and data are written unaligned, each within it.
    unsafe {
        ptr::write_unaligned(start.cast(), head);
        ptr::write_unaligned(libc::CMSG_DATA(start.cast()).cast(), value);
    }
    at + space
}

fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: ip.to_bits().to_be() }
}

fn family(family: libc::c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(family).unwrap_or(0)
}

fn length<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}
