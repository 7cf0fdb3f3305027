//! Administration over SSH, with the system's own sshd and ssh.
#![allow(clippy::print_stdout, reason = "tests say why they are skipped")]

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use support::director::Director;
use support::process::Process;
use support::scratch::Scratch;
use support::{Ctl, PATIENCE, Terminal, until};

mod support;

/// Whether there is what these tests need.
fn is_possible() -> bool {
    let missing =
        ["/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/ssh-keygen"].into_iter().find(|at| !Path::new(at).exists());
    let is_shut = || is_locked() && in_place_of(UNLOCK).is_none();
    let why = match missing {
        Some(program) => format!("{program} is not installed"),
        None if !own_account().1 => String::from("sshd logs in nobody but the user that runs the tests, expected root"),
        None if is_shut() => String::from("root's account is locked"),
        None => return true,
    };
    println!("skipped: {why}");
    false
}

/// An address that nobody else on this machine takes: sshd takes a port by its number only, and one of 127.0.0.1 that
/// was free a moment ago may not be any more.
fn address() -> SocketAddr {
    static NUMBER: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, high | 0x80, low, NUMBER.fetch_add(1, Relaxed));
    TcpListener::bind((ip, 0)).expect("an address of the loopback").local_addr().expect("its port")
}

/// The account that runs the tests, and whether it is root.
fn own_account() -> (String, bool) {
    let output = Command::new("id").arg("-un").output().expect("id runs");
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let is_root = name == "root";
    (name, is_root)
}

/// Whether sshd will let nobody in as root; see shadow(5).
fn is_locked() -> bool {
    fs::read_to_string("/etc/shadow").is_ok_and(|text| text.lines().any(|line| line.starts_with("root:!")))
}

/// For the process that follows, and what it starts: root's account has no password and is not locked.
const UNLOCK: &str = "new=$(mktemp) && sed 's/^root:[^:]*:/root:*:/' /etc/shadow > $new &&
    mount --bind $new /etc/shadow && rm $new && exec \"$@\"";
/// The same, locked.
const LOCK: &str = "new=$(mktemp) && sed 's/^root:[^:]*:/root:!:/' /etc/shadow > $new &&
    mount --bind $new /etc/shadow && rm $new && exec \"$@\"";

/// A command that runs what follows with something else in the place of this file; none where that is not possible.
fn in_place_of(script: &str) -> Option<[&str; 6]> {
    let wrapper = ["unshare", "-m", "sh", "-c", script, "sh"];
    let tried = Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").status();
    if tried.is_ok_and(|status| status.success()) {
        return Some(wrapper);
    }
    println!("skipped: another file in the place of one takes the right to mount");
    None
}

struct Ssh {
    director: Director,
    address: SocketAddr,
    folder: Scratch,
}

impl Ssh {
    /// A balancer with the administrators op (full), look (readonly) and shut (without a key).
    fn start() -> Self {
        let unlocked = is_locked().then(|| in_place_of(UNLOCK)).flatten();
        Self::start_through(unlocked.as_ref().map_or(&[], |wrapper| wrapper))
    }

    fn start_through(wrapper: &[&str]) -> Self {
        let folder = Scratch::new();
        let keys = ["op", "look", "stranger"].map(|name| key(&folder.path(name)));
        let address = address();
        let text = format!(
            "<director><service name='s'><listen ip='127.0.0.1:0'/><group name='g'>
             <host name='a' ip='127.0.0.1:1'/><host name='b' ip='127.0.0.1:2'/></group></service>
             <admin><ssh listen='{address}' enable='true'/><user name='op' key='{}' access='full'/>
             <user name='look' key='{}' access='readonly'/><user name='shut' password='$6$a$b' access='full'/>
             </admin></director>",
            keys[0], keys[1]
        );
        let state = folder.path("state");
        let director = Director::plan_text(&text).env("STATE_DIRECTORY", &state).through(wrapper).start();
        Self { director, address, folder }
    }

    #[track_caller]
    fn ready(self) -> Self {
        self.director.wait_for_log(&["Server listening on"], PATIENCE);
        self
    }

    fn command(&self, key: &str, options: &[&str], words: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-p", &self.address.port().to_string(), "-i"]).arg(self.folder.path(key));
        for option in
            ["BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "LogLevel=ERROR", "ConnectTimeout=10"]
        {
            command.args(["-o", option]);
        }
        command.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]).args(options);
        command.arg(format!("{}@{}", own_account().0, self.address.ip())).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs ssh to its end, with this on its standard input.
    #[track_caller]
    fn run(&self, key: &str, options: &[&str], words: &[&str], input: &str) -> Ctl {
        let mut child = self.command(key, options, words).spawn().expect("ssh runs");
        // Who was refused reads nothing.
        let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
        child.wait_with_output().expect("ssh ends").into()
    }

    #[track_caller]
    fn ask(&self, key: &str, words: &[&str]) -> Ctl {
        self.run(key, &[], words, "")
    }

