//! Access lists for people.

use super::paint::{Paint, Table, Tone};
use crate::config::{Acl, Config};
use crate::model::access::Verdict;

/// A line each.
#[must_use]
pub fn acls(config: &Config, paint: Paint) -> Vec<String> {
    let mut table = Table::new(&["ACL", "DEFAULT", ">RULES", "USED BY"]);
    for acl in &config.acls {
        let users = config.users_of(&acl.name);
        let used_by =
            if users.is_empty() { (Tone::Odd, String::from("nobody")) } else { (Tone::Plain, users.join(", ")) };
        table.row(vec![
            (Tone::Strong, acl.name.clone()),
            verdict(acl.default),
            (Tone::Plain, acl.rules.len().to_string()),
            used_by,
        ]);
    }
    table.lines("", paint)
}

/// One with its rules, a line each, the default last.
#[must_use]
pub fn acl(config: &Config, acl: &Acl, paint: Paint) -> Vec<String> {
    let users = config.users_of(&acl.name);
    let used_by = if users.is_empty() { String::from("nobody") } else { users.join(", ") };
    let mut lines =
        vec![format!("{}  used by {used_by}", paint.tone(Tone::Strong, &format!("access list {}", acl.name)))];
    let line = |word: Verdict, whom: &str| {
        let (tone, word) = verdict(word);
        format!("  {} {whom}", paint.tone(tone, &format!("{word:6}")))
    };
    lines.extend(acl.rules.iter().map(|rule| line(rule.verdict, &rule.net.to_string())));
    lines.push(line(acl.default, "everybody else"));
    lines
}

fn verdict(verdict: Verdict) -> (Tone, String) {
    let tone = match verdict {
        Verdict::Permit => Tone::Good,
        Verdict::Deny => Tone::Bad,
    };
    (tone, verdict.name().to_owned())
}
