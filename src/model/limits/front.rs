//! Bounds of front-ends.

use std::time::Duration;

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
/// Longest body of a user's request, in bytes: a configuration, or 100,000 networks of an access list as JSON.
pub const WEB_BODY_BYTES_MAX: usize = 8 << 20;
/// Bytes of all bodies that are on their way.
pub const WEB_BODIES_BYTES_MAX: usize = 4 * WEB_BODY_BYTES_MAX;
/// Longest body of the login form, which strangers send, in bytes.
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
pub const SOCKET_TAKE_OVER: Duration = Duration::from_secs(2);

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

const _: () = assert!(WEB_STREAMS_MAX < WEB_CONNECTIONS_MAX && WEB_TARGET_BYTES_MAX < WEB_HEAD_BYTES_MAX);