    /// The sshd that serves now.
    #[track_caller]
    fn sshd(&self) -> Process {
        let line = self.director.log().lines().into_iter().rfind(|line| line.contains("sshd is process "));
        let id = line.as_deref().and_then(|line| line.rsplit(' ').next()?.parse().ok());
        Process(id.expect("a line that names it"))
    }
}

/// The address that the system connects from to that one.
fn own_side(address: SocketAddr) -> IpAddr {
    let probe = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect(address).map(|()| socket));
    probe.and_then(|socket| socket.local_addr()).expect("a route to it").ip()
}

/// Makes a key and returns its public half, without the comment.
fn key(path: &PathBuf) -> String {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen runs");
    assert!(made.success());
    let text = fs::read_to_string(path.with_extension("pub")).expect("the public key");
    text.split(' ').take(2).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[test]
fn commands_are_done_with_the_rights_and_exit_codes_of_directorctl() {
    if !is_possible() {
        return;
    }
    let ssh = Ssh::start().ready();
    assert!(ssh.ask("op", &["status"]).good().contains("127.0.0.1:2"));
    assert_eq!(ssh.ask("op", &["weight", "a", "3"]).good(), "host s/g/a: weight=3\n");
    assert_eq!(ssh.run("op", &[], &["batch"], "weight a 4\nweight b 5\n").code, Some(0));
    assert!(ssh.ask("op", &["weight zz 3"]).failed(4).contains("no service has a host"));
    assert!(ssh.ask("look", &["weight a 2"]).failed(1).contains("may only look"));
    let users = ssh.ask("look", &["--", "--json", "user", "list"]).good();
    let users: serde_json::Value = serde_json::from_str(&users).unwrap();
    assert_eq!(users["users"][1]["name"], "look");
    let shown = ssh.ask("look", &["config", "show"]).good();
    assert!(shown.contains("weight=\"4\"") && !shown.contains("$6$"), "{shown}");
    // Who, and from where: in the log and in the events, and no word of his makes it otherwise.
    let from = format!("ssh {}:", own_side(ssh.address));
    ssh.director.wait_for_log(&["change by=op", &format!("from=\"{from}"), "weight=3"], PATIENCE);
    let events = ssh.ask("look", &["events"]).good();
    assert!(events.lines().any(|line| line.contains("weight=3") && line.contains(&format!("op ({from}"))), "{events}");
    assert!(ssh.ask("op", &["as root 192.0.2.7:1"]).failed(2).contains("for programs that speak to the socket"));
    assert!(ssh.run("op", &["-o", "SetEnv=SSH_CONNECTION=192.0.2.7"], &["max a 9"], "").code == Some(0));
    ssh.director.wait_for_log(&["change by=op", &format!("from=\"{from}"), "max=9"], PATIENCE);
    // The prompt without a terminal: lines in, answers out, the first failure's code at the end.
    let told = ssh.run("op", &[], &[], "hosts\nbad\nweight a 1\n");
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.out.contains("s/g/a: weight=1") && told.err.contains("unknown command \"bad\""), "{told:?}");
}

#[test]
fn prompt_is_there_on_a_terminal() {
    if !is_possible() {
        return;
    }
    let ssh = Ssh::start().ready();
    let session = Terminal::new().run(&mut ssh.command("op", &["-t"], &[]));
    session.wait_for("for op. help lists", 1);
    session.types("weight a 6\r");
    session.wait_for("host s/g/a: weight=6", 1);
    session.types("\x04");
    assert_eq!(session.ends().code(), Some(0));
}

#[test]
fn shell_files_forwarding_and_strangers_are_refused() {
    if !is_possible() {
        return;
    }
    let ssh = Ssh::start().ready();
    assert!(ssh.ask("op", &["sh", "-c", "id"]).failed(2).contains("unknown command \"sh\""));
    assert!(ssh.ask("op", &["status; id"]).failed(2).contains("unknown command"));
    assert!(ssh.ask("op", &["--", "-s /tmp/x status"]).failed(2).contains("unknown command"));
    assert!(ssh.ask("op", &["--", "--as look status"]).failed(2).contains("unknown command"));
    assert!(ssh.ask("op", &["config load /etc/passwd"]).failed(1).contains("files of this machine are not read"));
    assert!(ssh.ask("op", &["config diff /etc/passwd"]).failed(1).contains("files of this machine are not read"));
    ssh.run("op", &["-s"], &["sftp"], "").failed(255);
    ssh.run("op", &["-W", "127.0.0.1:1"], &[], "").failed(255);
    let remote = ["-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1"];
    assert!(ssh.run("op", &remote, &[], "").failed(255).contains("forwarding failed"));
    assert!(ssh.ask("stranger", &["status"]).failed(255).contains("Permission denied (publickey)"));
    let keyboard = ["-o", "PubkeyAuthentication=no", "-l", "shut"];
    assert!(ssh.run("op", &keyboard, &["status"], "").failed(255).contains("Permission denied"));
}

