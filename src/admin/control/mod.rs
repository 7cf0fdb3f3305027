//! The control socket: operators' words over a Unix socket, for `directorctl`, scripts and the prompt of SSH.
//!
//! One thread, `control`, with a poll of its own. It asks the manager and never waits for it; no client can slow it
//! down, another client, or the balancer. A client that is idle costs a descriptor and nothing else.
//!
//! # The socket
//! Its file has the mode 0660 and the group of `<control group="…">`, or 0600 without one, from the first moment. Who
//! connects is asked of the kernel: root, the balancer's own user, and members of that group are answered, others are
//! told that they are refused. A file that is there already is removed only if it is a socket on which nobody answers; a
//! second balancer finds that somebody does and does not start. At the end the file is removed, if it is still ours.
//!
//! # The protocol
//! A line is a command ([`super::words`]), at most [`CONTROL_LINE_BYTES_MAX`] bytes; commands are answered in order. A
//! last word `<N` says that N bytes of text follow the line: the configuration of `config load - <N`, the lines of
//! `batch <N`.
//!
//! | answer | means |
//! |--------|-------|
//! | `OK n` | done; n lines follow |
//! | `OK *` | lines follow as things happen (`events --follow`), up to a line `.`; any line of the client's ends it |
//! | `ERR kind why` | refused, nothing has changed; `\n` and `\\` in why stand for a line's end and a backslash |
//! | `HOST:PORT` | to `ADDRESS PORT` alone, txLoadBalancer's question: the client behind our connection from there |
//!
//! Kinds are `usage` (not understood), `denied` (not allowed), `not-found`, `invalid`, `conflict` and `unavailable`. After
//! the command `json`, each answer is one JSON document on a line, `{"error": {"kind": …, "why": …}}` for a refusal;
//! events that are followed are a document each, and `{"end": true}` is the last.

mod answer;
mod blocks;
mod connection;
mod follow;
mod obey;
mod rights;
mod server;
mod socket;

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use mio::{Poll, Waker};

use super::{Desk, ssh};
use crate::config;
#[cfg(doc)]
use crate::model::limits::CONTROL_LINE_BYTES_MAX;
use crate::sys::mailbox::Mailbox;

use server::{Message, Server, WAKER};
pub use socket::{Opened, open};

/// The running server of the control socket. It ends when this is dropped.
#[derive(Debug)]
pub struct Control {
    mailbox: Mailbox<Message>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// Serves this socket; or none until the configuration has one.
    ///
    /// # Errors
    /// The system has no room for a thread or a poll.
    pub fn start(desk: Desk, opened: Option<Opened>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (mailbox, messages) = Mailbox::new(waker);
        let changed = mailbox.clone();
        // A full mailbox has one of these already.
        desk.current().watch(move || drop(changed.post(Message::Configured)));
        let server = Server::new(poll, desk, messages, mailbox.clone(), opened)?;
        let thread = Builder::new().name(String::from("control")).spawn(move || server.run())?;
        Ok(Self { mailbox, thread: Some(thread) })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // A full mailbox is emptied by its owner, who sees the end at its next look.
        while self.mailbox.post(Message::Stop).is_err() {
            if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                break;
            }
            std::thread::yield_now();
        }
        if let Some(thread) = self.thread.take() {
            // It has logged its panic, if that is how it ended.
            let _ = thread.join();
        }
    }
}

/// The socket that a configuration asks for: its own, or one for SSH alone.
///
/// # Errors
/// The directory of the latter cannot be had.
pub fn wanted(config: &config::Config) -> Result<Option<config::Control>, String> {
    if ssh::needs_private_socket(config) {
        return ssh::private_socket().map(|socket| Some(config::Control { socket, group: None }));
    }
    Ok(config.control.clone())
}
