//! A bounded channel into a thread that sleeps in a poll: posting wakes it.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use mio::Waker;

use crate::model::limits::CHANNEL_MAX;

/// The sending end. It never blocks.
#[derive(Debug)]
pub struct Mailbox<T> {
    sender: Sender<T>,
    waker: Arc<Waker>,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), waker: Arc::clone(&self.waker) }
    }
}

impl<T> Mailbox<T> {
    /// A mailbox of [`CHANNEL_MAX`] messages whose owner sleeps in the poll of `waker`.
    #[must_use]
    pub fn new(waker: Arc<Waker>) -> (Self, Receiver<T>) {
        let (sender, receiver) = bounded(CHANNEL_MAX);
        (Self { sender, waker }, receiver)
    }

    /// Posts a message and wakes the owner.
    ///
    /// # Errors
    /// The message, when the mailbox is full or its owner has ended.
    pub fn post(&self, message: T) -> Result<(), T> {
        match self.sender.try_send(message) {
            Ok(()) => {
                // A failed wake means a full eventfd counter, and then the owner is being woken already.
                let _ = self.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => Err(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll, Token};

    #[test]
    fn full_mailbox_gives_the_message_back() {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(7)).unwrap());
        let (mailbox, receiver) = Mailbox::new(waker);
        for n in 0..CHANNEL_MAX {
            mailbox.post(n).unwrap();
        }
        assert_eq!(mailbox.post(99), Err(99));
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, None).unwrap();
        assert_eq!(events.iter().next().unwrap().token(), Token(7));
        assert_eq!(receiver.recv(), Ok(0));
    }
}
