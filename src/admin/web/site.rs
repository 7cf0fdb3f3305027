//! Where the page is served: made ready on a thread that may wait, then taken over by the loop in one step.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;

use super::certificate::{self, Tls};
use super::hosts::Hosts;
use crate::config::{Address, Web};
use crate::sys::listener;

/// A page that can be served.
#[derive(Debug)]
pub(super) struct Site {
    /// As configured.
    pub(super) web: Web,
    /// A new socket; none when the old one stays.
    pub(super) listener: Option<TcpListener>,
    /// What TLS is spoken with.
    pub(super) tls: Option<Tls>,
    /// The names that it has.
    pub(super) hosts: Hosts,
}

impl Site {
    /// Makes a page ready. `before` is what is served now: the socket stays if the address does.
    ///
    /// # Errors
    /// The address cannot be listened on, or the certificate is no good: which, and why.
    pub(super) fn prepare(web: &Web, before: Option<&Web>, state: Option<&Path>) -> Result<Self, String> {
        let tls = web.secure.then(|| certificate::load(web, state)).transpose()?;
        let stays = before.is_some_and(|before| before.listen == web.listen);
        let listener = if stays { None } else { Some(bind(&web.listen)?) };
        Ok(Self { web: web.clone(), listener, tls, hosts: Hosts::of(web) })
    }
}

fn bind(listen: &Address) -> Result<TcpListener, String> {
    let failed = |error| format!("could not listen on {listen} for the administration page: {error}");
    let addresses: Vec<SocketAddr> = match listen {
        Address::Socket(address) => vec![*address],
        Address::Name { host, port } => (host.as_str(), *port).to_socket_addrs().map_err(failed)?.collect(),
        // The configuration has none such here.
        Address::Unix(_) => Vec::new(),
    };
    let first = addresses.first().ok_or_else(|| format!("{listen} has no address to listen on"))?;
    let bound = listener::probe_free(*first).and_then(|()| TcpListener::bind(first)).map_err(failed)?;
    bound.set_nonblocking(true).map_err(failed)?;
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(addr: SocketAddr) -> Web {
        Web::new(Address::Socket(addr), false)
    }

    #[test]
    fn taken_address_is_told_and_the_same_one_is_not_bound_again() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let why = Site::prepare(&web(addr), None, None).unwrap_err();
        assert!(why.starts_with(&format!("could not listen on {addr} for the administration page: ")), "{why}");
        let site = Site::prepare(&web(addr), Some(&web(addr)), None).unwrap();
        assert!(site.listener.is_none());
        let free = Site::prepare(&web("127.0.0.1:0".parse().unwrap()), Some(&web(addr)), None).unwrap();
        assert!(free.listener.is_some());
    }
}
