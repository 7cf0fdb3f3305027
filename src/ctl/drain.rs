//! `drain`: no new connections for a host, and waiting for those it has.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::link::{Answer, Failure};
use super::perform::Session;
use super::say;
use crate::admin::words::show::span;
use crate::admin::words::{Wait, place, quote};
use crate::model::change::HostRef;

/// Time between two looks at what is left.
const LOOK: Duration = Duration::from_millis(250);
/// How long what was cut may take to be gone.
const CUT_GONE: Duration = Duration::from_secs(5);

/// Starts the drain and waits. Returns the exit code.
///
/// # Errors
/// It was refused, or connections are left at the deadline.
pub(super) fn drain(session: &mut Session, host: &HostRef, wait: Wait) -> Result<u8, Failure> {
    let shown = quote::quote(&place::show_host(host));
    // A host that looks like a flag is told from one.
    let started = session.link.ask(&format!("drain --no-wait -- {shown}"), None)?;
    if let Answer::Lines(lines) = started {
        say(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    }
    let deadline = match wait {
        Wait { deadline: None, kill: true } => Some(Duration::ZERO),
        Wait { deadline, .. } => deadline,
    };
    let mut left = Left::default();
    let begin = Instant::now();
    let open = loop {
        let open = session.link.ask_json("hosts").map(|document| open_at(&document, host))?;
        left.show(open, deadline.map(|deadline| deadline.saturating_sub(begin.elapsed())));
        let over = deadline.is_some_and(|deadline| begin.elapsed() >= deadline);
        if open == 0 || over {
            break open;
        }
        let rest = deadline.map_or(LOOK, |deadline| deadline.saturating_sub(begin.elapsed()));
        thread::sleep(LOOK.min(rest));
    };
    left.end();
    match (open, wait.kill) {
        (0, _) => finish(session, 0, format!("drained in {}", span(begin.elapsed()))),
        (open, true) => cut(session, host, open, begin),
        (open, false) => {
            let what = if open == 1 { "connection is" } else { "connections are" };
            let after = span(begin.elapsed());
            if session.options.json {
                say(&format!("{}\n", json!({ "left": open, "cut": 0 })));
            }
            Err(Failure::Here(format!("{open} {what} left after {after}; the host stays in drain, --kill cuts them")))
        }
    }
}

fn cut(session: &mut Session, host: &HostRef, open: u64, begin: Instant) -> Result<u8, Failure> {
    let word = quote::quote(&format!("host={}", place::show_host(host)));
    let killed = session.link.ask_json(&format!("kill {word}"));
    let count = match killed {
        Ok(document) => document["killed"].as_u64().unwrap_or(open),
        // They ended in this moment by themselves.
        Err(Failure::Refused { kind, .. }) if kind == "not-found" => 0,
        Err(failure) => return Err(failure),
    };
    let until = Instant::now() + CUT_GONE;
    while session.link.ask_json("hosts").map(|document| open_at(&document, host))? > 0 {
        if Instant::now() >= until {
            return Err(Failure::Here(format!("{count} were cut, and some are still open; see sessions")));
        }
        thread::sleep(LOOK);
    }
    finish(session, count, format!("drained in {}, {count} cut", span(begin.elapsed())))
}

fn finish(session: &Session, cut: u64, told: String) -> Result<u8, Failure> {
    if session.options.json {
        return Ok(say(&format!("{}\n", json!({ "left": 0, "cut": cut }))));
    }
    Ok(say(&format!("{told}\n")))
}

/// Connections at a host, over all of its addresses.
fn open_at(document: &Value, host: &HostRef) -> u64 {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let is = |value: &Value, name: &str| value.as_str() == Some(name);
    let mut open = 0;
    for service in list(document, "services") {
        if !host.service.is_empty() && !is(&service["name"], &host.service) {
            continue;
        }
        for group in list(&service, "groups") {
            if host.group.as_ref().is_some_and(|name| !is(&group["name"], name)) {
                continue;
            }
            let hosts = list(&group, "hosts");
            let meant = |at: &&Value| is(&at["name"], &host.host) || is(&at["address"], &host.host);
            open += hosts.iter().filter(meant).filter_map(|at| at["open"].as_u64()).sum::<u64>();
        }
    }
    open
}

/// What is left, on standard error: one line that changes on a terminal, a line for each change elsewhere.
#[derive(Default)]
struct Left {
    last: Option<u64>,
}

impl Left {
    fn show(&mut self, open: u64, time: Option<Duration>) {
        let time = time.map_or_else(String::new, |time| format!(", {} to go", span(time)));
        let mut errors = io::stderr();
        // Whoever closed standard error does not want to know.
        if errors.is_terminal() {
            let _ = write!(errors, "\r\x1b[K{open} left{time}");
        } else if self.last != Some(open) {
            let _ = writeln!(errors, "{open} left{time}");
        }
        let _ = errors.flush();
        self.last = Some(open);
    }

    fn end(&self) {
        if io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_at_the_host_that_is_meant() {
        let document = json!({"services": [
            {"name": "s", "groups": [
                {"name": "g", "hosts": [{"name": "a", "address": "n:1", "open": 2}, {"name": "a", "address": "n:1", "open": 3}]},
                {"name": "h", "hosts": [{"name": "a", "address": "m:1", "open": 5}]}]},
            {"name": "t", "groups": [{"name": "g", "hosts": [{"name": "b", "address": "o:1", "open": 7}]}]}]});
        let open = |service: &str, group: Option<&str>, host: &str| {
            let group = group.map(str::to_owned);
            open_at(&document, &HostRef { service: service.into(), group, host: host.into() })
        };
        assert_eq!(open("s", Some("g"), "a"), 5);
        assert_eq!(open("s", None, "m:1"), 5);
        assert_eq!(open("", None, "b"), 7);
        assert_eq!(open("t", None, "a"), 0);
    }
}
