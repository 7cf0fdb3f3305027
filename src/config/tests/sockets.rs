//! Options of sockets in a file: read, refused, written and summed up.

use std::time::Duration;

use crate::config::validate::tests::errors;
use crate::config::{Config, parse, summary, write};
use crate::model::socket_options::{Congestion, Keepalive, StreamOptions};

/// A file with these attributes of its listener, group and host, in lines of their own.
fn file(listen: &str, group: &str, host: &str) -> String {
    format!(
        "<director><service name='s'><listen ip='*:1'\n{listen}/><group name='g'\n{group}>\
         <host name='h' ip='10.0.0.1:2'\n{host}/></group></service></director>"
    )
}

fn read(listen: &str, group: &str, host: &str) -> Config {
    parse(&file(listen, group, host), "f").unwrap()
}

#[test]
fn every_option_of_a_listener_is_read() {
    let config = read(
        "backlog='9' defer-accept='5s' fastopen='7' user-timeout='250ms' keepalive='60s,10s,3' congestion='bbr'
         notsent-lowat='16k' busy-poll='50' receive-buffer='1m' send-buffer='0' quick-ack='no'",
        "",
        "",
    );
    let options = config.services[0].listens[0].options;
    assert_eq!((options.backlog, options.fastopen), (Some(9), Some(7)));
    assert_eq!(options.defer_accept, Some(Duration::from_secs(5)));
    let expected = StreamOptions {
        user_timeout: Some(Duration::from_millis(250)),
        keepalive: Some(Keepalive::On { idle_s: 60, interval_s: Some(10), count: Some(3) }),
        congestion: Congestion::new("bbr"),
        notsent_lowat: Some(16_384),
        busy_poll: Some(50),
        receive_buffer: Some(1 << 20),
        send_buffer: Some(0),
        quick_ack: Some(false),
    };
    assert_eq!(options.stream, expected);
}

#[test]
fn host_and_group_keep_what_each_says() {
    let config = read("", "source='10.0.0.9,fd00::9' keepalive='off'", "fastopen='yes' source='10.0.0.5-10.0.0.7'");
    let group = &config.services[0].groups[0];
    let both = group.hosts[0].connect.or(&group.connect);
    assert_eq!((both.fastopen, both.stream.keepalive), (Some(true), Some(Keepalive::Off)));
    assert_eq!(both.source.unwrap().addresses().count(), 3, "the host's, not the group's");
    assert_eq!(group.connect.fastopen, None);
}

#[test]
fn every_option_out_of_range_is_refused_at_its_place() {
    let text = file(
        "backlog='0' defer-accept='1500ms' fastopen='65536' user-timeout='-1' keepalive='on' congestion='a b'
notsent-lowat='x' busy-poll='100001' receive-buffer='1k' send-buffer='2048m' quick-ack='maybe'",
        "source='10.0.0.1-10.1.0.0'",
        "",
    );
    let expected = [
        "f:2:10: backlog=\"0\": the number is too small, expected 1 to 1048576",
        "f:2:27: defer-accept=\"1500ms\": the time has a part of a second, expected whole seconds",
        "f:2:45: fastopen=\"65536\": the number is too large, expected 0 to 65535",
        "f:2:66: user-timeout=\"-1\": the time is negative, ",
        "f:2:81: keepalive=\"on\": \"on\" is not a time in whole seconds, ",
        "f:2:97: congestion=\"a b\": not a name of 1 to 15 letters and digits, expected one such as cubic or bbr",
        "f:3:16: notsent-lowat=\"x\": not such a size, expected 0 to 1024m, ",
        "f:3:30: busy-poll=\"100001\": the number is too large, expected 0 to 100000",
        "f:3:54: receive-buffer=\"1k\": not such a size, expected 4k to 1024m, ",
        "f:3:71: send-buffer=\"2048m\": not such a size, expected 4k to 1024m, ",
        "f:3:89: quick-ack=\"maybe\": neither true nor false, ",
        "f:4:9: source=\"10.0.0.1-10.1.0.0\": too many addresses, expected 4096 at most",
    ];
    let found = errors(&text);
    assert_eq!(found.lines().count(), expected.len(), "{found}");
    for (line, start) in found.lines().zip(expected) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
}

#[test]
fn misspelt_option_is_refused_with_the_nearest() {
    for (listen, host, near) in [("keep-alive='60s'", "", "keepalive"), ("", "user-timout='5s'", "user-timeout")] {
        let found = errors(&file(listen, "", host));
        assert!(found.ends_with(&format!("; did you mean \"{near}\"?")), "{found}");
    }
    let found = errors(&file("source='10.0.0.1'", "", ""));
    assert!(found.contains("unknown attribute \"source\" of <listen>"), "{found}");
    let found = errors(&file("", "", "defer-accept='5s'"));
    assert!(found.contains("unknown attribute \"defer-accept\" of <host>"), "{found}");
}

#[test]
fn host_with_sources_of_the_other_family_only_is_refused() {
    let expected = "f:4:9: source: no address is IPv4 as the host's is, expected one of its family";
    assert_eq!(errors(&file("", "", "source='fd00::1'")), expected);
    assert_eq!(read("", "source='fd00::1'", "").services.len(), 1, "a group may have hosts of both");
}

#[test]
fn options_are_written_as_they_are_read_and_summed_up() {
    let config = read(
        "backlog='9' defer-accept='5' receive-buffer='1048576'",
        "source='10.0.0.8-10.0.0.9, fd00::9' quick-ack='0'",
        "fastopen='1' keepalive='60,10,3'",
    );
    let written = write(&config);
    for line in [
        r#"<listen ip="*:1" backlog="9" defer-accept="5s" receive-buffer="1m"/>"#,
        r#"<group name="g" source="10.0.0.8-10.0.0.9,fd00::9" quick-ack="false">"#,
        r#"<host name="h" ip="10.0.0.1:2" fastopen="true" keepalive="1m,10s,3"/>"#,
    ] {
        assert!(written.contains(line), "{line}\n{written}");
    }
    let expected = "\
1 service, 1 listener, 1 group, 1 host
service s  *:1 backlog 9 defer-accept 5s receive-buffer 1m
  > g  roundrobin    h 10.0.0.1:2 fastopen true keepalive 1m,10s,3  (source 10.0.0.8-10.0.0.9,fd00::9 quick-ack false)
";
    let found = summary(&config);
    assert!(found.starts_with(expected), "{found}");
    let many = "backlog='9' defer-accept='5' fastopen='7' keepalive='60' notsent-lowat='16k'";
    let found = summary(&read(many, "", ""));
    assert!(found.contains("service s  *:1 5 options\n"), "{found}");
}
