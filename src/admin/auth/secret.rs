//! What nobody may see, and random numbers.

use std::fmt::{self, Write};
use std::io;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// A password on its way to being hashed. No log and no debugger's print shows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The process's own key, made at its start, and the system's random numbers.
#[derive(Clone)]
pub(crate) struct Keys {
    random: SystemRandom,
    key: hmac::Key,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// A new key.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn new() -> io::Result<Self> {
        let random = SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random).map_err(|_| no_random())?;
        Ok(Self { random, key })
    }

    /// Random bytes.
    ///
    /// # Errors
    /// The system has none.
    pub(crate) fn random<const N: usize>(&self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).map_err(|_| no_random())?;
        Ok(bytes)
    }

    /// A mark of these texts that only this process can make.
    pub(crate) fn mark(&self, texts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for text in texts {
            // With their lengths, so that no two lists have the same bytes.
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text);
        }
        let tag = context.sign();
        <[u8; 32]>::try_from(tag.as_ref()).unwrap_or_default()
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn no_random() -> io::Error {
    io::Error::other("the system has no random numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_differs_for_other_texts_and_other_processes() {
        let (ours, theirs) = (Keys::new().unwrap(), Keys::new().unwrap());
        assert_eq!(ours.mark(&[b"a", b"b"]), ours.mark(&[b"a", b"b"]));
        assert_ne!(ours.mark(&[b"a", b"b"]), ours.mark(&[b"ab", b""]));
        assert_ne!(ours.mark(&[b"a"]), theirs.mark(&[b"a"]));
        assert_ne!(ours.random::<32>().unwrap(), ours.random::<32>().unwrap());
        assert_eq!(hex(&[0, 255]), "00ff");
        assert_eq!(format!("{:?}", Secret(b"geheim".to_vec())), "Secret");
    }
}
