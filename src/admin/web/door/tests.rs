//! Who comes in, with which words, and who does not.

use super::*;
use crate::admin::auth::password;
use crate::admin::http::take_head;
use crate::config::parse;

const CONFIG: &str = "<director><service name='s'><listen ip='*:1'/><group name='g'><host ip='h:1'/></group></service>
    <admin><web listen='127.0.0.1:7001' enable='yes'/><user name='root' password='abiQ6Ep3EYTHc' access='full'/>
    <user name='eve' password='abiQ6Ep3EYTHc' access='readonly'/></admin></director>";
/// Both have the password `x`.
const ROOT: &str = "Authorization: Basic cm9vdDp4";
const EVE: &str = "Authorization: Basic ZXZlOng=";
const HASH: &str = "abiQ6Ep3EYTHc";
const COOKIE: &str = "director-7001";
const OWN: &str = "Origin: http://127.0.0.1:7001";
const SAME: &str = "Sec-Fetch-Site: same-origin";

struct World {
    door: Door,
    config: Config,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let keys = Keys::new().unwrap();
        let (known, logins, guesses) = (Known::default(), Logins::default(), Guesses::default());
        let config = parse(CONFIG, "f").unwrap();
        Self { door: Door { keys, known, logins, guesses }, config, now: Instant::now() }
    }

    /// What becomes of a request, its password looked at: `enter USER`, or the status of the refusal.
    fn ask(&mut self, line: &str, fields: &[&str]) -> String {
        self.ask_as("127.0.0.1:9", "127.0.0.1:7001", line, fields)
    }

    fn ask_as(&mut self, peer: &str, host: &str, line: &str, fields: &[&str]) -> String {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let text = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
        let head = take_head(&mut text.into_bytes(), &mut 0).unwrap().unwrap();
        let hosts = Hosts::of(self.config.admin.as_ref().unwrap().web.as_ref().unwrap());
        let (peer, local) = (peer.parse().unwrap(), "127.0.0.1:7001".parse().unwrap());
        let from = From { peer, local, hosts: &hosts, cookie: COOKIE };
        let verdict = match self.door.decide(self.now, &head, from, &self.config) {
            Verdict::Prove(route, names, claim) => {
                let is_right = password::is_right(&claim.password.0, claim.hash.as_deref());
                let proof = (&claim, is_right);
                self.door.decide_proven(self.now, &head, (route, names), proof, peer, &self.config)
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Enter(_, _, who) => format!("enter {}", who.map_or(String::new(), |who| who.name)),
            Verdict::Refuse(answer) => answer.status.to_string(),
            Verdict::Prove(..) => String::from("prove"),
        }
    }

    /// The fields of a browser that is logged in.
    fn login(&mut self) -> (String, String) {
        let name = self.door.logins.add(self.now, &self.door.keys, "root", HASH).unwrap();
        let login = self.door.logins.find(self.now, &self.door.keys, &name, |_| Some(HASH.to_owned())).unwrap();
        (format!("Cookie: a=b; {COOKIE}={name}"), format!("X-Director-Token: {}", login.token))
    }
}

#[test]
fn user_enters_with_his_password_and_only_where_he_may() {
    let mut world = World::new();
    for (line, fields, expected) in [
        ("GET /running.txt", &[ROOT][..], "enter root"),
        ("GET /running.txt", &[EVE], "enter eve"),
        ("GET /addHost?x=y", &[ROOT], "enter root"),
        ("GET /addHost?x=y", &[EVE], "401"),
        ("POST /api/v1/services", &[EVE], "403"),
        ("POST /api/v1/config/diff", &[EVE], "enter eve"),
        ("GET /running.txt", &[], "401"),
        ("GET /running.txt", &["Authorization: Basic cm9vdDp5"], "401"),
        ("GET /running.txt", &["Authorization: Basic bm9ib2R5Ong="], "401"),
        ("GET /running.txt", &["Authorization: Bearer cm9vdDp4"], "401"),
        ("GET /running.txt", &["Authorization: Basic !"], "401"),
        ("GET /running.txt", &[ROOT, ROOT], "401"),
        ("GET /nothing", &[ROOT], "404"),
        ("DELETE /running.txt", &[ROOT], "405"),
        ("OPTIONS /api/v1/status", &[], "405"),
        ("GET /healthz", &[], "enter "),
        ("GET /assets/app.js", &[], "enter "),
    ] {
        assert_eq!(world.ask(line, fields), expected, "{line} {fields:?}");
    }
}

