//! How many: rows 8, 9 and 36.

use std::time::{Duration, Instant};

use super::balancer::{self, Balancer, is_served};
use super::line::Line;
use super::{hosts, same};
use crate::support::wait::{allowed, holds_within, ms};
use crate::support::{Client, Host, PATIENCE, figure, scripts, until};

/// What does not come within this does not come.
const NEVER: Duration = Duration::from_millis(300);

#[test]
fn row_08_max_and_hard() {
    let [a, b] = hosts(["a", "b"], scripts::greet);
    let line = Line::default().server(&a, [2, 3, 0, 0]).server(&b, [2, 3, 0, 0]);
    let seen = same(&line, |balancer| {
        let open = || {
            let mut open = balancer.open();
            open.sort_unstable();
            open
        };
        let mut held: Vec<Client> = Vec::new();
        let mut add = |number| {
            held.push(balancer.client(number));
            assert!(is_served(&held[held.len() - 1], PATIENCE), "client {number}");
        };
        (0..4).for_each(|_| add(1));
        let own = open();
        add(2);
        let with_stranger = open();
        // pen closes this one, Director lets it wait.
        let refused = balancer.client(3);
        let served = is_served(&refused, NEVER);
        // pen counts one less after each that it closed so, and takes one more than max for it.
        assert!(balancer.is_pen() || open() == with_stranger, "{:?}", open());
        (own, with_stranger, served)
    });
    assert_eq!(seen, (vec![1, 3], vec![2, 3], false), "of one client up to hard, then the other server");
}

#[test]
fn row_09_max_connections() {
    let [a, b] = hosts(["a", "b"], scripts::greet);
    let seen = same(&Line::new("-x 2", &[&a, &b]), |balancer| {
        let mut held: Vec<Client> = [1, 2].map(|number| balancer.client(number)).into();
        assert!(held.iter().all(|client| is_served(client, PATIENCE)));
        held.push(balancer.client(3));
        let early = is_served(&held[2], NEVER);
        held.remove(0);
        let in_turn = is_served(&held[1], PATIENCE);
        held.push(balancer.client(4));
        let full = is_served(&held[2], NEVER);
        balancer.set_max_connections(3);
        let raised = is_served(&held[2], PATIENCE);
        (early, in_turn, full, raised)
    });
    assert_eq!(
        seen,
        (false, true, false, true),
        "waits; served when one closes; waits; served when the bound is raised"
    );
}

/// Whether the other side is closed as well when the server ends, and when the client does.
#[test]
fn row_36_fastclose() {
    // One ends its sending at once, the other long after its client.
    let ends = Host::serve("ends", scripts::finish_at_once());
    let stays = Host::serve(
        "stays",
        scripts::script(|visit| {
            visit.send(b"s");
            visit.receive(|_| ());
            std::thread::sleep(2 * NEVER);
        }),
    );
    for (mode, expected) in
        [("off", (false, false)), ("up", (true, false)), ("down", (false, true)), ("both", (true, true))]
    {
        let command = format!("tcp_fastclose {mode}");
        let up = same(&Line::new("", &[&ends]).command(&command), |balancer| {
            let before = ends.record().ends().len();
            let client = balancer.client(1);
            assert_eq!(client.stream().peek(&mut [0]).unwrap_or(0), 0, "the server's end");
            let ended = holds_within(NEVER, || ends.record().ends().len() > before);
            drop(client);
            until(PATIENCE, "the server's connection ends with the client", || ends.record().open() == 0);
            ended
        });
        let down = same(&Line::new("", &[&stays]).command(&command), |balancer| {
            let client = balancer.client(1);
            assert!(is_served(&client, PATIENCE));
            client.read_exact(1);
            client.finish_sending();
            client.stream().set_read_timeout(Some(NEVER)).expect("set the read timeout");
            let read = std::io::Read::read(&mut client.stream(), &mut [0]);
            !read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        });
        assert_eq!((up, down), expected, "{mode}");
    }
}

/// How long a connection may be silent in row 36.
const LIMIT: Duration = Duration::from_secs(2);

/// How long a silent connection lasts, if not for longer than this.
fn lasts(balancer: &Balancer, at_most: Duration) -> Option<Duration> {
    // From before its last byte, so that no bound from below is missed by who looks late.
    let since = Instant::now();
    let client = balancer.client(1);
    assert!(is_served(&client, PATIENCE));
    client.read_exact(2);
    client.stream().set_read_timeout(Some(at_most)).expect("set the read timeout");
    let read = std::io::Read::read(&mut client.stream(), &mut [0]);
    let timed_out = read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    (!timed_out).then(|| since.elapsed())
}

#[test]
fn row_36_idle_timeout() {
    let [a] = hosts(["a"], scripts::greet);
    for options in ["-x 1", "-x 500"] {
        let line = Line::new(options, &[&a]).command("idle_timeout 2");
        let director = balancer::director(&line);
        let lasted = lasts(&director, PATIENCE).expect("it is closed");
        let ok = lasted >= LIMIT && lasted < LIMIT + allowed(Duration::from_secs(1));
        assert!(ok, "{options}: within a second of the limit: {lasted:?}");
        director.finish();
        // Up to seconds more with others than so few.
        if let Some(pen) = (options == "-x 1").then(|| balancer::pen(&line)).flatten() {
            let lasted = lasts(&pen, Duration::from_millis(3500)).map_or("longer than 3500".to_owned(), ms);
            figure(&format!("row 36: pen, {options}, a connection that is to be idle for 2000 ms lasts, ms"), lasted);
        }
    }
}
