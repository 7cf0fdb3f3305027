//! What a line means to Director, as its configuration.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use super::line::{Line, Server};

/// The configuration that the line means, with a control socket.
pub(crate) fn xml(line: &Line, socket: &Path) -> String {
    let (mut service, mut group) = (String::new(), String::new());
    let (mut scheduler, mut sticky) = ("roundrobin", true);
    let mut words = line.options.iter();
    let mut weighted = false;
    let mut protocol = "";
    let mut more = String::new();
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a value").as_str();
        let _ = match word.as_str() {
            "-r" => {
                sticky = false;
                Ok(())
            }
            "-U" => {
                protocol = " protocol='udp'";
                Ok(())
            }
            // Of the command line.
            "-u" | "-j" => {
                value();
                Ok(())
            }
            "-w" => writeln!(more, "  <status file='{}'/>", value()),
            "-l" => {
                let to = value();
                let kind = if to.contains(':') { "udp" } else { "file" };
                writeln!(more, "  <access-log {kind}='{to}'/>")
            }
            "-W" => {
                (scheduler, weighted) = ("weightlc", true);
                Ok(())
            }
            "-h" => {
                sticky = false;
                write!(group, " sticky='hash'")
            }
            "-s" => write!(service, " stubborn='true'"),
            "-x" => write!(service, " max-connections='{}'", value()),
            "-t" => write!(service, " connect-timeout='{}s'", value()),
            "-b" => write!(group, " blacklist='{}s'", value()),
            "-T" => write!(group, " sticky-ttl='{}s'", value()),
            "-c" => write!(group, " sticky-size='{}'", value()),
            other => panic!("{other}: no such option here"),
        };
    }
    let mut prio = false;
    let mut lists = Lists::default();
    let mut of_server = vec![String::new(); line.servers.len()];
    for command in &line.commands {
        let _ = match command.split_once(' ') {
            None if command == "prio" => {
                prio = true;
                Ok(())
            }
            Some(("acl", rule)) => {
                lists.add(rule);
                Ok(())
            }
            Some(("client_acl", list)) => {
                lists.0.entry(list.to_owned()).or_default();
                write!(service, " acl='{list}'")
            }
            Some(("server", what)) => {
                let (server, list) = what.split_once(" acl ").expect("a server and its list");
                let server: usize = server.parse().expect("a number");
                of_server[server] = format!("acl='{list}'");
                Ok(())
            }
            Some(("tcp_fastclose", which)) => write!(service, " fastclose='{which}'"),
            Some(("source", ip)) => write!(group, " source='{ip}'"),
            Some(("idle_timeout", seconds)) if line.is_udp() => write!(service, " flow-timeout='{seconds}s'"),
            Some(("idle_timeout", seconds)) => write!(service, " idle-timeout='{seconds}s'"),
            _ => panic!("{command}: no such command here"),
        };
    }
    let sticky = if sticky { ",sticky" } else { "" };
    let mut hosts: String =
        line.servers.iter().zip(&of_server).map(|(server, more)| host(server, weighted, prio, more)).collect();
    for (server, role) in [(&line.emergency, "emergency='true'"), (&line.abuse, "abuse='true'")] {
        hosts.extend(server.iter().map(|server| host(server, false, false, role)));
    }
    let listen = line.listen.map_or_else(|| "127.0.0.1:0".to_owned(), |addr| addr.to_string());
    let (socket, lists) = (socket.display(), lists.xml());
    format!(
        "<director>
  <service name='s'{service}><listen ip='{listen}'{protocol}/>
    <group name='g' scheduler='{scheduler}{sticky}'{group}>
{hosts}    </group>
  </service>
  <manager><hostCheck interval='100ms'/></manager>
  <control socket='{socket}'/>
{lists}{more}</director>
"
    )
}

/// What the line means on Director's command line, beside the configuration.
pub(crate) fn arguments(line: &Line) -> Vec<String> {
    let named = |pair: &[String]| {
        let name = match pair[0].as_str() {
            "-u" => "--user",
            "-j" => "--chroot",
            _ => return None,
        };
        Some([name.to_owned(), pair[1].clone()])
    };
    line.options.windows(2).filter_map(named).flatten().collect()
}

/// Access lists by pen's numbers.
#[derive(Default)]
struct Lists(BTreeMap<String, Vec<(String, String)>>);

impl Lists {
    /// `1 deny 10.0.0.0 255.0.0.0`; without a mask it is one address.
    fn add(&mut self, rule: &str) {
        let words: Vec<&str> = rule.split(' ').collect();
        let bits = words.get(3).map_or(32, |mask| mask.parse::<Ipv4Addr>().expect("a mask").to_bits().leading_ones());
        self.0.entry(words[0].to_owned()).or_default().push((words[1].to_owned(), format!("{}/{bits}", words[2])));
    }

    /// Whoever no rule is about is treated unlike those whom the last one is about.
    fn xml(&self) -> String {
        let list = |(name, rules): (&String, &Vec<(String, String)>)| {
            let default = if rules.last().is_some_and(|(verb, _)| verb == "permit") { "deny" } else { "permit" };
            let rules: String = rules.iter().map(|(verb, net)| format!("<{verb} net='{net}'/>")).collect();
            format!("  <acl name='{name}' default='{default}'>{rules}</acl>\n")
        };
        self.0.iter().map(list).collect()
    }
}

fn host(server: &Server, weighted: bool, prio: bool, role: &str) -> String {
    let Server { name, addr, .. } = server;
    let mut text = format!("      <host name='{name}' ip='{addr}' {role}");
    let bounds = [("max", server.max, server.max > 0), ("hard", server.hard, server.hard > 0)];
    let shares = [("weight", server.weight, weighted), ("prio", server.prio, prio)];
    for (attribute, value, _) in bounds.into_iter().chain(shares).filter(|(_, _, said)| *said) {
        let _ = write!(text, " {attribute}='{value}'");
    }
    text + "/>\n"
}
