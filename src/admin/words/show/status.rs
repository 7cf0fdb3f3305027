//! A snapshot for people.

use std::time::Duration;

use super::paint::{self, Paint, Table, Tone, bytes, latency, number, span};
use crate::model::outcome::CloseReason;
use crate::model::snapshot::{GroupView, HostView, ServiceView, Snapshot, UserView};
use crate::model::status::{AdminState, HostStatus};
use crate::model::sticky::StickyMode;

const HOST_TITLES: [&str; 13] = [
    "HOST", "ADDRESS", "STATE", "FOR", ">WEIGHT", ">MAX", ">OPEN", ">TOTAL", ">FAILED", ">IN", ">OUT", ">CONNECT",
    "WHY",
];

/// Everything: a line on the process, then each service with its groups and their hosts.
pub(super) fn status(snapshot: &Snapshot, paint: Paint) -> Vec<String> {
    let mut lines = vec![head(snapshot, paint)];
    let table = |group: &GroupView| {
        let mut table = Table::new(&HOST_TITLES);
        group.hosts.iter().for_each(|host| table.row(host_cells(host)));
        table
    };
    let tables: Vec<Vec<Table>> =
        snapshot.services.iter().map(|service| service.groups.iter().map(table).collect()).collect();
    let columns = paint::columns(&tables.iter().flatten().collect::<Vec<_>>());
    for (service, tables) in snapshot.services.iter().zip(&tables) {
        lines.push(String::new());
        lines.push(title(service, paint));
        lines.extend(not_finished(service).map(|text| paint.tone(Tone::Faint, &format!("  closed {text}"))));
        for (group, table) in service.groups.iter().zip(tables) {
            lines.push(group_title(group, paint));
            if !table.is_empty() {
                lines.extend(table.aligned(&columns, "    ", paint));
            }
        }
    }
    lines
}

fn head(snapshot: &Snapshot, paint: Paint) -> String {
    let Snapshot { version, pid, uptime, revision, unsaved, confirm_within, draining, .. } = snapshot;
    let name = paint.tone(Tone::Strong, &format!("director {version}"));
    let mut line = format!("{name}  process {pid}  up {}  revision {revision}", span(*uptime));
    if *unsaved {
        line.push_str(&format!("  {}", paint.tone(Tone::Odd, "unsaved changes")));
    }
    if let Some(left) = confirm_within {
        let text = format!("goes back in {} unless confirmed", span(*left));
        line.push_str(&format!("  {}", paint.tone(Tone::Odd, &text)));
    }
    if *draining {
        line.push_str(&format!("  {}", paint.tone(Tone::Bad, "shutting down")));
    }
    line
}

fn title(service: &ServiceView, paint: Paint) -> String {
    let listeners: Vec<String> = service.listeners.iter().map(|listener| listener.address.clone()).collect();
    let max = service.max_connections.map_or_else(String::new, |max| format!(" of {max}"));
    let waiting = if service.waiting > 0 { format!("  waiting {}", service.waiting) } else { String::new() };
    let retries = if service.retries > 0 { format!("  retries {}", number(service.retries)) } else { String::new() };
    let name = paint.tone(Tone::Strong, &format!("service {}", service.name));
    let serves = match &service.enabled {
        Some(_) => String::new(),
        None => format!("  {}", paint.tone(Tone::Odd, "no group serves")),
    };
    let errors: u64 = service.listeners.iter().map(|listener| listener.errors).sum();
    let errors = if errors > 0 {
        format!("  {}", paint.tone(Tone::Bad, &format!("accept errors {errors}")))
    } else {
        String::new()
    };
    let (open, accepted) = (service.open, number(service.accepted));
    let listeners = listeners.join(" ");
    format!("{name}  {listeners}  open {open}{max}  accepted {accepted}{waiting}{retries}{serves}{errors}")
}

