//! Requests that two readers could take for different ones: the administration page refuses them, ends the connection,
//! and does nothing of what stands behind them. RFC 9112 sections 2.2, 3.2, 5.1, 5.2, 6.1, 6.3, 7.1 and 11.2.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};

use support::http::{Response, connect, send};
use support::{Director, Host, PATIENCE, scripts};

mod support;

/// `root:secret` in base64, and the hash of `secret` (crypt(3)).
const ROOT: &str = "Authorization: Basic cm9vdDpzZWNyZXQ=";
const HASH: &str = "saHW9GdxihkGQ";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

fn start(host: &Host) -> (Director, SocketAddr) {
    let text = format!(
        "<director><service name='web'><listen ip='127.0.0.1:0'/>
           <group name='g'><host name='a' ip='{}'/></group></service>
         <admin><web listen='127.0.0.1:0' enable='yes'/><user name='root' password='{HASH}' access='full'/></admin>
         </director>",
        host.addr()
    );
    let director = Director::plan_text(&text).start();
    let line = director.wait_for_log(&["administration page on http"], PATIENCE);
    let page = line.rsplit("://").next().and_then(|addr| addr.trim().parse().ok()).expect("an address");
    (director, page)
}

/// Sends these bytes on a connection of their own, and reads all that comes until its end.
fn exchange(page: SocketAddr, bytes: &[u8], ends: bool) -> String {
    let mut stream = connect(page, None);
    // Who is refused early may be reset while he still sends.
    let _ = stream.write_all(bytes);
    if ends {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut told = Vec::new();
    stream.read_to_end(&mut told).expect("the server ends the connection");
    String::from_utf8_lossy(&told).into_owned()
}

fn statuses(told: &str) -> Vec<u16> {
    told.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.split(' ').next()?.parse().ok()).collect()
}

/// What should not be done: a change that a script may ask for without more ado.
fn smuggled() -> String {
    let target = "/addHost?service=web&group=g&name=evil&ip=127.0.0.1:9";
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{ROOT}\r\n\r\n")
}

fn has_evil(page: SocketAddr) -> bool {
    let running = send(page, "GET", "/running.txt", &[ROOT], "");
    assert_eq!(running.status, 200, "{running:?}");
    running.body.contains("evil")
}

fn post(fields: &str) -> String {
    format!("POST /login HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\n{fields}\r\n")
}

fn get(fields: &str) -> String {
    format!("GET /running.txt HTTP/1.1\r\nHost: localhost\r\n{ROOT}\r\n{fields}\r\n")
}

fn line(line: &str) -> String {
    format!("{line}\r\nHost: localhost\r\n{ROOT}\r\n\r\n")
}

