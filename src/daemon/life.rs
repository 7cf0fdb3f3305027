//! The life of the process: what is set up in which order, and how it ends.

use std::collections::BTreeSet;
use std::env;
use std::io;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::thread;

use log::{error, info, warn};

use super::Failure;
use super::front::{self, Front};
use super::house::House;
use super::kernel;
use super::logging::{Log, log_panics};
use super::options::{Options, Spread};
use super::pidfile::Pidfile;
use super::signals::{Receiver, Watch};
use crate::config::{self, Config, Current};
use crate::instance::limits::{self, Asked, Machine, Plan};
use crate::instance::{Balancer, counted};
use crate::manager::run::{Defaults, Desk};
use crate::model::limits::REACTORS_MAX;
use crate::reactor::Settings;
use crate::sys::clock::Clock;
use crate::sys::cpu;
use crate::sys::steer::Steering;

/// Where the configuration comes from.
pub(super) struct Source {
    /// To start with.
    pub(super) config: Config,
    /// The file for reloads and saves; none: there is none.
    pub(super) file: Option<PathBuf>,
}

/// Balances until a signal ends it. `greet` is called once clients are served.
///
/// # Errors
/// The balancer cannot start. It then has served nobody.
pub(super) fn run(options: &Options, source: Source, greet: impl FnOnce()) -> Result<(), Failure> {
    let log = Log::start(source.config.log_file.as_deref(), options.log_level, options.log_format);
    let log = Arc::new(log.map_err(Failure::Log)?);
    let _written = WrittenAtEnd(Arc::clone(&log));
    log_panics();
    let result = serve(options, source, &log, greet);
    if let Err(failure) = &result
        && !log.is_stderr()
    {
        error!("{failure}");
    }
    result
}

fn serve(options: &Options, source: Source, log: &Arc<Log>, greet: impl FnOnce()) -> Result<(), Failure> {
    let cpus = cpus(options);
    let asked = Asked {
        threads: cpus.len(),
        listeners: source.config.services.iter().map(config::Service::sockets).sum(),
        front_ends: front::descriptors(&source.config),
        max_connections: options.max_connections,
        buffer_bytes: options.buffer_bytes,
    };
    let steering = steering(options.spread, &cpus)?;
    let machine = Machine::read().map_err(|error| Failure::start("read the limit of open files", &error))?;
    let plan = limits::plan(machine, asked).map_err(|refusal| Failure::Usage(refusal.to_string()))?;
    let clock = Clock::start();
    let desk = Desk::new(clock).map_err(|error| Failure::start("start the manager", &error))?;
    // Who reads the process id from the file may send a signal at once.
    let _signals = watch(options, &desk, log).map_err(|error| Failure::start("take signals", &error))?;
    let pidfile = options.pidfile.as_deref().map(Pidfile::take).transpose();
    let _pidfile = pidfile.map_err(|error| Failure::Usage(error.to_string()))?;

    info!("director {} starts, process {}", env!("CARGO_PKG_VERSION"), process::id());
    info!("{plan}");
    plan.warn_if_lowered(asked);
    kernel::advise(options.backlog());
    for line in source.config.warnings() {
        warn!("{line}");
    }
    let front = Front::open(&source.config)?;
    let settings = settings(options, cpus, plan);
    let current = Current::new(source.config.clone());
    let house = Box::new(House::new(&source, Arc::clone(log), current.clone()));
    let defaults = defaults(options, steering);
    let balancer = Balancer::launch(&source.config, &settings, defaults, house, current, desk, clock)
        .map_err(|error| Failure::Start(error.to_string()))?;
    let _front = front.start(&source.config, balancer.desk())?;
    info!("{}", ready(&source.config, settings.cpus.len()));
    greet();
    let cut = balancer.join();
    info!("stopped: {} cut", counted(cut, "connection"));
    Ok(())
}

fn watch(options: &Options, desk: &Desk, log: &Arc<Log>) -> io::Result<Watch> {
    let (commands, log) = (desk.commands(), Arc::clone(log));
    Watch::start(Receiver { commands, log, drain_timeout: options.drain_timeout() })
}

