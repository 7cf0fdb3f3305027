//! Random events in random order: what must hold, holds after each.

use super::*;
use crate::model::limits::{EXACT_HOSTS_MAX, PROBES_MAX, PUBLISH_PAUSE_PER_HOST};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Pass(u16),
    Failed(u32),
    Slow(u32),
    Answered(u32),
    Established(u32),
    /// The oldest probe that waits ends: in success, failure, a local failure, or never.
    Probe(u8),
    Resolved(Vec<u8>),
    Unresolved,
    Reload(Shape),
}

#[derive(Clone, Debug)]
struct Shape {
    ports: Vec<u16>,
    named: bool,
    enabled: usize,
    weight: u32,
    heartbeat: bool,
    rise: u32,
    fall: u32,
    checktime: u8,
    second: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    let ports = prop_oneof![
        proptest::collection::btree_set(1..8_u16, 1..6),
        proptest::collection::btree_set(1..400_u16, 60..160),
    ];
    let rules = (any::<bool>(), 1..4_u32, 1..4_u32, 0..30_u8);
    (ports, any::<bool>(), 0..2_usize, 0..3_u32, rules, any::<bool>()).prop_map(
        |(ports, named, enabled, weight, (heartbeat, rise, fall, checktime), second)| Shape {
            ports: ports.into_iter().collect(),
            named,
            enabled,
            weight,
            heartbeat,
            rise,
            fall,
            checktime,
            second,
        },
    )
}

fn build(shape: &Shape) -> Config {
    let mut web = service("web", vec![group("a", &shape.ports), group("b", &[500, 501])]);
    if shape.named {
        web.groups[0].hosts.push(named("db", "db.example", 5432));
    }
    web.groups[0].hosts[0].weight = shape.weight;
    web.enabled = Some(shape.enabled);
    let mut services = vec![web];
    if shape.second {
        services.push(service("mail", vec![group("a", &[600, 601])]));
    }
    let mut config = config(services);
    config.manager.heartbeat = shape.heartbeat.then_some(3 * SECOND);
    config.manager.rise = shape.rise;
    config.manager.fall = shape.fall;
    config.manager.checktime = u32::from(shape.checktime) * SECOND;
    config
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_000_u16).prop_map(Step::Pass),
        4 => (0..300_u32).prop_map(Step::Failed),
        1 => (0..300_u32).prop_map(Step::Slow),
        1 => (0..300_u32).prop_map(Step::Answered),
        1 => (0..300_u32).prop_map(Step::Established),
        6 => any::<u8>().prop_map(Step::Probe),
        1 => proptest::collection::vec(0..6_u8, 1..4).prop_map(Step::Resolved),
        1 => Just(Step::Unresolved),
        1 => shape().prop_map(Step::Reload),
    ]
}

fn play(world: &mut World, step: &Step) {
    let service = world.manager.service_id("web").unwrap();
    match step {
        Step::Pass(millis) => world.pass(u32::from(*millis) * MILLI),
        Step::Failed(n) => world.report(Report::HostFailed { service, host: HostId(*n), fault: Fault::Refused }),
        Step::Slow(n) => world.report(Report::HostSlow { service, host: HostId(*n) }),
        Step::Answered(n) => world.report(Report::HostAnswered { service, host: HostId(*n) }),
        Step::Established(n) => {
            for spec in world.manager.published() {
                for host in spec.hosts.iter().filter(|host| host.id == HostId(*n)) {
                    host.counters.established.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            }
        }
        Step::Probe(how) => {
            if world.probes.is_empty() {
                return;
            }
            let (host, ..) = world.probes.remove(0);
            match how % 8 {
                0 => {}
                1 => world.event(Event::ProbeEnded { host, result: OUT_OF_FILES }),
                2..=4 => world.event(Event::ProbeEnded { host, result: REFUSED }),
                _ => world.event(Event::ProbeEnded { host, result: Ok(MILLI) }),
            }
        }
        Step::Resolved(last) => {
            let result = Ok(last.iter().map(|last| IpAddr::from([10, 9, 0, *last])).collect());
            world.event(Event::Resolved { name: "db.example".to_owned(), result });
        }
        Step::Unresolved => world.unresolved("db.example"),
        Step::Reload(shape) => {
            world.reload(&build(shape));
        }
    }
}

/// What was published last, and in how many publications.
#[derive(Default)]
struct Seen {
    generations: BTreeMap<ServiceId, u64>,
    read: usize,
}

impl Seen {
    fn check(&mut self, world: &World) -> Result<(), TestCaseError> {
        for effect in &world.told[self.read..] {
            if let Effect::Publish(spec) = effect {
                let before = self.generations.insert(spec.id, spec.generation).unwrap_or(0);
                prop_assert_eq!(spec.generation, before + 1);
            }
        }
        self.read = world.told.len();
        prop_assert!(world.manager.probes_in_flight() <= PROBES_MAX);
        let statuses: BTreeMap<HostId, HostStatus> =
            world.manager.hosts().map(|(id, _, health)| (id, health.status())).collect();
        let deadline = world.manager.next_deadline();
        for spec in world.manager.published() {
            prop_assert_eq!(self.generations.get(&spec.id), Some(&spec.generation));
            // A group of many hosts is published in a moment.
            let pause = PUBLISH_PAUSE_PER_HOST * u32::try_from(spec.hosts.len()).unwrap();
            let gathers = spec.hosts.len() > EXACT_HOSTS_MAX && deadline.is_some_and(|at| at <= world.now.after(pause));
            for host in spec.hosts.iter().filter(|_| !gathers) {
                prop_assert_eq!(statuses.get(&host.id), Some(&host.status), "{:?}", host);
            }
        }
        for (id, _, health) in world.manager.hosts() {
            if health.status() == HostStatus::Down {
                prop_assert!(world.manager.will_probe(id), "{:?} is down and forgotten: {:?}", id, health);
            }
        }
        prop_assert!(deadline.is_none_or(|at| at > world.now), "{:?} is due at {:?}", deadline, world.now);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_events_keep_the_invariants(first in shape(), steps in proptest::collection::vec(step(), 1..160)) {
        let mut world = World::new(&build(&first));
        let mut seen = Seen::default();
        for step in &steps {
            play(&mut world, step);
            seen.check(&world)?;
        }
        // Once faults end, every host comes back, and then all is quiet.
        world.pass_answering(200 * SECOND, |_, _| Ok(MILLI));
        seen.check(&world)?;
        for (id, _, health) in world.manager.hosts() {
            prop_assert_eq!(health.status(), HostStatus::Up, "{:?}: {:?}", id, health);
        }
    }

    #[test]
    fn same_events_give_the_same_effects(first in shape(), steps in proptest::collection::vec(step(), 1..60)) {
        let play_all = || {
            let mut world = World::new(&build(&first));
            steps.iter().for_each(|step| play(&mut world, step));
            format!("{:?} {:?}", world.told, world.probes)
        };
        prop_assert_eq!(play_all(), play_all());
    }
}
