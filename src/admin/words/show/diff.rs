//! Differences between configurations: for people, as commands, and as calls of the web API.

use serde_json::{Map, Value, json};

use super::paint::{Paint, Tone};
use crate::admin::words::line::change_line;
use crate::model::change::{Attributes, Change, GroupRef, HostRef};
use crate::model::command::Difference;

/// How differences are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// What, and what it does to connections.
    #[default]
    Text,
    /// As commands for `batch`.
    Commands,
    /// As calls of the web API.
    Api,
    /// As PythonDirector's calls, where it has an equal one.
    PythonDirector,
}

/// The differences as lines. What is no change of the running configuration is a comment where others are commands.
#[must_use]
pub fn lines(differences: &[Difference], form: Form, paint: Paint) -> Vec<String> {
    if differences.is_empty() && form == Form::Text {
        return vec![paint.tone(Tone::Faint, "no difference")];
    }
    differences.iter().map(|difference| line(difference, form, paint)).collect()
}

fn line(difference: &Difference, form: Form, paint: Paint) -> String {
    let Difference { change, what, effect } = difference;
    let what = what.replace('\n', " ");
    let comment = || format!("# {what}: only a restart does this");
    match (form, change) {
        (Form::Text, None) => format!("{what}  {}", paint.tone(Tone::Odd, "[takes a restart]")),
        (Form::Text, Some(_)) if effect.is_empty() => what,
        (Form::Text, Some(_)) => format!("{what}  {}", paint.tone(Tone::Faint, &format!("[{effect}]"))),
        (_, None) => comment(),
        (Form::Commands, Some(change)) => change_line(change),
        (Form::Api, Some(change)) => {
            let Call { method, path, body } = call(change);
            body.map_or_else(|| format!("{method} {path}"), |body| format!("{method} {path} {body}"))
        }
        (Form::PythonDirector, Some(change)) => old_call(change)
            .unwrap_or_else(|| format!("# {}: PythonDirector has no call for this", change_line(change))),
    }
}

/// The differences as one document.
#[must_use]
pub fn json(differences: &[Difference], form: Form) -> Value {
    let each = differences.iter().map(|difference| {
        let Difference { change, what, effect } = difference;
        let mut told = json!({ "what": what, "effect": effect, "restart": change.is_none() });
        if let Some(change) = change {
            let call = call(change);
            told["command"] = json!(change_line(change));
            told["api"] = json!({ "method": call.method, "path": call.path, "body": call.body });
            if form == Form::PythonDirector {
                told["pydir"] = json!(old_call(change));
            }
        }
        told
    });
    json!({ "differences": each.collect::<Vec<_>>() })
}

/// A call of the web API.
#[derive(Debug, PartialEq)]
pub(in crate::admin::words) struct Call {
    pub(in crate::admin::words) method: &'static str,
    pub(in crate::admin::words) path: String,
    pub(in crate::admin::words) body: Option<Value>,
}

/// The call that makes this change.
pub(in crate::admin::words) fn call(change: &Change) -> Call {
    let post = |path, body| Call { method: "POST", path, body: Some(body) };
    let patch = |path, attributes: &Attributes| Call { method: "PATCH", path, body: Some(object(&[], attributes)) };
    let delete = |path| Call { method: "DELETE", path, body: None };
    match change {
        Change::AddService { service, listen, attributes } => {
            post(path(&["services"]), object(&[("name", service), ("listen", listen)], attributes))
        }
        Change::SetService { service, attributes } => patch(path(&["services", service]), attributes),
        Change::RemoveService { service } => delete(path(&["services", service])),
        Change::AddListener { service, listen, attributes } => {
            post(path(&["services", service, "listeners"]), object(&[("ip", listen)], attributes))
        }
        Change::SetListener { service, listen, attributes } => {
            patch(path(&["services", service, "listeners", listen]), attributes)
        }
        Change::RemoveListener { service, listen } => delete(path(&["services", service, "listeners", listen])),
        Change::AddGroup { group, attributes } => {
            post(path(&["services", &group.service, "groups"]), object(&[("name", &group.group)], attributes))
        }
        Change::SetGroup { group, attributes } => patch(group_path(group, &[]), attributes),
        Change::RemoveGroup { group } => delete(group_path(group, &[])),
        Change::EnableGroup { group } => post(group_path(group, &["enable"]), json!({})),
        Change::AddHost { group, host, address, attributes } => {
            let mut fixed = vec![("ip", address)];
            fixed.extend(host.iter().map(|name| ("name", name)));
            post(group_path(group, &["hosts"]), object(&fixed, attributes))
        }
        Change::SetHost { host, attributes } => match host_path(host) {
            Some(path) => patch(path, attributes),
            None => in_any_group("set-host", host, Some(attributes)),
        },
        Change::RemoveHost { host } => host_path(host).map_or_else(|| in_any_group("remove-host", host, None), delete),
        Change::RemoveAllHosts { group } => delete(group_path(group, &["hosts"])),
        Change::AddUser { user, attributes } => post(path(&["users"]), object(&[("name", user)], &as_hash(attributes))),
        Change::SetUser { user, attributes } => patch(path(&["users", user]), &as_hash(attributes)),
        Change::RemoveUser { user } => delete(path(&["users", user])),
        Change::SetManager { attributes } => patch(path(&["manager"]), attributes),
        Change::SetLog { file } => post(path(&["log"]), json!({ "file": file.as_deref().unwrap_or_default() })),
    }
}

