//! What changes do and refuse, and that whatever they make is a valid file.

use crate::config::tests::arbitrary;
use crate::config::{Config, apply, parse, write};
use crate::model::change::{Attributes, Change, GroupRef, HostRef, RefusalKind};
use crate::model::scheduler::SchedulerKind;
use crate::model::status::AdminState;
use proptest::prelude::*;

fn base() -> Config {
    let text = "<director>
        <service name='web'><listen ip='127.0.0.1:8080'/><listen ip='*:8081'/>
          <group name='blue'><host name='a' ip='10.0.0.1:80'/><host name='b' ip='10.0.0.2:80'/></group>
          <group name='green'><host name='a' ip='10.0.1.1:80'/></group></service>
        <service name='mail'><listen ip='*:25'/><group name='g'><host name='m' ip='10.0.0.9:25'/></group></service>
        <admin listen='127.0.0.1:7001'><user name='root' password='x' access='full'/></admin></director>";
    parse(text, "f").unwrap()
}

fn group(service: &str, group: &str) -> GroupRef {
    GroupRef { service: service.into(), group: group.into() }
}

fn host(group: Option<&str>, host: &str) -> HostRef {
    HostRef { service: "web".into(), group: group.map(Into::into), host: host.into() }
}

fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    Attributes::new(pairs.iter().copied())
}

fn add_host(to: GroupRef, name: Option<&str>, address: &str, pairs: &[(&str, &str)]) -> Change {
    let attributes = attributes(pairs);
    Change::AddHost { group: to, host: name.map(Into::into), address: address.into(), attributes }
}

/// The configuration after the change, which a file may have, and what was said.
fn done(change: &Change) -> (Config, String) {
    let mut config = base();
    let told = apply(&mut config, change).unwrap_or_else(|refusal| panic!("{change:?}: {refusal}"));
    assert_eq!(parse(&write(&config), "f"), Ok(config.clone()), "{change:?}");
    (config, told)
}

/// Why the change was refused; nothing has changed.
fn refused(change: &Change) -> (RefusalKind, String) {
    let mut config = base();
    let refusal = apply(&mut config, change).unwrap_err();
    assert_eq!(config, base(), "{change:?}");
    (refusal.kind, refusal.why)
}

#[test]
fn host_is_added_with_what_the_file_could_say_of_it() {
    let change = add_host(group("web", "blue"), Some("c"), "10.0.0.3:80", &[("weight", "3"), ("keepalive", "30s")]);
    let (config, told) = done(&change);
    let added = &config.services[0].groups[0].hosts[2];
    assert_eq!((added.name.as_str(), added.weight), ("c", 3));
    assert!(added.connect.stream.keepalive.is_some());
    assert_eq!(told, "host c 10.0.0.3:80 added to web/blue");
    let (config, _) = done(&add_host(group("web", "blue"), None, "c.example:80", &[]));
    assert_eq!(config.services[0].groups[0].hosts[2].name, "host.2");
}

#[test]
fn host_that_cannot_be_is_refused_in_the_words_of_the_file() {
    let blue = || group("web", "blue");
    let (kind, why) = refused(&add_host(blue(), Some("a"), "10.0.0.3:80", &[]));
    assert_eq!(
        (kind, why.as_str()),
        (RefusalKind::Conflict, "web/blue has a host \"a\" already, expected another name")
    );
    let (kind, why) = refused(&add_host(blue(), None, "10.0.0.3", &[]));
    assert_eq!(kind, RefusalKind::Invalid);
    assert!(why.starts_with("ip=\"10.0.0.3\": "), "{why}");
    let (_, why) = refused(&add_host(blue(), None, "10.0.0.3:80", &[("wieght", "3")]));
    assert!(why.ends_with("did you mean \"weight\"?"), "{why}");
    let (_, why) = refused(&add_host(blue(), None, "127.0.0.1:8080", &[]));
    assert_eq!(why, "127.0.0.1:8080 is a listener of its own service, expected another address");
    let (kind, why) = refused(&add_host(group("web", "bleu"), None, "10.0.0.3:80", &[]));
    assert_eq!(kind, RefusalKind::NotFound);
    assert_eq!(why, "the service \"web\" has no group \"bleu\"; did you mean \"blue\"?");
    let (_, why) = refused(&add_host(blue(), None, "10.0.0.3:80", &[("source", "fd00::1")]));
    assert!(why.starts_with("source: no address is IPv4"), "{why}");
}

