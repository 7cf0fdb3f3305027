//! What stands where it must not, what is no XML, and where the messages say it is.

use crate::config::{Address, parse};

fn errors(text: &str) -> String {
    parse(text, "f").unwrap_err().to_string()
}

const SERVICE: &str = "<service name='s'><listen ip='*:1'/><group name='g'><host ip='h:2'/></group></service>";

#[test]
fn root_that_is_unknown_is_refused() {
    assert_eq!(
        errors("<balancer/>"),
        "f:1:1: unknown root element <balancer>, expected <director>, <pdconfig> or <config>"
    );
    let expected = "f:1:1: unknown root element <Director>, expected <director>, <pdconfig> or <config>; \
                    did you mean \"director\"?";
    assert_eq!(errors("<Director/>"), expected);
}

#[test]
fn unknown_element_is_refused_with_the_nearest() {
    let text = format!("<director>{SERVICE}\n  <servce/></director>");
    let expected = "f:2:3: unknown element <servce> in <director>, expected <service>, <manager>, <checktime>, <logging>, \
                    <access-log>, <status>, <admin>, <control> or <acl>; did you mean \"service\"?";
    assert_eq!(errors(&text), expected);
}

#[test]
fn element_in_the_wrong_place_is_refused_with_the_right_one() {
    let text = format!("<pdconfig>{}</pdconfig>", SERVICE.replace("<host ip='h:2'/>", "<host ip='h:2'/><checktime/>"));
    let expected = "f:1:79: <checktime> cannot be in <group>, expected it in the root element or <manager>";
    assert_eq!(errors(&text), expected);
    let text = format!("<director>{SERVICE}\n<host ip='h:1'/></director>");
    assert_eq!(errors(&text), "f:2:1: <host> cannot be in <director>, expected it in <group>");
}

#[test]
fn element_that_may_be_once_is_refused_the_second_time() {
    let text = format!("<director>{SERVICE}\n<logging/>\n<logging/></director>");
    assert_eq!(errors(&text), "f:3:1: a second <logging> in <director>, expected the one in line 2 only");
}

#[test]
fn unknown_attribute_is_refused_with_the_nearest() {
    let text = SERVICE.replace("name='g'", "name='g' shceduler='random'");
    let expected = "f:1:63: unknown attribute \"shceduler\" of <group>, expected name, scheduler, sticky, \
                    sticky-size, sticky-ttl, sticky-prefix-v4, sticky-prefix-v6, fail-back, stubborn, blacklist, check, \
                    check-port, check-send, check-expect, check-query, check-interval, check-timeout, enable, \
                    proxy, source, fastopen, user-timeout, keepalive, congestion, notsent-lowat, busy-poll, receive-buffer, \
                    send-buffer or quick-ack; did you mean \"scheduler\"?";
    assert_eq!(errors(&format!("<director>{text}</director>")), expected);
}

#[test]
fn attribute_that_is_an_element_is_refused_with_a_hint() {
    let text = SERVICE.replace("name='s'", "name='s' listen='*:1'");
    let message = errors(&format!("<director>{text}</director>"));
    assert!(message.ends_with("; did you mean the element <listen>?"), "{message}");
}

#[test]
fn misspelt_child_or_attribute_is_not_reported_as_missing_too() {
    let text = SERVICE.replace("<host ip", "<hots ip");
    assert_eq!(errors(&format!("<director>{text}</director>")).lines().count(), 1);
    let text = SERVICE.replace("<host ip", "<host pi");
    assert_eq!(errors(&format!("<director>{text}</director>")).lines().count(), 1);
}

#[test]
fn text_between_elements_is_refused_where_it_starts() {
    let text = format!("<director>{SERVICE}\n  oops <!-- fine --></director>");
    assert_eq!(errors(&text), "f:2:3: text \"oops\" in <director>, expected elements only");
    let text = format!("<director>{SERVICE}\n<![CDATA[ oops ]]></director>");
    assert!(errors(&text).ends_with(": text \"oops\" in <director>, expected elements only"));
}

#[test]
fn name_spaces_are_refused() {
    let text = format!("<director xmlns='urn:a'>{SERVICE}</director>");
    assert_eq!(errors(&text), "f:1:1: xmlns in <director>, expected no name spaces");
    let text = format!("<director xmlns:x='urn:a'>{}</director>", SERVICE.replace("name='s'", "x:name='s'"));
    assert!(errors(&text).contains("unknown attribute \"name\" of <service>"), "{}", errors(&text));
}

#[test]
fn comments_and_processing_instructions_are_allowed_everywhere() {
    let text =
        format!("<?xml version='1.0'?><!-- a --><?b c?><director><!-- d -->{SERVICE}<?e f?></director><!-- g -->");
    assert!(parse(&text, "f").is_ok());
}

