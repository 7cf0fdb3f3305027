//! What an epoll token means. The only place that knows its bits.
//!
//! | bits | listener, waker | socket of flows | client, host |
//! |------|-----------------|-----------------|--------------|
//! | 62–63 | kind | kind of a listener | kind |
//! | 56–61 | 0, or 1 for datagrams | 2 | number of the attempt, modulo 64 |
//! | 32–55 | 0 | its way | slot of the session |
//! | 0–31 | number of the listener | its number | generation of the session |

use mio::Token;

use crate::balancer::Key;
use crate::balancer::flows::SocketId;

const KIND: u32 = 62;
const ATTEMPT: u32 = 56;
const SLOT: u32 = 32;
const SLOT_MASK: u64 = (1 << (ATTEMPT - SLOT)) - 1;
/// Attempts that are told apart: an event of an earlier attempt finds nothing.
pub(super) const ATTEMPTS: u8 = 1 << (KIND - ATTEMPT);

/// The meaning of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The mailbox has messages.
    Waker,
    /// A listener has connections.
    Listener(u32),
    /// A listener has datagrams.
    Datagrams(u32),
    /// A socket towards hosts has answers, or errors.
    Answers(SocketId),
    /// A session's client socket.
    Client(Key),
    /// A session's host socket, and which attempt it belongs to.
    Host(Key, u8),
}

impl Meaning {
    pub(super) fn token(self) -> Token {
        let bits = match self {
            Self::Waker => 0,
            Self::Listener(number) => 1 << KIND | u64::from(number),
            Self::Datagrams(number) => 1 << KIND | 1 << ATTEMPT | u64::from(number),
            Self::Answers(SocketId { way, number }) => {
                1 << KIND | 2 << ATTEMPT | (u64::from(way) & SLOT_MASK) << SLOT | u64::from(number)
            }
            Self::Client(key) => 2 << KIND | pack(key),
            Self::Host(key, attempt) => 3 << KIND | u64::from(attempt % ATTEMPTS) << ATTEMPT | pack(key),
        };
        Token(usize::try_from(bits).unwrap_or(usize::MAX))
    }

    #[expect(clippy::cast_possible_truncation, reason = "each field is masked to its width")]
    pub(super) fn of(token: Token) -> Self {
        let bits = token.0 as u64;
        let key = Key { slot: (bits >> SLOT & SLOT_MASK) as u32, generation: bits as u32 };
        match bits >> KIND {
            0 => Self::Waker,
            1 => match (bits >> ATTEMPT) as u8 % ATTEMPTS {
                0 => Self::Listener(bits as u32),
                1 => Self::Datagrams(bits as u32),
                _ => Self::Answers(SocketId { way: key.slot, number: bits as u32 }),
            },
            2 => Self::Client(key),
            _ => Self::Host(key, (bits >> ATTEMPT) as u8 % ATTEMPTS),
        }
    }
}

fn pack(key: Key) -> u64 {
    (u64::from(key.slot) & SLOT_MASK) << SLOT | u64::from(key.generation)
}

const _: () = assert!(usize::BITS == 64, "tokens need 64 bits");
const _: () = assert!(crate::model::limits::SESSIONS_PER_REACTOR_MAX as u64 <= SLOT_MASK);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meaning() -> impl Strategy<Value = Meaning> {
        let key = (0..=u32::try_from(SLOT_MASK).unwrap(), any::<u32>());
        let key = key.prop_map(|(slot, generation)| Key { slot, generation });
        prop_oneof![
            Just(Meaning::Waker),
            any::<u32>().prop_map(Meaning::Listener),
            any::<u32>().prop_map(Meaning::Datagrams),
            (0..=u32::try_from(SLOT_MASK).unwrap(), any::<u32>())
                .prop_map(|(way, number)| Meaning::Answers(SocketId { way, number })),
            key.clone().prop_map(Meaning::Client),
            (key, 0..ATTEMPTS).prop_map(|(key, attempt)| Meaning::Host(key, attempt)),
        ]
    }

    proptest! {
        #[test]
        fn token_means_what_it_was_made_of(meaning in meaning()) {
            prop_assert_eq!(Meaning::of(meaning.token()), meaning);
        }

        #[test]
        fn different_meanings_have_different_tokens(a in meaning(), b in meaning()) {
            prop_assert_eq!(a == b, a.token() == b.token());
        }
    }
}