#[test]
fn changed_users_are_let_in_or_kept_out_at_once() {
    if !is_possible() {
        return;
    }
    let ssh = Ssh::start().ready();
    let sshd = ssh.sshd();
    let stranger = fs::read_to_string(ssh.folder.path("stranger.pub")).unwrap();
    let stranger = stranger.split(' ').take(2).collect::<Vec<_>>().join(" ");
    assert_eq!(ssh.ask("op", &[&format!("user add new key='{stranger}' access=readonly")]).code, Some(0));
    until(PATIENCE, "the new one is let in", || ssh.ask("stranger", &["hosts"]).code == Some(0));
    assert_eq!(ssh.ask("op", &["user del look"]).code, Some(0));
    until(PATIENCE, "the old one is kept out", || ssh.ask("look", &["hosts"]).code == Some(255));
    assert_eq!(ssh.sshd(), sshd, "the server was not started anew");
}

#[test]
fn reload_makes_of_it_what_the_difference_says() {
    if !is_possible() {
        return;
    }
    let ssh = Ssh::start().ready();
    let sshd = ssh.sshd();
    let text = fs::read_to_string(ssh.director.config_path()).unwrap();
    let moved = address();
    ssh.director.write_config_text(&text.replace(&ssh.address.to_string(), &moved.to_string()));
    let difference = ssh.ask("op", &["config diff"]).good();
    let told = "[takes effect with a reload: the server starts anew there, its sessions end]";
    assert!(difference.contains(&format!("{} → {moved}", ssh.address)) && difference.contains(told), "{difference}");
    ssh.director.reload();
    until(PATIENCE, "the old one has ended", || !sshd.is_alive());
    let ssh = Ssh { address: moved, ..ssh };
    until(PATIENCE, "it serves there", || ssh.ask("op", &["status"]).code == Some(0));
    let line = text.lines().find(|line| line.contains("<ssh ")).unwrap();
    let tag = line.find("<ssh ").map(|at| &line[at..=at + line[at..].find('>').unwrap()]).unwrap();
    ssh.director.write_config_text(&text.replace(tag, ""));
    let difference = ssh.ask("op", &["config diff"]).good();
    assert!(
        difference.contains("SSH removed  [takes effect with a reload: no longer served, its sessions end]"),
        "{difference}"
    );
    let sshd = ssh.sshd();
    ssh.director.reload();
    until(PATIENCE, "it has ended", || !sshd.is_alive());
    ssh.ask("op", &["status"]).failed(255);
}

#[test]
fn killed_server_comes_back_and_all_of_it_goes_with_the_balancer() {
    if !is_possible() {
        return;
    }
    let mut ssh = Ssh::start().ready();
    let first = ssh.sshd();
    first.signal(libc::SIGKILL);
    ssh.director.wait_for_log(&["sshd ended", "it is started again in"], PATIENCE);
    until(PATIENCE, "another one", || ssh.sshd() != first);
    until(PATIENCE, "it serves", || ssh.ask("op", &["status"]).code == Some(0));
    let session = Terminal::new().run(&mut ssh.command("op", &["-t"], &[]));
    session.wait_for("for op. help lists", 1);
    let sshd = ssh.sshd();
    ssh.director.stop(PATIENCE);
    assert_ne!(session.ends().code(), Some(0), "the connection was closed");
    until(PATIENCE, "sshd ended", || !sshd.is_alive());
    assert!(!ssh.folder.path("state/ssh/control.sock").exists());
    // Nor does it outlive a balancer that is killed.
    let mut ssh = Ssh::start().ready();
    let sshd = ssh.sshd();
    ssh.director.process().signal(libc::SIGKILL);
    ssh.director.wait_for_exit(PATIENCE);
    until(PATIENCE, "sshd ended with it", || !sshd.is_alive());
}

#[test]
fn missing_sshd_is_said_once_and_all_else_runs() {
    if !is_possible() {
        return;
    }
    let Some(wrapper) = in_place_of("mount --bind /dev/null /usr/sbin/sshd && exec \"$@\"") else { return };
    let ssh = Ssh::start_through(&wrapper);
    ssh.director.wait_for_log(&["ERROR SSH does not serve: sshd is not installed (Debian: openssh-server)"], PATIENCE);
    // More tries than one come within a second.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(ssh.director.log().count(support::log::Mark::default(), &["SSH does not serve"]), 1);
    assert!(support::Wire::connect(&ssh.folder.path("state/ssh/control.sock")).ask("status").is_ok());
}

#[test]
fn locked_account_is_named_with_the_way_out() {
    if !is_possible() {
        return;
    }
    let Some(wrapper) = in_place_of(LOCK) else { return };
    let ssh = Ssh::start_through(&wrapper);
    ssh.director.wait_for_log(&["the account root is locked", "usermod -p '*' root"], PATIENCE);
    ssh.ready().ask("op", &["status"]).failed(255);
}