#[test]
fn host_is_found_by_name_by_address_and_not_when_two_could_be_meant() {
    let set = |host| Change::SetHost { host, attributes: attributes(&[("weight", "7")]) };
    assert_eq!(done(&set(host(None, "b"))).0.services[0].groups[0].hosts[1].weight, 7);
    assert_eq!(done(&set(host(None, "10.0.1.1:80"))).0.services[0].groups[1].hosts[0].weight, 7);
    let (kind, why) = refused(&set(host(None, "a")));
    assert_eq!(
        (kind, why.as_str()),
        (RefusalKind::Conflict, "more than one host is \"a\", expected web/blue/a or web/green/a")
    );
    assert_eq!(refused(&set(host(Some("green"), "b"))).0, RefusalKind::NotFound);
}

#[test]
fn attribute_with_an_empty_text_is_taken_away() {
    let set = |pairs| Change::SetHost { host: host(None, "b"), attributes: attributes(pairs) };
    let mut config = base();
    apply(&mut config, &set(&[("weight", "7"), ("max", "9"), ("state", "drain")])).unwrap();
    let b = |config: &Config| config.services[0].groups[0].hosts[1].clone();
    assert_eq!((b(&config).weight, b(&config).max, b(&config).state), (7, Some(9), AdminState::Drain));
    let told = apply(&mut config, &set(&[("weight", ""), ("max", ""), ("state", "up")])).unwrap();
    assert_eq!(config, base());
    assert_eq!(told, "host web/blue/b: weight as usual, max as usual, state=up");
}

#[test]
fn last_host_and_last_listener_and_last_administrator_stay() {
    let mut config = base();
    apply(&mut config, &Change::RemoveHost { host: host(None, "b") }).unwrap();
    let last = Change::RemoveHost { host: host(Some("blue"), "a") };
    let refusal = apply(&mut config, &last).unwrap_err();
    assert_eq!(refusal.why, "\"a\" is the last host of web/blue, which serves; expected another host or group first");
    let remove =
        |service: &str, listen: &str| Change::RemoveListener { service: service.into(), listen: listen.into() };
    assert_eq!(done(&remove("web", "*:8081")).0.services[0].listens.len(), 1);
    assert_eq!(refused(&remove("mail", "*:25")).0, RefusalKind::Conflict);
    assert_eq!(refused(&remove("mail", "*:26")).0, RefusalKind::NotFound);
    assert_eq!(refused(&Change::RemoveUser { user: "root".into() }).0, RefusalKind::Conflict);
    let demoted = Change::SetUser { user: "root".into(), attributes: attributes(&[("access", "readonly")]) };
    assert_eq!(refused(&demoted).0, RefusalKind::Conflict);
    assert_eq!(refused(&Change::RemoveAllHosts { group: group("web", "blue") }).0, RefusalKind::Conflict);
}

#[test]
fn service_made_empty_serves_with_its_first_host() {
    let mut config = base();
    let add = Change::AddService { service: "new".into(), listen: "*:99".into(), attributes: Attributes::default() };
    apply(&mut config, &add).unwrap();
    assert_eq!(config.services[2].enabled, None);
    let scheduler = attributes(&[("scheduler", "leastc")]);
    apply(&mut config, &Change::AddGroup { group: group("new", "g"), attributes: scheduler }).unwrap();
    let enable = Change::EnableGroup { group: group("new", "g") };
    assert_eq!(apply(&mut config, &enable).unwrap_err().kind, RefusalKind::Conflict, "it has no host");
    apply(&mut config, &add_host(group("new", "g"), None, "h:1", &[])).unwrap();
    assert_eq!(config.services[2].enabled, Some(0));
    assert_eq!(config.services[2].groups[0].scheduler, SchedulerKind::LeastConnsRr);
    assert_eq!(parse(&write(&config), "f"), Ok(config));
}

