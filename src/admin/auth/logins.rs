//! Browsers that are logged in: a random name in a cookie, and a token that has to stand in a field of every change, so
//! that no other site's page can make one.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use super::Keys;
use super::secret::hex;
use crate::model::limits::{LOGIN_IDLE, LOGIN_MAX, LOGINS_MAX};

/// The logins, by the marks of their names: who reads this memory cannot make a cookie of it.
#[derive(Debug, Default)]
pub(crate) struct Logins(HashMap<[u8; 32], Login>);

/// A browser that is logged in.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// Who it is.
    pub(crate) user: String,
    /// What its changes have to say.
    pub(crate) token: String,
    /// The mark of the user's hash: with another password the login ends.
    hash: [u8; 32],
    born: Instant,
    seen: Instant,
}

impl Logins {
    /// Logs a browser in. Returns what its cookie says.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn add(&mut self, now: Instant, keys: &Keys, user: &str, hash: &str) -> io::Result<String> {
        let name = hex(&keys.random::<32>()?);
        let token = hex(&keys.random::<32>()?);
        self.0.retain(|_, login| login.is_alive(now));
        if self.0.len() >= LOGINS_MAX
            && let Some(silent) = self.0.iter().min_by_key(|(_, login)| login.seen).map(|(mark, _)| *mark)
        {
            self.0.remove(&silent);
        }
        let login = Login { user: user.to_owned(), token, hash: hash_mark(keys, hash), born: now, seen: now };
        self.0.insert(name_mark(keys, &name), login);
        Ok(name)
    }

    /// The login of this cookie. `hash_of` says what the hash of a user is now.
    pub(crate) fn find(
        &mut self,
        now: Instant,
        keys: &Keys,
        name: &str,
        hash_of: impl FnOnce(&str) -> Option<String>,
    ) -> Option<Login> {
        let mark = name_mark(keys, name);
        let login = self.0.get_mut(&mark)?;
        let is_same = hash_of(&login.user).is_some_and(|hash| hash_mark(keys, &hash) == login.hash);
        if !is_same || !login.is_alive(now) {
            self.0.remove(&mark);
            return None;
        }
        login.seen = now;
        Some(login.clone())
    }

    /// Ends a login.
    pub(crate) fn remove(&mut self, keys: &Keys, name: &str) {
        self.0.remove(&name_mark(keys, name));
    }
}

impl Login {
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.seen) < LOGIN_IDLE && now.saturating_duration_since(self.born) < LOGIN_MAX
    }
}

fn name_mark(keys: &Keys, name: &str) -> [u8; 32] {
    keys.mark(&[b"login", name.as_bytes()])
}

fn hash_mark(keys: &Keys, hash: &str) -> [u8; 32] {
    keys.mark(&[b"hash", hash.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn hash(_: &str) -> Option<String> {
        Some(String::from("h"))
    }

    #[test]
    fn login_lasts_while_it_is_used_and_no_longer_than_it_may() {
        let (keys, start) = (Keys::new().unwrap(), Instant::now());
        let mut logins = Logins::default();
        let name = logins.add(start, &keys, "u", "h").unwrap();
        assert_eq!(name.len(), 64);
        let mut now = start;
        let step = LOGIN_IDLE - Duration::from_secs(1);
        while now - start + step < LOGIN_MAX {
            now += step;
            assert_eq!(logins.find(now, &keys, &name, hash).map(|login| login.user).as_deref(), Some("u"));
        }
        assert!(logins.find(now + step, &keys, &name, hash).is_none(), "too old");
        let name = logins.add(start, &keys, "u", "h").unwrap();
        assert!(logins.find(start + LOGIN_IDLE, &keys, &name, hash).is_none(), "silent for too long");
    }

    #[test]
    fn login_ends_with_the_user_his_password_or_by_his_will() {
        let (keys, now) = (Keys::new().unwrap(), Instant::now());
        let mut logins = Logins::default();
        let mut add = || logins.add(now, &keys, "u", "h").unwrap();
        let names = [add(), add(), add()];
        assert!(logins.find(now, &keys, &names[0], |_| None).is_none());
        assert!(logins.find(now, &keys, &names[0], hash).is_none(), "it has ended for good");
        assert!(logins.find(now, &keys, &names[1], |_| Some(String::from("other"))).is_none());
        logins.remove(&keys, &names[2]);
        assert!(logins.find(now, &keys, &names[2], hash).is_none());
        assert!(logins.find(now, &keys, "guessed", hash).is_none());
    }

    #[test]
    fn login_that_was_silent_for_longest_makes_room() {
        let (keys, now) = (Keys::new().unwrap(), Instant::now());
        let mut logins = Logins::default();
        let first = logins.add(now, &keys, "u", "h").unwrap();
        let second = logins.add(now + Duration::from_secs(1), &keys, "u", "h").unwrap();
        for _ in 0..LOGINS_MAX - 1 {
            logins.add(now + Duration::from_secs(2), &keys, "u", "h").unwrap();
        }
        assert_eq!(logins.0.len(), LOGINS_MAX);
        assert!(logins.find(now, &keys, &first, hash).is_none());
        assert!(logins.find(now, &keys, &second, hash).is_some());
    }
}
