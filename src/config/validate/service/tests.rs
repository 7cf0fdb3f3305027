//! Services with something wrong with them.

use std::time::Duration;

use super::super::tests::errors;
use crate::config::{Config, Service, parse};
use crate::model::scheduler::SchedulerKind;

fn file(service: &str) -> String {
    format!("<director>\n{service}\n</director>")
}

/// A service around these groups.
fn groups(groups: &str) -> String {
    file(&format!("<service name='s'><listen ip='*:1'/>\n{groups}</service>"))
}

fn service(text: &str) -> Service {
    let Config { mut services, .. } = parse(text, "f").unwrap();
    services.remove(0)
}

const A_AND_B: &str = "<group name='a'><host ip='h:2'/></group><group name='b'><host ip='h:2'/></group>";

#[test]
fn service_with_everything_is_read() {
    let attributes = "connect-timeout='250ms' idle-timeout='10m' fin-timeout='30' max-connections='9' access-log='no'";
    let service = service(&file(&format!(
        "<service name='s' {attributes}><listen ip='*:1'/><listen ip='[::1]:1'/>
         <group name='a' scheduler='weightr'><host name='x' ip='h:2' weight='0' max='7'/><host ip='h:3'/></group>
         <group name='b'><host ip='h:4'/></group><enable group='b'/></service>"
    )));
    assert_eq!(service.listens.len(), 2);
    assert_eq!(service.enabled, Some(1));
    assert_eq!(service.connect_timeout, Some(Duration::from_millis(250)));
    assert_eq!(service.idle_timeout, Some(Duration::from_secs(600)));
    assert_eq!(service.fin_timeout, Some(Duration::from_secs(30)));
    assert_eq!((service.max_connections, service.access_log), (Some(9), false));
    let [a, b] = service.groups.as_slice() else { panic!("two groups") };
    assert_eq!((a.scheduler, b.scheduler), (SchedulerKind::WeightR, SchedulerKind::RoundRobin));
    assert_eq!((a.hosts[0].weight, a.hosts[0].max), (0, Some(7)));
    assert_eq!((a.hosts[1].weight, a.hosts[1].max), (1, None));
}

#[test]
fn host_without_a_name_is_named_by_its_position() {
    let service = service(&groups("<group name='a'><host ip='h:2'/><host name='x' ip='h:3'/><host ip='h:4'/></group>"));
    let names: Vec<&str> = service.groups[0].hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["host.0", "x", "host.2"]);
}

#[test]
fn names_used_twice_are_refused_at_the_second() {
    let text = groups("<group name='a'><host name='h' ip='h:2'/>\n<host name='h' ip='h:3'/></group>");
    assert_eq!(errors(&text), "f:4:13: the host \"h\" is in line 3 already, expected a name of its own in its group");
    let text = groups("<group name='a'><host name='host.1' ip='h:2'/>\n<host ip='h:3'/></group>");
    assert_eq!(
        errors(&text),
        "f:4:1: the host \"host.1\" is in line 3 already, expected a name of its own in its group"
    );
    let text = groups("<group name='a'><host ip='h:2'/></group>\n<group name='a'><host ip='h:2'/></group>");
    assert_eq!(
        errors(&text),
        "f:4:14: the group \"a\" is in line 3 already, expected a name of its own in its service"
    );
    let one =
        |port| format!("<service name='s'><listen ip='*:{port}'/><group name='a'><host ip='h:2'/></group></service>");
    let text = file(&format!("{}\n{}", one(1), one(2)));
    assert_eq!(errors(&text), "f:3:16: the service \"s\" is in line 2 already, expected a name of its own in the file");
}

#[test]
fn same_name_in_two_groups_or_services_is_allowed() {
    let one = |name, port| format!("<service name='{name}'><listen ip='*:{port}'/>{A_AND_B}</service>");
    assert!(parse(&file(&(one("s", 1) + &one("t", 2))), "f").is_ok());
}

#[test]
fn enabled_group_is_the_named_the_marked_or_the_first() {
    let mark = |mark: &str| A_AND_B.replace("name='b'", &format!("name='b' enable='{mark}'"));
    assert_eq!(service(&groups(A_AND_B)).enabled, Some(0));
    assert_eq!(service(&groups(&format!("{A_AND_B}<enable group='b'/>"))).enabled, Some(1));
    assert_eq!(service(&groups(&mark("true"))).enabled, Some(1));
    assert_eq!(service(&groups(&format!("{}<enable group='b'/>", mark("true")))).enabled, Some(1));
    let first_is_off = A_AND_B.replace("name='a'", "name='a' enable='false'");
    assert_eq!(service(&groups(&first_is_off)).enabled, Some(1));
}

