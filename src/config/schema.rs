//! The vocabulary: which element may stand where, with which attributes.
//!
//! All three dialects share it, so an old file may be extended with what is new without changing its root. The root
//! only decides what is meant where the file says nothing; see [`Dialect`].

use std::sync::LazyLock;
use std::time::Duration;

use crate::model::limits::{CHECKTIME_ANCESTORS, HOST_CHECK, HOST_CHECK_ANCESTORS};

/// Which defaults a file has; its root element says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `<director>`: ours, the one that is written.
    Director,
    /// `<pdconfig>`.
    PythonDirector,
    /// `<config>`.
    TxLoadBalancer,
}

impl Dialect {
    /// What the root element may contain, and its name.
    pub(super) const fn root(self) -> &'static Rule {
        match self {
            Self::Director => &DIRECTOR,
            Self::PythonDirector => &PDCONFIG,
            Self::TxLoadBalancer => &CONFIG,
        }
    }

    /// Time between probes of a failed host.
    pub(super) const fn host_check(self) -> Duration {
        match self {
            Self::Director => HOST_CHECK,
            Self::PythonDirector | Self::TxLoadBalancer => HOST_CHECK_ANCESTORS,
        }
    }

    /// Least time a failed host stays out. PythonDirector put hosts back without a look, so it waited long;
    /// txLoadBalancer, as we, asks the host first.
    pub(super) const fn checktime(self) -> Duration {
        match self {
            Self::PythonDirector => CHECKTIME_ANCESTORS,
            Self::Director | Self::TxLoadBalancer => Duration::ZERO,
        }
    }
}

/// What an element may contain.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// Each with the form of its value, as messages show it. The first is one that every such element should have.
    pub(super) attributes: &'static [(&'static str, &'static str)],
    pub(super) children: &'static [Child],
}

/// An element within another one.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) rule: &'static Rule,
    pub(super) is_required: bool,
    pub(super) may_repeat: bool,
}

impl Rule {
    /// The root element of that name.
    pub(super) fn root(name: &str) -> Option<(Dialect, &'static Self)> {
        ROOTS.iter().find(|(_, rule)| rule.name == name).map(|(dialect, rule)| (*dialect, *rule))
    }

    pub(super) fn child(&self, name: &str) -> Option<&'static Child> {
        self.children.iter().find(|child| child.rule.name == name)
    }

    /// The attribute's name and form.
    pub(super) fn attribute(&self, name: &str) -> Option<(&'static str, &'static str)> {
        self.attributes.iter().find(|(known, _)| *known == name).copied()
    }
}

/// The root elements.
pub(super) static ROOTS: [(Dialect, &Rule); 3] = [
    (Dialect::Director, Dialect::Director.root()),
    (Dialect::PythonDirector, Dialect::PythonDirector.root()),
    (Dialect::TxLoadBalancer, Dialect::TxLoadBalancer.root()),
];

/// Every element within the roots, with its parents' names.
pub(super) static ELEMENTS: LazyLock<Vec<(&'static Rule, Vec<&'static str>)>> = LazyLock::new(|| {
    let mut found: Vec<(&Rule, Vec<&str>)> = Vec::new();
    let mut rules = vec![&DIRECTOR];
    while let Some(parent) = rules.pop() {
        for Child { rule, .. } in parent.children {
            match found.iter_mut().find(|(known, _)| known.name == rule.name) {
                Some((_, parents)) => parents.push(parent.name),
                None => {
                    found.push((rule, vec![parent.name]));
                    rules.push(rule);
                }
            }
        }
    }
    found
});

/// The form of a time.
pub(super) const TIME: &str = "TIME";
const NUMBER: &str = "NUMBER";
const NAME: &str = "NAME";
const ADDRESS: &str = "ADDRESS:PORT";
/// The form of a yes or no.
pub(super) const BOOLEAN: &str = "true";
const BYTES: &str = "BYTES";
const SOURCE: &str = "ADDRESS-ADDRESS";

const fn any_number(rule: &'static Rule) -> Child {
    Child { rule, is_required: false, may_repeat: true }
}

const fn at_least_one(rule: &'static Rule) -> Child {
    Child { rule, is_required: true, may_repeat: true }
}

const fn at_most_one(rule: &'static Rule) -> Child {
    Child { rule, is_required: false, may_repeat: false }
}

static DIRECTOR: Rule = Rule { name: "director", attributes: &[], children: TOP };
static PDCONFIG: Rule = Rule { name: "pdconfig", attributes: &[], children: TOP };
static CONFIG: Rule = Rule { name: "config", attributes: &[], children: TOP };

const TOP: &[Child] = &[
    at_least_one(&SERVICE),
    at_most_one(&MANAGER),
    at_most_one(&CHECKTIME),
    at_most_one(&LOGGING),
    at_most_one(&ADMIN),
    at_most_one(&CONTROL),
];

pub(super) static SERVICE: Rule = Rule {
    name: "service",
    attributes: &[
        ("name", NAME),
        ("connect-timeout", TIME),
        ("idle-timeout", TIME),
        ("fin-timeout", TIME),
        ("max-connections", NUMBER),
        ("stubborn", BOOLEAN),
        ("session", "flow|packet"),
        ("responses", NUMBER),
        ("flow-timeout", TIME),
    ],
    children: &[at_least_one(&LISTEN), at_least_one(&GROUP), at_most_one(&ENABLE)],
};

