//! The control socket as programs speak to it: every word, its file, and clients of all kinds.

use std::fs;
use std::time::Instant;

use director::admin::words::spec::Known;
use director::admin::words::table;
use director::model::limits::CONTROL_LINE_BYTES_MAX;

use support::{Client, Host, PATIENCE, Site, figure, scripts, until};

mod support;

/// A service with two hosts that nobody listens at.
const IDLE: &str = "<service name='s'><listen ip='127.0.0.1:0'/><group name='g'>
    <host name='a' ip='127.0.0.1:1'/><host name='b' ip='127.0.0.1:2'/></group></service>";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINP2XoWDEscwtqBvWEpE2FAjpGg2D4x5Dvy+Txb9Wo7K";

/// A service whose clients go to this host.
fn service(host: &Host) -> String {
    let (name, addr) = (host.name(), host.addr());
    format!(
        "<service name='s'><listen ip='127.0.0.1:0'/><group name='g'><host name='{name}' ip='{addr}'/></group></service>"
    )
}

/// Lines, and a part of what each is answered with. None: the answer has no line.
const LOOKS: &[(&str, &str)] = &[
    ("status", "service s  127.0.0.1:0  open 0  accepted 0"),
    ("hosts", "127.0.0.1:2"),
    ("hosts s", "127.0.0.1:1"),
    ("sessions", "no such connection"),
    ("sessions client=10.0.0.1 host=a service=s limit=5", "no such connection"),
    ("sticky list", "no client"),
    ("sticky list s/g client=10.0.0.1 host=a limit=5", "no client"),
    ("events", "listening service=s"),
    ("config show", "<host name=\"a\" ip=\"127.0.0.1:1\"/>"),
    ("config show loaded", "<service name=\"s\">"),
    ("config show file", "<service name=\"s\">"),
    ("user list", ""),
    ("help", "txLoadBalancer|status"),
    ("help weight", "weight HOST N"),
];

const CHANGES: &[(&str, &str)] = &[
    ("add s/g 127.0.0.1:3 name=c weight=2", "host c 127.0.0.1:3 added to s/g"),
    ("del s/g/c", "host c 127.0.0.1:3 removed from s/g"),
    ("weight a 4", "host s/g/a: weight=4"),
    ("max a 7", "max=7"),
    ("max a none", "max as usual"),
    ("set a weight= max=3", "weight as usual, max=3"),
    ("drain a --no-wait", "state=drain"),
    ("up a", "state=up"),
    ("down a", "state=down"),
    ("up a", "state=up"),
    ("retry a", "host s/g/a is up already"),
    ("blacklist a 1h", "host s/g/a gets no new clients for 1h"),
    ("blacklist a 0", "host s/g/a gets clients again"),
    ("blacklist a", "host s/g/a gets no new clients for 30s"),
    ("retry a", "host s/g/a"),
    ("enable s/g", "group s/g serves"),
    ("scheduler s/g leastconns,sticky", "scheduler=leastconns,sticky"),
    ("scheduler s/g leastconns", "scheduler=leastconns"),
    ("service add t 127.0.0.1:0", "service t added"),
    ("service set t idle-timeout=5s", "idle-timeout=5s"),
    ("group add t/g", "group t/g added"),
    ("group set t/g scheduler=random", "scheduler=random"),
    ("add t/g 127.0.0.1:5", "added to t/g"),
    ("enable t/g", "serves"),
    ("group add t/h", "group t/h added"),
    ("add t/h 127.0.0.1:6", "added to t/h"),
    ("group clear t/h", "removed from t/h"),
    ("group del t/h", "group t/h removed"),
    ("listen add t 127.0.0.2:0", "listens on 127.0.0.2:0"),
    ("listen set t 127.0.0.2:0 backlog=7", "backlog=7"),
    ("listen del t 127.0.0.2:0", "no longer listens"),
    ("service del t", "service t removed"),
    ("manager set rise=2 fall=3", "rise=2, fall=3"),
    ("config diff", "manager: rise 2 → 1, fall 3 → 1"),
    ("config save", "saved to"),
    ("config save --overwrite", "has it already"),
    ("config reload", "nothing changed"),
    ("weight a 9", "weight=9"),
    ("config reload --confirm 1m", "reloaded"),
    ("config goback", "back"),
    ("config reload --confirm 1m", "reloaded"),
    ("config confirm", "confirmed"),
    ("user add x password=$6$a$b access=full", "user x added, access=full"),
    ("user set x access=full", "user x"),
    ("user list", "x     full    yes       no"),
    ("log level debug", "debug"),
    ("log level info", "info"),
    ("log file", "standard error"),
    ("log counters", "counters are in the log"),
    ("log loops", "in the log"),
    ("colour", ""),
    ("text", ""),
];

