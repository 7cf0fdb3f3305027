//! One host's health: what failures and probes say about it, and when to probe it next.
//!
//! A state machine without clock, sockets or neighbours. Clients' failures and probes' failures count towards one run
//! of `fall`; only a probe takes a host back. An error of this machine is no evidence at all.

use std::time::Duration;

use crate::config;
use crate::model::limits::{
    AGGRESSIVE_MAX, AGGRESSIVE_MIN, FLAP_DOUBLINGS_MAX, FLAP_WINDOW, PROBE_SPREAD_MAX, SLOW_CONNECT_FACTOR,
};
use crate::model::status::HostStatus;
use crate::model::time::Moment;

/// The judgement of one host.
#[derive(Clone, Debug)]
pub struct Health {
    status: HostStatus,
    since: Moment,
    /// Where in a period this host is probed, in 1/65536, so that many hosts are not probed in one moment.
    phase: u16,
    /// Whether its group serves; only then is it probed while up.
    watched: bool,
    /// Failures in a row.
    failures: u32,
    /// Probes in a row that succeeded while down.
    successes: u32,
    /// Connections established as of the last failure.
    established: u64,
    /// When it was last taken back.
    returned: Option<Moment>,
    /// How many times in a row it failed soon after its return.
    flaps: u32,
    /// The next probe, as the rules have it.
    due: Option<Moment>,
    /// The next probe while no host of the group is left.
    eager: Option<Eager>,
    /// When the last probe started.
    started: Moment,
}

/// Probing with a back-off of its own while every host is down.
#[derive(Clone, Copy, Debug)]
struct Eager {
    at: Moment,
    wait: Duration,
}

impl Health {
    /// A host that nothing is known against. `number` sets it apart from others in time: consecutive numbers are
    /// spread evenly.
    #[must_use]
    pub fn new(now: Moment, number: u32) -> Self {
        Self {
            status: HostStatus::Up,
            since: now,
            phase: golden_phase(number),
            watched: false,
            failures: 0,
            successes: 0,
            established: 0,
            returned: None,
            flaps: 0,
            due: None,
            eager: None,
            started: Moment::START,
        }
    }

    /// The judgement.
    #[must_use]
    pub const fn status(&self) -> HostStatus {
        self.status
    }

    /// When the status last changed.
    #[must_use]
    pub const fn since(&self) -> Moment {
        self.since
    }

    /// When to probe next; a host that is down always has an answer. What it says while a probe is in flight does not
    /// count.
    #[must_use]
    pub fn next_probe(&self) -> Option<Moment> {
        match (self.due, self.eager) {
            (Some(due), Some(eager)) => Some(due.min(eager.at)),
            (due, eager) => due.or(eager.map(|eager| eager.at)),
        }
    }

    /// How long the next probe may take. A host in service gets the full time before it is called dead. One that is
    /// down gets no longer than its period, or a few times its usual connect where that is more, so that a host that
    /// comes back silently is not missed by a probe that began before.
    #[must_use]
    pub fn probe_timeout(&self, full: Duration, usual_connect: Duration, rules: &config::Manager) -> Duration {
        let period = match (self.status, self.eager) {
            (HostStatus::Up, _) => return full,
            (HostStatus::Down, Some(_)) => AGGRESSIVE_MAX,
            (HostStatus::Down, None) => rules.host_check.max(AGGRESSIVE_MAX),
        };
        full.min(period.max(usual_connect.saturating_mul(SLOW_CONNECT_FACTOR)))
    }

    /// Takes in whether the host's group serves, and the rules, which may have changed.
    pub fn watch(&mut self, now: Moment, watched: bool, rules: &config::Manager) {
        self.watched = watched;
        match self.status {
            HostStatus::Down => {
                let latest = now.after(self.time_out(rules));
                self.due = Some(self.due.map_or(latest, |due| due.min(latest)));
            }
            HostStatus::Up if !watched || (rules.heartbeat.is_none() && self.failures == 0) => self.due = None,
            HostStatus::Up => {
                let Some(heartbeat) = rules.heartbeat else { return };
                if self.due.is_none_or(|due| due > now.after(heartbeat)) {
                    self.due = Some(now.after(part(heartbeat, self.phase)));
                }
            }
        }
    }

    /// Takes in whether the host is to be probed eagerly, because no other is left.
    pub fn set_eager(&mut self, now: Moment, eager: bool) {
        if !eager {
            self.eager = None;
        } else if self.eager.is_none() {
            self.eager = Some(Eager { at: now, wait: AGGRESSIVE_MIN });
        }
    }

    /// A client's connect failed. `established` is the host's count of established connections: when it has grown
    /// since the last failure, that one was not in a row with this. Returns the new status if it changed.
    pub fn on_client_failed(&mut self, now: Moment, established: u64, rules: &config::Manager) -> Option<HostStatus> {
        if self.status == HostStatus::Down {
            self.successes = 0;
            return None;
        }
        if established != self.established {
            self.failures = 0;
            self.established = established;
        }
        self.count_failure(now, rules).or_else(|| {
            self.on_doubt(now);
            None
        })
    }

    /// There is reason to ask at once whether the host answers; by itself this counts for nothing.
    pub fn on_doubt(&mut self, now: Moment) {
        if self.status == HostStatus::Up && self.watched {
            self.due = earlier(self.due, self.soonest(now));
        }
    }

    /// A client was accepted by the host although it is down or suspected. It counts towards `rise`, but the last word
    /// is a probe's, because the report may be older than the failure. A flapping host sits out its time all the same.
    pub fn on_client_answered(&mut self, now: Moment, rules: &config::Manager) {
        if self.status == HostStatus::Up {
            return self.on_doubt(now);
        }
        self.successes = self.successes.saturating_add(1).min(rules.rise.saturating_sub(1));
        let soonest = self.soonest(now);
        if let Some(eager) = &mut self.eager {
            eager.at = eager.at.min(soonest);
        } else if self.flaps == 0 {
            self.due = earlier(self.due, soonest);
        }
    }

