//! What an operator can ask of the running balancer: the whole control surface in one enum.
//!
//! Every front-end (page, API, control socket, prompt, signals, embedding program) turns what it gets into a
//! [`Request`] and what comes back into text. A request is answered exactly once, by whichever thread did it last; one
//! that is dropped unanswered answers that nobody took it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::change::{Change, HostRef, Refusal};
use super::event::Event;
use super::session::{SessionInfo, SessionName};
use super::snapshot::Snapshot;
use super::sticky::{StickyList, StickySearch};

/// Front-end to manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Change the running configuration, all or nothing. Refused while shutting down.
    Change(Vec<Change>),
    /// Read the configuration file again and apply the difference, all or nothing. Refused while shutting down.
    Reload {
        /// Go back to the present configuration after this time unless [`Self::Confirm`] comes before.
        confirm: Option<Duration>,
    },
    /// As [`Self::Reload`], with this text in the place of the file's.
    Load {
        /// A configuration.
        text: String,
        /// See [`Self::Reload`].
        confirm: Option<Duration>,
    },
    /// Keep what was loaded on probation. Refused when nothing is.
    Confirm,
    /// Go back at once to what was before the load on probation. Refused when nothing is on probation.
    GoBack,
    /// Write the running configuration to its file. Legal at any time.
    Save {
        /// Also if somebody else has changed the file since it was loaded.
        overwrite: bool,
    },
    /// Take a failed host back now, without a probe. Legal at any time; a host that is up stays so.
    Retry(HostRef),
    /// Give a host no new clients for a time, after which it has them again; zero ends one that lasts. Its connections go
    /// on. Legal at any time.
    Blacklist {
        /// The host.
        host: HostRef,
        /// At most [`super::limits::TIME_MAX`].
        time: Duration,
    },
    /// Everything there is to see. Legal at any time.
    Snapshot,
    /// The text of a configuration. Legal at any time.
    Config(Source),
    /// What differs from one configuration to another. Legal at any time.
    Diff {
        /// Before.
        from: Source,
        /// After.
        to: Source,
    },
    /// List sessions. Legal at any time.
    Sessions(SessionSearch),
    /// Cut sessions: both sides are reset. Legal at any time.
    Kill(Target),
    /// List the clients that tables remember. Legal at any time.
    Sticky(StickySearch),
    /// Forget clients that tables remember, all where the search says nothing: the scheduler chooses for them anew. Their
    /// connections stay. Legal at any time.
    Forget(StickySearch),
    /// The events after this number, 0 for all that are kept. Legal at any time.
    Events {
        /// The number of the last one known.
        after: u64,
    },
    /// Log from this level on (`error` to `trace`). Legal at any time.
    LogLevel(String),
    /// Open the log file anew, because it was renamed. Legal at any time.
    ReopenLog,
    /// Log every counter, a line each. Legal at any time.
    LogCounters,
    /// Log what the reactors' loops did, a table with a column each. Legal at any time.
    LogLoops,
    /// Stop accepting, let connections finish, then end. Later ones change nothing.
    Shutdown {
        /// For how long; none: the drain timeout that was set at the start.
        wait: Option<Duration>,
    },
}

/// Where a configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// What runs now.
    Running,
    /// As it was last loaded or saved.
    Loaded,
    /// The file as it is now.
    File,
    /// This text.
    Text(String),
}

/// Which sessions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionSearch {
    /// The client's address, with or without its port.
    pub client: Option<String>,
    /// The host.
    pub host: Option<HostRef>,
    /// The service's name.
    pub service: Option<String>,
    /// Our own address of the connection to the host, with its port: txLoadBalancer's question who is behind it.
    pub local: Option<String>,
    /// Most sessions to list; more are counted.
    pub limit: usize,
}

/// Which sessions to cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This one.
    One(SessionName),
    /// All that match; the limit does not count. An empty search is refused.
    All(SessionSearch),
}

