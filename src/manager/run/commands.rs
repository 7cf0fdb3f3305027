//! What operators ask: each command is done or refused, told in the log with who asked, and answered.

use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;
use std::time::{Duration, SystemTime};

use crate::config::{self, Config};
use crate::manager::counter_lines::reactor_line;
use crate::manager::line::Seconds;
use crate::manager::loop_table::loop_table;
use crate::model::change::{Change, HostRef, Refusal};
use crate::model::command::{Command, Origin, Reply, Request, Source};
use crate::model::limits::{CHANNEL_MAX, CONFIRM_MAX};
use crate::model::snapshot::Snapshot;
use crate::model::time::Moment;
use crate::model::update::Update;

use super::listeners::Moves;
use super::turn::{MANAGER, Shell};

/// The log target of counters.
const COUNTERS: &str = "director::counters";

type Outcome = Result<String, Refusal>;

impl Shell {
    /// What runs from the start.
    pub(super) fn begin(&mut self, config: Config) {
        let now = self.clock_now();
        self.truth.load(now, config);
    }

    /// Obeys what is in the mailbox.
    pub(super) fn obey(&mut self, now: Moment) {
        // Read before the commands: what was posted before it was set is seen below.
        self.leaving = self.leave.load(Acquire);
        let requests: Vec<Request> = self.commands.try_iter().take(CHANNEL_MAX).collect();
        let mut last: Option<(Command, Origin)> = None;
        for Request { command, origin, answer } in requests {
            // A signal that came twice is one.
            let same = last.as_ref() == Some(&(command.clone(), origin.clone()));
            if same && matches!(command, Command::Reload { .. } | Command::LogCounters | Command::LogLoops) {
                answer.send(Reply::Done(String::from("done with the one before")));
                continue;
            }
            last = Some((command.clone(), origin.clone()));
            // These two are answered when the reactors have.
            if let Command::Sessions(search) = command {
                self.ask_sessions(now, &search, answer);
            } else if let Command::Kill(target) = command {
                self.kill(now, target, origin, answer);
            } else {
                answer.send(self.reply(now, command, &origin));
            }
        }
        if self.leaving && self.draining.is_none() {
            self.drain(now, None);
        }
    }

    /// Goes back from what was not confirmed, saves what is to be saved, and looks at answers.
    pub(super) fn keep_promises(&mut self, now: Moment) {
        self.answer_questions(now);
        let origin = Origin::new("director", "by itself");
        if self.draining.is_none()
            && let Some(before) = self.truth.take_expired(now)
        {
            let outcome = self.replace(now, before, true);
            self.told(&origin, "not confirmed in time: back to the configuration before", outcome);
        }
        if self.truth.take_save(now) {
            let outcome = self.save(false);
            self.told(&origin, "configCheck", outcome);
        }
    }

    fn reply(&mut self, now: Moment, command: Command, origin: &Origin) -> Reply {
        let (asked, outcome) = match command {
            Command::Snapshot => return Reply::Snapshot(Arc::new(self.snapshot(now))),
            Command::Sticky(search) => return self.list_clients(now, &search),
            Command::Forget(search) => return self.forget_clients(&search, origin),
            Command::Events { after } => return Reply::Events(self.journal.after(after)),
            Command::Config(source) => return self.source(source).map_or_else(Reply::Refused, |config| text(&config)),
            Command::Diff { from, to } => return self.diff(from, to),
            Command::Change(changes) => (described(&changes), self.change(now, &changes)),
            Command::Reload { confirm } => (String::from("reload"), self.reload(now, confirm)),
            Command::Load { text, confirm } => {
                (String::from("load a configuration"), self.load_text(now, &text, confirm))
            }
            Command::Confirm => (String::from("confirm"), self.confirm()),
            Command::GoBack => (String::from("go back"), self.go_back(now)),
            Command::Save { overwrite } => (String::from("save"), self.save(overwrite)),
            Command::Retry(host) => (format!("retry {}", host.host), self.retry(now, &host)),
            Command::Blacklist { host, time } => (format!("blacklist {}", host.host), self.blacklist(now, &host, time)),
            Command::LogLevel(level) => {
                let outcome = self.surroundings.set_log_level(&level).map_err(Refusal::invalid);
                (String::from("log level"), outcome.map(|()| format!("the log has what is {level} or worse")))
            }
            Command::ReopenLog => {
                let outcome = self.surroundings.reopen_log().map_err(Refusal::unavailable);
                (String::from("reopen the log"), outcome.map(|()| String::from("the log file was opened anew")))
            }
            Command::LogCounters => return self.log_counters(),
            Command::LogLoops => return self.log_loops(),
            Command::Shutdown { wait } => {
                self.drain(now, wait);
                (String::new(), Ok(String::from("shutting down")))
            }
            Command::Sessions(_) | Command::Kill(_) => (String::new(), Err(Refusal::unavailable("answered elsewhere"))),
        };
        self.told(origin, &asked, outcome)
    }

