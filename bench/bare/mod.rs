//! The bare relay: the least that user space can do between two sockets, as a mark for the balancers beside it.
//!
//! `bare LISTEN THREADS HOST…` accepts on LISTEN, connects to the hosts in turn and copies bytes both ways, with an epoll
//! loop and a SO_REUSEPORT listener a thread. Half-closes are passed on. There is nothing else: no timeouts, no
//! failover, no limits, no counters, no fairness between pairs. An error on either side drops the pair. `bare-splice` is
//! the same, but bytes go from socket to socket through a pipe of 1 MiB for each direction.

mod pair;
mod splice;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::thread;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::Failure;
use crate::hosts::listen;
use pair::{Pair, Side};

const LISTENER: Token = Token(usize::MAX);
/// Bytes moved with one pair of system calls at most.
const SCRATCH_BYTES: usize = 256 << 10;
/// Events taken from the kernel in one call.
const EVENTS: usize = 512;

/// How bytes get from one socket to the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// Read into memory and written.
    Copy,
    /// Through a pipe.
    Splice,
}

/// Runs until the process is ended.
pub(crate) fn serve(means: Means, args: &[String]) -> Result<(), Failure> {
    let [addr, threads, hosts @ ..] = args else { return Err("bare: LISTEN THREADS HOST…".into()) };
    let addr: SocketAddr = addr.parse()?;
    let hosts = hosts.iter().map(|host| host.parse()).collect::<Result<Vec<SocketAddr>, _>>()?;
    if hosts.is_empty() {
        return Err("bare: no host".into());
    }
    let relays = (0..threads.parse()?).map(|_| Relay::new(means, addr, &hosts)).collect::<io::Result<Vec<Relay>>>()?;
    let threads: Vec<_> = relays.into_iter().map(|relay| thread::spawn(move || relay.run())).collect();
    for thread in threads {
        thread.join().map_err(|_| "bare: a thread panicked")??;
    }
    Ok(())
}

struct Relay {
    means: Means,
    poll: Poll,
    listener: TcpListener,
    hosts: Vec<SocketAddr>,
    cursor: usize,
    pairs: Slab<Pair>,
    scratch: Vec<u8>,
}

impl Relay {
    fn new(means: Means, addr: SocketAddr, hosts: &[SocketAddr]) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = listen(addr, true)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let scratch = vec![0; SCRATCH_BYTES];
        Ok(Self { means, poll, listener, hosts: hosts.to_vec(), cursor: 0, pairs: Slab::new(), scratch })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            match self.poll.poll(&mut events, None) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let mut waiting = false;
            for event in &events {
                match event.token() {
                    LISTENER => waiting = true,
                    Token(number) => {
                        let Some(pair) = self.pairs.get_mut(number / 2) else { continue };
                        let side = if number % 2 == 0 { Side::Client } else { Side::Host };
                        if pair.on_event(side, event, &mut self.scratch).is_err() {
                            self.pairs.remove(number / 2);
                        }
                    }
                }
            }
            // After the events, so that no key of this batch is used again within it.
            if waiting {
                self.accept_all();
            }
        }
    }

    fn accept_all(&mut self) {
        while let Ok((client, _)) = self.listener.accept() {
            // A client whose host cannot be connected to is dropped; that is all a bare relay does about it.
            let _ = self.open(client);
        }
    }

    fn open(&mut self, mut client: TcpStream) -> io::Result<()> {
        let addr = self.hosts[self.cursor];
        self.cursor = (self.cursor + 1) % self.hosts.len();
        let mut host = TcpStream::connect(addr)?;
        host.set_nodelay(true)?;
        let entry = self.pairs.vacant_entry();
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut client, Token(entry.key() * 2), both)?;
        self.poll.registry().register(&mut host, Token(entry.key() * 2 + 1), both)?;
        entry.insert(Pair::new(self.means, client, host));
        Ok(())
    }
}
