//! What the word at the cursor may become.

use super::spec::{Arg, Kind, Known, Pairs, Spec, Value};
use super::{place, table};
use crate::model::scheduler::SchedulerKind;

/// The names that are known of a running balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Services.
    pub services: Vec<String>,
    /// Groups: service and name.
    pub groups: Vec<(String, String)>,
    /// Hosts: service, group and name.
    pub hosts: Vec<(String, String, String)>,
    /// Administrators.
    pub users: Vec<String>,
}

/// A word, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The whole word, unquoted. It goes on when it ends in `=`.
    pub word: String,
    /// In words; may be empty.
    pub what: String,
}

/// What may come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// One of these.
    Words(Vec<Candidate>),
    /// A file.
    File,
}

/// What the last of these words may become; the others are whole. `client` tells whether commands of `directorctl` count.
#[must_use]
pub fn complete(words: &[String], names: &Names, client: bool) -> Next {
    let Some((last, before)) = words.split_last() else { return Next::Words(commands("", &[], client)) };
    let Some((spec, count)) = table::find(before) else { return Next::Words(commands(last, before, client)) };
    // "config" alone is no command, but "log" could be both: what follows the first word may also be its second.
    let mut found = commands(last, before, client);
    if last.starts_with("--") {
        found.extend(flags(spec, last));
        return Next::Words(found);
    }
    if let Some(flag) = before.last().and_then(|word| flag_with_value(spec, word)) {
        return Next::Words(if flag.starts_with(last.as_str()) { Vec::new() } else { found });
    }
    let position = positions(spec, &before[count..]);
    match arg_at(spec, position) {
        Some(Arg::One(_, Kind::File) | Arg::Maybe(_, Kind::File)) => return Next::File,
        Some(Arg::One(_, kind) | Arg::Maybe(_, kind)) => found.extend(words_of(kind, names, client)),
        Some(Arg::Pairs(pairs)) => found.extend(pairs_of(pairs, last, names)),
        Some(Arg::Rest("COMMAND")) => found.extend(words_of(Kind::Command, names, client)),
        Some(Arg::Rest(_)) if spec.name == "kill" => {
            found.extend(pairs_of(Pairs::Of(&["client", "host", "service", "local"]), last, names));
        }
        Some(Arg::Rest(_)) | None => {}
    }
    found.retain(|candidate| candidate.word.starts_with(last.as_str()));
    Next::Words(found)
}

fn candidate(word: impl Into<String>, what: impl Into<String>) -> Candidate {
    Candidate { word: word.into(), what: what.into() }
}

fn is_offered(spec: &Spec, client: bool) -> bool {
    match spec.known {
        Known::Everywhere => true,
        Known::Client => client,
        Known::Wire => !client,
        Known::Hidden => false,
    }
}

/// The first or second words of commands that begin like this.
fn commands(start: &str, before: &[String], client: bool) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for spec in table::all().filter(|spec| is_offered(spec, client)) {
        let next = match (before, spec.name.split_once(' ')) {
            ([], None) => candidate(spec.name, spec.help),
            ([], Some((first, _))) => candidate(first, ""),
            ([first], Some((own, second))) if own == first => candidate(second, spec.help),
            _ => continue,
        };
        if next.word.starts_with(start) && found.iter().all(|known| known.word != next.word) {
            found.push(next);
        }
    }
    found
}

fn flags(spec: &Spec, start: &str) -> Vec<Candidate> {
    let words = spec.flags.iter().map(|flag| candidate(format!("--{}", flag.name), flag.help));
    words.filter(|candidate| candidate.word.starts_with(start)).collect()
}

/// The name of the flag that this word is, if its value is the next word.
fn flag_with_value(spec: &Spec, word: &str) -> Option<&'static str> {
    let name = word.strip_prefix("--")?;
    let flag = spec.flags.iter().find(|flag| flag.name == name)?;
    matches!(flag.value, Value::Must(_)).then_some(flag.name)
}

/// How many arguments come before, flags left out.
fn positions(spec: &Spec, before: &[String]) -> usize {
    let mut count = 0;
    let mut words = before.iter();
    while let Some(word) = words.next() {
        if flag_with_value(spec, word).is_some() {
            words.next();
        } else if !word.starts_with("--") {
            count += 1;
        }
    }
    count
}