    /// Tells what came of a command, in the log and as a reply.
    pub(super) fn told(&mut self, origin: &Origin, asked: &str, outcome: Outcome) -> Reply {
        match outcome {
            Ok(done) => {
                self.journal.done(origin, &done);
                Reply::Done(done)
            }
            Err(refusal) => {
                self.journal.refused(origin, asked, &refusal);
                Reply::Refused(refusal)
            }
        }
    }

    fn change(&mut self, now: Moment, changes: &[Change]) -> Outcome {
        let mut next = self.truth.running().clone();
        let mut told = Vec::new();
        for change in changes {
            told.push(config::apply(&mut next, change)?);
        }
        self.replace(now, next, false)?;
        Ok(told.join("; "))
    }

    /// Makes another configuration the truth, all or nothing. Says what changed.
    fn replace(&mut self, now: Moment, config: Config, from_file: bool) -> Outcome {
        if self.draining.is_some() {
            return Err(Refusal::unavailable("shutting down"));
        }
        self.surroundings.prepare(&config).map_err(Refusal::unavailable)?;
        let (changes, moves) = self.install(&config).map_err(|error| Refusal::unavailable(error.to_string()))?;
        self.await_reactors();
        self.surroundings.applied(&config);
        if from_file {
            self.truth.load(now, config)
        } else {
            self.truth.change(now, config)
        }
        let Moves { opened, closed, moved, retuned, .. } = moves;
        if changes.is_empty() && opened + closed + moved + retuned == 0 {
            return Ok(String::from("nothing changed"));
        }
        Ok(format!(
            "{changes} listeners-opened={opened} listeners-closed={closed} listeners-moved={moved} \
             listeners-retuned={retuned}"
        ))
    }

    fn reload(&mut self, now: Moment, confirm: Option<Duration>) -> Outcome {
        let outcome = self.surroundings.load().map_err(Refusal::invalid);
        let outcome = outcome.and_then(|config| self.load(now, config, confirm));
        if let Err(refusal) = &outcome {
            for line in refusal.why.lines() {
                log::error!(target: MANAGER, "reload refused: {line}");
            }
        }
        outcome.map(|changed| format!("reloaded: {changed}"))
    }

    fn load_text(&mut self, now: Moment, text: &str, confirm: Option<Duration>) -> Outcome {
        let config = config::parse(text, "configuration").map_err(|errors| Refusal::invalid(errors.to_string()))?;
        let before = self.truth.running().clone();
        let told = self.replace(now, config, false)?;
        self.probe_confirm(now, before, confirm)?;
        Ok(format!("loaded: {told}"))
    }

    fn load(&mut self, now: Moment, config: Config, confirm: Option<Duration>) -> Outcome {
        let before = self.truth.running().clone();
        let told = self.replace(now, config, true)?;
        self.probe_confirm(now, before, confirm)?;
        Ok(told)
    }

    fn probe_confirm(&mut self, now: Moment, before: Config, confirm: Option<Duration>) -> Result<(), Refusal> {
        match confirm {
            Some(wait) => self.truth.put_on_probation(now.after(wait.min(CONFIRM_MAX)), before),
            // Who loads without a condition means it.
            None => drop(self.truth.end_probation()),
        }
        Ok(())
    }

    fn confirm(&mut self) -> Outcome {
        let nothing = || Refusal::conflict("nothing waits to be confirmed");
        self.truth.end_probation().map(|_| String::from("confirmed")).ok_or_else(nothing)
    }

