//! A configuration as a file in our own dialect, or with another one's root and defaults.

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, Event};

use super::attributes::{self, given, unless};
use super::logs;
use super::schema::Dialect;
use super::value::show_time;
use super::{Acl, Admin, Config, Group, Manager, Service};
use crate::model::limits::HEARTBEAT;

/// Writes the configuration as a `<director>` file that [`super::parse`] reads back as the same configuration. What has
/// its default is left out, except names.
#[must_use]
pub fn write(config: &Config) -> String {
    write_as(config, Dialect::Director)
}

/// As [`write()`], with the root element and the defaults of a dialect.
pub(super) fn write_as(config: &Config, dialect: Dialect) -> String {
    let mut file = File { dialect, writer: Writer::new_with_indent(Vec::new(), b' ', 2) };
    file.element(dialect.root().name, &[], |file| {
        config.services.iter().for_each(|service| file.service(service));
        file.manager(&config.manager);
        if let Some(path) = &config.log_file {
            file.leaf("logging", &[("file", path.display().to_string())]);
        }
        if let Some(log) = &config.access_log {
            file.leaf("access-log", &logs::shown_access_log(log));
        }
        if let Some(status) = &config.status {
            file.leaf("status", &logs::shown_status(status));
        }
        if let Some(admin) = &config.admin {
            file.admin(admin);
        }
        if let Some(control) = &config.control {
            file.leaf("control", &attributes::control(control));
        }
        config.acls.iter().for_each(|acl| file.acl(acl));
    });
    let mut bytes = file.writer.into_inner();
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("only strings were written")
}

struct File {
    dialect: Dialect,
    writer: Writer<Vec<u8>>,
}

impl File {
    fn service(&mut self, service: &Service) {
        self.element("service", &attributes::service(service), |file| {
            service.listens.iter().for_each(|listen| file.leaf("listen", &attributes::listen(listen)));
            service.groups.iter().for_each(|group| file.group(group));
            let enabled = service.enabled.filter(|enabled| *enabled > 0);
            if let Some(enabled) = enabled.and_then(|enabled| service.groups.get(enabled)) {
                file.leaf("enable", &[("group", enabled.name.clone())]);
            }
        });
    }

    fn group(&mut self, group: &Group) {
        self.element("group", &attributes::group(group), |file| {
            group.hosts.iter().for_each(|host| file.leaf("host", &attributes::host(host)));
        });
    }

    fn manager(&mut self, manager: &Manager) {
        let Manager { host_check, checktime, heartbeat, rise, fall, config_check } = *manager;
        let host_check = unless(host_check, self.dialect.host_check());
        let attributes = given([
            ("rise", unless(rise, 1).map(|rise| rise.to_string())),
            ("fall", unless(fall, 1).map(|fall| fall.to_string())),
            ("checktime", unless(checktime, self.dialect.checktime()).map(show_time)),
        ]);
        let has_children = host_check.is_some() || heartbeat.is_some() || config_check.is_some();
        if !has_children && attributes.is_empty() {
            return;
        }
        self.element("manager", &attributes, |file| {
            if let Some(interval) = host_check {
                file.leaf("hostCheck", &[("interval", show_time(interval))]);
            }
            if let Some(interval) = heartbeat {
                let interval = unless(interval, HEARTBEAT).map(show_time);
                file.leaf("heartbeat", &given([("interval", interval), ("enable", yes())]));
            }
            if let Some(interval) = config_check {
                file.leaf("configCheck", &given([("interval", Some(show_time(interval))), ("enable", yes())]));
            }
        });
    }

    fn acl(&mut self, acl: &Acl) {
        let attributes = [("name", acl.name.clone()), ("default", acl.default.name().to_owned())];
        self.element("acl", &attributes, |file| {
            acl.rules.iter().for_each(|rule| file.leaf(rule.verdict.name(), &[("net", rule.net.to_string())]));
        });
    }

