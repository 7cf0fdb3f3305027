//! One look: what of a status document is shown.

use std::time::Duration;

use serde_json::Value;

/// What was seen at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) version: String,
    pub(super) uptime: Duration,
    pub(super) revision: u64,
    pub(super) is_unsaved: bool,
    pub(super) is_draining: bool,
    pub(super) confirm_within: Option<Duration>,
    pub(super) services: Vec<Service>,
    pub(super) hosts: Vec<Host>,
}

/// A service.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) listens: String,
    pub(super) group: String,
    pub(super) open: u64,
    pub(super) waiting: u64,
    pub(super) accepted: u64,
    pub(super) retries: u64,
}

/// A host, over all of its addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) service: String,
    pub(super) group: String,
    pub(super) is_enabled: bool,
    pub(super) name: String,
    pub(super) state: State,
    pub(super) open: u64,
    pub(super) total: u64,
    pub(super) failed: u64,
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
    pub(super) connect_us: u64,
    pub(super) why: String,
}

/// The state of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    #[default]
    Up,
    Drain,
    Down,
    Failed,
}

impl State {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Drain => "drain",
            Self::Down => "down",
            Self::Failed => "failed",
        }
    }
}

impl Sample {
    /// Reads a status document; what is not there is nothing.
    pub(super) fn of(status: &Value) -> Self {
        let mut sample = Self {
            version: text(&status["version"]),
            uptime: Duration::from_millis(number(&status["uptime_ms"])),
            revision: number(&status["revision"]),
            is_unsaved: status["unsaved"].as_bool().unwrap_or(false),
            is_draining: status["draining"].as_bool().unwrap_or(false),
            confirm_within: status["confirm_within_ms"].as_u64().map(Duration::from_millis),
            ..Self::default()
        };
        for service in list(&status["services"]) {
            let name = text(&service["name"]);
            for group in list(&service["groups"]) {
                sample.take_group(&name, group);
            }
            let listens: Vec<String> = list(&service["listeners"]).iter().map(|l| text(&l["address"])).collect();
            sample.services.push(Service {
                name,
                listens: listens.join(" "),
                group: text(&service["enabled"]),
                open: number(&service["open"]),
                waiting: number(&service["waiting"]),
                accepted: number(&service["accepted"]),
                retries: number(&service["retries"]),
            });
        }
        sample
    }

    fn take_group(&mut self, service: &str, group: &Value) {
        let group_name = text(&group["name"]);
        for host in list(&group["hosts"]) {
            let seen = Host {
                service: service.to_owned(),
                group: group_name.clone(),
                is_enabled: group["enabled"].as_bool().unwrap_or(false),
                name: text(&host["name"]),
                state: match (host["admin"].as_str(), host["status"].as_str()) {
                    (Some("down"), _) => State::Down,
                    (_, Some("down")) => State::Failed,
                    (Some("drain"), _) => State::Drain,
                    _ => State::Up,
                },
                open: number(&host["open"]),
                total: number(&host["total"]),
                failed: number(&host["failed"]),
                bytes_up: number(&host["bytes_up"]),
                bytes_down: number(&host["bytes_down"]),
                connect_us: number(&host["connect_time_us"]),
                why: text(&host["why"]),
            };
            match self.hosts.last_mut().filter(|last| last.key() == seen.key()) {
                Some(last) => last.join(seen),
                None => self.hosts.push(seen),
            }
        }
    }
}

impl Host {
    /// What tells it from all others.
    pub(super) fn key(&self) -> (&str, &str, &str) {
        (&self.service, &self.group, &self.name)
    }

    /// Another address of the same host: the worse state counts, and the longer connect.
    fn join(&mut self, other: Self) {
        if other.state > self.state {
            (self.state, self.why) = (other.state, other.why);
        }
        self.open += other.open;
        self.total += other.total;
        self.failed += other.failed;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.connect_us = self.connect_us.max(other.connect_us);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn addresses_of_a_host_are_one_line_and_nothing_is_needed() {
        let host = |status: &str, open: u64, us: u64| json!({"name": "a", "status": status, "admin": "up", "open": open, "connect_time_us": us, "why": status});
        let status = json!({"services": [{"name": "s", "enabled": "g", "groups": [
            {"name": "g", "enabled": true, "hosts": [host("up", 2, 30), host("down", 3, 10)]}]}]});
        let sample = Sample::of(&status);
        assert_eq!(sample.hosts.len(), 1);
        let host = &sample.hosts[0];
        assert_eq!((host.open, host.state, host.connect_us, host.why.as_str()), (5, State::Failed, 30, "down"));
        assert!(Sample::of(&Value::Null).hosts.is_empty());
    }
}
