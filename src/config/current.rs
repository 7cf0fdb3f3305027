//! The running configuration for those who only look: the manager sets it, front-ends read who may log in.

use std::sync::{Arc, Mutex, PoisonError};

use super::Config;

/// A handle that all of its clones share. No reactor has one.
#[derive(Clone, Debug)]
pub struct Current(Arc<Mutex<Arc<Config>>>);

impl Current {
    /// With this configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(config))))
    }

    /// The configuration at this moment.
    #[must_use]
    pub fn get(&self) -> Arc<Config> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets another one.
    pub fn set(&self, config: Config) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}
