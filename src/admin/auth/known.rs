//! Passwords that were right a moment ago, as marks: who asks every second is not hashed every second.

use std::collections::HashMap;
use std::time::Instant;

use super::{Keys, Secret};
use crate::model::limits::{PASSWORD_KEPT, PASSWORDS_KEPT_MAX};

/// The marks. They hold no password, and one of a user whose hash has changed is not found any more.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<[u8; 32], Instant>);

impl Known {
    /// Whether this was right not long ago.
    pub(crate) fn is_right(&self, now: Instant, keys: &Keys, user: &str, hash: &str, password: &Secret) -> bool {
        let until = self.0.get(&mark(keys, user, hash, password));
        until.is_some_and(|until| now < *until)
    }

    /// This was right.
    pub(crate) fn add(&mut self, now: Instant, keys: &Keys, user: &str, hash: &str, password: &Secret) {
        self.0.retain(|_, until| now < *until);
        if self.0.len() >= PASSWORDS_KEPT_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, until)| **until).map(|(mark, _)| *mark)
        {
            self.0.remove(&oldest);
        }
        self.0.insert(mark(keys, user, hash, password), now + PASSWORD_KEPT);
    }
}

fn mark(keys: &Keys, user: &str, hash: &str, password: &Secret) -> [u8; 32] {
    keys.mark(&[b"password", user.as_bytes(), hash.as_bytes(), &password.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_known_until_its_time_is_over_or_the_hash_another() {
        let (keys, now) = (Keys::new().unwrap(), Instant::now());
        let (right, wrong) = (Secret(b"a".to_vec()), Secret(b"b".to_vec()));
        let mut known = Known::default();
        known.add(now, &keys, "u", "h", &right);
        assert!(known.is_right(now, &keys, "u", "h", &right));
        assert!(!known.is_right(now, &keys, "u", "h", &wrong));
        assert!(!known.is_right(now, &keys, "v", "h", &right));
        assert!(!known.is_right(now, &keys, "u", "i", &right));
        assert!(!known.is_right(now + PASSWORD_KEPT, &keys, "u", "h", &right));
    }

    #[test]
    fn known_passwords_are_bounded() {
        let (keys, now) = (Keys::new().unwrap(), Instant::now());
        let mut known = Known::default();
        for n in 0..PASSWORDS_KEPT_MAX * 2 {
            known.add(now, &keys, &n.to_string(), "h", &Secret(Vec::new()));
        }
        assert_eq!(known.0.len(), PASSWORDS_KEPT_MAX);
    }
}
