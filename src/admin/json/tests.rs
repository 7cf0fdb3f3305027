//! What programs are told, as JSON.

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
    assert_eq!((&service["acl"], &service["client_max"], &service["uncounted"]), (&json!("lan"), &json!(5), &json!(6)));
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
    assert_eq!(event(&happened), json!({"number": 4, "at": 0.0, "kind": "change", "by": "u (web ::1)", "text": "t"}));
    let told = refusal(&Refusal::conflict("no"));
    assert_eq!(told, json!({"error": {"kind": "conflict", "why": "no"}}));
}
