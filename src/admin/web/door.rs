//! Who comes in: every request passes here before anything of it is done.
//!
//! In this order: is it meant for us (`Host`), is there such a thing, does it come from our own page or from no page at
//! all, who is it, and may he. Nothing here waits: a password that has to be hashed is handed back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::hosts::Hosts;
use crate::admin::api::{self, Access, Found, Route, Who};
use crate::admin::auth::{Guesses, Keys, Known, Logins, Secret, decode, hex};
use crate::admin::http::{Answer, Head};
use crate::admin::json;
use crate::config::{self, Config};

/// The field with a browser's token.
const TOKEN: &str = "x-director-token";

/// What is known of who asks.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) keys: Keys,
    pub(super) known: Known,
    pub(super) logins: Logins,
    pub(super) guesses: Guesses,
}

/// The connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub(super) struct From<'a> {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) hosts: &'a Hosts,
    /// The name of the cookie.
    pub(super) cookie: &'a str,
}

/// A user and a password that may be his.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) user: String,
    pub(super) password: Secret,
    /// The hash that the user has.
    pub(super) hash: Option<String>,
    /// The same for the same claim, and for no other.
    pub(super) mark: [u8; 32],
}

/// What becomes of a request.
pub(super) enum Verdict {
    /// It may be done.
    Enter(&'static Route, Vec<String>, Option<Who>),
    /// It may be done if this is right.
    Prove(&'static Route, Vec<String>, Claim),
    /// This is the answer.
    Refuse(Answer),
}

/// How somebody says who he is.
enum Way {
    /// With every request.
    Basic(Claim),
    /// With a cookie, and is.
    Cookie(Who),
    /// Not at all.
    Nobody,
}

impl Door {
    /// Decides on a request.
    pub(super) fn decide(&mut self, now: Instant, head: &Head, from: From<'_>, config: &Config) -> Verdict {
        if !from.hosts.allow(&head.host, from.local.ip()) {
            let why = "this server has no such name; expected its address, localhost, or a name of <web names>";
            return Verdict::Refuse(refusal(head, 421, "misdirected", why));
        }
        let (route, names) = match api::find(head.method, &head.target.segments) {
            Found::Route(route, names) => (route, names),
            Found::Methods(allowed) => {
                let why = format!("expected {allowed}");
                return Verdict::Refuse(refusal(head, 405, "method", &why).with("Allow", allowed));
            }
            Found::Nothing => return Verdict::Refuse(refusal(head, 404, "not-found", "there is no such path")),
        };
        if is_foreign(head, route) {
            let why = "the request comes from another site's page, or from a browser where only programs may ask";
            return Verdict::Refuse(refusal(head, 403, "forbidden", why));
        }
        match route.access {
            Access::Open => return Verdict::Enter(route, names, None),
            Access::LookOrLocal if is_local(head, from.peer) => return Verdict::Enter(route, names, None),
            Access::LookOrLocal | Access::Look | Access::Change | Access::OldChange => {}
        }
        match self.way(now, head, from, route, config) {
            Way::Nobody => Verdict::Refuse(unauthorized(head)),
            Way::Cookie(who) => check(head, route, who, true)
                .map_or_else(Verdict::Refuse, |who| Verdict::Enter(route, names, Some(who))),
            Way::Basic(claim) => {
                let hash = claim.hash.as_deref();
                if let Some(hash) =
                    hash.filter(|hash| self.known.is_right(now, &self.keys, &claim.user, hash, &claim.password))
                {
                    let who = self.who(config, &claim.user, hash);
                    return self.enter(head, route, names, who);
                }
                match self.guesses.wait(now, from.peer.ip(), &claim.user) {
                    Some(wait) => Verdict::Refuse(slow_down(head, wait)),
                    None => Verdict::Prove(route, names, claim),
                }
            }
        }
    }

    /// Decides once more on a request whose password was looked at.
    pub(super) fn decide_proven(
        &mut self,
        now: Instant,
        head: &Head,
        place: (&'static Route, Vec<String>),
        (claim, is_right): (&Claim, bool),
        peer: SocketAddr,
        config: &Config,
    ) -> Verdict {
        let who = self.proven(now, claim, is_right, peer, config);
        self.enter(head, place.0, place.1, who)
    }

    /// Who it is, now that the password was looked at.
    pub(super) fn proven(
        &mut self,
        now: Instant,
        claim: &Claim,
        is_right: bool,
        peer: SocketAddr,
        config: &Config,
    ) -> Option<Who> {
        // The user may have got another password, or be gone, while this one was hashed.
        let hash = claim.hash.as_deref().filter(|hash| is_right && hash_of(config, &claim.user) == Some(*hash));
        let Some(hash) = hash else {
            self.guesses.wrong(now, peer.ip(), &claim.user);
            log::warn!(
                target: "director::admin",
                "login refused user={:?} from={}",
                claim.user.chars().take(64).collect::<String>(),
                peer.ip().to_canonical()
            );
            return None;
        };
        self.known.add(now, &self.keys, &claim.user, hash, &claim.password);
        self.who(config, &claim.user, hash)
    }

    fn enter(&self, head: &Head, route: &'static Route, names: Vec<String>, who: Option<Who>) -> Verdict {
        let who = who.ok_or_else(|| unauthorized(head)).and_then(|who| check(head, route, who, false));
        who.map_or_else(Verdict::Refuse, |who| Verdict::Enter(route, names, Some(who)))
    }

    fn way(&mut self, now: Instant, head: &Head, from: From<'_>, route: &Route, config: &Config) -> Way {
        if head.has("authorization") {
            return head
                .field("authorization")
                .and_then(|text| claim(&self.keys, text, config))
                .map_or(Way::Nobody, Way::Basic);
        }
        let cookie = head.field("cookie").and_then(|cookies| cookie(cookies, from.cookie));
        let Some(cookie) = cookie.filter(|_| !route.is_old()) else { return Way::Nobody };
        let hash = |user: &str| hash_of(config, user).map(str::to_owned);
        let Some(login) = self.logins.find(now, &self.keys, cookie, hash) else { return Way::Nobody };
        let user = user(config, &login.user);
        user.map_or(Way::Nobody, |user| {
            let full = user.access == config::Access::Full;
            Way::Cookie(Who { name: login.user, full, token: login.token })
        })
    }

    fn who(&self, config: &Config, name: &str, hash: &str) -> Option<Who> {
        let user = user(config, name)?;
        let token = hex(&self.keys.mark(&[b"token", name.as_bytes(), hash.as_bytes()]));
        Some(Who { name: name.to_owned(), full: user.access == config::Access::Full, token })
    }
}

/// The claim that somebody is this user.
pub(super) fn claim_of(keys: &Keys, config: &Config, user: String, password: Secret) -> Claim {
    let hash = hash_of(config, &user).map(str::to_owned);
    let known = hash.as_deref().unwrap_or_default();
    let mark = keys.mark(&[b"claim", user.as_bytes(), known.as_bytes(), &password.0]);
    Claim { user, password, hash, mark }
}

fn claim(keys: &Keys, text: &str, config: &Config) -> Option<Claim> {
    let (scheme, text) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = decode(text.trim())?;
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(bytes[..colon].to_vec()).ok()?;
    Some(claim_of(keys, config, user, Secret(bytes[colon + 1..].to_vec())))
}

/// Whether the user may, and his browser has said its token.
fn check(head: &Head, route: &Route, who: Who, by_cookie: bool) -> Result<Who, Answer> {
    let is_change = matches!(route.access, Access::Change | Access::OldChange);
    if is_change && !who.full {
        if route.is_old() {
            return Err(unauthorized(head));
        }
        let why = format!("{:?} may look and not change; expected a user with access=full", who.name);
        return Err(refusal(head, 403, "forbidden", &why));
    }
    let needs_token = !head.method.is_safe() && (by_cookie || is_from_browser(head));
    let said = head.field(TOKEN).unwrap_or_default();
    if needs_token && !bool::from(said.as_bytes().ct_eq(who.token.as_bytes())) {
        let why = "the field X-Director-Token is missing or wrong; expected the token of /api/v1/whoami";
        return Err(refusal(head, 403, "forbidden", why));
    }
    Ok(who)
}

fn is_from_browser(head: &Head) -> bool {
    ["origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"].iter().any(|name| head.has(name))
}

/// Whether a page of another site may have sent this. A browser says so (Fetch Metadata, RFC 6454), and nobody else has
/// a reason to.
fn is_foreign(head: &Head, route: &Route) -> bool {
    if route.is_old() {
        return is_from_browser(head);
    }
    let origin = head.field("origin").and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    let origin_is_ours = origin.is_some_and(|host| host.eq_ignore_ascii_case(&head.host));
    if head.has("origin") && !origin_is_ours {
        return true;
    }
    if !head.has("sec-fetch-site") {
        return false;
    }
    match head.field("sec-fetch-site") {
        Some("same-origin") => false,
        // Typed or a bookmark.
        Some("none") => !head.method.is_safe(),
        // A link elsewhere may lead to the page; the cookie stays behind.
        _ => !(head.method.is_safe() && route.is_page() && head.field("sec-fetch-mode") == Some("navigate")),
    }
}

/// Whether a program on this machine asks without saying who it is.
fn is_local(head: &Head, peer: SocketAddr) -> bool {
    let was_passed_on = head.has("x-forwarded-for") || head.has("forwarded") || head.has("x-real-ip");
    peer.ip().to_canonical().is_loopback() && !was_passed_on && !head.has("authorization") && !head.has("cookie")
}

fn user<'c>(config: &'c Config, name: &str) -> Option<&'c config::User> {
    config.admin.as_ref()?.users.iter().find(|user| user.name == name)
}

fn hash_of<'c>(config: &'c Config, name: &str) -> Option<&'c str> {
    user(config, name)?.password.as_deref()
}

