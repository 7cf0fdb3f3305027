//! The example files of the three dialects, changed in one thing: exactly these lines differ then.

use std::time::Duration;

use super::{DIRECTOR, MINIMAL, PDCONFIG, TXLB, changed, enable, host, service};
use crate::config::{Config, Group, Web, parse, rewrite};
use crate::model::scheduler::SchedulerKind;

/// What the same change changes in each of the examples.
#[track_caller]
fn in_each(change: impl Fn(&mut Config), expected: [&str; 3]) {
    for (text, expected) in [DIRECTOR, PDCONFIG, TXLB].into_iter().zip(expected) {
        assert_eq!(changed(text, &change), expected);
    }
}

/// The group with the most hosts of the first service.
fn largest(config: &mut Config) -> &mut Group {
    config.services[0].groups.iter_mut().max_by_key(|group| group.hosts.len()).unwrap()
}

#[test]
fn host_added_is_one_line_more() {
    let line = "+      <host name=\"new\" ip=\"10.9.9.9:80\"/>";
    in_each(|config| largest(config).hosts.push(host("new", "10.9.9.9:80")), [line; 3]);
}

#[test]
fn host_removed_is_one_line_less_and_one_without_a_name_keeps_its_own() {
    in_each(
        |config| drop(largest(config).hosts.remove(0)),
        [
            r#"-      <host name="web1" ip="10.0.0.1:80"/>"#,
            r#"-      <host name="alpha" ip="10.0.0.1:80"/>
-      <host ip="gamma.example:80"/>
+      <host ip="gamma.example:80" name="host.2"/>"#,
            r#"-      <host name="web1" ip="10.0.0.11:80" weight="3"/>"#,
        ],
    );
}

#[test]
fn host_removed_takes_the_comment_that_is_its_own() {
    let expected = r#"-      <!-- named host.2 -->
-      <host ip="gamma.example:80"/>"#;
    assert_eq!(changed(PDCONFIG, |config| drop(largest(config).hosts.pop())), expected);
}

#[test]
fn weight_changed_is_changed_where_it_is() {
    in_each(
        |config| largest(config).hosts[1].weight = 5,
        [
            r#"-      <host name="web2" ip="10.0.0.2:80" weight="2" max="500"/>
+      <host name="web2" ip="10.0.0.2:80" weight="5" max="500"/>"#,
            r#"-      <host name="beta" ip="10.0.0.2:80"/>
+      <host name="beta" ip="10.0.0.2:80" weight="5"/>"#,
            r#"-      <host name="web2" ip="10.0.0.12:80" weight="1"/>
+      <host name="web2" ip="10.0.0.12:80" weight="5"/>"#,
        ],
    );
}

#[test]
fn scheduler_changed_leaves_the_spelling_of_the_others() {
    in_each(
        |config| config.services[1].groups[0].scheduler = SchedulerKind::WeightLc,
        [
            r#"-    <group name="old">
+    <group name="old" scheduler="weightlc">"#,
            r#"-    <group name="first" scheduler="roundrobin">
+    <group name="first" scheduler="weightlc">"#,
            r#"-    <group name="one" scheduler="roundr">
+    <group name="one" scheduler="weightlc">"#,
        ],
    );
}

#[test]
fn group_enabled_is_said_as_the_service_says_it() {
    let other = |config: &mut Config, index: usize| {
        let service = &mut config.services[index];
        let before = service.enabled;
        enable(service, 0);
        if service.enabled == before {
            enable(service, 1);
        }
    };
    in_each(
        |config| (0..2).for_each(|index| other(config, index)),
        [
            r#"-    <enable group="blue"/>
+    <enable group="green"/>
-    <group name="old">
+    <group name="old" enable="true">
-    <group name="new" scheduler="roundrobin" enable="true">
+    <group name="new" scheduler="roundrobin">"#,
            r#"-    <enable group="live"/>
+    <enable group="sorry"/>
-    <enable group="second"/>
+    <enable group="first"/>"#,
            r#"-    <group name="old" scheduler="rand">
+    <group name="old" scheduler="rand" enable="true">
-    <group name="current" scheduler="weightr" enable="true">
+    <group name="current" scheduler="weightr">
-    <enable group="two"/>
+    <enable group="one"/>"#,
        ],
    );
}

