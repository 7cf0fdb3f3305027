//! What the process gives up (`--user`, `--chroot`), the files that it keeps for the system (process id, status page),
//! and what it never hands on.

mod program;
mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use program::{arg, configure_idle, run};
use support::wait::StopAtEnd;
use support::{Client, Director, Host, Netns, PATIENCE, figure, scratch::Scratch, scripts, until};

/// A user of every Linux, with a group of its own.
const USER: &str = "nobody";

fn id(flag: &str) -> u32 {
    let output = Command::new("id").args([flag, USER]).output().expect("id is there");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}

/// The lines of the status of each of its threads that begin so, in words.
fn of_threads(director: &Director, key: &str) -> Vec<Vec<String>> {
    let process = director.process();
    let status =
        |(thread, _)| fs::read_to_string(format!("/proc/{}/task/{thread}/status", process.0)).unwrap_or_default();
    let words = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':').map(str::to_owned));
        line.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    process.threads().into_iter().map(status).filter_map(words).collect()
}

#[track_caller]
fn all_are(director: &Director, key: &str, expected: &[String]) {
    let found = of_threads(director, key);
    assert!(found.len() > 5 && found.iter().all(|words| words == expected), "{key}: {found:?}, expected {expected:?}");
}

/// A directory that the user may write to.
fn own(folder: &Scratch, name: &str) -> PathBuf {
    let path = folder.path(name);
    fs::create_dir(&path).expect("make a directory");
    chown(&path, Some(id("-u")), Some(id("-g"))).expect("give it away");
    path
}

fn config(listen: &str, host: &Host, more: &str) -> String {
    let addr = host.addr();
    let group = format!("<group name=\"g\"><host name=\"h\" ip=\"{addr}\"/></group>");
    format!("<director><service name=\"s\"><listen ip=\"{listen}\"/>{group}</service>\n{more}</director>")
}

fn logs(folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    let (access, status, control) = (path("access.log"), path("status.html"), path("control.sock"));
    format!("<access-log file=\"{access}\"/><status file=\"{status}\"/><control socket=\"{control}\"/>")
}

#[test]
fn user_is_taken_on_by_all_threads_and_every_right_is_gone() {
    let folder = Scratch::new();
    let (home, host) = (own(&folder, "home"), Host::serve("h", scripts::tell_name()));
    let plan = Director::plan_text(&config("127.0.0.1:0", &host, &logs(&home)));
    let mut director = plan.args(&["--user", USER, "--pidfile", arg(&home.join("pid"))]).start();
    director.wait_for_log(&["runs as nobody (user "], PATIENCE);
    let (uid, gid) = (id("-u").to_string(), id("-g").to_string());
    all_are(&director, "Uid", &vec![uid; 4]);
    all_are(&director, "Gid", &vec![gid.clone(); 4]);
    all_are(&director, "Groups", &[gid]);
    for key in ["CapPrm", "CapEff", "CapAmb"] {
        all_are(&director, key, &[String::from("0000000000000000")]);
    }
    all_are(&director, "NoNewPrivs", &[String::from("1")]);
    all_are(&director, "Seccomp", &[String::from("2")]);
    // It serves, answers its own user's control socket, and rotates and writes as that user.
    assert_eq!(Client::connect(director.addr()).read_text().0, "h");
    assert_eq!(fs::metadata(home.join("control.sock")).unwrap().uid(), id("-u"));
    let (log, old) = (home.join("access.log"), home.join("access.log.1"));
    until(PATIENCE, "a line", || fs::read_to_string(&log).is_ok_and(|text| text.ends_with('\n')));
    fs::rename(&log, &old).unwrap();
    assert!(director.reload().contains("nothing changed"));
    assert_eq!(Client::connect(director.addr()).read_text().0, "h");
    until(PATIENCE, "a line in the new file", || fs::read_to_string(&log).is_ok_and(|text| text.ends_with('\n')));
    director.process().signal(libc::SIGUSR1);
    until(PATIENCE, "the status page", || home.join("status.html").exists());
    for name in ["access.log", "access.log.1", "status.html", "pid"] {
        assert_eq!(fs::metadata(home.join(name)).unwrap().uid(), id("-u"), "{name}");
    }
    director.stop(PATIENCE);
    assert!(!home.join("pid").exists(), "the user may remove it there");
}

