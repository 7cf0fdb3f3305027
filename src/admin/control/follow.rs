//! Clients that follow events.

use std::sync::Arc;
use std::time::Instant;

use log::info;

use super::answer;
use super::connection::State;
use super::server::{Message, Server, TARGET};
use crate::admin::json as shown;
use crate::admin::words::{Mode, show};
use crate::model::command::{Command, Origin, Reply};
use crate::model::event::Event;
use crate::model::limits::{CONTROL_FOLLOW_BYTES_MAX, CONTROL_FOLLOW_LOOK, CONTROL_FOLLOW_SHOWN};

impl Server {
    pub(super) fn ask_events(&self) {
        let following = self.clients.iter().filter_map(|(_, client)| match client.state {
            State::Following { after } => Some(after.unwrap_or(0)),
            State::Idle | State::Waiting { .. } => None,
        });
        let Some(after) = following.min() else { return };
        let mailbox = self.mailbox.clone();
        let answer = move |reply| drop(mailbox.post(Message::Events(reply)));
        self.desk.ask(Command::Events { after }, Origin::new("director", "control"), answer);
    }

    pub(super) fn tell_events(&mut self, reply: &Reply, now: Instant) {
        let events: &[Arc<Event>] = if let Reply::Events(events) = reply { events } else { &[] };
        let last = events.last().map_or(0, |event| event.number);
        let mut follows = false;
        let keys: Vec<usize> = self.clients.iter().map(|(key, _)| key).collect();
        for key in keys {
            let Some(client) = self.clients.get_mut(key) else { continue };
            let State::Following { after } = &mut client.state else { continue };
            follows = true;
            let begins = after.is_none();
            let shown = events.iter().rev().nth(CONTROL_FOLLOW_SHOWN).map_or(0, |event| event.number);
            let from = after.unwrap_or(shown);
            *after = Some(from.max(last));
            let mut bytes = Vec::new();
            if begins && client.mode != Mode::Json {
                bytes.extend_from_slice(b"OK *\n");
            }
            for event in events.iter().filter(|event| event.number > from) {
                bytes.extend(if client.mode == Mode::Json {
                    answer::document(&shown::event(event))
                } else {
                    format!("{}\n", show::event(event, answer::paint(client.mode))).into_bytes()
                });
            }
            if bytes.is_empty() {
                continue;
            }
            if client.waiting_bytes() + bytes.len() > CONTROL_FOLLOW_BYTES_MAX {
                info!(target: TARGET, "control socket: a client that does not read its events was dropped");
                self.drop_client(key);
            } else {
                client.say(&bytes, now);
                self.advance(key, now);
            }
        }
        if follows {
            self.look = Some(now + CONTROL_FOLLOW_LOOK);
        }
    }
}
