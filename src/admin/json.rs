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
mod tests {
    use super::*;
    use crate::model::access_log::AccessCounts;
    use crate::model::address::Endpoint;
    use crate::model::datagram::{FlowRules, Protocol};
    use crate::model::event::EventKind;
    use crate::model::id::{HostId, ServiceId};
    use crate::model::role::Level;
    use crate::model::scheduler::SchedulerKind;
    use crate::model::session::{SessionInfo, SessionName, SessionState};
    use crate::model::snapshot::{ProbesView, StickyState};
    use crate::model::status::AdminState;
    use crate::model::time::Moment;

    fn counts() -> Counts {
        Counts { first: 6, buckets: vec![0, 2, 1] }
    }

    fn host_view() -> HostView {
        HostView {
            name: String::from("a\"<b>"),
            address: String::from("localhost:80"),
            addr: Some(Endpoint::Ip("127.0.0.1:80".parse().unwrap())),
            status: HostStatus::Down,
            admin: AdminState::Drain,
            why: String::from("connection refused"),
            lasted: Duration::from_millis(1500),
            next_probe: None,
            probes: ProbesView::default(),
            blacklisted: None,
            times_blacklisted: 0,
            hard: None,
            level: Level::default(),
            weight: 3,
            max: Some(9),
            acl: None,
            open: 1,
            total: 2,
            failed: 3,
            bytes_up: 4,
            bytes_down: 5,
            connect_time: Duration::from_micros(250),
            connects: counts(),
            connects_sum_us: 6,
            lifetimes: counts(),
            lifetimes_sum_us: 7,
        }
    }

    #[test]
    fn host_has_the_names_of_its_view() {
        let shown = host(&host_view());
        assert_eq!((&shown["name"], &shown["addr"]), (&json!("a\"<b>"), &json!("127.0.0.1:80")));
        assert_eq!((&shown["status"], &shown["admin"]), (&json!("down"), &json!("drain")));
        assert_eq!((&shown["lasted_ms"], &shown["next_probe_ms"]), (&json!(1500), &Value::Null));
        assert_eq!((&shown["connect_time_us"], &shown["max"]), (&json!(250), &json!(9)));
        assert_eq!(shown["connects"], json!({"first": 6, "buckets": [0, 2, 1], "sum_us": 6}));
    }

    #[test]
    fn snapshot_is_told_whole() {
        let group = GroupView {
            name: String::from("g"),
            enabled: true,
            scheduler: SchedulerKind::LeastConns,
            sticky: StickyState::default(),
            stubborn: false,
            hosts: vec![host_view()],
        };
        let service = ServiceView {
            name: String::from("s"),
            enabled: Some(String::from("g")),
            listeners: Vec::new(),
            groups: vec![group],
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(600),
            fin_timeout: Duration::from_secs(60),
            flows: FlowRules::default(),
            max_connections: None,
            acl: Some(String::from("lan")),
            client_max: Some(5),
            client_rate: None,
            open: 1,
            waiting: 0,
            accepted: 8,
            retries: 0,
            uncounted: 6,
            closed: std::array::from_fn(|index| index as u64),
            wait: counts(),
            wait_sum_us: 9,
        };
        let whole = Snapshot {
            version: "1",
            pid: 7,
            started: UNIX_EPOCH + Duration::from_millis(1500),
            uptime: Duration::from_secs(2),
            revision: 3,
            unsaved: true,
            confirm_within: Some(Duration::from_secs(30)),
            draining: false,
            services: vec![service],
            reactors: vec![ReactorView { values: vec![("turns", 4)], turns: counts() }],
            users: vec![UserView { name: String::from("u"), full: true, password: true, key: false }],
            access_log: Some(AccessCounts { written: 5, dropped: 1, failed: 2 }),
            last_event: 11,
        };
        let shown = snapshot(&whole);
        assert_eq!((&shown["started"], &shown["confirm_within_ms"]), (&json!(1.5), &json!(30_000)));
        let service = &shown["services"][0];
        assert_eq!(service["closed"]["client-reset"], json!(1));
        assert_eq!(
            (&service["acl"], &service["client_max"], &service["uncounted"]),
            (&json!("lan"), &json!(5), &json!(6))
        );
        assert_eq!(service["groups"][0]["scheduler"], json!("leastconns"));
        assert_eq!(service["groups"][0]["hosts"][0]["weight"], json!(3));
        assert_eq!(shown["reactors"][0]["values"]["turns"], json!(4));
        assert_eq!(shown["users"][0]["access"], json!("full"));
        assert_eq!(shown["access_log"], json!({"written": 5, "dropped": 1, "failed": 2}));
    }

    #[test]
    fn session_event_and_refusal_are_told() {
        let info = SessionInfo {
            name: SessionName { reactor: 1, slot: 2, generation: 3 },
            protocol: Protocol::Udp,
            service: ServiceId(0),
            host: Some(HostId(0)),
            host_addr: None,
            client: Endpoint::LOCAL,
            local: None,
            listen: None,
            state: SessionState::HalfClosed,
            opened: Moment::START,
            age: Duration::ZERO,
            idle: Duration::from_millis(4),
            up: 5,
            down: 6,
        };
        let view = SessionView {
            info,
            service: String::from("s"),
            group: String::new(),
            host: String::new(),
            addr: String::new(),
            age: Duration::from_secs(1),
        };
        let shown = sessions(&SessionList { sessions: vec![view], total: 12 });
        assert_eq!((&shown["total"], &shown["sessions"][0]["name"]), (&json!(12), &json!("1-2-3")));
        assert_eq!(shown["sessions"][0]["state"], json!("half-closed"));
        assert_eq!(shown["sessions"][0]["client"], json!("unix"));
        let happened = Event {
            number: 4,
            at: UNIX_EPOCH,
            kind: EventKind::Change,
            by: String::from("u (web ::1)"),
            text: String::from("t"),
        };
        assert_eq!(
            event(&happened),
            json!({"number": 4, "at": 0.0, "kind": "change", "by": "u (web ::1)", "text": "t"})
        );
        let told = refusal(&Refusal::conflict("no"));
        assert_eq!(told, json!({"error": {"kind": "conflict", "why": "no"}}));
    }
}
