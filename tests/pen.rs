//! What pen does, row by row: the same line starts pen and Director, the same clients ask both, and what they see is
//! compared. Rows that are to be the same must be; in rows that are to be better, Director must do better, and what pen
//! does is printed. The numbers are those of the table "Coming from pen" of the README, which names what comes later.
//!
//! pen's half is left out, with a word, where pen is not installed.
#![allow(clippy::print_stdout, reason = "tests say what they skip")]

#[path = "pen/access.rs"]
mod access;
#[path = "pen/addresses.rs"]
mod addresses;
#[path = "pen/balancer.rs"]
mod balancer;
#[path = "pen/control.rs"]
mod control;
#[path = "pen/datagrams.rs"]
mod datagrams;
#[path = "pen/failover.rs"]
mod failover;
#[path = "pen/limits.rs"]
mod limits;
#[path = "pen/line.rs"]
mod line;
#[path = "pen/logs.rs"]
mod logs;
#[path = "pen/tracking.rs"]
mod tracking;
#[path = "pen/udp.rs"]
mod udp;
#[path = "pen/xml.rs"]
mod xml;

use std::fmt::Debug;

use balancer::Balancer;
use line::Line;
use support::Host;
use support::host::Script;

mod support;

/// What is observed of Director, which must be what is observed of pen.
#[track_caller]
fn same<T: PartialEq + Debug>(line: &Line, observe: impl Fn(&Balancer) -> T) -> T {
    same_with(line, &mut (), |balancer, ()| observe(balancer))
}

/// As [`same`], of something that the observation changes and leaves as it was.
#[track_caller]
fn same_with<T: PartialEq + Debug, W>(line: &Line, what: &mut W, observe: impl Fn(&Balancer, &mut W) -> T) -> T {
    let director = balancer::director(line);
    let seen = observe(&director, what);
    director.finish();
    if let Some(pen) = balancer::pen(line) {
        assert_eq!(observe(&pen, what), seen, "pen beside Director; {line}");
        pen.finish();
    }
    seen
}

fn hosts<const N: usize>(names: [&str; N], script: fn() -> Script) -> [Host; N] {
    names.map(|name| Host::serve(name, script()))
}
