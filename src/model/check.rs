//! How the hosts of a group are probed: what is asked, where, how often, and which answers are good.

use std::time::Duration;

/// The check of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is asked.
    pub probe: Probe,
    /// Asked there instead of at the host's own port.
    pub port: Option<u16>,
    /// Time between two probes of a host, up or down; none: as the manager has it for all hosts.
    pub interval: Option<Duration>,
    /// How long an answer may take, to [`super::limits::PROBE_TIMEOUT_MAX`] and not above the interval; none: as long as
    /// a client may wait for a host, within these bounds.
    pub timeout: Option<Duration>,
}

/// What a host is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Nothing: a failed host comes back when its time is over.
    Passive,
    /// To accept a connection, and to answer if the exchange says so.
    Tcp(Exchange),
    /// To answer a datagram.
    Udp(Exchange),
    /// To answer a question about a name, by a datagram of RFC 1035.
    Dns(Question),
}

/// Bytes there and back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// What is sent, to [`super::limits::CHECK_BYTES_MAX`]; empty: nothing, and with [`Probe::Tcp`] the connect is all
    /// unless something is expected.
    pub send: Vec<u8>,
    /// The answer that is good; none: any.
    pub expect: Option<Expect>,
}

/// An answer that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// What has to be in it: 1 to [`super::limits::CHECK_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
    /// Whether it has to begin with them.
    pub begins: bool,
}

/// A question about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name, without a dot at its end unless it is the root.
    pub name: String,
    /// The type of the records; see [`RECORD_TYPES`].
    pub kind: u16,
}

/// Types of records that can be asked for, with their numbers (RFC 1035 section 3.2.2, RFC 3596, RFC 2782).
pub const RECORD_TYPES: [(&str, u16); 9] =
    [("A", 1), ("NS", 2), ("CNAME", 5), ("SOA", 6), ("PTR", 12), ("MX", 15), ("TXT", 16), ("AAAA", 28), ("SRV", 33)];

/// What an answer is worth so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is good.
    Good,
    /// It will not be, whatever follows.
    Bad,
    /// More of it may be.
    Open,
}

impl Check {
    /// A connect to the host's own port.
    #[must_use]
    pub const fn connect() -> Self {
        let exchange = Exchange { send: Vec::new(), expect: None };
        Self { probe: Probe::Tcp(exchange), port: None, interval: None, timeout: None }
    }

    /// What is asked of hosts of which nobody said anything: a connect, if clients are connected to them. Nobody listens
    /// for connections where all clients come by datagrams.
    #[must_use]
    pub fn usual(serves_connections: bool) -> Self {
        let connect = Self::connect();
        if serves_connections { connect } else { Self { probe: Probe::Passive, ..connect } }
    }

    /// Whether it is a connect as a client's is, so that it tells what clients will find and how long that takes.
    #[must_use]
    pub fn is_as_clients(&self) -> bool {
        matches!(&self.probe, Probe::Tcp(exchange) if exchange.is_silent()) && self.port.is_none()
    }
}

impl Probe {
    /// The word of the file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Passive => "none",
            Self::Tcp(_) => "tcp",
            Self::Udp(_) => "udp",
            Self::Dns(_) => "dns",
        }
    }
}

impl Exchange {
    /// Whether nothing is said, on either side.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.send.is_empty() && self.expect.is_none()
    }

    /// What these bytes are worth. The first `seen` of them were [`Verdict::Open`] before the others came.
    #[must_use]
    pub fn judge(&self, answer: &[u8], seen: usize) -> Verdict {
        let Some(Expect { bytes, begins }) = &self.expect else {
            return if answer.len() > seen { Verdict::Good } else { Verdict::Open };
        };
        if *begins {
            let compared = answer.len().min(bytes.len());
            return match (answer[..compared] == bytes[..compared], compared == bytes.len()) {
                (true, true) => Verdict::Good,
                (true, false) => Verdict::Open,
                (false, _) => Verdict::Bad,
            };
        }
        // What begins in the part that was seen may end in the new one.
        let from = seen.min(answer.len()).saturating_sub(bytes.len().saturating_sub(1));
        let is_there = answer[from..].windows(bytes.len().max(1)).any(|window| window == bytes);
        if is_there { Verdict::Good } else { Verdict::Open }
    }
}

impl Question {
    /// The name of the type.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        RECORD_TYPES.iter().find(|(_, number)| *number == self.kind).map_or("?", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expecting(bytes: &[u8], begins: bool) -> Exchange {
        Exchange { send: Vec::new(), expect: Some(Expect { bytes: bytes.to_vec(), begins }) }
    }

    #[test]
    fn answer_that_begins_as_expected_is_good_as_soon_as_that_is_there() {
        let exchange = expecting(b"220 ", true);
        assert_eq!(exchange.judge(b"", 0), Verdict::Open);
        assert_eq!(exchange.judge(b"22", 0), Verdict::Open);
        assert_eq!(exchange.judge(b"220 mail", 2), Verdict::Good);
        assert_eq!(exchange.judge(b"4", 0), Verdict::Bad);
        assert_eq!(exchange.judge(b" 220 ", 0), Verdict::Bad);
    }

    #[test]
    fn expected_bytes_are_found_wherever_the_answer_is_cut() {
        let exchange = expecting(b"+PONG", false);
        let answer = b"hello +PONG\r\n";
        let end = 6 + 5;
        for cut in 0..end {
            assert_eq!(exchange.judge(&answer[..cut], 0), Verdict::Open, "{cut}");
            assert_eq!(exchange.judge(answer, cut), Verdict::Good, "{cut}");
        }
    }

    #[test]
    fn without_an_expectation_any_answer_is_good() {
        let exchange = Exchange { send: b"?".to_vec(), expect: None };
        assert_eq!(exchange.judge(b"", 0), Verdict::Open);
        assert_eq!(exchange.judge(b"!", 0), Verdict::Good);
        assert!(!exchange.is_silent());
    }

    #[test]
    fn hosts_that_no_client_connects_to_are_not_connected_to_either() {
        assert_eq!(Check::usual(true), Check::connect());
        assert_eq!(Check::usual(false).probe, Probe::Passive);
        assert!(Check::usual(true).is_as_clients());
        assert!(!Check { port: Some(80), ..Check::connect() }.is_as_clients());
    }
}
