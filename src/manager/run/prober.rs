//! Probes: what a check asks of a host, over a socket that is closed again at once. One that expects binary PROXY headers
//! is told first that nobody else is behind it (LOCAL); the readable ones have no word for that, so that such a host is
//! told nothing. They share the manager's poll.

mod datagram;
mod dns;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::manager::Event;
use crate::model::address::Endpoint;
use crate::model::check::{Check, Probe as Ask};
use crate::model::id::HostId;
use crate::model::limits::CHECK_ANSWER_BYTES_MAX;
use crate::model::outcome::{Blame, Fault};
use crate::model::socket_options::Outbound;
use crate::model::time::Moment;
use crate::sys::socket::blame;

use datagram::Datagram;
use stream::Stream;

/// The probes in flight. Each has a token of its own that is never used again, so that a stale event finds nothing.
#[derive(Debug)]
pub(super) struct Prober {
    registry: Registry,
    in_flight: BTreeMap<Token, Probe>,
    next: usize,
    /// What is received into, for all of them.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Probe {
    host: HostId,
    talk: Talk,
    started: Moment,
    deadline: Moment,
}

#[derive(Debug)]
enum Talk {
    Stream(Stream),
    Datagram(Datagram),
}

impl Prober {
    /// A prober whose tokens are `first` and above.
    pub(super) fn new(registry: Registry, first: Token) -> Self {
        let scratch = vec![0; CHECK_ANSWER_BYTES_MAX];
        Self { registry, in_flight: BTreeMap::new(), next: first.0, scratch }
    }

    /// Starts a probe. Returns its end if it has failed at once.
    pub(super) fn start(
        &mut self,
        now: Moment,
        host: HostId,
        (addr, check): (Endpoint, Arc<Check>),
        outbound: Option<&Outbound>,
        timeout: Duration,
    ) -> Option<Event> {
        let token = Token(self.next);
        let talk = match &check.probe {
            // Nobody asks for these.
            Ask::Passive => Err(Blame::Local(libc::EINVAL)),
            Ask::Tcp(_) => Stream::start(addr, check, outbound)
                .and_then(|mut stream| self.register(stream.socket(), token).map(|()| Talk::Stream(stream))),
            Ask::Udp(_) | Ask::Dns(_) => Datagram::start(now, addr, check, outbound, timeout)
                .and_then(|mut datagram| self.register(datagram.socket(), token).map(|()| Talk::Datagram(datagram))),
        };
        match talk {
            Ok(talk) => {
                self.next += 1;
                self.in_flight.insert(token, Probe { host, talk, started: now, deadline: now.after(timeout) });
                None
            }
            Err(error) => Some(Event::ProbeEnded { host, result: Err(error) }),
        }
    }

    fn register(&self, socket: &mut impl Source, token: Token) -> Result<(), Blame> {
        // A registration that fails is this machine's failure, whatever its number means elsewhere.
        self.registry
            .register(socket, token, Interest::READABLE | Interest::WRITABLE)
            .map_err(|error| Blame::Local(error.raw_os_error().unwrap_or_default()))
    }

    /// The probe's socket is ready.
    pub(super) fn on_ready(&mut self, now: Moment, token: Token) -> Option<Event> {
        let result = self.in_flight.get_mut(&token)?.go_on(now, &mut self.scratch)?;
        self.in_flight.remove(&token).map(|probe| Event::ProbeEnded { host: probe.host, result })
    }

    /// A probe whose time is over. Those whose question is to be sent once more are sent.
    pub(super) fn take_expired(&mut self, now: Moment) -> Option<Event> {
        loop {
            let (token, probe) = self.in_flight.iter_mut().find(|(_, probe)| probe.due() <= now)?;
            let (token, host) = (*token, probe.host);
            // It may have been answered just now, with the event still on its way.
            let mut result = probe.go_on(now, &mut self.scratch);
            if result.is_none() && probe.deadline <= now {
                result = Some(Err(Blame::Host(probe.silence())));
            }
            let result = result.or_else(|| probe.ask_again(now).err().map(Err));
            if let Some(result) = result {
                self.in_flight.remove(&token);
                return Some(Event::ProbeEnded { host, result });
            }
        }
    }

    /// When [`Self::take_expired`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.in_flight.values().map(Probe::due).min()
    }

    /// Gives up all probes.
    pub(super) fn clear(&mut self) {
        self.in_flight.clear();
    }
}

impl Probe {
    /// When something is to be done without an event.
    fn due(&self) -> Moment {
        match &self.talk {
            Talk::Stream(_) => self.deadline,
            Talk::Datagram(datagram) => datagram.next_send().map_or(self.deadline, |at| at.min(self.deadline)),
        }
    }

    /// Sends and receives what can be. Returns the end, if it has come to one.
    fn go_on(&mut self, now: Moment, scratch: &mut [u8]) -> Option<Result<Duration, Blame>> {
        let result = match &mut self.talk {
            Talk::Stream(stream) => stream.go_on(scratch),
            Talk::Datagram(datagram) => datagram.go_on(scratch),
        };
        result.map(|result| result.map(|()| now.since(self.started)))
    }

    fn ask_again(&mut self, now: Moment) -> Result<(), Blame> {
        match &mut self.talk {
            Talk::Stream(_) => Ok(()),
            Talk::Datagram(datagram) => datagram.ask_again(now),
        }
    }

    /// What it was that did not come in time.
    const fn silence(&self) -> Fault {
        let has_answered = match &self.talk {
            Talk::Stream(stream) => stream.has_answered(),
            Talk::Datagram(datagram) => datagram.has_answered(),
        };
        if has_answered { Fault::WrongAnswer } else { Fault::TimedOut }
    }
}

/// What a system call said: none if it is to be tried later.
fn later<T>(result: io::Result<T>) -> Result<Option<T>, Blame> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(blame(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::UnixName;
    use crate::model::socket_options::ListenOptions;
    use crate::sys::unix::Rights;
    use crate::sys::{listener, socket};
    use mio::{Events, Poll};
    use std::net::TcpListener;

    const FIRST: Token = Token(5);

    fn connect() -> Arc<Check> {
        Arc::new(Check::connect())
    }

    fn probe(addr: impl Into<Endpoint>) -> Result<Duration, Blame> {
        let mut poll = Poll::new().unwrap();
        let mut prober = Prober::new(poll.registry().try_clone().unwrap(), FIRST);
        if let Some(event) =
            prober.start(Moment::START, HostId(7), (addr.into(), connect()), None, Duration::from_secs(5))
        {
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
        assert!(
            prober.start(Moment::START, HostId(7), (addr.into(), connect()), None, Duration::from_secs(1)).is_none()
        );
        assert!(prober.take_expired(Moment::from_millis(999)).is_none());
        let expired = prober.take_expired(Moment::from_millis(1_000)).unwrap();
        assert_eq!(result(&expired), Err(Blame::Host(Fault::TimedOut)));
        assert!(prober.on_ready(Moment::from_millis(1_001), FIRST).is_none());
        drop(first);
    }
}
