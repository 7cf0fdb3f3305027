//! Services, their listeners, groups and hosts.

use serde_json::{Value, json};

use super::input::Object;
use super::tell::{created, done, refusal_json};
use super::{Call, Outcome, Step};
use crate::admin::http::Answer;
use crate::admin::json;
use crate::model::change::{Change, GroupRef, HostRef, Refusal};
use crate::model::command::Command;
use crate::model::snapshot::{GroupView, ServiceView, Snapshot};

/// A place in what there is to see.
type Look<T> = Result<T, Refusal>;

fn see(look: impl FnOnce(&Snapshot) -> Look<Value> + Send + 'static) -> Outcome {
    let tell = |snapshot: &Snapshot| match look(snapshot) {
        Ok(value) => Answer::json(200, &value),
        Err(refusal) => refusal_json(&refusal),
    };
    Ok(Step::See(Box::new(tell)))
}

fn change(change: Change) -> Outcome {
    Ok(Step::Ask(Command::Change(vec![change]), Box::new(done)))
}

fn create(change: Change) -> Outcome {
    Ok(Step::Ask(Command::Change(vec![change]), Box::new(created)))
}

fn service<'s>(snapshot: &'s Snapshot, name: &str) -> Look<&'s ServiceView> {
    let found = snapshot.services.iter().find(|service| service.name == name);
    found.ok_or_else(|| Refusal::not_found(format!("there is no service {name:?}")))
}

fn group<'s>(snapshot: &'s Snapshot, place: &GroupRef) -> Look<&'s GroupView> {
    let found = service(snapshot, &place.service)?.groups.iter().find(|group| group.name == place.group);
    found.ok_or_else(|| Refusal::not_found(format!("the service {:?} has no group {:?}", place.service, place.group)))
}

fn group_ref(call: &Call) -> GroupRef {
    GroupRef { service: call.name(0).to_owned(), group: call.name(1).to_owned() }
}

fn host_ref(call: &Call) -> HostRef {
    let GroupRef { service, group } = group_ref(call);
    HostRef { service, group: Some(group), host: call.name(2).to_owned() }
}

pub(super) fn list(_: &Call) -> Outcome {
    see(|snapshot| Ok(snapshot.services.iter().map(json::service).collect()))
}

/// `{"name": …, "listen": …}` and attributes.
pub(super) fn add(call: &Call) -> Outcome {
    let mut object = Object::of(call)?;
    let (service, listen) = (object.need(&["name", "service"])?, object.need(&["listen", "address", "ip"])?);
    create(Change::AddService { service, listen, attributes: object.attributes()? })
}

pub(super) fn one(call: &Call) -> Outcome {
    let name = call.name(0).to_owned();
    see(move |snapshot| service(snapshot, &name).map(json::service))
}

pub(super) fn set(call: &Call) -> Outcome {
    let attributes = Object::of(call)?.attributes()?;
    change(Change::SetService { service: call.name(0).to_owned(), attributes })
}

pub(super) fn remove(call: &Call) -> Outcome {
    change(Change::RemoveService { service: call.name(0).to_owned() })
}

pub(super) fn listeners(call: &Call) -> Outcome {
    let name = call.name(0).to_owned();
    see(move |snapshot| Ok(service(snapshot, &name)?.listeners.iter().map(json::listener).collect()))
}

/// `{"address": …}` and attributes.
pub(super) fn add_listener(call: &Call) -> Outcome {
    let mut object = Object::of(call)?;
    let listen = object.need(&["address", "ip", "listen"])?;
    create(Change::AddListener { service: call.name(0).to_owned(), listen, attributes: object.attributes()? })
}

pub(super) fn listener(call: &Call) -> Outcome {
    let (name, address) = (call.name(0).to_owned(), call.name(1).to_owned());
    see(move |snapshot| {
        let found = service(snapshot, &name)?.listeners.iter().find(|listener| listener.address == address);
        let missing = || Refusal::not_found(format!("the service {name:?} does not listen on {address:?}"));
        found.map(json::listener).ok_or_else(missing)
    })
}

pub(super) fn set_listener(call: &Call) -> Outcome {
    let attributes = Object::of(call)?.attributes()?;
    change(Change::SetListener { service: call.name(0).to_owned(), listen: call.name(1).to_owned(), attributes })
}

pub(super) fn remove_listener(call: &Call) -> Outcome {
    change(Change::RemoveListener { service: call.name(0).to_owned(), listen: call.name(1).to_owned() })
}

pub(super) fn groups(call: &Call) -> Outcome {
    let name = call.name(0).to_owned();
    see(move |snapshot| Ok(service(snapshot, &name)?.groups.iter().map(json::group).collect()))
}

/// `{"name": …}` and attributes.
pub(super) fn add_group(call: &Call) -> Outcome {
    let mut object = Object::of(call)?;
    let group = GroupRef { service: call.name(0).to_owned(), group: object.need(&["name", "group"])? };
    create(Change::AddGroup { group, attributes: object.attributes()? })
}

pub(super) fn one_group(call: &Call) -> Outcome {
    let place = group_ref(call);
    see(move |snapshot| group(snapshot, &place).map(json::group))
}

pub(super) fn set_group(call: &Call) -> Outcome {
    change(Change::SetGroup { group: group_ref(call), attributes: Object::of(call)?.attributes()? })
}

pub(super) fn remove_group(call: &Call) -> Outcome {
    change(Change::RemoveGroup { group: group_ref(call) })
}

pub(super) fn enable_group(call: &Call) -> Outcome {
    change(Change::EnableGroup { group: group_ref(call) })
}

pub(super) fn hosts(call: &Call) -> Outcome {
    let place = group_ref(call);
    see(move |snapshot| Ok(group(snapshot, &place)?.hosts.iter().map(json::host).collect()))
}

/// `{"name": …, "address": …}` and attributes; without a name it gets one.
pub(super) fn add_host(call: &Call) -> Outcome {
    let mut object = Object::of(call)?;
    let host = object.text("name")?;
    let address = object.need(&["address", "ip"])?;
    create(Change::AddHost { group: group_ref(call), host, address, attributes: object.attributes()? })
}

pub(super) fn remove_hosts(call: &Call) -> Outcome {
    change(Change::RemoveAllHosts { group: group_ref(call) })
}

/// Every address of the host: an array, because a name may have several.
pub(super) fn one_host(call: &Call) -> Outcome {
    let HostRef { host, .. } = host_ref(call);
    let place = group_ref(call);
    see(move |snapshot| {
        let hosts = group(snapshot, &place)?.hosts.iter();
        let found: Vec<Value> = hosts.filter(|view| view.name == host).map(json::host).collect();
        let missing = || Refusal::not_found(format!("the group {:?} has no host {host:?}", place.group));
        if found.is_empty() { Err(missing()) } else { Ok(json!(found)) }
    })
}

pub(super) fn set_host(call: &Call) -> Outcome {
    let mut object = Object::of(call)?;
    let address = object.text("address")?;
    let mut attributes = object.attributes()?;
    attributes.0.extend(address.map(|address| (String::from("ip"), address)));
    change(Change::SetHost { host: host_ref(call), attributes })
}

pub(super) fn remove_host(call: &Call) -> Outcome {
    change(Change::RemoveHost { host: host_ref(call) })
}

pub(super) fn retry_host(call: &Call) -> Outcome {
    Ok(Step::Ask(Command::Retry(host_ref(call)), Box::new(done)))
}
