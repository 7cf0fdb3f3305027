//! Hashes of passwords: argon2id for those that are made, and the kinds of crypt(3) that old files have.
//!
//! Both take as long as it is meant to: they belong on a thread where nobody else waits.

use std::panic::catch_unwind;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use sha_crypt::ShaCrypt;
use subtle::ConstantTimeEq;
use yescrypt::Yescrypt;

use super::{Keys, des, md5, radix64};
use crate::model::limits::PASSWORD_BYTES_MAX;

/// Largest memory of an argon2 hash that is verified, in KiB, and most passes.
const ARGON2_MEMORY_KIB_MAX: u64 = 1 << 20;
const ARGON2_PASSES_MAX: u64 = 100;
/// Most rounds of a SHA-crypt hash that is verified.
const SHA_ROUNDS_MAX: u64 = 5_000_000;
/// Bytes of salt for a new hash.
const SALT_BYTES: usize = 16;

/// How a password was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `$argon2id$` and its kin.
    Argon2,
    /// `$y$`.
    Yescrypt,
    /// `$5$` and `$6$`.
    Sha,
    /// `$1$` and `$apr1$`.
    Md5,
    /// Thirteen characters.
    Des,
}

impl Kind {
    fn of(hash: &str) -> Option<Self> {
        let kinds = [
            ("$argon2", Self::Argon2),
            ("$y$", Self::Yescrypt),
            ("$5$", Self::Sha),
            ("$6$", Self::Sha),
            ("$1$", Self::Md5),
            ("$apr1$", Self::Md5),
        ];
        let is_des = || hash.len() == 13 && hash.bytes().all(|byte| radix64::value(byte).is_some());
        let found = kinds.into_iter().find(|(start, _)| hash.starts_with(start)).map(|(_, kind)| kind);
        found.filter(|_| is_affordable(hash)).or_else(|| is_des().then_some(Self::Des))
    }
}

/// Whether a hash costs no more than a login may.
fn is_affordable(hash: &str) -> bool {
    let bounds = [("m=", ARGON2_MEMORY_KIB_MAX), ("t=", ARGON2_PASSES_MAX), ("rounds=", SHA_ROUNDS_MAX)];
    let parts = || hash.split(['$', ',']);
    bounds.iter().all(|(name, most)| {
        let mut said = parts().filter_map(|part| part.strip_prefix(name));
        said.all(|number| number.parse::<u64>().is_ok_and(|number| number <= *most))
    })
}

/// Whether a text is a hash that can be verified.
pub(crate) fn is_hash(text: &str) -> bool {
    Kind::of(text).is_some()
}

/// Whether this is the password of that hash. Without a hash it takes as long as with one, and is not: who may log in
/// cannot be told by the time that it takes to refuse him.
pub(crate) fn is_right(password: &[u8], hash: Option<&str>) -> bool {
    let kind = hash.and_then(Kind::of);
    if kind != Some(Kind::Argon2) {
        let _ = Argon2::default().hash_password_into(password, &[0; SALT_BYTES], &mut [0; 32]);
    }
    let (Some(hash), Some(kind)) = (hash, kind) else { return false };
    if password.len() > PASSWORD_BYTES_MAX {
        return false;
    }
    // A malformed hash that the crates below do not expect must not end the thread.
    catch_unwind(|| match kind {
        Kind::Argon2 => Argon2::default().verify_password(password, hash).is_ok(),
        Kind::Yescrypt => Yescrypt::default().verify_password(password, hash).is_ok(),
        Kind::Sha => ShaCrypt::default().verify_password(password, hash).is_ok(),
        Kind::Md5 => is_same(md5::crypt(password, hash), hash),
        Kind::Des => is_same(des::crypt(password, hash), hash),
    })
    .unwrap_or(false)
}

fn is_same(made: Option<String>, hash: &str) -> bool {
    made.is_some_and(|made| bool::from(made.as_bytes().ct_eq(hash.as_bytes())))
}

