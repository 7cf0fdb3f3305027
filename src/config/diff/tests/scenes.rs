//! What differs in scenes that operators know, in words.

use super::{diff, leads, told_all};
use crate::config::parse;

/// The differences of two files with these things in the root.
fn told_of(from: &str, to: &str) -> String {
    let [from, to] = [from, to].map(|inside| parse(&format!("<director>{inside}</director>"), "f").unwrap());
    leads(&from, &to).unwrap();
    told_all(&diff(&from, &to))
}

fn lines_of(from: &str, to: &str) -> Vec<String> {
    told_of(from, to).lines().map(|line| line.split("  [").next().unwrap_or_default().to_owned()).collect()
}

fn service(name: &str, listen: &str, inside: &str) -> String {
    format!("<service name='{name}'><listen ip='{listen}'/>{inside}</service>")
}

fn with_host(name: &str, listen: &str, host: &str) -> String {
    service(name, listen, &format!("<group name='g'><host name='a' ip='{host}'/></group>"))
}

const BEFORE: &str = "<service name='web' idle-timeout='10m'><listen ip='*:80'/><listen ip='*:8080' backlog='64'/>
      <group name='blue'><host name='a' ip='10.0.0.1:80'/><host name='b' ip='10.0.0.2:80'/></group>
      <group name='old'><host name='a' ip='10.0.9.1:80'/><host name='b' ip='10.0.9.2:80'/></group></service>
    <service name='mail'><listen ip='*:25'/><group name='g'><host name='m' ip='10.0.0.9:25'/></group></service>
    <service name='ftp'><listen ip='*:21'/><group name='g'><host name='f' ip='10.0.0.8:21'/></group></service>
    <logging file='/var/log/director.log'/>
    <admin><web listen='127.0.0.1:7001' enable='true'/><user name='root' password='$6$old' access='full'/>
      <user name='eve' password='$6$eve' access='full'/></admin>";

const AFTER: &str = "<service name='web' max-connections='500'><listen ip='*:80' keepalive='60s'/><listen ip='*:443'/>
      <group name='blue'><host name='c' ip='10.0.0.3:80' weight='3'/>
        <host name='a' ip='10.0.0.1:80' weight='3' max='10'/></group>
      <group name='green' scheduler='leastconns'><host name='a' ip='10.0.1.1:80'/></group><enable group='green'/></service>
    <service name='post'><listen ip='*:25'/><group name='g'><host name='m' ip='10.0.0.9:25' state='drain'/></group></service>
    <service name='files'><listen ip='*:8021'/><listen ip='*:8080'/>
      <group name='g'><host name='f' ip='10.0.0.8:21'/><host name='e' ip='10.0.0.7:21' weight='0'/></group></service>
    <manager fall='3'><heartbeat enable='true'/></manager>
    <admin><web listen='127.0.0.1:7001' secure='true' enable='true'/><ssh listen='127.0.0.1:7002' enable='true'/>
      <user name='root' password='$6$new' access='readonly'/>
      <user name='ann' key='ssh-ed25519 AAAAC3Nz ann' access='full'/></admin>
    <control socket='/run/director.sock'/>";

#[test]
fn realistic_pair_reads_like_this() {
    let expected = include_str!("golden.txt");
    assert_eq!(told_of(BEFORE, AFTER), expected);
}

#[test]
fn last_host_goes_when_another_one_has_come() {
    let of =
        |host: &str, ip: &str| service("w", "*:1", &format!("<group name='g'><host name='{host}' ip='{ip}'/></group>"));
    let lines = lines_of(&of("a", "h1:1"), &of("b", "h2:1"));
    assert_eq!(lines, ["host w/g/b h2:1 added", "host w/g/a h1:1 removed"]);
    assert_eq!(lines_of(&of("a", "h1:1"), &of("b", "h1:1")), ["w/g/a: name a → b"]);
    assert_eq!(lines_of(&of("a", "h1:1"), &of("a", "h2:1")), ["w/g/a: ip h1:1 → h2:1"]);
}

#[test]
fn names_of_hosts_that_are_swapped_swap_their_addresses() {
    let of = |a: &str, b: &str| service("w", "*:1", &format!("<group name='g'>{a}{b}</group>"));
    let from = of("<host name='a' ip='h1:1'/>", "<host name='b' ip='h2:1'/>");
    let to = of("<host name='a' ip='h2:1'/>", "<host name='b' ip='h1:1'/>");
    assert_eq!(lines_of(&from, &to), ["w/g/a: ip h1:1 → h2:1", "w/g/b: ip h2:1 → h1:1"]);
}

