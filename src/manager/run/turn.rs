//! The manager's loop: carries events into the brain and its effects out.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use crossbeam_channel::Receiver;
use log::Level;
use mio::{Events, Poll, Token};

use crate::config::Config;
use crate::model::command::Request;
use crate::model::counters::ReactorCounters;
use crate::model::event::EventKind;
use crate::model::id::ServiceId;
use crate::model::limits::{CHANNEL_MAX, PANIC_PAUSE, POST_RETRY, PROBES_MAX, RELOAD_TAKEN, RESOLVE_FIRST, TAKEN_LOOK};
use crate::model::report::Report;
use crate::model::time::Moment;
use crate::model::update::Update;
use crate::sys::clock::Clock;
use crate::sys::process;

use crate::manager::line::Seconds;
use crate::manager::{Changes, Effect, Event, Manager, Settings};

use super::journal::Journal;
use super::kernel;
use super::listeners::{Listeners, Moves};
use super::outbox::Outbox;
use super::probation::Truth;
use super::prober::Prober;
use super::resolver::Resolver;
use super::sessions::Questions;
use super::start_error::StartError;
use super::{Defaults, Desk, Equipment, Surroundings, WAKER};

/// The log target of the manager's own doings.
pub(super) const MANAGER: &str = "director::manager";

/// The brain and its hands.
pub(super) struct Shell {
    poll: Poll,
    events: Events,
    clock: Clock,
    reports: Receiver<Report>,
    pub(super) commands: Receiver<Request>,
    pub(super) leave: Arc<AtomicBool>,
    /// The last look at `leave`.
    pub(super) leaving: bool,
    pub(super) brain: Manager,
    pub(super) prober: Prober,
    resolver: Resolver,
    pub(super) listeners: Listeners,
    pub(super) outbox: Outbox,
    pub(super) defaults: Defaults,
    pub(super) surroundings: Box<dyn Surroundings>,
    pub(super) reactor_counters: Vec<Arc<ReactorCounters>>,
    pub(super) journal: Journal,
    /// What runs, and what was last loaded or saved.
    pub(super) truth: Truth,
    /// Questions to reactors that are not answered yet.
    pub(super) questions: Questions,
    /// When the drain ends, once it has begun.
    pub(super) draining: Option<Moment>,
    panics: u64,
}

impl Shell {
    pub(super) fn new(desk: Desk, equipment: Equipment) -> io::Result<Self> {
        let (first, last) = process::ephemeral_ports();
        let defaults = equipment.defaults;
        let brain = Manager::new(Settings {
            connect_timeout: defaults.connect_timeout,
            idle_timeout: defaults.idle_timeout,
            fin_timeout: defaults.fin_timeout,
            connect: defaults.connect.clone(),
            ephemeral_ports: first..=last,
        });
        let outbox = Outbox::new(equipment.reactors);
        Ok(Self {
            prober: Prober::new(desk.poll.registry().try_clone()?, Token(WAKER.0 + 1)),
            poll: desk.poll,
            events: Events::with_capacity(PROBES_MAX + 1),
            clock: desk.clock,
            reports: desk.reports,
            commands: desk.commands,
            leave: desk.leave,
            leaving: false,
            brain,
            resolver: Resolver::new(desk.waker),
            listeners: Listeners::new(outbox.reactors(), defaults.listen).steered(defaults.steering.clone()),
            outbox,
            defaults,
            surroundings: equipment.surroundings,
            reactor_counters: equipment.reactor_counters,
            journal: Journal::default(),
            truth: Truth::default(),
            questions: Questions::default(),
            draining: None,
            panics: 0,
        })
    }

    /// Makes a configuration the truth, all or nothing: first everything is bound, then the rest cannot fail.
    ///
    /// # Errors
    /// An address cannot be listened on or an option cannot be had; nothing has changed.
    pub(super) fn install(&mut self, config: &Config) -> Result<(Changes, Moves), StartError> {
        let warnings = kernel::check(config, &self.defaults.listen, &self.defaults.connect)?;
        let plan = self.listeners.prepare(config)?;
        for warning in warnings {
            log::warn!(target: MANAGER, "{warning}");
        }
        let now = self.clock.read();
        let changes = self.brain.reload(now, config);
        let effects = self.with_names(now);
        // A reactor must know a service before its listeners, and lose the listeners before the service.
        let removed = self.carry_out(now, effects);
        let ids: BTreeMap<&str, ServiceId> = self.brain.published().map(|spec| (&*spec.name, spec.id)).collect();
        let moves = self.listeners.commit(plan, |name| ids.get(name).copied());
        for line in &moves.lines {
            self.journal.tell(EventKind::State, Level::Info, line.clone());
        }
        for warning in &moves.warnings {
            log::warn!(target: MANAGER, "{warning}");
        }
        for (spec, sockets) in &moves.listen {
            self.outbox.listen(spec, sockets);
        }
        for id in &moves.unlisten {
            self.outbox.post(&Update::Unlisten(*id));
        }
        for id in removed {
            self.outbox.post(&Update::Remove(id));
        }
        Ok((changes, moves))
    }

    /// What the brain wants done after a reload, once new names are resolved or [`RESOLVE_FIRST`] has passed: a service
    /// whose hosts are not known yet would turn its clients away.
    fn with_names(&mut self, now: Moment) -> Vec<Effect> {
        let mut asked = BTreeSet::new();
        let mut effects = Vec::new();
        for effect in self.brain.take_effects() {
            let Effect::Resolve { name } = effect else {
                effects.push(effect);
                continue;
            };
            asked.insert(name.clone());
            if let Some(answer) = self.resolver.ask(name) {
                self.note_answer(now, &mut asked, answer);
            }
        }
        let until = now.after(RESOLVE_FIRST);
        while !asked.is_empty() {
            let Some(answer) = self.resolver.wait_for_answer(until.since(self.clock.read())) else { break };
            self.note_answer(now, &mut asked, answer);
        }
        effects.extend(self.brain.take_effects());
        // Of each service the newest specification is enough.
        let newest: BTreeMap<ServiceId, u64> = effects.iter().filter_map(published).collect();
        effects.retain(|effect| published(effect).is_none_or(|(id, generation)| newest.get(&id) == Some(&generation)));
        effects
    }

