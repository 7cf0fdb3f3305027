//! Every bound in one place, with its unit in its name.

mod datagram;
mod policy;

use std::time::Duration;

pub use datagram::*;
pub use policy::*;

/// Largest configuration file, in bytes.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1 << 20;
/// Largest weight of a host.
pub const WEIGHT_MAX: u32 = 1_000_000;
/// Longest time that can be configured.
pub const TIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Default time a client may wait for a host.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Default time a pair may be idle.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// Default time a pair may be idle after one side has ended.
pub const FIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Default time that shutting down waits for connections to finish.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A connect that takes less than this is never called slow.
pub const SLOW_CONNECT_MIN: Duration = Duration::from_millis(100);
/// A connect is slow when it takes this many times the host's usual time.
pub const SLOW_CONNECT_FACTOR: u32 = 8;
/// How long a reactor's suspicion of a host lasts when the manager says nothing.
pub const SUSPICION: Duration = Duration::from_secs(5);
/// Pause before a connect is tried again that failed for a local reason (ports, descriptors, memory).
pub const LOCAL_RETRY: Duration = Duration::from_millis(20);
/// Pause of accepting after a local failure; a closing pair ends it early.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time after a reactor found no descriptor for which one reactor at a time accepts, with its client's host.
pub const SCARCE_FOR: Duration = Duration::from_secs(1);
/// Pause before a send is tried again that failed with `ENOBUFS` or `ENOMEM`.
pub const SEND_RETRY: Duration = Duration::from_millis(5);
/// How long a reset waits for the bytes before it to be acknowledged without progress.
pub const RESET_LINGER: Duration = Duration::from_secs(10);
/// First and longest pause between looks at whether they have been.
pub const RESET_POLL_MIN: Duration = Duration::from_millis(1);
/// See [`RESET_POLL_MIN`].
pub const RESET_POLL_MAX: Duration = Duration::from_millis(100);

/// Clients that may wait for a host with room, a service and reactor.
pub const WAITING_MAX: usize = 1024;
/// Hosts of a group up to which every choice looks at each of them, which makes it exact over all reactors. Above, a
/// look at each would cost more than a microsecond with a few reactors; see `balancer::scheduler` for what is traded.
pub const EXACT_HOSTS_MAX: usize = 32;
/// Hosts of a group whose getting room is remembered for the reactors that found them full; who is further behind looks
/// at all.
pub const FREED_KEPT: usize = 32;
/// Pause between two looks of a reactor at all suspected hosts of a large group, while none of it is sound.
pub const SUSPECTED_LOOK: Duration = Duration::from_millis(10);
/// Sessions a reactor can hold; the token has 24 bits for the slot.
pub const SESSIONS_PER_REACTOR_MAX: usize = (1 << 24) - 1;
/// Descriptors kept free for probes, log and manager.
pub const DESCRIPTORS_RESERVED: u64 = 64;
/// Descriptors of a pair.
pub const DESCRIPTORS_PER_PAIR: u64 = 2;
/// User memory planned for an open pair without its buffers, in bytes.
pub const PAIR_BYTES: u64 = 512;
/// Kernel memory planned for an open, idle pair, in bytes: two sockets with their file, dentry and inode.
pub const PAIR_KERNEL_BYTES: u64 = 10 * 1024;
/// Share of the machine's memory that pairs may plan with, in percent.
pub const MEMORY_PERCENT: u64 = 50;
/// Share of the machine's memory that buffers may plan with, in percent.
pub const BUFFERS_PERCENT: u64 = 25;
/// Buffers that a reactor may lease however little memory there is.
pub const BUFFERS_MIN: usize = 16;
/// Memory to plan with where the system does not tell how much there is.
pub const MEMORY_ASSUMED_BYTES: u64 = 1 << 30;

