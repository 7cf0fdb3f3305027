//! What a line means to Director, as its configuration.

use std::fmt::Write as _;
use std::path::Path;

use super::line::{Line, Server};

/// The configuration that the line means, with a control socket.
pub(crate) fn xml(line: &Line, socket: &Path) -> String {
    let (mut service, mut group) = (String::new(), String::new());
    let (mut scheduler, mut sticky) = ("roundrobin", true);
    let mut words = line.options.iter();
    let mut weighted = false;
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a value").as_str();
        let _ = match word.as_str() {
            "-r" => {
                sticky = false;
                Ok(())
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
    for command in &line.commands {
        let _ = match command.split_once(' ') {
            None if command == "prio" => {
                prio = true;
                Ok(())
            }
            Some(("source", ip)) => write!(group, " source='{ip}'"),
            Some(("idle_timeout", seconds)) => write!(service, " idle-timeout='{seconds}s'"),
            _ => panic!("{command}: no such command here"),
        };
    }
    let sticky = if sticky { ",sticky" } else { "" };
    let mut hosts: String = line.servers.iter().map(|server| host(server, weighted, prio, "")).collect();
    for (server, role) in [(&line.emergency, "emergency='true'"), (&line.abuse, "abuse='true'")] {
        hosts.extend(server.iter().map(|server| host(server, false, false, role)));
    }
    let listen = line.listen.map_or_else(|| "127.0.0.1:0".to_owned(), |addr| addr.to_string());
    let socket = socket.display();
    format!(
        "<director>
  <service name='s'{service}><listen ip='{listen}'/>
    <group name='g' scheduler='{scheduler}{sticky}'{group}>
{hosts}    </group>
  </service>
  <manager><hostCheck interval='100ms'/></manager>
  <control socket='{socket}'/>
</director>
"
    )
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