    fn go_back(&mut self, now: Moment) -> Outcome {
        let before = self.truth.end_probation();
        let before =
            before.ok_or_else(|| Refusal::conflict("nothing waits to be confirmed, so there is no way back"))?;
        self.replace(now, before, false).map(|told| format!("back to the configuration before: {told}"))
    }

    fn save(&mut self, overwrite: bool) -> Outcome {
        let running = self.truth.running();
        if let Some(what) = running.incomplete() {
            return Err(Refusal::conflict(format!(
                "{what}, which a file may not have; add it or remove the place for it"
            )));
        }
        let expected = self.truth.loaded().filter(|_| !overwrite);
        let told = self.surroundings.save(running, expected)?;
        self.truth.saved();
        Ok(told)
    }

    fn retry(&mut self, now: Moment, host: &HostRef) -> Outcome {
        let (service, group, at) = config::find_host(self.truth.running(), host)?;
        let service = &self.truth.running().services[service];
        let group = &service.groups[group];
        let place = format!("{}/{}/{}", service.name, group.name, group.hosts[at].name);
        let (service, group, name) = (service.name.clone(), group.name.clone(), group.hosts[at].name.clone());
        let back = self.brain.take_back(now, &service, &group, &name);
        let effects = self.brain.take_effects();
        self.carry_out(now, effects);
        Ok(if back > 0 { format!("host {place} is taken back") } else { format!("host {place} is up already") })
    }

    fn diff(&mut self, from: Source, to: Source) -> Reply {
        let both = self.source(from).and_then(|from| Ok((from, self.source(to)?)));
        both.map_or_else(Reply::Refused, |(from, to)| Reply::Differences(config::diff(&from, &to)))
    }

    fn source(&mut self, source: Source) -> Result<Config, Refusal> {
        match source {
            Source::Running => Ok(self.truth.running().clone()),
            Source::Loaded => Ok(self.truth.loaded().unwrap_or_else(|| self.truth.running()).clone()),
            Source::File => self.surroundings.load().map_err(Refusal::invalid),
            Source::Text(text) => {
                config::parse(&text, "configuration").map_err(|errors| Refusal::invalid(errors.to_string()))
            }
        }
    }

    fn snapshot(&self, now: Moment) -> Snapshot {
        let mut services = self.brain.service_views(now);
        for service in &mut services {
            self.listeners.show(service);
        }
        let uptime = now.since(Moment::START);
        Snapshot {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            started: SystemTime::now().checked_sub(uptime).unwrap_or(SystemTime::UNIX_EPOCH),
            uptime,
            revision: self.truth.revision(),
            unsaved: self.truth.is_unsaved(),
            confirm_within: self.truth.probation_left(now),
            draining: self.draining.is_some(),
            services,
            reactors: self.reactor_counters.iter().map(|counters| counters.view()).collect(),
            users: self.truth.running().user_views(),
            access_log: self.surroundings.access_counts(),
            last_event: self.journal.last(),
        }
    }

    fn drain(&mut self, now: Moment, wait: Option<Duration>) {
        if self.draining.is_some() {
            return;
        }
        let timeout = wait.unwrap_or(self.defaults.drain_timeout);
        log::info!(target: MANAGER, "draining for up to {}", Seconds(timeout));
        self.draining = Some(now.after(timeout));
        self.listeners.remove_files();
        self.prober.clear();
        self.outbox.post(&Update::Drain(timeout));
    }

    fn log_loops(&self) -> Reply {
        for line in loop_table(&self.reactor_counters) {
            log::info!(target: COUNTERS, "{line}");
        }
        Reply::Done(String::from("the loops' table is in the log"))
    }

    fn log_counters(&self) -> Reply {
        for line in self.brain.counter_lines() {
            log::info!(target: COUNTERS, "{line}");
        }
        for (number, counters) in self.reactor_counters.iter().enumerate() {
            log::info!(target: COUNTERS, "{}", reactor_line(number, counters));
        }
        Reply::Done(String::from("the counters are in the log"))
    }
}

fn text(config: &Config) -> Reply {
    Reply::Text(config::write(config))
}

/// What was asked for, for the log, when it was refused.
fn described(changes: &[Change]) -> String {
    match changes {
        [one] => config::described(one),
        several => format!("{} changes at once", several.len()),
    }
}
