//! In which order hosts come into question, and what becomes of those that fail: attributes of `<host>` and `<group>` to
//! values, and back.

use std::time::Duration;

use super::attributes::{Shown, given, unless};
use super::sockets::Texts;
use super::value::{self, show_time};
use crate::model::role::Role;

/// What a host says of its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostPolicy {
    /// Hosts with a lower number come first; 0 to [`crate::model::limits::PRIO_MAX`].
    pub prio: u32,
    /// Most open connections for clients whose own host this is; not below `max`.
    pub hard: Option<u32>,
    /// Who it is for.
    pub role: Role,
    /// Least time that it stays out when it has failed; none: its group says it.
    pub blacklist: Option<Duration>,
}

/// What a group says of hosts that fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupPolicy {
    /// Whether clients whose host fails are closed; none: its service says it.
    pub stubborn: Option<bool>,
    /// As of a host; none: `checktime` says it.
    pub blacklist: Option<Duration>,
}

/// Reads a host's, which has this `max`.
pub(super) fn host<S: Texts>(max: Option<u32>, texts: &mut S) -> Result<HostPolicy, S::Error> {
    let prio = texts.read("prio", value::prio);
    let hard = texts.read("hard", |text| match (value::count(text)?, max) {
        (_, None) => Err(String::from("the host has no max, which this is above; expected max, too")),
        (hard, Some(max)) if hard < max => Err(format!("it is below max, expected {max} or more")),
        (hard, Some(_)) => Ok(hard),
    });
    let emergency = texts.read("emergency", value::boolean);
    let is_emergency = matches!(emergency, Ok(Some(true)));
    let abuse = texts.read("abuse", |text| match value::boolean(text)? {
        true if is_emergency => Err(String::from("the host is for emergencies, expected one of the two")),
        is_abuse => Ok(is_abuse),
    });
    let blacklist = texts.read("blacklist", value::time);
    let role = match (emergency?, abuse?) {
        (Some(true), _) => Role::Emergency,
        (_, Some(true)) => Role::Abuse,
        (_, _) => Role::Normal,
    };
    Ok(HostPolicy { prio: prio?.unwrap_or(0), hard: hard?, role, blacklist: blacklist? })
}

/// Reads a group's.
pub(super) fn group<S: Texts>(texts: &mut S) -> Result<GroupPolicy, S::Error> {
    let stubborn = texts.read("stubborn", value::boolean);
    let blacklist = texts.read("blacklist", value::time);
    Ok(GroupPolicy { stubborn: stubborn?, blacklist: blacklist? })
}

/// What a host says that is not as usual.
pub(super) fn shown_host(policy: &HostPolicy) -> Shown {
    let yes = |role| (policy.role == role).then(|| String::from("true"));
    given([
        ("prio", unless(policy.prio, 0).map(|prio| prio.to_string())),
        ("hard", policy.hard.map(|hard| hard.to_string())),
        ("emergency", yes(Role::Emergency)),
        ("abuse", yes(Role::Abuse)),
        ("blacklist", policy.blacklist.map(show_time)),
    ])
}

/// What a group says.
pub(super) fn shown_group(policy: &GroupPolicy) -> Shown {
    given([
        ("stubborn", policy.stubborn.map(|stubborn| stubborn.to_string())),
        ("blacklist", policy.blacklist.map(show_time)),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn host(attributes: &str) -> Result<HostPolicy, String> {
        let text = format!(
            "<director><service name='s'><listen ip='*:1'/><group name='g'><host ip='h:2' {attributes}/></group>
             </service></director>"
        );
        let config = parse(&text, "f").map_err(|errors| errors.to_string())?;
        Ok(config.services[0].groups[0].hosts[0].policy)
    }

    #[test]
    fn every_attribute_of_a_host_is_read() {
        let policy = host("prio='3' max='2' hard='5' emergency='yes' blacklist='30'");
        let blacklist = Some(Duration::from_secs(30));
        assert_eq!(policy, Ok(HostPolicy { prio: 3, hard: Some(5), role: Role::Emergency, blacklist }));
        assert_eq!(host("abuse='true' emergency='false'").unwrap().role, Role::Abuse);
        assert_eq!(host(""), Ok(HostPolicy::default()));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let wrong = |attributes: &str| host(attributes).unwrap_err();
        assert!(wrong("hard='5'").ends_with("the host has no max, which this is above; expected max, too"));
        assert!(wrong("max='6' hard='5'").ends_with("it is below max, expected 6 or more"));
        assert!(wrong("emergency='1' abuse='1'").ends_with("the host is for emergencies, expected one of the two"));
        assert!(wrong("prio='65536'").ends_with("the number is too large, expected 0 to 65535"));
    }
}
