//! Administration over SSH, by the system's OpenSSH server: `ssh -p 7002 ACCOUNT@HOST status`, or without a command the
//! prompt of `directorctl`.
//!
//! `<ssh listen="ADDRESS" enable="true"/>` has an `sshd` of its own started, which listens there and knows nothing of the
//! system's one: its configuration, host key and authorized keys are in the state directory, mode 0700. Its one way in
//! is a public key of a `<user key="…">`; what a login may do is what that user may. There are no passwords, no shell, no
//! file transfer and no forwarding: whatever a client asks for becomes words for `directorctl --as USER`.
//!
//! # Logging in
//! The account is the one that the balancer runs as, because `sshd` without root's rights can log in no other. Who logs in
//! is told by the key, not by the account. The account needs a shell that runs commands (not `nologin`), and with root's
//! rights `sshd` needs the directory `/run/sshd`, which is made if it is missing. The log and the events name the
//! administrator and the address that `sshd` says he came from.
//!
//! # The state directory
//! `$STATE_DIRECTORY` (systemd's `StateDirectory=`), else `/var/lib/director` for root and `~/.local/state/director` for
//! others ($XDG_STATE_HOME moves it). Below it, `ssh` has `host_ed25519` (made with ssh-keygen at the first start, to be
//! kept), `sshd_config`, `authorized_keys`, and `control.sock` where the configuration has no control socket.
//!
//! # The process
//! The thread `ssh` starts it, writes its messages to the log, starts it again when it ends, slower each time, and ends
//! it with all its sessions at the end. Where there is no `sshd`, the log says so and all else runs.

mod files;
mod supervisor;
mod texts;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use mio::{Poll, Waker};

use super::Desk;
use crate::config::Config;
use crate::sys::mailbox::Mailbox;

use files::Directory;
pub use files::state_directory;
use supervisor::{Message, Supervisor, WAKER};

/// The running SSH server. It ends when this is dropped.
#[derive(Debug)]
pub struct Ssh {
    mailbox: Mailbox<Message>,
    thread: Option<JoinHandle<()>>,
}

impl Ssh {
    /// Looks after an SSH server whenever the configuration asks for one.
    ///
    /// # Errors
    /// The system has no room for a thread or a poll.
    pub fn start(desk: Desk) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (mailbox, messages) = Mailbox::new(waker);
        let changed = mailbox.clone();
        // A full mailbox has one of these already.
        desk.current().watch(move || drop(changed.post(Message::Configured)));
        let supervisor = Supervisor::new(poll, desk, messages);
        let thread = Builder::new().name(String::from("ssh")).spawn(move || supervisor.run())?;
        Ok(Self { mailbox, thread: Some(thread) })
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
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

/// The control socket of a balancer with SSH and without `<control>`, in a directory that is made for it.
///
/// # Errors
/// The directory cannot be had.
pub fn private_socket() -> Result<PathBuf, String> {
    Directory::make().map(|directory| directory.socket())
}

/// Whether the configuration asks for SSH and names no control socket.
#[must_use]
pub fn needs_private_socket(config: &Config) -> bool {
    config.control.is_none() && config.admin.as_ref().is_some_and(|admin| admin.ssh.is_some())
}
