//! The administration page in a real browser: `tests/browser/run.mjs` does what users do, with a real balancer and real
//! hosts behind it, and prints what it found. Pictures go to the directory that `DIRECTOR_SCREENSHOTS` names.

#![allow(clippy::print_stdout, reason = "what the browser found is for the person who runs it")]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use support::{Director, Host, PATIENCE, scripts};

mod support;

/// The program may be silent for this long.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Hosts of the test of many.
const MANY: usize = 1000;

/// What a page that writes names into its markup would run.
const HOSTILE: &str = r#""><img src=x onerror=alarm()>"#;
const HOSTILE_SERVICE: &str = "<script>alarm()</script>";

/// The users and their passwords; the hashes are those of `openssl passwd -6`.
const USERS: [(&str, &str, &str, &str); 2] = [
    (
        "full",
        "may-change",
        "may change",
        "$6$director.page$Q8mUvZnDiT.rigE4Yt/ZNVdNe7bteZRKIBYMhPtg5.iomu6cGr95Ye2j2x4bcoMyTtrYCQNVLGvk/TOaB/FZX.",
    ),
    (
        "readonly",
        "look-only",
        "may look",
        "$6$director.page$Oe8TdicUmUw9ZoVyYKseAt9vYl5KiwbTt60r8xnRsDKO7jXLGyRoHOXRfSX0986gcVpKa/UguPqh6jvOIDQzT.",
    ),
];

#[test]
fn page_shows_and_does_what_operators_need() {
    let Some(tools) = Tools::find() else { return };
    let [a, spare, b] = ["a", "spare", "b"].map(|name| Host::serve(name, scripts::greet()));
    let (dead, fallback) = (Host::dead("dead"), Host::serve("fallback", scripts::greet()));
    let hostile = Host::serve("hostile", scripts::greet());
    let group = |name: &str, hosts: &[(&str, SocketAddr)]| {
        let hosts = hosts.iter().map(|(name, addr)| format!("<host name=\"{}\" ip=\"{addr}\"/>", escaped(name)));
        format!("<group name=\"{}\">{}</group>", escaped(name), hosts.collect::<String>())
    };
    let service = |name: &str, groups: &[String]| {
        let (name, groups) = (escaped(name), groups.concat());
        format!("<service name=\"{name}\"><listen ip=\"127.0.0.1:0\"/>{groups}</service>")
    };
    let page = free_address();
    let services = [
        service("web", &[group("blue", &[("a", a.addr())]), group("green", &[("b", b.addr())])]),
        service("failing", &[group("mixed", &[("dead", dead.addr()), ("fallback", fallback.addr())])]),
        service(HOSTILE_SERVICE, &[group("<b>bold</b>", &[(HOSTILE, hostile.addr())])]),
    ];
    let mut run = Run { page, director: start(page, &services.concat()) };
    let free = [free_address(), free_address()];
    let more = format!(
        "\"suite\":\"page\",\"hosts\":{{\"spare\":\"{}\"}},\"free\":[\"{}\",\"{}\"],\"hostile\":{:?}",
        spare.addr(),
        free[0],
        free[1],
        HOSTILE,
    );
    run.drive(&tools, &more);
    run.director.finish();
}

#[test]
fn page_with_a_thousand_hosts_is_quick() {
    let Some(tools) = Tools::find() else { return };
    let host = Host::plan("everywhere", scripts::greet()).at("0.0.0.0:0").start();
    let port = host.addr().port();
    let mut hosts = String::new();
    for number in 0..MANY {
        let (high, low) = (1 + number / 200, 1 + number % 200);
        let _ = write!(hosts, "<host name=\"host-{number}\" ip=\"127.0.{high}.{low}:{port}\"/>");
    }
    let service =
        format!("<service name=\"web\"><listen ip=\"127.0.0.1:0\"/><group name=\"many\">{hosts}</group></service>");
    let page = free_address();
    let mut run = Run { page, director: start(page, &service) };
    run.drive(&tools, &format!("\"suite\":\"load\",\"count\":{MANY}"));
}