/// Default and bounds of a buffer, in bytes.
pub const BUFFER_BYTES: usize = 64 * 1024;
/// See [`BUFFER_BYTES`].
pub const BUFFER_BYTES_MIN: usize = 1024;
/// See [`BUFFER_BYTES`].
pub const BUFFER_BYTES_MAX: usize = 16 << 20;
/// Buffers that a reactor keeps for the next lease after a peak.
pub const BUFFERS_KEPT: usize = 64;
/// A large buffer, for directions that keep filling small ones, is as large as this many of them.
pub const LARGE_FACTOR: usize = 4;
/// As [`BUFFERS_KEPT`], for large ones.
pub const LARGE_BUFFERS_KEPT: usize = 8;
/// Reads in a row that fill their buffer before a direction gets a large one.
pub const LARGE_AFTER: u8 = 2;
/// As [`LARGE_AFTER`], before it gets a pipe: what comes in larger pieces than a buffer is a stream.
pub const SPLICE_AFTER: u8 = 4;
/// Reads in a row that are counted: a stream that falters stays one for the difference to [`SPLICE_AFTER`].
pub const STREAK_MAX: u8 = 8;
/// What a pipe should hold, in bytes: the most an unprivileged process may ask for (`pipe-max-size`, see pipe(7)).
pub const PIPE_BYTES: usize = 1 << 20;
/// A pipe that holds less is not worth its descriptors, in bytes. It is what a new pipe holds unless its user has too
/// many.
pub const PIPE_BYTES_MIN: usize = 64 * 1024;
/// Most pipes of one reactor. Each may hold [`PIPE_BYTES`] of a receiver that does not read.
pub const PIPES_MAX: usize = 32;
/// Share of memory that pipes may hold bytes in, in percent.
pub const PIPES_PERCENT: u64 = 5;
/// Open files of which one may be half of a pipe: the others are for pairs.
pub const OPEN_FILES_PER_PIPE: u64 = 64;
/// Buffers that a direction which streams may move when it is its turn, while others have small things to do.
pub const STREAM_BUFFERS: usize = 8;
/// As [`STREAM_BUFFERS`], while nobody has: the less often a stream is left and taken up again, the less it costs.
pub const STREAM_BUFFERS_ALONE: usize = 64;
/// Turns of the loop without anything small to do after which nobody is taken to have any.
pub const ALONE_AFTER: u64 = 64;
/// Buffers moved in turns like that after which the loop looks after others again.
pub const TURN_BUFFERS: usize = 8;
/// Bytes that a session has moved and its host's counters do not show at which they are told at once.
pub const TELL_BYTES: u64 = 1 << 20;
/// Time after which they are told, however few they are.
pub const TELL_AFTER: Duration = Duration::from_millis(200);
/// Sessions whose bytes are told in one turn because their time has come.
pub const TOLD_PER_TURN: usize = 1024;
/// Places of sessions that are looked at in one turn for a question: with two system calls for each that is told, a
/// millisecond or so.
pub const LOOKS_PER_TURN: usize = 512;
/// Sessions that are killed in one turn; see [`DUE_PER_TURN`].
pub const KILLS_PER_TURN: usize = 32;
/// Most sessions that a reactor tells of in one answer.
pub const SESSIONS_TOLD_MAX: usize = 16 * 1024;
/// Questions that may wait for a reactor's answer; those above are dropped unanswered.
pub const QUESTIONS_MAX: usize = 64;
/// Room for sessions that a reactor keeps, however few it has.
pub const SESSIONS_KEPT: usize = 1024;
/// Room for sessions that a reactor keeps, as a multiple of those it has.
pub const SESSIONS_KEPT_FACTOR: usize = 4;
/// A client is handed to another reactor if that has fewer connections by one part in this many.
pub const HAND_OVER_SHARE: usize = 16;
/// As [`HAND_OVER_SHARE`], connections beside.
pub const HAND_OVER_SPARE: usize = 4;
/// One in so many accepted connections is asked which processor its packets arrive on: what that costs is not worth more.
pub const ARRIVAL_SAMPLE: u64 = 16;
/// Time from when something is kept for later that nobody uses at that moment until all such is freed.
pub const SHRINK_AFTER: Duration = Duration::from_secs(10);
/// Sessions whose time has come that are dealt with in one turn: closing a thousand takes longer than others may wait.
pub const DUE_PER_TURN: usize = 64;
/// Default of the listen backlog; the kernel bounds it by `net.core.somaxconn`.
pub const BACKLOG: u32 = 4096;
/// Longest listen backlog that can be asked for.
pub const BACKLOG_MAX: u32 = 1 << 20;
/// Default of the connections a listener may accept in one turn.
pub const ACCEPT_BATCH: usize = 16;
/// Most connections a listener may be told to accept in one turn.
pub const ACCEPT_BATCH_MAX: usize = 4096;
/// Longest time that a silent client may wait in the kernel (`defer-accept`).
pub const DEFER_ACCEPT_MAX: Duration = Duration::from_secs(300);
/// Most clients that may wait with data in their first packet (`fastopen`).
pub const FASTOPEN_QUEUE_MAX: u32 = 65_535;
/// Longest time that sent bytes may be told to stay unacknowledged (`user-timeout`).
pub const USER_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest idle time and interval of keepalive, in seconds, and its largest count; see `net/tcp.h` of the kernel.
pub const KEEPALIVE_S_MAX: u16 = 32_767;
/// See [`KEEPALIVE_S_MAX`].
pub const KEEPALIVE_COUNT_MAX: u8 = 127;
/// Longest name of a congestion control, in characters; the kernel's `TCP_CA_NAME_MAX` without its end.
pub const CONGESTION_CHARS_MAX: usize = 15;
/// Largest socket buffer, and most unsent bytes, that can be asked for, in bytes.
pub const SOCKET_BUFFER_BYTES_MAX: u32 = 1 << 30;
/// Smallest socket buffer that can be asked for, in bytes: the kernel takes no less.
pub const SOCKET_BUFFER_BYTES_MIN: u32 = 4096;
/// Longest busy poll, in microseconds.
pub const BUSY_POLL_US_MAX: u32 = 100_000;
/// Most local addresses that a host can be connected from.
pub const SOURCES_MAX: u32 = 4096;
/// Local addresses that one connect tries before it is called a shortage of ports.
pub const SOURCE_TRIES_MAX: u32 = 16;
/// Most bytes of a client that go with the first packet to a host: what a packet holds on Ethernet.
pub const EARLY_BYTES_MAX: usize = 1460;
/// Local addresses that are tried at start or reload, to tell those that are not this machine's.
pub const SOURCES_TRIED_MAX: usize = 8192;
/// Local addresses that are not this machine's and are named in the log at start or reload; the others are counted.
pub const SOURCES_NAMED_MAX: usize = 16;
/// Events taken from the kernel in one call.
pub const EVENTS_PER_TURN: usize = 512;
/// Most reactors.
pub const REACTORS_MAX: usize = 64;

