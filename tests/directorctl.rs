//! `directorctl` as operators and their scripts use it, and `director --diff`.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use support::control::directorctl;
use support::{Client, Host, PATIENCE, Site, scripts, until};

mod support;

/// A service `web` of one group `g` with these hosts.
fn elements(hosts: &[&Host]) -> String {
    let hosts: String =
        hosts.iter().map(|host| format!("<host name='{}' ip='{}'/>", host.name(), host.addr())).collect();
    format!(
        "<!-- ours --><service name='web'><listen ip='127.0.0.1:0'/><group name='g'>{hosts}</group></service>
         <admin><user name='root' password='x' access='full'/></admin>"
    )
}

#[test]
fn exit_codes_tell_scripts_what_came_of_it() {
    let only = Host::serve("a", scripts::tell_name());
    let site = Site::start(&elements(&[&only]));
    assert!(site.ctl(&["status"]).good().contains("service web"));
    site.ctl(&["del", "web/g/a"]).failed(1);
    site.ctl(&["wieght", "web/g/a", "3"]).failed(2);
    site.ctl(&["weight", "web/g/nobody", "3"]).failed(4);
    let absent = directorctl().args(["-s", "/nowhere/at/all.sock", "status"]).output().expect("run it");
    assert_eq!(absent.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&absent.stderr).contains("is director running"), "{absent:?}");
    site.director.finish();
}

#[test]
fn table_lines_up_and_json_is_read_by_programs() {
    let hosts = ["a", "with-a-long-name"].map(|name| Host::serve(name, scripts::tell_name()));
    let site = Site::start(&elements(&[&hosts[0], &hosts[1]]));
    let text = site.ctl(&["hosts"]).good();
    let column = text.lines().next().expect("a head").find("ADDRESS").expect("a column");
    for (line, host) in text.lines().skip(1).zip(&hosts) {
        assert!(line[column..].starts_with(&host.addr().to_string()), "{text}");
    }
    let status = site.json(&["status"]);
    assert_eq!(status["services"][0]["groups"][0]["hosts"][1]["name"], "with-a-long-name");
    assert!(site.ctl(&["top", "--once"]).good().contains("with-a-long-name"));
    site.director.finish();
}

#[test]
fn drain_waits_until_the_last_client_has_left_or_the_deadline_is_over() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::echo()));
    let site = Site::start(&elements(&[&hosts[0], &hosts[1]]));
    let client = Client::connect(site.director.addr());
    client.send(b"ping");
    assert_eq!(client.read_exact(4), b"ping");
    let late = site.ctl(&["drain", "web/g/a", "--deadline", "300ms"]);
    assert_eq!(late.code, Some(1), "{late:?}");
    let waiting = site.ctl_start(&["drain", "web/g/a"]);
    thread::sleep(Duration::from_millis(200)); // it must still wait after a while
    client.send(b"more");
    assert_eq!(client.read_exact(4), b"more", "nobody is cut");
    drop(client);
    let done = waiting.wait_with_output().expect("it ends");
    assert!(done.status.success(), "{done:?}");
    site.ctl(&["up", "web/g/a"]).good();
    site.director.finish();
}

#[test]
fn remembered_clients_are_listed_and_cleared_and_a_host_is_kept_out_for_a_time() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let site = Site::start(&elements(&[&hosts[0], &hosts[1]]));
    site.ctl(&["scheduler", "web/g", "roundrobin,sticky"]).good();
    let tell = || Client::connect(site.director.addr()).read_text().0;
    assert_eq!([tell(), tell()], ["a", "a"]);
    let list = site.ctl(&["sticky", "list", "web/g", "client=127.0.0.1"]).good();
    assert!(list.contains("127.0.0.1  web/g/a"), "{list}");
    assert_eq!(site.json(&["sticky", "list", "host=b"])["total"], 0);
    site.ctl(&["sticky", "clear"]).failed(2);
    assert!(site.ctl(&["sticky", "clear", "host=a"]).good().contains("1 forgotten"));
    site.ctl(&["sticky", "clear", "--all"]).failed(4);
    assert_eq!([tell(), tell()], ["b", "b"], "the scheduler has chosen anew");
    site.ctl(&["blacklist", "b", "1h"]).good();
    let hosts = site.ctl(&["hosts"]).good();
    assert!(hosts.contains("blacklisted") && hosts.contains("more"), "{hosts}");
    assert_eq!(tell(), "a");
    site.ctl(&["blacklist", "b", "0"]).good();
    assert!(!site.ctl(&["hosts"]).good().contains("blacklisted"));
    let status = site.ctl(&["status"]).good();
    assert!(status.contains("roundrobin,sticky  clients 1 of 2048"), "{status}");
    site.director.finish();
}

