//! Probes: a connect to a host, closed again at once. One that expects binary PROXY headers is told that nobody else is
//! behind it (LOCAL); the readable ones have no word for that, so that such a host is told nothing.
//! They share the manager's poll.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::manager::Event;
use crate::model::address::Endpoint;
use crate::model::id::HostId;
use crate::model::outcome::{Blame, Fault};
use crate::model::proxy::Announce;
use crate::model::socket_options::Outbound;
use crate::model::time::Moment;
use crate::sys::socket::{self, blame};
use crate::wire::proxy;

/// The probes in flight. Each has a token of its own that is never used again, so that a stale event finds nothing.
#[derive(Debug)]
pub(super) struct Prober {
    registry: Registry,
    in_flight: BTreeMap<Token, Probe>,
    next: usize,
}

#[derive(Debug)]
struct Probe {
    host: HostId,
    stream: TcpStream,
    /// It is told that the connection is nobody else's.
    is_local: bool,
    started: Moment,
    deadline: Moment,
}

impl Prober {
    /// A prober whose tokens are `first` and above.
    pub(super) const fn new(registry: Registry, first: Token) -> Self {
        Self { registry, in_flight: BTreeMap::new(), next: first.0 }
    }

    /// Starts a connect. Returns its end if it has failed at once.
    pub(super) fn start(
        &mut self,
        now: Moment,
        host: HostId,
        addr: Endpoint,
        outbound: Option<&Outbound>,
        timeout: Duration,
    ) -> Option<Event> {
        let result = self.connect(now, host, addr, outbound, timeout);
        result.err().map(|error| Event::ProbeEnded { host, result: Err(error) })
    }

    fn connect(
        &mut self,
        now: Moment,
        host: HostId,
        addr: Endpoint,
        outbound: Option<&Outbound>,
        timeout: Duration,
    ) -> Result<(), Blame> {
        // From the first source address, so that clients' turns do not shift.
        let stream = match outbound {
            None => socket::connect(addr),
            Some(outbound) => socket::connect_with(addr, outbound, 0, None).map(|(stream, _)| stream),
        };
        let mut stream = stream.map_err(|error| socket::blame_at(addr, &error))?;
        let token = Token(self.next);
        self.next += 1;
        // A registration that fails is this machine's failure, whatever its number means elsewhere.
        self.registry
            .register(&mut stream, token, Interest::WRITABLE)
            .map_err(|error| Blame::Local(error.raw_os_error().unwrap_or_default()))?;
        let is_local = outbound.is_some_and(|outbound| outbound.announce() == Announce::V2);
        let deadline = now.after(timeout);
        self.in_flight.insert(token, Probe { host, stream, is_local, started: now, deadline });
        Ok(())
    }

    /// The probe's socket is ready.
    pub(super) fn on_ready(&mut self, now: Moment, token: Token) -> Option<Event> {
        let result = self.in_flight.get(&token)?.result(now)?;
        self.in_flight.remove(&token).map(|probe| Event::ProbeEnded { host: probe.host, result })
    }

    /// A probe whose time is over.
    pub(super) fn take_expired(&mut self, now: Moment) -> Option<Event> {
        let token = *self.in_flight.iter().find(|(_, probe)| probe.deadline <= now)?.0;
        let probe = self.in_flight.remove(&token)?;
        // It may have been connected just now, with the event still on its way.
        let result = probe.result(now).unwrap_or(Err(Blame::Host(Fault::TimedOut)));
        Some(Event::ProbeEnded { host: probe.host, result })
    }

    /// When [`Self::take_expired`] has something.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.in_flight.values().map(|probe| probe.deadline).min()
    }

    /// Gives up all probes.
    pub(super) fn clear(&mut self) {
        self.in_flight.clear();
    }
}

