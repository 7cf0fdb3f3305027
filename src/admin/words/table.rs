//! Every command. The parser, `help`, completion, the messages about misspelt words and the manual are made from this
//! table, in this order.

use super::spec::{Arg, Flag, Kind, Known, Pairs, Spec, Value, Verb};

const HOST: Arg = Arg::One("HOST", Kind::Host);
const GROUP: Arg = Arg::One("SERVICE/GROUP", Kind::Group);
const SERVICE: Arg = Arg::One("SERVICE", Kind::Service);
const USER: Arg = Arg::One("USER", Kind::User);
const ADDRESS: Arg = Arg::One("ADDRESS", Kind::Text);
const OF_HOST: Arg = Arg::Pairs(Pairs::Element("host", &[]));
const OF_NEW_HOST: Arg = Arg::Pairs(Pairs::Element("host", &["ip"]));
const OF_GROUP: Arg = Arg::Pairs(Pairs::Element("group", &["enable"]));
const OF_NEW_GROUP: Arg = Arg::Pairs(Pairs::Element("group", &["enable", "name"]));
const OF_SERVICE: Arg = Arg::Pairs(Pairs::Element("service", &[]));
const OF_NEW_SERVICE: Arg = Arg::Pairs(Pairs::Element("service", &["name"]));
const OF_LISTENER: Arg = Arg::Pairs(Pairs::Element("listen", &[]));
const OF_NEW_LISTENER: Arg = Arg::Pairs(Pairs::Element("listen", &["ip"]));
const OF_GROUP_IF_ANY: Arg = Arg::Maybe("SERVICE/GROUP", Kind::Group);
const OF_USER: Arg = Arg::Pairs(Pairs::Element("user", &[]));
const OF_NEW_USER: Arg = Arg::Pairs(Pairs::Element("user", &["name"]));
const OF_SESSION: Arg = Arg::Pairs(Pairs::Of(&super::search::NAMES));
const OF_CLIENT: Arg = Arg::Pairs(Pairs::Of(&super::search::STICKY_NAMES));
const OF_MANAGER: Arg =
    Arg::Pairs(Pairs::Of(&["rise", "fall", "checktime", "host-check", "heartbeat", "config-check"]));
const FILE: Arg = Arg::One("FILE", Kind::File);

const CONFIRM: Flag =
    Flag { name: "confirm", value: Value::Must("T"), help: "go back after T unless \"config confirm\" comes before" };
const FORMS: &[Flag] = &[
    Flag { name: "commands", value: Value::None, help: "as commands, for \"batch\"" },
    Flag { name: "api", value: Value::May("pydir"), help: "as calls of the web API; pydir: as PythonDirector's" },
];

const fn look(name: &'static str, args: &'static [Arg], verb: Verb, help: &'static str) -> Spec {
    Spec { name, args, flags: &[], help, more: "", is_change: false, known: Known::Everywhere, verb }
}

const fn change(name: &'static str, args: &'static [Arg], verb: Verb, help: &'static str) -> Spec {
    Spec { is_change: true, ..look(name, args, verb, help) }
}

const fn only(name: &'static str, args: &'static [Arg], verb: Verb, known: Known, help: &'static str) -> Spec {
    Spec { known, ..look(name, args, verb, help) }
}

impl Spec {
    const fn more(self, more: &'static str) -> Self {
        Self { more, ..self }
    }

    const fn flags(self, flags: &'static [Flag]) -> Self {
        Self { flags, ..self }
    }
}

/// Sections of help and manual, with their commands.
pub static SECTIONS: [(&str, &[Spec]); 7] = [
    ("Look", LOOK),
    ("Hosts", HOSTS),
    ("Services, groups, listeners", SERVICES),
    ("Configuration", CONFIGURATION),
    ("Administrators", USERS),
    ("The process", PROCESS),
    ("For programs", PROGRAMS),
];

const LOOK: &[Spec] = &[
    look("status", &[], Verb::Status, "everything that is balanced, and how it is"),
    look("hosts", &[Arg::Maybe("SERVICE", Kind::Service)], Verb::Hosts, "the hosts, a line each"),
    only("top", &[], Verb::Top, Known::Client, "hosts and their traffic, live")
        .flags(&[Flag { name: "once", value: Value::None, help: "one picture as text, then end" }])
        .more("Keys: q ends, s sorts by the next column, r turns the order, / filters, arrows scroll."),
    look("sessions", &[OF_SESSION], Verb::Sessions, "the connections that are open").more(
        "client=ADDRESS or ADDRESS:PORT, host=HOST, service=SERVICE, local=ADDRESS:PORT (ours, towards the host), \
         limit=N (100).",
    ),
    look("whois", &[Arg::One("ADDRESS:PORT", Kind::Text)], Verb::Whois, "the client behind a connection to a host")
        .more("ADDRESS:PORT is what the host sees as its client. The answer is the client's address and port."),
    look("sticky list", &[OF_GROUP_IF_ANY, OF_CLIENT], Verb::StickyList, "the clients that tables remember")
        .more("client=ADDRESS, host=HOST, service=SERVICE, group=GROUP, limit=N (100). See sticky in the file."),
    look("events", &[Arg::Pairs(Pairs::Of(&["after"]))], Verb::Events, "what happened, the latest last")
        .flags(&[Flag { name: "follow", value: Value::None, help: "go on with what happens from now on" }])
        .more("after=N: only what came after the event with this number."),
];