#[test]
fn low_port_stays_after_the_drop_and_a_new_one_is_refused_with_the_reason() {
    let folder = Scratch::new();
    let netns = Netns::new();
    let home = own(&folder, "home");
    netns.run(|| {
        let host = Host::serve("h", scripts::tell_name());
        let plan = Director::plan_text(&config("127.0.0.1:80", &host, "")).inside(&netns);
        let pidfile = folder.path("pid");
        let mut director = plan.args(&["--user", "nobody:65534", "--pidfile", arg(&pidfile)]).start();
        let connect = || assert_eq!(Client::connect("127.0.0.1:80".parse().unwrap()).read_text().0, "h");
        connect();
        director.write_config_text(
            &config("127.0.0.1:80", &host, &logs(&home)).replace("<group", "<group source=\"127.0.0.1\""),
        );
        assert!(director.reload().contains("services-changed"), "another source is taken over");
        connect();
        director.write_config_text(&config("127.0.0.1:81", &host, ""));
        let refused = director.reload();
        assert!(
            refused.contains("could not listen on 127.0.0.1:81") && refused.contains("Permission denied"),
            "{refused}"
        );
        connect();
        director.stop(PATIENCE);
        // The folder is root's: what is left names nobody, and is in nobody's way.
        assert_eq!(fs::read_to_string(&pidfile).unwrap(), "");
    });
}

