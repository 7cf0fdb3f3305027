//! Configuration files as operators have them: the examples in `conf/`, files on disk of every kind, and the texts of
//! the errors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use director::config::{self, Access, Config, Control, load, parse, vocabulary, write};
use director::model::datagram::Protocols;
use director::model::limits::{CONFIG_FILE_BYTES_MAX, HOST_CHECK, HOST_CHECK_ANCESTORS};
use director::model::scheduler::SchedulerKind;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf").join(name)
}

fn load_example(name: &str) -> Config {
    load(&example(name)).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A directory of its own for a test, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("director-config-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory takes directories");
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("the temporary directory takes files");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The only error of a file, without the directory it is in.
fn only_error(path: &Path) -> String {
    let errors = load(path).expect_err("the file is refused").to_string();
    assert_eq!(errors.lines().count(), 1, "{errors}");
    let directory = path.parent().expect("the file is in a directory");
    errors.replace(&format!("{}/", directory.display()), "")
}

#[test]
fn every_example_loads_and_survives_being_written() {
    let mut count = 0;
    for entry in fs::read_dir(example("")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            let config = load(&path).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(parse(&write(&config), "written"), Ok(config), "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 4, "{count} examples");
}

#[test]
fn documented_example_mentions_every_element_and_attribute() {
    let text = fs::read_to_string(example("director.xml")).unwrap();
    let tags = |element: &str| {
        let start = format!("<{element}");
        let tags = text.split(start.as_str()).skip(1).map(|rest| rest.split('>').next().unwrap().to_owned());
        tags.filter(|tag| !tag.starts_with(|c: char| c.is_alphanumeric())).collect::<Vec<String>>()
    };
    for (element, attributes) in vocabulary() {
        assert!(!tags(element).is_empty(), "<{element}> is not in director.xml");
        for attribute in attributes {
            let is_there = tags(element).iter().any(|tag| tag.contains(&format!(" {attribute}=\"")));
            assert!(is_there, "{attribute} of <{element}> is not in director.xml");
        }
    }
    for scheduler in SchedulerKind::ALL {
        assert!(text.contains(&format!("\n        {scheduler} ")), "{scheduler} is not in director.xml");
    }
}

#[test]
fn minimal_example_has_five_lines_and_the_defaults() {
    assert_eq!(fs::read_to_string(example("minimal.xml")).unwrap().lines().count(), 5);
    let config = load_example("minimal.xml");
    let group = &config.services[0].groups[0];
    assert_eq!((group.scheduler, group.hosts.len()), (SchedulerKind::RoundRobin, 2));
    assert_eq!(config.manager.host_check, HOST_CHECK);
    assert_eq!(config.manager.checktime, Duration::ZERO);
    assert_eq!((config.manager.heartbeat, config.log_file, config.admin), (None, None, None));
}

#[test]
fn documented_example_means_what_its_comments_say() {
    let config = load_example("director.xml");
    let [web, mail, names] = config.services.as_slice() else { panic!("three services") };
    assert_eq!((names.listens[0].protocol, names.flows.responses), (Protocols::Both, Some(1)));
    assert_eq!((web.connect_timeout, web.max_connections), (Some(Duration::from_secs(3)), Some(10_000)));
    assert_eq!((web.enabled, mail.enabled), (Some(0), Some(1)));
    assert_eq!(mail.groups[1].hosts[1].name, "host.1");
    assert_eq!((config.manager.rise, config.manager.fall), (2, 3));
    assert_eq!(config.manager.heartbeat, Some(Duration::from_secs(5)));
    assert_eq!(config.manager.config_check, None);
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn pythondirector_file_loads_unchanged() {
    let config = load_example("pythondirector.xml");
    let [www, fastcgi] = config.services.as_slice() else { panic!("two services") };
    assert_eq!(
        www.listens.iter().map(|listen| listen.address.to_string()).collect::<Vec<_>>(),
        ["*:8080", "127.0.0.1:8081"]
    );
    assert_eq!((www.enabled, fastcgi.enabled), (Some(0), Some(1)));
    assert_eq!(www.groups[0].scheduler, SchedulerKind::LeastConnsRr);
    assert_eq!(www.groups[0].hosts[2].name, "host.2");
    assert_eq!(www.groups[0].hosts[2].address.to_string(), "gamma.example:80");
    assert_eq!(config.manager.checktime, Duration::from_secs(60));
    assert_eq!(config.manager.host_check, HOST_CHECK_ANCESTORS);
    assert_eq!(config.manager.heartbeat, None);
    assert_eq!(config.log_file, Some(PathBuf::from("/var/log/pydir.log")));
    let admin = config.admin.unwrap();
    assert!(admin.web.unwrap().secure);
    assert_eq!(admin.users.iter().map(|user| user.access).collect::<Vec<_>>(), [Access::Full, Access::ReadOnly]);
}

#[test]
fn txloadbalancer_file_loads_unchanged() {
    let config = load_example("txloadbalancer.xml");
    let [web, app] = config.services.as_slice() else { panic!("two services") };
    assert_eq!((web.enabled, app.enabled), (Some(1), Some(1)));
    let schedulers = config.services.iter().flat_map(|service| &service.groups).map(|group| group.scheduler);
    let expected =
        [SchedulerKind::Random, SchedulerKind::WeightR, SchedulerKind::RoundRobin, SchedulerKind::LeastConnsRr];
    assert_eq!(schedulers.collect::<Vec<_>>(), expected);
    assert_eq!(web.groups[1].hosts.iter().map(|host| host.weight).collect::<Vec<_>>(), [3, 1, 1]);
    assert_eq!(config.manager.host_check, Duration::from_secs(30));
    assert_eq!(config.manager.heartbeat, Some(Duration::from_secs(10)));
    assert_eq!(config.manager.config_check, Some(Duration::from_secs(30)));
    assert_eq!(config.control, Some(Control { socket: PathBuf::from("/var/run/txlb.sock"), group: None }));
    assert_eq!(config.warnings(), Vec::<String>::new());
    let admin = config.admin.unwrap();
    assert_eq!(admin.ssh.unwrap().to_string(), "127.0.0.1:7002");
    assert_eq!(admin.web.unwrap().refresh, Some(Duration::from_secs(30)));
}

#[test]
fn summary_of_each_example_fits_on_a_screen() {
    for name in ["director.xml", "minimal.xml", "pythondirector.xml", "txloadbalancer.xml"] {
        let text = config::summary(&load_example(name));
        assert!(text.lines().count() <= 24, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    }
}

#[test]
fn file_with_many_mistakes_gets_all_its_errors_in_order() {
    let text = r#"<director>
  <service name="web" idle-timeuot="5m">
    <listen ip="*:80"/>
    <listen ip="127.0.0.1:80"/>
    <listen ip="10.0.0.1:70000"/>
    <group name="main" scheduler="leastcons">
      <host name="a" ip="10.0.0.1"/>
      <host name="a" ip="10.0.0.2:80" weight="-1"/>
      <hots ip="10.0.0.3:80"/>
    </group>
    <group name="spare" scheduler="roundrobin,stiky"/>
    <enable group="mian"/>
  </service>
  <service name="web"/>
  <manager rise="0"><heartbeat interval="5 s" enable="maybe"/></manager>
  <servce/>
</director>
"#;
    let expected = r#"d.xml:2:23: unknown attribute "idle-timeuot" of <service>, expected name, connect-timeout, idle-timeout, fin-timeout, max-connections, access-log, stubborn, acl, client-max, client-rate, client-prefix-v4, client-prefix-v6, client-table, fastclose, session, responses or flow-timeout; did you mean "idle-timeout"?
d.xml:4:17: ip="127.0.0.1:80": the address meets the listener in line 3, expected an address of its own
d.xml:5:17: ip="10.0.0.1:70000": the port "70000" is out of range, expected 0 to 65535
d.xml:6:35: scheduler="leastcons": unknown scheduler "leastcons", expected random, roundrobin, leastconns, leastconnsrr, weighted, weightr, weightlc, p2c or maglev; did you mean "leastconns"?
d.xml:7:26: ip="10.0.0.1": the port is missing, expected ADDRESS:PORT, such as 10.0.0.1:80, [::1]:80 or name:80
d.xml:8:19: the host "a" is in line 7 already, expected a name of its own in its group
d.xml:8:47: weight="-1": the number is negative, expected 0 to 1000000
d.xml:9:7: unknown element <hots> in <group>, expected <host>; did you mean "host"?
d.xml:11:5: <group name="spare"> has no <host>, expected at least one <host ip="ADDRESS:PORT"/>
d.xml:11:36: scheduler="roundrobin,stiky": unknown scheduler option "stiky", expected sticky
d.xml:12:20: group="mian": the service has no such group, expected "main" or "spare"; did you mean "main"?
d.xml:14:3: <service name="web"> has no <listen>, expected at least one <listen ip="ADDRESS:PORT"/>
d.xml:14:3: <service name="web"> has no <group>, expected at least one <group name="NAME">
d.xml:14:18: the service "web" is in line 2 already, expected a name of its own in the file
d.xml:15:18: rise="0": the number is too small, expected 1 to 4294967295
d.xml:15:42: interval="5 s": unknown unit " s", expected a whole number with ms, s, m or h, such as 250ms, 5s, 2m or 1h
d.xml:15:55: enable="maybe": neither true nor false, expected true, yes or 1, or false, no or 0
d.xml:16:3: unknown element <servce> in <director>, expected <service>, <manager>, <checktime>, <logging>, <access-log>, <status>, <admin>, <control> or <acl>; did you mean "service"?"#;
    assert_eq!(parse(text, "d.xml").unwrap_err().to_string(), expected);
}

#[test]
fn file_that_is_missing_or_not_a_file_is_refused_without_waiting() {
    let scratch = Scratch::new("kinds");
    let fifo = scratch.0.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let refused = "not a regular file, expected a configuration file";
    assert_eq!(only_error(&fifo), format!("fifo: {refused}"));
    assert_eq!(load(&scratch.0).unwrap_err().to_string(), format!("{}: {refused}", scratch.0.display()));
    assert_eq!(load(Path::new("/dev/zero")).unwrap_err().to_string(), format!("/dev/zero: {refused}"));
    assert!(only_error(&scratch.0.join("none.xml")).starts_with("none.xml: cannot be read, "));
}

#[test]
fn file_above_the_size_limit_is_refused() {
    let scratch = Scratch::new("size");
    let text = fs::read(example("minimal.xml")).unwrap();
    let max = usize::try_from(CONFIG_FILE_BYTES_MAX).unwrap();
    let padded = |length: usize| [text.as_slice(), " ".repeat(length - text.len()).as_bytes()].concat();
    assert!(load(&scratch.file("max.xml", padded(max))).is_ok());
    let expected = "more.xml:1:1: the file is too large, expected at most 4194304 bytes";
    assert_eq!(only_error(&scratch.file("more.xml", padded(max + 1))), expected);
}

#[test]
fn file_that_is_not_utf8_is_refused_where_it_is_not() {
    let scratch = Scratch::new("utf8");
    let path = scratch.file("latin.xml", b"\xef\xbb\xbf<director>\r\n  <!-- \xc3\xa9 caf\xe9 --></director>");
    assert_eq!(only_error(&path), "latin.xml:2:13: the byte 0xE9 is not UTF-8, expected a file in UTF-8");
    let path = scratch.file("utf16.xml", b"\xff\xfe<\0d\0i\0r\0");
    let expected = "utf16.xml:1:1: the byte 0xFF is not UTF-8, expected a file in UTF-8 (this looks like UTF-16)";
    assert_eq!(only_error(&path), expected);
    let path = scratch.file("cut.xml", b"<director>\xc3");
    assert_eq!(only_error(&path), "cut.xml:1:11: the byte 0xC3 is not UTF-8, expected a file in UTF-8");
}

#[test]
fn file_with_a_byte_order_mark_and_windows_line_ends_loads() {
    let scratch = Scratch::new("windows");
    let text = fs::read_to_string(example("pythondirector.xml")).unwrap();
    let path = scratch.file("windows.xml", format!("\u{feff}{}", text.replace('\n', "\r\n")));
    assert_eq!(load(&path), Ok(load_example("pythondirector.xml")));
}

#[test]
fn empty_file_is_refused() {
    let scratch = Scratch::new("empty");
    let expected = "empty.xml:1:1: the file ends before its root element does, expected <director>…</director>";
    assert_eq!(only_error(&scratch.file("empty.xml", "")), expected);
}
