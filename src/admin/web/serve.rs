//! A request's way: head, door, body, what is asked of whom, answer.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::conn::{Asked, Conn, Filled, Stage, Then};
use super::door::{From, Verdict};
use super::repeats::Repeat;
use super::server::{Mail, Server, Ticket};
use crate::admin::api::{self, Access, Call, Step, Who};
use crate::admin::auth::{Secret, password};
use crate::admin::http::{Answer, Bad, Body, Content, Framing, Head, Method, Progress, take_head};
use crate::model::change::Refusal;
use crate::model::command::{Command, Origin, Reply};
use crate::model::limits::{
    MANAGER_CHANGE_WITHIN, MANAGER_WITHIN, WEB_BODIES_BYTES_MAX, WEB_BODY_BYTES_MAX, WEB_FORM_BYTES_MAX, WEB_IDLE,
    WEB_REQUEST_WITHIN, WEB_STREAMS_MAX,
};

/// Reads of a connection in one turn of the loop.
const READS_PER_TURN: usize = 16;
/// What a client that expects leave to send its body gets.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// What a browser gets that speaks HTTP where HTTPS is spoken.
const PLAIN: Bad = Bad::plain();

impl Server {
    /// Does with a connection what can be done now.
    pub(super) fn drive(&mut self, slot: usize) {
        let now = Instant::now();
        for turn in 0.. {
            let filled = match self.fill(now, slot) {
                Ok(filled) => filled,
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    if let Some(conn) = self.conns.get_mut(slot) {
                        conn.answer_bad(now, PLAIN);
                    }
                    Filled::Some
                }
                Err(_) => return self.close(slot),
            };
            let moved = self.advance(now, slot);
            let Some(conn) = self.conns.get_mut(slot) else { return };
            let flushed = conn.flush(now);
            let is_over = conn.is_over();
            match flushed {
                Err(_) => return self.close(slot),
                Ok(_) if is_over => return self.close(slot),
                Ok(flushed) if !moved && !flushed && filled == Filled::None => return,
                Ok(_) if turn >= READS_PER_TURN => return self.again.push(slot),
                Ok(_) => {}
            }
        }
    }

    /// Goes on with what has come. Returns whether anything changed.
    fn advance(&mut self, now: Instant, slot: usize) -> bool {
        let Some(conn) = self.conns.get_mut(slot) else { return false };
        match &mut conn.stage {
            Stage::Head => match take_head(&mut conn.input, &mut conn.seen) {
                Ok(None) => false,
                Ok(Some(head)) => {
                    self.knock(now, slot, head);
                    true
                }
                Err(bad) => {
                    conn.answer_bad(now, bad);
                    true
                }
            },
            Stage::Body(_, body) => match body.take(&mut conn.input) {
                Ok(Progress::More) => self.refuse_too_much(now, slot),
                Ok(Progress::Whole(bytes)) => {
                    if let Stage::Body(asked, _) = std::mem::replace(&mut conn.stage, Stage::Head) {
                        self.call(now, slot, *asked, bytes);
                    }
                    true
                }
                Err(bad) => {
                    conn.answer_bad(now, bad);
                    true
                }
            },
            Stage::Proving(..) | Stage::Waiting(..) | Stage::Sending(_) | Stage::Following(_) | Stage::Lingering => {
                false
            }
        }
    }

    /// Refuses a large body for which there is no room beside the others that are on their way. Returns whether it was.
    fn refuse_too_much(&mut self, now: Instant, slot: usize) -> bool {
        let held = |conn: &Conn| if let Stage::Body(_, body) = &conn.stage { body.held() } else { 0 };
        if self.conns.get(slot).is_none_or(|conn| held(conn) <= WEB_FORM_BYTES_MAX)
            || self.conns.iter().map(|(_, conn)| held(conn)).sum::<usize>() <= WEB_BODIES_BYTES_MAX
        {
            return false;
        }
        self.conns[slot].answer_bad(now, Bad::full());
        true
    }

    /// A request has come: may it in?
    fn knock(&mut self, now: Instant, slot: usize, head: Head) {
        let (Some(served), Some(conn)) = (&self.served, self.conns.get(slot)) else { return self.close(slot) };
        let from = From { peer: conn.peer, local: conn.local, hosts: &served.site.hosts, cookie: &served.cookie };
        let verdict = self.door.decide(now, &head, from, &self.desk.current().get());
        match verdict {
            Verdict::Enter(route, names, who) => self.enter(now, slot, Asked { head, route, names, who, repeat: None }),
            Verdict::Refuse(answer) => {
                self.conns[slot].answer_to(now, answer, &head, head.framing == Framing::None);
            }
            Verdict::Prove(route, names, claim) => {
                let asked = Box::new(Asked { head, route, names, who: None, repeat: None });
                let proves = self.prove(slot, &claim);
                let conn = &mut self.conns[slot];
                match proves {
                    Ok(()) => {
                        conn.deadline = now + WEB_REQUEST_WITHIN;
                        conn.stage = Stage::Proving(asked, claim);
                    }
                    Err(answer) => conn.answer_to(now, answer, &asked.head, asked.head.framing == Framing::None),
                }
            }
        }
    }

    /// It is in: the body is next.
    pub(super) fn enter(&mut self, now: Instant, slot: usize, asked: Asked) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let is_form = asked.who.is_none();
        conn.is_known |= asked.who.is_some();
        let most = if is_form { WEB_FORM_BYTES_MAX } else { WEB_BODY_BYTES_MAX };
        match Body::new(asked.head.framing, most) {
            Err(bad) => conn.answer_bad(now, bad),
            Ok(body) => {
                if asked.head.waits_for_leave && conn.input.is_empty() {
                    conn.out.push(Content::Static(CONTINUE));
                }
                conn.deadline = now + if is_form { WEB_REQUEST_WITHIN } else { WEB_IDLE };
                conn.stage = Stage::Body(Box::new(asked), body);
            }
        }
    }

    /// It is here whole.
    fn call(&mut self, now: Instant, slot: usize, asked: Asked, body: Vec<u8>) {
        let Some(peer) = self.conns.get(slot).map(|conn| conn.peer) else { return };
        let Asked { head, route, names, who, .. } = asked;
        let who_changes = who.as_ref().filter(|_| route.access == Access::Change);
        let repeat = who_changes.and_then(|who| Repeat::of(&self.door.keys, &who.name, &head, &body));
        if let Some(answer) = repeat.and_then(|repeat| self.repeated(now, &repeat)) {
            return self.answer(now, slot, &Asked { head, route, names, who, repeat: None }, answer);
        }
        let call = Call { head, names, who, body, config: self.desk.current().get() };
        let outcome = (route.handler)(&call);
        let Call { head, names, who, .. } = call;
        let asked = Asked { head, route, names, who, repeat };
        log::debug!(
            target: super::certificate::TARGET,
            "{} {} from={peer} user={:?}",
            asked.head.method.name(),
            route.path,
            asked.who.as_ref().map_or("", |who| &who.name)
        );
        match outcome {
            Ok(step) => self.step(now, slot, asked, step),
            Err(refusal) => self.answer(now, slot, &asked, api::refused(route, &refusal)),
        }
    }

    fn step(&mut self, now: Instant, slot: usize, asked: Asked, step: Step) {
        let ticket = self.ticket(slot);
        match step {
            Step::Answer(answer) => self.answer(now, slot, &asked, answer),
            Step::Ask(command, tell) => self.ask(now, ticket, asked, command, tell),
            Step::See(tell) => match self.snapshots.fresh(now) {
                Some(snapshot) => self.answer(now, slot, &asked, tell(&snapshot)),
                None => {
                    let needed = self.snapshots.needed();
                    self.wait(now + MANAGER_WITHIN, ticket, asked, Then::See(tell, needed));
                    self.ask_snapshot(now);
                }
            },
            Step::Hash(secret, then) => self.hash(now, ticket, asked, secret, then),
            Step::Login { user, password } => self.try_login(now, ticket, asked, user, password),
            Step::Logout => self.logout(now, slot, &asked),
            Step::Follow(last) => self.follow(now, slot, &asked, last),
        }
    }

    fn ask(
        &mut self,
        now: Instant,
        ticket: Ticket,
        asked: Asked,
        command: Command,
        tell: Box<dyn FnOnce(Reply) -> Answer + Send>,
    ) {
        let (is_change, within) = patience(&command);
        let origin = self.origin(ticket.slot, asked.who.as_ref());
        self.wait(now + within, ticket, asked, Then::Reply(tell, is_change));
        let mailbox = self.mailbox.clone();
        // A full mailbox: who waits has a deadline.
        self.desk.ask(command, origin, move |reply| drop(mailbox.post(Mail::Reply(ticket, reply))));
    }

    pub(super) fn wait(&mut self, until: Instant, ticket: Ticket, asked: Asked, then: Then) {
        let Some(conn) = self.conns.get_mut(ticket.slot) else { return };
        conn.deadline = until;
        conn.stage = Stage::Waiting(ticket.number, Box::new(asked), then);
    }

    pub(super) fn on_reply(&mut self, ticket: Ticket, reply: Reply) {
        let now = Instant::now();
        let Some(conn) = self.conns.get_mut(ticket.slot) else { return };
        match std::mem::replace(&mut conn.stage, Stage::Head) {
            Stage::Waiting(number, asked, Then::Reply(tell, is_change)) if number == ticket.number => {
                if is_change {
                    self.snapshots.change(now);
                    self.following.hurry(now);
                }
                self.answer(now, ticket.slot, &asked, tell(reply));
            }
            other => conn.stage = other,
        }
        self.drive(ticket.slot);
    }

    pub(super) fn ask_snapshot(&mut self, now: Instant) {
        if let Some(number) = self.snapshots.ask(now) {
            let mailbox = self.mailbox.clone();
            // A full mailbox: who waits has a deadline.
            let answer = move |reply| drop(mailbox.post(Mail::Snapshot(number, reply)));
            self.desk.ask(Command::Snapshot, Origin::new("director", "web"), answer);
        }
    }

    pub(super) fn on_snapshot(&mut self, number: u64, reply: Reply) {
        let now = Instant::now();
        let (snapshot, refusal) = match reply {
            Reply::Snapshot(snapshot) => (Some(snapshot), None),
            Reply::Refused(refusal) => (None, Some(refusal)),
            _ => (None, Some(Refusal::unavailable("an unexpected reply"))),
        };
        let Some(asked_at) = self.snapshots.take(number, snapshot.as_ref()) else { return };
        let waits =
            |conn: &Conn| matches!(&conn.stage, Stage::Waiting(_, _, Then::See(_, after)) if *after <= asked_at);
        let slots: Vec<usize> = self.conns.iter().filter(|(_, conn)| waits(conn)).map(|(slot, _)| slot).collect();
        for slot in slots {
            self.contained(Some(slot), |server| {
                let Some(conn) = server.conns.get_mut(slot) else { return };
                let stage = std::mem::replace(&mut conn.stage, Stage::Head);
                let Stage::Waiting(_, asked, Then::See(tell, _)) = stage else { return conn.stage = stage };
                let answer = match (&snapshot, &refusal) {
                    (Some(snapshot), _) => tell(snapshot),
                    (None, Some(refusal)) => api::refused(asked.route, refusal),
                    (None, None) => api::too_late(asked.route, false),
                };
                server.answer(now, slot, &asked, answer);
                server.drive(slot);
            });
        }
        if let Some(snapshot) = snapshot.filter(|_| asked_at >= self.snapshots.needed()) {
            self.tell_snapshot(&snapshot);
        }
    }

    fn hash(
        &mut self,
        now: Instant,
        ticket: Ticket,
        asked: Asked,
        secret: Secret,
        then: Box<dyn FnOnce(String) -> Step + Send>,
    ) {
        let (keys, mailbox) = (self.door.keys.clone(), self.mailbox.clone());
        let taken = self.worker.take(move || {
            let hash = password::hash(&secret.0, &keys);
            // Who waits has a deadline.
            let _ = mailbox.post(Mail::Hashed(ticket, hash));
        });
        if taken {
            self.wait(now + WEB_REQUEST_WITHIN, ticket, asked, Then::Hash(then));
        } else {
            let refusal = Refusal::unavailable("too many passwords are looked at; try again");
            self.answer(now, ticket.slot, &asked, api::refused(asked.route, &refusal));
        }
    }

    pub(super) fn on_hashed(&mut self, ticket: Ticket, hash: Result<String, String>) {
        let now = Instant::now();
        let Some(conn) = self.conns.get_mut(ticket.slot) else { return };
        match (std::mem::replace(&mut conn.stage, Stage::Head), hash) {
            (Stage::Waiting(number, asked, Then::Hash(then)), Ok(hash)) if number == ticket.number => {
                self.step(now, ticket.slot, *asked, then(hash));
            }
            (Stage::Waiting(number, asked, Then::Hash(_)), Err(why)) if number == ticket.number => {
                self.answer(now, ticket.slot, &asked, api::refused(asked.route, &Refusal::invalid(why)));
            }
            (other, _) => conn.stage = other,
        }
        self.drive(ticket.slot);
    }

    fn follow(&mut self, now: Instant, slot: usize, asked: &Asked, last: Option<u64>) {
        if self.followers().len() >= WEB_STREAMS_MAX {
            let why = "too many follow what happens already; ask for the status instead";
            return self.answer(now, slot, asked, api::refused(asked.route, &Refusal::unavailable(why)));
        }
        if asked.head.method == Method::Head {
            return self.answer(now, slot, asked, Answer::empty(200).with("Content-Type", "text/event-stream"));
        }
        let Some(conn) = self.conns.get_mut(slot) else { return };
        conn.follow(now, Answer::endless("text/event-stream"), last);
        conn.out.push(Content::Static(b"retry: 2000\n\n"));
        self.following.hurry(now);
    }

    pub(super) fn answer(&mut self, now: Instant, slot: usize, asked: &Asked, answer: Answer) {
        if let Some(repeat) = asked.repeat {
            self.repeats.keep(now, repeat, &answer);
        }
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.answer(now, answer, asked);
        }
    }

    /// A connection's time is over.
    pub(super) fn on_late(&mut self, now: Instant, slot: usize) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let answer = match &conn.stage {
            Stage::Waiting(_, asked, Then::Reply(_, is_change)) => api::too_late(asked.route, *is_change),
            Stage::Waiting(_, asked, _) | Stage::Proving(asked, _) => api::too_late(asked.route, false),
            // Half a request is told that it took too long; silence needs no answer.
            Stage::Head if !conn.input.is_empty() => return self.refuse_late(now, slot),
            Stage::Body(..) => return self.refuse_late(now, slot),
            Stage::Head | Stage::Sending(_) | Stage::Following(_) | Stage::Lingering => return self.close(slot),
        };
        if let Stage::Waiting(_, asked, _) | Stage::Proving(asked, _) = std::mem::replace(&mut conn.stage, Stage::Head)
        {
            let is_whole = !matches!(asked.head.framing, Framing::Length(_) | Framing::Chunked);
            conn.answer_to(now, answer, &asked.head, is_whole);
        }
        self.drive(slot);
    }

    fn refuse_late(&mut self, now: Instant, slot: usize) {
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.answer_bad(now, Bad::late());
        }
        self.drive(slot);
    }

    pub(super) fn origin(&self, slot: usize, who: Option<&Who>) -> Origin {
        let peer = self.conns.get(slot).map(|conn| conn.peer.to_string()).unwrap_or_default();
        Origin::new(who.map_or("", |who| &who.name), format!("web {peer}"))
    }

    pub(super) const fn ticket(&mut self, slot: usize) -> Ticket {
        self.tickets += 1;
        Ticket { slot, number: self.tickets }
    }
}

/// Whether a command is a change, and how long the manager may take for it.
const fn patience(command: &Command) -> (bool, Duration) {
    match command {
        Command::Snapshot | Command::Config(_) | Command::Events { .. } | Command::Diff { .. } => {
            (false, MANAGER_WITHIN)
        }
        // The reactors are asked, and have a second; a table may be long.
        Command::Sessions(_) | Command::Sticky(_) => (false, MANAGER_CHANGE_WITHIN),
        Command::Change(_)
        | Command::Reload { .. }
        | Command::Load { .. }
        | Command::Confirm
        | Command::GoBack
        | Command::Save { .. }
        | Command::Retry(_)
        | Command::Kill(_)
        | Command::Forget(_)
        | Command::Blacklist { .. }
        | Command::LogLevel(_)
        | Command::ReopenLog
        | Command::LogCounters
        | Command::LogLoops
        | Command::Shutdown { .. } => (true, MANAGER_CHANGE_WITHIN),
    }
}
