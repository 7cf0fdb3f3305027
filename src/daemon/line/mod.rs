//! One line, no file: `director -l 8080 web1:80 web2:80`.
//!
//! The line becomes the configuration that a file would, by the changes that every front-end makes. So all attributes of
//! listeners and hosts can be said, and what is wrong is told in the same words; `--print-config` writes it as a file.

mod spec;

use getopts::Matches;

use crate::config::{self, Access, Address, Admin, Config, Control, User, Web, socket_path};
use crate::ctl::password;
use crate::model::change::{Attributes, Change, GroupRef};
use spec::Spec;

/// The flags that make a line of a command line. The first is needed.
pub(super) const FLAGS: [&str; 7] = ["listen", "scheduler", "emergency", "abuse", "blacklist", "control", "admin"];

/// The names of what the line makes, for commands and for the log.
const SERVICE: &str = "main";
const GROUP: &str = "hosts";
/// Who may log in to the page.
const USER: &str = "admin";

/// Clients return to their host, and new ones take turns: what pen does, whose users know such lines.
const SCHEDULER: &str = "roundrobin,sticky";

/// A command line that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    config: Config,
    /// Where the page will be; it has nobody who may log in yet.
    page: Option<Address>,
}

impl Line {
    /// Reads the line, if the command line is one.
    ///
    /// # Errors
    /// What is wrong with it, in which word, and what was expected.
    pub(super) fn read(matches: &Matches) -> Result<Option<Self>, String> {
        let Some(first) = FLAGS.into_iter().find(|flag| matches.opt_present(flag)) else { return Ok(None) };
        let listeners = matches.opt_strs("listen");
        if listeners.is_empty() {
            return Err(format!("--{first}: expected with -l [ADDRESS:]PORT and HOST…, or in a CONFIG"));
        }
        let mut line = Self { config: Config::blank(), page: None };
        let port = line.listen(&listeners)?;
        line.group(matches)?;
        if matches.free.is_empty() {
            return Err(String::from("HOST is missing, expected at least one behind -l, such as 10.0.0.1:80"));
        }
        for host in &matches.free {
            line.host(host, &port, None).map_err(|why| format!("host {host:?}: {why}"))?;
        }
        for role in ["emergency", "abuse"] {
            for host in matches.opt_strs(role) {
                line.host(&host, &port, Some(role)).map_err(|why| format!("--{role} {host:?}: {why}"))?;
            }
        }
        line.admin(matches)?;
        Ok(Some(line))
    }

    /// Whether somebody may administer what it starts.
    pub(super) const fn is_administered(&self) -> bool {
        self.page.is_some() || self.config.control.is_some()
    }

    /// The configuration that it means, and the password of the page's user, which nobody else is told.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn config(&self) -> Result<(Config, Option<String>), String> {
        let mut config = self.config.clone();
        let Some(page) = &self.page else { return Ok((config, None)) };
        let (password, hash) = password::made().map_err(|failure| failure.to_string())?;
        let user = User { name: USER.to_owned(), password: Some(hash), key: None, access: Access::Full };
        // Where others can listen on the way, nobody types a password without HTTPS.
        let web = Some(Web::new(page.clone(), !page.is_loopback()));
        config.admin = Some(Admin { web, users: vec![user], ..Admin::default() });
        let told = format!("The page's user is {USER:?}, the password of this start {password}\n");
        Ok((config, Some(told)))
    }

    /// Adds the listeners, and returns the port that they share.
    fn listen(&mut self, texts: &[String]) -> Result<Port, String> {
        let mut ports = Vec::new();
        for text in texts {
            let refused = |why: String| format!("-l {text:?}: {why}");
            let spec = Spec::listener(text).map_err(refused)?;
            self.listener(&spec).map_err(refused)?;
            ports.extend(spec.port);
        }
        ports.dedup();
        Ok(match ports.as_slice() {
            [port] if port.bytes().any(|byte| byte != b'0') => Ok(port.clone()),
            [_] => Err("the system chooses the listener's"),
            [] => Err("no listener has one"),
            [_, ..] => Err("the listeners have several"),
        })
    }

    fn listener(&mut self, spec: &Spec) -> Result<(), String> {
        let (service, listen) = (SERVICE.to_owned(), spec.with_port(None));
        let attributes = Attributes(spec.attributes.clone());
        if !self.config.services.is_empty() {
            return self.apply(&Change::AddListener { service, listen, attributes });
        }
        let (first, none) = (listen.clone(), Attributes::default());
        self.apply(&Change::AddService { service: service.clone(), listen: first, attributes: none })?;
        if attributes.0.is_empty() { Ok(()) } else { self.apply(&Change::SetListener { service, listen, attributes }) }
    }

    /// Adds the group, which has no host yet.
    fn group(&mut self, matches: &Matches) -> Result<(), String> {
        let scheduler = matches.opt_str("scheduler").unwrap_or_else(|| SCHEDULER.to_owned());
        let blacklist = matches.opt_str("blacklist").map(|time| ("blacklist", time));
        let attributes = Attributes::new([("scheduler", scheduler)].into_iter().chain(blacklist));
        // The flags are named as the attributes are.
        self.apply(&Change::AddGroup { group: place(), attributes }).map_err(|why| format!("--{why}"))
    }

    /// Adds a host; `role` is the attribute that says what it is for.
    fn host(&mut self, text: &str, port: &Port, role: Option<&str>) -> Result<(), String> {
        let mut spec = Spec::host(text)?;
        let port = match (spec.lacks_port(), port) {
            (true, Err(why)) => return Err(format!("the port is missing, and {why}, expected {}:PORT", spec.address)),
            (_, port) => port.as_deref().ok(),
        };
        let address = spec.with_port(port);
        // Commands have slashes between names.
        let usual = Some(address.clone()).filter(|address| !address.contains('/'));
        let host = spec.take("name").or(usual);
        spec.attributes.extend(role.map(|role| (role.to_owned(), String::from("true"))));
        self.apply(&Change::AddHost { group: place(), host, address, attributes: Attributes(spec.attributes) })
    }

    /// Reads how the balancer is to be managed.
    fn admin(&mut self, matches: &Matches) -> Result<(), String> {
        let page = matches.opt_str("admin").map(|text| spec::page(&text).map_err(|why| format!("-a {text:?}: {why}")));
        self.page = page.transpose()?;
        let Some(path) = matches.opt_str("control") else { return Ok(()) };
        if !path.contains('/') {
            return Err(format!(
                "-C {path:?}: the control is a socket in the file system, where the system says who asks; expected its \
                 path, such as /run/director.sock, or -a {path} for the page and the API"
            ));
        }
        let socket = socket_path(&path).map_err(|why| format!("-C {path:?}: {why}"))?;
        self.config.control = Some(Control { socket, group: None });
        Ok(())
    }

    fn apply(&mut self, change: &Change) -> Result<(), String> {
        config::apply(&mut self.config, change).map(|_| ()).map_err(|refusal| refusal.why)
    }
}

/// The port of hosts that name none, or why there is none.
type Port = Result<String, &'static str>;

fn place() -> GroupRef {
    GroupRef { service: SERVICE.to_owned(), group: GROUP.to_owned() }
}

#[cfg(test)]
mod tests;