/// Messages a channel between two threads holds before it is full.
pub const CHANNEL_MAX: usize = 4096;
/// Log lines that wait for a slow log; what comes after is counted and dropped.
pub const LOG_LINES_MAX: usize = 4096;
/// Longest message of a log line, in bytes; the rest is cut off.
pub const LOG_MESSAGE_BYTES_MAX: usize = 8 * 1024;
/// Time between polls of the loop above the planned one that counts as having been frozen.
pub const FROZEN_MIN: Duration = Duration::from_millis(250);
/// Time between two polls of the loop that no work takes, so that the loop must have been frozen in the middle of it.
pub const FROZEN_WORK_MIN: Duration = Duration::from_secs(3);

/// Pause of a thread after a panic, so that one that repeats does not take a processor.
pub const PANIC_PAUSE: Duration = Duration::from_millis(50);

/// Time for which the changes of a service with more than [`EXACT_HOSTS_MAX`] hosts are gathered after a publication, a
/// host. To make and take over a publication takes about a tenth of it, so that many hosts that fail one after the other
/// leave time for all else; reactors avoid a failed host before.
pub const PUBLISH_PAUSE_PER_HOST: Duration = Duration::from_micros(1);

/// Default time between probes of a failed host.
pub const HOST_CHECK: Duration = Duration::from_secs(2);
/// Time between probes of a failed host in the ancestors' dialects, where the manager woke every 15 seconds.
pub const HOST_CHECK_ANCESTORS: Duration = Duration::from_secs(15);
/// Time before a failed host is first tried again in the PythonDirector dialect.
pub const CHECKTIME_ANCESTORS: Duration = Duration::from_secs(120);
/// Default time between heartbeats.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Most of a probe's time; the service's connect timeout is used when it is shorter. Below [`SUSPICION`], so that a
/// host in doubt is judged before clients are sent there again; above 3 s, the second retransmission of a SYN.
pub const PROBE_TIMEOUT_MAX: Duration = Duration::from_secs(4);
/// First and longest pause between probes when every host of a group is down.
pub const AGGRESSIVE_MIN: Duration = Duration::from_millis(50);
/// See [`AGGRESSIVE_MIN`].
pub const AGGRESSIVE_MAX: Duration = Duration::from_secs(1);
/// A host that fails again within this time of its return is flapping: its next return takes twice as long.
pub const FLAP_WINDOW: Duration = Duration::from_secs(10);
/// Most doublings of a flapping host's wait.
pub const FLAP_DOUBLINGS_MAX: u32 = 5;
/// Probes that may be in flight at a time.
pub const PROBES_MAX: usize = 64;
/// Time between resolutions of a name.
pub const RESOLVE_EVERY: Duration = Duration::from_secs(30);
/// How long a start or a reload waits for names that were never resolved before.
pub const RESOLVE_FIRST: Duration = Duration::from_secs(2);
/// How long a reload waits for the reactors to take it over.
pub const RELOAD_TAKEN: Duration = Duration::from_millis(500);
/// Time between two looks at whether they have.
pub const TAKEN_LOOK: Duration = Duration::from_micros(200);
/// How long a program that embeds a balancer waits for a reply.
pub const REPLY_WAIT: Duration = Duration::from_secs(10);
/// How long a question to the reactors (sessions) waits for their answers.
pub const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// Time between two looks at whether they have come.
pub const ANSWER_LOOK: Duration = Duration::from_millis(1);
/// Most sessions that a list has.
pub const SESSIONS_LISTED_MAX: usize = 10_000;
/// Sessions that a list has unless it is asked for another number.
pub const SESSIONS_LISTED: usize = 100;
/// Events that are kept in memory.
pub const EVENTS_KEPT: usize = 1000;
/// Longest time that a load may wait to be confirmed.
pub const CONFIRM_MAX: Duration = Duration::from_secs(24 * 3600);
/// Time between resolutions of a name that did not resolve.
pub const RESOLVE_FAILED_EVERY: Duration = Duration::from_secs(5);
/// Time after which the answer to a resolution is no longer expected.
pub const RESOLVE_LOST: Duration = Duration::from_secs(120);
/// Most addresses of a name that are used; the lowest are.
pub const ADDRESSES_MAX: usize = 256;
/// Most of the time over which the first probes of hosts that failed together are spread.
pub const PROBE_SPREAD_MAX: Duration = Duration::from_secs(1);
/// Time between two log lines of a kind that peers can provoke.
pub const LOG_EVERY: Duration = Duration::from_secs(1);
/// Pause before an update is posted again to a reactor whose mailbox was full.
pub const POST_RETRY: Duration = Duration::from_millis(10);

