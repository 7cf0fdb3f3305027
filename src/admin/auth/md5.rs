//! The crypt(3) of FreeBSD with MD5 (`$1$`), and Apache's (`$apr1$`). Old files have it; it is verified and never made.

use ::md5::{Digest, Md5};

use super::radix64;

/// Longest salt, in bytes.
const SALT_BYTES_MAX: usize = 8;
/// The order in which the bytes of the digest are written, three at a time.
const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// The hash of a password with the kind and the salt that begin `setting`; none when it is another kind.
pub(super) fn crypt(password: &[u8], setting: &str) -> Option<String> {
    let magic = ["$1$", "$apr1$"].into_iter().find(|magic| setting.starts_with(magic))?;
    let salt = setting[magic.len()..].split('$').next()?.as_bytes();
    let salt = &salt[..salt.len().min(SALT_BYTES_MAX)];
    let digest = digest(password, magic.as_bytes(), salt);
    let mut text = format!("{magic}{}$", std::str::from_utf8(salt).ok()?);
    let mut write = |value: u32, digits: u32| {
        for at in 0..digits {
            text.push(radix64::digit(u8::try_from(value >> (6 * at) & 63).unwrap_or(0)));
        }
    };
    for [high, middle, low] in ORDER {
        let value = u32::from(digest[high]) << 16 | u32::from(digest[middle]) << 8 | u32::from(digest[low]);
        write(value, 4);
    }
    write(u32::from(digest[11]), 2);
    Some(text)
}

fn digest(password: &[u8], magic: &[u8], salt: &[u8]) -> [u8; 16] {
    let whole = |parts: &[&[u8]]| -> [u8; 16] {
        let mut hash = Md5::new();
        for part in parts {
            hash.update(part);
        }
        hash.finalize().into()
    };
    let other = whole(&[password, salt, password]);
    let mut hash = Md5::new();
    for part in [password, magic, salt] {
        hash.update(part);
    }
    for part in password.chunks(16) {
        hash.update(&other[..part.len()]);
    }
    let mut bits = password.len();
    while bits > 0 {
        hash.update(if bits & 1 == 1 { &[0][..] } else { &password[..1] });
        bits >>= 1;
    }
    let mut last: [u8; 16] = hash.finalize().into();
    for round in 0..1000 {
        let odd = round & 1 == 1;
        let first: &[u8] = if odd { password } else { &last };
        let end: &[u8] = if odd { &last } else { password };
        let none: &[u8] = &[];
        let parts =
            [first, if round % 3 == 0 { none } else { salt }, if round % 7 == 0 { none } else { password }, end];
        last = whole(&parts);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_that_of_the_system() {
        for (password, hash) in [
            ("geheim", "$1$abcdefgh$eKehL.s8tG6zTf8hBtmEF."),
            ("", "$1$a$8CfZSfErbeskipdhZHtvu."),
            ("a password of more than sixteen", "$1$xyz$hb5jQ7bSBWH/iuOihY.zV1"),
            ("geheim", "$apr1$abcdefgh$bw9gEObk10asetVLiysIZ0"),
        ] {
            assert_eq!(crypt(password.as_bytes(), hash).as_deref(), Some(hash), "{password}");
        }
        assert_eq!(crypt(b"x", "$5$a$"), None);
        assert_eq!(crypt(b"x", "$1$").as_deref().map(str::len), Some(26));
    }
}
