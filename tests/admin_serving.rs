//! How the administration page is served: where a reload puts it, what it answers when the balancer is full or its
//! manager stalls, for how long it waits, and what it never tells.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use support::http::{Response, connect, raw, send};
use support::log::Mark;
use support::wait::{allowed, ms};
use support::{Client, Director, Host, PATIENCE, Strace, figure, lock, scripts, until};

mod support;

/// `root:secret` and `eve:secret` in base64, and two hashes of `secret` (crypt(3)).
const ROOT: &str = "Authorization: Basic cm9vdDpzZWNyZXQ=";
const EVE: &str = "Authorization: Basic ZXZlOnNlY3JldA==";
const HASH: &str = "saHW9GdxihkGQ";
const OTHER_HASH: &str = "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1";
const HOST: &str = "/api/v1/services/web/groups/g/hosts/a";
/// Within this an administrator has an answer, whatever happens.
const SOON: Duration = Duration::from_secs(1);

fn text(host: &Host, web: &str) -> String {
    format!(
        "<director><service name='web'><listen ip='127.0.0.1:0'/>
           <group name='g'><host name='{}' ip='{}'/></group></service>
         <admin>{web}<user name='root' password='{HASH}' access='full'/>
           <user name='eve' password='{OTHER_HASH}' access='readonly'/></admin></director>",
        host.name(),
        host.addr()
    )
}

fn start(host: &Host) -> (Director, SocketAddr) {
    start_with(host, &[])
}

fn start_with(host: &Host, args: &[&str]) -> (Director, SocketAddr) {
    let plan = Director::plan_text(&text(host, "<web listen='127.0.0.1:0' enable='yes'/>"));
    let director = plan.args(args).log_lines_max(5000).start();
    let page = page_of(&director, Mark::default());
    (director, page)
}

fn page_of(director: &Director, after: Mark) -> SocketAddr {
    let line = director.wait_for_log_after(after, &["administration page on http"], PATIENCE);
    line.rsplit("://").next().and_then(|addr| addr.trim().parse().ok()).expect("an address")
}

fn get(page: SocketAddr, target: &str) -> Response {
    send(page, "GET", target, &[ROOT], "")
}

/// A port that nobody has; whoever comes next may take it.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address")
}

#[test]
fn page_goes_where_a_reload_puts_it() {
    let host = Host::serve("a", scripts::tell_name());
    let (director, first) = start(&host);
    let second = free_port();
    let mark = director.log().mark();
    director.write_config_text(&text(&host, &format!("<web listen='{second}' enable='yes' names='lb.example'/>")));
    assert!(director.reload().contains("reloaded"));
    assert_eq!(page_of(&director, mark), second);
    assert_eq!(get(second, "/running.txt").status, 200);
    assert!(TcpStream::connect(first).is_err(), "nobody listens there any more");
    let named = format!("GET /running.txt HTTP/1.1\r\nHost: lb.example\r\n{ROOT}\r\nConnection: close\r\n\r\n");
    assert_eq!(raw(&connect(second, None), &named).status, 200);
    let mark = director.log().mark();
    director.write_config_text(&text(&host, ""));
    director.reload();
    director.wait_for_log_after(mark, &["no longer served"], PATIENCE);
    assert!(TcpStream::connect(second).is_err());
    let mark = director.log().mark();
    director.write_config_text(&text(&host, &format!("<web listen='{second}' enable='yes'/>")));
    director.reload();
    assert_eq!(page_of(&director, mark), second);
    assert_eq!(get(second, "/running.txt").status, 200);
    director.finish();
}

#[test]
fn page_that_is_enabled_by_a_reload_is_served() {
    let host = Host::serve("a", scripts::tell_name());
    let director = Director::plan_text(&text(&host, "")).start();
    director.write_config_text(&text(&host, "<web listen='127.0.0.1:0' enable='yes'/>"));
    director.reload();
    assert_eq!(get(page_of(&director, Mark::default()), "/running.txt").status, 200);
}

#[test]
fn taken_address_ends_the_start_and_leaves_a_running_page_where_it_is() {
    let host = Host::serve("a", scripts::tell_name());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("its address");
    let web = format!("<web listen='{addr}' enable='yes'/>");
    let (status, _, told) = Director::plan_text(&text(&host, &web)).run();
    assert_eq!(status.code(), Some(3), "{told}");
    assert!(told.contains(&addr.to_string()) && told.contains("administration page"), "{told}");
    let (director, page) = start(&host);
    director.write_config_text(&text(&host, &web));
    director.reload();
    director.wait_for_log(&["stays as it was", &addr.to_string()], PATIENCE);
    assert_eq!(get(page, "/running.txt").status, 200);
    director.finish();
}