#[test]
fn group_that_serves_stays_and_another_one_may_go() {
    let (config, _) = done(&Change::EnableGroup { group: group("web", "green") });
    assert_eq!(config.services[0].enabled, Some(1));
    let mut config = config;
    apply(&mut config, &Change::RemoveGroup { group: group("web", "blue") }).unwrap();
    assert_eq!((config.services[0].enabled, config.services[0].groups.len()), (Some(0), 1));
    assert_eq!(refused(&Change::RemoveGroup { group: group("web", "blue") }).0, RefusalKind::Conflict);
}

#[test]
fn listener_that_meets_another_is_refused() {
    let add = |listen: &str| Change::AddListener {
        service: "mail".into(),
        listen: listen.into(),
        attributes: attributes(&[("backlog", "9")]),
    };
    assert_eq!(done(&add("*:26")).0.services[1].listens[1].options.backlog, Some(9));
    for (listen, other) in [
        ("*:8080", "the listener 127.0.0.1:8080 of service \"web\""),
        ("10.0.0.1:8081", "the listener *:8081 of service \"web\""),
        ("127.0.0.1:7001", "the administration page on 127.0.0.1:7001"),
    ] {
        let (kind, why) = refused(&add(listen));
        assert_eq!(kind, RefusalKind::Conflict);
        assert!(why.contains(other), "{why}");
    }
    let set = |listen: &str, ip: &str| Change::SetListener {
        service: "web".into(),
        listen: listen.into(),
        attributes: attributes(&[("ip", ip)]),
    };
    assert_eq!(done(&set("127.0.0.1:8080", "*:8080")).0.services[0].listens[0].address.to_string(), "*:8080");
    assert_eq!(refused(&set("127.0.0.1:8080", "*:25")).0, RefusalKind::Conflict);
}

#[test]
fn names_and_timings_change() {
    let rename = Change::SetService {
        service: "web".into(),
        attributes: attributes(&[("name", "www"), ("idle-timeout", "1m")]),
    };
    assert_eq!(done(&rename).0.services[0].name, "www");
    let taken = Change::SetService { service: "web".into(), attributes: attributes(&[("name", "mail")]) };
    assert_eq!(refused(&taken).0, RefusalKind::Conflict);
    let manager =
        Change::SetManager { attributes: attributes(&[("fall", "3"), ("heartbeat", "5s"), ("config-check", "30s")]) };
    let (config, _) = done(&manager);
    assert_eq!(config.manager.fall, 3);
    assert!(config.manager.heartbeat.is_some() && config.manager.config_check.is_some());
    assert_eq!(done(&Change::SetLog { file: Some("/tmp/x.log".into()) }).0.log_file, Some("/tmp/x.log".into()));
    let user = Change::AddUser { user: "eve".into(), attributes: attributes(&[("password", "$1$secret")]) };
    let (config, told) = done(&user);
    assert_eq!(config.admin.unwrap().users.len(), 2);
    assert!(!told.contains("secret"), "{told}");
    let nothing = Change::AddUser { user: "eve".into(), attributes: attributes(&[("access", "full")]) };
    assert_eq!(refused(&nothing).0, RefusalKind::Invalid);
}

#[test]
fn last_service_stays() {
    let mut config = base();
    let remove = |service: &str| Change::RemoveService { service: service.into() };
    assert_eq!(apply(&mut config, &remove("mail")).unwrap(), "service mail removed; its connections go on");
    let refusal = apply(&mut config, &remove("web")).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Conflict);
    assert_eq!(refusal.why, "\"web\" is the last service, expected another one first");
    assert_eq!(parse(&write(&config), "f"), Ok(config));
}

