//! What a session costs the balancer's brain, without any socket: a host is chosen, it accepts, the session ends.
//!
//! For every scheduler: for few and many hosts, on one thread and on all CPUs at once (which then share the hosts'
//! counters, as reactors do); for many hosts most of which cannot be chosen; over many services in turn. Each thread
//! keeps a window of sessions open. Then what a publication costs a reactor, and what hosts that fail together cost the
//! manager. Medians of processor time. First comes what stickiness costs, and with the argument `sticky` that alone.

#[path = "scheduler/flips.rs"]
mod flips;
#[path = "scheduler/sticky.rs"]
mod sticky;
#[path = "scheduler/world.rs"]
mod world;

use std::error::Error;
use std::io::{self, Write};
use std::thread;

use director::model::scheduler::SchedulerKind;
use director::model::sticky::StickyMode;

use world::{Case, State, measure};

/// Measurements that a median is taken over.
const REPEATS: usize = 5;
const MANY: u32 = 10_000;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    if !std::env::args().any(|arg| arg == "--bench") {
        eprintln!("nothing is measured without --bench, which `cargo bench` gives");
        return Ok(());
    }
    let threads = thread::available_parallelism()?.get();
    println(&format!("medians of {REPEATS}, processor time; {} sessions open a thread\n", world::WINDOW))?;
    stickiness(threads)?;
    if std::env::args().any(|arg| arg == "sticky") {
        return Ok(());
    }
    println("ns a session (choose, connected, close), by hosts and threads\n")?;
    let case = |hosts, threads| Case { hosts, threads, ..Case::default() };
    let columns = [3, 16, 32, 33, 256, MANY].into_iter().flat_map(|hosts| [case(hosts, 1), case(hosts, threads)]);
    table(&columns.map(|case| (format!("{}, {}", case.hosts, case.threads), case)).collect::<Vec<_>>())?;

    println(&format!("\nns a session among {MANY} hosts, one thread, by what is the matter with how many of them\n"))?;
    let among = |state, percent| Case { hosts: MANY, state, percent, ..Case::default() };
    let mut columns = vec![("a first pick fails".to_owned(), Case { first_fails: true, ..among(State::Usable, 0) })];
    for (name, state) in
        [("down", State::Down), ("suspected", State::Suspected), ("full", State::Full), ("weight 0", State::Drained)]
    {
        for percent in [30, 99] {
            columns.push((format!("{percent} % {name}"), among(state, percent)));
        }
    }
    table(&columns)?;

    println("\nns a session over 1000 services of 10 hosts in turn, one thread, by what is the matter\n")?;
    let services = |state, percent| Case { hosts: 10, services: 1000, state, percent, ..Case::default() };
    table(&[
        ("nothing".to_owned(), services(State::Usable, 0)),
        ("30 % suspected".to_owned(), services(State::Suspected, 30)),
        ("a first pick fails".to_owned(), Case { first_fails: true, ..services(State::Usable, 0) }),
    ])?;

    println(&format!("\none of {MANY} hosts flips: ms a reactor, and ns of the session after it\n"))?;
    println("| scheduler    | publication | session after |\n| ------------ | ----------: | ------------: |")?;
    for kind in SchedulerKind::ALL {
        let (apply, session) = flips::publication(kind, MANY)?;
        println(&format!("| {kind:<12} | {:>11.3} | {:>13.0} |", apply * 1e3, session * 1e9))?;
    }
    let manager = flips::manager(MANY, 500)?;
    println(&format!(
        "\n500 of {MANY} hosts flip within a second: {:.0} ms of the manager, {} publications",
        manager.seconds * 1e3,
        manager.publications
    ))?;
    println(&format!(
        "1000 services with a full host and a waiting client: {:.1} µs a turn",
        flips::queues(1000)? * 1e6
    ))
}

/// What it costs that clients find their host again.
fn stickiness(threads: usize) -> Result<(), Failure> {
    println(&format!(
        "ns a look at a known client, and for a new one in a full table, on 1 and on {threads} threads\n"
    ))?;
    println(
        "| clients | known, 1 | known, all | new, 1 | new, all |\n| ------: | -------: | ---------: | -----: | -------: |",
    )?;
    for clients in [2048, 100_000, 1_000_000] {
        let [one, all] = [1, threads].map(|threads| median(|| sticky::look(clients, threads)));
        let [new, new_all] = [1, threads].map(|threads| median(|| sticky::replace(clients, threads)));
        println(&format!("| {clients:>7} | {:>8.0} | {:>10.0} | {:>6.0} | {:>8.0} |", one?, all?, new?, new_all?))?;
    }
    let bytes = sticky::memory(1_000_000)?;
    println(&format!("\na million clients: {bytes:.0} bytes each, {:.0} MB", bytes * 1e6 / 1e6))?;
    println(
        "\nns a session with roundrobin, by hosts and stickiness (4,000,000,000 clients in turn, 2048 remembered)\n",
    )?;
    println("| hosts | off | table | hash |\n| ----: | --: | ----: | ---: |")?;
    for hosts in [3, 32, 1000, MANY] {
        let cost = |sticky| {
            let case = Case { hosts, sticky, ..Case::default() };
            median(|| measure(SchedulerKind::RoundRobin, &case))
        };
        let [off, table, hash] = [StickyMode::Off, StickyMode::Table, StickyMode::Hash].map(cost);
        println(&format!("| {hosts:>5} | {:>3.0} | {:>5.0} | {:>4.0} |", off?, table?, hash?))?;
    }
    for hosts in [10, 1000, MANY] {
        println(&format!("the table of maglev for {hosts} hosts: {:.1} ms", sticky::maglev(hosts) * 1e3))?;
    }
    println("")
}

/// A row for every scheduler, a column for every case.
fn table(columns: &[(String, Case)]) -> Result<(), Failure> {
    let names: Vec<String> = columns.iter().map(|(name, _)| format!(" {name:>9} |")).collect();
    println(&format!("| scheduler    |{}", names.concat()))?;
    let lines: Vec<String> = names.iter().map(|name| format!(" {}: |", "-".repeat(name.len() - 4))).collect();
    println(&format!("| ------------ |{}", lines.concat()))?;
    for kind in SchedulerKind::ALL {
        let mut row = format!("| {kind:<12} |");
        for ((_, case), name) in columns.iter().zip(&names) {
            let value = median(|| measure(kind, case))?;
            row += &format!(" {value:>width$.0} |", width = name.len() - 3);
        }
        println(&row)?;
    }
    Ok(())
}

fn median(mut measure: impl FnMut() -> Result<f64, Failure>) -> Result<f64, Failure> {
    let mut values = (0..REPEATS).map(|_| measure()).collect::<Result<Vec<f64>, Failure>>()?;
    values.sort_unstable_by(f64::total_cmp);
    Ok(values[REPEATS / 2])
}

fn println(text: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}
