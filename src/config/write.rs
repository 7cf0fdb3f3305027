//! A configuration as a file in our own dialect, or with another one's root and defaults.

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, Event};

use super::schema::Dialect;
use super::sockets;
use super::value::show_time;
use super::{Access, Admin, Config, Group, Host, Manager, Service, User, Web};
use crate::model::limits::HEARTBEAT;
use crate::model::scheduler::SchedulerKind;

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
            file.leaf("logging", &[("file", Some(path.display().to_string()))]);
        }
        if let Some(admin) = &config.admin {
            file.admin(admin);
        }
        if let Some(path) = &config.control {
            file.leaf("control", &[("socket", Some(path.display().to_string()))]);
        }
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
        let attributes = [
            ("name", Some(service.name.clone())),
            ("connect-timeout", service.connect_timeout.map(show_time)),
            ("idle-timeout", service.idle_timeout.map(show_time)),
            ("fin-timeout", service.fin_timeout.map(show_time)),
            ("max-connections", service.max_connections.map(|max| max.to_string())),
        ];
        self.element("service", &attributes, |file| {
            for listen in &service.listens {
                let mut attributes = vec![("ip", Some(listen.address.to_string()))];
                attributes.extend(given(sockets::shown_listen(&listen.options)));
                file.leaf("listen", &attributes);
            }
            service.groups.iter().for_each(|group| file.group(group));
            if let Some(enabled) = service.groups.get(service.enabled).filter(|_| service.enabled > 0) {
                file.leaf("enable", &[("group", Some(enabled.name.clone()))]);
            }
        });
    }

    fn group(&mut self, group: &Group) {
        let scheduler = unless(group.scheduler, SchedulerKind::default()).map(|kind| kind.to_string());
        let mut attributes = vec![("name", Some(group.name.clone())), ("scheduler", scheduler)];
        attributes.extend(given(sockets::shown_connect(&group.connect)));
        self.element("group", &attributes, |file| {
            group.hosts.iter().for_each(|host| file.host(host));
        });
    }

    fn host(&mut self, host: &Host) {
        let mut attributes = vec![
            ("name", Some(host.name.clone())),
            ("ip", Some(host.address.to_string())),
            ("weight", unless(host.weight, 1).map(|weight| weight.to_string())),
            ("max", host.max.map(|max| max.to_string())),
        ];
        attributes.extend(given(sockets::shown_connect(&host.connect)));
        self.leaf("host", &attributes);
    }

    fn manager(&mut self, manager: &Manager) {
        let Manager { host_check, checktime, heartbeat, rise, fall, config_check } = *manager;
        let host_check = unless(host_check, self.dialect.host_check());
        let attributes = [
            ("rise", unless(rise, 1).map(|rise| rise.to_string())),
            ("fall", unless(fall, 1).map(|fall| fall.to_string())),
            ("checktime", unless(checktime, self.dialect.checktime()).map(show_time)),
        ];
        let has_children = host_check.is_some() || heartbeat.is_some() || config_check.is_some();
        if !has_children && attributes.iter().all(|(_, value)| value.is_none()) {
            return;
        }
        let on = || ("enable", Some(String::from("true")));
        self.element("manager", &attributes, |file| {
            if let Some(interval) = host_check {
                file.leaf("hostCheck", &[("interval", Some(show_time(interval)))]);
            }
            if let Some(interval) = heartbeat {
                file.leaf("heartbeat", &[("interval", unless(interval, HEARTBEAT).map(show_time)), on()]);
            }
            if let Some(interval) = config_check {
                file.leaf("configCheck", &[("interval", Some(show_time(interval))), on()]);
            }
        });
    }

    fn admin(&mut self, admin: &Admin) {
        let yes = || Some(String::from("true"));
        self.element("admin", &[], |file| {
            if let Some(Web { listen, secure, refresh }) = &admin.web {
                let listen = Some(listen.to_string());
                let secure = secure.then(yes).flatten();
                let refresh = refresh.map(show_time);
                file.leaf("web", &[("listen", listen), ("secure", secure), ("refresh", refresh), ("enable", yes())]);
            }
            if let Some(listen) = &admin.ssh {
                file.leaf("ssh", &[("listen", Some(listen.to_string())), ("enable", yes())]);
            }
            for User { name, password, access } in &admin.users {
                let access = match access {
                    Access::Full => "full",
                    Access::ReadOnly => "readonly",
                };
                let (name, password, access) = (name.clone(), password.clone(), access.to_owned());
                file.leaf("user", &[("name", Some(name)), ("password", Some(password)), ("access", Some(access))]);
            }
        });
    }

    fn leaf(&mut self, name: &'static str, attributes: &[(&'static str, Option<String>)]) {
        self.event(Event::Empty(start(name, attributes)));
    }

    fn element(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, Option<String>)],
        children: impl FnOnce(&mut Self),
    ) {
        self.event(Event::Start(start(name, attributes)));
        children(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn event(&mut self, event: Event<'_>) {
        self.writer.write_event(event).expect("writing to memory does not fail");
    }
}

/// The attributes that have a value, escaped.
fn start(name: &'static str, attributes: &[(&'static str, Option<String>)]) -> BytesStart<'static> {
    let mut start = BytesStart::new(name);
    for (name, value) in attributes {
        if let Some(value) = value {
            start.push_attribute((*name, value.as_str()));
        }
    }
    start
}

/// Options that are there, as attributes.
fn given(shown: Vec<(&'static str, String)>) -> impl Iterator<Item = (&'static str, Option<String>)> {
    shown.into_iter().map(|(name, value)| (name, Some(value)))
}

fn unless<T: PartialEq>(value: T, default: T) -> Option<T> {
    (value != default).then_some(value)
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
  <service name="a &amp; b" connect-timeout="250ms" idle-timeout="10m" fin-timeout="90s" max-connections="9">
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
