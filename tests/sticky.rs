//! Clients that find their host again, and whose turn it is: the binary with clients from several loopback addresses.
//! `pen.rs` has the same beside pen.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use director::instance::{Balancer, Builder};
use director::model::change::{Attributes, Change, GroupRef, HostRef, RefusalKind};
use director::model::command::{Command, Reply};
use director::model::snapshot::{GroupView, HostView};
use director::model::sticky::{StickyList, StickySearch};
use support::host::Script;
use support::socket::End;
use support::{Client, Config, Director, Host, Netns, PATIENCE, Service, scripts, until};

mod support;

/// A client from 127.0.0.`last`.
fn from(last: u8, addr: SocketAddr) -> Client {
    Client::connect_from(Ipv4Addr::new(127, 0, 0, last).into(), addr)
}

/// The name of the host that served a client from there; empty when none did.
fn told(last: u8, addr: SocketAddr) -> String {
    from(last, addr).read_text().0
}

fn hosts<const N: usize>(names: [&str; N], script: fn() -> Script) -> [Host; N] {
    names.map(|name| Host::serve(name, script()))
}

/// The service `s` with these hosts, each with attributes of its own.
fn service(scheduler: &str, hosts: &[(&Host, &str)]) -> Service {
    hosts.iter().fold(Service::new("s").scheduler(scheduler), |service, (host, attributes)| {
        service.host_with(host.name(), host.addr(), attributes)
    })
}

fn plain(scheduler: &str, hosts: &[&Host]) -> Service {
    service(scheduler, &hosts.iter().map(|host| (*host, "")).collect::<Vec<_>>())
}

/// A balancer in this process, for commands.
fn embedded(group: &str, hosts: &[(&Host, &str)]) -> (Balancer, SocketAddr) {
    let host = |(host, more): &(&Host, &str)| format!("<host name='{}' ip='{}' {more}/>", host.name(), host.addr());
    let hosts: String = hosts.iter().map(host).collect();
    let text = format!(
        "<director><service name='s'><listen ip='127.0.0.1:0'/><group name='g' {group}>{hosts}</group></service>
         <manager><hostCheck interval='50ms'/></manager></director>"
    );
    let balancer = Builder::from_xml(&text).threads(2).start().expect("start");
    let addr = balancer.addresses("s").expect("a service")[0];
    (balancer, addr)
}

fn host_ref(name: &str) -> HostRef {
    HostRef { service: "s".into(), group: None, host: name.into() }
}

fn group_view(balancer: &Balancer) -> GroupView {
    balancer.snapshot().expect("seen").services[0].groups[0].clone()
}

fn view(balancer: &Balancer, name: &str) -> HostView {
    group_view(balancer).hosts.iter().find(|host| host.name == name).expect("a host").clone()
}

fn clients(balancer: &Balancer, search: StickySearch) -> StickyList {
    let reply = balancer.command(Command::Sticky(search)).expect("done");
    let Reply::Sticky(list) = reply else { panic!("{reply:?}") };
    list
}

fn forget(balancer: &Balancer, search: StickySearch) -> usize {
    let reply = balancer.command(Command::Forget(search)).expect("done");
    let Reply::Forgotten(count) = reply else { panic!("{reply:?}") };
    count
}

/// Waits until the one reactor sends a client there that it does not know: it has heard by then that the host is back.
fn await_stranger_at(host: &str, director: &Director) {
    director.wait_for_log(&["state", &format!("host={host}"), "new=up"], PATIENCE);
    let mut strangers = 100..250;
    let mut is_back = || told(strangers.next().expect("another client"), director.addr()) == host;
    until(PATIENCE, "a stranger is at a host that is back", &mut is_back);
}

fn is_served(client: &Client) -> bool {
    client.send(b"ping");
    client.stream().set_read_timeout(Some(Duration::from_secs(2))).expect("set the read timeout");
    let mut answer = [0; 4];
    std::io::Read::read_exact(&mut client.stream(), &mut answer).is_ok_and(|()| answer == *b"ping")
}

