//! Lines and commands, both ways.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::model::change::{Attributes, Change, GroupRef};
use crate::model::command::{SessionSearch, Source, Target};
use crate::model::session::SessionName;
use crate::model::sticky::StickySearch;

fn does(line: &str) -> Does {
    parse(line).unwrap_or_else(|misuse| panic!("{line}: {misuse}")).does
}

fn misuse(line: &str) -> String {
    parse(line).map(|ask| panic!("{line}: {ask:?}")).unwrap_or_else(|misuse| misuse.0)
}

fn only_change(line: &str) -> Change {
    match does(line) {
        Does::Command(Command::Change(mut changes), View::Plain) if changes.len() == 1 => changes.remove(0),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn shorthands_are_the_changes_they_stand_for() {
    let host = || HostRef { service: "web".into(), group: Some("blue".into()), host: "a b".into() };
    let set =
        |pairs: &[(&str, &str)]| Change::SetHost { host: host(), attributes: Attributes::new(pairs.iter().copied()) };
    assert_eq!(only_change("weight 'web/blue/a b' 3"), set(&[("weight", "3")]));
    assert_eq!(only_change("max 'web/blue/a b' none"), set(&[("max", "")]));
    assert_eq!(only_change("up web/blue/a\\ b"), set(&[("state", "up")]));
    assert_eq!(only_change("down \"web/blue/a b\""), set(&[("state", "down")]));
    let add = only_change("add web/blue 10.0.0.1:80 name=c weight=2");
    let attributes = Attributes::new([("weight", "2")]);
    let group = GroupRef { service: "web".into(), group: "blue".into() };
    assert_eq!(add, Change::AddHost { group, host: Some("c".into()), address: "10.0.0.1:80".into(), attributes });
    let waits = Wait { deadline: Some(Duration::from_secs(300)), kill: true };
    assert_eq!(does("drain --kill 'web/blue/a b' --deadline=5m"), Does::Drain { host: host(), wait: Some(waits) });
    assert_eq!(does("drain --no-wait 'web/blue/a b'"), Does::Drain { host: host(), wait: None });
}

#[test]
fn remembered_clients_and_blacklists_have_words() {
    let of_group = StickySearch { service: Some("web".into()), group: Some("blue".into()), ..StickySearch::default() };
    let plain = |command| Does::Command(command, View::Plain);
    assert_eq!(does("sticky list"), plain(Command::Sticky(StickySearch::default())));
    assert_eq!(does("sticky list web/blue"), plain(Command::Sticky(of_group.clone())));
    let client = StickySearch { client: Some("::1".into()), ..of_group };
    assert_eq!(does("sticky clear web/blue client=::1"), plain(Command::Forget(client)));
    assert_eq!(does("sticky clear --all"), plain(Command::Forget(StickySearch::default())));
    let host = || HostRef { service: String::new(), group: None, host: "a".into() };
    let blacklist = |secs| plain(Command::Blacklist { host: host(), time: Duration::from_secs(secs) });
    assert_eq!((does("blacklist a 2m"), does("blacklist a 0")), (blacklist(120), blacklist(0)));
    assert_eq!(does("blacklist a"), blacklist(30));
    let group = GroupRef { service: "web".into(), group: "blue".into() };
    let attributes = Attributes::new([("scheduler", "leastconns,sticky")]);
    assert_eq!(only_change("scheduler web/blue leastconns,sticky"), Change::SetGroup { group, attributes });
}

#[test]
fn misuse_says_what_was_meant() {
    assert_eq!(misuse("wieght a 3"), "unknown command \"wieght\"; did you mean weight?");
    assert_eq!(
        misuse("service ad x"),
        "unknown command service \"ad\", expected one of add, set, del; did you mean service add?"
    );
    assert_eq!(misuse("user"), "user what? expected one of list, add, set, del");
    assert_eq!(misuse("drain a --dedline 5s"), "drain: unknown flag --dedline; did you mean --deadline?");
    assert_eq!(misuse("weight a"), "weight: N is missing; usage: weight HOST N");
    assert_eq!(misuse("up a b"), "up: \"b\" is too much; usage: up HOST");
    assert_eq!(misuse("set a weight"), "set: \"weight\" is no attribute, expected NAME=TEXT");
    assert!(misuse("scheduler web/blue leastcons").ends_with("did you mean leastconns?"));
    assert!(misuse("sessions cleint=::1").ends_with("did you mean client=…?"));
    assert!(misuse("kill").contains("expected a session such as 0-17-9234"));
    assert!(misuse("").contains("try help"));
    assert!(misuse("sticky clear").contains("or --all"));
    assert!(misuse("sticky clear --all client=::1").contains("one or the other"));
    assert!(misuse("sticky list web/blue group=green").contains("one or the other"));
    assert!(misuse("sticky list cleint=::1").ends_with("did you mean client=…?"));
    assert!(misuse("blacklist a soon").contains("expected a whole number"));
    assert!(misuse("config diff --api=old").contains("--api=pydir"));
    assert!(misuse("drain a --deadline soon").contains("expected a whole number"));
}

#[test]
fn question_of_txloadbalancer_is_an_address_and_a_port() {
    let search = SessionSearch { local: Some("127.0.0.1:4711".into()), limit: 1, ..SessionSearch::default() };
    let expected = Does::Command(Command::Sessions(search), View::Client);
    assert_eq!(bare_question("127.0.0.1 4711"), Some(expected.clone()));
    assert_eq!(does("whois 127.0.0.1:4711"), expected);
    for line in ["127.0.0.1", "127.0.0.1 a", "localhost 80", "127.0.0.1 70000"] {
        assert_eq!(bare_question(line), None, "{line}");
    }
}

#[test]
fn password_is_asked_for_where_there_is_none() {
    assert!(matches!(does("user add ann access=full"), Does::WithPassword(_)));
    assert!(matches!(does("user set ann --password"), Does::WithPassword(_)));
    assert!(matches!(does("user add ann password=x"), Does::Command(..)));
}

/// The text behind its percent-encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let pair = [rest.next(), rest.next()].map(|digit| char::from(digit.unwrap()).to_digit(16).unwrap());
            u8::try_from(pair[0] * 16 + pair[1]).unwrap()
        } else {
            byte
        });
    }
    String::from_utf8(bytes).unwrap()
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9.-]{1,8}", "\\PC{1,12}"]
        .prop_filter("control characters", |text| !text.chars().any(char::is_control))
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let text = "\\PC{0,12}".prop_filter("control characters", |text| !text.chars().any(char::is_control));
    vec(("[a-mo-z][a-z-]{0,9}", text), 1..4).prop_map(Attributes)
}

