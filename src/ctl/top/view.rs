//! How it looks.

use std::cmp::Reverse;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table, Widget};

use super::keys::{Chosen, Order};
use super::minute::{LOOKS, Minute, sparkline};
use super::sample::{Host, Service, State};
use crate::admin::words::show::paint::latency;
use crate::admin::words::show::{bytes, span};

/// Services that the upper list shows; all of them are in the lower one.
const SERVICES_SHOWN: u16 = 8;
/// Columns up to which only the necessary ones are shown.
const NARROW: u16 = 90;

const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const HEAD: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Rows that show everything.
pub(super) fn rows(minute: &Minute) -> u16 {
    let hosts = u16::try_from(minute.sample.hosts.len()).unwrap_or(u16::MAX);
    hosts.max(1).saturating_add(5).saturating_add(services_shown(minute))
}

fn services_shown(minute: &Minute) -> u16 {
    u16::try_from(minute.sample.services.len()).unwrap_or(u16::MAX).min(SERVICES_SHOWN)
}

/// Draws all of it.
pub(super) fn draw(minute: &Minute, chosen: &mut Chosen, area: Rect, buffer: &mut Buffer) {
    let [head, services, _, hosts, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1 + services_shown(minute)),
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(1),
    ])
    .areas(area);
    title(minute).render(head, buffer);
    draw_services(minute, services, buffer);
    draw_hosts(minute, chosen, hosts, buffer);
    foot_line(minute, chosen).render(foot, buffer);
}

fn title(minute: &Minute) -> Line<'static> {
    let sample = &minute.sample;
    let mut spans = vec![
        Span::styled(format!("director {}", sample.version), STRONG),
        Span::raw(format!("  up {}  revision {}", span(sample.uptime), sample.revision)),
    ];
    let mut warn = |text: String, colour: Color| spans.push(Span::styled(format!("  {text}"), Style::new().fg(colour)));
    if sample.is_unsaved {
        warn(String::from("unsaved changes"), Color::Yellow);
    }
    if let Some(left) = sample.confirm_within {
        warn(format!("goes back in {} unless confirmed", span(left)), Color::Yellow);
    }
    if sample.is_draining {
        warn(String::from("shutting down"), Color::Red);
    }
    if let Some(why) = &minute.lost {
        warn(format!("no answer: {why}"), Color::Red);
    }
    Line::from(spans)
}

fn right(text: impl Into<String>) -> Cell<'static> {
    Cell::from(Line::from(text.into()).right_aligned())
}

fn draw_services(minute: &Minute, area: Rect, buffer: &mut Buffer) {
    let row = |service: &Service| {
        let waiting = right(service.waiting.to_string());
        let waiting = if service.waiting > 0 { waiting.style(Style::new().fg(Color::Yellow)) } else { waiting };
        Row::new([
            Cell::from(service.name.clone()).style(STRONG),
            Cell::from(service.listens.clone()),
            Cell::from(service.group.clone()),
            right(service.open.to_string()),
            right(minute.accepts(&service.name).to_string()),
            waiting,
            right(service.retries.to_string()),
        ])
    };
    let services = &minute.sample.services;
    let name = width(services.iter().map(|service| &service.name), 7);
    let listens = width(services.iter().map(|service| &service.listens), 9);
    let group = width(services.iter().map(|service| &service.group), 5);
    let widths = [name, listens, group].map(Constraint::Length);
    let widths = widths.into_iter().chain([6, 7, 8, 8].map(Constraint::Length));
    let head = ["SERVICE", "LISTENS", "GROUP"].map(Cell::from).into_iter();
    let head = head.chain(["OPEN", "CONN/S", "WAITING", "RETRIES"].map(right));
    let shown = services.iter().take(usize::from(SERVICES_SHOWN)).map(row);
    Table::new(shown, widths).header(Row::new(head).style(HEAD)).column_spacing(2).render(area, buffer);
}

fn width<'t>(texts: impl Iterator<Item = &'t String>, least: u16) -> u16 {
    let longest = texts.map(|text| text.chars().count()).max().unwrap_or(0);
    u16::try_from(longest).unwrap_or(u16::MAX).clamp(least, 30)
}

