//! Changes that wait to be accepted.

use std::collections::HashMap;

use super::plan::Step;
use crate::config::validate::listeners::{meet, port};
use crate::config::{Address, value};
use crate::model::change::Change;

/// Steps in their order, each at its place until it is taken.
#[derive(Clone)]
pub(super) struct Queue {
    places: Vec<Place>,
    /// The steps that want a listener, by its port.
    wanted: HashMap<u16, Vec<(usize, Address)>>,
}

#[derive(Clone)]
struct Place {
    step: Option<Step>,
    was_refused: bool,
}

impl Queue {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        let mut wanted: HashMap<u16, Vec<(usize, Address)>> = HashMap::new();
        for (at, step) in steps.iter().enumerate() {
            if let Some(address) = wants(&step.change) {
                wanted.entry(port(&address)).or_default().push((at, address));
            }
        }
        let places = steps.into_iter().map(|step| Place { step: Some(step), was_refused: false }).collect();
        Self { places, wanted }
    }

    /// Number of places, empty ones among them.
    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Step> {
        self.places.get(at)?.step.as_ref()
    }

    pub(super) fn take(&mut self, at: usize) -> Option<Step> {
        self.places.get_mut(at)?.step.take()
    }

    /// Puts a step that was refused back to its place, or another one for the same address.
    pub(super) fn put_back(&mut self, at: usize, step: Step) {
        self.places[at] = Place { step: Some(step), was_refused: true };
    }

    /// The steps that were refused and may not be, now that this address is free.
    pub(super) fn waiting_for(&self, free: &Address) -> Vec<usize> {
        let wanted = self.wanted.get(&port(free)).map_or(&[][..], Vec::as_slice);
        let waits = |at: usize| self.places[at].was_refused && self.places[at].step.is_some();
        wanted.iter().filter(|(at, address)| waits(*at) && meet(free, address)).map(|(at, _)| *at).collect()
    }

    /// What is still there.
    pub(super) fn rest(self) -> impl Iterator<Item = Step> {
        self.places.into_iter().filter_map(|place| place.step)
    }
}

/// The listener that a change opens.
fn wants(change: &Change) -> Option<Address> {
    let text = if let Change::SetListener { attributes, .. } = change {
        attributes.get("ip")?
    } else if let Change::AddListener { listen, .. } | Change::AddService { listen, .. } = change {
        listen
    } else {
        return None;
    };
    value::listen_address(text).ok()
}
