//! Who may come in: rows 13 and 14.

use super::balancer::{self, Balancer};
use super::line::Line;
use super::{hosts, same, same_with, xml};
use crate::support::scratch::Scratch;
use crate::support::{Director, figure, scripts};

/// One who is denied by the list 1, beside others.
fn denying(line: Line<'_>) -> Line<'_> {
    line.command("acl 1 deny 127.0.0.2").command("client_acl 1")
}

#[test]
fn row_13_abuse_server() {
    let [a, x] = hosts(["a", "x"], scripts::tell_name);
    let line = denying(Line::new("", &[&a]).abuse(&x));
    let told = same_with(&line, &mut (a, x), |balancer, (_, x)| {
        let mut told = balancer.told_all([1, 2, 3]);
        x.stop();
        told.extend(balancer.told_all([1, 2, 3]));
        x.start();
        told
    });
    assert_eq!(told, ["a", "x", "a", "a", "", "a"], "who is denied has the abuse server or nobody");
}

#[test]
fn row_13_denied_without_abuse_server() {
    let [a, e] = hosts(["a", "e"], scripts::tell_name);
    let line = denying(Line::new("", &[&a]).emergency(&e));
    let director = balancer::director(&line);
    assert_eq!(director.told_all([1, 2, 3]), ["a", "", "a"], "closed, and not sent to the emergency server");
    director.finish();
    if let Some(pen) = balancer::pen(&line) {
        figure("row 13: pen, a client that is denied has", pen.told(2));
    }
}

#[test]
fn row_14_lists() {
    let [a, b] = hosts(["a", "b"], scripts::tell_name);
    let told = |balancer: &Balancer| balancer.told_all([1, 2, 3]).join(" ");
    let with = |rules: &[&str]| {
        let line = rules.iter().fold(Line::new("", &[&a]), |line, rule| line.command(&format!("acl 1 {rule}")));
        same(&line.command("client_acl 1"), told)
    };
    assert_eq!(with(&[]), "a a a", "an empty list permits");
    assert_eq!(with(&["permit 127.0.0.2"]), " a ", "others are the opposite of the last rule");
    assert_eq!(with(&["deny 127.0.0.2"]), "a  a");
    assert_eq!(with(&["permit 127.0.0.2", "deny 127.0.0.0 255.255.255.252"]), " a ", "the first rule that matches");
    let steering = Line::new("-r", &[&a, &b])
        .command("acl 1 permit 127.0.0.1")
        .command("acl 2 deny 127.0.0.1")
        .command("server 0 acl 1")
        .command("server 1 acl 2");
    let told = same(&steering, |balancer| balancer.told_all([1, 1, 1, 2, 2, 3]).concat());
    assert_eq!(told, "aaabbb", "a server has the clients of its list");
}

#[test]
fn row_14_wrong_lists_are_errors() {
    let [a] = hosts(["a"], scripts::tell_name);
    let folder = Scratch::new();
    let text = |rules: &str| {
        let list = format!("<acl name='1' default='deny'>{rules}</acl></director>");
        let xml = xml::xml(&Line::new("", &[&a]), &folder.path("control.sock"));
        xml.replace("<service name=\"pen\"", "<service name=\"pen\" acl=\"1\"").replace("</director>", &list)
    };
    for (net, expected) in [
        ("127.0.0.1/8", "expected 127.0.0.0/8"),
        ("127.0.0.0/33", "127.0.0.0/33"),
        ("127.0.0", "127.0.0"),
        ("2001:db8::1/32", "expected 2001:db8::/32"),
    ] {
        let (status, _, error) = Director::plan_text(&text(&format!("<permit net='{net}'/>"))).args(&["--check"]).run();
        assert!(!status.success() && error.contains(expected), "{net}: {error}");
    }
    let director = Director::plan_text(&text("<permit net='127.0.0.0/8'/><permit net='2001:db8::/32'/>")).start();
    assert_eq!(crate::support::Client::connect(director.addr()).read_text().0, "a", "a length is taken");
    director.finish();
    // pen knows no lengths, says nothing, and has a list without rules then, which permits everybody.
    let line = Line::new("", &[&a]).command("client_acl 1").pen_command("acl 1 deny 127.0.0.0/8");
    if let Some(pen) = balancer::pen(&line) {
        figure("row 14: pen, a client that \"deny 127.0.0.0/8\" is to keep out has", pen.told(1));
    }
}
