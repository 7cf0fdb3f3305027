//! From a line to what is done about it.

use std::time::Instant;

use serde_json::json;

use super::answer;
use super::blocks;
use super::connection::{Connection, State};
use super::rights::Rights;
use crate::admin::words::show;
use crate::admin::words::spec::Known;
use crate::admin::words::{self, Ask, Does, View, Wait, Wire};
use crate::admin::{Desk, json};
use crate::config::{Config, closest};
use crate::model::command::{Command, Source};
use crate::model::limits::CONTROL_ANSWER_WAIT;

/// What is left to do.
pub(super) enum Outcome {
    /// Nothing: the client was answered.
    Answered,
    /// To ask the manager.
    Ask(Command),
    /// To tell events.
    Follow,
}

/// A refusal by this server: its kind, and why.
type Refused = (&'static str, String);

/// Obeys a line as far as that is possible here.
pub(super) fn obey(
    desk: &Desk,
    connection: &mut Connection,
    line: &str,
    block: Option<String>,
    now: Instant,
) -> Outcome {
    if line.trim().is_empty() && block.is_none() {
        return Outcome::Answered;
    }
    let outcome = match words::bare_question(line) {
        Some(does) => Ok((does, true)),
        None => understand(desk, connection, line).map(|does| (does, false)),
    };
    match outcome.and_then(|(does, bare)| begin(desk, connection, does, block, bare, now)) {
        Ok(outcome) => outcome,
        Err((kind, why)) => {
            let bytes = answer::error(connection.mode, kind, &why);
            connection.say(&bytes, now);
            Outcome::Answered
        }
    }
}

/// What the line asks for, if this client may ask for it.
fn understand(desk: &Desk, connection: &Connection, line: &str) -> Result<Does, Refused> {
    let Ask { spec, mut does } = words::parse(line).map_err(|misuse| ("usage", misuse.0))?;
    if matches!(spec.known, Known::Client | Known::Hidden) {
        return Err(("usage", format!("{} is a command of directorctl alone", spec.name)));
    }
    let config = desk.current().get();
    match connection.principal.rights(&config) {
        Rights::None => {
            return Err(("denied", String::from("this administrator is not in the configuration any more")));
        }
        Rights::ReadOnly if spec.is_change => {
            return Err(("denied", format!("{} takes full access, and this administrator may only look", spec.name)));
        }
        Rights::ReadOnly | Rights::Full => {}
    }
    words::resolve(&config, &mut does).map_err(|refusal| (answer::kind(&refusal), refusal.why))?;
    Ok(does)
}

fn begin(
    desk: &Desk,
    connection: &mut Connection,
    does: Does,
    block: Option<String>,
    bare: bool,
    now: Instant,
) -> Result<Outcome, Refused> {
    let takes_block = matches!(does, Does::Batch | Does::Load { .. } | Does::DiffFile { .. });
    let text = match (takes_block, block) {
        (true, None) => return Err(("usage", String::from("the text is missing, expected <N as the last word"))),
        (false, Some(_)) => return Err(("usage", String::from("this command takes no block of text"))),
        (_, block) => block.unwrap_or_default(),
    };
    let (command, view) = match does {
        Does::Command(command, view) => (command, view),
        Does::Drain { wait: None | Some(Wait { deadline: None, kill: false }), host } => {
            (words::start_drain(host), View::Plain)
        }
        Does::Drain { .. } => {
            let why = "drain: the balancer does not wait, directorctl does; expected no flag but --no-wait";
            return Err(("usage", String::from(why)));
        }
        Does::WithPassword(_) => {
            return Err(("usage", String::from("the password is missing, expected password=HASH, or a key=…")));
        }
        Does::Batch => (Command::Change(blocks::batch(&desk.current().get(), &text)?), View::Plain),
        Does::Load { file, confirm } => (Command::Load { text: from_block(&file, text)?, confirm }, View::Plain),
        Does::DiffFile { file, form } => {
            let to = Source::Text(from_block(&file, text)?);
            (Command::Diff { from: Source::Running, to }, View::Differences(form))
        }
        Does::Follow { after } => {
            connection.state = State::Following { after };
            return Ok(Outcome::Follow);
        }
        Does::Acls(name) => return acls(desk, connection, name.as_deref(), now),
        Does::Help(words) => {
            let lines = words::help::help(&words, false).map_err(|misuse| ("usage", misuse.0))?;
            let bytes = answer::lines(connection.mode, &lines, || json!({ "text": lines.join("\n") }));
            connection.say(&bytes, now);
            return Ok(Outcome::Answered);
        }
        Does::Wire(wire) => return wire_command(desk, connection, wire, now).map(|()| Outcome::Answered),
        Does::Client(_) => return Err(("usage", String::from("this is a command of directorctl alone"))),
    };
    connection.state = State::Waiting { until: now + CONTROL_ANSWER_WAIT, view, bare };
    Ok(Outcome::Ask(command))
}

/// Tells of the access lists, or of the one of that name. They are in the configuration: nobody is asked.
fn acls(desk: &Desk, connection: &mut Connection, name: Option<&str>, now: Instant) -> Result<Outcome, Refused> {
    let (config, paint) = (desk.current().get(), answer::paint(connection.mode));
    let bytes = match name {
        None => answer::lines(connection.mode, &show::acls(&config, paint), || json!({ "acls": json::acls(&config) })),
        Some(name) => {
            let acl = config.acl(name).ok_or_else(|| ("not-found", no_acl(&config, name)))?;
            answer::lines(connection.mode, &show::acl(&config, acl, paint), || json::acl(&config, acl))
        }
    };
    connection.say(&bytes, now);
    Ok(Outcome::Answered)
}

fn no_acl(config: &Config, name: &str) -> String {
    let near = closest(name, config.acls.iter().map(|acl| acl.name.as_str()));
    let hint = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    format!("no access list {name:?}{hint}")
}

/// The balancer opens no file whose name came over the socket.
fn from_block(file: &str, text: String) -> Result<String, Refused> {
    if file == "-" {
        Ok(text)
    } else {
        Err(("usage", String::from("the balancer opens no file by name, expected - <N")))
    }
}

fn wire_command(desk: &Desk, connection: &mut Connection, wire: Wire, now: Instant) -> Result<(), Refused> {
    match wire {
        Wire::Mode(mode) => connection.mode = mode,
        Wire::As { user, client } => connection.principal.speak_for(&desk.current().get(), &user, client)?,
        Wire::Quit => connection.is_closing = true,
    }
    let bytes = answer::done(connection.mode, "");
    connection.say(&bytes, now);
    Ok(())
}
