//! What the kernel says to the socket options of a configuration, before anything is bound: what it does not have is an
//! error, what it merely does not allow or cuts short is a warning.

use std::collections::{BTreeSet, HashSet};
use std::io::ErrorKind;
use std::net::IpAddr;

use crate::config::{Config, Group, Host, Listen, Service};
use crate::manager::line::Value;
use crate::model::limits::{SOURCES_NAMED_MAX, SOURCES_TRIED_MAX};
use crate::model::socket_options::{ConnectOptions, ListenOptions, Sources};
use crate::sys::options::{self, Refused};
use crate::sys::socket;

use super::start_error::StartError;

/// `net.ipv4.tcp_fastopen`, a bit each for connections to hosts and for listeners; see ip-sysctl of the kernel.
const FASTOPEN_HOSTS: u32 = 1;
const FASTOPEN_CLIENTS: u32 = 2;

/// Tries the options of every listener and host on sockets of no use. Returns a line for each kind of trouble that
/// service goes on with.
///
/// # Errors
/// The kernel does not have a congestion control that is asked for.
pub(super) fn check(
    config: &Config,
    listen: &ListenOptions,
    connect: &ConnectOptions,
) -> Result<Vec<String>, StartError> {
    let mut look = Look::default();
    for service in &config.services {
        for one in &service.listens {
            look.at_listener(service, one, listen)?;
        }
        for group in &service.groups {
            for host in &group.hosts {
                look.at_host(service, group, host, connect)?;
            }
        }
    }
    look.at_sources();
    Ok(look.warnings.into_iter().collect())
}

#[derive(Default)]
struct Look {
    seen: HashSet<ListenOptions>,
    ranges: HashSet<Sources>,
    /// [`SOURCES_TRIED_MAX`] of them at most.
    sources: BTreeSet<IpAddr>,
    warnings: BTreeSet<String>,
}

impl Look {
    fn at_listener(&mut self, service: &Service, listen: &Listen, defaults: &ListenOptions) -> Result<(), StartError> {
        let options = listen.options.or(*defaults);
        let place = || format!("listener {} of service {}", listen.address, Value(&service.name));
        self.at_options(options, place)?;
        if options.fastopen.is_some_and(|queue| queue > 0) {
            self.at_fastopen(FASTOPEN_CLIENTS, "clients");
        }
        let allowed = options::kernel_number("net/core/somaxconn");
        // What the command line asks for is told at start already.
        if let (Some(asked), Some(allowed)) = (listen.options.backlog, allowed)
            && asked > allowed
        {
            let what = format!("net.core.somaxconn is {allowed}: no more clients than that can wait");
            self.warnings.insert(format!("{what}, although backlog is {asked} at the {}", place()));
        }
        Ok(())
    }

    fn at_host(
        &mut self,
        service: &Service,
        group: &Group,
        host: &Host,
        defaults: &ConnectOptions,
    ) -> Result<(), StartError> {
        let options = host.connect.or(&group.connect).or(defaults);
        let place = || format!("host {} of service {}", Value(&host.name), Value(&service.name));
        self.at_options(ListenOptions { stream: options.stream, ..ListenOptions::default() }, place)?;
        if options.fastopen == Some(true) {
            self.at_fastopen(FASTOPEN_HOSTS, "hosts");
        }
        let room = SOURCES_TRIED_MAX.saturating_sub(self.sources.len());
        if let Some(sources) = options.source.filter(|sources| room > 0 && !self.ranges.contains(sources)) {
            self.sources.extend(sources.addresses().take(room));
            self.ranges.insert(sources);
        }
        Ok(())
    }

    fn at_options(&mut self, options: ListenOptions, place: impl Fn() -> String) -> Result<(), StartError> {
        // The backlog is of the bound socket.
        let options = ListenOptions { backlog: None, ..options };
        if options == ListenOptions::default() || !self.seen.insert(options) {
            return Ok(());
        }
        // Without a descriptor for a look there is none for the listener either, which says so.
        for Refused { option, error } in options::try_options(&options).unwrap_or_default() {
            if option != "congestion" {
                let hint = if error.kind() == ErrorKind::PermissionDenied { " (it takes CAP_NET_ADMIN)" } else { "" };
                let what = format!("{option} is not set, as the kernel refuses it{hint}: {error}");
                self.warnings.insert(what);
                continue;
            }
            return Err(StartError::Congestion {
                name: options.stream.congestion.map(|name| name.as_str().to_owned()).unwrap_or_default(),
                place: place(),
                available: options::kernel_setting("net/ipv4/tcp_available_congestion_control").unwrap_or_default(),
                error,
            });
        }
        let stream = options.stream;
        if let Ok((receive, send)) = options::try_buffers(&stream) {
            self.at_buffer("receive-buffer", stream.receive_buffer, receive, "net.core.rmem_max");
            self.at_buffer("send-buffer", stream.send_buffer, send, "net.core.wmem_max");
        }
        Ok(())
    }

    fn at_buffer(&mut self, option: &str, asked: Option<u32>, got: u32, setting: &str) {
        if let Some(asked) = asked.filter(|asked| *asked > got) {
            self.warnings.insert(format!("{option} is {got} bytes instead of {asked}: {setting} allows no more"));
        }
    }

    fn at_fastopen(&mut self, bit: u32, whom: &str) {
        let setting = options::kernel_number("net/ipv4/tcp_fastopen");
        if setting.is_none_or(|bits| bits & bit == 0) {
            let now = setting.map_or_else(|| String::from("missing"), |bits| bits.to_string());
            let what = format!("fastopen with {whom} does nothing: net.ipv4.tcp_fastopen is {now}, and its bit {bit}");
            self.warnings.insert(format!("{what} has to be set (3 sets both)"));
        }
    }

    /// Names the source addresses that this machine does not have. Connects skip them.
    fn at_sources(&mut self) {
        let unusable = self.sources.iter().filter_map(|ip| Some((ip, socket::probe_source(*ip).err()?)));
        let unusable: Vec<String> = unusable.map(|(ip, error)| format!("{ip} ({error})")).collect();
        if unusable.is_empty() {
            return;
        }
        let mut named = unusable.iter().take(SOURCES_NAMED_MAX).cloned().collect::<Vec<String>>().join(", ");
        if unusable.len() > SOURCES_NAMED_MAX {
            named = format!("{named} and {} more", unusable.len() - SOURCES_NAMED_MAX);
        }
        self.warnings.insert(format!("source addresses that cannot be used and are passed over: {named}"));
    }
}
