//! A record as a line, of text for people and awk, or of JSON for programs. Whatever is in a name, it is one line and
//! steers no terminal.

use std::fmt::{Display, Write};
use std::time::{Duration, UNIX_EPOCH};

use super::names::Names;
use crate::admin::words::show::utc;
use crate::config::LineFormat;
use crate::daemon::logging::{push_json, steers};
use crate::model::access_log::{Phase, Record};
use crate::model::address::Endpoint;

/// Makes lines. The date of a second is made once.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Two of them, because a line has the time of its event and the time of its connection's start.
    dates: [Date; 2],
}

#[derive(Debug, Default)]
struct Date {
    second: u64,
    /// `2026-11-20T23:21:00`; empty: there was none yet.
    text: String,
}

/// A time with milliseconds.
struct Time<'d>(&'d str, u32);

impl Display for Time<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}Z", self.0, self.1)
    }
}

impl Date {
    fn at(&mut self, since_1970: Duration) -> Time<'_> {
        if self.text.is_empty() || self.second != since_1970.as_secs() {
            self.second = since_1970.as_secs();
            self.text = utc(UNIX_EPOCH + Duration::from_secs(self.second));
            self.text.pop();
        }
        Time(&self.text, since_1970.subsec_millis())
    }
}

impl Lines {
    /// Adds a line, without its end.
    pub(super) fn push(&mut self, line: &mut String, format: LineFormat, record: &Record, names: &Names) {
        let [now, then] = &mut self.dates;
        let (at, started) = (now.at(record.at), then.at(record.at.saturating_sub(record.total)));
        let place = record.host.and_then(|(id, _)| names.host(id));
        let (reason, by) = match record.phase {
            Phase::Ended(reason, by) => (Some(reason.name()), Some(by.name())),
            Phase::Started | Phase::Ongoing => (None, None),
        };
        let mut fields: Fields<'_> = match format {
            LineFormat::Text => Fields { line, json: false, separator: "" },
            LineFormat::Json => Fields { line, json: true, separator: "{" },
        };
        if fields.json {
            fields.quoted("time", &at);
        } else {
            fields.separator = " ";
            // Writing to a string does not fail.
            let _ = write!(fields.line, "{at}");
        }
        fields.word("event", record.phase.name());
        fields.word("protocol", record.protocol.name());
        fields.quoted("session", &record.session);
        fields.quoted("started", &started);
        fields.addr("client", Some(record.client));
        fields.addr("listen", record.listen.map(Endpoint::Ip));
        fields.name("service", names.service(record.service));
        fields.name("group", place.map(|place| &*place.group));
        fields.name("host", place.map(|place| &*place.host));
        fields.addr("addr", record.host.map(|(_, addr)| addr));
        fields.number("retries", record.retries.into());
        fields.number("up", record.up);
        fields.number("down", record.down);
        fields.time("queue", record.queue);
        fields.time("connect", record.connect);
        fields.time("first_byte", record.first_byte);
        fields.time("total", Some(record.total));
        fields.name("reason", reason);
        fields.name("by", by);
        if fields.json {
            line.push('}');
        }
    }
}

/// Fields one after the other.
struct Fields<'l> {
    line: &'l mut String,
    json: bool,
    separator: &'static str,
}