/// Descriptors of a front-end besides those of its connections.
pub const FRONT_END_DESCRIPTORS: usize = 16;
/// Connections to the administration page at a time; one more takes the place of the least deserving.
pub const WEB_CONNECTIONS_MAX: usize = 256;
/// Of these, those that follow events.
pub const WEB_STREAMS_MAX: usize = 64;
/// Descriptors that the page keeps back for connections that come when there is no other.
pub const WEB_SPARE: usize = 4;
/// Time for which a connection stays that came when there was no descriptor, before another one gets its place.
pub const WEB_STAY: Duration = Duration::from_secs(1);
/// Time in which a request has to come whole, and in which its answer has to be taken.
pub const WEB_REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Time for which a connection may wait for its next request.
pub const WEB_IDLE: Duration = Duration::from_secs(60);
/// Time for which a connection that is closed takes in what its client still sends, so that the answer arrives.
pub const WEB_LINGER: Duration = Duration::from_secs(2);
/// Longest request line of the page, in bytes.
pub const WEB_TARGET_BYTES_MAX: usize = 8 * 1024;
/// Longest request line and fields, in bytes.
pub const WEB_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most fields of a request.
pub const WEB_FIELDS_MAX: usize = 64;
/// Most arguments after the `?` of a request, and fields of a form.
pub const WEB_ARGUMENTS_MAX: usize = 32;
/// Longest body of a request, in bytes: a configuration, with room for JSON's escapes.
pub const WEB_BODY_BYTES_MAX: usize = 2 << 20;
/// Longest body of the login form, in bytes. It is read from strangers.
pub const WEB_FORM_BYTES_MAX: usize = 4 * 1024;
/// Time for which the answer to a change is kept for who asks again with the same `Idempotency-Key`.
pub const REPEATS_KEPT: Duration = Duration::from_secs(10 * 60);
/// Such answers.
pub const REPEATS_KEPT_MAX: usize = 256;
/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Bytes that a follower of events may be behind before it is left.
pub const WEB_BEHIND_BYTES_MAX: usize = 256 * 1024;
/// Time between two snapshots for those who follow.
pub const WEB_STREAM_EVERY: Duration = Duration::from_secs(1);
/// Time between two looks for events while somebody follows.
pub const WEB_EVENTS_EVERY: Duration = Duration::from_millis(200);
/// Time between two signs of life to those who follow.
pub const WEB_PING_EVERY: Duration = Duration::from_secs(15);
/// Age up to which a snapshot serves another asker.
pub const WEB_SNAPSHOT_AGE: Duration = Duration::from_millis(100);
/// How long the manager may take to answer a question.
pub const MANAGER_WITHIN: Duration = Duration::from_secs(1);
/// How long it may take for a change, which may wait for names and reactors.
pub const MANAGER_CHANGE_WITHIN: Duration = Duration::from_secs(5);
/// Time between two looks at whether the certificate has changed.
pub const CERTIFICATE_LOOK: Duration = Duration::from_secs(5);
/// Time that a browser's login lasts without a request, and at most.
pub const LOGIN_IDLE: Duration = Duration::from_secs(30 * 60);
/// See [`LOGIN_IDLE`].
pub const LOGIN_MAX: Duration = Duration::from_secs(12 * 3600);
/// Browsers that may be logged in; the one that has been silent for longest makes room.
pub const LOGINS_MAX: usize = 256;
/// Time for which a password that was right need not be hashed again.
pub const PASSWORD_KEPT: Duration = Duration::from_secs(60);
/// Such passwords.
pub const PASSWORDS_KEPT_MAX: usize = 256;
/// Passwords that wait to be hashed.
pub const PASSWORDS_WAITING_MAX: usize = 64;
/// Of these, those from one address.
pub const PASSWORDS_WAITING_EACH: usize = 24;
/// Wrong passwords of an address that cost it no time.
pub const GUESSES_FREE: u32 = 5;
/// Wrong passwords of a user, from wherever, after which an address has one guess at him.
pub const GUESSES_PER_USER: u32 = 50;
/// First and longest time for which an address that guesses has to wait.
pub const GUESS_WAIT_MIN: Duration = Duration::from_secs(1);
/// See [`GUESS_WAIT_MIN`].
pub const GUESS_WAIT_MAX: Duration = Duration::from_secs(60);
/// Time after which wrong passwords are forgotten.
pub const GUESSES_KEPT: Duration = Duration::from_secs(15 * 60);
/// Addresses, and users, whose wrong passwords are remembered.
pub const GUESSERS_MAX: usize = 4096;

