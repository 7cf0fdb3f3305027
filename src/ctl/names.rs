//! The names of what runs, for completion.

use std::fs;

use serde_json::Value;

use super::link::{Failure, Link};
use super::options::Options;
use crate::admin::words::complete::{self, Names, Next};

/// The names in a status document.
pub(super) fn of(status: &Value) -> Names {
    let mut names = Names::default();
    let text = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    for service in list(status, "services") {
        let service_name = text(&service);
        for group in list(&service, "groups") {
            let group_name = text(&group);
            for host in list(&group, "hosts") {
                let place = (service_name.clone(), group_name.clone(), text(&host));
                // A name with several addresses is one host.
                if names.hosts.last() != Some(&place) {
                    names.hosts.push(place);
                }
            }
            names.groups.push((service_name.clone(), group_name));
        }
        names.services.push(service_name);
    }
    names.users = list(status, "users").iter().map(text).collect();
    names
}

/// Asks for them.
///
/// # Errors
/// The balancer cannot be reached.
pub(super) fn ask(link: &mut Link) -> Result<Names, Failure> {
    let mut names = link.ask_json("status").map(|status| of(&status))?;
    let lists = link.ask_json("acl list")?;
    let lists = lists["acls"].as_array().into_iter().flatten();
    names.acls = lists.filter_map(|list| list["name"].as_str().map(str::to_owned)).collect();
    Ok(names)
}

/// What the last of these words may become, a line each with what it is behind a tab. They are a whole command line
/// behind the program's name: options come first.
pub(super) fn complete(options: &Options, words: &[String]) -> String {
    let (options, words) = skip_options(options.clone(), words);
    let names = Link::open(&Options { json: true, ..options }).and_then(|mut link| ask(&mut link)).unwrap_or_default();
    match complete::complete(words, &names, true) {
        Next::Words(found) => {
            found.iter().map(|candidate| format!("{}\t{}\n", candidate.word, candidate.what)).collect()
        }
        Next::File => files(words.last().map_or("", String::as_str)),
    }
}

/// The command's words, and the options with the socket that was said before them.
fn skip_options(mut options: Options, words: &[String]) -> (Options, &[String]) {
    let mut rest = words;
    loop {
        rest = match rest {
            [flag, socket, more @ ..] if !more.is_empty() && (flag == "-s" || flag == "--socket") => {
                options.socket = socket.into();
                more
            }
            [flag, _, more @ ..] if !more.is_empty() && (flag == "--color" || flag == "--as") => more,
            [flag, more @ ..] if !more.is_empty() && flag.starts_with('-') => more,
            _ => return (options, rest),
        };
    }
}

/// Files whose path begins like this, a line each.
fn files(start: &str) -> String {
    let (directory, name) =
        start.rsplit_once('/').map_or(("", start), |(before, name)| (&start[..=before.len()], name));
    let Ok(entries) = fs::read_dir(if directory.is_empty() { "." } else { directory }) else { return String::new() };
    let mut found: Vec<String> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let own = entry.file_name().into_string().ok()?;
            let is_hidden = own.starts_with('.') && !name.starts_with('.');
            let end = if entry.path().is_dir() { "/" } else { "" };
            (own.starts_with(name) && !is_hidden).then(|| format!("{directory}{own}{end}\tfile\n"))
        })
        .collect();
    found.sort();
    found.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_found_in_a_status() {
        let status = json!({
            "services": [{"name": "s", "groups": [{"name": "g", "hosts": [{"name": "a"}, {"name": "a"}, {"name": "b"}]}]}],
            "users": [{"name": "u"}],
        });
        let names = of(&status);
        assert_eq!((names.services, names.users), (vec!["s".to_owned()], vec!["u".to_owned()]));
        assert_eq!(names.hosts.len(), 2);
        assert_eq!(of(&Value::Null), Names::default());
    }
}