fn draw_hosts(minute: &Minute, chosen: &mut Chosen, area: Rect, buffer: &mut Buffer) {
    let hosts = listed(minute, chosen);
    let room = usize::from(area.height.saturating_sub(1));
    chosen.scroll = chosen.scroll.min(hosts.len().saturating_sub(room));
    let narrow = area.width < NARROW;
    let places = |part: fn(&Host) -> &String| hosts.iter().map(move |host| part(host));
    let mut widths = vec![width(places(|host| &host.service), 7), width(places(|host| &host.group), 5)];
    widths.extend([width(places(|host| &host.name), 4), 6, 6, 7, 7, 7, 8, 7]);
    let mut titles: Vec<Cell<'_>> = ["SERVICE", "GROUP", "HOST", "STATE"].map(Cell::from).to_vec();
    titles.extend(["OPEN", "CONN/S", "IN/S", "OUT/S", "CONNECT", "FAILED"].map(right));
    if narrow {
        // The group, and what failed in all, are left out where there is little room.
        for column in [9, 1] {
            widths.remove(column);
            titles.remove(column);
        }
    }
    let used: u16 = widths.iter().map(|width| width + 2).sum();
    let line = usize::from(area.width.saturating_sub(used)).min(LOOKS);
    if line >= 8 {
        titles.push(Cell::from(if line < 20 { "MINUTE" } else { "CONN/S, LAST MINUTE" }));
    }
    let rows = hosts.iter().skip(chosen.scroll).map(|host| {
        let mut cells = cells(minute, host);
        if narrow {
            cells.remove(9);
            cells.remove(1);
        }
        if line >= 8 {
            cells.push(last_cell(minute, host, line));
        }
        Row::new(cells)
    });
    let widths = widths.into_iter().map(Constraint::Length).chain((line >= 8).then_some(Constraint::Fill(1)));
    Table::new(rows, widths).header(Row::new(titles).style(HEAD)).column_spacing(2).render(area, buffer);
    if hosts.is_empty() {
        let text = if chosen.filter.is_empty() { "no host" } else { "no host matches the filter" };
        buffer.set_string(area.x, area.y + 1.min(area.height.saturating_sub(1)), text, FAINT);
    }
}

/// The hosts that are wanted, in the order that is wanted.
fn listed<'m>(minute: &'m Minute, chosen: &Chosen) -> Vec<&'m Host> {
    let wanted = chosen.filter.to_lowercase();
    let is_wanted = |host: &&Host| {
        let texts = [&host.service, &host.group, &host.name].map(|text| text.to_lowercase());
        wanted.is_empty() || host.state.word() == wanted || texts.iter().any(|text| text.contains(&wanted))
    };
    let mut hosts: Vec<&Host> = minute.sample.hosts.iter().filter(is_wanted).collect();
    let rates = |host: &&Host| minute.rates(host);
    // The most first: those that are looked for.
    match chosen.order {
        Order::File => {}
        Order::State => hosts.sort_by_key(|host| Reverse(host.state)),
        Order::Open => hosts.sort_by_key(|host| Reverse(host.open)),
        Order::Connects => hosts.sort_by_key(|host| Reverse(rates(host).connects)),
        Order::Up => hosts.sort_by_key(|host| Reverse(rates(host).up)),
        Order::Down => hosts.sort_by_key(|host| Reverse(rates(host).down)),
        Order::Connect => hosts.sort_by_key(|host| Reverse(host.connect_us)),
        Order::Failed => hosts.sort_by_key(|host| Reverse(host.failed)),
    }
    if chosen.is_reversed {
        hosts.reverse();
    }
    hosts
}

fn cells(minute: &Minute, host: &Host) -> Vec<Cell<'static>> {
    let rates = minute.rates(host);
    let place = if host.is_enabled { Style::new() } else { FAINT };
    let state = match host.state {
        State::Up => Style::new().fg(Color::Green),
        State::Drain | State::Down => Style::new().fg(Color::Yellow),
        State::Failed => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
    };
    let failed = if host.failed > 0 { Style::new().fg(Color::Yellow) } else { Style::new() };
    vec![
        Cell::from(host.service.clone()).style(place),
        Cell::from(host.group.clone()).style(place),
        Cell::from(host.name.clone()).style(STRONG),
        Cell::from(host.state.word()).style(state),
        right(host.open.to_string()),
        right(rates.connects.to_string()),
        right(bytes(rates.up)),
        right(bytes(rates.down)),
        right(latency(Duration::from_micros(host.connect_us))),
        right(host.failed.to_string()).style(failed),
    ]
}