#[test]
fn group_goes_when_another_one_serves() {
    let of = |group: &str, ip: &str| {
        service("w", "*:1", &format!("<group name='{group}'><host name='a' ip='{ip}'/></group>"))
    };
    let expected = [
        "group w/green added",
        "host w/green/a h2:1 added",
        "w: group green serves",
        "group w/blue removed, with its host a",
    ];
    assert_eq!(lines_of(&of("blue", "h1:1"), &of("green", "h2:1")), expected);
    assert_eq!(lines_of(&of("blue", "h1:1"), &of("green", "h1:1")), ["w/blue: name blue → green"]);
}

#[test]
fn new_service_comes_whole_and_in_order() {
    let inside = "<listen ip='*:3' backlog='9'/><group name='a'><host name='x' ip='h:1'/></group>
                  <group name='b' scheduler='random'><host name='x' ip='h:1'/></group><enable group='b'/>";
    let (old, new) = (with_host("w", "*:1", "h:1"), service("n", "*:2' backlog='9", inside));
    let expected = [
        "service n added, listening on *:2",
        "n: listener *:2: backlog usual → 9",
        "n: listener *:3 added, backlog=9",
        "group n/a added",
        "group n/b added, scheduler=random",
        "host n/b/x h:1 added",
        "host n/a/x h:1 added",
    ];
    assert_eq!(lines_of(&old, &format!("{old}{new}")), expected);
    assert_eq!(lines_of(&format!("{old}{new}"), &old), ["service n removed, with *:2, *:3"]);
}

#[test]
fn service_goes_before_another_one_takes_its_address() {
    let from = with_host("a", "*:1", "h:1") + &with_host("b", "*:2", "h:2");
    let lines = lines_of(&from, &with_host("a", "*:2", "h:1"));
    assert_eq!(lines, ["service b removed, with *:2", "a: listener *:1 → *:2"]);
}

#[test]
fn listener_moves_between_services_once_it_is_free() {
    let two = |more: &str| format!("{more}<group name='g'><host name='a' ip='h:1'/></group>");
    let from = service("a", "*:1", &two("")) + &service("b", "*:2", &two("<listen ip='*:3'/>"));
    let to = service("a", "*:1", &two("<listen ip='*:3'/>")) + &service("b", "*:2", &two(""));
    let told = told_of(&from, &to);
    let expected = "b: listener *:3 removed  [listener closed: its connections go on, those in its queue are served]\n\
                    a: listener *:3 added  [listener moves from b: connections go on; done together with what frees the \
                    address it stays open, one by one it is closed in between]\n";
    assert_eq!(told, expected);
}

#[test]
fn listeners_that_wait_for_one_another_are_led_around() {
    let of =
        |a: &str, b: &str, c: &str| with_host("a", a, "h:1") + &with_host("b", b, "h:1") + &with_host("c", c, "h:1");
    let expected = [
        "a: listener *:1 → 127.0.0.1:0, until *:2 is free",
        "c: listener *:3 → *:1",
        "b: listener *:2 → *:3",
        "a: listener 127.0.0.1:0 → *:2",
    ];
    assert_eq!(lines_of(&of("*:1", "*:2", "*:3"), &of("*:2", "*:3", "*:1")), expected);
    // A service whose listener and host change places.
    let (from, to) = (with_host("a", "127.0.0.1:1", "127.0.0.1:2"), with_host("a", "127.0.0.1:2", "127.0.0.1:1"));
    assert_eq!(lines_of(&from, &to).len(), 3);
}

#[test]
fn listeners_in_a_chain_follow_one_another_in_either_direction() {
    let of = |shift: usize| {
        (0..200).map(|n| with_host(&format!("s{n}"), &format!("*:{}", 1000 + n + shift), "h:1")).collect::<String>()
    };
    for (from, to) in [(0, 1), (1, 0)] {
        let lines = lines_of(&of(from), &of(to));
        assert_eq!(lines.len(), 200, "{}", lines.join("\n"));
        assert!(lines.iter().all(|line| !line.starts_with('!')));
    }
}

#[test]
fn what_administration_has_is_not_waited_for() {
    let of = |listen: &str, page: &str| {
        with_host("a", listen, "h:1") + &format!("<admin><web listen='{page}' enable='true'/></admin>")
    };
    let expected = "! a: listener *:1 → *:7001  [takes effect with a reload or restart; as a change it is refused: *:7001 meets \
                    the administration page on 127.0.0.1:7001, expected an address of its own]\n\
                    ! administration page: listen 127.0.0.1:7001 → 127.0.0.1:1  [takes effect at restart]\n";
    assert_eq!(told_of(&of("*:1", "127.0.0.1:7001"), &of("*:7001", "127.0.0.1:1")), expected);
    // What depends on it is not told apart.
    let of = |listen: &str, page: &str| with_host("w", "*:5", "h:1") + &of(listen, page);
    let lines = lines_of(
        &(with_host("w", "*:5", "h:1") + "<admin><web listen='*:7001' enable='true'/></admin>"),
        &of("*:7001", "*:6"),
    );
    assert_eq!(lines, ["! service a added, listening on *:7001", "! administration page: listen *:7001 → *:6"]);
}

