//! The page: one document without scripts and without anything from elsewhere.

use std::fmt::Write;
use std::time::SystemTime;

use super::replace::MARK;
use crate::admin::words::show::{bytes, span, utc};
use crate::model::outcome::CloseReason;
use crate::model::snapshot::{GroupView, HostView, ServiceView, Snapshot};
use crate::model::status::{AdminState, HostStatus};

const STYLE: &str = "body{font:14px/1.4 system-ui,sans-serif;margin:2em;color:#222;background:#fff}\
    table{border-collapse:collapse;margin:.5em 0 1.5em}\
    th,td{padding:.2em .7em;text-align:left;border-bottom:1px solid #ddd}\
    td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
    .up{color:#17692c}.down{color:#b3261e}.odd{color:#8a5300}.off{color:#666}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}\
    .up{color:#7bd88f}.down{color:#ff8a80}.odd{color:#ffb74d}.off{color:#aaa}}";

/// What is written, as of the moment `at`.
pub(super) fn page(snapshot: &Snapshot, at: SystemTime) -> String {
    let mut page = String::from(MARK);
    let Snapshot { version, pid, uptime, revision, .. } = snapshot;
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Director status page</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>Director status page</h1>\n\
         <p>At {} &middot; process {pid} &middot; version {} &middot; up {} &middot; revision {revision}{}{}</p>\n",
        utc(at),
        escaped(version),
        span(*uptime),
        if snapshot.unsaved { " &middot; <span class=\"odd\">unsaved changes</span>" } else { "" },
        if snapshot.draining { " &middot; <span class=\"odd\">shutting down</span>" } else { "" },
    );
    if let Some(log) = snapshot.access_log {
        let lost = log.dropped + log.failed;
        let class = if lost > 0 { "down" } else { "off" };
        let _ = writeln!(page, "<p class=\"{class}\">Access log: {} lines written, {lost} lost</p>", log.written);
    }
    services(&mut page, snapshot);
    snapshot.services.iter().for_each(|each| service(&mut page, each));
    reactors(&mut page, snapshot);
    page.push_str("</body>\n</html>\n");
    page
}

fn services(page: &mut String, snapshot: &Snapshot) {
    head(page, &["Service", "Listeners", "Serves", ">Open", ">Waiting", ">Accepted", ">Retries", "Closed otherwise"]);
    for service in &snapshot.services {
        let listeners: Vec<&str> = service.listeners.iter().map(|listener| listener.address.as_str()).collect();
        let otherwise =
            CloseReason::NAMES.iter().zip(service.closed).filter(|(name, n)| **name != "finished" && *n > 0);
        let otherwise: Vec<String> = otherwise.map(|(name, count)| format!("{name} {count}")).collect();
        let (open, waiting) = (service.open.to_string(), service.waiting.to_string());
        row(
            page,
            &[
                ("", &service.name),
                ("", &listeners.join(", ")),
                ("", service.enabled.as_deref().unwrap_or("-")),
                ("n", &open),
                ("n", &waiting),
                ("n", &service.accepted.to_string()),
                ("n", &service.retries.to_string()),
                ("", &otherwise.join(", ")),
            ],
        );
    }
    page.push_str("</table>\n");
}

fn service(page: &mut String, service: &ServiceView) {
    let _ = writeln!(page, "<h2>Service {}</h2>", escaped(&service.name));
    head(page, &["Listener", "Bound to", ">Accepted", ">Errors"]);
    for listener in &service.listeners {
        let bound: Vec<String> = listener.bound.iter().map(ToString::to_string).collect();
        let (accepted, errors) = (listener.accepted.to_string(), listener.errors.to_string());
        row(page, &[("", &listener.address), ("", &bound.join(", ")), ("n", &accepted), ("n", &errors)]);
    }
    page.push_str("</table>\n");
    service.groups.iter().for_each(|each| group(page, each));
}

fn group(page: &mut String, group: &GroupView) {
    let (class, word) = if group.enabled { ("up", "serves") } else { ("off", "waits") };
    let (name, scheduler) = (escaped(&group.name), group.scheduler);
    let _ = writeln!(page, "<h3>Group {name}, {scheduler}, <span class=\"{class}\">{word}</span></h3>");
    head(
        page,
        &["Host", "Address", "State", "For", ">Weight", ">Max", ">Open", ">Total", ">Failed", ">In", ">Out", "Why"],
    );
    group.hosts.iter().for_each(|each| host(page, each));
    page.push_str("</table>\n");
}

fn host(page: &mut String, host: &HostView) {
    let (class, state) = match (host.admin, host.status) {
        (AdminState::Up, HostStatus::Up) => ("up", "up"),
        (AdminState::Up, HostStatus::Down) => ("down", "failed"),
        (AdminState::Drain, HostStatus::Up) => ("odd", "drain"),
        (AdminState::Drain, HostStatus::Down) => ("down", "drain, failed"),
        (AdminState::Down, HostStatus::Up | HostStatus::Down) => ("off", "down"),
    };
    let address = match host.addr {
        Some(addr) if addr.to_string() != host.address => format!("{} = {addr}", host.address),
        Some(_) | None => host.address.clone(),
    };
    row(
        page,
        &[
            ("", &host.name),
            ("", &address),
            (class, state),
            ("", &span(host.lasted)),
            ("n", &host.weight.to_string()),
            ("n", &host.max.map_or_else(|| String::from("-"), |max| max.to_string())),
            ("n", &host.open.to_string()),
            ("n", &host.total.to_string()),
            ("n", &host.failed.to_string()),
            ("n", &bytes(host.bytes_up)),
            ("n", &bytes(host.bytes_down)),
            ("", &host.why),
        ],
    );
}

fn reactors(page: &mut String, snapshot: &Snapshot) {
    const SHOWN: [&str; 4] = ["open", "accepted", "accept_pauses", "panics"];
    page.push_str("<h2>Reactors</h2>\n");
    head(page, &[">Reactor", ">Open", ">Accepted", ">Pauses", ">Panics"]);
    for (number, reactor) in snapshot.reactors.iter().enumerate() {
        let value = |wanted| reactor.values.iter().find(|(name, _)| *name == wanted).map_or(0, |(_, value)| *value);
        let mut cells = vec![number.to_string()];
        cells.extend(SHOWN.map(|name| value(name).to_string()));
        row(page, &cells.iter().map(|cell| ("n", cell.as_str())).collect::<Vec<_>>());
    }
    page.push_str("</table>\n");
}

/// Begins a table; titles of numbers start with `>`.
fn head(page: &mut String, titles: &[&str]) {
    page.push_str("<table>\n<tr>");
    for title in titles {
        let _ = match title.strip_prefix('>') {
            Some(title) => write!(page, "<th class=\"n\">{title}</th>"),
            None => write!(page, "<th>{title}</th>"),
        };
    }
    page.push_str("</tr>\n");
}

/// A row of cells, each with its class.
fn row(page: &mut String, cells: &[(&str, &str)]) {
    page.push_str("<tr>");
    for (class, text) in cells {
        let text = escaped(text);
        let _ = if class.is_empty() {
            write!(page, "<td>{text}</td>")
        } else {
            write!(page, "<td class=\"{class}\">{text}</td>")
        };
    }
    page.push_str("</tr>\n");
}

/// Text as it stands in an element.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<b a=\"x\" c='y'>&"), "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;");
    }
}
