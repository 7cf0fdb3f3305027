//! Changes of a valid configuration: one named thing at a time, read by what reads files, so that whatever is accepted
//! here `--check` accepts too. Only a group without hosts and a service without groups may exist that a file may not have.

mod edited;
mod groups;
mod hosts;
mod services;
mod settings;
#[cfg(test)]
mod tests;
mod users;

use super::error::quoted;
use super::suggest::{closest, hint};
use super::{Config, Group, Service};
use crate::model::change::{Change, GroupRef, Refusal};

/// Makes a change and says in words what was done.
///
/// # Errors
/// What is wrong with it; the configuration is as it was.
pub fn apply(config: &mut Config, change: &Change) -> Result<String, Refusal> {
    match change {
        Change::AddService { service, listen, attributes } => services::add(config, service, listen, attributes),
        Change::SetService { service, attributes } => services::set(config, service, attributes),
        Change::RemoveService { service } => services::remove(config, service),
        Change::AddListener { service, listen, attributes } => {
            services::add_listener(config, service, listen, attributes)
        }
        Change::SetListener { service, listen, attributes } => {
            services::set_listener(config, service, listen, attributes)
        }
        Change::RemoveListener { service, listen } => services::remove_listener(config, service, listen),
        Change::AddGroup { group, attributes } => groups::add(config, group, attributes),
        Change::SetGroup { group, attributes } => groups::set(config, group, attributes),
        Change::RemoveGroup { group } => groups::remove(config, group),
        Change::EnableGroup { group } => groups::enable(config, group),
        Change::AddHost { group, host, address, attributes } => {
            hosts::add(config, group, host.as_deref(), address, attributes)
        }
        Change::SetHost { host, attributes } => hosts::set(config, host, attributes),
        Change::RemoveHost { host } => hosts::remove(config, host),
        Change::RemoveAllHosts { group } => hosts::remove_all(config, group),
        Change::AddUser { user, attributes } => users::add(config, user, attributes),
        Change::SetUser { user, attributes } => users::set(config, user, attributes),
        Change::RemoveUser { user } => users::remove(config, user),
        Change::SetManager { attributes } => settings::manager(config, attributes),
        Change::SetLog { file } => settings::log(config, file.as_deref()),
    }
}

pub use hosts::find as find_host;

/// The index of the service of that name.
fn service_at(config: &Config, name: &str) -> Result<usize, Refusal> {
    let names = config.services.iter().map(|service| service.name.as_str());
    config
        .services
        .iter()
        .position(|service| service.name == name)
        .ok_or_else(|| missing("service", name, names, "the configuration"))
}

/// The service of that name.
fn service_mut<'c>(config: &'c mut Config, name: &str) -> Result<&'c mut Service, Refusal> {
    let at = service_at(config, name)?;
    Ok(&mut config.services[at])
}

/// The index of the group of that name.
fn group_at(service: &Service, name: &str) -> Result<usize, Refusal> {
    let names = service.groups.iter().map(|group| group.name.as_str());
    let found = service.groups.iter().position(|group| group.name == name);
    found.ok_or_else(|| missing("group", name, names, &format!("the service {}", quoted(&service.name))))
}

/// The service and the index of the group.
fn group_mut<'c>(config: &'c mut Config, group: &GroupRef) -> Result<(&'c mut Service, usize), Refusal> {
    let service = service_mut(config, &group.service)?;
    let at = group_at(service, &group.group)?;
    Ok((service, at))
}

fn missing<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str>, place: &str) -> Refusal {
    Refusal::not_found(format!("{place} has no {what} {}{}", quoted(name), hint(closest(name, known))))
}

/// Refuses a name that another one has.
fn refuse_taken(what: &str, name: &str, taken: bool, place: &str) -> Result<(), Refusal> {
    if taken {
        return Err(Refusal::conflict(format!("{place} has a {what} {} already, expected another name", quoted(name))));
    }
    Ok(())
}

/// Whether the group is the one that serves.
fn serves(service: &Service, group: usize) -> bool {
    service.enabled == Some(group)
}

/// Refuses to take the hosts of the group that serves away.
fn refuse_serving(service: &Service, group: usize) -> Result<(), Refusal> {
    if serves(service, group) {
        let what =
            format!("{} serves, expected another group to be enabled first", title(service, &service.groups[group]));
        return Err(Refusal::conflict(what));
    }
    Ok(())
}

fn title(service: &Service, group: &Group) -> String {
    format!("{}/{}", service.name, group.name)
}
