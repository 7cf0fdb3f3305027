//! What can be asked over HTTP: a table of routes, and a thin function for each that turns a request into a command and
//! the reply into text. Nothing here has a socket or waits.

pub(super) mod ancestors;
mod changes;
mod configs;
mod input;
mod metrics;
mod pages;
mod routes;
mod services;
mod sessions;
mod status;
mod sticky;
mod tell;
mod users;

use std::sync::Arc;

use crate::config::Config;
use crate::model::change::Refusal;
use crate::model::command::{Command, Reply};
use crate::model::snapshot::Snapshot;

use super::auth::Secret;
use super::http::{Answer, Head, Method};

pub(super) use routes::{Found, find};
pub(super) use tell::{refused, too_late};

/// A request that may be answered.
#[derive(Debug)]
pub(super) struct Call {
    /// What was asked.
    pub(super) head: Head,
    /// What its path says in the places of the route's names.
    pub(super) names: Vec<String>,
    /// Who asks; nobody where everybody may.
    pub(super) who: Option<Who>,
    /// What came with it.
    pub(super) body: Vec<u8>,
    /// The configuration that runs.
    pub(super) config: Arc<Config>,
}

impl Call {
    /// The argument of this name, whatever its case.
    pub(super) fn argument(&self, name: &str) -> Option<&str> {
        self.head.target.arguments.get(name)
    }

    /// The name in the path at this place.
    pub(super) fn name(&self, at: usize) -> &str {
        self.names.get(at).map_or("", String::as_str)
    }

    /// Whether a person's browser wants a page.
    pub(super) fn is_browser(&self) -> bool {
        is_browser(&self.head)
    }
}

/// Whether a person's browser wants a page.
pub(super) fn is_browser(head: &Head) -> bool {
    let navigates = head.field("sec-fetch-mode") == Some("navigate");
    navigates || head.field("accept").is_some_and(|kinds| kinds.contains("text/html"))
}

/// A user who has shown that he is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    /// The name.
    pub(super) name: String,
    /// Whether changes are allowed.
    pub(super) full: bool,
    /// What a browser's changes have to say.
    pub(super) token: String,
}

/// What is to be done for an answer.
pub(super) enum Step {
    /// Nothing.
    Answer(Answer),
    /// The manager is asked.
    Ask(Command, Box<dyn FnOnce(Reply) -> Answer + Send>),
    /// What there is to see is looked at.
    See(Box<dyn FnOnce(&Snapshot) -> Answer + Send>),
    /// A new password is hashed.
    Hash(Secret, Box<dyn FnOnce(String) -> Self + Send>),
    /// A browser wants in.
    Login {
        /// As whom.
        user: String,
        /// With this password.
        password: Secret,
    },
    /// A browser has enough.
    Logout,
    /// What happens is told until the connection ends, from the event after this one or from now on.
    Follow(Option<u64>),
}

/// What comes of a call.
pub(super) type Outcome = Result<Step, Refusal>;

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody.
    Open,
    /// Who may look; from this machine everybody.
    LookOrLocal,
    /// Who may look.
    Look,
    /// Who may change.
    Change,
    /// Who may change, by `GET`: the ancestors' scripts, and never a browser.
    OldChange,
}

/// One thing that can be asked.
pub(super) struct Route {
    /// How; `HEAD` is `GET`.
    pub(super) method: Method,
    /// Where, with names in braces.
    pub(super) path: &'static str,
    /// By whom.
    pub(super) access: Access,
    /// What it does.
    pub(super) handler: fn(&Call) -> Outcome,
}

impl Route {
    /// Whether a browser shows it as a page, so that links to it may stand elsewhere.
    pub(super) fn is_page(&self) -> bool {
        matches!(self.path, "/" | "/login" | "/running")
    }

    /// Whether it is one of the ancestors' paths, whose refusals are `NOT OK`.
    pub(super) fn is_old(&self) -> bool {
        self.access == Access::OldChange
    }
}