#[test]
fn clients_are_remembered_over_reloads_and_a_host_that_is_gone_for_a_while() {
    let [mut a, b] = hosts(["a", "b"], scripts::tell_name);
    let plan = |stay: &str| {
        let text = Config::new(plain("roundrobin", &[&a, &b])).xml();
        text.replace(
            "scheduler=\"roundrobin\"",
            &format!("scheduler=\"roundrobin\" sticky=\"table\" fail-back=\"{stay}\""),
        )
    };
    let (stay, back) = (plan("no"), plan("yes"));
    for (text, after) in [(&stay, "b"), (&back, "a")] {
        let director = Director::plan_text(text).threads(1).start();
        assert_eq!([1, 2, 1].map(|last| told(last, director.addr())).concat(), "aba");
        assert!(director.reload().contains("reloaded"));
        assert_eq!(told(1, director.addr()), "a");
        a.stop();
        assert_eq!([1, 1].map(|last| told(last, director.addr())).concat(), "bb", "moved");
        a.start();
        await_stranger_at("a", &director);
        assert_eq!(told(1, director.addr()), after);
        director.finish();
    }
}

#[test]
fn emergency_server_serves_when_all_are_down_and_is_forgotten() {
    let [mut a, mut b, e] = hosts(["a", "b", "e"], scripts::tell_name);
    let service = service("roundrobin,sticky", &[(&a, ""), (&b, ""), (&e, r#"emergency="true""#)]);
    let director = Director::plan(service).threads(1).log_lines_max(4000).start();
    let addr = director.addr();
    assert_eq!([1, 2, 3, 1].map(|last| told(last, addr)).concat(), "abaa");
    a.stop();
    b.stop();
    assert_eq!([1, 2, 3].map(|last| told(last, addr)).concat(), "eee");
    a.start();
    b.start();
    await_stranger_at("a", &director);
    await_stranger_at("b", &director);
    assert_eq!([1, 2, 3].map(|last| told(last, addr)).concat(), "aba", "each is back at its own");
    drop(e);
    a.stop();
    b.stop();
    assert_eq!(told(1, addr), "", "nobody is left");
    director.finish();
}

#[test]
fn blacklisted_server_gets_nobody_for_a_time_and_keeps_who_it_has() {
    let [a, b] = hosts(["a", "b"], scripts::echo);
    let (balancer, addr) = embedded("", &[(&a, ""), (&b, "")]);
    let held: Vec<Client> = [1, 2].map(|last| from(last, addr)).into();
    assert!(held.iter().all(is_served));
    let blacklist = |time| balancer.command(Command::Blacklist { host: host_ref("a"), time }).expect("done");
    let Reply::Done(what) = blacklist(Duration::from_secs(3600)) else { panic!("done in words") };
    assert_eq!(what, "host s/g/a gets no new clients for 1h");
    let a_view = view(&balancer, "a");
    assert!(a_view.blacklisted.is_some_and(|left| left > Duration::from_secs(3500)));
    assert_eq!(a_view.times_blacklisted, 1);
    let others: Vec<Client> = (3..7).map(|last| from(last, addr)).collect();
    assert!(others.iter().chain(&held).all(is_served));
    assert_eq!((view(&balancer, "a").open, view(&balancer, "b").open), (1, 5));
    blacklist(Duration::ZERO);
    assert_eq!(view(&balancer, "a").blacklisted, None);
    blacklist(Duration::from_millis(200));
    until(PATIENCE, "it ends by itself", || view(&balancer, "a").blacklisted.is_none());
    let more: Vec<Client> = (3..7).map(|last| from(last, addr)).collect();
    assert!(more.iter().all(is_served));
    assert_eq!(view(&balancer, "a").open, 3);
    let unknown = Command::Blacklist { host: host_ref("c"), time: Duration::ZERO };
    assert_eq!(balancer.command(unknown).unwrap_err().kind, RefusalKind::NotFound);
}

#[test]
fn own_client_may_go_above_max_up_to_hard_and_strangers_may_not() {
    let [a, b] = hosts(["a", "b"], scripts::echo);
    let limits = "max='2' hard='3'";
    let (balancer, addr) = embedded("scheduler='roundrobin,sticky'", &[(&a, limits), (&b, limits)]);
    let open = || (view(&balancer, "a").open, view(&balancer, "b").open);
    let own: Vec<Client> = (0..3).map(|_| from(1, addr)).collect();
    assert!(own.iter().all(is_served));
    assert_eq!(open(), (3, 0), "three of one client at its server");
    let fourth = from(1, addr);
    assert!(is_served(&fourth));
    assert_eq!(open(), (3, 1), "the fourth moves");
    let stranger = from(2, addr);
    assert!(is_served(&stranger));
    assert_eq!(open(), (3, 2));
    let refused = from(3, addr);
    refused.send(b"ping");
    until(PATIENCE, "a stranger waits", || balancer.snapshot().expect("seen").services[0].waiting == 1);
    assert_eq!(open(), (3, 2), "both are at max for it");
    drop(fourth);
    assert_eq!(refused.read_exact(4), b"ping", "until there is room");
}

#[test]
fn lowest_number_is_served_first_and_tracked_clients_stay() {
    let [mut a, b, c] = hosts(["a", "b", "c"], scripts::tell_name);
    let attributes = [r#"prio="1""#, r#"prio="2""#, r#"prio="2""#];
    for (scheduler, after) in [("roundrobin", "aaa"), ("roundrobin,sticky", "bca")] {
        let hosts = [(&a, attributes[0]), (&b, attributes[1]), (&c, attributes[2])];
        let director = Director::plan(service(scheduler, &hosts)).threads(1).log_lines_max(4000).start();
        let addr = director.addr();
        assert_eq!([1, 2, 1].map(|last| told(last, addr)).concat(), "aaa", "{scheduler}");
        a.stop();
        let moved = [1, 2].map(|last| told(last, addr)).concat();
        assert_eq!(moved, "bc", "{scheduler}: the next number takes turns");
        a.start();
        await_stranger_at("a", &director);
        assert_eq!([1, 2, 3].map(|last| told(last, addr)).concat(), after, "{scheduler}");
        director.finish();
    }
}

#[test]
fn hash_gives_a_client_the_same_server_in_two_balancers_and_after_a_restart() {
    let [mut a, b, c] = hosts(["a", "b", "c"], scripts::tell_name);
    let all = |addr| (1..=24).map(|last| told(last, addr)).collect::<String>();
    for kind in ["sticky=\"hash\"", "scheduler=\"maglev\""] {
        let text =
            |hosts: &[&Host]| Config::new(plain("roundrobin", hosts)).xml().replace("scheduler=\"roundrobin\"", kind);
        let first = Director::plan_text(&text(&[&a, &b, &c])).start();
        let told_first = all(first.addr());
        assert!(["a", "b", "c"].iter().all(|name| told_first.contains(name)), "{kind}: {told_first}");
        let second = Director::plan_text(&text(&[&c, &a, &b])).start();
        assert_eq!(all(second.addr()), told_first, "{kind}: another order in another process");
        second.finish();
        a.stop();
        let without = all(first.addr());
        a.start();
        let moved = told_first.chars().zip(without.chars()).filter(|(before, after)| before != after).count();
        assert_eq!(moved, told_first.matches('a').count(), "{kind}: only those of the failed server go to others");
        first.finish();
        let again = Director::plan_text(&text(&[&a, &b, &c])).start();
        assert_eq!(all(again.addr()), told_first, "{kind}: after a restart");
        again.finish();
    }
}

#[test]
fn families_mix_and_clients_of_one_network_are_clients_each() {
    const CLIENTS: u16 = 1000;
    let netns = Netns::new();
    netns.ip("-6 route add local 2001:db8::/32 dev lo");
    netns.sysctl("net/ipv6/ip_nonlocal_bind", "1");
    let (a, b) = netns.run(|| {
        let tell = |name, addr| Host::plan(name, scripts::tell_name()).at(addr).start();
        (tell("a", "127.0.0.1:1"), tell("b", "[::1]:1"))
    });
    let service = plain("roundrobin,sticky", &[&a, &b]).listen("[::]:30000").listen("0.0.0.0:30000");
    let director = Director::plan(service).inside(&netns).start();
    let ask = |client: IpAddr, to: IpAddr| Client::connect_from(client, (to, 30_000).into()).read_text().0;
    let here: IpAddr = "2001:db8::1".parse().expect("an address");
    let all = |last: u16| {
        let client = |number: u16| IpAddr::from([0x2001, 0xdb8, 0, number, 0, 0, 0, last]);
        (1..=CLIENTS).map(|number| ask(client(number), here)).collect::<String>()
    };
    let first = netns.run(|| all(2));
    assert_eq!(first.matches('a').count(), usize::from(CLIENTS) / 2, "evenly");
    assert_eq!(netns.run(|| all(3)), first, "each with its network at its own, whatever its host part");
    // IPv4 clients of the same service, whose second host has an IPv6 address.
    let v4 = |last| IpAddr::from([127, 0, 0, last]);
    let told = netns.run(|| [1, 2, 1, 2].map(|last| ask(v4(last), v4(1))).concat());
    assert_eq!(told, "abab");
    director.finish();
}

#[test]
fn client_is_free_after_its_time_and_the_oldest_makes_room() {
    let [a, b, c] = hosts(["a", "b", "c"], scripts::tell_name);
    let (balancer, addr) = embedded("sticky='table' sticky-ttl='300ms'", &[(&a, ""), (&b, ""), (&c, "")]);
    assert_eq!([1, 1].map(|last| told(last, addr)).concat(), "aa");
    // Long enough after the end of its last connection, whenever the balancer saw that.
    let since = Instant::now();
    until(PATIENCE, "its connection has ended", || view(&balancer, "a").open == 0);
    thread::sleep(Duration::from_millis(350).saturating_sub(since.elapsed()) + Duration::from_millis(50));
    assert_eq!(told(1, addr), "b", "a lone client is free, too");
    drop(balancer);
    let (balancer, addr) = embedded("sticky='table' sticky-size='2'", &[(&a, ""), (&b, ""), (&c, "")]);
    assert_eq!([1, 2, 1, 3].map(|last| told(last, addr)).concat(), "abac");
    let left = clients(&balancer, StickySearch::default());
    let mut left: Vec<&str> = left.clients.iter().map(|client| client.client.as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["127.0.0.1", "127.0.0.3"]);
    assert_eq!((group_view(&balancer).sticky.clients, group_view(&balancer).sticky.evicted), (2, 1));
}

#[test]
fn remembered_clients_are_listed_and_forgotten_by_client_by_host_and_all() {
    let [a, b] = hosts(["a", "b"], scripts::tell_name);
    let (balancer, addr) = embedded("scheduler='roundrobin,sticky'", &[(&a, ""), (&b, "")]);
    for last in 1..=6 {
        told(last, addr);
    }
    let of = |search: StickySearch| clients(&balancer, search).total;
    let at_a = StickySearch { host: Some(host_ref("a")), ..StickySearch::default() };
    let one = StickySearch { client: Some("127.0.0.2".into()), ..StickySearch::default() };
    assert_eq!((of(StickySearch::default()), of(at_a.clone()), of(one.clone())), (6, 3, 1));
    let list = clients(&balancer, one.clone());
    let known = &list.clients[0];
    assert_eq!((known.client.as_str(), known.host.as_str(), known.home.as_str()), ("127.0.0.2", "b", ""));
    let limited = clients(&balancer, StickySearch { limit: 2, ..StickySearch::default() });
    assert_eq!((limited.clients.len(), limited.total), (2, 6));
    assert_eq!(forget(&balancer, one.clone()), 1);
    assert_eq!(balancer.command(Command::Forget(one)).unwrap_err().kind, RefusalKind::NotFound);
    assert_eq!(told(2, addr), "a", "the scheduler has chosen for it anew");
    assert_eq!(forget(&balancer, at_a), 4);
    let unknown = StickySearch { service: Some("t".into()), ..StickySearch::default() };
    assert_eq!(balancer.command(Command::Sticky(unknown)).unwrap_err().kind, RefusalKind::NotFound);
    // Another size, another scheduler: those that are left are still known.
    let group = GroupRef { service: "s".into(), group: "g".into() };
    let attributes = Attributes::new([("scheduler", "leastconns"), ("sticky-size", "100")]);
    balancer.change(vec![Change::SetGroup { group, attributes }]).expect("done");
    assert_eq!([4, 6].map(|last| told(last, addr)).concat(), "bb");
    assert_eq!(forget(&balancer, StickySearch::default()), 2);
}

#[test]
fn client_whose_first_connections_come_at_once_is_at_one_host() {
    let [a, b, c] = hosts(["a", "b", "c"], scripts::tell_name);
    let director = Director::plan(plain("roundrobin,sticky", &[&a, &b, &c])).threads(4).start();
    for last in 1..=40 {
        let told: Vec<String> = thread::scope(|scope| {
            let runs: Vec<_> = (0..6).map(|_| scope.spawn(|| told(last, director.addr()))).collect();
            runs.into_iter().map(|run| run.join().expect("a client")).collect()
        });
        assert!(told.iter().all(|name| *name == told[0]), "{told:?}");
    }
    director.finish();
}

#[test]
fn client_that_nobody_takes_is_closed_and_not_sent_to_hosts_for_abuse() {
    let dead = Host::dead("a");
    let abuse = Host::serve("x", scripts::tell_name());
    let director = Director::plan(service("roundrobin", &[(&dead, ""), (&abuse, r#"abuse="true""#)])).start();
    let (text, end) = from(1, director.addr()).read_text();
    assert_eq!((text.as_str(), abuse.record().accepted()), ("", 0));
    assert!(matches!(end, End::Eof | End::Reset), "{end:?}");
    director.finish();
}