/// A balancer with a page there.
fn start(page: SocketAddr, services: &str) -> Director {
    let users =
        USERS.map(|(access, name, _, hash)| format!("<user name=\"{name}\" password=\"{hash}\" access=\"{access}\"/>"));
    let admin = format!("<admin><web listen=\"{page}\" enable=\"true\"/>{}</admin>", users.concat());
    let manager = "<manager><hostCheck interval=\"500ms\"/></manager>";
    Director::plan_text(&format!("<director>{services}{manager}{admin}</director>")).start()
}

/// A balancer, and the program that drives its page.
struct Run {
    page: SocketAddr,
    director: Director,
}

impl Run {
    /// Runs the program to its end, and stops and starts the balancer when it asks. Fails with what it printed.
    fn drive(&mut self, tools: &Tools, more: &str) {
        let users = USERS.map(|(access, name, password, _)| {
            format!("\"{access}\":{{\"user\":\"{name}\",\"password\":\"{password}\"}}")
        });
        let screenshots = env::var("DIRECTOR_SCREENSHOTS").unwrap_or_default();
        let plan = format!(
            "{{\"page\":\"http://{}/\",\"chromium\":{:?},\"screenshots\":{screenshots:?},\"users\":{{{}}},{more},{}",
            self.page,
            tools.chromium,
            users.join(","),
            &self.place()[1..],
        );
        let mut program = Program::start(tools, &plan);
        let mut printed = String::new();
        while let Some(line) = program.line(&printed) {
            match line.strip_prefix('@') {
                Some("stop") => {
                    self.director.stop(PATIENCE);
                    program.answer("{}");
                }
                Some("start") => {
                    let text = fs::read_to_string(self.director.config_path()).expect("the saved configuration");
                    self.director = Director::plan_text(&text).start();
                    program.answer(&self.place());
                }
                _ => {
                    println!("{line}");
                    let _ = writeln!(printed, "{line}");
                }
            }
        }
        let status = program.child.wait().expect("the program's end");
        assert!(status.success(), "{status}:\n{printed}");
    }

    /// Where the balancer is, as JSON.
    fn place(&self) -> String {
        let listen = |service: &str| self.director.addrs(service).first().map_or_else(String::new, ToString::to_string);
        format!(
            "{{\"pid\":{},\"config\":{:?},\"listen\":\"{}\",\"listens\":{{\"failing\":\"{}\",\"hostile\":\"{}\"}}}}",
            self.director.process().0,
            self.director.config_path(),
            listen("web"),
            listen("failing"),
            listen("\"<script>"),
        )
    }
}

/// The program, with its output as it comes.
struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    fn start(tools: &Tools, plan: &str) -> Self {
        let mut command = Command::new(&tools.node);
        command.arg(tools.directory.join("run.mjs")).env("DIRECTOR_TEST", plan);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start node");
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// The next line; none at the end.
    fn line(&mut self, printed: &str) -> Option<String> {
        match self.lines.recv_timeout(SILENCE_MAX) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("silent for {SILENCE_MAX:?} after:\n{printed}"),
        }
    }

    fn answer(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("its input is piped");
        writeln!(input, "{text}").expect("answer");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What drives the page.
struct Tools {
    node: PathBuf,
    chromium: PathBuf,
    directory: PathBuf,
}

impl Tools {
    /// Finds them, or has them installed; without the right to, says that the test is skipped.
    fn find() -> Option<Self> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let directory = top.join("tests/browser");
        let found = |directory: PathBuf| {
            let (node, chromium) = (in_path("node")?, in_path("chromium")?);
            directory.join("node_modules/playwright-core").is_dir().then_some(Self { node, chromium, directory })
        };
        if let Some(tools) = found(directory.clone()) {
            return Some(tools);
        }
        let output = Command::new(top.join(".ci/packages")).output().expect("run .ci/packages");
        println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let tools = found(directory);
        if tools.is_none() {
            println!("skipped: node, chromium or playwright-core is not there and could not be installed");
        }
        tools
    }
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// An address of this machine that nobody uses at the moment.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