/// Connections to the control socket at a time.
pub const CONTROL_CONNECTIONS_MAX: usize = 256;
/// Longest line on the control socket, in bytes. A block of text may be as long as a configuration file.
pub const CONTROL_LINE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of answers that wait for all clients of the control socket to read them. What is larger is refused.
pub const CONTROL_OUTPUT_BYTES_MAX: usize = 64 << 20;
/// Bytes of events that may wait for one client that follows them.
pub const CONTROL_FOLLOW_BYTES_MAX: usize = 1 << 20;
/// Time after which a client of the control socket that reads nothing of its answer is dropped.
pub const CONTROL_STALLED: Duration = Duration::from_secs(10);
/// Longest time that a client of the control socket waits for the manager.
pub const CONTROL_ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Time between two looks for events while somebody follows them.
pub const CONTROL_FOLLOW_LOOK: Duration = Duration::from_millis(200);
/// Events before the first new one that who follows them is told.
pub const CONTROL_FOLLOW_SHOWN: usize = 10;
/// How long the start waits for another process that takes over a socket in the same directory.
pub const CONTROL_TAKE_OVER: Duration = Duration::from_secs(2);

/// First and longest pause before an SSH server that ended is started again.
pub const SSH_RESTART_MIN: Duration = Duration::from_millis(250);
/// See [`SSH_RESTART_MIN`].
pub const SSH_RESTART_MAX: Duration = Duration::from_secs(30);
/// Time after which an SSH server counts as one that works.
pub const SSH_STEADY: Duration = Duration::from_secs(10);
/// How long the SSH server may take to end.
pub const SSH_END_WAIT: Duration = Duration::from_secs(2);
/// Lines a second of the SSH server's that are logged; more of them are counted.
pub const SSH_LINES_MAX: usize = 20;

