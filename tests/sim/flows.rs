//! Flows of datagrams on several reactors: clients ask, hosts answer late or not at all or are refused, come and go, and
//! tables are small. After every step all accounts agree, and every answer comes to the client that it is for.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use director::balancer::Client;
use director::balancer::flows::{Arrival, Flows, Forward, SocketId};
use director::model::datagram::{Dropped, FlowRules, SessionKind};
use director::model::id::{HostId, ServiceId};
use director::model::outcome::{CloseReason, Fault};
use director::model::rng::Rng;
use director::model::role::Level;
use director::model::scheduler::SchedulerKind;
use director::model::service::{HostSpec, ServiceSpec};
use director::model::status::HostStatus;
use director::model::sticky::{StickyMode, StickyRules, StickyTable};
use director::model::time::Moment;

const REACTORS: usize = 2;
const HOSTS: u64 = 5;
const CLIENTS: u64 = 60;
const FLOWS_MAX: usize = 20;
const SOCKETS_MAX: usize = 6;
const SERVICE: ServiceId = ServiceId(0);

/// What a run has met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    forwarded: u64,
    answered: u64,
    late: u64,
    refused: u64,
    sent_again: u64,
    moved: u64,
    recycled: u64,
    no_flow: u64,
    no_host: u64,
    no_socket: u64,
    ended: u64,
    killed: u64,
    publications: u64,
}