#[test]
fn every_command_is_obeyed_in_text() {
    let site = Site::start(IDLE);
    let mut wire = site.wire();
    let mut said: Vec<String> = Vec::new();
    for (line, part) in LOOKS.iter().chain(CHANGES) {
        let told = wire.ask(line).unwrap_or_else(|error| panic!("{line}: {error}")).join("\n");
        assert!(part.split('|').any(|part| told.contains(part)), "{line}: {told}");
        said.push((*line).to_owned());
    }
    let log = site.folder.path("named.log");
    for (line, part) in
        [(format!("log file {}", log.display()), "the log goes to"), ("log reopen".into(), "opened anew")]
    {
        assert!(wire.ask(&line).unwrap()[0].contains(part), "{line}");
        said.push(line);
    }
    assert!(fs::metadata(&log).unwrap().is_file());
    wire.ask("log file").unwrap();
    let told = wire.ask_block("batch", "# both\nweight a 5\n\nweight b 6\n").unwrap();
    assert_eq!(told, ["host s/g/a: weight=5; host s/g/b: weight=6"]);
    let shown = wire.ask("config show").unwrap().join("\n");
    let told = wire.ask_block("config load - --confirm 1m", &shown.replace("weight=\"5\"", "weight=\"8\"")).unwrap();
    assert!(told[0].contains("loaded"), "{told:?}");
    assert!(wire.ask("config show").unwrap().join("\n").contains("weight=\"8\""));
    wire.ask("config goback").unwrap();
    assert!(wire.ask("config show").unwrap().join("\n").contains("weight=\"5\""));
    for (line, error) in [
        ("whois 127.0.0.1:4", "ERR not-found no connection of ours has that address"),
        ("127.0.0.1 4", "ERR not-found no connection of ours has that address"),
        ("kill 0-1-2", "ERR not-found no such session 0-1-2 is open any more"),
        ("kill client=9.9.9.9", "ERR not-found no such session is open any more"),
        ("sticky clear client=9.9.9.9", "ERR not-found no such client is remembered"),
        ("sticky clear --all", "ERR not-found no such client is remembered"),
        ("sticky list t/g", "ERR not-found "),
        ("blacklist nobody", "ERR not-found no service has a host \"nobody\""),
        ("hosts t", "ERR not-found no service \"t\""),
        ("user del x", "ERR conflict \"x\" is the last user with access=full, expected another one first"),
        ("json off", "ERR usage json: \"off\" is too much; usage: json"),
        ("shutdown --wait soon", "ERR usage "),
    ] {
        let told = wire.ask(line).unwrap_err();
        assert!(told.starts_with(error), "{line}: {told}");
        said.push(line.to_owned());
    }
    said.extend(["batch", "config load", "quit", "as", "shutdown"].map(str::to_owned));
    for spec in table::all().filter(|spec| matches!(spec.known, Known::Everywhere | Known::Wire)) {
        assert!(said.iter().any(|line| line.starts_with(spec.name)), "{} is not tried", spec.name);
    }
    wire.send(b"quit\n");
    assert_eq!((wire.line().as_deref(), wire.line()), (Some("OK 0"), None));
}

#[test]
fn every_command_is_obeyed_in_json() {
    let site = Site::start(IDLE);
    let mut wire = site.wire();
    assert_eq!(wire.document("json")["done"], "");
    for (line, _) in LOOKS.iter().chain(CHANGES).filter(|(line, _)| !["colour", "text"].contains(line)) {
        let told = wire.document(line);
        assert!(told.is_object() && told.get("error").is_none(), "{line}: {told}");
    }
    assert_eq!(wire.document("weight a 3")["done"], "host s/g/a: weight=3");
    assert_eq!(wire.document("weight zz 3")["error"]["kind"], "not-found");
    assert_eq!(wire.document("wieght a 3")["error"]["kind"], "usage");
    let hosts = wire.document("hosts");
    assert_eq!(hosts["services"][0]["groups"][0]["hosts"][0]["weight"], 3, "{hosts}");
}

#[test]
fn unknown_word_is_refused_with_a_hint_and_the_connection_goes_on() {
    let site = Site::start(IDLE);
    let mut wire = site.wire();
    assert_eq!(wire.ask("wieght a 3").unwrap_err(), "ERR usage unknown command \"wieght\"; did you mean weight?");
    let told = wire.ask("scheduler s/g leastcons").unwrap_err();
    assert!(told.contains("leastconns"), "{told}");
    let told = wire.ask("set a wieght=3").unwrap_err();
    assert!(told.contains("did you mean") && told.contains("weight"), "{told}");
    assert!(wire.ask("top").unwrap_err().contains("directorctl"));
    assert!(wire.ask("config load /etc/passwd <0").unwrap_err().contains("opens no file"));
    assert!(wire.ask("status").is_ok());
}

