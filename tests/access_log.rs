//! The access log: what its lines tell, where they go, and that no destination stops the data plane.

mod support;

use std::fs::{self, File};
use std::io::Read;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use support::access::{access, counts, elements, json, lines, pipe, seconds, start, wait_for_lines, words};
use support::datagrams::{UdpClient, UdpHost};
use support::{Churn, Client, Director, End, Host, PATIENCE, Site, figure, scratch::Scratch, scripts, sized, until};

#[test]
fn connection_is_one_line_that_tells_all_of_it() {
    let folder = Scratch::new();
    let (dead, host) = (Host::dead("dead"), Host::serve("live", scripts::greet()));
    let file = folder.path("access.log");
    let site = Site::start(&elements("", &[&dead, &host], &access(&file, "")));
    let client = Client::connect(site.director.addr());
    client.send(b"there and back");
    assert_eq!(client.read_exact(19), b"live\nthere and back");
    client.finish_sending();
    assert_eq!(client.read_to_end(PATIENCE).1, End::Eof);
    let lines = wait_for_lines(&file, 1);
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    let told = words(line);
    let is = |name: &str, value: &str| assert_eq!(told[name], value, "{name} in {line}");
    is("event", "end");
    is("protocol", "tcp");
    is("client", &client.local().to_string());
    is("listen", &site.director.addr().to_string());
    is("service", "s");
    is("group", "g");
    is("host", "live");
    is("addr", &host.addr().to_string());
    is("retries", "1");
    is("up", "14");
    is("down", "19");
    is("reason", "finished");
    is("by", "client");
    let [queue, connect, first, total] = ["queue", "connect", "first_byte", "total"].map(|name| seconds(told[name]));
    assert!(queue + connect + first <= total && total < PATIENCE.as_secs_f64(), "{line}");
    assert!(line.starts_with("20") && told["started"] <= line.split(' ').next().unwrap(), "{line}");
    let log = &site.json(&["status"])["access_log"];
    assert_eq!((log["written"].as_u64(), log["dropped"].as_u64(), log["failed"].as_u64()), (Some(1), Some(0), Some(0)));
    site.director.finish();
}

#[test]
fn line_says_who_ended_it_and_how() {
    let folder = Scratch::new();
    let file = folder.path("access.log");
    let [echo, kept, resets, names] = [
        ("e", scripts::echo()),
        ("k", scripts::echo()),
        ("r", scripts::read_then_reset(1)),
        ("n", scripts::tell_name()),
    ]
    .map(|(name, script)| Host::serve(name, script));
    let dead = Host::dead("dead");
    let config = [&echo, &kept, &resets, &names, &dead].map(|host| {
        let timeout = if host.name() == "e" { "idle-timeout=\"300ms\"" } else { "" };
        elements(timeout, &[host], "").replace("\"s\"", &format!("\"{}\"", host.name()))
    });
    let site = Site::start(&(config.concat() + &access(&file, "format=\"json\"")));
    let connect = |name: &str| {
        let client = Client::connect(site.director.addrs(name)[0]);
        client.send(b"x");
        client
    };
    let client = connect("e");
    client.read_exact(1);
    client.reset();
    connect("r").read_to_end(PATIENCE);
    for silent in ["n", "dead"] {
        Client::connect(site.director.addrs(silent)[0]).read_to_end(PATIENCE);
    }
    connect("e").read_to_end(PATIENCE);
    let killed = connect("k");
    killed.read_exact(1);
    site.ctl(&["kill", &format!("client={}", killed.local())]).good();
    killed.read_to_end(PATIENCE);
    let lines = wait_for_lines(&file, 6);
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or("-").to_owned();
    let told = lines.iter().map(|line| json(line));
    let mut told: Vec<String> =
        told.map(|line| ["service", "reason", "by"].map(|name| text(&line, name)).join(" ")).collect();
    told.sort();
    let expected = [
        "dead no-host director",
        "e client-reset client",
        "e idle director",
        "k killed operator",
        "n finished host",
        "r host-reset host",
    ];
    assert_eq!(told, expected, "{lines:#?}");
}

