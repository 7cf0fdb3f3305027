//! Options, the listener and the servers.

use getopts::{Fail, Matches, Options};

use super::servers::Server;
use super::{Pen, address, commands, words};

/// Options that take a value, and options that take none.
const VALUED: &str = "bBcCeEKGAFijlLmoOpqStTuwx";
const BARE: &str = "adDfhHnNPQrRsUWXZ";

/// Reads the line, in the order in which pen does: options, the files, then listener and servers.
pub(super) fn read(pen: &mut Pen, line: &str) {
    let Some(mut words) = shlex::split(line) else {
        return pen.refuse("the line", "a quote or a backslash at its end is not closed, expected one more");
    };
    let is_program = |word: &String| word == "pen" || word.ends_with("/pen");
    if words.first().is_some_and(is_program) {
        words.remove(0);
    }
    let mut parser = Options::new();
    for short in VALUED.chars() {
        parser.optmulti(&short.to_string(), "", "", "");
    }
    for short in BARE.chars() {
        parser.optflagmulti(&short.to_string(), "", "");
    }
    match parser.parse(&words) {
        Ok(matches) => given(pen, &matches),
        Err(fail) => refuse(pen, &fail),
    }
}

fn refuse(pen: &mut Pen, fail: &Fail) {
    if let Fail::ArgumentMissing(name) = fail {
        return pen.refuse(&format!("-{name}"), "the value is missing, expected one behind it");
    }
    if let Fail::UnrecognizedOption(name) = fail {
        let dashes = if name.chars().count() == 1 { "-" } else { "--" };
        return pen.refuse(&format!("{dashes}{name}"), "pen has no such option, expected one of its own");
    }
    pen.refuse("the line", &fail.to_string());
}

fn given(pen: &mut Pen, matches: &Matches) {
    let mut found: Vec<(usize, char, Option<String>)> = Vec::new();
    for short in VALUED.chars() {
        let values = matches.opt_strs_pos(&short.to_string());
        found.extend(values.into_iter().map(|(at, value)| (at, short, Some(value))));
    }
    for short in BARE.chars() {
        found.extend(matches.opt_positions(&short.to_string()).into_iter().map(|at| (at, short, None)));
    }
    // pen obeys commands at once and others as they come, so that the last one counts.
    found.sort_by_key(|(at, ..)| *at);
    // Ports by name are of its protocol, wherever it stands.
    pen.switches.udp = matches.opt_present("U");
    for (_, short, value) in &found {
        match value {
            Some(value) => valued(pen, *short, value),
            None => bare(pen, *short),
        }
    }
    for (_, _, file) in found.iter().filter(|(_, short, _)| *short == 'F') {
        commands::file(pen, "-F", file.as_deref().unwrap_or_default(), 0);
    }
    free(pen, &matches.free);
}

/// The listener and the servers, which take the first slots.
fn free(pen: &mut Pen, words: &[String]) {
    let [listen, servers @ ..] = words else {
        if pen.listen.is_none() {
            pen.refuse("the line", "the listener is missing, expected [HOST:]PORT before the servers");
        }
        return;
    };
    match address::listener(listen, pen.switches.udp) {
        Ok(listen) => pen.listen = Some(listen),
        Err(why) => pen.refuse(&format!("listener {listen:?}"), &why),
    }
    for (slot, text) in servers.iter().enumerate() {
        match Server::read(text, pen.switches.udp) {
            Ok(server) => {
                let acl = pen.servers.get(&slot).and_then(|before| before.acl);
                pen.servers.insert(slot, Server { acl, ..server });
            }
            Err(why) => pen.refuse(&format!("server {text:?}"), &why),
        }
    }
}

fn bare(pen: &mut Pen, short: char) {
    match short {
        'h' => pen.switches.hash = true,
        'r' => pen.switches.roundrobin = true,
        's' => pen.switches.stubborn = true,
        'W' => pen.switches.weight = true,
        'd' => pen.flag("log-level", "debug"),
        'N' => pen.refuse("-N", "pen answers with its usage and ends, expected -h, perhaps with -r"),
        _ => {}
    }
    if let Some(words) = words::option(short) {
        pen.note(&format!("-{short}"), words);
    }
}

fn valued(pen: &mut Pen, short: char, value: &str) {
    let place = format!("-{short}");
    let number = |pen: &mut Pen, least| pen.number(&place, value, least);
    match short {
        'b' => pen.numbers.blacklist = number(pen, 0).or(pen.numbers.blacklist),
        'c' => pen.numbers.clients_max = number(pen, 1).or(pen.numbers.clients_max),
        'q' => pen.numbers.backlog = number(pen, 0).or(pen.numbers.backlog),
        't' => pen.numbers.timeout = number(pen, 1).or(pen.numbers.timeout),
        'T' => pen.numbers.tracking = number(pen, 0).or(pen.numbers.tracking),
        'x' => pen.numbers.conn_max = number(pen, 1).or(pen.numbers.conn_max),
        'm' => {
            if let Some(batch) = number(pen, 0) {
                pen.flag("accept-batch", &batch.clamp(1, 4096).to_string());
            }
        }
        'p' => pen.flag("pidfile", value),
        'u' => pen.flag("user", value),
        'j' => pen.flag("chroot", value),
        'w' => pen.flag("status-file", value),
        'l' => pen.log_to(&place, value),
        'B' | 'e' => special(pen, short, value),
        'C' => control(pen, value),
        'L' if !["ssl23", "ssl2", "ssl3", "tls1"].contains(&value) => {
            pen.refuse(&place, &format!("{value:?} is unknown to pen, expected ssl23, ssl2, ssl3 or tls1"));
        }
        'o' | 'O' => commands::obey(pen, &format!("-{short} {value:?}"), value, 0),
        _ => {}
    }
    if let Some(words) = words::option(short) {
        pen.note(&format!("-{short} {value}"), words);
    }
}

/// The server for emergencies or for abuse.
fn special(pen: &mut Pen, short: char, text: &str) {
    match Server::read(text, pen.switches.udp) {
        Ok(server) if short == 'e' => pen.emergency = Some(server),
        Ok(server) => pen.abuse = Some(server),
        Err(why) => pen.refuse(&format!("-{short} {text:?}"), &why),
    }
}

fn control(pen: &mut Pen, value: &str) {
    if value.contains('/') {
        pen.control = Some(value.to_owned());
    } else {
        pen.note(&format!("-C {value}"), words::TCP_CONTROL);
    }
}
