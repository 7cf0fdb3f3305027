//! The running configuration for those who only look: the manager sets it, front-ends read who may log in.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Config;

/// A handle that all of its clones share. No reactor has one.
#[derive(Clone)]
pub struct Current(Arc<Shared>);

struct Shared {
    config: Mutex<Arc<Config>>,
    watchers: Mutex<Vec<Box<dyn Fn() + Send>>>,
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Current").field(&self.get()).finish()
    }
}

impl Current {
    /// With this configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Shared { config: Mutex::new(Arc::new(config)), watchers: Mutex::new(Vec::new()) }))
    }

    /// The configuration at this moment.
    #[must_use]
    pub fn get(&self) -> Arc<Config> {
        Arc::clone(&self.0.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets another one, and tells those who watch.
    pub fn set(&self, config: Config) {
        *self.0.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        for watcher in self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            watcher();
        }
    }

    /// Has `changed` called whenever another configuration was set, on the thread that set it: it must neither block nor
    /// set one itself. For ever.
    pub fn watch(&self, changed: impl Fn() + Send + 'static) {
        self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(changed));
    }
}
