//! Sockets of this machine: clients that come over one, and hosts that listen on one.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use director::model::address::{Endpoint, UnixName};
use director::model::proxy::Announce;
use director::wire::proxy;
use socket2::{Domain, SockAddr, Socket, Type};
use support::scratch::Scratch;
use support::{Client, Config, Director, End, Host, PATIENCE, Service, Site, figure, scripts, until};

#[path = "unix/listeners.rs"]
mod listeners;
mod support;

/// A host on a socket of this machine, with a thread for each connection. Its file goes with it.
struct Local {
    path: PathBuf,
    accepted: Arc<AtomicU64>,
}

impl Local {
    fn serve(path: PathBuf, script: impl Fn(UnixStream) + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let accepted = Arc::new(AtomicU64::new(0));
        let (count, script) = (Arc::clone(&accepted), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, SeqCst);
                let script = Arc::clone(&script);
                thread::spawn(move || script(stream));
            }
        });
        Self { path, accepted }
    }

    fn addr(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    fn accepted(&self) -> u64 {
        self.accepted.load(SeqCst)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Says this and leaves at once.
fn tell(name: &'static str) -> impl Fn(UnixStream) + Send + Sync {
    move |mut stream| drop(stream.write_all(name.as_bytes()))
}

/// Sends back what comes, then ends.
fn echo(mut stream: UnixStream) {
    let mut other = stream.try_clone().unwrap();
    let _ = std::io::copy(&mut stream, &mut other);
}

fn come(path: &Path) -> UnixStream {
    ready(UnixStream::connect(path).unwrap())
}

fn ready(stream: UnixStream) -> UnixStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What the balancer says until the end; nothing if that is a reset.
fn told(stream: &UnixStream) -> String {
    String::from_utf8(told_bytes(stream)).unwrap()
}

fn told_bytes(mut stream: &UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => bytes,
        Err(error) => panic!("{error}"),
    }
}

/// What comes back for this.
fn ask(path: &Path, bytes: &[u8]) -> String {
    String::from_utf8(ask_bytes(path, bytes)).unwrap()
}

fn ask_bytes(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = come(path);
    // Who is turned away may be gone already.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    told_bytes(&stream)
}

fn listening(path: &Path, service: Service) -> Service {
    service.listen(format!("unix:{}", path.display()))
}

/// Bytes of which each tells its place.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|n| u8::try_from((n * 7 + n / 251) % 256).unwrap()).collect()
}

