//! The web administration as old scripts and browsers speak to it, and what it refuses.

use std::fs;
use std::net::SocketAddr;

use support::http::{Response, connect, raw, send};
use support::wait::PATIENCE;
use support::{Client, Director, Host, scripts, until};

mod support;

/// `root:secret` and `eve:secret`, in base64.
const ROOT: &str = "Authorization: Basic cm9vdDpzZWNyZXQ=";
const EVE: &str = "Authorization: Basic ZXZlOnNlY3JldA==";
const WRONG: &str = "Authorization: Basic cm9vdDp3cm9uZw==";
/// Of `secret`, in the oldest kind that files have (crypt(3) with two letters of salt).
const HASH: &str = "saHW9GdxihkGQ";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

/// A balancer with a page, two groups, and an old file of PythonDirector.
fn start(hosts: &[&Host; 3]) -> (Director, SocketAddr) {
    let [a, b, c] = hosts.map(|host| host.addr());
    let text = format!(
        "<pdconfig>
  <!-- kept -->
  <service name='web'><listen ip='127.0.0.1:0'/>
    <group name='blue' scheduler='leastconns'><host name='a' ip='{a}'/><host name='b' ip='{b}'/></group>
    <group name='green' scheduler='random'><host name='c' ip='{c}'/></group>
    <enable group='blue'/>
  </service>
  <admin listen='127.0.0.1:0'><user name='root' password='{HASH}' access='full'/>
    <user name='eve' password='{HASH}' access='readonly'/></admin>
</pdconfig>
"
    );
    let director = Director::plan_text(&text).log_lines_max(2000).start();
    let line = director.wait_for_log(&["administration page on http://"], PATIENCE);
    let addr = line.rsplit("http://").next().and_then(|addr| addr.trim().parse().ok()).expect("an address");
    (director, addr)
}

fn hosts() -> [Host; 3] {
    ["a", "b", "c"].map(|name| Host::serve(name, scripts::tell_name()))
}

fn get(addr: SocketAddr, target: &str) -> Response {
    send(addr, "GET", target, &[ROOT], "")
}

#[test]
fn script_written_for_pythondirector_passes() {
    let hosts = hosts();
    let [a, b, c] = hosts.each_ref().map(|host| host.addr().to_string());
    let (director, addr) = start(&hosts.each_ref());
    assert!(get(addr, "/").body.contains("0.1.0"));
    let listen = "127.0.0.1:0";
    let expected = format!(
        "service web {listen} blue\ngroup blue enabled\nhost a {a} 0 -\nhost b {b} 0 -\ngroup green inactive\nhost c {c} 0 -\n"
    );
    assert_eq!(get(addr, "/running.txt").body, expected);
    assert!(get(addr, "/running").body.contains("blue"));
    for target in ["/running.xml", "/config.xml"] {
        let text = get(addr, target).body;
        assert!(director::config::parse(&text, target).is_ok(), "{text}");
    }
    // In the order in which each is possible; names of arguments in any case.
    for target in [
        format!("/addHost?Service=web&GROUP=green&name=d&ip={a}"),
        "/hostAdminDown?service=web&group=green&name=d".to_owned(),
        "/hostAdminUp?service=web&group=green&name=d".to_owned(),
        "/retryHost?service=web&group=green&host=d".to_owned(),
        "/changeScheduler?service=web&group=green&scheduler=leastconnsrr".to_owned(),
        "/enableGroup?service=web&group=green".to_owned(),
        "/delHost?service=web&group=blue&name=a".to_owned(),
        format!("/delHost?service=web&group=blue&ip={b}"),
        "/delAllHosts?service=web&group=blue".to_owned(),
        "/delGroup?service=web&group=blue".to_owned(),
        "/newService?service=more&listen=127.0.0.1:0".to_owned(),
        "/newGroup?service=more&group=g&scheduler=roundrobin".to_owned(),
        format!("/addHost?service=more&group=g&name=e&ip={c}"),
        "/addUser?name=new&password=very%20secret&access=readonly".to_owned(),
        "/delUser?name=eve".to_owned(),
        "/closeLog".to_owned(),
        "/save".to_owned(),
    ] {
        let done = get(addr, &target);
        assert_eq!((done.status, done.body.as_str()), (302, "OK"), "{target}: {done:?}");
        let location = done.field("Location").expect("it leads on");
        assert!(location.starts_with("/running?resultMessage="), "{location}");
    }
    let saved = fs::read_to_string(director.config_path()).expect("the file");
    assert!(saved.contains("<!-- kept -->") && saved.contains("name=\"more\""), "{saved}");
    assert!(saved.contains("$argon2id$") && !saved.contains("very secret"), "{saved}");
    until(PATIENCE, "it listens", || !director.addrs("more").is_empty());
    assert_eq!(Client::connect(director.addrs("more")[0]).read_text().0, "c");
    let refused = get(addr, "/delHost?service=more&group=g&name=e");
    assert_eq!(refused.body, "NOT OK", "the last one: {refused:?}");
    assert_eq!(get(addr, "/nothing").status, 404);
    assert!(!director.log().lines().iter().any(|line| line.contains("very secret") || line.contains(HASH)));
    assert_eq!(get(addr, "/shutdown").body, "OK");
    until(PATIENCE, "it has ended", || director.log().lines().iter().any(|line| line.contains("stopped:")));
}

