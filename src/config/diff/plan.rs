//! The order in which changes are accepted, found by trying them out.

use super::Draft;
use super::groups::orders;
use super::queue::Queue;
use super::words::REBOUND;
use crate::config::validate::listeners::met_by_administration;
use crate::config::{Address, Config, apply, value};
use crate::model::change::{Attributes, Change, RefusalKind};
use crate::model::command::Difference;

/// Changes that are tried again before what is still refused is given up.
const TRIES_MAX: usize = 50_000;
/// Circles of listeners that are led around, and what turns out to be none.
const DETOURS_MAX: usize = 64;

/// A change that is to be made.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) change: Change,
    pub(super) what: String,
    pub(super) effect: String,
}

/// The differences so far, and the configuration after them.
#[derive(Clone)]
pub(super) struct Plan {
    config: Config,
    done: Vec<Difference>,
    /// What was refused and will be at the end.
    waiting: Vec<Step>,
    apart: Vec<Difference>,
    /// How many more changes may be tried.
    tries: usize,
}

impl Plan {
    pub(super) fn new(from: &Config) -> Self {
        Self { config: from.clone(), done: Vec::new(), waiting: Vec::new(), apart: Vec::new(), tries: TRIES_MAX }
    }

    /// Puts the steps into an order in which each is accepted.
    pub(super) fn carry_out(&mut self, draft: Draft) {
        self.tries += draft.steps.len();
        let mut queue = Queue::new(draft.steps);
        self.rounds(&mut queue);
        while self.detours(&mut queue) {
            self.rounds(&mut queue);
        }
        self.waiting.extend(queue.rest());
        self.apart.extend(draft.apart);
    }

    /// All differences. Those of which no change was accepted have none, and say why.
    pub(super) fn finish(mut self, to: &Config) -> Vec<Difference> {
        let mut refused = Vec::new();
        for Step { change, what, effect } in std::mem::take(&mut self.waiting) {
            match apply(&mut self.config, &change) {
                Ok(_) => self.done.push(Difference { change: Some(change), what, effect }),
                // It is part of what is not there for a reason that was told.
                Err(refusal) if refusal.kind == RefusalKind::NotFound => {}
                Err(refusal) => {
                    let effect = format!("takes effect with a reload or restart; as a change it is refused: {refusal}");
                    refused.push(Difference { change: None, what, effect });
                }
            }
        }
        let mut draft = Draft::default();
        orders(&mut draft, &self.config, to);
        self.done.extend(refused);
        self.done.extend(self.apart);
        self.done.extend(draft.apart);
        self.done
    }

    /// Makes all changes that are accepted, again and again as long as that opens the way for others.
    fn rounds(&mut self, queue: &mut Queue) {
        let mut goes_on = true;
        while goes_on && self.tries > 0 {
            goes_on = false;
            for at in 0..queue.len() {
                goes_on |= self.advance(queue, at);
            }
        }
    }

    /// Makes the change at this place of the queue, and those that were refused because of an address that it frees.
    /// Returns whether it was accepted.
    fn advance(&mut self, queue: &mut Queue, at: usize) -> bool {
        let Some(step) = queue.take(at) else { return false };
        let freed = freed(&self.config, &step.change);
        if let Some(step) = self.attempt(step) {
            queue.put_back(at, step);
            return false;
        }
        self.follow(queue, freed);
        true
    }

    /// Makes the changes that waited for these addresses, and for those that they free in turn.
    fn follow(&mut self, queue: &mut Queue, mut free: Vec<Address>) {
        while let Some(address) = free.pop() {
            for at in queue.waiting_for(&address) {
                let Some(step) = queue.take(at) else { continue };
                let more = freed(&self.config, &step.change);
                match self.attempt(step) {
                    Some(step) => queue.put_back(at, step),
                    None => free.extend(more),
                }
            }
        }
    }

    /// Makes a change, or gives it back.
    fn attempt(&mut self, step: Step) -> Option<Step> {
        if is_done(&self.config, &step.change) {
            return None;
        }
        self.tries = self.tries.saturating_sub(1);
        if apply(&mut self.config, &step.change).is_err() {
            return Some(step);
        }
        let Step { change, what, effect } = step;
        self.done.push(Difference { change: Some(change), what, effect });
        None
    }

