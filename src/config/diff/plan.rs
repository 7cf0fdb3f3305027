//! The order in which changes are accepted, found by trying them out.

use super::Draft;
use super::groups::orders;
use crate::config::validate::listeners::met_by_administration;
use crate::config::{Config, apply, value};
use crate::model::change::{Attributes, Change, RefusalKind};
use crate::model::command::Difference;

/// Changes that are tried again before what is still refused is given up. Chains of listeners that each wait for the next
/// one's address need few rounds, unless somebody has shuffled thousands.
const TRIES_MAX: usize = 50_000;
/// Circles of listeners that are led around, and what turns out to be none.
const DETOURS_MAX: usize = 64;

/// What is said of a change that might be accepted if more orders were tried.
const GIVEN_UP: &str = "takes effect with a reload; as a change it takes others before it that were not found";

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
        let waiting = self.rounds(draft.steps);
        let waiting = self.detours(waiting);
        self.waiting.extend(waiting);
        self.apart.extend(draft.apart);
    }

    /// All differences. Those of which no change was accepted have none, and say why.
    pub(super) fn finish(mut self, to: &Config) -> Vec<Difference> {
        for Step { change, what, .. } in std::mem::take(&mut self.waiting) {
            match apply(&mut self.config.clone(), &change) {
                // It is part of what is not there for a reason that was told.
                Err(refusal) if refusal.kind == RefusalKind::NotFound => {}
                Err(refusal) => {
                    let effect = format!("takes effect with a reload or restart; as a change it is refused: {refusal}");
                    self.done.push(Difference { change: None, what, effect });
                }
                Ok(_) => self.done.push(Difference { change: None, what, effect: String::from(GIVEN_UP) }),
            }
        }
        let mut draft = Draft::default();
        orders(&mut draft, &self.config, to);
        self.done.extend(self.apart);
        self.done.extend(draft.apart);
        self.done
    }

    /// Makes all changes that are accepted, again and again as long as that opens the way for others. Returns the rest.
    fn rounds(&mut self, mut waiting: Vec<Step>) -> Vec<Step> {
        let mut backwards = false;
        loop {
            let before = waiting.len();
            waiting = waiting.into_iter().filter_map(|step| self.attempt(step)).collect();
            if waiting.is_empty() || waiting.len() == before || self.tries == 0 {
                return waiting;
            }
            // Listeners that wait for one another in a chain are free from its end, which may be at either side.
            let (mut listeners, others): (Vec<Step>, Vec<Step>) =
                waiting.into_iter().partition(|step| matches!(step.change, Change::SetListener { .. }));
            backwards = !backwards;
            if backwards {
                listeners.reverse();
            }
            waiting = listeners.into_iter().chain(others).collect();
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
    /// kernel's choice until its new address is free.
    fn detours(&mut self, mut waiting: Vec<Step>) -> Vec<Step> {
        let mut next = 0;
        for _ in 0..DETOURS_MAX {
            let Some(at) = (next..waiting.len()).find(|at| self.aside(&waiting[*at]).is_some()) else { break };
            let mut trial = self.clone();
            match trial.detour(waiting.clone(), at) {
                Some(rest) => (*self, waiting, next) = (trial, rest, 0),
                None => (self.tries, next) = (trial.tries, at + 1),
            }
            if self.tries == 0 {
                break;
            }
        }
        waiting
    }

    /// Puts a listener aside, and others as long as one of them does not get to its address. Returns what waits when all
    /// have; none if they do not.
    fn detour(&mut self, mut waiting: Vec<Step>, mut at: usize) -> Option<Vec<Step>> {
        let mut owed: Vec<Change> = Vec::new();
        for _ in 0..DETOURS_MAX {
            let [first, last] = self.aside(&waiting[at])?;
            owed.push(last.change.clone());
            waiting[at] = last;
            if self.attempt(first).is_some() {
                return None;
            }
            waiting = self.rounds(waiting);
            owed.retain(|change| waiting.iter().any(|step| step.change == *change));
            if owed.is_empty() {
                return Some(waiting);
            }
            if self.tries == 0 {
                return None;
            }
            at = waiting.iter().position(|step| !owed.contains(&step.change) && self.aside(step).is_some())?;
        }
        None
    }

    /// A listener's way to its address in two steps, the first of which is always free.
    fn aside(&self, step: &Step) -> Option<[Step; 2]> {
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
            effect: step.effect.clone(),
        };
        let what = step.what.replacen(listen, &place, 1);
        let last = Step { change: set(&place, attributes.clone()), what, ..step.clone() };
        Some([first, last])
    }
}

/// Whether a group that is to serve does so already: the first host of an empty service has its group serve.
fn is_done(config: &Config, change: &Change) -> bool {
    let Change::EnableGroup { group } = change else { return false };
    let service = config.service(&group.service);
    let serving = service.and_then(|service| service.groups.get(service.enabled?));
    serving.is_some_and(|serving| serving.name == group.group)
}
