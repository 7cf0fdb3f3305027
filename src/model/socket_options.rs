//! What the kernel can be told about sockets: options of listeners, of the connections accepted from them, and of the
//! connections to hosts.
//!
//! Every option is `None` where nobody said anything: then the kernel is not asked and its own default is in force. A
//! zero says so explicitly, against a default of the command line. See socket(7), tcp(7) and ip(7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use super::address::Endpoint;
use super::limits::{CONGESTION_CHARS_MAX, SOURCES_MAX};
use super::proxy::Announce;

/// Options that connections of both sides have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StreamOptions {
    /// `TCP_USER_TIMEOUT`: how long sent bytes may stay unacknowledged before the connection is given up; 0: the
    /// kernel's retransmissions decide.
    pub user_timeout: Option<Duration>,
    /// `SO_KEEPALIVE` and its times.
    pub keepalive: Option<Keepalive>,
    /// `TCP_CONGESTION`: the congestion control.
    pub congestion: Option<Congestion>,
    /// `TCP_NOTSENT_LOWAT`: bytes that may wait in the kernel without having been sent; 0: as many as fit.
    pub notsent_lowat: Option<u32>,
    /// `SO_BUSY_POLL`: microseconds that a read may poll the device for; 0: none.
    pub busy_poll: Option<u32>,
    /// `SO_RCVBUF`: bytes of payload to plan with, without the kernel's own share; 0: the kernel tunes it.
    pub receive_buffer: Option<u32>,
    /// `SO_SNDBUF`, likewise.
    pub send_buffer: Option<u32>,
    /// `TCP_QUICKACK`: whether a connection begins with immediate acknowledgements.
    pub quick_ack: Option<bool>,
}

/// Options of a listening socket. The accepted connections inherit those of the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListenOptions {
    /// Clients that may wait to be accepted; see listen(2).
    pub backlog: Option<u32>,
    /// `TCP_DEFER_ACCEPT`: how long a client that says nothing waits in the kernel; whole seconds, 0: not at all.
    pub defer_accept: Option<Duration>,
    /// `TCP_FASTOPEN`: clients that may wait with data in their first packet; 0: off.
    pub fastopen: Option<u32>,
    /// Of the accepted connections.
    pub stream: StreamOptions,
}

/// Options of connections to hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Whether what the client has sent already may go with the first packet; see RFC 7413.
    pub fastopen: Option<bool>,
    /// The local addresses to connect from.
    pub source: Option<Sources>,
    /// Who the client is, told to the host before anything else.
    pub proxy: Option<Announce>,
    /// Of the connection.
    pub stream: StreamOptions,
}

/// When a silent connection is asked whether it still is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keepalive {
    /// Never.
    Off,
    /// After some silence.
    On {
        /// `TCP_KEEPIDLE`: seconds of silence before the first question.
        idle_s: u16,
        /// `TCP_KEEPINTVL`: seconds between questions; none: the kernel's.
        interval_s: Option<u16>,
        /// `TCP_KEEPCNT`: questions without an answer that end the connection; none: the kernel's.
        count: Option<u8>,
    },
}

/// The name of a congestion control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Congestion([u8; CONGESTION_CHARS_MAX]);

impl Congestion {
    /// The name, if it can be one: 1 to [`CONGESTION_CHARS_MAX`] letters, digits, `_` and `-`.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let allowed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        let mut bytes = [0; CONGESTION_CHARS_MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        (allowed && !name.is_empty()).then_some(Self(bytes))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        // Only ASCII was taken in.
        str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

impl StreamOptions {
    /// These, and where they say nothing, the others.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            user_timeout: self.user_timeout.or(other.user_timeout),
            keepalive: self.keepalive.or(other.keepalive),
            congestion: self.congestion.or(other.congestion),
            notsent_lowat: self.notsent_lowat.or(other.notsent_lowat),
            busy_poll: self.busy_poll.or(other.busy_poll),
            receive_buffer: self.receive_buffer.or(other.receive_buffer),
            send_buffer: self.send_buffer.or(other.send_buffer),
            quick_ack: self.quick_ack.or(other.quick_ack),
        }
    }
}

impl StreamOptions {
    /// Those that a socket of this machine has: its buffers. The others are TCP's.
    #[must_use]
    pub fn of_unix(self) -> Self {
        Self { receive_buffer: self.receive_buffer, send_buffer: self.send_buffer, ..Self::default() }
    }
}