const HOSTS: &[Spec] = &[
    change("add", &[GROUP, ADDRESS, OF_NEW_HOST], Verb::Add, "add a host to a group"),
    change("del", &[HOST], Verb::Del, "take a host away; its connections go on"),
    change("weight", &[HOST, Arg::One("N", Kind::Text)], Verb::Weight, "a host's share; 0 gives it no new connections"),
    change("max", &[HOST, Arg::One("N", Kind::Text)], Verb::Max, "most open connections of a host; none: no limit"),
    change("set", &[HOST, OF_HOST], Verb::Set, "other attributes of a host, as in the file")
        .more("NAME= with nothing after it takes the attribute away, so that its default holds."),
    change("drain", &[HOST], Verb::Drain, "give a host no new connections, and wait for those it has")
        .flags(&[
            Flag { name: "deadline", value: Value::Must("T"), help: "wait no longer than this" },
            Flag { name: "kill", value: Value::None, help: "cut what is left then; at once without a deadline" },
            Flag { name: "no-wait", value: Value::None, help: "do not wait" },
        ])
        .more("Ends with 0 when none is left, with 1 when the deadline comes first. Ctrl-C only ends the waiting."),
    change("up", &[HOST], Verb::Up, "let a host serve that was drained or put down"),
    change("down", &[HOST], Verb::Down, "take a host out of service, without probes; its connections go on"),
    change("retry", &[HOST], Verb::Retry, "take a failed host back now, without a probe"),
    change("blacklist", &[HOST, Arg::Maybe("T", Kind::Text)], Verb::Blacklist, "give a host no new connections for T")
        .more("Without T for 30 s; 0 ends it, and so does \"retry\". Connections go on. The time ends by itself."),
    change("sticky clear", &[OF_GROUP_IF_ANY, OF_CLIENT], Verb::StickyClear, "forget clients that tables remember")
        .flags(&[Flag { name: "all", value: Value::None, help: "all of all tables" }])
        .more("As in \"sticky list\". The scheduler chooses for them anew; their connections go on."),
    change("kill", &[Arg::Rest("SESSION|client=…|host=…|service=…|local=")], Verb::Kill, "cut connections")
        .more("SESSION is a name from \"sessions\"; otherwise all that match are cut. Both sides see a reset."),
];

const SERVICES: &[Spec] = &[
    change("enable", &[GROUP], Verb::Enable, "let this group serve"),
    change(
        "scheduler",
        &[GROUP, Arg::One("NAME", Kind::Scheduler)],
        Verb::Scheduler,
        "how a group chooses a host for the next client",
    ),
    change(
        "service add",
        &[Arg::One("SERVICE", Kind::Text), ADDRESS, OF_NEW_SERVICE],
        Verb::ServiceAdd,
        "a new service, listening on ADDRESS once it has a host",
    ),
    change("service set", &[SERVICE, OF_SERVICE], Verb::ServiceSet, "other attributes of a service"),
    change("service del", &[SERVICE], Verb::ServiceDel, "take a service away; its connections go on"),
    change("group add", &[Arg::One("SERVICE/GROUP", Kind::Service), OF_NEW_GROUP], Verb::GroupAdd, "a new group"),
    change("group set", &[GROUP, OF_GROUP], Verb::GroupSet, "other attributes of a group"),
    change("group del", &[GROUP], Verb::GroupDel, "take a group away that does not serve"),
    change("group clear", &[GROUP], Verb::GroupClear, "take all hosts of a group away that does not serve"),
    change("listen add", &[SERVICE, ADDRESS, OF_NEW_LISTENER], Verb::ListenAdd, "listen on one more address"),
    change("listen set", &[SERVICE, ADDRESS, OF_LISTENER], Verb::ListenSet, "other attributes of a listener"),
    change("listen del", &[SERVICE, ADDRESS], Verb::ListenDel, "close a listener; its connections go on"),
    change("manager set", &[OF_MANAGER], Verb::ManagerSet, "how failed hosts are found and taken back"),
    change("batch", &[], Verb::Batch, "several changes from standard input, all or nothing")
        .more("A command a line; lines that are empty or start with # are skipped."),
];

const CONFIGURATION: &[Spec] = &[
    look(
        "config show",
        &[Arg::Maybe("running|loaded|file", Kind::Of(&["running", "loaded", "file"]))],
        Verb::ConfigShow,
        "a configuration as a file",
    ),
    look("config diff", &[Arg::Maybe("FILE", Kind::File)], Verb::ConfigDiff, "what differs from what runs")
        .flags(FORMS)
        .more("Without FILE, with the configuration file as it is now: what a reload would do."),
    change("config save", &[], Verb::ConfigSave, "write what runs to the configuration file").flags(&[Flag {
        name: "overwrite",
        value: Value::None,
        help: "also if somebody else has changed the file",
    }]),
    change("config reload", &[], Verb::ConfigReload, "read the configuration file again").flags(&[CONFIRM]),
    change("config load", &[FILE], Verb::ConfigLoad, "run this configuration instead").flags(&[CONFIRM]),
    change("config confirm", &[], Verb::ConfigConfirm, "keep what was loaded with --confirm"),
    change("config goback", &[], Verb::ConfigGoback, "go back at once to what was before"),
];

