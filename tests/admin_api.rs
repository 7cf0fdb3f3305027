//! The API as programs speak to it, metrics, events, and what hostile clients cost.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use support::http::{Response, connect, raw, send};
use support::wait::{PATIENCE, StopAtEnd, allowed, ms};
use support::{Churn, Client, Director, Host, figure, lock, scripts, sized, until};

mod support;

/// `root:secret` in base64, and the hash of `secret` (crypt(3)).
const ROOT: &str = "Authorization: Basic cm9vdDpzZWNyZXQ=";
const HASH: &str = "saHW9GdxihkGQ";

fn start(hosts: &[&Host]) -> (Director, SocketAddr) {
    let hosts: String =
        hosts.iter().map(|host| format!("<host name='{}' ip='{}'/>", host.name(), host.addr())).collect();
    let text = format!(
        "<director><service name='web'><listen ip='127.0.0.1:0'/><group name='g'>{hosts}</group></service>
         <manager><hostCheck interval='100ms'/></manager>
         <admin><web listen='127.0.0.1:0' enable='true'/><user name='root' password='{HASH}' access='full'/></admin>
         </director>"
    );
    let director = Director::plan_text(&text).log_lines_max(100_000).start();
    let line = director.wait_for_log(&["administration page on http://"], PATIENCE);
    let addr = line.rsplit("http://").next().and_then(|addr| addr.trim().parse().ok()).expect("an address");
    (director, addr)
}

fn ask(addr: SocketAddr, method: &str, path: &str, body: &Value) -> Response {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(addr, method, &format!("/api/v1/{path}"), &[ROOT, "Content-Type: application/json"], &body)
}

