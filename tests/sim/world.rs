//! The world: what exists, what happens next, and what each happening does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use director::balancer::{Balancer, Due, Key, Next, Target, Traffic};
use director::manager::{Effect, Event, Manager, Settings};
use director::model::address::Endpoint;
use director::model::counters::HostCounters;
use director::model::id::{HostId, ServiceId};
use director::model::limits::{CONNECT_TIMEOUT, EXACT_HOSTS_MAX, FIN_TIMEOUT, IDLE_TIMEOUT};
use director::model::outcome::{Blame, CloseReason, Fault, Side};
use director::model::report::Report;
use director::model::rng::Rng;
use director::model::service::ServiceSpec;
use director::model::socket_options::ConnectOptions;
use director::model::time::Moment;

use super::hosts::{self, HOSTS, Mood};
use super::tally::Tally;

pub(crate) const REACTORS: usize = 3;
const S: ServiceId = ServiceId(0);

/// What the shell keeps of a session.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) target: Option<Endpoint>,
    pub(crate) host: Option<HostId>,
    pub(crate) attempt: u32,
    pub(crate) is_denied: bool,
    /// The hosts that it was to return to when it came, the best first.
    pub(crate) own: Option<[HostId; 2]>,
    /// Whether it has been in the queue.
    pub(crate) waited: bool,
    /// Whether its service has been stubborn at each of its attempts.
    pub(crate) stubborn: bool,
    pub(crate) attempts: Vec<Endpoint>,
    pub(crate) failed: Vec<(HostId, u64)>,
    pub(crate) connected: bool,
    pub(crate) opened: u64,
    pub(crate) client: Endpoint,
    /// It is counted in the table of clients of this number.
    pub(crate) table: Option<u16>,
}

pub(crate) struct Reactor {
    pub(crate) balancer: Balancer<Script>,
    pub(crate) spec: Option<Arc<ServiceSpec>>,
    inbox: VecDeque<(u64, Arc<ServiceSpec>)>,
}

enum Happening {
    Connected { reactor: usize, key: Key, attempt: u32, result: Result<(), Blame> },
    Leaves { reactor: usize, key: Key },
    Report(Report),
    Probed(HostId, Result<Duration, Blame>),
}

pub(crate) struct World {
    seed: u64,
    pub(crate) rng: Rng,
    pub(crate) millis: u64,
    pub(crate) reactors: Vec<Reactor>,
    pub(crate) manager: Manager,
    pub(crate) moods: Vec<Mood>,
    pub(crate) counters: BTreeMap<HostId, (Endpoint, Arc<HostCounters>)>,
    /// When each host was last seen suspected, in milliseconds.
    pub(crate) suspected: BTreeMap<HostId, u64>,
    pub(crate) tally: Tally,
    agenda: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    calm: bool,
}

