//! Services, their hosts, and reactors without sockets that open and close sessions there.

use std::collections::VecDeque;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use director::balancer::{Balancer, Key, Next, Traffic};
use director::model::counters::HostCounters;
use director::model::datagram::FlowRules;
use director::model::id::{HostId, ServiceId};
use director::model::outcome::{Blame, CloseReason};
use director::model::role::Level;
use director::model::scheduler::SchedulerKind;
use director::model::service::{HostSpec, ServiceSpec};
use director::model::status::HostStatus;
use director::model::sticky::{StickyMode, StickyRules, StickyTable};
use director::model::time::Moment;

use super::Failure;

/// Sessions that a thread keeps open.
pub(crate) const WINDOW: usize = 1000;
/// Sessions between two looks at the clock.
const STEP: u64 = 1000;
const SPAN: Duration = Duration::from_millis(40);

/// The processor time that this thread had spent: what others do on the machine does not count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent(Duration);

impl Spent {
    pub(crate) fn now() -> Self {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: clock_gettime writes one timespec, which is ours, and the clock is one that every Linux has.
        #[allow(unsafe_code, reason = "the standard library does not read this clock")]
        let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        assert_eq!(result, 0, "the clock of a thread's processor time cannot be read");
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Self(Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0)))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) hosts: u32,
    pub(crate) services: u32,
    pub(crate) threads: usize,
    /// What is the matter with some of the hosts.
    pub(crate) state: State,
    /// With how many of them.
    pub(crate) percent: u32,
    /// Every session's first host fails for a reason of this machine's, which leaves the hosts as they are.
    pub(crate) first_fails: bool,
    /// How clients find their host again.
    pub(crate) sticky: StickyMode,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            hosts: 1,
            services: 1,
            threads: 1,
            state: State::Usable,
            percent: 0,
            first_fails: false,
            sticky: StickyMode::Off,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Usable,
    Down,
    Suspected,
    Full,
    Drained,
}