/// The API takes passwords in clear as `password`, and what is known here, their hashes, as `hash`.
fn as_hash(attributes: &Attributes) -> Attributes {
    let named = |name: &String| if name == "password" { "hash" } else { name.as_str() }.to_owned();
    Attributes(attributes.0.iter().map(|(name, text)| (named(name), text.clone())).collect())
}

/// `/api/v1/…`, the parts percent-encoded.
fn path(parts: &[&str]) -> String {
    parts.iter().fold(String::from("/api/v1"), |path, part| format!("{path}/{}", encoded(part)))
}

fn group_path(group: &GroupRef, more: &[&str]) -> String {
    let parts: Vec<&str> =
        ["services", &group.service, "groups", &group.group].into_iter().chain(more.iter().copied()).collect();
    path(&parts)
}

/// None where the host's group is not named, without which it has no path.
fn host_path(host: &HostRef) -> Option<String> {
    host.group.as_ref().map(|group| path(&["services", &host.service, "groups", group, "hosts", &host.host]))
}

/// The call for a host in whichever group has it.
fn in_any_group(op: &str, host: &HostRef, attributes: Option<&Attributes>) -> Call {
    let mut change = json!({ "op": op, "service": host.service, "host": host.host });
    if let Some(attributes) = attributes {
        change["attributes"] = object(&[], attributes);
    }
    Call { method: "POST", path: path(&["changes"]), body: Some(json!([change])) }
}

/// Everything but the unreserved characters of RFC 3986 (section 2.3) and `:`, which a path may have.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn object(fixed: &[(&str, &String)], attributes: &Attributes) -> Value {
    let fixed = fixed.iter().map(|(name, text)| ((*name).to_owned(), json!(text)));
    let more = attributes.0.iter().map(|(name, text)| (name.clone(), json!(text)));
    Value::Object(fixed.chain(more).collect::<Map<_, _>>())
}

/// The call of PythonDirector that does the same; its web interface changed by `GET`. New users have none: it wants their
/// passwords in clear, which nobody has.
fn old_call(change: &Change) -> Option<String> {
    let get = |name: &str, pairs: &[(&str, &str)]| {
        let pairs: Vec<String> = pairs.iter().map(|(name, text)| format!("{name}={}", encoded(text))).collect();
        Some(format!("/{name}?{}", pairs.join("&")))
    };
    match change {
        Change::AddHost { group: GroupRef { service, group }, host, address, attributes } => {
            let mut pairs = vec![("service", service.as_str()), ("group", group), ("ip", address)];
            pairs.extend(host.iter().map(|name| ("name", name.as_str())));
            pairs.extend(attributes.get("weight").map(|weight| ("weight", weight)));
            let is_known = attributes.0.iter().all(|(name, _)| name == "weight");
            is_known.then(|| get("addHost", &pairs)).flatten()
        }
        Change::RemoveHost { host: HostRef { service, group: Some(group), host } } => {
            get("delHost", &[("service", service), ("group", group), ("name", host)])
        }
        Change::RemoveAllHosts { group: GroupRef { service, group } } => {
            get("delAllHosts", &[("service", service), ("group", group)])
        }
        Change::EnableGroup { group: GroupRef { service, group } } => {
            get("enableGroup", &[("service", service), ("group", group)])
        }
        Change::SetGroup { group: GroupRef { service, group }, attributes } => match attributes.0.as_slice() {
            [(name, text)] if name == "scheduler" => {
                get("changeScheduler", &[("service", service), ("group", group), ("scheduler", text)])
            }
            [..] => None,
        },
        Change::SetHost { host: HostRef { service, group: Some(group), host }, attributes } => {
            let call = match attributes.0.as_slice() {
                [(name, text)] if name == "state" && text == "down" => "hostAdminDown",
                [(name, text)] if name == "state" && (text == "up" || text.is_empty()) => "hostAdminUp",
                [..] => return None,
            };
            get(call, &[("service", service), ("group", group), ("name", host)])
        }
        Change::AddService { service, listen, attributes } if attributes.0.is_empty() => {
            get("newService", &[("service", service), ("listen", listen)])
        }
        Change::AddGroup { group: GroupRef { service, group }, attributes } => {
            let scheduler = attributes.get("scheduler").unwrap_or("roundrobin");
            let is_known = attributes.0.iter().all(|(name, _)| name == "scheduler");
            is_known
                .then(|| get("newGroup", &[("service", service), ("group", group), ("scheduler", scheduler)]))
                .flatten()
        }
        Change::RemoveGroup { group: GroupRef { service, group } } => {
            get("delGroup", &[("service", service), ("group", group)])
        }
        Change::RemoveUser { user } => get("delUser", &[("name", user)]),
        Change::AddService { .. }
        | Change::SetService { .. }
        | Change::RemoveService { .. }
        | Change::AddListener { .. }
        | Change::SetListener { .. }
        | Change::RemoveListener { .. }
        | Change::RemoveHost { .. }
        | Change::SetHost { .. }
        | Change::AddUser { .. }
        | Change::SetUser { .. }
        | Change::SetManager { .. }
        | Change::SetLog { .. } => None,
    }
}
