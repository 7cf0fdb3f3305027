//! The front-ends of the process: what is opened before anybody is served, and started once somebody is.

use std::sync::Arc;

use super::Failure;
use crate::admin::Desk;
use crate::admin::control::{self, Control, Opened};
use crate::admin::ssh::{Ssh, state_directory};
use crate::admin::web::Web;
use crate::config::Config;
use crate::model::limits::{CONTROL_CONNECTIONS_MAX, FRONT_END_DESCRIPTORS, WEB_CONNECTIONS_MAX};

/// Front-ends that have what they need of the system.
pub(super) struct Front {
    control: Option<Opened>,
}

/// Front-ends that serve. They end when this is dropped.
pub(super) struct Serving {
    // Ended in this order: SSH's sessions speak to the control socket.
    _ssh: Ssh,
    _control: Control,
    _web: Arc<Web>,
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
    /// The page's address cannot be listened on, or the system has no room for a thread.
    pub(super) fn start(self, config: &Config, desk: &Desk) -> Result<Serving, Failure> {
        let web = Web::start(config, desk.clone(), state_directory());
        let web = Arc::new(web.map_err(|error| Failure::Start(error.to_string()))?);
        let (changed, current) = (Arc::downgrade(&web), desk.current().clone());
        desk.current().watch(move || {
            if let Some(web) = changed.upgrade() {
                web.apply(&current.get());
            }
        });
        let control = Control::start(desk.clone(), self.control);
        let control = control.map_err(|error| Failure::start("serve the control socket", &error))?;
        let ssh = Ssh::start(desk.clone()).map_err(|error| Failure::start("look after the SSH server", &error))?;
        Ok(Serving { _ssh: ssh, _control: control, _web: web })
    }
}

/// Descriptors that the front-ends of a configuration may need.
pub(super) fn descriptors(config: &Config) -> usize {
    let admin = config.admin.as_ref();
    let web = admin.and_then(|admin| admin.web.as_ref()).map_or(0, |_| WEB_CONNECTIONS_MAX + FRONT_END_DESCRIPTORS);
    let ssh = admin.and_then(|admin| admin.ssh.as_ref()).map_or(0, |_| FRONT_END_DESCRIPTORS);
    let has_socket = config.control.is_some() || ssh > 0;
    let control = if has_socket { CONTROL_CONNECTIONS_MAX + FRONT_END_DESCRIPTORS } else { 0 };
    web + ssh + control
}
