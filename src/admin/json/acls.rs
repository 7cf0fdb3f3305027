//! Access lists.

use serde_json::{Map, Value, json};

use crate::config::{Acl, Config};
use crate::model::change::AclTexts;

/// The access lists: each with how many rules it has and who uses it.
#[must_use]
pub fn acls(config: &Config) -> Value {
    config.acls.iter().map(|acl| Value::Object(named(config, acl, "rule_count", json!(acl.rules.len())))).collect()
}

/// An access list with its rules.
#[must_use]
pub fn acl(config: &Config, acl: &Acl) -> Value {
    Value::Object(named(config, acl, "rules", rules(&acl.texts())))
}

fn named(config: &Config, acl: &Acl, name: &str, value: Value) -> Map<String, Value> {
    let pairs = [
        ("name", json!(acl.name)),
        ("default", json!(acl.default.name())),
        (name, value),
        ("used_by", json!(config.users_of(&acl.name))),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `[{"permit": "10.0.0.0/8"}, …]`.
#[must_use]
pub fn rules(list: &AclTexts) -> Value {
    let rule = |(verdict, net): &(String, String)| Value::Object(Map::from_iter([(verdict.clone(), json!(net))]));
    list.rules.iter().map(rule).collect()
}
