//! What a configuration would run, on one screen.

use std::fmt;

use super::datagram;
use super::policy;
use super::sockets;
use super::value::show_time;
use super::{Config, Group, Host, Listen, Manager, Service};
use crate::model::sticky::StickyMode;

/// Lines of a summary, for files of any size.
const LINES_MAX: usize = 24;
/// Characters after which a list of hosts or listeners is cut.
const LIST_CHARS_MAX: usize = 72;
/// Characters of the options of one listener, group or host that are shown; more of them are counted.
const OPTIONS_CHARS_MAX: usize = 48;
/// Characters of a line; what does not fit is cut off.
const LINE_CHARS_MAX: usize = 120;
/// A column is as wide as its longest entry, up to this number of characters.
const COLUMN_CHARS_MAX: usize = 24;

/// The services, listeners, groups (the enabled one marked with `>`), hosts and timings of a configuration, and how
/// it is managed. At most 24 lines: what does not fit is counted.
#[must_use]
pub fn summary(config: &Config) -> String {
    let tail = tail(config);
    let columns = Columns::of(config);
    let mut lines = vec![totals(config)];
    let room = LINES_MAX - tail.len();
    let mut services = config.services.as_slice();
    while let [service, rest @ ..] = services {
        // One line is kept for the number of services that are left out.
        let room = room.saturating_sub(lines.len() + usize::from(!rest.is_empty()));
        if room < 1 + service.groups.len() && lines.len() > 1 {
            break;
        }
        lines.extend(service_lines(service, columns, room));
        services = rest;
    }
    if !services.is_empty() {
        lines.push(format!("… and {}", counted(services.len(), "more service")));
    }
    lines.extend(tail);
    lines.iter().map(|line| cut_to(line, LINE_CHARS_MAX) + "\n").collect()
}

/// Widths in characters.
#[derive(Clone, Copy)]
struct Columns {
    service: usize,
    group: usize,
}

impl Columns {
    fn of(config: &Config) -> Self {
        let width = |name: &String| cut(name).chars().count();
        let groups = config.services.iter().flat_map(|service| &service.groups);
        Self {
            service: config.services.iter().map(|service| width(&service.name)).max().unwrap_or(0),
            group: groups.map(|group| width(&group.name)).max().unwrap_or(0),
        }
    }
}

fn totals(config: &Config) -> String {
    let groups = || config.services.iter().flat_map(|service| &service.groups);
    let hosts: usize = groups().map(|group| group.hosts.len()).sum();
    let listeners: usize = config.services.iter().map(|service| service.listens.len()).sum();
    let totals = [
        counted(config.services.len(), "service"),
        counted(listeners, "listener"),
        counted(groups().count(), "group"),
        counted(hosts, "host"),
    ];
    totals.join(", ")
}

/// The service's line and one a group; the enabled group comes first when some have to be left out.
fn service_lines(service: &Service, columns: Columns, room: usize) -> Vec<String> {
    let listens = list(service.listens.iter().map(listen));
    let name = cut(&service.name);
    let mut lines = vec![format!("service {name:<0$}  {listens}{1}", columns.service, settings(service))];
    let mut groups: Vec<usize> = (0..service.groups.len()).collect();
    let left_out = if room > groups.len() { 0 } else { groups.len() + 2 - room.max(3) };
    if left_out > 0 {
        groups.sort_by_key(|index| Some(*index) != service.enabled);
        groups.truncate(service.groups.len() - left_out);
    }
    for index in groups {
        let mark = if Some(index) == service.enabled { '>' } else { ' ' };
        lines.push(format!("  {mark} {}", group_line(&service.groups[index], columns.group)));
    }
    if left_out > 0 {
        lines.push(format!("    … and {}", counted(left_out, "more group")));
    }
    lines
}

fn settings(service: &Service) -> String {
    let times = [
        ("connect-timeout", service.connect_timeout),
        ("idle-timeout", service.idle_timeout),
        ("fin-timeout", service.fin_timeout),
    ];
    let times = times.into_iter().filter_map(|(name, time)| Some(format!("{name} {}", show_time(time?))));
    let max = service.max_connections.map(|max| format!("max-connections {max}"));
    let flows = datagram::shown_flows(&service.flows).into_iter().map(|(name, value)| format!("{name} {value}"));
    let settings: Vec<String> = times.chain(max).chain(flows).collect();
    if settings.is_empty() { String::new() } else { format!("  ({})", settings.join(", ")) }
}

