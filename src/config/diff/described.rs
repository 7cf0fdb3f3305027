//! Changes in words.

use crate::config::error::shown;
use crate::model::change::{Attributes, Change, GroupRef, HostRef};

/// What a change wants, in words on one line, for when it was refused: nothing of it may be right. Texts that are long
/// are cut, and secrets are left out.
#[must_use]
pub fn described(change: &Change) -> String {
    match change {
        Change::AddService { service, listen, attributes } => {
            format!("add service {} on {}{}", shown(service), shown(listen), with(attributes))
        }
        Change::SetService { service, attributes } => format!("set service {}{}", shown(service), to(attributes)),
        Change::RemoveService { service } => format!("remove service {}", shown(service)),
        Change::AddListener { service, listen, attributes } => {
            format!("add listener {} to {}{}", shown(listen), shown(service), with(attributes))
        }
        Change::SetListener { service, listen, attributes } => {
            format!("set listener {} of {}{}", shown(listen), shown(service), to(attributes))
        }
        Change::RemoveListener { service, listen } => {
            format!("remove listener {} of {}", shown(listen), shown(service))
        }
        Change::AddGroup { group, attributes } => format!("add group {}{}", group_name(group), with(attributes)),
        Change::SetGroup { group, attributes } => format!("set group {}{}", group_name(group), to(attributes)),
        Change::RemoveGroup { group } => format!("remove group {}", group_name(group)),
        Change::EnableGroup { group } => format!("enable group {}", group_name(group)),
        Change::AddHost { group, host, address, attributes } => {
            let name = host.as_ref().map_or_else(String::new, |host| format!("{} ", shown(host)));
            format!("add host {name}{} to {}{}", shown(address), group_name(group), with(attributes))
        }
        Change::SetHost { host, attributes } => format!("set host {}{}", host_name(host), to(attributes)),
        Change::RemoveHost { host } => format!("remove host {}", host_name(host)),
        Change::RemoveAllHosts { group } => format!("remove all hosts of {}", group_name(group)),
        Change::AddUser { user, attributes } => format!("add user {}{}", shown(user), with(&secretive(attributes))),
        Change::SetUser { user, attributes } => format!("set user {}{}", shown(user), to(&secretive(attributes))),
        Change::RemoveUser { user } => format!("remove user {}", shown(user)),
        Change::SetManager { attributes } => format!("set manager{}", to(attributes)),
        Change::SetLog { file } => format!("log to {}", file.as_deref().map_or("standard error".into(), shown)),
    }
}

fn group_name(group: &GroupRef) -> String {
    format!("{}/{}", shown(&group.service), shown(&group.group))
}

fn host_name(host: &HostRef) -> String {
    let group = host.group.as_ref().map_or_else(String::new, |group| format!("{}/", shown(group)));
    format!("{}/{group}{}", shown(&host.service), shown(&host.host))
}

fn with(attributes: &Attributes) -> String {
    if attributes.0.is_empty() { String::new() } else { format!(", {}", pairs(attributes)) }
}

fn to(attributes: &Attributes) -> String {
    if attributes.0.is_empty() { String::from(": nothing") } else { format!(": {}", pairs(attributes)) }
}

fn pairs(attributes: &Attributes) -> String {
    let pair = |(name, text): &(String, String)| match text.as_str() {
        "" => format!("{} as usual", shown(name)),
        HIDDEN => format!("{} (not shown)", shown(name)),
        text => format!("{}={}", shown(name), shown(text)),
    };
    attributes.0.iter().map(pair).collect::<Vec<_>>().join(", ")
}

/// Stands for a secret.
const HIDDEN: &str = "\0";

/// A user's attributes without his secrets, and without what a misspelt name may hide.
fn secretive(attributes: &Attributes) -> Attributes {
    let is_open = |name: &str| matches!(name, "name" | "access");
    let pair = |(name, text): &(String, String)| match is_open(name) || text.is_empty() {
        true => (name.clone(), text.clone()),
        false => (name.clone(), String::from(HIDDEN)),
    };
    Attributes(attributes.0.iter().map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_is_described_whatever_is_in_it() {
        let attributes = Attributes::new([("weight", "3"), ("max", "")]);
        let group = || GroupRef { service: "web".into(), group: "blue".into() };
        let add = Change::AddHost { group: group(), host: Some("c".into()), address: "10.0.0.3:80".into(), attributes };
        assert_eq!(described(&add), "add host c 10.0.0.3:80 to web/blue, weight=3, max as usual");
        let host = HostRef { service: "web".into(), group: None, host: "c\n".into() };
        let set = Change::SetHost { host, attributes: Attributes::new([("state", "x".repeat(99))]) };
        assert_eq!(described(&set), format!("set host web/c\\u{{a}}: state={}…", "x".repeat(60)));
        assert_eq!(described(&Change::EnableGroup { group: group() }), "enable group web/blue");
        assert_eq!(described(&Change::SetLog { file: None }), "log to standard error");
        let nothing = Change::SetManager { attributes: Attributes::default() };
        assert_eq!(described(&nothing), "set manager: nothing");
    }

    #[test]
    fn secrets_are_never_described() {
        let secrets = [("access", "full"), ("password", "secret"), ("pasword", "secret"), ("key", "-----BEGIN secret")];
        let user = || ("eve".to_owned(), Attributes::new(secrets));
        let ((user, attributes), (other, same)) = (user(), user());
        let expected = "access=full, password (not shown), pasword (not shown), key (not shown)";
        assert_eq!(described(&Change::AddUser { user, attributes }), format!("add user eve, {expected}"));
        assert_eq!(described(&Change::SetUser { user: other, attributes: same }), format!("set user eve: {expected}"));
    }
}
