//! Those who follow what happens (server-sent events, WHATWG HTML section 9.2): a snapshot about every second, made once
//! for all, and events as soon as they are known.

use std::sync::Arc;
use std::time::Instant;

use super::conn::Stage;
use super::server::{Mail, Server};
use crate::admin::http::Content;
use crate::admin::json;
use crate::model::command::{Command, Origin, Reply};
use crate::model::event::Event;
use crate::model::limits::{MANAGER_WITHIN, WEB_EVENTS_EVERY, WEB_PING_EVERY, WEB_SNAPSHOT_AGE, WEB_STREAM_EVERY};
use crate::model::snapshot::Snapshot;

/// When there is something to tell.
#[derive(Debug)]
pub(super) struct Following {
    snapshot_at: Instant,
    /// When the last one was told.
    told_at: Option<Instant>,
    events_at: Instant,
    ping_at: Instant,
    /// A question for events is on its way since then.
    asked: Option<Instant>,
    /// Bytes of the last snapshot.
    snapshot_bytes: usize,
    /// A snapshot is awaited for them.
    wants_snapshot: bool,
}

impl Following {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            snapshot_at: now,
            told_at: None,
            events_at: now,
            ping_at: now,
            asked: None,
            snapshot_bytes: 0,
            wants_snapshot: false,
        }
    }

    /// Something has changed and is to be told at once; of many changes in a row the state after some of them.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.events_at = now;
        let soonest = self.told_at.map_or(now, |told| now.max(told + WEB_SNAPSHOT_AGE));
        self.snapshot_at = self.snapshot_at.min(soonest);
    }
}

impl Server {
    /// The slots of those who follow.
    pub(super) fn followers(&self) -> Vec<usize> {
        let follows = |stage: &Stage| matches!(stage, Stage::Following(_));
        self.conns.iter().filter(|(_, conn)| follows(&conn.stage)).map(|(slot, _)| slot).collect()
    }

    /// When there is something to tell, if anybody follows.
    pub(super) fn next_tell(&self) -> Option<Instant> {
        let Following { snapshot_at, events_at, ping_at, .. } = self.following;
        let anybody = self.conns.iter().any(|(_, conn)| matches!(conn.stage, Stage::Following(_)));
        anybody.then(|| snapshot_at.min(events_at).min(ping_at))
    }

    /// Asks for what is to be told, and leaves those who take it too slowly.
    pub(super) fn keep_telling(&mut self, now: Instant) {
        let followers = self.followers();
        if followers.is_empty() {
            return;
        }
        for slot in &followers {
            if self.conns[*slot].is_behind(now, self.following.snapshot_bytes) {
                self.close(*slot);
            }
        }
        if self.following.snapshot_at <= now {
            self.following.snapshot_at = now + WEB_STREAM_EVERY;
            self.following.told_at = Some(now);
            self.following.wants_snapshot = true;
            match self.snapshots.fresh(now) {
                Some(snapshot) => self.tell_snapshot(&snapshot),
                None => self.ask_snapshot(now),
            }
        }
        if self.following.events_at <= now {
            self.following.events_at = now + WEB_EVENTS_EVERY;
            self.ask_events(now);
        }
        if self.following.ping_at <= now {
            self.following.ping_at = now + WEB_PING_EVERY;
            self.tell_all(&Content::Static(b": ping\n\n"), |_| true);
        }
    }

    fn ask_events(&mut self, now: Instant) {
        let is_awaited = |asked: Instant| now.saturating_duration_since(asked) < MANAGER_WITHIN;
        if self.following.asked.is_some_and(is_awaited) {
            return;
        }
        let last = |slot: &usize| match &self.conns[*slot].stage {
            Stage::Following(follower) => follower.last,
            _ => None,
        };
        let Some(after) = self.followers().iter().filter_map(last).min() else { return };
        self.following.asked = Some(now);
        let mailbox = self.mailbox.clone();
        // A full mailbox: the next question gets the same events.
        let answer = move |reply| drop(mailbox.post(Mail::Events(reply)));
        self.desk.ask(Command::Events { after }, Origin::new("director", "web"), answer);
    }

    pub(super) fn on_events(&mut self, reply: Reply) {
        self.following.asked = None;
        let Reply::Events(events) = reply else { return };
        if !events.is_empty() {
            let now = Instant::now();
            self.snapshots.change(now);
            self.following.hurry(now);
        }
        for event in events {
            let text: Arc<[u8]> = told(&event).into_bytes().into();
            for slot in self.followers() {
                let conn = &mut self.conns[slot];
                let Stage::Following(follower) = &mut conn.stage else { continue };
                if follower.last.is_some_and(|last| last < event.number) {
                    follower.last = Some(event.number);
                    conn.out.push(Content::Shared(Arc::clone(&text)));
                }
            }
        }
        self.flush_followers();
    }

    /// Tells a snapshot to all who have taken the one before.
    pub(super) fn tell_snapshot(&mut self, snapshot: &Snapshot) {
        if !std::mem::take(&mut self.following.wants_snapshot) {
            return;
        }
        let text = format!("event: snapshot\ndata: {}\n\n", json::snapshot(snapshot));
        self.following.snapshot_bytes = text.len();
        for slot in self.followers() {
            if let Stage::Following(follower) = &mut self.conns[slot].stage {
                // What happened before its first snapshot is in that.
                follower.last = follower.last.or(Some(snapshot.last_event));
            }
        }
        self.tell_all(&Content::Shared(text.into_bytes().into()), |waiting| waiting == 0);
    }

    /// Tells something to those of whom this is true, by the bytes that they have not taken yet.
    fn tell_all(&mut self, content: &Content, takes: impl Fn(usize) -> bool) {
        for slot in self.followers() {
            let conn = &mut self.conns[slot];
            if takes(conn.out.len()) {
                conn.out.push(content.clone());
            }
        }
        self.flush_followers();
    }

    fn flush_followers(&mut self) {
        for slot in self.followers() {
            self.drive(slot);
        }
    }
}

fn told(event: &Event) -> String {
    format!("id: {}\nevent: change\ndata: {}\n\n", event.number, json::event(event))
}