#[test]
fn character_that_no_file_can_have_is_refused() {
    for bad in ['\u{fffe}', '\u{ffff}', '\n', '\u{1}', '\u{202e}'] {
        let name = format!("a{bad}b");
        let (kind, why) =
            refused(&Change::SetHost { host: host(None, "b"), attributes: attributes(&[("name", &name)]) });
        assert_eq!(kind, RefusalKind::Invalid);
        assert!(why.contains("control character"), "{why}");
        let secret = attributes(&[("password", &name)]);
        assert_eq!(refused(&Change::AddUser { user: "eve".into(), attributes: secret }).0, RefusalKind::Invalid);
        if bad != '\u{202e}' {
            assert_eq!(refused(&Change::SetLog { file: Some(name) }).0, RefusalKind::Invalid);
        }
    }
}

#[test]
fn name_or_address_left_empty_is_refused_in_the_words_of_the_file() {
    let empty = "name=\"\": the name is empty, expected at least one character";
    let none = Attributes::default;
    let add = Change::AddService { service: String::new(), listen: "*:99".into(), attributes: none() };
    assert_eq!(refused(&add).1, empty);
    assert_eq!(refused(&Change::AddGroup { group: group("web", ""), attributes: none() }).1, empty);
    assert_eq!(refused(&add_host(group("web", "blue"), Some(""), "h:1", &[])).1, empty);
    assert_eq!(
        refused(&Change::AddUser { user: String::new(), attributes: attributes(&[("password", "x")]) }).1,
        empty
    );
    let rename = Change::SetService { service: "web".into(), attributes: attributes(&[("name", "")]) };
    assert_eq!(refused(&rename).1, empty);
    let (_, why) = refused(&add_host(group("web", "blue"), None, "", &[]));
    assert!(why.starts_with("ip=\"\": the address before the port is missing"), "{why}");
    let (_, why) = refused(&Change::SetLog { file: Some(String::new()) });
    assert_eq!(why, "file=\"\": the path is empty, expected a file name");
}

#[test]
fn attribute_given_twice_or_at_the_wrong_place_is_refused() {
    let (kind, why) = refused(&add_host(group("web", "blue"), None, "h:1", &[("weight", "1"), ("weight", "2")]));
    assert_eq!((kind, why.as_str()), (RefusalKind::Invalid, "\"weight\" is given twice, expected it once"));
    let (_, why) = refused(&add_host(group("web", "blue"), None, "h:1", &[("ip", "h:2")]));
    assert_eq!(why, "ip is among the attributes of <host>, expected it apart from them");
    let enable = attributes(&[("enable", "true")]);
    let (_, why) = refused(&Change::SetGroup { group: group("web", "blue"), attributes: enable });
    assert_eq!(why, "enable is among the attributes of <group>, expected it apart from them");
}

#[test]
fn secrets_are_in_no_message() {
    let add = |pairs| Change::AddUser { user: "eve".into(), attributes: attributes(pairs) };
    let set = |pairs| Change::SetUser { user: "root".into(), attributes: attributes(pairs) };
    let key = "ssh-ed25519 AAAAC3Nz";
    let messages = [
        refused(&add(&[("password", "secret\n")])).1,
        refused(&add(&[("key", "-----BEGIN secret")])).1,
        refused(&add(&[("pasword", "secret")])).1,
        done(&add(&[("password", "secret")])).1,
        done(&set(&[("password", "secret")])).1,
        done(&set(&[("password", "secret"), ("key", key)])).1,
        done(&set(&[("password", ""), ("key", key)])).1,
    ];
    for message in &messages {
        assert!(!message.contains("secret") && !message.contains("AAAA"), "{message}");
    }
    assert_eq!(messages[0], "password: the control character \\u{a} is in it, expected visible characters");
    assert_eq!(messages[6], "user root: password taken away, another key");
    let file = "<director><admin><user name='a' password='secret&#x202e;' access='full'/></admin></director>";
    let errors = parse(file, "f").unwrap_err().to_string();
    assert!(errors.contains("password: the control") && !errors.contains("secret"), "{errors}");
}

