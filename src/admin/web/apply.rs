//! The page served otherwise: after a reload, or when the certificate's files have changed.

use super::certificate::TARGET;
use super::server::{Mail, Server};
use super::site::Site;
use crate::config::Web;

impl Server {
    /// The configuration says this now.
    pub(super) fn apply(&mut self, web: Option<Web>) {
        self.guard();
        if let Some(next) = &mut self.preparing {
            *next = Some(web);
            return;
        }
        let is_same = self.served.as_ref().map(|served| &served.site.web) == web.as_ref();
        match web {
            _ if is_same => {}
            None => self.leave(),
            Some(web) => self.prepare(web),
        }
    }

    /// Lets nobody in whom the page's access list forbids, and closes the connections of those that it forbids now: who
    /// is shut out of the administration is out.
    pub(super) fn guard(&mut self) {
        let config = self.desk.current().get();
        let web = config.admin.as_ref().and_then(|admin| admin.web.as_ref());
        let list = web.and_then(|web| config.acl(web.acl.as_deref()?));
        if self.gate.take(list) {
            let shut_out = self.conns.iter().filter(|(_, conn)| !self.gate.permits(conn.peer.ip()));
            let slots: Vec<usize> = shut_out.map(|(slot, _)| slot).collect();
            slots.into_iter().for_each(|slot| self.close(slot));
        }
    }

    /// Has a page made ready on the thread that may wait.
    fn prepare(&mut self, web: Web) {
        let before = self.served.as_ref().map(|served| served.site.web.clone());
        let (state, mailbox) = (self.state.clone(), self.mailbox.clone());
        let taken = self.worker.take(move || {
            let site = Site::prepare(&web, before.as_ref(), state.as_deref());
            // A full mailbox of a loop that is stuck: the next look at the files tries again.
            let _ = mailbox.post(Mail::Ready(Box::new(site)));
        });
        if taken {
            self.preparing = Some(None);
        } else {
            log::warn!(target: TARGET, "the administration page has too much to do to be served otherwise; reload again");
        }
    }

    pub(super) fn on_ready(&mut self, site: Result<Site, String>) {
        let next = self.preparing.take().flatten();
        match site.map(|site| self.take_over(site)) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => log::error!(target: TARGET, "the administration page cannot be served: {error}"),
            Err(why) => {
                log::error!(target: TARGET, "the administration page stays as it was: {why}");
                if let Some(tls) = self.served.as_mut().and_then(|served| served.site.tls.as_mut()) {
                    tls.look_away();
                }
            }
        }
        if let Some(web) = next {
            self.apply(web);
        }
    }

    /// Reads the certificate again if its files have changed.
    pub(super) fn look_at_certificate(&mut self) {
        let Some(served) = &self.served else { return };
        if self.preparing.is_none() && served.site.tls.as_ref().is_some_and(super::certificate::Tls::is_stale) {
            let web = served.site.web.clone();
            self.prepare(web);
        }
    }
}
