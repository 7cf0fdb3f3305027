//! One host address: what is configured of it, and what is known.

use std::sync::Arc;
use std::time::Duration;

use crate::config;
use crate::model::address::Endpoint;
use crate::model::check::{Check, Probe};
use crate::model::counters::HostCounters;
use crate::model::id::HostId;
use crate::model::outcome::Blame;
use crate::model::snapshot::ProbesView;
use crate::model::socket_options::{ConnectOptions, Outbound};
use crate::model::status::{AdminState, HostStatus};
use crate::model::time::Moment;

use super::health::Health;
use super::probe_log::ProbeLog;
use super::registry::Position;

/// One host address.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) at: Position,
    pub(super) addr: Endpoint,
    pub(super) counters: Arc<HostCounters>,
    pub(super) health: Health,
    /// Why it has the status that it has; empty as long as nothing has happened.
    pub(super) why: String,
    pub(super) admin: AdminState,
    /// Least time that it stays out when it has failed, if that is not as for all.
    pub(super) checktime: Option<Duration>,
    /// How it is probed.
    pub(super) check: Arc<Check>,
    /// What the probe under way asks, which a reload does not change.
    asked: Arc<Check>,
    /// Whether its group says how.
    pub(super) is_checked: bool,
    log: ProbeLog,
    /// Until when an operator keeps it out, and how often one did.
    pub(super) kept_out: Option<Moment>,
    pub(super) times_kept_out: u64,
    pub(super) outbound: Option<Arc<Outbound>>,
}

impl Host {
    pub(super) fn new(now: Moment, id: HostId, at: Position, addr: Endpoint) -> Self {
        let check = Arc::new(Check::connect());
        Self {
            at,
            addr,
            counters: Arc::default(),
            health: Health::new(now, id.0),
            why: String::new(),
            admin: AdminState::Up,
            checktime: None,
            asked: Arc::clone(&check),
            check,
            is_checked: false,
            log: ProbeLog::default(),
            kept_out: None,
            times_kept_out: 0,
            outbound: None,
        }
    }

    /// The rules as they are for it: a check with an interval asks hosts that are up and hosts that are down as often.
    pub(super) fn rules(&self, rules: &config::Manager) -> config::Manager {
        let interval = self.check.interval;
        config::Manager {
            checktime: self.checktime.unwrap_or(rules.checktime),
            host_check: interval.unwrap_or(rules.host_check),
            heartbeat: interval.or(rules.heartbeat),
            ..rules.clone()
        }
    }

    /// Whether nobody asks it anything.
    pub(super) fn is_passive(&self) -> bool {
        self.check.probe == Probe::Passive
    }

    /// When to probe it. What is out of service is left alone, and where nobody asks only those that failed have a time.
    pub(super) fn next_probe(&self) -> Option<Moment> {
        let is_idle = self.is_passive() && self.health.status() == HostStatus::Up;
        if self.admin == AdminState::Down || is_idle { None } else { self.health.next_probe() }
    }

    /// How long its next probe may take, at most `full` unless its check says more. What answers a check may always take
    /// as long, also when it is about to come back.
    pub(super) fn probe_timeout(&self, full: Duration, rules: &config::Manager) -> Duration {
        if !self.is_checked {
            return self.health.probe_timeout(full, self.counters.connect_time(), &self.rules(rules));
        }
        let usual = self.check.interval.map_or(full, |interval| interval.min(full));
        self.check.timeout.unwrap_or(usual)
    }

    /// Where it is probed.
    pub(super) fn probed_addr(&self) -> Endpoint {
        match self.addr {
            Endpoint::Ip(mut addr) => {
                addr.set_port(self.check.port.unwrap_or(addr.port()));
                Endpoint::Ip(addr)
            }
            Endpoint::Unix(_) => self.addr,
        }
    }

    /// What to ask it now.
    pub(super) fn ask(&mut self) -> Arc<Check> {
        self.asked = Arc::clone(&self.check);
        Arc::clone(&self.check)
    }

    /// Remembers what came of a probe, and returns it; none if it was asked something else than it would be now.
    pub(super) fn note_probe(
        &mut self,
        now: Moment,
        result: Result<Duration, Blame>,
    ) -> Option<Result<Duration, Blame>> {
        if !Arc::ptr_eq(&self.asked, &self.check) {
            return None;
        }
        self.log.add(now, self.health.probe_started(), result);
        Some(result)
    }

    /// What came of its probes.
    pub(super) fn probes(&self, now: Moment) -> ProbesView {
        self.log.view(now, self.check.probe.name())
    }

    /// Takes how to connect to it. What stays the same keeps the turn of its source addresses.
    pub(super) fn take_connect(&mut self, connect: &ConnectOptions) {
        let known = self.outbound.as_ref().map(|outbound| outbound.options());
        let connect = connect.clone().fit(self.addr);
        if known.unwrap_or(&ConnectOptions::default()) != &connect {
            self.outbound = Outbound::new(self.addr, connect).map(Arc::new);
        }
    }

    /// Takes how to probe it: as its group says, or as is usual. A socket of this machine has no ports and takes no
    /// datagrams: what is asked over those is not asked there.
    pub(super) fn take_check(&mut self, own: Option<&Check>, serves_connections: bool) {
        let is_datagram = |check: &&Check| matches!(check.probe, Probe::Udp(_) | Probe::Dns(_));
        let own = own.filter(|check| matches!(self.addr, Endpoint::Ip(_)) || !is_datagram(check));
        self.is_checked = own.is_some();
        let usual = || Check::usual(serves_connections);
        let check = own.cloned().unwrap_or_else(usual);
        if *self.check != check {
            self.check = Arc::new(check);
            // What another check found says nothing about this one.
            self.log.forget_last();
        }
    }
}