#[test]
fn lines_that_come_in_pieces_or_many_at_once_are_answered_in_order() {
    let site = Site::start(IDLE);
    let mut wire = site.wire();
    wire.send(b"weight a 2\nweight b 3\n\nhel");
    assert_eq!(wire.answer().unwrap(), ["host s/g/a: weight=2"]);
    assert_eq!(wire.answer().unwrap(), ["host s/g/b: weight=3"]);
    wire.send(b"p weight\r\nbatch <11\nweight ");
    assert_eq!(wire.answer().unwrap()[0], "weight HOST N");
    wire.send(b"b 9\nweight a 1");
    assert_eq!(wire.answer().unwrap(), ["host s/g/b: weight=9"]);
    wire.finish_sending();
    assert_eq!(wire.answer().unwrap(), ["host s/g/a: weight=1"], "the last line needs no end");
    assert_eq!(wire.line(), None);
    let mut many = site.wire();
    many.send("weight a 7\n".repeat(500).as_bytes());
    for _ in 0..500 {
        assert!(many.answer().is_ok());
    }
}

#[test]
fn line_over_the_bound_is_refused_and_ends_the_connection() {
    let site = Site::start(IDLE);
    let mut wire = site.wire();
    wire.send("x".repeat(CONTROL_LINE_BYTES_MAX + 1).as_bytes());
    assert!(wire.line().unwrap().starts_with("ERR usage the line is longer than"));
    assert_eq!(wire.line(), None);
    let mut wire = site.wire();
    assert!(wire.ask("batch <999999999").unwrap_err().contains("at most"));
    let mut wire = site.wire();
    wire.send(b"\xff\xfe\n");
    assert_eq!(wire.line().as_deref(), Some("ERR usage the line is not UTF-8"));
    assert!(site.wire().ask("status").is_ok());
}

#[test]
fn administrator_spoken_for_may_do_what_he_may() {
    let site = Site::start(&format!(
        "{IDLE}<admin><user name='op' key='{KEY}' access='full'/>
         <user name='look' password='$6$abc$def' access='readonly'/></admin>"
    ));
    let mut wire = site.wire();
    wire.ask("as look").unwrap();
    assert!(wire.ask("weight a 2").unwrap_err().starts_with("ERR denied "));
    assert!(wire.ask("as op").unwrap_err().starts_with("ERR denied "), "once");
    let shown = wire.ask("config show").unwrap().join("\n");
    assert!(!shown.contains("$6$") && shown.contains("(hidden)"), "{shown}");
    let mut wire = site.wire();
    wire.ask("as op").unwrap();
    wire.ask("weight a 2").unwrap();
    let events = wire.ask("events").unwrap().join("\n");
    assert!(events.contains("op (control pid "), "{events}");
    assert!(site.wire().ask("as nobody").unwrap_err().starts_with("ERR not-found "));
}

#[test]
fn whois_names_the_client_behind_each_connection() {
    let host = Host::serve("a", scripts::collect());
    let site = Site::start(&service(&host));
    let clients: Vec<Client> = (0..5).map(|_| Client::connect(site.director.addr())).collect();
    let process = site.director.process();
    until(PATIENCE, "connected", || host.record().open() == 5 && process.connections_to(host.addr()).len() == 5);
    let mut wire = site.wire();
    let mut found: Vec<String> = Vec::new();
    for port in process.connections_to(host.addr()) {
        let told = wire.ask(&format!("whois 127.0.0.1:{port}")).unwrap();
        wire.send(format!("127.0.0.1 {port}\n").as_bytes());
        assert_eq!(wire.line().as_ref(), told.first(), "txLoadBalancer's question is answered bare");
        found.extend(told);
    }
    let mut expected: Vec<String> = clients.iter().map(|client| client.local().to_string()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    for client in clients {
        client.finish_sending();
        client.read_to_end(PATIENCE);
    }
    drop(wire);
    site.director.finish();
}

#[test]
fn events_follow_as_they_happen_until_the_client_speaks() {
    let site = Site::start(IDLE);
    let (mut wire, mut other) = (site.wire(), site.wire());
    wire.send(b"events --follow\n");
    assert_eq!(wire.line().as_deref(), Some("OK *"));
    assert!(wire.line().unwrap().contains("listening service=s"));
    let begin = Instant::now();
    for weight in [3, 4] {
        other.ask(&format!("weight a {weight}")).unwrap();
        let told = wire.line().unwrap();
        assert!(told.contains(&format!("weight={weight}")), "{told}");
    }
    figure("two followed events, ms", begin.elapsed().as_millis());
    wire.send(b"\n");
    assert_eq!(wire.line().as_deref(), Some("."));
    assert!(wire.ask("status").is_ok());
    let mut json = site.wire();
    json.document("json");
    assert_eq!(json.document("events --follow after=1")["text"], "host s/g/a: weight=3");
}
