//! The rules of the house that no compiler checks: who may name whom, how long things may be, where `unsafe` may be, and
//! what may not be left behind. Each check has a test of its own that it finds what it is for.

use std::fs;
use std::path::Path;

use source::Source;

#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/lengths.rs"]
mod lengths;
#[path = "tidy/purity.rs"]
mod purity;
#[path = "tidy/source.rs"]
mod source;

#[test]
fn modules_name_only_what_is_below_them() {
    nothing_in(layers::check(&Source::read_all(&["src"])));
}

#[test]
fn files_are_short() {
    nothing_in(lengths::check_files(&everything()));
}

#[test]
fn functions_are_short() {
    nothing_in(lengths::check_functions(&everything()));
}

#[test]
fn brains_name_no_clock_no_socket_and_no_hash_map() {
    nothing_in(purity::check_brains(&Source::read_all(&["src"])));
}

#[test]
fn unsafe_code_is_in_sys_and_says_why_it_is_sound() {
    nothing_in(purity::check_unsafe(&everything()));
}

#[test]
fn nothing_is_left_unfinished() {
    nothing_in(purity::check_leftovers(&everything()));
}

#[test]
fn every_dependency_is_explained() {
    nothing_in(dependencies::check_explained(&file("Cargo.toml"), &file("CONTRIBUTING.md")));
}

#[test]
fn no_async_runtime_is_in_the_tree() {
    nothing_in(dependencies::check_lock(&file("Cargo.lock")));
}

fn everything() -> Vec<Source> {
    Source::read_all(&["src", "tests", "bench"])
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn nothing_in(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
