//! What an operator may ask of the sessions that are open now: to see them, and to have them cut.
//!
//! A question goes to every reactor. Each answers for its own sessions through an [`Answer`], which it drops when it
//! ends before: an asker that waits at the other end of a channel sees that nobody is left to answer.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::datagram::Protocol;
use super::id::{HostId, ReactorId, ServiceId};
use super::time::Moment;

/// A session's name. It is never that of another session, until its reactor has served 2^32 more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionName {
    /// The reactor that serves it, by number.
    pub reactor: u16,
    /// Its place there, below [`super::limits::SESSIONS_PER_REACTOR_MAX`]; that of a flow of datagrams is as far above it.
    pub slot: u32,
    /// Tells the users of a place apart.
    pub generation: u32,
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.reactor, self.slot, self.generation)
    }
}

/// The text is no [`SessionName`]: three decimal numbers with a `-` between them, such as `0-17-9234`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSessionName;

impl fmt::Display for NoSessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a session's name such as 0-17-9234")
    }
}

impl std::error::Error for NoSessionName {}

impl FromStr for SessionName {
    type Err = NoSessionName;

    fn from_str(text: &str) -> Result<Self, NoSessionName> {
        let mut parts = text.split('-');
        let name =
            Self { reactor: number(parts.next())?, slot: number(parts.next())?, generation: number(parts.next())? };
        if parts.next().is_some() { Err(NoSessionName) } else { Ok(name) }
    }
}

fn number<N: FromStr>(part: Option<&str>) -> Result<N, NoSessionName> {
    let digits = part.filter(|part| part.bytes().all(|byte| byte.is_ascii_digit())).ok_or(NoSessionName)?;
    digits.parse().map_err(|_| NoSessionName)
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// In the queue: every host is at its `max`.
    Waiting,
    /// A connect is in flight.
    Connecting,
    /// This machine could not connect; it tries again in a moment.
    Retrying,
    /// Bytes move both ways.
    Open,
    /// One side has ended.
    HalfClosed,
}

impl SessionState {
    /// The state's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Connecting => "connecting",
            Self::Retrying => "retrying",
            Self::Open => "open",
            Self::HalfClosed => "half-closed",
        }
    }
}

/// A session as its reactor saw it at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its name.
    pub name: SessionName,
    /// What it consists of.
    pub protocol: Protocol,
    /// The service; it may have been removed since.
    pub service: ServiceId,
    /// The host that it is at or connecting to; it may have been removed since.
    pub host: Option<HostId>,
    /// That host's address.
    pub host_addr: Option<SocketAddr>,
    /// The client's address.
    pub client: SocketAddr,
    /// Our address towards the host: what the host takes for its client.
    pub local: Option<SocketAddr>,
    /// The address that the client connected to.
    pub listen: Option<SocketAddr>,
    /// How far it has come.
    pub state: SessionState,
    /// When its client was accepted, by the reactor's clock.
    pub opened: Moment,
    /// How long ago that is. Clocks of threads differ by the freezes that each has seen; this does not.
    pub age: Duration,
    /// Time since the last byte in either direction; before there is one, since its host accepted or its connect began.
    pub idle: Duration,
    /// Bytes from the client so far.
    pub up: u64,
    /// Bytes from the host so far.
    pub down: u64,
}

/// Which sessions are meant: those of which everything that is said here is true. The default means all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Those of clients with this address, whatever the port.
    pub client: Option<IpAddr>,
    /// That of the client with this address and port.
    pub client_addr: Option<SocketAddr>,
    /// Those at this host, or connecting to it.
    pub host: Option<HostId>,
    /// Those of this service.
    pub service: Option<ServiceId>,
    /// Those whose host takes this for its client. Costs a system call for each session that all else is true of.
    pub local: Option<SocketAddr>,
}

impl SessionFilter {
    /// Whether such a session is meant, as far as that can be told without its sockets.
    #[must_use]
    pub fn matches(&self, service: ServiceId, host: Option<HostId>, client: SocketAddr) -> bool {
        self.client.is_none_or(|wanted| wanted == client.ip())
            && self.client_addr.is_none_or(|wanted| wanted == client)
            && self.host.is_none_or(|wanted| host == Some(wanted))
            && self.service.is_none_or(|wanted| wanted == service)
    }

    /// Whether a session that [`Self::matches`] is meant: the rest, which its sockets tell. `local` is asked at most once.
    pub fn matches_local(&self, local: impl FnOnce() -> Option<SocketAddr>) -> bool {
        self.local.is_none_or(|wanted| local() == Some(wanted))
    }
}

