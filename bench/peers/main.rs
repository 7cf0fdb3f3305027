//! Director side by side with other balancers: the same hosts, the same clients, the same machine, the same minutes.
//!
//! Every figure of a round is taken from all balancers, one after another, before the next round begins, so that noise
//! of the machine hits all alike; the table shows medians over the rounds. The balancers, the hosts and the load
//! generator are processes of their own, so that what a balancer spends is read from its own processes alone.
//!
//! The harness starts itself again for the parts that need a process: `peers hosts …` serves the requests, `peers bare …`
//! is the bare relay, the least that user space can do between two sockets. `peers managed` is a measurement of its own: of
//! Director with a busy control plane against itself with a quiet one.
//!
//! Never: no network beyond the loopback, nothing left running (children end with the harness), and no exchange is
//! counted as done unless its every byte was the right one.

mod args;
#[path = "../bare/mod.rs"]
mod bare;
mod bars;
mod case;
mod chart;
mod configs;
mod fresh;
mod hosts;
mod load;
mod machine;
mod managed;
mod measure;
mod memory;
mod metric;
mod peers;
mod proc;
mod process;
mod report;
mod results;
mod run;
mod syscalls;
mod table;
mod target;
#[allow(unsafe_code)]
mod unix;
mod wire;

use std::error::Error;
use std::process::ExitCode;

/// What goes wrong in the harness itself; the text is for the person who runs it.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let argv: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match argv.first().map(String::as_str) {
        Some("hosts") => hosts::serve(&argv[1..]),
        Some("bare") => bare::serve(bare::Means::Copy, &argv[1..]),
        Some("managed") => managed::run(&argv[1..]),
        Some("bare-splice") => bare::serve(bare::Means::Splice, &argv[1..]),
        _ => side_by_side(&argv),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("peers: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn side_by_side(argv: &[String]) -> Result<(), Failure> {
    let Some(mut settings) = args::parse(argv)? else { return Ok(()) };
    let results = run::all(&mut settings)?;
    report::write(&settings, &results)
}
