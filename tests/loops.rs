//! What the reactors' loops log of themselves on SIGUSR2 agrees with what they were made to do.

mod support;

use std::collections::BTreeMap;

use support::log::Mark;
use support::{Client, Director, End, Host, PATIENCE, Service, scripts, until};

/// Log lines of a test that asks for the table again and again.
const LINES_MAX: usize = 1_000_000;

/// A table: the numbers of each row by its name, a column a reactor and the total last.
#[derive(Clone, Debug, Default)]
struct Loops(BTreeMap<String, Vec<String>>);

impl Loops {
    /// Asks for the table.
    fn of(director: &Director) -> Self {
        let mark: Mark = director.log().mark();
        director.process().signal(libc::SIGUSR2);
        let read = |lines: &[String]| {
            let rows: BTreeMap<_, _> = lines.iter().filter_map(|line| row(line)).collect();
            // The times come last, and there is none before the first turn has ended.
            rows.contains_key("bytes spliced, %").then_some(Self(rows))
        };
        director.log().wait_for(mark, PATIENCE, read).expect("a table in the log")
    }

    #[track_caller]
    fn total(&self, name: &str) -> &str {
        let row = self.0.get(name).unwrap_or_else(|| panic!("no {name} in {self:#?}"));
        row.last().expect("a total")
    }

    #[track_caller]
    fn number(&self, name: &str) -> u64 {
        self.total(name).parse().unwrap_or_else(|_| panic!("{name} in {self:#?}"))
    }

    /// Turns that the histogram has.
    fn timed(&self) -> u64 {
        self.0.keys().filter(|name| is_time(name)).map(|name| self.number(name)).sum()
    }
}

fn is_time(name: &str) -> bool {
    name.starts_with("turns below ") || name.starts_with("turns from ")
}

/// A row's name and its columns; the name has no two spaces in a row.
fn row(line: &str) -> Option<(String, Vec<String>)> {
    let (_, rest) = line.split_once("loops  ")?;
    let (name, columns) = rest.split_once("  ")?;
    Some((name.to_owned(), columns.split_whitespace().map(ToOwned::to_owned).collect()))
}

#[test]
fn loops_tell_their_turns_and_times() {
    let host = Host::serve("h", scripts::echo());
    let director = Director::plan(Service::with(&[&host])).log_lines_max(LINES_MAX).start();
    for _ in 0..20 {
        let client = Client::connect(director.addr());
        client.send(b"there and back");
        client.finish_sending();
        assert_eq!(client.read_text(), ("there and back".to_owned(), End::Eof));
    }
    let mut loops = Loops::default();
    until(PATIENCE, "every turn has its time", || {
        loops = Loops::of(&director);
        loops.number("connections open") == 0 && loops.timed() == loops.number("turns")
    });
    assert_eq!(loops.0["reactor"], ["0", "1", "total"]);
    assert_eq!(loops.number("connections accepted"), 20);
    assert!(loops.number("turns") >= 20 && loops.number("events") >= 40, "{loops:#?}");
    assert!(loops.number("events a turn, most") >= 1, "{loops:#?}");
    assert_eq!((loops.number("budgets spent"), loops.number("buffers leased")), (0, 0), "{loops:#?}");
    assert_ne!(loops.total("turns, 99 % below"), "-");
    assert_eq!(loops.number("bytes copied"), 20 * 2 * 14, "there and back, each way: {loops:#?}");
    director.finish();
}

#[test]
fn bulk_spends_budgets_and_gives_back_what_a_slow_client_made_it_hold() {
    const BYTES: u64 = 24 << 20;
    let host = Host::serve("h", scripts::source(1, BYTES));
    let director = Director::plan(Service::with(&[&host]))
        .threads(1)
        .args(&["--buffer-size", "4k"])
        .log_lines_max(LINES_MAX)
        .start();
    let client = Client::connect(director.addr());
    // The client reads nothing until the balancer holds what it would not take.
    until(PATIENCE, "a buffer or a pipe is held", || {
        let loops = Loops::of(&director);
        loops.number("buffers leased") + loops.number("pipes") > 0
    });
    let (read, end) = client.read_to_end(PATIENCE);
    assert_eq!((read.len() as u64, end), (BYTES, End::Eof));
    client.finish_sending();
    let mut loops = Loops::default();
    until(PATIENCE, "it is over", || {
        loops = Loops::of(&director);
        loops.number("connections open") == 0 && loops.timed() == loops.number("turns")
    });
    assert!(loops.number("budgets spent") > 0, "{loops:#?}");
    assert_eq!(loops.number("buffers leased"), 0, "{loops:#?}");
    assert_eq!(loops.number("bytes copied") + loops.number("bytes spliced"), BYTES, "{loops:#?}");
    director.finish();
}
