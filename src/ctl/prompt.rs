//! The prompt: command after command, with line editing, history and completion.

use std::borrow::Cow;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::link::Failure;
use super::names;
use super::options::Options;
use super::perform::Session;
use super::{complain, say};
use crate::admin::words::complete::{self, Names, Next};
use crate::admin::words::spec::Known;
use crate::admin::words::{self, Client, Does, quote};

/// Lines of the history.
const HISTORY_LINES: usize = 1000;

/// Asks for commands until the end. `only_terminal`: nobody asked for a prompt.
///
/// # Errors
/// There is no terminal, or nobody to talk to.
pub(super) fn run(options: &Options, only_terminal: bool) -> Result<u8, Failure> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return interactive(options);
    }
    if only_terminal {
        return Err(Failure::Usage(String::from("a command is missing; try directorctl help")));
    }
    scripted(options)
}

/// Commands from standard input, a line each. Returns the exit code of the first that was not done.
fn scripted(options: &Options) -> Result<u8, Failure> {
    let mut session = Session::open(options)?;
    let mut first = 0;
    let mut line = String::new();
    loop {
        line.clear();
        // Locked for a line at a time: "batch" and passwords read what follows.
        let count = io::stdin().read_line(&mut line);
        if count.map_err(|error| Failure::Here(format!("standard input: {error}")))? == 0 {
            break;
        }
        match obey(&mut session, &line) {
            Some(code) if first == 0 => first = code,
            Some(_) => {}
            None => break,
        }
    }
    Ok(first)
}

fn interactive(options: &Options) -> Result<u8, Failure> {
    let mut session = Session::open(options)?;
    let here = |error: ReadlineError| Failure::Here(format!("the terminal: {error}"));
    let config = Config::builder().completion_type(CompletionType::List).history_ignore_space(true);
    let config = config.max_history_size(HISTORY_LINES).map_err(here)?.build();
    let lines = MemHistory::with_config(&config);
    let mut editor: Editor<Words, MemHistory> = Editor::with_history(config, lines).map_err(here)?;
    let history = History::of(options);
    for line in history.read() {
        editor.add_history_entry(line).map_err(here)?;
    }
    greet(options);
    loop {
        let known = names::ask(&mut session.link).unwrap_or_default();
        editor.set_helper(Some(Words { names: known, is_coloured: options.is_coloured() }));
        let line = match editor.readline("director> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(here(error)),
        };
        if line.trim().is_empty() {
            continue;
        }
        if !line.contains("password=") {
            editor.add_history_entry(line.as_str()).map_err(here)?;
            history.add(&line);
        }
        if obey(&mut session, &line).is_none() {
            break;
        }
    }
    Ok(0)
}

fn greet(options: &Options) {
    let who = options.user.as_ref().map_or_else(String::new, |user| format!(", for {user}"));
    say(&format!(
        "director at {}{who}. help lists the commands, Tab completes, Ctrl-D ends.\n",
        options.socket.display()
    ));
}

/// Does a line. Returns its exit code, or none at the end.
fn obey(session: &mut Session, line: &str) -> Option<u8> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Some(0);
    }
    if ["quit", "exit"].contains(&line) {
        return None;
    }
    let code = match one(session, line) {
        Err(Failure::Unreachable(_)) => {
            // The balancer may have been started anew.
            match Session::open(&session.options) {
                Ok(fresh) => {
                    *session = fresh;
                    one(session, line)
                }
                Err(failure) => Err(failure),
            }
        }
        outcome => outcome,
    };
    Some(code.unwrap_or_else(|failure| complain(&failure)))
}

fn one(session: &mut Session, line: &str) -> Result<u8, Failure> {
    let words = quote::split(line).map_err(|misuse| Failure::Usage(misuse.0))?;
    let ask = words::parse_words(&words).map_err(|misuse| Failure::Usage(misuse.0))?;
    match &ask.does {
        Does::Help(about) => {
            let lines = words::help::help(about, true).map_err(|misuse| Failure::Usage(misuse.0))?;
            Ok(say(&(lines.join("\n") + "\n")))
        }
        Does::Client(Client::Completion(shell)) => Ok(say(words::completion(*shell))),
        Does::Client(Client::Manual) => Ok(say(&words::manual())),
        Does::Client(Client::Prompt) => Ok(0),
        _ if matches!(ask.spec.known, Known::Wire | Known::Hidden) => {
            Err(Failure::Usage(format!("{} is for programs that speak to the socket themselves", ask.spec.name)))
        }
        _ => session.perform(&words, ask),
    }
}

/// What the editor knows of words.
struct Words {
    names: Names,
    is_coloured: bool,
}

impl Helper for Words {}
impl Validator for Words {}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.is_coloured { Cow::Owned(format!("\x1b[1m{prompt}\x1b[0m")) } else { Cow::Borrowed(prompt) }
    }
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let line = line.get(..at).unwrap_or(line);
        // The word at the cursor begins behind the last space outside of quotes.
        let start = (0..=line.len())
            .filter(|at| line.is_char_boundary(*at) && (*at == 0 || line[..*at].ends_with(' ')))
            .rfind(|at| quote::split(&line[..*at]).is_ok())
            .unwrap_or(0);
        let mut words = quote::split(&line[..start]).unwrap_or_default();
        words.push(line[start..].trim_start_matches(['\'', '"']).to_owned());
        let Next::Words(found) = complete::complete(&words, &self.names, true) else { return Ok((start, Vec::new())) };
        let only = found.len() == 1;
        let pair = |word: &str| {
            let end = if only && !word.ends_with('=') { " " } else { "" };
            Pair { display: word.to_owned(), replacement: quote::quote(word) + end }
        };
        Ok((start, found.iter().map(|candidate| pair(&candidate.word)).collect()))
    }
}

/// The lines of earlier prompts, in a file that only this user reads.
struct History(Option<PathBuf>);

impl History {
    /// Where it is; nowhere for who speaks for an administrator, whose home is elsewhere.
    fn of(options: &Options) -> Self {
        if options.user.is_some() {
            return Self(None);
        }
        let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        Self(state.or_else(home).map(|state| state.join("directorctl/history")))
    }

    fn read(&self) -> Vec<String> {
        let text = self.0.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let kept = lines[lines.len().saturating_sub(HISTORY_LINES)..].to_vec();
        if kept.len() < lines.len() {
            self.write(&kept);
        }
        kept
    }

    fn write(&self, lines: &[String]) {
        if let Some(path) = &self.0 {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            // A history that cannot be kept is no reason to stop.
            let _ = fs::write(path, text);
        }
    }

    fn add(&self, line: &str) {
        let Some(path) = &self.0 else { return };
        if let Some(directory) = path.parent() {
            let _ = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        }
        let file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{line}"));
    }
}