#[test]
fn other_sites_pages_are_kept_out() {
    let mut world = World::new();
    let (cookie, token) = world.login();
    let (cookie, token) = (cookie.as_str(), token.as_str());
    for (line, fields, expected) in [
        ("POST /api/v1/changes", &[cookie, OWN, SAME, token][..], "enter root"),
        ("POST /api/v1/changes", &[cookie, OWN, SAME], "403"),
        ("POST /api/v1/changes", &[cookie], "403"),
        ("POST /api/v1/changes", &[cookie, OWN, "X-Director-Token: guessed"], "403"),
        ("POST /api/v1/changes", &[cookie, token, "Origin: http://evil.example"], "403"),
        ("POST /api/v1/changes", &[cookie, token, "Origin: null"], "403"),
        ("POST /api/v1/changes", &[cookie, token, "Sec-Fetch-Site: none"], "403"),
        ("POST /api/v1/changes", &[cookie, token, "Sec-Fetch-Site: same-site"], "403"),
        ("POST /api/v1/changes", &[ROOT, SAME], "403"),
        ("POST /api/v1/changes", &[ROOT], "enter root"),
        ("GET /addHost?x=y", &[cookie], "401"),
        ("GET /addHost?x=y", &[ROOT, SAME], "403"),
        ("GET /addHost?x=y", &[ROOT, OWN], "403"),
        ("GET /api/v1/status", &[cookie, "Sec-Fetch-Site: cross-site"], "403"),
        ("GET /api/v1/status", &[cookie, "Sec-Fetch-Site: none"], "enter root"),
        ("GET /", &[cookie, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"], "enter root"),
        ("GET /", &[cookie, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"], "403"),
        ("POST /login", &["Origin: http://evil.example"], "403"),
    ] {
        assert_eq!(world.ask(line, fields), expected, "{line} {fields:?}");
    }
    assert_eq!(world.ask_as("127.0.0.1:9", "evil.example:7001", "GET /running.txt", &[ROOT]), "421");
}

#[test]
fn counters_are_for_this_machine_and_for_users() {
    let mut world = World::new();
    let mut ask = |peer, fields: &[&str]| world.ask_as(peer, "127.0.0.1:7001", "GET /metrics", fields);
    assert_eq!(ask("127.0.0.1:9", &[]), "enter ");
    assert_eq!(ask("127.0.0.1:9", &["X-Forwarded-For: 192.0.2.1"]), "401");
    assert_eq!(ask("192.0.2.1:9", &[]), "401");
    assert_eq!(ask("192.0.2.1:9", &[EVE]), "enter eve");
}

#[test]
fn login_that_guesses_waits_and_one_that_is_known_does_not() {
    let mut world = World::new();
    assert_eq!(world.ask("GET /running.txt", &[ROOT]), "enter root");
    let wrong = "Authorization: Basic cm9vdDp5";
    let told: Vec<String> = (0..8).map(|_| world.ask("GET /running.txt", &[wrong])).collect();
    assert_eq!((told[0].as_str(), told[7].as_str()), ("401", "429"));
    assert_eq!(world.ask("GET /running.txt", &[ROOT]), "enter root", "it was right a moment ago");
    assert_eq!(world.ask("GET /running.txt", &[EVE]), "enter eve", "another user from the same address");
}
