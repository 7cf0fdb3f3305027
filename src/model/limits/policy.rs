//! Bounds of how clients find their host again, and of the order in which hosts come into question.

use std::time::Duration;

/// Clients that a group's table remembers unless it is told another number.
pub const STICKY_SIZE: u32 = 2048;
/// Most clients that a table can be told to remember: half a gigabyte of them.
pub const STICKY_SIZE_MAX: u32 = 10_000_000;
/// Clients of a table for which it has one lock, unless it is so large that it has all of them.
pub const STICKY_SHARD_CLIENTS: usize = 256;
/// Most locks of a table: with as many reactors as processors, two rarely want the same.
pub const STICKY_SHARDS_MAX: usize = 64;
/// Places of a table that are looked at under one lock when all of it is walked.
pub const STICKY_WALK: usize = 64;
/// Leading bits of an IPv4 address that make a client, unless said otherwise: all.
pub const STICKY_PREFIX_V4: u8 = 32;
/// As [`STICKY_PREFIX_V4`], of an IPv6 address: those of the network that a customer has.
pub const STICKY_PREFIX_V6: u8 = 64;
/// How long the command `blacklist` keeps a host out that says no time; pen's default.
pub const BLACKLIST: Duration = Duration::from_secs(30);
/// Largest `prio` of a host.
pub const PRIO_MAX: u32 = 65_535;
/// Levels of a group, by their `prio`, that have a position of round robin of their own; those above share them.
pub const ROTATIONS: usize = 8;
/// Places of the table of `maglev`, a prime: a hundred for each of 655 hosts, so that their shares differ by a hundredth.
pub const MAGLEV_PLACES: usize = 65_537;

const _: () = assert!(STICKY_SIZE <= STICKY_SIZE_MAX && STICKY_SHARDS_MAX.is_power_of_two());
