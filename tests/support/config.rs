//! Builds configuration files.

use std::fmt::Write;
use std::net::SocketAddr;

use super::host::Host;

/// A configuration with one group a service.
#[derive(Clone, Debug)]
pub struct Config {
    manager: String,
    services: Vec<Service>,
}

impl Config {
    /// One service; failed hosts are probed every 100 ms.
    pub fn new(service: Service) -> Self {
        Self { manager: manager("100ms", ""), services: vec![service] }
    }

    /// One more service.
    #[must_use]
    pub fn and(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Time between probes of a failed host.
    #[must_use]
    pub fn host_check(mut self, interval: &str) -> Self {
        self.manager = manager(interval, "");
        self
    }

    /// Time between probes of a failed host, and of every host.
    #[must_use]
    pub fn heartbeat(mut self, host_check: &str, interval: &str) -> Self {
        self.manager = manager(host_check, &format!(r#"<heartbeat interval="{interval}" enable="yes"/>"#));
        self
    }

    /// The text of the file.
    pub fn xml(&self) -> String {
        let services: String = self.services.iter().map(Service::xml).collect();
        format!("<director>\n  {}\n{services}</director>\n", self.manager)
    }
}

impl From<Service> for Config {
    fn from(service: Service) -> Self {
        Self::new(service)
    }
}

/// A service with the group `g`, which listens on a free port of the loopback address.
#[derive(Clone, Debug)]
pub struct Service {
    name: String,
    attributes: String,
    listens: Vec<String>,
    scheduler: String,
    hosts: String,
}

impl Service {
    /// A service without hosts.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            attributes: String::new(),
            listens: Vec::new(),
            scheduler: "roundrobin".to_owned(),
            hosts: String::new(),
        }
    }

    /// The service `s` with these hosts, in this order.
    pub fn with(hosts: &[&Host]) -> Self {
        hosts.iter().fold(Self::new("s"), |service, host| service.host(host.name(), host.addr()))
    }

    /// The same under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Listens there, instead of on a free port; once more for one more.
    #[must_use]
    pub fn listen(mut self, addr: impl ToString) -> Self {
        self.listens.push(addr.to_string());
        self
    }

    /// Adds a host.
    #[must_use]
    pub fn host(self, name: &str, addr: SocketAddr) -> Self {
        self.host_with(name, addr, "")
    }

    /// Adds a host with further attributes, such as `weight="2"`.
    #[must_use]
    pub fn host_with(mut self, name: &str, addr: impl ToString, attributes: &str) -> Self {
        let addr = addr.to_string();
        let _ = writeln!(self.hosts, r#"      <host name="{name}" ip="{addr}" {attributes}/>"#);
        self
    }

    /// How a host is chosen.
    #[must_use]
    pub fn scheduler(mut self, name: &str) -> Self {
        name.clone_into(&mut self.scheduler);
        self
    }

    /// Sets an attribute of the service, such as `idle-timeout`.
    #[must_use]
    pub fn set(mut self, attribute: &str, value: impl ToString) -> Self {
        let _ = write!(self.attributes, r#" {attribute}="{}""#, value.to_string());
        self
    }

    fn xml(&self) -> String {
        let Self { name, attributes, scheduler, hosts, .. } = self;
        let listens: String = if self.listens.is_empty() {
            r#"<listen ip="127.0.0.1:0"/>"#.to_owned()
        } else {
            self.listens.iter().map(|addr| format!(r#"<listen ip="{addr}"/>"#)).collect()
        };
        format!(
            r#"  <service name="{name}"{attributes}>
    {listens}
    <group name="g" scheduler="{scheduler}">
{hosts}    </group>
    <enable group="g"/>
  </service>
"#
        )
    }
}

fn manager(host_check: &str, more: &str) -> String {
    format!(r#"<manager rise="1" fall="1"><hostCheck interval="{host_check}"/>{more}</manager>"#)
}
