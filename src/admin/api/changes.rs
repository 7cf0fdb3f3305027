//! Changes as JSON, both ways: `{"op": "add-host", "service": …, "group": …, "address": …, "attributes": {…}}`.

use serde_json::{Map, Value, json};

use super::acls::read_list;
use super::input::{Object, value};
use super::tell::done;
use super::{Call, Outcome, Step};
use crate::admin::auth::password;
use crate::admin::json;
use crate::model::change::{AclTexts, Attributes, Change, GroupRef, HostRef, Refusal};
use crate::model::command::{Command, Difference};

/// What stands in the place of a password's hash.
pub(super) const HIDDEN: &str = "(hidden)";

/// Makes several changes, all or nothing.
pub(super) fn make(call: &Call) -> Outcome {
    let Value::Array(values) = value(call)? else {
        return Err(Refusal::invalid("the body is no array, expected [{\"op\": …}, …]"));
    };
    let number = |(at, value): (usize, Value)| {
        read(value).map_err(|refusal| Refusal::new(refusal.kind, format!("change {}: {}", at + 1, refusal.why)))
    };
    let changes = values.into_iter().enumerate().map(number).collect::<Result<Vec<_>, _>>()?;
    if changes.is_empty() {
        return Err(Refusal::invalid("there are no changes, expected at least one"));
    }
    Ok(Step::Ask(Command::Change(changes), Box::new(done)))
}

/// Reads one change.
fn read(value: Value) -> Result<Change, Refusal> {
    let mut object = Object::from_value(value, "it")?;
    let op = object.need(&["op"])?;
    let attributes = object.take("attributes").map(|value| Object::from_value(value, "attributes")?.attributes());
    let attributes = attributes.transpose()?.unwrap_or_default();
    let change = match op.as_str() {
        "add-service" => {
            Change::AddService { service: object.need(&["service"])?, listen: object.need(&["listen"])?, attributes }
        }
        "set-service" => Change::SetService { service: object.need(&["service"])?, attributes },
        "remove-service" => Change::RemoveService { service: object.need(&["service"])? },
        "add-listener" => {
            Change::AddListener { service: object.need(&["service"])?, listen: object.need(&["listen"])?, attributes }
        }
        "set-listener" => {
            Change::SetListener { service: object.need(&["service"])?, listen: object.need(&["listen"])?, attributes }
        }
        "remove-listener" => {
            Change::RemoveListener { service: object.need(&["service"])?, listen: object.need(&["listen"])? }
        }
        "add-group" => Change::AddGroup { group: group(&mut object)?, attributes },
        "set-group" => Change::SetGroup { group: group(&mut object)?, attributes },
        "remove-group" => Change::RemoveGroup { group: group(&mut object)? },
        "enable-group" => Change::EnableGroup { group: group(&mut object)? },
        "add-host" => Change::AddHost {
            group: group(&mut object)?,
            host: object.text("host")?,
            address: object.need(&["address"])?,
            attributes,
        },
        "set-host" => Change::SetHost { host: host(&mut object)?, attributes },
        "remove-host" => Change::RemoveHost { host: host(&mut object)? },
        "remove-all-hosts" => Change::RemoveAllHosts { group: group(&mut object)? },
        "add-user" => Change::AddUser { user: object.need(&["user"])?, attributes: hashed(attributes)? },
        "set-user" => Change::SetUser { user: object.need(&["user"])?, attributes: hashed(attributes)? },
        "remove-user" => Change::RemoveUser { user: object.need(&["user"])? },
        "add-acl" => Change::AddAcl { acl: object.need(&["acl"])?, list: read_list(&mut object)? },
        "set-acl" => Change::SetAcl { acl: object.need(&["acl"])?, list: read_list(&mut object)? },
        "remove-acl" => Change::RemoveAcl { acl: object.need(&["acl"])? },
        "set-manager" => Change::SetManager { attributes },
        "set-log" => Change::SetLog { file: object.text("file")? },
        _ => return Err(Refusal::invalid(format!("{op:?} is no change, expected add-host, set-host or another"))),
    };
    object.end()?;
    Ok(change)
}

fn group(object: &mut Object) -> Result<GroupRef, Refusal> {
    Ok(GroupRef { service: object.need(&["service"])?, group: object.need(&["group"])? })
}

