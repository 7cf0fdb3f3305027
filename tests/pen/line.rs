//! A balancer as pen's operators start it: one line, in pen's words. The same line starts pen and Director.

use std::fmt;
use std::net::SocketAddr;

use crate::support::{Host, Netns};

/// A line: options, and servers in their order.
#[derive(Clone, Default)]
pub(crate) struct Line<'a> {
    pub(crate) options: Vec<String>,
    pub(crate) commands: Vec<String>,
    pub(crate) pen_only: Vec<String>,
    pub(crate) servers: Vec<Server>,
    pub(crate) emergency: Option<Server>,
    pub(crate) abuse: Option<Server>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) netns: Option<&'a Netns>,
    pub(crate) descriptors: Option<u32>,
}

/// A server: `address:port:max:hard:weight:prio`, what is not said being 0.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) max: u32,
    pub(crate) hard: u32,
    pub(crate) weight: u32,
    pub(crate) prio: u32,
}

impl<'a> Line<'a> {
    /// These options, as in `-r -b 1`, and these servers without limits.
    pub(crate) fn new(options: &str, hosts: &[&Host]) -> Self {
        hosts.iter().fold(Self::default().options(options), |line, host| line.server(host, [0; 4]))
    }

    /// These options, too.
    pub(crate) fn options(mut self, options: &str) -> Self {
        self.options.extend(options.split_whitespace().map(str::to_owned));
        self
    }

    /// Options that are for pen alone: Director has nothing like them, and needs nothing like them.
    pub(crate) fn pen_only(mut self, options: &str) -> Self {
        self.pen_only.extend(options.split_whitespace().map(str::to_owned));
        self
    }

    /// A command for pen alone.
    pub(crate) fn pen_command(mut self, command: &str) -> Self {
        self.pen_only.extend(["-O".to_owned(), command.to_owned()]);
        self
    }

    /// One more server, with `max`, `hard`, `weight` and `prio`.
    pub(crate) fn server(mut self, host: &Host, limits: [u32; 4]) -> Self {
        let [max, hard, weight, prio] = limits;
        self.servers.push(Server { max, hard, weight, prio, ..host.into() });
        self
    }

    /// One more server, without limits.
    pub(crate) fn server_at(mut self, addr: SocketAddr) -> Self {
        self.servers.push(Server::new(addr));
        self
    }

    /// `-e`.
    pub(crate) fn emergency(mut self, host: &Host) -> Self {
        self.emergency = Some(host.into());
        self
    }

    /// `-B`.
    pub(crate) fn abuse(mut self, host: &Host) -> Self {
        self.abuse = Some(host.into());
        self
    }

    /// `-O`: a command of pen's, carried out at the start.
    pub(crate) fn command(mut self, command: &str) -> Self {
        self.commands.push(command.to_owned());
        self
    }

    /// Listens there, instead of on a free port of the loopback address.
    pub(crate) fn listen(mut self, addr: &str) -> Self {
        self.listen = Some(addr.parse().expect("an address"));
        self
    }

    /// Runs in this network.
    pub(crate) fn inside(mut self, netns: &'a Netns) -> Self {
        self.netns = Some(netns);
        self
    }

    /// May have so many descriptors.
    pub(crate) fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// Whether it is about datagrams.
    pub(crate) fn is_udp(&self) -> bool {
        self.options.iter().any(|option| option == "-U")
    }

    /// The words of pen's command line between its name and the address it listens on, then those behind that.
    pub(crate) fn words(&self) -> (Vec<String>, Vec<String>) {
        let mut before = [&self.options[..], &self.pen_only[..]].concat();
        for command in &self.commands {
            before.extend(["-O".to_owned(), command.clone()]);
        }
        for (option, server) in [("-e", &self.emergency), ("-B", &self.abuse)] {
            before.extend(server.iter().flat_map(|server| [option.to_owned(), server.to_string()]));
        }
        (before, self.servers.iter().map(Server::to_string).collect())
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = self.words();
        write!(f, "pen {} LISTEN {}", before.join(" "), after.join(" "))
    }
}

impl From<&Host> for Server {
    fn from(host: &Host) -> Self {
        Self::new(host.addr())
    }
}

impl Server {
    const fn new(addr: SocketAddr) -> Self {
        Self { addr, max: 0, hard: 0, weight: 0, prio: 0 }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { addr, max, hard, weight, prio, .. } = self;
        write!(f, "{addr}:{max}:{hard}:{weight}:{prio}")
    }
}
