//! Access lists that front-ends change while it runs, and the list of the administration page itself.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Instant;

use director::model::limits::{WEB_BODIES_BYTES_MAX, WEB_BODY_BYTES_MAX, WEB_FORM_BYTES_MAX};
use serde_json::{Value, json};
use support::http::{Response, connect, raw, send};
use support::wait::{PATIENCE, ms};
use support::{Client, Director, Host, Site, figure, scripts, until};

mod support;

/// `root:secret` in base64, and the hash of `secret` (crypt(3)).
const ROOT: &str = "Authorization: Basic cm9vdDpzZWNyZXQ=";
const HASH: &str = "saHW9GdxihkGQ";

/// A service `web` on a host, an administrator, and this beside them; and where the page is.
fn start(host: &Host, service: &str, web: &str, beside: &str) -> (Director, SocketAddr) {
    let (name, addr) = (host.name(), host.addr());
    let text = format!(
        "<director>
           <service name='web' {service}><listen ip='127.0.0.1:0'/>
             <group name='g'><host name='{name}' ip='{addr}'/></group></service>
           <admin><web listen='127.0.0.1:0' enable='true' {web}/>
             <user name='root' password='{HASH}' access='full'/></admin>
           {beside}
         </director>"
    );
    let director = Director::plan_text(&text).start();
    let line = director.wait_for_log(&["administration page on http://"], PATIENCE);
    let page = line.rsplit("http://").next().and_then(|addr| addr.trim().parse().ok()).expect("an address");
    (director, page)
}

fn ask(page: SocketAddr, method: &str, path: &str, body: &Value) -> Response {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(page, method, &format!("/api/v1/{path}"), &[ROOT, "Content-Type: application/json"], &body)
}

/// What a client from 127.0.0.1 is told; empty when it is turned away.
fn told(director: &Director) -> String {
    Client::connect(director.addr()).read_text().0
}

#[test]
fn list_is_made_used_replaced_and_removed_over_the_api() {
    let host = Host::serve("a", scripts::tell_name());
    let (director, page) = start(&host, "", "", "");
    let list = json!({"default": "deny", "rules": [{"permit": "10.0.0.0/8"}, {"permit": "::1"}]});
    let mut named = list.clone();
    named["name"] = json!("lan");
    assert_eq!(ask(page, "POST", "acls", &named).status, 201);
    assert_eq!(ask(page, "POST", "acls", &named).status, 409);
    assert_eq!(ask(page, "PATCH", "services/web", &json!({"acl": "lan", "client-max": "50"})).status, 200);
    assert_eq!(told(&director), "");
    let mut shown = ask(page, "GET", "acls/lan", &Value::Null).json();
    assert_eq!(shown["used_by"], json!(["service web"]));
    assert_eq!((&shown["default"], &shown["rules"]), (&list["default"], &list["rules"]));
    // As it was read, with one rule more, it is written back.
    shown["rules"].as_array_mut().unwrap().insert(0, json!({"permit": "127.0.0.0/8"}));
    assert_eq!(ask(page, "PUT", "acls/lan", &shown).status, 200);
    assert_eq!(told(&director), "a");
    assert_eq!(ask(page, "GET", "acls", &Value::Null).json()[0]["rule_count"], 3);
    assert_eq!(ask(page, "PUT", "acls/other", &list).status, 201, "one that is not there is made");
    for (method, path, body, status, why) in [
        ("DELETE", "acls/lan", Value::Null, 409, "is used by service web"),
        ("GET", "acls/lna", Value::Null, 404, "lna"),
        ("PUT", "acls/lan", json!({"default": "deny"}), 400, "rules are no array"),
        ("PUT", "acls/lan", json!({"default": "no", "rules": []}), 400, "default"),
        ("PUT", "acls/lan", json!({"default": "deny", "rules": [{"permit": "10.0.0.1/8"}]}), 400, "10.0.0.0/8"),
        ("PUT", "acls/lan", json!({"default": "deny", "rules": [{"allow": "::1"}]}), 400, "rule 1"),
        ("PUT", "acls/lan", json!({"default": "deny", "rules": [], "acl": 1}), 400, "unknown"),
        ("PATCH", "services/web", json!({"acl": "lna"}), 400, "did you mean \\\"lan\\\""),
    ] {
        let answer = ask(page, method, path, &body);
        assert!(answer.status == status && answer.body.contains(why), "{method} {path} {body}: {answer:?}");
    }
    assert_eq!(told(&director), "a", "what is refused changes nothing");
    let service = ask(page, "GET", "services/web", &Value::Null).json();
    assert_eq!((&service["acl"], &service["client_max"]), (&json!("lan"), &json!(50)));
    assert_eq!((&service["closed"]["denied"], &service["uncounted"]), (&json!(1), &json!(0)));
    let metrics = send(page, "GET", "/metrics", &[ROOT], "").body;
    assert!(metrics.contains("director_service_closed_total{service=\"web\",reason=\"denied\"} 1\n"), "{metrics}");
    assert!(metrics.contains("director_service_uncounted_total{service=\"web\"} 0\n"), "{metrics}");
    assert_eq!(ask(page, "PATCH", "services/web", &json!({"acl": null})).status, 200);
    assert_eq!(ask(page, "DELETE", "acls/lan", &Value::Null).status, 200);
    director.finish();
}