    fn admin(&mut self, admin: &Admin) {
        self.element("admin", &[], |file| {
            if let Some(web) = &admin.web {
                let enabled = given([("enable", yes())]);
                file.leaf("web", &attributes::web(web).into_iter().chain(enabled).collect::<Vec<_>>());
            }
            if let Some(listen) = &admin.ssh {
                file.leaf("ssh", &given([("listen", Some(listen.to_string())), ("enable", yes())]));
            }
            admin.users.iter().for_each(|user| file.leaf("user", &attributes::user(user)));
        });
    }

    fn leaf(&mut self, name: &'static str, attributes: &[(&'static str, String)]) {
        self.event(Event::Empty(start(name, attributes)));
    }

    fn element(&mut self, name: &'static str, attributes: &[(&'static str, String)], children: impl FnOnce(&mut Self)) {
        self.event(Event::Start(start(name, attributes)));
        children(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn event(&mut self, event: Event<'_>) {
        self.writer.write_event(event).expect("writing to memory does not fail");
    }
}

fn yes() -> Option<String> {
    Some(String::from("true"))
}

/// The attributes, escaped.
fn start(name: &'static str, attributes: &[(&'static str, String)]) -> BytesStart<'static> {
    let mut start = BytesStart::new(name);
    for (name, value) in attributes {
        start.push_attribute((*name, value.as_str()));
    }
    start
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::arbitrary;
    use super::*;
    use crate::config::parse;

    #[test]
    fn defaults_are_left_out() {
        let text = r#"<director>
  <service name="web">
    <listen ip="*:80"/>
    <group name="main">
      <host name="a" ip="10.0.0.1:80"/>
    </group>
  </service>
</director>
"#;
        assert_eq!(write(&parse(text, "f").unwrap()), text);
    }

    #[test]
    fn everything_is_written_in_one_form() {
        let text = r#"<director>
  <service name="a &amp; b" connect-timeout="250ms" idle-timeout="10m" fin-timeout="90s" max-connections="9" access-log="false">
    <listen ip="[::1]:80"/>
    <group name="x" scheduler="leastconns">
      <host name="h" ip="web.example:80" weight="0" max="3"/>
    </group>
    <group name="y">
      <host name="h" ip="10.0.0.1:80"/>
    </group>
    <enable group="y"/>
  </service>
  <manager rise="2" fall="3" checktime="1m">
    <hostCheck interval="1s"/>
    <heartbeat enable="true"/>
    <configCheck interval="30s" enable="true"/>
  </manager>
  <logging file="/var/log/director.log"/>
  <access-log syslog="/dev/log" format="json" start="true" every="1m"/>
  <status file="/run/director.html" interval="10s"/>
  <admin>
    <web listen="127.0.0.1:7001" secure="true" refresh="5s" enable="true"/>
    <ssh listen="127.0.0.1:7002" enable="true"/>
    <user name="root" password="$6$s$h" access="full"/>
  </admin>
  <control socket="/run/director.sock"/>
</director>
"#;
        assert_eq!(write(&parse(text, "f").unwrap()), text);
    }

    #[test]
    fn defaults_of_the_ancestors_are_written_out() {
        let service = "<service name='s'><listen ip='*:1'/><group name='g'><host ip='h:2'/></group></service>";
        let text = &format!("<pdconfig>{service}</pdconfig>");
        let config = parse(text, "f").unwrap();
        let written = write(&config);
        assert!(written.contains("<manager checktime=\"2m\">\n    <hostCheck interval=\"15s\"/>"), "{written}");
        assert_eq!(parse(&written, "f"), Ok(config));
    }

    proptest! {
        #[test]
        fn written_configuration_reads_back_the_same(config in arbitrary::config()) {
            let text = write(&config);
            let read = parse(&text, "f").map_err(|errors| TestCaseError::fail(format!("{errors}\n{text}")))?;
            prop_assert_eq!(read, config, "{}", text);
        }

        #[test]
        fn configuration_written_in_a_dialect_reads_back_the_same(config in arbitrary::config()) {
            for dialect in [Dialect::PythonDirector, Dialect::TxLoadBalancer] {
                let text = write_as(&config, dialect);
                prop_assert!(parse(&text, "f").as_ref() == Ok(&config), "{}", text);
            }
        }
    }
}
