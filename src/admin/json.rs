//! What there is to see, as JSON: the names are those of [`crate::model::snapshot`] and its neighbours.
//!
//! Durations are integers whose names end in `_ms` or `_us`, times are seconds since 1970 with a fraction, addresses and
//! session names are strings, and what is not there is `null`. A histogram is `{"first": …, "buckets": […], "sum_us": …}`
//! as [`Counts`]: the first bucket is below 2^`first` µs, each after it ends at twice the time, the last has no end.

mod acls;
mod probes;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::model::change::{Refusal, RefusalKind};
use crate::model::command::{SessionList, SessionView};
use crate::model::event::Event;
use crate::model::outcome::CloseReason;
use crate::model::role::Role;
use crate::model::snapshot::{Counts, GroupView, HostView, ListenerView, ReactorView, ServiceView, Snapshot, UserView};
use crate::model::status::HostStatus;
use crate::model::sticky::{StickyClient, StickyList};

pub use acls::{acl, acls, rules};

/// The whole.
#[must_use]
pub fn snapshot(snapshot: &Snapshot) -> Value {
    json!({
        "version": snapshot.version,
        "pid": snapshot.pid,
        "started": unix_seconds(snapshot.started),
        "uptime_ms": millis(snapshot.uptime),
        "revision": snapshot.revision,
        "unsaved": snapshot.unsaved,
        "confirm_within_ms": snapshot.confirm_within.map(millis),
        "draining": snapshot.draining,
        "services": snapshot.services.iter().map(service).collect::<Vec<_>>(),
        "reactors": snapshot.reactors.iter().map(reactor).collect::<Vec<_>>(),
        "users": users(&snapshot.users),
        "access_log": snapshot.access_log.map(|log| json!({
            "written": log.written,
            "dropped": log.dropped,
            "failed": log.failed,
        })),
        "last_event": snapshot.last_event,
    })
}

/// A service with all that is in it.
#[must_use]
pub fn service(service: &ServiceView) -> Value {
    let closed = CloseReason::NAMES.iter().zip(service.closed);
    let closed: Map<String, Value> = closed.map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
    json!({
        "name": service.name,
        "enabled": service.enabled,
        "listeners": service.listeners.iter().map(listener).collect::<Vec<_>>(),
        "groups": service.groups.iter().map(group).collect::<Vec<_>>(),
        "connect_timeout_ms": millis(service.connect_timeout),
        "idle_timeout_ms": millis(service.idle_timeout),
        "fin_timeout_ms": millis(service.fin_timeout),
        "session": service.flows.kind.name(),
        "responses": service.flows.responses,
        "flow_timeout_ms": millis(service.flows.timeout),
        "max_connections": service.max_connections,
        "acl": service.acl,
        "client_max": service.client_max,
        "client_rate": service.client_rate,
        "open": service.open,
        "waiting": service.waiting,
        "accepted": service.accepted,
        "retries": service.retries,
        "uncounted": service.uncounted,
        "closed": closed,
        "wait": histogram(&service.wait, service.wait_sum_us),
    })
}

/// A listener.
#[must_use]
pub fn listener(listener: &ListenerView) -> Value {
    json!({
        "address": listener.address,
        "protocol": listener.protocol.name(),
        "bound": listener.bound.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "accepted": listener.accepted,
        "errors": listener.errors,
    })
}

/// A group with its hosts.
#[must_use]
pub fn group(group: &GroupView) -> Value {
    json!({
        "name": group.name,
        "enabled": group.enabled,
        "scheduler": group.scheduler.name(),
        "stubborn": group.stubborn,
        "sticky": group.sticky.rules.mode.name(),
        "sticky_size": group.sticky.rules.size,
        "sticky_clients": group.sticky.clients,
        "sticky_evicted": group.sticky.evicted,
        "hosts": group.hosts.iter().map(host).collect::<Vec<_>>(),
    })
}

/// Clients that tables remember.
#[must_use]
pub fn sticky(list: &StickyList) -> Value {
    let client = |client: &StickyClient| {
        json!({
            "client": client.client,
            "service": client.service,
            "group": client.group,
            "host": client.host,
            "addr": client.addr,
            "home": client.home,
            "idle_ms": millis(client.idle),
        })
    };
    json!({ "clients": list.clients.iter().map(client).collect::<Vec<_>>(), "total": list.total })
}

