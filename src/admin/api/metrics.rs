//! Everything that is counted, in Prometheus's text format 0.0.4: times in seconds, sizes in bytes, a name for each
//! thing that is counted and labels for whose it is.

use std::fmt::{Display, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::outcome::CloseReason;
use crate::model::snapshot::{Counts, GroupView, HostView, ListenerView, ServiceView, Snapshot};
use crate::model::status::{AdminState, HostStatus};
use crate::model::sticky::StickyMode;

/// Values of a reactor that go down as well as up; the others only count.
const GAUGES: [&str; 5] = ["open", "events_peak", "buffers", "buffers_peak", "pipes"];

/// The whole text.
pub(super) fn text(snapshot: &Snapshot) -> String {
    let mut text = Text(String::new());
    process(&mut text, snapshot);
    services(&mut text, snapshot);
    listeners(&mut text, snapshot);
    groups(&mut text, snapshot);
    hosts(&mut text, snapshot);
    host_times(&mut text, snapshot);
    reactors(&mut text, snapshot);
    text.0
}

fn process(text: &mut Text, snapshot: &Snapshot) {
    let one = |text: &mut Text, name, help, value: f64| text.family(name, "gauge", help).sample("", &[], value);
    text.family("director_build_info", "gauge", "The version that runs.").sample(
        "",
        &[("version", snapshot.version)],
        1,
    );
    let started = snapshot.started.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    one(text, "director_start_time_seconds", "When it started, since 1970.", started);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    one(text, "director_time_seconds", "The time on its clock, since 1970.", now);
    one(text, "director_draining", "Whether it is shutting down.", flag(snapshot.draining));
    one(text, "director_config_unsaved", "Whether what runs differs from the file.", flag(snapshot.unsaved));
    text.family(
        "director_config_changes_total",
        "counter",
        "Changes of the running configuration, the start among them.",
    )
    .sample("", &[], snapshot.revision);
    text.family("director_events_total", "counter", "Events, as the API tells them.").sample(
        "",
        &[],
        snapshot.last_event,
    );
}

fn services(text: &mut Text, snapshot: &Snapshot) {
    let mut each = |name: &str, kind: &str, help: &str, value: fn(&ServiceView) -> Option<u64>| {
        let mut family = text.family(name, kind, help);
        for service in &snapshot.services {
            if let Some(value) = value(service) {
                family.sample("", &[("service", &service.name)], value);
            }
        }
    };
    each("director_service_open", "gauge", "Open sessions, those that wait or connect among them.", |service| {
        Some(u64::from(service.open))
    });
    each("director_service_waiting", "gauge", "Clients that wait for a host with room.", |service| {
        Some(u64::from(service.waiting))
    });
    each("director_service_max_connections", "gauge", "Most open connections, where there is a bound.", |service| {
        service.max_connections.map(u64::from)
    });
    each("director_service_accepted_total", "counter", "Clients accepted.", |service| Some(service.accepted));
    each("director_service_retries_total", "counter", "Attempts after the first that clients needed.", |service| {
        Some(service.retries)
    });
    let mut family = text.family("director_service_closed_total", "counter", "Sessions closed, by reason.");
    for service in &snapshot.services {
        for (reason, count) in CloseReason::NAMES.iter().zip(service.closed) {
            family.sample("", &[("service", &service.name), ("reason", reason)], count);
        }
    }
    let help = "How long clients waited until a host had accepted them.";
    let mut family = text.family("director_service_wait_seconds", "histogram", help);
    for service in &snapshot.services {
        family.histogram(&[("service", &service.name)], &service.wait, Some(service.wait_sum_us));
    }
}

fn listeners(text: &mut Text, snapshot: &Snapshot) {
    let mut each = |name: &str, kind: &str, help: &str, value: fn(&ListenerView) -> u64| {
        let mut family = text.family(name, kind, help);
        for service in &snapshot.services {
            for listener in &service.listeners {
                let labels = [("service", service.name.as_str()), ("listener", &listener.address)];
                family.sample("", &labels, value(listener));
            }
        }
    };
    each("director_listener_bound", "gauge", "Addresses that it is bound to.", |listener| listener.bound.len() as u64);
    each("director_listener_accepted_total", "counter", "Clients accepted.", |listener| listener.accepted);
    each("director_listener_errors_total", "counter", "Errors of accept.", |listener| listener.errors);
}

fn groups(text: &mut Text, snapshot: &Snapshot) {
    let mut family = text.family("director_group_enabled", "gauge", "Whether the group serves.");
    for service in &snapshot.services {
        for group in &service.groups {
            let labels = [("service", service.name.as_str()), ("group", &group.name)];
            family.sample("", &labels, flag(group.enabled));
        }
    }
    let mut each = |name: &str, kind: &str, help: &str, value: fn(&GroupView) -> u64| {
        let mut family = text.family(name, kind, help);
        let groups =
            snapshot.services.iter().flat_map(|service| service.groups.iter().map(move |group| (service, group)));
        for (service, group) in groups.filter(|(_, group)| group.sticky.rules.mode == StickyMode::Table) {
            family.sample("", &[("service", service.name.as_str()), ("group", &group.name)], value(group));
        }
    };
    each("director_sticky_clients", "gauge", "Clients that the group's table remembers.", |group| {
        group.sticky.clients as u64
    });
    each("director_sticky_evicted_total", "counter", "Clients forgotten because the table was full.", |group| {
        group.sticky.evicted
    });
}

/// Calls `tell` for every host with its labels.
fn each_host(snapshot: &Snapshot, mut tell: impl FnMut(&HostView, &[(&str, &str)])) {
    for service in &snapshot.services {
        for group in &service.groups {
            for host in &group.hosts {
                labelled(service, group, host, |labels| tell(host, labels));
            }
        }
    }
}

fn labelled(service: &ServiceView, group: &GroupView, host: &HostView, tell: impl FnOnce(&[(&str, &str)])) {
    let addr = host.addr.map_or_else(|| host.address.clone(), |addr| addr.to_string());
    tell(&[("service", &service.name), ("group", &group.name), ("host", &host.name), ("addr", &addr)]);
}

fn hosts(text: &mut Text, snapshot: &Snapshot) {
    let mut each = |name: &str, kind: &str, help: &str, value: fn(&HostView) -> Option<u64>| {
        let mut family = text.family(name, kind, help);
        each_host(snapshot, |host, labels| {
            if let Some(value) = value(host) {
                family.sample("", labels, value);
            }
        });
    };
    each("director_host_up", "gauge", "Whether it answers, as the manager judges.", |host| {
        Some(u64::from(host.status == HostStatus::Up))
    });
    each("director_host_weight", "gauge", "Its share.", |host| Some(u64::from(host.weight)));
    each("director_host_max", "gauge", "Most open connections, where there is a bound.", |host| {
        host.max.map(u64::from)
    });
    each("director_host_open", "gauge", "Connections, those in flight among them.", |host| Some(u64::from(host.open)));
    each("director_host_connections_total", "counter", "Connections established.", |host| Some(host.total));
    each("director_host_failures_total", "counter", "Connects that failed for a reason of the host's.", |host| {
        Some(host.failed)
    });
    let mut family = text.family("director_host_bytes_total", "counter", "Bytes from clients (up) and to them (down).");
    each_host(snapshot, |host, labels| {
        for (direction, bytes) in [("up", host.bytes_up), ("down", host.bytes_down)] {
            family.sample("", &[labels, &[("direction", direction)]].concat(), bytes);
        }
    });
    let mut family = text.family("director_host_state", "gauge", "What the operator wants of it: 1 at that state.");
    each_host(snapshot, |host, labels| {
        for state in [AdminState::Up, AdminState::Drain, AdminState::Down] {
            family.sample("", &[labels, &[("state", state.name())]].concat(), flag(host.admin == state));
        }
    });
    let mut family = text.family("director_host_status_seconds", "gauge", "How long it has had its status.");
    each_host(snapshot, |host, labels| family.sample("", labels, host.lasted.as_secs_f64()));
}

fn host_times(text: &mut Text, snapshot: &Snapshot) {
    let mut family = text.family("director_host_connect_seconds", "histogram", "Times of connects.");
    each_host(snapshot, |host, labels| family.histogram(labels, &host.connects, Some(host.connects_sum_us)));
    let mut family = text.family("director_host_lifetime_seconds", "histogram", "Lifetimes of ended sessions.");
    each_host(snapshot, |host, labels| family.histogram(labels, &host.lifetimes, Some(host.lifetimes_sum_us)));
}

fn reactors(text: &mut Text, snapshot: &Snapshot) {
    let names = snapshot.reactors.first().map(|reactor| reactor.values.as_slice()).unwrap_or_default();
    for (at, (name, _)) in names.iter().enumerate() {
        let is_gauge = GAUGES.contains(name);
        let full = format!("director_reactor_{name}{}", if is_gauge { "" } else { "_total" });
        let kind = if is_gauge { "gauge" } else { "counter" };
        let mut family = text.family(&full, kind, "As in the log's counters.");
        for (number, reactor) in snapshot.reactors.iter().enumerate() {
            if let Some((_, value)) = reactor.values.get(at) {
                family.sample("", &[("reactor", &number.to_string())], value);
            }
        }
    }
    // The sum of all turns is not counted.
    let mut family = text.family("director_reactor_turn_seconds", "histogram", "How long turns of the loop took.");
    for (number, reactor) in snapshot.reactors.iter().enumerate() {
        family.histogram(&[("reactor", &number.to_string())], &reactor.turns, None);
    }
}

fn flag(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

/// The text so far.
struct Text(String);

impl Text {
    /// Begins the samples of one name.
    fn family(&mut self, name: &str, kind: &str, help: &str) -> Family<'_> {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { text: &mut self.0, name: name.to_owned() }
    }
}

/// The samples of one name.
struct Family<'t> {
    text: &'t mut String,
    name: String,
}