#[test]
fn list_of_hundred_thousand_networks_comes_over_the_api() {
    let host = Host::serve("a", scripts::tell_name());
    let (director, page) = start(&host, "acl='l'", "", "<acl name='l' default='permit'/>");
    let rules: Vec<Value> = (0..100_000_u32)
        .map(|n| json!({"deny": format!("2001:db8:{:x}:{:x}::/64", n >> 16, n & 0xffff)}))
        .chain([json!({"deny": "127.0.0.1"})])
        .collect();
    assert_eq!(told(&director), "a");
    let begin = Instant::now();
    let answer = ask(page, "PUT", "acls/l", &json!({"default": "permit", "rules": rules}));
    figure("an access list of 100,000 networks over the API, ms", ms(begin.elapsed()));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(told(&director), "");
    assert_eq!(ask(page, "GET", "acls/l", &Value::Null).json()["rules"].as_array().unwrap().len(), 100_001);
    director.finish();
}

#[test]
fn list_is_made_and_saved_from_the_prompt_with_its_comments() {
    let host = Host::serve("a", scripts::tell_name());
    let (name, addr) = (host.name(), host.addr());
    let site = Site::start(&format!(
        "<service name='web' acl='lan'><listen ip='127.0.0.1:0'/>
           <group name='g'><host name='{name}' ip='{addr}'/></group></service>
         <acl name='lan' default='deny'>
           <!-- this machine -->
           <permit net='127.0.0.0/8'/>
         </acl>"
    ));
    let told = || Client::connect(site.director.addr()).read_text().0;
    assert_eq!(told(), "a");
    assert!(site.ctl(&["acl", "list"]).good().contains("service web"));
    site.ctl(&["acl", "del", "lan"]).failed(1);
    site.ctl(&["acl", "show", "lna"]).failed(4);
    let set = ["acl", "set", "lan", "default=deny", "deny", "127.0.0.1", "permit", "127.0.0.0/8"];
    site.ctl(&set).good();
    assert_eq!(told(), "");
    let shown = site.ctl(&["acl", "show", "lan"]).good();
    let expected =
        "access list lan  used by service web\n  deny   127.0.0.1\n  permit 127.0.0.0/8\n  deny   everybody else\n";
    assert_eq!(shown, expected);
    assert_eq!(site.json(&["acl", "show", "lan"])["rules"][0]["deny"], "127.0.0.1");
    let completed = site.ctl(&["complete", "acl", "set", "l"]).good();
    assert!(completed.contains("lan\taccess list"), "{completed}");
    // What differs from the file, as commands, leads back to it.
    let other = site.folder.path("other.xml");
    fs::copy(site.director.config_path(), &other).unwrap();
    let commands = site.ctl(&["config", "diff", other.to_str().unwrap(), "--commands"]).good();
    assert_eq!(commands.trim(), "acl set lan default=deny permit 127.0.0.0/8");
    site.ctl(&["config", "save"]).good();
    let saved = fs::read_to_string(site.director.config_path()).unwrap();
    let lines: Vec<&str> = saved.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| *line == "<!-- this machine -->").expect("the comment");
    assert_eq!(lines[at + 1], "<permit net='127.0.0.0/8'/>");
    assert!(lines.contains(&"<deny net=\"127.0.0.1\"/>"), "{saved}");
    assert_eq!(site.ctl_with(&["batch"], &commands).code, Some(0));
    assert_eq!(told(), "a");
    site.director.finish();
}

/// Whether the page closes a connection from here before it was told anything. It is never answered then.
fn is_shut_out(page: SocketAddr, from: IpAddr) -> bool {
    let mut stream = connect(page, Some(from));
    let mut bytes = Vec::new();
    // A reset is as good as an end.
    let _ = stream.read_to_end(&mut bytes);
    bytes.is_empty()
}

