//! The counters that the balancer writes to its log when asked.

use std::collections::BTreeMap;

/// One line's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, String>);

impl Fields {
    /// The fields of a line that contains `counters `, if it is one.
    pub fn parse(line: &str) -> Option<Self> {
        let (_, fields) = line.split_once("counters ")?;
        let pairs = fields.split_whitespace().filter_map(|field| field.split_once('='));
        Some(Self(pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect()))
    }

    /// A field's text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// A field's number; a missing one fails the test.
    #[track_caller]
    pub fn number(&self, key: &str) -> u64 {
        let value = self.text(key).unwrap_or_else(|| panic!("no {key} in {self:?}"));
        value.parse().unwrap_or_else(|_| panic!("{key}={value} is no number"))
    }
}

/// All counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// One entry a service.
    pub services: Vec<Fields>,
    /// One entry a host.
    pub hosts: Vec<Fields>,
    /// One entry a reactor.
    pub reactors: Vec<Fields>,
}

impl Counters {
    /// Reads the lines that are counters. A reactor's come last, so the set is whole when `reactors` have been seen.
    pub fn parse(lines: &[String], reactors: usize) -> Option<Self> {
        let mut all = Self::default();
        for fields in lines.iter().filter_map(|line| Fields::parse(line)) {
            let kind = if fields.text("reactor").is_some() {
                &mut all.reactors
            } else if fields.text("host").is_some() {
                &mut all.hosts
            } else if fields.text("service").is_some() {
                &mut all.services
            } else {
                continue;
            };
            kind.push(fields);
        }
        (all.reactors.len() >= reactors).then_some(all)
    }

    /// The service of that name.
    #[track_caller]
    pub fn service(&self, name: &str) -> &Fields {
        find(&self.services, "service", name)
    }

    /// The host of that name; for hosts of equal names in several services, the first.
    #[track_caller]
    pub fn host(&self, name: &str) -> &Fields {
        find(&self.hosts, "host", name)
    }

    /// Sum of a field over all hosts.
    #[track_caller]
    pub fn hosts_sum(&self, key: &str) -> u64 {
        self.hosts.iter().map(|host| host.number(key)).sum()
    }

    /// Sum of a field over all reactors.
    #[track_caller]
    pub fn reactors_sum(&self, key: &str) -> u64 {
        self.reactors.iter().map(|reactor| reactor.number(key)).sum()
    }

    /// Sum of a field over all services.
    #[track_caller]
    pub fn services_sum(&self, key: &str) -> u64 {
        self.services.iter().map(|service| service.number(key)).sum()
    }

    /// Sum of all `closed-…` fields over all services.
    pub fn closed(&self) -> u64 {
        let numbers = |fields: &Fields| {
            let closed = fields.0.iter().filter(|(key, _)| key.starts_with("closed-"));
            closed.filter_map(|(_, value)| value.parse::<u64>().ok()).sum::<u64>()
        };
        self.services.iter().map(numbers).sum()
    }

    /// Everything that is open or leased anywhere.
    pub fn held(&self) -> u64 {
        self.services_sum("open") + self.hosts_sum("open") + self.reactors_sum("open") + self.reactors_sum("buffers")
    }
}

#[track_caller]
fn find<'a>(all: &'a [Fields], key: &str, name: &str) -> &'a Fields {
    all.iter().find(|fields| fields.text(key) == Some(name)).unwrap_or_else(|| panic!("no {key} {name} in {all:?}"))
}
