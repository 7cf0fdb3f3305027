//! Commands of pen's control port, as they are in its `-F` files and behind `-O`.

use super::{Pen, access, address, servers, words};
use crate::config;

/// Files that may include one another: pen itself has no bound, and dies of a circle.
const DEPTH_MAX: usize = 8;

/// Obeys a file's commands. `place` is what names it.
pub(super) fn file(pen: &mut Pen, place: &str, path: &str, depth: usize) {
    if depth > DEPTH_MAX {
        return pen.refuse(place, &format!("{path:?} is included by itself, expected files in no circle"));
    }
    let text = match config::read_text(path.as_ref()) {
        Ok(text) => text,
        Err(errors) => return pen.refuse(place, &errors.to_string()),
    };
    for (at, line) in text.lines().enumerate() {
        obey(pen, &format!("{path}:{}", at + 1), line, depth);
    }
}

/// Obeys a command. pen parts words at spaces only.
pub(super) fn obey(pen: &mut Pen, place: &str, line: &str, depth: usize) {
    if line.starts_with('#') {
        return;
    }
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    let (on, words) = match words.as_slice() {
        ["no", words @ ..] => (false, words),
        words => (true, words),
    };
    let [name, values @ ..] = words else { return };
    let place = &format!("{place}: {}", line.trim());
    if switch(pen, name, on) {
        return;
    }
    match (*name, values) {
        ("acl", values) if on => access::add(pen, place, values),
        ("acl", [list, ..]) => match access::list(list) {
            Some(list) => pen.acls[list].clear(),
            None => pen.note(place, access::NO_LIST),
        },
        ("server", values) if on => servers::command(pen, place, values),
        ("include", [path]) if on => file(pen, place, path, depth + 1),
        ("client_acl", [list, ..]) => match access::list(list) {
            Some(list) => pen.client_acl = list,
            None => {
                pen.client_acl = 0;
                pen.note(place, "pen takes list 0, because its lists are 0 to 9");
            }
        },
        ("control_acl", [_, ..]) => {
            pen.note(place, "the control is a socket in the file system: <control group> says who")
        }
        ("listen", [listen, ..]) if on => match address::listener(listen, pen.switches.udp) {
            Ok(listen) => pen.listen = Some(listen),
            Err(why) => pen.refuse(place, &why),
        },
        ("log", [to, ..]) if on => {
            pen.log_to(place, to);
            other(pen, place, name, &[to]);
        }
        ("web_stats", [file, ..]) if on => {
            pen.flag("status-file", file);
            other(pen, place, name, &[file]);
        }
        ("source", [source, ..]) if on => pen.source = Some((*source).to_owned()),
        ("tcp_fastclose", [which, ..]) if on => {
            let known = ["up", "down", "both"].into_iter().find(|known| known == which);
            pen.fastclose = known;
        }
        ("blacklist" | "clients_max" | "conn_max" | "idle_timeout" | "timeout" | "tracking", [text, ..]) if on => {
            number(pen, place, name, text);
        }
        ("client_acl" | "control_acl" | "listen" | "blacklist" | "clients_max" | "conn_max" | "idle_timeout", []) => {
            pen.note(place, words::ASKS);
        }
        ("timeout" | "tracking", []) => pen.note(place, words::ASKS),
        (name, values) => other(pen, place, name, values),
    }
}

/// What is translated as a whole by being on or off.
fn switch(pen: &mut Pen, name: &str, on: bool) -> bool {
    let switches = &mut pen.switches;
    let switch = match name {
        "hash" => &mut switches.hash,
        "keepalive" => &mut switches.keepalive,
        "prio" => &mut switches.prio,
        "roundrobin" => &mut switches.roundrobin,
        "stubborn" => &mut switches.stubborn,
        "weight" => &mut switches.weight,
        _ => return false,
    };
    *switch = on;
    true
}

fn number(pen: &mut Pen, place: &str, name: &str, text: &str) {
    let least = u32::from(matches!(name, "clients_max" | "conn_max" | "timeout"));
    let number = pen.number(place, text, least);
    let numbers = &mut pen.numbers;
    let setting = match name {
        "blacklist" => &mut numbers.blacklist,
        "clients_max" => &mut numbers.clients_max,
        "conn_max" => &mut numbers.conn_max,
        "idle_timeout" => &mut numbers.idle_timeout,
        "timeout" => &mut numbers.timeout,
        _ => &mut numbers.tracking,
    };
    *setting = number.or(*setting);
}

fn other(pen: &mut Pen, place: &str, name: &str, values: &[&str]) {
    if name == "debug" && values.first().is_some_and(|level| *level != "0") {
        pen.flag("log-level", "debug");
    }
    match words::command(name) {
        Some(words) => pen.note(place, words),
        None => pen.note(place, "pen ignores it, because it has no such command"),
    }
}
