//! What the manager needs of the process: its configuration file and its log.

use std::path::PathBuf;
use std::sync::Arc;

use super::life::Source;
use super::logging::Log;
use crate::config::{self, Config, Current, SaveError, Saved};
use crate::manager::run::Surroundings;
use crate::model::change::Refusal;

/// Of a balancer that was started by one line, or as the demo.
const NO_FILE: &str = "the balancer was started without a file";

/// The process around the manager.
pub(super) struct House {
    file: Option<PathBuf>,
    log: Arc<Log>,
    current: Current,
}

impl House {
    pub(super) fn new(source: &Source, log: Arc<Log>, current: Current) -> Self {
        Self { file: source.file.clone(), log, current }
    }
}

impl Surroundings for House {
    fn load(&mut self) -> Result<Config, String> {
        match &self.file {
            Some(file) => config::load(file).map_err(|errors| errors.to_string()),
            None => Err(format!("{NO_FILE}; nothing is read again, and what runs stays as it is")),
        }
    }

    fn prepare(&mut self, config: &Config) -> Result<(), String> {
        self.log.prepare(config.log_file.as_deref()).map_err(|error| error.to_string())
    }

    fn applied(&mut self, config: &Config) {
        self.log.commit();
        self.current.set(config.clone());
    }

    fn save(&mut self, config: &Config, expected: Option<&Config>) -> Result<String, Refusal> {
        let Some(file) = &self.file else {
            let what = "directorctl config show prints what runs, and director --print-config what a command line says";
            return Err(Refusal::unavailable(format!(
                "{NO_FILE} to save to; {what}: put it into one and start from that"
            )));
        };
        match config::save(file, config, expected) {
            Ok(Saved::Unchanged) => Ok(format!("{} has it already", file.display())),
            Ok(Saved::Written { bytes, previous }) => {
                let kept = previous.map_or_else(String::new, |path| format!(", the file before is {}", path.display()));
                Ok(format!("saved to {} ({bytes} bytes){kept}", file.display()))
            }
            Err(error @ SaveError::Changed(_)) => Err(Refusal::conflict(error.to_string())),
            Err(error) => Err(Refusal::unavailable(error.to_string())),
        }
    }

    fn reopen_log(&mut self) -> Result<(), String> {
        self.log.reopen().map_err(|error| error.to_string())
    }

    fn set_log_level(&mut self, level: &str) -> Result<(), String> {
        self.log.set_level(level)
    }
}