impl ListenOptions {
    /// Those that a listener there can have.
    #[must_use]
    pub fn fit(self, addr: Endpoint) -> Self {
        match addr {
            Endpoint::Ip(_) => self,
            Endpoint::Unix(_) => Self { backlog: self.backlog, stream: self.stream.of_unix(), ..Self::default() },
        }
    }

    /// These, and where they say nothing, the others.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            backlog: self.backlog.or(other.backlog),
            defer_accept: self.defer_accept.or(other.defer_accept),
            fastopen: self.fastopen.or(other.fastopen),
            stream: self.stream.or(other.stream),
        }
    }
}

impl ConnectOptions {
    /// Those that a connection to there can have.
    #[must_use]
    pub fn fit(self, addr: Endpoint) -> Self {
        match addr {
            Endpoint::Ip(_) => self,
            Endpoint::Unix(_) => Self { proxy: self.proxy, stream: self.stream.of_unix(), ..Self::default() },
        }
    }

    /// These, and where they say nothing, the others.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            fastopen: self.fastopen.or(other.fastopen),
            source: self.source.as_ref().or(other.source.as_ref()).cloned(),
            proxy: self.proxy.or(other.proxy),
            stream: self.stream.or(other.stream),
        }
    }
}

/// Local addresses, as ranges of one family each. At least one address, and [`SOURCES_MAX`] at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sources(Arc<[SourceRange]>);

/// The addresses from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceRange {
    first: IpAddr,
    count: u32,
}

impl SourceRange {
    /// The range, if both ends are of one family and in order, and it is no longer than [`SOURCES_MAX`].
    #[must_use]
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        let distance = match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => last.to_bits().checked_sub(first.to_bits())?,
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                u32::try_from(last.to_bits().checked_sub(first.to_bits())?).ok()?
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
        };
        (distance < SOURCES_MAX).then(|| Self { first, count: distance + 1 })
    }

    /// The first address.
    #[must_use]
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// The last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        self.nth(self.count - 1)
    }

    /// Number of addresses.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The address at this position, which must be below [`Self::count`].
    fn nth(&self, position: u32) -> IpAddr {
        match self.first {
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() + position).into(),
            IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() + u128::from(position)).into(),
        }
    }
}

impl Sources {
    /// These ranges, if there is one at least and they have no more than [`SOURCES_MAX`] addresses together.
    #[must_use]
    pub fn new(ranges: &[SourceRange]) -> Option<Self> {
        let count = ranges.iter().try_fold(0_u32, |count, range| count.checked_add(range.count))?;
        (1..=SOURCES_MAX).contains(&count).then(|| Self(ranges.into()))
    }

    /// The ranges, in the order of the configuration.
    #[must_use]
    pub fn ranges(&self) -> &[SourceRange] {
        &self.0
    }

    /// Every address.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().flat_map(|range| (0..range.count).map(|position| range.nth(position)))
    }

    /// Whether an address is of this one's family.
    #[must_use]
    pub fn have_family_of(&self, addr: SocketAddr) -> bool {
        self.0.iter().any(|range| range.first.is_ipv4() == addr.is_ipv4())
    }
}

/// How connections to one host address are made: its options, and the turn of its source addresses, which all reactors
/// share.
#[derive(Debug)]
pub struct Outbound {
    options: ConnectOptions,
    /// Of the host's family.
    sources: Vec<SourceRange>,
    count: u32,
    turn: AtomicU32,
}

impl Outbound {
    /// How to connect to `addr`; `None` when nobody said anything about it. Sources of another family are left out.
    #[must_use]
    pub fn new(addr: Endpoint, options: ConnectOptions) -> Option<Self> {
        let options = options.fit(addr);
        if options == ConnectOptions::default() {
            return None;
        }
        let ranges = options.source.as_ref().map_or(&[][..], Sources::ranges).iter();
        let sources: Vec<SourceRange> =
            ranges.filter(|range| addr.ip().is_some_and(|ip| ip.is_ipv4() == range.first.is_ipv4())).copied().collect();
        let count = sources.iter().map(|range| range.count).sum();
        Some(Self { options, sources, count, turn: AtomicU32::new(0) })
    }

    /// The options.
    #[must_use]
    pub const fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// Which PROXY header the host is sent.
    #[must_use]
    pub fn announce(&self) -> Announce {
        self.options.proxy.unwrap_or_default()
    }