#[test]
fn root_directory_is_changed_once_everything_is_open() {
    let folder = Scratch::new();
    let jail = folder.path("jail");
    let host = Host::serve("h", scripts::tell_name());
    // What is opened before is outside; what is opened later stands at the same path below the new root.
    let outside = own(&folder, "run");
    let inside = jail.join(outside.strip_prefix("/").unwrap());
    fs::create_dir_all(&inside).unwrap();
    chown(&inside, Some(id("-u")), Some(id("-g"))).unwrap();
    let text = config("127.0.0.1:0", &host, &logs(&outside));
    let director = Director::plan_text(&text).args(&["--user", USER, "--chroot", arg(&jail)]).start();
    director.wait_for_log(&["runs as nobody", "below "], PATIENCE);
    assert_eq!(fs::read_link(format!("/proc/{}/root", director.process().0)).unwrap(), jail);
    assert_eq!(Client::connect(director.addr()).read_text().0, "h");
    let ends = |path: &Path| fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n'));
    until(PATIENCE, "the log that was opened before", || ends(&outside.join("access.log")));
    let refused = director.reload();
    assert!(refused.contains("refused") && refused.contains("director.xml"), "{refused}");
    director.wait_for_log(&["asked=\"reload\" outcome=refused"], PATIENCE);
    until(PATIENCE, "the log that is opened in there", || inside.join("access.log").exists());
    let within = jail.join(director.config_path().strip_prefix("/").unwrap());
    fs::create_dir_all(within.parent().unwrap()).unwrap();
    fs::write(&within, &text).unwrap();
    assert!(director.reload().contains("nothing changed"), "it is read below the new root");
    assert_eq!(Client::connect(director.addr()).read_text().0, "h");
    until(PATIENCE, "a line in there", || ends(&inside.join("access.log")));
    director.process().signal(libc::SIGUSR1);
    until(PATIENCE, "the status page in there", || inside.join("status.html").exists());
    director.finish();
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_opened() {
    let folder = Scratch::new();
    let ssh = "<admin><ssh listen='127.0.0.1:0' enable='yes'/></admin>";
    let cases = [
        (["--user", "no such user"], "", "there is no such user"),
        (["--user", "nobody:no such group"], "", "there is no such group"),
        (["--chroot", "/nowhere"], "", "there is no such directory"),
        (["--user", USER], ssh, "<ssh> starts the system's OpenSSH server"),
    ];
    for (flags, more, expected) in cases {
        let file = configure_idle(&folder, more);
        let (code, out, err) = run(&[flags[0], flags[1], arg(&file)]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{flags:?}: {err}");
        assert!(err.contains(expected), "{flags:?}: {err}");
    }
}

#[test]
fn status_page_is_whole_at_any_moment_and_names_are_no_markup() {
    let folder = Scratch::new();
    let host = Host::serve("h", scripts::tell_name());
    let page = folder.path("status.html");
    let status = format!("<status file=\"{}\" interval=\"1s\"/>", page.display());
    let text = config("127.0.0.1:0", &host, &status).replace("\"h\"", "\"&lt;script&gt;&amp;x\"");
    let director = Director::plan_text(&text).start();
    until(PATIENCE, "the first page", || page.exists());
    let (stop, mut pages) = (AtomicBool::new(false), 0);
    thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                director.process().signal(libc::SIGUSR1);
                thread::yield_now();
            }
        });
        let mut last = None;
        until(PATIENCE, "a hundred pages", || {
            let seen = fs::metadata(&page).unwrap().ino();
            let text = fs::read_to_string(&page).unwrap();
            assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n"), "{text}");
            pages += usize::from(last.replace(seen) != Some(seen));
            pages >= 100
        });
    });
    figure("status pages, each whole", pages);
    Client::connect(director.addr()).read_text();
    until(PATIENCE, "the page of the next second", || {
        fs::read_to_string(&page).unwrap().contains("<td class=\"n\">1</td>")
    });
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("&lt;script&gt;&amp;x") && !text.contains("<script"), "{text}");
    assert!(text.contains(&format!("process {}", director.process().0)) && text.contains("<p>At 20"), "{text}");
    assert_eq!(text.matches("<table>").count(), 4, "services, listeners, hosts, reactors");
    assert_eq!(fs::read_dir(page.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn status_page_of_the_command_line_is_written_when_asked_and_never_over_other_files() {
    let folder = Scratch::new();
    let host = Host::serve("h", scripts::tell_name());
    let (page, target) = (folder.path("status.html"), folder.path("target"));
    fs::write(&target, "secret").unwrap();
    symlink(&target, &page).unwrap();
    let director = Director::plan_text(&config("127.0.0.1:0", &host, "")).args(&["-w", arg(&page)]).start();
    director.wait_for_log(&["the status page is written to"], PATIENCE);
    assert!(fs::symlink_metadata(&page).unwrap().is_symlink(), "not before it is asked for");
    director.process().signal(libc::SIGUSR1);
    until(PATIENCE, "a page", || fs::symlink_metadata(&page).unwrap().is_file());
    assert_eq!(fs::read_to_string(&target).unwrap(), "secret");
    fs::write(&page, "mine").unwrap();
    director.process().signal(libc::SIGUSR1);
    director.wait_for_log(&["is not written: something else is in it"], PATIENCE);
    assert_eq!(fs::read_to_string(&page).unwrap(), "mine");
    director.finish();
}

#[test]
fn files_of_the_process_follow_no_link_and_replace_nothing_foreign() {
    let folder = Scratch::new();
    let host = Host::serve("h", scripts::tell_name());
    let [pidfile, target, socket] = ["pid", "target", "sock"].map(|name| folder.path(name));
    let control = format!("<control socket=\"{}\"/>", socket.display());
    let text = config("127.0.0.1:0", &host, &control);
    let start = || Director::plan_text(&text).args(&["--pidfile", arg(&pidfile)]);
    fs::write(&target, "7\n").unwrap();
    for path in [&pidfile, &socket] {
        symlink(&target, path).unwrap();
        let (status, _, err) = start().run();
        assert!(!status.success() && err.contains(arg(path)), "{err}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "7\n");
        assert!(fs::symlink_metadata(path).unwrap().is_symlink(), "what is foreign stays");
        fs::remove_file(path).unwrap();
    }
    // What a process that died has left is taken over.
    let mut director = start().start();
    director.process().signal(libc::SIGKILL);
    director.wait_for_exit(PATIENCE);
    assert!(pidfile.exists() && socket.exists());
    let mut director = start().start();
    assert_eq!(fs::metadata(&pidfile).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    director.stop(PATIENCE);
    assert!(!pidfile.exists() && !socket.exists());
}

#[test]
fn every_descriptor_is_closed_in_a_program_that_is_started() {
    let folder = Scratch::new();
    let host = Host::serve("h", scripts::echo());
    let admin = "<admin><web listen=\"127.0.0.1:0\" secure=\"yes\" enable=\"yes\"/></admin>";
    let text = config("127.0.0.1:0", &host, &(admin.to_owned() + &logs(&own(&folder, "home"))));
    let director = Director::plan_text(&text).args(&["--pidfile", arg(&folder.path("pid"))]).start();
    let clients = [(); 4].map(|()| Client::connect(director.addr()));
    for client in &clients {
        client.send(b"x");
        client.read_exact(1);
    }
    director.process().signal(libc::SIGUSR1);
    until(PATIENCE, "the status page", || folder.path("home/status.html").exists());
    let path = PathBuf::from(format!("/proc/{}/fdinfo", director.process().0));
    let mut looked = 0;
    for entry in fs::read_dir(path).unwrap().flatten() {
        let number: u32 = entry.file_name().to_string_lossy().parse().unwrap();
        let Ok(text) = fs::read_to_string(entry.path()) else { continue };
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        let is_closed = u32::from_str_radix(flags, 8).unwrap() & 0o2_000_000 != 0;
        let target = fs::read_link(format!("/proc/{}/fd/{number}", director.process().0)).ok();
        // What this test program had from whoever started it, it has handed on.
        let is_handed_on = number > 2 && fs::read_link(format!("/proc/self/fd/{number}")).ok() == target;
        assert!(number <= 2 || is_closed || is_handed_on, "{number} is {target:?}: flags {flags}");
        looked += 1;
    }
    figure("descriptors, all closed on exec", looked);
    assert!(looked > 15);
    drop(clients);
    director.finish();
}
