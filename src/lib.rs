//! Director, a TCP and UDP load balancer for bare metal. This page is the architecture of record.
//!
//! # Map
//! Three planes over one vocabulary. They meet only in the message enums of [`model`].
//!
//! ```text
//!      daemon (main.rs): argv → Config → threads → join     admin: page, API, control socket, SSH
//!                           │ Request (Command, who asks, where the Reply goes)    │
//!                           ├──────────────────────────────────────────────────────┘
//!                     ┌─────┴─────┐   Update (bounded channel + waker)   ┌───────────────────────────┐
//!                     │ manager   │ ───────────────────────────────────► │ reactor 0 … N-1, a thread │
//!                     │ one thread│ ◄─────────────────────────────────── │ each: SO_REUSEPORT        │
//!                     └─────┬─────┘   Report (hints, dropped when full)  │ listeners, slab of pairs  │
//!                           │                                            └────────────┬──────────────┘
//!                           └───────── counters (Arc, relaxed atomics) ───────────────┘
//! ```
//!
//! | module | is | may use |
//! |--------|----|---------|
//! | [`model`] | the vocabulary: ids, specifications, messages, counters, limits; standard library only | – |
//! | [`config`] | text to truth: three XML dialects, all errors at once, writing | model |
//! | [`balancer`] | the data plane's brain, pure: sessions, pools, schedulers, deadlines | model |
//! | [`sys`] | the operating system, the only unsafe code | model |
//! | [`wire`] | what is said at the begin of a connection: bytes to meaning and back, pure | model |
//! | [`reactor`] | the data plane's shell: sockets, event loop, bytes | balancer, model, sys, wire |
//! | [`manager`] | the control plane: a pure brain (registry, health) and a shell (thread, prober, resolver) | config, model, log; the shell also sys, wire |
//! | [`admin`] | front-ends: page, API, control socket, SSH; text to [`model::command::Command`] and back | config, model, sys |
//! | [`ctl`] | `directorctl`: the command line and the prompt, over the control socket | admin (words), config, model |
//! | [`instance`] | a running balancer in this process, for the daemon and for programs that embed one | all but daemon |
//! | [`daemon`] | the process: command line, logging, signals, doctor, demo | all |
//!
//! `tests/tidy.rs` holds the sources to this table.
//!
//! # Threads
//! - `main` starts the others and waits for the reactors to end.
//! - `signals` turns signals into [`model::command::Command`]s. A second request to end is obeyed by the handler itself.
//! - `log` writes the lines that all others queue. Nobody waits for it: what it cannot write in time is lost and counted.
//! - `access-log` takes records of connections out of a bounded queue a reactor, names them, and writes their lines;
//!   `status` writes the status page into a file. Each only once the configuration has asked for it.
//! - `manager` is the only writer of truth. It probes, resolves (names on a thread of their own), publishes whole
//!   services with a generation, and writes the log of state changes.
//! - `admin` serves the page and the API, `admin-auth` looks at passwords beside it, `control` serves the control socket,
//!   `ssh` looks after an OpenSSH server; each only where the configuration asks for it, with a poll of its own.
//! - `reactor-N` accepts, connects and moves bytes. It never waits for another thread, takes no lock but those of
//!   invariant 14, and between accept and close allocates nothing but the growth of the slab, the buffer pool and the
//!   lists of who is to have a turn to their peak.
//!
//! # Eight ways
//! - *A connection*: accept batch → (behind a proxy, `reactor::greet` reads who the client is) →
//!   [`balancer::Balancer::open`] lets the client in and chooses a host → connect → writable →
//!   [`balancer::Balancer::connected`] → bytes move both ways → both ended → [`balancer::Balancer::close`].
//! - *A datagram*: a batch of a listener's socket → [`balancer::flows::Flows::arrive`] finds its flow, or chooses a host as
//!   for a connection and a socket towards it → sent, with others of the batch, from where it was received. An answer:
//!   a host's socket → [`balancer::flows::Flows::answer`] knows by the sender whose it is → sent through the listener, with
//!   others of the turn. What did not arrive: the socket's queue of errors → [`balancer::flows::Flows::unreached`].
//! - *A host fails*: [`balancer::Balancer::connect_failed`] names the next host for the same client, suspects the failed
//!   one for all reactors at once, and reports it → the manager judges, publishes the service with the next generation →
//!   every reactor's mailbox. A probe that is answered takes the same road back.
//! - *A reload*: read and validate all of the file, bind all new listeners; any error: say all of them, change nothing.
//!   Then publish the difference. Start-up is a reload onto an empty registry.
//! - *A command*: text of a front-end → [`model::command::Request`] → the manager's mailbox → [`config::apply`] on a copy of
//!   the running configuration → the way of a reload → the log and the events, with who asked → `Reply` → text. Adding one:
//!   a variant of the enum, an arm of the manager, a line in each front-end's table.
//! - *A question*: which sessions are open, or cut these → every reactor's mailbox → each turn looks at a part of its
//!   sessions → an answer a reactor. One that ends before drops the question, which whoever asked sees.
//! - *A line of the access log*: a session's end → [`sys::access_log::AccessLog::ended`] copies a record without names into the
//!   reactor's queue, or counts it as dropped → the thread `access-log`, woken unless it is at work → names, which the
//!   manager told before any reactor knew the host → a line → file, syslog or datagram.
//! - *The end*: SIGTERM → `Shutdown` → every reactor serves what its listeners have queued, closes them, and ends when
//!   its last pair has finished or the drain timeout is over.
//!
//! # Invariants
//! 1. A client's bytes are read only when a host has accepted: they wait in the kernel, so that failover loses nothing
//!    and no byte reaches two hosts. Only where `fastopen` to hosts is asked for, first bytes are copied ahead: still none
//!    is lost, but a host that fails in this moment may have seen them.
//! 2. Bytes are read into the reactor's scratch buffer and written at once. A direction that keeps filling what it is
//!    read into gets a larger part of that buffer, then a pipe, through which its bytes pass uncopied. Only what the
//!    receiver would not take is held, in a leased buffer or in that pipe, and while it is held nothing more is read:
//!    memory stays flat. What is kept for later after a peak is freed some seconds later.
//! 3. An end of stream is passed on as an end, a reset as a reset, after every byte before it. A connection that this
//!    program cuts (idle, drained, killed, lost) ends in a reset, because an end would say that everything has arrived.
//!    (A socket of this machine has no reset; its peer sees an end, unless it has sent what was not read.)
//! 4. A local failure (descriptors, memory, ports) is no host's fault. It is tried again in a moment, before the client
//!    waits for room at another host; a reactor that finds no descriptor wakes no other.
//! 5. A host that a reactor saw fail is *suspected*: all reactors prefer others from that moment, until the manager has
//!    judged or five seconds have passed. A connect that takes far longer than usual counts as such a failure as long as
//!    there is somebody else to try. A client to whom nobody answers goes around, four times longer at each in every
//!    round, until the connect timeout.
//! 6. Counters are shared, not sent: least connections and a host's `max` are exact over all reactors, and so is the
//!    position of round robin. Among more than [`model::limits::EXACT_HOSTS_MAX`] hosts no choice looks at each: a reactor
//!    ranks those that it believes ready, and makes sure of the one that it takes.
//! 7. Sockets are registered once, edge-triggered. Only listeners are level-triggered, so that accepting may stop
//!    anywhere; of a listener that all share, a reactor at a time is woken, and stands last in line after its turn. A short
//!    read means drained, unless the event also spoke of urgent data or an error; if it spoke of an end, that is known now.
//!    A pair that spent its byte budget, or streams, waits in a ready queue: of those, so many have
//!    their turn that the others need not wait, and more each when there are no others.
//! 8. Tokens carry a generation and an attempt; a stale event finds nothing.
//! 9. A turn of the loop: poll, clock once, socket events, accepts, ready queue, datagrams, timers, bytes to tell, the
//!    mailbox, a part of a question, waiting clients, reports. The mailbox is read after the events, so that no update invalidates a
//!    key of the batch.
//! 10. Reports are hints: a full channel drops and counts them. The manager may stall or start afresh; the data plane
//!     goes on with what it knows.
//! 11. A panic stays in its thread. A reactor's pairs are reset and their places given back, and it starts afresh with
//!     its listeners, whose queues the kernel kept.
//! 12. Time is an argument. A process that was frozen (stopped, suspended) takes the gap out of its clock instead of
//!     finding every deadline passed.
//! 13. What several reactors count is added to when a connection comes, is established or ends, not at each of its
//!     requests: the bytes of those that last are told together a moment later, or when they are many.
//! 14. Reactors share two kinds of locks, in services that ask for what they guard, each for a search and some stores,
//!     never two at a time, never across a system call: that of a part of a group's table of clients
//!     ([`model::sticky::StickyTable`]), two or three times a connection, and by others (who list or forget clients) for
//!     64 places at a time; and that of a bucket of limited clients ([`model::clients::ClientTable`]), twice a connection.
//! 15. What a host is asked is its group's business ([`model::check::Check`]), when it is asked the manager's: probes of
//!     hosts are spread over their interval, bounded in number, and each on a socket of its own. A datagram that is lost
//!     is no failure, and what answers elsewhere than at the host's own port says nothing of connects. A host that nobody
//!     can ask is back when its time is over.
//! 16. A client's own host comes first, then the lowest `prio` that can take it, then hosts for emergencies, each time
//!     those of which nothing bad is known before those that are suspected. A client that is denied access goes to hosts
//!     for abuse or nowhere, and waits for none. What is remembered of a client is a host that was chosen as sound, never
//!     one for emergencies. Who is elsewhere because its host was slow for others returns to it; who is elsewhere because
//!     it failed, was full or drained stays, unless the group fails back.
//! 17. A socket towards hosts has at most one flow for each host address, and the place of one that has ended rests for a
//!     second: an answer reaches the client that it is for or nobody. Datagrams are not kept: what cannot be sent now is
//!     dropped and counted. They have a budget of their own in each turn, so that connections need not wait for them.
//!
//! # Absent on purpose
//! No async runtime, no other lock shared between reactors, no thread hop on the connection path (unless `--rebalance`
//! asks for one, between accept and connect), no buffer of an idle pair, no log formatting in a reactor, no name or DNS
//! below the manager, no second way to change the world.

pub mod admin;
pub mod balancer;
pub mod config;
pub mod ctl;
pub mod daemon;
pub mod instance;
pub mod manager;
pub mod model;
pub mod reactor;
#[allow(unsafe_code, reason = "the one place for it")]
pub mod sys;
pub mod wire;
