//! Every counter as a log line of `key=value` words.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use crate::config::Address;
use crate::model::counters::{HostCounters, ReactorCounters, ServiceCounters};
use crate::model::outcome::CloseReason;

use super::Manager;
use super::line::{Place, Value, status_word};

impl Manager {
    /// One line a service, followed by one a host of each of its groups, in the order of the configuration.
    #[must_use]
    pub fn counter_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for service in self.registry.services.values() {
            lines.push(service_line(&service.name, &service.counters));
            for (config, group) in service.config.groups.iter().zip(&service.groups) {
                for (host_config, entry) in config.hosts.iter().zip(&group.entries) {
                    let weight = host_config.weight;
                    let place = |addr: String| Place {
                        service: &service.name,
                        group: &config.name,
                        host: &host_config.name,
                        addr,
                    };
                    for host in entry.hosts.iter().filter_map(|id| self.registry.hosts.get(id)) {
                        let state = status_word(host.health.status());
                        lines.push(host_line(&place(host.addr.to_string()), state, weight, &host.counters));
                    }
                    if let (Address::Name { host, port }, true) = (&host_config.address, entry.hosts.is_empty()) {
                        let place = place(format!("{host}:{port}"));
                        lines.push(host_line(&place, "down", weight, &HostCounters::default()));
                    }
                }
            }
        }
        lines
    }
}

fn service_line(name: &str, counters: &ServiceCounters) -> String {
    let mut line = format!(
        "counters service={} open={} waiting={} accepted={} retries={} uncounted={}",
        Value(name),
        counters.open.load(Relaxed),
        counters.waiting.load(Relaxed),
        counters.accepted.load(Relaxed),
        counters.retries.load(Relaxed),
        counters.uncounted.load(Relaxed),
    );
    for (name, closed) in CloseReason::NAMES.iter().zip(counters.closed_by_reason()) {
        // Writing to a string cannot fail.
        let _ = write!(line, " closed-{name}={closed}");
    }
    line
}

fn host_line(place: &Place<'_>, state: &str, weight: u32, counters: &HostCounters) -> String {
    format!(
        "counters {place} state={state} weight={weight} open={} established={} failed={} bytes-up={} bytes-down={} \
         connect-us={}",
        counters.open(),
        counters.established.load(Relaxed),
        counters.failed.load(Relaxed),
        counters.bytes_up.load(Relaxed),
        counters.bytes_down.load(Relaxed),
        counters.connect_time().as_micros(),
    )
}

/// The line of reactor `number`.
pub(super) fn reactor_line(number: usize, counters: &ReactorCounters) -> String {
    format!(
        "counters reactor={number} turns={} accepted={} open={} accept-pauses={} accept-errors={} budget-spent={} \
         buffers={} copied={} spliced={} pipes={} reports-dropped={} panics={} freezes={}",
        counters.turns.load(Relaxed),
        counters.accepted.load(Relaxed),
        counters.open.load(Relaxed),
        counters.accept_pauses.load(Relaxed),
        counters.accept_errors.load(Relaxed),
        counters.budget_spent.load(Relaxed),
        counters.buffers.load(Relaxed),
        counters.bytes_copied.load(Relaxed),
        counters.bytes_spliced.load(Relaxed),
        counters.pipes.load(Relaxed),
        counters.reports_dropped.load(Relaxed),
        counters.panics.load(Relaxed),
        counters.freezes.load(Relaxed),
    )
}
