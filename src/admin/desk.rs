//! The way from front-ends to the manager.

use crate::config::Current;
use crate::model::change::Refusal;
use crate::model::command::{Command, Origin, Reply, Request};
use crate::sys::mailbox::Mailbox;

/// What every front-end has: where commands go, and the running configuration to look at.
#[derive(Clone, Debug)]
pub struct Desk {
    commands: Mailbox<Request>,
    current: Current,
}

impl Desk {
    /// A desk whose commands go to this mailbox.
    #[must_use]
    pub const fn new(commands: Mailbox<Request>, current: Current) -> Self {
        Self { commands, current }
    }

    /// Has a command done. `answer` is called exactly once, on another thread or before this returns; it must not block.
    /// A manager that is stalled answers late: who cannot wait for ever keeps a deadline of its own.
    pub fn ask(&self, command: Command, origin: Origin, answer: impl FnOnce(Reply) + Send + 'static) {
        if let Err(request) = self.commands.post(Request::new(command, origin, answer)) {
            request.answer.send(Reply::Refused(Refusal::unavailable("the manager has too much to do; try again")));
        }
    }

    /// The running configuration.
    #[must_use]
    pub const fn current(&self) -> &Current {
        &self.current
    }
}
