//! `directorctl`: operators' words from a command line, a prompt or a script, said to the control socket of a running
//! balancer.
//!
//! It knows the words ([`crate::admin::words`]) and nothing of the balancer: what it shows is what the socket answers. It
//! does by itself what takes more than one question (waiting for a drain, the live view), a terminal (passwords, the
//! prompt) or a file of the operator's.
//!
//! Exit codes: 0 done, 1 refused, 2 not understood, 3 no connection, 4 what was named is not there.

#![allow(clippy::wildcard_enum_match_arm, reason = "a front-end passes on what it does not look at")]

mod drain;
mod link;
mod names;
mod options;
pub(crate) mod password;
mod perform;
mod prompt;
mod top;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::admin::words::spec::Known;
use crate::admin::words::{self, Client, Does, quote};
use link::Failure;
use options::{Options, Request};
use perform::Session;

/// What `ssh` asked for besides a shell, in the environment of a command that the server forces.
const ORIGINAL_COMMAND: &str = "SSH_ORIGINAL_COMMAND";
/// Who `ssh` came from: address and port there, address and port here.
const CONNECTION: &str = "SSH_CONNECTION";

/// Does what the command line asks for; `args` are without the program's name. Returns the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let code = match options::parse(args) {
        Ok(Request::Help) => say(&help()),
        Ok(Request::Version) => say(concat!("directorctl ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Request::Run(options, words)) => run(options, words),
        Err(why) => complain(&Failure::Usage(why)),
    };
    ExitCode::from(code)
}

fn help() -> String {
    let commands = words::help::help(&[], true).unwrap_or_default().join("\n");
    format!("{}\n{commands}\n", options::USAGE)
}

fn run(options: Options, given: Vec<String>) -> u8 {
    let is_prompt = given.is_empty() || given == ["prompt"];
    // Behind SSH the command is always "prompt"; what was really asked for, and from where, stands in the environment.
    let behind_ssh = |name| std::env::var(name).ok().filter(|_| options.user.is_some() && is_prompt);
    let (original, connection) = (behind_ssh(ORIGINAL_COMMAND), behind_ssh(CONNECTION));
    let options = options.with_connection(&connection.unwrap_or_default());
    let words = match original.filter(|line| !line.trim().is_empty()) {
        Some(line) => match quote::split(&line) {
            Ok(words) => words,
            Err(misuse) => return complain(&Failure::Usage(misuse.0)),
        },
        None => given,
    };
    let (options, words) = options.with_leading(words);
    match perform(&options, &words) {
        Ok(code) => code,
        Err(failure) => complain(&failure),
    }
}

fn perform(options: &Options, words: &[String]) -> Result<u8, Failure> {
    if words.is_empty() || words == ["prompt"] {
        return prompt::run(options, words.is_empty());
    }
    let ask = words::parse_words(words).map_err(|misuse| Failure::Usage(misuse.0))?;
    if ask.spec.known == Known::Wire {
        return Err(Failure::Usage(format!("{} is for programs that speak to the socket themselves", ask.spec.name)));
    }
    match ask.does {
        Does::Client(Client::Completion(shell)) => Ok(say(words::completion(shell))),
        Does::Client(Client::Manual) => Ok(say(&words::manual())),
        Does::Client(Client::Complete(words)) => Ok(say(&names::complete(options, &words))),
        Does::Help(words) => {
            let lines = words::help::help(&words, true).map_err(|misuse| Failure::Usage(misuse.0))?;
            Ok(say(&(lines.join("\n") + "\n")))
        }
        _ => {
            perform::refuse_secrets(words)?;
            Session::open(options)?.perform(words, ask)
        }
    }
}

/// Prints, unless nobody reads: who closed the output needs no complaint.
fn say(text: &str) -> u8 {
    let mut output = io::stdout().lock();
    let _ = output.write_all(text.as_bytes());
    let _ = output.flush();
    0
}

/// Says what went wrong, and returns the exit code.
fn complain(failure: &Failure) -> u8 {
    // Standard error may be closed, and then nobody is to be told.
    let _ = writeln!(io::stderr(), "directorctl: {failure}");
    failure.exit_code()
}
