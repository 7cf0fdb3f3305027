//! The configuration that runs, the one that was last loaded or saved, and what waits to be confirmed or saved.

use std::time::Duration;

use crate::config::Config;
use crate::model::time::Moment;

/// What runs and where it came from.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// What runs; none before the start.
    running: Option<Config>,
    /// As last loaded or saved.
    loaded: Option<Config>,
    /// Whether these two differ.
    unsaved: bool,
    revision: u64,
    /// What to go back to, and when, unless the load is confirmed before.
    probation: Option<(Moment, Config)>,
    /// When to look whether there is something to save.
    save_at: Option<Moment>,
}

impl Truth {
    /// What runs from now on came from the file or is in it.
    pub(super) fn load(&mut self, now: Moment, config: Config) {
        self.loaded = Some(config.clone());
        self.change(now, config);
    }

    /// What runs from now on.
    pub(super) fn change(&mut self, now: Moment, config: Config) {
        self.revision += 1;
        self.plan_save(now, config.manager.config_check);
        self.unsaved = self.loaded.as_ref() != Some(&config);
        self.running = Some(config);
    }

    /// What runs is what the file has.
    pub(super) fn saved(&mut self) {
        self.loaded.clone_from(&self.running);
        self.unsaved = false;
    }

    /// What runs.
    ///
    /// # Panics
    /// Before the first [`Self::load`], which comes before the thread starts.
    pub(super) const fn running(&self) -> &Config {
        self.running.as_ref().expect("the manager's thread starts with a configuration")
    }

    /// What was last loaded or saved.
    pub(super) const fn loaded(&self) -> Option<&Config> {
        self.loaded.as_ref()
    }

    /// Counts changes.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether what runs differs from what was last loaded or saved.
    pub(super) const fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Goes back to `config` at `until`, unless it is confirmed before. What was on probation already stays what to go
    /// back to.
    pub(super) fn put_on_probation(&mut self, until: Moment, config: Config) {
        let config = self.probation.take().map_or(config, |(_, first)| first);
        self.probation = Some((until, config));
    }

    /// Ends the probation and returns what there was to go back to.
    pub(super) fn end_probation(&mut self) -> Option<Config> {
        self.probation.take().map(|(_, config)| config)
    }

    /// Time left until the probation ends.
    pub(super) fn probation_left(&self, now: Moment) -> Option<Duration> {
        self.probation.as_ref().map(|(until, _)| until.since(now))
    }

    /// What to go back to, when its time has come.
    pub(super) fn take_expired(&mut self, now: Moment) -> Option<Config> {
        self.probation.take_if(|(until, _)| *until <= now).map(|(_, config)| config)
    }

    /// Whether it is time to save; the next time is an interval later. Nothing is saved during a probation.
    pub(super) fn take_save(&mut self, now: Moment) -> bool {
        if self.save_at.take_if(|at| *at <= now).is_none() {
            return false;
        }
        self.plan_save(now, self.running().manager.config_check);
        self.unsaved && self.probation.is_none()
    }

    /// When something is to be done here.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let probation = self.probation.as_ref().map(|(until, _)| *until);
        let save = self.save_at.filter(|_| self.unsaved && self.probation.is_none());
        probation.into_iter().chain(save).min()
    }

    fn plan_save(&mut self, now: Moment, interval: Option<Duration>) {
        self.save_at = match interval {
            // What changes all the time is saved all the same.
            Some(interval) => self.save_at.filter(|at| *at > now).or(Some(now.after(interval))),
            None => None,
        };
    }
}
