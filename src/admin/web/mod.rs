//! The administration page and its API over HTTP and HTTPS.
//!
//! One thread, `admin`, with a poll of its own: a slow or hostile client costs the balancer nothing. Another,
//! `admin-auth`, does what takes its time. Nothing here decides anything about the balancer: requests become commands.
//!
//! `server` is the loop with the connections (`conn` on a `wire`, `out` what they still have to send), `serve` a
//! request's way, `door` who may in under which of the `hosts`, `repeats` what was asked for twice, `snapshots` and `follow` what many look at at a time;
//! `site`, `certificate` and `apply` make the page ready and change it while it is served.

mod apply;
mod certificate;
mod conn;
mod door;
mod follow;
mod hosts;
mod login;
mod out;
mod repeats;
mod serve;
mod server;
mod site;
mod snapshots;
mod wire;
mod worker;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::Desk;
use crate::config::{Config, Web as Settings};
use crate::sys::mailbox::Mailbox;
use server::{Mail, Server};
use site::Site;

/// The administration page; without threads until a configuration has one. Dropped, it is served no more.
pub struct Web {
    desk: Desk,
    state: Option<PathBuf>,
    running: Mutex<Option<Running>>,
}

struct Running {
    mailbox: Mailbox<Mail>,
    thread: JoinHandle<()>,
}

/// Why the page cannot be served, in words.
#[derive(Debug)]
pub struct WebError(String);

impl fmt::Display for WebError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WebError {}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Web {
    /// Serves the page of this configuration, if it has one. `state` is the directory where a certificate is kept that is
    /// made because the configuration names none; without one it is another at every start.
    ///
    /// # Errors
    /// The address cannot be listened on, the certificate is no good, or there is no thread: which, and why.
    pub fn start(config: &Config, desk: Desk, state: Option<PathBuf>) -> Result<Self, WebError> {
        let web = Self { desk, state, running: Mutex::new(None) };
        if let Some(settings) = settings(config) {
            let site = Site::prepare(settings, None, web.state.as_deref()).map_err(WebError)?;
            let failed = |error: io::Error| WebError(format!("could not start the administration page: {error}"));
            let mut server = Server::new(web.desk.clone(), web.state.clone()).map_err(failed)?;
            server.take_over(site).map_err(failed)?;
            *web.lock() = Some(launch(server).map_err(failed)?);
        }
        Ok(web)
    }

    /// Serves what this configuration says from now on. What it says otherwise is made ready meanwhile: an address or a
    /// certificate that is no good is told in the log, and the page stays as it was. Never blocks.
    pub fn apply(&self, config: &Config) {
        let settings = settings(config);
        let mut running = self.lock();
        if running.is_none() && settings.is_some() {
            let server = Server::new(self.desk.clone(), self.state.clone());
            match server.and_then(launch) {
                Ok(started) => *running = Some(started),
                Err(error) => {
                    log::error!(target: certificate::TARGET, "the administration page cannot be started: {error}");
                }
            }
        }
        if let Some(running) = &*running
            && running.mailbox.post(Mail::Apply(settings.cloned())).is_err()
        {
            log::error!(target: certificate::TARGET, "the administration page does not listen to the reload");
        }
    }

    /// Ends it. Answers that are on their way still arrive.
    pub fn join(&self) {
        let Some(running) = self.lock().take() else { return };
        // A full mailbox of a loop that is stuck: there is nobody to wait for then.
        if running.mailbox.post(Mail::Stop).is_ok() {
            // Panics are caught and logged inside.
            let _ = running.thread.join();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.join();
    }
}

fn settings(config: &Config) -> Option<&Settings> {
    config.admin.as_ref()?.web.as_ref()
}

fn launch(server: Server) -> io::Result<Running> {
    let mailbox = server.mailbox.clone();
    let thread = Builder::new().name(String::from("admin")).spawn(move || server.run())?;
    Ok(Running { mailbox, thread })
}