fn group() -> impl Strategy<Value = GroupRef> {
    (name(), name()).prop_map(|(service, group)| GroupRef { service, group })
}

fn host() -> impl Strategy<Value = HostRef> {
    (name(), of(name()), name()).prop_map(|(service, group, host)| HostRef { service, group, host })
}

fn change() -> impl Strategy<Value = Change> {
    let address = "[0-9a-f.:*]{1,12}";
    prop_oneof![
        (name(), address, attributes()).prop_map(|(service, listen, attributes)| Change::AddService {
            service,
            listen,
            attributes
        }),
        (name(), attributes()).prop_map(|(service, attributes)| Change::SetService { service, attributes }),
        name().prop_map(|service| Change::RemoveService { service }),
        (name(), address, attributes()).prop_map(|(service, listen, attributes)| Change::AddListener {
            service,
            listen,
            attributes
        }),
        (name(), address, attributes()).prop_map(|(service, listen, attributes)| Change::SetListener {
            service,
            listen,
            attributes
        }),
        (name(), address).prop_map(|(service, listen)| Change::RemoveListener { service, listen }),
        (group(), attributes()).prop_map(|(group, attributes)| Change::AddGroup { group, attributes }),
        (group(), attributes()).prop_map(|(group, attributes)| Change::SetGroup { group, attributes }),
        group().prop_map(|group| Change::RemoveGroup { group }),
        group().prop_map(|group| Change::EnableGroup { group }),
        (group(), of(name()), address, attributes()).prop_map(|(group, host, address, attributes)| Change::AddHost {
            group,
            host,
            address,
            attributes
        }),
        (host(), attributes()).prop_map(|(host, attributes)| Change::SetHost { host, attributes }),
        host().prop_map(|host| Change::RemoveHost { host }),
        group().prop_map(|group| Change::RemoveAllHosts { group }),
        (name(), name())
            .prop_map(|(user, hash)| Change::AddUser { user, attributes: Attributes::new([("password", hash)]) }),
        (name(), attributes()).prop_map(|(user, attributes)| Change::SetUser { user, attributes }),
        name().prop_map(|user| Change::RemoveUser { user }),
        attributes().prop_map(|attributes| Change::SetManager { attributes }),
        of(name()).prop_map(|file| Change::SetLog { file }),
    ]
}

