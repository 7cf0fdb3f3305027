//! The last minute: rates from two looks, and those before.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::sample::{Host, Sample};

/// Looks that are remembered.
pub(super) const LOOKS: usize = 60;

/// What is known at the moment, and was in the last minute.
#[derive(Debug, Default)]
pub(super) struct Minute {
    /// The last look.
    pub(super) sample: Sample,
    /// Why there is no newer one.
    pub(super) lost: Option<String>,
    at: Option<Instant>,
    hosts: HashMap<(String, String, String), Past>,
    accepted: HashMap<String, u64>,
}

/// A host's last minute.
#[derive(Debug, Default)]
struct Past {
    last: Host,
    rates: VecDeque<Rates>,
}

/// What a host does in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    /// Connections established.
    pub(super) connects: u64,
    /// Bytes from clients.
    pub(super) up: u64,
    /// Bytes to clients.
    pub(super) down: u64,
}

impl Minute {
    /// One more look.
    pub(super) fn take(&mut self, sample: Sample, now: Instant) {
        let millis = self.at.map(|before| now.saturating_duration_since(before).as_millis());
        let millis = millis.and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0);
        // A counter that went back is another balancer's.
        let rate = |before: u64, now: u64| {
            now.checked_sub(before).map_or(0, |more| (more * 1000).checked_div(millis).unwrap_or(0))
        };
        let mut hosts = HashMap::new();
        for host in &sample.hosts {
            let (service, group, name) = host.key();
            let key = (service.to_owned(), group.to_owned(), name.to_owned());
            let mut past = self.hosts.remove(&key).unwrap_or_else(|| Past { last: host.clone(), ..Past::default() });
            if millis > 0 {
                past.rates.push_back(Rates {
                    connects: rate(past.last.total, host.total),
                    up: rate(past.last.bytes_up, host.bytes_up),
                    down: rate(past.last.bytes_down, host.bytes_down),
                });
                past.rates.drain(..past.rates.len().saturating_sub(LOOKS));
            }
            past.last = host.clone();
            hosts.insert(key, past);
        }
        let before: HashMap<&str, u64> = self.sample.services.iter().map(|s| (s.name.as_str(), s.accepted)).collect();
        self.accepted = sample
            .services
            .iter()
            .map(|service| {
                let last = before.get(service.name.as_str()).copied().unwrap_or(service.accepted);
                (service.name.clone(), rate(last, service.accepted))
            })
            .collect();
        self.hosts = hosts;
        self.sample = sample;
        self.at = Some(now);
    }

    /// What this host does now.
    pub(super) fn rates(&self, host: &Host) -> Rates {
        self.past(host).and_then(|past| past.rates.back()).copied().unwrap_or_default()
    }

    /// Clients a second of this service.
    pub(super) fn accepts(&self, service: &str) -> u64 {
        self.accepted.get(service).copied().unwrap_or(0)
    }

    /// What this host did in each second, the latest last.
    pub(super) fn history(&self, host: &Host, of: impl Fn(&Rates) -> u64) -> Vec<u64> {
        self.past(host).map(|past| past.rates.iter().map(of).collect()).unwrap_or_default()
    }

    fn past(&self, host: &Host) -> Option<&Past> {
        let (service, group, name) = host.key();
        self.hosts.get(&(service.to_owned(), group.to_owned(), name.to_owned()))
    }
}

/// A line of blocks, as high as the values are beside the highest; the latest at the right end.
pub(super) fn sparkline(values: &[u64], width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = &values[values.len().saturating_sub(width)..];
    let highest = shown.iter().max().copied().unwrap_or(0);
    let block = |value: &u64| match (*value, highest) {
        (0, _) | (_, 0) => ' ',
        (value, highest) => {
            let height = (u128::from(value) * 8).div_ceil(u128::from(highest));
            usize::try_from(height).ok().and_then(|height| BLOCKS.get(height.saturating_sub(1))).copied().unwrap_or('█')
        }
    };
    let line: String = shown.iter().map(block).collect();
    format!("{}{line}", " ".repeat(width - shown.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sample(total: u64) -> Sample {
        let host = Host { name: "a".into(), total, bytes_up: total * 10, ..Host::default() };
        Sample { hosts: vec![host], ..Sample::default() }
    }

    #[test]
    fn rates_are_those_of_a_second_however_long_a_look_took() {
        let (mut minute, start) = (Minute::default(), Instant::now());
        minute.take(sample(100), start);
        assert_eq!(minute.rates(&minute.sample.hosts[0]), Rates::default());
        minute.take(sample(300), start + Duration::from_secs(2));
        assert_eq!(minute.rates(&minute.sample.hosts[0]), Rates { connects: 100, up: 1000, down: 0 });
        minute.take(sample(5), start + Duration::from_secs(3));
        assert_eq!(minute.rates(&minute.sample.hosts[0]).connects, 0, "started anew");
        for look in 0..100_u64 {
            minute.take(sample(5 + look), start + Duration::from_secs(4 + look));
        }
        assert_eq!(minute.history(&minute.sample.hosts[0], |rates| rates.connects).len(), LOOKS);
    }

    #[test]
    fn sparkline_is_as_high_as_its_highest() {
        assert_eq!(sparkline(&[0, 1, 4, 8], 6), "   ▁▄█");
        assert_eq!(sparkline(&[1, 2, 3], 2), "▆█");
        assert_eq!(sparkline(&[u64::MAX, 1], 2), "█▁");
        assert_eq!(sparkline(&[], 3), "   ");
    }
}