    /// Leads listeners around that wait for one another's address in a circle: one of them goes to a port of the
    /// kernel's choice until its new address is free. Returns whether that helped any.
    fn detours(&mut self, queue: &mut Queue) -> bool {
        let (mut helped, mut next) = (false, 0);
        for _ in 0..DETOURS_MAX {
            let Some(at) = (next..queue.len()).find(|at| self.aside(queue, *at).is_some()) else { break };
            let (mut trial, mut rest) = (self.clone(), queue.clone());
            if trial.detour(&mut rest, at) {
                (*self, *queue) = (trial, rest);
                helped = true;
            } else {
                self.tries = trial.tries;
            }
            if self.tries == 0 {
                break;
            }
            next = at + 1;
        }
        helped
    }

    /// Puts a listener aside, and others as long as one of them does not get to its address. Returns whether all have.
    fn detour(&mut self, queue: &mut Queue, mut at: usize) -> bool {
        let mut owed = Vec::new();
        while owed.len() < DETOURS_MAX && self.tries > 0 {
            let Some([first, last]) = self.aside(queue, at) else { return false };
            let freed = freed(&self.config, &first.change);
            if self.attempt(first).is_some() {
                return false;
            }
            queue.put_back(at, last);
            owed.push(at);
            self.follow(queue, freed);
            if owed.iter().any(|at| queue.get(*at).is_some()) {
                self.rounds(queue);
            }
            if owed.iter().all(|at| queue.get(*at).is_none()) {
                return true;
            }
            let other = (0..queue.len()).find(|at| !owed.contains(at) && self.aside(queue, *at).is_some());
            let Some(other) = other else { return false };
            at = other;
        }
        false
    }

    /// A listener's way to its address in two steps, the first of which is always free.
    fn aside(&self, queue: &Queue, at: usize) -> Option<[Step; 2]> {
        let step = queue.get(at)?;
        let Change::SetListener { service, listen, attributes } = &step.change else { return None };
        let wanted = attributes.get("ip")?;
        let address = value::listen_address(wanted).ok()?;
        // What administration has stays taken, however long one waits.
        if met_by_administration(&self.config, &address).is_some() {
            return None;
        }
        let taken = &self.config.service(service)?.listens;
        let free = |place: &String| taken.iter().all(|listen| listen.address.to_string() != *place);
        let place = (1..=u8::MAX).map(|number| format!("127.0.0.{number}:0")).find(free)?;
        let set = |listen: &str, attributes| Change::SetListener {
            service: service.clone(),
            listen: listen.to_owned(),
            attributes,
        };
        let first = Step {
            change: set(listen, Attributes::new([("ip", place.as_str())])),
            what: format!("{service}: listener {listen} → {place}, until {wanted} is free"),
            effect: String::from(REBOUND),
        };
        let what = step.what.replacen(listen, &place, 1);
        let last = Step { change: set(&place, attributes.clone()), what, ..step.clone() };
        Some([first, last])
    }
}

/// The addresses that a change makes free.
fn freed(config: &Config, change: &Change) -> Vec<Address> {
    if let Change::SetListener { listen, attributes, .. } = change {
        attributes.get("ip").and_then(|_| value::listen_address(listen).ok()).into_iter().collect()
    } else if let Change::RemoveListener { listen, .. } = change {
        value::listen_address(listen).into_iter().collect()
    } else if let Change::RemoveService { service } = change {
        let listens = config.service(service).map_or(&[][..], |service| &service.listens);
        listens.iter().map(|listen| listen.address.clone()).collect()
    } else {
        Vec::new()
    }
}

/// Whether a group that is to serve does so already: the first host of an empty service has its group serve.
fn is_done(config: &Config, change: &Change) -> bool {
    let Change::EnableGroup { group } = change else { return false };
    let service = config.service(&group.service);
    let serving = service.and_then(|service| service.groups.get(service.enabled?));
    serving.is_some_and(|serving| serving.name == group.group)
}