const _: () = assert!(SSH_RESTART_MIN.as_millis() < SSH_RESTART_MAX.as_millis());
const _: () = assert!(BUFFER_BYTES_MIN <= BUFFER_BYTES && BUFFER_BYTES <= BUFFER_BYTES_MAX);
const _: () = assert!(LARGE_AFTER <= SPLICE_AFTER && SPLICE_AFTER < STREAK_MAX);
const _: () = assert!(PIPE_BYTES_MIN <= PIPE_BYTES && STREAM_BUFFERS * BUFFER_BYTES <= PIPE_BYTES);
// Half a count of 32 bits tells how many bytes are untold: what one turn moves must fit.
const _: () = assert!(
    (BUFFER_BYTES_MAX * (STREAM_BUFFERS_ALONE + LARGE_FACTOR) + PIPE_BYTES) as u64 + TELL_BYTES < u32::MAX as u64
);
const _: () = assert!(SLOW_CONNECT_MIN.as_millis() < CONNECT_TIMEOUT.as_millis());
const _: () = assert!(AGGRESSIVE_MIN.as_millis() < AGGRESSIVE_MAX.as_millis());
const _: () = assert!(RESET_POLL_MIN.as_millis() < RESET_POLL_MAX.as_millis());
const _: () = assert!(RESET_POLL_MAX.as_millis() < RESET_LINGER.as_millis());
const _: () = assert!(PROBES_MAX as u64 <= DESCRIPTORS_RESERVED);
const _: () = assert!(FROZEN_MIN.as_millis() < FROZEN_WORK_MIN.as_millis());
const _: () = assert!(MEMORY_PERCENT + BUFFERS_PERCENT + PIPES_PERCENT <= 100);
const _: () = assert!(ACCEPT_BATCH <= ACCEPT_BATCH_MAX && BACKLOG <= BACKLOG_MAX);
const _: () = assert!(HOST_CHECK.as_millis() < FLAP_WINDOW.as_millis());
const _: () = assert!(PROBE_TIMEOUT_MAX.as_millis() < SUSPICION.as_millis());
const _: () = assert!(RESOLVE_FAILED_EVERY.as_millis() <= RESOLVE_EVERY.as_millis());
const _: () = assert!(RESOLVE_EVERY.as_millis() < RESOLVE_LOST.as_millis());
const _: () = assert!(WEB_STREAMS_MAX < WEB_CONNECTIONS_MAX && WEB_TARGET_BYTES_MAX < WEB_HEAD_BYTES_MAX);
const _: () = assert!(CONFIG_FILE_BYTES_MAX < WEB_BODY_BYTES_MAX as u64);
const _: () = assert!(RESOLVE_FIRST.as_millis() + RELOAD_TAKEN.as_millis() < MANAGER_CHANGE_WITHIN.as_millis());