#[test]
fn enabled_group_that_is_missing_is_refused() {
    let expected = "f:3:96: group=\"c\": the service has no such group, expected \"a\" or \"b\"";
    assert_eq!(errors(&groups(&format!("{A_AND_B}<enable group='c'/>"))), expected);
    let text = groups("<group name='blue'><host ip='h:2'/></group>\n<enable group='bleu'/>");
    let expected = "f:4:16: group=\"bleu\": the service has no such group, expected \"blue\"; did you mean \"blue\"?";
    assert_eq!(errors(&text), expected);
}

#[test]
fn enabled_group_that_is_missing_among_many_lists_some() {
    let many: String = (0..20).map(|n| format!("<group name='g{n}'><host ip='h:2'/></group>")).collect();
    let message = errors(&groups(&format!("{many}<enable group='x'/>")));
    assert!(message.ends_with("\"g6\", \"g7\" or another one"), "{message}");
}

#[test]
fn second_enabled_group_is_refused() {
    let what = "the enabled group of the service is \"a\", expected enable=\"true\" there and nowhere else";
    let text = A_AND_B.replace("'><host", "' enable='true'><host");
    assert_eq!(errors(&groups(&text)), format!("f:3:79: {what}"));
    let text = A_AND_B.replace("name='b'", "name='b' enable='true'") + "<enable group='a'/>";
    assert_eq!(errors(&groups(&text)), format!("f:3:65: {what}"));
    let text = A_AND_B.replace("name='a'", "name='a' enable='false'") + "<enable group='a'/>";
    assert_eq!(errors(&groups(&text)), format!("f:3:25: {what}"));
}

#[test]
fn service_whose_groups_are_all_off_is_refused() {
    let text = A_AND_B.replace("'><host", "' enable='false'><host");
    let expected = "f:2:1: every group of the service says enable=\"false\", expected one that serves";
    assert_eq!(errors(&groups(&text)), expected);
}

#[test]
fn file_without_services_is_refused() {
    let expected = "f:1:1: <director> has no <service>, expected at least one <service name=\"NAME\">";
    assert_eq!(errors("<director/>"), expected);
}

#[test]
fn service_without_listeners_or_groups_is_refused() {
    let expected = "f:2:1: <service name=\"s\"> has no <listen>, expected at least one \
                    <listen ip=\"ADDRESS:PORT\"/>\n\
                    f:2:1: <service name=\"s\"> has no <group>, expected at least one <group name=\"NAME\">";
    assert_eq!(errors(&file("<service name='s'/>")), expected);
}

#[test]
fn group_without_hosts_is_refused() {
    let expected = "f:3:1: <group name=\"a\"> has no <host>, expected at least one <host ip=\"ADDRESS:PORT\"/>";
    assert_eq!(errors(&groups("<group name='a'/>")), expected);
}

#[test]
fn names_and_addresses_left_out_are_refused() {
    let text = file("<service><listen/>\n<group><host/></group></service>");
    let expected = "f:2:1: <service> has no name, expected name=\"NAME\"\n\
                    f:2:10: <listen> has no ip, expected ip=\"ADDRESS:PORT\"\n\
                    f:3:1: <group> has no name, expected name=\"NAME\"\n\
                    f:3:8: <host> has no ip, expected ip=\"ADDRESS:PORT\"";
    assert_eq!(errors(&text), expected);
    let text = groups(&format!("{A_AND_B}\n<enable/>"));
    assert_eq!(errors(&text), "f:4:1: <enable> has no group, expected group=\"NAME\"");
}

#[test]
fn bad_values_of_a_host_are_all_refused() {
    let text = groups("<group name='a'>\n<host name='a&#x202e;' ip='h:70000' weight='-1' max='0'/></group>");
    let expected = [
        "f:4:13: name=\"a\\u{202e}\": the control character \\u{202e} is in it, expected visible characters",
        "f:4:28: ip=\"h:70000\": the port \"70000\" is out of range, expected 1 to 65535",
        "f:4:45: weight=\"-1\": the number is negative, expected 0 to 1000000",
        "f:4:54: max=\"0\": the number is too small, expected 1 to 4294967295",
    ];
    assert_eq!(errors(&text), expected.join("\n"));
}

#[test]
fn bad_values_of_a_service_are_all_refused() {
    let text = file(
        "<service name='' connect-timeout='0' idle-timeout='-5' fin-timeout='1e99' max-connections='0'>
        <listen ip='*:x'/><group name='a' scheduler='fast'><host ip='h:0'/></group></service>",
    );
    let places = [
        "f:2:16: name",
        "f:2:35: connect",
        "f:2:52: idle",
        "f:2:69: fin",
        "f:2:92: max",
        "f:3:21: ip",
        "f:3:54: scheduler",
        "f:3:70: ip",
    ];
    let found = errors(&text);
    assert_eq!(found.lines().count(), places.len(), "{found}");
    for (line, place) in found.lines().zip(places) {
        assert!(line.starts_with(place), "{line} does not start with {place}");
    }
}
