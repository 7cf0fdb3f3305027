//! The program `director`. Everything it does is in [`director::daemon`].

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    director::daemon::main(env::args_os().skip(1))
}
