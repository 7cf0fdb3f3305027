//! Services and their listeners.

use super::edited::Edited;
use super::{refuse_taken, service_at, service_mut};
use crate::config::datagram;
use crate::config::error::quoted;
use crate::config::sockets::{self, Texts};
use crate::config::validate::listeners;
use crate::config::{Config, FlowConfig, Listen, Service, attributes, schema, value};
use crate::model::change::{Attributes, Refusal};

pub(super) fn add(config: &mut Config, service: &str, listen: &str, asked: &Attributes) -> Result<String, Refusal> {
    refuse_taken("service", service, config.service(service).is_some(), "the configuration")?;
    let listen = new_listen(config, listen, &Attributes::default(), None)?;
    let address = listen.address.to_string();
    let bare = Service {
        name: service.to_owned(),
        listens: vec![listen],
        groups: Vec::new(),
        enabled: None,
        connect_timeout: None,
        idle_timeout: None,
        fin_timeout: None,
        max_connections: None,
        stubborn: false,
        flows: FlowConfig::default(),
    };
    let service = edited(&bare, &["name"], asked)?;
    let told = format!("service {} added; it listens on {address} once it has a host", service.name);
    config.services.push(service);
    Ok(told)
}

pub(super) fn set(config: &mut Config, service: &str, asked: &Attributes) -> Result<String, Refusal> {
    let at = service_at(config, service)?;
    let after = edited(&config.services[at], &[], asked)?;
    let taken = after.name != service && config.service(&after.name).is_some();
    refuse_taken("service", &after.name, taken, "the configuration")?;
    config.services[at] = after;
    Ok(format!("service {service}: {}", Edited::told("service", asked)))
}

pub(super) fn remove(config: &mut Config, service: &str) -> Result<String, Refusal> {
    let at = service_at(config, service)?;
    if config.services.len() == 1 {
        return Err(Refusal::conflict(format!("{} is the last service, expected another one first", quoted(service))));
    }
    config.services.remove(at);
    Ok(format!("service {service} removed; its connections go on"))
}

pub(super) fn add_listener(
    config: &mut Config,
    service: &str,
    listen: &str,
    asked: &Attributes,
) -> Result<String, Refusal> {
    let at = service_at(config, service)?;
    let listen = new_listen(config, listen, asked, Some(at))?;
    let told = format!("service {service} listens on {}", listen.address);
    config.services[at].listens.push(listen);
    Ok(told)
}

pub(super) fn set_listener(
    config: &mut Config,
    service: &str,
    listen: &str,
    asked: &Attributes,
) -> Result<String, Refusal> {
    let service_at = service_at(config, service)?;
    let at = listener_at(&config.services[service_at], listen)?;
    // Without the old one, which the new one may meet.
    let old = config.services[service_at].listens.remove(at);
    let shown = attributes::listen(&old);
    let result = read_listen(shown, &[], asked).and_then(|new| {
        refuse_meeting(config, &new, Some(service_at))?;
        Ok(new)
    });
    let (listen, result) = match result {
        Ok(new) => (new, Ok(format!("service {service}: listener {}: {}", old.address, Edited::told("listen", asked)))),
        Err(refusal) => (old, Err(refusal)),
    };
    config.services[service_at].listens.insert(at, listen);
    result
}

pub(super) fn remove_listener(config: &mut Config, service: &str, listen: &str) -> Result<String, Refusal> {
    let service = service_mut(config, service)?;
    let at = listener_at(service, listen)?;
    if service.listens.len() == 1 {
        let (listen, service) = (&service.listens[at].address, quoted(&service.name));
        let what = format!("{listen} is the last listener of {service}, expected another one first");
        return Err(Refusal::conflict(what));
    }
    let removed = service.listens.remove(at);
    Ok(format!("service {} no longer listens on {}; its connections go on", service.name, removed.address))
}

fn listener_at(service: &Service, listen: &str) -> Result<usize, Refusal> {
    let wanted = value::listen_address(listen).ok();
    let found = service.listens.iter().position(|known| wanted.as_ref() == Some(&known.address));
    found.ok_or_else(|| {
        let known: Vec<String> = service.listens.iter().map(|listen| listen.address.to_string()).collect();
        let known = crate::config::error::alternatives(&known);
        Refusal::not_found(format!("{} has no listener {}, expected {known}", quoted(&service.name), quoted(listen)))
    })
}

/// The service as it would be.
fn edited(before: &Service, fixed: &[&str], asked: &Attributes) -> Result<Service, Refusal> {
    let mut texts = Edited::new(&schema::SERVICE, fixed, attributes::service(before), asked)?;
    Ok(Service {
        name: texts.need("name", value::name)?,
        connect_timeout: texts.read("connect-timeout", value::positive_time)?,
        idle_timeout: texts.read("idle-timeout", value::positive_time)?,
        fin_timeout: texts.read("fin-timeout", value::positive_time)?,
        max_connections: texts.read("max-connections", value::count)?,
        stubborn: texts.read("stubborn", value::boolean)?.unwrap_or_default(),
        flows: datagram::flows(&mut texts)?,
        ..before.clone()
    })
}

fn new_listen(config: &Config, listen: &str, asked: &Attributes, service: Option<usize>) -> Result<Listen, Refusal> {
    let listen = read_listen(vec![("ip", listen.to_owned())], &["ip"], asked)?;
    refuse_meeting(config, &listen, service)?;
    Ok(listen)
}

fn read_listen(shown: attributes::Shown, fixed: &[&str], asked: &Attributes) -> Result<Listen, Refusal> {
    let mut texts = Edited::new(&schema::LISTEN, fixed, shown, asked)?;
    let address = texts.need("ip", value::listen_address)?;
    let protocol = datagram::protocol(&mut texts)?;
    Ok(Listen { address, protocol, options: sockets::listen_options(&mut texts)? })
}

/// Refuses an address that another listener has, or that is a host of the service that listens there.
fn refuse_meeting(config: &Config, listen: &Listen, service: Option<usize>) -> Result<(), Refusal> {
    let address = &listen.address;
    if let Some(other) = listeners::met_by(config, listen, service) {
        return Err(Refusal::conflict(format!("{address} meets {other}, expected an address of its own")));
    }
    let hosts = service.into_iter().flat_map(|at| &config.services[at].groups).flat_map(|group| &group.hosts);
    for host in hosts {
        if listeners::is_loop([address], &host.address) {
            let what = format!("{address} is the service's own host {}, expected another address", quoted(&host.name));
            return Err(Refusal::conflict(what));
        }
    }
    Ok(())
}
