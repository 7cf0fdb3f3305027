//! Commands on a running balancer: what each does to clients and hosts, and what is refused.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use director::instance::{Balancer, Builder};
use director::model::change::{Attributes, Change, GroupRef, HostRef, Refusal, RefusalKind};
use director::model::command::{Command, Difference, Reply, SessionList, SessionSearch, Source, Target};
use director::model::event::EventKind;
use director::model::snapshot::HostView;
use director::model::status::{AdminState, HostStatus};

use support::wait::ms;
use support::{Client, Host, PATIENCE, figure, scripts, until};

mod support;

/// A balancer of one service with these hosts in one group.
fn start(hosts: &[&Host], more: &str) -> (Balancer, SocketAddr) {
    let hosts: String =
        hosts.iter().map(|host| format!("<host name='{}' ip='{}'/>", host.name(), host.addr())).collect();
    let text = format!(
        "<director><service name='web'><listen ip='127.0.0.1:0'/><group name='main'>{hosts}</group></service>
         {more}</director>"
    );
    let balancer = Builder::from_xml(&text).threads(2).start().expect("start");
    let addr = balancer.addresses("web").expect("a service")[0];
    (balancer, addr)
}

fn told(addr: SocketAddr) -> String {
    Client::connect(addr).read_text().0
}

fn host(name: &str) -> HostRef {
    HostRef { service: "web".into(), group: Some("main".into()), host: name.into() }
}

fn set(name: &str, attribute: &str, text: &str) -> Change {
    Change::SetHost { host: host(name), attributes: Attributes::new([(attribute, text)]) }
}

fn view(balancer: &Balancer, name: &str) -> HostView {
    let seen = balancer.snapshot().expect("seen");
    seen.services[0].groups[0].hosts.iter().find(|host| host.name == name).expect("a host").clone()
}

fn sessions(balancer: &Balancer, search: SessionSearch) -> SessionList {
    let reply = balancer.command(Command::Sessions(search)).expect("listed");
    let Reply::Sessions(list) = reply else { panic!("{reply:?}") };
    list
}

fn done(balancer: &Balancer, command: Command) -> Result<String, Refusal> {
    balancer.command(command).map(|reply| {
        let Reply::Done(told) = reply else { panic!("{reply:?}") };
        told
    })
}

#[test]
fn host_that_is_drained_keeps_its_clients_and_gets_no_new_ones() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::echo()));
    let (balancer, addr) = start(&[&hosts[0], &hosts[1]], "");
    let echo = |client: &mut TcpStream| {
        client.write_all(b"ping").expect("write");
        client.read_exact(&mut [0; 4]).expect("read");
    };
    let mut first = TcpStream::connect(addr).expect("connect");
    echo(&mut first);
    assert_eq!(view(&balancer, "a").open, 1);
    balancer.change(vec![set("a", "state", "drain")]).expect("done");
    let mut others: Vec<TcpStream> = (0..6).map(|_| TcpStream::connect(addr).expect("connect")).collect();
    others.iter_mut().for_each(echo);
    echo(&mut first);
    let (a, b) = (view(&balancer, "a"), view(&balancer, "b"));
    assert_eq!((a.admin, a.open, a.total, b.open), (AdminState::Drain, 1, 1, 6));
    drop(first);
    until(PATIENCE, "its last client has left", || view(&balancer, "a").open == 0);
    balancer.change(vec![set("a", "state", "up")]).expect("done");
    let mut back = TcpStream::connect(addr).expect("connect");
    echo(&mut back);
    assert_eq!(view(&balancer, "a").total, 2);
}

#[test]
fn failed_host_is_taken_back_by_hand_and_says_why_it_failed() {
    let hosts = [Host::dead("a"), Host::serve("b", scripts::tell_name())];
    let (balancer, addr) = start(&[&hosts[0], &hosts[1]], "<manager><hostCheck interval='1h'/></manager>");
    assert_eq!(told(addr), "b");
    until(PATIENCE, "a is down", || view(&balancer, "a").status == HostStatus::Down);
    let a = view(&balancer, "a");
    assert_eq!((a.why.as_str(), a.failed), ("connection refused", 1));
    assert!(a.next_probe.is_some_and(|next| next > Duration::from_secs(1800)), "{a:?}");
    let again = done(&balancer, Command::Retry(host("a"))).expect("done");
    assert_eq!(again, "host web/main/a is taken back");
    assert_eq!(view(&balancer, "a").status, HostStatus::Up);
    assert_eq!(done(&balancer, Command::Retry(host("b"))).expect("done"), "host web/main/b is up already");
    assert_eq!(done(&balancer, Command::Retry(host("c"))).unwrap_err().kind, RefusalKind::NotFound);
}