#[test]
fn bytes_pass_over_sockets_of_this_machine_in_all_directions() {
    let folder = Scratch::new();
    let (front, back) = (folder.path("front.sock"), folder.path("back.sock"));
    let local = Local::serve(back, echo);
    let tcp = Host::serve("a", scripts::echo());
    let both = |name: &str, service: Service| listening(&folder.path(name), service.listen("127.0.0.1:0"));
    let config = Config::from(both("front.sock", Service::new("s").host_with("l", local.addr(), "")))
        .and(both("other.sock", Service::with(&[&tcp]).named("t")));
    let mut director = Director::plan(config).args(&["--splice", "on"]).start();
    let sent = pattern(6 << 20);
    for path in [front, folder.path("other.sock")] {
        let stream = come(&path);
        let back = thread::scope(|scope| {
            scope.spawn(|| {
                (&stream).write_all(&sent).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
            let mut back = Vec::new();
            (&stream).read_to_end(&mut back).unwrap();
            back
        });
        assert!(back == sent, "{}: {} bytes of {}", path.display(), back.len(), sent.len());
    }
    let client = Client::connect(director.addrs("s")[0]);
    client.send(b"over TCP to a socket");
    client.finish_sending();
    assert_eq!(client.read_text(), ("over TCP to a socket".into(), End::Eof));
    let spliced = director.counters().reactors_sum("spliced");
    figure("bytes that passed through pipes, of 24 MiB", spliced);
    assert!(spliced > 0, "streams pass uncopied");
    director.check_at_rest();
}

#[test]
fn host_that_leaves_at_once_is_heard_to_its_end() {
    let folder = Scratch::new();
    let local = Local::serve(folder.path("h"), tell("all that it has to say"));
    let path = folder.path("l");
    let service = Service::new("s").host_with("l", local.addr(), "").listen("127.0.0.1:0");
    let director = Director::plan(listening(&path, service)).start();
    for _ in 0..50 {
        assert_eq!(Client::connect(director.addr()).read_text(), ("all that it has to say".into(), End::Eof));
        assert_eq!(told(&come(&path)), "all that it has to say");
    }
    let counters = director.finish();
    assert_eq!(counters.service("s").number("closed-finished"), 100);
}

#[test]
fn client_moves_on_from_a_host_whose_file_is_gone_and_returns_when_it_is_back() {
    let folder = Scratch::new();
    let first = Local::serve(folder.path("a"), tell("a"));
    let second = Local::serve(folder.path("b"), tell("b"));
    let service = Service::new("s").host_with("a", first.addr(), "").host_with("b", second.addr(), "");
    let director = Director::plan(service).start();
    let told = || Client::connect(director.addr()).read_text().0;
    assert_eq!([told(), told()], ["a", "b"]);
    let mark = director.log().mark();
    fs::remove_file(&first.path).unwrap();
    assert_eq!([told(), told(), told()], ["b", "b", "b"], "nobody is lost");
    let line = director.wait_for_state(mark, "a", "down", PATIENCE);
    assert!(line.contains("No such file") && line.contains(&first.addr()), "{line}");
    // The file of a host that has ended without removing it.
    let mark = director.log().mark();
    drop(UnixListener::bind(&first.path).unwrap());
    assert_eq!(told(), "b");
    fs::remove_file(&first.path).unwrap();
    let again = Local::serve(first.path.clone(), tell("a"));
    director.wait_for_state(mark, "a", "up", PATIENCE);
    until(PATIENCE, "it serves again", || told() == "a");
    assert!(again.accepted() > 1, "a probe, and a client");
    director.finish();
}

/// A socket on which one connection waits, and no other one may.
fn full(path: &Path) -> (Socket, UnixStream) {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::unix(path).unwrap()).unwrap();
    socket.listen(0).unwrap();
    (socket, UnixStream::connect(path).unwrap())
}

#[test]
fn host_that_lets_nobody_more_wait_is_passed_over_or_waited_for() {
    let folder = Scratch::new();
    let (busy, _first) = full(&folder.path("busy"));
    let free = Local::serve(folder.path("free"), tell("free"));
    let at_busy = format!("unix:{}", folder.path("busy").display());
    let config = Config::from(Service::new("two").host_with("busy", &at_busy, "").host_with("free", free.addr(), ""))
        .and(Service::new("one").host_with("busy", &at_busy, "").set("connect-timeout", "60s"));
    let director = Director::plan(config).start();
    for _ in 0..10 {
        assert_eq!(Client::connect(director.addrs("two")[0]).read_text().0, "free");
    }
    let waits = Client::connect(director.addrs("one")[0]);
    director.wait_for_counters(PATIENCE, "it tries again and again", |counters| {
        counters.service("one").number("retries") >= 5
    });
    let serves = thread::spawn(move || {
        let mut served = 0;
        while served < 100 {
            let Ok((stream, _)) = busy.accept() else { return };
            let mut stream = UnixStream::from(std::os::fd::OwnedFd::from(stream));
            served += usize::from(stream.write_all(b"at last").is_ok());
        }
    });
    assert_eq!(waits.read_text().0, "at last");
    drop(waits);
    let counters = director.finish();
    assert_eq!(counters.service("two").number("closed-finished"), 10);
    assert_eq!(counters.service("one").number("closed-finished"), 1);
    drop(serves);
}

#[test]
fn clients_of_this_machine_are_one_for_lists_and_limits() {
    let folder = Scratch::new();
    let host = Host::serve("a", scripts::echo());
    let path = folder.path("s");
    let text = |rule: &str, max: u32| {
        let service = listening(&path, Service::with(&[&host]).listen("127.0.0.1:0"));
        let service = service.set("acl", "l").set("client-max", max);
        let list = format!("<acl name=\"l\" default=\"deny\"><deny net=\"::/0\"/>{rule}</acl></director>");
        Config::from(service).xml().replace("</director>", &list)
    };
    let director = Director::plan_text(&text("<permit net=\"unix\"/>", 2)).start();
    assert_eq!(ask(&path, b"let in"), "let in");
    let client = Client::connect(director.addr());
    assert_eq!(client.read_text(), (String::new(), End::Reset));
    let mut open = [come(&path), come(&path)];
    for stream in &mut open {
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(ask(&path, b"one too many"), "");
    drop(open);
    until(PATIENCE, "there is room again", || ask(&path, b"again") == "again");
    director.write_config_text(&text("", 2));
    director.reload();
    assert_eq!(ask(&path, b"not let in"), "");
    let counters = director.finish();
    let service = counters.service("s");
    assert!(service.number("closed-client-limit") >= 1 && service.number("closed-denied") == 2, "{service:?}");
}

#[test]
fn header_says_who_the_client_is_on_the_way_in_and_out() {
    let folder = Scratch::new();
    let host = Host::serve("a", scripts::echo());
    let path = folder.path("s");
    let name = UnixName::new(path.to_str().unwrap()).unwrap();
    for (announce, version) in [(Announce::V1, "v1"), (Announce::V2, "v2")] {
        let service = Service::new("s").host_with("a", host.addr(), &format!("proxy=\"{version}\""));
        let director = Director::plan(listening(&path, service)).start();
        let header = proxy::write(announce, Endpoint::LOCAL, Endpoint::Unix(name));
        let expected = [header.as_bytes(), b"hello"].concat();
        assert_eq!(ask_bytes(&path, b"hello"), expected, "{version}");
        director.finish();
    }
    // In: the proxy before this one is of this machine, and believed.
    let service = listening(&path, Service::with(&[&host]).set("acl", "l"));
    let lists = "<acl name=\"l\" default=\"permit\"><deny net=\"192.0.2.0/24\"/></acl></director>";
    let expects = "unix:X\" proxy=\"any\" proxy-from=\"unix\"/>".replace('X', path.to_str().unwrap());
    let text = Config::from(service).xml().replace("</director>", lists);
    let text = text.replace(&format!("unix:{}\"/>", path.display()), &expects);
    let director = Director::plan_text(&text).start();
    assert_eq!(ask(&path, b"PROXY TCP4 198.51.100.1 10.0.0.1 1 2\r\nhello"), "hello");
    assert_eq!(ask(&path, b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\nhello"), "", "the list is about the client");
    assert_eq!(ask(&path, b"PROXY UNKNOWN\r\nhello"), "hello");
    assert_eq!(ask(&path, b"hello"), "");
    let counters = director.finish();
    let service = counters.service("s");
    assert_eq!((service.number("closed-denied"), service.number("closed-proxy-header")), (1, 1));
}

#[test]
fn file_has_its_rights_and_goes_at_the_end_and_a_stale_one_is_replaced() {
    let folder = Scratch::new();
    let host = Host::serve("a", scripts::tell_name());
    let path = folder.path("s");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let with = |attributes: &str| {
        let text = Config::from(listening(&path, Service::with(&[&host]))).xml();
        text.replace(&format!("{}\"/>", path.display()), &format!("{}\" {attributes}/>", path.display()))
    };
    // As a process leaves it that was killed.
    drop(UnixListener::bind(&path).unwrap());
    let mut director = Director::plan_text(&with("")).start();
    assert_eq!((told(&come(&path)).as_str(), mode()), ("a", 0o600));
    let taken = Director::plan_text(&with("")).run();
    assert!(!taken.0.success() && taken.2.contains("another process answers there"), "{taken:?}");
    assert!(taken.2.contains("ss -lxp"), "{taken:?}");
    assert_eq!(told(&come(&path)), "a", "it is not disturbed");
    director.write_config_text(&with("mode=\"0666\""));
    let line = director.reload();
    assert!(line.contains("listeners-retuned=1"), "{line}");
    assert_eq!((told(&come(&path)).as_str(), mode()), ("a", 0o666));
    director.stop(PATIENCE);
    assert!(!path.exists());
    fs::write(&path, "text").unwrap();
    let taken = Director::plan_text(&with("")).run();
    assert!(!taken.0.success() && taken.2.contains("left alone"), "{taken:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
}

#[test]
fn what_a_socket_of_this_machine_cannot_have_is_refused_with_its_place() {
    let long = format!("unix:/{}", "x".repeat(107));
    for (listen, host, expected) in [
        (long.as_str(), "", "the path has 108 bytes, expected at most 107"),
        ("unix:s.sock", "", "the path does not begin with a /"),
        ("unix:/s\" keepalive=\"60s", "", "keepalive is for TCP"),
        ("unix:@s\" mode=\"0666", "", "the name is abstract"),
        ("127.0.0.1:0\" mode=\"0666", "", "expected ip=\"unix:/PATH\""),
        ("unix:/s\" mode=\"rw", "", "expected octal digits"),
        ("127.0.0.1:0", "source=\"10.0.0.1\"", "source is for TCP"),
    ] {
        let service = Service::new("s").listen(listen).host_with("a", "unix:/run/h.sock", host);
        let (status, out, log) = Director::plan(service).args(&["--check"]).run();
        let all = format!("{out}{log}");
        assert!(!status.success() && all.contains(expected) && all.contains("director.xml:"), "{listen}: {all}");
    }
}