/// Heads whose body ends nowhere or in two places, with the status that refuses each.
fn framings(length: usize) -> Vec<(String, u16)> {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let mut all = Vec::new();
    // Two lengths, in one way or in two.
    for fields in [
        format!("Content-Length: {length}\r\n{chunked}"),
        format!("{chunked}Content-Length: {length}\r\n"),
        format!("Content-Length: 0\r\n{chunked}"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: 0\r\ncontent-length: {length}\r\n"),
        format!("Content-Length: 0, {length}\r\n"),
        format!("{chunked}{chunked}"),
        format!("{chunked}Transfer-Encoding: identity\r\n"),
        format!("Transfer-Encoding: identity\r\n{chunked}"),
    ] {
        all.push((post(&fields), 400));
    }
    // Lengths that are no numbers.
    for length in ["+0", "-0", "-1", "0x0", "0 0", "0;a", "\"0\"", "0.0", "1e1", "\u{664}", "", " ", "0\t1", "٣"] {
        all.push((post(&format!("Content-Length: {length}\r\n")), 400));
    }
    all.push((post("Content-Length: 99999999999999999999999999\r\n"), 413));
    all.push((post("Content-Length: 18446744073709551616\r\n"), 413));
    // Codings that hide the end.
    for coding in [
        "xchunked",
        "chunked-x",
        "identity",
        "chunked, identity",
        "chunked,chunked",
        "chunked,",
        ",chunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunked\u{b}",
        "chunked\0",
        "\u{0}chunked",
        "chunkeḍ",
        "",
    ] {
        all.push((post(&format!("Transfer-Encoding: {coding}\r\n")), 400));
    }
    all.push((post("Transfer-Encoding: gzip, chunked\r\n"), 501));
    all.push((format!("POST /login HTTP/1.0\r\nHost: localhost\r\n{FORM}\r\n{chunked}\r\n"), 400));
    all
}

/// Fields that are read in more ways than one, with the status that refuses each.
fn fields(length: usize) -> Vec<(String, u16)> {
    let mut all = Vec::new();
    for fields in [
        format!("Content-Length : {length}\r\n"),
        format!("Content-Length\t: {length}\r\n"),
        format!(" Content-Length: {length}\r\n"),
        format!("Content\u{a0}Length: {length}\r\n"),
        format!("Content-Length\0: {length}\r\n"),
        format!("X: a\r\n Content-Length: {length}\r\n"),
        String::from("X: a\r\n\tfolded\r\n"),
        String::from("Transfer-Encoding:\r\n chunked\r\n"),
        format!("X: a\nContent-Length: {length}\r\n"),
        format!("X: a\rContent-Length: {length}\r\n"),
        format!("X: a\r\rContent-Length: {length}\r\n"),
        String::from("X: a\n\r\n"),
        String::from("X: a\0b\r\n"),
        String::from("X: a\u{7f}b\r\n"),
        String::from("X: a\u{1b}[2Jb\r\n"),
        String::from(": a\r\n"),
        String::from("X\r\n"),
        String::from("(X): a\r\n"),
        String::from("Host: localhost\r\n"),
        String::from("Host: evil.example\r\n"),
        String::from("Host : evil.example\r\n"),
    ] {
        all.push((get(&fields), 400));
    }
    all.push((get("Expect: 200-ok\r\n"), 417));
    all
}

/// The same of request lines.
fn lines() -> Vec<(String, u16)> {
    let mut all = Vec::new();
    for first in [
        "GET  /running.txt HTTP/1.1",
        "GET /running.txt  HTTP/1.1",
        "GET\t/running.txt\tHTTP/1.1",
        "GET /running.txt HTTP/1.1 ",
        " GET /running.txt HTTP/1.1",
        "\r\nGET /running.txt HTTP/1.1",
        "GET /running.txt",
        "GET /running.txt ",
        "GET /running.txt HTTP/0.9",
        "GET /running.txt HTTP/1.2x",
        "GET /running.txt HTTP/2.0",
        "GET /running.txt HTTP/9.1",
        "GET /running.txt http/1.1",
        "GET /running.txt HTTP/1,1",
        "GET /running.txt ICAP/1.0",
        "GET /running txt HTTP/1.1",
        "GET /running\0.txt HTTP/1.1",
        "GET /running.txt#a HTTP/1.1",
        "GET running.txt HTTP/1.1",
        "GET * HTTP/1.1",
        "GET http://evil.example/running.txt HTTP/1.1",
        "GET http://localhost/running.txt HTTP/1.1",
        "CONNECT 127.0.0.1:9 HTTP/1.1",
        "GET /../etc/passwd HTTP/1.1",
        "GET /assets/%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
        "GET /assets/..\\..\\etc\\passwd HTTP/1.1",
        "GET /%00 HTTP/1.1",
        "GET /%zz HTTP/1.1",
        "GET /% HTTP/1.1",
        "GET /%c0%ae%c0%ae/ HTTP/1.1",
        "GET /running.txt?a=1&A=2 HTTP/1.1",
    ] {
        // A method that nobody knows is told so; that it is no page's does not matter.
        all.push((line(first), if first.starts_with("CONNECT") { 501 } else { 400 }));
    }
    all.push((String::from("GET /running.txt\r\n"), 400));
    all.push((format!("GET /running.txt HTTP/1.1\r\n{ROOT}\r\n\r\n"), 400));
    all.push((format!("GET /running.txt HTTP/1.1\r\nHost:\r\n{ROOT}\r\n\r\n"), 400));
    all.push((format!("GET /running.txt HTTP/1.1\r\nHost: localhost, evil.example\r\n{ROOT}\r\n\r\n"), 400));
    all.push((format!("GET /running.txt HTTP/1.1\r\nHost: evil.example@localhost\r\n{ROOT}\r\n\r\n"), 400));
    all.push((format!("GET /running.txt HTTP/1.1\nHost: localhost\n{ROOT}\n\n"), 400));
    all.push((String::from("\u{16}\u{3}\u{1}\0\u{5}\u{1}\0\0\r\n\r\n"), 400));
    all.push((String::from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400));
    // Too much of anything.
    let long = "a".repeat(20_000);
    all.push((line(&format!("GET /{long} HTTP/1.1")), 414));
    all.push((get(&format!("X: {long}\r\n")), 431));
    all.push((get(&"X: a\r\n".repeat(200)), 431));
    all
}

/// Bodies in chunks that are none.
fn bodies(length: usize) -> Vec<(String, u16)> {
    let mut all: Vec<(String, u16)> = [
        String::from("zz\r\n"),
        String::from("\r\n"),
        String::from("-1\r\nx\r\n0\r\n\r\n"),
        String::from("+1\r\nx\r\n0\r\n\r\n"),
        String::from("0x1\r\nx\r\n0\r\n\r\n"),
        String::from(" 1\r\nx\r\n0\r\n\r\n"),
        String::from("1 \r\nx\r\n0\r\n\r\n"),
        String::from("1;a=b\r\nx\r\n0\r\n\r\n"),
        String::from("1;\r\nx\r\n0\r\n\r\n"),
        String::from("1\nx\r\n0\r\n\r\n"),
        String::from("1\rx\r\n0\r\n\r\n"),
        String::from("1\r\nxx\r\n0\r\n\r\n"),
        String::from("1\r\nx0\r\n\r\n"),
        String::from("1\r\nx\n0\r\n\r\n"),
        String::from("1\r\nx\r\n0\r\nX: a\r\n\r\n"),
        format!("1\r\nx\r\n0\r\nContent-Length: {length}\r\n\r\n"),
        String::from("0\r\nHost: evil.example\r\n\r\n"),
        String::from("0\n\n"),
        String::from("0;\r\n\r\n"),
        String::from("00000000000000000000\r\n\r\n"),
        String::from("10000000000000000\r\nx"),
        String::from("ffffffffffffffffff\r\nx"),
    ]
    .map(|body| (body, 400))
    .into();
    all.extend(["ffffffffffffffff\r\nx", "7fffffffffffffff\r\nx", "fffffff\r\nx"].map(|body| (body.to_owned(), 413)));
    all
}

#[test]
fn ambiguous_request_is_refused_and_nothing_behind_it_is_done() {
    let host = Host::serve("a", scripts::greet());
    let (director, page) = start(&host);
    let inner = smuggled();
    let chunks = format!("POST /login HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let bodies = bodies(inner.len()).into_iter().map(|(body, status)| (format!("{chunks}{body}"), status));
    let corpus: Vec<(String, u16)> =
        [framings(inner.len()), fields(inner.len()), lines()].concat().into_iter().chain(bodies).collect();
    for (bytes, status) in &corpus {
        // Behind a head, behind a body that one of two readers sees, and with an end of the client's.
        for (between, ends) in [("", false), ("0\r\n\r\n", false), ("", true)] {
            let told = exchange(page, format!("{bytes}{between}{inner}").as_bytes(), ends);
            assert_eq!(statuses(&told), [*status], "{bytes:?}{between:?}: {told}");
            let (head, _) = told.split_once("\r\n\r\n").unwrap_or((&told, ""));
            assert!(head.contains("\r\nConnection: close"), "{bytes:?}: {head}");
        }
        assert!(!has_evil(page), "{bytes:?}");
    }
    support::figure("ambiguous requests refused", corpus.len() * 3);
    director.finish();
}

#[test]
fn body_that_looks_like_a_request_is_a_body() {
    let host = Host::serve("a", scripts::greet());
    let (director, page) = start(&host);
    let inner = smuggled();
    let length = inner.len();
    let head = |method: &str, target: &str, fields: &str| {
        format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{ROOT}\r\n{FORM}\r\nConnection: close\r\n{fields}\r\n\r\n"
        )
    };
    let in_chunks: String = inner
        .as_bytes()
        .chunks(7)
        .map(|part| format!("{:x}\r\n{}\r\n", part.len(), String::from_utf8_lossy(part)))
        .collect();
    for (method, target) in
        [("POST", "/login"), ("POST", "/nothing"), ("GET", "/running.txt"), ("DELETE", "/running.txt")]
    {
        let by_length = head(method, target, &format!("Content-Length: {length}")) + &inner;
        let by_chunks = head(method, target, "Transfer-Encoding: chunked") + &in_chunks + "0\r\n\r\n";
        for text in [by_length, by_chunks] {
            let told = exchange(page, text.as_bytes(), false);
            assert_eq!(statuses(&told).len(), 1, "{text:?}: {told}");
        }
        assert!(!has_evil(page), "{method} {target}");
    }
    // Without an end, and cut short: nothing is done either.
    let told =
        exchange(page, (head("POST", "/login", &format!("Content-Length: {}", length + 1)) + &inner).as_bytes(), true);
    assert!(statuses(&told).len() <= 1 && !has_evil(page), "{told}");
    // An old client has one answer.
    let told = exchange(
        page,
        format!("GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n{inner}").as_bytes(),
        false,
    );
    assert!(statuses(&told) == [200] && !has_evil(page), "{told}");
    director.finish();
}

#[test]
fn refused_request_with_a_clear_end_leaves_the_next_one_its_own() {
    let host = Host::serve("a", scripts::greet());
    let (director, page) = start(&host);
    let last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for (first, status) in [
        ("GET /running.txt HTTP/1.1\r\nHost: evil.example", 421),
        ("GET /running.txt HTTP/1.1\r\nHost: localhost.evil.example:80", 421),
        ("GET /nothing HTTP/1.1\r\nHost: localhost", 404),
        ("GET //evil.example/running.txt HTTP/1.1\r\nHost: localhost", 404),
        ("GET /running.txt HTTP/1.1\r\nHost: localhost", 401),
    ] {
        let told = exchange(page, format!("{first}\r\n\r\n{last}").as_bytes(), false);
        assert_eq!(statuses(&told), [status, 200], "{first}: {told}");
    }
    director.finish();
}

#[test]
fn any_bytes_are_answered_once_or_not_at_all() {
    let host = Host::serve("a", scripts::greet());
    let (director, page) = start(&host);
    let text = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    );
    // One byte of a good request is another one, at every place of it.
    for at in 0..text.len() {
        for byte in [0, b'\r', b'\n', b' ', b':', b',', b';', 0x80, 0xff] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = byte;
            bytes.extend(smuggled().as_bytes());
            let told = exchange(page, &bytes, true);
            let is_done = statuses(&told);
            // Where the first one still ends where it did, the next is one of its own.
            assert!(is_done.len() == 1 || is_done.len() == 2 && is_done[0] < 500, "{at} {byte}: {told}");
        }
    }
    let alive: Response = send(page, "GET", "/healthz", &[], "");
    assert_eq!(alive.status, 200);
    director.finish();
}