#[test]
fn page_is_reached_from_where_its_list_says_and_from_nowhere_else() {
    let host = Host::serve("a", scripts::tell_name());
    let lists = "<acl name='staff' default='deny'><permit net='127.0.0.1'/><permit net='127.0.0.8'/></acl>";
    let (director, page) = start(&host, "", "acl='staff'", lists);
    let [guest, colleague]: [IpAddr; 2] = ["127.0.0.9", "127.0.0.8"].map(|ip| ip.parse().unwrap());
    assert!(is_shut_out(page, guest), "it is closed without a byte from it");
    assert_eq!(ask(page, "GET", "services/web", &Value::Null).status, 200);
    // Who follows what happens is cut when he is shut out.
    let follows = connect(page, Some(colleague));
    let request = format!("GET /api/v1/stream HTTP/1.1\r\nHost: {page}\r\n{ROOT}\r\n\r\n");
    (&follows).write_all(request.as_bytes()).unwrap();
    let mut first = [0; 12];
    (&follows).read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let only = json!({"default": "deny", "rules": [{"permit": "127.0.0.1"}]});
    assert_eq!(ask(page, "PUT", "acls/staff", &only).status, 200);
    let mut rest = Vec::new();
    let _ = (&follows).read_to_end(&mut rest);
    assert!(is_shut_out(page, colleague));
    assert_eq!(ask(page, "DELETE", "acls/staff", &Value::Null).status, 409, "the page uses it");
    let all = json!({"default": "permit", "rules": []});
    assert_eq!(ask(page, "PUT", "acls/staff", &all).status, 200);
    until(PATIENCE, "everybody may come", || {
        let answer = raw(
            &connect(page, Some(guest)),
            &format!("GET /healthz HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n"),
        );
        answer.status == 200
    });
    director.finish();
}

/// Begins to send a body of this length, as whoever the line says, and sends this much of it.
fn begin(page: SocketAddr, who: &str, length: usize, sent: usize) -> TcpStream {
    let mut stream = connect(page, None);
    let head = format!("PUT /api/v1/config HTTP/1.1\r\nHost: {page}\r\n{who}Content-Length: {length}\r\n\r\n");
    // Who is refused early may be reset while it still sends.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&vec![b' '; sent]));
    stream
}

fn status(mut stream: &TcpStream) -> String {
    let mut first = [0; 12];
    match stream.read_exact(&mut first) {
        Ok(()) => String::from_utf8_lossy(&first[9..]).into_owned(),
        Err(_) => String::new(),
    }
}

#[test]
fn bodies_of_strangers_are_not_read_and_those_of_users_have_a_bound() {
    let host = Host::serve("a", scripts::tell_name());
    let (director, page) = start(&host, "", "", "");
    // Nobody: answered at once, while nothing but the head was read.
    assert_eq!(status(&begin(page, "", WEB_BODY_BYTES_MAX, 0)), "401");
    let login = format!("POST /login HTTP/1.1\r\nHost: {page}\r\nContent-Length: {}\r\n\r\n", WEB_FORM_BYTES_MAX + 1);
    assert_eq!(raw(&connect(page, None), &login).status, 413);
    let root = format!("{ROOT}\r\n");
    assert_eq!(status(&begin(page, &root, WEB_BODY_BYTES_MAX + 1, 0)), "413");
    // More of them at a time than there is room for: some are told to come again, and what is held stays below.
    let before = director.process().resident_bytes();
    let each = WEB_BODY_BYTES_MAX - 1024;
    let many: Vec<TcpStream> = (0..10).map(|_| begin(page, &root, WEB_BODY_BYTES_MAX, each)).collect();
    let grown = director.process().resident_bytes().saturating_sub(before);
    figure("memory while ten users send 8 MiB each, MiB", grown >> 20);
    assert!(grown < 3 * WEB_BODIES_BYTES_MAX as u64, "{grown}");
    let refused = many.iter().rev().map(|stream| {
        stream.set_nonblocking(true).unwrap();
        status(stream)
    });
    let refused: Vec<String> = refused.filter(|status| !status.is_empty()).collect();
    assert!(refused.len() >= 5 && refused.iter().all(|status| status == "503"), "{refused:?}");
    drop(many);
    until(PATIENCE, "there is room again", || ask(page, "GET", "services/web", &Value::Null).status == 200);
    assert_eq!(told(&director), "a");
    director.finish();
}
