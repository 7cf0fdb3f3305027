//! Who is asking: passwords and their hashes, logins of browsers, and what guessing costs. No sockets and no clock.
//!
//! `password` makes and verifies hashes (`des` and `md5` are those that old files have), `known` spares programs that
//! ask again and again the hashing, `logins` are browsers, `guesses` slows down who does not know the password.

mod base64;
mod des;
mod guesses;
mod known;
mod logins;
mod md5;
pub(crate) mod password;
mod radix64;
mod secret;

pub(crate) use base64::decode;
pub(crate) use guesses::Guesses;
pub(crate) use known::Known;
pub(crate) use logins::Logins;
pub(crate) use secret::{Keys, Secret, hex};
