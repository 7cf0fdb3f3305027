use crate::manager::run::outbox::Outbox;
use crate::manager::tests::{SECOND, World, web};
use crate::model::datagram::Protocol;
use crate::model::id::{ListenerId, ServiceId};
use crate::model::limits::CHANNEL_MAX;
use crate::model::service::{ListenerSpec, ServiceSpec};
use crate::model::update::{ListenSocket, Update};
use crate::sys::mailbox::Mailbox;
use crossbeam_channel::Receiver;
use mio::{Poll, Token, Waker};
use std::net::TcpListener;
use std::sync::Arc;

/// A reactor's end of its mailbox.
struct Reactor {
    _poll: Poll,
    updates: Receiver<Update>,
}

fn reactor() -> (Mailbox<Update>, Reactor) {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(poll.registry(), Token(0)).unwrap();
    let (mailbox, updates) = Mailbox::new(Arc::new(waker));
    (mailbox, Reactor { _poll: poll, updates })
}

fn generations(reactor: &Reactor) -> Vec<u64> {
    let generation = |update| if let Update::Service(spec) = update { Some(spec.generation) } else { None };
    reactor.updates.try_iter().filter_map(generation).collect()
}

fn spec(generation: u64) -> Update {
    let world = World::new(&web(&[1]));
    let spec = ServiceSpec { generation, ..(*world.spec("web")).clone() };
    Update::Service(Arc::new(spec))
}

#[test]
fn full_mailbox_gets_the_newest_generation_later_and_the_others_do_not_wait() {
    let (full, slow) = reactor();
    let (empty, quick) = reactor();
    for _ in 0..CHANNEL_MAX {
        full.post(Update::Unlisten(ListenerId(0))).unwrap();
    }
    let mut outbox = Outbox::new(vec![full, empty]);
    for generation in 1..=5 {
        outbox.post(&spec(generation));
    }
    assert_eq!(generations(&quick), [1, 2, 3, 4, 5]);
    assert!(outbox.owes());
    outbox.retry();
    assert!(outbox.owes(), "still full");
    assert!(generations(&slow).is_empty());
    outbox.retry();
    assert!(!outbox.owes());
    assert_eq!(generations(&slow), [5], "the older ones are not owed any more");
}

#[test]
fn update_does_not_overtake_what_is_owed() {
    let (mailbox, reactor) = reactor();
    for _ in 0..CHANNEL_MAX {
        mailbox.post(Update::Unlisten(ListenerId(0))).unwrap();
    }
    let mut outbox = Outbox::new(vec![mailbox]);
    outbox.post(&spec(1));
    assert_eq!(reactor.updates.try_iter().count(), CHANNEL_MAX);
    outbox.post(&Update::Remove(ServiceId(7)));
    let kinds: Vec<bool> = reactor.updates.try_iter().map(|update| matches!(update, Update::Service(_))).collect();
    assert_eq!(kinds, [true, false], "both come at once, the older first");
}

#[test]
fn debts_are_paid_in_an_order_that_is_always_right() {
    let (mailbox, slow) = reactor();
    for _ in 0..CHANNEL_MAX {
        mailbox.post(Update::Unlisten(ListenerId(0))).unwrap();
    }
    let mut outbox = Outbox::new(vec![mailbox]);
    let socket = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let addr = socket.local_addr().unwrap();
    let listener = |id| ListenerSpec {
        id: ListenerId(id),
        service: ServiceId(0),
        protocol: Protocol::Tcp,
        addr,
        counters: Arc::default(),
    };
    outbox.post(&Update::Drain(SECOND));
    outbox.post(&Update::Remove(ServiceId(7)));
    outbox.listen(&listener(1), &[ListenSocket::Tcp(Arc::clone(&socket))]);
    outbox.listen(&listener(2), &[ListenSocket::Tcp(Arc::clone(&socket))]);
    outbox.post(&Update::Unlisten(ListenerId(1)));
    outbox.post(&spec(3));
    assert_eq!(Arc::strong_count(&socket), 2, "a listener that is gone again is not kept open");
    slow.updates.try_iter().for_each(drop);
    outbox.retry();
    let paid: Vec<String> = slow.updates.try_iter().map(|update| format!("{update:?}")).collect();
    let kinds: Vec<&str> = paid.iter().map(|update| update.split('(').next().unwrap()).collect();
    assert_eq!(kinds, ["Service", "Listen", "Unlisten", "Remove", "Drain"]);
}
