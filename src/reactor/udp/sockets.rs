//! The sockets towards hosts, which flows share. Opened when a flow has the first need of one.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use super::Around;
use crate::balancer::flows::{SocketId, Way};
use crate::reactor::token::Meaning;
use crate::sys::{datagram, listener};

/// An open socket.
#[derive(Debug)]
pub(super) struct Towards {
    pub(super) socket: UdpSocket,
    /// What it had lost when it last said so.
    pub(super) lost: u32,
    /// See [`datagram::Batch::send`].
    pub(super) whole_max: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// By way and number.
    open: Vec<Vec<Option<Towards>>>,
    count: u32,
}

impl Sockets {
    pub(super) fn get(&mut self, id: SocketId) -> Option<&mut Towards> {
        self.open.get_mut(id.way as usize)?.get_mut(id.number as usize)?.as_mut()
    }

    /// Opens a socket unless it is.
    ///
    /// # Errors
    /// What the system answers.
    pub(super) fn open(&mut self, around: &Around<'_>, id: SocketId, way: &Way) -> io::Result<()> {
        if self.get(id).is_some() {
            return Ok(());
        }
        if around.gate.is_short() {
            // A client of a connection waits for the next descriptor.
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        let socket = datagram::towards_hosts(way.is_v6, way.source, &way.options)?;
        listener::watch(around.poll, &socket, Meaning::Answers(id).token(), true)?;
        let (way, number) = (id.way as usize, id.number as usize);
        if self.open.len() <= way {
            self.open.resize_with(way + 1, Vec::new);
        }
        let of_way = &mut self.open[way];
        if of_way.len() <= number {
            of_way.resize_with(number + 1, || None);
        }
        of_way[number] = Some(Towards { socket, lost: 0, whole_max: usize::MAX });
        self.count += 1;
        Ok(())
    }

    pub(super) fn close(&mut self, id: SocketId) {
        let entry = self.open.get_mut(id.way as usize).and_then(|of_way| of_way.get_mut(id.number as usize));
        if entry.and_then(Option::take).is_some() {
            self.count -= 1;
        }
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn local_addr(&self, id: SocketId) -> Option<SocketAddr> {
        self.open.get(id.way as usize)?.get(id.number as usize)?.as_ref()?.socket.local_addr().ok()
    }
}