#[test]
fn connection_is_kept_and_methods_are_what_they_are() {
    let host = Host::serve("a", scripts::tell_name());
    let (director, page) = start(&host);
    let mut stream = connect(page, None);
    let line = |method: &str, target: &str, end: &str| {
        format!("{method} {target} HTTP/1.1\r\nHost: {page}\r\n{ROOT}\r\nConnection: {end}\r\n\r\n")
    };
    let all = [
        line("HEAD", "/running.txt", "keep-alive"),
        line("GET", "/nothing", "keep-alive"),
        line("PUT", "/running.txt", "keep-alive"),
        line("HEAD", "/addHost", "keep-alive"),
        line("OPTIONS", "/api/v1/status", "keep-alive"),
        line("GET", "/running.txt", "close"),
    ];
    stream.write_all(all.concat().as_bytes()).expect("send");
    let mut told = String::new();
    stream.read_to_string(&mut told).expect("answers until the end");
    let statuses: Vec<&str> = told.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.split(' ').next()).collect();
    assert_eq!(statuses, ["200", "404", "405", "405", "405", "200"], "{told}");
    assert!(told.contains("\r\nAllow: GET, HEAD\r\n") && told.contains("\r\nAllow: GET\r\n"), "{told}");
    assert_eq!(told.matches("service web").count(), 1, "HEAD has no content: {told}");
    director.finish();
}

