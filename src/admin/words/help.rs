//! The help of commands, from their table.

use super::spec::{Known, Spec};
use super::table::{self, SECTIONS};
use super::{Misuse, first_word};

/// Columns of a command's usage in the list; a longer one has a line of its own.
const USAGE_COLUMNS: usize = 34;
/// Columns of text.
const COLUMNS: usize = 80;

/// The help: all commands, or what begins with these words. `client` tells whether commands of `directorctl` count.
///
/// # Errors
/// There is no such command.
pub fn help(words: &[String], client: bool) -> Result<Vec<String>, Misuse> {
    if words.is_empty() {
        return Ok(all(client));
    }
    let wanted = words.join(" ");
    let is_meant = |spec: &&Spec| spec.name == wanted || (words.len() == 1 && first_word(spec) == wanted);
    let lines: Vec<String> = table::all().filter(is_meant).flat_map(one).collect();
    if lines.is_empty() { Err(super::unknown(words)) } else { Ok(lines) }
}

/// Whether people are told of a command.
pub(super) fn is_shown(spec: &Spec, client: bool) -> bool {
    match spec.known {
        Known::Everywhere => true,
        Known::Client => client,
        Known::Wire => !client,
        Known::Hidden => false,
    }
}

fn all(client: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (title, specs) in SECTIONS {
        let shown: Vec<&Spec> = specs.iter().filter(|spec| is_shown(spec, client)).collect();
        if shown.is_empty() {
            continue;
        }
        lines.push(format!("{title}:"));
        for spec in shown {
            let usage = short(spec);
            lines.push(format!("  {usage:USAGE_COLUMNS$} {}", spec.help));
        }
    }
    lines
        .push(String::from("\"help COMMAND\" tells more. HOST is SERVICE/GROUP/HOST, or shorter where that is clear."));
    lines
}

/// The usage as it fits into the list: without flags and attributes where they make it too long.
fn short(spec: &Spec) -> String {
    let usage = spec.usage();
    if usage.chars().count() <= USAGE_COLUMNS {
        return usage;
    }
    let mut kept = spec.name.to_owned();
    for word in usage[spec.name.len()..].split_whitespace() {
        if kept.chars().count() + word.chars().count() + 3 > USAGE_COLUMNS || word.starts_with("[--") {
            kept.push_str(" …");
            break;
        }
        kept.push(' ');
        kept.push_str(word);
    }
    kept
}

fn one(spec: &Spec) -> Vec<String> {
    let mut lines = vec![spec.usage(), format!("  {}.", capitalised(spec.help))];
    lines.extend(wrapped(spec.more, COLUMNS - 2).into_iter().map(|line| format!("  {line}")));
    for flag in spec.flags {
        lines.push(format!("  {:20} {}", flag.usage(), flag.help));
    }
    for arg in spec.args {
        if let super::spec::Arg::Pairs(pairs) = arg {
            let names = format!("NAME is one of {}.", pairs.names().join(", "));
            lines.extend(wrapped(&names, COLUMNS - 2).into_iter().map(|line| format!("  {line}")));
        }
    }
    if spec.is_change {
        lines.push(String::from("  Takes full access."));
    }
    lines
}

/// With its first letter as a capital.
pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_the_help_and_every_line_fits() {
        let lines = help(&[], true).unwrap();
        for spec in table::all().filter(|spec| is_shown(spec, true)) {
            assert!(lines.iter().any(|line| line.trim_start().starts_with(spec.name)), "{}", spec.name);
            for line in help(&[spec.name.to_owned()], true).unwrap_or_default() {
                assert!(line.chars().count() <= 120, "{line}");
            }
        }
        let widest = lines.iter().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= 120, "{widest}");
    }

    #[test]
    fn help_on_a_first_word_shows_all_that_begin_with_it() {
        let lines = help(&["config".to_owned()], true).unwrap().join("\n");
        assert!(lines.contains("config show") && lines.contains("--confirm T"), "{lines}");
        assert!(help(&["confg".to_owned()], true).unwrap_err().0.contains("did you mean config?"));
        let one = help(&["weight".to_owned()], true).unwrap();
        assert_eq!(one[0], "weight HOST N");
    }
}