/// The hash of a new password (argon2id, 19 MiB, two passes), as it stands in a file.
///
/// # Errors
/// The password is empty or too long, or the system has no random numbers.
pub(crate) fn hash(password: &[u8], keys: &Keys) -> Result<String, String> {
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return Err(format!("the password is empty or too long, expected 1 to {PASSWORD_BYTES_MAX} bytes"));
    }
    let salt: [u8; SALT_BYTES] = keys.random().map_err(|error| error.to_string())?;
    let hash = Argon2::default().hash_password_with_salt(password, &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| format!("the password cannot be hashed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [&str; 9] = [
        "$1$abcdefgh$eKehL.s8tG6zTf8hBtmEF.",
        "$apr1$abcdefgh$bw9gEObk10asetVLiysIZ0",
        "$5$abcdefgh$azU9PNNJw9essBuwq5yihWY9lFXM0dF54Ph4sAxX.YB",
        "$5$rounds=1000$abcdefgh$gzXh90B7DNRvED/UqfwXC2mPTZTEIhQ4YZOYqKQr2k7",
        "$6$abcdefgh$msgktWxVAbjjh3X7lA5LaM7dS/ZfABJL6T4qcRsnjcOTj0kptUvZcrvrXIoO5fgPA9xz6UnF2To2Y7jGc/IZY/",
        "$y$j9T$abcdefgh./$LA5BkzHfSLFk2fa.i7KWaESte/k040/nUldY3G1x3m5",
        "$y$j75$abcdefgh./$ywur7099xwjV6ovBa/U40PHm/y/gYC49idD06RHHcQC",
        "$argon2id$v=19$m=512,t=2,p=2$aI2R0hpDyLm3ltLa+1/rvQ$LqPKjd6n8yniKtAithoR7A",
        "abOB5Wdr5AH6c",
    ];

    #[test]
    fn hash_of_an_old_file_is_verified() {
        for hash in &OLD[..7] {
            assert!(is_right(b"geheim", Some(hash)), "{hash}");
            assert!(!is_right(b"Geheim", Some(hash)), "{hash}");
            assert!(!is_right(b"", Some(hash)), "{hash}");
        }
        for hash in OLD {
            assert!(is_hash(hash), "{hash}");
        }
    }

    #[test]
    fn new_hash_is_verified_and_never_the_same() {
        let keys = Keys::new().unwrap();
        let hashes = [hash(b"geheim", &keys).unwrap(), hash(b"geheim", &keys).unwrap()];
        assert_ne!(hashes[0], hashes[1]);
        for hash in &hashes {
            assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
            assert!(is_right(b"geheim", Some(hash)) && !is_right(b"geheim ", Some(hash)));
        }
        assert!(hash(b"", &keys).is_err() && hash(&[b'a'; PASSWORD_BYTES_MAX + 1], &keys).is_err());
    }

    #[test]
    fn text_that_is_no_hash_is_never_right() {
        for text in [
            "",
            "geheim",
            "*",
            "!",
            "$",
            "$$",
            "$1",
            "$2y$10$abcdefghijklmnopqrstuv",
            "$argon2id$",
            "$y$",
            "$y$$$$",
            "$6$",
            "$5$rounds=x$a$b",
            "$6$rounds=999999999$a$b",
            "$argon2id$v=19$m=99999999,t=2,p=1$aI2R0hpDyLm$LqPK",
            "$y$j$a$b",
            "abOB5Wdr5AH6!",
        ] {
            assert!(!is_right(b"geheim", Some(text)), "{text}");
            assert!(!is_right(text.as_bytes(), Some(text)), "{text}");
        }
        assert!(!is_right(b"geheim", None));
        for text in ["geheim", "$2y$10$abcdefghijklmnopqrstuv", "$6$rounds=999999999$a$b"] {
            assert!(!is_hash(text), "{text}");
        }
    }
}
