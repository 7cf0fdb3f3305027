//! Groups of hosts.

use super::edited::Edited;
use super::{group_mut, refuse_serving, refuse_taken, service_mut, title};
use crate::config::error::quoted;
use crate::config::sockets::{self, Texts};
use crate::config::{Config, Service};
use crate::config::{Group, GroupPolicy, attributes, check, policy, schema, sticky, value};
use crate::model::change::{Attributes, GroupRef, Refusal};
use crate::model::scheduler::SchedulerKind;
use crate::model::socket_options::ConnectOptions;
use crate::model::sticky::StickyRules;

/// What is said elsewhere.
const FIXED: [&str; 1] = ["enable"];

pub(super) fn add(config: &mut Config, group: &GroupRef, asked: &Attributes) -> Result<String, Refusal> {
    let service = service_mut(config, &group.service)?;
    refuse_name(service, &group.group)?;
    let scheduler = SchedulerKind::default();
    let bare = Group {
        name: group.group.clone(),
        scheduler,
        sticky: StickyRules::default(),
        policy: GroupPolicy::default(),
        check: None,
        connect: ConnectOptions::default(),
        hosts: Vec::new(),
    };
    let group = edited(&bare, &["name", FIXED[0]], asked)?;
    let told = format!("group {} added; it serves once it has a host and is enabled", title(service, &group));
    service.groups.push(group);
    Ok(told)
}

pub(super) fn set(config: &mut Config, group: &GroupRef, asked: &Attributes) -> Result<String, Refusal> {
    let (service, at) = group_mut(config, group)?;
    let after = edited(&service.groups[at], &FIXED, asked)?;
    if after.name != group.group {
        refuse_name(service, &after.name)?;
    }
    let told = format!("group {}: {}", title(service, &service.groups[at]), Edited::told("group", asked));
    service.groups[at] = after;
    Ok(told)
}

pub(super) fn remove(config: &mut Config, group: &GroupRef) -> Result<String, Refusal> {
    let (service, at) = group_mut(config, group)?;
    refuse_serving(service, at)?;
    let removed = service.groups.remove(at);
    service.enabled = service.enabled.map(|enabled| enabled - usize::from(enabled > at));
    Ok(format!("group {} removed; connections to its hosts go on", title(service, &removed)))
}

pub(super) fn enable(config: &mut Config, group: &GroupRef) -> Result<String, Refusal> {
    let (service, at) = group_mut(config, group)?;
    if service.groups[at].hosts.is_empty() {
        let what = format!("{} has no host, expected one before it is enabled", quoted(&group.group));
        return Err(Refusal::conflict(what));
    }
    service.enabled = Some(at);
    Ok(format!("group {} serves", title(service, &service.groups[at])))
}

fn refuse_name(service: &Service, name: &str) -> Result<(), Refusal> {
    let taken = service.groups.iter().any(|group| group.name == name);
    refuse_taken("group", name, taken, &format!("the service {}", quoted(&service.name)))
}

/// The group as it would be.
fn edited(before: &Group, fixed: &[&str], asked: &Attributes) -> Result<Group, Refusal> {
    let mut texts = Edited::new(&schema::GROUP, fixed, attributes::group(before), asked)?;
    let (scheduler, announced) = texts.read("scheduler", value::scheduler)?.unwrap_or_default();
    Ok(Group {
        name: texts.need("name", value::name)?,
        scheduler,
        sticky: sticky::rules(announced, &mut texts)?,
        policy: policy::group(&mut texts)?,
        check: check::read(&mut texts)?,
        connect: sockets::host_options(&mut texts)?,
        hosts: before.hosts.clone(),
    })
}
