//! The whole balancer without sockets: several brains, the manager, queues, a virtual clock and one seed.
//!
//! Hosts die, flap, hang and answer late; reports are delayed or lost; publications reach each reactor at another time;
//! reloads come mid-flight; reactors are lost. After every step the invariants of `sim/check.rs` hold. A failure prints
//! its seed: `DIRECTOR_SIM_SEED=N cargo test --test sim` repeats it. `DIRECTOR_SIM_SEEDS=N` runs that many.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "sim/check.rs"]
mod check;
#[path = "sim/flows.rs"]
mod flows;
#[path = "sim/hosts.rs"]
mod hosts;
#[path = "sim/policy.rs"]
mod policy;
#[path = "sim/tally.rs"]
mod tally;
#[path = "sim/world.rs"]
mod world;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tally::Tally;
use world::World;

const SEEDS: u64 = 256;
const STEPS: u64 = 2000;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

fn run(seed: u64) -> Tally {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.come_to_rest();
    world.tally
}

#[test]
fn every_seed_keeps_the_invariants_and_comes_to_rest() {
    if let Some(seed) = number("DIRECTOR_SIM_SEED") {
        println!("seed {seed}: {:?}", run(seed));
        return;
    }
    let seeds = number("DIRECTOR_SIM_SEEDS").unwrap_or(SEEDS);
    let mut total = Tally::default();
    for seed in 0..seeds {
        match catch_unwind(AssertUnwindSafe(|| run(seed))) {
            Ok(tally) => total.add(&tally),
            Err(_) => panic!("seed {seed} failed: DIRECTOR_SIM_SEED={seed} cargo test --test sim repeats it"),
        }
        if (seed + 1) % 1000 == 0 {
            println!("{} of {seeds} seeds", seed + 1);
        }
    }
    println!("{seeds} seeds of {STEPS} steps: {total:?}");
    // The simulation that meets nothing proves nothing.
    for (what, count) in total.all() {
        assert!(count >= seeds, "only {count} {what} in {seeds} seeds");
    }
}

#[test]
fn flows_of_every_seed_keep_the_invariants_and_come_to_rest() {
    if let Some(seed) = number("DIRECTOR_SIM_SEED") {
        println!("seed {seed}: {:?}", flows::run(seed, STEPS));
        return;
    }
    let seeds = number("DIRECTOR_SIM_SEEDS").unwrap_or(SEEDS);
    let mut total = flows::Tally::default();
    for seed in 0..seeds {
        match catch_unwind(AssertUnwindSafe(|| flows::run(seed, STEPS))) {
            Ok(tally) => total.add(&tally),
            Err(_) => panic!("seed {seed} failed: DIRECTOR_SIM_SEED={seed} cargo test --test sim flows repeats it"),
        }
    }
    println!("{seeds} seeds of {STEPS} steps: {total:?}");
    for (what, count) in total.all() {
        assert!(count >= seeds, "only {count} {what} in {seeds} seeds");
    }
}

#[test]
fn same_seed_gives_the_same_run() {
    assert_eq!(run(4711), run(4711));
    assert_ne!(run(4711), run(4712));
}