impl Fields<'_> {
    fn key(&mut self, key: &str) {
        let _ = if self.json {
            write!(self.line, "{}\"{key}\":", self.separator)
        } else {
            write!(self.line, "{}{key}=", self.separator)
        };
        self.separator = if self.json { "," } else { " " };
    }

    /// A value that needs no escape.
    fn quoted(&mut self, key: &str, value: &dyn Display) {
        self.key(key);
        let _ = if self.json { write!(self.line, "\"{value}\"") } else { write!(self.line, "{value}") };
    }

    fn word(&mut self, key: &str, value: &str) {
        self.quoted(key, &value);
    }

    fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        let _ = write!(self.line, "{value}");
    }

    fn nothing(&mut self, key: &str) {
        self.key(key);
        self.line.push_str(if self.json { "null" } else { "-" });
    }

    fn addr(&mut self, key: &str, value: Option<Endpoint>) {
        match value {
            Some(Endpoint::Ip(addr)) => self.quoted(key, &addr),
            // Its path may have any characters.
            Some(unix) => self.name(key, Some(&unix.to_string())),
            None => self.nothing(key),
        }
    }

    /// In seconds.
    fn time(&mut self, key: &str, value: Option<Duration>) {
        let Some(time) = value else { return self.nothing(key) };
        self.key(key);
        let _ = write!(self.line, "{}.{:06}", time.as_secs(), time.subsec_micros());
    }

    fn name(&mut self, key: &str, value: Option<&str>) {
        let Some(name) = value else { return self.nothing(key) };
        self.key(key);
        let plain = |c: char| c.is_alphanumeric() || "-_.:/@+*[]%,".contains(c);
        // A name that is a dash would be taken for none.
        if !self.json && name != "-" && !name.is_empty() && name.chars().all(plain) {
            return self.line.push_str(name);
        }
        self.line.push('"');
        for c in name.chars() {
            match c {
                _ if self.json => push_json(self.line, c),
                '"' | '\\' => self.line.extend(['\\', c]),
                _ if steers(c) => self.line.extend(c.escape_unicode()),
                _ => self.line.push(c),
            }
        }
        self.line.push('"');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::names::tests::spec;
    use super::*;
    use crate::model::access_log::{By, Protocol};
    use crate::model::id::{HostId, ServiceId};
    use crate::model::outcome::CloseReason;
    use crate::model::session::SessionName;

    fn record() -> Record {
        Record {
            phase: Phase::Ended(CloseReason::Finished, By::Host),
            at: Duration::from_millis(1_732_557_600_123),
            protocol: Protocol::Tcp,
            session: SessionName { reactor: 0, slot: 17, generation: 9234 },
            client: Endpoint::Ip("192.0.2.1:5000".parse().unwrap()),
            listen: "[2001:db8::1]:80".parse().ok(),
            service: ServiceId(0),
            host: Some((HostId(1), Endpoint::Ip("10.0.0.2:80".parse().unwrap()))),
            retries: 1,
            up: 5,
            down: 1 << 33,
            queue: Some(Duration::ZERO),
            connect: Some(Duration::from_micros(350)),
            first_byte: Some(Duration::from_millis(2)),
            total: Duration::from_micros(62_001_500),
        }
    }

    fn line(format: LineFormat, record: &Record, service: &str) -> String {
        let mut names = Names::default();
        let spec = crate::model::service::ServiceSpec { name: Arc::from(service), ..spec(0..2) };
        names.learn(&spec, &|id| (String::from("blue"), format!("web{}", id.0)));
        let mut line = String::new();
        Lines::default().push(&mut line, format, record, &names);
        line
    }

    #[test]
    fn text_has_every_field_in_one_order() {
        let expected = "2024-11-25T18:00:00.123Z event=end protocol=tcp session=0-17-9234 \
                        started=2024-11-25T17:58:58.121Z client=192.0.2.1:5000 listen=[2001:db8::1]:80 service=s group=blue \
                        host=web1 addr=10.0.0.2:80 retries=1 up=5 down=8589934592 queue=0.000000 connect=0.000350 \
                        first_byte=0.002000 total=62.001500 reason=finished by=host";
        assert_eq!(line(LineFormat::Text, &record(), "s"), expected);
    }

    #[test]
    fn json_has_the_same_fields() {
        let text = line(LineFormat::Json, &record(), "s");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((value["client"].as_str(), value["down"].as_u64()), (Some("192.0.2.1:5000"), Some(1 << 33)));
        assert_eq!((value["total"].as_f64(), value["by"].as_str()), (Some(62.0015), Some("host")));
        let mut keys: Vec<_> = line(LineFormat::Text, &record(), "s")
            .split(' ')
            .skip(1)
            .map(|word| word.split_once('=').unwrap().0.to_owned())
            .chain([String::from("time")])
            .collect();
        keys.sort();
        let mut in_json: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        in_json.sort();
        assert_eq!(in_json, keys);
    }

    #[test]
    fn what_is_not_known_is_a_dash_or_null() {
        let record = Record {
            phase: Phase::Started,
            listen: None,
            host: None,
            connect: None,
            first_byte: None,
            queue: None,
            service: ServiceId(9),
            ..record()
        };
        let text = line(LineFormat::Text, &record, "s");
        assert!(text.contains("listen=- service=- group=- host=- addr=- retries=1"), "{text}");
        assert!(text.ends_with("queue=- connect=- first_byte=- total=62.001500 reason=- by=-"), "{text}");
        assert!(line(LineFormat::Json, &record, "s").contains(r#""host":null,"addr":null"#));
    }

    proptest! {
        #[test]
        fn any_name_makes_one_line_that_can_be_taken_apart(name in any::<String>()) {
            let text = line(LineFormat::Text, &record(), &name);
            prop_assert!(!text.chars().any(char::is_control), "{:?}", text);
            let json = line(LineFormat::Json, &record(), &name);
            prop_assert!(!json.chars().any(char::is_control), "{:?}", json);
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(value["service"].as_str(), Some(name.as_str()));
        }
    }
}