/// What comes back.
#[derive(Clone, Debug)]
pub enum Reply {
    /// It was done; in words.
    Done(String),
    /// It was not done, and nothing has changed.
    Refused(Refusal),
    /// To [`Command::Snapshot`].
    Snapshot(Arc<Snapshot>),
    /// To [`Command::Config`].
    Text(String),
    /// To [`Command::Diff`], in the order in which they are to be done.
    Differences(Vec<Difference>),
    /// To [`Command::Sessions`].
    Sessions(SessionList),
    /// To [`Command::Kill`]: how many were cut.
    Killed(usize),
    /// To [`Command::Sticky`].
    Sticky(StickyList),
    /// To [`Command::Forget`]: how many were forgotten.
    Forgotten(usize),
    /// To [`Command::Events`], the oldest first.
    Events(Vec<Arc<Event>>),
}

/// One difference between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The change that makes the first the second; none where only a reload does.
    pub change: Option<Change>,
    /// What differs, in words, on one line.
    pub what: String,
    /// What it does to live connections, in words: `kept`, `drained`, `listener rebound`.
    pub effect: String,
}

/// Sessions of all reactors.
#[derive(Clone, Debug, Default)]
pub struct SessionList {
    /// Up to the limit, those of one reactor together.
    pub sessions: Vec<SessionView>,
    /// How many there are.
    pub total: usize,
}

/// A session with the names of what it belongs to; empty where these are gone.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// What the reactor knows.
    pub info: SessionInfo,
    /// The service.
    pub service: String,
    /// The group.
    pub group: String,
    /// The host.
    pub host: String,
    /// The host's address.
    pub addr: String,
    /// How long it has been there.
    pub age: Duration,
}

/// Who asks, and from where; for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The administrator's name, or that of the system's user.
    pub who: String,
    /// The way in: `web 192.0.2.7:50112`, `ssh 192.0.2.7:40112`, `control pid 4711`, `signal`.
    pub from: String,
}

impl Origin {
    /// An origin.
    pub fn new(who: impl Into<String>, from: impl Into<String>) -> Self {
        Self { who: who.into(), from: from.into() }
    }
}

/// A command on its way.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// Who asks.
    pub origin: Origin,
    /// Where the reply goes.
    pub answer: Answer,
}

impl Request {
    /// A command whose reply nobody waits for.
    #[must_use]
    pub fn unanswered(command: Command, origin: Origin) -> Self {
        Self { command, origin, answer: Answer(None) }
    }

    /// A command whose reply goes to `answer`, which must not block.
    pub fn new(command: Command, origin: Origin, answer: impl FnOnce(Reply) + Send + 'static) -> Self {
        Self { command, origin, answer: Answer(Some(Box::new(answer))) }
    }
}

/// Where a reply goes. Dropped without one, it says that nobody took the command.
pub struct Answer(Option<Box<dyn FnOnce(Reply) + Send>>);

impl Answer {
    /// Answers.
    pub fn send(mut self, reply: Reply) {
        if let Some(answer) = self.0.take() {
            answer(reply);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            answer(Reply::Refused(Refusal::unavailable("the manager did not take the command; try again")));
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Answer(waited for)" } else { "Answer(not waited for)" })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn request_that_is_dropped_is_answered_with_a_refusal() {
        let (sender, receiver) = channel();
        let send = sender.clone();
        drop(Request::new(Command::Snapshot, Origin::new("a", "b"), move |reply| send.send(reply).unwrap()));
        assert!(matches!(receiver.try_recv(), Ok(Reply::Refused(_))));
        let request = Request::new(Command::Snapshot, Origin::new("a", "b"), move |reply| sender.send(reply).unwrap());
        request.answer.send(Reply::Killed(3));
        assert!(matches!(receiver.try_recv(), Ok(Reply::Killed(3))));
        assert!(receiver.try_recv().is_err(), "once");
    }
}