impl Tally {
    pub(crate) fn all(&self) -> [(&'static str, u64); 13] {
        [
            ("forwarded", self.forwarded),
            ("answered", self.answered),
            ("late answers", self.late),
            ("refused", self.refused),
            ("sent again", self.sent_again),
            ("moved", self.moved),
            ("recycled", self.recycled),
            ("without a flow", self.no_flow),
            ("without a host", self.no_host),
            ("without a socket", self.no_socket),
            ("ended", self.ended),
            ("killed", self.killed),
            ("publications", self.publications),
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.forwarded += other.forwarded;
        self.answered += other.answered;
        self.late += other.late;
        self.refused += other.refused;
        self.sent_again += other.sent_again;
        self.moved += other.moved;
        self.recycled += other.recycled;
        self.no_flow += other.no_flow;
        self.no_host += other.no_host;
        self.no_socket += other.no_socket;
        self.ended += other.ended;
        self.killed += other.killed;
        self.publications += other.publications;
    }
}

/// A question on its way.
#[derive(Clone, Copy, Debug)]
struct Question {
    reactor: usize,
    socket: SocketId,
    host: SocketAddr,
    client: SocketAddr,
    asked: u64,
    due: u64,
}

struct World {
    rng: Rng,
    millis: u64,
    reactors: Vec<Flows>,
    spec: ServiceSpec,
    questions: VecDeque<Question>,
    /// Hosts that refuse.
    dead: BTreeMap<SocketAddr, bool>,
    /// Where a client's last datagram went.
    last: BTreeMap<SocketAddr, SocketAddr>,
    tally: Tally,
}

/// Runs a world of this seed for so many steps and to its end.
pub(crate) fn run(seed: u64, steps: u64) -> Tally {
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
        world.check();
    }
    world.come_to_rest();
    world.tally
}

fn host(number: u64) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(number).unwrap()], 53))
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut reactors: Vec<Flows> =
            (0..REACTORS).map(|_| Flows::with_exact_hosts_max(rng.next_u64(), FLOWS_MAX, SOCKETS_MAX, 3)).collect();
        let host = |number: u64| HostSpec {
            id: HostId(u32::try_from(number).unwrap()),
            addr: host(number),
            weight: 1,
            share: 1,
            max: None,
            hard: None,
            level: Level::default(),
            status: HostStatus::Up,
            may_meet_itself: false,
            outbound: None,
            counters: Arc::default(),
        };
        let kinds = SchedulerKind::ALL;
        let is_sticky = rng.one_in(2);
        let mode = if is_sticky { StickyMode::Table } else { StickyMode::Off };
        let kind = if rng.one_in(3) { SessionKind::Packet } else { SessionKind::Flow };
        let responses = if rng.one_in(3) { Some(u32::try_from(rng.below(3)).unwrap()) } else { None };
        let spec = ServiceSpec {
            id: SERVICE,
            generation: 1,
            name: "s".into(),
            scheduler: kinds[usize::try_from(rng.below(kinds.len() as u64)).unwrap()],
            sticky: StickyRules { mode, ..StickyRules::default() },
            table: is_sticky.then(|| Arc::new(StickyTable::new(32))),
            is_stubborn: rng.one_in(8),
            hosts: (0..HOSTS).map(host).collect(),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            fin_timeout: Duration::from_secs(10),
            flows: FlowRules { kind, responses, timeout: Duration::from_secs(1 + rng.below(10)) },
            max_connections: rng.one_in(4).then_some(25),
            rotation: Arc::default(),
            counters: Arc::default(),
        };
        reactors.iter_mut().for_each(|flows| flows.apply(Arc::new(spec.clone())));
        Self {
            rng,
            millis: 0,
            reactors,
            spec,
            questions: VecDeque::new(),
            dead: BTreeMap::new(),
            last: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    fn now(&self) -> Moment {
        Moment::from_millis(self.millis)
    }

    fn step(&mut self) {
        match self.rng.below(20) {
            0..=9 => self.ask(),
            10..=14 => self.answer(),
            15 => self.millis += self.rng.below(40),
            16 => self.millis += if self.rng.one_in(4) { self.rng.below(4000) } else { self.rng.below(400) },
            17 => self.change(),
            18 => self.kill(),
            _ => self.shrink(),
        }
        for number in 0..REACTORS {
            while let Some((key, reason)) = self.reactors[number].next_due(Moment::from_millis(self.millis)) {
                assert!(self.reactors[number].close(Moment::from_millis(self.millis), key, reason).is_some());
                self.tally.ended += 1;
            }
            self.reactors[number].take_reports().for_each(drop);
        }
    }

    /// A client sends a datagram; the kernel's hash gives each to one reactor.
    fn ask(&mut self) {
        let number = self.rng.below(CLIENTS);
        let client = SocketAddr::from(([192, 0, 2, u8::try_from(number).unwrap()], 4000));
        let reactor = usize::try_from(number).unwrap() % REACTORS;
        let local: Option<IpAddr> = number.is_multiple_of(3).then(|| "203.0.113.1".parse().unwrap());
        let arrival = Arrival {
            service: SERVICE,
            listener: u32::try_from(number % 2).unwrap(),
            client: Client::from(client),
            local,
            count: 1,
            bytes: 10,
            last: 10,
        };
        let now = self.now();
        match self.reactors[reactor].arrive(now, &arrival) {
            Ok(forward) => self.forward(reactor, client, forward),
            Err(Dropped::NoFlow) => self.tally.no_flow += 1,
            Err(Dropped::NoHost) => self.tally.no_host += 1,
            Err(other) => panic!("{other:?}"),
        }
    }

    fn forward(&mut self, reactor: usize, client: SocketAddr, forward: Forward) {
        self.tally.forwarded += 1;
        let now = self.now();
        if self.rng.one_in(50) {
            self.reactors[reactor].no_socket(now, forward.key);
            self.tally.no_socket += 1;
            return;
        }
        let is_flow = self.spec.flows.kind == SessionKind::Flow;
        if self.last.insert(client, forward.to).is_some_and(|before| before != forward.to) && is_flow {
            self.tally.moved += 1;
        }
        let due = self.millis + self.rng.below(1500);
        self.questions.push_back(Question {
            reactor,
            socket: forward.lane.socket,
            host: forward.to,
            client,
            asked: self.millis,
            due,
        });
        if forward.is_last {
            self.reactors[reactor].close(now, forward.key, CloseReason::Finished);
            // No answer comes to what nobody answers.
            self.questions.pop_back();
        }
    }

    /// A host answers a question, or is not there.
    fn answer(&mut self) {
        let Some(question) = self.questions.pop_front() else { return };
        let Question { reactor, socket, host, client, asked, due } = question;
        self.millis = self.millis.max(due.min(self.millis + 100));
        if self.rng.one_in(10) {
            return;
        }
        let now = self.now();
        if self.dead.get(&host) == Some(&true) {
            self.tally.refused += 1;
            let returned = if self.rng.one_in(2) { 10 } else { 4 };
            let again = self.reactors[reactor].unreached(now, socket, host, Fault::Refused, returned);
            if let Some(forward) = again {
                self.tally.sent_again += 1;
                // A refusal that is late may be of another one's question to the same host: it is gone all the same.
                let flow = self.reactors[reactor].sessions().view(forward.key.slot as usize);
                let client = flow.expect("a flow").client;
                self.forward(reactor, client, forward);
            }
            return;
        }
        match self.reactors[reactor].answer(now, socket, host, 1, 20) {
            None => self.tally.late += 1,
            Some(back) => {
                self.tally.answered += 1;
                // Complete flows give their place away at once; a second answer to them is nobody's promise.
                // Nor is one that takes longer than a flow rests.
                let is_promised = self.spec.flows.responses.is_none() && self.millis < asked + 1000;
                if is_promised {
                    assert_eq!(back.to, client, "an answer comes to who has asked");
                }
                if back.is_last {
                    self.reactors[reactor].close(now, back.key, CloseReason::Finished);
                }
            }
        }
    }

    /// A host comes, goes, is drained, dies or is judged; every reactor is told.
    fn change(&mut self) {
        let number = self.rng.below(HOSTS);
        let addr = host(number);
        let at = self.spec.hosts.iter().position(|host| host.addr == addr);
        match (self.rng.below(5), at) {
            (0, _) => drop(self.dead.insert(addr, true)),
            (1, _) => drop(self.dead.insert(addr, false)),
            (2, Some(at)) => {
                let is_dead = self.dead.get(&addr) == Some(&true);
                self.spec.hosts[at].status = if is_dead { HostStatus::Down } else { HostStatus::Up };
            }
            (3, Some(_)) if self.rng.one_in(6) => self.spec.hosts.iter_mut().for_each(|host| host.weight = 0),
            (3, Some(at)) => self.spec.hosts[at].weight = u32::from(!self.rng.one_in(3)),
            (_, Some(at)) if self.spec.hosts.len() > 1 && self.rng.one_in(3) => {
                let gone = self.spec.hosts.remove(at);
                self.spec.hosts.push(gone);
            }
            (_, _) => {}
        }
        self.spec.generation += 1;
        self.tally.publications += 1;
        for flows in &mut self.reactors {
            flows.apply_known(&Arc::new(self.spec.clone()));
        }
    }

    fn kill(&mut self) {
        let reactor = usize::try_from(self.rng.below(REACTORS as u64)).unwrap();
        let slots = self.reactors[reactor].sessions().slots() as u64;
        let slot = usize::try_from(self.rng.below(slots.max(1))).unwrap();
        let now = self.now();
        if let Some(key) = self.reactors[reactor].sessions().key_at(slot) {
            assert!(self.reactors[reactor].close(now, key, CloseReason::Killed).is_some());
            self.tally.killed += 1;
        }
    }

    fn shrink(&mut self) {
        let now = self.now();
        self.reactors.iter_mut().for_each(|flows| drop(flows.shrink(now)));
    }

    /// All accounts agree.
    fn check(&self) {
        let flows: usize = self.reactors.iter().map(Flows::len).sum();
        self.reactors.iter().for_each(|flows| flows.check().unwrap());
        let at_hosts: u32 = self.spec.hosts.iter().map(|host| host.counters.open()).sum();
        assert_eq!(at_hosts as usize, flows, "places at hosts");
        assert_eq!(self.spec.counters.open.load(Relaxed) as usize, flows, "open sessions");
        let accepted = self.spec.counters.accepted.load(Relaxed);
        assert_eq!(accepted, self.spec.counters.closed_total() + flows as u64, "accepted and closed");
    }

    fn come_to_rest(&mut self) {
        self.tally.recycled = self.reactors.iter().map(Flows::recycled).sum();
        self.millis += 60_000;
        let now = self.now();
        for flows in &mut self.reactors {
            while let Some((key, reason)) = flows.next_due(now) {
                flows.close(now, key, reason);
            }
            assert!(flows.is_empty() && flows.next_deadline().is_none());
            flows.shrink(now);
            assert!(!flows.keeps_any(), "every socket is closed");
        }
        self.check();
    }
}