#[test]
fn host_out_of_service_is_not_probed() {
    let hosts = [Host::dead("a"), Host::serve("b", scripts::tell_name())];
    let (balancer, addr) = start(&[&hosts[0], &hosts[1]], "<manager><hostCheck interval='50ms'/></manager>");
    assert_eq!(told(addr), "b");
    until(PATIENCE, "a is down", || view(&balancer, "a").status == HostStatus::Down);
    assert!(view(&balancer, "a").next_probe.is_some());
    balancer.change(vec![set("a", "state", "down")]).expect("done");
    until(PATIENCE, "no probe is planned", || view(&balancer, "a").next_probe.is_none());
    balancer.change(vec![set("a", "state", "up")]).expect("done");
    until(PATIENCE, "it is probed again", || view(&balancer, "a").next_probe.is_some());
}

#[test]
fn service_made_while_running_listens_when_it_has_a_host() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let (balancer, _) = start(&[&hosts[0]], "");
    let group = GroupRef { service: "new".into(), group: "g".into() };
    let add = |name: &str| Change::AddService {
        service: name.into(),
        listen: "127.0.0.1:0".into(),
        attributes: Attributes::default(),
    };
    balancer.change(vec![add("new")]).expect("done");
    assert!(balancer.addresses("new").expect("a service").is_empty());
    let address = hosts[1].addr().to_string();
    let changes = vec![
        Change::AddGroup { group: group.clone(), attributes: Attributes::new([("scheduler", "leastconns")]) },
        Change::AddHost { group, host: None, address, attributes: Attributes::default() },
    ];
    balancer.change(changes).expect("done");
    let addr = balancer.addresses("new").expect("a service")[0];
    assert_eq!(told(addr), "b");
    balancer.change(vec![Change::RemoveService { service: "new".into() }]).expect("done");
    assert!(TcpStream::connect(addr).is_err());
    assert_eq!(balancer.change(vec![add("web")]).unwrap_err().kind, RefusalKind::Conflict);
}

#[test]
fn address_that_is_taken_refuses_the_change_and_nothing_has_changed() {
    let hosts = ["a", "taken"].map(|name| Host::serve(name, scripts::tell_name()));
    let (balancer, addr) = start(&[&hosts[0]], "");
    let listen = hosts[1].addr().to_string();
    let attributes = Attributes::default();
    let refused = balancer
        .change(vec![set("a", "weight", "7"), Change::AddListener { service: "web".into(), listen, attributes }]);
    let refusal = refused.expect_err("somebody listens there");
    assert_eq!(refusal.kind, RefusalKind::Unavailable);
    assert!(refusal.why.contains("something else listens there"), "{refusal}");
    assert_eq!(view(&balancer, "a").weight, 1);
    assert_eq!(told(addr), "a");
}

#[test]
fn load_on_probation_goes_back_unless_it_is_confirmed() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let (balancer, addr) = start(&[&hosts[0]], "");
    let running = |balancer: &Balancer| {
        let reply = balancer.command(Command::Config(Source::Running)).expect("a text");
        let Reply::Text(text) = reply else { panic!("{reply:?}") };
        text
    };
    let before = running(&balancer);
    let other = before.replace(&hosts[0].addr().to_string(), &hosts[1].addr().to_string());
    let load = |wait| Command::Load { text: other.clone(), confirm: wait };
    done(&balancer, load(Some(Duration::from_millis(300)))).expect("loaded");
    assert_eq!(told(addr), "b");
    assert!(balancer.snapshot().expect("seen").confirm_within.is_some());
    until(PATIENCE, "it goes back by itself", || running(&balancer) == before);
    assert_eq!(told(addr), "a");
    done(&balancer, load(Some(Duration::from_secs(60)))).expect("loaded");
    done(&balancer, Command::GoBack).expect("back");
    assert_eq!(told(addr), "a");
    done(&balancer, load(Some(Duration::from_secs(60)))).expect("loaded");
    done(&balancer, Command::Confirm).expect("confirmed");
    assert_eq!(balancer.snapshot().expect("seen").confirm_within, None);
    assert_eq!(told(addr), "b");
    for command in [Command::Confirm, Command::GoBack] {
        assert_eq!(done(&balancer, command).unwrap_err().kind, RefusalKind::Conflict);
    }
    let wrong = Command::Load { text: "<director><servce/></director>".into(), confirm: None };
    let refusal = done(&balancer, wrong).unwrap_err();
    assert!(refusal.why.contains("configuration:1:11: unknown element <servce>"), "{refusal}");
    assert_eq!(told(addr), "b");
}