fn host(object: &mut Object) -> Result<HostRef, Refusal> {
    Ok(HostRef { service: object.need(&["service"])?, group: object.text("group")?, host: object.need(&["host"])? })
}

/// Refuses a password that is none of the known hashes: it would stand in the file as it is.
pub(super) fn hashed(attributes: Attributes) -> Result<Attributes, Refusal> {
    match attributes.get("password") {
        Some(text) if !text.is_empty() && !password::is_hash(text) => Err(Refusal::invalid(
            "the password is no hash, expected one as director --hash-password makes it, or a POST to users",
        )),
        Some(_) | None => Ok(attributes),
    }
}

/// One difference. Passwords' hashes are left out.
pub(super) fn difference(difference: &Difference) -> Value {
    let change = difference.change.as_ref().map(write);
    json!({ "change": change, "what": difference.what, "effect": difference.effect })
}

fn with_list(op: &str, acl: &str, list: &AclTexts) -> Value {
    json!({ "op": op, "acl": acl, "default": list.default, "rules": json::rules(list) })
}

/// A change as [`read`] takes it.
fn write(change: &Change) -> Value {
    let one = |op: &str, place: &[(&str, Option<&str>)], attributes: Option<&Attributes>| {
        let mut map = Map::new();
        map.insert(String::from("op"), json!(op));
        let given = place.iter().filter_map(|(name, text)| Some((*name, (*text)?)));
        map.extend(given.map(|(name, text)| (name.to_owned(), json!(text))));
        if let Some(Attributes(pairs)) = attributes.filter(|attributes| !attributes.0.is_empty()) {
            let shown = |name: &str, text: &str| {
                if name == "password" && !text.is_empty() { json!(HIDDEN) } else { json!(text) }
            };
            let pairs = pairs.iter().map(|(name, text)| (name.clone(), shown(name, text)));
            map.insert(String::from("attributes"), Value::Object(pairs.collect()));
        }
        Value::Object(map)
    };
    let in_group = |op, group: &GroupRef, attributes| {
        one(op, &[("service", Some(&group.service)), ("group", Some(&group.group))], attributes)
    };
    let at_host = |op, host: &HostRef, attributes| {
        let place =
            [("service", Some(host.service.as_str())), ("group", host.group.as_deref()), ("host", Some(&host.host))];
        one(op, &place, attributes)
    };
    let at_listener = |op, service: &str, listen: &str, attributes| {
        one(op, &[("service", Some(service)), ("listen", Some(listen))], attributes)
    };
    match change {
        Change::AddService { service, listen, attributes } => {
            at_listener("add-service", service, listen, Some(attributes))
        }
        Change::SetService { service, attributes } => {
            one("set-service", &[("service", Some(service))], Some(attributes))
        }
        Change::RemoveService { service } => one("remove-service", &[("service", Some(service))], None),
        Change::AddListener { service, listen, attributes } => {
            at_listener("add-listener", service, listen, Some(attributes))
        }
        Change::SetListener { service, listen, attributes } => {
            at_listener("set-listener", service, listen, Some(attributes))
        }
        Change::RemoveListener { service, listen } => at_listener("remove-listener", service, listen, None),
        Change::AddGroup { group, attributes } => in_group("add-group", group, Some(attributes)),
        Change::SetGroup { group, attributes } => in_group("set-group", group, Some(attributes)),
        Change::RemoveGroup { group } => in_group("remove-group", group, None),
        Change::EnableGroup { group } => in_group("enable-group", group, None),
        Change::AddHost { group: GroupRef { service, group }, host, address, attributes } => {
            let place = [
                ("service", Some(service.as_str())),
                ("group", Some(group)),
                ("host", host.as_deref()),
                ("address", Some(address)),
            ];
            one("add-host", &place, Some(attributes))
        }
        Change::SetHost { host, attributes } => at_host("set-host", host, Some(attributes)),
        Change::RemoveHost { host } => at_host("remove-host", host, None),
        Change::RemoveAllHosts { group } => in_group("remove-all-hosts", group, None),
        Change::AddUser { user, attributes } => one("add-user", &[("user", Some(user))], Some(attributes)),
        Change::SetUser { user, attributes } => one("set-user", &[("user", Some(user))], Some(attributes)),
        Change::RemoveUser { user } => one("remove-user", &[("user", Some(user))], None),
        Change::AddAcl { acl, list } => with_list("add-acl", acl, list),
        Change::SetAcl { acl, list } => with_list("set-acl", acl, list),
        Change::RemoveAcl { acl } => one("remove-acl", &[("acl", Some(acl))], None),
        Change::SetManager { attributes } => one("set-manager", &[], Some(attributes)),
        Change::SetLog { file } => one("set-log", &[("file", file.as_deref())], None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_change() -> Vec<Change> {
        let service = String::from("s");
        let listen = String::from("*:80");
        let attributes = Attributes::new([("weight", "3"), ("max", "")]);
        let group = GroupRef { service: service.clone(), group: String::from("g") };
        let host = HostRef { service: service.clone(), group: None, host: String::from("h") };
        let user = String::from("u");
        let rules = [("permit", "10.0.0.0/8"), ("deny", "::/0")].map(|(verdict, net)| (verdict.into(), net.into()));
        let list = AclTexts { default: String::from("deny"), rules: rules.to_vec() };
        vec![
            Change::AddService { service: service.clone(), listen: listen.clone(), attributes: Attributes::default() },
            Change::SetService { service: service.clone(), attributes: attributes.clone() },
            Change::RemoveService { service: service.clone() },
            Change::AddListener { service: service.clone(), listen: listen.clone(), attributes: attributes.clone() },
            Change::SetListener { service: service.clone(), listen: listen.clone(), attributes: attributes.clone() },
            Change::RemoveListener { service, listen },
            Change::AddGroup { group: group.clone(), attributes: attributes.clone() },
            Change::SetGroup { group: group.clone(), attributes: attributes.clone() },
            Change::RemoveGroup { group: group.clone() },
            Change::EnableGroup { group: group.clone() },
            Change::AddHost {
                group: group.clone(),
                host: None,
                address: String::from("a:1"),
                attributes: attributes.clone(),
            },
            Change::SetHost { host: host.clone(), attributes: attributes.clone() },
            Change::RemoveHost { host: HostRef { group: Some(String::from("g")), ..host } },
            Change::RemoveAllHosts { group },
            Change::AddUser { user: user.clone(), attributes: attributes.clone() },
            Change::SetUser { user: user.clone(), attributes: attributes.clone() },
            Change::RemoveUser { user: user.clone() },
            Change::AddAcl { acl: user.clone(), list: list.clone() },
            Change::SetAcl { acl: user.clone(), list },
            Change::RemoveAcl { acl: user },
            Change::SetManager { attributes },
            Change::SetLog { file: None },
            Change::SetLog { file: Some(String::from("/f")) },
        ]
    }

    #[test]
    fn change_reads_as_it_was_written() {
        let sorted = |change: &Change| format!("{:?}", write(change));
        for change in every_change() {
            let back = read(write(&change)).unwrap();
            assert_eq!(sorted(&back), sorted(&change), "{change:?}");
            assert_eq!(std::mem::discriminant(&back), std::mem::discriminant(&change));
        }
    }

    #[test]
    fn change_that_is_none_is_refused() {
        for value in [
            json!([]),
            json!({}),
            json!({"op": "fly"}),
            json!({"op": "remove-service"}),
            json!({"op": "remove-service", "service": "s", "grup": "g"}),
            json!({"op": "set-host", "service": "s", "host": "h", "attributes": []}),
            json!({"op": "set-acl", "acl": "a", "rules": []}),
            json!({"op": "set-acl", "acl": "a", "default": "deny"}),
            json!({"op": "set-acl", "acl": "a", "default": "deny", "rules": ["10.0.0.0/8"]}),
            json!({"op": "set-acl", "acl": "a", "default": "deny", "rules": [{"permit": "::1", "deny": "::2"}]}),
            json!({"op": "set-acl", "acl": "a", "default": "deny", "rules": [{"permit": "::1"}], "acls": 1}),
            json!({"op": "add-user", "user": "u", "attributes": {"password": "clear"}}),
        ] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn hash_is_not_shown() {
        let attributes = Attributes::new([("password", "$6$salt$hash"), ("access", "full")]);
        let change = Change::AddUser { user: String::from("u"), attributes };
        let told = difference(&Difference { change: Some(change), what: String::from("w"), effect: String::new() });
        assert_eq!(told["change"]["attributes"], json!({"password": HIDDEN, "access": "full"}));
    }
}
