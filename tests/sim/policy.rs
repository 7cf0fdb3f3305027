//! What must be true of each choice: whose turn it was.

use director::balancer::Key;
use director::model::id::HostId;
use director::model::limits::SUSPECTED_LOOK;
use director::model::role::Role;
use director::model::service::{HostSpec, ServiceSpec};
use director::model::status::HostStatus;
use director::model::sticky::StickyMode;

use super::world::{Script, World};

impl World {
    /// The hosts that a client who comes to this reactor now is to return to, the best first, as far as the table says.
    pub(crate) fn own_hosts(&self, number: usize, client: std::net::SocketAddr) -> Option<[HostId; 2]> {
        let spec = self.reactors[number].spec.as_ref()?;
        // A client that may have been forgotten meanwhile has none.
        let table = spec.table.as_ref().filter(|_| spec.sticky.ttl.is_zero())?;
        let known = table.peek(spec.sticky.prefixes.network(client.ip()))?;
        let home = spec.hosts.iter().find(|host| host.id == known.home);
        let home = home.filter(|home| self.could_take_own(home));
        Some([home.map_or(known.host, |home| home.id), known.host])
    }

    fn could_take_own(&self, host: &HostSpec) -> bool {
        let has_room = host.hard.or(host.max).is_none_or(|most| host.counters.open() < most);
        host.level.role == Role::Normal && self.is_sound(host) && has_room
    }

    fn is_sound(&self, host: &HostSpec) -> bool {
        host.weight > 0 && host.status == HostStatus::Up && !host.counters.is_suspected(self.now())
    }

    /// Notes who is suspected at the moment.
    pub(crate) fn note_suspects(&mut self) {
        let now = self.now();
        let suspects = self.counters.iter().filter(|(_, (_, counters))| counters.is_suspected(now));
        let suspects: Vec<HostId> = suspects.map(|(id, _)| *id).collect();
        for id in suspects {
            self.suspected.insert(id, self.millis);
        }
    }

    /// A brain of many hosts looks at those that were suspected from time to time only.
    fn was_suspected_lately(&self, host: &HostSpec) -> bool {
        let wait = u64::try_from(SUSPECTED_LOOK.as_millis()).unwrap();
        self.suspected.get(&host.id).is_some_and(|at| self.millis <= at + wait)
    }

    /// The choice respects stickiness, roles, priorities and stubbornness.
    pub(crate) fn check_turn(&mut self, number: usize, key: Key, spec: &ServiceSpec, chosen: &HostSpec) {
        let script = self.script(number, key).clone();
        let is_own = script.own.is_some_and(|own| own.contains(&chosen.id));
        self.check_role(&script, spec, chosen);
        self.check_return(&script, spec, chosen);
        self.check_limit(&script, spec, chosen, is_own);
        // Whether a client who waited or was moved on has returned nobody can tell any more.
        let may_be_own = spec.sticky.mode != StickyMode::Off && (is_own || script.attempt > 0 || script.waited);
        if !may_be_own && spec.sticky.mode != StickyMode::Hash && self.is_sound(chosen) {
            self.check_prio(&script, spec, chosen);
        }
        let stubborn = script.stubborn && spec.is_stubborn;
        let same = script.attempts.iter().all(|attempt| *attempt == chosen.addr);
        assert!(!stubborn || same, "a client of a stubborn service goes from {:?} to {}", script.attempts, chosen.addr);
    }

    fn check_role(&mut self, script: &Script, spec: &ServiceSpec, chosen: &HostSpec) {
        let role = chosen.level.role;
        assert_eq!(role == Role::Abuse, script.is_denied, "{} is {role:?}, denied: {}", chosen.addr, script.is_denied);
        self.tally.abused += u64::from(script.is_denied);
        if role != Role::Emergency {
            return;
        }
        self.tally.emergencies += 1;
        let better = spec.hosts.iter().find(|host| {
            let has_room = host.max.is_none_or(|max| host.counters.open() < max);
            let is_there = host.weight > 0 && host.status == HostStatus::Up && has_room;
            host.level.role == Role::Normal && is_there && !script.attempts.contains(&host.addr)
        });
        let stuck = script.stubborn || spec.is_stubborn;
        assert!(stuck || better.is_none(), "an emergency at {}, and {better:?} could take it", chosen.addr);
    }

    fn check_return(&mut self, script: &Script, spec: &ServiceSpec, chosen: &HostSpec) {
        let is_first = script.attempt == 0 && !script.waited && !script.is_denied;
        let own = script.own.filter(|_| is_first && spec.sticky.mode == StickyMode::Table);
        let Some([own, second]) = own else { return };
        let Some(own) = spec.hosts.iter().find(|host| host.id == own) else { return };
        // Where others wait, a place that is not for them is better than one that is.
        let is_above = chosen.max.is_some_and(|max| chosen.counters.open() > max);
        if own.id == chosen.id || (second == chosen.id && is_above) {
            self.tally.returned += 1;
            return;
        }
        assert!(!self.could_take_own(own), "a client of {} was sent to {}", own.addr, chosen.addr);
        let is_for_clients = own.level.role != Role::Abuse;
        let wanted = is_for_clients && own.weight > 0 && own.max.is_none_or(|max| own.counters.open() < max);
        assert!(!spec.is_stubborn || !wanted, "a client of {} was sent to {} by force", own.addr, chosen.addr);
    }

    /// Strangers never take a place above `max`, nobody one above `hard`.
    fn check_limit(&mut self, script: &Script, spec: &ServiceSpec, chosen: &HostSpec, is_own: bool) {
        let Some(max) = chosen.max else { return };
        // A publication that lowers the limit leaves the connections in progress alone, and so does one that lags.
        let newest = self.manager.published().next();
        let newest = newest.and_then(|spec| spec.hosts.iter().find(|host| host.addr == chosen.addr));
        if newest.is_none_or(|newest| (newest.max, newest.hard) != (chosen.max, chosen.hard)) {
            return;
        }
        let open = chosen.counters.open();
        let may_be_own = spec.sticky.mode != StickyMode::Off && (is_own || script.attempt > 0 || script.waited);
        let hashed = spec.sticky.mode == StickyMode::Hash;
        let most = if may_be_own || hashed || !spec.sticky.ttl.is_zero() { chosen.hard.unwrap_or(max) } else { max };
        assert!(open <= most, "{} has {open} of {most}, own: {is_own}", chosen.addr);
        self.tally.above_max += u64::from(open > max);
    }

    fn check_prio(&mut self, script: &Script, spec: &ServiceSpec, chosen: &HostSpec) {
        let lower = |host: &&HostSpec| host.level.role == chosen.level.role && host.level.prio < chosen.level.prio;
        self.tally.lower_prios += u64::from(spec.hosts.iter().any(|host| lower(&host)));
        let better = spec.hosts.iter().filter(lower).find(|host| {
            let has_room = host.max.is_none_or(|max| host.counters.open() < max);
            let sure = !self.was_suspected_lately(host);
            self.is_sound(host) && has_room && sure && !script.attempts.contains(&host.addr)
        });
        let stuck = script.stubborn || spec.is_stubborn;
        assert!(stuck || better.is_none(), "{} was chosen before {better:?}", chosen.addr);
    }
}
