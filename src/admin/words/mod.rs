//! The words of operators: one line ↔ one [`Command`]. Pure: nothing here asks anybody or reads a file.
//!
//! [`table`] has every command. [`parse`] turns a line into what is to be done, [`to_line`] a command into its line,
//! [`complete`] what may follow, [`help`] and [`manual()`] the texts, [`completion()`] the shells' scripts. What comes back
//! from the manager becomes text in [`show`].
//!
//! # Words
//! Words are quoted as in a shell. A host is `SERVICE/GROUP/HOST`; group and service may be left out where only one
//! host is meant. A `/` in a name is written `\/`. Attributes are `NAME=TEXT`, as in the file; `NAME=` takes one away.
//! What starts with `--` is a flag, unless a word `--` comes before it.

mod build;
pub mod complete;
mod completion;
pub mod help;
mod line;
mod manual;
mod matched;
pub mod place;
pub mod quote;
mod resolve;
mod search;
pub mod show;
pub mod spec;
pub mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::model::change::HostRef;
use crate::model::command::Command;

pub use build::{bare_question, start_drain};
pub use completion::{Shell, completion};
pub use line::to_line;
pub use manual::manual;
pub use resolve::{resolve, resolve_host};
pub use show::diff::Form;
use spec::Spec;

/// The words are not a command: what is wrong, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse(pub String);

impl Misuse {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

/// A line that was understood.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its row in the table.
    pub spec: &'static Spec,
    /// What is to be done.
    pub does: Does,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does {
    /// For the manager, and how to show its reply.
    Command(Command, View),
    /// The drain of a host, and waiting for its end.
    Drain {
        /// The host.
        host: HostRef,
        /// How to wait; none: not at all.
        wait: Option<Wait>,
    },
    /// The changes of a block, all or nothing.
    Batch,
    /// The configuration in this file, `-` for a block.
    Load {
        /// The file.
        file: String,
        /// As of [`Command::Load`].
        confirm: Option<Duration>,
    },
    /// What differs from what runs to the configuration in this file, `-` for a block.
    DiffFile {
        /// The file.
        file: String,
        /// How to show it.
        form: Form,
    },
    /// The events after this number, and those that follow.
    Follow {
        /// The number of the last event known; none: only those to come.
        after: Option<u64>,
    },
    /// A new administrator, or a new password of one, that is to be asked for: the command lacks it.
    WithPassword(Command),
    /// The access lists, or the one of this name with its rules.
    Acls(Option<String>),
    /// The help, on these words.
    Help(Vec<String>),
    /// Done by `directorctl` alone.
    Client(Client),
    /// About the connection that the line came on.
    Wire(Wire),
}

/// How a drain is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// How long.
    pub deadline: Option<Duration>,
    /// Whether what is left then is cut.
    pub kill: bool,
}

/// Done by `directorctl` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Client {
    /// The live view.
    Top {
        /// One picture as text.
        once: bool,
    },
    /// The prompt.
    Prompt,
    /// A shell's script.
    Completion(Shell),
    /// The manual's source.
    Manual,
    /// What the last of these words may become.
    Complete(Vec<String>),
}

/// About the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// How answers are written from now on.
    Mode(Mode),
    /// Who speaks from now on.
    As {
        /// An administrator.
        user: String,
        /// From where he came over SSH.
        client: Option<SocketAddr>,
    },
    /// It ends.
    Quit,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Text.
    #[default]
    Text,
    /// Text with colours.
    Colour,
    /// A JSON document a line.
    Json,
}

/// How a reply is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// By its kind.
    Plain,
    /// The hosts of a snapshot: those of this service, or all.
    Hosts(Option<String>),
    /// The administrators of a snapshot.
    Users,
    /// Differences.
    Differences(Form),
    /// The client of the one session.
    Client,
}

/// Understands a line.
///
/// # Errors
/// What is wrong with it, and what was expected.
pub fn parse(line: &str) -> Result<Ask, Misuse> {
    parse_words(&quote::split(line)?)
}

/// As [`parse`], of words that were split already.
///
/// # Errors
/// See [`parse`].
pub fn parse_words(words: &[String]) -> Result<Ask, Misuse> {
    let Some((spec, count)) = table::find(words) else { return Err(unknown(words)) };
    let does = matched::Matched::of(spec, &words[count..]).and_then(|matched| build::build(spec, matched));
    let does = does.map_err(|Misuse(why)| Misuse(format!("{}: {why}", spec.name)))?;
    Ok(Ask { spec, does })
}

/// What to say of words that are no command.
fn unknown(words: &[String]) -> Misuse {
    let Some(first) = words.first() else { return Misuse::new("the line is empty, expected a command; try help") };
    let seconds: Vec<&str> = table::all()
        .filter_map(|spec| spec.name.split_once(' '))
        .filter(|(own, _)| own == first)
        .map(|(_, s)| s)
        .collect();
    if seconds.is_empty() {
        let firsts = table::all().filter(|spec| spec.known != spec::Known::Hidden).map(first_word);
        let near = crate::config::closest(first, firsts);
        let hint = near.map_or_else(|| String::from("; try help"), |near| format!("; did you mean {near}?"));
        return Misuse::new(format!("unknown command {first:?}{hint}"));
    }
    let known = seconds.join(", ");
    match words.get(1) {
        None => Misuse::new(format!("{first} what? expected one of {known}")),
        Some(second) => {
            let near = crate::config::closest(second, seconds.iter().copied());
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {first} {near}?"));
            Misuse::new(format!("unknown command {first} {second:?}, expected one of {known}{hint}"))
        }
    }
}

fn first_word(spec: &Spec) -> &'static str {
    spec.name.split(' ').next().unwrap_or_default()
}