#[test]
fn batch_is_done_whole_or_not_at_all() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let site = Site::start(&elements(&[&hosts[0]]));
    let b = hosts[1].addr();
    let half = format!("add web/g {b} name=b\nweight web/g/nobody 3\n");
    site.ctl_with(&["batch"], &half).failed(4);
    assert!(!site.ctl(&["hosts"]).good().contains(&b.to_string()));
    let whole = format!("add web/g {b} name=b weight=2\ndel web/g/a\n");
    assert_eq!(site.ctl_with(&["batch"], &whole).code, Some(0));
    assert_eq!(Client::connect(site.director.addr()).read_text().0, "b");
    site.director.finish();
}

#[test]
fn configuration_is_compared_saved_and_loaded_on_probation() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let site = Site::start(&elements(&[&hosts[0]]));
    let told = || Client::connect(site.director.addr()).read_text().0;
    let other = site.folder.path("other.xml");
    fs::write(&other, site.with(&elements(&[&hosts[1]]))).expect("write a file");
    let other = other.to_str().expect("UTF-8");
    let commands = site.ctl(&["config", "diff", other, "--commands"]).good();
    assert!(site.ctl(&["config", "diff", other, "--api"]).good().contains("/api/v1/services/web/groups/g/hosts"));
    site.ctl(&["config", "load", other, "--confirm", "400ms"]).good();
    assert_eq!(told(), "b");
    until(PATIENCE, "it goes back by itself", || told() == "a");
    assert_eq!(site.ctl_with(&["batch"], &commands).code, Some(0), "{commands}");
    assert_eq!(told(), "b");
    assert_eq!(site.ctl(&["config", "diff", other]).good().trim(), "no difference");
    site.ctl(&["config", "save"]).good();
    let saved = fs::read_to_string(site.director.config_path()).expect("the file");
    assert!(saved.contains("<!-- ours -->") && saved.contains(&hosts[1].addr().to_string()), "{saved}");
    site.director.finish();
}

#[test]
fn password_is_hashed_before_it_leaves_and_shown_nowhere() {
    let only = Host::serve("a", scripts::tell_name());
    let site = Site::start(&elements(&[&only]));
    let added = site.ctl_with(&["user", "add", "eve", "access=readonly"], "a long secret\n");
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(site.ctl(&["user", "list"]).good().contains("eve"));
    site.ctl(&["config", "save"]).good();
    let saved = fs::read_to_string(site.director.config_path()).expect("the file");
    assert!(saved.contains("$argon2id$") && !saved.contains("a long secret"));
    let shown = [site.ctl(&["events"]).good(), site.ctl(&["status"]).good(), site.director.log().lines().join("\n")];
    assert!(shown.iter().all(|text| !text.contains("$argon2id$") && !text.contains("a long secret")), "{shown:?}");
    site.director.finish();
}