#[test]
fn what_was_done_is_told_on_one_line() {
    let change = Change::SetHost { host: host(None, "b"), attributes: attributes(&[("weight", "\n 3")]) };
    assert_eq!(done(&change).1, "host web/blue/b: weight=3");
    let nothing = Change::SetHost { host: host(None, "b"), attributes: Attributes::default() };
    assert_eq!(done(&nothing).1, "host web/blue/b: nothing to change");
    let remove = Change::RemoveListener { service: "mail".into(), listen: " 0.0.0.0:25\n".into() };
    assert_eq!(refused(&remove).1, "*:25 is the last listener of \"mail\", expected another one first");
    assert_eq!(
        refused(&Change::RemoveGroup { group: group("web", "blue") }).1,
        "web/blue serves, expected another group to be enabled first"
    );
}

/// A change that may fit the configuration or not.
fn any_change() -> impl Strategy<Value = (usize, usize, usize, usize, String)> {
    (0..20_usize, 0..4_usize, 0..4_usize, 0..5_usize, "[a-z0-9:. ,\"<&\n\u{fffe}é]{0,12}")
}

fn change_of(config: &Config, (kind, s, g, h, text): (usize, usize, usize, usize, String)) -> Change {
    let service = &config.services[s % config.services.len()];
    let group = service.groups.get(g % service.groups.len().max(1));
    let group_ref = GroupRef { service: service.name.clone(), group: group.map_or("x", |group| &group.name).into() };
    let host = group.and_then(|group| group.hosts.get(h)).map_or("nobody".to_owned(), |host| host.name.clone());
    let host = HostRef { service: service.name.clone(), group: Some(group_ref.group.clone()), host };
    let (service, listen) = (service.name.clone(), service.listens[h % service.listens.len()].address.to_string());
    let some = |name: &str| attributes(&[(name, text.as_str())]);
    match kind {
        0 => Change::AddService { service: text.clone(), listen: "*:21000".into(), attributes: Attributes::default() },
        1 => Change::SetService { service, attributes: some("name") },
        2 => Change::AddListener { service, listen: format!("*:{}", 20_000 + h), attributes: Attributes::default() },
        3 => Change::RemoveListener { service, listen },
        4 => Change::AddGroup { group: GroupRef { service, group: text.clone() }, attributes: Attributes::default() },
        5 => Change::SetGroup { group: group_ref, attributes: some("name") },
        6 => Change::RemoveGroup { group: group_ref },
        7 => Change::EnableGroup { group: group_ref },
        8 => Change::AddHost {
            group: group_ref,
            host: None,
            address: format!("10.9.9.{h}:22000"),
            attributes: some("weight"),
        },
        9 => Change::SetHost { host, attributes: some("name") },
        10 => Change::SetHost { host, attributes: some("ip") },
        11 => Change::RemoveHost { host },
        12 => Change::RemoveAllHosts { group: group_ref },
        13 => Change::RemoveService { service },
        14 => Change::SetListener { service, listen, attributes: attributes(&[("ip", &format!("*:{}", 20_005 + g))]) },
        15 => Change::AddUser { user: text.clone(), attributes: attributes(&[("password", &text)]) },
        16 => Change::SetUser { user: format!("{text}0"), attributes: some("name") },
        17 => Change::RemoveUser { user: text },
        18 => Change::SetLog { file: Some(text) },
        _ => Change::SetManager { attributes: some("rise") },
    }
}

proptest! {
    #[test]
    fn whatever_changes_leave_is_a_valid_file_or_lacks_hosts_only(
        config in arbitrary::config(),
        changes in prop::collection::vec(any_change(), 1..12),
    ) {
        let mut config = config;
        for change in changes {
            let before = config.clone();
            let change = change_of(&config, change);
            if apply(&mut config, &change).is_err() {
                prop_assert_eq!(&config, &before, "refused, and changed all the same: {:?}", change);
            }
            for service in &config.services {
                let serving = service.enabled.map(|at| &service.groups[at]);
                prop_assert!(serving.is_none_or(|group| !group.hosts.is_empty()), "{:?}", change);
            }
        }
        let is_whole = |config: &Config| config.services.iter().all(|service| {
            service.enabled.is_some() && service.groups.iter().all(|group| !group.hosts.is_empty())
        });
        if is_whole(&config) {
            prop_assert_eq!(parse(&write(&config), "f"), Ok(config));
        }
    }
}
