//! What a line means, as the file that says the same.

use super::*;
use crate::daemon::options::{self, Input, Request};

fn line(text: &str) -> Result<Line, String> {
    match options::parse(text.split_whitespace().map(Into::into)) {
        Ok(Request::Run(_, Input::Line(line))) => Ok(*line),
        Ok(other) => panic!("{other:?}"),
        Err(why) => Err(why),
    }
}

fn config(text: &str) -> Config {
    line(text).unwrap().config().unwrap().0
}

/// The file that says the same; it is read back as the same configuration.
fn file(text: &str) -> String {
    let config = config(text);
    let written = config::write(&config);
    assert_eq!(config::parse(&written, "f").as_ref(), Ok(&config), "{written}");
    written
}

fn refused(text: &str) -> String {
    line(text).unwrap_err()
}

#[test]
fn line_means_what_a_file_says() {
    let expected = r#"<director>
  <service name="main">
    <listen ip="*:8080"/>
    <group name="hosts" sticky="table">
      <host name="web1:80" ip="web1:80"/>
      <host name="web2:80" ip="web2:80" weight="3" max="100"/>
    </group>
  </service>
</director>
"#;
    assert_eq!(file("-l 8080 web1:80 web2:80:max=100,weight=3"), expected);
}

#[test]
fn every_flag_of_the_line_has_its_place() {
    let expected = r#"<director>
  <service name="main">
    <listen ip="10.0.0.1:80" backlog="9"/>
    <listen ip="[::1]:80"/>
    <group name="hosts" scheduler="leastconns" sticky="table" blacklist="30s">
      <host name="a" ip="10.0.0.2:80" max="9" prio="1" hard="10"/>
      <host name="[fd00::1]:80" ip="[fd00::1]:80"/>
      <host name="sorry:81" ip="sorry:81" emergency="true"/>
      <host name="tarpit:80" ip="tarpit:80" max="5" abuse="true"/>
    </group>
  </service>
  <control socket="/run/director.sock"/>
</director>
"#;
    let text = "-l 10.0.0.1:80:backlog=9 --listen [::1]:80 -s leastconns,sticky -b 30 -e sorry:81 -B tarpit:80:max=5 \
                -C /run/director.sock 10.0.0.2:80:9:10:0:1:name=a [fd00::1]";
    assert_eq!(file(text), expected);
}

#[test]
fn host_without_a_port_has_the_listeners() {
    assert_eq!(file("-l 8080 web1 web2"), file("-l 8080 web1:8080 web2:8080"));
    assert_eq!(file("-l 10.0.0.1:80 -l [::1]:80 web1"), file("-l 10.0.0.1:80 -l [::1]:80 web1:80"));
    assert_eq!(
        refused("-l 80 -l 81 web1"),
        "host \"web1\": the port is missing, and the listeners have several, expected web1:PORT"
    );
    assert_eq!(
        refused("-l 127.0.0.1:0 -e a:1 b"),
        "host \"b\": the port is missing, and the system chooses the listener's, expected b:PORT"
    );
}

#[test]
fn page_has_a_user_whose_password_is_of_this_start() {
    let line = line("-l 80 -a 7001 a").unwrap();
    let (one, told) = line.config().unwrap();
    let admin = one.admin.clone().unwrap();
    let web = admin.web.unwrap();
    assert_eq!((web.listen.to_string().as_str(), web.secure), ("127.0.0.1:7001", false));
    assert_eq!((admin.users.len(), admin.users[0].name.as_str()), (1, "admin"));
    let told = told.unwrap();
    let password = told.split_whitespace().last().unwrap();
    assert_eq!(password.len(), 20, "{told}");
    assert!(!config::write(&one).contains(password));
    assert_ne!(line.config().unwrap().1.unwrap(), told, "another start, another password");
}

#[test]
fn page_that_others_reach_is_secure() {
    assert!(config("-l 80 -a 10.0.0.1:7001 a").admin.unwrap().web.unwrap().secure);
    assert!(!config("-l 80 -a [::1]:7001 a").admin.unwrap().web.unwrap().secure);
}

#[test]
fn wrong_word_is_named_with_what_was_expected() {
    for (text, expected) in [
        ("-l 8080", "HOST is missing, expected at least one behind -l, such as 10.0.0.1:80"),
        ("-l 80000 a:1", "-l \"80000\": ip=\"*:80000\": the port \"80000\" is out of range, expected 0 to 65535"),
        ("-l ::1:80 a:1", "-l \"::1:80\": an IPv6 address has brackets around it, expected [ADDRESS:]PORT"),
        ("-l 80 -l *:80 a:1", "-l \"*:80\": *:80 meets"),
        ("-l 80:backlg=3 a:1", "unknown attribute \"backlg\" of <listen>, expected"),
        ("-l 80 a:1:mx=3", "host \"a:1:mx=3\": unknown attribute \"mx\" of <host>, expected weight,"),
        ("-l 80 a:1:max=x", "host \"a:1:max=x\": max=\"x\": not a whole number, expected 1 to 4294967295"),
        ("-l 80 a:1:hard=3", "hard=\"3\": the host has no max, which this is above; expected max, too"),
        ("-l 80 a:1 a:1", "host \"a:1\": main/hosts has a host \"a:1\" already, expected another name"),
        ("-l 127.0.0.1:80 127.0.0.1", "127.0.0.1:80 is a listener of its own service, expected another address"),
        ("-l 80 -s leastcons a:1", "--scheduler=\"leastcons\": unknown scheduler"),
        ("-l 80 -b soon a:1", "--blacklist=\"soon\": not a time, expected"),
        ("-l 80 -e b:1:prio=-1 a:1", "--emergency \"b:1:prio=-1\": prio=\"-1\": the number is negative, expected"),
        (
            "-l 80 -C 7000 a:1",
            "-C \"7000\": the control is a socket in the file system, where the system says who asks",
        ),
        ("-l 80 -C 127.0.0.1:7000 a:1", "or -a 127.0.0.1:7000 for the page and the API"),
        ("-l 80 -a nowhere a:1", "-a \"nowhere\": the port is missing, expected ADDRESS:PORT"),
        ("-s random a:1", "--scheduler: expected with -l [ADDRESS:]PORT and HOST"),
        ("a:1 b:1", "expected one CONFIG, and [\"b:1\"] was given beside it; hosts need -l PORT before them"),
    ] {
        let why = refused(text);
        assert!(why.contains(expected), "{text}: {why}");
    }
}

#[test]
fn protocol_is_an_attribute_of_the_listener() {
    assert!(file("-l udp:53 a").contains("<listen ip=\"*:53\" protocol=\"udp\"/>"));
    assert_eq!(file("-l tcp:53 a"), file("-l 53 a"));
}