impl Probe {
    /// What has become of the connect; nothing while it is under way.
    fn result(&self, now: Moment) -> Option<Result<Duration, Blame>> {
        match self.stream.take_error() {
            Ok(Some(error)) | Err(error) => return Some(Err(blame(&error))),
            Ok(None) => {}
        }
        match socket::peer(&self.stream) {
            Ok(peer) if socket::met_itself(&self.stream, peer.port()) => Some(Err(Blame::Host(Fault::MetItself))),
            Ok(_) => {
                if self.is_local {
                    // Whatever becomes of it: that the host has accepted is known.
                    let _ = (&self.stream).write(&proxy::LOCAL);
                }
                Some(Ok(now.since(self.started)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
            Err(error) => Some(Err(blame(&error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::UnixName;
    use crate::model::socket_options::ListenOptions;
    use crate::sys::listener;
    use crate::sys::unix::Rights;
    use mio::{Events, Poll};
    use std::net::TcpListener;

    const FIRST: Token = Token(5);

    fn probe(addr: impl Into<Endpoint>) -> Result<Duration, Blame> {
        let mut poll = Poll::new().unwrap();
        let mut prober = Prober::new(poll.registry().try_clone().unwrap(), FIRST);
        if let Some(event) = prober.start(Moment::START, HostId(7), addr.into(), None, Duration::from_secs(5)) {
            return result(&event);
        }
        assert_eq!(prober.next_deadline(), Some(Moment::from_millis(5_000)));
        let mut events = Events::with_capacity(4);
        loop {
            poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
            assert!(!events.is_empty(), "the probe ends within its time");
            for event in &events {
                if let Some(event) = prober.on_ready(Moment::from_millis(3), event.token()) {
                    assert_eq!(prober.next_deadline(), None);
                    return result(&event);
                }
            }
        }
    }

    fn result(event: &Event) -> Result<Duration, Blame> {
        let Event::ProbeEnded { host: HostId(7), result } = event else { panic!("another event: {event:?}") };
        *result
    }

    #[test]
    fn open_port_probed_succeeds_and_is_left_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(probe(listener.local_addr().unwrap()), Ok(Duration::from_millis(3)));
        let (mut stream, _) = listener.accept().unwrap();
        assert_eq!(io::Read::read(&mut stream, &mut [0; 1]).unwrap(), 0, "the probe sends nothing and ends");
    }

    #[test]
    fn socket_of_this_machine_is_probed_and_told_apart_when_its_queue_is_full() {
        let name = UnixName::new(&format!("@director-probe-{}", std::process::id())).unwrap();
        assert_eq!(probe(Endpoint::Unix(name)), Err(Blame::Host(Fault::Refused)));
        let options = ListenOptions { backlog: Some(1), ..ListenOptions::default() };
        let (listener, _) = listener::listen_unix(name, Rights::of_group(None), &options).unwrap();
        assert_eq!(probe(Endpoint::Unix(name)), Ok(Duration::from_millis(3)));
        let _waits = socket::connect(Endpoint::Unix(name)).unwrap();
        assert_eq!(probe(Endpoint::Unix(name)), Err(Blame::Busy));
        drop(listener);
    }

    #[test]
    fn closed_port_probed_is_refused() {
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = probe(addr).unwrap_err();
        // A free port in the ephemeral range may meet itself, once in many thousand times.
        assert!(matches!(error, Blame::Host(Fault::Refused | Fault::MetItself)), "{error:?}");
    }

    #[test]
    fn silent_host_probed_times_out_and_its_late_event_finds_nothing() {
        let poll = Poll::new().unwrap();
        let mut prober = Prober::new(poll.registry().try_clone().unwrap(), FIRST);
        // A listener whose queue is full drops what comes after; see listen(2).
        let full = crate::sys::listener::listen("127.0.0.1:0".parse().unwrap(), 0).unwrap();
        let addr = full.local_addr().unwrap();
        let first = std::net::TcpStream::connect(addr).unwrap();
        assert!(prober.start(Moment::START, HostId(7), addr.into(), None, Duration::from_secs(1)).is_none());
        assert!(prober.take_expired(Moment::from_millis(999)).is_none());
        let expired = prober.take_expired(Moment::from_millis(1_000)).unwrap();
        assert_eq!(result(&expired), Err(Blame::Host(Fault::TimedOut)));
        assert!(prober.on_ready(Moment::from_millis(1_001), FIRST).is_none());
        drop(first);
    }
}