fn session_search() -> impl Strategy<Value = SessionSearch> {
    (of(name()), of(host()), of(name()), of(name())).prop_map(|(client, host, service, local)| SessionSearch {
        client,
        host,
        service,
        local,
        limit: 0,
    })
}

fn sticky_search() -> impl Strategy<Value = StickySearch> {
    (of(name()), of(name()), of(name()), of(host())).prop_map(|(service, group, client, host)| StickySearch {
        service,
        group,
        client,
        host,
        limit: 0,
    })
}

fn command() -> impl Strategy<Value = Command> {
    let confirm = || of((1..10_000_000_u64).prop_map(Duration::from_millis));
    let session = (any::<u16>(), any::<u32>(), any::<u32>());
    let one = session.prop_map(|(reactor, slot, generation)| SessionName { reactor, slot, generation });
    let all = session_search().prop_filter("empty", |search| *search != SessionSearch::default());
    prop_oneof![
        10 => change().prop_map(|change| Command::Change(vec![change])),
        1 => confirm().prop_map(|confirm| Command::Reload { confirm }),
        1 => select(vec![Command::Confirm, Command::GoBack, Command::Snapshot, Command::ReopenLog, Command::LogCounters,
            Command::LogLoops, Command::Diff { from: Source::Running, to: Source::File }]),
        1 => confirm().prop_map(|wait| Command::Shutdown { wait }),
        1 => any::<bool>().prop_map(|overwrite| Command::Save { overwrite }),
        1 => host().prop_map(Command::Retry),
        1 => select(vec![Source::Running, Source::Loaded, Source::File]).prop_map(Command::Config),
        1 => (session_search(), 0..9_usize).prop_map(|(search, limit)| Command::Sessions(SessionSearch { limit, ..search })),
        1 => one.prop_map(|name| Command::Kill(Target::One(name))),
        1 => all.prop_map(|search| Command::Kill(Target::All(search))),
        1 => (sticky_search(), 0..9_usize).prop_map(|(search, limit)| Command::Sticky(StickySearch { limit, ..search })),
        1 => sticky_search().prop_map(Command::Forget),
        1 => (host(), 0..10_000_000_u64)
            .prop_map(|(host, millis)| Command::Blacklist { host, time: Duration::from_millis(millis) }),
        1 => any::<u64>().prop_map(|after| Command::Events { after }),
        1 => name().prop_map(Command::LogLevel),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn command_reads_as_it_was_written(command in command()) {
        let line = to_line(&command).unwrap();
        let read = parse(&line).map(|ask| ask.does);
        prop_assert!(matches!(&read, Ok(Does::Command(read, _)) if *read == command), "{line}: {read:?}");
    }

    #[test]
    fn change_has_a_route_of_the_api(change in change()) {
        use crate::admin::api::{Found, find};
        use crate::admin::http::Method;
        let show::diff::Call { method, path, body } = show::diff::call(&change);
        let method = match method {
            "POST" => Method::Post,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            other => panic!("{other}"),
        };
        let segments: Vec<String> = path[1..].split('/').map(decoded).collect();
        prop_assert!(matches!(find(method, &segments), Found::Route(..)), "{path}");
        prop_assert!(body.is_some() || matches!(method, Method::Delete));
    }

    #[test]
    fn any_line_is_understood_or_refused(line in "\\PC{0,60}") {
        let _ = parse(&line);
    }

    #[test]
    fn any_words_after_a_command_are_understood_or_refused(at in any::<prop::sample::Index>(), rest in "\\PC{0,40}") {
        let names: Vec<&str> = table::all().map(|spec| spec.name).collect();
        let _ = parse(&format!("{} {rest}", at.get(&names)));
    }
}
