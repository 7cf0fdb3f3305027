//! What clients that find their host again cost: a look into a table of up to a million of them, its memory, a session
//! with a table and with hashing, and how long the table of maglev takes to make.

use std::fs;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use director::balancer::scheduler::maglev::Table;
use director::balancer::scheduler::rendezvous::{Stake, Stakes};
use director::model::hash;
use director::model::id::HostId;
use director::model::sticky::{Network, Prefixes, Remembered, StickyTable};
use director::model::time::Moment;

use super::Failure;
use super::world::Spent;

/// Looks that are measured, a thread.
const LOOKS: u32 = 2_000_000;

fn network(number: u32) -> Network {
    let bytes = number.wrapping_mul(0x9E37_79B9).to_be_bytes();
    Prefixes::default().network(bytes.into())
}

fn place(number: u32) -> Remembered {
    Remembered { host: HostId(number % 16), home: HostId(number % 16) }
}

/// A full table.
fn full(clients: u32) -> StickyTable {
    let table = StickyTable::new(clients);
    (0..clients).for_each(|number| table.set(Moment::from_micros(number.into()), network(number), place(number)));
    table
}

/// Nanoseconds of one thread for a look at a client that is known, in no order, over so many threads.
pub(crate) fn look(clients: u32, threads: usize) -> Result<f64, Failure> {
    let table = full(clients);
    measure(&table, clients, threads, |now, client| {
        black_box(table.look(now, Duration::ZERO, client));
    })
}

/// As [`look`], for a client that takes the place of another one.
pub(crate) fn replace(clients: u32, threads: usize) -> Result<f64, Failure> {
    let table = full(clients);
    measure(&table, u32::MAX, threads, |now, client| {
        if table.look(now, Duration::ZERO, client).is_none() {
            black_box(table.remember(now, client, None, place(1)).is_ok());
        }
    })
}

fn measure(
    table: &StickyTable,
    clients: u32,
    threads: usize,
    act: impl Fn(Moment, Network) + Sync,
) -> Result<f64, Failure> {
    let barrier = Barrier::new(threads);
    let outcomes: Vec<Option<f64>> = thread::scope(|scope| {
        let runs: Vec<_> = (0..threads as u64)
            .map(|seed| {
                let (barrier, act) = (&barrier, &act);
                scope.spawn(move || {
                    barrier.wait();
                    let begun = Spent::now();
                    for turn in 0..LOOKS {
                        let wide = hash::mix(seed << 40 | u64::from(turn)) >> 32;
                        let number = u32::try_from((wide * u64::from(clients)) >> 32).unwrap_or(0);
                        act(Moment::from_micros(u64::from(turn) + 10_000_000), network(number));
                    }
                    begun.elapsed().as_secs_f64() * 1e9 / f64::from(LOOKS)
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().ok()).collect()
    });
    black_box(table.len());
    let outcomes: Option<Vec<f64>> = outcomes.into_iter().collect();
    Ok(outcomes.ok_or("a thread panicked")?.iter().sum::<f64>() / threads as f64)
}

/// Bytes of this process that a table of so many clients takes, a client.
pub(crate) fn memory(clients: u32) -> Result<f64, Failure> {
    let before = resident()?;
    let table = full(clients);
    let taken = resident()?.saturating_sub(before);
    black_box(table.len());
    Ok(taken as f64 / f64::from(clients))
}

/// Bytes of this process in memory.
fn resident() -> Result<u64, Failure> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/self/status")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Seconds that the table of maglev takes to make.
pub(crate) fn maglev(hosts: u32) -> f64 {
    let stake = |number| Stake { identity: hash::mix(number), share: 1 + u32::try_from(number % 4).unwrap_or(0) };
    let stakes = Stakes::new((0..u64::from(hosts)).map(stake).collect());
    let begun = Spent::now();
    black_box(Table::new(&stakes));
    begun.elapsed().as_secs_f64()
}