    fn note_answer(&mut self, now: Moment, asked: &mut BTreeSet<String>, answer: Event) {
        if let Event::Resolved { name, .. } = &answer {
            asked.remove(name);
        }
        self.brain.on_event(now, answer);
    }

    /// The thread.
    pub(super) fn run(mut self) {
        while !self.has_ended() {
            let now = self.sleep();
            self.contained(|shell| shell.judge(now));
            self.contained(|shell| shell.obey(now));
            self.contained(|shell| shell.keep_promises(now));
            self.outbox.retry();
        }
    }

    /// A part of a turn that panics is dropped, and the brain keeps what it knew. Commands are obeyed all the same.
    fn contained(&mut self, part: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| part(self))).is_err() {
            self.panics += 1;
            log::error!(target: MANAGER, "the manager panicked panics={}; it goes on, and so do all connections", self.panics);
            thread::sleep(PANIC_PAUSE);
        }
    }

    /// The present moment, outside of a turn.
    pub(super) fn clock_now(&mut self) -> Moment {
        self.clock.read()
    }

    fn has_ended(&mut self) -> bool {
        let Some(until) = self.draining else { return false };
        self.leaving && (!self.outbox.owes() || self.clock.read() >= until)
    }

    fn judge(&mut self, now: Moment) {
        let ready: Vec<Token> = self.events.iter().map(mio::event::Event::token).collect();
        for event in ready.into_iter().filter_map(|token| self.prober.on_ready(now, token)) {
            self.brain.on_event(now, event);
        }
        while let Some(event) = self.prober.take_expired(now) {
            self.brain.on_event(now, event);
        }
        while let Some(event) = self.resolver.take_answer() {
            self.brain.on_event(now, event);
        }
        for report in self.reports.try_iter().take(CHANNEL_MAX) {
            self.brain.on_event(now, Event::Report(report));
        }
        self.brain.on_deadline(now);
        let effects = self.brain.take_effects();
        self.carry_out(now, effects);
    }

    /// Sleeps until something happens or is due. The time that the process was frozen does not count.
    fn sleep(&mut self) -> Moment {
        let now = self.clock.read();
        let retry = self.outbox.owes().then(|| now.after(POST_RETRY));
        let deadlines = [
            self.brain.next_deadline(),
            self.prober.next_deadline(),
            retry,
            self.questions.next_look(now),
            self.truth.next_deadline(),
        ];
        // What was left in a mailbox wakes nobody.
        let idle = self.reports.is_empty() && self.commands.is_empty();
        let deadline = if idle { deadlines.into_iter().flatten().min() } else { Some(now) };
        let planned = deadline.map(|at| at.since(now));
        if let Err(error) = self.poll.poll(&mut self.events, planned)
            && error.kind() != io::ErrorKind::Interrupted
        {
            log::error!(target: MANAGER, "the manager's poll failed: {error}");
            thread::sleep(PANIC_PAUSE);
        }
        let reading = self.clock.wake(planned);
        if !reading.frozen.is_zero() {
            log::warn!(target: MANAGER, "the manager was frozen for={}; hosts are not judged by it", Seconds(reading.frozen));
        }
        reading.now
    }

    /// Does what the brain wants done, `effects` and what follows from them. Returns the services to be removed.
    pub(super) fn carry_out(&mut self, now: Moment, mut effects: Vec<Effect>) -> Vec<ServiceId> {
        let mut removed = Vec::new();
        while !effects.is_empty() {
            for effect in effects {
                if let Effect::Remove(id) = effect {
                    removed.push(id);
                } else if let Some(event) = self.carry_out_one(now, effect) {
                    self.brain.on_event(now, event);
                }
            }
            effects = self.brain.take_effects();
        }
        removed
    }

    /// Does one thing. Returns what came of it at once.
    fn carry_out_one(&mut self, now: Moment, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Log { level, line } => self.journal.tell(EventKind::State, level, line),
            Effect::Publish(_) | Effect::Probe { .. } | Effect::Resolve { .. } if self.draining.is_some() => {}
            Effect::Publish(spec) => self.outbox.post(&Update::Service(spec)),
            Effect::Remove(id) => self.outbox.post(&Update::Remove(id)),
            Effect::Probe { host, addr, timeout } => {
                return self.prober.start(now, host, addr, self.brain.outbound(host), timeout);
            }
            Effect::Resolve { name } => return self.resolver.ask(name),
        }
        None
    }

    /// Waits until every reactor has taken over what it was told, so that who reads of the reload sees its effect. One
    /// that is stuck is named and not waited for.
    pub(super) fn await_reactors(&mut self) {
        let until = self.clock.read().after(RELOAD_TAKEN);
        while let Some(reactor) = self.outbox.first_behind(&self.reactor_counters) {
            if self.clock.read() >= until {
                log::warn!(target: MANAGER, "reactor {reactor} has not taken over the reload yet; it will");
                return;
            }
            self.outbox.retry();
            thread::sleep(TAKEN_LOOK);
        }
    }
}

fn published(effect: &Effect) -> Option<(ServiceId, u64)> {
    if let Effect::Publish(spec) = effect { Some((spec.id, spec.generation)) } else { None }
}
