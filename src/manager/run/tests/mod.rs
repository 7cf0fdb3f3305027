//! Tests of the thread and its parts with real sockets on loopback, with the configurations of the brain's tests.

mod listeners;
mod outbox;
mod thread;