#[test]
fn text_that_is_not_xml_is_refused_where_it_breaks() {
    assert_eq!(errors(""), "f:1:1: the file ends before its root element does, expected <director>…</director>");
    assert_eq!(
        errors("<director>\n <service>\n</director>"),
        "f:3:1: </director> closes nothing here, expected </service>"
    );
    assert_eq!(errors("<director>\n <service name='s'>\n"), "f:2:2: <service> is never closed, expected </service>");
    assert_eq!(
        errors("<director\n"),
        "f:1:10: the file ends before its root element does, expected <director>…</director>"
    );
    assert_eq!(
        errors("<director>\né&x;</director>"),
        "f:2:2: unknown entity \"x\", expected amp, lt, gt, quot or apos"
    );
    assert_eq!(errors("<director a='1' a='2'/>"), "f:1:17: a second attribute \"a\" of the element, expected one");
    assert_eq!(
        errors("<director>&#1;</director>"),
        "f:1:11: \"&\" starts no character that XML can have, expected &amp; for itself"
    );
    let expected = "f:1:12: neither an element nor a comment, expected one root element and nothing behind it";
    assert_eq!(errors("<director/><director/>"), expected);
    let expected = "f:1:11: the character \"\\u{1b}\" is not allowed in XML, expected text";
    assert_eq!(errors("<director>\u{1b}</director>"), expected);
    let expected = "f:1:13: not XML, expected well-formed XML; the parser says \"expected a quote not '\\u{1b}'\"";
    assert_eq!(errors("<director a=\u{1b}"), expected);
}

#[test]
fn byte_order_mark_and_windows_line_ends_are_accepted_and_not_counted() {
    let text = format!("\u{feff}<?xml version='1.0' encoding='utf-8'?>\r\n<director>\r\n{SERVICE}\r\n</director>\r\n");
    assert!(parse(&text, "f").is_ok());
    assert!(errors("\u{feff}<a/>").starts_with("f:1:1: "));
    assert!(
        errors("<director>\r\n\r\n  <a/></director>")
            .lines()
            .any(|line| line.starts_with("f:3:3: unknown element <a>"))
    );
}

#[test]
fn doctype_without_entities_is_accepted_and_never_fetched() {
    let text = format!("<!DOCTYPE pdconfig SYSTEM \"/dev/full/pydir.dtd\">\n<pdconfig>{SERVICE}</pdconfig>");
    assert!(parse(&text, "f").is_ok());
    let text = "<!DOCTYPE pdconfig [\n<!ELEMENT pdconfig ANY>\n]>\n<pdconfig><a/></pdconfig>";
    assert!(errors(text).contains("f:4:11: unknown element <a>"), "{}", errors(text));
}

#[test]
fn every_error_of_a_file_is_reported_in_order() {
    let text = "<director>\n\
                <service name='s' idel-timeout='5'>\n\
                <listen ip='*:99999'/>\n\
                <group name='g' scheduler='rondrobin'>\n\
                <host name='a' ip='h'/>\n\
                <host name='a' ip='h:1'/>\n\
                </group>\n\
                <enable group='h'/>\n\
                </service>\n\
                <manager rise='0'/>\n\
                </director>";
    let lines: Vec<String> =
        errors(text).lines().map(|line| line.splitn(4, ':').take(3).collect::<Vec<_>>().join(":")).collect();
    assert_eq!(lines, ["f:2:19", "f:3:13", "f:4:28", "f:5:20", "f:6:13", "f:8:16", "f:10:16"]);
}

#[test]
fn hostile_text_cannot_steer_the_terminal_of_who_reads_the_errors() {
    let text = format!("<director>{}</director>", SERVICE.replace("*:1", "\u{9b}2J\u{202e}:1"));
    let message = errors(&text);
    assert!(message.contains("\\u{9b}2J\\u{202e}:1"), "{message}");
    assert!(!message.contains(['\u{9b}', '\u{202e}']), "{message}");
    assert!(parse("<a/>", "\u{1b}f").unwrap_err().to_string().starts_with("\\u{1b}f:1:1: "));
}

#[test]
fn address_is_displayed_as_it_is_written_in_a_file() {
    for text in ["*:80", "10.0.0.1:0", "[::1]:80", "[fe80::1%2]:80", "web.example:80"] {
        let service = SERVICE.replace("*:1", text);
        let config = parse(&format!("<director>{service}</director>"), "f").unwrap();
        assert_eq!(config.services[0].listens[0].address.to_string(), text);
    }
    let address = Address::Name { host: "a".into(), port: 1 };
    assert_eq!(format!("{address:>5}|"), "  a:1|");
}

#[test]
fn listener_of_datagrams_is_told_what_it_cannot_have_and_how_to_share_an_address() {
    let service = |listens: &str| {
        let group = "<group name='g'><host name='h' ip='10.0.0.1:80'/></group>";
        format!("<director><service name='s'>{listens}{group}</service></director>")
    };
    let text = service("<listen ip='*:53'/><listen ip='*:53' protocol='udp'/>");
    let expected = "f:1:60: ip=\"*:53\": the address meets the listener in line 1, expected protocol=\"tcp+udp\" there for \
                    both, or an address of its own";
    assert_eq!(errors(&text), expected);
    let text = service("<listen ip='*:53' protocol='udp' backlog='5'/>");
    assert_eq!(errors(&text), "f:1:71: backlog is for connections, expected none beside protocol=\"udp\"");
    for fit in ["receive-buffer='64k' send-buffer='64k' busy-poll='50'", "protocol='tcp+udp' backlog='5'"] {
        let protocol = if fit.contains("protocol") { "" } else { "protocol='udp'" };
        assert!(crate::config::parse(&service(&format!("<listen ip='*:53' {protocol} {fit}/>")), "f").is_ok(), "{fit}");
    }
}