#[test]
fn user_added_and_removed_is_a_line() {
    let mut user = parse(TXLB, "f").unwrap().admin.unwrap().users.remove(1);
    user.name = String::from("new");
    let line = r#"+    <user name="new" password="xxREPLACEME11" access="readonly"/>"#;
    in_each(|config| config.admin.as_mut().unwrap().users.push(user.clone()), [line; 3]);
    in_each(
        |config| drop(config.admin.as_mut().unwrap().users.pop()),
        [
            r#"-    <user name="monitor" password="$6$replace$me.too" access="readonly"/>"#,
            r#"-    <user name="guest" password="xxREPLACEME11" access="readonly"/>"#,
            r#"-    <user name="guest" password="xxREPLACEME11" access="readonly"/>"#,
        ],
    );
}

#[test]
fn service_added_has_the_distance_of_its_neighbours() {
    let lines = r#"+  <service name="new">
+    <listen ip="10.1.1.1:81"/>
+    <group name="main" scheduler="random">
+      <host name="a &amp; b" ip="10.8.8.8:8"/>
+    </group>
+  </service>"#;
    in_each(|config| config.services.push(service("new")), [&format!("{lines}\n+"), lines, lines]);
}

#[test]
fn service_removed_leaves_no_gap() {
    in_each(
        |config| drop(config.services.pop()),
        [
            r#"-  <!-- Names: questions by datagrams and, where an answer is long, by a connection to the same hosts. -->
-  <service name="names" session="flow" responses="1" flow-timeout="10s">
-    <listen ip="*:5353" protocol="tcp+udp"/>
-    <group name="main" scheduler="leastconns">
-      <host ip="10.0.2.1:53"/>
-      <host ip="10.0.2.2:53"/>
-    </group>
-  </service>
-"#,
            r#"-  <service name="fastcgi">
-    <listen ip="127.0.0.1:9000"/>
-    <group name="first" scheduler="roundrobin">
-      <host name="app1" ip="10.0.0.11:9000"/>
-      <host name="app2" ip="10.0.0.12:9000"/>
-    </group>
-    <group name="second" scheduler="leastconns">
-      <host name="app3" ip="10.0.0.13:9000"/>
-    </group>
-    <enable group="second"/>
-  </service>"#,
            r#"-  <service name="app">
-    <listen ip="127.0.0.1:9000"/>
-    <group name="one" scheduler="roundr">
-      <host name="app1" ip="10.0.0.21:9000"/>
-    </group>
-    <group name="two" scheduler="leastc">
-      <host name="app2" ip="10.0.0.22:9000"/>
-      <host name="app3" ip="10.0.0.23:9000"/>
-    </group>
-    <enable group="two"/>
-  </service>"#,
        ],
    );
}

#[test]
fn timings_changed_are_said_where_and_as_the_file_says_them() {
    in_each(
        |config| {
            config.manager.checktime = Duration::from_secs(90);
            config.manager.host_check = Duration::from_secs(45);
            config.manager.heartbeat = None;
            config.manager.config_check = Some(Duration::from_secs(3600));
        },
        [
            r#"-  <manager rise="2" fall="3" checktime="1s">
+  <manager rise="2" fall="3" checktime="90s">
-    <hostCheck interval="2s" enable="true"/>
+    <hostCheck interval="45s" enable="true"/>
-    <heartbeat interval="5s" enable="true"/>
+    <heartbeat interval="5s" enable="false"/>
-    <configCheck interval="30s" enable="false"/>
+    <configCheck interval="1h" enable="true"/>"#,
            r#"+  <manager>
+    <hostCheck interval="45s"/>
+    <configCheck interval="1h" enable="true"/>
+  </manager>
-  <checktime time="60"/>
+  <checktime time="90"/>"#,
            r#"-  <manager>
-    <hostCheck interval="30" enable="true"/>
-    <configCheck interval="30" enable="true"/>
-    <heartbeat interval="10" enable="true"/>
+  <manager checktime="90s">
+    <hostCheck interval="45" enable="true"/>
+    <configCheck interval="3600" enable="true"/>
+    <heartbeat interval="10" enable="false"/>"#,
        ],
    );
}