/// A host address.
#[must_use]
pub fn host(host: &HostView) -> Value {
    json!({
        "name": host.name,
        "address": host.address,
        "addr": host.addr.map(text),
        "status": status(host.status),
        "admin": host.admin.name(),
        "why": host.why,
        "lasted_ms": millis(host.lasted),
        "next_probe_ms": host.next_probe.map(millis),
        "probes": probes::probes(&host.probes),
        "blacklisted_ms": host.blacklisted.map(millis),
        "times_blacklisted": host.times_blacklisted,
        "hard": host.hard,
        "prio": host.level.prio,
        "emergency": host.level.role == Role::Emergency,
        "abuse": host.level.role == Role::Abuse,
        "weight": host.weight,
        "max": host.max,
        "acl": host.acl,
        "open": host.open,
        "total": host.total,
        "failed": host.failed,
        "bytes_up": host.bytes_up,
        "bytes_down": host.bytes_down,
        "connect_time_us": micros(host.connect_time),
        "connects": histogram(&host.connects, host.connects_sum_us),
        "lifetimes": histogram(&host.lifetimes, host.lifetimes_sum_us),
    })
}

/// The word for a status.
#[must_use]
pub const fn status(status: HostStatus) -> &'static str {
    match status {
        HostStatus::Up => "up",
        HostStatus::Down => "down",
    }
}

fn reactor(reactor: &ReactorView) -> Value {
    let values: Map<String, Value> = reactor.values.iter().map(|(name, n)| ((*name).to_owned(), json!(n))).collect();
    json!({ "values": values, "turns": { "first": reactor.turns.first, "buckets": reactor.turns.buckets } })
}

/// Administrators.
#[must_use]
pub fn users(users: &[UserView]) -> Value {
    let user = |user: &UserView| {
        let access = if user.full { "full" } else { "readonly" };
        json!({ "name": user.name, "full": user.full, "access": access, "password": user.password, "key": user.key })
    };
    users.iter().map(user).collect()
}

/// Sessions.
#[must_use]
pub fn sessions(list: &SessionList) -> Value {
    json!({ "total": list.total, "sessions": list.sessions.iter().map(session).collect::<Vec<_>>() })
}

fn session(session: &SessionView) -> Value {
    let info = &session.info;
    json!({
        "name": info.name.to_string(),
        "protocol": info.protocol.name(),
        "service": session.service,
        "group": session.group,
        "host": session.host,
        "host_addr": info.host_addr.map(text),
        "client": info.client.to_string(),
        "local": info.local.map(text),
        "listen": info.listen.map(text),
        "state": info.state.name(),
        "age_ms": millis(session.age),
        "idle_ms": millis(info.idle),
        "up": info.up,
        "down": info.down,
    })
}

/// An event.
#[must_use]
pub fn event(event: &Event) -> Value {
    json!({
        "number": event.number,
        "at": unix_seconds(event.at),
        "kind": event.kind.name(),
        "by": event.by,
        "text": event.text,
    })
}

/// `{"error": {"kind": …, "why": …}}`.
#[must_use]
pub fn refusal(refusal: &Refusal) -> Value {
    error(refusal_kind(refusal.kind), &refusal.why)
}

/// As [`refusal`], for what the server itself refuses.
#[must_use]
pub fn error(kind: &str, why: &str) -> Value {
    json!({ "error": { "kind": kind, "why": why } })
}

const fn refusal_kind(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::NotFound => "not-found",
        RefusalKind::Invalid => "invalid",
        RefusalKind::Conflict => "conflict",
        RefusalKind::Unavailable => "unavailable",
    }
}

fn histogram(counts: &Counts, sum_us: u64) -> Value {
    json!({ "first": counts.first, "buckets": counts.buckets, "sum_us": sum_us })
}

fn text(addr: impl ToString) -> String {
    addr.to_string()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Seconds since 1970, with a fraction; 0 before.
fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests;