/// The value of a cookie.
pub(super) fn cookie<'h>(cookies: &'h str, name: &str) -> Option<&'h str> {
    cookies
        .split(';')
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, v)| v)
}

/// A refusal of the server's own, as those who ask for such a path expect it.
pub(super) fn refusal(head: &Head, status: u16, kind: &str, why: &str) -> Answer {
    if head.target.segments.first().is_some_and(|first| first == "api") {
        return Answer::json(status, &json::error(kind, why));
    }
    Answer::text(status, format!("{why}\n"))
}

/// Asks for a name and a password: browsers are led to the form, and get no window of their own.
fn unauthorized(head: &Head) -> Answer {
    if head.method.is_safe() && api::is_browser(head) {
        return Answer::redirect(303, "/login");
    }
    let answer = refusal(head, 401, "unauthorized", "expected the name and the password of a user who may");
    let is_script = is_from_browser(head) || api::is_browser(head);
    if is_script { answer } else { answer.with("WWW-Authenticate", "Basic realm=\"Director\", charset=\"UTF-8\"") }
}

/// Guessing takes its time.
pub(super) fn slow_down(head: &Head, wait: Duration) -> Answer {
    let seconds = wait.as_secs().saturating_add(1);
    let why = format!("too many wrong passwords from this address; try again in {seconds} s");
    refusal(head, 429, "slow-down", &why).with("Retry-After", seconds.to_string())
}

#[cfg(test)]
mod tests;
