//! The loop of the thread `control`.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use log::{error, info, warn};
use mio::net::UnixListener;
use mio::{Events, Interest, Poll, Token};
use serde_json::json;
use slab::Slab;

use super::answer;
use super::connection::{Connection, Said, State};
use super::obey::{Outcome, obey};
use super::rights::{Principal, Rights, without_secrets};
use super::socket::{self, Opened};
use crate::admin::Desk;
use crate::admin::words::Mode;
use crate::config;
use crate::model::command::Reply;
use crate::model::limits::{
    ACCEPT_PAUSE, CHANNEL_MAX, CONTROL_CONNECTIONS_MAX, CONTROL_OUTPUT_BYTES_MAX, CONTROL_STALLED, PANIC_PAUSE,
};
use crate::sys::mailbox::Mailbox;
use crate::sys::unix;

/// The token of the waker.
pub(super) const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
/// The token of the first connection.
const FIRST: usize = 2;
pub(super) const TARGET: &str = "director::control";

/// What other threads tell the loop.
#[derive(Debug)]
pub(super) enum Message {
    /// The manager's answer to what a client asked.
    Reply { key: usize, serial: u64, reply: Reply },
    /// The manager's answer about events.
    Events(Reply),
    /// There is another configuration.
    Configured,
    /// The end.
    Stop,
}

/// The thread's state.
pub(super) struct Server {
    pub(super) poll: Poll,
    pub(super) desk: Desk,
    pub(super) messages: Receiver<Message>,
    pub(super) mailbox: Mailbox<Message>,
    pub(super) listening: Option<(UnixListener, Opened)>,
    pub(super) clients: Slab<Connection>,
    /// Tells clients apart that had the same place.
    pub(super) serial: u64,
    /// A descriptor to give away when there is none left for a client.
    pub(super) spare: Option<File>,
    pub(super) accept_again: Option<Instant>,
    /// When to look for events; none: nobody follows, or the answer is still to come.
    pub(super) look: Option<Instant>,
}

impl Server {
    pub(super) fn new(
        poll: Poll,
        desk: Desk,
        messages: Receiver<Message>,
        mailbox: Mailbox<Message>,
        opened: Option<Opened>,
    ) -> io::Result<Self> {
        let mut server = Self {
            poll,
            desk,
            messages,
            mailbox,
            listening: None,
            clients: Slab::new(),
            serial: 0,
            spare: spare(),
            accept_again: None,
            look: None,
        };
        if let Some(opened) = opened {
            server.serve(opened)?;
        }
        Ok(server)
    }

    fn serve(&mut self, opened: Opened) -> io::Result<()> {
        let listener = opened.listener.try_clone()?;
        let mut listener = UnixListener::from_std(listener);
        self.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        info!(target: TARGET, "control socket {}", opened.control.socket.display());
        self.listening = Some((listener, opened));
        Ok(())
    }

    /// Serves until it is told to stop. A panic costs the connections.
    pub(super) fn run(mut self) {
        while !catch_unwind(AssertUnwindSafe(|| self.turns())).unwrap_or(false) {
            self.clients.clear();
            std::thread::sleep(PANIC_PAUSE);
        }
    }