#[test]
fn start_and_every_so_often_are_told_on_request() {
    let folder = Scratch::new();
    let file = folder.path("access.log");
    let host = Host::serve("h", scripts::echo());
    let log = access(&file, "format=\"json\" start=\"yes\" every=\"1s\"");
    let director = start(&elements("", &[&host], &log));
    let client = Client::connect(director.addr());
    let started = json(&wait_for_lines(&file, 1)[0]);
    assert_eq!((started["event"].as_str(), started["host"].as_str()), (Some("start"), Some("h")));
    assert_eq!((&started["reason"], &started["first_byte"]), (&Value::Null, &Value::Null));
    client.send(b"12345");
    client.read_exact(5);
    let ongoing = json(&wait_for_lines(&file, 3)[2]);
    assert_eq!((ongoing["event"].as_str(), ongoing["up"].as_u64()), (Some("ongoing"), Some(5)));
    assert!((1.0..60.0).contains(&ongoing["total"].as_f64().unwrap()), "{ongoing}");
    assert_eq!(ongoing["session"], started["session"]);
    client.finish_sending();
    client.read_to_end(PATIENCE);
    until(PATIENCE, "its end", || lines(&file).last().is_some_and(|line| json(line)["event"] == "end"));
    director.finish();
}

#[test]
fn lines_go_to_syslog_and_as_datagrams() {
    let folder = Scratch::new();
    let host = Host::serve("h", scripts::tell_name());
    let socket = folder.path("log");
    let local = UnixDatagram::bind(&socket).expect("bind");
    local.set_read_timeout(Some(PATIENCE)).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    let addr = udp.local_addr().unwrap();
    let config = |attributes: &str| {
        format!("<director>{}</director>", elements("", &[&host], &format!("<access-log {attributes}/>")))
    };
    let director = Director::plan_text(&config(&format!("syslog=\"{}\" format=\"json\"", socket.display()))).start();
    let mut room = [0; 4096];
    Client::connect(director.addr()).read_text();
    let count = local.recv(&mut room).expect("a message");
    let text = String::from_utf8(room[..count].to_vec()).unwrap();
    let parts: Vec<&str> = text.splitn(8, ' ').collect();
    let pid = director.process().0.to_string();
    assert_eq!(
        (parts[0], parts[3], parts[4], parts[5], parts[6]),
        ("<30>1", "director", &*pid, "access", "-"),
        "{text}"
    );
    assert_eq!(json(parts[7])["host"], "h");
    // One that comes back under the same name is found again.
    drop(local);
    fs::remove_file(&socket).unwrap();
    let local = UnixDatagram::bind(&socket).expect("bind");
    local.set_nonblocking(true).unwrap();
    until(PATIENCE, "a message to the new socket", || {
        Client::connect(director.addr()).read_text();
        local.recv(&mut room).is_ok()
    });
    for (attributes, prefix) in [(format!("syslog=\"{addr}\""), "<30>1 "), (format!("udp=\"{addr}\""), "20")] {
        director.write_config_text(&config(&attributes));
        assert!(director.reload().contains("nothing changed"), "connections and listeners stay");
        let client = Client::connect(director.addr());
        let own = format!(" client={} ", client.local());
        client.read_text();
        drop(client);
        // Connections from before may have ended after the reload.
        let text = std::iter::repeat_with(|| {
            let count = udp.recv(&mut room).expect("a datagram");
            String::from_utf8_lossy(&room[..count]).into_owned()
        });
        let text = text.take(1000).find(|text| text.contains(&own)).expect("one of this client");
        assert!(text.starts_with(prefix) && text.contains(" host=h ") && text.ends_with(" by=host"), "{text}");
    }
    director.finish();
}

#[test]
fn reload_begins_changes_and_ends_it_and_services_can_be_left_out() {
    let folder = Scratch::new();
    let host = Host::serve("h", scripts::tell_name());
    let [first, second] = ["1.log", "2.log"].map(|name| folder.path(name));
    let config = |attributes: &str, log: &str| format!("<director>{}</director>", elements(attributes, &[&host], log));
    let director = Director::plan_text(&config("", "")).start();
    let connect = || assert_eq!(Client::connect(director.addr()).read_text().0, "h");
    let become_ = |text: String| {
        director.write_config_text(&text);
        assert!(director.reload().contains("reloaded"));
    };
    connect();
    become_(config("", &access(&first, "")));
    connect();
    assert!(wait_for_lines(&first, 1)[0].contains(" event=end "));
    become_(config("", &access(&first, "format=\"json\"")));
    connect();
    assert_eq!(json(&wait_for_lines(&first, 2)[1])["service"], "s");
    become_(config("access-log=\"no\"", &access(&second, "")));
    connect();
    become_(config("", &access(&second, "")));
    connect();
    assert_eq!(wait_for_lines(&second, 1).len(), 1, "the one of a service that is left out is not there");
    become_(config("", ""));
    connect();
    director.write_config_text(&config("", &access(Path::new("/nowhere/a.log"), "")));
    assert!(director.reload().contains("could not open the access log /nowhere/a.log"));
    director.finish();
    assert_eq!((lines(&first).len(), lines(&second).len()), (2, 1));
}

