//! The words of a command sorted by what the table says of them.

use super::Misuse;
use super::spec::{Arg, Flag, Spec, Value};
use crate::config::{closest, time};
use crate::model::change::Attributes;
use std::time::Duration;

/// What followed the command's name.
pub(super) struct Matched {
    ones: std::vec::IntoIter<String>,
    maybe: Option<String>,
    pub(super) pairs: Vec<(String, String)>,
    pub(super) rest: Vec<String>,
    flags: Vec<(&'static str, Option<String>)>,
}

impl Matched {
    /// Sorts the words.
    pub(super) fn of(spec: &Spec, words: &[String]) -> Result<Self, Misuse> {
        let (words, flags) = flags(spec, words)?;
        let mut words = words.into_iter();
        let mut matched =
            Self { ones: Vec::new().into_iter(), maybe: None, pairs: Vec::new(), rest: Vec::new(), flags };
        let mut ones = Vec::new();
        let takes_pairs = spec.args.iter().any(|arg| matches!(arg, Arg::Pairs(_)));
        for arg in spec.args {
            match arg {
                Arg::One(name, _) => {
                    let word = words.next();
                    ones.push(word.ok_or_else(|| Misuse::new(format!("{name} is missing; usage: {}", spec.usage())))?);
                }
                // What may be left out is no pair where pairs follow.
                Arg::Maybe(..) if takes_pairs && words.as_slice().first().is_some_and(|word| word.contains('=')) => {}
                Arg::Maybe(..) => matched.maybe = words.next(),
                Arg::Pairs(_) => matched.pairs = words.by_ref().map(|word| pair(&word)).collect::<Result<_, _>>()?,
                Arg::Rest(_) => matched.rest = words.by_ref().collect(),
            }
        }
        if let Some(word) = words.next() {
            return Err(Misuse::new(format!("{word:?} is too much; usage: {}", spec.usage())));
        }
        matched.ones = ones.into_iter();
        Ok(matched)
    }

    /// The next argument that must be there.
    pub(super) fn one(&mut self) -> String {
        self.ones.next().unwrap_or_default()
    }

    /// The argument that may be there.
    pub(super) fn maybe(&mut self) -> Option<String> {
        self.maybe.take()
    }

    /// The pairs as attributes.
    pub(super) fn attributes(&mut self) -> Attributes {
        Attributes(std::mem::take(&mut self.pairs))
    }

    /// As [`Self::attributes`], of which there is one.
    pub(super) fn some_attributes(&mut self) -> Result<Attributes, Misuse> {
        if self.pairs.is_empty() {
            return Err(Misuse::new("nothing is to be set, expected NAME=TEXT"));
        }
        Ok(self.attributes())
    }

    /// Whether the flag is there.
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|(name, _)| *name == flag)
    }

    /// The flag's value.
    pub(super) fn value(&self, flag: &str) -> Option<&str> {
        self.flags.iter().find(|(name, _)| *name == flag).and_then(|(_, value)| value.as_deref())
    }

    /// The flag's value as a time.
    pub(super) fn time(&self, flag: &str) -> Result<Option<Duration>, Misuse> {
        let read = |text: &str| time(text).map_err(|what| Misuse::new(format!("--{flag} {text:?}: {what}")));
        self.value(flag).map(read).transpose()
    }
}

type Flags = Vec<(&'static str, Option<String>)>;

/// The words that are no flags, and the flags.
fn flags(spec: &Spec, words: &[String]) -> Result<(Vec<String>, Flags), Misuse> {
    let (mut plain, mut flags) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    // Words of these are not ours.
    let takes_all = matches!(spec.args, [Arg::Rest("WORD")]);
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--").filter(|_| !takes_all) else {
            plain.push(word.clone());
            continue;
        };
        if flag.is_empty() {
            plain.extend(words.by_ref().cloned());
            break;
        }
        let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value.to_owned())));
        let known = spec.flags.iter().find(|known| known.name == name).ok_or_else(|| unknown(spec, name))?;
        if flags.iter().any(|(name, _)| *name == known.name) {
            return Err(Misuse::new(format!("--{name} is given more than once, expected it once")));
        }
        let value = match (known.value, value) {
            (Value::None, Some(_)) => return Err(Misuse::new(format!("--{name} takes no value"))),
            (Value::Must(what), None) => {
                let missing = || Misuse::new(format!("--{name}: the value is missing, expected {what}"));
                Some(words.next().cloned().ok_or_else(missing)?)
            }
            (Value::None | Value::May(_), value) | (Value::Must(_), value @ Some(_)) => value,
        };
        flags.push((known.name, value));
    }
    Ok((plain, flags))
}

fn unknown(spec: &Spec, name: &str) -> Misuse {
    let names = || spec.flags.iter().map(|flag: &Flag| flag.name);
    let hint = closest(name, names()).map_or_else(String::new, |near| format!("; did you mean --{near}?"));
    Misuse::new(format!("unknown flag --{name}{hint}"))
}

/// `NAME=TEXT`.
fn pair(word: &str) -> Result<(String, String), Misuse> {
    match word.split_once('=') {
        Some((name, text)) if !name.is_empty() => Ok((name.to_owned(), text.to_owned())),
        Some(_) | None => Err(Misuse::new(format!("{word:?} is no attribute, expected NAME=TEXT"))),
    }
}
