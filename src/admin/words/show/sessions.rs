//! Sessions for people.

use super::paint::{Paint, Table, Tone, bytes, span};
use crate::model::command::{SessionList, SessionView};

/// A line each, and how many there are where not all are shown.
pub(super) fn sessions(list: &SessionList, paint: Paint) -> Vec<String> {
    let mut table = Table::new(&[
        "SESSION", "PROTO", "CLIENT", "SERVICE", "GROUP", "HOST", "ADDRESS", "FROM", "STATE", ">AGE", ">IDLE", ">IN",
        ">OUT",
    ]);
    list.sessions.iter().for_each(|session| table.row(cells(session)));
    let mut lines = if table.is_empty() { Vec::new() } else { table.lines("", paint) };
    let shown = list.sessions.len();
    if shown < list.total {
        let total = list.total;
        lines.push(paint.tone(Tone::Faint, &format!("{shown} of {total}; limit=N shows more, client=… fewer")));
    } else if shown == 0 {
        lines.push(paint.tone(Tone::Faint, "no such connection or flow is open"));
    }
    lines
}

fn cells(session: &SessionView) -> Vec<(Tone, String)> {
    let plain = |text: String| (Tone::Plain, text);
    let info = &session.info;
    let addr = |addr: Option<std::net::SocketAddr>| plain(addr.map(|addr| addr.to_string()).unwrap_or_default());
    vec![
        (Tone::Strong, info.name.to_string()),
        plain(info.protocol.name().to_owned()),
        plain(info.client.to_string()),
        plain(session.service.clone()),
        plain(session.group.clone()),
        plain(session.host.clone()),
        addr(info.host_addr),
        addr(info.local),
        plain(info.state.name().to_owned()),
        plain(span(session.age)),
        plain(span(info.idle)),
        plain(bytes(info.up)),
        plain(bytes(info.down)),
    ]
}