#[test]
fn log_injection_any_name_is_one_parsable_line() {
    let folder = Scratch::new();
    let host = Host::serve("h", scripts::tell_name());
    let name = "a&quot;b\\c%n%s{}&lt;/x&gt; reason=forged &#39;";
    for format in ["text", "json"] {
        let file = folder.path(format);
        let config = elements("", &[&host], &access(&file, &format!("format=\"{format}\"")));
        let config = config.replace("name=\"h\"", &format!("name=\"{name}\""));
        let director = start(&config);
        Client::connect(director.addr()).read_text();
        let lines = wait_for_lines(&file, 1);
        assert_eq!(lines.len(), 1);
        if format == "json" {
            assert_eq!(json(&lines[0])["host"], "a\"b\\c%n%s{}</x> reason=forged '");
        } else {
            let quoted = r#" host="a\"b\\c%n%s{}</x> reason=forged '" addr="#;
            assert!(lines[0].contains(quoted) && lines[0].ends_with(" reason=finished by=host"), "{}", lines[0]);
        }
        director.finish();
    }
}

#[test]
fn rotation_under_load_loses_no_line() {
    let folder = Scratch::new();
    let host = Host::serve("h", scripts::churn());
    let file = folder.path("access.log");
    let config = elements("", &[&host], &access(&file, "format=\"json\""));
    let plan = Director::plan_text(&format!("<director>{config}</director>")).log_lines_max(1_000_000);
    let director = plan.start();
    let connections = sized(3000, 100_000);
    let churn = Churn::new(director.addr(), connections, 8);
    let mut rotated = 0;
    let tally = thread::scope(|scope| {
        let load = scope.spawn(|| churn.run());
        while !load.is_finished() {
            if lines(&file).is_empty() {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            fs::rename(&file, folder.path(&format!("access.log.{rotated}"))).expect("rename");
            rotated += 1;
            director.process().signal(libc::SIGHUP);
            until(PATIENCE, "a new file", || file.exists());
        }
        load.join().expect("the load")
    });
    assert_eq!(tally.ok, connections, "{tally:?}");
    director.finish();
    let mut all = lines(&file);
    (0..rotated).for_each(|number| all.extend(lines(&folder.path(&format!("access.log.{number}")))));
    figure("lines of connections, over rotated files", format!("{} of {connections}, {rotated}", all.len()));
    assert!(rotated > 2);
    assert_eq!(all.len() as u64, connections);
    assert!(all.iter().all(|line| json(line)["event"] == "end"));
}

#[test]
fn full_disk_is_said_once_counted_and_over_when_there_is_room() {
    let folder = Scratch::new();
    let [disk, socket] = ["disk", "control.sock"].map(|name| folder.path(name));
    fs::create_dir(&disk).unwrap();
    let host = Host::serve("h", scripts::churn());
    let script = format!("mount -t tmpfs -o size=64k none {} && exec \"$0\" \"$@\"", disk.display());
    let config = elements("", &[&host], &access(&disk.join("access.log"), "format=\"json\""));
    let plan = Site::plan(&socket, "", &config).through(&["unshare", "--mount", "sh", "-c", &script]);
    let director = plan.start();
    let counts = || counts(&socket);
    let told = |what: &str| director.log().count(support::log::Mark::default(), &[what]);
    let load = |connections| Churn::new(director.addr(), connections, 4).run();
    assert_eq!(load(1000).ok, 1000, "clients do not notice");
    // One that the disk has a part of is neither.
    until(PATIENCE, "all lines are written or lost", || counts().iter().sum::<u64>() >= 999);
    let [written, dropped, failed] = counts();
    figure("lines on a disk of 64 kB: written, lost", format!("{written}, {failed}"));
    assert!(written > 50 && failed > 100 && dropped == 0, "{:?}", counts());
    director.wait_for_log(&["access log cannot be written", "No space left"], PATIENCE);
    director.wait_for_log(&["lines of the access log were lost"], PATIENCE);
    // Somebody makes room: what was there is rotated away.
    let seen = Path::new("/proc").join(director.process().0.to_string()).join("root");
    let seen = seen.join(disk.strip_prefix("/").unwrap()).join("access.log");
    let before = lines(&seen);
    assert!(before.iter().all(|line| json(line)["event"] == "end"), "whole lines only");
    let rest = fs::read_to_string(&seen).unwrap().rsplit('\n').next().unwrap().to_owned();
    File::options().write(true).open(&seen).unwrap().set_len(0).unwrap();
    assert_eq!(load(20).ok, 20);
    director.wait_for_log(&["access log is written again"], PATIENCE);
    until(PATIENCE, "all lines are written or lost", || counts().iter().sum::<u64>() == 1020);
    let after = fs::read_to_string(&seen).unwrap();
    // The line that the full disk had a part of goes on where there is room.
    let whole = format!("{rest}{after}");
    assert!(whole.lines().count() >= 20 && whole.lines().all(|line| json(line)["event"] == "end"), "{whole}");
    assert_eq!(told("access log cannot be written"), 1);
    director.finish();
}

#[test]
fn reader_that_stalls_never_slows_a_client_and_what_is_lost_is_counted() {
    let folder = Scratch::new();
    let (pipe, mut reader) = pipe(&folder);
    let host = Host::serve("h", scripts::churn());
    let socket = folder.path("control.sock");
    let config = elements("", &[&host], &access(&pipe, ""));
    let site = Site::plan(&socket, "", &config).threads(1).start();
    let counts = || counts(&socket);
    // The pipe takes 64 kB, the writer as much, and the queue 8192 records.
    let connections = 9500;
    let tally = Churn::new(site.addr(), connections, 16).run();
    assert_eq!(tally.ok, connections, "{tally:?}");
    let [written, dropped, failed] = counts();
    figure("connections beside a stalled reader, lost lines", format!("{connections}, {dropped}"));
    assert!(dropped > 0 && failed == 0 && written < 1000, "{written} {dropped} {failed}");
    site.wait_for_log(&["lines of the access log were lost", "came faster than it could be written"], PATIENCE);
    // Nor does it keep a reload from being done, after which the line that the pipe has a part of goes on.
    assert!(site.reload().contains("nothing changed"));
    // Once it reads, all that waited comes, and nothing in pieces.
    let mut text = Vec::new();
    until(PATIENCE, "all that waited is read", || {
        let mut room = vec![0; 65_536];
        while let Ok(count @ 1..) = reader.read(&mut room) {
            text.extend_from_slice(&room[..count]);
        }
        text.iter().filter(|byte| **byte == b'\n').count() as u64 + counts()[1] >= connections
    });
    let text = String::from_utf8(text).unwrap();
    assert!(text.ends_with('\n') && text.lines().all(|line| words(line)["event"] == "end"));
    site.finish();
}

#[test]
fn reader_that_stalls_does_not_keep_the_process_from_its_end() {
    let folder = Scratch::new();
    let (pipe, _reader) = pipe(&folder);
    let host = Host::serve("h", scripts::churn());
    let mut director = start(&elements("", &[&host], &access(&pipe, "")));
    assert_eq!(Churn::new(director.addr(), 1000, 8).run().ok, 1000);
    let took = director.stop(PATIENCE);
    figure("end beside a stalled reader, ms", support::wait::ms(took));
}

#[test]
fn flow_of_datagrams_is_a_line_when_it_begins_and_one_when_it_ends() {
    let folder = Scratch::new();
    let file = folder.path("access.log");
    let host = UdpHost::named("h");
    let service = format!(
        "<service name='s' responses='1'><listen ip='127.0.0.1:0' protocol='udp'/>
         <group name='g'><host name='h' ip='{}'/></group></service>",
        host.addr()
    );
    let director = start(&format!("{service}{}", access(&file, "format=\"json\" start=\"yes\"")));
    let client = UdpClient::new(director.addr());
    assert_eq!(client.ask(b"12345"), b"h:12345");
    let lines = wait_for_lines(&file, 2);
    let [begun, ended] = [json(&lines[0]), json(&lines[1])];
    assert_eq!((begun["event"].as_str(), begun["protocol"].as_str()), (Some("start"), Some("udp")), "{begun}");
    assert_eq!((ended["event"].as_str(), ended["host"].as_str()), (Some("end"), Some("h")), "{ended}");
    assert_eq!((ended["up"].as_u64(), ended["down"].as_u64()), (Some(5), Some(7)));
    assert_eq!((ended["reason"].as_str(), ended["by"].as_str()), (Some("finished"), Some("host")));
    assert_eq!(ended["client"].as_str(), Some(&*client.socket.local_addr().unwrap().to_string()));
    assert_eq!(ended["listen"].as_str(), Some(&*director.addr().to_string()));
    assert_eq!(ended["session"], begun["session"]);
}
