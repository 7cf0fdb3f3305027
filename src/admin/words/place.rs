//! Services, groups and hosts as one word: `SERVICE/GROUP/HOST`. A `/` or `\` of a name has a `\` before it.

use super::Misuse;
use crate::model::change::{GroupRef, HostRef};

/// The parts of a place.
fn parts(word: &str) -> Result<Vec<String>, Misuse> {
    let mut parts = vec![String::new()];
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match c {
            '/' => parts.push(String::new()),
            '\\' => parts.last_mut().into_iter().for_each(|part| part.extend(chars.next())),
            c => parts.last_mut().into_iter().for_each(|part| part.push(c)),
        }
    }
    if parts.iter().any(String::is_empty) {
        return Err(Misuse::new(format!("{word:?} has an empty part, expected names with one / between them")));
    }
    Ok(parts)
}

fn joined(parts: &[&str]) -> String {
    let escaped = parts.iter().map(|part| part.replace('\\', r"\\").replace('/', r"\/"));
    escaped.collect::<Vec<_>>().join("/")
}

/// `HOST`, `SERVICE/HOST` or `SERVICE/GROUP/HOST`. The service of the first is empty: whoever knows the configuration
/// finds it.
///
/// # Errors
/// It is none of these.
pub fn host(word: &str) -> Result<HostRef, Misuse> {
    let mut parts = parts(word)?.into_iter();
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(host), None, ..) => Ok(HostRef { service: String::new(), group: None, host }),
        (Some(service), Some(host), None, _) => Ok(HostRef { service, group: None, host }),
        (Some(service), Some(group), Some(host), None) => Ok(HostRef { service, group: Some(group), host }),
        _ => Err(Misuse::new(format!("{word:?} is no host, expected HOST, SERVICE/HOST or SERVICE/GROUP/HOST"))),
    }
}

/// `SERVICE/GROUP`.
///
/// # Errors
/// It is not that.
pub fn group(word: &str) -> Result<GroupRef, Misuse> {
    let mut parts = parts(word)?.into_iter();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(service), Some(group), None) => Ok(GroupRef { service, group }),
        _ => Err(Misuse::new(format!("{word:?} is no group, expected SERVICE/GROUP"))),
    }
}

/// As [`host`] reads it.
#[must_use]
pub fn show_host(host: &HostRef) -> String {
    let HostRef { service, group, host } = host;
    match group {
        Some(group) => joined(&[service, group, host]),
        None if service.is_empty() => joined(&[host]),
        None => joined(&[service, host]),
    }
}

/// As [`group`] reads it.
#[must_use]
pub fn show_group(group: &GroupRef) -> String {
    joined(&[&group.service, &group.group])
}

/// As [`host`] reads it.
#[must_use]
pub fn full(service: &str, group: &str, host: &str) -> String {
    joined(&[service, group, host])
}

/// As [`group`] reads it.
#[must_use]
pub(super) fn full2(service: &str, group: &str) -> String {
    joined(&[service, group])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn place_of_the_wrong_length_is_refused() {
        assert!(host("a/b/c/d").is_err());
        assert!(host("a//c").is_err());
        assert!(host("").is_err());
        assert!(group("a").is_err());
        assert!(group("a/b/c").is_err());
        assert_eq!(host("web1").unwrap().service, "");
    }

    proptest! {
        #[test]
        fn place_reads_as_it_was_written(service in "\\PC{1,9}", group_name in "\\PC{1,9}", name in "\\PC{1,9}") {
            let whole = HostRef { service: service.clone(), group: Some(group_name.clone()), host: name.clone() };
            prop_assert_eq!(host(&show_host(&whole)).unwrap(), whole);
            let short = HostRef { service: service.clone(), group: None, host: name };
            prop_assert_eq!(host(&show_host(&short)).unwrap(), short);
            let place = GroupRef { service, group: group_name };
            prop_assert_eq!(group(&show_group(&place)).unwrap(), place);
        }
    }
}