/// Sessions that did not end as they should, by reason.
fn not_finished(service: &ServiceView) -> Option<String> {
    let reasons = CloseReason::NAMES.iter().zip(service.closed).filter(|(name, n)| **name != "finished" && *n > 0);
    let parts: Vec<String> = reasons.map(|(name, count)| format!("{name} {}", number(count))).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn group_title(group: &GroupView, paint: Paint) -> String {
    let sticky = match group.sticky.rules.mode {
        StickyMode::Off => String::new(),
        StickyMode::Table => format!(",sticky  clients {} of {}", group.sticky.clients, group.sticky.rules.size),
        StickyMode::Hash => String::from("  sticky by hash"),
    };
    let stubborn = if group.stubborn { "  stubborn" } else { "" };
    let text = format!("group {}  {}{sticky}{stubborn}", group.name, group.scheduler);
    let empty = if group.hosts.is_empty() { "  no host" } else { "" };
    if group.enabled {
        format!("  {text}  {}{empty}", paint.tone(Tone::Good, "serves"))
    } else {
        format!("  {}", paint.tone(Tone::Faint, &format!("{text}  waits{empty}")))
    }
}

/// The state of a host in a word, and how good that is.
pub(crate) fn state(status: HostStatus, admin: AdminState) -> (Tone, &'static str) {
    match (admin, status) {
        (AdminState::Up, HostStatus::Up) => (Tone::Good, "up"),
        (AdminState::Up, HostStatus::Down) => (Tone::Bad, "failed"),
        (AdminState::Drain, HostStatus::Up) => (Tone::Odd, "drain"),
        (AdminState::Drain, HostStatus::Down) => (Tone::Bad, "drain, failed"),
        (AdminState::Down, HostStatus::Up | HostStatus::Down) => (Tone::Odd, "down"),
    }
}

fn host_cells(host: &HostView) -> Vec<(Tone, String)> {
    let plain = |text: String| (Tone::Plain, text);
    let word = match (state(host.status, host.admin), host.blacklisted) {
        ((Tone::Good, _), Some(_)) => (Tone::Odd, "blacklisted"),
        (word, _) => word,
    };
    let address = match host.addr {
        Some(addr) if addr.to_string() != host.address => format!("{} = {addr}", host.address),
        Some(_) | None => host.address.clone(),
    };
    let failed = if host.failed > 0 { Tone::Odd } else { Tone::Plain };
    let lasted = if host.lasted == Duration::ZERO { String::new() } else { span(host.lasted) };
    let left = host.blacklisted.map_or_else(String::new, |left| format!("for {} more", span(left)));
    let why = if host.status == HostStatus::Up { left } else { why(host) };
    vec![
        (Tone::Strong, host.name.clone()),
        plain(address),
        (word.0, word.1.to_owned()),
        (Tone::Faint, lasted),
        plain(host.weight.to_string()),
        plain(host.max.map_or_else(|| String::from("-"), |max| max.to_string())),
        plain(host.open.to_string()),
        plain(number(host.total)),
        (failed, number(host.failed)),
        plain(bytes(host.bytes_up)),
        plain(bytes(host.bytes_down)),
        plain(latency(host.connect_time)),
        (Tone::Bad, why),
    ]
}

fn why(host: &HostView) -> String {
    match host.next_probe {
        Some(next) => format!("{}; next probe in {}", host.why, span(next)),
        None => host.why.clone(),
    }
}

/// The hosts of all services or of one, a line each.
pub(super) fn hosts(snapshot: &Snapshot, wanted: Option<&str>, paint: Paint) -> Vec<String> {
    let mut titles = vec!["SERVICE", "GROUP"];
    titles.extend(HOST_TITLES);
    let mut table = Table::new(&titles);
    for service in snapshot.services.iter().filter(|service| wanted.is_none_or(|name| name == service.name)) {
        for group in &service.groups {
            let tone = if group.enabled { Tone::Plain } else { Tone::Faint };
            for host in &group.hosts {
                let mut cells = vec![(Tone::Plain, service.name.clone()), (tone, group.name.clone())];
                cells.extend(host_cells(host));
                table.row(cells);
            }
        }
    }
    table.lines("", paint)
}

/// Administrators.
pub(super) fn users(users: &[UserView], paint: Paint) -> Vec<String> {
    let mut table = Table::new(&["USER", "ACCESS", "PASSWORD", "KEY"]);
    let has = |has: bool| (Tone::Plain, String::from(if has { "yes" } else { "no" }));
    for user in users {
        let access = String::from(if user.full { "full" } else { "readonly" });
        table.row(vec![(Tone::Strong, user.name.clone()), (Tone::Plain, access), has(user.password), has(user.key)]);
    }
    table.lines("", paint)
}
