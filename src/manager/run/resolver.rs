//! Names to addresses with getaddrinfo(3), on a thread of its own, because it blocks for as long as it likes.
//!
//! One thread, one name after the other: a server that does not answer delays names and nothing else.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use mio::Waker;

use crate::manager::Event;
use crate::model::limits::CHANNEL_MAX;

/// The resolver. Its thread starts with the first name and ends after the last owner.
#[derive(Debug)]
pub(super) struct Resolver {
    waker: Arc<Waker>,
    requests: Option<Sender<String>>,
    answers: (Sender<Event>, Receiver<Event>),
}

impl Resolver {
    /// A resolver that wakes its owner with `waker` after each answer.
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self { waker, requests: None, answers: bounded(CHANNEL_MAX) }
    }

    /// Asks for a name. The answer comes with [`Self::take_answer`]; it is returned here when the name cannot be asked
    /// for now.
    pub(super) fn ask(&mut self, name: String) -> Option<Event> {
        let requests = match &self.requests {
            Some(requests) => requests,
            None => match self.start() {
                Ok(requests) => self.requests.insert(requests),
                Err(error) => {
                    return Some(Event::Resolved { name, result: Err(format!("cannot start the resolver: {error}")) });
                }
            },
        };
        let refused = requests.try_send(name).err()?;
        let result = Err("the resolver is behind with other names".to_owned());
        Some(Event::Resolved { name: refused.into_inner(), result })
    }

    /// The next answer, if there is one.
    pub(super) fn take_answer(&self) -> Option<Event> {
        self.answers.1.try_recv().ok()
    }

    /// The next answer, if it comes in time.
    pub(super) fn wait_for_answer(&self, within: Duration) -> Option<Event> {
        self.answers.1.recv_timeout(within).ok()
    }

    fn start(&self) -> io::Result<Sender<String>> {
        let (sender, requests) = bounded::<String>(CHANNEL_MAX);
        let (answers, waker) = (self.answers.0.clone(), Arc::clone(&self.waker));
        // Not joined: a name that hangs must not keep the process from ending.
        thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            for name in requests {
                let result = resolve(&name);
                if answers.send(Event::Resolved { name, result }).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        })?;
        Ok(sender)
    }
}

fn resolve(name: &str) -> Result<Vec<IpAddr>, String> {
    match (name, 0).to_socket_addrs() {
        Ok(addrs) => Ok(addrs.map(|addr| addr.ip()).collect()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll, Token};
    use std::time::Instant;

    #[test]
    fn names_are_answered_in_turn_and_a_bad_one_with_a_word() {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let mut resolver = Resolver::new(waker);
        assert!(resolver.ask("127.0.0.1".to_owned()).is_none());
        assert!(resolver.ask("not a name".to_owned()).is_none());
        let (mut events, mut answers) = (Events::with_capacity(1), Vec::new());
        let limit = Instant::now() + Duration::from_secs(30);
        while answers.len() < 2 {
            assert!(Instant::now() < limit, "both are answered");
            poll.poll(&mut events, Some(Duration::from_secs(1))).unwrap();
            answers.extend(std::iter::from_fn(|| resolver.take_answer()));
        }
        let [Event::Resolved { result: Ok(good), .. }, Event::Resolved { name, result: Err(why) }] = &answers[..]
        else {
            panic!("{answers:?}");
        };
        assert!(good.contains(&IpAddr::from([127, 0, 0, 1])));
        assert_eq!(name, "not a name");
        assert!(!why.is_empty());
    }
}