fn look(addr: SocketAddr, path: &str) -> Value {
    let answer = ask(addr, "GET", path, &Value::Null);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

/// Asks for a change that is made.
fn done(addr: SocketAddr, method: &str, path: &str, body: &Value) {
    let answer = ask(addr, method, path, body);
    assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
}

fn told(director: &Director, service: &str) -> String {
    until(PATIENCE, "it listens", || !director.addrs(service).is_empty());
    Client::connect(director.addrs(service)[0]).read_text().0
}

#[test]
fn everything_is_made_changed_and_removed_over_the_api() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let (director, addr) = start(&[&hosts[0]]);
    let b = hosts[1].addr().to_string();
    done(addr, "POST", "services/web/groups/g/hosts", &json!({"name": "b", "ip": b, "weight": "2"}));
    done(addr, "PATCH", "services/web/groups/g/hosts/a", &json!({"state": "drain"}));
    assert_eq!([told(&director, "web"), told(&director, "web")], ["b", "b"]);
    done(addr, "PATCH", "services/web/groups/g", &json!({"scheduler": "leastconns"}));
    done(addr, "PATCH", "services/web", &json!({"idle-timeout": "90s"}));
    done(addr, "POST", "services/web/groups/g/hosts/a/retry", &Value::Null);
    done(addr, "POST", "services/web/listeners", &json!({"ip": "127.0.0.2:0"}));
    done(addr, "POST", "services", &json!({"name": "new", "ip": "127.0.0.1:0"}));
    done(addr, "POST", "services/new/groups", &json!({"name": "x"}));
    done(addr, "POST", "services/new/groups/x/hosts", &json!({"ip": b}));
    assert_eq!(told(&director, "new"), "b");
    done(addr, "POST", "services/new/groups", &json!({"name": "y"}));
    done(addr, "DELETE", "services/new/groups/y", &Value::Null);
    done(addr, "POST", "users", &json!({"name": "eve", "password": "a long one", "access": "readonly"}));
    done(addr, "PATCH", "manager", &json!({"fall": "3"}));
    done(addr, "POST", "log", &json!({"level": "debug"}));
    let services = look(addr, "services");
    assert_eq!(services.as_array().map(Vec::len), Some(2), "{services}");
    let host = look(addr, "services/web/groups/g/hosts/b");
    let host = if host.is_array() { host[0].clone() } else { host };
    assert_eq!((host["weight"].as_u64(), host["status"].as_str()), (Some(2), Some("up")), "{host}");
    assert!(!look(addr, "users").to_string().contains(HASH));
    assert!(look(addr, "config/diff").to_string().contains("weight"));
    // All or nothing, and each kind of refusal.
    let before = look(addr, "services/web").to_string().contains("90000");
    assert!(before);
    for (method, path, body, status) in [
        ("PATCH", "services/web/groups/g/hosts/nobody", json!({"weight": "3"}), 404),
        ("PATCH", "services/web/groups/g/hosts/b", json!({"wieght": "3"}), 400),
        ("POST", "services", json!({"name": "web", "ip": "127.0.0.1:0"}), 409),
        ("DELETE", "services/new/groups/x/hosts/host.0", Value::Null, 409),
        ("DELETE", "services", Value::Null, 405),
        ("GET", "nothing", Value::Null, 404),
        ("POST", "config/confirm", Value::Null, 409),
        ("PATCH", "services/web", json!([1]), 400),
    ] {
        let answer = ask(addr, method, path, &body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(status == 405 || answer.json()["error"]["why"].is_string(), "{answer:?}");
    }
    done(addr, "POST", "config/save", &Value::Null);
    let text = fs::read_to_string(director.config_path()).expect("the file");
    assert!(director::config::parse(&text, "f").is_ok() && text.contains("idle-timeout='90s'"), "{text}");
    done(addr, "DELETE", "services/new", &Value::Null);
    done(addr, "POST", "config/reload?confirm=300ms", &Value::Null);
    assert_eq!(look(addr, "services").as_array().map(Vec::len), Some(2), "as in the file");
    until(PATIENCE, "it goes back", || look(addr, "services").as_array().map(Vec::len) == Some(1));
    done(addr, "DELETE", "services/web/listeners/127.0.0.2:0", &Value::Null);
    let events = look(addr, "events?after=0").to_string();
    assert!(events.contains("root (web 127.0.0.1:") && !events.contains("a long one"), "{events}");
    director.finish();
}

#[test]
fn sessions_are_listed_and_cut() {
    let only = Host::serve("a", scripts::echo());
    let (director, addr) = start(&[&only]);
    let clients: Vec<Client> = (0..3).map(|_| Client::connect(director.addr())).collect();
    for client in &clients {
        client.send(b"ping");
        assert_eq!(client.read_exact(4), b"ping");
    }
    let list = look(addr, "sessions?service=web");
    let sessions = list["sessions"].as_array().expect("a list");
    assert_eq!((sessions.len(), list["total"].as_u64()), (3, Some(3)), "{list}");
    let name = sessions[0]["name"].as_str().expect("a name");
    done(addr, "DELETE", &format!("sessions/{name}"), &Value::Null);
    assert_eq!(ask(addr, "DELETE", &format!("sessions/{name}"), &Value::Null).status, 404);
    assert_eq!(ask(addr, "DELETE", "sessions", &Value::Null).status, 400, "all of them is refused");
    done(addr, "DELETE", "sessions?client=127.0.0.1", &Value::Null);
    until(PATIENCE, "nobody is left", || look(addr, "sessions")["total"] == 0);
    director.finish();
}

#[test]
fn remembered_clients_are_listed_and_forgotten_and_hosts_are_kept_out() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let (director, addr) = start(&[&hosts[0], &hosts[1]]);
    done(addr, "PATCH", "services/web/groups/g", &json!({"scheduler": "roundrobin,sticky"}));
    let tell = || Client::connect(director.addr()).read_text().0;
    let first = tell();
    assert_eq!(tell(), first, "it comes back");
    let list = look(addr, "sticky?service=web&group=g&client=127.0.0.1");
    assert_eq!(
        (list["total"].as_u64(), list["clients"][0]["host"].as_str()),
        (Some(1), Some(first.as_str())),
        "{list}"
    );
    assert_eq!(look(addr, "sticky?client=127.0.0.2")["total"], 0);
    let group = look(addr, "services/web/groups/g");
    assert_eq!((&group["sticky"], &group["sticky_clients"]), (&json!("table"), &json!(1)), "{group}");
    let metrics = send(addr, "GET", "/metrics", &[ROOT], "").body;
    assert!(metrics.contains("director_sticky_clients{service=\"web\",group=\"g\"} 1\n"), "{metrics}");
    let other = if first == "a" { "b" } else { "a" };
    let blacklist = format!("services/web/groups/g/hosts/{first}/blacklist");
    done(addr, "POST", &blacklist, &json!({"time": "1h"}));
    let host = look(addr, &format!("services/web/groups/g/hosts/{first}"))[0].clone();
    assert!(host["blacklisted_ms"].as_u64() > Some(3_500_000), "{host}");
    assert_eq!(tell(), other, "its own host is kept out");
    done(addr, "POST", &blacklist, &json!({"time": 0}));
    assert_eq!(tell(), other, "it stays");
    done(addr, "POST", &blacklist, &Value::Null);
    for (method, path, body, status) in [
        ("DELETE", "sticky", Value::Null, 400),
        ("DELETE", "sticky?client=10.9.9.9", Value::Null, 404),
        ("GET", "sticky?service=nobody", Value::Null, 404),
        ("GET", "sticky?host=a", Value::Null, 400),
        ("GET", "sticky?client=nobody", Value::Null, 400),
        ("POST", &blacklist, json!({"time": "soon"}), 400),
        ("POST", &blacklist, json!({"tine": "1s"}), 400),
        ("POST", "services/web/groups/g/hosts/nobody/blacklist", Value::Null, 404),
    ] {
        let answer = ask(addr, method, path, &body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
    let forgotten = ask(addr, "DELETE", &format!("sticky?service=web&host={other}"), &Value::Null);
    assert_eq!(forgotten.json(), json!({"forgotten": 1}), "{forgotten:?}");
    assert_eq!(look(addr, "sticky")["total"], 0);
    director.finish();
}

#[test]
fn metrics_are_well_formed_and_count_what_clients_did() {
    let only = Host::serve("a", scripts::tell_name());
    let (director, addr) = start(&[&only]);
    for _ in 0..25 {
        assert_eq!(told(&director, "web"), "a");
    }
    until(PATIENCE, "all have ended", || look(addr, "services/web")["open"] == 0);
    thread::sleep(Duration::from_millis(300)); // the age that a snapshot for many may have
    let text = send(addr, "GET", "/metrics", &[ROOT], "").body;
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name: String = series.chars().take_while(|c| *c != '{').collect();
        assert!(name.starts_with("director_") && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
        assert!(seen.insert(series.to_owned()), "twice: {series}");
    }
    let sum = |name: &str| {
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains("web"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let accepted = seen.iter().find(|series| series.contains("accepted") && series.contains("web")).expect("a counter");
    let accepted = accepted.split('{').next().unwrap_or_default().to_owned();
    assert!(sum(&accepted) >= 25.0, "{accepted}");
    assert_eq!(send(addr, "GET", "/healthz", &[], "").status, 200);
    assert_eq!(send(addr, "GET", "/readyz", &[], "").status, 200);
    drop(only);
    until(PATIENCE, "nobody is ready", || {
        drop(Client::try_connect(director.addr(), PATIENCE));
        send(addr, "GET", "/readyz", &[], "").status == 503
    });
    director.finish();
}

#[test]
fn follower_gets_snapshots_and_changes_as_they_come() {
    let only = Host::serve("a", scripts::tell_name());
    let (director, addr) = start(&[&only]);
    let mut stream = connect(addr, None);
    write!(stream, "GET /api/v1/stream HTTP/1.1\r\nHost: {addr}\r\n{ROOT}\r\n\r\n").expect("ask");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let since = Instant::now();
    assert!(lines.by_ref().any(|line| line.contains("event: snapshot")));
    assert!(since.elapsed() < allowed(Duration::from_secs(2)));
    done(addr, "PATCH", "services/web/groups/g/hosts/a", &json!({"weight": "7"}));
    let since = Instant::now();
    assert!(lines.by_ref().any(|line| line.contains("weight=7")), "the change is told");
    figure("a change is told to followers after, ms", ms(since.elapsed()));
    assert!(since.elapsed() < allowed(Duration::from_secs(1)));
    drop(lines);
    director.finish();
}

#[test]
fn ambiguous_and_oversize_requests_are_refused() {
    let only = Host::serve("a", scripts::tell_name());
    let (director, addr) = start(&[&only]);
    let host = format!("Host: {addr}\r\n");
    let long = format!("X: {}\r\n", "y".repeat(20_000));
    for (head, allowed) in [
        (format!("POST /login HTTP/1.1\r\n{host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400),
        (format!("POST /login HTTP/1.1\r\n{host}Content-Length: 3\r\nContent-Length: 4\r\n"), 400),
        (format!("GET /healthz HTTP/1.1\r\n{host}{host}"), 400),
        ("GET /healthz HTTP/1.1\r\n".to_owned(), 400),
        (format!("GET /healthz HTTP/1.1\r\n{host}X: a\r\n folded\r\n"), 400),
        (format!("GET /healthz HTTP/1.1\n{host}"), 400),
        (format!("GET /%2e%2e/etc/passwd HTTP/1.1\r\n{host}"), 400),
        (format!("GET /a%00 HTTP/1.1\r\n{host}"), 400),
        (format!("GET /healthz HTTP/1.1\r\n{host}{long}"), 431),
        (format!("POST /login HTTP/1.1\r\n{host}Content-Length: 99999999999\r\n"), 413),
    ] {
        let answer = raw(&connect(addr, None), &format!("{head}\r\n"));
        let ok = answer.status == allowed || (400..=431).contains(&answer.status);
        assert!(ok, "{head:?}: {answer:?}");
    }
    assert_eq!(send(addr, "GET", "/healthz", &[], "").status, 200);
    director.finish();
}

#[test]
fn thousand_half_open_clients_keep_no_administrator_out() {
    let _alone = lock::alone();
    let only = Host::serve("a", scripts::tell_name());
    let (director, addr) = start(&[&only]);
    let half_open: Vec<_> = (0..1000_u32)
        .map(|number| {
            let from = Ipv4Addr::new(127, 0, 1, u8::try_from(number % 250 + 1).expect("small"));
            let mut stream = connect(addr, Some(from.into()));
            let _ = stream.write_all(b"GET / HT");
            stream
        })
        .collect();
    let since = Instant::now();
    assert_eq!(look(addr, "services/web")["name"], "web");
    figure("an administrator is answered beside 1000 half-open clients after, ms", ms(since.elapsed()));
    assert!(since.elapsed() < allowed(Duration::from_secs(1)));
    assert_eq!(told(&director, "web"), "a");
    drop(half_open);
    director.finish();
}

#[test]
fn polling_and_changing_all_the_time_costs_no_connection() {
    let _alone = lock::alone();
    let hosts = ["a", "b"].map(|name| Host::plan(name, scripts::churn()).workers(4).start());
    let (director, addr) = start(&[&hosts[0], &hosts[1]]);
    let changes = sized(300, 10_000);
    let stop = AtomicBool::new(false);
    let spare = hosts[0].addr().to_string();
    let tally = thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let load = scope.spawn(|| Churn::new(director.addr(), u64::MAX, 8).run_until(&stop));
        for _ in 0..20 {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    assert_eq!(ask(addr, "GET", "status", &Value::Null).status, 200);
                    thread::sleep(Duration::from_millis(200));
                }
            });
        }
        for _ in 0..changes / 2 {
            done(addr, "POST", "services/web/groups/g/hosts", &json!({"name": "c", "ip": spare}));
            done(addr, "DELETE", "services/web/groups/g/hosts/c", &Value::Null);
        }
        stop.store(true, Relaxed);
        load.join().expect("the load ends")
    });
    figure(&format!("during {changes} changes and 20 clients that poll"), &tally);
    assert_eq!(tally.failed(), 0, "{tally}");
    director.finish();
}