fn defaults(options: &Options, steering: Steering) -> Defaults {
    Defaults {
        connect_timeout: options.connect_timeout,
        idle_timeout: options.idle_timeout,
        fin_timeout: options.fin_timeout,
        listen: options.listen,
        connect: options.connect.clone(),
        steering,
        drain_timeout: options.drain_timeout(),
    }
}

/// The processor of each reactor.
fn cpus(options: &Options) -> Vec<Option<usize>> {
    let allowed = cpu::allowed().unwrap_or_else(|error| {
        warn!("which processors this process may use cannot be read: {error}");
        (0..thread::available_parallelism().map_or(1, Into::into)).collect()
    });
    let threads = options.threads.unwrap_or(allowed.len()).clamp(1, REACTORS_MAX);
    let own = |reactor: usize| options.pin.then(|| allowed.get(reactor % allowed.len().max(1)).copied()).flatten();
    (0..threads).map(own).collect()
}

/// How clients are spread over reactors on these processors.
fn steering(spread: Spread, cpus: &[Option<usize>]) -> Result<Steering, Failure> {
    let known: Vec<usize> = cpus.iter().flatten().copied().collect();
    let different: BTreeSet<usize> = known.iter().copied().collect();
    if spread != Spread::Hash && different.len() < cpus.len() {
        let most = different.len();
        let said = format!("--steer and --incoming-cpu: expected at most {most} --threads, one for each CPU");
        return Err(Failure::Usage(said));
    }
    Ok(match spread {
        Spread::Hash => Steering::Hash,
        Spread::Steer => Steering::Program(known),
        Spread::IncomingCpu => Steering::Incoming(known),
    })
}

fn settings(options: &Options, cpus: Vec<Option<usize>>, plan: Plan) -> Settings {
    Settings {
        cpus,
        max_connections: plan.max_connections,
        flows_max: options.max_flows,
        flow_sockets_max: plan.flow_sockets_max,
        buffer_bytes: options.buffer_bytes,
        buffers_max: plan.buffers_max,
        splice: options.splice,
        rebalance: options.rebalance,
        pipes_max: plan.pipes_max,
        accept_batch: options.accept_batch,
        panic_at: panic_at(),
    }
}

/// For tests of what a panic costs: a debug build's reactors panic at this accepted connection.
fn panic_at() -> Option<u64> {
    if cfg!(debug_assertions) { env::var("DIRECTOR_PANIC_AT").ok()?.parse().ok() } else { None }
}

fn ready(config: &Config, reactors: usize) -> String {
    let listeners: usize = config.services.iter().map(|service| service.listens.len()).sum();
    let (services, listeners) = (counted(config.services.len(), "service"), counted(listeners, "listener"));
    format!("ready: {services}, {listeners}, {}", counted(reactors, "reactor"))
}

/// Has the log written to its end, however the process comes to its own.
struct WrittenAtEnd(Arc<Log>);

impl Drop for WrittenAtEnd {
    fn drop(&mut self) {
        self.0.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::options::{self, Request};

    fn options(line: &str) -> Options {
        match options::parse(line.split(' ').map(Into::into)) {
            Ok(Request::Run(options, _)) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reactors_are_as_many_as_processors_unless_told() {
        let allowed = cpu::allowed().unwrap().len();
        assert_eq!(cpus(&options("c.xml")), vec![None; allowed.min(REACTORS_MAX)]);
        assert_eq!(cpus(&options("-t 5 c.xml")), vec![None; 5]);
    }

    #[test]
    fn pinned_reactors_take_the_allowed_processors_in_turn() {
        let allowed = cpu::allowed().unwrap();
        let pinned = cpus(&options("--pin -t 64 c.xml"));
        let expected: Vec<Option<usize>> = allowed.iter().copied().cycle().take(64).map(Some).collect();
        assert_eq!(pinned, expected);
    }
}
