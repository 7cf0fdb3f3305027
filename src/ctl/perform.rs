//! One command, done.

use std::fs::File;
use std::io::{self, Read, Write};

use super::drain;
use super::link::{Answer, Failure, Link};
use super::options::Options;
use super::password;
use super::{prompt, say};
use crate::admin::words::{Ask, Client, Does, Form, Mode, quote, to_line};
use crate::config::show_time;
use crate::model::change::Change;
use crate::model::command::Command;
use crate::model::limits::CONFIG_FILE_BYTES_MAX;

/// A connection, and how to use it.
pub(super) struct Session {
    pub(super) link: Link,
    pub(super) options: Options,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// See [`Link::open`].
    pub(super) fn open(options: &Options) -> Result<Self, Failure> {
        Ok(Self { link: Link::open(options)?, options: options.clone() })
    }

    /// Does what the words ask for. Returns the exit code.
    ///
    /// # Errors
    /// It was not done.
    pub(super) fn perform(&mut self, words: &[String], ask: Ask) -> Result<u8, Failure> {
        match ask.does {
            Does::Drain { host, wait: Some(wait) } => drain::drain(self, &host, wait),
            Does::Batch => {
                let text = read("-", self.options.user.is_some())?;
                self.tell("batch", Some(&text))
            }
            Does::Load { file, confirm } => {
                let text = read(&file, self.options.user.is_some())?;
                let confirm = confirm.map_or_else(String::new, |time| format!(" --confirm {}", show_time(time)));
                self.tell(&format!("config load -{confirm}"), Some(&text))
            }
            Does::DiffFile { file, form } => {
                let text = read(&file, self.options.user.is_some())?;
                let flag = match form {
                    Form::Text => "",
                    Form::Commands => " --commands",
                    Form::Api => " --api",
                    Form::PythonDirector => " --api=pydir",
                };
                self.tell(&format!("config diff -{flag}"), Some(&text))
            }
            Does::WithPassword(command) => {
                let command = with_password(command, &password::ask()?);
                let line = to_line(&command).unwrap_or_default();
                self.tell(&line, None)
            }
            Does::Client(Client::Top { once }) => super::top::run(self, once),
            Does::Client(_) => prompt::run(&self.options, false),
            Does::Command(..)
            | Does::Drain { wait: None, .. }
            | Does::Follow { .. }
            | Does::Help(_)
            | Does::Wire(_) => self.tell(&line_of(words)?, None),
        }
    }

    /// Says a line and prints the answer.
    pub(super) fn tell(&mut self, line: &str, block: Option<&str>) -> Result<u8, Failure> {
        match self.link.ask(line, block)? {
            Answer::Lines(lines) => {
                let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
                Ok(say(&text))
            }
            Answer::Stream => self.follow(None),
            Answer::Document(document) => {
                // Documents that follow one another have no frame: whoever asks for them gets them until the end.
                let first = format!("{document}\n");
                if line.starts_with("events") && document.get("events").is_none() {
                    self.follow(Some(first))
                } else {
                    Ok(say(&first))
                }
            }
        }
    }

    /// Prints what comes, until the end.
    fn follow(&mut self, first: Option<String>) -> Result<u8, Failure> {
        let mut output = io::stdout().lock();
        let mut next = first;
        loop {
            let line = match next.take() {
                Some(line) => line,
                None => match self.link.line()? {
                    Some(line) if line == "." && self.link.mode() != Mode::Json => return Ok(0),
                    Some(line) => line + "\n",
                    None => return Err(Failure::Unreachable(String::from("the balancer has ended"))),
                },
            };
            // Who closed the output has seen enough.
            if output.write_all(line.as_bytes()).and_then(|()| output.flush()).is_err() {
                return Ok(0);
            }
        }
    }
}

/// The words as a line.
pub(super) fn line_of(words: &[String]) -> Result<String, Failure> {
    if words.iter().any(|word| word.chars().any(char::is_control)) {
        return Err(Failure::Usage(String::from("a control character is in the command, expected visible ones")));
    }
    Ok(quote::join(words))
}

/// Passwords and their hashes do not belong where everybody on this machine sees them.
///
/// # Errors
/// There is one.
pub(super) fn refuse_secrets(words: &[String]) -> Result<(), Failure> {
    let is_user = words.first().is_some_and(|word| word == "user");
    if is_user && words.iter().any(|word| word.starts_with("password=") && word.len() > "password=".len()) {
        let why = "a password or its hash on the command line is seen by everybody on this machine: leave it out and it \
                   is asked for; \"batch\" takes hashes from standard input";
        return Err(Failure::Usage(String::from(why)));
    }
    Ok(())
}

/// The text of a file, or of standard input.
fn read(file: &str, is_guest: bool) -> Result<String, Failure> {
    let here = |what: String| Failure::Here(format!("{file}: {what}"));
    let mut text = String::new();
    let bound = CONFIG_FILE_BYTES_MAX + 1;
    if file == "-" {
        io::stdin().lock().take(bound).read_to_string(&mut text).map_err(|error| here(error.to_string()))?;
    } else if is_guest {
        // Who speaks for an administrator may be far away, and the files here are not his.
        return Err(here(String::from("files of this machine are not read with --as, expected - for standard input")));
    } else {
        let opened = File::open(file).and_then(|file| file.take(bound).read_to_string(&mut text));
        opened.map_err(|error| here(error.to_string()))?;
    }
    if text.len() as u64 > CONFIG_FILE_BYTES_MAX {
        return Err(here(format!("longer than {CONFIG_FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn with_password(command: Command, hash: &str) -> Command {
    let Command::Change(mut changes) = command else { return command };
    for change in &mut changes {
        if let Change::AddUser { attributes, .. } | Change::SetUser { attributes, .. } = change {
            attributes.0.retain(|(name, _)| name != "password");
            attributes.0.push((String::from("password"), hash.to_owned()));
        }
    }
    Command::Change(changes)
}
