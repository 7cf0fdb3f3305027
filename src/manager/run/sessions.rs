//! Questions to the reactors about their sessions. Nobody waits for the answers: they are looked for in later turns.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use crate::config;
use crate::model::address::Endpoint;
use crate::model::change::Refusal;
use crate::model::command::{Answer, Origin, Reply, SessionList, SessionSearch, SessionView, Target};
use crate::model::limits::{ANSWER_LOOK, ANSWER_WAIT, QUESTIONS_MAX, SESSIONS_LISTED, SESSIONS_LISTED_MAX};
use crate::model::session::{self, KillPage, KillRequest, KillTarget, SessionFilter, SessionPage, SessionQuery};
use crate::model::time::Moment;
use crate::model::update::Update;

use super::turn::Shell;

/// Those that are not answered yet.
#[derive(Default)]
pub(super) struct Questions {
    waiting: Vec<Question>,
}

struct Question {
    until: Moment,
    answer: Answer,
    from: Answers,
}

/// What comes from the reactors, one from each; the channel ends with the last of them.
enum Answers {
    Sessions { limit: usize, pages: Receiver<SessionPage>, list: Vec<SessionPage> },
    Killed { origin: Origin, what: String, counts: Receiver<KillPage>, sum: usize },
}

impl Questions {
    /// When to look for answers.
    pub(super) fn next_look(&self, now: Moment) -> Option<Moment> {
        (!self.waiting.is_empty()).then(|| now.after(ANSWER_LOOK))
    }
}

impl Shell {
    /// Asks all reactors for sessions.
    pub(super) fn ask_sessions(&mut self, now: Moment, search: &SessionSearch, answer: Answer) {
        let filter = match self.session_filter(search) {
            Ok(filter) => filter,
            Err(refusal) => return answer.send(Reply::Refused(refusal)),
        };
        let limit = if search.limit == 0 { SESSIONS_LISTED } else { search.limit.min(SESSIONS_LISTED_MAX) };
        let (sender, pages) = channel();
        let from = Answers::Sessions { limit, pages, list: Vec::new() };
        self.ask(
            now,
            &Update::Sessions(Arc::new(SessionQuery { filter, limit, answer: session::Answer::into_channel(sender) })),
            answer,
            from,
        );
    }

    /// Has sessions cut.
    pub(super) fn kill(&mut self, now: Moment, target: Target, origin: Origin, answer: Answer) {
        let (what, target) = match target {
            Target::One(name) => (format!("session {name}"), Ok(KillTarget::Session(name))),
            Target::All(search) => ("sessions".to_owned(), self.session_filter(&search).map(KillTarget::Matching)),
        };
        let target = target.and_then(|target| {
            if target == KillTarget::Matching(SessionFilter::default()) {
                return Err(Refusal::invalid("all sessions would be cut, expected a client, a host or a service"));
            }
            Ok(target)
        });
        match target {
            Err(refusal) => {
                let reply = self.told(&origin, &format!("kill {what}"), Err(refusal));
                answer.send(reply);
            }
            Ok(target) => {
                let (sender, counts) = channel();
                let from = Answers::Killed { origin, what, counts, sum: 0 };
                self.ask(
                    now,
                    &Update::Kill(Arc::new(KillRequest { target, answer: session::Answer::into_channel(sender) })),
                    answer,
                    from,
                );
            }
        }
    }

    fn ask(&mut self, now: Moment, update: &Update, answer: Answer, from: Answers) {
        if self.questions.waiting.len() >= QUESTIONS_MAX {
            return answer.send(Reply::Refused(Refusal::unavailable("too many questions at once; try again")));
        }
        self.outbox.post(update);
        self.questions.waiting.push(Question { until: now.after(ANSWER_WAIT), answer, from });
    }

    /// Answers what all reactors have answered, or what has waited long enough: with what there is.
    pub(super) fn answer_questions(&mut self, now: Moment) {
        let mut index = 0;
        while index < self.questions.waiting.len() {
            let question = &mut self.questions.waiting[index];
            let complete = question.from.take();
            if complete || question.until <= now {
                let Question { answer, from, .. } = self.questions.waiting.swap_remove(index);
                let reply = match from {
                    Answers::Sessions { limit, list, .. } => Reply::Sessions(self.listed(limit, list)),
                    Answers::Killed { sum: 0, origin, what, .. } => {
                        let such = if what == "sessions" { "session" } else { &what };
                        let none = Refusal::not_found(format!("no such {such} is open any more"));
                        self.told(&origin, &format!("kill {what}"), Err(none))
                    }
                    Answers::Killed { sum, origin, what, .. } => {
                        self.journal.done(&origin, &format!("{what} cut: {sum}"));
                        Reply::Killed(sum)
                    }
                };
                answer.send(reply);
            } else {
                index += 1;
            }
        }
    }

    fn listed(&self, limit: usize, pages: Vec<SessionPage>) -> SessionList {
        let total = pages.iter().map(|page| page.total).sum();
        let infos = pages.into_iter().flat_map(|page| page.sessions).take(limit);
        let sessions = infos.map(|info| {
            let (service, group, host) = self.brain.session_place(info.service, info.host);
            let addr = info.host_addr.map(|addr| addr.to_string()).unwrap_or_default();
            SessionView { age: info.age, service, group, host, addr, info }
        });
        SessionList { sessions: sessions.collect(), total }
    }

    fn session_filter(&self, search: &SessionSearch) -> Result<SessionFilter, Refusal> {
        let SessionSearch { client, host, service, local, limit: _ } = search;
        let mut filter = SessionFilter::default();
        if let Some(client) = client {
            match (client.parse::<IpAddr>(), client.parse::<SocketAddr>()) {
                _ if *client == Endpoint::LOCAL.to_string() => filter.client_addr = Some(Endpoint::LOCAL),
                (Ok(ip), _) => filter.client = Some(ip.to_canonical()),
                (_, Ok(addr)) => filter.client_addr = Some(addr.into()),
                (Err(_), Err(_)) => {
                    let what = format!("client {client}: not an address, expected one with or without a port, or unix");
                    return Err(Refusal::invalid(what));
                }
            }
        }
        if let Some(local) = local {
            let wrong =
                |_| Refusal::invalid(format!("local {local}: not an address with a port, expected ADDRESS:PORT"));
            filter.local = Some(local.parse().map_err(wrong)?);
        }
        if let Some(service) = service {
            let unknown = || Refusal::not_found(format!("the configuration has no service {service:?}"));
            filter.service = Some(self.brain.service_id(service).ok_or_else(unknown)?);
        }
        if let Some(host) = host {
            let running = self.truth.running();
            let (service, group, at) = config::find_host(running, host)?;
            let service = &running.services[service];
            let group = &service.groups[group];
            filter.host = Some(match *self.brain.host_ids(&service.name, &group.name, &group.hosts[at].name) {
                [one] => one,
                [] => return Err(Refusal::not_found(format!("{} has no address at the moment", host.host))),
                [_, _, ..] => return Err(Refusal::conflict(format!("{} has several addresses", host.host))),
            });
        }
        Ok(filter)
    }
}

impl Answers {
    /// Takes what has come. Returns whether all have answered.
    fn take(&mut self) -> bool {
        loop {
            let end = match self {
                Self::Sessions { pages, list, .. } => pages.try_recv().map(|page| list.push(page)).err(),
                Self::Killed { counts, sum, .. } => counts.try_recv().map(|count| *sum += count.killed).err(),
            };
            match end {
                None => {}
                Some(TryRecvError::Empty) => return false,
                Some(TryRecvError::Disconnected) => return true,
            }
        }
    }
}
