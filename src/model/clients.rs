//! What each client of a service has open and how often it comes, over all reactors: a table of a fixed size.
//!
//! A client is an address, or all of a network as one. It has one of the few places of the bucket that its address
//! falls into by a hash with a secret key, so that nobody can choose to fall into another one's. A lock is held for a
//! look at one bucket. Where a bucket is full, the client without connections that came longest ago makes room; if all
//! of it have some, a new client is let in without being counted: it is better not to count than not to serve.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::access::masked;
use super::limits::CLIENT_PLACES;
use super::time::Moment;

/// How much a client may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// Most open connections.
    pub max: Option<u32>,
    /// Most new connections in a second, on average and at once.
    pub rate: Option<u32>,
}

/// Which clients are one, and how many there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientRoom {
    /// Bits of an IPv4 address that count, 0 to 32.
    pub prefix_v4: u8,
    /// Bits of an IPv6 address that count, 0 to 128.
    pub prefix_v6: u8,
    /// Clients that the table holds at least.
    pub clients: u32,
}

/// Stands for the clients that came over sockets of this machine: a multicast address, from which nobody comes, and
/// which is no network's first one.
const NO_ADDRESS: u128 = u128::MAX;

/// What the table says of a client that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is counted here, until [`ClientTable::leave`].
    Counted(Place),
    /// It may come in, and is not counted: the table has no room for it.
    Uncounted,
    /// It has as much as it may.
    Refused,
}

/// Where a connection is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    number: NonZeroU32,
    /// Of which table.
    table: u16,
}

/// The table.
#[derive(Debug)]
pub struct ClientTable {
    number: u16,
    room: ClientRoom,
    hasher: RandomState,
    buckets: Box<[Mutex<Bucket>]>,
}

type Bucket = [Client; CLIENT_PLACES];

#[derive(Clone, Copy, Debug, Default)]
struct Client {
    ip: u128,
    /// When all that came has been paid for at the rate, in microseconds since the start.
    paid_at: u64,
    /// When it last came, likewise; 0: nobody has this place.
    came_at: u64,
    open: u32,
}

impl Client {
    /// Whether it is as if it had never come.
    const fn is_forgotten(&self, now: u64) -> bool {
        self.open == 0 && self.paid_at <= now
    }
}

impl ClientTable {
    /// An empty table. `number` tells it from other tables of the service.
    #[must_use]
    pub fn new(number: u16, room: ClientRoom) -> Self {
        let places = u32::try_from(CLIENT_PLACES).unwrap_or(1);
        let buckets = room.clients.div_ceil(places).max(1).next_power_of_two();
        let buckets = (0..buckets).map(|_| Mutex::default()).collect();
        Self { number, room, hasher: RandomState::new(), buckets }
    }

    /// Which clients are one, and how many there can be.
    #[must_use]
    pub const fn room(&self) -> ClientRoom {
        self.room
    }

