//! Blocks of text behind a line, and the changes of a batch.

use crate::admin::words::{self, Does};
use crate::config::Config;
use crate::model::change::{Change, Refusal};
use crate::model::command::Command;
use crate::model::limits::CONFIG_FILE_BYTES_MAX;

/// The line without its last word `<N`, and N.
///
/// # Errors
/// The number is too large or none.
pub(super) fn announced(line: &str) -> Result<Option<(&str, usize)>, String> {
    let Some((rest, last)) = line.rsplit_once(' ') else { return Ok(None) };
    let Some(number) = last.strip_prefix('<') else { return Ok(None) };
    let length = number.parse().ok().filter(|length| *length as u64 <= CONFIG_FILE_BYTES_MAX);
    let wrong = || format!("<{number}: expected the length of a block in bytes, at most {CONFIG_FILE_BYTES_MAX}");
    Ok(Some((rest.trim_end(), length.ok_or_else(wrong)?)))
}

/// The changes of a batch, and the kind and reason of a refusal.
pub(super) fn batch(config: &Config, text: &str) -> Result<Vec<Change>, (&'static str, String)> {
    let mut changes = Vec::new();
    let mut wrong: Option<(&'static str, String)> = None;
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match change(config, line) {
            Ok(mut some) => changes.append(&mut some),
            Err((kind, why)) => {
                let (_, told) = wrong.get_or_insert((kind, String::new()));
                told.push_str(&format!("{}line {number}: {why}", if told.is_empty() { "" } else { "\n" }));
            }
        }
    }
    match wrong {
        Some(wrong) => Err(wrong),
        None if changes.is_empty() => Err(("usage", String::from("batch: there is no command, expected one a line"))),
        None => Ok(changes),
    }
}

fn change(config: &Config, line: &str) -> Result<Vec<Change>, (&'static str, String)> {
    let ask = words::parse(line).map_err(|misuse| ("usage", misuse.0))?;
    let mut does = match ask.does {
        // In a batch nobody waits.
        Does::Drain { host, .. } => Does::Command(words::start_drain(host), words::View::Plain),
        does => does,
    };
    words::resolve(config, &mut does).map_err(|Refusal { kind, why }| {
        let refusal = Refusal::new(kind, "");
        (super::answer::kind(&refusal), why)
    })?;
    match does {
        Does::Command(Command::Change(changes), _) => Ok(changes),
        _ => Err(("usage", format!("{} changes no configuration, expected commands that do", ask.spec.name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = "<director><service name='s'><listen ip='*:80'/><group name='g'>
            <host name='a' ip='10.0.0.1:80'/></group></service></director>";
        crate::config::parse(text, "f").unwrap()
    }

    #[test]
    fn length_of_a_block_is_the_last_word() {
        assert_eq!(announced("config load - <12"), Ok(Some(("config load -", 12))));
        assert_eq!(announced("status"), Ok(None));
        assert_eq!(announced("add s/g a<b"), Ok(None));
        assert!(announced("batch <x").is_err());
        assert!(announced("batch <99999999").is_err());
    }

    #[test]
    fn batch_is_read_whole_and_every_wrong_line_named() {
        let changes = batch(&config(), "# first\n\nweight a 3\n  drain s/g/a\n").unwrap();
        assert_eq!(changes.len(), 2);
        let (kind, why) = batch(&config(), "weight b 3\nstatus\nup a\nwieght a 3").unwrap_err();
        assert_eq!(kind, "not-found");
        let expected = "line 1: no service has a host \"b\"\n\
                        line 2: status changes no configuration, expected commands that do\n\
                        line 4: unknown command \"wieght\"; did you mean weight?";
        assert_eq!(why, expected);
        assert_eq!(batch(&config(), "#").unwrap_err().0, "usage");
    }
}