const USERS: &[Spec] = &[
    look("user list", &[], Verb::UserList, "administrators and what they may do"),
    change("user add", &[Arg::One("USER", Kind::Text), OF_NEW_USER], Verb::UserAdd, "a new administrator").more(
        "access=full or readonly (the default), key='ssh-ed25519 AAAA…' for SSH. Without a key, the password is asked \
         for and sent as an Argon2id hash. Standard input that is no terminal gives it as one line.",
    ),
    change("user set", &[USER, OF_USER], Verb::UserSet, "other attributes of an administrator").flags(&[Flag {
        name: "password",
        value: Value::None,
        help: "ask for another password",
    }]),
    change("user del", &[USER], Verb::UserDel, "take an administrator away"),
];

const PROCESS: &[Spec] = &[
    change(
        "log level",
        &[Arg::One("LEVEL", Kind::Of(&["error", "warn", "info", "debug", "trace"]))],
        Verb::LogLevel,
        "log what is this bad or worse",
    ),
    change("log file", &[Arg::Maybe("PATH", Kind::Text)], Verb::LogFile, "log there; without PATH, to standard error"),
    change("log reopen", &[], Verb::LogReopen, "open the log file anew, because it was renamed"),
    change("log counters", &[], Verb::LogCounters, "log every counter"),
    change("log loops", &[], Verb::LogLoops, "log what the reactors' loops did"),
    change("shutdown", &[], Verb::Shutdown, "accept nobody, let connections finish, then end").flags(&[Flag {
        name: "wait",
        value: Value::Must("T"),
        help: "give connections this long",
    }]),
    look("help", &[Arg::Rest("COMMAND")], Verb::Help, "the commands, or more about one"),
    only("prompt", &[], Verb::Prompt, Known::Client, "ask for commands, with history and completion"),
    only(
        "completion",
        &[Arg::One("bash|zsh|fish", Kind::Of(&["bash", "zsh", "fish"]))],
        Verb::Completion,
        Known::Client,
        "print a script that completes command lines",
    ),
    only("man", &[], Verb::Man, Known::Client, "print the manual, for man -l or groff"),
];

const PROGRAMS: &[Spec] = &[
    only("json", &[], Verb::Json, Known::Wire, "answer with one JSON document a line from now on"),
    only("text", &[], Verb::Text, Known::Wire, "answer in text from now on"),
    only("colour", &[], Verb::Colour, Known::Wire, "answer in text with colours from now on"),
    only("as", &[Arg::One("USER", Kind::User)], Verb::As, Known::Wire, "speak for this administrator from now on")
        .more("He is named as the origin, and what he may do is done. For root and the balancer's own user, once."),
    only("quit", &[], Verb::Quit, Known::Wire, "end"),
    only("complete", &[Arg::Rest("WORD")], Verb::Complete, Known::Hidden, "print what the last word may become"),
];

/// Every command.
pub fn all() -> impl Iterator<Item = &'static Spec> {
    SECTIONS.iter().flat_map(|(_, specs)| specs.iter())
}

/// The command that these words begin with, and how many of them are its name.
#[must_use]
pub fn find(words: &[String]) -> Option<(&'static Spec, usize)> {
    let named = |name: &str| all().find(|spec| spec.name == name);
    let [first, rest @ ..] = words else { return None };
    let two = rest.first().and_then(|second| named(&format!("{first} {second}"))).map(|spec| (spec, 2));
    two.or_else(|| named(first).map(|spec| (spec, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_names_of_their_own_and_help_that_fits() {
        let names: Vec<&str> = all().map(|spec| spec.name).collect();
        for (at, spec) in all().enumerate() {
            assert_eq!(names.iter().position(|name| *name == spec.name), Some(at), "{}", spec.name);
            assert!(spec.help.len() <= 120 && !spec.help.ends_with('.'), "{}", spec.name);
            for arg in spec.args {
                let Arg::Pairs(pairs) = arg else { continue };
                assert!(!pairs.names().is_empty(), "{}", spec.name);
            }
        }
    }

    #[test]
    fn optional_arguments_come_last() {
        for spec in all() {
            let is_free = |arg: &Arg| !matches!(arg, Arg::One(..));
            assert!(spec.args.iter().skip_while(|arg| !is_free(arg)).all(is_free), "{}", spec.name);
        }
    }

    #[test]
    fn longest_name_is_found() {
        let found =
            |line: &str| find(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).map(|(s, n)| (s.name, n));
        assert_eq!(found("config show running"), Some(("config show", 2)));
        assert_eq!(found("drain a"), Some(("drain", 1)));
        assert_eq!(found("config"), None);
        assert_eq!(find(&[]).map(|(_, n)| n), None);
    }
}