#[test]
fn changes_are_told_with_who_asked_and_what_came_of_it() {
    let only = Host::serve("a", scripts::tell_name());
    let (balancer, _) = start(&[&only], "");
    let seen = balancer.snapshot().expect("seen").last_event;
    balancer.change(vec![set("a", "weight", "3")]).expect("done");
    balancer.change(vec![Change::RemoveHost { host: host("a") }]).expect_err("it is the last");
    let Reply::Events(events) = balancer.command(Command::Events { after: seen }).expect("events") else { panic!() };
    let told: Vec<_> = events.iter().map(|event| (event.kind, event.by.as_str(), event.text.as_str())).collect();
    assert_eq!(told[0], (EventKind::Change, "the program (embedded)", "host web/main/a: weight=3"));
    assert_eq!((told[1].0, told[1].1), (EventKind::Refused, "the program (embedded)"));
    assert!(told[1].2.contains("is the last host of web/main"), "{told:?}");
    assert_eq!(told.len(), 2);
    let seen = balancer.snapshot().expect("seen");
    assert!(seen.unsaved && seen.revision == 2);
}

#[test]
fn client_behind_a_connection_to_a_host_is_found_and_cut() {
    let only = Host::serve("a", scripts::echo());
    let (balancer, addr) = start(&[&only], "");
    let mut clients: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(addr).expect("connect")).collect();
    for client in &mut clients {
        client.write_all(b"ping").expect("write");
        client.read_exact(&mut [0; 4]).expect("read");
    }
    let all = sessions(&balancer, SessionSearch { limit: 100, ..SessionSearch::default() });
    assert_eq!((all.total, all.sessions.len()), (20, 20));
    for session in &all.sessions {
        let local = session.info.local.expect("it is connected").to_string();
        let found = sessions(&balancer, SessionSearch { local: Some(local), ..SessionSearch::default() });
        assert_eq!(found.sessions.len(), 1);
        assert_eq!(found.sessions[0].info.client, session.info.client);
        assert_eq!((session.group.as_str(), session.host.as_str(), session.info.up), ("main", "a", 4));
    }
    let victim = clients[7].local_addr().expect("an address");
    let found = sessions(&balancer, SessionSearch { client: Some(victim.to_string()), ..SessionSearch::default() });
    let name = found.sessions[0].info.name;
    let kill = |target| balancer.command(Command::Kill(target));
    assert!(matches!(kill(Target::One(name)), Ok(Reply::Killed(1))));
    assert!(clients[7].read(&mut [0; 4]).is_err(), "a reset");
    assert_eq!(kill(Target::One(name)).unwrap_err().kind, RefusalKind::NotFound, "it is gone");
    assert_eq!(kill(Target::All(SessionSearch::default())).unwrap_err().kind, RefusalKind::Invalid);
    let of_host = SessionSearch { host: Some(host("a")), ..SessionSearch::default() };
    assert!(matches!(kill(Target::All(of_host)), Ok(Reply::Killed(19))));
    until(PATIENCE, "nobody is left", || balancer.snapshot().expect("seen").services[0].open == 0);
}

#[test]
fn differences_are_listed_and_a_question_that_makes_no_sense_is_refused() {
    let only = Host::serve("a", scripts::tell_name());
    let (balancer, _) = start(&[&only], "");
    balancer.change(vec![set("a", "weight", "3")]).expect("done");
    let diff = Command::Diff { from: Source::Loaded, to: Source::Running };
    let Reply::Differences(found) = balancer.command(diff).expect("compared") else { panic!() };
    let Difference { what, .. } = &found[0];
    assert_eq!(found.len(), 1, "{what}");
    for search in [
        SessionSearch { client: Some("nobody".into()), ..SessionSearch::default() },
        SessionSearch { local: Some("127.0.0.1".into()), ..SessionSearch::default() },
        SessionSearch { service: Some("no".into()), ..SessionSearch::default() },
    ] {
        assert!(balancer.command(Command::Sessions(search)).is_err());
    }
    assert_eq!(done(&balancer, Command::LogLevel("loud".into())).unwrap_err().kind, RefusalKind::Invalid);
}

#[test]
fn thousands_of_changes_are_quick_and_the_last_one_counts() {
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::tell_name()));
    let (balancer, addr) = start(&[&hosts[0]], "");
    let group = GroupRef { service: "web".into(), group: "main".into() };
    let address = hosts[1].addr().to_string();
    let (rounds, since) = (support::sized(500, 5000), Instant::now());
    for _ in 0..rounds {
        let (group, address) = (group.clone(), address.clone());
        let add = Change::AddHost { group, host: Some("b".into()), address, attributes: Attributes::default() };
        balancer.change(vec![add]).expect("done");
        balancer.change(vec![Change::RemoveHost { host: host("b") }]).expect("done");
    }
    let each = since.elapsed() / u32::try_from(2 * rounds).expect("few");
    figure("a change, until every reactor has it, ms", ms(each));
    assert_eq!([told(addr), told(addr)], ["a", "a"]);
    assert!(each < support::wait::allowed(Duration::from_millis(5)), "{each:?}");
}