    /// Number of source addresses; 0: the system chooses.
    #[must_use]
    pub const fn sources(&self) -> u32 {
        self.count
    }

    /// The source address whose turn it is at this number, which may be any.
    #[must_use]
    pub fn source(&self, turn: u32) -> Option<IpAddr> {
        let mut position = turn.checked_rem(self.count)?;
        for range in &self.sources {
            if position < range.count {
                return Some(range.nth(position));
            }
            position -= range.count;
        }
        None
    }

    /// The number of the next connection.
    pub fn next_turn(&self) -> u32 {
        if self.count == 0 { 0 } else { self.turn.fetch_add(1, Relaxed) }
    }

    /// Whether a connection may come from this address.
    #[must_use]
    pub fn may_come_from(&self, ip: IpAddr) -> bool {
        // The order of addresses keeps the families apart.
        self.count == 0 || self.sources.iter().any(|range| (range.first..=range.last()).contains(&ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: &str, last: &str) -> Option<SourceRange> {
        SourceRange::new(first.parse().unwrap(), last.parse().unwrap())
    }

    fn outbound(addr: &str, ranges: &[SourceRange]) -> Outbound {
        let source = Sources::new(ranges);
        let addr: SocketAddr = addr.parse().unwrap();
        Outbound::new(addr.into(), ConnectOptions { source, ..ConnectOptions::default() }).unwrap()
    }

    #[test]
    fn congestion_is_a_short_plain_name() {
        assert_eq!(Congestion::new("bbr").unwrap().as_str(), "bbr");
        assert_eq!(Congestion::new("abcdefghijklmno").unwrap().as_str(), "abcdefghijklmno");
        for name in ["", "abcdefghijklmnop", "b r", "ü", "a\0"] {
            assert_eq!(Congestion::new(name), None, "{name:?}");
        }
    }

    #[test]
    fn options_said_first_win_field_by_field() {
        let near = StreamOptions { notsent_lowat: Some(0), ..StreamOptions::default() };
        let far = StreamOptions { notsent_lowat: Some(9), busy_poll: Some(50), ..StreamOptions::default() };
        assert_eq!(near.or(far), StreamOptions { notsent_lowat: Some(0), ..far });
    }

    #[test]
    fn range_is_of_one_family_in_order_and_bounded() {
        assert_eq!(range("10.0.0.1", "10.0.0.1").unwrap().count(), 1);
        assert_eq!(range("10.0.0.250", "10.0.1.4").unwrap().last().to_string(), "10.0.1.4");
        assert_eq!(range("fd00::ff", "fd00::1:1").map(|range| range.count()), None, "longer than allowed");
        assert_eq!(range("fd00::1", "fd00::ff").unwrap().count(), 255);
        assert_eq!(range("10.0.0.2", "10.0.0.1"), None);
        assert_eq!(range("10.0.0.1", "fd00::1"), None);
    }

    #[test]
    fn sources_take_turns_within_the_hosts_family() {
        let ranges = [range("10.0.0.1", "10.0.0.2"), range("fd00::1", "fd00::1"), range("10.0.0.9", "10.0.0.9")]
            .map(Option::unwrap);
        let v4 = outbound("10.1.1.1:80", &ranges);
        let turns: Vec<String> = (0..4).map(|_| v4.source(v4.next_turn()).unwrap().to_string()).collect();
        assert_eq!(turns, ["10.0.0.1", "10.0.0.2", "10.0.0.9", "10.0.0.1"]);
        assert_eq!(v4.source(u32::MAX).unwrap(), "10.0.0.1".parse::<IpAddr>().unwrap());
        assert!(v4.may_come_from("10.0.0.9".parse().unwrap()) && !v4.may_come_from("10.1.1.1".parse().unwrap()));
        assert_eq!(outbound("[fd00::80]:80", &ranges).sources(), 1);
    }

    #[test]
    fn host_without_a_source_of_its_family_comes_from_anywhere() {
        let outbound = outbound("[fd00::80]:80", &[range("10.0.0.1", "10.0.0.2").unwrap()]);
        assert_eq!((outbound.sources(), outbound.source(7)), (0, None));
        assert!(outbound.may_come_from("fd00::80".parse().unwrap()));
    }

    #[test]
    fn nothing_said_needs_no_outbound() {
        let addr: SocketAddr = "10.0.0.1:80".parse().unwrap();
        assert!(Outbound::new(addr.into(), ConnectOptions::default()).is_none());
    }
}
