//! `director --from-pen 'pen -r 8080 web1 web2'`: what a command line of the load balancer pen means, as a file.
//!
//! Every option of pen 0.34 and 0.35, and every command that its `-F` file may have, is translated or told about, with
//! what there is instead. A line that pen itself would refuse is refused, and says where. Nothing is asked of the network:
//! names stay names.

mod access;
mod address;
mod commands;
mod file;
mod line;
mod servers;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use access::Entry;
use servers::Server;

/// Numbered access lists, as pen has them.
const LISTS: usize = 10;

/// A pen command line as a file of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translation {
    /// The file, with the notes as a comment.
    pub(super) xml: String,
    /// What has no equal or means something else, a sentence each.
    pub(super) notes: Vec<String>,
    /// What the file cannot say: flags to start it with.
    pub(super) flags: Vec<String>,
}

/// Translates a command line, and the files that it names. The name of the program in front of it may be left out.
///
/// # Errors
/// What pen would refuse, or would not get to run with, a line each.
pub(super) fn translate(line: &str) -> Result<Translation, String> {
    let mut pen = Pen::default();
    line::read(&mut pen, line);
    let file = file::write(&mut pen, line);
    match (pen.wrong.is_empty(), file) {
        (true, Ok(xml)) => Ok(Translation { xml, notes: pen.notes, flags: pen.flags }),
        (true, Err(wrong)) => Err(wrong),
        (false, _) => Err(pen.wrong.join("\n")),
    }
}

/// What pen would run with.
#[derive(Debug, Default)]
struct Pen {
    /// As `<listen ip>` has it.
    listen: Option<String>,
    /// By their slots.
    servers: BTreeMap<usize, Server>,
    emergency: Option<Server>,
    abuse: Option<Server>,
    switches: Switches,
    numbers: Numbers,
    source: Option<String>,
    /// Which end of stream closes both directions.
    fastclose: Option<&'static str>,
    /// The path of a control socket.
    control: Option<String>,
    /// What `<access-log>` says of where its lines go.
    log: Option<(&'static str, String)>,
    acls: [Vec<Entry>; LISTS],
    client_acl: usize,
    flags: Vec<String>,
    notes: Vec<String>,
    wrong: Vec<String>,
}

/// What is on or off.
#[derive(Debug, Default)]
struct Switches {
    hash: bool,
    roundrobin: bool,
    stubborn: bool,
    weight: bool,
    prio: bool,
    keepalive: bool,
    udp: bool,
}

/// What was said in numbers; times are seconds.
#[derive(Debug, Default)]
struct Numbers {
    blacklist: Option<u32>,
    tracking: Option<u32>,
    timeout: Option<u32>,
    idle_timeout: Option<u32>,
    clients_max: Option<u32>,
    conn_max: Option<u32>,
    backlog: Option<u32>,
}

impl Pen {
    /// Says something that whoever reads the file should know, once.
    fn note(&mut self, place: &str, what: &str) {
        let note = format!("{place}: {what}");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Says what pen would refuse.
    fn refuse(&mut self, place: &str, what: &str) {
        self.wrong.push(format!("{place}: {what}"));
    }

    /// A number of at least this; none: it was refused.
    fn number(&mut self, place: &str, text: &str, least: u32) -> Option<u32> {
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let number = number.filter(|number| *number >= least);
        if number.is_none() {
            self.refuse(place, &format!("{text:?} is not such a number, expected {least} to {}", u32::MAX));
        }
        number
    }

    /// Where the lines of connections go: to a file, or in datagrams.
    fn log_to(&mut self, place: &str, value: &str) {
        if value.contains(char::is_control) {
            self.note(place, "its name has control characters, which no file of ours can say; name another one");
        } else if value.starts_with('/') || !value.contains(':') {
            self.log = Some(("file", value.to_owned()));
        } else if value.parse::<std::net::SocketAddr>().is_ok() {
            self.log = Some(("udp", value.to_owned()));
        } else {
            self.note(
                place,
                "lines go in datagrams to an address, not to a name: say <access-log udp=\"ADDRESS:PORT\"/>",
            );
        }
    }

    /// A flag to start director with.
    fn flag(&mut self, flag: &str, value: &str) {
        let flag = format!("--{flag} {}", shlex::try_quote(value).unwrap_or_default());
        if !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }
}