#[test]
fn defaults_of_another_dialect_are_written_out_and_those_of_the_own_left_out() {
    let manager = |text: String| parse(&text, "f").unwrap().manager;
    let service = "<service name='s'><listen ip='*:1'/><group name='g'><host ip='h:2'/></group></service>";
    let ours = manager(format!("<director>{service}</director>"));
    in_each(
        |config| config.manager = ours.clone(),
        [
            r#"-  <manager rise="2" fall="3" checktime="1s">
+  <manager>
-    <heartbeat interval="5s" enable="true"/>
+    <heartbeat interval="5s" enable="false"/>"#,
            r#"+  <manager>
+    <hostCheck interval="2s"/>
+  </manager>
-  <checktime time="60"/>
+  <checktime time="0"/>"#,
            r#"-    <hostCheck interval="30" enable="true"/>
-    <configCheck interval="30" enable="true"/>
-    <heartbeat interval="10" enable="true"/>
+    <hostCheck interval="2" enable="true"/>
+    <configCheck interval="30" enable="false"/>
+    <heartbeat interval="10" enable="false"/>"#,
        ],
    );
    let pythondirector = manager(format!("<pdconfig>{service}</pdconfig>"));
    let expected = "-  <!-- seconds before a failed host is tried again -->\n-  <checktime time=\"60\"/>";
    assert_eq!(changed(PDCONFIG, |config| config.manager = pythondirector.clone()), expected);
}

#[test]
fn page_in_its_old_form_keeps_it_for_as_long_as_that_can_say_it() {
    let web = |config: &mut Config| config.admin.as_mut().unwrap().web.take().unwrap();
    let plain = changed(PDCONFIG, |config| {
        let plain = Web { secure: false, ..web(config) };
        config.admin.as_mut().unwrap().web = Some(plain);
    });
    let old = "-  <admin listen=\"127.0.0.1:7001\" secure=\"yes\">";
    assert_eq!(plain, format!("{old}\n+  <admin listen=\"127.0.0.1:7001\">"));
    let refreshed = changed(PDCONFIG, |config| {
        let refreshed = Web { refresh: Some(Duration::from_secs(60)), ..web(config) };
        config.admin.as_mut().unwrap().web = Some(refreshed);
    });
    let new = r#"+  <admin>
+    <web listen="127.0.0.1:7001" secure="true" refresh="1m" enable="true"/>"#;
    assert_eq!(refreshed, format!("{old}\n{new}"));
    assert_eq!(changed(PDCONFIG, |config| drop(web(config))), format!("{old}\n+  <admin>"));
    let off = r#"-    <web listen="127.0.0.1:7001" enable="true" secure="false" refresh="30"/>
+    <web listen="127.0.0.1:7001" enable="false" secure="false" refresh="30"/>"#;
    assert_eq!(changed(TXLB, |config| drop(web(config))), off);
}

#[test]
fn file_in_few_lines_stays_one() {
    let expected = r#"-  <service name="web"><listen ip="*:8080"/>
-    <group name="main"><host ip="10.0.0.1:80"/><host ip="10.0.0.2:80"/></group>
+  <service name="web"><listen ip="*:8080"/><listen ip="10.1.1.1:81"/>
+    <group name="main"><host ip="10.0.0.2:80" name="host.1"/><host name="new" ip="10.9.9.9:80"/></group>"#;
    let result = changed(MINIMAL, |config| {
        config.services[0].listens.append(&mut service("new").listens);
        config.services[0].groups[0].hosts.remove(0);
        config.services[0].groups[0].hosts.push(host("new", "10.9.9.9:80"));
    });
    assert_eq!(result, expected);
}

#[test]
fn everything_changed_leaves_the_root_and_the_comments_before_it() {
    for (text, root) in [(DIRECTOR, "director"), (PDCONFIG, "pdconfig"), (TXLB, "config")] {
        let mut config = parse(MINIMAL, "f").unwrap();
        config.services = vec![service("new")];
        let result = rewrite(text, &config);
        assert_eq!(parse(&result, "f"), Ok(config), "{result}");
        let start = text.find(&format!("<{root}>\n")).unwrap();
        assert!(result.starts_with(&text[..start]) && result[start..].starts_with(&format!("<{root}>\n")), "{result}");
        assert!(result.contains("  <service name=\"new\">\n    <listen ip=\"10.1.1.1:81\"/>\n"), "{result}");
    }
}