#[test]
fn last_user_who_may_change_anything_goes_after_another_one_has_come() {
    let of = |users: &str| with_host("a", "*:1", "h:1") + &format!("<admin>{users}</admin>");
    let root = "<user name='root' password='$6$r' access='full'/>";
    let eve = "<user name='eve' password='$6$e' access='full'/>";
    let expected = ["user eve added, with a password, access=full", "user root removed"];
    assert_eq!(lines_of(&of(root), &of(eve)), expected);
    let renamed = "<user name='boss' password='$6$r' access='full'/>";
    assert_eq!(lines_of(&of(root), &of(renamed)), ["user root: name root → boss"]);
    let told = told_of(&of(root), &with_host("a", "*:1", "h:1"));
    assert!(told.starts_with("! user root removed  [takes effect with a reload or restart; as a change it is refused: \"root\" is the last"), "{told}");
    let key = "<user name='root' key='ssh-ed25519 AAAAC3Nz' access='full'/>";
    assert_eq!(lines_of(&of(root), &of(key)), ["user root: key added, password taken away"]);
}

#[test]
fn order_of_hosts_is_told_where_the_scheduler_goes_by_it() {
    let of = |scheduler: &str, hosts: [&str; 3]| {
        let hosts = hosts.map(|name| format!("<host name='{name}' ip='{name}:1'/>")).concat();
        service("w", "*:1", &format!("<group name='g' scheduler='{scheduler}'>{hosts}</group>"))
    };
    let told = told_of(&of("roundrobin", ["a", "b", "c"]), &of("roundrobin", ["a", "c", "b"]));
    let expected = "! w/g: another order of hosts, c before b  \
                    [takes effect with a reload: connections are kept, turns go in the new order]\n";
    assert_eq!(told, expected);
    assert_eq!(told_of(&of("random", ["a", "b", "c"]), &of("random", ["a", "c", "b"])), "");
    let lines = lines_of(&of("roundrobin", ["a", "b", "c"]), &of("weighted", ["d", "b", "c"]));
    assert_eq!(lines[3], "! w/g: another order of hosts, d before b");
}

#[test]
fn listeners_on_port_0_that_cannot_be_told_apart_are_told_so() {
    let of = |more: &str| service("w", "*:0", &format!("{more}<group name='g'><host ip='h:1'/></group>"));
    assert_eq!(lines_of(&of(""), &of("<listen ip='*:0'/>")), ["w: listener *:0 added"]);
    let (from, to) = (of("<listen ip='*:0' backlog='1'/>"), of("<listen ip='*:0' backlog='2'/>"));
    let [from, to] = [from, to].map(|inside| parse(&format!("<director>{inside}</director>"), "f").unwrap());
    let expected = "! w: listeners differ, of which more than one is *:0  \
                    [takes effect with a reload: no change could tell these listeners apart]\n";
    assert_eq!(told_all(&diff(&from, &to)), expected);
}

#[test]
fn service_that_is_to_serve_no_more_is_told_so() {
    let text = format!("<director>{}</director>", with_host("a", "*:1", "h:1"));
    let full = parse(&text, "f").unwrap();
    let mut empty = full.clone();
    (empty.services[0].enabled, empty.services[0].groups) = (None, Vec::new());
    let expected = "! group a/g removed, with its host a  [takes effect with a reload or restart; as a change it is refused: a/g \
                    serves, expected another group to be enabled first]\n\
                    ! a: no group serves any more  [no change does that; remove the service and add it anew]\n";
    assert_eq!(told_all(&diff(&full, &empty)), expected);
    leads(&empty, &full).unwrap();
}

#[test]
fn listeners_that_are_shuffled_all_get_to_their_places() {
    let of = |step: usize| -> String {
        (0..300).map(|n| with_host(&format!("s{n}"), &format!("*:{}", 1000 + n * step % 300), "h:1")).collect()
    };
    let told = told_of(&of(1), &of(77));
    assert!(!told.contains('!'), "{told}");
    let circles = told.matches(", until ").count();
    assert!((1..100).contains(&circles), "{circles} circles");
}