fn group_line(group: &Group, width: usize) -> String {
    let hosts = list(group.hosts.iter().map(host));
    let connect = options(&sockets::shown_connect(&group.connect));
    let connect = if connect.is_empty() { connect } else { format!("  ({connect})") };
    let scheduler = match group.sticky.mode {
        StickyMode::Off => group.scheduler.to_string(),
        StickyMode::Table => format!("{},sticky", group.scheduler),
        StickyMode::Hash => format!("{},hash", group.scheduler),
    };
    format!("{:<width$}  {scheduler:<12}  {hosts}{connect}", cut(&group.name))
}

fn listen(listen: &Listen) -> String {
    let mut shown = datagram::shown_protocol(listen.protocol);
    shown.extend(sockets::shown_listen(&listen.options));
    let options = options(&shown);
    if options.is_empty() { listen.address.to_string() } else { format!("{} {options}", listen.address) }
}

/// `name value` of each, or how many there are when that is long.
fn options(shown: &[(&'static str, String)]) -> String {
    let each: Vec<String> = shown.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let text = each.join(" ");
    if text.chars().count() <= OPTIONS_CHARS_MAX { text } else { counted(each.len(), "option") }
}

fn host(host: &Host) -> String {
    let weight = if host.weight == 1 { String::new() } else { format!(" weight {}", host.weight) };
    let max = host.max.map_or_else(String::new, |max| format!(" max {max}"));
    let policy = options(&policy::shown_host(&host.policy));
    let policy = if policy.is_empty() { policy } else { format!(" {policy}") };
    let connect = options(&sockets::shown_connect(&host.connect));
    let connect = if connect.is_empty() { connect } else { format!(" {connect}") };
    format!("{} {}{weight}{max}{policy}{connect}", cut(&host.name), host.address)
}

/// The lines below the services.
fn tail(config: &Config) -> Vec<String> {
    let Manager { host_check, checktime, heartbeat, rise, fall, .. } = config.manager;
    let rise = counted(rise, "success");
    let fall = counted(fall, "failure");
    let wait = if checktime.is_zero() { String::new() } else { format!(" after {}", show_time(checktime)) };
    let heartbeat = heartbeat.map_or_else(|| String::from("off"), |time| format!("every {}", show_time(time)));
    let log =
        config.log_file.as_ref().map_or_else(|| String::from("standard error"), |path| path.display().to_string());
    let mut lines = vec![
        format!("failed host     probed every {}{wait}; down at {fall}, up at {rise}", show_time(host_check)),
        format!("heartbeat       {heartbeat}"),
        format!("log             {log}"),
    ];
    lines.extend(administration(config));
    lines
}

/// How the balancer is managed while it runs.
fn administration(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(admin) = &config.admin {
        let users = counted(admin.users.len(), "user");
        if let Some(web) = &admin.web {
            let scheme = if web.secure { "https" } else { "http" };
            lines.push(format!("administration  {scheme}://{} for {users}", web.listen));
        }
        if let Some(ssh) = &admin.ssh {
            let keys = admin.users.iter().filter(|user| user.key.is_some()).count();
            lines.push(format!("over SSH        {ssh} for {} with a key", counted(keys, "user")));
        }
    }
    if let Some(control) = &config.control {
        lines.push(format!("control socket  {}", control.socket.display()));
    }
    if let Some(interval) = config.manager.config_check {
        lines.push(format!("changes         saved every {}", show_time(interval)));
    }
    lines.extend(config.warnings().iter().map(|sentence| format!("note            {sentence}")));
    lines
}

/// The items with commas between them; at least one, and those that fit.
fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let mut left = items.len();
    let mut list = String::new();
    for item in items {
        if !list.is_empty() {
            if list.chars().count() + item.chars().count() + 2 > LIST_CHARS_MAX {
                return format!("{list}, … and {left} more");
            }
            list.push_str(", ");
        }
        list.push_str(&item);
        left -= 1;
    }
    list
}

/// A name that is not wider than a column.
fn cut(name: &str) -> String {
    cut_to(name, COLUMN_CHARS_MAX)
}

fn cut_to(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max - 1).chain(['…']).collect()
}