    /// Number of the table.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Clients that have something open, and those that are known at all. Looks at all of the table.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let mut sums = (0, 0);
        for bucket in &self.buckets {
            for client in lock(bucket).iter().filter(|client| client.came_at > 0) {
                sums = (sums.0 + usize::from(client.open > 0), sums.1 + 1);
            }
        }
        sums
    }

    /// Connections that a client has open.
    #[must_use]
    pub fn open(&self, client: Option<IpAddr>) -> u32 {
        let ip = self.key(client);
        let bucket = lock(&self.buckets[self.bucket_of(ip)]);
        bucket.iter().find(|known| known.came_at > 0 && known.ip == ip).map_or(0, |known| known.open)
    }

    /// Counts one more connection of a client, if it may have one.
    pub fn enter(&self, now: Moment, client: Option<IpAddr>, limits: ClientLimits) -> Entry {
        let ip = self.key(client);
        let now = now.as_micros().max(1);
        let at = self.bucket_of(ip);
        let mut bucket = lock(&self.buckets[at]);
        let Some(place) = place_of(&bucket, ip, now) else { return Entry::Uncounted };
        let known = &mut bucket[place];
        if known.came_at == 0 || known.ip != ip {
            *known = Client { ip, ..Client::default() };
        }
        known.came_at = known.came_at.max(now);
        if limits.max.is_some_and(|max| known.open >= max) {
            return Entry::Refused;
        }
        if let Some(rate) = limits.rate {
            // A bucket of tokens as one moment: each connection moves it on by its share of a second, and it may be a
            // second ahead (the generic cell rate algorithm of ITU-T I.371).
            let paid_at = known.paid_at.max(now) + 1_000_000 / u64::from(rate.max(1));
            if paid_at > now + 1_000_000 {
                return Entry::Refused;
            }
            known.paid_at = paid_at;
        }
        known.open += 1;
        let number = u32::try_from(at * CLIENT_PLACES + place + 1).ok().and_then(NonZeroU32::new);
        number.map_or(Entry::Uncounted, |number| Entry::Counted(Place { number, table: self.number }))
    }

    /// Takes a connection off the count. A place in another table is left alone: that one is not used any more.
    pub fn leave(&self, place: Place) {
        if place.table != self.number {
            return;
        }
        let at = place.number.get() as usize - 1;
        if let Some(bucket) = self.buckets.get(at / CLIENT_PLACES) {
            let client = &mut lock(bucket)[at % CLIENT_PLACES];
            debug_assert!(client.open > 0, "a client's open count went below zero");
            client.open = client.open.saturating_sub(1);
        }
    }

    /// The client's address as a number, those of its network alike. IPv4 addresses are in their IPv6 form. Those without
    /// an address are one client.
    fn key(&self, client: Option<IpAddr>) -> u128 {
        let Some(client) = client else { return NO_ADDRESS };
        match client.to_canonical() {
            ip @ IpAddr::V4(_) => match masked(ip, self.room.prefix_v4) {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
                IpAddr::V6(ip) => ip.to_bits(),
            },
            ip @ IpAddr::V6(_) => match masked(ip, self.room.prefix_v6) {
                IpAddr::V4(ip) => ip.to_bits().into(),
                IpAddr::V6(ip) => ip.to_bits(),
            },
        }
    }

    fn bucket_of(&self, ip: u128) -> usize {
        let hash = self.hasher.hash_one(ip);
        usize::try_from(hash % self.buckets.len() as u64).unwrap_or(0)
    }
}

/// The place that a client has or gets.
fn place_of(bucket: &Bucket, ip: u128, now: u64) -> Option<usize> {
    if let Some(known) = bucket.iter().position(|client| client.came_at > 0 && client.ip == ip) {
        return Some(known);
    }
    let without = |client: &Client| client.open == 0;
    let idle = bucket.iter().enumerate().filter(|(_, client)| without(client));
    idle.min_by_key(|(_, client)| (!client.is_forgotten(now), client.came_at)).map(|(at, _)| at)
}