/// Nanoseconds of one thread for one session, on average over the threads.
pub(crate) fn measure(kind: SchedulerKind, case: &Case) -> Result<f64, Failure> {
    let specs: Vec<Arc<ServiceSpec>> = (0..case.services).map(|service| Arc::new(spec(kind, service, case))).collect();
    let taken: u32 = specs.iter().map(|spec| open(spec)).sum();
    let barrier = Barrier::new(case.threads);
    let outcomes: Vec<Result<f64, Failure>> = thread::scope(|scope| {
        let runs: Vec<_> = (0..case.threads as u64)
            .map(|seed| {
                let (specs, barrier) = (&specs, &barrier);
                scope.spawn(move || {
                    let mut reactor = Reactor::new(seed, specs, case.first_fails);
                    barrier.wait();
                    reactor.run()
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap_or_else(|_| Err("a thread panicked".into()))).collect()
    });
    let left = specs.iter().map(|spec| open(spec)).sum::<u32>() - taken;
    if left > 0 || specs.iter().any(|spec| spec.counters.open.load(Relaxed) > 0) {
        return Err(format!("{kind}: {left} places were not given back").into());
    }
    let sum: f64 = outcomes.into_iter().sum::<Result<f64, Failure>>()?;
    Ok(sum / case.threads as f64)
}

fn open(spec: &ServiceSpec) -> u32 {
    spec.hosts.iter().map(|host| host.counters.open()).sum()
}

/// A service whose hosts with something the matter are spread over the list.
pub(crate) fn spec(kind: SchedulerKind, service: u32, case: &Case) -> ServiceSpec {
    let host = |number: u32| {
        let concerned = number.wrapping_mul(0x9E37_79B9) >> 16 < case.percent * 65_536 / 100;
        let state = if concerned { case.state } else { State::Usable };
        let counters = HostCounters::default();
        match state {
            State::Suspected => {
                counters.suspect(Moment::START, Moment::START.after(Duration::from_secs(100_000)));
            }
            State::Full => {
                counters.try_open(None);
            }
            State::Usable | State::Down | State::Drained => {}
        }
        HostSpec {
            id: HostId(service * case.hosts + number),
            addr: SocketAddr::from(([10, 0, number.to_be_bytes()[2], number.to_be_bytes()[3]], 80)),
            weight: if state == State::Drained { 0 } else { 1 + number % 4 },
            share: 1 + number % 4,
            hard: None,
            level: Level::default(),
            max: (state == State::Full).then_some(1),
            status: if state == State::Down { HostStatus::Down } else { HostStatus::Up },
            may_meet_itself: false,
            outbound: None,
            counters: Arc::new(counters),
        }
    };
    let rules = StickyRules { mode: case.sticky, ..StickyRules::default() };
    ServiceSpec {
        id: ServiceId(service),
        generation: 1,
        name: "bench".into(),
        scheduler: kind,
        sticky: rules,
        table: (rules.mode == StickyMode::Table).then(|| Arc::new(StickyTable::new(rules.size))),
        is_stubborn: false,
        hosts: (0..case.hosts).map(host).collect(),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(600),
        fin_timeout: Duration::from_secs(60),
        flows: FlowRules::default(),
        max_connections: None,
        rotation: Arc::default(),
        counters: Arc::default(),
    }
}

/// A brain and its open sessions, as a reactor has them.
pub(crate) struct Reactor {
    pub(crate) balancer: Balancer<()>,
    open: VecDeque<Key>,
    now: Moment,
    services: u32,
    next_service: u32,
    first_fails: bool,
    /// The address of the last client.
    clients: u32,
}

impl Reactor {
    pub(crate) fn new(seed: u64, specs: &[Arc<ServiceSpec>], first_fails: bool) -> Self {
        let mut balancer = Balancer::new(seed);
        for spec in specs {
            balancer.apply(Arc::clone(spec));
        }
        let services = u32::try_from(specs.len()).unwrap_or(u32::MAX);
        let open = VecDeque::with_capacity(WINDOW);
        Self { balancer, open, now: Moment::START, services, next_service: 0, first_fails, clients: 0 }
    }

    /// Opens as many sessions as are kept open.
    pub(crate) fn fill(&mut self) -> Result<(), Failure> {
        (0..WINDOW).try_for_each(|_| self.open_one())
    }

    /// A session ends, another begins.
    pub(crate) fn turn(&mut self) -> Result<(), Failure> {
        self.close_oldest();
        self.open_one()
    }

    /// Fills the window, then opens and closes for a while. Returns nanoseconds a session.
    fn run(&mut self) -> Result<f64, Failure> {
        self.fill()?;
        for _ in 0..10 * STEP {
            self.turn()?;
        }
        let begun = Spent::now();
        let mut sessions = 0;
        while begun.elapsed() < SPAN {
            for _ in 0..STEP {
                self.turn()?;
            }
            sessions += STEP;
            self.now = self.now.after(Duration::from_millis(1));
        }
        let spent = begun.elapsed();
        while !self.open.is_empty() {
            self.close_oldest();
        }
        Ok(spent.as_secs_f64() * 1e9 / sessions as f64)
    }

    fn open_one(&mut self) -> Result<(), Failure> {
        self.clients = self.clients.wrapping_add(0x9E37_79B9);
        let client = SocketAddr::from((self.clients.to_be_bytes(), 40_000));
        let service = ServiceId(self.next_service);
        self.next_service = (self.next_service + 1) % self.services;
        self.balancer.reserve(service, false);
        let (key, mut next) =
            self.balancer.open(self.now, service, client, ()).map_err(|()| "the service is unknown")?;
        if self.first_fails {
            next = self.balancer.connect_failed(self.now, key, Blame::Local(99));
        }
        let Next::Connect(target) = black_box(next) else { return Err("no host was chosen".into()) };
        black_box(target);
        self.balancer.connected(self.now, key);
        self.open.push_back(key);
        Ok(())
    }

    fn close_oldest(&mut self) {
        if let Some(key) = self.open.pop_front() {
            self.balancer.close(self.now, key, CloseReason::Finished, Traffic::default());
        }
    }
}
