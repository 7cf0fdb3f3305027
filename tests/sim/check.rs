//! What must be true, after every step and at the end.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use director::balancer::{Key, State};
use director::model::address::Endpoint;
use director::model::counters::HostCounters;
use director::model::id::HostId;
use director::model::outcome::CloseReason;
use director::model::role::Role;
use director::model::service::HostSpec;
use director::model::status::HostStatus;

use super::hosts;
use super::world::{Script, World};

/// The shortest time after which a connect is called slow, in milliseconds.
const SLOW: u64 = 100;

impl World {
    /// Brains are consistent, and the shared counters equal the sessions there are.
    pub(crate) fn check(&mut self) {
        self.note_suspects();
        let mut at_host: BTreeMap<Endpoint, u32> = BTreeMap::new();
        let (mut sessions, mut waiting) = (0, 0);
        for reactor in &mut self.reactors {
            reactor.balancer.check().unwrap();
            sessions += reactor.balancer.len();
            for key in
                (0..reactor.balancer.slots()).filter_map(|slot| reactor.balancer.key_at(slot)).collect::<Vec<_>>()
            {
                let state = reactor.balancer.state(key).unwrap();
                waiting += u32::from(state == State::Waiting);
                let script = reactor.balancer.io(key).unwrap();
                script.stubborn &= reactor.spec.as_ref().is_some_and(|spec| spec.is_stubborn);
                let elsewhere = matches!(state, State::Waiting | State::Retrying);
                assert_eq!(elsewhere, script.target.is_none(), "{state:?} with {:?}", script.target);
                if let Some(target) = script.target {
                    *at_host.entry(target).or_default() += 1;
                }
            }
        }
        let mut counted: BTreeMap<Endpoint, u32> = BTreeMap::new();
        for (addr, counters) in self.counters.values() {
            *counted.entry(*addr).or_default() += counters.open();
        }
        counted.retain(|_, open| *open > 0);
        assert_eq!(counted, at_host, "open connections by host: counted, and there");
        let Some(spec) = self.manager.published().next().cloned() else { panic!("nothing is published") };
        assert_eq!(spec.counters.open.load(Relaxed) as usize, sessions, "open sessions");
        assert_eq!(spec.counters.waiting.load(Relaxed), waiting, "waiting sessions");
        if let Some(table) = &spec.entrance.clients {
            let counted: Vec<usize> =
                (0..hosts::CLIENTS).map(|client| table.open(hosts::client(client).ip()) as usize).collect();
            assert!(counted.iter().sum::<usize>() <= sessions, "{counted:?} of {sessions} sessions");
            for (client, counted) in (0..).zip(counted) {
                let there = self.sessions_counted(table.number(), hosts::client(client));
                assert_eq!(counted, there, "connections of client {client}");
            }
        }
    }

    /// Sessions of this client that are counted in this table.
    fn sessions_counted(&mut self, table: u16, client: Endpoint) -> usize {
        let mut count = 0;
        for reactor in &mut self.reactors {
            for slot in 0..reactor.balancer.slots() {
                let Some(key) = reactor.balancer.key_at(slot) else { continue };
                let script = reactor.balancer.io(key).unwrap();
                count += usize::from(script.client == client && script.table == Some(table));
            }
        }
        count
    }

    /// A client is denied by the service's list when it comes, or later by those of all hosts that are for clients.
    pub(crate) fn check_denial(&mut self, number: usize, key: Key) {
        let is_denied = self.reactors[number].balancer.view(key.slot as usize).expect("it lives").is_denied;
        let Script { client, is_denied: was_denied, .. } = self.script(number, key).clone();
        if is_denied == was_denied {
            return;
        }
        assert!(is_denied, "{client} is let in");
        let spec = self.reactors[number].spec.clone().expect("a service is known");
        let is_for_it = |host: &&HostSpec| host.weight > 0 && host.level.role != Role::Abuse && may_serve(host, client);
        let could = spec.hosts.iter().find(is_for_it);
        assert!(could.is_none(), "{client} was denied, and {could:?} permits it");
        self.script(number, key).is_denied = true;
    }