#[test]
fn request_that_does_not_come_is_given_up_in_time() {
    let host = Host::serve("a", scripts::tell_name());
    let (director, page) = start(&host);
    let since = Instant::now();
    let begun = [
        "",
        "GET / HT",
        "GET /running.txt HTTP/1.1\r\nHost: localhost\r\n",
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nuser",
    ];
    let wait = |begun: &str| {
        let mut stream = connect(page, None);
        stream.set_read_timeout(Some(3 * PATIENCE)).expect("set the timeout");
        stream.write_all(begun.as_bytes()).expect("send");
        let mut told = String::new();
        stream.read_to_string(&mut told).expect("the end");
        (told, since.elapsed())
    };
    let ends: Vec<(String, Duration)> = thread::scope(|scope| {
        let threads: Vec<_> = begun.iter().map(|begun| scope.spawn(|| wait(begun))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
    });
    for (begun, (told, after)) in begun.iter().zip(&ends) {
        assert_eq!(told.starts_with("HTTP/1.1 408 "), !begun.is_empty(), "{begun:?}: {told:?}");
        // What lingers after a refusal comes on top.
        let (least, most) = (Duration::from_secs(9), Duration::from_secs(12) + allowed(SOON));
        assert!((least..most).contains(after), "{begun:?}: {after:?}");
    }
    director.finish();
}

#[test]
fn stalled_manager_is_told_in_time_and_clients_are_served() {
    if !Strace::is_available() {
        println!("skipped: there is no strace, or it may not trace");
        return;
    }
    let _alone = lock::alone();
    let host = Host::serve("a", scripts::tell_name());
    let (director, page) = start(&host);
    assert_eq!(get(page, "/running.txt").status, 200, "the password is known from now on");
    let threads = director.process().threads();
    let manager: Vec<u32> = threads.iter().filter(|(_, name)| name == "manager").map(|(id, _)| *id).collect();
    let stall = Strace::attach_threads(&manager, &["trace=epoll_wait", "inject=epoll_wait:delay_enter=4000000"]);
    let mut late = None;
    until(2 * PATIENCE, "the manager stalls", || {
        let since = Instant::now();
        let answer = get(page, "/api/v1/status");
        late = Some((answer.clone(), since.elapsed()));
        answer.status == 503
    });
    let (answer, after) = late.expect("an answer");
    figure("a stalled manager is told after, ms", ms(after));
    assert!(after < allowed(Duration::from_millis(1500)), "{after:?}");
    assert_eq!(answer.json()["error"]["kind"], "unavailable");
    assert!(answer.field("Retry-After").is_some());
    assert_eq!(send(page, "GET", "/login", &[], "").status, 200, "what needs no manager");
    let since = Instant::now();
    assert_eq!(Client::connect(director.addr()).read_text().0, "a");
    assert!(since.elapsed() < allowed(SOON), "{:?}", since.elapsed());
    drop(stall);
    until(PATIENCE, "it answers again", || get(page, "/api/v1/status").status == 200);
    director.finish();
}

#[test]
fn administrator_gets_in_when_the_balancer_is_full() {
    let _alone = lock::alone();
    let host = Host::serve("a", scripts::echo());
    let (director, page) = start_with(&host, &["--max-connections", "8"]);
    let clients: Vec<Client> = (0..40).map(|_| Client::connect(director.addr())).collect();
    let open = || get(page, "/api/v1/services/web").json()["open"].as_u64();
    until(PATIENCE, "it is full", || open().is_some_and(|open| open >= 8));
    let since = Instant::now();
    assert_eq!(get(page, "/api/v1/status").status, 200);
    figure("answered with all connections taken after, ms", ms(since.elapsed()));
    assert!(since.elapsed() < allowed(SOON), "{:?}", since.elapsed());
    let killed = send(page, "DELETE", "/api/v1/sessions?service=web", &[ROOT], "");
    assert!(killed.json()["killed"].as_u64().is_some_and(|killed| killed >= 8), "{killed:?}");
    drop(clients);
    director.finish();
}

#[test]
fn administrator_gets_in_without_descriptors() {
    let _alone = lock::alone();
    let host = Host::serve("a", scripts::greet());
    let (director, page) = start(&host);
    let most = (director.first_descriptors() + 20).to_string();
    let pid = director.process().0.to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={most}:{most}")]).status();
    assert!(limited.expect("prlimit").success());
    let clients: Vec<Client> = (0..60).map(|_| Client::connect(director.addr())).collect();
    director.wait_for_log(&["accepting paused"], PATIENCE);
    for round in 0..20 {
        let since = Instant::now();
        let answer = get(page, "/running.txt");
        assert_eq!(answer.status, 200, "{round}: {answer:?}");
        assert!(since.elapsed() < allowed(SOON), "{round}: {:?}", since.elapsed());
    }
    drop(clients);
}

#[test]
fn secrets_are_in_no_answer_and_in_no_log() {
    let host = Host::serve("a", scripts::tell_name());
    let (director, page) = start_with(&host, &["--log-level", "trace"]);
    let mut seen = String::new();
    let made = json!({"name": "new", "password": "very secret", "access": "readonly"}).to_string();
    let bad = json!([{"op": "add-user", "user": "x", "attributes": {"password": HASH, "acess": "full"}}]).to_string();
    let good =
        json!([{"op": "add-user", "user": "y", "attributes": {"password": OTHER_HASH, "access": "full"}}]).to_string();
    for (method, path, body, status) in [
        ("POST", "/api/v1/users", made.as_str(), 201),
        ("PATCH", "/api/v1/users/eve", r#"{"password": "very secret"}"#, 200),
        ("POST", "/api/v1/users", &made, 409),
        ("POST", "/api/v1/changes", &bad, 400),
        ("POST", "/api/v1/changes", &good, 200),
        ("GET", "/addUser?name=z&password=very%20secret&access=readonly", "", 302),
        ("GET", "/addUser?name=z&password=very%20secret&access=readonly", "", 302),
        ("POST", "/login", "user=root&password=very+secret", 303),
    ] {
        let answer = send(page, method, path, &[ROOT], body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        seen += &format!("{answer:?}");
    }
    let running = get(page, "/api/v1/config").body;
    assert!(running.contains("(hidden)"), "{running}");
    for path in [
        "/",
        "/running",
        "/running.txt",
        "/running.xml",
        "/config.xml",
        "/compareConf",
        "/metrics",
        "/api/v1/status",
        "/api/v1/users",
        "/api/v1/users/root",
        "/api/v1/config?source=file",
        "/api/v1/config?source=loaded",
        "/api/v1/config/diff",
        "/api/v1/config/diff?from=file",
        "/api/v1/events",
        "/api/v1/whoami",
    ] {
        let answer = get(page, path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        seen += &answer.body;
    }
    // What was shown is loaded with the hashes that run.
    let back = send(page, "PUT", "/api/v1/config", &[ROOT], &running);
    assert_eq!(back.status, 200, "{back:?}");
    assert_eq!(get(page, "/running.txt").status, 200, "the same password");
    seen += &director.log().lines().join("\n");
    seen += &fs::read_to_string(format!("/proc/{}/cmdline", director.process().0)).unwrap_or_default();
    let basic = ROOT.rsplit(' ').next().expect("base64");
    for secret in [HASH, OTHER_HASH, "$argon2id$", "very secret", "very%20secret", "very+secret", basic] {
        let around = |at: usize| seen.chars().skip(at.saturating_sub(200)).take(400).collect::<String>();
        assert_eq!(seen.find(secret).map(around), None, "{secret}");
    }
    director.finish();
}

#[test]
fn writers_at_one_time_leave_what_the_last_of_them_said() {
    let host = Host::serve("a", scripts::tell_name());
    let (director, page) = start(&host);
    let weight = || get(page, HOST).json()[0]["weight"].as_u64();
    thread::scope(|scope| {
        for writer in 1..=8 {
            scope.spawn(move || {
                for number in 1..=20 {
                    let body = json!({"weight": writer * 100 + number}).to_string();
                    assert_eq!(send(page, "PATCH", HOST, &[ROOT], &body).status, 200);
                    let seen = weight();
                    assert!(seen.is_some_and(|weight| weight > 100), "older than its own change: {seen:?}");
                }
            });
        }
    });
    let events = get(page, "/api/v1/events").json();
    let told = events["events"].as_array().expect("events");
    let weights: Vec<&str> = told.iter().filter_map(|event| event["text"].as_str()?.split("weight=").nth(1)).collect();
    assert_eq!(weights.len(), 160);
    let last: String = weights[159].chars().take_while(char::is_ascii_digit).collect();
    assert_eq!(Some(last), weight().map(|weight| weight.to_string()), "the history and the state");
    director.finish();
}

#[test]
fn change_that_is_asked_for_again_under_its_key_is_done_once() {
    let host = Host::serve("a", scripts::tell_name());
    let (director, page) = start(&host);
    let (path, body) = ("/api/v1/services/web/groups/g/hosts", r#"{"address": "127.0.0.1:9"}"#);
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: {page}\r\n{ROOT}\r\nIdempotency-Key: one\r\n");
    // The connection is cut before the answer.
    let mut cut = connect(page, None);
    write!(cut, "{head}Content-Length: {length}\r\n\r\n{body}").expect("send");
    drop(cut);
    let count = || get(page, path).json().as_array().map_or(0, Vec::len);
    until(PATIENCE, "it is done", || count() == 2);
    let ask = |key: &str, body: &str| send(page, "POST", path, &[ROOT, &format!("Idempotency-Key: {key}")], body);
    for _ in 0..3 {
        let again = ask("one", body);
        assert_eq!(again.status, 201, "{again:?}");
    }
    assert_eq!(count(), 2);
    assert_eq!(ask("one", r#"{"address": "127.0.0.1:8"}"#).status, 409, "another request");
    assert_eq!(ask("two", body).status, 201);
    assert_eq!(count(), 3);
    director.finish();
}

#[test]
fn twenty_that_poll_cost_little() {
    let _alone = lock::alone();
    let host = Host::serve("a", scripts::tell_name());
    let (director, page) = start(&host);
    let process = director.process();
    let (began, since) = (process.cpu_time(), Instant::now());
    let poll = || {
        let until = Instant::now() + Duration::from_secs(3);
        let mut waits = Vec::new();
        while Instant::now() < until {
            let asked = Instant::now();
            // All say one password at one moment, and nobody is turned away for it.
            assert_eq!(send(page, "GET", "/metrics", &[EVE], "").status, 200);
            waits.push(asked.elapsed());
            thread::sleep(Duration::from_millis(100));
        }
        waits
    };
    let mut waits: Vec<Duration> = thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(poll)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect()
    });
    let used = (process.cpu_time() - began).as_secs_f64() / since.elapsed().as_secs_f64() * 100.0;
    waits.sort_unstable();
    let at = |share: usize| ms(waits[waits.len() * share / 100]);
    figure("20 clients that poll metrics: answers", waits.len());
    figure("processor use meanwhile, percent of one", format!("{used:.1}"));
    figure("an answer takes, p50 and p99, ms", format!("{} {}", at(50), at(99)));
    assert!(used < 50.0, "{used} %");
    director.finish();
}
