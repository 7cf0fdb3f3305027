//! The front-ends of the process: what is opened before anybody is served, and started once somebody is.

use super::Failure;
use crate::admin::Desk;
use crate::admin::control::{self, Control, Opened};
use crate::admin::ssh::Ssh;
use crate::config::Config;

/// Front-ends that have what they need of the system.
pub(super) struct Front {
    control: Option<Opened>,
}

/// Front-ends that serve. They end when this is dropped.
pub(super) struct Serving {
    // Ended in this order: SSH's sessions speak to the control socket.
    _ssh: Ssh,
    _control: Control,
}

impl Front {
    /// Opens what the configuration asks for.
    ///
    /// # Errors
    /// It cannot be had.
    pub(super) fn open(config: &Config) -> Result<Self, Failure> {
        let control = control::wanted(config).and_then(|wanted| wanted.as_ref().map(control::open).transpose());
        let control = control.map_err(Failure::Start)?;
        Ok(Self { control })
    }

    /// Lets them serve.
    ///
    /// # Errors
    /// The system has no room for a thread.
    pub(super) fn start(self, desk: &Desk) -> Result<Serving, Failure> {
        let control = Control::start(desk.clone(), self.control);
        let control = control.map_err(|error| Failure::start("serve the control socket", &error))?;
        let ssh = Ssh::start(desk.clone()).map_err(|error| Failure::start("look after the SSH server", &error))?;
        Ok(Serving { _ssh: ssh, _control: control })
    }
}