fn arg_at(spec: &Spec, position: usize) -> Option<Arg> {
    let last = spec.args.last().copied().filter(|arg| matches!(arg, Arg::Pairs(_) | Arg::Rest(_)));
    spec.args.get(position).copied().or(last)
}

fn words_of(kind: Kind, names: &Names, client: bool) -> Vec<Candidate> {
    match kind {
        Kind::Host => names.hosts.iter().map(|(s, g, h)| candidate(place::full(s, g, h), "host")).collect(),
        Kind::Group => names.groups.iter().map(|(s, g)| candidate(place::full2(s, g), "group")).collect(),
        Kind::Service => names.services.iter().map(|name| candidate(name.clone(), "service")).collect(),
        Kind::User => names.users.iter().map(|name| candidate(name.clone(), "administrator")).collect(),
        Kind::Of(words) => words.iter().map(|word| candidate(*word, "")).collect(),
        Kind::Scheduler => SchedulerKind::ALL.map(|kind| candidate(kind.name(), "scheduler")).to_vec(),
        Kind::Command => commands("", &[], client),
        Kind::File | Kind::Text => Vec::new(),
    }
}

/// Names with their `=`, or the texts of the one that is there already.
fn pairs_of(pairs: Pairs, last: &str, names: &Names) -> Vec<Candidate> {
    let Some((name, _)) = last.split_once('=') else {
        return pairs.names().into_iter().map(|name| candidate(format!("{name}="), "")).collect();
    };
    let kind = match name {
        "host" => Kind::Host,
        "service" => Kind::Service,
        "scheduler" => Kind::Scheduler,
        "state" => Kind::Of(&["up", "drain", "down"]),
        "access" => Kind::Of(&["full", "readonly"]),
        "fastopen" | "quick-ack" | "stubborn" | "fail-back" | "emergency" | "abuse" => Kind::Of(&["true", "false"]),
        "sticky" => Kind::Of(&["off", "table", "hash"]),
        _ => return Vec::new(),
    };
    let texts = words_of(kind, names, false).into_iter();
    texts.map(|text| candidate(format!("{name}={}", text.word), text.what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &[&str]) -> Vec<String> {
        let names = Names {
            services: vec!["web".into(), "mail".into()],
            groups: vec![("web".into(), "blue".into()), ("mail".into(), "g".into())],
            hosts: vec![("web".into(), "blue".into(), "a/b".into()), ("mail".into(), "g".into(), "m".into())],
            users: vec!["ann".into()],
        };
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match complete(&words, &names, true) {
            Next::Words(found) => found.into_iter().map(|candidate| candidate.word).collect(),
            Next::File => vec!["(file)".into()],
        }
    }

    #[test]
    fn commands_are_completed_word_by_word() {
        assert_eq!(found(&["dr"]), ["drain"]);
        assert_eq!(found(&["con"]), ["config"]);
        assert_eq!(found(&["config", "g"]), ["goback"]);
        assert_eq!(found(&["js"]), Vec::<String>::new(), "the wire's");
        assert!(found(&[""]).len() > 20);
    }

    #[test]
    fn names_and_values_are_completed_where_they_belong() {
        assert_eq!(found(&["drain", "w"]), [r"web/blue/a\/b"]);
        assert_eq!(found(&["drain", "--deadline", "5s", "mail"]), ["mail/g/m"]);
        assert_eq!(found(&["enable", ""]), ["web/blue", "mail/g"]);
        assert_eq!(found(&["scheduler", "web/blue", "p"]), ["p2c"]);
        assert_eq!(found(&["set", "x", "sta"]), ["state="]);
        assert_eq!(found(&["set", "x", "weight=1", "state=d"]), ["state=drain", "state=down"]);
        assert_eq!(found(&["kill", "host=mail"]), ["host=mail/g/m"]);
        assert_eq!(found(&["drain", "x", "--de"]), ["--deadline"]);
        assert_eq!(found(&["config", "load", ""]), ["(file)"]);
        assert_eq!(found(&["user", "del", "a"]), ["ann"]);
        assert_eq!(found(&["config", "show", "l"]), ["loaded"]);
    }
}