    fn turns(&mut self) -> bool {
        let mut events = Events::with_capacity(64);
        loop {
            let timeout = self.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
            // Parts of a millisecond would be rounded down, and the loop would spin in the last one.
            let timeout = timeout.map(|timeout| timeout + Duration::from_millis(1));
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                error!(target: TARGET, "the control socket's poll failed: {error}");
                return true;
            }
            let now = Instant::now();
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LISTENER => self.accept(now),
                    Token(token) => self.advance(token - FIRST, now),
                }
            }
            if self.read_messages(now) {
                return true;
            }
            self.keep_time(now);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let of_client = |client: &Connection| {
            let reading = (client.waiting_bytes() > 0).then(|| client.moved + CONTROL_STALLED);
            let answered = if let State::Waiting { until, .. } = client.state { Some(until) } else { None };
            reading.into_iter().chain(answered).min()
        };
        let clients = self.clients.iter().filter_map(|(_, client)| of_client(client));
        clients.chain(self.accept_again).chain(self.look).min()
    }

    fn accept(&mut self, now: Instant) {
        self.accept_again = None;
        loop {
            let Some((listener, opened)) = &self.listening else { return };
            let group = opened.group;
            match listener.accept() {
                Ok((stream, _)) => self.admit(stream, group, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::EMFILE) && self.spare.take().is_some() => {}
                Err(_) => {
                    self.accept_again = Some(now + ACCEPT_PAUSE);
                    break;
                }
            }
        }
        if self.spare.is_none() {
            self.spare = spare();
        }
    }

    fn admit(&mut self, mut stream: mio::net::UnixStream, group: Option<u32>, now: Instant) {
        let principal = unix::peer(&stream).map_err(|error| error.to_string());
        let principal = match principal.and_then(|peer| Principal::of(&peer, group)) {
            Ok(_) if self.clients.len() >= CONTROL_CONNECTIONS_MAX => {
                let why = format!("there are {CONTROL_CONNECTIONS_MAX} connections already; try again");
                return refuse(&mut stream, "unavailable", &why);
            }
            Ok(principal) => principal,
            Err(why) => {
                warn!(target: TARGET, "control socket: {why}");
                return refuse(&mut stream, "denied", &why);
            }
        };
        let entry = self.clients.vacant_entry();
        let token = Token(entry.key() + FIRST);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(&mut stream, token, interest).is_ok() {
            self.serial += 1;
            let mut client = Connection::new(stream, principal, now);
            client.serial = self.serial;
            entry.insert(client);
        }
    }

    /// Does for a client what can be done now.
    pub(super) fn advance(&mut self, key: usize, now: Instant) {
        loop {
            let Some(client) = self.clients.get_mut(key) else { return };
            if !client.flush(now) || (client.is_closing && client.waiting_bytes() == 0) {
                return self.drop_client(key);
            }
            match client.state {
                State::Following { .. } => {
                    if !client.has_spoken() {
                        return;
                    }
                    let end = if client.mode == Mode::Json {
                        answer::document(&json!({ "end": true }))
                    } else {
                        b".\n".to_vec()
                    };
                    client.state = State::Idle;
                    client.say(&end, now);
                }
                State::Waiting { .. } => return,
                State::Idle if client.waiting_bytes() > 0 => return,
                State::Idle => match client.listen() {
                    Said::Nothing => return,
                    Said::End => return self.drop_client(key),
                    Said::Wrong(why) => {
                        let bytes = answer::error(client.mode, "usage", &why);
                        client.say(&bytes, now);
                        client.is_closing = true;
                    }
                    Said::Line(line, block) => self.obey(key, &line, block, now),
                },
            }
        }
    }

    fn obey(&mut self, key: usize, line: &str, block: Option<String>, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        self.serial += 1;
        client.serial = self.serial;
        match obey(&self.desk, client, line, block, now) {
            Outcome::Answered => {}
            Outcome::Follow => {
                self.look.get_or_insert(now);
            }
            Outcome::Ask(command) => {
                let (mailbox, serial) = (self.mailbox.clone(), client.serial);
                // A mailbox that is full loses the reply; the client's wait ends by itself.
                let answer = move |reply| drop(mailbox.post(Message::Reply { key, serial, reply }));
                self.desk.ask(command, client.principal.origin(), answer);
            }
        }
    }

    pub(super) fn drop_client(&mut self, key: usize) {
        if let Some(mut client) = self.clients.try_remove(key) {
            let _ = self.poll.registry().deregister(&mut client.stream);
        }
        if self.clients.len() * 4 < self.clients.capacity() {
            self.clients.shrink_to_fit();
        }
    }

    /// Returns whether it is the end.
    fn read_messages(&mut self, now: Instant) -> bool {
        for _ in 0..CHANNEL_MAX {
            match self.messages.try_recv() {
                Ok(Message::Reply { key, serial, reply }) => {
                    if self.clients.get(key).is_some_and(|client| client.serial == serial) {
                        self.answer(key, reply, now);
                        self.advance(key, now);
                    }
                }
                Ok(Message::Events(reply)) => self.tell_events(&reply, now),
                Ok(Message::Configured) => self.reconfigure(now),
                Ok(Message::Stop) => return true,
                Err(_) => break,
            }
        }
        false
    }

    fn answer(&mut self, key: usize, reply: Reply, now: Instant) {
        let waiting: usize = self.clients.iter().map(|(_, client)| client.waiting_bytes()).sum();
        let Some(client) = self.clients.get_mut(key) else { return };
        let State::Waiting { view, bare, .. } = std::mem::replace(&mut client.state, State::Idle) else { return };
        let limited = client.principal.rights(&self.desk.current().get()) != Rights::Full;
        let reply = if limited { without_secrets(reply) } else { reply };
        let mut bytes = answer::reply(client.mode, &reply, &view, bare);
        if waiting + bytes.len() > CONTROL_OUTPUT_BYTES_MAX {
            let why = "the answer is too large while others wait to be read; ask for less, or try again";
            bytes = answer::error(client.mode, "unavailable", why);
        }
        client.say(&bytes, now);
    }

    /// Looks at clocks: who waits too long, who does not read, and whether to ask for events.
    fn keep_time(&mut self, now: Instant) {
        let keys: Vec<usize> = self.clients.iter().map(|(key, _)| key).collect();
        for key in keys {
            let Some(client) = self.clients.get_mut(key) else { continue };
            if client.waiting_bytes() > 0 && client.moved + CONTROL_STALLED <= now {
                info!(target: TARGET, "control socket: a client that does not read was dropped");
                self.drop_client(key);
            } else if matches!(client.state, State::Waiting { until, .. } if until <= now) {
                client.serial = 0;
                client.state = State::Idle;
                let why = "the manager did not answer in time; it may still do what was asked";
                let bytes = answer::error(client.mode, "unavailable", why);
                client.say(&bytes, now);
                self.advance(key, now);
            }
        }
        if self.accept_again.is_some_and(|at| at <= now) {
            self.accept(now);
        }
        if self.look.is_some_and(|at| at <= now) {
            self.look = None;
            self.ask_events();
        }
    }

    /// Follows the configuration to another socket.
    fn reconfigure(&mut self, now: Instant) {
        let config = self.desk.current().get();
        let wanted = match super::wanted(&config) {
            Ok(wanted) => wanted,
            Err(why) => return error!(target: TARGET, "{why}; the control socket stays as it is"),
        };
        let wanted: Option<&config::Control> = wanted.as_ref();
        if self.listening.as_ref().map(|(_, opened)| &opened.control) == wanted {
            return;
        }
        let before = self.listening.as_ref().map(|(_, opened)| opened.control.clone());
        if before.as_ref().map(|before| &before.socket) == wanted.map(|wanted| &wanted.socket) {
            // Another group: the name has to be free first.
            self.stop_listening(now);
        }
        let opened = match wanted.map(socket::open).transpose() {
            Ok(opened) => opened,
            Err(why) => {
                error!(target: TARGET, "{why}; the one before stays");
                match (&self.listening, before) {
                    (None, Some(before)) => socket::open(&before).ok(),
                    _ => return,
                }
            }
        };
        self.stop_listening(now);
        if let Some(opened) = opened
            && let Err(error) = self.serve(opened)
        {
            error!(target: TARGET, "the control socket cannot be served: {error}");
        }
        self.accept(now);
    }

    fn stop_listening(&mut self, now: Instant) {
        // Who waits in its queue is served.
        self.accept(now);
        if let Some((mut listener, _)) = self.listening.take() {
            let _ = self.poll.registry().deregister(&mut listener);
        }
    }
}

/// A descriptor that can be given away.
fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

fn refuse(stream: &mut mio::net::UnixStream, kind: &str, why: &str) {
    // What a fresh socket does not take is lost: the client sees the end.
    let _ = io::Write::write(stream, &answer::error(Mode::Text, kind, why));
}