/// Where reactors put their answers. What is behind it runs on their threads: it must neither wait nor panic.
pub struct Answer<T>(Box<dyn Fn(T) + Send + Sync>);

impl<T> Answer<T> {
    /// Answers go to this function.
    pub fn new(give: impl Fn(T) + Send + Sync + 'static) -> Self {
        Self(Box::new(give))
    }

    /// Answers go into this channel. Its receiver sees it disconnected when the last reactor has answered or ended,
    /// if whoever asked has kept no part of the question.
    #[must_use]
    pub fn into_channel(sender: Sender<T>) -> Self
    where
        T: Send + 'static,
    {
        // An asker that does not wait any more is no error.
        Self::new(move |answer| drop(sender.send(answer)))
    }

    /// Gives an answer.
    pub fn give(&self, answer: T) {
        (self.0)(answer);
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

/// Asks for the sessions that are open. Every reactor answers once, with its own.
///
/// They are looked at a part at a time, between which sessions come and go: the answer is no picture of one moment.
#[derive(Debug)]
pub struct SessionQuery {
    /// Which sessions.
    pub filter: SessionFilter,
    /// Most sessions told by one reactor, [`super::limits::SESSIONS_TOLD_MAX`] at most; all are counted.
    pub limit: usize,
    /// Where the answers go.
    pub answer: Answer<SessionPage>,
}

/// A reactor's answer to a [`SessionQuery`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPage {
    /// The reactor.
    pub reactor: ReactorId,
    /// Its sessions, as many as were asked for, by their places.
    pub sessions: Vec<SessionInfo>,
    /// How many of its sessions were meant.
    pub total: usize,
}

/// Asks for sessions to be cut: both sides are reset, with [`super::outcome::CloseReason::Killed`].
#[derive(Debug)]
pub struct KillRequest {
    /// Which sessions.
    pub target: KillTarget,
    /// Where the answers go.
    pub answer: Answer<KillPage>,
}

/// Which sessions are to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillTarget {
    /// This one. Its reactor answers; the others say nothing.
    Session(SessionName),
    /// All of which this is true. Every reactor answers.
    Matching(SessionFilter),
}

/// A reactor's answer to a [`KillRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KillPage {
    /// The reactor.
    pub reactor: ReactorId,
    /// How many sessions it has cut; none: there was none such.
    pub killed: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::mpsc::{TryRecvError, channel};

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn text_that_is_no_name_is_refused() {
        assert_eq!("0-17-9234".parse(), Ok(SessionName { reactor: 0, slot: 17, generation: 9234 }));
        for text in
            ["", "0", "0-1", "0-1-", "-1-2", "0-1-2-3", "0-+1-2", "a-1-2", "70000-1-2", "0-1-4294967296", "0 -1-2"]
        {
            assert_eq!(text.parse::<SessionName>(), Err(NoSessionName), "{text}");
        }
    }

    #[test]
    fn filter_means_those_of_which_all_it_says_is_true() {
        let (service, host, client) = (ServiceId(1), Some(HostId(2)), addr("192.0.2.1:5000"));
        let all = SessionFilter::default();
        assert!(all.matches(service, host, client));
        let filter = SessionFilter {
            client: Some(client.ip()),
            client_addr: Some(client),
            host,
            service: Some(service),
            local: Some(addr("10.0.0.1:6000")),
        };
        assert!(filter.matches(service, host, client));
        assert!(!filter.matches(ServiceId(3), host, client));
        assert!(!filter.matches(service, None, client));
        assert!(!filter.matches(service, host, addr("192.0.2.1:5001")));
        let filter = SessionFilter { client_addr: None, ..filter };
        assert!(filter.matches(service, host, addr("192.0.2.1:5001")));
        assert!(!filter.matches(service, host, addr("192.0.2.2:5000")));
        assert!(filter.matches_local(|| Some(addr("10.0.0.1:6000"))));
        assert!(!filter.matches_local(|| None));
        assert!(all.matches_local(|| panic!("nobody wants to know")));
    }

    #[test]
    fn asker_sees_that_nobody_is_left_to_answer() {
        let (sender, answers) = channel();
        let answer = Answer::into_channel(sender);
        answer.give(7);
        assert_eq!(answers.try_recv(), Ok(7));
        assert_eq!(answers.try_recv(), Err(TryRecvError::Empty));
        drop(answer);
        assert_eq!(answers.try_recv(), Err(TryRecvError::Disconnected));
    }

    proptest! {
        #[test]
        fn name_reads_as_it_was_written(reactor: u16, slot: u32, generation: u32) {
            let name = SessionName { reactor, slot, generation };
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }
    }
}
