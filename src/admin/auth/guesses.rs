//! What guessing passwords costs: time, for who guesses and for nobody else.
//!
//! An address has some wrong passwords of a user free, and some of all users; then it waits, twice as long each time. A
//! user at whom many addresses guess is not locked out: an address that has guessed wrong once has to wait from then on,
//! and one that has not has its guess.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::model::limits::{
    GUESS_WAIT_MAX, GUESS_WAIT_MIN, GUESSERS_MAX, GUESSES_FREE, GUESSES_KEPT, GUESSES_PER_USER,
};

/// Wrong passwords of an address, whoever's, that cost it no time.
const FREE_PER_ADDRESS: u32 = 4 * GUESSES_FREE;
/// Characters of a user's name by which he is told apart here.
const NAME_CHARS_MAX: usize = 64;

/// Wrong passwords of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Guesses(HashMap<Guesser, Record>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Guesser {
    /// An address, whoever it says to be.
    Address(IpAddr),
    /// Whoever guesses this user's password.
    User(String),
    /// Both.
    Both(IpAddr, String),
}

#[derive(Clone, Copy, Debug)]
struct Record {
    wrong: u32,
    last: Instant,
}

impl Guesses {
    /// How long this address has to wait before it may say a password of this user.
    pub(crate) fn wait(&self, now: Instant, address: IpAddr, user: &str) -> Option<Duration> {
        let [alone, of_user, both] = guessers(address, user);
        let left = |guesser: &Guesser, free: u32| {
            let record = self.fresh(now, guesser)?;
            let over = record.wrong.checked_sub(free)?;
            let wait = GUESS_WAIT_MIN.saturating_mul(1_u32.checked_shl(over).unwrap_or(u32::MAX)).min(GUESS_WAIT_MAX);
            (record.last + wait).checked_duration_since(now).filter(|left| !left.is_zero())
        };
        let many = self.fresh(now, &of_user).is_some_and(|record| record.wrong >= GUESSES_PER_USER);
        let after_many = || left(&both, if many { 1 } else { GUESSES_FREE });
        left(&alone, FREE_PER_ADDRESS).max(after_many())
    }

    /// That was wrong.
    pub(crate) fn wrong(&mut self, now: Instant, address: IpAddr, user: &str) {
        for guesser in guessers(address, user) {
            let before = self.fresh(now, &guesser).map_or(0, |record| record.wrong);
            self.make_room(now);
            self.0.insert(guesser, Record { wrong: before.saturating_add(1), last: now });
        }
    }

    fn fresh(&self, now: Instant, guesser: &Guesser) -> Option<Record> {
        let is_fresh = |record: &Record| now.saturating_duration_since(record.last) < GUESSES_KEPT;
        self.0.get(guesser).copied().filter(is_fresh)
    }

    fn make_room(&mut self, now: Instant) {
        if self.0.len() < GUESSERS_MAX {
            return;
        }
        self.0.retain(|_, record| now.saturating_duration_since(record.last) < GUESSES_KEPT);
        if self.0.len() >= GUESSERS_MAX {
            let mut ages: Vec<Instant> = self.0.values().map(|record| record.last).collect();
            // A part of them at once, so that a flood of addresses does not have all looked at for each.
            let (_, limit, _) = ages.select_nth_unstable(GUESSERS_MAX / 8);
            let limit = *limit;
            self.0.retain(|_, record| record.last > limit);
        }
    }
}

fn guessers(address: IpAddr, user: &str) -> [Guesser; 3] {
    let address = network(address);
    let user: String = user.chars().take(NAME_CHARS_MAX).collect();
    [Guesser::Address(address), Guesser::User(user.clone()), Guesser::Both(address, user)]
}

/// What one guesser has at least: an IPv4 address, or 2^64 IPv6 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn address_that_guesses_waits_twice_as_long_each_time_and_others_do_not() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        let (bad, good) = (ip("192.0.2.1"), ip("192.0.2.2"));
        for _ in 0..GUESSES_FREE {
            assert_eq!(guesses.wait(now, bad, "u"), None);
            guesses.wrong(now, bad, "u");
        }
        assert_eq!(guesses.wait(now, bad, "u"), Some(GUESS_WAIT_MIN));
        guesses.wrong(now, bad, "u");
        assert_eq!(guesses.wait(now, bad, "u"), Some(GUESS_WAIT_MIN * 2));
        assert_eq!(guesses.wait(now, good, "u"), None);
        assert_eq!(guesses.wait(now, bad, "v"), None, "another user behind the same address");
        for _ in 0..100 {
            guesses.wrong(now, bad, "u");
        }
        assert_eq!(guesses.wait(now, bad, "u"), Some(GUESS_WAIT_MAX));
        assert_eq!(guesses.wait(now + GUESS_WAIT_MAX, bad, "u"), None);
        assert_eq!(guesses.wait(now + GUESSES_KEPT, bad, "u"), None);
    }

    #[test]
    fn address_that_tries_many_users_waits() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        for n in 0..FREE_PER_ADDRESS {
            assert_eq!(guesses.wait(now, ip("::1"), &n.to_string()), None);
            guesses.wrong(now, ip("::1"), &n.to_string());
        }
        assert_eq!(guesses.wait(now, ip("::2"), "u"), Some(GUESS_WAIT_MIN), "the same network");
    }

    #[test]
    fn user_at_whom_many_guess_is_not_locked_out() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        for n in 0..=255 {
            let address = IpAddr::from([192, 0, 2, n]);
            assert_eq!(guesses.wait(now, address, "u"), None, "one guess");
            guesses.wrong(now, address, "u");
        }
        assert_eq!(guesses.wait(now, ip("192.0.2.9"), "u"), Some(GUESS_WAIT_MIN), "and no second");
        assert_eq!(guesses.wait(now, ip("198.51.100.1"), "u"), None, "the administrator");
    }

    #[test]
    fn table_is_bounded_and_keeps_the_newest() {
        let (mut guesses, mut now) = (Guesses::default(), Instant::now());
        for n in 0..2 * u32::try_from(GUESSERS_MAX).unwrap() {
            now += Duration::from_millis(1);
            guesses.wrong(now, IpAddr::from(n.to_be_bytes()), "u");
        }
        assert!(guesses.0.len() <= GUESSERS_MAX);
        assert!(guesses.fresh(now, &Guesser::User(String::from("u"))).is_some());
    }
}