/// A reactor that panicked has left nothing undone: each change is one addition.
fn lock(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;
    use std::thread;
    use std::time::Duration;

    const ROOM: ClientRoom = ClientRoom { prefix_v4: 32, prefix_v6: 64, clients: 64 };
    const TWO: ClientLimits = ClientLimits { max: Some(2), rate: None };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn counted(entry: Entry) -> Place {
        let Entry::Counted(place) = entry else { panic!("{entry:?}") };
        place
    }

    #[test]
    fn clients_without_an_address_are_one() {
        let table = ClientTable::new(1, ClientRoom { prefix_v4: 0, prefix_v6: 0, clients: 64 });
        for ip in [Some(ip("10.0.0.1")), Some(ip("::1")), None] {
            counted(table.enter(Moment::START, ip, TWO));
            counted(table.enter(Moment::START, ip, TWO));
            assert_eq!(table.enter(Moment::START, ip, TWO), Entry::Refused);
        }
        assert_eq!(table.open(None), 2);
    }

    #[test]
    fn client_at_its_max_is_refused_until_a_connection_ends() {
        let table = ClientTable::new(1, ROOM);
        let enter = |client| table.enter(Moment::START, Some(ip(client)), TWO);
        let first = counted(enter("10.0.0.1"));
        counted(enter("10.0.0.1"));
        assert_eq!(enter("10.0.0.1"), Entry::Refused);
        assert_eq!(enter("::ffff:10.0.0.1"), Entry::Refused, "the same client in IPv6 form");
        counted(enter("10.0.0.2"));
        table.leave(first);
        counted(enter("10.0.0.1"));
        assert_eq!(table.count(), (2, 2));
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let table = ClientTable::new(1, ROOM);
        let enter = |client| table.enter(Moment::START, Some(ip(client)), TWO);
        counted(enter("2001:db8::1"));
        counted(enter("2001:db8::2:1"));
        assert_eq!(enter("2001:db8::3"), Entry::Refused);
        counted(enter("2001:db8:0:1::3"));
    }

    #[test]
    fn client_may_come_as_often_in_a_second_as_its_rate_says_and_at_once() {
        let table = ClientTable::new(1, ROOM);
        let limits = ClientLimits { max: None, rate: Some(4) };
        let come = |millis| match table.enter(Moment::from_millis(millis), Some(ip("10.0.0.1")), limits) {
            Entry::Counted(place) => {
                table.leave(place);
                true
            }
            Entry::Uncounted | Entry::Refused => false,
        };
        assert_eq!([0, 0, 0, 0, 0].map(|_| come(1000)), [true, true, true, true, false]);
        assert!(!come(1200), "a quarter of a second has not passed");
        assert!(come(1251) && !come(1252));
        assert_eq!((0..100).filter(|n| come(5000 + n * 100)).count(), 43, "four at once, and four a second");
    }

    #[test]
    fn place_in_another_table_is_left_alone() {
        let (old, new) = (ClientTable::new(1, ROOM), ClientTable::new(2, ROOM));
        let place = counted(old.enter(Moment::START, Some(ip("10.0.0.1")), TWO));
        let other = counted(new.enter(Moment::START, Some(ip("10.0.0.1")), TWO));
        new.leave(place);
        assert_eq!((old.count().0, new.count().0), (1, 1));
        new.leave(other);
        assert_eq!(new.count().0, 0);
    }

    #[test]
    fn client_that_came_longest_ago_makes_room_and_one_with_connections_stays() {
        let table = ClientTable::new(1, ClientRoom { clients: 1, ..ROOM });
        let limits = ClientLimits { max: None, rate: Some(1) };
        let enter =
            |at: u64, client: u8| table.enter(Moment::from_millis(at), Some(ip(&format!("10.0.0.{client}"))), limits);
        let places: Vec<Place> = (0..8).map(|n| counted(enter(1000 + u64::from(n), n))).collect();
        assert_eq!(enter(1100, 100), Entry::Uncounted, "all of them have a connection");
        table.leave(places[3]);
        table.leave(places[5]);
        counted(enter(1200, 100));
        assert_eq!(enter(1300, 5), Entry::Refused, "it came later than the one that made room, and is remembered");
        assert_eq!(table.count(), (7, 8));
    }

    #[test]
    fn attack_from_many_sources_leaves_the_table_as_large_as_it_was() {
        let table = ClientTable::new(1, ClientRoom { clients: 1024, ..ROOM });
        let held = counted(table.enter(Moment::START, Some(ip("10.0.0.1")), TWO));
        for source in 0..200_000_u128 {
            let client = IpAddr::V6(Ipv6Addr::from_bits(0x2001 << 112 | source << 64));
            let entry = table.enter(Moment::from_micros(u64::try_from(source).unwrap()), Some(client), TWO);
            if let Entry::Counted(place) = entry {
                table.leave(place);
            }
        }
        assert!(table.count().1 <= 1024 && table.count().0 == 1, "{:?}", table.count());
        counted(table.enter(Moment::START, Some(ip("10.0.0.1")), TWO));
        assert_eq!(table.enter(Moment::START, Some(ip("10.0.0.1")), TWO), Entry::Refused, "it was not forgotten");
        table.leave(held);
    }

    #[test]
    fn limit_holds_over_threads() {
        let table = ClientTable::new(1, ROOM);
        let limits = ClientLimits { max: Some(50), rate: None };
        let enter =
            || (0..100).filter(|_| matches!(table.enter(Moment::START, Some(ip("::1")), limits), Entry::Counted(_)));
        let sum: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| enter().count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(sum, 50);
    }

    #[test]
    fn look_at_a_client_is_short() {
        let table = ClientTable::new(1, ClientRoom { clients: 65_536, ..ROOM });
        let limits = ClientLimits { max: Some(9), rate: Some(1000) };
        let begin = std::time::Instant::now();
        for n in 0..1_000_000_u32 {
            let client = IpAddr::V4((n % 60_000).into());
            if let Entry::Counted(place) = table.enter(Moment::from_micros(n.into()), Some(client), limits) {
                table.leave(place);
            }
        }
        let took = begin.elapsed() / 1_000_000;
        println!("one client in and out of a table of 65,536: {took:?}");
        assert!(took < Duration::from_micros(20));
    }
}