    /// The brain's choice is one that it could make: wanted, not failed for this client, within its `max`, and down only
    /// when nobody who is up was left.
    pub(crate) fn check_choice(&mut self, number: usize, key: Key, chosen: Endpoint) -> HostId {
        let script = self.script(number, key).clone();
        let spec = self.reactors[number].spec.clone().expect("a service is known");
        let waited = Duration::from_millis(self.millis - script.opened);
        assert!(waited < spec.connect_timeout, "a client that waited {waited:?} is sent on");
        let host = spec.hosts.iter().find(|host| host.addr == chosen).expect("the host is in the publication");
        // Only a client that a silent host has kept waiting is offered again to one that failed.
        let again = script.failed.iter().any(|(id, at)| *id == host.id && self.millis < at + SLOW);
        assert!(!again, "{chosen} failed this client a moment ago");
        assert!(host.weight > 0, "{chosen} is drained");
        assert!(may_serve(host, script.client), "{chosen} denies {}", script.client);
        self.note_suspects();
        self.check_turn(number, key, &spec, host);
        let stuck = script.stubborn || spec.is_stubborn;
        self.script(number, key).stubborn &= spec.is_stubborn;
        if host.status == HostStatus::Down && !stuck {
            self.tally.last_resorts += 1;
            let better = spec.hosts.iter().find(|other| {
                let is_for_it = (other.level.role == Role::Abuse) == script.is_denied;
                // Who is denied waits for nobody.
                let is_full = script.is_denied && other.max.is_some_and(|max| other.counters.open() >= max);
                let is_up = other.status == HostStatus::Up && other.weight > 0;
                let may = may_serve(other, script.client);
                is_up && is_for_it && may && !is_full && !script.attempts.contains(&other.addr)
            });
            // Retries after local failures forget what was tried here; that is the only way to be asked again.
            assert!(better.is_none(), "{chosen} is down, and {better:?} was not tried");
        }
        host.id
    }

    /// A client is given up only when every host that its reactor knew and wanted has been tried.
    pub(crate) fn check_loss(&mut self, number: usize, key: Key, reason: CloseReason) {
        let Script { attempts, is_denied, client, .. } = self.script(number, key).clone();
        assert_eq!(reason == CloseReason::Denied, is_denied, "{reason:?}");
        self.tally.denied += u64::from(is_denied);
        let Some(spec) = self.reactors[number].spec.clone() else { return };
        if spec.is_stubborn {
            self.tally.stubborn_ends += u64::from(!attempts.is_empty());
            return;
        }
        let is_for_it = |host: &&HostSpec| {
            host.weight > 0 && (host.level.role == Role::Abuse) == is_denied && may_serve(host, client)
        };
        for host in spec.hosts.iter().filter(is_for_it) {
            let full = host.max.is_some_and(|max| host.counters.open() >= max);
            assert!(full || attempts.contains(&host.addr), "a client was given up, and {} was not tried", host.addr);
        }
    }

    /// Nobody is left, every counter is back, every reactor has the last generation, every host is up.
    pub(crate) fn check_rest(&mut self) {
        let newest = self.manager.published().next().expect("a service is published").clone();
        for (number, reactor) in self.reactors.iter().enumerate() {
            assert_eq!(reactor.balancer.len(), 0, "reactor {number} still has sessions");
            let generation = reactor.spec.as_ref().map(|spec| spec.generation);
            assert_eq!(generation, Some(newest.generation), "reactor {number}");
        }
        assert!(self.counters.values().all(|(_, counters)| counters.open() == 0));
        assert_eq!(newest.counters.open.load(Relaxed), 0);
        // What an operator has taken out of service is not asked.
        for host in newest.hosts.iter().filter(|host| host.weight > 0 || self.manager.will_probe(host.id)) {
            assert_eq!(host.status, HostStatus::Up, "{} answers, and is not taken back", host.addr);
        }
        let accepted = newest.counters.accepted.load(Relaxed);
        assert_eq!(accepted, self.tally.opened, "accepted");
        assert_eq!(accepted, newest.counters.closed_total(), "accepted and closed");
        let sum = |of: fn(&HostCounters) -> u64| self.counters.values().map(|(_, counters)| of(counters)).sum::<u64>();
        let established = sum(|counters| counters.established.load(Relaxed));
        assert_eq!(sum(|counters| counters.connect_times.total()), established, "connect times");
        assert_eq!(newest.counters.waits.total(), established, "waits");
        let lost = newest.counters.closed(CloseReason::Panicked);
        let lasted = sum(|counters| counters.lifetimes.total());
        assert!((established.saturating_sub(lost)..=established).contains(&lasted), "{lasted} of {established} lasted");
        let bytes: u64 = self.counters.values().map(|(_, counters)| counters.bytes_up.load(Relaxed)).sum();
        assert!(bytes <= accepted && bytes + lost >= self.tally.served / 2, "{bytes} bytes of {accepted} sessions");
    }
}

pub(crate) fn may_serve(host: &HostSpec, client: Endpoint) -> bool {
    host.acl.as_ref().is_none_or(|acl| acl.permits(client.ip()))
}