/// The last minute of a host; why it does not serve, where it does not.
fn last_cell(minute: &Minute, host: &Host, width: usize) -> Cell<'static> {
    if host.state == State::Failed {
        return Cell::from(host.why.clone()).style(Style::new().fg(Color::Red));
    }
    let history = minute.history(host, |rates| rates.connects);
    Cell::from(sparkline(&history, width)).style(Style::new().fg(Color::Cyan))
}

fn foot_line(minute: &Minute, chosen: &Chosen) -> Line<'static> {
    if chosen.is_typing {
        let filter = chosen.filter.clone();
        return Line::from(vec![Span::styled("filter: ", STRONG), Span::raw(filter), Span::styled(" ", HEAD)]);
    }
    let hosts = &minute.sample.hosts;
    let open: u64 = hosts.iter().map(|host| host.open).sum();
    let rates = hosts.iter().map(|host| minute.rates(host));
    let (connects, up, down) = rates.fold((0, 0, 0), |(c, u, d), r| (c + r.connects, u + r.up, d + r.down));
    let total = format!("open {open}  conn/s {connects}  in/s {}  out/s {}", bytes(up), bytes(down));
    if !chosen.is_live {
        return Line::from(total);
    }
    let order = format!("{}{}", chosen.order.name(), if chosen.is_reversed { ", turned" } else { "" });
    let filter = if chosen.filter.is_empty() { String::new() } else { format!("  [{}]", chosen.filter) };
    let keys = format!("   q end  s sort: {order}  r turn  / filter{filter}  ↑↓ scroll");
    Line::from(vec![Span::styled(total, STRONG), Span::styled(keys, FAINT)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::top::sample::Sample;

    fn minute() -> Minute {
        let host = |name: &str, open, state| Host {
            service: "web".into(),
            group: "blue".into(),
            is_enabled: true,
            name: name.into(),
            open,
            state,
            why: "connection refused".into(),
            ..Host::default()
        };
        let hosts = vec![host("a", 1, State::Up), host("b", 7, State::Failed), host("c", 3, State::Drain)];
        let services = vec![Service { name: "web".into(), ..Service::default() }];
        let mut minute = Minute::default();
        minute.sample = Sample { hosts, services, ..Sample::default() };
        minute
    }

    fn text(chosen: &mut Chosen, columns: u16, lines: u16) -> Vec<String> {
        let area = Rect::new(0, 0, columns, lines);
        let mut buffer = Buffer::empty(area);
        draw(&minute(), chosen, area, &mut buffer);
        let line = |y| (0..columns).filter_map(|x| buffer.cell((x, y))).map(|cell| cell.symbol()).collect();
        (0..lines).map(line).collect()
    }

    #[test]
    fn hosts_are_sorted_and_filtered() {
        let names = |chosen: &Chosen| {
            let minute = minute();
            listed(&minute, chosen).iter().map(|host| host.name.clone()).collect::<Vec<_>>().concat()
        };
        let chosen = |order, is_reversed, filter: &str| Chosen {
            order,
            is_reversed,
            filter: filter.into(),
            ..Chosen::default()
        };
        assert_eq!(names(&chosen(Order::File, false, "")), "abc");
        assert_eq!(names(&chosen(Order::Open, false, "")), "bca");
        assert_eq!(names(&chosen(Order::Open, true, "")), "acb");
        assert_eq!(names(&chosen(Order::State, false, "")), "bca");
        assert_eq!(names(&chosen(Order::File, false, "failed")), "b");
        assert_eq!(names(&chosen(Order::File, false, "BLUE")), "abc");
    }

    #[test]
    fn any_size_of_a_terminal_is_drawn() {
        for (columns, lines) in [(1, 1), (10, 3), (40, 6), (80, 24), (89, 10), (90, 10), (300, 100), (80, 0)] {
            for typing in [false, true] {
                let mut chosen = Chosen { scroll: usize::MAX, is_live: true, is_typing: typing, ..Chosen::default() };
                text(&mut chosen, columns, lines);
                assert!(chosen.scroll <= 3);
            }
        }
        let wide = text(&mut Chosen::default(), 120, 12).join("\n");
        assert!(wide.contains("connection refused") && wide.contains("FAILED"), "{wide}");
        let narrow = text(&mut Chosen::default(), 80, 12).join("\n");
        assert!(!narrow.contains("GROUP  HOST") && narrow.contains("CONNECT"), "{narrow}");
    }
}
