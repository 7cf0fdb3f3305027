//! Passwords and browsers' logins: who proves what, and what a browser keeps of it.

use std::time::{Duration, Instant};

use super::conn::{Asked, Conn, Stage, Then};
use super::door::{self, Claim, Verdict};
use super::server::{Mail, Server, Ticket};
use crate::admin::api::Who;
use crate::admin::auth::{Secret, password};
use crate::admin::http::{Answer, Framing};
use crate::model::limits::{PASSWORDS_WAITING_EACH, WEB_REQUEST_WITHIN};

impl Server {
    /// Has a password looked at, if nobody has the same one looked at already.
    pub(super) fn prove(&self, slot: usize, claim: &Claim) -> Result<(), Answer> {
        let peer = self.conns[slot].peer.ip();
        let others = self.conns.iter().filter_map(|(_, conn)| Some((conn, claim_on(conn)?)));
        let (same, others): (Vec<_>, Vec<_>) = others.partition(|(_, other)| other.mark == claim.mark);
        if !same.is_empty() {
            return Ok(());
        }
        let busy = || Answer::text(503, "too many passwords are looked at; try again\n").with("Retry-After", "1");
        if others.iter().filter(|(conn, _)| conn.peer.ip() == peer).count() >= PASSWORDS_WAITING_EACH {
            return Err(busy());
        }
        let (Claim { password, hash, mark, .. }, mailbox) = (claim.clone(), self.mailbox.clone());
        let taken = self.worker.take(move || {
            let is_right = password::is_right(&password.0, hash.as_deref());
            // Who waits has a deadline.
            let _ = mailbox.post(Mail::Proven(mark, is_right));
        });
        if taken { Ok(()) } else { Err(busy()) }
    }

    /// A password was looked at: all who said it go on.
    pub(super) fn on_proven(&mut self, mark: [u8; 32], is_right: bool) {
        let waits = |conn: &Conn| claim_on(conn).is_some_and(|claim| claim.mark == mark);
        let slots: Vec<usize> = self.conns.iter().filter(|(_, conn)| waits(conn)).map(|(slot, _)| slot).collect();
        for slot in slots {
            self.contained(Some(slot), |server| server.on_proven_of(slot, is_right));
        }
    }

    fn on_proven_of(&mut self, slot: usize, is_right: bool) {
        let now = Instant::now();
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let (peer, config) = (conn.peer, self.desk.current().get());
        match std::mem::replace(&mut conn.stage, Stage::Head) {
            Stage::Proving(asked, claim) => {
                let Asked { head, route, names, .. } = *asked;
                let verdict = self.door.decide_proven(now, &head, (route, names), (&claim, is_right), peer, &config);
                match verdict {
                    Verdict::Enter(route, names, who) => {
                        self.enter(now, slot, Asked { head, route, names, who, repeat: None });
                    }
                    Verdict::Refuse(answer) => {
                        self.conns[slot].answer_to(now, answer, &head, head.framing == Framing::None);
                    }
                    Verdict::Prove(..) => return self.close(slot),
                }
            }
            Stage::Waiting(_, asked, Then::Login(claim)) => {
                let who = self.door.proven(now, &claim, is_right, peer, &config);
                self.login(now, slot, &asked, &claim, who);
            }
            // It waits for something else by now.
            other => conn.stage = other,
        }
        self.drive(slot);
    }

    pub(super) fn try_login(&mut self, now: Instant, ticket: Ticket, asked: Asked, user: String, password: Secret) {
        let Some(peer) = self.conns.get(ticket.slot).map(|conn| conn.peer.ip()) else { return };
        if let Some(wait) = self.door.guesses.wait(now, peer, &user) {
            return self.answer(now, ticket.slot, &asked, door::slow_down(&asked.head, wait));
        }
        let claim = door::claim_of(&self.door.keys, &self.desk.current().get(), user, password);
        match self.prove(ticket.slot, &claim) {
            Ok(()) => self.wait(now + WEB_REQUEST_WITHIN, ticket, asked, Then::Login(claim)),
            Err(answer) => self.answer(now, ticket.slot, &asked, answer),
        }
    }

    pub(super) fn login(&mut self, now: Instant, slot: usize, asked: &Asked, claim: &Claim, who: Option<Who>) {
        let (Some(who), Some(hash)) = (who, &claim.hash) else {
            return self.answer(now, slot, asked, Answer::redirect(303, "/login?failed"));
        };
        let answer = match self.door.logins.add(now, &self.door.keys, &who.name, hash) {
            Ok(name) => {
                log::info!(target: super::certificate::TARGET, "login user={:?} {}", who.name, self.origin(slot, Some(&who)).from);
                Answer::redirect(303, "/").with("Set-Cookie", self.cookie(&name, None))
            }
            Err(error) => Answer::text(503, format!("{error}\n")),
        };
        self.answer(now, slot, asked, answer);
    }

    pub(super) fn logout(&mut self, now: Instant, slot: usize, asked: &Asked) {
        let name = self.served.as_ref().map(|served| served.cookie.clone()).unwrap_or_default();
        if let Some(cookie) = asked.head.field("cookie").and_then(|cookies| door::cookie(cookies, &name)) {
            self.door.logins.remove(&self.door.keys, cookie);
        }
        let answer = Answer::redirect(303, "/login").with("Set-Cookie", self.cookie("", Some(Duration::ZERO)));
        self.answer(now, slot, asked, answer);
    }

    fn cookie(&self, value: &str, age: Option<Duration>) -> String {
        let Some(served) = &self.served else { return String::new() };
        let secure = if served.site.web.secure { "; Secure" } else { "" };
        let age = age.map_or_else(String::new, |age| format!("; Max-Age={}", age.as_secs()));
        format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}", served.cookie)
    }
}

/// The claim on a connection that is looked at.
fn claim_on(conn: &Conn) -> Option<&Claim> {
    match &conn.stage {
        Stage::Proving(_, claim) | Stage::Waiting(_, _, Then::Login(claim)) => Some(claim),
        _ => None,
    }
}
