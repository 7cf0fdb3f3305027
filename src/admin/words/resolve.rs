//! Hosts that are named without their service.

use super::{Does, View};
use crate::config::Config;
use crate::model::change::{Change, HostRef, Refusal};
use crate::model::command::{Command, Target};

/// Finds the service of every host that was named without it.
///
/// # Errors
/// No service has such a host, or more than one; or the service that is to be shown is not there.
pub fn resolve(config: &Config, does: &mut Does) -> Result<(), Refusal> {
    match does {
        Does::Command(_, View::Hosts(Some(service))) => is_service(config, service),
        Does::Command(command, _) | Does::WithPassword(command) => resolve_command(config, command),
        Does::Drain { host, .. } => resolve_host(config, host),
        Does::Batch
        | Does::Load { .. }
        | Does::DiffFile { .. }
        | Does::Follow { .. }
        | Does::Help(_)
        | Does::Client(_)
        | Does::Wire(_) => Ok(()),
    }
}

fn is_service(config: &Config, name: &str) -> Result<(), Refusal> {
    let names = || config.services.iter().map(|service| service.name.as_str());
    if names().any(|known| known == name) {
        return Ok(());
    }
    let hint =
        crate::config::closest(name, names()).map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    Err(Refusal::not_found(format!("no service {name:?}{hint}")))
}

fn resolve_command(config: &Config, command: &mut Command) -> Result<(), Refusal> {
    match command {
        Command::Change(changes) => changes.iter_mut().try_for_each(|change| match change {
            Change::SetHost { host, .. } | Change::RemoveHost { host } => resolve_host(config, host),
            _ => Ok(()),
        }),
        Command::Retry(host) | Command::Blacklist { host, .. } => resolve_host(config, host),
        Command::Sticky(search) | Command::Forget(search) => {
            search.host.as_mut().map_or(Ok(()), |host| resolve_host(config, host))
        }
        Command::Sessions(search) | Command::Kill(Target::All(search)) => {
            search.host.as_mut().map_or(Ok(()), |host| resolve_host(config, host))
        }
        _ => Ok(()),
    }
}

/// Fills in the service of a host, if it is left out.
///
/// # Errors
/// See [`resolve`].
pub fn resolve_host(config: &Config, host: &mut HostRef) -> Result<(), Refusal> {
    if !host.service.is_empty() {
        return Ok(());
    }
    let found: Vec<HostRef> = config
        .services
        .iter()
        .map(|service| HostRef { service: service.name.clone(), ..host.clone() })
        .filter(|host| crate::config::find_host(config, host).is_ok())
        .collect();
    match found.as_slice() {
        [one] => {
            *host = one.clone();
            Ok(())
        }
        [] => {
            let names = || config.services.iter().flat_map(|service| &service.groups).flat_map(|group| &group.hosts);
            let near = crate::config::closest(&host.host, names().map(|host| host.name.as_str()));
            // A host that several groups of one service have is found by none.
            if names().any(|known| known.name == host.host) {
                let why = format!("more than one host is {:?}, expected SERVICE/GROUP/HOST", host.host);
                return Err(Refusal::conflict(why));
            }
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            Err(Refusal::not_found(format!("no service has a host {:?}{hint}", host.host)))
        }
        several => {
            let places: Vec<String> = several.iter().map(super::place::show_host).collect();
            let places = places.join(" or ");
            Err(Refusal::conflict(format!("more than one host is {:?}, expected {places}", host.host)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::change::RefusalKind;

    #[test]
    fn host_without_its_service_is_found_where_only_one_is_meant() {
        let text = "<director><service name='web'><listen ip='*:80'/>
            <group name='a'><host name='x' ip='10.0.0.1:80'/><host name='y' ip='10.0.0.2:80'/></group>
            <group name='b'><host name='z' ip='10.0.0.5:80'/><host name='w' ip='10.0.0.6:80'/></group>
            <group name='c'><host name='w' ip='10.0.0.7:80'/></group></service>
            <service name='mail'><listen ip='*:25'/><group name='a'><host name='y' ip='10.0.0.3:25'/></group></service>
            </director>";
        let config = crate::config::parse(text, "f").unwrap();
        let resolved = |host: &str| {
            let mut host = HostRef { service: String::new(), group: None, host: host.into() };
            resolve_host(&config, &mut host).map(|()| host.service).map_err(|refusal| refusal.kind)
        };
        assert_eq!(resolved("x").as_deref(), Ok("web"));
        assert_eq!(resolved("10.0.0.3:25").as_deref(), Ok("mail"));
        assert_eq!(resolved("y"), Err(RefusalKind::Conflict));
        assert_eq!(resolved("w"), Err(RefusalKind::Conflict));
        assert_eq!(resolved("v"), Err(RefusalKind::NotFound));
    }
}
