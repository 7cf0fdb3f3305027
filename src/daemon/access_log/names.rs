//! The names of services and hosts by their numbers, which records have. A number never gets another name, so that what
//! was learnt stays right; it is forgotten when neither the configuration nor a reactor has the thing any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crate::model::counters::{HostCounters, ServiceCounters};
use crate::model::id::{HostId, ServiceId};
use crate::model::service::ServiceSpec;

/// What is looked through for things that are no more when so many are new since the last look, or as many as there were.
const SWEEP_MIN: usize = 4096;

/// The names that are known.
#[derive(Debug, Default)]
pub(super) struct Names {
    services: BTreeMap<ServiceId, (Arc<str>, Known<ServiceCounters>)>,
    hosts: BTreeMap<HostId, (Place, Known<HostCounters>)>,
    sweep_at: usize,
}

/// Where a host is in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) group: Arc<str>,
    pub(super) host: Arc<str>,
}

/// Whether somebody still has the thing: its counters tell.
#[derive(Debug)]
struct Known<T> {
    counters: Weak<T>,
    /// Nobody had it at the last look. Records of it may still be on their way until the next.
    is_gone: bool,
}

impl<T> Known<T> {
    fn new(counters: &Arc<T>) -> Self {
        Self { counters: Arc::downgrade(counters), is_gone: false }
    }

    /// Whether to keep it, as of this look.
    fn stays(&mut self) -> bool {
        let was_gone = std::mem::replace(&mut self.is_gone, self.counters.strong_count() == 0);
        !(was_gone && self.is_gone)
    }
}

impl Names {
    /// Takes in a service as it is published. `place` tells the group and the name of a host that is not known yet.
    pub(super) fn learn(&mut self, spec: &ServiceSpec, place: &dyn Fn(HostId) -> (String, String)) {
        self.services.entry(spec.id).or_insert_with(|| (Arc::clone(&spec.name), Known::new(&spec.counters)));
        let mut last: Arc<str> = Arc::from("");
        for host in &spec.hosts {
            self.hosts.entry(host.id).or_insert_with(|| {
                let (group, name) = place(host.id);
                if *last != *group {
                    last = group.into();
                }
                (Place { group: Arc::clone(&last), host: name.into() }, Known::new(&host.counters))
            });
        }
        if self.hosts.len() + self.services.len() > self.sweep_at.max(SWEEP_MIN) {
            self.services.retain(|_, (_, known)| known.stays());
            self.hosts.retain(|_, (_, known)| known.stays());
            let living = self.hosts.values().filter(|(_, known)| !known.is_gone).count();
            self.sweep_at = self.hosts.len() + self.services.len() + living.max(SWEEP_MIN);
        }
    }

    /// The service's name.
    pub(super) fn service(&self, id: ServiceId) -> Option<&str> {
        self.services.get(&id).map(|(name, _)| &**name)
    }

    /// The host's place.
    pub(super) fn host(&self, id: HostId) -> Option<&Place> {
        self.hosts.get(&id).map(|(place, _)| place)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::address::Endpoint;
    use crate::model::datagram::FlowRules;
    use crate::model::role::Level;
    use crate::model::scheduler::SchedulerKind;
    use crate::model::service::{Entrance, Fastclose, HostSpec};
    use crate::model::status::HostStatus;
    use crate::model::sticky::StickyRules;

    pub(in super::super) fn spec(hosts: std::ops::Range<u32>) -> ServiceSpec {
        let host = |number| HostSpec {
            id: HostId(number),
            addr: Endpoint::Ip(([127, 0, 0, 1], 9).into()),
            weight: 1,
            max: None,
            status: HostStatus::Up,
            may_meet_itself: false,
            acl: None,
            share: 1,
            hard: None,
            level: Level::default(),
            outbound: None,
            counters: Arc::default(),
        };
        ServiceSpec {
            id: ServiceId(0),
            generation: 1,
            name: "s".into(),
            scheduler: SchedulerKind::RoundRobin,
            hosts: hosts.map(host).collect(),
            connect_timeout: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            fin_timeout: Duration::ZERO,
            max_connections: None,
            access_log: true,
            entrance: Entrance::default(),
            fastclose: Fastclose::Off,
            flows: FlowRules::default(),
            sticky: StickyRules::default(),
            table: None,
            is_stubborn: false,
            rotation: Arc::default(),
            counters: Arc::default(),
        }
    }

    #[test]
    fn names_are_known_as_long_as_somebody_has_what_they_name() {
        let mut names = Names::default();
        let kept = spec(0..2);
        let place = |id: HostId| (String::from("g"), format!("h{}", id.0));
        names.learn(&kept, &place);
        for round in 1..40 {
            // What comes and goes, as the addresses of a name may.
            let passing = spec(round * 1000..(round + 1) * 1000);
            names.learn(&passing, &place);
        }
        assert_eq!(names.service(ServiceId(0)), Some("s"));
        assert_eq!(names.host(HostId(1)).map(|place| (&*place.group, &*place.host)), Some(("g", "h1")));
        assert!(names.hosts.len() <= 3 * SWEEP_MIN, "{} are kept", names.hosts.len());
        assert_eq!(names.host(HostId(1000)), None);
        drop(kept);
    }
}