impl Family<'_> {
    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let name = &self.name;
        let _ = write!(self.text, "{name}{suffix}");
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(text));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {value}");
    }

    fn histogram(&mut self, labels: &[(&str, &str)], counts: &Counts, sum_us: Option<u64>) {
        let mut sum = 0;
        for (bucket, count) in counts.buckets.iter().enumerate() {
            sum += count;
            let end = counts.below(bucket).map_or_else(|| String::from("+Inf"), |end| seconds(end).to_string());
            self.sample("_bucket", &[labels, &[("le", &end)]].concat(), sum);
        }
        if let Some(sum_us) = sum_us {
            self.sample("_sum", labels, seconds(Duration::from_micros(sum_us)));
        }
        self.sample("_count", labels, sum);
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// The text of a label as it stands between quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_is_escaped() {
        let mut text = Text(String::new());
        text.family("a", "gauge", "h").sample("", &[("x", "\"\\\n"), ("y", "é")], 1);
        assert_eq!(text.0, "# HELP a h\n# TYPE a gauge\na{x=\"\\\"\\\\\\n\",y=\"é\"} 1\n");
    }

    #[test]
    fn histogram_counts_up_to_all_of_them() {
        let mut text = Text(String::new());
        let counts = Counts { first: 6, buckets: vec![1, 0, 2] };
        text.family("a", "histogram", "h").histogram(&[("x", "y")], &counts, Some(1_500_000));
        let expected = "# HELP a h\n# TYPE a histogram\n\
                        a_bucket{x=\"y\",le=\"0.000064\"} 1\n\
                        a_bucket{x=\"y\",le=\"0.000128\"} 1\n\
                        a_bucket{x=\"y\",le=\"+Inf\"} 3\n\
                        a_sum{x=\"y\"} 1.5\n\
                        a_count{x=\"y\"} 3\n";
        assert_eq!(text.0, expected);
    }
}