#[test]
fn completion_and_manual_know_every_command() {
    let run = |args: &[&str]| {
        let output = directorctl().args(args).output().expect("run it");
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let help = run(&["help"]);
    let commands: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(commands.len() > 30, "{help}");
    let manual = run(&["man"]);
    for command in &commands {
        assert!(manual.contains(command), "{command} is not in the manual");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completion", shell]).contains("directorctl"), "{shell}");
    }
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().expect("bash");
    bash.stdin.take().expect("piped").write_all(run(&["completion", "bash"]).as_bytes()).expect("write");
    assert!(bash.wait().expect("it ends").success());
}

#[test]
fn differences_of_files_are_told_in_four_forms() {
    let folder = support::scratch::Scratch::new();
    let write = |name: &str, weight: u32| {
        let path = folder.path(name);
        let host = format!("<host name='a' ip='10.0.0.1:80' weight='{weight}'/><host name='b' ip='10.0.0.2:80'/>");
        let text = format!(
            "<director><service name='web'><listen ip='*:80'/><group name='g'>{host}</group></service></director>"
        );
        fs::write(&path, text).expect("write a file");
        path
    };
    let (old, new) = (write("old.xml", 1), write("new.xml", 3));
    let diff = |form: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
        let output = command.args(["--diff", "--diff-as", form]).args([&old, &new]).output().expect("run it");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert!(diff("text").contains("web/g/a: weight 1 → 3"), "{}", diff("text"));
    assert!(diff("commands").contains("weight=3") || diff("commands").contains("weight web/g/a 3"));
    assert!(diff("api").contains("PATCH /api/v1/services/web/groups/g/hosts/a"), "{}", diff("api"));
    assert!(!diff("pydir").trim().is_empty());
}

/// Whether this program is there; says so where it is not.
fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// What a program says of this text on its standard input.
fn read_by(program: &str, args: &[&str], text: &str) -> support::Ctl {
    let mut command = Command::new(program);
    command.args(args).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("write");
    child.wait_with_output().expect("it ends").into()
}

#[test]
fn scripts_and_manual_are_what_their_readers_expect() {
    let print = |args: &[&str]| {
        let output = directorctl().args(args).output().expect("run it");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    for shell in ["bash", "zsh", "fish"] {
        if has(shell) {
            read_by(shell, &["-n"], &print(&["completion", shell])).good();
        }
    }
    if has("man") {
        let shown = read_by("man", &["--warnings", "-l", "-"], &print(&["man"])).good();
        assert!(shown.contains("EXIT STATUS"), "{shown}");
    }
}

#[test]
fn bash_completes_names_of_what_runs() {
    let hosts = ["alpha", "beta"].map(|name| Host::serve(name, scripts::tell_name()));
    let site = Site::start(&elements(&[&hosts[0], &hosts[1]]));
    let script = directorctl().args(["completion", "bash"]).output().expect("run it").stdout;
    let script = String::from_utf8(script).expect("UTF-8");
    let program = env!("CARGO_BIN_EXE_directorctl");
    let complete = |typed: &str| {
        let socket = site.socket().display();
        let text = format!(
            "compopt() {{ :; }}\n{script}\nCOMP_LINE='{program} -s {socket} {typed}'; COMP_POINT=${{#COMP_LINE}}; \
             _directorctl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        read_by("bash", &[], &text).good().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("drain web/g/a"), ["web/g/alpha"]);
    assert_eq!(complete("set web/g/beta state=dr"), ["drain"], "bash keeps what is before the =");
    assert_eq!(complete("config go"), ["goback"]);
    assert_eq!(complete("drain web/g/beta --dead"), ["--deadline"]);
    site.director.finish();
}

#[test]
fn commands_come_from_standard_input_with_what_belongs_to_them() {
    let only = Host::serve("a", scripts::tell_name());
    let site = Site::start(&elements(&[&only]));
    let lines = "# one after the other\nweight a 2\nnonsense\nuser add eve\nsecret\nuser list\n";
    let told = site.ctl_with(&["prompt"], lines);
    assert_eq!(told.code, Some(2), "the first failure's: {told:?}");
    assert!(told.out.contains("weight=2") && told.out.contains("eve"), "{told:?}");
    let told = site.ctl_with(&["prompt"], "batch\nweight a 3\nmax a 9\n");
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("weight=3"), "{told:?}");
    // Without a terminal there is no prompt that nobody asked for.
    site.ctl(&[]).failed(2);
    site.ctl(&["user", "add", "mal", "password=$6$a$b"]).failed(2);
    site.director.finish();
}

#[test]
fn file_may_have_the_name_of_a_command() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let site = Site::start(&elements(&[&hosts[0]]));
    fs::write(site.folder.path("load"), site.with(&elements(&[&hosts[1]]))).expect("write a file");
    let run = |args: &[&str]| {
        let mut command = directorctl();
        command.current_dir(site.folder.path("")).arg("-s").arg(site.socket()).args(args);
        support::Ctl::from(command.output().expect("run it"))
    };
    assert!(run(&["config", "diff", "load"]).good().contains("web/g"));
    run(&["config", "load", "load", "--confirm", "1h"]).good();
    assert_eq!(Client::connect(site.director.addr()).read_text().0, "b");
    run(&["config", "goback"]).good();
    run(&["config", "confirm"]).failed(1);
    site.director.finish();
}

#[test]
fn balancer_full_of_clients_is_still_administered() {
    let only = Host::serve("a", scripts::echo());
    let folder = support::scratch::Scratch::new();
    let socket = folder.path("control.sock");
    let plan = Site::plan(&socket, "", &elements(&[&only]));
    let director = plan.args(&["--max-connections", "20"]).start();
    // As many as there may be, and more that wait.
    let clients: Vec<Client> = (0..60).map(|_| Client::connect(director.addr())).collect();
    until(PATIENCE, "it has no more room", || director.counters().held() >= 20);
    let mut many = Vec::new();
    for _ in 0..40 {
        let mut wire = support::Wire::connect(&socket);
        assert!(wire.ask("status").is_ok());
        many.push(wire);
    }
    drop((clients, many));
    director.finish();
}