#[test]
fn who_may_not_changes_nothing() {
    let hosts = hosts();
    let (director, addr) = start(&hosts.each_ref());
    let change = "/enableGroup?service=web&group=green";
    let nobody = send(addr, "GET", change, &[], "");
    assert_eq!(nobody.status, 401);
    assert!(nobody.field("WWW-Authenticate").is_some_and(|value| value.starts_with("Basic")));
    assert_eq!(send(addr, "GET", change, &[EVE], "").status, 401, "as the ancestors had it");
    assert_eq!(send(addr, "GET", "/running.txt", &[EVE], "").status, 200);
    let patch = "/api/v1/services/web/groups/blue/hosts/a";
    assert_eq!(send(addr, "PATCH", patch, &[EVE], r#"{"weight":"3"}"#).status, 403);
    // A browser's page of another site, with a browser's stored password.
    for line in ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-origin"] {
        let answer = send(addr, "GET", change, &[ROOT, line], "");
        assert!((400..500).contains(&answer.status), "{line}: {answer:?}");
    }
    let foreign = send(addr, "PATCH", patch, &[ROOT, "Origin: http://evil.example"], r#"{"weight":"3"}"#);
    assert_eq!(foreign.status, 403, "{foreign:?}");
    let rebound = raw(
        &connect(addr, None),
        &format!("GET /running.txt HTTP/1.1\r\nHost: evil.example\r\n{ROOT}\r\nConnection: close\r\n\r\n"),
    );
    assert_eq!(rebound.status, 421, "{rebound:?}");
    let now = get(addr, "/running.txt").body;
    assert!(now.contains("group blue enabled"), "{now}");
    for name in ["Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Cache-Control"] {
        assert!(get(addr, "/running.txt").field(name).is_some(), "{name}");
    }
    director.finish();
}

#[test]
fn browser_logs_in_and_needs_its_token_to_change() {
    let hosts = hosts();
    let (director, addr) = start(&hosts.each_ref());
    let own = format!("Origin: http://{addr}");
    let browser = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Accept: text/html", own.as_str()];
    let form = |text: &str| send(addr, "POST", "/login", &[&browser[..], &[FORM]].concat(), text);
    let page = send(addr, "GET", "/", &["Sec-Fetch-Mode: navigate", "Accept: text/html"], "");
    assert_eq!((page.status, page.field("Location")), (303, Some("/login")));
    assert!(form("user=root&password=wrong").field("Set-Cookie").is_none());
    let entered = form("user=root&password=secret");
    let cookie = entered.field("Set-Cookie").expect("a cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = format!("Cookie: {}", cookie.split(';').next().expect("a value"));
    let token =
        send(addr, "GET", "/api/v1/whoami", &[&cookie], "").json()["token"].as_str().expect("a token").to_owned();
    let token = format!("X-Director-Token: {token}");
    let patch = |lines: &[&str]| {
        send(addr, "PATCH", "/api/v1/services/web/groups/blue/hosts/a", lines, r#"{"weight":"3"}"#).status
    };
    assert_eq!(patch(&[&cookie, &own]), 403, "without a token");
    assert_eq!(patch(&[&cookie, &own, "X-Director-Token: guess"]), 403);
    assert_eq!(patch(&[&cookie, "Origin: http://evil.example", &token]), 403);
    assert_eq!(patch(&[&cookie, &own, &token]), 200);
    send(addr, "POST", "/logout", &[&cookie, &own, &token, FORM], "");
    assert_eq!(send(addr, "GET", "/api/v1/whoami", &[&cookie], "").status, 401);
    director.finish();
}

#[test]
fn guesses_are_slowed_down_and_others_get_in() {
    let hosts = hosts();
    let (director, addr) = start(&hosts.each_ref());
    let slowed = (0..40).map(|_| send(addr, "GET", "/running.txt", &[WRONG], "").status).find(|status| *status == 429);
    assert_eq!(slowed, Some(429));
    let other = connect(addr, Some([127, 0, 0, 2].into()));
    let text = format!("GET /running.txt HTTP/1.1\r\nHost: {addr}\r\n{ROOT}\r\nConnection: close\r\n\r\n");
    assert_eq!(raw(&other, &text).status, 200);
    director.finish();
}
