//! The sockets towards hosts, which flows share. Opened when a flow has the first need of one.

use std::collections::HashMap;
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
    open: HashMap<SocketId, Towards>,
}

impl Sockets {
    pub(super) fn get(&mut self, id: SocketId) -> Option<&mut Towards> {
        self.open.get_mut(&id)
    }

    /// Opens a socket unless it is.
    ///
    /// # Errors
    /// What the system answers.
    pub(super) fn open(&mut self, around: &Around<'_>, id: SocketId, way: &Way) -> io::Result<()> {
        if self.open.contains_key(&id) {
            return Ok(());
        }
        if around.gate.is_short() {
            // A client of a connection waits for the next descriptor.
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        let socket = datagram::towards_hosts(way.is_v6, way.source, &way.options)?;
        listener::watch(around.poll, &socket, Meaning::Answers(id).token(), true)?;
        self.open.insert(id, Towards { socket, lost: 0, whole_max: usize::MAX });
        Ok(())
    }

    pub(super) fn close(&mut self, id: SocketId) {
        self.open.remove(&id);
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.open.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn local_addr(&self, id: SocketId) -> Option<SocketAddr> {
        self.open.get(&id)?.socket.local_addr().ok()
    }
}
