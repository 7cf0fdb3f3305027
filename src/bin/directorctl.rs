//! The program `directorctl`. Everything it does is in [`director::ctl`].

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    director::ctl::main(env::args_os().skip(1))
}