/// These attributes, and those of every socket of a connection.
macro_rules! with_stream {
    ($($own:expr),*) => {
        &[
            $($own,)*
            ("user-timeout", TIME),
            ("keepalive", "TIME,TIME,NUMBER"),
            ("congestion", NAME),
            ("notsent-lowat", BYTES),
            ("busy-poll", NUMBER),
            ("receive-buffer", BYTES),
            ("send-buffer", BYTES),
            ("quick-ack", BOOLEAN),
        ]
    };
}

pub(super) static LISTEN: Rule = Rule {
    name: "listen",
    attributes: with_stream![
        ("ip", ADDRESS),
        ("protocol", "tcp|udp|tcp+udp"),
        ("backlog", NUMBER),
        ("defer-accept", TIME),
        ("fastopen", NUMBER)
    ],
    children: &[],
};

pub(super) static GROUP: Rule = Rule {
    name: "group",
    attributes: with_stream![
        ("name", NAME),
        ("scheduler", "SCHEDULER"),
        ("sticky", "off|table|hash"),
        ("sticky-size", NUMBER),
        ("sticky-ttl", TIME),
        ("sticky-prefix-v4", NUMBER),
        ("sticky-prefix-v6", NUMBER),
        ("fail-back", BOOLEAN),
        ("stubborn", BOOLEAN),
        ("blacklist", TIME),
        ("enable", BOOLEAN),
        ("source", SOURCE),
        ("fastopen", BOOLEAN)
    ],
    children: &[at_least_one(&HOST)],
};

pub(super) static HOST: Rule = Rule {
    name: "host",
    attributes: with_stream![
        ("ip", ADDRESS),
        ("name", NAME),
        ("weight", NUMBER),
        ("max", NUMBER),
        ("hard", NUMBER),
        ("prio", NUMBER),
        ("emergency", BOOLEAN),
        ("abuse", BOOLEAN),
        ("blacklist", TIME),
        ("state", "up|drain|down"),
        ("source", SOURCE),
        ("fastopen", BOOLEAN)
    ],
    children: &[],
};

static ENABLE: Rule = Rule { name: "enable", attributes: &[("group", NAME)], children: &[] };

pub(super) static MANAGER: Rule = Rule {
    name: "manager",
    attributes: &[("rise", NUMBER), ("fall", NUMBER), ("checktime", TIME)],
    children: &[
        at_most_one(&HOST_CHECK_RULE),
        at_most_one(&HEARTBEAT_RULE),
        at_most_one(&CONFIG_CHECK),
        at_most_one(&CHECKTIME),
        at_most_one(&CONTROL),
    ],
};

const INTERVAL_AND_ENABLE: &[(&str, &str)] = &[("interval", TIME), ("enable", BOOLEAN)];

static HOST_CHECK_RULE: Rule = Rule { name: "hostCheck", attributes: INTERVAL_AND_ENABLE, children: &[] };
static HEARTBEAT_RULE: Rule = Rule { name: "heartbeat", attributes: INTERVAL_AND_ENABLE, children: &[] };
static CONFIG_CHECK: Rule = Rule { name: "configCheck", attributes: INTERVAL_AND_ENABLE, children: &[] };
static CHECKTIME: Rule = Rule { name: "checktime", attributes: &[("time", TIME)], children: &[] };
static LOGGING: Rule = Rule { name: "logging", attributes: &[("file", "FILE")], children: &[] };
static CONTROL: Rule = Rule { name: "control", attributes: &[("socket", "PATH"), ("group", NAME)], children: &[] };

static ADMIN: Rule = Rule {
    name: "admin",
    attributes: &[("listen", ADDRESS), ("secure", BOOLEAN)],
    children: &[at_most_one(&WEB), at_most_one(&SSH), any_number(&USER)],
};

static WEB: Rule = Rule {
    name: "web",
    attributes: &[
        ("listen", ADDRESS),
        ("enable", BOOLEAN),
        ("secure", BOOLEAN),
        ("refresh", TIME),
        ("names", "NAME,NAME"),
        ("certificate", "FILE"),
        ("key", "FILE"),
    ],
    children: &[],
};

static SSH: Rule = Rule { name: "ssh", attributes: &[("listen", ADDRESS), ("enable", BOOLEAN)], children: &[] };

pub(super) static USER: Rule = Rule {
    name: "user",
    attributes: &[("name", NAME), ("password", "HASH"), ("access", "full|readonly"), ("key", "TYPE BASE64")],
    children: &[],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_listed_once_with_its_parents() {
        let parents =
            |name| ELEMENTS.iter().filter(|(rule, _)| rule.name == name).map(|(_, p)| p.clone()).collect::<Vec<_>>();
        assert_eq!(parents("host"), [["group"]]);
        assert_eq!(parents("checktime"), [["director", "manager"]]);
        assert_eq!(ELEMENTS.len(), 16);
    }

    #[test]
    fn root_decides_the_dialect() {
        let dialect = |name| Rule::root(name).map(|(dialect, _)| dialect);
        assert_eq!(dialect("director"), Some(Dialect::Director));
        assert_eq!(dialect("pdconfig"), Some(Dialect::PythonDirector));
        assert_eq!(dialect("config"), Some(Dialect::TxLoadBalancer));
        assert_eq!(dialect("service"), None);
    }
}