/// `1 host`, `2 hosts`, `2 successes`.
fn counted(number: impl fmt::Display, what: &str) -> String {
    let number = number.to_string();
    let plural = match number.as_str() {
        "1" => "",
        _ if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::arbitrary;
    use super::*;
    use crate::config::parse;

    fn summary_of(text: &str) -> String {
        summary(&parse(text, "f").unwrap())
    }

    fn hosts(count: usize) -> String {
        (0..count).map(|n| format!("<host name='h{n}' ip='10.0.0.{n}:80'/>")).collect()
    }

    #[test]
    fn usual_file_is_shown_whole() {
        let text = "<director>
            <service name='web' connect-timeout='3s' max-connections='10000'>
              <listen ip='*:80'/><listen ip='[::1]:8080'/>
              <group name='blue' scheduler='leastconns'>
                <host name='a' ip='10.0.0.1:80'/><host name='b' ip='10.0.0.2:80' weight='3' max='100'/>
              </group>
              <group name='spare'><host name='c' ip='web.example:80' weight='0'/></group>
            </service>
            <service name='mail'><listen ip='*:25'/>
              <group name='old'><host name='x' ip='10.0.0.4:25'/></group>
              <group name='new'><host name='y' ip='10.0.0.5:25'/></group><enable group='new'/>
            </service>
            <manager rise='2' checktime='30s'><heartbeat enable='yes'/></manager>
            <logging file='/var/log/director.log'/>
            <control socket='/run/director.sock'/>
          </director>";
        let expected = "\
2 services, 3 listeners, 4 groups, 5 hosts
service web   *:80, [::1]:8080  (connect-timeout 3s, max-connections 10000)
  > blue   leastconns    a 10.0.0.1:80, b 10.0.0.2:80 weight 3 max 100
    spare  roundrobin    c web.example:80 weight 0
service mail  *:25
    old    roundrobin    x 10.0.0.4:25
  > new    roundrobin    y 10.0.0.5:25
failed host     probed every 2s after 30s; down at 1 failure, up at 2 successes
heartbeat       every 5s
log             /var/log/director.log
control socket  /run/director.sock
";
        assert_eq!(summary_of(text), expected);
    }

    #[test]
    fn long_list_of_hosts_is_cut_and_counted() {
        let text = format!(
            "<director><service name='s'><listen ip='*:1'/><group name='g'>{}</group></service></director>",
            hosts(200)
        );
        let text = summary_of(&text);
        let line = text.lines().nth(2).unwrap();
        assert_eq!(
            line,
            "  > g  roundrobin    h0 10.0.0.0:80, h1 10.0.0.1:80, h2 10.0.0.2:80, h3 10.0.0.3:80, … and 196 more"
        );
    }

    #[test]
    fn service_with_many_groups_shows_the_enabled_one_first() {
        let groups: String = (0..50).map(|n| format!("<group name='g{n}'><host ip='h:1'/></group>")).collect();
        let service = |name, port| {
            format!("<service name='{name}'><listen ip='*:{port}'/>{groups}<enable group='g40'/></service>")
        };
        let text = summary_of(&format!("<director>{}{}</director>", service("s", 1), service("t", 2)));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), LINES_MAX);
        assert_eq!(lines[2], "  > g40  roundrobin    host.0 h:1");
        assert_eq!(lines[3], "    g0   roundrobin    host.0 h:1");
        assert_eq!(lines[19..21], ["    … and 33 more groups", "… and 1 more service"]);
    }

    #[test]
    fn many_services_are_counted() {
        let service =
            |n| format!("<service name='s{n}'><listen ip='*:{n}'/><group name='g'><host ip='h:1'/></group></service>");
        let services: String = (1..=500).map(service).collect();
        let text = summary_of(&format!("<director>{services}</director>"));
        assert!(text.lines().count() <= LINES_MAX, "{text}");
        assert!(text.starts_with("500 services, 500 listeners, 500 groups, 500 hosts\n"), "{text}");
        assert!(text.contains("\n… and 491 more services\n"), "{text}");
    }

    #[test]
    fn long_name_is_cut() {
        assert_eq!(cut(&"é".repeat(24)), "é".repeat(24));
        assert_eq!(cut(&"é".repeat(25)), "é".repeat(23) + "…");
    }

    proptest! {
        #[test]
        fn any_configuration_fits_on_one_screen(config in arbitrary::config()) {
            prop_assert!(summary(&config).lines().count() <= LINES_MAX);
        }
    }
}
