//! What a reload changed, in words for the log.

use std::fmt;

/// How many names a list in a log line has at most.
const NAMES_SHOWN_MAX: usize = 5;

/// What a reload changed in the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names of services that are new.
    pub services_added: Vec<String>,
    /// Names of services that are gone.
    pub services_removed: Vec<String>,
    /// Names of services of which anything differs.
    pub services_changed: Vec<String>,
    /// Host addresses that are new.
    pub hosts_added: usize,
    /// Host addresses that are gone.
    pub hosts_removed: usize,
    /// Access lists that are new, gone or other ones.
    pub lists_changed: usize,
    /// Whether the rules of the health checks differ.
    pub rules_changed: bool,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services =
            [("added", &self.services_added), ("removed", &self.services_removed), ("changed", &self.services_changed)];
        for (what, names) in services {
            write!(f, "services-{what}={} ", names.len())?;
            if !names.is_empty() {
                write!(f, "({}) ", Listed(names))?;
            }
        }
        write!(f, "hosts-added={} hosts-removed={}", self.hosts_added, self.hosts_removed)?;
        if self.lists_changed > 0 {
            write!(f, " access-lists-changed={}", self.lists_changed)?;
        }
        f.write_str(if self.rules_changed { " manager=changed" } else { " manager=unchanged" })
    }
}

/// The first few names, and how many more there are.
struct Listed<'a>(&'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.0.iter().take(NAMES_SHOWN_MAX).enumerate() {
            write!(f, "{}{}", if n == 0 { "" } else { " " }, super::line::Value(name))?;
        }
        match self.0.len().checked_sub(NAMES_SHOWN_MAX) {
            Some(more @ 1..) => write!(f, " and {more} more"),
            Some(0) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_list_of_services_is_cut_in_the_line() {
        let changes = Changes {
            services_added: (0..7).map(|n| format!("s{n}")).collect(),
            services_changed: vec!["web\nx".to_owned()],
            hosts_added: 3,
            ..Changes::default()
        };
        assert_eq!(
            changes.to_string(),
            "services-added=7 (s0 s1 s2 s3 s4 and 2 more) services-removed=0 services-changed=1 (\"web\\u{a}x\") \
             hosts-added=3 hosts-removed=0 manager=unchanged"
        );
    }
}