/// A brain that chooses as among few hosts in every other run, and as among many in the others.
fn balancer(run: u64, seed: u64) -> Balancer<Script> {
    Balancer::with_exact_hosts_max(seed, if run.is_multiple_of(2) { EXACT_HOSTS_MAX } else { 0 })
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let settings = Settings {
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            fin_timeout: FIN_TIMEOUT,
            connect: ConnectOptions::default(),
            ephemeral_ports: 32_768..=60_999,
        };
        let reactor = |number| Reactor { balancer: balancer(seed, seed ^ number), spec: None, inbox: VecDeque::new() };
        let mut world = Self {
            seed,
            rng: Rng::new(seed),
            millis: 0,
            reactors: (0..REACTORS as u64).map(reactor).collect(),
            manager: Manager::new(settings),
            moods: vec![Mood::Alive; usize::try_from(HOSTS).unwrap()],
            counters: BTreeMap::new(),
            suspected: BTreeMap::new(),
            tally: Tally::default(),
            agenda: BTreeMap::new(),
            sequence: 0,
            calm: false,
        };
        world.reload();
        world
    }

    pub(crate) fn now(&self) -> Moment {
        Moment::from_millis(self.millis)
    }

    /// One random happening, then all that follows from it.
    pub(crate) fn step(&mut self) {
        match self.rng.below(40) {
            0 => {
                let host = usize::try_from(self.rng.below(HOSTS)).unwrap();
                self.moods[host] = Mood::random(&mut self.rng);
            }
            1 if self.rng.one_in(5) => self.reload(),
            2 if self.rng.one_in(10) => self.lose_reactor(),
            14 if self.rng.one_in(5) => self.blacklist(),
            3..=12 => {
                let millis = 1 + self.rng.below(30);
                self.pass(millis);
            }
            13 if self.rng.one_in(4) => {
                let millis = self.rng.below(3000);
                self.pass(millis);
            }
            _ => self.open(),
        }
        self.settle();
    }

    /// All hosts are well again, nobody comes any more: everything must end and every host be up.
    pub(crate) fn come_to_rest(&mut self) {
        self.calm = true;
        self.moods.fill(Mood::Alive);
        for _ in 0..4000 {
            self.pass(25);
            self.settle();
        }
        self.check_rest();
    }

    fn pass(&mut self, millis: u64) {
        self.millis += millis;
    }

    fn plan(&mut self, wait: u64, happening: Happening) {
        self.sequence += 1;
        self.agenda.insert((self.millis + wait, self.sequence), happening);
    }

    fn reload(&mut self) {
        let config = hosts::config(&mut self.rng);
        let _ = self.manager.reload(self.now(), &config);
        self.tally.reloads += 1;
        self.obey();
    }

    /// An operator keeps a host out for a while, or takes it back.
    fn blacklist(&mut self) {
        let ids: Vec<HostId> = self.manager.hosts().map(|(id, ..)| id).collect();
        let id = ids[usize::try_from(self.rng.below(ids.len() as u64)).unwrap()];
        let time = Duration::from_millis(self.rng.below(4) * self.rng.below(500));
        self.tally.blacklisted += u64::from(!time.is_zero());
        self.manager.blacklist(self.now(), &[id], time);
        self.obey();
    }

    /// A reactor's thread dies and starts afresh from the last publication that it saw.
    fn lose_reactor(&mut self) {
        let number = usize::try_from(self.rng.below(REACTORS as u64)).unwrap();
        let seed = self.rng.next_u64();
        let reactor = &mut self.reactors[number];
        let _ = reactor.balancer.abandon();
        reactor.balancer = balancer(self.seed, seed);
        if let Some(spec) = &reactor.spec {
            reactor.balancer.apply(Arc::clone(spec));
        }
        self.tally.panics += 1;
    }

    fn open(&mut self) {
        let number = usize::try_from(self.rng.below(REACTORS as u64)).unwrap();
        let (now, opened) = (self.now(), self.millis);
        let client = hosts::client(self.rng.below(hosts::CLIENTS));
        let spec = self.reactors[number].spec.clone();
        let entrance = spec.as_ref().map(|spec| spec.entrance.clone()).unwrap_or_default();
        let is_denied = entrance.acl.is_some_and(|acl| !acl.permits(client.ip()));
        let table = entrance.clients.filter(|_| !is_denied).map(|table| table.number());
        let script = Script {
            target: None,
            host: None,
            attempt: 0,
            is_denied,
            own: self.own_hosts(number, client),
            waited: false,
            stubborn: true,
            attempts: Vec::new(),
            failed: Vec::new(),
            connected: false,
            opened,
            client,
            table,
        };
        let balancer = &mut self.reactors[number].balancer;
        if !balancer.reserve(S, false) {
            return;
        }
        let (key, next) = balancer.open(now, S, client, script).unwrap();
        self.tally.opened += 1;
        if next == Next::Wait {
            self.tally.waited += 1;
        }
        if next == Next::Close(CloseReason::ClientLimit) {
            self.tally.limited += 1;
            self.script(number, key).table = None;
        }
        self.advance(number, key, next);
    }

    fn advance(&mut self, number: usize, key: Key, next: Next) {
        match next {
            Next::Connect(target) => self.connect(number, key, target),
            Next::Wait => {
                let script = self.script(number, key);
                (script.target, script.waited) = (None, true);
            }
            Next::Close(reason) => self.close(number, key, reason),
        }
    }

    fn connect(&mut self, number: usize, key: Key, target: Target) {
        self.check_denial(number, key);
        let host = self.check_choice(number, key, target.addr);
        let script = self.script(number, key);
        script.host = Some(host);
        script.target = Some(target.addr);
        script.attempts.push(target.addr);
        script.connected = false;
        script.attempt += 1;
        let attempt = script.attempt;
        if attempt > 1 {
            self.tally.moved_on += 1;
        }
        let mood = self.moods[hosts::index(target.addr)];
        if let Some((wait, result)) = mood.connect(&mut self.rng) {
            self.plan(wait, Happening::Connected { reactor: number, key, attempt, result });
        }
        if self.rng.one_in(50) {
            let wait = self.rng.below(200);
            self.plan(wait, Happening::Leaves { reactor: number, key });
        }
    }

    fn close(&mut self, number: usize, key: Key, reason: CloseReason) {
        self.check_denial(number, key);
        if matches!(reason, CloseReason::NoHost | CloseReason::Denied) {
            self.check_loss(number, key, reason);
        }
        if matches!(reason, CloseReason::NoHost | CloseReason::ConnectTimeout | CloseReason::Local) {
            self.tally.given_up += 1;
        }
        let now = self.now();
        assert!(self.reactors[number].balancer.close(now, key, reason, Traffic { up: 1, down: 2 }).is_some());
    }

    pub(crate) fn script(&mut self, number: usize, key: Key) -> &mut Script {
        self.reactors[number].balancer.io(key).expect("a session that the brain speaks of lives")
    }

    /// Everything that is due happens, in order, and everybody gets their messages.
    fn settle(&mut self) {
        while let Some((&when, _)) = self.agenda.first_key_value().filter(|((at, _), _)| *at <= self.millis) {
            let happening = self.agenda.remove(&when).unwrap();
            self.happen(happening);
        }
        for number in 0..REACTORS {
            self.turn(number);
        }
        if self.manager.next_deadline().is_some_and(|deadline| deadline <= self.now()) {
            self.manager.on_deadline(self.now());
            self.obey();
        }
        self.check();
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Connected { reactor, key, attempt, result } => {
                let now = self.now();
                let balancer = &mut self.reactors[reactor].balancer;
                if balancer.io(key).is_none_or(|script| script.attempt != attempt || script.target.is_none()) {
                    return;
                }
                if let (Err(Blame::Host(_)), Some(script)) = (result, balancer.io(key)) {
                    script.failed.extend(script.host.map(|host| (host, self.millis)));
                }
                if let Err(blame) = result {
                    let next = balancer.connect_failed(now, key, blame);
                    return self.advance(reactor, key, next);
                }
                balancer.connected(now, key);
                balancer.io(key).unwrap().connected = true;
                self.tally.served += 1;
                let wait = self.rng.below(2000);
                self.plan(wait, Happening::Leaves { reactor, key });
            }
            Happening::Leaves { reactor, key } => {
                if let Some(script) = self.reactors[reactor].balancer.io(key) {
                    let reason =
                        if script.connected { CloseReason::Finished } else { CloseReason::Reset(Side::Client) };
                    self.close(reactor, key, reason);
                }
            }
            Happening::Report(report) => {
                self.manager.on_event(self.now(), Event::Report(report));
                self.obey();
            }
            Happening::Probed(host, result) => {
                self.manager.on_event(self.now(), Event::ProbeEnded { host, result });
                self.obey();
            }
        }
    }

    fn turn(&mut self, number: usize) {
        let now = self.now();
        while let Some((key, due)) = self.reactors[number].balancer.next_due(now) {
            match due {
                Due::Connect(target) => self.connect(number, key, target),
                Due::Abandon => self.advance(number, key, Next::Wait),
                Due::Close(reason) => self.close(number, key, reason),
                Due::Wake => panic!("nobody asked for a wake-up"),
            }
        }
        while self.reactors[number].inbox.front().is_some_and(|(at, _)| *at <= self.millis) {
            let (_, spec) = self.reactors[number].inbox.pop_front().unwrap();
            self.reactors[number].balancer.apply(Arc::clone(&spec));
            self.reactors[number].spec = Some(spec);
        }
        while let Some((key, next)) = self.reactors[number].balancer.next_waiting(now) {
            self.advance(number, key, next);
        }
        let reports: Vec<Report> = self.reactors[number].balancer.take_reports().collect();
        for report in reports {
            if !self.calm && self.rng.one_in(20) {
                self.tally.reports_lost += 1;
            } else {
                let wait = self.rng.below(100);
                self.plan(wait, Happening::Report(report));
            }
        }
    }

    /// Does what the manager wants.
    fn obey(&mut self) {
        for effect in self.manager.take_effects() {
            match effect {
                Effect::Publish(spec) => self.publish(&spec),
                Effect::Probe { host, addr, timeout, .. } => self.probe(host, addr, timeout),
                Effect::Remove(service) => panic!("service {service:?} was never removed"),
                Effect::Resolve { name } => panic!("{name} is in no configuration"),
                Effect::Log { .. } => {}
            }
        }
    }

    fn publish(&mut self, spec: &Arc<ServiceSpec>) {
        self.tally.publications += 1;
        for host in &spec.hosts {
            self.counters.insert(host.id, (host.addr, Arc::clone(&host.counters)));
        }
        for number in 0..REACTORS {
            // A mailbox keeps its order.
            let earliest = self.reactors[number].inbox.back().map_or(0, |(at, _)| *at);
            // What was not read yet may be replaced by what is newer.
            if self.rng.one_in(3) {
                self.reactors[number].inbox.pop_back();
            }
            let at = (self.millis + self.rng.below(50)).max(earliest);
            self.reactors[number].inbox.push_back((at, Arc::clone(spec)));
        }
    }

    fn probe(&mut self, host: HostId, addr: Endpoint, timeout: Duration) {
        let timeout = u64::try_from(timeout.as_millis()).unwrap();
        let mood = self.moods[hosts::index(addr)];
        let (wait, result) = match mood.connect(&mut self.rng) {
            Some((wait, Ok(()))) if wait < timeout => (wait, Ok(Duration::from_millis(wait))),
            Some((wait, Err(blame))) => (wait, Err(blame)),
            Some((_, Ok(()))) | None => (timeout, Err(Blame::Host(Fault::TimedOut))),
        };
        self.plan(wait, Happening::Probed(host, result));
    }
}
