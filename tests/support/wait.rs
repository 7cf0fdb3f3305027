//! Deadlines, sizes and figures.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that should happen at once. Generous, so that a busy machine fails no test.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Polls `condition` until it holds; fails the test, naming `what`, when it does not within `within`.
#[track_caller]
pub fn until(within: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    assert!(holds_within(within, &mut condition), "not within {within:?}: {what}");
}

/// Polls `condition` until it holds or the time is over, and says which.
pub fn holds_within(within: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Tells others to stop when it is dropped, also when a check fails meanwhile and the test would wait for them forever.
pub struct StopAtEnd<'a>(pub &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A bound on time as it is on a quiet machine, stretched by as much as there is more to run than processors.
pub fn allowed(bound: Duration) -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0);
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    bound.mul_f64((load / cpus as f64).clamp(1.0, 10.0))
}

/// The best of at most three measurements; the first whose time is below `enough` is the last. What a busy machine adds
/// is not there every time, a defect is.
pub fn best_of_three<T>(enough: Duration, time: impl Fn(&T) -> Duration, mut measure: impl FnMut() -> T) -> T {
    let mut best = measure();
    for _ in 1..3 {
        if time(&best) < enough {
            break;
        }
        let next = measure();
        if time(&next) < time(&best) {
            best = next;
        }
    }
    best
}

/// Whether the long sizes are asked for: `DIRECTOR_SOAK=1`.
pub fn soaking() -> bool {
    std::env::var("DIRECTOR_SOAK").is_ok_and(|value| value == "1")
}

/// The size of a scenario: `small` in the normal run, `large` when soaking.
pub fn sized<T>(small: T, large: T) -> T {
    if soaking() { large } else { small }
}

/// Prints a figure that a test reached, in one form for all tests.
pub fn figure(what: &str, value: impl Display) {
    println!("figure: {what}: {value}");
}

/// Milliseconds with a tenth, for figures.
pub fn ms(time: Duration) -> String {
    format!("{:.1}", millis(time))
}

/// Milliseconds with a fraction, for figures.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