    /// When the last probe started.
    #[must_use]
    pub const fn probe_started(&self) -> Moment {
        self.started
    }

    /// A probe has started.
    pub const fn on_probe_started(&mut self, now: Moment) {
        self.started = now;
    }

    /// The probe reached the host. Returns the new status if it changed.
    pub fn on_probe_succeeded(&mut self, now: Moment, rules: &config::Manager) -> Option<HostStatus> {
        self.failures = 0;
        if self.status == HostStatus::Up {
            self.due = self.heartbeat(now, rules);
            return None;
        }
        if self.started < self.since {
            // It was asked before it failed.
            return None;
        }
        self.successes = self.successes.saturating_add(1);
        if self.successes < rules.rise {
            self.due = Some(self.started.after(rules.host_check).max(now));
            self.eager = self.eager.map(|_| Eager { at: now.after(AGGRESSIVE_MIN), wait: AGGRESSIVE_MIN });
            return None;
        }
        self.status = HostStatus::Up;
        self.since = now;
        self.returned = Some(now);
        self.eager = None;
        self.due = self.heartbeat(now, rules);
        Some(HostStatus::Up)
    }

    /// Its time is over, and nobody is to ask it. Returns the new status if it changed.
    pub fn on_time_over(&mut self, now: Moment, rules: &config::Manager) -> Option<HostStatus> {
        self.started = now;
        self.successes = rules.rise.saturating_sub(1);
        self.on_probe_succeeded(now, rules)
    }

    /// An operator says that it answers. Returns the new status if it changed.
    pub fn take_back(&mut self, now: Moment, rules: &config::Manager) -> Option<HostStatus> {
        (self.failures, self.flaps) = (0, 0);
        if self.status == HostStatus::Up {
            return None;
        }
        self.status = HostStatus::Up;
        self.since = now;
        self.returned = None;
        self.eager = None;
        self.due = self.heartbeat(now, rules);
        Some(HostStatus::Up)
    }

    /// The probe failed for a reason of the host's. Returns the new status if it changed.
    pub fn on_probe_failed(&mut self, now: Moment, rules: &config::Manager) -> Option<HostStatus> {
        let period = match (self.status, rules.heartbeat) {
            (HostStatus::Up, Some(heartbeat)) => heartbeat.min(rules.host_check),
            (HostStatus::Up | HostStatus::Down, _) => rules.host_check,
        };
        let next = self.started.after(period).max(now);
        if self.status == HostStatus::Up {
            self.due = self.watched.then_some(next);
            return self.count_failure(now, rules);
        }
        self.successes = 0;
        // An eager probe may fail long before the first regular one is due.
        self.due = Some(self.due.map_or(next, |due| due.max(next)));
        self.eager = self
            .eager
            .map(|eager| Eager { at: now.after(eager.wait), wait: eager.wait.saturating_mul(2).min(AGGRESSIVE_MAX) });
        None
    }

    /// The probe said nothing about the host: it failed here, or its answer was lost. Tries again after a pause.
    pub fn on_probe_void(&mut self, now: Moment) {
        let next = now.after(AGGRESSIVE_MAX);
        match self.status {
            HostStatus::Up => self.due = self.watched.then_some(next),
            HostStatus::Down => self.due = Some(self.due.map_or(next, |due| due.max(next))),
        }
        self.eager = self.eager.map(|eager| Eager { at: next, ..eager });
    }

    fn count_failure(&mut self, now: Moment, rules: &config::Manager) -> Option<HostStatus> {
        self.failures = self.failures.saturating_add(1);
        if self.failures < rules.fall {
            return None;
        }
        let flapping = self.returned.is_some_and(|returned| now.since(returned) < FLAP_WINDOW);
        self.flaps = if flapping { (self.flaps + 1).min(FLAP_DOUBLINGS_MAX) } else { 0 };
        self.status = HostStatus::Down;
        self.since = now;
        self.failures = 0;
        self.successes = 0;
        let wait = self.time_out(rules);
        self.due = Some(now.after(wait).after(part((wait / 8).min(PROBE_SPREAD_MAX), self.phase)));
        Some(HostStatus::Down)
    }

    /// How long a failed host stays out before its first probe.
    fn time_out(&self, rules: &config::Manager) -> Duration {
        rules.host_check.saturating_mul(1 << self.flaps).max(rules.checktime)
    }

    /// At once, but not right after the last probe: reports come in bursts.
    fn soonest(&self, now: Moment) -> Moment {
        now.max(self.started.after(AGGRESSIVE_MIN))
    }

    fn heartbeat(&self, now: Moment, rules: &config::Manager) -> Option<Moment> {
        rules.heartbeat.filter(|_| self.watched).map(|heartbeat| self.started.after(heartbeat).max(now))
    }
}

fn earlier(planned: Option<Moment>, other: Moment) -> Option<Moment> {
    Some(planned.map_or(other, |planned| planned.min(other)))
}

/// `phase` 65536ths of `whole`.
fn part(whole: Duration, phase: u16) -> Duration {
    whole / 65_536 * u32::from(phase)
}

/// The fractional part of `number` times the golden ratio: any run of numbers is spread evenly over 0 to 1
/// (Knuth, "Sorting and Searching", 6.4).
fn golden_phase(number: u32) -> u16 {
    u16::try_from(number.wrapping_mul(0x9E37_79B9) >> 16).unwrap_or(u16::MAX)
}
