//! What a check has found, and how it is shown.

use std::fmt::{self, Display};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// Fine.
    Ok,
    /// It could not be looked at: the file is missing, unreadable or says something that is not known.
    Unseen,
    /// It costs speed, or may bite one day.
    Note,
    /// It fails connections under the load that is asked for.
    Bites,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    subject: &'static str,
    text: String,
    /// The command that mends it, ready to be pasted into a root shell; what is no command is a comment there.
    pub(super) mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self { severity: Severity::Ok, subject, text: text.into(), mend: None }
    }

    pub(super) fn unseen(subject: &'static str, what: &str) -> Self {
        Self { severity: Severity::Unseen, subject, text: format!("could not look at {what}"), mend: None }
    }

    pub(super) fn note(subject: &'static str, text: impl Into<String>) -> Self {
        Self { severity: Severity::Note, subject, text: text.into(), mend: None }
    }

    pub(super) fn bites(subject: &'static str, text: impl Into<String>) -> Self {
        Self { severity: Severity::Bites, subject, text: text.into(), mend: None }
    }

    /// As [`Self::bites`] if somebody asked for that much, as [`Self::note`] if it is only what would fit otherwise.
    pub(super) fn weighed(asked: bool, subject: &'static str, text: impl Into<String>) -> Self {
        if asked { Self::bites(subject, text) } else { Self::note(subject, text) }
    }

    /// With the command that mends it.
    #[must_use]
    pub(super) fn mend(mut self, command: impl Into<String>) -> Self {
        self.mend = Some(command.into());
        self
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Ok => "ok",
            Severity::Unseen => "unseen",
            Severity::Note => "note",
            Severity::Bites => "BITES",
        };
        writeln!(f, "{word:7} {:18} {}", self.subject, self.text)?;
        let Some(mend) = &self.mend else { return Ok(()) };
        writeln!(f, "{:26} {mend}", "")
    }
}

/// The command that sets a kernel parameter.
pub(super) fn sysctl(name: &str, value: impl Display) -> String {
    let value = value.to_string();
    if value.contains(char::is_whitespace) {
        format!("sysctl -w {name}=\"{value}\"")
    } else {
        format!("sysctl -w {name}={value}")
    }
}

/// The first number of a file; none when there is none.
pub(super) fn number(text: Option<&str>) -> Option<u64> {
    numbers(text)?.first().copied()
}

/// The numbers of a file of nothing but numbers; none when anything else is in it.
pub(super) fn numbers(text: Option<&str>) -> Option<Vec<u64>> {
    let all: Option<Vec<u64>> = text?.split_whitespace().map(|word| word.parse().ok()).collect();
    all.filter(|all| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_stand_below_each_other_with_their_command() {
        let shown = Finding::bites("ports", "too few").mend(sysctl("a.b", "1 2")).to_string();
        assert_eq!(shown, format!("BITES   ports              too few\n{:26} sysctl -w a.b=\"1 2\"\n", ""));
        assert_eq!(Finding::ok("swap", "none").to_string(), "ok      swap               none\n");
    }

    #[test]
    fn numbers_are_read_only_from_numbers() {
        assert_eq!(numbers(Some("1\t2\n")), Some(vec![1, 2]));
        for nonsense in [None, Some(""), Some("x"), Some("1 x"), Some("-1")] {
            assert_eq!(numbers(nonsense), None, "{nonsense:?}");
        }
    }
}
